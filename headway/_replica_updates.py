"""What Keras's optimizers decide by a condition in each step, on replicas, whose updates no condition may hold.

Each replica has the whole gradient, so each decides alike: it makes the update, and puts back what was there before
where none was due.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from headway import _tensorflow

_ops = tf.raw_ops
_SCALED = (
    "A keras.optimizers.LossScaleOptimizer accumulates gradients, or overwrites weights by their moving averages, with "
    "one replica only, and there are several. Use the optimizer inside it, {inner!r}, or a strategy with one replica."
)


def decides(optimizer: Any) -> bool:
    """Returns whether an optimizer has a condition in its step: accumulation, or weights that averages overwrite."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return bool(inner.gradient_accumulation_steps or (inner.use_ema and inner.ema_overwrite_frequency))


def check(optimizer: Any) -> None:
    """Raises a ValueError for an optimizer whose condition is inside another one's."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and decides(optimizer):
        raise ValueError(_SCALED.format(inner=type(optimizer.inner_optimizer).__name__))


def apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Any],
    variables: list[tf.Variable],
    clipped: Callable[[Any, list[Any]], list[Any]],
    as_parts: Callable[[list[Any]], list[Any]],
) -> None:
    """Updates the variables as Keras would with one replica.

    Args:
      optimizer: built for `variables`.
      gradients: one for each variable, the sum over all replicas; None for those that stay.
      variables: the variables.
      clipped: clips gradients as an optimizer says.
      as_parts: turns sums into what each replica brings to them.
    """
    check(optimizer)
    # The count that Keras compares: that of the updates where gradients are accumulated.
    count = tf.convert_to_tensor(optimizer.iterations)
    if optimizer.gradient_accumulation_steps:
        _accumulate(optimizer, gradients, variables, clipped, as_parts)
    else:
        frequency, optimizer.ema_overwrite_frequency = optimizer.ema_overwrite_frequency, None
        try:
            optimizer.apply(as_parts(clipped(optimizer, gradients)), variables)
        finally:
            optimizer.ema_overwrite_frequency = frequency
    if optimizer.use_ema and optimizer.ema_overwrite_frequency:
        due = tf.equal((count + 1) % optimizer.ema_overwrite_frequency, 0)
        averages = _tensorflow.optimizer_slots(optimizer, "model_variables_moving_average")
        for variable, average in zip(variables, averages, strict=True):
            _choose(due, _tensorflow.keras_variable_value(average), variable)


def _accumulate(
    optimizer: Any,
    gradients: list[Any],
    variables: list[tf.Variable],
    clipped: Callable[[Any, list[Any]], list[Any]],
    as_parts: Callable[[list[Any]], list[Any]],
) -> None:
    steps = optimizer.gradient_accumulation_steps
    counter, sums, slots = _tensorflow.accumulation_state(optimizer)
    due = tf.equal((_read(counter) + 1) % steps, 0)
    scale = optimizer.loss_scale_factor or 1.0
    totals: list[Any] = []
    for gradient, total in zip(gradients, sums, strict=True):
        if gradient is None:
            totals.append(None)
            continue
        _ops.AssignAddVariableOp(resource=total.handle, value=tf.convert_to_tensor(gradient) / scale)
        totals.append(_read(total))
    mean = clipped(optimizer, [None if total is None else total / steps for total in totals])
    with _undone_unless(due, [*variables, *slots]):
        present = [(one, value) for one, value in zip(mean, variables, strict=True) if one is not None]
        _tensorflow.update_by_keras(optimizer, as_parts([one for one, _ in present]), [value for _, value in present])
    for total in sums:
        _set(total, tf.where(due, tf.zeros_like(_read(total)), _read(total)))
    if optimizer.use_ema:
        _tensorflow.average_by_keras(optimizer)
    _ops.AssignAddVariableOp(resource=counter.handle, value=tf.ones([], counter.dtype))


@contextlib.contextmanager
def _undone_unless(due: tf.Tensor, variables: list[tf.Variable]) -> Iterator[None]:
    before = [_read(variable) for variable in variables]
    yield
    for variable, value in zip(variables, before, strict=True):
        _set(variable, tf.where(due, _read(variable), value))


def _choose(due: tf.Tensor, source: tf.Variable, target: tf.Variable) -> None:
    _set(target, tf.where(due, tf.cast(_read(source), target.dtype), _read(target)))


def _read(variable: tf.Variable) -> tf.Tensor:
    # By its handle, each replica has its own copy; the copies are alike.
    return tf.identity(_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype))


def _set(variable: tf.Variable, value: tf.Tensor) -> None:
    _ops.AssignVariableOp(resource=variable.handle, value=value)
