"""Lookups of rows in several tables at once, and their gradients: one pass over the ids of all tables.

TensorFlow's own gradient of a lookup names a row as often as the batch does, table by table, and each optimizer sorts
that out for each table. Here a lookup notes itself in the step's context, so that `headway.minimize` can take the
gradient of what was looked up, and name each row of each table once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from headway import _context

# A row of a table is known by its number in the low bits and that of the table above them.
_ROW_BITS = 48


class DistinctRows(tf.IndexedSlices):
    """A sparse gradient that names each row once."""


@dataclasses.dataclass(frozen=True)
class Lookup:
    """A lookup that a step has made.

    Attributes:
      tables: variables `[rows, units]`.
      widths: how many of the `N` below belong to each table.
      ids: int64 `[N, B]`: the rows that were looked up, table after table.
      vectors: `[N, B, units]`: what stands in them.
    """

    tables: tuple[tf.Variable, ...]
    widths: tuple[int, ...]
    ids: tf.Tensor
    vectors: tf.Tensor


def stacked(tables: Sequence[tf.Variable], ids: Sequence[tf.Tensor], whole: tf.Tensor) -> tf.Tensor:
    """Returns the rows of several tables, `[sum of n, B, units]`.

    Args:
      tables: variables `[rows, units]`.
      ids: int64 `[n, B]` for each table, where each `n` is known.
      whole: all `ids` in one tensor.
    """
    # The variable itself is looked up, not its value: the table is not copied and the gradient stays sparse.
    vectors = tf.concat([tf.nn.embedding_lookup(table, rows) for table, rows in zip(tables, ids, strict=True)], 0)
    context = _context.current()
    if context is not None and context.records_lookups and len(tables) > 1 and _context.num_replicas() == 1:
        widths = tuple(int(rows.shape[0]) for rows in ids)
        context.lookups.append(Lookup(tuple(tables), widths, whole, vectors))
    return vectors


def gradients_of_tables(lookup: Lookup, gradient: tf.Tensor) -> list[DistinctRows]:
    """Returns the gradient of each table, from that of the vectors that were looked up.

    Args:
      lookup: the lookup.
      gradient: `[N, B, units]`.
    """
    tables = range(len(lookup.tables))
    number_of = [table for table in tables for _ in range(lookup.widths[table])]
    marks = tf.constant([[number << _ROW_BITS] for number in number_of], tf.int64)
    marked, position = tf.unique(tf.reshape(lookup.ids + marks, [-1]))
    values = tf.reshape(gradient, [-1, lookup.tables[0].shape[1]])
    summed = tf.math.unsorted_segment_sum(values, position, tf.size(marked))
    rows = tf.bitwise.bitwise_and(marked, tf.constant((1 << _ROW_BITS) - 1, tf.int64))
    # Rows are numbered in the order in which they come first, so those of a table stand together.
    last = tf.reduce_max(tf.reshape(position, tf.shape(lookup.ids)), 1)
    if len(number_of) > len(tables):
        last = tf.math.segment_max(last, tf.constant(number_of))
    # The largest of no numbers, in an empty batch, is the smallest there is.
    ends = tf.maximum(last, -1) + 1
    sizes = ends - tf.concat([[0], ends[:-1]], 0)
    parts = zip(
        lookup.tables,
        tf.split(summed, sizes, num=len(tables)),
        tf.split(rows, sizes, num=len(tables)),
        strict=True,
    )
    return [DistinctRows(mine, own, tf.constant(table.shape.as_list(), tf.int64)) for table, mine, own in parts]
