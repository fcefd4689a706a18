"""Columns of strings as codes of their distinct values: what reads each value once where rows repeat them."""

from __future__ import annotations

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


def compiled_transform(fn: Callable[[Any], Any], original: object) -> Callable[[Any], Any]:
    """Returns `fn` as a `tf.function`, which takes `Encoded` features if `original` does."""
    function: Any = tf.function(fn, autograph=False)
    function.takes_encoded = takes_encoded(original)
    compiled: Callable[[Any], Any] = function
    return compiled
