"""`tf.keras.optimizers.legacy` while `tf.keras` is Keras 3: the optimizers of Keras 2, which take what Keras 3 makes.

They train its variables, follow its schedules, and may be given to `compile` of its models.
"""

from __future__ import annotations

from typing import Any

import keras
import tf_keras

from headway import _keras_2, _tensorflow, _tensorflow_v1

_legacy = tf_keras.optimizers.legacy


class _Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of Keras 3 as one of Keras 2."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        self.of_keras_3 = schedule

    def __call__(self, step: Any) -> Any:
        return self.of_keras_3(step)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.of_keras_3}


def _converted(value: Any) -> Any:
    return _Schedule(value) if isinstance(value, keras.optimizers.schedules.LearningRateSchedule) else value


def _plain(variables: Any) -> Any:
    """Returns the `tf.Variable`s behind the variables of Keras 3 in a list, a single one or a function."""
    if callable(variables) and not isinstance(variables, keras.Variable):
        return lambda: _plain(variables())
    if isinstance(variables, (list, tuple)):
        return [_tensorflow.keras_variable_value(variable) for variable in variables]
    return _tensorflow.keras_variable_value(variables)


def _of_both(kind: Any) -> Any:
    """Returns an optimizer of Keras 2 that takes schedules and variables of Keras 3 too."""

    class Optimizer(kind):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*map(_converted, args), **{key: _converted(value) for key, value in kwargs.items()})

        def minimize(self, loss: Any, var_list: Any, *args: Any, **kwargs: Any) -> Any:
            return super().minimize(loss, _plain(var_list), *args, **kwargs)

        def get_gradients(self, loss: Any, params: Any) -> Any:
            return super().get_gradients(loss, _plain(params))

        def get_updates(self, loss: Any, params: Any) -> Any:
            return super().get_updates(loss, _plain(params))

        def apply_gradients(self, grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
            pairs = [(gradient, _plain(variable)) for gradient, variable in grads_and_vars]
            return super().apply_gradients(pairs, *args, **kwargs)

    Optimizer.__name__ = Optimizer.__qualname__ = kind.__name__
    Optimizer.__doc__ = f"{kind.__name__} of Keras 2, which takes schedules and variables of Keras 3 too."
    return Optimizer


Optimizer = _legacy.Optimizer
Adadelta = _of_both(_legacy.Adadelta)
Adagrad = _of_both(_legacy.Adagrad)
Adam = _of_both(_legacy.Adam)
Adamax = _of_both(_legacy.Adamax)
Ftrl = _of_both(_legacy.Ftrl)
Nadam = _of_both(_legacy.Nadam)
RMSprop = _of_both(_legacy.RMSprop)
SGD = _of_both(_legacy.SGD)

_tensorflow_v1.let_keras_take(_keras_2.modern)

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop"]
