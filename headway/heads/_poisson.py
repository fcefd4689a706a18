"""The head for counts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway.heads import _checks
from headway.heads._extra_metrics import Given
from headway.heads._regression import RegressionHead


class PoissonRegressionHead(RegressionHead):
    """The head for counts: the logarithm of the expected count is predicted, by the Poisson log likelihood.

    A generalized linear model with the logarithm as link. With the logit `x` and the label `y`, the loss is
    `exp(x) - y * x`, and with `compute_full_loss` also `+ log(y!)`, by Stirling's approximation `y * log(y) - y + 0.5 *
    log(2 * pi * y)` where `y > 1`, as `tf.nn.log_poisson_loss` computes it.

    Labels are numbers of at least 0, of shape `[D0, ..., DN, label_dimension]` (most often `[batch_size,
    label_dimension]`), or `[D0, ..., DN]` if `label_dimension` is 1. Weights have shape `[D0, ..., DN]`, `[D0, ..., DN,
    1]` or `[D0, ..., DN, label_dimension]`.

    Predictions: `predictions`, which are `exp(logits)`, and `logits` (float32, the shape of the logits).

    Metrics: `average_loss` (sum of weighted losses over sum of weights), `label/mean` and `prediction/mean`.

    Args:
      label_dimension: number of labels per example.
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number, which is batch size
        times `label_dimension`) or `"sum"`.
      compute_full_loss: whether the loss includes `log(y!)`, which changes its value but none of its gradients.
      name: what the metric keys end in (`average_loss/<name>`).
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md.

    Raises:
      ValueError: if `label_dimension` is less than 1, or the reduction is none.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import PoissonRegressionHead
    >>> head = PoissonRegressionHead(compute_full_loss=False)
    >>> logits = tf.constant([[0.0], [0.0]])
    >>> float(head.loss([2.0, 5.0], logits))  # exp(0) - y * 0, for each y
    1.0
    >>> head.predictions(logits, keys=["predictions"])["predictions"].numpy().tolist()
    [[1.0], [1.0]]
    """

    def __init__(
        self,
        label_dimension: int = 1,
        weight_column: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        compute_full_loss: bool = True,
        name: str | None = None,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(
            label_dimension=label_dimension,
            weight_column=weight_column,
            loss_reduction=loss_reduction,
            inverse_link_fn=tf.math.exp,
            name=name,
            metrics=metrics,
        )
        self._compute_full_loss = bool(compute_full_loss)

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        labels = super()._checked_labels(labels, logits)
        smallest = tf.reduce_min(labels)
        # The minimum of no labels is infinity; that of labels among which is "not a number" is not at least 0.
        message = "Labels must be >= 0: they are counts. Smallest label received: "
        return _checks.stop_unless(smallest >= 0, message, [smallest], then=labels)

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.log_poisson_loss(labels, logits, compute_full_loss=self._compute_full_loss)
