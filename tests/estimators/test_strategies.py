"""The three verbs give the same under every strategy: replicas add up to one device with the whole batch."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import heads, input_pipelines
from headway.estimators import Estimator, EstimatorSpec, LinearClassifier, RunConfig

v1 = tf.compat.v1


def head_model_fn(features: Any, labels: Any, mode: str, params: Any) -> EstimatorSpec:
    """A head, Keras layers, an optimizer with slots."""
    net = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(params.get("outputs", 1))])
    logits = net(features["x"], training=mode == "train")
    return params["head"]().create_estimator_spec(
        features, mode, logits, labels, optimizer=params["optimizer"](), trainable_variables=net.trainable_variables
    )


HEADS = {
    "binary": (heads.BinaryClassHead, 1),
    "regression": (heads.RegressionHead, 1),
    "weighted": (lambda: heads.RegressionHead(weight_column="w"), 1),
    "classes": (lambda: heads.MultiClassHead(3), 3),
}
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "Adam": lambda: keras.optimizers.Adam(0.05),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "AdamW": lambda: keras.optimizers.AdamW(0.05),
    "averages": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "both": lambda: keras.optimizers.Nadam(
        0.05,
        gradient_accumulation_steps=2,
        clipnorm=0.1,
        use_ema=True,
        ema_momentum=0.5,
        ema_overwrite_frequency=2,
    ),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)),
}


def data(rows: int = 12) -> tuple[dict[str, Any], Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 3)).astype("float32")
    return {"x": x, "w": rng.uniform(0.1, 2.0, rows).astype("float32")}, (x[:, 0] > 0).astype("int64")


def source(batch: int, epochs: int | None = None, rows: int = 12) -> Any:
    features, labels = data(rows)
    return lambda: tf.data.Dataset.from_tensor_slices((features, labels)).repeat(epochs).batch(batch)


def make(folder: pathlib.Path, kind: str, optimizer: str, strategy: Any = None, **config: Any) -> Estimator:
    head, outputs = HEADS[kind]
    params = {"head": head, "outputs": outputs, "optimizer": OPTIMIZERS[optimizer]}
    settings = {"tf_random_seed": 3, "progress": "none", "save_checkpoints_steps": 1000, **config}
    return Estimator(head_model_fn, str(folder), RunConfig(train_distribute=strategy, **settings), params)


def everything(model: Estimator, batch: int, one_batch: int) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Trains three steps, evaluates and predicts."""
    model.train(source(batch), steps=3)
    result = model.evaluate(source(one_batch, epochs=1))
    rows = [row[next(iter(row))] for row in model.predict(source(5, epochs=1))]
    return {name: model.get_variable_value(name) for name in model.get_variable_names()}, result, rows


def assert_alike(first: Any, second: Any) -> None:
    for one, other in zip(first[:2], second[:2], strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(second[2], first[2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", list(HEADS))
def test_two_replicas_with_half_batches_are_one_device(kind: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    one = everything(make(tmp_path / "one", kind, "Adam"), 4, 4)
    two = everything(make(tmp_path / "two", kind, "Adam", mirrored), 2, 4)
    assert_alike(one, two)


@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad", "momentum"])
def test_optimizers_under_two_replicas(optimizer: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    one = everything(make(tmp_path / "one", "binary", optimizer), 4, 12)
    two = everything(make(tmp_path / "two", "binary", optimizer, mirrored), 2, 12)
    assert_alike(one, two)


@pytest.mark.parametrize("settings", [{"gradient_clipping": 0.05}, {"run_eagerly": True}], ids=["clipping", "eager"])
def test_settings_under_two_replicas(settings: dict[str, Any], mirrored: Any, tmp_path: pathlib.Path) -> None:
    one = everything(make(tmp_path / "one", "binary", "SGD", **settings), 4, 12)
    two = everything(make(tmp_path / "two", "binary", "SGD", mirrored, **settings), 2, 12)
    assert_alike(one, two)


CONDITIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "accumulation": ("SGD", {"gradient_accumulation": 2, "gradient_clipping": 0.05}),
    "accumulation, eager": ("AdamW", {"gradient_accumulation": 2, "run_eagerly": True}),
    "averages": ("averages", {}),
    "both": ("both", {}),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_an_optimizer_decides_in_each_step(name: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    optimizer, settings = CONDITIONS[name]
    one = everything(make(tmp_path / "one", "binary", optimizer, **settings), 4, 12)
    two = everything(make(tmp_path / "two", "binary", optimizer, mirrored, **settings), 2, 12)
    assert_alike(one, two)
    # After three steps of two each, one update has been made, and the third step waits in the sums.
    sums = [value for key, value in two[0].items() if key.endswith("gradient_accumulator")]
    assert bool(sums) == (name != "averages")
    assert all(np.any(value != 0) for value in sums)


def test_a_loss_scale_accumulates_with_one_replica(mirrored: Any, tmp_path: pathlib.Path) -> None:
    model = make(tmp_path / "model", "binary", "scaled", mirrored)
    with pytest.raises(ValueError, match=r"accumulates gradients.*with one replica only.*'SGD'"):
        model.train(source(2), steps=1)


def test_one_device_strategy(tmp_path: pathlib.Path) -> None:
    one = everything(make(tmp_path / "one", "binary", "Adam"), 4, 5)
    other = everything(make(tmp_path / "other", "binary", "Adam", tf.distribute.OneDeviceStrategy("CPU:0")), 4, 5)
    assert_alike(one, other)


@pytest.mark.parametrize("batch", [1, 3, 5, 12])
def test_evaluation_with_short_and_missing_batches(batch: int, mirrored: Any, tmp_path: pathlib.Path) -> None:
    # 1, 3 and 5 leave a replica without a batch, or with a short one; metrics count each row once.
    one = make(tmp_path / "model", "binary", "SGD").train(source(4), steps=1)
    two = make(tmp_path / "model", "binary", "SGD", mirrored)
    expected, found = one.evaluate(source(batch, 1, rows=11)), two.evaluate(source(batch, 1, rows=11))
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_directory_goes_from_one_strategy_to_another(mirrored: Any, tmp_path: pathlib.Path) -> None:
    one = make(tmp_path / "one", "binary", "Adam").train(source(4), steps=6)
    make(tmp_path / "two", "binary", "Adam", mirrored).train(source(2), steps=3)
    back = make(tmp_path / "two", "binary", "Adam").train(lambda: source(4)().skip(3), steps=3)
    for name in one.get_variable_names():
        np.testing.assert_allclose(
            back.get_variable_value(name), one.get_variable_value(name), rtol=1e-4, atol=1e-6, err_msg=name
        )


def test_pipelines_in_memory_under_two_replicas(mirrored: Any, tmp_path: pathlib.Path) -> None:
    features, labels = data()
    results = []
    for name, strategy, batch in (("one", None, 4), ("two", mirrored, 2)):
        rows = input_pipelines.from_arrays(features, labels, batch_size=batch, num_epochs=None)
        model = make(tmp_path / name, "binary", "Adam", strategy).train(rows, steps=3)
        results.append({key: model.get_variable_value(key) for key in model.get_variable_names()})
    for name, value in results[0].items():
        np.testing.assert_allclose(results[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def v1_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    w = v1.get_variable("w", [3, 1], initializer=v1.constant_initializer(0.1))
    y = (features["x"] @ w)[:, 0]
    if mode == "infer":
        return EstimatorSpec(mode, predictions=y)
    labels = tf.cast(labels, tf.float32)
    loss = v1.losses.mean_squared_error(labels, y)
    if mode == "eval":
        return EstimatorSpec(mode, loss=loss, eval_metric_ops={"mae": v1.metrics.mean_absolute_error(labels, y)})
    optimizer = v1.train.AdamOptimizer(0.1)
    return EstimatorSpec(mode, loss=loss, train_op=optimizer.minimize(loss, v1.train.get_global_step()))


def test_v1_code_under_two_replicas(mirrored: Any, tmp_path: pathlib.Path) -> None:
    results, weights = [], []
    for name, strategy, batch in (("one", None, 4), ("two", mirrored, 2)):
        config = RunConfig(train_distribute=strategy, progress="none", save_checkpoints_steps=1000)
        model = Estimator(v1_model_fn, str(tmp_path / name), config).train(source(batch), steps=3)
        results.append(model.evaluate(source(4, 1)))
        weights.append(model.get_variable_value("w"))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-5)
    assert results[1] == pytest.approx(results[0], rel=1e-5)


def test_evaluation_under_another_strategy_during_training(mirrored: Any, tmp_path: pathlib.Path) -> None:
    results = []

    class Listener(v1.train.CheckpointSaverListener):
        def after_save(self, session: Any, global_step_value: int) -> None:
            results.append(model.evaluate(source(4, 1)))

    model = make(tmp_path / "model", "binary", "SGD", eval_distribute=mirrored, save_checkpoints_steps=2)
    model.train(source(4), steps=4, saving_listeners=[Listener()])
    assert [result["global_step"] for result in results] == [0, 2, 4]
    assert model.evaluate(source(4, 1)) == results[-1]


def test_rows_of_different_lengths_under_two_replicas(mirrored: Any, tmp_path: pathlib.Path) -> None:
    # Each batch names another number of rows of the table.
    words = tf.ragged.constant([list("abcabcab"[: i % 5]) for i in range(24)])
    labels = np.arange(24) % 2
    column = fc.categorical_column_with_vocabulary_list("words", ["a", "b", "c"])

    def trained(folder: str, batch: int, strategy: Any) -> Any:
        config = RunConfig(str(tmp_path / folder), train_distribute=strategy, progress="none")
        model = LinearClassifier([column], optimizer=keras.optimizers.SGD(0.1), config=config)
        rows = tf.data.Dataset.from_tensor_slices(({"words": words}, labels)).batch(batch)
        return model.train(lambda: rows, steps=6)

    one, two = trained("one", 4, None), trained("two", 2, mirrored)
    for name in one.get_variable_names():
        np.testing.assert_allclose(
            two.get_variable_value(name), one.get_variable_value(name), rtol=1e-5, atol=1e-7, err_msg=name
        )
    assert np.abs(one.get_variable_value("linear/linear_model/words/weights")).min() > 0
