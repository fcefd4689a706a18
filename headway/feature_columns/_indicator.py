"""Categorical columns as counts per id."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._over_ids import OverIds
from headway.feature_columns._protocol import DeviceInputs, FeatureColumn


@dataclasses.dataclass(frozen=True)
class IndicatorColumn(OverIds):
    """What `indicator_column` returns."""

    @property
    def name(self) -> str:
        """`{categorical}_indicator`."""
        return f"{self.categorical_column.name}_indicator"

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[1, number of ids]`."""
        return tf.TensorShape([1, self.categorical_column.num_buckets])

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns how often each id occurs in a row or step, or the sum of its weights, float32 `[…, ids]`."""
        del variables
        return inputs.lookup(self.categorical_column).counts(self.categorical_column.num_buckets)


def indicator_column(categorical_column: FeatureColumn) -> IndicatorColumn:
    """Represents a categorical column by how often each id occurs in a row: one-hot for single values.

    Args:
      categorical_column: what one of the `categorical_column_with_*` functions, `bucketized_column`,
        `crossed_column` or `weighted_categorical_column` returned; or one of `sequence_categorical_column_with_*`, for
        `SequenceFeatures`.

    Returns:
      A dense column as wide as there are ids, named `{categorical}_indicator`.

    Raises:
      ValueError: if `categorical_column` is something else.

    Example:
      >>> from headway import feature_columns as fc
      >>> who = fc.categorical_column_with_vocabulary_list("who", ["bob", "wanda"])
      >>> fc.DenseFeatures([fc.indicator_column(who)])({"who": [["bob", "bob"], ["wanda", "joe"]]}).numpy()
      array([[2., 0.],
             [0., 1.]], dtype=float32)
    """
    return IndicatorColumn(_checks.check_ids(categorical_column, "indicator_column"))
