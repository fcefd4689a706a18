"""Looks at input values before they reach the weights: one NaN among the inputs makes all weights NaN in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from headway.heads._checks import stop_unless

_MESSAGE = (
    "The input has NaN or infinite values{where}, which would make the loss NaN. Fill them in the data, give the "
    "column a `normalizer_fn` that replaces them, or allow them with RunConfig(check_input=False). "
    "First bad row{what}: "
)


def checked(transform: Callable[[Any], Any], names: Mapping[str, list[str]]) -> Callable[[Any], Any]:
    """Returns `transform` with a check that what it makes is finite.

    Args:
      transform: the input transform of an estimator.
      names: of matrices that hold several columns: the matrix's key -> the name of each column, for the error.
    """

    @tf.autograph.experimental.do_not_convert
    def transform_and_check(features: Any) -> Any:
        transformed = transform(features)
        if not isinstance(transformed, Mapping):
            return transformed
        return {name: _finite(name, value, names.get(name)) for name, value in transformed.items()}

    checked_transform: Callable[[Any], Any] = transform_and_check
    return checked_transform


def _finite(name: str, value: Any, columns: list[str] | None) -> Any:
    if not isinstance(value, tf.Tensor) or not value.dtype.is_floating:
        return value
    finite = tf.math.is_finite(value)
    rows = tf.reduce_all(tf.reshape(finite, [tf.shape(value)[0], -1]), axis=1)
    first = tf.argmin(tf.cast(tf.concat([rows, [False]], 0), tf.int32))
    if columns is None:
        return stop_unless(tf.reduce_all(rows), _MESSAGE.format(where=f" in {name!r}", what=""), [first], then=value)
    bad = tf.logical_not(tf.reduce_all(finite, axis=0))
    where = tf.strings.reduce_join(tf.boolean_mask(tf.constant(columns), bad), separator=", ")
    return stop_unless(tf.reduce_all(rows), _MESSAGE.format(where="", what=", and columns"), [first, where], then=value)
