"""Lists of items: from rows or padded rows to lists, and the metrics of a ranking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.heads import _checks

PADDING = -1.0
"""The label of what is no item."""


def dense_labels(labels: tf.RaggedTensor, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns ragged labels padded to the shape of the scores, and whether they fit in.

    Args:
      labels: numbers of shape `[lists, None]`.
      scores: float32, shape `[lists, list_size]`.

    Returns:
      Float32 labels of the shape of the scores, and a bool scalar: if it is not true, labels were cut off.
    """
    shape = tf.shape(scores, labels.row_splits.dtype)
    same = tf.equal(labels.nrows(), shape[0]) & (labels.bounding_shape(axis=1) <= shape[1])
    # Has the right shape even if they do not fit, so that the check speaks and not an op behind it.
    dense = tf.cast(labels, tf.float32).to_tensor(default_value=PADDING, shape=shape)
    return tf.ensure_shape(dense, scores.shape), same


def query_ids(features: Any, query_column: str, logits: tf.Tensor) -> tf.Tensor:
    """Returns the query of each row, shape `[rows]`.

    Raises:
      ValueError: if the ids are missing, neither integers nor strings, or known to be of another number than the rows.
    """
    if not isinstance(features, Mapping) or query_column not in features:
        there = sorted(map(str, features)) if isinstance(features, Mapping) else type(features).__name__
        raise ValueError(
            f"Feature {query_column} is not in features dictionary: the head reads the query of each row from it "
            f"(`query_column`). Features that are there: {there}."
        )
    ids = features[query_column]
    if isinstance(ids, (tf.SparseTensor, tf.RaggedTensor)):
        raise ValueError(f"The query column {query_column!r} must be a dense Tensor. Received: {type(ids).__name__}.")
    ids = tf.convert_to_tensor(ids)
    if not (ids.dtype.is_integer or ids.dtype == tf.string):
        raise ValueError(
            f"The query column {query_column!r} must hold integers or strings. Received dtype: {ids.dtype.name}."
        )
    rows = logits.shape[0]
    if not (ids.shape.is_compatible_with([rows]) or ids.shape.is_compatible_with([rows, 1])):
        raise ValueError(
            f"The query column {query_column!r} must hold one id per row, shape [{rows}] or [{rows}, 1]. Received "
            f"shape: {ids.shape}."
        )
    ids, count = tf.reshape(ids, [-1]), tf.shape(logits)[0]
    if ids.shape[0] is not None and ids.shape[0] == rows:
        return ids
    sizes = [tf.size(ids), count]
    message = f"The query column {query_column!r} must hold one id per row. Number of ids and of rows: "
    return _checks.stop_unless(tf.equal(*sizes), message, sizes, then=ids)


def grouped(
    ids: tf.Tensor, scores: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Returns the rows of each query as one list.

    Args:
      ids: the query of each row, shape `[rows]`.
      scores: float32, shape `[rows]`.
      labels: float32, shape `[rows]`.
      weights: float32, shape `[rows]`, or None.

    Returns:
      Scores and padded labels of shape `[lists, size of the longest list]`, and the mean weight of each list, shape
      `[lists, 1]`.
    """
    _, group, sizes = tf.unique_with_counts(ids)
    order = tf.argsort(group, stable=True)
    starts = tf.cumsum(sizes, exclusive=True)
    group = tf.gather(group, order)
    place = tf.stack([group, tf.range(tf.size(group)) - tf.gather(starts, group)], axis=1)
    # At least 1, so that a batch without rows has no lists, and not lists of a size that is undefined.
    shape = tf.stack([tf.size(sizes), tf.reduce_max(tf.concat([sizes, [1]], axis=0))])
    padded_scores = tf.scatter_nd(place, tf.gather(scores, order), shape)
    padded_labels = tf.tensor_scatter_nd_update(tf.fill(shape, PADDING), place, tf.gather(labels, order))
    if weights is not None:
        weights = tf.math.segment_mean(tf.gather(weights, order), group)[:, tf.newaxis]
    return padded_scores, padded_labels, weights


def _ranks(scores: tf.Tensor, present: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns for each item how many of its list have a higher score, and how many the same one, itself among them."""
    falling = tf.where(present, -scores, tf.fill(tf.shape(scores), math.inf))
    in_order = tf.sort(falling, axis=-1)
    higher = tf.searchsorted(in_order, falling, side="left")
    return higher, tf.searchsorted(in_order, falling, side="right") - higher


def ndcg(scores: tf.Tensor, labels: tf.Tensor, cutoffs: Sequence[int | None]) -> tf.Tensor:
    """Returns the normalized discounted cumulative gain of each list, 0 for a list without a relevant item.

    The gain of an item is `2**label - 1`, the discount at rank r `1 / log2(1 + r)`: Burges et al. 2005,
    https://doi.org/10.1145/1102351.1102363. Items with the same score share the discounts of their ranks, which is the
    mean over their orders: McSherry and Najork 2008, https://doi.org/10.1007/978-3-540-78646-7_38.

    Args:
      scores: float32, shape `[lists, list_size]`.
      labels: float32, the same shape; negative for padding.
      cutoffs: ranks after which nothing counts; None for all ranks.

    Returns:
      Float64, shape `[lists, number of cutoffs]`.

    >>> ndcg(tf.constant([[3.0, 2.0, 1.0]]), tf.constant([[1.0, 0.0, 2.0]]), [1]).numpy().round(4)  # (2 - 1) / (4 - 1)
    array([[0.3333]])
    """
    present = labels >= 0
    gains = tf.where(present, tf.pow(tf.constant(2.0, tf.float64), tf.cast(labels, tf.float64)) - 1.0, 0.0)
    ideal_gains = tf.sort(gains, axis=-1, direction="DESCENDING")
    higher, ties = _ranks(scores, present)
    ranks = tf.range(1, tf.shape(scores)[-1] + 1)
    discounts = tf.math.log(tf.constant(2.0, tf.float64)) / tf.math.log1p(tf.cast(ranks, tf.float64))
    values = []
    for cutoff in cutoffs:
        counted = discounts if cutoff is None else tf.where(ranks <= cutoff, discounts, 0.0)
        up_to = tf.concat([[0.0], tf.cumsum(counted)], axis=0)
        shared = (tf.gather(up_to, higher + ties) - tf.gather(up_to, higher)) / tf.cast(tf.maximum(ties, 1), tf.float64)
        found, ideal = tf.reduce_sum(gains * shared, axis=-1), tf.reduce_sum(ideal_gains * counted, axis=-1)
        values.append(tf.math.divide_no_nan(found, ideal))
    return tf.stack(values, axis=-1)


def reciprocal_rank(scores: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns one over the rank of the first relevant item (label above 0) of each list; 0 without a relevant item.

    Where that item has the score of others, this is the mean over the orders of these.

    Args:
      scores: float32, shape `[lists, list_size]`.
      labels: float32, the same shape; negative for padding.

    Returns:
      Float64, shape `[lists]`.

    >>> reciprocal_rank(tf.constant([[3.0, 2.0, 1.0]]), tf.constant([[0.0, 1.0, 2.0]])).numpy()
    array([0.5])
    """
    present, relevant = labels >= 0, labels > 0
    best = tf.reduce_max(tf.where(relevant, scores, tf.fill(tf.shape(scores), -math.inf)), axis=-1, keepdims=True)
    tied = present & tf.equal(scores, best)
    higher, ties, hits = (
        tf.math.count_nonzero(items, axis=-1, keepdims=True, dtype=tf.float64)
        for items in (present & (scores > best), tied, tied & relevant)
    )
    # Of t items in any order, r of them relevant, the first relevant one is at place j in C(t - j, r - 1) of C(t, r).
    place = tf.cast(tf.range(1, tf.shape(scores)[-1] + 1), tf.float64)[tf.newaxis]
    possible = (place <= ties - hits + 1.0) & (hits > 0)
    log_share = _log_choose(tf.maximum(ties - place, 0.0), tf.maximum(hits - 1.0, 0.0)) - _log_choose(ties, hits)
    terms = tf.where(possible, tf.exp(log_share) / (higher + place), tf.zeros_like(log_share))
    return tf.reduce_sum(terms, axis=-1)


def _log_choose(n: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of the binomial coefficient; any number where `k` is above `n`."""
    return tf.math.lgamma(n + 1.0) - tf.math.lgamma(k + 1.0) - tf.math.lgamma(tf.maximum(n - k, 0.0) + 1.0)
