"""Objects of Keras 2 (the package tf_keras), as programs written for tf.estimator give them to headway.

Optimizers for heads and ready-made models become optimizers of Keras 3 with the same formula, so that clipping,
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

from headway import _tensorflow, _tensorflow_v1

_KINDS = ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "RMSprop", "SGD")
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


def compile_again(model: Any, original: Any) -> None:
    """Compiles a model of Keras 2 with the loss and the metrics of another one; it is not to be trained by Keras."""
    # A legacy optimizer makes no variables until it is used.
    unused = sys.modules["tf_keras"].optimizers.legacy.SGD()
    settings = _tensorflow_v1.keras_2_compile_arguments(original)

    def creator(next_creator: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        if is_metric_variable(arguments):
            return next_creator(**arguments)
        # The counters that Keras makes for `fit` are none of the model's variables.
        return _tensorflow.outside_graphs(lambda: tf.Variable(arguments["initial_value"], trainable=False))

    with tf.variable_creator_scope(creator):
        model.compile(optimizer=unused, **settings)


def is_metric_variable(arguments: Mapping[str, Any]) -> bool:
    """Returns whether a variable, of which the arguments are given, is asked for by a metric of Keras 2.

    Those ask for no collection; what sets them apart is that replicas add up what each of them has counted.
    """
    if "tf_keras" not in sys.modules:
        return False
    summed = arguments.get("aggregation") == tf.VariableAggregation.SUM
    return bool(summed and arguments.get("synchronization") == tf.VariableSynchronization.ON_READ)


def modern(optimizer: Any) -> Any:
    """Returns the optimizer of Keras 3 that does what one of Keras 2 does; any other object as it is.

    Raises:
      ValueError: if Keras 3 has none with the same formula.
    """
    if not is_optimizer(optimizer):
        return optimizer
    name = next((kind.__name__ for kind in type(optimizer).__mro__ if kind.__name__ in _KINDS), None)
    if name is None or type(optimizer).__name__ != name:
        raise ValueError(
            f"Keras 3 has no optimizer that does what {type(optimizer).__name__} of Keras 2 does. Pass one of "
            f"{', '.join(_KINDS)}, or an optimizer of Keras 3. Received: {optimizer!r}."
        )
    with tf.init_scope():
        config, rate = _tensorflow_v1.keras_2_settings(optimizer)
    settings = {key: value for key, value in config.items() if key not in _DROPPED}
    settings["learning_rate"] = _rate(rate, config.get("decay"))
    return getattr(keras.optimizers, name)(**settings)


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
