"""A step that the `train_op` of the spec is no part of is not made: as with tf.estimator, only what is fetched runs."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway as hw

v1 = tf.compat.v1
X = np.array([[1.0], [2.0]], "float32")
Y = np.array([[3.0], [3.0]], "float32")


def input_fn() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).batch(2).repeat()


def inner() -> hw.LinearRegressor:
    column = hw.feature_columns.numeric_column("x")
    return hw.LinearRegressor([column], optimizer=keras.optimizers.SGD(0.1), loss_reduction="sum_over_batch_size")


def spec_of_inner(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
    return inner().model_fn(features, labels, mode, config=hw.RunConfig())


def only_counts(spec: hw.EstimatorSpec) -> Any:
    del spec
    return v1.train.get_global_step().assign_add(1)


def own_step(spec: hw.EstimatorSpec) -> Any:
    """A gradient step at half the rate, by an optimizer of the model_fn's own."""
    return hw.minimize(keras.optimizers.SGD(0.05), spec.loss, v1.trainable_variables())


def grouped(spec: hw.EstimatorSpec) -> Any:
    return tf.group(spec.train_op, tf.no_op())


# A step changes the weight by the rate times the mean of 2 * (3 - 0) * x = 2 * 3 * 1.5, and the bias by the rate times
# the mean of 2 * (3 - 0).
@pytest.mark.parametrize(("train_op", "rate"), [(only_counts, 0.0), (own_step, 0.05), (grouped, 0.1)])
def test_around_a_ready_made_model(
    train_op: Callable[[hw.EstimatorSpec], Any],
    rate: float,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        spec = spec_of_inner(features, labels, mode)
        return spec._replace(train_op=train_op(spec)) if mode == hw.ModeKeys.TRAIN else spec

    model = hw.Estimator(model_fn, str(tmp_path), hw.RunConfig(progress="none"))
    with caplog.at_level(logging.WARNING):
        model.train(input_fn, steps=1)
    told = [record.getMessage() for record in caplog.records if "do not run in training" in record.getMessage()]
    assert len(told) == (0 if train_op is grouped else 1)
    assert all("linear/linear_model/x/weights" in message for message in told)
    assert model.get_variable_value("global_step") == 1
    np.testing.assert_allclose(model.get_variable_value("linear/linear_model/x/weights"), [[rate * 9.0]], rtol=1e-6)
    np.testing.assert_allclose(model.get_variable_value("linear/linear_model/bias_weights"), [rate * 6.0], rtol=1e-6)
    model.train(input_fn, steps=3)
    assert model.get_variable_value("global_step") == 4


def test_on_replicas_it_would_be_made(tmp_path: pathlib.Path, mirrored: tf.distribute.Strategy) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        spec = spec_of_inner(features, labels, mode)
        return spec._replace(train_op=only_counts(spec))

    config = hw.RunConfig(progress="none", train_distribute=mirrored)
    with pytest.raises(
        ValueError, match=r"step that is no part of its train_op\. With 2 replicas it would run as well"
    ):
        hw.Estimator(model_fn, str(tmp_path), config).train(input_fn, steps=1)


@pytest.mark.parametrize("which", ["a", "b", "ab"])
def test_two_steps_of_which_the_train_op_names_some(which: str, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        a, b = tf.Variable(0.0, name="a"), tf.Variable(0.0, name="b")
        loss = tf.reduce_mean(tf.square(a + b - labels))
        steps = {"a": hw.minimize(keras.optimizers.SGD(0.5), loss, [a])}
        steps["b"] = hw.minimize(keras.optimizers.SGD(0.25), loss, [b])
        return hw.EstimatorSpec(mode, loss=loss, train_op=tf.group(*(steps[name] for name in which)))

    model = hw.Estimator(model_fn, str(tmp_path), hw.RunConfig(progress="none"))
    model.train(input_fn, steps=1)
    # The gradient of both is 2 * (0 - 3) until the first one has moved; each step is that of its own variable.
    assert model.get_variable_value("a") == pytest.approx(3.0 if "a" in which else 0.0)
    moved = model.get_variable_value("b")
    assert moved == pytest.approx(1.5) if "b" in which else moved == 0.0
    assert model.get_variable_value("global_step") == len(which)


def test_steps_in_branches_are_made_in_turn(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> hw.EstimatorSpec:
        a, b = tf.Variable(0.0, name="a"), tf.Variable(0.0, name="b")

        def loss() -> tf.Tensor:
            return tf.reduce_mean(tf.square(a + b - labels / 3.0))

        def step(variable: tf.Variable, rate: float) -> tf.Tensor:
            with tf.control_dependencies([hw.minimize(keras.optimizers.SGD(rate), loss(), [variable])]):
                return tf.constant(0)

        even = tf.equal(v1.train.get_global_step() % 2, 0)
        train_op = tf.cond(even, lambda: step(a, 0.1), lambda: step(b, 0.2))
        return hw.EstimatorSpec(mode, loss=loss(), train_op=train_op)

    model = hw.Estimator(model_fn, str(tmp_path), hw.RunConfig(progress="none"))
    with caplog.at_level(logging.WARNING):
        model.train(input_fn, steps=4)
    assert "do not run in training" not in caplog.text
    assert model.get_variable_value("global_step") == 4
    # The gradient is 2 * (a + b - 1): a = 0.1 * 2 = 0.2, b = 0.2 * 1.6 = 0.32, a += 0.1 * 0.96, b += 0.2 * 0.768.
    assert model.get_variable_value("a") == pytest.approx(0.296)
    assert model.get_variable_value("b") == pytest.approx(0.4736)
