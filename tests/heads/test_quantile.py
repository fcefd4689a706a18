"""QuantileRegressionHead: losses and metrics against scikit-learn, predictions, and wrong arguments."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import mean_pinball_loss

from headway._spec import RegressionOutput
from headway.heads import QuantileRegressionHead

_QUANTILES = [0.05, 0.5, 0.8]


def _data(rows: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    logits = np.sort(rng.normal(size=(rows, 3)), axis=1).astype(np.float32)
    return logits, rng.normal(size=rows).astype(np.float32), rng.uniform(0, 2, rows).astype(np.float32)


def test_loss_and_metrics() -> None:
    logits, labels, weights = _data()
    head = QuantileRegressionHead(_QUANTILES, weight_column="w")
    metrics = head.update_metrics(head.metrics(), {"w": weights}, logits, labels)
    found = {key: float(metric.result()) for key, metric in metrics.items()}
    expected = {"label/mean": np.average(labels, weights=weights)}
    for i, quantile in enumerate(_QUANTILES):
        expected[f"pinball_loss/quantile_{quantile:g}"] = mean_pinball_loss(
            labels, logits[:, i], sample_weight=weights, alpha=quantile
        )
        expected[f"coverage/quantile_{quantile:g}"] = np.average(labels <= logits[:, i], weights=weights)
    of_quantiles = [expected[f"pinball_loss/quantile_{quantile:g}"] for quantile in _QUANTILES]
    expected["average_loss"] = np.mean(of_quantiles)
    assert found == pytest.approx(expected, rel=1e-6)
    # the sum of the weighted losses over the number of losses, not over the sum of the weights
    total = np.mean(of_quantiles) * weights.sum() / len(labels)
    assert float(head.loss(labels, logits, {"w": weights})) == pytest.approx(total, rel=1e-6)


def test_quantiles_do_not_cross() -> None:
    head = QuantileRegressionHead([0.1, 0.9])
    crossed, ordered = tf.constant([[3.0, 1.0]]), tf.constant([[1.0, 3.0]])
    predictions = head.predictions(crossed)
    np.testing.assert_array_equal(predictions["predictions"], ordered)
    np.testing.assert_array_equal(predictions["logits"], crossed)
    # Metrics judge the predictions; loss and average_loss judge the logits, in the order that they were trained in.
    for logits, average in ((crossed, (0.9 * 1 + 0.9 * 1) / 2), (ordered, (0.1 * 1 + 0.1 * 1) / 2)):
        metrics = head.update_metrics(head.metrics(), None, logits, [2.0])
        assert float(metrics["pinball_loss/quantile_0.1"].result()) == pytest.approx(0.1, rel=1e-6)
        assert float(metrics["coverage/quantile_0.9"].result()) == 1.0
        assert float(metrics["average_loss"].result()) == pytest.approx(average, rel=1e-6)
        assert float(head.loss([2.0], logits)) == pytest.approx(average, rel=1e-6)


def test_labels_of_more_dimensions() -> None:
    logits, labels, _ = _data(6)
    head = QuantileRegressionHead(_QUANTILES)
    folded = head.loss(labels.reshape(2, 3, 1), logits.reshape(2, 3, 3))
    assert float(folded) == pytest.approx(float(head.loss(labels[:, np.newaxis], logits)), rel=1e-6)
    assert head.predictions(logits.reshape(2, 3, 3))["predictions"].shape == (2, 3, 3)


def test_it_finds_the_quantiles_of_a_distribution() -> None:
    head, bias = QuantileRegressionHead([0.1, 0.5, 0.9]), tf.Variable(tf.zeros([3]))
    labels = tf.constant(np.linspace(0.0, 10.0, 101), tf.float32)
    optimizer = keras.optimizers.SGD(1.0)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = head.loss(labels, tf.tile(bias[tf.newaxis], [101, 1]))
        optimizer.apply_gradients([(tape.gradient(loss, bias), bias)])

    for _ in range(500):
        step()
    np.testing.assert_allclose(bias, [1.0, 5.0, 9.0], atol=0.2)


def test_export_outputs() -> None:
    spec = QuantileRegressionHead(_QUANTILES).create_estimator_spec(None, "infer", tf.constant([[2.0, 1.0, 3.0]]))
    assert sorted(spec.export_outputs) == ["predict", "regression", "serving_default"]
    assert isinstance(spec.export_outputs["serving_default"], RegressionOutput)
    np.testing.assert_array_equal(spec.export_outputs["regression"].value, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("quantiles", "message"),
    [
        ([], "must hold at least one number"),
        ([0.0, 0.5], r"must hold at least one number, each in \(0, 1\). Received: \[0.0, 0.5\]"),
        (["a"], r"must be a list of numbers in \(0, 1\). Received: \['a'\]"),
        (0.5, r"must be a list of numbers in \(0, 1\). Received: 0.5"),
        ([0.5, 0.1], r"must be ascending, each once. Received: \[0.5, 0.1\]"),
        ([0.5, 0.5], "must be ascending, each once"),
    ],
)
def test_wrong_quantiles(quantiles: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"`quantiles` {message}"):
        QuantileRegressionHead(quantiles)


def test_wrong_labels() -> None:
    with pytest.raises(ValueError, match=r"Expected labels dimension=1. Received 3"):
        QuantileRegressionHead(_QUANTILES).loss(tf.zeros([2, 3]), tf.zeros([2, 3]))
    with pytest.raises(ValueError, match=r"Labels dtype should be a number. Instead got string"):
        QuantileRegressionHead(_QUANTILES).loss(["a"], tf.zeros([1, 3]))
