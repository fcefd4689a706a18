"""What the heads for several classes, counts, rates, several objectives and sequences say about wrong input."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import heads
from headway.heads import (
    BinaryClassHead,
    LogisticRegressionHead,
    MultiHead,
    MultiLabelHead,
    PoissonRegressionHead,
    RegressionHead,
    SequentialHeadWrapper,
    readable_error,
)

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "heads"
_spec = importlib.util.spec_from_file_location("wrong_input", _GOLDEN / "wrong_input.py")
assert _spec is not None
assert _spec.loader is not None
wrong_input = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wrong_input)
_MESSAGES = json.loads((_GOLDEN / "generated.json").read_text("utf-8"))["messages"]
_ERRORS = {"ValueError": ValueError, "TypeError": TypeError}

# What is wrong comes first; what was received and what to do are told in other words.
_REST = re.compile(r"(\.| Given| Instead|, got|, given)(\W|$)")


@pytest.mark.parametrize("name", _MESSAGES)
def test_messages_begin_as_those_of_tf_estimator(name: str) -> None:
    kind, message = _MESSAGES[name]
    with pytest.raises(_ERRORS[kind]) as caught:
        wrong_input.WRONG[name](tf, heads)
    assert _REST.split(message)[0] in str(caught.value).replace("'none'", "none")


def test_every_wrong_input_has_a_message() -> None:
    assert set(_MESSAGES) == set(wrong_input.WRONG)


def _one(name: str | None) -> heads.Head:
    return BinaryClassHead(name=name)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MultiLabelHead(2.5), ValueError, "`n_classes` must be an integer. Received: 2.5"),
        (lambda: MultiLabelHead(1), ValueError, "For a single class use BinaryClassHead"),
        (lambda: MultiLabelHead(3, thresholds=[0.0]), ValueError, r"thresholds not in \(0, 1\): \(0.0,\)"),
        (
            lambda: MultiLabelHead(3, label_vocabulary=["a"]),
            ValueError,
            r"len\(label_vocabulary\)=1, n_classes=3",
        ),
        (
            lambda: MultiLabelHead(2, label_vocabulary=["a", "b"], classes_for_class_based_metrics=["c"]),
            ValueError,
            r"must be in label_vocabulary \['a', 'b'\]. Given: 'c'",
        ),
        (
            lambda: MultiLabelHead(2, classes_for_class_based_metrics=1),
            ValueError,
            "must be a list of class ids or names. Received: 1",
        ),
        (
            lambda: MultiLabelHead(2, classes_for_class_based_metrics="a"),
            ValueError,
            "must be a list of class ids or names. Received: 'a'",
        ),
        (
            lambda: MultiLabelHead(2, label_vocabulary=["a", "b"], classes_for_class_based_metrics=["b", 1]),
            ValueError,
            r"each class once. Received more than once: \[1\]",
        ),
        (lambda: MultiHead(_one("a")), TypeError, "`heads` must be a list or tuple of heads"),
        (lambda: MultiHead([_one("a"), "b"]), TypeError, "must be heads of headway.heads. Received: 'b' of type str"),
        (lambda: MultiHead([_one("a"), _one("a")]), ValueError, "different names. Received twice: 'a'"),
        (
            lambda: MultiHead([_one("a")], head_weights=[float("nan")]),
            ValueError,
            "finite number or a scalar tensor. Received: nan",
        ),
        (lambda: MultiHead([_one("a")], head_weights=["1"]), ValueError, "finite number.*Received: '1'"),
        (lambda: MultiHead([_one("a")], head_weights={"a": 1}), ValueError, "list of one number for each head"),
        (
            lambda: SequentialHeadWrapper("head"),
            TypeError,
            "`static_head` must be a head of headway.heads. Received: 'head' of type str",
        ),
    ],
)
def test_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


_LABELS, _NAMES = MultiLabelHead(3), MultiLabelHead(3, label_vocabulary=["a", "b", "c"])
_MULTI = MultiHead([BinaryClassHead(name="a"), RegressionHead(name="b")])
_SEQUENCE = SequentialHeadWrapper(MultiLabelHead(3), "mask")
_MASK = {"mask": tf.constant([[True, False], [True, True]])}


@pytest.mark.parametrize(
    ("head", "labels", "features", "message"),
    [
        (_LABELS, [["a", "b", "c"]] * 2, {}, "Labels are strings, but the head has no label_vocabulary"),
        (_LABELS, tf.ragged.constant([["a"], []]), {}, "Labels are strings, but the head has no label_vocabulary"),
        (_LABELS, [[1], [2]], {}, r"Expected labels dimension=3. Received 1.*class ids as a SparseTensor or RaggedTen"),
        (_LABELS, tf.ragged.constant([[1], [], [2]]), {}, r"labels shape must be .*labels_shape: \(3, 3\)"),
        (_LABELS, tf.ragged.constant([[1.0], []]), {}, "dtype should be integer. Instead got float32.*or names"),
        (_LABELS, {"a": [1]}, {}, r"labels must be one Tensor, not a dict.*\['a'\]"),
        (_MULTI, [1, 0], {}, r"labels must be a dict. Given: list.*by its name: \['a', 'b'\]"),
        (_MULTI, None, {}, "You must provide a labels Tensor. Given: None"),
        (_MULTI, {"a": [1, 0], "B": [1.0, 0.0]}, {}, r"missing values for head\(s\): \['b'\]. .* for: \['B', 'a'\]"),
        (_SEQUENCE, None, _MASK, "You must provide a labels Tensor. Given: None"),
        (_SEQUENCE, {"a": [1]}, _MASK, r"labels must be one Tensor, not a dict. Received the keys \['a'\]"),
        (_SEQUENCE, tf.zeros([2, 2, 3]), None, r"key `mask` should be included in the features.*Found keys: \[\]"),
        (_SEQUENCE, tf.zeros([2, 3, 3]), _MASK, r"the labels have shape \(2, 3, 3\), the mask \(2, 2\)"),
        (_SEQUENCE, tf.zeros([3, 2, 3]), _MASK, r"the labels have shape \(3, 2, 3\), the mask \(2, 2\)"),
        (
            _SEQUENCE,
            tf.ragged.constant([[[1], []], [[1]]], dtype=tf.int64),
            _MASK,
            "Only the second dimension of ragged labels may be ragged",
        ),
    ],
)
@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_batches(head: Any, labels: Any, features: Any, message: str, wrap: Any) -> None:
    logits = tf.zeros([2, 2, 3] if head is _SEQUENCE else [2, head.logits_dimension])
    for step in (
        lambda: head.loss(labels, logits, features),
        lambda: head.update_metrics(METRICS[head], features, logits, labels),
    ):
        with pytest.raises(ValueError, match=message):
            wrap(step)()


METRICS = {head: head.metrics() for head in (_LABELS, _MULTI, _SEQUENCE)}


@pytest.mark.parametrize(
    ("head", "labels", "message"),
    [
        (_LABELS, [[0, 1, 2]], r"indicator Tensor with values in \[0, 1\]. .* received: 0 2"),
        (_LABELS, tf.ragged.constant([[0, 3]]), r"SparseTensor with values in \[0, 3\). .* received: 0 3"),
        (_NAMES, tf.ragged.constant([["a", "d"]]), r"one of the label_vocabulary \['a', 'b', 'c'\].* not: .?d"),
        (PoissonRegressionHead(), [[-0.5]], r"Labels must be >= 0: they are counts. .* received: -0.5"),
        (
            PoissonRegressionHead(),
            [[np.nan]],
            r"Labels must be finite, .* First such row of the batch, counted from 0: \[?0\b",
        ),
        (LogisticRegressionHead(), [[1.5]], r"Labels must be in range \[0, 1\]. .* received: 1.5 1.5"),
        (
            MultiHead([BinaryClassHead(name="a")]),
            {"a": tf.constant([[2]])},
            "Labels must be >= 0 and Labels must be <= n_classes - 1 = 1",
        ),
    ],
)
def test_labels_outside_the_range_stop_the_step(head: Any, labels: Any, message: str) -> None:
    logits = tf.zeros([1, head.logits_dimension])
    labels = tf.constant(labels) if isinstance(labels, list) else labels
    with pytest.raises(ValueError, match=message):
        head.loss(labels, logits)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.function(head.loss)(labels, logits)
    assert re.search(message, readable_error(caught.value) or "")


@pytest.mark.parametrize(
    "labels", [tf.constant([[1, 1, 0]]), tf.ragged.constant([[1]]), tf.sparse.from_dense([[1, 0, 0]])]
)
def test_steps_known_only_in_the_running_step(labels: Any) -> None:
    head = SequentialHeadWrapper(BinaryClassHead(), "mask")
    spec = tf.type_spec_from_value(labels)
    if isinstance(spec, tf.TensorSpec):
        spec = tf.TensorSpec([None, None], spec.dtype)

    @tf.function(input_signature=[spec, tf.TensorSpec([None, None], tf.bool)])
    def step(labels: Any, mask: tf.Tensor) -> tf.Tensor:
        return head.loss(labels, tf.zeros([1, 2, 1]), {"mask": mask})

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        step(labels, tf.constant([[True, True]]))
    assert re.search("Tensor shape is incompatible with provided mask.* labels", readable_error(caught.value) or "")


def test_rows_of_labels_must_have_as_many_steps_as_their_mask() -> None:
    head = SequentialHeadWrapper(BinaryClassHead(), "mask")
    # Three steps and three labels, but of the wrong rows.
    with pytest.raises(ValueError, match=r"each row of the labels, and of steps in the mask: \[2 1\] \[1 2\]"):
        head.loss(tf.ragged.constant([[1, 0], [1]]), tf.zeros([2, 2, 1]), _MASK)


def test_prediction_keys_of_several_heads() -> None:
    for keys in (["logits"], [("c", "logits")], [("a", "logits", "x")]):
        with pytest.raises(ValueError, match=r"must be a pair \(head name, prediction key\).*\['a', 'b'\]"):
            _MULTI.predictions(tf.zeros([2, 2]), keys)
    with pytest.raises(ValueError, match="Prediction key must be in PredictionKeys, given: foo"):
        _MULTI.predictions(tf.zeros([2, 2]), [("a", "foo")])


def test_metrics_of_other_heads() -> None:
    labels = {"a": [1], "b": [1.0]}
    with pytest.raises(ValueError, match="must be what `metrics"):
        _MULTI.update_metrics({}, {}, tf.zeros([1, 2]), labels)
    own = {key: metric for key, metric in _MULTI.metrics().items() if not key.startswith("loss/")}
    with pytest.raises(ValueError, match=r"must be what `metrics\(\)` of this head returned, with 'loss/a' in it"):
        _MULTI.update_metrics(own, {}, tf.zeros([1, 2]), labels)


def test_heads_that_report_under_one_key() -> None:
    class Nameless(RegressionHead):
        def metrics(self, regularization_losses: Any = None) -> Any:
            return {"error": keras.metrics.Mean()}

    head = MultiHead([Nameless(name="a"), Nameless(name="b")])
    with pytest.raises(ValueError, match=r"head 'b' reports \['error'\], which another.*such as 'error/b'"):
        head.metrics()


def test_the_mask_is_needed_to_predict() -> None:
    head = SequentialHeadWrapper(BinaryClassHead(), "mask")
    with pytest.raises(ValueError, match=r"key `mask` should be included.*Found keys: \['x'\]"):
        head.create_estimator_spec({"x": tf.zeros([2])}, "infer", tf.zeros([2, 2, 1]))
