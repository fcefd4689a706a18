"""RankingHead: losses and metrics against NumPy and scikit-learn, the forms of lists, and wrong input."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import ndcg_score, roc_auc_score

from headway import _context, input_pipelines
from headway import feature_columns as fc
from headway.estimators import LinearEstimator, RunConfig
from headway.heads import RankingHead, losses


def _lists(seed: int = 5, lists: int = 12, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and labels of which about a third are padding; each list has two items at least."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (lists, size)).astype(np.float32) / 2
    labels = rng.choice([0.0, 0.0, 1.0, 2.0, 3.0], (lists, size)).astype(np.float32)
    padding = rng.random((lists, size)) < 0.3
    padding[:, :2] = False
    return scores, np.where(padding, -1.0, labels).astype(np.float32)


def _results(head: RankingHead, *batches: tuple[Any, Any, Any]) -> dict[str, float]:
    metrics = head.metrics()
    for features, scores, labels in batches:
        head.update_metrics(metrics, features, scores, labels)
    return {key: float(metric.result()) for key, metric in metrics.items()}


def _ndcg(scores: np.ndarray, labels: np.ndarray, k: int | None) -> float:
    items = labels >= 0
    return float(ndcg_score([2.0 ** labels[items] - 1], [scores[items]], k=k))


def _reciprocal_rank(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean over all orders of the items that scores allow."""
    found = []
    items = np.flatnonzero(labels >= 0)
    for order in itertools.permutations(items):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            ranks = [rank for rank, item in enumerate(order, start=1) if labels[item] > 0]
            found.append(1 / ranks[0] if ranks else 0.0)
    return float(np.mean(found))


def test_metrics_are_means_over_lists() -> None:
    scores, labels = _lists()
    weights = np.random.default_rng(1).uniform(0, 2, len(scores)).astype(np.float32)
    found = _results(RankingHead(weight_column="w", ndcg_at=[1, 3, 100]), ({"w": weights}, scores, labels))
    pairs = list(zip(scores, labels, strict=True))
    for key, k in {"ndcg": None, "ndcg@1": 1, "ndcg@3": 3, "ndcg@100": 100}.items():
        expected = np.average([_ndcg(*pair, k) for pair in pairs], weights=weights)
        assert found[key] == pytest.approx(expected, rel=1e-6), key
    assert found["mrr"] == pytest.approx(np.average([_reciprocal_rank(*p) for p in pairs], weights=weights), rel=1e-6)


def test_reciprocal_rank_where_all_scores_are_the_same() -> None:
    # Of three items two are relevant: the first of them comes first in 2 of 3 orders, and second in 1 of 3.
    found = _results(RankingHead(), (None, [[0.5, 0.5, 0.5]], [[1, 0, 1]]))
    assert found["mrr"] == pytest.approx(2 / 3 + 1 / 3 / 2, rel=1e-6)


def test_listwise_softmax() -> None:
    scores, labels = _lists()
    expected = []
    for own_scores, own_labels in zip(scores, labels, strict=True):
        items = own_labels >= 0
        s, y = own_scores[items] / 0.5, own_labels[items]
        expected.append(-np.sum(y * (s - np.log(np.exp(s).sum()))) / max(y.sum(), 1))
    head = RankingHead(loss_fn=losses.listwise_softmax(temperature=0.5))
    assert float(head.loss(labels, scores)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_pairwise_logistic() -> None:
    scores, labels = _lists()
    expected = []
    for s, y in zip(scores, labels, strict=True):
        pairs = [(i, j) for i in range(6) for j in range(6) if y[i] > y[j] >= 0]
        of_pairs = [np.log1p(np.exp(-(s[i] - s[j]) / 2.0)) for i, j in pairs]
        expected.append(np.mean(of_pairs) if pairs else 0.0)
    head = RankingHead(loss_fn=losses.pairwise_logistic(temperature=2.0))
    assert float(head.loss(labels, scores)) == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("loss_fn", [None, losses.pairwise_logistic()], ids=["listwise", "pairwise"])
def test_padded_ragged_and_flat_lists_are_the_same(loss_fn: Any) -> None:
    scores, labels = _lists()
    weights = np.linspace(0.5, 2.0, len(scores)).astype(np.float32)
    ragged_scores = [s[y >= 0] for s, y in zip(scores, labels, strict=True)]
    ragged_labels = [y[y >= 0] for y in labels]
    sizes = [len(items) for items in ragged_labels]
    pushed = np.zeros_like(scores)  # the scores that stand behind ragged labels
    for row, items in enumerate(ragged_scores):
        pushed[row, : len(items)] = items
    shuffled = np.random.default_rng(0).permutation(sum(sizes))
    query = np.repeat([f"query {i}" for i in range(len(sizes))], sizes)[shuffled]
    flat = {"w": np.repeat(weights, sizes)[shuffled], "query": query}
    forms = {
        "padded": (None, {"w": weights}, scores, labels),
        "rank 3": (None, {"w": weights[:, np.newaxis]}, scores[..., np.newaxis], labels[..., np.newaxis].astype(int)),
        "ragged": (None, {"w": weights}, pushed, tf.ragged.constant(ragged_labels)),
        "flat": (
            "query",
            flat,
            np.concatenate(ragged_scores)[shuffled, np.newaxis],
            np.concatenate(ragged_labels)[shuffled],
        ),
    }
    found = {}
    for form, (column, features, own_scores, own_labels) in forms.items():
        head = RankingHead(column, "w", loss_fn=loss_fn)
        for run in (head.loss, tf.function(head.loss)):
            loss = float(run(own_labels, tf.constant(own_scores), tf.nest.map_structure(tf.constant, features)))
            found[form] = {"loss": loss, **_results(head, (features, own_scores, own_labels))}
            assert found[form] == pytest.approx(found["padded"], rel=1e-5), form


def test_lists_without_items_and_without_relevant_items() -> None:
    relevant, irrelevant, empty = [1.0, 0.0], [0.0, 0.0], [-1.0, -1.0]
    scores = tf.constant([[2.0, 1.0]] * 3)
    for loss_fn, one_loss in ((None, np.log1p(np.exp(-1.0))), (losses.pairwise_logistic(), np.log1p(np.exp(-1.0)))):
        head = RankingHead(loss_fn=loss_fn)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = head.loss([relevant, irrelevant, empty], scores)
        # The list without a relevant item loses 0 and is counted; the list without items is not.
        assert float(loss) == pytest.approx(one_loss / 2, rel=1e-6)
        np.testing.assert_array_equal(tape.gradient(loss, scores)[1:], np.zeros([2, 2]))
        found = _results(head, (None, scores, [relevant, irrelevant, empty]))
        assert found == pytest.approx({"average_loss": one_loss / 2, "mrr": 0.5, **dict.fromkeys(_NDCG, 0.5)}, rel=1e-6)
        assert set(_results(head, (None, scores[:1], [empty])).values()) == {0.0}
        assert float(head.loss([empty], scores[:1])) == 0.0


_NDCG = ["ndcg", "ndcg@5", "ndcg@10"]


@pytest.mark.parametrize("loss_fn", [None, losses.pairwise_logistic()], ids=["listwise", "pairwise"])
def test_scores_of_padding_do_not_matter(loss_fn: Any) -> None:
    head, labels = RankingHead(loss_fn=loss_fn), [[1.0, 0.0, -1.0]]
    expected = float(head.loss(labels, tf.constant([[1.0, 2.0, 0.0]])))
    for strange in (1e30, -1e30, np.inf):
        scores = tf.constant([[1.0, 2.0, strange]])
        assert float(head.loss(labels, scores)) == expected
        assert _results(head, (None, scores, labels)) == _results(head, (None, [[1.0, 2.0, 0.0]], labels))


def test_sizes_of_lists_that_are_not_known_before() -> None:
    scores, labels = _lists()
    head = RankingHead(weight_column="w")
    spec = tf.TensorSpec([None, None], tf.float32)
    step = tf.function(
        lambda labels, scores, w: head.loss(labels, scores, {"w": w}), input_signature=[spec, spec, spec]
    )
    weights = np.ones([len(scores), 1], np.float32)
    assert float(step(labels, scores, weights)) == pytest.approx(
        float(head.loss(labels, scores, {"w": weights})), rel=1e-6
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels shape must be"):
        step(labels[:, :4], scores, weights)


def test_metrics_of_the_caller() -> None:
    def first_is_best(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.equal(tf.argmax(predictions, axis=1), tf.argmax(labels, axis=1)), tf.float32)

    scores, labels = [[0.9, 0.1, 0.5], [0.2, 0.7, 9.0]], [[1, 0, 0], [1, 0, -1]]
    head = RankingHead(weight_column="w", metrics=[keras.metrics.AUC(num_thresholds=2000), first_is_best])
    found = _results(head, ({"w": [1.0, 3.0]}, scores, labels))
    # The first list is right; in the second one, padding has the best score.
    assert found["first_is_best"] == 0.25
    of_items = roc_auc_score([1, 0, 0, 1, 0], [0.9, 0.1, 0.5, 0.2, 0.7], sample_weight=[1, 1, 1, 3, 3])
    assert found["auc"] == pytest.approx(of_items, abs=1e-3)


def test_predictions_are_the_scores() -> None:
    for head, logits in ((RankingHead(), tf.ones([2, 3])), (RankingHead(), tf.ones([2, 3, 1], tf.float16))):
        found = head.predictions(logits)
        assert list(found) == ["predictions"]
        assert found["predictions"].dtype == tf.float32
        np.testing.assert_array_equal(found["predictions"], tf.cast(logits, tf.float32))
    spec = RankingHead("query").create_estimator_spec(None, "infer", tf.ones([3, 1]))
    assert sorted(spec.export_outputs) == ["predict", "serving_default"]


def test_a_linear_model_learns_to_rank(tmp_path: pathlib.Path, mirrored: tf.distribute.Strategy) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 5)).astype(np.float32)  # 40 queries with 5 items each
    relevance = (np.argsort(np.argsort(x, axis=1), axis=1) == 4).astype(np.int64)
    rows = {"x": x.ravel(), "query": np.repeat(np.arange(40), 5)}

    def source(queries: int, epochs: int | None) -> Any:
        return input_pipelines.from_arrays(rows, relevance.ravel(), batch_size=5 * queries, num_epochs=epochs)

    def model(strategy: Any = None) -> LinearEstimator:
        config = RunConfig(progress="none", train_distribute=strategy)
        return LinearEstimator(
            RankingHead("query"),
            [fc.numeric_column("x")],
            str(tmp_path),
            optimizer=keras.optimizers.SGD(0.5),
            config=config,
        )

    first = model().train(source(8, None), steps=40).evaluate(source(8, 1))
    assert first["mrr"] == first["ndcg@5"] == 1.0
    for queries, strategy in ((40, None), (3, None), (8, mirrored), (1, mirrored)):
        again = model(strategy).evaluate(source(queries, 1))
        for key in ("average_loss", "mrr", "ndcg"):
            assert again[key] == pytest.approx(first[key], rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RankingHead(query_column=""), "`query_column` must be None or the name of a feature. Received: ''"),
        (lambda: RankingHead(query_column=3), "`query_column` must be .*Received: 3"),
        (lambda: RankingHead(ndcg_at=5), "`ndcg_at` must be a list of different integers >= 1. Received: 5"),
        (lambda: RankingHead(ndcg_at=[0]), r"`ndcg_at` must be .*\[0\]"),
        (lambda: RankingHead(ndcg_at=[3, 3]), r"`ndcg_at` must be .*\[3, 3\]"),
        (
            lambda: RankingHead().loss([1, 0], tf.zeros([2, 1])),
            r"Received: \(2,\). With one row per item, pass `query_c",
        ),
        (
            lambda: RankingHead().loss([1, 0], tf.zeros([2])),
            r"logits shape must be \[batch_size, list_size, 1\].*\(2,\)",
        ),
        (lambda: RankingHead().loss([[1, 0]], tf.zeros([1, 2, 2])), "logits shape must be.*logits_dimension=1"),
        (lambda: RankingHead().loss([[1, 0, 0]], tf.zeros([1, 2])), "labels_shape: .1, 3, 1."),
        (lambda: RankingHead().loss([["a", "b"]], tf.zeros([1, 2])), "Labels dtype should be a number"),
        (lambda: RankingHead().loss(None, tf.zeros([1, 2])), "You must provide a labels Tensor"),
        (
            lambda: RankingHead().loss(tf.ragged.constant([[1, 0, 0], [1]]), tf.zeros([2, 2])),
            "There are more labels than scores.*: 2 3",
        ),
        (
            lambda: RankingHead().loss(tf.ragged.constant([[1, 0]] * 3), tf.zeros([2, 2])),
            "There are more labels than scores.*: 3 2",
        ),
        (
            lambda: RankingHead().loss(tf.ragged.constant([[[1], [0]]]), tf.zeros([2, 2])),
            r"Ragged labels must have shape \[batch_size, None\]",
        ),
        (
            lambda: RankingHead(weight_column="w").loss([[1, 0]], tf.zeros([1, 2]), {"w": [[1.0, 2.0]]}),
            "weights shape must be",
        ),
        (lambda: RankingHead("q").loss([1, 0], tf.zeros([2, 1]), {"x": [1]}), r"Feature q is not in .*\['x'\]"),
        (lambda: RankingHead("q").loss([1, 0], tf.zeros([2, 1])), "Feature q is not in .*NoneType"),
        (lambda: RankingHead("q").loss([1, 0], tf.zeros([2, 1]), {"q": [1.0, 2.0]}), "must hold integers or strings"),
        (
            lambda: RankingHead("q").loss([1, 0], tf.zeros([2, 1]), {"q": [1]}),
            r"one id per row, shape \[2\] or \[2, 1\]",
        ),
        (
            lambda: RankingHead("q").loss([1, 0], tf.zeros([2, 1]), {"q": tf.sparse.from_dense([1, 2])}),
            "must be a dense Tensor. Received: SparseTensor",
        ),
        (
            lambda: RankingHead("q").loss([1, 0], tf.zeros([2, 1, 1]), {"q": [1, 2]}),
            r"logits shape must be \[rows, 1\]",
        ),
    ],
)
def test_what_is_wrong(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_rows_of_queries_are_not_compiled() -> None:
    context = _context.StepContext(
        mode="train", global_step=tf.Variable(0, dtype=tf.int64), owns=lambda variable: True, compiled=True
    )
    with _context.entered(context), pytest.raises(ValueError, match="`query_column` cannot be compiled by XLA"):
        RankingHead("q").loss([1, 0], tf.zeros([2, 1]), {"q": [1, 1]})


def test_queries_and_rows_that_do_not_match_stop_the_step() -> None:
    spec = tf.TensorSpec([None], tf.int32)
    head = RankingHead("q")
    step = tf.function(
        lambda q, labels: head.loss(labels, tf.zeros([tf.size(labels), 1]), {"q": q}), input_signature=[spec, spec]
    )
    assert float(step([1, 1], [1, 0])) == pytest.approx(np.log(2), rel=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold one id per row"):
        step([1, 1, 1], [1, 0])
