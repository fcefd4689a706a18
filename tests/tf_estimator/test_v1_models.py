"""The ready-made estimators of version 1 go on from tf.estimator's checkpoints as it does."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns, heads, input_pipelines
from headway.estimators import RunConfig
from headway.tf_estimator import v1

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "tf_estimator"
RESULTS = json.loads((GOLDEN / "v1.json").read_text("utf-8"))
MAX_DIFFERENCE = 1e-5


class World:
    """Models and rows of the golden cases."""

    def __init__(self, golden_module: Callable[[str], Any]) -> None:
        self.cases = golden_module("canned/cases.py")
        self.v1_cases = golden_module("tf_estimator/v1_cases.py")

    def build(self, name: str, model_dir: pathlib.Path, **settings: Any) -> Any:
        config = RunConfig(model_dir=str(model_dir), progress="none", save_summary_steps=1, **settings)
        modules = (self.cases, v1, feature_columns, tf.compat.v1.train, tf.nn)
        return self.v1_cases.build(name, *modules, config=config)

    def rows(self, name: str, count: int | None = None, *, epochs: int | None = 1) -> input_pipelines.Pipeline:
        features, labels = self.cases.data()
        labels = labels[self.v1_cases.CASES[name][1]]
        features = {key: value[:count] for key, value in features.items()}
        return input_pipelines.from_arrays(features, labels[:count], batch_size=self.cases.BATCH, num_epochs=epochs)

    def checkpoint(self, name: str, model_dir: pathlib.Path) -> None:
        """Writes the checkpoint of tf.estimator's from which the golden values go on."""
        model_dir.mkdir(exist_ok=True)
        tensors, prefix = values(name, "before"), str(model_dir / f"model.ckpt-{self.cases.FIRST_STEPS}")
        names = sorted(tensors)
        slices, written = [""] * len(names), [tf.constant(tensors[key]) for key in names]
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=slices, tensors=written)
        (model_dir / "checkpoint").write_text(f'model_checkpoint_path: "{pathlib.Path(prefix).name}"\n', "utf-8")


@pytest.fixture(scope="module")
def world(golden_module: Callable[[str], Any]) -> World:
    return World(golden_module)


def values(name: str, when: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "v1.npz") as stored:
        flat = stored[f"{name}/{when}"]
    found, start = {}, 0
    for key, (dtype, shape) in RESULTS[name]["variables"].items():
        size = int(np.prod(shape))
        found[key] = flat[start : start + size].reshape(shape).astype(dtype)
        start += size
    assert start == flat.size
    return found


def tags(model_dir: pathlib.Path) -> list[str]:
    found = set()
    for path in model_dir.glob("events.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            found |= {value.tag for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value}
    return sorted(tag for tag in found if not tag.startswith("global_step/"))


def assert_variables(estimator: Any, name: str) -> None:
    expected = values(name, "after")
    assert set(estimator.get_variable_names()) == set(expected)
    for key, value in expected.items():
        found = estimator.get_variable_value(key)
        np.testing.assert_allclose(found, value, rtol=MAX_DIFFERENCE, atol=MAX_DIFFERENCE, err_msg=key)


@pytest.mark.parametrize("name", RESULTS)
def test_a_model_dir_of_tf_estimator_goes_on(name: str, world: World, tmp_path: pathlib.Path) -> None:
    world.checkpoint(name, tmp_path)
    estimator, golden = world.build(name, tmp_path), RESULTS[name]

    metrics = estimator.evaluate(world.rows(name, 40))
    assert metrics.keys() == golden["metrics"].keys()
    for key, value in golden["metrics"].items():
        assert metrics[key] == pytest.approx(value, rel=MAX_DIFFERENCE, abs=MAX_DIFFERENCE), key

    for row, expected in zip(estimator.predict(world.rows(name, 6)), golden["predictions"], strict=True):
        assert row.keys() == expected.keys()
        for key, value in expected.items():
            if row[key].dtype.kind in "OS":
                assert [word.decode() for word in row[key].ravel()] == list(np.ravel(value)), key
            else:
                np.testing.assert_allclose(row[key], value, rtol=MAX_DIFFERENCE, atol=MAX_DIFFERENCE, err_msg=key)

    estimator.train(world.rows(name, epochs=None), steps=world.cases.MORE_STEPS)
    assert_variables(estimator, name)
    assert tags(tmp_path) == golden["tags"]


@pytest.mark.parametrize("how", ["mirrored", "eager"])
def test_replicas_and_eager_steps_give_the_same(
    how: str, world: World, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    name = {"mirrored": "dnn_classifier_adam", "eager": "combined_classifier_adam_twice"}[how]
    world.checkpoint(name, tmp_path)
    rows, batch = world.rows(name, epochs=None), world.cases.BATCH
    if how == "mirrored":
        # Two replicas read two batches at a time: half the rows each make the batch of one.
        halves = rows.dataset().unbatch().batch(batch // 2)
        estimator = world.build(name, tmp_path, train_distribute=mirrored)
        estimator.train(lambda: halves, steps=world.cases.MORE_STEPS)
    else:
        estimator = world.build(name, tmp_path, run_eagerly=True)
        estimator.train(rows, steps=world.cases.MORE_STEPS)
    assert_variables(estimator, name)


def test_one_optimizer_serves_several_models_and_calls(tmp_path: pathlib.Path) -> None:
    x, optimizer = feature_columns.numeric_column("x"), tf.compat.v1.train.AdamOptimizer(0.1)
    rows = input_pipelines.from_arrays({"x": [1.0, 2.0]}, [1.0, 3.0], batch_size=2, num_epochs=None)

    def weights(model_dir: pathlib.Path, *calls: int) -> list[float]:
        config = RunConfig(model_dir=str(model_dir), progress="none")
        model = v1.LinearRegressor([x], optimizer=optimizer, config=config)
        for steps in calls:
            model.train(rows, steps=steps)
        assert model.get_variable_value("global_step") == sum(calls)
        assert model.get_variable_value("linear/head/beta1_power") == pytest.approx(0.9 ** (sum(calls) + 1))
        return list(model.get_variable_value("linear/linear_model/x/weights").ravel())

    at_once = weights(tmp_path / "a", 4)
    assert weights(tmp_path / "b", 1, 3) == pytest.approx(at_once)
    # The first step of Adam is one learning rate, whatever the gradient.
    assert weights(tmp_path / "c", 1) == pytest.approx([0.1], rel=1e-4)


def test_a_learning_rate_may_follow_the_global_step(tmp_path: pathlib.Path) -> None:
    x = feature_columns.numeric_column("x")
    rows = input_pipelines.from_arrays({"x": [1.0]}, [1.0], batch_size=1, num_epochs=None)

    def optimizer() -> tf.compat.v1.train.Optimizer:
        step = tf.compat.v1.train.get_global_step()
        rate = tf.compat.v1.train.exponential_decay(0.1, step, decay_steps=1, decay_rate=0.5)
        return tf.compat.v1.train.GradientDescentOptimizer(rate)

    model = v1.LinearRegressor([x], optimizer=optimizer, config=RunConfig(model_dir=str(tmp_path), progress="none"))
    model.train(rows, steps=2)
    # Weight and bias begin at 0 and stay equal: w - rate * 2 * (2 w - 1). 0.1 * 2 = 0.2; 0.2 + 0.05 * 2 * 0.6 = 0.26.
    assert model.get_variable_value("linear/linear_model/x/weights").item() == pytest.approx(0.26)


def test_empty_batches_and_weights_of_zero_change_nothing(tmp_path: pathlib.Path) -> None:
    x = feature_columns.numeric_column("x")

    def input_fn() -> tf.data.Dataset:
        empty = ({"x": tf.zeros([0]), "w": tf.zeros([0])}, tf.zeros([0], tf.int64))
        idle = ({"x": tf.ones([2]), "w": tf.zeros([2])}, tf.constant([0, 1], tf.int64))
        spec = ({name: tf.TensorSpec([None], tf.float32) for name in "xw"}, tf.TensorSpec([None], tf.int64))
        return tf.data.Dataset.from_generator(lambda: iter([empty, idle]), output_signature=spec)

    for reduction in ("weighted_mean", "weighted_sum_by_nonzero_weights"):
        model = v1.LinearClassifier(
            [x],
            weight_column="w",
            loss_reduction=reduction,
            config=RunConfig(model_dir=str(tmp_path / reduction), progress="none"),
        )
        model.train(input_fn)
        assert model.get_variable_value("global_step") == 2
        assert not model.get_variable_value("linear/linear_model/x/weights").any()


def test_models_take_a_head(tmp_path: pathlib.Path) -> None:
    x = feature_columns.numeric_column("x")
    rows = input_pipelines.from_arrays({"x": [1.0, 2.0, 3.0]}, [1.0, 0.0, 2.0], batch_size=3, num_epochs=None)
    head = heads.RegressionHead()
    models = {
        v1.DNNEstimator: {"hidden_units": [2], "feature_columns": [x]},
        v1.LinearEstimator: {"feature_columns": [x]},
        v1.DNNLinearCombinedEstimator: {
            "linear_feature_columns": [x],
            "dnn_feature_columns": [x],
            "dnn_hidden_units": [2],
        },
        v1.BaselineEstimator: {},
    }
    names = {}
    for kind, arguments in models.items():
        model = kind(head, model_dir=str(tmp_path / kind.__name__), **arguments).train(rows, steps=2)
        names[kind] = model.get_variable_names()
    # The last two as tf.estimator 2.15 shows them; it refuses such a head for the first two.
    assert names[v1.BaselineEstimator] == ["baseline/bias", "baseline/bias/Ftrl", "baseline/bias/Ftrl_1", "global_step"]
    assert {name for name in names[v1.DNNLinearCombinedEstimator] if "bias" in name} == {
        *(f"dnn/{layer}/bias{slot}" for layer in ("hiddenlayer_0", "logits") for slot in ("", "/Adagrad")),
        *(f"linear/linear_model/bias_weights{slot}" for slot in ("", "/Ftrl", "/Ftrl_1")),
    }
    assert "dnn/logits/bias/t_0/Adagrad" in names[v1.DNNEstimator]
    assert "linear/linear_model/x/weights/part_0/Ftrl_1" in names[v1.LinearEstimator]
    # Two steps of Ftrl of rate 0.3 on the mean of (b - y)^2, whose gradient is 2 (b - 1): by hand in NumPy.
    bias, accumulator, linear = 0.0, 0.1, 0.0
    for _ in range(2):
        gradient = 2 * (bias - 1)
        root = np.sqrt(accumulator + gradient**2)
        linear += gradient - (root - np.sqrt(accumulator)) / 0.3 * bias
        accumulator += gradient**2
        bias = -linear / (root / 0.3)
    found = v1.BaselineEstimator(head, model_dir=str(tmp_path / "BaselineEstimator")).get_variable_value(
        "baseline/bias"
    )
    assert found.item() == pytest.approx(bias, rel=1e-5)


def test_wrong_optimizers_are_named() -> None:
    x = feature_columns.numeric_column("x")
    with pytest.raises(ValueError, match=r"Unsupported optimizer name: adam. Supported names are: \('Adagrad', 'Adam'"):
        v1.DNNClassifier([2], [x], optimizer="adam")
    with pytest.raises(
        ValueError, match=r"not an Optimizer instance.*`dnn_optimizer` must be a name.*without v1, take"
    ):
        v1.DNNLinearCombinedRegressor(
            dnn_feature_columns=[x], dnn_hidden_units=[2], dnn_optimizer=keras.optimizers.Adam()
        )
    model = v1.BaselineRegressor(config=RunConfig(progress="none", gradient_accumulation=2))
    rows = input_pipelines.from_arrays({"x": [1.0]}, [1.0], batch_size=1, num_epochs=None)
    with pytest.raises(ValueError, match=r"gradient_accumulation=2\) needs a Keras optimizer"):
        model.train(rows, steps=1)


def test_sdca_and_iterators_of_columns_are_taken() -> None:
    sdca = v1.experimental.LinearSDCA(example_id_column="id")
    x = feature_columns.numeric_column("x")
    assert v1.LinearClassifier(iter([x]), optimizer=sdca).model_dir
    assert v1.LinearRegressor([x], optimizer=None).model_dir
