"""How columns lie in memory, and how rows are gathered from them.

Columns of one type and shape lie side by side in one table `[rows, columns, ...]`. A row is then one piece of memory,
and a batch of all of these columns costs one gather instead of one for each column. Strings lie there as int32 codes
into one list of distinct values.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headway._columns import Coded
from headway._encoded import Encoded
from headway.input_pipelines import _structure

# Wider columns (images, long vectors) gain nothing from lying beside others, and packing would copy them.
_WIDEST_PACKED = 64

Kind = Literal["values", "codes", "ragged"]


@dataclasses.dataclass(frozen=True)
class Group:
    """Columns that share a table: the leaves numbered `members`, each of shape `[rows, *shape]`."""

    kind: Kind
    dtype: tf.DType
    shape: tuple[int | None, ...]
    members: tuple[int, ...]
    ragged: tf.RaggedTensorSpec | None = None
    # How many distinct values each column of codes has, where that is known: not part of what a group is.
    sizes: tuple[int, ...] = dataclasses.field(default=(), compare=False)

    def spec(self) -> Any:
        """Returns the spec of the table, with an open number of rows."""
        if self.kind == "ragged":
            return self.ragged
        packed = (len(self.members),) if len(self.members) > 1 else ()
        if self.kind == "codes":
            return tf.TensorSpec((None, *packed, *self.shape), tf.int32), tf.TensorSpec([None], tf.string)
        return tf.TensorSpec((None, *packed, *self.shape), self.dtype)

    def leaf_spec(self, batch_size: int | None) -> Any:
        """Returns the spec of one of the columns in a batch."""
        if self.ragged is not None:
            return tf.RaggedTensorSpec([batch_size, *self.ragged.shape[1:]], self.dtype, self.ragged.ragged_rank)
        return tf.TensorSpec((batch_size, *self.shape), self.dtype)

    def columns(self, table: Any, rows: Any, *, encoded: bool = False) -> list[Any]:
        """Returns the columns at the row numbers `rows`; at all rows if that is None; strings as codes if `encoded`."""
        if encoded and self.kind == "codes":
            codes, values = table
            return self._encoded(codes if rows is None else tf.gather(codes, rows), values, whole=rows is None)
        values = None
        if self.kind == "codes":
            table, values = table
        part = table if rows is None else tf.gather(table, rows)
        if values is not None:
            part = tf.gather(values, part)
        return _unstacked(part, whole=rows is None) if len(self.members) > 1 else [part]

    def _encoded(self, codes: tf.Tensor, values: tf.Tensor, *, whole: bool) -> list[Encoded]:
        """Returns the columns of codes, each with its own distinct values where these are known."""
        parts = _unstacked(codes, whole=whole) if len(self.members) > 1 else [codes]
        if not self.sizes:
            return [Encoded(codes=part, values=values) for part in parts]
        values = tf.ensure_shape(values, [sum(self.sizes)])
        ends = list(itertools.accumulate(self.sizes))
        return [
            Encoded(codes=part - (end - size) if end > size else part, values=own)
            for part, size, end, own in zip(parts, self.sizes, ends, tf.split(values, self.sizes), strict=True)
        ]


def _unstacked(table: tf.Tensor, *, whole: bool) -> list[tf.Tensor]:
    """Returns the columns of `[rows, columns, ...]`; `whole` says that there are many rows."""
    if whole and table.shape.rank == 2 and table.dtype != tf.string:
        # Unstacking along the other axis goes number by number, and takes longer than both.
        return list(tf.unstack(tf.transpose(table)))
    return list(tf.unstack(table, axis=1))


@dataclasses.dataclass(frozen=True)
class Layout:
    """The structure of the features (or labels) and the tables that its leaves lie in. Hashable; holds no data."""

    structure: Hashable
    groups: tuple[Group, ...]

    def restore(self, parts: Sequence[Sequence[Any]]) -> Any:
        """Returns the user's structure from the columns of each group."""
        leaves = {
            n: leaf
            for group, part in zip(self.groups, parts, strict=True)
            for n, leaf in zip(group.members, part, strict=True)
        }
        return _structure.thaw(self.structure, iter([leaves[n] for n in range(len(leaves))]))

    def columns(self, tables: Sequence[Any], rows: Any = None, *, encoded: bool = False) -> Any:
        """Returns the user's structure at the row numbers `rows` (int64 `[batch]`); all rows if that is None.

        Columns of strings are `Encoded` if `encoded` is true.
        """
        parts = zip(self.groups, tables, strict=True)
        return self.restore([group.columns(table, rows, encoded=encoded) for group, table in parts])

    def repeats_values(self, tables: Sequence[Any], rows: int) -> bool:
        """Returns whether `rows` rows of strings hold each value so often that reading it once is worth it."""
        words = [table[1] for group, table in zip(self.groups, tables, strict=True) if group.kind == "codes"]
        return bool(words) and all(2 * len(values) <= rows for values in words)

    def spec(self) -> tuple[Any, ...]:
        """Returns the specs of the tables."""
        return tuple(group.spec() for group in self.groups)

    def element_spec(self, batch_size: int | None) -> Any:
        """Returns the specs of a batch, in the user's structure."""
        return self.restore([[group.leaf_spec(batch_size)] * len(group.members) for group in self.groups])


@dataclasses.dataclass(frozen=True)
class Gather:
    """The `fetch` of data in memory: `tables` are those of (features, labels), `element` row numbers `[batch]`."""

    features: Layout
    labels: Layout | None

    def __call__(self, tables: Any, element: Any) -> Any:
        """Returns (features, labels), or features where there are no labels."""
        features = self.features.columns(tables[0], element)
        return features if self.labels is None else (features, self.labels.columns(tables[1], element))


def _plan(structure: Hashable, kinds: Sequence[tuple[Kind, tf.DType, tuple[int | None, ...], Any]]) -> Layout:
    groups: dict[Hashable, list[int]] = {}
    for number, (kind, dtype, shape, _) in enumerate(kinds):
        alone = kind == "ragged" or None in shape or math.prod(size or 0 for size in shape) > _WIDEST_PACKED
        groups.setdefault((kind, dtype, shape, number if alone else None), []).append(number)
    return Layout(
        structure,
        tuple(Group(*kinds[members[0]][:3], tuple(members), kinds[members[0]][3]) for members in groups.values()),
    )


def pack(structure: Any) -> tuple[Layout, list[Any]]:
    """Lays out columns given as NumPy arrays and `Coded` strings; returns the layout and the tables as arrays."""
    leaves: list[Any] = []
    frozen = _structure.freeze(structure, leaves)
    layout = _plan(
        frozen,
        [
            ("codes", tf.string, leaf.shape[1:], None)
            if isinstance(leaf, Coded)
            else ("values", tf.as_dtype(leaf.dtype), leaf.shape[1:], None)
            for leaf in leaves
        ],
    )
    columns = [[leaves[n] for n in group.members] for group in layout.groups]
    groups = [
        dataclasses.replace(group, sizes=tuple(len(leaf.values) for leaf in part)) if group.kind == "codes" else group
        for group, part in zip(layout.groups, columns, strict=True)
    ]
    layout = Layout(layout.structure, tuple(groups))
    return layout, [_table(group, part) for group, part in zip(layout.groups, columns, strict=True)]


def _table(group: Group, columns: list[Any]) -> Any:
    if group.kind == "values":
        return columns[0].copy() if len(columns) == 1 else _side_by_side(columns, [0] * len(columns))
    values: list[bytes] = []
    offsets = []
    for column in columns:
        offsets.append(len(values))
        values.extend(column.values)
    codes = [column.codes for column in columns]
    return codes[0] if len(codes) == 1 else _side_by_side(codes, offsets), np.asarray(values, dtype=object)


def _side_by_side(columns: list[npt.NDArray[Any]], offsets: list[int]) -> npt.NDArray[Any]:
    first = columns[0]
    table = np.empty((len(first), len(columns), *first.shape[1:]), first.dtype)
    for number, (column, offset) in enumerate(zip(columns, offsets, strict=True)):
        table[:, number] = column + first.dtype.type(offset) if offset else column
    return table


def pack_tensors(structure: Any) -> tuple[Layout, tuple[Any, ...]]:
    """Lays out columns given as (symbolic) tensors or ragged tensors; returns the layout and the tables.

    Raises:
      TypeError: a column is something else, a `tf.SparseTensor` for instance, of which rows cannot be gathered.
    """
    leaves: list[Any] = []
    frozen = _structure.freeze(structure, leaves)
    kinds: list[tuple[Kind, tf.DType, tuple[int | None, ...], Any]] = []
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, tf.RaggedTensor):
            spec = tf.RaggedTensorSpec([None, *leaf.shape[1:]], leaf.dtype, leaf.ragged_rank)
            kinds.append(("ragged", leaf.dtype, (), spec))
        elif tf.is_tensor(leaf) and not isinstance(leaf, tf.SparseTensor):
            kinds.append(("values", leaf.dtype, tuple(leaf.shape[1:]), None))
        else:
            raise TypeError(f"A table cannot hold {leaf!r} (leaf {number}).")
    layout = _plan(frozen, kinds)
    parts = [[leaves[n] for n in group.members] for group in layout.groups]
    return layout, tuple(part[0] if len(part) == 1 else tf.stack(part, axis=1) for part in parts)
