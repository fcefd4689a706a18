"""Integers that are ids already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import CategoricalColumn, ColumnGroup, FeatureColumn, HostInputs
from headway.feature_columns._values import Ids, Values


class _IdentityGroup(ColumnGroup):
    """Columns of ids: one comparison finds the values of all that are out of range."""

    def host_ids(self, inputs: HostInputs) -> list[Ids]:
        """Returns the ids of each column, in their order."""
        every = {place: column.values(inputs) for place, column in enumerate(self.columns)}
        values = {place: each for place, each in every.items() if each.one_per_row}

        def fused(places: list[int]) -> list[Ids]:
            columns = [self.columns[place] for place in places]
            ids = _in_range(columns, tf.stack([values[place].flat for place in places]))
            return [
                Ids(flat, values[place].rows, [values[place]])
                for place, flat in zip(places, tf.unstack(ids, len(places)), strict=True)
            ]

        return self.together(inputs, values, fused)


@dataclasses.dataclass(frozen=True)
class IdentityCategoricalColumn(CategoricalColumn):
    """What `categorical_column_with_identity` returns."""

    group: ClassVar[type[ColumnGroup]] = _IdentityGroup
    ids_are_in_range: ClassVar[bool] = True

    key: str
    number_buckets: int
    default_value: int | None

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `VarLenFeature` of int64."""
        return {self.key: tf.io.VarLenFeature(tf.int64)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def num_buckets(self) -> int:
        """`number_buckets`."""
        return self.number_buckets

    def values(self, inputs: HostInputs) -> Values:
        """Returns the feature."""
        values = inputs.values(self.key, column=self.name)
        if not values.dtype.is_integer:
            raise ValueError(
                f"Invalid input, not integer. key: {self.key} dtype: {values.dtype}. Convert it with "
                "`tf.strings.to_number`, or use "
                "categorical_column_with_vocabulary_list or categorical_column_with_hash_bucket."
            )
        return values

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the values themselves, or the default where they are out of range."""
        values = self.values(inputs)
        return Ids(_in_range([self], values.flat[tf.newaxis])[0], values.rows, [values])


def _in_range(columns: Sequence[IdentityCategoricalColumn], ids: tf.Tensor) -> tf.Tensor:
    """Returns ids `[C, N]` with the columns' defaults where they are out of range; checks columns without default."""
    sizes = tf.constant([[column.number_buckets] for column in columns], tf.int64)
    defaults = [column.default_value for column in columns]
    if None in defaults:
        ids = _checked(columns, ids)
    if any(default is not None for default in defaults):
        outside = tf.logical_or(ids < 0, ids >= sizes)
        if None in defaults:
            outside = tf.logical_and(outside, [[default is not None] for default in defaults])
        ids = tf.where(outside, tf.constant([[default or 0] for default in defaults], tf.int64), ids)
    return ids


def _checked(columns: Sequence[IdentityCategoricalColumn], ids: tf.Tensor) -> tf.Tensor:
    # Without quotes, which TensorFlow would escape when it reports a failed check; the first word tells an
    # estimator that the message is for the user.
    messages = [
        f"headway: Feature {column.key} of categorical_column_with_identity has a value outside of [0, "
        f"{column.number_buckets}). Set "
        "`num_buckets` to more than the largest value, or give a `default_value` for such values. Received: "
        for column in columns
    ]
    limits = [column.number_buckets if column.default_value is None else tf.int64.max for column in columns]
    largest = tf.reduce_max(ids, axis=1)
    exceeds = largest >= tf.constant(limits, tf.int64)
    first = tf.argmax(tf.cast(exceeds, tf.int32))
    check = tf.debugging.Assert(~exceeds[first], [tf.constant(messages)[first], largest[first]])
    # In eager mode the check has run and there is nothing to wait for.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(ids)


def categorical_column_with_identity(
    key: str, num_buckets: int, default_value: int | None = None
) -> IdentityCategoricalColumn:
    """Represents integers that are ids in `[0, num_buckets)` already.

    In a dense feature -1 stands for a missing value; it counts as absent. So do other negative values where there is no
    `default_value`; a value of `num_buckets` or more is then an error (`tf.errors.InvalidArgumentError`, which names
    the value).

    Args:
      key: name of the feature, and of the column.
      num_buckets: number of ids.
      default_value: id in `[0, num_buckets)` of all values out of range. None: see above.

    Returns:
      A categorical column named `key`.

    Raises:
      ValueError: if `num_buckets` is less than one, `default_value` is out of range, or `key` is no string.

    Example:
      >>> from headway import feature_columns as fc
      >>> day = fc.categorical_column_with_identity("day", 3, default_value=0)
      >>> fc.DenseFeatures([fc.indicator_column(day)])({"day": [2, 7, -1]}).numpy()
      array([[0., 0., 1.],
             [1., 0., 0.],
             [0., 0., 0.]], dtype=float32)
    """
    if not num_buckets or num_buckets < 1:
        raise ValueError(f"num_buckets {num_buckets} < 1, column_name {key}")
    if default_value is not None and not 0 <= default_value < num_buckets:
        raise ValueError(f"default_value {default_value} not in range [0, {num_buckets}), column_name {key}")
    _checks.check_key(key)
    return IdentityCategoricalColumn(key, num_buckets, default_value)
