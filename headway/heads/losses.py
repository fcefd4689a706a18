"""Losses for the `loss_fn` of a head: `heads.BinaryClassHead(loss_fn=heads.losses.focal(gamma=2.0))`.

Each function here returns a loss: a function of labels and logits that returns one loss for each element (of a
`RankingHead`: for each list). Weights and the reduction to one number are the head's.

| loss | heads |
|---|---|
| `focal` | `BinaryClassHead`, `MultiClassHead`, and heads with a sigmoid per class |
| `huber` | `RegressionHead` |
| `listwise_softmax`, `pairwise_logistic` | `RankingHead` |

Quantiles have a head of their own, `QuantileRegressionHead`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway.heads import _cross_entropy
from headway.heads._smoothing import smoothed, smoothed_one_hot

__all__ = ["focal", "huber", "listwise_softmax", "pairwise_logistic"]

# What is raised to a power is at least this, which keeps the gradient finite where a prediction is perfect.
_LEAST = 1e-12

Loss = Callable[..., tf.Tensor]
"""Takes labels and logits; returns the losses."""


def focal(gamma: float = 2.0, alpha: float | None = None) -> Loss:
    """Returns the focal loss: cross entropy in which examples that are predicted well count less.

    With the probability p_t that the model gives to the label: `-alpha_t * (1 - p_t)**gamma * log(p_t)`, equations 4
    and 5 of Lin et al. 2017, "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002.

    Where there are as many labels as logits, each logit is the log-odds of its label (sigmoid form), and the losses of
    an example are averaged; p_t of a label y between 0 and 1 is `y * p + (1 - y) * (1 - p)`. Where there is one class
    id for several logits, these are of one softmax.

    Args:
      gamma: focusing parameter, at least 0; with 0 this is the cross entropy.
      alpha: sigmoid form only: the weight of label 1, in [0, 1]; label 0 has the weight `1 - alpha`. None: both have
        the weight 1. For the classes of a softmax use the head's `class_weights`.

    Returns:
      A function for the `loss_fn` of a head, which takes the head's `label_smoothing` into account. It returns shape
      `[D0, ..., DN, 1]`.

    Raises:
      ValueError: if `gamma` or `alpha` is outside its range.

    >>> import tensorflow as tf
    >>> from headway.heads import BinaryClassHead, _cross_entropy, losses
    >>> head = BinaryClassHead(loss_fn=losses.focal(gamma=2.0, alpha=0.25))
    >>> logits = tf.constant([[2.0], [2.0]])
    >>> print(f"{float(head.loss([1, 0], logits)):.4f}")  # (.25 * .1192**2 * .1269 + .75 * .8808**2 * 2.1269) / 2
    0.6190
    """
    _check_number("gamma", gamma, 0.0)
    if alpha is not None:
        _check_number("alpha", alpha, 0.0, 1.0)
    return functools.partial(_focal, gamma=float(gamma), alpha=None if alpha is None else float(alpha))


def _focal(
    labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0, *, gamma: float, alpha: float | None
) -> tf.Tensor:
    if labels.shape[-1] == logits.shape[-1]:
        return _focal_of_sigmoids(labels, logits, label_smoothing, gamma, alpha)
    if alpha is not None:
        raise ValueError(
            f"`alpha` of the focal loss is the weight of label 1 against label 0. Received: {alpha} with "
            f"{logits.shape[-1]} classes. Pass `class_weights` to the head instead."
        )
    return _focal_of_softmax(labels, logits, label_smoothing, gamma)


def _focal_of_sigmoids(
    labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float, gamma: float, alpha: float | None
) -> tf.Tensor:
    labels = smoothed(tf.cast(labels, logits.dtype), label_smoothing)
    losses = _cross_entropy.of_sigmoids(labels, logits)
    missed = labels * tf.sigmoid(-logits) + (1.0 - labels) * tf.sigmoid(logits)  # 1 - p_t
    losses *= tf.pow(tf.maximum(missed, _LEAST), gamma)
    if alpha is not None:
        losses *= alpha * labels + (1.0 - alpha) * (1.0 - labels)
    return tf.reduce_mean(losses, axis=-1, keepdims=True)


def _focal_of_softmax(labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float, gamma: float) -> tf.Tensor:
    log_p = tf.nn.log_softmax(logits)
    focus = tf.pow(tf.maximum(-tf.math.expm1(log_p), _LEAST), gamma)
    targets = smoothed_one_hot(labels, logits, label_smoothing)
    return -tf.reduce_sum(targets * focus * log_p, axis=-1, keepdims=True)


def huber(delta: float = 1.0) -> Loss:
    """Returns the Huber loss: squared where the error is small, linear where it is large.

    With the error e = label - logit: `0.5 * e**2` where `|e| <= delta`, else `delta * (|e| - 0.5 * delta)`; Huber 1964,
    "Robust Estimation of a Location Parameter", https://doi.org/10.1214/aoms/1177703732.

    Args:
      delta: where the loss turns from squared to linear, in the unit of the labels; above 0.

    Returns:
      A function for the `loss_fn` of a `RegressionHead`. It returns the shape of the labels.

    Raises:
      ValueError: if `delta` is not above 0.

    >>> import tensorflow as tf
    >>> from headway.heads import RegressionHead, losses
    >>> head = RegressionHead(loss_fn=losses.huber(delta=1.0))
    >>> float(head.loss([[0.0], [0.0]], tf.constant([[0.5], [3.0]])))  # (0.125 + 2.5) / 2
    1.3125
    """
    _check_number("delta", delta, 0.0)
    if delta == 0:
        raise ValueError("`delta` must be above 0. Received: 0.")
    return functools.partial(_huber, delta=float(delta))


def _huber(labels: tf.Tensor, logits: tf.Tensor, *, delta: float) -> tf.Tensor:
    error = tf.abs(labels - logits)
    small = tf.minimum(error, delta)
    return small * (error - 0.5 * small)


def listwise_softmax(temperature: float = 1.0) -> Loss:
    """Returns the softmax loss of lists: cross entropy between the relevance of the items and their scores.

    A list with the labels y and the scores s loses `-sum_i y_i / sum(y) * log(softmax(s / temperature)_i)`: the
    listwise loss of Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise Approach",
    https://doi.org/10.1145/1273496.1273513, with the labels themselves in place of their exponentials. A list without a
    relevant item loses 0.

    Args:
      temperature: what the scores are divided by; above 0.

    Returns:
      A function for the `loss_fn` of a `RankingHead`. It takes labels (negative: padding) and scores of shape
      `[lists, list_size]` and returns shape `[lists, 1]`.

    Raises:
      ValueError: if `temperature` is not above 0.

    >>> import tensorflow as tf
    >>> from headway.heads import losses
    >>> labels, scores = tf.constant([[0.0, 1.0, -1.0]]), tf.constant([[0.0, 0.0, 9.0]])
    >>> print(f"{float(losses.listwise_softmax()(labels, scores)[0, 0]):.4f}")  # log(2)
    0.6931
    """
    return functools.partial(_listwise_softmax, temperature=_checked_temperature(temperature))


def _listwise_softmax(labels: tf.Tensor, logits: tf.Tensor, *, temperature: float) -> tf.Tensor:
    present = labels >= 0
    relevance = tf.where(present, labels, tf.zeros_like(labels))
    targets = tf.math.divide_no_nan(relevance, tf.reduce_sum(relevance, axis=-1, keepdims=True))
    # Padding gets no share of the softmax. In a list of padding alone all get the same, and no target.
    log_p = tf.nn.log_softmax(tf.where(present, logits / temperature, tf.fill(tf.shape(logits), logits.dtype.min / 2)))
    return -tf.reduce_sum(tf.where(present, targets * log_p, tf.zeros_like(log_p)), axis=-1, keepdims=True)


def pairwise_logistic(temperature: float = 1.0) -> Loss:
    """Returns the logistic loss of pairs: of two items, the more relevant one is to have the higher score.

    A list loses the mean over its pairs of items i, j with labels `y_i > y_j` of
    `log(1 + exp(-(s_i - s_j) / temperature))`: RankNet, equation 3 of Burges et al. 2005, "Learning to Rank using
    Gradient Descent", https://doi.org/10.1145/1102351.1102363. A list without such a pair loses 0.

    It takes memory for list_size squared numbers per list.

    Args:
      temperature: what the scores are divided by; above 0.

    Returns:
      A function for the `loss_fn` of a `RankingHead`. It takes labels (negative: padding) and scores of shape
      `[lists, list_size]` and returns shape `[lists, 1]`.

    Raises:
      ValueError: if `temperature` is not above 0.

    >>> import tensorflow as tf
    >>> from headway.heads import losses
    >>> labels, scores = tf.constant([[0.0, 1.0, -1.0]]), tf.constant([[0.0, 2.0, 9.0]])
    >>> print(f"{float(losses.pairwise_logistic()(labels, scores)[0, 0]):.4f}")  # log(1 + exp(-2))
    0.1269
    """
    return functools.partial(_pairwise_logistic, temperature=_checked_temperature(temperature))


def _pairwise_logistic(labels: tf.Tensor, logits: tf.Tensor, *, temperature: float) -> tf.Tensor:
    present = labels >= 0
    better = labels[:, :, tf.newaxis] > labels[:, tf.newaxis, :]
    pairs = tf.cast(better & present[:, :, tf.newaxis] & present[:, tf.newaxis, :], logits.dtype)
    scores = tf.where(present, logits / temperature, tf.zeros_like(logits))
    losses = tf.nn.softplus(scores[:, tf.newaxis, :] - scores[:, :, tf.newaxis])
    total, count = tf.reduce_sum(pairs * losses, axis=[1, 2]), tf.reduce_sum(pairs, axis=[1, 2])
    return tf.math.divide_no_nan(total, count)[:, tf.newaxis]


def _checked_temperature(temperature: Any) -> float:
    _check_number("temperature", temperature, 0.0)
    if temperature == 0:
        raise ValueError("`temperature` must be above 0. Received: 0.")
    return float(temperature)


def _check_number(name: str, value: Any, least: float, most: float = math.inf) -> None:
    numeric = hasattr(value, "__float__") and not isinstance(value, (bool, str))
    if not numeric or not least <= float(value) <= most or math.isinf(float(value)):
        allowed = f"in [{least:g}, {most:g}]" if most < math.inf else f">= {least:g}"
        raise ValueError(f"`{name}` must be a number {allowed}. Received: {value!r}.")
