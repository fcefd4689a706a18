"""Lookups of rows in one table or in several at once, and their gradients: one pass over the ids of all tables.

TensorFlow's own gradient of a lookup names a row as often as the batch does, table by table, and each optimizer sorts
that out for each table. Here a lookup notes itself in the step's context, so that `headway.minimize` can take the
gradient of what was looked up, and name each row of each table once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from headway import _context
from headway._piles import Layout, Piles

# A row of a table is known by its number in the low bits and that of the table above them.
_ROW_BITS = 48
# Tables with so many elements in all are copied into one, as that costs less than an operation for each of them.
_FEW_ELEMENTS = 1 << 14


class DistinctRows(tf.IndexedSlices):
    """A sparse gradient that names each row once.

    Attributes:
      dense: the same gradient with all rows, where these are so few that an update of them all, if it leaves those
        alone whose gradient is zero, costs less than to find out which rows there are; else None.
    """

    dense: tf.Tensor | None = None


class RowsOfPile(DistinctRows):
    """The gradient of several tables in the variable that stands in for them: each of them has this one.

    Attributes:
      pile: the variable.
      piles: what has made it, and makes those of the slots.
      layout: where the tables lie in it.
      tables: the tables.
    """

    pile: tf.Variable
    piles: Piles
    layout: Layout
    tables: tuple[tf.Variable, ...]

    def of(self, table: tf.Variable) -> tf.Tensor:
        """Returns the gradient of one of the tables, with all of its rows."""
        number = next(number for number, other in enumerate(self.tables) if other is table)
        return self.layout.divided(self.dense)[number]


class Lookup(Protocol):
    """A lookup that a step has made."""

    @property
    def tables(self) -> tuple[tf.Variable, ...]:
        """The variables, `[rows, units]` each."""

    @property
    def result(self) -> tf.Tensor:
        """What came of it."""

    def gradients(self, gradient: tf.Tensor) -> list[DistinctRows]:
        """Returns the gradient of each table, from that of the result."""


@dataclasses.dataclass(frozen=True)
class RowLookup:
    """Rows of one table.

    Attributes:
      table: variable `[rows, units]`.
      ids: int64 `[B]`: the rows that were looked up.
      result: `[B, units]`: what stands in them.
    """

    table: tf.Variable
    ids: tf.Tensor
    result: tf.Tensor

    @property
    def tables(self) -> tuple[tf.Variable, ...]:
        """The one table."""
        return (self.table,)

    def gradients(self, gradient: tf.Tensor) -> list[DistinctRows]:
        """Returns the gradient of the table, from that of the result."""
        rows, position = tf.unique(self.ids)
        summed = tf.math.unsorted_segment_sum(gradient, position, tf.size(rows))
        (found,) = _of_each(self.tables, [summed], [rows])
        if self.table.shape.num_elements() <= _FEW_ELEMENTS:
            # Nothing is computed of the two but what the update takes.
            found.dense = tf.math.unsorted_segment_sum(gradient, self.ids, int(self.table.shape[0]))
        return [found]


@dataclasses.dataclass(frozen=True)
class StackedLookup:
    """Rows of several tables, one below the other.

    Attributes:
      tables: variables `[rows, units]`.
      widths: how many of the `N` below belong to each table.
      ids: int64 `[N, B]`: the rows that were looked up, table after table.
      result: `[N, B, units]`: what stands in them.
    """

    tables: tuple[tf.Variable, ...]
    widths: tuple[int, ...]
    ids: tf.Tensor
    result: tf.Tensor

    def gradients(self, gradient: tf.Tensor) -> list[DistinctRows]:
        """Returns the gradient of each table, from that of the result."""
        tables = range(len(self.tables))
        number_of = [table for table in tables for _ in range(self.widths[table])]
        marks = tf.constant([[number << _ROW_BITS] for number in number_of], tf.int64)
        marked, position = tf.unique(tf.reshape(self.ids + marks, [-1]))
        values = tf.reshape(gradient, [-1, self.tables[0].shape[1]])
        summed = tf.math.unsorted_segment_sum(values, position, tf.size(marked))
        rows = tf.bitwise.bitwise_and(marked, tf.constant((1 << _ROW_BITS) - 1, tf.int64))
        # Rows are numbered in the order in which they come first, so those of a table stand together.
        last = tf.reduce_max(tf.reshape(position, tf.shape(self.ids)), 1)
        if len(number_of) > len(tables):
            last = tf.math.segment_max(last, tf.constant(number_of))
        # The largest of no numbers, in an empty batch, is the smallest there is.
        ends = tf.maximum(last, -1) + 1
        sizes = ends - tf.concat([[0], ends[:-1]], 0)
        return _of_each(self.tables, tf.split(summed, sizes, num=len(tables)), tf.split(rows, sizes, num=len(tables)))


@dataclasses.dataclass(frozen=True)
class SummedLookup:
    """The sum of rows of several small tables that lie one below the other.

    Attributes:
      tables: variables `[rows, units]`.
      layout: where they lie.
      rows: int64 `[N, B]`: the rows of the pile that were looked up.
      result: `[B, units]`: their sum.
      piles: what makes the variables that stand in for the tables; None where these stand for themselves.
    """

    tables: tuple[tf.Variable, ...]
    layout: Layout
    rows: tf.Tensor
    result: tf.Tensor
    piles: Piles | None = None

    def gradients(self, gradient: tf.Tensor) -> list[DistinctRows]:
        """Returns the gradient of each table, from that of the result."""
        sizes, height = self.layout.sizes, self.layout.height
        values = tf.tile(tf.expand_dims(gradient, 0), [self.rows.shape[0], 1, 1])
        summed = tf.math.unsorted_segment_sum(values, self.rows, height)
        # In piles of few rows, marking each costs a fraction of what a search for the distinct ones among the ids does.
        touched = tf.raw_ops.DenseBincount(
            input=tf.reshape(self.rows, [-1]),
            size=tf.constant(height, tf.int64),
            weights=tf.constant([], tf.int32),
            binary_output=True,
        )
        if self.piles is not None:
            return [self._of_pile(self.piles, summed, touched)] * len(self.tables)
        found = tf.reshape(tf.where(touched), [-1])
        row_in_piece = tf.constant([row for size in sizes for row in range(size)], tf.int64)
        piece_of_row = tf.constant([piece for piece, size in enumerate(sizes) for _ in range(size)])
        counts = tf.math.segment_sum(touched, piece_of_row)
        values = tf.split(tf.gather(summed, found), counts, num=len(sizes))
        rows = tf.split(tf.gather(row_in_piece, found), counts, num=len(sizes))
        pieces = self.layout.pieces
        return _of_each(self.tables, [values[piece] for piece in pieces], [rows[piece] for piece in pieces])

    def _of_pile(self, piles: Piles, summed: tf.Tensor, touched: tf.Tensor) -> RowsOfPile:
        if not all(self.layout.complete):
            # The rows of zeros stay what they are.
            is_of_table = self.layout.joined([tf.ones([rows, 1]) for rows in self.layout.rows])
            summed *= is_of_table
            touched *= tf.cast(is_of_table[:, 0], tf.int32)
        found = tf.reshape(tf.where(touched), [-1])
        pile = piles.of(self.layout, self.tables)
        gradient = RowsOfPile(tf.gather(summed, found), found, tf.constant(pile.shape.as_list(), tf.int64))
        gradient.dense = summed
        gradient.pile, gradient.piles, gradient.layout, gradient.tables = pile, piles, self.layout, self.tables
        return gradient


def rows(table: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
    """Returns rows of a table, `[B, units]`.

    Args:
      table: variable `[rows, units]`.
      ids: int64 `[B]`.
    """
    # The variable itself is looked up, not its value: the table is not copied and the gradient stays sparse.
    vectors = tf.nn.embedding_lookup(table, ids)
    context = _recording()
    if context is not None:
        context.lookups.append(RowLookup(table, ids, vectors))
    return vectors


def stacked(tables: Sequence[tf.Variable], ids: Sequence[tf.Tensor], whole: tf.Tensor) -> tf.Tensor:
    """Returns the rows of several tables, `[sum of n, B, units]`.

    Args:
      tables: variables `[rows, units]`.
      ids: int64 `[n, B]` for each table, where each `n` is known.
      whole: all `ids` in one tensor.
    """
    vectors = tf.concat([tf.nn.embedding_lookup(table, part) for table, part in zip(tables, ids, strict=True)], 0)
    context = _recording() if len(tables) > 1 else None
    if context is not None:
        widths = tuple(int(part.shape[0]) for part in ids)
        context.lookups.append(StackedLookup(tuple(tables), widths, whole, vectors))
    return vectors


def can_sum(tables: Sequence[tf.Variable]) -> bool:
    """Whether `summed` may be called: the tables are small, and the step takes gradients of what it notes."""
    elements = sum(int(table.shape.num_elements()) for table in tables)
    return len(tables) > 1 and elements <= _FEW_ELEMENTS and _recording() is not None


def summed(tables: Sequence[tf.Variable], widths: Sequence[int], ids: tf.Tensor, complete: Sequence[bool]) -> tf.Tensor:
    """Returns the sum of rows of several tables, `[B, units]`; an id of -1 adds nothing.

    Args:
      tables: variables `[rows, units]`, for which `can_sum` holds.
      widths: how many of the `N` below belong to each table.
      ids: int64 `[N, B]`, each -1 or a row of its table, table after table.
      complete: for each table, whether none of its ids is -1.
    """
    context = _recording()
    assert context is not None
    layout = Layout(tuple(int(table.shape[0]) for table in tables), tuple(complete))
    first_of_each = [[first] for first, width in zip(layout.firsts, widths, strict=True) for _ in range(width)]
    places = ids + tf.constant(first_of_each, tf.int64)
    piles = context.piles if context.may_pile else None
    whole = layout.joined(tables) if piles is None else piles.of(layout, tables)
    result = tf.reduce_sum(tf.gather(whole, places), 0)
    context.lookups.append(SummedLookup(tuple(tables), layout, places, result, piles))
    return result


def _recording() -> _context.StepContext | None:
    """Returns the context that lookups are noted in; None if they are not."""
    context = _context.current()
    if context is None or not context.records_lookups or _context.num_replicas() > 1:
        return None
    return context


def _of_each(
    tables: Sequence[tf.Variable], values: Sequence[tf.Tensor], rows: Sequence[tf.Tensor]
) -> list[DistinctRows]:
    parts = zip(tables, values, rows, strict=True)
    return [DistinctRows(mine, own, tf.constant(table.shape.as_list(), tf.int64)) for table, mine, own in parts]
