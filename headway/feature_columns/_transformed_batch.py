"""A transformed batch as the columns' device parts see it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import _lookups
from headway.feature_columns import _layout
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, FloatColumn, Lookup


@dataclasses.dataclass(frozen=True)
class DenseLookup:
    """Ids of a fixed number per row.

    Attributes:
      ids: int64 `[B, n]`, -1 where there is none.
      safe: the same with an id that exists in place of -1.
      present: float32 `[B, n]`, 0 where `ids` is -1, else 1.
    """

    ids: tf.Tensor
    safe: tf.Tensor
    present: tf.Tensor

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, n]`."""
        return self.ids

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns float32 `[B, num_buckets]`."""
        one_hot = tf.one_hot(self.ids, num_buckets)
        return tf.squeeze(one_hot, 1) if self.ids.shape[1] == 1 else tf.reduce_sum(one_hot, 1)

    def embed(self, table: tf.Variable, combiner: str, *, max_norm: float | None = None) -> tf.Tensor:
        """Returns float32 `[B, dim]`."""
        # The variable itself is looked up, not its value: the table is not copied and the gradient stays sparse.
        vectors = tf.nn.embedding_lookup(table, self.safe, max_norm=max_norm)
        if self.ids.shape[1] == 1:
            return tf.squeeze(vectors, 1) * self.present
        return tf.reduce_sum(vectors * tf.expand_dims(coefficients(self.present, combiner, 1), 2), 1)


@dataclasses.dataclass(frozen=True)
class RaggedLookup:
    """Ids of any number per row: RaggedTensor int64 `[B, (n)]` without -1."""

    ids: tf.RaggedTensor

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, longest row]`, padded with -1."""
        return self.ids.to_tensor(default_value=-1)

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns float32 `[B, num_buckets]`."""
        return tf.reduce_sum(tf.one_hot(self.dense_ids(), num_buckets), 1)

    def embed(self, table: tf.Variable, combiner: str, *, max_norm: float | None = None) -> tf.Tensor:
        """Returns float32 `[B, dim]`."""
        vectors = tf.nn.embedding_lookup(table, self.ids.flat_values, max_norm=max_norm)
        total = tf.math.unsorted_segment_sum(vectors, self.ids.value_rowids(), self.ids.nrows())
        if combiner == "sum":
            return total
        return tf.math.divide_no_nan(
            total, _divisor(tf.cast(self.ids.row_lengths(), tf.float32), combiner)[:, tf.newaxis]
        )


def coefficients(present: tf.Tensor, combiner: str, axis: int) -> tf.Tensor:
    """Returns the weight of each id in its row's combination, float32 like `present`, whose `axis` counts the ids."""
    if combiner == "sum" or present.shape[axis] == 1:
        return present
    return tf.math.divide_no_nan(present, _divisor(tf.reduce_sum(present, axis, keepdims=True), combiner))


def _divisor(count: tf.Tensor, combiner: str) -> tf.Tensor:
    return count if combiner == "mean" else tf.sqrt(count)


def with_existing_ids(ids: tf.Tensor, axis: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `ids` without -1, and float32 zeros and ones that say where they were; `axis` counts the rows."""
    present = ids >= 0
    # In place of -1 stands an id that occurs in the batch anyway, not 0: an optimizer that changes each row it is
    # given a gradient for, be it zero, would else change the row of an id that does not occur.
    substitute = tf.maximum(tf.reduce_max(ids, axis, keepdims=True), 0)
    return tf.where(present, ids, substitute), tf.cast(present, tf.float32)


class TransformedBatch:
    """A transformed batch.

    Args:
      transformed: what a `ColumnTransform` returned.
      columns: the columns that will be asked for.

    Raises:
      ValueError: if the batch was not transformed for one of the columns.
    """

    def __init__(self, transformed: Mapping[str, Any], columns: Iterable[FeatureColumn]) -> None:
        host = {part.digest: part for column in columns for part in column.host_columns}
        _layout.check_holds(transformed, host.values())
        self._transformed = transformed
        self._places = {digest: place for digest, place in _layout.places(transformed).items() if digest in host}
        self._fixed = [digest for digest, place in self._places.items() if place.kind == _layout.IDS]
        self._lookups: dict[str, Lookup] = {}

    @property
    def num_rows(self) -> tf.Tensor:
        """The number of rows, an int64 scalar."""
        return _layout.batch_size(self._transformed)

    def float_place(self, column: FloatColumn) -> _layout.Place:
        """Returns where the values of `column` lie."""
        return self._places[column.digest]

    def floats(self, column: FloatColumn) -> tf.Tensor:
        """Returns float32 `[B, width]`."""
        place = self.float_place(column)
        return self.float_slice(place.key, place.start, place.start + place.width)

    def float_slice(self, key: str, start: int, stop: int) -> tf.Tensor:
        """Returns the given columns of a matrix of floats."""
        matrix = self._transformed[key]
        return matrix if (start, stop) == (0, matrix.shape[1]) else matrix[:, start:stop]

    def lookup(self, column: CategoricalColumn) -> Lookup:
        """Returns the ids of `column`."""
        if column.digest not in self._lookups:
            self._lookups[column.digest] = self._make_lookup(column)
        return self._lookups[column.digest]

    def linear_sum(self, tables: Sequence[tuple[CategoricalColumn, tf.Variable]], combiner: str) -> tf.Tensor:
        """Returns the sum over columns of their combined weights (`[ids, units]` each), float32 `[B, units]`."""
        sums, fixed = [], []
        for column, table in tables:
            if self._places[column.digest].kind == _layout.IDS:
                fixed.append((column.digest, table))
            else:
                sums.append(self.lookup(column).embed(table, combiner))
        if fixed:
            sums.append(self._sum_of_fixed(fixed, combiner))
        return tf.add_n(sums) if len(sums) > 1 else sums[0]

    def _sum_of_fixed(self, tables: Sequence[tuple[str, tf.Variable]], combiner: str) -> tf.Tensor:
        rows = {digest: part for digest, *part in zip(self._fixed, *self._parts, strict=True)}
        own = [rows[digest] for digest, _ in tables]
        whole = [digest for digest, _ in tables] == self._fixed
        ids = self._matrices[1] if whole else tf.concat([safe for _, safe, _ in own], 0)
        vectors = _lookups.stacked([table for _, table in tables], [safe for _, safe, _ in own], ids)
        if combiner == "sum":
            present = self._matrices[2] if whole else tf.concat([present for *_, present in own], 0)
        else:
            present = tf.concat([coefficients(present, combiner, 0) for *_, present in own], 0)
        return tf.reduce_sum(vectors * tf.expand_dims(present, 2), 0)

    def _make_lookup(self, column: CategoricalColumn) -> Lookup:
        place = self._places[column.digest]
        if place.kind == _layout.RAGGED:
            return RaggedLookup(self._transformed[place.key])
        if place.kind == _layout.PADDED:
            ids = self._transformed[place.key]
            return DenseLookup(ids, *with_existing_ids(ids))
        return self._fixed_lookups[column.digest]

    @functools.cached_property
    def _matrices(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The ids of all columns of a fixed number per row, as in `DenseLookup`, below each other: `[N, B]`."""
        places = [self._places[digest] for digest in self._fixed]
        matrix = tf.transpose(self._transformed[places[0].key])
        wanted = [index for place in places for index in range(place.start, place.start + place.width)]
        if wanted != list(range(matrix.shape[0])):
            matrix = tf.gather(matrix, wanted)
        return (matrix, *with_existing_ids(matrix, axis=1))

    @functools.cached_property
    def _parts(self) -> list[list[tf.Tensor]]:
        """`_matrices`, each divided among the columns."""
        widths = [self._places[digest].width for digest in self._fixed]
        return [tf.split(matrix, widths, axis=0) for matrix in self._matrices]

    @functools.cached_property
    def _fixed_lookups(self) -> dict[str, DenseLookup]:
        parts = zip(self._fixed, *self._parts, strict=True)
        return {digest: DenseLookup(*map(_rows_first, tensors)) for digest, *tensors in parts}


def _rows_first(matrix: tf.Tensor) -> tf.Tensor:
    """Returns `[n, B]` as `[B, n]`."""
    return tf.reshape(matrix, [-1, 1]) if matrix.shape[0] == 1 else tf.transpose(matrix)
