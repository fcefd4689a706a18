"""One variable in the place of several small ones, while a stretch of steps runs.

A step that updates a dozen small tables, each with two slots, has some forty operations for what four could do: it
costs by their number. So the tables lie in a pile, one below the other, and their slots in piles alike. A stretch takes
the values of the variables into the piles before its first step, and puts them back after its last. In between the
variables have the values of before: a step in which something else uses them is traced without piles.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headway import _tensorflow

_ops = tf.raw_ops


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where tables lie in a pile; a row of zeros stands before each in which an id may be missing.

    Attributes:
      rows: the number of rows of each table.
      complete: for each table, whether no id is missing.
    """

    rows: tuple[int, ...]
    complete: tuple[bool, ...]

    @property
    def sizes(self) -> list[int]:
        """The number of rows of each piece of the pile: zeros and tables."""
        return [
            size
            for rows, complete in zip(self.rows, self.complete, strict=True)
            for size in ([] if complete else [1]) + [rows]
        ]

    @property
    def pieces(self) -> list[int]:
        """Which of the pieces is each table."""
        gaps = itertools.accumulate(not complete for complete in self.complete)
        return [number + gap for number, gap in enumerate(gaps)]

    @property
    def firsts(self) -> list[int]:
        """Where in the pile the first row of each table is."""
        begins = [0, *itertools.accumulate(self.sizes)]
        return [begins[piece] for piece in self.pieces]

    @property
    def height(self) -> int:
        """The number of rows of the pile."""
        return sum(self.sizes)

    def joined(self, tables: Sequence[Any]) -> tf.Tensor:
        """Returns the values of tables as a pile, `[height, units]`."""
        values = [_value(table) if isinstance(table, tf.Variable) else table for table in tables]
        parts = [tf.zeros([1, values[0].shape[1]], values[0].dtype)] * len(self.sizes)
        for piece, value in zip(self.pieces, values, strict=True):
            parts[piece] = value
        return tf.concat(parts, 0)

    def divided(self, pile: tf.Tensor) -> list[tf.Tensor]:
        """Returns the part of each table in a pile."""
        parts = tf.split(pile, self.sizes)
        return [parts[piece] for piece in self.pieces]


class Piles:
    """The piles that the steps of one trace use.

    Example:
      >>> piles, tables = Piles(), [tf.Variable([[1.0], [2.0]]), tf.Variable([[3.0]])]
      >>> pile = piles.of(Layout((2, 1), (True, True)), tables)
      >>> _ = piles.load(), pile.scatter_update(tf.IndexedSlices([[9.0]], [1])), piles.store()
      >>> [table.numpy().tolist() for table in tables]
      [[[1.0], [9.0]], [[3.0]]]
    """

    def __init__(self) -> None:
        self._piles: dict[tuple[Any, ...], tuple[Layout, Sequence[tf.Variable], tf.Variable]] = {}
        self._full = _tensorflow.outside_graphs(lambda: tf.Variable(False, trainable=False))

    def of(self, layout: Layout, tables: Sequence[tf.Variable]) -> tf.Variable:
        """Returns the variable that stands in for tables of `layout`: one that is there, or a new one."""
        key = (layout, *map(id, tables))
        if key not in self._piles:
            shape = [layout.height, int(tables[0].shape[1])]
            made = _tensorflow.outside_graphs(lambda: tf.Variable(tf.zeros(shape, tables[0].dtype), trainable=False))
            self._piles[key] = layout, tables, made
        return self._piles[key][-1]

    def value_of(self, table: tf.Variable) -> tf.Tensor:
        """Returns the value of a table as it is now, in the middle of a stretch."""
        for layout, tables, pile in self._piles.values():
            for number, other in enumerate(tables):
                if other is table:
                    return tf.slice(_value(pile), [layout.firsts[number], 0], [layout.rows[number], -1])
        return tf.convert_to_tensor(table)

    @property
    def variables(self) -> list[tf.Variable]:
        """Those that stand in for others."""
        return [pile for *_, pile in self._piles.values()]

    def are_bypassed_in(self, graph: Any) -> bool:
        """Tells whether an operation in the graph of a step uses one of the tables itself, whose values are old."""
        handles = {id(table.handle) for _, tables, _ in self._piles.values() for table in tables}
        return any(id(outer) in handles and inner.consumers() for outer, inner in graph.captures)

    def load(self) -> list[tf.Operation]:
        """Takes the values of the tables into the piles; returns what a step must wait for."""
        if not self._piles:
            return []
        loaded = [pile.assign(layout.joined(tables), read_value=False) for layout, tables, pile in self._piles.values()]
        with tf.control_dependencies(loaded):
            return [self._full.assign(True, read_value=False)]

    def store(self) -> None:
        """Puts the values in the piles back into the tables."""
        stored = [
            _ops.AssignVariableOp(resource=table.handle, value=value)
            for layout, tables, pile in self._piles.values()
            for table, value in zip(tables, layout.divided(_value(pile)), strict=True)
        ]
        if stored:
            # Outside of graphs there is nothing to wait for.
            with tf.control_dependencies([op for op in stored if op is not None]):
                self._full.assign(False, read_value=False)

    def rescue(self) -> None:
        """Puts the values back if a stretch has failed in its middle: they are those of the last step that was made."""
        if self._full.numpy():
            tf.function(self.store, autograph=False)()


def _value(variable: tf.Variable) -> tf.Tensor:
    # To trace this takes a fraction of the time that the methods of a variable take.
    return _ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)
