"""TPUEstimator, its spec and its settings, as without a TPU."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import headway
from headway import input_pipelines
from headway.tf_estimator import v1

tpu = v1.tpu
SEEN: list[dict[str, Any]] = []


def model_fn(features: Any, labels: Any, mode: str, params: Any) -> Any:
    SEEN.append({name: params[name] for name in ("batch_size", "use_tpu", "own") if name in params})
    weight = tf.Variable(2.0, name="weight")
    predictions = {"y": weight * features["x"]}
    if mode == "infer":
        return tpu.TPUEstimatorSpec(mode, predictions=predictions)
    loss = tf.reduce_mean(tf.square(predictions["y"] - labels))
    step = tf.compat.v1.train.get_global_step()
    train_op = tf.compat.v1.train.GradientDescentOptimizer(0.1).minimize(loss, step) if mode == "train" else None
    return tpu.TPUEstimatorSpec(mode, predictions, loss, train_op)


def input_fn(params: Any) -> Any:
    ones = np.ones(8, np.float32)
    return input_pipelines.from_arrays({"x": ones}, ones.copy(), batch_size=params["batch_size"])


def estimator(model: Callable[..., Any] = model_fn, **arguments: Any) -> Any:
    settings = {"config": tpu.RunConfig(progress="none"), "use_tpu": False, **arguments}
    return tpu.TPUEstimator(model, **settings)


def test_batch_sizes_come_in_params() -> None:
    model = estimator(params={"own": 1}, train_batch_size=4, eval_batch_size=8, predict_batch_size=2)
    SEEN.clear()
    assert model.train(input_fn) is model
    assert model.get_variable_value("global_step") == 2
    assert all(seen == {"batch_size": 4, "use_tpu": False, "own": 1} for seen in SEEN)
    # 2 - 0.1 * 2 * (2 - 1) = 1.8; 1.8 - 0.1 * 2 * 0.8 = 1.64; the loss is 0.64 ** 2.
    assert model.evaluate(input_fn)["loss"] == pytest.approx(0.4096)
    assert SEEN[-1]["batch_size"] == 8
    assert len(list(model.predict(input_fn, yield_single_examples=False))) == 4
    assert SEEN[-1]["batch_size"] == 2
    assert model.params == {"own": 1}


def test_an_export_knows_no_batch_size(tmp_path: pathlib.Path) -> None:
    model = estimator(train_batch_size=4, predict_batch_size=2, model_dir=str(tmp_path / "model"))
    model.fit(input_fn, steps=1)
    SEEN.clear()
    receiver_fn = v1.export.build_raw_serving_input_receiver_fn({"x": tf.TensorSpec([None], tf.float32)})
    path = model.export_saved_model(str(tmp_path / "export"), receiver_fn)
    assert SEEN == [{}]
    signature = tf.saved_model.load(path.decode()).signatures["serving_default"]
    assert signature(x=tf.constant([1.0]))["y"].numpy() == pytest.approx([1.8])


def test_a_batch_size_that_is_not_given_is_not_there() -> None:
    model = estimator(lambda features, params: None)
    with pytest.raises(KeyError, match="batch_size"):
        model.train(input_fn, steps=1)


def test_params_may_be_an_object() -> None:
    class HParams:
        """Hyper-parameters of the kind that tf.contrib had."""

        def __init__(self) -> None:
            self.values: dict[str, Any] = {"own": 3}

        def __contains__(self, name: str) -> bool:
            return name in self.values

        def __getitem__(self, name: str) -> Any:
            return self.values[name]

        def add_hparam(self, name: str, value: Any) -> None:
            self.values[name] = value

        def set_hparam(self, name: str, value: Any) -> None:
            self.values[name] = value

    SEEN.clear()
    estimator(params=HParams(), train_batch_size=4).train(input_fn, steps=1)
    assert SEEN[-1] == {"batch_size": 4, "use_tpu": False, "own": 3}


def test_a_dict_of_tensors_goes_by_argument_names() -> None:
    metrics = (
        lambda right, left: {"difference": (left - right, left)},
        {"left": tf.constant(5.0), "right": tf.constant(2.0)},
    )
    made = tpu.TPUEstimatorSpec("eval", loss=tf.constant(1.0), eval_metrics=metrics).as_estimator_spec()
    assert isinstance(made, headway.EstimatorSpec)
    assert float(made.eval_metric_ops["difference"][0]) == 3.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"use_tpu": True}, ValueError, r"`use_tpu` must be False\. Received: True\. For a TPU, .*TPUStrategy"),
        ({"config": None}, ValueError, "`config` must be provided with type `tpu_config.RunConfig`"),
        ({"config": v1.RunConfig()}, ValueError, "`config` must be provided with type"),
        ({"params": {"batch_size": 1}}, ValueError, "are reserved keys but existed in params"),
        ({"config": tpu.RunConfig(cluster=object())}, ValueError, r"RunConfig\(cluster=...\) must be None"),
        ({"embedding_config_spec": object()}, ValueError, "`embedding_config_spec` must be None"),
        ({"model": lambda features: None}, ValueError, "does not include params argument, required by TPUEstimator"),
        ({"model": None}, ValueError, "model_fn must be provided"),
        (
            {"config": tpu.RunConfig(tpu_config=tpu.TPUConfig(eval_training_input_configuration=5))},
            ValueError,
            "SLICED mode only works on use_tpu = True",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        estimator(**arguments)


def test_an_input_fn_must_take_params() -> None:
    with pytest.raises(ValueError, match=r"input_fn .* does not include params argument"):
        estimator(train_batch_size=2).train(lambda: None, steps=1)


def test_labels_need_a_model_fn_that_takes_them() -> None:
    with pytest.raises(ValueError, match="model_fn does not take labels, but input_fn returns labels"):
        estimator(lambda features, params: None, train_batch_size=2).train(input_fn, steps=1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("metrics", ValueError, "eval_metrics should be tuple or list"),
        ((len,), ValueError, "eval_metrics should have two elements"),
        (("name", []), TypeError, r"eval_metrics\[0\] should be callable"),
        ((len, 3), ValueError, r"eval_metrics\[1\] should be tuple or list, or dict"),
        (
            (lambda a, b: {}, [1]),
            RuntimeError,
            "length of tensors 1 does not match method args of the function",
        ),
    ],
)
def test_wrong_metrics_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tpu.TPUEstimatorSpec("eval", loss=tf.constant(1.0), eval_metrics=call)


def test_wrong_hooks_are_named() -> None:
    with pytest.raises(TypeError, match="All hooks must be SessionRunHook instances, given: hook"):
        tpu.TPUEstimatorSpec("eval", loss=tf.constant(1.0), evaluation_hooks=["hook"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"iterations_per_loop": 0}, ValueError, "iterations_per_loop must be positive"),
        ({"iterations_per_loop": "5x"}, ValueError, "`iterations_per_loop` must be a number of steps, or a time"),
        ({"num_shards": "2"}, TypeError, "TPUConfig num_shards must be int"),
        ({"num_cores_per_replica": 3}, ValueError, "num_cores_per_replica must be 1, 2, 4, 8, 16, 32, 64, 128; got 3"),
        ({"input_partition_dims": [1, 2, 3]}, ValueError, "a list/tuple with one or two elements"),
        ({"input_partition_dims": [1]}, ValueError, "only supported in PER_HOST_V2 mode"),
        (
            {"input_partition_dims": [1], "per_host_input_for_training": tpu.InputPipelineConfig.PER_HOST_V2},
            ValueError,
            "requires setting num_cores_per_replica",
        ),
        ({"eval_training_input_configuration": 9}, ValueError, "must be PER_HOST_V1 or SLICED; got 9"),
    ],
)
def test_wrong_settings_of_a_tpu_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tpu.TPUConfig(**arguments)


def test_a_run_config_keeps_its_settings() -> None:
    config = tpu.RunConfig(tpu.TPUConfig("30s", per_host_input_for_training=False), master="grpc://a", model_dir="m")
    again = config.replace(save_checkpoints_steps=7)
    assert isinstance(again, tpu.RunConfig)
    assert (again.tpu_config.iterations_per_loop, again.tpu_config.per_host_input_for_training) == ("30s", 1)
    assert (again.master, again.evaluation_master, again.cluster) == ("grpc://a", "grpc://a", None)
    assert (again.model_dir, again.save_checkpoints_steps) == ("m", 7)
    assert tpu.RunConfig(evaluation_master="b").evaluation_master == "b"
    with pytest.raises(ValueError, match="Both master and cluster are set"):
        tpu.RunConfig(master="a", cluster=object())


def test_embeddings_of_a_tpu_say_what_to_use_instead() -> None:
    with pytest.raises(NotImplementedError, match=r"There are no TPU embeddings\. Use embedding columns"):
        tpu.experimental.EmbeddingConfigSpec(feature_columns=[])
