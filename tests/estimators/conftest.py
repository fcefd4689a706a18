"""Small models and data that many tests share."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway.estimators import Estimator, EstimatorSpec, RunConfig, minimize

v1 = tf.compat.v1
_rng = np.random.default_rng(7)
X = _rng.normal(size=(8, 3)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5], "float32") + 0.1).astype("float32")


def spec_of(mode: str, y: Any, labels: Any, variables: Any, rate: float = 0.1) -> EstimatorSpec:
    """Returns the spec of a regression with a Keras optimizer: plain gradient descent."""
    if mode == "infer":
        return EstimatorSpec(mode, predictions={"y": y})
    loss = tf.reduce_mean(tf.square(y - labels))
    if mode == "eval":
        error = keras.metrics.MeanAbsoluteError(name="mae")
        error.update_state(labels, y)
        return EstimatorSpec(mode, loss=loss, eval_metric_ops={"mae": error})
    return EstimatorSpec(mode, loss=loss, train_op=minimize(keras.optimizers.SGD(rate), loss, variables))


def keras_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    """Dense layers with batch normalisation and dropout."""
    net = keras.Sequential(
        [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.25), keras.layers.Dense(1)]
    )
    y = net(features["x"], training=mode == "train")[:, 0]
    return spec_of(mode, y, labels, net.trainable_variables, 0.02)


class Linear(tf.Module):
    """A module with lazily made variables."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.w: Any = None

    @tf.Module.with_name_scope
    def __call__(self, x: Any) -> Any:
        if self.w is None:
            self.w = tf.Variable(tf.ones([x.shape[-1], 1]) * 0.1, name="w")
            self.b = tf.Variable([0.0], name="b")
        return x @ self.w + self.b


def module_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    """A tf.Module."""
    module = Linear(name="linear")
    y = module(features["x"])[:, 0]
    return spec_of(mode, y, labels, module.trainable_variables)


def variable_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    """Raw variables: from a function, a constant, a tensor of the graph, and one that is not trained."""
    a = tf.Variable(lambda: tf.ones([3, 2]) * 0.1, name="a")
    b = tf.Variable([0.0, 0.0], name="b")
    c = tf.Variable(tf.random.stateless_uniform([2], seed=[3, 4]), name="c")
    count = tf.Variable(0, name="count", trainable=False)
    if mode == "train":
        count.assign_add(1)
    y = tf.reduce_sum((features["x"] @ a + b) * c, axis=1)
    return spec_of(mode, y, labels, [a, b, c])


def v1_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    """get_variable in scopes, shared by reuse; v1 losses, metrics, summaries and an optimizer with slots."""
    with v1.variable_scope("tower"):
        w = v1.get_variable("w", [3, 1], initializer=v1.constant_initializer(0.1))
    with v1.variable_scope("tower", reuse=True):
        again = v1.get_variable("w", [3, 1])
    with v1.variable_scope("top", reuse=v1.AUTO_REUSE):
        b = v1.get_variable("b", initializer=tf.zeros([1]))
    y = (0.5 * features["x"] @ w + 0.5 * features["x"] @ again + b)[:, 0]
    if mode == "infer":
        return EstimatorSpec(mode, predictions={"y": y})
    loss = v1.losses.mean_squared_error(labels, y)
    if mode == "eval":
        return EstimatorSpec(mode, loss=loss, eval_metric_ops={"mae": v1.metrics.mean_absolute_error(labels, y)})
    v1.summary.scalar("my_loss", loss)
    optimizer = v1.train.MomentumOptimizer(0.02, 0.9)
    return EstimatorSpec(mode, loss=loss, train_op=optimizer.minimize(loss, v1.train.get_or_create_global_step()))


MODEL_FNS: dict[str, Callable[..., EstimatorSpec]] = {
    "keras": keras_model_fn,
    "module": module_model_fn,
    "variable": variable_model_fn,
    "v1": v1_model_fn,
}


def input_fn(batch: int = 4, repeat: int | None = None, labels: bool = True) -> Callable[[], tf.data.Dataset]:
    """Returns an input_fn over the eight rows, in order."""
    data = ({"x": X}, Y) if labels else {"x": X}
    return lambda: tf.data.Dataset.from_tensor_slices(data).repeat(repeat).batch(batch)


def estimator(model_fn: Callable[..., Any], model_dir: Any = None, **config: Any) -> Estimator:
    """Returns a quiet estimator."""
    settings = {"tf_random_seed": 5, "progress": "none", "save_checkpoints_steps": 1000, **config}
    return Estimator(model_fn, None if model_dir is None else str(model_dir), config=RunConfig(**settings))


@pytest.fixture(scope="session")
def small() -> types.SimpleNamespace:
    """The names of this file."""
    return types.SimpleNamespace(
        X=X,
        Y=Y,
        model_fns=MODEL_FNS,
        input_fn=input_fn,
        estimator=estimator,
        config=RunConfig,
        spec_of=spec_of,
        linear=module_model_fn,
    )
