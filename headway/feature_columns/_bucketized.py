"""Numbers by the interval that they fall into."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from headway.feature_columns._foreign import own_column
from headway.feature_columns._learned import LearnedQuantiles, LearnedScale
from headway.feature_columns._numeric import NumericColumn
from headway.feature_columns._protocol import (
    CategoricalColumn,
    ColumnGroup,
    DenseColumn,
    DeviceInputs,
    FeatureColumn,
    HostInputs,
)
from headway.feature_columns._values import DenseRows, Ids


class _BucketizedGroup(ColumnGroup):
    """Bucketized columns: one search finds the intervals of all."""

    def host_ids(self, inputs: HostInputs) -> list[Ids]:
        """Returns the ids of each column, in their order."""
        every = {
            place: inputs.floats(column.source_column)
            for place, column in enumerate(self.columns)
            if column.source_column.width == 1
        }
        values = {place: tf.reshape(each, [-1]) for place, each in every.items()}

        def fused(places: list[int]) -> list[Ids]:
            boundaries = [self.columns[place].known_boundaries for place in places]
            longest = max(map(len, boundaries))
            padded = [[*each, *[math.inf] * (longest - len(each))] for each in boundaries]
            rows = tf.stack([values[place] for place in places])
            # NaN is before none of the boundaries, and infinity is found behind the padding.
            found = tf.searchsorted(tf.constant(padded, tf.float32), rows, side="right", out_type=tf.int64)
            ids = tf.minimum(found, tf.constant([[len(each)] for each in boundaries], tf.int64))
            return [
                Ids(flat, DenseRows(every[place], 1), below=self.columns[place].num_buckets)
                for place, flat in zip(places, tf.unstack(ids, len(places)), strict=True)
            ]

        return self.together(inputs, values, fused)


@dataclasses.dataclass(frozen=True)
class BucketizedColumn(DenseColumn, CategoricalColumn):
    """What `bucketized_column` returns: a dense column for a DNN, a categorical one for a linear model or a cross."""

    group: ClassVar[type[ColumnGroup]] = _BucketizedGroup
    ids_are_in_range: ClassVar[bool] = True
    absent_is_minus_one: ClassVar[bool] = True

    source_column: NumericColumn
    boundaries: tuple[float, ...] | LearnedQuantiles

    @property
    def name(self) -> str:
        """`{source}_bucketized`."""
        return f"{self.source_column.name}_bucketized"

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the numeric column."""
        return self.source_column.parse_example_spec

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The numeric column."""
        return [self.source_column]

    @property
    def buckets_per_value(self) -> int:
        """The number of intervals."""
        return len(self.boundaries) + 1

    @property
    def num_buckets(self) -> int:
        """Intervals times values per row: each value of a row has ids of its own."""
        return self.buckets_per_value * self.source_column.width

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[values per row, intervals]`."""
        return tf.TensorShape([self.source_column.width, self.buckets_per_value])

    @property
    def known_boundaries(self) -> tuple[float, ...]:
        """`boundaries`; an error where they are still to be learnt."""
        if isinstance(self.boundaries, LearnedQuantiles):
            self.boundaries.refuse()
        return self.boundaries

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the interval of each value, plus `buckets_per_value` times its place in the row."""
        values = inputs.floats(self.source_column)
        # The op behind tf.estimator's column: float32 comparison, NaN in the last interval.
        buckets = tf.cast(tf.raw_ops.Bucketize(input=values, boundaries=list(self.known_boundaries)), tf.int64)
        width = self.source_column.width
        if width > 1:
            buckets += tf.range(width, dtype=tf.int64) * self.buckets_per_value
        flat = buckets if values.shape.rank == 1 else tf.reshape(buckets, [-1])
        return Ids(flat, DenseRows(values, width), below=self.num_buckets)

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns the one-hot vectors of a row's values side by side, float32 `[B, width]`."""
        del variables
        width = self.source_column.width
        ids = inputs.lookup(self).dense_ids()
        if width > 1:
            ids -= tf.range(width, dtype=ids.dtype) * self.buckets_per_value
        return tf.reshape(tf.one_hot(ids, self.buckets_per_value), [-1, self.width])


def bucketized_column(source_column: FeatureColumn, boundaries: Sequence[float] | LearnedQuantiles) -> BucketizedColumn:
    """Represents numbers by the interval that they fall into.

    Intervals include their left boundary: `boundaries=[0., 1.]` makes (-inf, 0), [0, 1) and [1, inf). NaN falls into
    the last one.

    Args:
      source_column: what `numeric_column` returned, of at most one dimension.
      boundaries: a list or tuple of numbers in ascending order; or `learned_quantiles(n)`, for `adapt` to learn.

    Returns:
      A column of `len(boundaries) + 1` intervals for each value, named `{source}_bucketized`. It is dense (one-hot) and
      categorical at once: DNNs take it as it is, linear models and crosses as well.

    Raises:
      ValueError: if `source_column` is no numeric column of one dimension, or `boundaries` is empty or not sorted.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.bucketized_column(fc.numeric_column("age"), [18, 65])
      >>> fc.DenseFeatures([age])({"age": [7.0, 18.0, 80.0]}).numpy()
      array([[1., 0., 0.],
             [0., 1., 0.],
             [0., 0., 1.]], dtype=float32)
    """
    source_column = own_column(source_column)
    if not isinstance(source_column, NumericColumn):
        raise ValueError(f"source_column must be a column generated with numeric_column(). Given: {source_column!r}")
    if len(source_column.shape) > 1:
        raise ValueError(f"source_column must be one-dimensional column. Given: {source_column}")
    if isinstance(boundaries, LearnedQuantiles):
        if isinstance(source_column.normalizer_fn, LearnedScale):
            raise ValueError(
                f"learned_quantiles needs numbers that are not scaled by learned_scale. Received: {source_column}. "
                f"Take numeric_column({source_column.key!r}): scaling does not change which interval a number is in."
            )
        return BucketizedColumn(source_column, boundaries)
    if not isinstance(boundaries, list | tuple):
        raise ValueError(f"boundaries must be a sorted list. Received: {boundaries!r} for {source_column.name!r}")
    if not boundaries:
        raise ValueError(f"boundaries must not be empty. Received: {boundaries!r} for {source_column.name!r}")
    for left, right in itertools.pairwise(boundaries):
        if not left < right:
            raise ValueError(
                f"boundaries must be a sorted list. Received: {left} before {right} for {source_column.name!r}"
            )
    return BucketizedColumn(source_column, tuple(boundaries))
