"""Bad input is answered before work starts, by a message that says what, where, what was received and what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway.heads import BinaryClassHead, Head, MultiClassHead, MultiHead, RegressionHead, readable_error

_LOGITS = {1: tf.zeros([2, 1]), 2: tf.zeros([2, 2]), 3: tf.zeros([2, 3])}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BinaryClassHead(thresholds=[0.5, 1.5]), ValueError, r"thresholds not in \(0, 1\): \(0.5, 1.5\)"),
        (lambda: BinaryClassHead(thresholds=["x"]), ValueError, r"`thresholds` must be a list of numbers.*\['x'\]"),
        (lambda: BinaryClassHead(thresholds=0.5), ValueError, r"`thresholds` must be a list of numbers.*0.5"),
        (lambda: BinaryClassHead(label_vocabulary="ab"), ValueError, "label_vocabulary should be a list or a tuple"),
        (
            lambda: BinaryClassHead(label_vocabulary=["a", "b", "c"]),
            ValueError,
            r"len\(label_vocabulary\)=3, n_classes=2",
        ),
        (lambda: BinaryClassHead(label_vocabulary=[0, 1]), ValueError, "must hold strings. Received: 0 of type int"),
        (lambda: BinaryClassHead(label_vocabulary=["a", "a"]), ValueError, r"each class once.*\['a'\]"),
        (
            lambda: BinaryClassHead(loss_reduction="none"),
            ValueError,
            "Invalid loss_reduction: 'none'.*'sum_over_batch_size'",
        ),
        (lambda: BinaryClassHead(loss_reduction=None), ValueError, "Invalid loss_reduction: None"),
        (
            lambda: BinaryClassHead(weight_column=3),
            TypeError,
            "must be either a string or NumericColumn.*<class 'int'>",
        ),
        (
            lambda: BinaryClassHead(name=""),
            ValueError,
            "`name` must be None or a string that is not empty. Received: ''",
        ),
        (lambda: BinaryClassHead(loss_fn=3), ValueError, "`loss_fn` must be a function.*3"),
        (
            lambda: BinaryClassHead(loss_fn=lambda labels: labels),
            ValueError,
            r"loss_fn must contain argument: logits. Given arguments: \('labels',\)",
        ),
        (
            lambda: BinaryClassHead(loss_fn=lambda labels, logits, name=None: labels),
            ValueError,
            r"loss_fn has unexpected args: \['name'\].*functools.partial",
        ),
        (lambda: MultiClassHead(None), ValueError, "n_classes cannot be None"),
        (lambda: MultiClassHead(2), ValueError, "n_classes must be > 2: 2. For two classes use BinaryClassHead"),
        (lambda: MultiClassHead(1), ValueError, "n_classes must be > 2: 1"),
        (lambda: MultiClassHead(3.5), ValueError, "`n_classes` must be an integer. Received: 3.5"),
        (
            lambda: MultiClassHead(3, label_vocabulary=["a"]),
            ValueError,
            r'"label_vocabulary" does not have "n_classes" items. len\(label_vocabulary\)=1, n_classes=3',
        ),
        (lambda: RegressionHead(0), ValueError, "Invalid label_dimension 0"),
        (lambda: RegressionHead("2"), ValueError, "Invalid label_dimension '2'"),
        (lambda: RegressionHead(inverse_link_fn="exp"), ValueError, "`inverse_link_fn` must be a function.*'exp'"),
    ],
)
def test_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


_BINARY, _WEIGHTED, _CLASSES = BinaryClassHead(), BinaryClassHead("w"), MultiClassHead(3)
_WORDS, _NUMBERS = MultiClassHead(3, label_vocabulary=["a", "b", "c"]), RegressionHead(2, weight_column="w")


@pytest.mark.parametrize(
    ("head", "labels", "logits", "features", "message"),
    [
        (_BINARY, None, 1, None, "You must provide a labels Tensor. Given: None"),
        (_BINARY, {"a": [1, 0]}, 1, None, r"labels must be one Tensor, not a dict.*\['a'\]"),
        (
            _BINARY,
            tf.sparse.from_dense([[1.0], [0.0]]),
            1,
            None,
            "SparseTensor labels are not supported.*tf.sparse.to_dense",
        ),
        (_BINARY, tf.ragged.constant([[1.0], [0.0]]), 1, None, "RaggedTensor labels are not supported"),
        (_BINARY, [[1, 0], [0, 1]], 1, None, "Mismatched label shape. Expected labels dimension=1. Received 2"),
        (_BINARY, [1, 0, 1], 1, None, r"labels shape must be \[D0, D1, ... DN, 1\].*labels_shape: \(3, 1\)"),
        (_BINARY, 1, 1, None, "labels must have rank at least 2. Received rank 0"),
        (_BINARY, ["a", "b"], 1, None, "Labels are strings, but the head has no label_vocabulary"),
        (_BINARY, [0, 1], 2, None, r"logits shape must be \[D0, D1, ... DN, logits_dimension\], got \(2, 2\).*=1"),
        (_CLASSES, [[1, 0, 0], [0, 0, 1]], 3, None, "Mismatched label shape. Expected labels dimension=1.*one-hot"),
        (_CLASSES, [0.5, 1.0], 3, None, "Labels dtype should be integer. Instead got float32"),
        (_CLASSES, ["a", "b"], 3, None, "Labels are strings, but the head has no label_vocabulary"),
        (
            _WORDS,
            [0, 1],
            3,
            None,
            r"Labels dtype should be string if there is a vocabulary. Instead got int32.*'a', 'b'",
        ),
        (_NUMBERS, [["a", "b"]] * 2, 2, {"w": [1.0, 1.0]}, "Labels dtype should be a number. Instead got string"),
        (_NUMBERS, [1.0, 2.0], 2, {"w": [1.0, 1.0]}, "Mismatched label shape. Expected labels dimension=2. Received 1"),
        (_WEIGHTED, [0, 1], 1, {"x": [1.0], "y": [1.0]}, r"Feature w is not in features dictionary.*\['x', 'y'\]"),
        (_WEIGHTED, [0, 1], 1, None, "`features` must be a dict that holds the weight column 'w'. Received: NoneType"),
        (_WEIGHTED, [0, 1], 1, {"w": ["a", "b"]}, "Weight column should be castable to float. Given dtype: string"),
        (_WEIGHTED, [0, 1], 1, {"w": 1.0}, r"Feature \(key: w\) cannot have rank 0"),
        (_WEIGHTED, [0, 1], 1, {"w": tf.sparse.from_dense([1.0, 2.0])}, "weight column 'w' must be a dense Tensor"),
        (
            _WEIGHTED,
            [0, 1],
            1,
            {"w": [1.0, 2.0, 3.0]},
            r"weights shape must be \[D0, D1, ... DN\] or \[D0, D1, ... DN, 1\].*weights_shape: \(3, 1\)",
        ),
        (_WEIGHTED, [0, 1], 1, {"w": [[1.0, 2.0]] * 2}, r"weights shape must be.*weights_shape: \(2, 2\)"),
        (
            _NUMBERS,
            [[0, 1]] * 2,
            2,
            {"w": [[1.0] * 3] * 2},
            r"weights shape must be .* or \[D0, D1, ... DN, logits_dimension\]",
        ),
    ],
)
@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_batches(head: Any, labels: Any, logits: int, features: Any, message: str, wrap: Any) -> None:
    for step in (
        lambda: head.loss(labels, _LOGITS[logits], features),
        lambda: head.update_metrics(METRICS[head], features, _LOGITS[logits], labels),
    ):
        with pytest.raises(ValueError, match=message):
            wrap(step)()


METRICS = {head: head.metrics() for head in (_BINARY, _WEIGHTED, _CLASSES, _WORDS, _NUMBERS)}


@pytest.mark.parametrize(
    ("head", "labels", "message"),
    [
        (_BINARY, [[1.0], [2.0]], r"Labels must be >= 0 and Labels must be <= n_classes - 1 = 1. .*: 1(\.0)? 2"),
        (_BINARY, [[-1.0], [1.0]], r"Labels must be >= 0 .* received: -1(\.0)? 1"),
        (_BINARY, [[float("nan")], [1.0]], "Labels must be >= 0 .* received: -?nan"),
        (_CLASSES, [[3], [1]], "Labels must be <= n_classes - 1 = 2. .* received: 1 3"),
        (_CLASSES, [[2], [-7]], "Labels must be >= 0 .* received: -7 2"),
        (_WORDS, [["b"], ["it's"]], r"Labels must be one of the label_vocabulary \['a', 'b', 'c'\].* not: .?it's"),
    ],
)
def test_labels_outside_the_range_stop_the_step(head: Any, labels: Any, message: str) -> None:
    logits, labels = tf.zeros([2, head.logits_dimension]), tf.constant(labels)
    with pytest.raises(ValueError, match=message):
        head.loss(labels, logits)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.function(head.loss)(labels, logits)
    readable = readable_error(caught.value)
    assert readable is not None
    assert "\n" not in readable
    assert re.search(message, readable)


def test_other_errors_are_not_readable_errors() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.debugging.assert_equal(tf.constant(1), tf.constant(2), message="Labels must be >= 0")
    assert readable_error(caught.value) is None


@pytest.mark.parametrize(
    ("head", "shapes", "message"),
    [
        (_BINARY, ([3, 1], [1, 1], [3, 1]), r"labels shape must be \[D0, D1, ... DN, 1\]"),
        (_WEIGHTED, ([3, 1], [3, 1], [1, 1]), r"weights shape must be \[D0, D1, ... DN\] or"),
        (_CLASSES, ([3, 3], [3, 2], [3, 1]), r"labels shape must be"),
        (_CLASSES, ([3, 2], [3, 1], [3, 1]), r"logits shape must be .* Received shape: 3 2"),
    ],
)
def test_shapes_known_only_in_the_running_step(head: Any, shapes: Any, message: str) -> None:
    floats, integers = tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[floats, integers, floats])
    def step(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return head.loss(labels, logits, {"w": weights})

    logits, labels, weights = shapes
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        step(tf.zeros(logits), tf.zeros(labels, tf.int32), tf.ones(weights))
    assert re.search(message, readable_error(caught.value) or "")


def test_unknown_ranks_are_taken_from_the_logits() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 1]), tf.TensorSpec(None, tf.int32), tf.TensorSpec(None)])
    def step(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return _WEIGHTED.loss(labels, logits, {"w": weights})

    # sigmoid cross entropy of logit 0 is ln 2; (1 + 3) / 2 of it
    assert float(step(tf.zeros([2, 1]), [0, 1], [1.0, 3.0])) == pytest.approx(2 * np.log(2), rel=1e-6)


@pytest.mark.parametrize("logits", [tf.zeros([3]), 1.0])
def test_logits_without_a_last_dimension(logits: Any) -> None:
    with pytest.raises(ValueError, match="logits must have rank at least 2\\. Received rank"):
        _BINARY.predictions(logits)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["foo"], r"Prediction key must be in PredictionKeys, given: foo. Valid prediction keys include \['logits', "),
        ("logits", r"`keys` must be a list or tuple.*Did you mean \['logits'\]"),
    ],
)
def test_prediction_keys(keys: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _BINARY.predictions(_LOGITS[1], keys)


@pytest.mark.parametrize("losses", [lambda logits: tf.reduce_mean(logits), lambda logits: tf.concat([logits] * 2, -1)])
def test_a_loss_fn_that_returns_another_shape(losses: Any) -> None:
    head = BinaryClassHead(loss_fn=lambda labels, logits: losses(logits))
    with pytest.raises(ValueError, match=r"loss_fn must return Tensor of shape \[D0, D1, ... DN, 1\]"):
        head.loss([0, 1], _LOGITS[1])


def test_a_loss_fn_may_take_features_and_reduction_and_have_arguments_bound() -> None:
    def loss_fn(labels: Any, logits: Any, features: Any, loss_reduction: str, factor: float) -> tf.Tensor:
        assert loss_reduction == "sum"
        return factor * features["x"] * (labels - logits)

    head = BinaryClassHead(loss_reduction="sum", loss_fn=functools.partial(loss_fn, factor=10.0))
    # 10 * (2 * 1 + 3 * 0)
    assert float(head.loss([1, 0], _LOGITS[1], {"x": tf.constant([[2.0], [3.0]])})) == 20.0


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (tf.constant(1.0), "`regularization_losses` must be a list or tuple of scalars. Received:"),
        ([tf.constant([1.0, 2.0])], r"Each of `regularization_losses` must be a scalar. Received one of shape \(2,\)"),
    ],
)
def test_regularization_losses(losses: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _BINARY.loss([0, 1], _LOGITS[1], regularization_losses=losses)


def test_regularization_losses_in_the_place_of_the_mode() -> None:
    penalties = [tf.constant(0.5)]
    several = MultiHead([BinaryClassHead(name="a")])
    calls: list[tuple[Head, Any]] = [(BinaryClassHead(), [0, 1]), (several, {"a": [0, 1]})]
    for head, labels in calls:
        with pytest.raises(ValueError, match=r"`mode` must be .*Pass regularization losses by name"):
            head.update_metrics(head.metrics(penalties), None, _LOGITS[1], labels, penalties)  # type: ignore[arg-type]


def test_metrics_of_another_head_and_updates_of_one_metric() -> None:
    with pytest.raises(
        ValueError, match=r"must be what `metrics\(\)` of this head returned, with 'average_loss/a' in it"
    ):
        BinaryClassHead(name="a").update_metrics(METRICS[_BINARY], None, _LOGITS[1], [0, 1])
    with pytest.raises(
        TypeError, match=r"'accuracy' shares its sums with the other metrics of its head.*update_metrics"
    ):
        METRICS[_BINARY]["accuracy"].update_state([1.0])
