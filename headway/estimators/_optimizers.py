"""From what a ready-made estimator takes as its optimizer to a function that makes a Keras optimizer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from headway import _keras_2
from headway._v1_optimizers import V1Optimizer
from headway.estimators._v1_canned_optimizers import V1OptimizerMaker

OptimizerMaker = Callable[[], keras.optimizers.Optimizer | V1Optimizer]

_NO_OPTIMIZER = (
    "The given object is not a tf.keras.optimizers.Optimizer instance. Given: {received!r}. `{argument}` must be the "
    "name of a Keras optimizer, an instance such as keras.optimizers.Adam(0.01), or a function without arguments that "
    "returns one."
)
_V1_OPTIMIZER = (
    "The given object is not a tf.keras.optimizers.Optimizer instance. Given: {received!r}, an optimizer of "
    "tf.compat.v1.train. Pass a Keras optimizer as `{argument}`, such as keras.optimizers.{like}(...)."
)
_V1_NAMES = {"GradientDescentOptimizer": "SGD", "MomentumOptimizer": "SGD"}


@functools.cache
def _classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Returns the optimizers of Keras that a learning rate is enough for, by name, in the order of their names."""
    base = keras.optimizers.Optimizer
    members = sorted(vars(keras.optimizers).items(), key=lambda item: item[0].lower())
    found = {
        name: member
        for name, member in members
        if isinstance(member, type) and issubclass(member, base) and member is not base and _takes_rate(member)
    }
    # Muon tells variables apart by their Keras paths, which the variables of a ready-made model do not have.
    found.pop("Muon", None)
    return found


def _takes_rate(kind: type) -> bool:
    """Tells whether the class is an optimizer of its own; those that wrap others take no learning rate."""
    return "learning_rate" in inspect.signature(kind).parameters


def optimizer_maker(
    optimizer: Any, learning_rate: float, argument: str, *, clipnorm: float | None = None
) -> OptimizerMaker:
    """Returns a function that makes the optimizer, to be called inside the model_fn.

    Args:
      optimizer: the name of a Keras optimizer in any case, an instance, or a function that returns one; or a
        `V1OptimizerMaker`, which is returned as it is.
      learning_rate: that of an optimizer given by name.
      argument: how the user calls the argument, for error messages.
      clipnorm: largest norm of each gradient, for an optimizer given by name.

    Raises:
      ValueError: if the name is unknown, or the object is no Keras optimizer. The function that is returned raises it
        as well, where a user's function returns something else.
    """
    if isinstance(optimizer, V1OptimizerMaker):
        return optimizer
    if isinstance(optimizer, str):
        by_lower_name = {name.lower(): known for name, known in _classes().items()}
        if optimizer.lower() not in by_lower_name:
            raise ValueError(
                f"Unsupported optimizer name: {optimizer}. Supported names are: {tuple(_classes())}. "
                f"For another one, pass an instance as `{argument}`."
            )
        kind: Any = by_lower_name[optimizer.lower()]
        return functools.partial(kind, learning_rate=learning_rate, clipnorm=clipnorm)
    if callable(optimizer) and not isinstance(optimizer, keras.optimizers.Optimizer):
        return lambda: _checked(optimizer(), argument)
    _checked(optimizer, argument)
    # One of Keras 2 becomes another object for each call of the model_fn.
    return lambda: _checked(optimizer, argument)


def _checked(optimizer: Any, argument: str) -> keras.optimizers.Optimizer:
    if isinstance(optimizer, tf.compat.v1.train.Optimizer):
        name = type(optimizer).__name__
        like = _V1_NAMES.get(name, name.removesuffix("Optimizer"))
        raise ValueError(_V1_OPTIMIZER.format(received=optimizer, argument=argument, like=like))
    optimizer = _keras_2.modern(optimizer)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(_NO_OPTIMIZER.format(received=optimizer, argument=argument))
    return optimizer
