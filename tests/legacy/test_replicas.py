"""Layers, optimizers and models of Keras 2 under several replicas, on short and empty batches, and after reload."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import headway
from headway.estimators import Estimator, RunConfig

pytestmark = pytest.mark.filterwarnings("ignore:.*will be removed in a future version", "ignore:.*is deprecated")
v1 = tf.compat.v1
X = np.linspace(-1.0, 1.0, 16).reshape(8, 2).astype("float32")
Y = (X[:, :1] * 2.0 + 1.0).astype("float32")


def _rows(batch_size: int) -> Any:
    return lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(batch_size).repeat()


def _short_and_empty() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(6).concatenate(tf.data.Dataset.from_tensors((X[:0], Y[:0])))


def _layers_of_v1(features: Any, labels: Any, mode: str) -> Any:
    ones = v1.ones_initializer()
    hidden = v1.layers.dense(features, 2, tf.tanh, kernel_initializer=v1.constant_initializer(0.5))
    y = v1.layers.dense(hidden, 1, kernel_initializer=ones)
    if mode == "infer":
        return tf.estimator.EstimatorSpec(mode, predictions=y)
    loss = v1.losses.mean_squared_error(labels, y)
    train_op = None
    if mode == "train":
        train_op = v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def _of_keras_2(config: RunConfig) -> Estimator:
    inputs = tf_keras.Input((2,))
    hidden = tf_keras.layers.Dense(2, "tanh", kernel_initializer=tf_keras.initializers.Constant(0.5))(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, kernel_initializer="ones", name="out")(hidden))
    model.compile(tf_keras.optimizers.legacy.SGD(0.1), "mse", metrics=["mae"])
    return headway.model_to_estimator(model, config=config)


MAKERS = {"layers": lambda config: Estimator(_layers_of_v1, config=config), "model": _of_keras_2}


@pytest.mark.parametrize("name", MAKERS)
def test_two_replicas_do_what_one_does(
    name: str, mirrored: tf.distribute.MirroredStrategy, tmp_path: pathlib.Path
) -> None:
    one = MAKERS[name](RunConfig(model_dir=str(tmp_path / "one")))
    two = MAKERS[name](RunConfig(model_dir=str(tmp_path / "two"), train_distribute=mirrored, eval_distribute=mirrored))
    one.train(_rows(8), steps=3)
    two.train(_rows(4), steps=3)
    names = set(one.get_variable_names())
    assert names == set(two.get_variable_names())
    for variable in names:
        expected = one.get_variable_value(variable)
        np.testing.assert_allclose(two.get_variable_value(variable), expected, rtol=1e-5, err_msg=variable)
    ours, theirs = two.evaluate(_rows(4), steps=1), one.evaluate(_rows(8), steps=1)
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_short_and_empty_batches_and_a_reload(name: str, tmp_path: pathlib.Path) -> None:
    config = RunConfig(model_dir=str(tmp_path / "model"))
    trained = MAKERS[name](config).train(_short_and_empty)
    assert trained.get_variable_value("global_step") == 3
    rows = [np.ravel(row if isinstance(row, np.ndarray) else row["out"]) for row in trained.predict(_short_and_empty)]
    again = MAKERS[name](config)
    np.testing.assert_array_equal(
        [np.ravel(row if isinstance(row, np.ndarray) else row["out"]) for row in again.predict(_short_and_empty)], rows
    )
    assert len(rows) == 8
    assert np.isfinite(rows).all()


def test_a_subclassed_model_of_keras_2_is_refused() -> None:
    class Own(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf_keras.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Own()
    with pytest.raises(ValueError, match="has not been compiled yet"):
        headway.model_to_estimator(model)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="has no variables yet"):
        headway.model_to_estimator(model)
    model(tf.ones([1, 2]))
    with pytest.raises(ValueError, match="is a subclassed one, which cannot be made again"):
        headway.model_to_estimator(model)


def test_an_optimizer_of_ones_own_is_refused() -> None:
    class Own(tf_keras.optimizers.legacy.SGD):
        pass

    with pytest.raises(ValueError, match=r"Keras 3 has no optimizer that stands for Own of Keras 2\. Pass one of Ada"):
        headway.LinearRegressor([tf.feature_column.numeric_column("x")], optimizer=Own(0.1))


def test_features_that_a_model_of_keras_2_lacks_are_named() -> None:
    inputs = [tf_keras.Input((1,), name=name) for name in ("a", "b")]
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(tf_keras.layers.concatenate(inputs)))
    model.compile("sgd", "mse")
    estimator = headway.model_to_estimator(model)
    with pytest.raises(ValueError, match=r"inputs that are not among the features: \['b'\]. Features .*: \['a', 'c'\]"):
        estimator.train(lambda: tf.data.Dataset.from_tensors(({"a": [[1.0]], "c": [[1.0]]}, [[1.0]])), steps=1)
