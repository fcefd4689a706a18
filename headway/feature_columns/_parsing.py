"""What must be read from serialised examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headway.feature_columns._protocol import FeatureColumn


def make_parse_example_spec(feature_columns: Iterable[FeatureColumn]) -> dict[str, Any]:
    """Returns the `features` argument of `tf.io.parse_example` for the columns.

    Args:
      feature_columns: the columns of a model.

    Returns:
      feature name -> `tf.io.FixedLenFeature` for numeric columns, `tf.io.VarLenFeature` for categorical ones.

    Raises:
      ValueError: if an item is no feature column, or two columns read one feature in different ways.

    Example:
      >>> from headway import feature_columns as fc
      >>> fc.make_parse_example_spec([fc.categorical_column_with_identity("day", 7)])
      {'day': VarLenFeature(dtype=tf.int64)}
    """
    result: dict[str, Any] = {}
    for column in feature_columns:
        if not isinstance(column, FeatureColumn):
            raise ValueError(f"All feature_columns must be FeatureColumn instances. Given: {column!r}")
        for key, value in column.parse_example_spec.items():
            if result.setdefault(key, value) != value:
                raise ValueError(
                    f"feature_columns contain different parse_spec for key {key}. Given {value} and {result[key]}. "
                    "Columns that "
                    "share a feature must agree on its shape, dtype and default_value."
                )
    return result
