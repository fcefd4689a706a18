"""Columns that `tf.feature_column` made, taken wherever headway's are.

`own_column` is the one gate. What stands for each of TensorFlow's columns is registered by `_from_tensorflow.py`, which
knows all columns of headway, as this module, which they need, cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway._tensorflow import feature_column_fields
from headway.feature_columns._protocol import FeatureColumn

_Converter = Callable[[dict[str, Any]], FeatureColumn]
_converters: dict[str, _Converter] = {}


def converts(class_name: str) -> Callable[[_Converter], _Converter]:
    """Registers a function from the fields of TensorFlow's column class of that name to a column of headway."""

    def register(converter: _Converter) -> _Converter:
        _converters[class_name] = converter
        return converter

    return register


def own_column(value: Any) -> Any:
    """Returns the column of headway that does what a column of `tf.feature_column` does; anything else as it is.

    Raises:
      ValueError: for a column class that was derived from TensorFlow's.
    """
    if isinstance(value, FeatureColumn):
        return value
    found = feature_column_fields(value)
    if found is None:
        return value
    class_name, fields = found
    if class_name not in _converters:
        raise ValueError(
            f"{value!r} is a feature column of class {class_name}, which is none that tf.feature_column makes. headway "
            "cannot tell what it computes. Compute it in input_fn, or by the `normalizer_fn` of a numeric_column, and "
            "take one of the columns of headway.feature_columns for the result."
        )
    return _converters[class_name](fields)
