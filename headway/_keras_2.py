"""Objects of Keras 2 (the package tf_keras), as programs written for tf.estimator give them to headway.

Optimizers for heads and ready-made models become optimizers of Keras 3 with the formulas of Keras 2, so that clipping,
accumulation and sparse gradients work as with any other. A program that calls an optimizer of Keras 2 itself is served
by tf_keras, untouched. Nothing here imports tf_keras: who has such an object has imported it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from headway import _tensorflow_v1

_KINDS = ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Nadam", "RMSprop", "SGD")
# What Keras 2 has in the configuration of an optimizer and Keras 3 has not.
_DROPPED = ("decay", "jit_compile", "is_legacy_optimizer", "exclude_from_weight_decay")


class _Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that something else than Keras 3 computes."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self._compute = compute

    def __call__(self, step: Any) -> tf.Tensor:
        return tf.cast(self._compute(step), tf.float32)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("A learning rate of Keras 2 cannot be made again from a configuration of Keras 3.")


def is_optimizer(value: Any) -> bool:
    """Returns whether an object is an optimizer of Keras 2, of the legacy kind or of the later one."""
    tf_keras = sys.modules.get("tf_keras")
    if tf_keras is None:
        return False
    return isinstance(value, (tf_keras.optimizers.Optimizer, tf_keras.optimizers.legacy.Optimizer))


def is_metric(value: Any) -> bool:
    """Returns whether an object is a metric of Keras 2."""
    tf_keras = sys.modules.get("tf_keras")
    return tf_keras is not None and isinstance(value, tf_keras.metrics.Metric)


def is_model(value: Any) -> bool:
    """Returns whether an object is a model of Keras 2."""
    tf_keras = sys.modules.get("tf_keras")
    return tf_keras is not None and isinstance(value, tf_keras.Model)


def cloned(model: Any) -> Any:
    """Returns a model of Keras 2 made again, with variables of its own."""
    return sys.modules["tf_keras"].models.clone_model(model)


def is_metric_variable(arguments: Mapping[str, Any]) -> bool:
    """Returns whether a variable, of which the arguments are given, is asked for by a metric of Keras 2.

    Those ask for no collection; what sets them apart is that replicas add up what each of them has counted.
    """
    if "tf_keras" not in sys.modules:
        return False
    summed = arguments.get("aggregation") == tf.VariableAggregation.SUM
    return bool(summed and arguments.get("synchronization") == tf.VariableSynchronization.ON_READ)


def in_layer() -> bool:
    """Returns whether a layer of Keras 2 is being called, which updates its variables without telling anybody.

    Those of `tf.compat.v1.layers` tell, by the collection UPDATE_OPS.
    """
    return "tf_keras" in sys.modules and _tensorflow_v1.in_keras_2_layer()


def modern(optimizer: Any) -> Any:
    """Returns the optimizer of Keras 3 for one of Keras 2, which `minimize` applies by its old formulas.

    Any other object is returned as it is.

    Raises:
      ValueError: if Keras 3 has none of that kind.
    """
    if not is_optimizer(optimizer):
        return optimizer
    name = next((kind.__name__ for kind in type(optimizer).__mro__ if kind.__name__ in _KINDS), None)
    if name is None or type(optimizer).__name__ != name:
        raise ValueError(
            f"Keras 3 has no optimizer that stands for {type(optimizer).__name__} of Keras 2. Pass one of "
            f"{', '.join(_KINDS)}, or an optimizer of Keras 3. Received: {optimizer!r}."
        )
    with tf.init_scope():
        config, rate = _tensorflow_v1.keras_2_settings(optimizer)
    settings = {key: value for key, value in config.items() if key not in _DROPPED}
    # What Nadam calls its decay slows its schedule of momentum down.
    settings["learning_rate"] = _rate(rate, None if name == "Nadam" else config.get("decay"))
    made = getattr(keras.optimizers, name)(**settings)
    made.of_keras_2 = True
    return made


def was_of_keras_2(optimizer: Any) -> bool:
    """Returns whether an optimizer of Keras 3 is one that `modern` has made."""
    return getattr(optimizer, "of_keras_2", False) is True


def _rate(rate: Any, decay: float | None) -> Any:
    # A schedule of Keras 3 that was dressed up for Keras 2.
    rate = getattr(rate, "of_keras_3", rate)
    if isinstance(rate, tf.Variable):
        with tf.init_scope():
            rate = float(rate.numpy())
    elif tf.is_symbolic_tensor(rate):
        tensor = rate
        rate = _Rate(lambda step: tensor)
    elif isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        pass
    elif callable(rate):
        # A schedule takes the step, a function nothing.
        rate = _Rate(rate if hasattr(rate, "get_config") else functools.partial(_without_step, rate))
    else:
        rate = float(rate)
    if not decay:
        return rate
    # Keras 2: rate / (1 + decay * step).
    if isinstance(rate, float):
        return keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)
    return _Rate(lambda step: (rate(step) if callable(rate) else rate) / (1.0 + decay * tf.cast(step, tf.float32)))


def _without_step(compute: Callable[[], Any], step: Any) -> Any:
    del step
    return compute()
