"""A model_fn that makes its `train_op` in each mode trains in mode TRAIN only, as with tf.estimator."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway as hw

v1 = tf.compat.v1
X = np.arange(8, dtype="float32").reshape(4, 2)


def input_fn() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(({"x": X}, X.sum(1))).batch(2)


def by_v1(loss: tf.Tensor, w: tf.Variable) -> Any:
    return v1.train.GradientDescentOptimizer(0.01).minimize(loss, v1.train.get_global_step(), var_list=[w])


def by_hand(loss: tf.Tensor, w: tf.Variable) -> Any:
    return tf.group(w.assign_sub(0.01 * tf.gradients(loss, [w])[0]), v1.train.get_global_step().assign_add(1))


def by_keras(loss: tf.Tensor, w: tf.Variable) -> Any:
    return hw.minimize(keras.optimizers.SGD(0.01), loss, [w])


def model_fn_of(train_op: Callable[[tf.Tensor, tf.Variable], Any], metrics: str) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        w = tf.Variable([0.5, 0.5], name="w")
        y = tf.linalg.matvec(features["x"], w)
        loss = tf.reduce_sum(y) if labels is None else tf.reduce_mean(tf.square(y - labels))
        ops: dict[str, Any] = {}
        if mode == hw.ModeKeys.EVAL and metrics == "v1":
            ops = {"mae": v1.metrics.mean_absolute_error(labels, y)}
        elif mode == hw.ModeKeys.EVAL:
            mean = keras.metrics.MeanAbsoluteError()
            mean.update_state(labels, y)
            ops = {"mae": mean}
        return hw.EstimatorSpec(mode, {"y": y}, loss, train_op(loss, w), eval_metric_ops=ops)

    return model_fn


@pytest.mark.parametrize("metrics", ["v1", "keras"])
@pytest.mark.parametrize("train_op", [by_v1, by_hand, by_keras])
def test_only_training_trains(train_op: Any, metrics: str, tmp_path: pathlib.Path) -> None:
    model = hw.Estimator(model_fn_of(train_op, metrics), str(tmp_path), hw.RunConfig(progress="none"))
    model.train(input_fn, steps=1)
    # The loss of the first batch is the mean of (0.5 * s - s)^2 with s = 1 and 5; its gradient by w is the mean of
    # 2 * (0.5 * s - s) * x = -1 * [0, 1] and -5 * [2, 3], so -[5, 8].
    w = np.array([0.5, 0.5]) + 0.01 * np.array([5.0, 8.0])
    error = X @ w - X.sum(1)
    for _ in range(2):
        result = model.evaluate(input_fn)
        assert result["global_step"] == 1
        assert result["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
        assert result["loss"] == pytest.approx(np.square(error).mean(), rel=1e-5)
        np.testing.assert_allclose([row["y"] for row in model.predict(input_fn)], X @ w, rtol=1e-5)
    np.testing.assert_allclose(model.get_variable_value("w"), w, rtol=1e-6)
    model.train(input_fn, steps=1)
    assert model.get_variable_value("global_step") == 2


@pytest.mark.parametrize(("replicas", "message"), [(1, "With run_eagerly=True"), (2, "With 2 replicas")])
def test_where_it_would_train_it_is_an_error(
    replicas: int, message: str, tmp_path: pathlib.Path, mirrored: Any
) -> None:
    settings = {"run_eagerly": True} if replicas == 1 else {"train_distribute": mirrored}
    model = hw.Estimator(model_fn_of(by_hand, "keras"), str(tmp_path), hw.RunConfig(progress="none", **settings))
    with pytest.raises(ValueError, match=f"made a train_op in mode 'eval'. {message} it would train there"):
        model.evaluate(input_fn)
