"""`model_to_estimator`: what `fit` computes, from the model's weights, under names that stay."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway.estimators import Estimator, RunConfig, every_n_steps, model_to_estimator
from headway.estimators._checkpoints import write_tensors
from headway.estimators._keras_model import stable_names

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "canned_b"
_spec = importlib.util.spec_from_file_location("keras_cases", GOLDEN / "keras_cases.py")
assert _spec is not None
assert _spec.loader is not None
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
RESULTS = json.loads((GOLDEN / "keras.json").read_text("utf-8"))

_rng = np.random.default_rng(3)
X = _rng.normal(size=(32, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]], "float32") + 0.3).astype("float32")
STEPS = 6


def functional() -> Any:
    inputs = keras.Input((3,), name="x")
    hidden = keras.layers.Dense(4, activation="tanh", kernel_regularizer="l2")(inputs)
    outputs = keras.layers.Dense(1)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae", keras.metrics.MeanSquaredError()])
    return model


def sequential() -> Any:
    # A bias before batch normalisation would have no gradient but rounding errors.
    hidden = keras.layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((3,)), hidden, keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.Huber(), metrics=["mae"])
    return model


class Net(keras.Model):
    """A subclassed model without `get_config`."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(4, activation="relu")
        self.out = keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs["x"]))


def subclassed() -> Any:
    model = Net()
    model.compile(keras.optimizers.Adagrad(0.1), "mse", metrics=["mae"])
    model({"x": X[:1]})
    return model


def two_outputs() -> Any:
    a, b = keras.Input((2,), name="a"), keras.Input((1,), name="b")
    net = keras.layers.Concatenate()([a, b])
    first, second = keras.layers.Dense(1, name="first")(net), keras.layers.Dense(1, name="second")(net)
    model = keras.Model([a, b], [first, second])
    model.compile(
        keras.optimizers.SGD(0.02), ["mse", "mae"], loss_weights=[1.0, 0.5], metrics=[["mae"], ["mse", "mae"]]
    )
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "functional": functional,
    "sequential": sequential,
    "subclassed": subclassed,
    "two outputs": two_outputs,
}
every_model = pytest.mark.parametrize("name", MODELS)


def arrays(name: str) -> tuple[Any, Any]:
    if name == "two outputs":
        return {"a": X[:, :2], "b": X[:, 2:]}, (Y, 2 * Y)
    return {"x": X}, Y


def input_of(name: str, batch: int = 8, *, repeat: bool = True) -> Callable[[], tf.data.Dataset]:
    features, labels = arrays(name)

    def input_fn() -> tf.data.Dataset:
        data = tf.data.Dataset.from_tensor_slices(features)
        targets = tf.data.Dataset.from_tensor_slices(labels)
        if isinstance(labels, tuple):
            targets = targets.map(lambda first, second: {"first": first, "second": second})
        batches = tf.data.Dataset.zip(data, targets).batch(batch)
        return batches.repeat() if repeat else batches

    return input_fn


def for_keras(name: str, *, repeat: bool = True) -> tf.data.Dataset:
    """Returns the rows as `fit` takes them: models with one input get no dict."""
    data = input_of(name, repeat=repeat)()
    return data.map(lambda x, y: (x["x"], y)) if name in ("functional", "sequential") else data


def converted(model: Any, model_dir: pathlib.Path, **settings: Any) -> Estimator:
    return model_to_estimator(model, model_dir=str(model_dir), config=RunConfig(progress="none", **settings))


def values(estimator: Estimator) -> dict[str, np.ndarray[Any, Any]]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def assert_close(first: Estimator, second: Estimator) -> None:
    found, expected = values(first), values(second)
    assert found.keys() == expected.keys()
    for key, value in found.items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-5, err_msg=key)


class Losses(keras.callbacks.Callback):
    """Keeps the loss of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[float] = []
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Keras logs the mean over the batches so far.
        total = logs["loss"] * (batch + 1)
        self.found.append(total - self._sum)
        self._sum = total


@every_model
def test_losses_weights_and_metrics_are_those_of_fit(name: str, tmp_path: pathlib.Path) -> None:
    model = MODELS[name]()
    estimator = converted(model, tmp_path)
    found: list[float] = []
    hook = every_n_steps(1, lambda run: found.append(run.loss))
    before = [np.array(variable.numpy()) for variable in model.variables]
    estimator.train(input_of(name), hooks=[hook], steps=STEPS)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    losses = Losses()
    model.fit(for_keras(name), steps_per_epoch=STEPS, shuffle=False, verbose=0, callbacks=[losses])
    np.testing.assert_allclose(found, losses.found, rtol=1e-4, atol=1e-5)
    for key, variable in zip(stable_names(model), model.variables, strict=True):
        value = estimator.get_variable_value(key)
        np.testing.assert_allclose(value, variable.numpy(), rtol=1e-4, atol=1e-5, err_msg=key)
    expected = model.evaluate(for_keras(name, repeat=False), verbose=0, return_dict=True)
    metrics = estimator.evaluate(input_of(name, repeat=False))
    expected = {key: value for key, value in expected.items() if not key.endswith("_loss")}
    assert {key: float(metrics[key]) for key in expected} == pytest.approx(expected, rel=1e-4)
    assert metrics.keys() == {*expected, "global_step"}
    rows = list(estimator.predict(input_of(name, repeat=False)))
    outputs = model.predict(for_keras(name, repeat=False), verbose=0)
    for i, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        np.testing.assert_allclose([list(row.values())[i] for row in rows], output, rtol=1e-4, atol=1e-5)


@every_model
def test_eager_is_compiled(name: str, tmp_path: pathlib.Path) -> None:
    model = MODELS[name]()
    first, second = (converted(model, tmp_path / str(i), run_eagerly=bool(i)) for i in range(2))
    for estimator in (first, second):
        estimator.train(input_of(name), steps=2)
    assert_close(first, second)
    metrics = [estimator.evaluate(input_of(name, repeat=False)) for estimator in (first, second)]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-4)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "sequential"])  # batch norm is of each replica
def test_two_replicas_with_half_batches_are_one(
    name: str, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    model = MODELS[name]()
    one = converted(model, tmp_path / "one").train(input_of(name, 8), steps=3)
    two = converted(model, tmp_path / "two", train_distribute=mirrored).train(input_of(name, 4), steps=3)
    assert_close(one, two)
    metrics = [estimator.evaluate(input_of(name, 8, repeat=False)) for estimator in (one, two)]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-4)


def test_replicas_agree_on_moving_averages(tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy) -> None:
    estimator = converted(sequential(), tmp_path, train_distribute=mirrored)
    estimator.train(input_of("sequential", 4), steps=2)
    moved = estimator.get_variable_value("batch_normalization/moving_mean")
    assert np.all(moved != 0)
    assert np.all(np.isfinite(moved))


def test_a_saved_model_and_a_new_object_go_on(tmp_path: pathlib.Path) -> None:
    model = functional()
    estimator = converted(model, tmp_path / "dir").train(input_of("functional"), steps=2)
    other = converted(functional(), tmp_path / "dir")
    np.testing.assert_array_equal(
        [row["dense_1"] for row in other.predict(input_of("functional", repeat=False))],
        [row["dense_1"] for row in estimator.predict(input_of("functional", repeat=False))],
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_from_a_file(tmp_path: pathlib.Path) -> None:
    model = functional()
    model.save(tmp_path / "model.keras")
    settings = {"model_dir": str(tmp_path / "dir"), "config": RunConfig(progress="none")}
    estimator = model_to_estimator(keras_model_path=tmp_path / "model.keras", **settings)
    estimator.train(input_of("functional"), steps=2)
    assert_close(estimator, converted(model, tmp_path / "other").train(input_of("functional"), steps=2))


def test_names_are_those_of_tf_estimator_and_do_not_count_for_the_process(tmp_path: pathlib.Path) -> None:
    keras.layers.Dense(1)
    assert next(variable.path for variable in functional().variables) == "dense_1/kernel"
    estimator = converted(functional(), tmp_path).train(input_of("functional"), steps=1)
    expected = {f"{layer}/{kind}" for layer in ("dense", "dense_1") for kind in ("kernel", "bias")}
    slots = {f"training/SGD/{name}/momentum" for name in expected}
    settings = {f"training/SGD/{name}" for name in ("iter", "learning_rate", "decay", "momentum")}
    assert set(estimator.get_variable_names()) == {"global_step"} | expected | slots | settings


def test_names_that_were_given_stay_and_automatic_ones_avoid_them() -> None:
    layers = [keras.layers.Dense(1, name=name) for name in ("block_7", None, "dense_2", None)]
    assert stable_names(keras.Sequential([keras.Input((1,)), *layers]))[::2] == [
        "block_7/kernel",
        "dense/kernel",
        "dense_1/kernel",
        "dense_2/kernel",
    ]
    inner = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(1)])
    outer = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), inner])
    assert len(set(stable_names(outer))) == 6


def test_dropout_takes_new_rows_each_step_and_goes_on(tmp_path: pathlib.Path) -> None:
    keras.layers.Dropout(0.5)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    whole = converted(model, tmp_path / "whole").train(input_of("functional", 32), steps=4)
    for _ in range(2):
        halves = converted(model, tmp_path / "halves").train(input_of("functional", 32), steps=2)
    assert_close(whole, halves)
    assert "seed_generator/seed_generator_state" in values(whole)


def test_metrics_and_outputs_under_other_names(tmp_path: pathlib.Path) -> None:
    model = functional()
    config = RunConfig(model_dir=str(tmp_path), progress="none")
    estimator = model_to_estimator(model, config=config, metric_names_map={"mae": "error"})
    assert {"error", "mean_squared_error"} <= estimator.evaluate(input_of("functional", repeat=False)).keys()


def test_short_and_empty_batches(tmp_path: pathlib.Path) -> None:
    estimator = converted(functional(), tmp_path)
    whole = estimator.evaluate(input_of("functional", 32, repeat=False))
    parts = estimator.evaluate(input_of("functional", 7, repeat=False))
    assert whole["mae"] == pytest.approx(parts["mae"], rel=1e-5)
    empty = estimator.predict(lambda: input_of("functional", repeat=False)().map(lambda x, y: ({"x": x["x"][:0]}, y)))
    assert list(empty) == []


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "neither": (model_to_estimator, ValueError, "Either `keras_model` or `keras_model_path`"),
    "both": (lambda: model_to_estimator(functional(), "x"), ValueError, "and not both"),
    "no model": (lambda: model_to_estimator("net"), TypeError, "must be a Keras 3 model. Received: 'net'"),
    "not compiled": (
        lambda: model_to_estimator(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])),
        ValueError,
        "has not been compiled yet",
    ),
    "format": (lambda: model_to_estimator(functional(), None, None, None, None, "h5"), ValueError, "must be 'saver'"),
}


def _not_built() -> Any:
    model = Net()
    model.compile("sgd", "mse")
    return model_to_estimator(model)


BAD["not built"] = (_not_built, ValueError, "has no variables yet. Call it on one batch")


def weighted(x: Any) -> Any:
    """Returns weights of rows, of which some are zero."""
    return (np.arange(len(x)) % 4).astype("float32")


@pytest.mark.parametrize("as_tuple", [True, False], ids=["tensors", "dataset"])
def test_weights_count_as_in_fit(as_tuple: bool, tmp_path: pathlib.Path) -> None:
    def make() -> Any:
        keras.utils.set_random_seed(3)
        inputs = keras.Input((3,), name="x")
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"], weighted_metrics=["mse"])
        return model

    rows = (X, Y, weighted(X))
    whole = tf.data.Dataset.from_tensors(rows)
    model, estimator = make(), converted(make(), tmp_path)
    model.fit(whole.repeat(3), verbose=0, shuffle=False)
    input_fn = (lambda: rows) if as_tuple else whole.repeat
    estimator.train(input_fn, steps=3)
    for weight, name in zip(model.weights, ["dense/kernel", "dense/bias"], strict=True):
        np.testing.assert_allclose(estimator.get_variable_value(name), weight.numpy(), rtol=1e-5)
    expected = model.evaluate(whole, verbose=0, return_dict=True)
    found = estimator.evaluate(lambda: whole)
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    assert len(list(estimator.predict(lambda: whole))) == len(X)


MODELS_TO_COPY = {"functional": functional, "sequential": sequential, "two outputs": two_outputs}


@pytest.mark.parametrize("name", MODELS_TO_COPY)
def test_to_keras_has_the_trained_weights(name: str, tmp_path: pathlib.Path) -> None:
    estimator = converted(MODELS_TO_COPY[name](), tmp_path)
    features: Any = {"a": X[:, :2], "b": X[:, 2:]} if name == "two outputs" else {"x": X}
    labels = (Y, Y) if name == "two outputs" else Y
    estimator.train(lambda: tf.data.Dataset.from_tensors((features, labels)).repeat(), steps=2)
    model = estimator.to_keras()
    inputs = list(features.values()) if name == "two outputs" else X
    predicted = keras.tree.flatten(model.predict(inputs, verbose=0))
    rows = list(estimator.predict(lambda: tf.data.Dataset.from_tensors(features)))
    for key, values_of_key in zip(rows[0], predicted, strict=True):
        np.testing.assert_allclose([row[key] for row in rows], values_of_key, rtol=1e-5, atol=1e-6)
    model.fit(inputs, labels, verbose=0)  # compiled as the first model was


def test_to_keras_says_why_not(tmp_path: pathlib.Path) -> None:
    estimator = converted(subclassed(), tmp_path / "net")
    with pytest.raises(ValueError, match="Could not find trained model"):
        estimator.to_keras()
    estimator.train(lambda: tf.data.Dataset.from_tensors(({"x": X}, Y)), steps=1)
    with pytest.raises(ValueError, match=r"cannot be made again .*Give its class a `get_config`"):
        estimator.to_keras()
    own = Estimator(lambda features, mode: None, str(tmp_path / "own"))
    with pytest.raises(ValueError, match=r"knows ready-made models and those of model_to_estimator"):
        own.to_keras()


@pytest.mark.parametrize("name", BAD)
def test_arguments_are_checked(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        call()


def test_missing_features_are_named(tmp_path: pathlib.Path) -> None:
    estimator = converted(two_outputs(), tmp_path)
    with pytest.raises(ValueError, match=r"inputs that are not among the features: \['a', 'b'\]"):
        estimator.train(lambda: tf.data.Dataset.from_tensors(({"x": X, "z": X}, Y)), steps=1)


@pytest.mark.parametrize("name", cases.CASES)
def test_a_model_dir_of_tf_estimator_goes_on(name: str, tmp_path: pathlib.Path) -> None:
    golden = RESULTS[name]
    tensors = {key: tf.constant(value, tf.float32) for key, value in golden["before"].items() if key != "global_step"}
    tensors["global_step"] = tf.constant(golden["before"]["global_step"], tf.int64)
    write_tensors(str(tmp_path / f"model.ckpt-{cases.STEPS}"), tensors)
    estimator = converted(cases.CASES[name](keras, keras.optimizers), tmp_path)

    def rows(repeat: bool) -> Callable[[], tf.data.Dataset]:
        data = tf.data.Dataset.from_tensor_slices(cases.data()).batch(cases.BATCH)
        return lambda: data.repeat() if repeat else data

    metrics = estimator.evaluate(rows(False))
    assert metrics == pytest.approx(golden["metrics"], rel=1e-4)
    for row, expected in zip(estimator.predict(rows(False)), golden["predictions"], strict=False):
        assert row.keys() == expected.keys()
        np.testing.assert_allclose(row["d2"], expected["d2"], rtol=1e-4, atol=1e-6)
    estimator.train(rows(True), steps=cases.MORE_STEPS)
    found = values(estimator)
    # headway counts the steps of the optimizer too, which there is the global step.
    assert golden["after"].keys() == {key for key in found if not key.endswith("/iter")}
    for key in golden["after"]:
        np.testing.assert_allclose(found[key], golden["after"][key], rtol=1e-4, atol=1e-6, err_msg=key)
