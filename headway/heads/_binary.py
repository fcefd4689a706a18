"""The head for two classes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ClassificationOutput, ExportOutput, PredictOutput, RegressionOutput
from headway.heads import _checks, _classes, _cross_entropy, _curves, _decisions
from headway.heads._accumulator import Formula, Sums
from headway.heads._class_weights import checked_class_weights
from headway.heads._elementwise import Batch, ElementwiseHead, flat
from headway.heads._extra_metrics import Given
from headway.heads._keys import MetricKeys, PredictionKeys, ServingKeys
from headway.heads._smoothing import checked_smoothing, smoothed
from headway.heads._vocabulary import checked_vocabulary

_N_CLASSES = 2

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
      loss_fn: function of `labels, logits` and perhaps `features, loss_reduction, label_smoothing` that returns the
        losses, shape `[D0, ..., DN, 1]`; it gets float labels of that shape. None for sigmoid cross entropy.
      name: what the metric keys end in (`accuracy/<name>`).
      label_smoothing: part of each label's weight, in [0, 1), that all classes get alike; in `loss` and
        `average_loss`. A `loss_fn` gets it if it names it.
      class_weights: dict from classes (0 and 1, or the words of the vocabulary) to weights, or a list with a
        weight for each class. It multiplies a row's weight in `loss`, in all modes; the metrics, `average_loss` among
        them, do without. A label between 0 and 1 gets a weight between.
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md. Predictions are the probabilities of class
        1, shape `[D0, ..., DN, 1]`.

    Raises:
      ValueError: if a threshold is outside (0, 1), the vocabulary does not hold two strings, the reduction is none,
        `loss_fn` takes other arguments, or the smoothing, class weights or metrics are not as above.
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

    _metric_prediction = PredictionKeys.LOGISTIC

    def __init__(
        self,
        weight_column: Any = None,
        thresholds: Iterable[float] | None = None,
        label_vocabulary: Sequence[str] | None = None,
        loss_reduction: str = "sum_over_batch_size",
        loss_fn: Callable[..., tf.Tensor] | None = None,
        name: str | None = None,
        *,
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        super().__init__(weight_column=weight_column, loss_reduction=loss_reduction, loss_fn=loss_fn, name=name)
        self._thresholds = _decisions.checked_thresholds(thresholds)
        self._vocabulary = checked_vocabulary(label_vocabulary, _N_CLASSES)
        self._label_smoothing = checked_smoothing(label_smoothing, loss_fn, self._loss_fn_arguments)
        self._class_weights = checked_class_weights(class_weights, _N_CLASSES, label_vocabulary)
        self._precision_recall_area = _curves.area_under_precision_recall
        self._add_metrics(metrics)

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
        labels = smoothed(labels, self._label_smoothing)
        return _cross_entropy.of_sigmoids(labels, logits)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        rows = _FIRST_THRESHOLD + len(self._thresholds)
        return {"counts": (rows, _decisions.COLUMNS), "histogram": (_curves.THRESHOLDS, 2)}

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        logits, labels = tf.reshape(batch.logits, [-1]), tf.reshape(batch.labels, [-1])
        logistic = tf.sigmoid(logits)
        rules = [logits > 0, *(logistic > threshold for threshold in self._thresholds)]
        counts, by_label = _decisions.counted(batch.flat_weights(), flat(batch.losses), logistic, labels, rules)
        return {"counts": counts, "histogram": _curves.histogram(logistic, by_label)}

    def _formulas(self) -> dict[str, Formula]:
        keys = (MetricKeys.ACCURACY, MetricKeys.PRECISION, MetricKeys.RECALL)
        return {
            MetricKeys.AVERAGE_LOSS: _decisions.mean(_decisions.LOSS),
            **_decisions.at_rule(_DECIDED_POSITIVE, keys),
            MetricKeys.PREDICTION_MEAN: _decisions.mean(_decisions.PREDICTION),
            MetricKeys.LABEL_MEAN: _decisions.mean(_decisions.LABEL),
            MetricKeys.ACCURACY_BASELINE: _accuracy_baseline,
            MetricKeys.AUC: lambda sums: _curves.area_under_roc(sums["histogram"]),
            MetricKeys.AUC_PRECISION_RECALL: lambda sums: self._precision_recall_area(sums["histogram"]),
            **_decisions.at_thresholds(self._thresholds, _FIRST_THRESHOLD),
        }


def with_trapezoids(head: BinaryClassHead) -> BinaryClassHead:
    """Returns the head with the area under the precision-recall curve as tf.compat.v1.estimator computed it."""
    copied = copy.copy(head)
    copied._precision_recall_area = _curves.area_under_precision_recall_by_trapezoids
    return copied


def _accuracy_baseline(sums: Sums) -> tf.Tensor:
    counts = sums["counts"][_ALL]
    labels, weights = counts[_decisions.LABEL], counts[_decisions.WEIGHT]
    return tf.math.divide_no_nan(tf.maximum(labels, weights - labels), weights)
