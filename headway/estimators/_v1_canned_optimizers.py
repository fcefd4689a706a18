"""The optimizers of the ready-made estimators of tf.compat.v1.estimator: those of `tf.compat.v1.train`."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Final

import tensorflow as tf

from headway._v1_optimizers import V1Optimizer

_BY_NAME: Final[dict[str, Callable[..., tf.compat.v1.train.Optimizer]]] = {
    "Adagrad": tf.compat.v1.train.AdagradOptimizer,
    "Adam": tf.compat.v1.train.AdamOptimizer,
    "Ftrl": tf.compat.v1.train.FtrlOptimizer,
    "RMSProp": tf.compat.v1.train.RMSPropOptimizer,
    "SGD": tf.compat.v1.train.GradientDescentOptimizer,
}
_NOT_AN_OPTIMIZER: Final = (
    "The given object is not an Optimizer instance. Given: {received!r}. `{argument}` must be a name, one of {names}, "
    "an optimizer of tf.compat.v1.train, or a function that returns one. The estimators of headway.tf_estimator, "
    "without v1, take Keras optimizers."
)


@dataclasses.dataclass(frozen=True)
class V1OptimizerMaker:
    """Makes the optimizer of a part of a model, inside the model_fn; see `V1Optimizer` for the names.

    Attributes:
      optimizer: a name, an optimizer of `tf.compat.v1.train`, or a function that returns one.
      learning_rate: that of an optimizer given by name.
      argument: how the user calls the argument, for error messages.
      slots: see `V1Optimizer`.
      scope: see `V1Optimizer`.
      partitioner: see `V1Optimizer`.
      partitioned: see `V1Optimizer`.

    Raises:
      ValueError: if the name is unknown or the object is no such optimizer.
    """

    optimizer: Any
    learning_rate: float
    argument: str = "optimizer"
    slots: str = ""
    scope: str = ""
    partitioner: Any = None
    partitioned: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.optimizer, str):
            if self.optimizer not in _BY_NAME:
                raise ValueError(
                    f"Unsupported optimizer name: {self.optimizer}. Supported names are: {tuple(_BY_NAME)}. For "
                    f"another one, pass an instance as `{self.argument}`."
                )
        elif isinstance(self.optimizer, tf.compat.v1.train.Optimizer) or not callable(self.optimizer):
            # What the caller goes on to use it for must leave no traces in this model.
            object.__setattr__(self, "optimizer", copy.deepcopy(self._checked(self.optimizer)))

    def __call__(self) -> V1Optimizer:
        if isinstance(self.optimizer, str):
            optimizer = _BY_NAME[self.optimizer](learning_rate=self.learning_rate)
        elif isinstance(self.optimizer, tf.compat.v1.train.Optimizer):
            # The optimizer keeps its variables of each graph that it was used in.
            optimizer = copy.deepcopy(self.optimizer)
        else:
            optimizer = self._checked(self.optimizer())
        return V1Optimizer(optimizer, self.slots, self.scope, self.partitioner, self.partitioned)

    def _checked(self, optimizer: Any) -> tf.compat.v1.train.Optimizer:
        if not isinstance(optimizer, tf.compat.v1.train.Optimizer):
            raise ValueError(
                _NOT_AN_OPTIMIZER.format(received=optimizer, argument=self.argument, names=tuple(_BY_NAME))
            )
        return optimizer
