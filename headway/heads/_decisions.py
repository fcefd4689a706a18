"""Yes or no for each element: weighted counts, from which accuracy, precision, recall and means follow."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import tensorflow as tf

from headway.heads._accumulator import Formula, Sums
from headway.heads._keys import MetricKeys

# The columns of the counts, sums over elements of the weight times ...
WEIGHT, LOSS, PREDICTION, LABEL, POSITIVE, EXACTLY_1, EXACTLY_0 = range(7)
COLUMNS = 7
# The first row of the counts: over all elements. Those behind it are over the elements that one rule decides positive.
ALL = 0


def checked_thresholds(thresholds: Iterable[float] | None) -> tuple[float, ...]:
    """Returns `thresholds` as a tuple.

    Raises:
      ValueError: if one is no number in (0, 1).
    """
    try:
        checked = tuple(float(threshold) for threshold in thresholds or ())
    except (TypeError, ValueError) as error:
        raise ValueError(f"`thresholds` must be a list of numbers in (0, 1). Received: {thresholds!r}.") from error
    if not all(0 < threshold < 1 for threshold in checked):
        raise ValueError(f"thresholds not in (0, 1): {checked}.")
    return checked


def counted(
    weights: tf.Tensor,
    losses: tf.Tensor,
    probabilities: tf.Tensor,
    labels: tf.Tensor,
    decided_positive: Sequence[tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the counts of a batch of N elements, and the weight of each element by its label.

    Args:
      weights: float64, shape `[N]`.
      losses: float64, shape `[N]`.
      probabilities: float32, shape `[N]`.
      labels: numbers in [0, 1], shape `[N]`. A label counts as positive if it is not 0.
      decided_positive: bool, shape `[N]`, for each rule of decision.

    Returns:
      Float64 of shape `[1 + number of rules, 7]`, and float64 of shape `[N, 2]`: the weight if the label is positive,
      and if not.
    """
    labelled = tf.cast(
        tf.stack([tf.not_equal(labels, 0), tf.equal(labels, 1), tf.equal(labels, 0)], axis=1), tf.float64
    )
    values = tf.stack([losses, tf.cast(probabilities, tf.float64), tf.cast(labels, tf.float64)], axis=1)
    # Columns as numbered above. Not a number in the losses or predictions stays in its own column.
    weighted = weights[:, tf.newaxis] * tf.concat([tf.ones_like(labelled[:, :1]), values, labelled], axis=1)
    rows = tf.stack([tf.ones_like(probabilities, tf.bool), *decided_positive])
    positive = weighted[:, POSITIVE]
    return tf.matmul(tf.cast(rows, tf.float64), weighted), tf.stack([positive, weights - positive], axis=1)


def mean(column: int) -> Formula:
    """Returns the formula of the weighted mean of what `column` counts, over all elements."""

    def formula(sums: Sums) -> tf.Tensor:
        counts = sums["counts"][ALL]
        return tf.math.divide_no_nan(counts[column], counts[WEIGHT])

    return formula


def at_rule(row: int, keys: tuple[str, str, str]) -> dict[str, Formula]:
    """Returns accuracy, precision and recall of the rule that `row` of the counts is about, under three keys."""
    formulas = (_accuracy, _precision, _recall)
    return {key: functools.partial(formula, row=row) for key, formula in zip(keys, formulas, strict=True)}


def at_thresholds(thresholds: Sequence[float], first_row: int) -> dict[str, Formula]:
    """Returns accuracy, precision and recall at each threshold by key; the counts of the first are in `first_row`."""
    keys = (
        MetricKeys.ACCURACY_AT_THRESHOLD,
        MetricKeys.PRECISION_AT_THRESHOLD,
        MetricKeys.RECALL_AT_THRESHOLD,
    )
    formulas: dict[str, Formula] = {}
    for row, threshold in enumerate(thresholds, start=first_row):
        accuracy, precision, recall = (key % threshold for key in keys)
        formulas.update(at_rule(row, (accuracy, precision, recall)))
    return formulas


def _accuracy(sums: Sums, *, row: int) -> tf.Tensor:
    """A decision is right if the label equals it: a label between 0 and 1 is never met."""
    everything, positive = sums["counts"][ALL], sums["counts"][row]
    right = positive[EXACTLY_1] + everything[EXACTLY_0] - positive[EXACTLY_0]
    return tf.math.divide_no_nan(right, everything[WEIGHT])


def _precision(sums: Sums, *, row: int) -> tf.Tensor:
    """A label counts as positive if it is not 0."""
    positive = sums["counts"][row]
    return tf.math.divide_no_nan(positive[POSITIVE], positive[WEIGHT])


def _recall(sums: Sums, *, row: int) -> tf.Tensor:
    counts = sums["counts"]
    return tf.math.divide_no_nan(counts[row, POSITIVE], counts[ALL, POSITIVE])
