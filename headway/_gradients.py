"""Gradients of a loss: summed over replicas, sparse where a table is looked up, and clipped."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf

from headway import _context, _lookups


def of_loss(
    loss: tf.Tensor, variables: list[tf.Variable], context: _context.StepContext, scale: Any = None
) -> list[Any]:
    """Returns a gradient for each variable: a tensor, `tf.IndexedSlices`, or None where the loss needs it not.

    Args:
      loss: scalar.
      variables: what to differentiate by.
      context: the step's.
      scale: what the loss is multiplied by, and with it the gradients; None for nothing.

    Raises:
      ValueError: if the loss depends on none of the variables.
    """
    replicas = _context.num_replicas()
    if replicas > 1 and not context.loss_is_share:
        loss = loss / replicas
    loss = loss if scale is None else loss * tf.cast(scale, loss.dtype)
    gradients = _in_graph(loss, variables, context) if context.tape is None else context.tape.gradient(loss, variables)
    missing = [variable.name for variable, gradient in zip(variables, gradients, strict=True) if gradient is None]
    if len(missing) == len(variables):
        raise ValueError(
            f"The loss depends on none of the variables {missing}: no gradient can be computed. Check which ones you "
            "pass."
        )
    if missing:
        warnings.warn(f"The loss does not depend on {missing}: these variables are not trained.", stacklevel=4)
    if replicas > 1:
        context.varying_rows |= any(
            isinstance(gradient, tf.IndexedSlices) and gradient.values.shape[0] is None for gradient in gradients
        )
        present = [_with_a_row(gradient) for gradient in gradients if gradient is not None]
        reduced = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
        gradients = [None if gradient is None else _without_it(next(reduced)) for gradient in gradients]
    if context.compiled:
        gradients = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
    if context.gradient_clipping is not None and context.gradient_accumulation == 1:
        # The norm of sparse gradients is that of their values, which must name each row once.
        limit = context.gradient_clipping if scale is None else context.gradient_clipping * scale
        # A gradient that is not finite is for the optimizer's loss scale to skip, with all others of the step.
        gradients, _ = tf.clip_by_global_norm([merged(gradient) for gradient in gradients], limit)
    return list(gradients)


def rows_of(gradient: tf.IndexedSlices) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the distinct rows of a sparse gradient and the sum of the gradient in each."""
    if isinstance(gradient, _lookups.DistinctRows):
        return gradient.indices, gradient.values
    rows, position = tf.unique(gradient.indices)
    return rows, tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))


def merged(gradient: Any) -> Any:
    """Returns a sparse gradient with each row once; others as they are."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, summed = rows_of(gradient)
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)


def _with_a_row(gradient: Any) -> Any:
    """Returns a sparse gradient with one more row, -1, of zeros: TensorFlow cannot sum those of no rows, it crashes."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    values, rows = gradient.values, gradient.indices
    nothing = tf.zeros(tf.concat([[1], tf.shape(values)[1:]], 0), values.dtype)
    return tf.IndexedSlices(
        tf.concat([values, nothing], 0), tf.concat([rows, tf.constant([-1], rows.dtype)], 0), gradient.dense_shape
    )


def _without_it(gradient: Any) -> Any:
    """Returns what `_with_a_row` was given, after the sum over replicas, which joins their rows."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    there = gradient.indices >= 0
    rows, values = tf.boolean_mask(gradient.indices, there), tf.boolean_mask(gradient.values, there)
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _in_graph(loss: tf.Tensor, variables: list[tf.Variable], context: _context.StepContext) -> list[Any]:
    known = {id(variable) for variable in variables}
    graph = tf.compat.v1.get_default_graph()
    lookups = [
        lookup
        for lookup in context.lookups
        if lookup.result.graph is graph and any(id(table) in known for table in lookup.tables)
    ]
    results = [lookup.result for lookup in lookups]
    # The derivatives by the variables leave out what goes through the lookups, whose own derivatives come beside them.
    found = tf.gradients(loss, [*variables, *results], stop_gradients=results)
    gradients, by_results = found[: len(variables)], found[len(variables) :]
    parts: dict[int, list[Any]] = {id(variable): [] for variable in variables}
    for lookup, gradient in zip(lookups, by_results, strict=True):
        if gradient is not None:
            for table, part in zip(lookup.tables, lookup.gradients(gradient), strict=True):
                parts.get(id(table), []).append(part)
    return [
        _sum(gradient, _alone(parts[id(variable)], variable, gradient is None))
        for variable, gradient in zip(variables, gradients, strict=True)
    ]


def _alone(parts: list[Any], table: tf.Variable, only_looked_up: bool) -> list[Any]:
    """Returns the gradients of a table by its lookups, for a sum: those of a pile without the other tables in it."""
    if only_looked_up and len(parts) == 1:
        return parts
    return [part.of(table) if isinstance(part, _lookups.RowsOfPile) else part for part in parts]


def _sum(gradient: Any, parts: list[Any]) -> Any:
    """Returns the sum of a gradient, or None, and others, sparse or not."""
    terms = parts if gradient is None else [gradient, *parts]
    if len(terms) < 2:
        return terms[0] if terms else None
    if not all(isinstance(term, tf.IndexedSlices) for term in terms):
        return tf.add_n([tf.convert_to_tensor(term) for term in terms])
    return tf.IndexedSlices(
        tf.concat([term.values for term in terms], 0),
        tf.concat([tf.cast(term.indices, tf.int64) for term in terms], 0),
        parts[0].dense_shape,
    )
