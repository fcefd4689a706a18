"""Strings or integers by their hash."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import CategoricalColumn, ColumnGroup, FeatureColumn, HostInputs
from headway.feature_columns._values import NO_NUMBER, NO_STRING, Ids, Values, stacked_fingerprints


def hash_buckets(fingerprints: tf.Tensor, num_buckets: int | list[list[int]]) -> tf.Tensor:
    """Returns the unsigned fingerprints modulo `num_buckets`, int64, as `tf.strings.to_hash_bucket_fast` does.

    Args:
      fingerprints: int64 or uint64 `[N]`, or `[C, N]` for several columns.
      num_buckets: the number, or those of the columns, `[C, 1]`.
    """
    unsigned = tf.bitcast(fingerprints, tf.uint64)
    if not isinstance(num_buckets, int) and len(set(map(tuple, num_buckets))) == 1:
        num_buckets = num_buckets[0][0]  # a number for all rows divides faster than one for each
    return tf.bitcast(tf.math.floormod(unsigned, tf.constant(num_buckets, tf.uint64)), tf.int64)


def _shows_missing(values: Values) -> bool:
    """Whether fingerprints tell which values are missing."""
    return values.came_dense and not values.dtype.is_unsigned


def _fingerprint_of_nothing(values: Values) -> int:
    return NO_STRING if values.dtype == tf.string else NO_NUMBER


def _buckets_of_present(
    fingerprints: tf.Tensor, num_buckets: int | list[list[int]], nothing: int | list[list[int]]
) -> tf.Tensor:
    """Returns `hash_buckets`, and -1 where a fingerprint is that of `nothing`."""
    missing = tf.equal(fingerprints, tf.constant(nothing, tf.int64))
    return tf.where(missing, tf.constant(-1, tf.int64), hash_buckets(fingerprints, num_buckets))


class _HashGroup(ColumnGroup):
    """Hashed columns: one division finds the ids of all."""

    def host_ids(self, inputs: HostInputs) -> list[Ids]:
        """Returns the ids of each column, in their order."""
        every = {place: column.values(inputs) for place, column in enumerate(self.columns)}
        values = {place: each for place, each in every.items() if each.one_per_row and _shows_missing(each)}

        def fused(places: list[int]) -> list[Ids]:
            fingerprints = stacked_fingerprints([values[place] for place in places])
            nothing = [[_fingerprint_of_nothing(values[place])] for place in places]
            sizes = [[self.columns[place].hash_bucket_size] for place in places]
            ids = _buckets_of_present(fingerprints, sizes, nothing)
            return [
                Ids(flat, values[place].rows, [values[place]], missing_is_negative=True)
                for place, flat in zip(places, tf.unstack(ids, len(places)), strict=True)
            ]

        return self.together(inputs, values, fused)


@dataclasses.dataclass(frozen=True)
class HashedCategoricalColumn(CategoricalColumn):
    """What `categorical_column_with_hash_bucket` returns."""

    group: ClassVar[type[ColumnGroup]] = _HashGroup
    ids_are_in_range: ClassVar[bool] = True
    absent_is_minus_one: ClassVar[bool] = True

    key: str
    hash_bucket_size: int
    dtype: tf.DType

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `VarLenFeature`."""
        return {self.key: tf.io.VarLenFeature(self.dtype)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def num_buckets(self) -> int:
        """`hash_bucket_size`."""
        return self.hash_bucket_size

    def values(self, inputs: HostInputs) -> Values:
        """Returns the feature."""
        return _checks.compatible(inputs.values(self.key, column=self.name), self.dtype)

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the hash of each value."""
        values = self.values(inputs)
        shows_missing = _shows_missing(values)

        def buckets(each: Values) -> tf.Tensor:
            if shows_missing:
                nothing = _fingerprint_of_nothing(each)
                return _buckets_of_present(each.fingerprints, self.hash_bucket_size, nothing)
            return hash_buckets(each.fingerprints, self.hash_bucket_size)

        return Ids(values.each(buckets), values.rows, [values], missing_is_negative=shows_missing)


def categorical_column_with_hash_bucket(
    key: str, hash_bucket_size: int, dtype: Any = tf.string
) -> HashedCategoricalColumn:
    """Represents strings or integers by their hash.

    The id is `Fingerprint64(value) % hash_bucket_size`, where integers are written in decimal first.
    In a dense feature '' or -1 stands for a missing value; it counts as absent. Sparse and ragged features hold what
    is there.

    Args:
      key: name of the feature, and of the column.
      hash_bucket_size: number of ids, at least 1. Different values may share an id.
      dtype: type of the feature, `tf.string` or an integer type.

    Returns:
      A categorical column named `key` with `hash_bucket_size` buckets.

    Raises:
      ValueError: if `hash_bucket_size` is not positive, `dtype` is neither string nor integer, or `key` is no string.

    Example:
      >>> from headway import feature_columns as fc
      >>> word = fc.categorical_column_with_hash_bucket("word", 4)
      >>> fc.DenseFeatures([fc.indicator_column(word)])({"word": [["a", "b", ""]]}).numpy()
      array([[0., 0., 1., 1.]], dtype=float32)
    """
    if hash_bucket_size is None:
        raise ValueError(f"hash_bucket_size must be set. key: {key}")
    if hash_bucket_size < 1:
        raise ValueError(f"hash_bucket_size must be at least 1. hash_bucket_size: {hash_bucket_size}, key: {key}")
    _checks.check_key(key)
    dtype = _checks.as_dtype(dtype)
    _checks.check_string_or_int(dtype, f"column_name: {key}")
    return HashedCategoricalColumn(key, hash_bucket_size, dtype)
