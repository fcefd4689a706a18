"""From one loss per element to the loss of a batch, on one replica or on many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from headway import _context
from headway._spec import ModeKeys

SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
SUM = "sum"
# Of tf.compat.v1.losses.Reduction: the sum of the weighted losses, divided by that of the weights, or by how many of
# them are not zero.
MEAN = "weighted_mean"
SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"

_SYNONYMS = {
    SUM_OVER_BATCH_SIZE: SUM_OVER_BATCH_SIZE,
    SUM: SUM,
    # `tf.keras.losses.Reduction.AUTO` of Keras 2, which tf.estimator takes for the default.
    "auto": SUM_OVER_BATCH_SIZE,
    # `tf.compat.v1.losses.Reduction` spells the same two reductions differently.
    tf.compat.v1.losses.Reduction.SUM: SUM,
    tf.compat.v1.losses.Reduction.SUM_OVER_BATCH_SIZE: SUM_OVER_BATCH_SIZE,
    MEAN: MEAN,
    SUM_BY_NONZERO_WEIGHTS: SUM_BY_NONZERO_WEIGHTS,
}


def checked_reduction(loss_reduction: Any) -> str:
    """Returns the reduction that `loss_reduction` means, by one of the names above.

    Raises:
      ValueError: if it is another reduction: a head's loss is always one number.
    """
    if not isinstance(loss_reduction, str) or loss_reduction not in _SYNONYMS:
        raise ValueError(
            f"Invalid loss_reduction: {loss_reduction!r}. `loss_reduction` must be 'sum_over_batch_size' (weighted "
            "sum of the losses divided by their number) or 'sum'; or 'weighted_mean' (divided by the sum of the "
            "weights) or 'weighted_sum_by_nonzero_weights'. A head's loss is one number: for a loss per example, use "
            "`loss_fn`."
        )
    return _SYNONYMS[loss_reduction]


def replicas_adding_up() -> int:
    """Returns how many replicas compute a part of the loss where this code runs.

    It is 1 outside of `strategy.run`, and in an estimator outside of training, where each replica's batch stands for
    itself.
    """
    context = _context.current()
    if tf.distribute.get_replica_context() is None or (context is not None and context.mode != ModeKeys.TRAIN):
        return 1
    return _context.num_replicas()


def reduced_loss(
    losses: tf.Tensor, weights: tf.Tensor | None, loss_reduction: str, present: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns this replica's part of the batch's loss, a float32 scalar: sum(w l), over the number of elements or not.

    The number of elements is that of the global batch, so that the parts add up however the batch was split. Without
    any element the loss is 0.

    Args:
      losses: float32, one per element.
      weights: float32, of a shape that the losses can be multiplied by; None where each is 1.
      loss_reduction: what `checked_reduction` returned.
      present: bool, the shape of the losses: the elements that count; None for all. The losses of others are 0.
    """
    weighted = losses if weights is None else losses * weights
    total = tf.reduce_sum(weighted)
    if loss_reduction == SUM:
        _context.declare_loss_a_share()
        return total
    count = tf.cast(_divisor(weighted, weights, loss_reduction, present), total.dtype)
    return tf.math.divide_no_nan(total, _context.global_sum(count))


def _divisor(
    weighted: tf.Tensor, weights: tf.Tensor | None, loss_reduction: str, present: tf.Tensor | None
) -> tf.Tensor:
    """Returns what the sum of this replica's losses is divided by: a count of elements, or the sum of their weights."""
    if weights is None or loss_reduction == SUM_OVER_BATCH_SIZE:
        return tf.size(weighted) if present is None else tf.math.count_nonzero(present)
    each = tf.broadcast_to(weights, tf.shape(weighted))
    if present is not None:
        each = tf.where(present, each, tf.zeros_like(each))
    return tf.reduce_sum(each) if loss_reduction == MEAN else tf.math.count_nonzero(each)


def regularization(regularization_losses: Sequence[tf.Tensor] | None) -> tf.Tensor | None:
    """Returns the sum of the regularization losses, or None if there are none.

    Raises:
      ValueError: if they are not a list or tuple of scalars.
    """
    if regularization_losses is None:
        return None
    if not isinstance(regularization_losses, (list, tuple)):
        raise ValueError(
            f"`regularization_losses` must be a list or tuple of scalars. Received: "
            f"{type(regularization_losses).__name__}."
        )
    losses = [tf.cast(loss, tf.float32) for loss in regularization_losses]
    for loss in losses:
        if not loss.shape.is_compatible_with(()):
            raise ValueError(f"Each of `regularization_losses` must be a scalar. Received one of shape {loss.shape}.")
    return tf.add_n(losses) if losses else None


def regularized(loss: tf.Tensor, regularization_losses: Sequence[tf.Tensor] | None) -> tf.Tensor:
    """Returns `loss` with this replica's share of the regularization losses, which all replicas have in common."""
    penalty = regularization(regularization_losses)
    return loss if penalty is None else loss + penalty / replicas_adding_up()


def as_shares(losses: Sequence[Callable[[], tf.Tensor]]) -> list[tf.Tensor]:
    """Returns losses of several heads, each as this replica's share of the global batch's loss.

    Args:
      losses: functions that compute the losses. A loss that does not say that it is a share is taken for a mean over
        the replica's own batch, as that of any `model_fn` is.
    """
    context, replicas = _context.current(), replicas_adding_up()
    if context is None or replicas == 1:
        return [loss() for loss in losses]
    shares = []
    for compute in losses:
        context.loss_is_share = False
        loss = compute()
        shares.append(loss if context.loss_is_share else loss / replicas)
    _context.declare_loss_a_share()
    return shares
