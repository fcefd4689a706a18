"""Combinations of categorical features, hashed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headway.feature_columns._foreign import own_column
from headway.feature_columns._hash_bucket import HashedCategoricalColumn, hash_buckets
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, HostInputs
from headway.feature_columns._values import DenseRows, Ids, RaggedRows, Values, ragged
from headway.feature_columns._weighted import WeightedCategoricalColumn

# What tf.sparse.cross_hashed and tf.ragged.cross_hashed start from when no key is given.
DEFAULT_HASH_KEY = 0xDECAFCAFFE
# The multiplier of MurmurHash2, on which TensorFlow's FingerprintCat64 is built.
_MULTIPLIER = 0xC6A4A7935BD1E995


@dataclasses.dataclass(frozen=True)
class CrossedColumn(CategoricalColumn):
    """What `crossed_column` returns."""

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

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the hash of each combination of values; rows in which a part has no value have none."""
        parts: list[Values | Ids] = [
            inputs.values(leaf, column=self.name) if isinstance(leaf, str) else inputs.ids(leaf) for leaf in self.leaves
        ]
        # The op of tf.estimator takes what came as a dense tensor last. Hashes depend on the order, so this one keeps
        # to it.
        parts.sort(key=lambda part: isinstance(part, Values) and part.came_dense)
        hash_key = self.hash_key or DEFAULT_HASH_KEY
        if all(part.rows.single for part in parts):
            return _cross_single(parts, self.hash_bucket_size, hash_key)
        return _cross_multiple(parts, self.hash_bucket_size, hash_key)


def _cross_single(parts: Sequence[Values | Ids], num_buckets: int, hash_key: int) -> Ids:
    """Crosses parts of one value per row by arithmetic on vectors, without a sparse tensor."""
    hashed = tf.constant(hash_key % 2**64, tf.uint64)
    for part in parts:
        # An id counts as it is, also the -1 of a value outside of a vocabulary.
        value = part.fingerprints if isinstance(part, Values) and part.dtype == tf.string else part.flat
        hashed = _fingerprint_cat(hashed, tf.bitcast(value, tf.uint64))
    missing = None
    for part in parts:
        # A raw dense feature is crossed whatever it holds, as in tf.estimator; '' is then a value like any other.
        if isinstance(part, Ids) and part.missing is not None:
            missing = part.missing if missing is None else tf.logical_or(missing, part.missing)
    return Ids(hash_buckets(hashed, num_buckets), parts[0].rows, missing)


def _cross_multiple(parts: Sequence[Values | Ids], num_buckets: int, hash_key: int) -> Ids:
    crossed = tf.ragged.cross_hashed([_as_cross_input(part) for part in parts], num_buckets, hash_key)
    return Ids(crossed.flat_values, RaggedRows(crossed.nrows(tf.int64), tf.cast(crossed.value_rowids(), tf.int64)))


def _as_cross_input(part: Values | Ids) -> Any:
    if isinstance(part, Ids):
        return part.present()
    if isinstance(part.rows, DenseRows):
        return part.rows.matrix(part.flat)
    return ragged(part.flat, part.rows.row_ids(), part.rows.num_rows)


def _fingerprint_cat(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """TensorFlow's FingerprintCat64 (tensorflow/core/platform/fingerprint.h) on uint64 `[N]`."""
    multiplier = tf.constant(_MULTIPLIER, tf.uint64)
    result = tf.bitwise.bitwise_xor(first, multiplier)
    result = tf.bitwise.bitwise_xor(result, _shift_mix(second * multiplier) * multiplier) * multiplier
    return _shift_mix(_shift_mix(result) * multiplier)


def _shift_mix(value: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(value, tf.bitwise.right_shift(value, tf.constant(47, tf.uint64)))


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
