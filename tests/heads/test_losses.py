"""Focal and Huber loss, label smoothing, class weights: against tf.estimator with Keras 2 losses, and by hand."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway.heads import (
    BinaryClassHead,
    MultiClassHead,
    QuantileRegressionHead,
    RegressionHead,
    losses,
)

_GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "heads"
_spec = importlib.util.spec_from_file_location("loss_cases", _GOLDEN / "loss_cases.py")
assert _spec is not None
assert _spec.loader is not None
loss_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(loss_cases)
_EXPECTED = json.loads((_GOLDEN / "losses.json").read_text("utf-8"))


def _head(case: dict[str, Any]) -> Any:
    options = dict(case["options"])
    options |= {"weight_column": "w" if case["weighted"] else None, "loss_reduction": case["reduction"]}
    for name in ("focal", "huber"):
        if name in options:
            options["loss_fn"] = getattr(losses, name)(**options.pop(name))
    if case["kind"] == "binary":
        return BinaryClassHead(**options)
    if case["kind"] == "multi_class":
        return MultiClassHead(4, **options)
    if case["kind"] == "regression":
        return RegressionHead(2, **options)
    return QuantileRegressionHead(loss_cases.QUANTILES, **options)


@pytest.mark.parametrize(("case", "expected"), list(zip(loss_cases.cases(), _EXPECTED, strict=True)))
def test_loss_and_metrics_are_those_of_tf_estimator(case: dict[str, Any], expected: dict[str, Any]) -> None:
    head = _head(case)
    metrics, found = head.metrics(), []
    for logits, labels, weights in loss_cases.batches(case):
        if len(labels):
            found.append(float(head.loss(labels, logits, {"w": weights})))
        head.update_metrics(metrics, {"w": weights}, logits, labels)
    np.testing.assert_allclose(found, expected["losses"], rtol=2e-6)
    # Quantiles have no one prediction, whose mean RegressionHead reports.
    common = set(metrics) & set(expected["metrics"])
    assert common >= {"average_loss"}
    for key in common:
        assert float(metrics[key].result()) == pytest.approx(expected["metrics"][key], rel=2e-6, abs=1e-7), key


def test_class_weights_by_name_and_by_number() -> None:
    logits, labels = tf.zeros([3, 3]), ["b", "a", "c"]
    head = MultiClassHead(3, label_vocabulary=["a", "b", "c"], class_weights={"b": 5.0, "a": 0.0})
    # log(3) for each row, times 5, 0 and, for a class that is not in the dict, 1
    assert float(head.loss(labels, logits)) == pytest.approx(6 * np.log(3) / 3, rel=1e-6)
    metrics = head.update_metrics(head.metrics(), None, logits, labels)
    assert float(metrics["average_loss"].result()) == pytest.approx(np.log(3), rel=1e-6)
    of_bytes = MultiClassHead(3, label_vocabulary=[b"a", b"b", b"c"], class_weights={"b": 5.0, b"a": 0.0})
    assert float(of_bytes.loss(labels, logits)) == float(head.loss(labels, logits))
    by_number = MultiClassHead(3, class_weights={1: 5.0, 0: 0.0})
    by_list = MultiClassHead(3, class_weights=np.array([0.0, 5.0, 1.0]))
    for other in (by_number, by_list):
        assert float(other.loss([1, 0, 2], logits)) == pytest.approx(6 * np.log(3) / 3, rel=1e-6)


def test_a_label_between_two_classes_has_a_weight_between() -> None:
    head = BinaryClassHead(class_weights=[1.0, 3.0])
    # log(2) whatever the label, times 1 * 0.75 + 3 * 0.25
    assert float(head.loss([0.25], tf.zeros([1, 1]))) == pytest.approx(1.5 * np.log(2), rel=1e-6)


def test_class_weights_hold_in_every_mode_and_change_no_metric() -> None:
    head, plain = BinaryClassHead(class_weights=[1.0, 3.0]), BinaryClassHead()
    logits, labels = tf.constant([[0.5], [-1.0]]), [1, 0]
    assert float(head.loss(labels, logits, mode="eval")) == float(head.loss(labels, logits, mode="train"))
    weighted, without = (
        {key: float(metric.result()) for key, metric in one.update_metrics(one.metrics(), None, logits, labels).items()}
        for one in (head, plain)
    )
    assert weighted == without


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_has_finite_gradients_where_predictions_are_perfect(gamma: float) -> None:
    logits = tf.constant([[200.0], [-200.0]])
    classes = tf.constant([[200.0, 0.0, -200.0], [0.0, -200.0, 200.0]])
    with tf.GradientTape() as tape:
        tape.watch([logits, classes])
        total = BinaryClassHead(loss_fn=losses.focal(gamma)).loss([1, 1], logits)
        total += MultiClassHead(3, loss_fn=losses.focal(gamma)).loss([0, 1], classes)
    for gradient in tape.gradient(total, [logits, classes]):
        assert np.isfinite(gradient).all()
    # The second row of each is as wrong as can be: 200 and 400 times 1, over 2 rows.
    assert float(total) == pytest.approx(100.0 + 200.0, rel=1e-6)


def test_focal_loss_of_several_labels_is_the_mean_over_them() -> None:
    labels, logits = tf.constant([[1, 0, 1]]), tf.constant([[0.0, 0.0, 2.0]])
    missed = 1 / (1 + np.exp(2.0))
    # alpha_t * (1 - p_t)**2 * -log(p_t) of each label
    expected = (0.25 * 0.25 * np.log(2) + 0.75 * 0.25 * np.log(2) + 0.25 * missed**2 * -np.log(1 - missed)) / 3
    found = losses.focal(alpha=0.25)(labels, logits)
    assert found.shape == (1, 1)
    assert float(found[0, 0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.focal(gamma=-1), "`gamma` must be a number >= 0. Received: -1"),
        (lambda: losses.focal(alpha=1.5), r"`alpha` must be a number in \[0, 1\]. Received: 1.5"),
        (lambda: losses.focal(gamma="2"), "`gamma` must be a number >= 0. Received: '2'"),
        (lambda: losses.huber(0), "`delta` must be above 0. Received: 0"),
        (lambda: losses.huber(float("nan")), "`delta` must be a number >= 0. Received: nan"),
        (lambda: losses.listwise_softmax(0.0), "`temperature` must be above 0"),
        (lambda: losses.pairwise_logistic(-2), "`temperature` must be a number >= 0. Received: -2"),
        (
            lambda: BinaryClassHead(label_smoothing=1.0),
            r"`label_smoothing` must be a number in \[0, 1\). Received: 1.0",
        ),
        (lambda: MultiClassHead(3, label_smoothing="a"), "`label_smoothing` must be a number .*'a'"),
        (
            lambda: MultiClassHead(3, label_smoothing=0.1, loss_fn=lambda labels, logits: logits),
            "label_smoothing=0.1 would have no effect: the loss_fn does not take it",
        ),
        (lambda: BinaryClassHead(class_weights="balanced"), "`class_weights` must be a dict.*compute_class_weight"),
        (lambda: BinaryClassHead(class_weights=[1.0]), "a weight for each of the 2 classes. Received 1"),
        (lambda: BinaryClassHead(class_weights={2: 1.0}), "must be the class ids 0 to 1. Received: 2"),
        (
            lambda: BinaryClassHead(label_vocabulary=["no", "yes"], class_weights={0: 1.0}),
            "must be words of the label_vocabulary. Received: 0",
        ),
        (lambda: BinaryClassHead(class_weights=[1.0, -1.0]), "must be a number >= 0. Received: -1.0"),
        (lambda: BinaryClassHead(class_weights={0: float("inf")}), "must be a number >= 0. Received: inf"),
        (lambda: BinaryClassHead(class_weights={0: "1"}), "must be a number >= 0. Received: '1'"),
        (
            lambda: MultiClassHead(3, loss_fn=losses.focal(alpha=0.5)).loss([1], tf.zeros([1, 3])),
            "`alpha` of the focal loss is the weight of label 1 against label 0. Received: 0.5 with 3 classes",
        ),
    ],
)
def test_what_is_wrong(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
