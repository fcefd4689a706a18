"""Label smoothing: labels that give a part of their weight to all classes alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def smoothed(labels: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Returns float labels of two classes, in [0, 1], that give `label_smoothing` of their weight to both alike."""
    return labels if not label_smoothing else labels * (1.0 - label_smoothing) + 0.5 * label_smoothing


def smoothed_one_hot(labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Returns a distribution over the classes, in the shape of the logits, for class ids of shape `[D0, ..., DN, 1]`.

    Each class gets `label_smoothing / n_classes`, and the label's class the rest as well: section 7 of Szegedy et al.
    2016, "Rethinking the Inception Architecture for Computer Vision", https://arxiv.org/abs/1512.00567.
    """
    n_classes = logits.shape[-1]
    one_hot = tf.one_hot(tf.squeeze(labels, -1), n_classes, dtype=logits.dtype)
    return one_hot if not label_smoothing else one_hot * (1.0 - label_smoothing) + label_smoothing / n_classes


def checked_smoothing(label_smoothing: Any, loss_fn: Any, loss_fn_arguments: tuple[str, ...]) -> float:
    """Returns `label_smoothing`.

    Args:
      label_smoothing: a number in [0, 1).
      loss_fn: the head's `loss_fn`, or None.
      loss_fn_arguments: names of the arguments that it takes.

    Raises:
      ValueError: if it is another number, or if `loss_fn` would not get it.
    """
    number = isinstance(label_smoothing, (int, float, np.number)) and not isinstance(label_smoothing, bool)
    if not number or not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"`label_smoothing` must be a number in [0, 1). Received: {label_smoothing!r}.")
    if label_smoothing and loss_fn is not None and "label_smoothing" not in loss_fn_arguments:
        raise ValueError(
            f"label_smoothing={label_smoothing} would have no effect: the loss_fn does not take it. Give loss_fn an "
            "argument `label_smoothing`, as headway.heads.losses.focal has it, or leave it out."
        )
    return float(label_smoothing)
