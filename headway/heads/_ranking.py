"""The head for ranking the items of a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from headway import _context
from headway.heads import _checks, _ranked_lists
from headway.heads._accumulator import Formula, Sums, ratio
from headway.heads._elementwise import Batch, ElementwiseHead, flat
from headway.heads._extra_metrics import Given, MetricBatch
from headway.heads._keys import MetricKeys, PredictionKeys
from headway.heads.losses import listwise_softmax

_OWN_LOSS = listwise_softmax()


class RankingHead(ElementwiseHead):
    """The head for ranking: one score per item, a loss per list of items.

    Lists come in one of two forms:

    - Padded: scores of shape `[batch_size, list_size, 1]` or `[batch_size, list_size]`; labels `[batch_size,
      list_size]`, or a ragged tensor with at most list_size labels in a row; weights `[batch_size]` or `[batch_size,
      1]`.
    - Flat, with a `query_column`: one row per item, scores of shape `[rows, 1]`, labels and weights `[rows]` or
      `[rows, 1]`, and a feature that says which query a row belongs to. All rows of a query must be in one batch, in
      any order. A list's weight is the mean of its rows' weights.

    Labels are grades of relevance: 0 for an item that is not relevant, more for one that is. A negative label is
    padding: no item. A list without items counts for nothing. A list without a relevant item has loss 0 and metrics 0,
    and is counted, as in TensorFlow Ranking.

    Predictions: `predictions` (float32, the scores as they came).

    Metrics, each a mean over lists, by their weights: `average_loss`, `mrr` (one over the rank of the first item with a
    label above 0), `ndcg`, and for each k `ndcg@<k>` (gain `2**label - 1`, discount `1 / log2(1 + rank)`). Items with
    the same score count as in the mean over their orders.

    Args:
      query_column: name of the feature with the query of each row, integers or strings; None for padded lists.
      weight_column: name of the feature that holds the weights of the lists, or a numeric column; None for equal
        weights.
      ndcg_at: ranks k after which items do not count in `ndcg@<k>`.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over the number of lists) or `"sum"`.
      loss_fn: `headway.heads.losses.listwise_softmax()` (the default), `pairwise_logistic()`, or a function of `labels,
        logits` and perhaps `features, loss_reduction` that returns a loss for each list, shape `[lists, 1]`. It gets
        float labels (negative: padding) and scores, both of shape `[lists, list_size]`.
      name: what the metric keys end in (`mrr/<name>`).
      metrics: further metrics, a list or a dict by key; see "Metrics of your own" in docs/heads.md. Functions get
        lists: padded labels and scores of shape `[lists, list_size]` and weights of shape `[lists, 1]`. Keras metrics
        get items: labels and scores of shape `[items, 1]`, and weights of shape `[items]`, which are 0 for padding.

    Raises:
      ValueError: if the column names or `ndcg_at` are not as above, the reduction is none, `loss_fn` takes other
        arguments, or `metrics` holds what is no metric.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import RankingHead
    >>> head = RankingHead(ndcg_at=[1])
    >>> scores = tf.constant([[0.3, 0.2, 0.1], [0.0, 0.0, 0.0]])
    >>> labels = tf.constant([[0.0, 1.0, 0.0], [1.0, 0.0, -1.0]])
    >>> metrics = head.update_metrics(head.metrics(), None, scores, labels)
    >>> float(metrics["mrr"].result())  # rank 2; then rank 1 or 2, as the two items have the same score
    0.625
    >>> float(metrics["ndcg@1"].result())  # (0 + (1 + 0) / 2) / 2
    0.25
    """

    def __init__(
        self,
        query_column: str | None = None,
        weight_column: Any = None,
        ndcg_at: Sequence[int] = (5, 10),
        loss_reduction: str = "sum_over_batch_size",
        loss_fn: Callable[..., tf.Tensor] | None = None,
        name: str | None = None,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(weight_column=weight_column, loss_reduction=loss_reduction, loss_fn=loss_fn, name=name)
        self._query_column = _checked_query_column(query_column)
        self._ndcg_at = _checked_ranks(ndcg_at)
        self._add_metrics(metrics, weighted=True)

    @property
    def logits_dimension(self) -> int:
        """Always 1: the score of an item."""
        return 1

    @property
    def _losses_dimension(self) -> int:
        return 1

    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[str, tf.Tensor]:
        """Returns predictions by key; see `Head` and the class.

        Raises:
          ValueError: if a key is unknown, or the logits have another shape.
        """
        made = {PredictionKeys.PREDICTIONS: self._checked_scores(logits)}
        return {key: made[key] for key in _checks.checked_keys(keys, tuple(made))}

    def _checked_scores(self, logits: Any) -> tf.Tensor:
        """Returns the logits as float32, in a shape that fits the form of the lists."""
        logits = tf.cast(tf.convert_to_tensor(logits), tf.float32)
        if self._query_column is not None:
            if logits.shape.rank not in (None, 2):
                raise ValueError(
                    f"With a `query_column`, logits shape must be [rows, 1]. Received: {logits.shape}. Leave the "
                    "query_column out if each row is a list."
                )
            return _checks.checked_logits(logits, 1)
        if logits.shape.rank == 3:
            return _checks.checked_logits(logits, 1)
        if logits.shape.rank != 2:
            raise ValueError(
                f"logits shape must be [batch_size, list_size, 1] or [batch_size, list_size]. Received: {logits.shape}."
                " With one row per item, pass `query_column`."
            )
        return logits

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        if isinstance(labels, tf.RaggedTensor) and self._query_column is None:
            return self._padded_labels(labels, logits)
        labels = tf.convert_to_tensor(labels) if isinstance(labels, (list, tuple)) else labels
        if self._query_column is None and tf.TensorShape(getattr(labels, "shape", None)).rank == 1:
            raise ValueError(
                f"labels shape must be [batch_size, list_size]. Received: {tuple(labels.shape)}. With one row per "
                "item, pass `query_column`, the feature that says which query a row belongs to."
            )
        return _checks.checked_numbers(_checks.checked_labels(labels, logits, 1))

    def _padded_labels(self, labels: tf.RaggedTensor, logits: tf.Tensor) -> tf.Tensor:
        if labels.ragged_rank != 1 or labels.shape.rank != 2:
            raise ValueError(f"Ragged labels must have shape [batch_size, None]. Received: {labels.shape}.")
        _checks.checked_numbers(labels.flat_values)
        dense, fit = _ranked_lists.dense_labels(labels, tf.squeeze(logits, -1))
        sizes = [labels.nrows(), labels.bounding_shape(axis=1), tf.shape(logits)]
        message = "There are more labels than scores: number and largest size of the lists of labels, shape of logits: "
        return _checks.stop_unless(fit, message, sizes, then=tf.expand_dims(dense, -1))

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return _OWN_LOSS(labels, logits)

    def _batch(self, features: Any, logits: tf.Tensor, labels: Any) -> Batch:
        logits = self._checked_scores(logits)
        if self._query_column is None:
            logits = tf.expand_dims(logits, -1) if logits.shape.rank == 2 else logits
            labels = tf.squeeze(self._checked_labels(labels, logits), -1)
            scores = tf.squeeze(logits, -1)
            weights = _checks.weights_of(features, self._weight_column, scores)
        else:
            context = _context.current()
            if context is not None and context.compiled:
                raise ValueError(
                    "A RankingHead with a `query_column` cannot be compiled by XLA: the number of queries in a batch "
                    "is not known before. Let input_fn return padded lists, or do not compile."
                )
            ids = _ranked_lists.query_ids(features, self._query_column, logits)
            labels = self._checked_labels(labels, logits)
            weights = _checks.weights_of(features, self._weight_column, logits)
            rows = [None if values is None else tf.squeeze(values, -1) for values in (logits, labels, weights)]
            scores, labels, weights = _ranked_lists.grouped(ids, *rows)
        present = tf.reduce_any(labels >= 0, axis=-1, keepdims=True)
        losses = self._element_losses(labels, scores, features)
        losses = tf.where(present, losses, tf.zeros_like(losses))
        counted = tf.cast(present, tf.float32)
        weights = counted if weights is None else counted * weights
        return Batch(scores, labels, losses, weights, weights, present=present, features=features)

    def _metric_batch(self, batch: Batch) -> MetricBatch:
        return MetricBatch(batch.labels, batch.logits, batch.weights)

    def _keras_metric_batch(self, batch: Batch) -> MetricBatch:
        assert batch.weights is not None
        items = batch.labels >= 0
        labels = tf.where(items, batch.labels, tf.zeros_like(batch.labels))
        weights = batch.weights * tf.cast(items, tf.float32)
        return MetricBatch(*(tf.reshape(values, [-1, 1]) for values in (labels, batch.logits, weights)))

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (), "loss": (), "mrr": (), "ndcg": (1 + len(self._ndcg_at),)}

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        weights = batch.flat_weights()
        ndcg = _ranked_lists.ndcg(batch.logits, batch.labels, [None, *self._ndcg_at])
        return {
            "weight": tf.reduce_sum(weights),
            "loss": tf.reduce_sum(weights * flat(batch.losses)),
            "mrr": tf.reduce_sum(weights * _ranked_lists.reciprocal_rank(batch.logits, batch.labels)),
            "ndcg": tf.reduce_sum(weights[:, tf.newaxis] * ndcg, axis=0),
        }

    def _formulas(self) -> dict[str, Formula]:
        keys = [MetricKeys.NDCG, *(MetricKeys.NDCG_AT_K % k for k in self._ndcg_at)]
        return {
            MetricKeys.AVERAGE_LOSS: ratio("loss", "weight"),
            MetricKeys.MRR: ratio("mrr", "weight"),
            **{key: _mean_ndcg(index) for index, key in enumerate(keys)},
        }


def _mean_ndcg(index: int) -> Formula:
    def mean(sums: Sums) -> tf.Tensor:
        return tf.math.divide_no_nan(sums["ndcg"][index], sums["weight"])

    return mean


def _checked_query_column(query_column: Any) -> str | None:
    if query_column is not None and (not isinstance(query_column, str) or not query_column):
        raise ValueError(f"`query_column` must be None or the name of a feature. Received: {query_column!r}.")
    return query_column


def _checked_ranks(ndcg_at: Any) -> tuple[int, ...]:
    valid = isinstance(ndcg_at, (list, tuple)) and all(
        hasattr(k, "__index__") and not isinstance(k, bool) and k >= 1 for k in ndcg_at
    )
    if not valid or len(set(ndcg_at)) < len(ndcg_at):
        raise ValueError(f"`ndcg_at` must be a list of different integers >= 1. Received: {ndcg_at!r}.")
    return tuple(int(k) for k in ndcg_at)
