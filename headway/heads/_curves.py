"""Areas under curves, from a histogram of the predictions: how much weight fell between two thresholds, by label."""

from __future__ import annotations

import tensorflow as tf

THRESHOLDS = 200
"""Number of thresholds: one below 0, one above 1, and 198 in even steps between them."""


def histogram(predictions: tf.Tensor, positive_and_negative: tf.Tensor) -> tf.Tensor:
    """Returns the weight of the examples above each threshold and not above the next, by label.

    The thresholds are i / 199 for i = 0 to 199; the first is lowered and the last raised, so that every prediction lies
    between them. Predictions are compared in float32, as Keras does, so that the same ones lie on a threshold.

    Args:
      predictions: float32 probabilities, shape `[N]`.
      positive_and_negative: float64, shape `[N, 2]`: each example's weight if its label is positive, and if not.

    Returns:
      Float64, shape `[200, 2]`.
    """
    return tf.math.unsorted_segment_sum(positive_and_negative, _bucket(predictions), THRESHOLDS)


def histograms(predictions: tf.Tensor, positive_and_negative: tf.Tensor) -> tf.Tensor:
    """Returns a histogram for each of C columns.

    Args:
      predictions: float32 probabilities, shape `[N, C]`.
      positive_and_negative: float64, shape `[N, C, 2]`.

    Returns:
      Float64, shape `[C, 200, 2]`.
    """
    columns = predictions.shape[1]
    bucket = _bucket(predictions) + THRESHOLDS * tf.range(columns)
    sums = tf.math.unsorted_segment_sum(positive_and_negative, bucket, THRESHOLDS * columns)
    return tf.reshape(sums, [columns, THRESHOLDS, 2])


def _bucket(predictions: tf.Tensor) -> tf.Tensor:
    clipped = tf.clip_by_value(predictions, 0.0, 1.0)
    return tf.cast(tf.nn.relu(tf.math.ceil(clipped * (THRESHOLDS - 1)) - 1), tf.int32)


def area_under_roc(buckets: tf.Tensor) -> tf.Tensor:
    """Returns the area under the receiver operating characteristic, by the trapezoidal rule.

    Args:
      buckets: sums of `histogram`, shape `[200, 2]`.

    >>> positives, negatives = [0.0] * 198 + [3.0, 0.0], [2.0] + [0.0] * 199
    >>> float(area_under_roc(tf.stack([positives, negatives], axis=1)))
    1.0
    """
    above = tf.cumsum(buckets, reverse=True)  # true and false positives at each threshold
    rates = tf.math.divide_no_nan(above, above[0])
    steps = tf.math.divide_no_nan(buckets[:-1, 1], above[0, 1])
    return tf.reduce_sum(steps * (rates[:-1, 0] + rates[1:, 0]) / 2)


def area_under_precision_recall(buckets: tf.Tensor) -> tf.Tensor:
    """Returns the area under the precision-recall curve.

    Between two thresholds true and false positives are taken to grow linearly together; the precision is then no linear
    function of the recall, and its integral has a logarithm: section 4 of Davis and Goadrich 2006,
    https://www.biostat.wisc.edu/~page/rocpr.pdf.

    Args:
      buckets: sums of `histogram`, shape `[200, 2]`.

    >>> positives, negatives = [0.0] * 198 + [3.0, 0.0], [2.0] + [0.0] * 199
    >>> float(area_under_precision_recall(tf.stack([positives, negatives], axis=1)))
    1.0
    """
    true_positives = tf.cumsum(buckets[:, 0], reverse=True)
    predicted = tf.cumsum(tf.reduce_sum(buckets, axis=1), reverse=True)
    step = buckets[:-1, 0]
    slope = tf.math.divide_no_nan(step, tf.reduce_sum(buckets[:-1], axis=1))
    intercept = true_positives[1:] - slope * predicted[1:]
    # In the highest bucket with predictions the precision is constant: there the logarithm is to be 0.
    growth = tf.where(predicted[1:] > 0, tf.math.divide_no_nan(predicted[:-1], predicted[1:]), tf.ones_like(step))
    area = slope * (step + intercept * tf.math.log(growth))
    return tf.reduce_sum(tf.math.divide_no_nan(area, true_positives[0]))


def area_under_precision_recall_by_trapezoids(buckets: tf.Tensor) -> tf.Tensor:
    """Returns the area under the precision-recall curve as `tf.compat.v1.metrics.auc` computes it by default.

    The precision is taken for linear between two thresholds, which makes the area too large (see above), and for 1
    where nothing is predicted positive.

    Args:
      buckets: sums of `histogram`, shape `[200, 2]`.

    >>> positives, negatives = [0.0] * 198 + [3.0, 0.0], [2.0] + [0.0] * 199
    >>> round(float(area_under_precision_recall_by_trapezoids(tf.stack([positives, negatives], axis=1))), 5)
    1.0
    """
    true_positives = tf.cumsum(buckets[:, 0], reverse=True)
    predicted = tf.cumsum(tf.reduce_sum(buckets, axis=1), reverse=True)
    # What the original adds to avoid a division by zero.
    epsilon = tf.constant(1e-6, buckets.dtype)
    precision = (true_positives + epsilon) / (predicted + epsilon)
    recall = (true_positives + epsilon) / (true_positives[0] + epsilon)
    return tf.reduce_sum((recall[:-1] - recall[1:]) * (precision[:-1] + precision[1:]) / 2)
