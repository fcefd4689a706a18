"""What evaluation and prediction leave behind: nothing. And what changes a step: scales, constraints, clipping."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc
from headway import input_pipelines

v1 = tf.compat.v1
X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
Y = np.array([[1.0], [2.0]], np.float32)


def input_fn() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(({"x": X}, Y))


def endless() -> tf.data.Dataset:
    return input_fn().repeat()


def estimator(model_fn: Any, model_dir: pathlib.Path, **settings: Any) -> hw.Estimator:
    return hw.Estimator(model_fn, str(model_dir), hw.RunConfig(progress="none", **settings))


@pytest.mark.parametrize("optimizer", ["compat.v1", "Keras"])
def test_layers_of_keras_are_not_trained_by_evaluation(optimizer: str, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        layer = keras.layers.Dense(1, kernel_initializer="zeros", name="d")
        y = layer(features["x"])
        loss = tf.reduce_mean(tf.square(labels - y))
        weights = [weight.value for weight in layer.trainable_variables]
        # In every mode, as old programs do: no session ran it in evaluation.
        if optimizer == "Keras":
            own = keras.optimizers.SGD(0.01)
            own.build(layer.trainable_variables)
            own.apply(tf.gradients(loss, weights), layer.trainable_variables)
            train_op = v1.train.get_global_step().assign_add(1)
        else:
            step = v1.train.get_global_step()
            train_op = v1.train.GradientDescentOptimizer(0.01).minimize(loss, step, var_list=weights)
        return hw.EstimatorSpec(mode, loss=loss, predictions=y, train_op=train_op)

    model = estimator(model_fn, tmp_path).train(endless, steps=2)
    # With zeros as weights the gradients are by hand: kernel -(x^T y) = -(1 + 6, 2 + 8), bias -3; the rate is 0.01.
    losses = [model.evaluate(input_fn)["loss"] for _ in range(3)]
    assert losses[0] == losses[1] == losses[2]
    before = model.get_variable_value("d/kernel")
    list(model.predict(input_fn))
    assert model.train(endless, steps=1).get_variable_value("d/kernel") == pytest.approx(_after_steps(3)[0], rel=1e-5)
    assert before == pytest.approx(_after_steps(2)[0], rel=1e-5)


def _after_steps(steps: int) -> tuple[Any, Any]:
    kernel, bias = np.zeros((2, 1)), 0.0
    for _ in range(steps):
        error = X @ kernel + bias - Y
        kernel, bias = kernel - 0.01 * X.T @ error, bias - 0.01 * error.sum()
    return kernel, bias


@pytest.mark.parametrize("settings", [{}, {"run_eagerly": True}], ids=str)
def test_state_that_evaluation_and_prediction_move_on_comes_back(settings: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        state = tf.Variable(0.0, trainable=False, name="state")
        moved = state.assign_add(1.0)
        y = moved * features["x"]
        step = v1.train.get_or_create_global_step()
        train_op = step.assign_add(1) if mode == "train" else None
        return hw.EstimatorSpec(mode, predictions={"y": y}, loss=tf.reduce_mean(y), train_op=train_op)

    model = estimator(model_fn, tmp_path, **settings).train(endless, steps=3)
    # The mean of X is 2.5. After three steps the state is 3; the evaluation of one batch moves it to 4, for itself.
    assert [float(model.evaluate(input_fn)["loss"]) for _ in range(2)] == [10.0, 10.0]
    assert next(iter(model.predict(input_fn)))["y"].tolist() == [4.0, 8.0]
    assert model.train(endless, steps=1).get_variable_value("state") == 4.0


def _linear(optimizer: Any, **options: Any) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        layer = keras.layers.Dense(1, kernel_initializer="zeros", name="d", **options)
        loss = tf.reduce_mean(tf.square(layer(features["x"]) - labels))
        train_op = hw.minimize(optimizer, loss, layer.trainable_variables) if mode == "train" else None
        return hw.EstimatorSpec(mode, predictions=loss, loss=loss, train_op=train_op)

    return model_fn


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("kind", ["LossScaleOptimizer", "loss_scale_factor"])
def test_a_loss_scale_leaves_the_step_as_it_is(
    kind: str, replicas: int, tmp_path: pathlib.Path, mirrored: tf.distribute.Strategy
) -> None:
    inner = keras.optimizers.SGD(0.01, loss_scale_factor=8.0 if kind == "loss_scale_factor" else None)
    optimizer = keras.optimizers.LossScaleOptimizer(inner) if kind == "LossScaleOptimizer" else inner
    config = {"train_distribute": mirrored} if replicas == 2 else {}
    model = estimator(_linear(optimizer), tmp_path, **config).train(endless, steps=2)
    kernel, bias = _after_steps(2)
    assert model.get_variable_value("d/kernel") == pytest.approx(kernel, rel=1e-5)
    assert model.get_variable_value("d/bias") == pytest.approx([bias], rel=1e-5)


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD(0.01), keras.optimizers.RMSprop(0.01, momentum=0.5)])
def test_constraints_hold_after_each_step(optimizer: Any, tmp_path: pathlib.Path) -> None:
    # Labels of the other sign pull the kernel below zero, where the constraint does not let it.
    def negative() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(({"x": X}, -Y)).repeat()

    model = estimator(_linear(optimizer, kernel_constraint="non_neg"), tmp_path).train(negative, steps=3)
    assert model.get_variable_value("d/kernel").tolist() == [[0.0], [0.0]]
    assert model.get_variable_value("d/bias") < 0


def test_constraints_of_a_converted_model(tmp_path: pathlib.Path) -> None:
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, kernel_constraint="non_neg")])
    model.layers[-1].kernel.assign(np.zeros((2, 1)))
    model.compile(keras.optimizers.SGD(0.01), "mse")
    settings = {"model_dir": str(tmp_path), "config": hw.RunConfig(progress="none")}
    converted = hw.model_to_estimator(model, **settings)
    converted.train(lambda: tf.data.Dataset.from_tensors((X, -Y)).repeat(), steps=3)
    assert converted.get_variable_value("dense/kernel").tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("clipping", [{"clipnorm": 0.1}, {"clipvalue": 0.1}, {"global_clipnorm": 0.1}], ids=str)
def test_an_optimizers_own_clipping_is_that_of_one_device(
    clipping: dict[str, float], tmp_path: pathlib.Path, mirrored: tf.distribute.Strategy
) -> None:
    found = []
    for number, config in enumerate([{}, {"train_distribute": mirrored}]):
        optimizer = keras.optimizers.SGD(1.0, **clipping)
        model = estimator(_linear(optimizer), tmp_path / str(number), **config).train(endless, steps=1)
        found.append(np.append(model.get_variable_value("d/kernel"), model.get_variable_value("d/bias")))
    # Gradients by hand: kernel (-7, -10), bias -3. Their global norm is sqrt(158), the kernel's sqrt(149).
    gradient = np.array([7.0, 10.0, 3.0])
    expected = {
        "clipnorm": np.append(gradient[:2] * 0.1 / 149**0.5, 0.1),
        "clipvalue": np.full(3, 0.1),
        "global_clipnorm": gradient * 0.1 / 158**0.5,
    }[next(iter(clipping))]
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    np.testing.assert_allclose(found[1], expected, rtol=1e-5)


def test_what_is_left_out_of_the_weight_decay_stays_left_out(tmp_path: pathlib.Path) -> None:
    optimizer = keras.optimizers.SGD(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["kernel", "bias"])
    model = estimator(_linear(optimizer), tmp_path).train(endless, steps=2)
    assert model.get_variable_value("d/kernel") == pytest.approx(_after_steps(2)[0], rel=1e-5)


def test_a_batch_without_rows_changes_no_average(tmp_path: pathlib.Path) -> None:
    def with_empty(size: int) -> Any:
        parts = [tf.data.Dataset.from_tensors(({"x": X[:rows]}, Y[:rows])) for rows in (2, size)]
        return lambda: parts[0].concatenate(parts[1])

    columns = [fc.numeric_column("x", shape=2)]
    config = hw.RunConfig(progress="none", tf_random_seed=1)
    models = [
        hw.DNNRegressor([3], columns, batch_norm=True, model_dir=str(tmp_path / str(i)), config=config)
        for i in range(2)
    ]
    models[0].train(with_empty(0), steps=1).train(with_empty(0), steps=2)
    models[1].train(with_empty(0), steps=1)
    name = next(name for name in models[1].get_variable_names() if name.endswith("moving_mean"))
    after_one = models[1].get_variable_value(name)
    assert np.isfinite(models[0].get_variable_value(name)).all()
    models[1].train(lambda: tf.data.Dataset.from_tensors(({"x": X[:0]}, Y[:0])), steps=1)
    np.testing.assert_array_equal(models[1].get_variable_value(name), after_one)


def test_a_keras_model_of_another_checkpoint_is_refused(tmp_path: pathlib.Path) -> None:
    columns = [fc.numeric_column("x", shape=2)]
    rows = input_pipelines.from_arrays({"x": X}, Y[:, 0], batch_size=2, num_epochs=None)
    config = hw.RunConfig(progress="none")
    hw.DNNRegressor([4], columns, model_dir=str(tmp_path), config=config).train(rows, steps=1)
    with pytest.raises(ValueError, match=r"has no variable 'dnn/hiddenlayer_1/kernel'"):
        hw.DNNRegressor([4, 4], columns, model_dir=str(tmp_path), config=config).to_keras()
    with pytest.raises(ValueError, match=r"shape \(2, 4\) in the checkpoint and \(2, 3\)"):
        hw.DNNRegressor([3], columns, model_dir=str(tmp_path), config=config).to_keras()


def test_hooks_that_ask_a_session_in_a_roundabout_way(tmp_path: pathlib.Path) -> None:
    class Helped(v1.train.SessionRunHook):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def _wanted(self) -> Any:
            return v1.train.SessionRunArgs("loss:0")

        def before_run(self, run_context: Any) -> Any:
            return self._wanted()

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self.seen.append(float(run_values.results))

    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        w = v1.get_variable("w", [2, 1], initializer=v1.zeros_initializer())
        loss = tf.reduce_mean(tf.square(features["x"] @ w - labels), name="loss")
        train_op = v1.train.GradientDescentOptimizer(0.01).minimize(loss, v1.train.get_global_step())
        return hw.EstimatorSpec(mode, loss=loss, train_op=train_op)

    hook = Helped()
    estimator(model_fn, tmp_path).train(endless, steps=1, hooks=[hook])
    # With zeros as weights the loss is the mean of 1 and 4.
    assert hook.seen == [2.5]
