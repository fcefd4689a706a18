"""`MultiLabelHead`, `PoissonRegressionHead` and `LogisticRegressionHead`: numbers by hand, and labels of all kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway._spec import ClassificationOutput, RegressionOutput
from headway.heads import LogisticRegressionHead, MultiLabelHead, PoissonRegressionHead

_LOGITS = tf.constant([[-1.0, 1.0], [-1.5, 1.5]])
_HOT = [[1, 0], [1, 1]]


def _cross_entropy(labels: Any, logits: Any) -> Any:
    logits = np.asarray(logits, np.float64)
    return np.maximum(logits, 0) - logits * np.asarray(labels) + np.log1p(np.exp(-np.abs(logits)))


def _results(metrics: Any) -> dict[str, float]:
    return {key: float(metric.result()) for key, metric in metrics.items()}


@pytest.mark.parametrize(
    "labels",
    [
        _HOT,
        np.array(_HOT, np.float32),
        np.array(_HOT, np.bool_),
        tf.sparse.SparseTensor([[0, 0], [1, 0], [1, 1]], [0, 1, 0], [2, 2]),
        tf.sparse.SparseTensor([[0, 2], [1, 0], [1, 1]], tf.constant([0, 1, 0], tf.int32), [2, 3]),
        tf.compat.v1.SparseTensorValue([[0, 0], [1, 0], [1, 1]], np.array([0, 1, 0], np.int64), [2, 2]),
        tf.ragged.constant([[0], [1, 0, 1]]),
        tf.ragged.constant([["a"], ["a", "b"]]),
        tf.sparse.SparseTensor([[0, 0], [1, 0], [1, 1]], ["a", "b", "a"], [2, 2]),
        [["a", ""], ["b", "a"]],
    ],
    ids=[
        "integers",
        "floats",
        "booleans",
        "sparse ids",
        "sparse int32 ids",
        "a sparse value",
        "ragged ids, one twice",
        "ragged names",
        "sparse names",
        "padded names",
    ],
)
@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_labels_of_every_kind(labels: Any, wrap: Any) -> None:
    head = MultiLabelHead(2, label_vocabulary=["a", "b"])
    # The mean over classes, and over examples.
    loss = wrap(lambda: head.loss(labels, _LOGITS))()
    assert float(loss) == pytest.approx(_cross_entropy(_HOT, _LOGITS).mean(), rel=1e-6)


def test_one_name_for_each_example() -> None:
    head = MultiLabelHead(2, label_vocabulary=["a", "b"])
    expected = _cross_entropy([[0, 1], [0, 0]], _LOGITS).mean()
    assert float(head.loss(["b", ""], _LOGITS)) == pytest.approx(expected, rel=1e-6)


def test_labels_of_unknown_shape() -> None:
    head = MultiLabelHead(2)
    specs = [
        tf.TensorSpec(None, tf.int64),
        tf.SparseTensorSpec(None, tf.int64),
        tf.RaggedTensorSpec([None, None], tf.int64),
    ]
    labels = [np.array(_HOT), tf.sparse.SparseTensor([[0, 0], [1, 0], [1, 1]], np.int64([0, 0, 1]), [2, 2])]
    for spec, batch in zip(specs, [*labels, tf.ragged.constant([[0], [0, 1]], dtype=tf.int64)], strict=True):
        step = tf.function(head.loss, input_signature=[spec, tf.TensorSpec([None, 2])])
        assert float(step(batch, _LOGITS)) == pytest.approx(_cross_entropy(_HOT, _LOGITS).mean(), rel=1e-6)


def test_labels_of_several_dimensions() -> None:
    head = MultiLabelHead(2, label_vocabulary=["a", "b"])
    labels = tf.ragged.constant([[["a"], []], [["b", "a"], ["b"]]])
    logits = np.random.default_rng(0).normal(size=(2, 2, 2)).astype("float32")
    expected = _cross_entropy([[[1, 0], [0, 0]], [[1, 1], [0, 1]]], logits).mean()
    assert float(head.loss(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert head.predictions(logits)["classes"].shape == (2, 2)


def test_metrics() -> None:
    head = MultiLabelHead(
        2, "w", thresholds=[0.2], label_vocabulary=["a", "b"], classes_for_class_based_metrics=["b"], name="n"
    )
    features = {"w": tf.constant([1.0, 3.0])}
    found = _results(head.update_metrics(head.metrics(), features, _LOGITS, _HOT))
    losses, probabilities = _cross_entropy(_HOT, _LOGITS).mean(axis=1), 1 / (1 + np.exp(-_LOGITS.numpy()))
    # probabilities 0.27 0.73 and 0.18 0.82; labels 1 0 and 1 1; weights 1 and 3. Above 0.2: all but the third.
    expected = {
        "average_loss/n": (losses[0] + 3 * losses[1]) / 4,
        "accuracy/positive_threshold_0.2/n": (1 + 3) / 8,
        "precision/positive_threshold_0.2/n": (1 + 3) / (1 + 1 + 3),
        "recall/positive_threshold_0.2/n": (1 + 3) / (1 + 3 + 3),
        "probability_mean/b/n": (probabilities[0, 1] + 3 * probabilities[1, 1]) / 4,
        # The one negative, 0.73, lies above the positives 0.27 and 0.18, and below 0.82, which weighs 3 of 7.
        "auc/n": 3 / 7,
        "auc/b/n": 1.0,
        "auc_precision_recall/b/n": 1.0,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-6)
    assert found.keys() == expected.keys() | {"auc_precision_recall/n"}


def test_a_loss_fn_gets_multi_hot_labels() -> None:
    seen = []

    def loss_fn(labels: Any, logits: Any, features: Any, loss_reduction: str) -> Any:
        seen.append((labels.dtype, loss_reduction))
        return features["x"] * tf.reduce_sum(tf.cast(labels, tf.float32) * logits, axis=-1, keepdims=True)

    head = MultiLabelHead(2, loss_fn=loss_fn, loss_reduction="sum")
    features = {"x": tf.constant([[1.0], [10.0]])}
    labels = {tf.int64: tf.ragged.constant([[0], [0, 1]]), tf.float32: tf.constant(_HOT, tf.float32)}
    for batch in labels.values():
        assert float(head.loss(batch, _LOGITS, features)) == -1.0 + 10.0 * (-1.5 + 1.5)
    assert seen == [(dtype, "sum") for dtype in labels]


def test_class_metrics_of_some_ids() -> None:
    head = MultiLabelHead(3, classes_for_class_based_metrics=(2, 0))
    logits = tf.constant([[0.0, 9.0, np.log(3.0)], [0.0, 9.0, 0.0]])
    found = _results(head.update_metrics(head.metrics(), {}, logits, [[1, 0, 1], [0, 0, 0]]))
    assert found["probability_mean/class2"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["probability_mean/class0"] == 0.5
    assert found["auc/class2"] == 1.0
    assert found["auc/class0"] == 0.5
    assert not any(key.endswith("class1") for key in found)


def test_poisson() -> None:
    logits, labels = np.array([[0.0], [1.0], [0.5]]), np.array([0.0, 1.0, 3.0])
    plain = np.exp(logits[:, 0]) - labels * logits[:, 0]
    # log(y!) by Stirling's formula where y > 1, and 0 elsewhere.
    stirling = 3 * np.log(3) - 3 + 0.5 * np.log(2 * np.pi * 3)
    for full in (True, False):
        head = PoissonRegressionHead(compute_full_loss=full, loss_reduction="sum")
        assert float(head.loss(labels, logits)) == pytest.approx(plain.sum() + full * stirling, rel=1e-6)
    predictions = head.predictions(logits)
    np.testing.assert_allclose(predictions["predictions"], np.exp(logits), rtol=1e-6)
    np.testing.assert_allclose(predictions["logits"], logits, rtol=1e-6)
    found = _results(head.update_metrics(head.metrics(), {}, tf.constant(logits), labels))
    assert found == pytest.approx(
        {"average_loss": plain.mean(), "label/mean": 4 / 3, "prediction/mean": np.exp(logits).mean()}, rel=1e-6
    )


def test_logistic() -> None:
    head, labels = LogisticRegressionHead(weight_column="w"), np.array([0.25, 1.0])
    logits, features = np.array([[1.0], [-2.0]]), {"w": np.array([3.0, 1.0])}
    losses = _cross_entropy(labels, logits[:, 0])
    assert float(head.loss(labels, logits, features)) == pytest.approx((3 * losses[0] + losses[1]) / 2, rel=1e-6)
    found = _results(head.update_metrics(head.metrics(), features, tf.constant(logits), labels))
    assert found["label/mean"] == pytest.approx((3 * 0.25 + 1) / 4)
    np.testing.assert_allclose(head.predictions(logits)["predictions"], 1 / (1 + np.exp(-logits)), rtol=1e-6)


@pytest.mark.parametrize(
    ("head", "default", "keys"),
    [
        (MultiLabelHead(2), ClassificationOutput, ["classification", "predict", "serving_default"]),
        (PoissonRegressionHead(2), RegressionOutput, ["predict", "regression", "serving_default"]),
    ],
)
def test_signatures(head: Any, default: type, keys: list[str]) -> None:
    outputs = head.create_estimator_spec(None, "infer", _LOGITS).export_outputs
    assert sorted(outputs) == keys
    assert isinstance(outputs["serving_default"], default)
