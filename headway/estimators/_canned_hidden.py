"""The hidden layers that ready-made models have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from headway.estimators import _canned_layers as layers
from headway.estimators._canned_layers import Variables

Activation = Callable[[tf.Tensor], tf.Tensor] | str | None


@dataclasses.dataclass(frozen=True)
class HiddenLayers:
    """Dense layers on top of each other, with dropout and batch normalisation; made by `hidden_layers`."""

    units: tuple[int, ...]
    activation: Callable[[tf.Tensor], tf.Tensor] | None
    dropout: float
    batch_norm: bool

    def __call__(
        self, net: tf.Tensor, variables: Variables, *, training: bool, seed: int | None, first: int = 0
    ) -> tf.Tensor:
        """Returns the output of the last layer, `[B, units[-1]]`; `net` itself where there is none.

        Args:
          net: `[B, n]`.
          variables: makes the variables `hiddenlayer_<i>/kernel`, `hiddenlayer_<i>/bias` and so on.
          training: whether values are dropped, and what normalises them is that of the batch.
          seed: that of the run.
          first: number of the first layer, which tells what is dropped in the layers of one model apart.
        """
        for i, width in enumerate(self.units):
            scope = f"hiddenlayer_{i}"
            net = layers.dense(net, width, variables.under(scope), self.activation)
            if training and self.dropout:
                net = layers.dropout(net, self.dropout, first + i, seed)
            if self.batch_norm:
                net = layers.batch_norm(net, variables.under(f"{scope}/batchnorm_{i}"), training=training)
            layers.summarize_layer(net, f"{variables.prefix}/{scope}")
        return net


def hidden_layers(
    units: Any, activation_fn: Activation, dropout: float | None, batch_norm: bool, *, prefix: str = ""
) -> HiddenLayers:
    """Returns hidden layers, checked.

    Args:
      units: number of units in each layer.
      activation_fn: a function, its name in Keras, or None for none.
      dropout: probability of dropping a value behind a layer, or None.
      batch_norm: whether each layer is followed by batch normalisation.
      prefix: what the estimator puts before the names of the arguments, such as "dnn_".

    Raises:
      ValueError: if one of the arguments is not as above.
    """
    return HiddenLayers(
        units=checked_units(units, f"{prefix}hidden_units"),
        activation=_checked_activation(activation_fn, f"{prefix}activation_fn"),
        dropout=_checked_dropout(dropout, f"{prefix}dropout"),
        batch_norm=bool(batch_norm),
    )


def checked_count(number: Any, argument: str, *, least: int = 1) -> int:
    """Returns a whole number of at least `least`.

    Raises:
      ValueError: if it is something else.
    """
    if isinstance(number, bool) or not hasattr(number, "__index__") or number < least:
        raise ValueError(f"`{argument}` must be a whole number of at least {least}. Received: {number!r}.")
    return int(number)


def checked_units(hidden_units: Any, argument: str) -> tuple[int, ...]:
    """Returns the number of units in each hidden layer.

    Raises:
      ValueError: if it is no list of whole numbers above 0.
    """
    wanted = f"`{argument}` must be a list of the number of units in each hidden layer, such as [64, 32]."
    if isinstance(hidden_units, str | Mapping) or not hasattr(hidden_units, "__iter__"):
        raise ValueError(f"{wanted} Received: {hidden_units!r}.")
    units = list(hidden_units)
    if any(isinstance(n, bool) or not hasattr(n, "__index__") or n < 1 for n in units):
        raise ValueError(f"{wanted} Each must be an integer >= 1. Received: {hidden_units!r}.")
    return tuple(int(n) for n in units)


def _checked_activation(activation: Activation, argument: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
    if isinstance(activation, str):
        found: Callable[[tf.Tensor], tf.Tensor] = keras.activations.get(activation)
        return found
    if activation is not None and not callable(activation):
        raise ValueError(f"`{argument}` must be a function such as tf.nn.relu, or None. Received: {activation!r}.")
    return activation


def _checked_dropout(dropout: Any, argument: str) -> float:
    if dropout is None:
        return 0.0
    if isinstance(dropout, bool | str) or not hasattr(dropout, "__float__") or not 0.0 <= dropout < 1.0:
        raise ValueError(f"`{argument}` must be None or a probability in [0, 1). Received: {dropout!r}.")
    return float(dropout)
