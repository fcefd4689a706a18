"""A transformed batch as the columns' device parts see it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import _lookups
from headway.feature_columns import _layout
from headway.feature_columns._id_lookups import (
    DenseLookup,
    RaggedLookup,
    SequenceLookup,
    SingleLookup,
    coefficients,
    with_existing_ids,
)
from headway.feature_columns._protocol import FeatureColumn, FloatColumn, IdColumn, Lookup, SequenceColumn


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
        self._weights = _layout.places_of_weights(transformed)
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

    def steps(self, column: SequenceColumn) -> tf.Tensor:
        """Returns float32 `[B, T, width]`, with zeros behind the end of a ragged row."""
        values = self._transformed[self._places[column.digest].key]
        return values.to_tensor() if isinstance(values, tf.RaggedTensor) else values

    def lengths(self, column: SequenceColumn) -> tf.Tensor:
        """Returns the number of steps of each row, int64 `[B]`."""
        values = self._transformed[self._places[column.digest].key]
        if isinstance(values, tf.RaggedTensor):
            return tf.cast(values.row_lengths(), tf.int64)
        return self._transformed[_layout.column_key(_layout.LENGTHS, column)]

    def same_lengths(self, columns: Sequence[SequenceColumn]) -> tf.Tensor:
        """Returns the number of steps of each row, int64 `[B]`, which must be the same for all columns."""
        lengths = self.lengths(columns[0])
        checks = []
        for column in columns[1:]:
            other = self.lengths(column)
            # The first word tells an estimator that the message is for the user.
            message = f"headway: Sequences {columns[0].name} and {column.name} differ in the number of steps of a row: "
            checks.append(tf.debugging.Assert(tf.reduce_all(tf.equal(lengths, other)), [message, lengths, other]))
        # In eager mode the checks have run and there is nothing to wait for.
        with tf.control_dependencies([check for check in checks if check is not None]):
            return tf.identity(lengths)

    def lookup(self, column: IdColumn) -> Lookup:
        """Returns the ids of `column`."""
        if column.digest not in self._lookups:
            self._lookups[column.digest] = self._make_lookup(column)
        return self._lookups[column.digest]

    def linear_sum(self, tables: Sequence[tuple[IdColumn, tf.Variable]], combiner: str) -> tf.Tensor:
        """Returns the sum over columns of their combined weights (`[ids, units]` each), float32 `[B, units]`."""
        sums, fixed = [], []
        for column, table in tables:
            if self._places[column.digest].kind == _layout.IDS and column.digest not in self._weights:
                fixed.append((column, table))
            else:
                sums.append(self.lookup(column).bag().embed(table, combiner))
        if fixed:
            sums.append(self._sum_of_fixed(fixed, combiner))
        return tf.add_n(sums) if len(sums) > 1 else sums[0]

    def _sum_of_fixed(self, of_columns: Sequence[tuple[IdColumn, tf.Variable]], combiner: str) -> tf.Tensor:
        digests, tables = [column.digest for column, _ in of_columns], [table for _, table in of_columns]
        widths = [self._places[digest].width for digest in digests]
        no_factors = combiner == "sum" or set(widths) == {1}
        if no_factors and all(column.ids_are_in_range for column, _ in of_columns) and _lookups.can_sum(tables):
            complete = [self._places[digest].complete for digest in digests]
            return _lookups.summed(tables, widths, self._rows_of_ids(digests), complete)
        rows = {digest: part for digest, *part in zip(self._fixed, *self._parts, strict=True)}
        own = [rows[digest] for digest in digests]
        whole = digests == self._fixed
        ids = self._matrices[1] if whole else tf.concat([safe for _, safe, _ in own], 0)
        vectors = _lookups.stacked(tables, [safe for _, safe, _ in own], ids)
        if combiner == "sum":
            present = self._matrices[2] if whole else tf.concat([present for *_, present in own], 0)
        else:
            present = tf.concat([coefficients(present, combiner, 0) for *_, present in own], 0)
        return tf.reduce_sum(vectors * tf.expand_dims(present, 2), 0)

    def _make_lookup(self, column: IdColumn) -> Lookup:
        place = self._places[column.digest]
        if place.kind == _layout.IDS:
            return self._fixed_lookups[column.digest]
        ids = self._transformed[place.key]
        if place.kind == _layout.STEPS:
            return SequenceLookup(ids)
        weights = self._weights_of(column.digest)
        return RaggedLookup(ids, weights) if place.kind == _layout.RAGGED else DenseLookup.of(ids, weights)

    def _weights_of(self, digest: str) -> Any:
        """Returns the weights of a column's ids in the form of these; None if they have none."""
        place = self._weights.get(digest)
        if place is None:
            return None
        weights = self._transformed[place.key]
        return weights if place.kind == _layout.WEIGHTS_OF else weights[:, place.start : place.start + place.width]

    @functools.cached_property
    def _all_ids(self) -> tf.Tensor:
        """The ids of all columns of a fixed number per row, and perhaps of others, below each other: `[N, B]`."""
        return tf.transpose(self._transformed[self._places[self._fixed[0]].key])

    def _rows_of_ids(self, digests: Sequence[str]) -> tf.Tensor:
        """Returns the ids of these columns below each other."""
        places = [self._places[digest] for digest in digests]
        wanted = [index for place in places for index in range(place.start, place.start + place.width)]
        every = self._all_ids
        return every if wanted == list(range(every.shape[0])) else tf.gather(every, wanted)

    def _divided(self, digests: Sequence[str], matrix: tf.Tensor) -> list[tf.Tensor]:
        """Returns the rows of a matrix that belong to each of these columns."""
        parts: list[tf.Tensor] = tf.split(matrix, [self._places[digest].width for digest in digests], axis=0)
        return parts

    @functools.cached_property
    def _matrices(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The ids of all columns of a fixed number per row, as in `DenseLookup`, below each other: `[N, B]`."""
        matrix = self._rows_of_ids(self._fixed)
        return (matrix, *with_existing_ids(matrix, axis=1))

    @functools.cached_property
    def _parts(self) -> list[list[tf.Tensor]]:
        """`_matrices`, each divided among the columns."""
        return [self._divided(self._fixed, matrix) for matrix in self._matrices]

    @functools.cached_property
    def _fixed_lookups(self) -> dict[str, SingleLookup | DenseLookup]:
        places = {digest: self._places[digest] for digest in self._fixed}
        single = {digest for digest, place in places.items() if place.width == 1 and digest not in self._weights}
        complete = [digest for digest in single if places[digest].complete]
        lookups: dict[str, SingleLookup | DenseLookup] = {}
        if complete:
            vectors = tf.unstack(self._all_ids)
            for digest in complete:
                vector = vectors[places[digest].start]
                lookups[digest] = SingleLookup(vector, vector, None)
        others = [digest for digest in self._fixed if digest not in lookups]
        if others:
            matrix = self._rows_of_ids(others)
            parts = [self._divided(others, each) for each in (matrix, *with_existing_ids(matrix, axis=1))]
            for digest, *own in zip(others, *parts, strict=True):
                if digest in single:
                    ids, safe, present = (tf.reshape(part, [-1]) for part in own)
                    lookups[digest] = SingleLookup(ids, safe, present)
                else:
                    ids, safe, present = map(_rows_first, own)
                    lookups[digest] = DenseLookup(ids, safe, present, self._weights_of(digest))
        return lookups


def _rows_first(matrix: tf.Tensor) -> tf.Tensor:
    """Returns `[n, B]` as `[B, n]`."""
    return tf.reshape(matrix, [-1, 1]) if matrix.shape[0] == 1 else tf.transpose(matrix)
