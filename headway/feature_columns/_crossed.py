"""Combinations of categorical features, hashed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from headway.feature_columns._foreign import own_column
from headway.feature_columns._hash_bucket import HashedCategoricalColumn, hash_buckets
from headway.feature_columns._protocol import CategoricalColumn, ColumnGroup, FeatureColumn, HostInputs
from headway.feature_columns._values import CodedNumbers, DenseRows, EncodedValues, Ids, RaggedRows, Values, ragged
from headway.feature_columns._weighted import WeightedCategoricalColumn

# What tf.sparse.cross_hashed and tf.ragged.cross_hashed start from when no key is given.
DEFAULT_HASH_KEY = 0xDECAFCAFFE
# The multiplier of MurmurHash2, on which TensorFlow's FingerprintCat64 is built.
_MULTIPLIER = 0xC6A4A7935BD1E995
# Where encoded features can combine in up to so many ways, all combinations are hashed, be there fewer rows or not.
_MOST_COMBINATIONS = 8192


class _CrossedGroup(ColumnGroup):
    """Crosses: the hashes of all are computed step by step together."""

    def host_ids(self, inputs: HostInputs) -> list[Ids]:
        """Returns the ids of each column, in their order."""
        parts = {place: column.parts(inputs) for place, column in enumerate(self.columns)}
        single = {
            place: each
            for place, each in parts.items()
            if all(part.rows.single for part in each) and not _combines_in_few_ways(each)
        }

        def fused(places: list[int]) -> list[Ids]:
            return _cross_single([self.columns[place] for place in places], [single[place] for place in places])

        return self.together(inputs, single, fused)


@dataclasses.dataclass(frozen=True)
class CrossedColumn(CategoricalColumn):
    """What `crossed_column` returns."""

    group: ClassVar[type[ColumnGroup]] = _CrossedGroup
    ids_are_in_range: ClassVar[bool] = True
    absent_is_minus_one: ClassVar[bool] = True

    keys: tuple[str | CategoricalColumn, ...]
    hash_bucket_size: int
    hash_key: int | None

    @property
    def name(self) -> str:
        """The sorted names of what is crossed, joined by `_X_`."""
        return "_X_".join(sorted(leaf if isinstance(leaf, str) else leaf.name for leaf in self.leaves))

    @property
    def leaves(self) -> tuple[str | CategoricalColumn, ...]:
        """What is crossed, with crosses of crosses resolved."""
        leaves: list[str | CategoricalColumn] = []
        for key in self.keys:
            leaves.extend(key.leaves if isinstance(key, CrossedColumn) else (key,))
        return tuple(leaves)

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the columns; a `VarLenFeature` of strings for each feature that is named."""
        spec: dict[str, Any] = {}
        for key in self.keys:
            spec.update({key: tf.io.VarLenFeature(tf.string)} if isinstance(key, str) else key.parse_example_spec)
        return spec

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """What is crossed, as it was given."""
        return list(self.keys)

    @property
    def num_buckets(self) -> int:
        """`hash_bucket_size`."""
        return self.hash_bucket_size

    def parts(self, inputs: HostInputs) -> list[Values | Ids]:
        """Returns what is crossed, in the order in which it is hashed."""
        parts: list[Values | Ids] = [
            inputs.values(leaf, column=self.name) if isinstance(leaf, str) else inputs.ids(leaf) for leaf in self.leaves
        ]
        # The op of tf.estimator takes what came as a dense tensor last. Hashes depend on the order, so this one keeps
        # to it.
        return sorted(parts, key=lambda part: isinstance(part, Values) and part.came_dense)

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the hash of each combination of values; rows in which a part has no value have none."""
        parts = self.parts(inputs)
        if all(part.rows.single for part in parts):
            return _cross_coded(self, parts) if _combines_in_few_ways(parts) else _cross_single([self], [parts])[0]
        return _cross_multiple(parts, self.hash_bucket_size, self.hash_key or DEFAULT_HASH_KEY)


def _cross_single(columns: Sequence[CrossedColumn], parts: Sequence[Sequence[Values | Ids]]) -> list[Ids]:
    """Crosses parts of one value per row by arithmetic on matrices `[C, B]`, without a sparse tensor."""
    # Longer ones first: those that go on after some parts are the first rows.
    order = sorted(range(len(columns)), key=lambda place: -len(parts[place]))
    distinct = {id(part): part for place in order for part in parts[place]}
    rows = {identity: row for row, identity in enumerate(distinct)}
    hashing = _Hashing()
    mixed = hashing.mixed(tf.bitcast(tf.stack([_crossed_value(part) for part in distinct.values()]), tf.uint64))
    keys = [(columns[place].hash_key or DEFAULT_HASH_KEY) % 2**64 for place in order]
    # One number for all is combined faster than a number for each row.
    hashed = tf.constant(keys[0] if len(set(keys)) == 1 else [[key] for key in keys], tf.uint64)
    finished: list[tf.Tensor] = []
    for number in range(len(parts[order[0]])):
        going_on = [place for place in order if len(parts[place]) > number]
        if number and len(going_on) < hashed.shape[0]:
            hashed, shorter = tf.split(hashed, [len(going_on), hashed.shape[0] - len(going_on)])
            finished.append(shorter)
        hashed = hashing.with_next(hashed, _rows(mixed, [rows[id(parts[place][number])] for place in going_on]))
    hashed = tf.concat([hashed, *reversed(finished)], axis=0) if finished else hashed
    ids = tf.unstack(hash_buckets(hashed, [[columns[place].hash_bucket_size] for place in order]), len(order))
    by_place = dict(zip(order, ids, strict=True))
    return [Ids(by_place[place], parts[place][0].rows, _crossed_ids(parts[place])) for place in range(len(columns))]


def _combines_in_few_ways(parts: Sequence[Values | Ids]) -> bool:
    """Whether a feature is encoded, and so few combinations exist that hashing each of these is less work."""
    sizes = [_number_of_distinct(part) for part in parts]
    # Where no feature is encoded batches may be short.
    encoded = any(isinstance(part, EncodedValues) or (isinstance(part, Ids) and part.coded) for part in parts)
    return encoded and None not in sizes and math.prod(size or 0 for size in sizes) <= _MOST_COMBINATIONS


def _number_of_distinct(part: Values | Ids) -> int | None:
    """Returns how many different values there can be, if that is known beforehand."""
    if isinstance(part, Ids):
        return part.coded.size if part.coded else part.below
    return part.distinct.flat.shape[0] if isinstance(part, EncodedValues) else None


def _coded(part: Values | Ids) -> CodedNumbers:
    """Returns what is crossed as codes, where `_number_of_distinct` is known."""
    if isinstance(part, EncodedValues):
        return CodedNumbers(part.codes, part.distinct.fingerprints)
    if isinstance(part, Ids) and part.coded:
        return part.coded
    return CodedNumbers(tf.cast(part.flat, tf.int32), tf.range(_number_of_distinct(part), dtype=tf.int64))


def _cross_coded(column: CrossedColumn, parts: Sequence[Values | Ids]) -> Ids:
    """Crosses parts of one value per row: hashes all combinations there can be, and looks up that of each row."""
    coded = [_coded(part) for part in parts]
    # A row that holds all values of each part has all combinations; those of the last part lie one behind the other.
    hashed = tf.ragged.cross_hashed(
        [tf.expand_dims(each.distinct, 0) for each in coded],
        column.hash_bucket_size,
        column.hash_key or DEFAULT_HASH_KEY,
    )
    # From the last part on, so that crosses which end alike share the first of these operations.
    place, stride = coded[-1].codes, coded[-1].size
    for each in reversed(coded[:-1]):
        place += each.codes * stride
        stride *= each.size
    return Ids(tf.gather(hashed.flat_values, place), parts[0].rows, _crossed_ids(parts))


def _rows(matrix: tf.Tensor, places: list[int]) -> tf.Tensor:
    """Returns rows of a matrix; without copying where they lie one behind the other."""
    if places == list(range(places[0], places[0] + len(places))):
        return matrix[places[0] : places[0] + len(places)]
    return tf.gather(matrix, places)


def _crossed_value(part: Values | Ids) -> tf.Tensor:
    # An id counts as it is, also the -1 of a value outside of a vocabulary.
    return part.fingerprints if isinstance(part, Values) and part.dtype == tf.string else part.flat


def _crossed_ids(parts: Sequence[Values | Ids]) -> list[Ids]:
    """Returns what a cross is missing with.

    A raw dense feature is crossed whatever it holds, as in tf.estimator; '' is then a value like any other.
    """
    return [part for part in parts if isinstance(part, Ids)]


def _cross_multiple(parts: Sequence[Values | Ids], num_buckets: int, hash_key: int) -> Ids:
    crossed = tf.ragged.cross_hashed([_as_cross_input(part) for part in parts], num_buckets, hash_key)
    return Ids(crossed.flat_values, RaggedRows(crossed.nrows(tf.int64), tf.cast(crossed.value_rowids(), tf.int64)))


def _as_cross_input(part: Values | Ids) -> Any:
    if isinstance(part, Ids):
        return part.present()
    if isinstance(part.rows, DenseRows):
        return part.rows.matrix(part.flat)
    return ragged(part.flat, part.rows.row_ids(), part.rows.num_rows)


class _Hashing:
    """TensorFlow's FingerprintCat64 (tensorflow/core/platform/fingerprint.h) on uint64, in few operations."""

    def __init__(self) -> None:
        self._multiplier = tf.constant(_MULTIPLIER, tf.uint64)
        self._shift = tf.constant(47, tf.uint64)

    def mixed(self, second: tf.Tensor) -> tf.Tensor:
        """Returns all that the function makes of its second argument before it looks at the first."""
        return tf.bitwise.bitwise_xor(self._shift_mix(second * self._multiplier) * self._multiplier, self._multiplier)

    def with_next(self, first: tf.Tensor, mixed: tf.Tensor) -> tf.Tensor:
        """Returns the function of `first` and what `mixed` was made of."""
        result = tf.bitwise.bitwise_xor(first, mixed) * self._multiplier
        return self._shift_mix(self._shift_mix(result) * self._multiplier)

    def _shift_mix(self, value: tf.Tensor) -> tf.Tensor:
        return tf.bitwise.bitwise_xor(value, tf.bitwise.right_shift(value, self._shift))


def crossed_column(
    keys: Sequence[str | FeatureColumn], hash_bucket_size: int, hash_key: int | None = None
) -> CrossedColumn:
    """Represents combinations of categorical features by their hash.

    Ids are those of `tf.feature_column.crossed_column`. As there, features that are named by a string and come as
    dense tensors are hashed after all others, and '' or -1 in them is a value like any other; so give training and
    serving the features in the same form (dense, or sparse), or cross columns instead of names.

    Args:
      keys: at least two of: the name of a string or integer feature; a categorical column (not one that hashes: name
        its feature instead).
      hash_bucket_size: number of ids.
      hash_key: where hashing starts; None or 0 for TensorFlow's default.

    Returns:
      A categorical column named after its parts, such as `education_X_occupation`.

    Raises:
      ValueError: if there are fewer than two keys, one is of another type or a hashing column, or `hash_bucket_size`
        is below 1.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.bucketized_column(fc.numeric_column("age"), [18, 65])
      >>> cross = fc.crossed_column([age, "job"], 100)
      >>> cross.name
      'age_bucketized_X_job'
      >>> features = {"age": [30.0], "job": ["nurse"]}
      >>> int(fc.DenseFeatures([fc.indicator_column(cross)])(features).numpy().argmax())
      13
    """
    if not hash_bucket_size or hash_bucket_size < 1:
        raise ValueError(f"hash_bucket_size must be > 1. hash_bucket_size: {hash_bucket_size}")
    if not keys or isinstance(keys, str) or len(keys) < 2:
        raise ValueError(f"keys must be a list with length > 1. Given: {keys}")
    checked: list[str | CategoricalColumn] = []
    for key in map(own_column, keys):
        if isinstance(key, WeightedCategoricalColumn):
            raise ValueError(
                "crossed_column does not support weight_tensor, but the given column populates weight_tensor. Given "
                f"column: {key.name}. Cross {key.categorical_column.name!r} in its place."
            )
        if isinstance(key, HashedCategoricalColumn):
            raise ValueError(
                "categorical_column_with_hash_bucket is not supported for crossing. Hashing before crossing will "
                "increase "
                f"probability of collision. Instead, use the feature name as a string. Given: {key}; use {key.key!r}."
            )
        if not isinstance(key, str | CategoricalColumn):
            raise ValueError(
                "Unsupported key type. All keys must be either string, or categorical column except "
                "HashedCategoricalColumn. "
                f"Given: {key!r}. Sequences cannot be crossed."
            )
        checked.append(key)
    return CrossedColumn(tuple(checked), hash_bucket_size, hash_key)
