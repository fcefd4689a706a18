"""Recurrent Keras layers over sequences with a mask, faster than Keras calls them, to the same result.

What a cell makes of the inputs of all steps is one product before the loop, the loop is written out where the number of
steps is known and small, and layers that stand on one another are run one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# Up to so many steps the loop is written out: more would make tracing slow.
_WRITTEN_OUT = 32

_States = tuple[tf.Tensor, ...]
_Step = Callable[[tf.Tensor, _States], _States]


def call(layer: Any, steps: tf.Tensor, mask: tf.Tensor, *, training: bool) -> tf.Tensor:
    """Returns what a recurrent layer makes of sequences.

    Args:
      layer: a `keras.layers.RNN` with the default settings, `return_sequences` aside.
      steps: float32 `[B, T, n]`; T is at least 1.
      mask: bool `[B, T]`: true for the steps that are there. At the others states and outputs stay what they were.
      training: whether dropout works as in training.

    Returns:
      `[B, units]`, the output of the last step; with `return_sequences` `[B, T, units]`.
    """
    cells = getattr(layer.cell, "cells", [layer.cell])
    if not all(_is_known(cell) for cell in cells):
        return layer(steps, mask=mask, training=training)
    if not layer.built:
        layer.build(tuple(steps.shape))
    for cell in cells[:-1]:
        steps = _outputs(cell, steps, mask, every_step=True)
    return _outputs(cells[-1], steps, mask, every_step=layer.return_sequences)


def _is_known(cell: Any) -> bool:
    if type(cell) not in _CELLS or cell.dropout or cell.recurrent_dropout:
        return False
    plain = cell.compute_dtype == cell.variable_dtype == "float32"
    return plain and bool(getattr(cell, "reset_after", True))


def _outputs(cell: Any, steps: tf.Tensor, mask: tf.Tensor, *, every_step: bool) -> tf.Tensor:
    bias = None if cell.bias is None else tf.convert_to_tensor(cell.bias.value)
    # A GRU has a bias for the inputs and another one for the state.
    own, states_bias = (bias[0], bias[1]) if bias is not None and bias.shape.rank == 2 else (bias, None)
    inputs = tf.tensordot(steps, tf.convert_to_tensor(cell.kernel.value), 1)
    inputs = inputs if own is None else inputs + own
    zeros = tf.zeros([tf.shape(steps)[0], cell.units])
    states: _States = (zeros, zeros) if isinstance(cell, keras.layers.LSTMCell) else (zeros,)
    step = _CELLS[type(cell)](cell, states_bias)

    def masked(states: _States, at: tuple[tf.Tensor, tf.Tensor]) -> _States:
        there = at[1][:, tf.newaxis]
        return tuple(tf.where(there, new, old) for new, old in zip(step(at[0], states), states, strict=True))

    if steps.shape[1] is None or steps.shape[1] > _WRITTEN_OUT:
        by_time = tf.transpose(inputs, [1, 0, 2]), tf.transpose(mask)
        found = tf.scan(masked, by_time, states)[0]
        return tf.transpose(found, [1, 0, 2]) if every_step else found[-1]
    outputs = []
    for at in zip(tf.unstack(inputs, axis=1), tf.unstack(mask, steps.shape[1], axis=1), strict=True):
        states = masked(states, at)
        outputs.append(states[0])
    return tf.stack(outputs, 1) if every_step else outputs[-1]


def _simple(cell: Any, bias: None) -> _Step:
    del bias
    recurrent = tf.convert_to_tensor(cell.recurrent_kernel.value)
    return lambda inputs, states: (_activated(cell.activation, inputs + states[0] @ recurrent),)


def _lstm(cell: Any, bias: None) -> _Step:
    # Hochreiter, Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, with forget gates.
    del bias
    recurrent = tf.convert_to_tensor(cell.recurrent_kernel.value)

    def step(inputs: tf.Tensor, states: _States) -> _States:
        output, memory = states
        gates = tf.split(inputs + output @ recurrent, 4, axis=1)
        write, keep, show = (_activated(cell.recurrent_activation, gates[i]) for i in (0, 1, 3))
        memory = keep * memory + write * _activated(cell.activation, gates[2])
        return show * _activated(cell.activation, memory), memory

    return step


def _gru(cell: Any, bias: tf.Tensor | None) -> _Step:
    # Cho et al. 2014, https://arxiv.org/abs/1406.1078, with the reset gate behind the product.
    recurrent = tf.convert_to_tensor(cell.recurrent_kernel.value)

    def step(inputs: tf.Tensor, states: _States) -> _States:
        (before,) = states
        product = before @ recurrent
        inner = tf.split(product if bias is None else product + bias, 3, axis=1)
        outer = tf.split(inputs, 3, axis=1)
        keep, reset = (_activated(cell.recurrent_activation, outer[i] + inner[i]) for i in (0, 1))
        new = _activated(cell.activation, outer[2] + reset * inner[2])
        return (keep * before + (1.0 - keep) * new,)

    return step


def _activated(activation: Any, values: tf.Tensor) -> tf.Tensor:
    return values if activation is None else activation(values)


_CELLS: dict[type, Callable[[Any, Any], _Step]] = {
    keras.layers.SimpleRNNCell: _simple,
    keras.layers.LSTMCell: _lstm,
    keras.layers.GRUCell: _gru,
}
