"""The head for three classes or more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ClassificationOutput, ExportOutput, PredictOutput
from headway.heads import _checks, _classes
from headway.heads._accumulator import Formula, ratio
from headway.heads._class_weights import checked_class_weights
from headway.heads._elementwise import Batch, ElementwiseHead, flat
from headway.heads._extra_metrics import Given
from headway.heads._keys import MetricKeys, PredictionKeys, ServingKeys
from headway.heads._smoothing import checked_smoothing, smoothed_one_hot
from headway.heads._vocabulary import checked_vocabulary


class MultiClassHead(ElementwiseHead):
    """The head for three classes or more: one logit for each, softmax cross entropy.

    Labels have shape `[D0, ..., DN, 1]` or `[D0, ..., DN]` (most often `[batch_size, 1]` or `[batch_size]`):
    integers in [0, n_classes - 1], or strings if there is a vocabulary. Weights have shape `[D0, ..., DN]` or `[D0,
    ..., DN, 1]`.

    Predictions of a batch of B examples with logits of shape [B, n_classes]: `logits` and `probabilities` (float32,
    [B, n_classes]), `class_ids` (int64, [B, 1]), `classes` (string, [B, 1]), `all_class_ids` (int32, [B, n_classes])
    and `all_classes` (string, [B, n_classes]).

    Metrics: `average_loss` (sum of weighted losses over sum of weights) and `accuracy`.

    Args:
      n_classes: number of classes, at least 3; for two there is `BinaryClassHead`.
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      label_vocabulary: list or tuple of the classes as strings, class 0 first. None: labels are integers.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number) or `"sum"`.
      loss_fn: function of `labels, logits` and perhaps `features, loss_reduction, label_smoothing` that returns the
        losses, shape `[D0, ..., DN, 1]`; it gets integer labels of that shape. None for softmax cross entropy.
      name: what the metric keys end in (`accuracy/<name>`).
      label_smoothing: part of each label's weight, in [0, 1), that all classes get alike; in `loss` and
        `average_loss`. A `loss_fn` gets it if it names it.
      class_weights: dict from classes (their ids, or the words of the vocabulary) to weights, or a list with a
        weight for each class. It multiplies a row's weight in `loss`, in all modes; the metrics, `average_loss` among
        them, do without.
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md. Predictions are the probabilities, shape
        `[D0, ..., DN, n_classes]`, and labels are class ids.

    Raises:
      ValueError: if there are less than 3 classes, the vocabulary does not hold `n_classes` strings, the reduction
        is none, `loss_fn` takes other arguments, or the smoothing, class weights or metrics are not as above.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import MultiClassHead
    >>> head = MultiClassHead(3, weight_column="weight")
    >>> logits = tf.constant([[10.0, 0.0, 0.0], [0.0, 10.0, 0.0]])
    >>> features = {"weight": tf.constant([1.0, 2.0])}
    >>> print(f"{float(head.loss([1, 1], logits, features)):.2f}")  # (1 * 10 + 2 * 0) / 2 examples
    5.00
    >>> head.predictions(logits)["class_ids"].numpy().tolist()
    [[0], [1]]
    """

    _metric_prediction = PredictionKeys.PROBABILITIES

    def __init__(
        self,
        n_classes: int,
        weight_column: Any = None,
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
        self._n_classes = _checked_n_classes(n_classes)
        self._vocabulary = checked_vocabulary(label_vocabulary, self._n_classes)
        self._label_smoothing = checked_smoothing(label_smoothing, loss_fn, self._loss_fn_arguments)
        self._class_weights = checked_class_weights(class_weights, self._n_classes, label_vocabulary)
        self._add_metrics(metrics)

    @property
    def logits_dimension(self) -> int:
        """The number of classes."""
        return self._n_classes

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
            PredictionKeys.PROBABILITIES: lambda: tf.nn.softmax(logits),
            **_classes.makers(logits, lambda: _best(logits), self._n_classes, self._vocabulary),
        }
        return {key: makers[key]() for key in makers if key in _checks.checked_keys(keys, tuple(makers))}

    def export_outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures: classification (the default) and all predictions."""
        classification = ClassificationOutput(
            scores=predictions[PredictionKeys.PROBABILITIES], classes=predictions[PredictionKeys.ALL_CLASSES]
        )
        return {
            ServingKeys.DEFAULT: classification,
            ServingKeys.CLASSIFY: classification,
            ServingKeys.PREDICT: PredictOutput(dict(predictions)),
        }

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        labels = _classes.ids_of(_checks.checked_labels(labels, logits, 1), self._vocabulary)
        if not labels.dtype.is_integer:
            raise ValueError(
                f"Labels dtype should be integer. Instead got {labels.dtype.name}. Cast class ids with "
                "tf.cast(labels, tf.int64)."
            )
        # The loss takes int32 and int64 only.
        labels = labels if labels.dtype in (tf.int32, tf.int64) else tf.cast(labels, tf.int64)
        return _checks.checked_range(labels, self._n_classes)

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        if self._label_smoothing:
            targets = smoothed_one_hot(labels, logits, self._label_smoothing)
            return tf.expand_dims(tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits), -1)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.squeeze(labels, -1), logits=logits)
        return tf.expand_dims(losses, -1)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (), "loss": (), "right": ()}

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        weights = batch.flat_weights()
        right = tf.equal(_best(batch.logits), tf.cast(batch.labels, tf.int64))
        return {
            "weight": tf.reduce_sum(weights),
            "loss": tf.reduce_sum(weights * flat(batch.losses)),
            "right": tf.reduce_sum(weights * flat(right)),
        }

    def _formulas(self) -> dict[str, Formula]:
        return {MetricKeys.AVERAGE_LOSS: ratio("loss", "weight"), MetricKeys.ACCURACY: ratio("right", "weight")}


def _best(logits: tf.Tensor) -> tf.Tensor:
    """Returns the class with the largest logit, int64, shape `[D0, ..., DN, 1]`."""
    return tf.expand_dims(tf.argmax(logits, axis=-1), -1)


def _checked_n_classes(n_classes: Any) -> int:
    if n_classes is None:
        raise ValueError("n_classes cannot be None. Pass the number of classes.")
    if isinstance(n_classes, bool) or not hasattr(n_classes, "__index__"):
        raise ValueError(f"`n_classes` must be an integer. Received: {n_classes!r}.")
    if n_classes <= 2:
        raise ValueError(f"n_classes must be > 2: {n_classes}. For two classes use BinaryClassHead.")
    return int(n_classes)
