"""The head for two classes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ClassificationOutput, ExportOutput, PredictOutput, RegressionOutput
from headway.heads import _checks, _classes, _curves
from headway.heads._accumulator import Formula, Sums
from headway.heads._elementwise import Batch, ElementwiseHead, flat
from headway.heads._keys import MetricKeys, PredictionKeys, ServingKeys
from headway.heads._vocabulary import checked_vocabulary

_N_CLASSES = 2

# The columns of the counts, sums over examples of the weight times ...
_WEIGHT, _LOSS, _PREDICTION, _LABEL, _POSITIVE, _EXACTLY_1, _EXACTLY_0 = range(7)
# The rows of the counts: over all examples, over those decided positive, and over those above each threshold.
_ALL, _DECIDED_POSITIVE, _FIRST_THRESHOLD = range(3)


class BinaryClassHead(ElementwiseHead):
    """The head for two classes: one logit, sigmoid cross entropy.

    Labels have shape `[D0, ..., DN, 1]` or `[D0, ..., DN]` (most often `[batch_size, 1]` or `[batch_size]`): numbers in
    [0, 1], or strings if there is a vocabulary. Weights have shape `[D0, ..., DN]` or `[D0, ..., DN, 1]`.

    Predictions of a batch of B examples with logits of shape [B, 1]: `logits` and `logistic` (float32, [B, 1]),
    `probabilities` (float32, [B, 2]), `class_ids` (int64, [B, 1]), `classes` (string, [B, 1]), `all_class_ids`
    (int32, [B, 2]) and `all_classes` (string, [B, 2]).

    Metrics: `average_loss` (sum of weighted losses over sum of weights), `accuracy`, `precision`, `recall`,
    `accuracy_baseline` (of always answering the more frequent class), `label/mean`, `prediction/mean`, `auc` and
    `auc_precision_recall` (over 200 thresholds), and for each threshold `accuracy/positive_threshold_<t>`,
    `precision/positive_threshold_<t>` and `recall/positive_threshold_<t>`.

    Args:
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      thresholds: numbers in (0, 1), at which further metrics are computed: predictions above it count as positive.
      label_vocabulary: list or tuple of the two classes as strings, class 0 first. None: labels are numbers.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number) or `"sum"`.
      loss_fn: function of `labels, logits` and perhaps `features, loss_reduction` that returns the losses, shape
        `[D0, ..., DN, 1]`; it gets float labels of that shape. None for sigmoid cross entropy.
      name: what the metric keys end in (`accuracy/<name>`).

    Raises:
      ValueError: if a threshold is outside (0, 1), the vocabulary does not hold two strings, the reduction is none, or
        `loss_fn` takes other arguments.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import BinaryClassHead
    >>> head = BinaryClassHead(label_vocabulary=["no", "yes"])
    >>> logits = tf.constant([[45.0], [-41.0]])
    >>> float(head.loss(labels=["yes", "yes"], logits=logits))
    20.5
    >>> metrics = head.update_metrics(head.metrics(), None, logits, ["yes", "yes"])
    >>> float(metrics["accuracy"].result()), float(metrics["recall"].result())
    (0.5, 0.5)
    >>> head.predictions(logits, keys=["classes"])["classes"].numpy().tolist()
    [[b'yes'], [b'no']]
    """

    def __init__(
        self,
        weight_column: Any = None,
        thresholds: Iterable[float] | None = None,
        label_vocabulary: Sequence[str] | None = None,
        loss_reduction: str = "sum_over_batch_size",
        loss_fn: Callable[..., tf.Tensor] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(weight_column=weight_column, loss_reduction=loss_reduction, loss_fn=loss_fn, name=name)
        self._thresholds = _checked_thresholds(thresholds)
        self._vocabulary = checked_vocabulary(label_vocabulary, _N_CLASSES)

    @property
    def logits_dimension(self) -> int:
        """Always 1."""
        return 1

    @property
    def _losses_dimension(self) -> int:
        return 1

    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[str, tf.Tensor]:
        """Returns predictions by key; see `Head` and the class.

        Raises:
          ValueError: if a key is unknown, or the logits have another shape.
        """
        logits = _checks.checked_logits(logits, self.logits_dimension)
        makers: dict[str, Callable[[], tf.Tensor]] = {
            PredictionKeys.LOGITS: lambda: logits,
            PredictionKeys.LOGISTIC: lambda: tf.sigmoid(logits),
            PredictionKeys.PROBABILITIES: lambda: tf.nn.softmax(tf.concat([tf.zeros_like(logits), logits], axis=-1)),
            **_classes.makers(logits, lambda: tf.cast(logits > 0, tf.int64), _N_CLASSES, self._vocabulary),
        }
        return {key: makers[key]() for key in makers if key in _checks.checked_keys(keys, tuple(makers))}

    def export_outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures: classification (the default), regression on the probability, and all predictions."""
        classification = ClassificationOutput(
            scores=predictions[PredictionKeys.PROBABILITIES], classes=predictions[PredictionKeys.ALL_CLASSES]
        )
        return {
            ServingKeys.DEFAULT: classification,
            ServingKeys.CLASSIFY: classification,
            ServingKeys.REGRESS: RegressionOutput(value=predictions[PredictionKeys.LOGISTIC]),
            ServingKeys.PREDICT: PredictOutput(dict(predictions)),
        }

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        labels = _checks.checked_labels(labels, logits, 1)
        labels = _classes.ids_of(labels, self._vocabulary)
        return _checks.checked_range(tf.cast(labels, tf.float32), _N_CLASSES)

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {"counts": (_FIRST_THRESHOLD + len(self._thresholds), 7), "histogram": (_curves.THRESHOLDS, 2)}

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        weights = batch.flat_weights()
        logits, labels = tf.reshape(batch.logits, [-1]), tf.reshape(batch.labels, [-1])
        logistic = tf.sigmoid(logits)
        labelled = tf.cast(
            tf.stack([tf.not_equal(labels, 0), tf.equal(labels, 1), tf.equal(labels, 0)], axis=1), tf.float64
        )
        values = tf.cast(tf.stack([flat(batch.losses), flat(logistic), flat(labels)], axis=1), tf.float64)
        # Columns as numbered above. Not a number in the losses or predictions stays in its own column.
        weighted = weights[:, tf.newaxis] * tf.concat([tf.ones_like(labelled[:, :1]), values, labelled], axis=1)
        rows = [tf.ones_like(logits, tf.bool), logits > 0, *(logistic > threshold for threshold in self._thresholds)]
        positive = weighted[:, _POSITIVE]
        return {
            "counts": tf.matmul(tf.cast(tf.stack(rows), tf.float64), weighted),
            "histogram": _curves.histogram(logistic, tf.stack([positive, weights - positive], axis=1)),
        }

    def _formulas(self) -> dict[str, Formula]:
        formulas: dict[str, Formula] = {
            MetricKeys.AVERAGE_LOSS: functools.partial(_mean, column=_LOSS),
            MetricKeys.ACCURACY: functools.partial(_accuracy, row=_DECIDED_POSITIVE),
            MetricKeys.PRECISION: functools.partial(_precision, row=_DECIDED_POSITIVE),
            MetricKeys.RECALL: functools.partial(_recall, row=_DECIDED_POSITIVE),
            MetricKeys.PREDICTION_MEAN: functools.partial(_mean, column=_PREDICTION),
            MetricKeys.LABEL_MEAN: functools.partial(_mean, column=_LABEL),
            MetricKeys.ACCURACY_BASELINE: _accuracy_baseline,
            MetricKeys.AUC: lambda sums: _curves.area_under_roc(sums["histogram"]),
            MetricKeys.AUC_PRECISION_RECALL: lambda sums: _curves.area_under_precision_recall(sums["histogram"]),
        }
        for row, threshold in enumerate(self._thresholds, start=_FIRST_THRESHOLD):
            formulas[MetricKeys.ACCURACY_AT_THRESHOLD % threshold] = functools.partial(_accuracy, row=row)
            formulas[MetricKeys.PRECISION_AT_THRESHOLD % threshold] = functools.partial(_precision, row=row)
            formulas[MetricKeys.RECALL_AT_THRESHOLD % threshold] = functools.partial(_recall, row=row)
        return formulas


def _checked_thresholds(thresholds: Iterable[float] | None) -> tuple[float, ...]:
    try:
        checked = tuple(float(threshold) for threshold in thresholds or ())
    except (TypeError, ValueError) as error:
        raise ValueError(f"`thresholds` must be a list of numbers in (0, 1). Received: {thresholds!r}.") from error
    if not all(0 < threshold < 1 for threshold in checked):
        raise ValueError(f"thresholds not in (0, 1): {checked}.")
    return checked


def _mean(sums: Sums, *, column: int) -> tf.Tensor:
    counts = sums["counts"][_ALL]
    return tf.math.divide_no_nan(counts[column], counts[_WEIGHT])


def _accuracy_baseline(sums: Sums) -> tf.Tensor:
    counts = sums["counts"][_ALL]
    larger = tf.maximum(counts[_LABEL], counts[_WEIGHT] - counts[_LABEL])
    return tf.math.divide_no_nan(larger, counts[_WEIGHT])


def _accuracy(sums: Sums, *, row: int) -> tf.Tensor:
    """A decision is right if the label equals it: a label between 0 and 1 is never met."""
    everything, positive = sums["counts"][_ALL], sums["counts"][row]
    right = positive[_EXACTLY_1] + everything[_EXACTLY_0] - positive[_EXACTLY_0]
    return tf.math.divide_no_nan(right, everything[_WEIGHT])


def _precision(sums: Sums, *, row: int) -> tf.Tensor:
    """A label counts as positive if it is not 0."""
    positive = sums["counts"][row]
    return tf.math.divide_no_nan(positive[_POSITIVE], positive[_WEIGHT])


def _recall(sums: Sums, *, row: int) -> tf.Tensor:
    counts = sums["counts"]
    return tf.math.divide_no_nan(counts[row, _POSITIVE], counts[_ALL, _POSITIVE])
