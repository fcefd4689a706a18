"""The head for numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ExportOutput, PredictOutput, RegressionOutput
from headway.heads import _checks
from headway.heads._accumulator import Formula, ratio
from headway.heads._elementwise import Batch, ElementwiseHead, flat
from headway.heads._extra_metrics import Given
from headway.heads._keys import MetricKeys, PredictionKeys, ServingKeys


class RegressionHead(ElementwiseHead):
    """The head for numbers: mean squared error.

    Labels have shape `[D0, ..., DN, label_dimension]` (most often `[batch_size, label_dimension]`), or `[D0, ...,
    DN]` if `label_dimension` is 1. Weights have shape `[D0, ..., DN]`, `[D0, ..., DN, 1]` or `[D0, ..., DN,
    label_dimension]`.

    Predictions: `predictions` (float32, the shape of the logits), and with an `inverse_link_fn` also `logits`.

    Metrics: `average_loss` (sum of weighted losses over sum of weights), `label/mean` and `prediction/mean`.

    Args:
      label_dimension: number of labels per example.
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number, which is batch size
        times `label_dimension`) or `"sum"`.
      loss_fn: function of `labels, logits` and perhaps `features, loss_reduction` that returns the losses, shape
        `[D0, ..., DN, label_dimension]`; it gets float labels of that shape. None for the squared error.
      inverse_link_fn: function from logits to predictions, the mean function of a generalized linear model. None for
        the identity.
      name: what the metric keys end in (`average_loss/<name>`).
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md.

    Raises:
      ValueError: if `label_dimension` is less than 1, the reduction is none, `loss_fn` takes other arguments, or
        `metrics` holds what is no metric.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import RegressionHead
    >>> head = RegressionHead(weight_column="weight")
    >>> logits, features = tf.constant([[2.0], [1.0]]), {"weight": tf.constant([1.0, 2.0])}
    >>> float(head.loss([[0.0], [0.0]], logits, features))  # (1 * 4 + 2 * 1) / 2 elements
    3.0
    >>> metrics = head.update_metrics(head.metrics(), features, logits, [[0.0], [0.0]])
    >>> float(metrics["average_loss"].result())  # (1 * 4 + 2 * 1) / (1 + 2)
    2.0
    """

    _weights_per_logit = True

    def __init__(
        self,
        label_dimension: int = 1,
        weight_column: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        loss_fn: Callable[..., tf.Tensor] | None = None,
        inverse_link_fn: Callable[[tf.Tensor], tf.Tensor] | None = None,
        name: str | None = None,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(weight_column=weight_column, loss_reduction=loss_reduction, loss_fn=loss_fn, name=name)
        if isinstance(label_dimension, bool) or not hasattr(label_dimension, "__index__") or label_dimension < 1:
            raise ValueError(f"Invalid label_dimension {label_dimension!r}. `label_dimension` must be an integer >= 1.")
        if inverse_link_fn is not None and not callable(inverse_link_fn):
            raise ValueError(f"`inverse_link_fn` must be a function of the logits. Received: {inverse_link_fn!r}.")
        self._label_dimension = int(label_dimension)
        self._inverse_link_fn = inverse_link_fn
        self._add_metrics(metrics)

    @property
    def logits_dimension(self) -> int:
        """The number of labels per example."""
        return self._label_dimension

    @property
    def _losses_dimension(self) -> int:
        return self._label_dimension

    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[str, tf.Tensor]:
        """Returns predictions by key; see `Head` and the class.

        Raises:
          ValueError: if a key is unknown, or the logits have another shape.
        """
        logits = _checks.checked_logits(logits, self.logits_dimension)
        made = {PredictionKeys.PREDICTIONS: self._predicted(logits)}
        if self._inverse_link_fn is not None:
            made[PredictionKeys.LOGITS] = logits
        return {key: made[key] for key in _checks.checked_keys(keys, tuple(made))}

    def export_outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures: regression (the default) and all predictions."""
        regression = RegressionOutput(value=predictions[PredictionKeys.PREDICTIONS])
        return {
            ServingKeys.DEFAULT: regression,
            ServingKeys.REGRESS: regression,
            ServingKeys.PREDICT: PredictOutput(dict(predictions)),
        }

    def _predicted(self, logits: tf.Tensor) -> tf.Tensor:
        return logits if self._inverse_link_fn is None else self._inverse_link_fn(logits)

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        numbers = _checks.checked_numbers(_checks.checked_labels(labels, logits, self._label_dimension))
        # A loss_fn of the user's may take NaN for a label that is missing.
        return _checks.checked_finite(numbers) if self._loss_fn is None else numbers

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.math.squared_difference(logits, labels)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (), "loss": (), "label": (), "prediction": ()}

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        weights = batch.flat_weights()
        return {
            "weight": tf.reduce_sum(weights),
            "loss": tf.reduce_sum(weights * flat(batch.losses)),
            "label": tf.reduce_sum(weights * flat(batch.labels)),
            "prediction": tf.reduce_sum(weights * flat(self._predicted(batch.logits))),
        }

    def _formulas(self) -> dict[str, Formula]:
        return {
            MetricKeys.AVERAGE_LOSS: ratio("loss", "weight"),
            MetricKeys.PREDICTION_MEAN: ratio("prediction", "weight"),
            MetricKeys.LABEL_MEAN: ratio("label", "weight"),
        }
