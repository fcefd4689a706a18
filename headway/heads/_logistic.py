"""The head for probabilities."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway.heads import _checks, _cross_entropy
from headway.heads._extra_metrics import Given
from headway.heads._regression import RegressionHead


class LogisticRegressionHead(RegressionHead):
    """The head for numbers in [0, 1], such as rates and probabilities: one logit, sigmoid cross entropy.

    A generalized linear model with the logit as link. The loss is that of `BinaryClassHead`; but there are no classes
    in the predictions and no accuracies or areas among the metrics, and the exported model answers regression requests.

    Labels are numbers in [0, 1] of shape `[D0, ..., DN, 1]` or `[D0, ..., DN]` (most often `[batch_size, 1]` or
    `[batch_size]`). Weights have the same shapes.

    Predictions: `predictions`, which are `sigmoid(logits)`, and `logits` (float32, `[D0, ..., DN, 1]`).

    Metrics: `average_loss` (sum of weighted losses over sum of weights), `label/mean` and `prediction/mean`.

    Args:
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number) or `"sum"`.
      name: what the metric keys end in (`average_loss/<name>`).
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md.

    Raises:
      ValueError: if the reduction is none.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import LogisticRegressionHead
    >>> head = LogisticRegressionHead()
    >>> logits = tf.constant([[0.0], [0.0]])
    >>> print(f"{float(head.loss([0.25, 1.0], logits)):.4f}")  # log 2, for each label
    0.6931
    >>> head.predictions(logits, keys=["predictions"])["predictions"].numpy().tolist()
    [[0.5], [0.5]]
    """

    def __init__(
        self,
        weight_column: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        name: str | None = None,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(
            weight_column=weight_column,
            loss_reduction=loss_reduction,
            inverse_link_fn=tf.math.sigmoid,
            name=name,
            metrics=metrics,
        )

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        return _checks.checked_range(super()._checked_labels(labels, logits), 2, "Labels must be in range [0, 1]")

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return _cross_entropy.of_sigmoids(labels, logits)
