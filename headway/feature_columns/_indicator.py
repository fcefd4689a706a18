"""Categorical columns as counts per id."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import CategoricalColumn, DenseColumn, DeviceInputs, FeatureColumn


@dataclasses.dataclass(frozen=True)
class IndicatorColumn(DenseColumn):
    """What `indicator_column` returns."""

    categorical_column: CategoricalColumn

    @property
    def name(self) -> str:
        """`{categorical}_indicator`."""
        return f"{self.categorical_column.name}_indicator"

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the categorical column."""
        return self.categorical_column.parse_example_spec

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The categorical column."""
        return [self.categorical_column]

    @property
    def host_columns(self) -> tuple[FeatureColumn, ...]:
        """The categorical column."""
        return (self.categorical_column,)

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[1, number of ids]`."""
        return tf.TensorShape([1, self.categorical_column.num_buckets])

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns how often each id occurs in a row, float32 `[B, number of ids]`."""
        del variables
        return inputs.lookup(self.categorical_column).counts(self.categorical_column.num_buckets)


def indicator_column(categorical_column: FeatureColumn) -> IndicatorColumn:
    """Represents a categorical column by the number of times that each id occurs in a row (one-hot for single values).

    Args:
      categorical_column: what one of the `categorical_column_with_*` functions, `bucketized_column` or
        `crossed_column` returned.

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
    return IndicatorColumn(_checks.check_categorical(categorical_column, "indicator_column"))
