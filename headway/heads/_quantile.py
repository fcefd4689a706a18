"""The head for quantiles of a number."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ExportOutput, PredictOutput, RegressionOutput
from headway.heads import _checks
from headway.heads._accumulator import Formula, Sums, ratio
from headway.heads._elementwise import Batch, ElementwiseHead
from headway.heads._extra_metrics import Given
from headway.heads._keys import MetricKeys, PredictionKeys, ServingKeys


class QuantileRegressionHead(ElementwiseHead):
    """The head for quantiles of a number: one logit for each, pinball loss.

    With the error e = label - logit, the loss of the quantile q is `max(q * e, (q - 1) * e)`: Koenker and Bassett 1978,
    "Regression Quantiles", https://doi.org/10.2307/1913643; scikit-learn's `mean_pinball_loss`.

    Labels have shape `[D0, ..., DN, 1]` or `[D0, ..., DN]` (most often `[batch_size, 1]` or `[batch_size]`). Weights
    have shape `[D0, ..., DN]` or `[D0, ..., DN, 1]`.

    Predictions: `predictions` (float32, the shape of the logits: one for each quantile) and `logits`. The quantiles of
    a row never cross: predictions are its logits in ascending order, which never makes the pinball loss larger
    (Chernozhukov et al. 2010, "Quantile and Probability Curves Without Crossing", https://doi.org/10.3982/ECTA7880).

    Metrics: `average_loss` (sum of weighted losses of the logits over sum of weights), `label/mean`, and of the
    predictions of each quantile `pinball_loss/quantile_<q>` and `coverage/quantile_<q>`: the weighted share of labels
    that are not above the prediction, which is q for a calibrated model.

    Args:
      quantiles: numbers in (0, 1), ascending.
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number, which is batch size
        times number of quantiles) or `"sum"`.
      name: what the metric keys end in (`average_loss/<name>`).
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md.

    Raises:
      ValueError: if the quantiles are not as above, the reduction is none, or `metrics` holds what is no metric.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import QuantileRegressionHead
    >>> head = QuantileRegressionHead([0.1, 0.9])
    >>> logits = tf.constant([[1.0, 3.0], [2.0, 5.0]])
    >>> print(f"{float(head.loss([2.0, 1.0], logits)):.3f}")  # (0.1 * 1 + 0.1 * 1 + 0.9 * 1 + 0.1 * 4) / 4
    0.375
    >>> metrics = head.update_metrics(head.metrics(), None, logits, [2.0, 1.0])
    >>> [float(metrics[f"coverage/quantile_{q}"].result()) for q in (0.1, 0.9)]
    [0.5, 1.0]
    """

    def __init__(
        self,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        weight_column: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        name: str | None = None,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(weight_column=weight_column, loss_reduction=loss_reduction, loss_fn=None, name=name)
        self._quantiles = _checked_quantiles(quantiles)
        self._add_metrics(metrics)

    @property
    def logits_dimension(self) -> int:
        """The number of quantiles."""
        return len(self._quantiles)

    @property
    def _losses_dimension(self) -> int:
        return len(self._quantiles)

    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[str, tf.Tensor]:
        """Returns predictions by key; see `Head` and the class.

        Raises:
          ValueError: if a key is unknown, or the logits have another shape.
        """
        logits = _checks.checked_logits(logits, self.logits_dimension)
        made = {PredictionKeys.PREDICTIONS: tf.sort(logits, axis=-1), PredictionKeys.LOGITS: logits}
        return {key: made[key] for key in _checks.checked_keys(keys, tuple(made))}

    def export_outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures: regression (the default) and all predictions."""
        regression = RegressionOutput(value=predictions[PredictionKeys.PREDICTIONS])
        return {
            ServingKeys.DEFAULT: regression,
            ServingKeys.REGRESS: regression,
            ServingKeys.PREDICT: PredictOutput(dict(predictions)),
        }

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        return _checks.checked_numbers(_checks.checked_labels(labels, logits, 1))

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        error, quantiles = labels - logits, tf.constant(self._quantiles, logits.dtype)
        return tf.maximum(quantiles * error, (quantiles - 1.0) * error)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        of_each = (len(self._quantiles),)
        return {"weight": (), "loss": (), "label": (), "pinball": of_each, "covered": of_each}

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        shape = [-1, len(self._quantiles)]
        weights = tf.reshape(batch.flat_weights(), shape)
        labels = tf.reshape(batch.labels, [-1, 1])
        predicted = tf.reshape(tf.sort(batch.logits, axis=-1), shape)
        of_rows = weights[:, :1]
        return {
            "weight": tf.reduce_sum(of_rows),
            "loss": tf.reduce_sum(weights * tf.reshape(tf.cast(batch.losses, tf.float64), shape)) / shape[1],
            "label": tf.reduce_sum(of_rows * tf.cast(labels, tf.float64)),
            "pinball": tf.reduce_sum(weights * tf.cast(self._losses(labels, predicted), tf.float64), axis=0),
            "covered": tf.reduce_sum(weights * tf.cast(labels <= predicted, tf.float64), axis=0),
        }

    def _formulas(self) -> dict[str, Formula]:
        formulas: dict[str, Formula] = {
            MetricKeys.AVERAGE_LOSS: ratio("loss", "weight"),
            MetricKeys.LABEL_MEAN: ratio("label", "weight"),
        }
        for i, quantile in enumerate(self._quantiles):
            formulas[MetricKeys.PINBALL_LOSS_AT_QUANTILE % quantile] = functools.partial(_mean, name="pinball", index=i)
            formulas[MetricKeys.COVERAGE_AT_QUANTILE % quantile] = functools.partial(_mean, name="covered", index=i)
        return formulas


def _checked_quantiles(quantiles: Any) -> tuple[float, ...]:
    try:
        checked = tuple(float(quantile) for quantile in quantiles)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`quantiles` must be a list of numbers in (0, 1). Received: {quantiles!r}.") from error
    if not checked or not all(0 < quantile < 1 for quantile in checked):
        raise ValueError(f"`quantiles` must hold at least one number, each in (0, 1). Received: {quantiles!r}.")
    if any(first >= second for first, second in itertools.pairwise(checked)):
        raise ValueError(f"`quantiles` must be ascending, each once. Received: {quantiles!r}.")
    return checked


def _mean(sums: Sums, *, name: str, index: int) -> tf.Tensor:
    return tf.math.divide_no_nan(sums[name][index], sums["weight"])
