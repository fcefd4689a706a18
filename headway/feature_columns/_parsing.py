"""What must be read from serialised examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from headway.feature_columns._foreign import own_column
from headway.feature_columns._numeric import NumericColumn, numeric_column
from headway.feature_columns._protocol import FeatureColumn


def make_parse_example_spec(feature_columns: Iterable[FeatureColumn]) -> dict[str, Any]:
    """Returns the `features` argument of `tf.io.parse_example` for the columns.

    Args:
      feature_columns: the columns of a model.

    Returns:
      feature name -> `tf.io.FixedLenFeature` for numeric columns, `tf.io.VarLenFeature` for categorical ones and
      sequences.

    Raises:
      ValueError: if an item is no feature column, or two columns read one feature in different ways.

    Example:
      >>> from headway import feature_columns as fc
      >>> fc.make_parse_example_spec([fc.categorical_column_with_identity("day", 7)])
      {'day': VarLenFeature(dtype=tf.int64)}
    """
    result: dict[str, Any] = {}
    for column in map(own_column, feature_columns):
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


def classifier_parse_example_spec(
    feature_columns: Iterable[FeatureColumn],
    label_key: str,
    label_dtype: Any = tf.int64,
    label_default: Any = None,
    weight_column: str | FeatureColumn | None = None,
) -> dict[str, Any]:
    """Returns the `features` argument of `tf.io.parse_example` for a classifier: its columns, label and weights.

    Args:
      feature_columns: the columns of a model.
      label_key: name of the label.
      label_dtype: type of the label: an integer type, `tf.string` with a `label_vocabulary`, or for two classes
        `tf.float32`.
      label_default: the label of examples that have none. None: such an example is an error.
      weight_column: the weights of examples: name of a feature, or a `numeric_column`. None: there are none.

    Returns:
      feature name -> `tf.io.FixedLenFeature` or `tf.io.VarLenFeature`. The label has shape `[1]`.

    Raises:
      ValueError: as `make_parse_example_spec`; if `label_key` is no string; if label or weights are also a feature, or
        one another; if `weight_column` is something else.

    Example:
      >>> import headway as hw
      >>> from headway import feature_columns as fc
      >>> hw.classifier_parse_example_spec([fc.categorical_column_with_identity("day", 7)], label_key="sold")
      {'day': VarLenFeature(dtype=tf.int64), 'sold': FixedLenFeature(shape=(1,), dtype=tf.int64, default_value=None)}
    """
    label = tf.io.FixedLenFeature((1,), label_dtype, label_default)
    return _with_label_and_weights(feature_columns, label_key, label, weight_column)


def regressor_parse_example_spec(
    feature_columns: Iterable[FeatureColumn],
    label_key: str,
    label_dtype: Any = tf.float32,
    label_default: Any = None,
    label_dimension: int = 1,
    weight_column: str | FeatureColumn | None = None,
) -> dict[str, Any]:
    """Returns the `features` argument of `tf.io.parse_example` for a regressor: its columns, label and weights.

    Args:
      feature_columns: the columns of a model.
      label_key: name of the label.
      label_dtype: type of the label.
      label_default: the label of examples that have none. None: such an example is an error.
      label_dimension: number of targets per example.
      weight_column: the weights of examples: name of a feature, or a `numeric_column`. None: there are none.

    Returns:
      feature name -> `tf.io.FixedLenFeature` or `tf.io.VarLenFeature`. The label has shape `[label_dimension]`.

    Raises:
      ValueError: as `classifier_parse_example_spec`.

    Example:
      >>> import headway as hw
      >>> from headway import feature_columns as fc
      >>> spec = hw.regressor_parse_example_spec([fc.numeric_column("area")], label_key="rent", weight_column="share")
      >>> sorted(spec), spec["rent"]
      (['area', 'rent', 'share'], FixedLenFeature(shape=(1,), dtype=tf.float32, default_value=None))
    """
    label = tf.io.FixedLenFeature((label_dimension,), label_dtype, label_default)
    return _with_label_and_weights(feature_columns, label_key, label, weight_column)


def _with_label_and_weights(
    columns: Iterable[FeatureColumn], label_key: str, label: Any, weight_column: Any
) -> dict[str, Any]:
    spec = make_parse_example_spec(columns)
    if not isinstance(label_key, str):
        raise ValueError(f"label_key must be a string. Received: {label_key!r}")
    if label_key in spec:
        raise ValueError(
            f"label should not be used as feature. label_key: {label_key}, features: {list(spec)}. Leave out the "
            "column that reads it."
        )
    spec[label_key] = label
    if weight_column is None:
        return spec
    weight = numeric_column(weight_column) if isinstance(weight_column, str) else own_column(weight_column)
    if not isinstance(weight, NumericColumn):
        raise ValueError(
            "weight_column should be an instance of numeric_column, or the name of a feature. "
            f"Given type: {type(weight_column)} value: {weight_column}"
        )
    if weight.key in spec:
        raise ValueError(
            f"weight_column should not be used as feature. weight_column: {weight.key}, features: {list(spec)}. Leave "
            "out the column that reads it."
        )
    return {**spec, **weight.parse_example_spec}
