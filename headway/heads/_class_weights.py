"""Weights of classes: what a row counts for in the loss because of its label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class ClassWeights:
    """The weight of each class.

    Args:
      weights: a weight for each class, at least 0.

    >>> ClassWeights((1.0, 3.0)).of_rows(tf.constant([[0], [1]])).numpy().tolist()
    [[1.0], [3.0]]
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = tuple(weights)

    def of_rows(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the weight of each label, float32, in the shape of the labels.

        Args:
          labels: class ids, or float labels in [0, 1] of two classes: those between get a weight between.
        """
        if labels.dtype.is_integer:
            return tf.gather(tf.constant(self._weights, tf.float32), labels)
        of_0, of_1 = self._weights
        return of_0 * (1.0 - labels) + of_1 * labels


def checked_class_weights(
    class_weights: Any, n_classes: int, words: Sequence[str] | None = None
) -> ClassWeights | None:
    """Returns the weights of `n_classes` classes, or None if there are none.

    Args:
      class_weights: a sequence of `n_classes` weights, or a mapping from classes to weights (1 for those not in it).
      n_classes: number of classes.
      words: the names of the classes, which are the keys of the mapping; None if these are class ids.

    Raises:
      ValueError: if it is neither, or holds another class, or a weight that is negative or no number.
    """
    if class_weights is None:
        return None
    if isinstance(class_weights, Mapping):
        classes: list[Any] = list(range(n_classes)) if words is None else [_as_text(word) for word in words]
        keys = [_as_text(key) for key in class_weights]
        unknown = [key for key in keys if key not in classes]
        if unknown:
            what = f"the class ids 0 to {n_classes - 1}" if words is None else "words of the label_vocabulary"
            raise ValueError(f"The keys of `class_weights` must be {what}. Received: {unknown[0]!r}.")
        by_class = dict(zip(keys, class_weights.values(), strict=True))
        weights = [by_class.get(label, 1.0) for label in classes]
    elif isinstance(class_weights, (list, tuple, np.ndarray)):
        weights = list(class_weights)
    else:
        advice = ""
        if class_weights == "balanced":
            advice = " Balanced weights need the data: sklearn.utils.class_weight.compute_class_weight computes them."
        raise ValueError(
            "`class_weights` must be a dict from classes to weights, or a list with a weight for each class. "
            f"Received: {class_weights!r}.{advice}"
        )
    if len(weights) != n_classes:
        raise ValueError(
            f"`class_weights` must hold a weight for each of the {n_classes} classes. Received {len(weights)}: "
            f"{weights}."
        )
    return ClassWeights([_checked_weight(weight) for weight in weights])


def _as_text(key: Any) -> Any:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key


def _checked_weight(weight: Any) -> float:
    number = (
        math.nan if isinstance(weight, (str, bytes)) else float(weight) if hasattr(weight, "__float__") else math.nan
    )
    if not 0.0 <= number < math.inf:
        raise ValueError(f"Each of `class_weights` must be a number >= 0. Received: {weight!r}.")
    return number
