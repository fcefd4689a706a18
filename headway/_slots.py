"""What the updates of optimizers have in common: handles of variables and slots, and operations on some of their rows.

The operations take the variables' handles, so each replica of a strategy updates its own copy: the gradients are summed
before, and the copies stay alike.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway import _gradients, _lookups, _tensorflow

_ops = tf.raw_ops
# Of smaller tables the caches nearest to a core hold much, and the processor knows where their pages are.
LARGE_BYTES = 8 << 20


def with_slots(optimizer: Any, gradients: list[Any], variables: list[tf.Variable], *kinds: str) -> list[Any]:
    """Returns (gradient, handle of the variable, handles of its slots) for each variable that has a gradient."""
    slots = [
        [_tensorflow.keras_variable_value(slot) for slot in _tensorflow.optimizer_slots(optimizer, kind)]
        for kind in kinds
    ]
    present = [row for row in zip(gradients, variables, *slots, strict=True) if row[0] is not None]
    piled = [row for row in present if isinstance(row[0], _lookups.RowsOfPile)]
    plain = [row for row in present if not isinstance(row[0], _lookups.RowsOfPile)]
    return [(gradient, *(own.handle for own in owns)) for gradient, *owns in [*plain, *_in_piles(piled)]]


def _in_piles(rows: list[Any]) -> list[Any]:
    """Returns (gradient, pile, piles of its slots) for each pile, from (gradient, variable, slots) of its tables."""
    slots = {id(variable): own for _, variable, *own in rows}
    found = []
    for gradient in {id(gradient): gradient for gradient, *_ in rows}.values():
        kinds = zip(*(slots[id(table)] for table in gradient.tables), strict=True)
        found.append((gradient, gradient.pile, *(gradient.piles.of(gradient.layout, kind) for kind in kinds)))
    return found


def next_step(optimizer: Any) -> tf.Tensor:
    """Returns the number of the step that is being made, counted from 1, as a float."""
    return tf.cast(_tensorflow.keras_variable_value(optimizer.iterations) + 1, tf.float32)


def value(handle: tf.Tensor) -> tf.Tensor:
    """Returns the value of a variable."""
    return _ops.ReadVariableOp(resource=handle, dtype=tf.float32)


def rows(handle: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """Returns rows of a variable."""
    return _ops.ResourceGather(resource=handle, indices=which, dtype=tf.float32)


def dense(gradient: Any) -> Any:
    """Returns a gradient for an update that leaves alone what has a gradient of zero: with all rows if they are few."""
    whole = getattr(gradient, "dense", None)
    return gradient if whole is None else whole


def rows_to_update(gradient: tf.IndexedSlices, *handles: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the distinct rows of a sparse gradient and its sum in each, for an operation that updates these rows.

    Such an operation goes from row to row, and in a large table it waits for the memory at each. Reading rows does not
    wait for one before it asks for the next, so the rows of large slots are read first.

    Args:
      gradient: of a table.
      *handles: of its slots.
    """
    which, summed = _gradients.rows_of(gradient)
    shape = tf.get_static_value(gradient.dense_shape)
    # From a parameter server the rows would be sent.
    remote = isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy)
    if shape is None or 4 * shape.prod() < LARGE_BYTES or remote:
        return which, summed
    # TensorFlow leaves out what is read for nothing: as far as it can know, these rows may be taken for the gradient.
    never = tf.size(which) < 0
    for handle in handles:
        summed = tf.where(never, rows(handle, which), summed)
    return which, summed


def subtract(handle: tf.Tensor, which: tf.Tensor, change: tf.Tensor) -> None:
    """Subtracts from rows of a variable."""
    _ops.ResourceScatterSub(resource=handle, indices=which, updates=change)


def moved(handle: tf.Tensor, which: tf.Tensor, target: tf.Tensor, share: float) -> tf.Tensor:
    """Moves rows of a variable by a share of the way to `target`; returns them."""
    before = rows(handle, which)
    after = before + (target - before) * share
    _ops.ResourceScatterUpdate(resource=handle, indices=which, updates=after)
    return after


def decayed(handle: tf.Tensor, kept: float, gradient: Any, square: bool = False) -> tf.Tensor:
    """Sets a variable to the moving average of gradients, or of their squares; returns the gradient's rows of it.

    Args:
      handle: of the variable. All its rows decay, those that a sparse gradient does not have too.
      kept: the share that stays.
      gradient: a tensor, or a pair of rows and the gradient in them.
      square: whether it is an average of squares.
    """
    which, dense = gradient if isinstance(gradient, tuple) else (None, gradient)
    added = (1.0 - kept) * (tf.square(dense) if square else dense)
    rest = value(handle) * kept
    if which is None:
        rest += added
    _ops.AssignVariableOp(resource=handle, value=rest)
    if which is None:
        return rest
    _ops.ResourceScatterAdd(resource=handle, indices=which, updates=added)
    return rows(handle, which)
