"""Columns of strings as codes of their distinct values: what reads each value once where rows repeat them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Encoded(tf.experimental.ExtensionType):
    """A feature whose values are `values[codes]`.

    A function of a whole batch gets features in this form if it has an attribute `takes_encoded` that is true.

    Attributes:
      codes: int32 `[B]` or `[B, ...]`.
      values: string `[V]`: each that occurs, and perhaps others.
    """

    codes: tf.Tensor
    values: tf.Tensor

    def decoded(self) -> tf.Tensor:
        """Returns the strings, of the shape of `codes`."""
        return tf.gather(self.values, self.codes)


def takes_encoded(fn: object) -> bool:
    """Returns whether a function of a batch takes `Encoded` features."""
    return bool(getattr(fn, "takes_encoded", False))


def has_short_operations(fn: object) -> bool:
    """Returns whether a function of a batch says that its operations are short: those of one batch run in one thread.

    It says so by an attribute `has_short_operations` that is true.
    """
    return bool(getattr(fn, "has_short_operations", False))


def with_what_is_known(fn: object, features: Any) -> Any:
    """Returns what a function has made of a whole table, marked with what can be told from all of its rows.

    A function whose results say more where all rows are known has a method `of_all_rows` for that.
    """
    of_all_rows = getattr(fn, "of_all_rows", None)
    return features if of_all_rows is None else of_all_rows(features)


def compiled_transform(fn: Callable[[Any], Any], original: object) -> Callable[[Any], Any]:
    """Returns `fn` as a `tf.function` that says of itself, and does with whole tables, what `original` does."""
    function: Any = tf.function(fn, autograph=False)
    function.takes_encoded = takes_encoded(original)
    function.has_short_operations = has_short_operations(original)
    function.of_all_rows = functools.partial(with_what_is_known, original)
    compiled: Callable[[Any], Any] = function
    return compiled
