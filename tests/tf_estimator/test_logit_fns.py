"""The functions that compute logits, in a model_fn of a program's own."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import heads, input_pipelines
from headway.estimators import RunConfig
from headway.tf_estimator import v1

experimental = v1.experimental
X, C = fc.numeric_column("x", shape=(2,)), fc.categorical_column_with_vocabulary_list("c", ["u", "v"])

# What a tf.estimator 2.15 program of this form keeps.
NAMES = [
    "global_step",
    "linear_model/bias_weights",
    "linear_model/c/weights",
    "linear_model/x/weights",
    "net/hiddenlayer_0/batchnorm_0/beta",
    "net/hiddenlayer_0/batchnorm_0/gamma",
    "net/hiddenlayer_0/batchnorm_0/moving_mean",
    "net/hiddenlayer_0/batchnorm_0/moving_variance",
    "net/hiddenlayer_0/bias",
    "net/hiddenlayer_0/kernel",
    "net/input_from_feature_columns/input_layer/c_embedding/embedding_weights",
    "net/logits/bias",
    "net/logits/kernel",
]


def model_fn(features: Any, labels: Any, mode: str, params: Any, config: Any) -> Any:
    deep = experimental.dnn_logit_fn_builder(1, [3], [X, fc.embedding_column(C, 2)], tf.nn.relu, None, None, True)
    wide = experimental.linear_logit_fn_builder(1, [X, C])
    logits = experimental.call_logit_fn(wide, features, mode, params, config)
    with tf.compat.v1.variable_scope("net"):
        logits += experimental.call_logit_fn(deep, features, mode, params, config)

    def train(loss: tf.Tensor) -> Any:
        optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.1)
        return optimizer.minimize(loss, tf.compat.v1.train.get_global_step())

    return heads.RegressionHead().create_estimator_spec(features, mode, logits, labels, train_op_fn=train)


def test_a_model_of_both_trains_under_the_names_of_tf_estimator(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(12, 2)).astype(np.float32), rng.choice(["u", "v"], 12)
    rows = input_pipelines.from_arrays({"x": x, "c": c}, x[:, 0], batch_size=4, num_epochs=20)
    model = v1.Estimator(model_fn, config=RunConfig(str(tmp_path), progress="none", tf_random_seed=1)).train(rows)
    assert model.get_variable_names() == NAMES
    assert model.get_variable_value("net/hiddenlayer_0/batchnorm_0/moving_mean").any()
    # Wide and deep, as NumPy computes them from what is saved.
    value = {name: model.get_variable_value(name) for name in NAMES}
    ids = (c == "v").astype(int)
    net = np.concatenate([value[NAMES[10]][ids], x], axis=1)
    net = np.maximum(net @ value["net/hiddenlayer_0/kernel"] + value["net/hiddenlayer_0/bias"], 0)
    beta, gamma, mean, variance = (value[name] for name in NAMES[4:8])
    net = gamma * (net - mean) / np.sqrt(variance + 0.001) + beta
    deep = net @ value["net/logits/kernel"] + value["net/logits/bias"]
    wide = (
        x @ value["linear_model/x/weights"] + value["linear_model/c/weights"][ids] + value["linear_model/bias_weights"]
    )
    found = [row["predictions"] for row in model.predict(input_pipelines.from_arrays({"x": x, "c": c}))]
    np.testing.assert_allclose(found, deep + wide, rtol=1e-4, atol=1e-5)


def test_a_logit_fn_gets_what_it_takes() -> None:
    def logit_fn(features: Any, mode: str, params: Any, config: Any) -> dict[str, tf.Tensor]:
        assert (mode, params, config) == ("eval", 1, 2)
        return {"a": features}

    assert experimental.call_logit_fn(logit_fn, tf.constant(3.0), "eval", 1, 2)["a"] == 3.0
    for wrong in ([1.0], {1: tf.constant(1.0)}, {"a": 1.0}):
        with pytest.raises(ValueError, match="should return a Tensor or a dictionary mapping strings to Tensors"):
            experimental.call_logit_fn(lambda features, wrong=wrong: wrong, None, "eval", None, None)


@pytest.mark.parametrize("units", [0, True, "2"])
def test_wrong_units_are_named(units: Any) -> None:
    with pytest.raises(ValueError, match="`units` must be an integer >= 1: the number of logits"):
        experimental.linear_logit_fn_builder(units, [X])
    with pytest.raises(ValueError, match="`units` must be an integer >= 1: the number of logits"):
        experimental.dnn_logit_fn_builder(units, [2], [X], None, None, None, False)
