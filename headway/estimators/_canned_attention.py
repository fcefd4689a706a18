"""The layers of models that look at the steps of a sequence: attention, layer normalisation, positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway.estimators import _canned_layers as layers
from headway.estimators._canned_layers import Variables

_EPSILON = 1e-6
# What the scores of steps that are not there become: their share is zero then, in half precision too.
_NOWHERE = -3e4


def dense_steps(
    steps: tf.Tensor, units: int, variables: Variables, activation: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> tf.Tensor:
    """Returns a dense layer of each step, `[B, T, units]`."""
    rows, length = tf.unstack(tf.shape(steps)[:2])
    # One product of matrices, not one for each row.
    flat = layers.dense(tf.reshape(steps, [-1, int(steps.shape[2])]), units, variables, activation)
    return tf.reshape(flat, [rows, length, units])


def layer_norm(steps: tf.Tensor, variables: Variables) -> tf.Tensor:
    """Normalises the values `[..., n]` of each step. Ba, Kiros, Hinton 2016, https://arxiv.org/abs/1607.06450."""
    shape = (int(steps.shape[-1]),)
    gamma = variables("gamma", shape, keras.initializers.Ones())
    beta = variables("beta", shape, keras.initializers.Zeros())
    whole = tf.cast(steps, tf.float32)
    mean, variance = tf.nn.moments(whole, [-1], keepdims=True)
    return tf.cast(tf.nn.batch_normalization(whole, mean, variance, beta, gamma, _EPSILON), steps.dtype)


def positions(length: tf.Tensor, dimension: int) -> tf.Tensor:
    """Returns a vector for each place in a sequence, float32 `[length, dimension]`.

    Vaswani et al. 2017, section 3.5: sin(p / 10000^(2i / dimension)) at 2i, and the cosine at 2i + 1.
    """
    pairs = (dimension + 1) // 2
    rates = tf.pow(10000.0, -2.0 * tf.range(pairs, dtype=tf.float32) / dimension)
    angles = tf.expand_dims(tf.range(tf.cast(length, tf.float32)), 1) * rates
    return tf.reshape(tf.stack([tf.sin(angles), tf.cos(angles)], 2), [-1, 2 * pairs])[:, :dimension]


def self_attention(steps: tf.Tensor, there: tf.Tensor, num_heads: int, variables: Variables) -> tf.Tensor:
    """Returns what each step takes from the others, `[B, T, dimension]`.

    Vaswani et al. 2017, section 3.2: softmax(Q K^T / sqrt(d_k)) V, `num_heads` times side by side, and a dense layer.

    Args:
      steps: `[B, T, dimension]`, of which `num_heads` is a divisor.
      there: bool `[B, T]`: the steps that count.
      num_heads: number of heads.
      variables: makes the variables.
    """
    dimension = int(steps.shape[2])
    size = dimension // num_heads
    rows, length = tf.unstack(tf.shape(steps)[:2])

    def part(name: str) -> tf.Tensor:
        of_heads = tf.reshape(dense_steps(steps, dimension, variables.under(name)), [rows, length, num_heads, size])
        return tf.transpose(of_heads, [0, 2, 1, 3])

    query, key, value = part("query"), part("key"), part("value")
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) * size**-0.5
    scores = tf.where(there[:, tf.newaxis, tf.newaxis, :], scores, _NOWHERE)
    taken = tf.matmul(tf.cast(tf.nn.softmax(scores), value.dtype), value)
    joined = tf.reshape(tf.transpose(taken, [0, 2, 1, 3]), [rows, length, dimension])
    return dense_steps(joined, dimension, variables.under("output"))


def target_attention(
    steps: tf.Tensor, there: tf.Tensor, target: tf.Tensor, units: Sequence[int], activation: Any, variables: Variables
) -> tf.Tensor:
    """Returns the sum of the steps, each as strong as it suits the target, `[B, dimension]`.

    Zhou et al. 2018 (deep interest network), equation 3: the sum over j of a(e_j, v) e_j, where a is a small network
    over the step, the target, their difference and their product. The weights are not made to add up to one: their
    sum says how much there is in a history that suits the target.

    Args:
      steps: `[B, T, dimension]`.
      there: bool `[B, T]`: the steps that count.
      target: `[B, dimension]`.
      units: number of units in each hidden layer of the small network.
      activation: of these layers.
      variables: makes the variables.
    """
    spread = tf.expand_dims(target, 1) + tf.zeros_like(steps)
    net = tf.concat([steps, spread, steps - spread, steps * spread], 2)
    for i, width in enumerate(units):
        net = dense_steps(net, width, variables.under(f"hiddenlayer_{i}"), activation)
    strength = dense_steps(net, 1, variables.under("strength"))
    return tf.reduce_sum(steps * strength * tf.cast(tf.expand_dims(there, 2), steps.dtype), 1)


def mean_of_steps(steps: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
    """Returns the mean over the steps that count, `[B, dimension]`; zeros where there is none."""
    weights = tf.cast(tf.expand_dims(there, 2), tf.float32)
    total = tf.reduce_sum(tf.cast(steps, tf.float32) * weights, 1)
    return tf.cast(total / tf.maximum(tf.reduce_sum(weights, 1), 1.0), steps.dtype)
