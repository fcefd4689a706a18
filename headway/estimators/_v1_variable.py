"""What code for graphs expects of a variable, and an eager one lacks: the names of its operations, and a hash."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import tensorflow as tf

from headway import _tensorflow_v1


@dataclasses.dataclass(frozen=True)
class VariableOp:
    """Stands for the operation that makes a variable in a graph of TensorFlow 1.

    Attributes:
      name: the full name of the variable.
      type: the type of that operation.
    """

    name: str
    type: str = "VarHandleOp"
    traceback: tuple[Any, ...] = ()

    @property
    def graph(self) -> Any:
        """The graph that is being made."""
        return tf.compat.v1.get_default_graph()


def as_in_graph(variable: Any) -> None:
    """Lets `variable.op.name` work, names updates, and lets dicts and sets hold the variable, as in TensorFlow 1."""
    if not isinstance(variable, tf.distribute.DistributedValues):
        kind: Any = type(variable)
        variable.__class__ = _class_in_graph(kind)


@functools.cache
def _class_in_graph(kind: Any) -> Any:
    def op(self: Any) -> VariableOp:
        return VariableOp(self.name.partition(":")[0])

    def identity(self: Any) -> int:
        return id(self)

    members = {"__doc__": kind.__doc__, "op": property(op), "__hash__": identity, **_tensorflow_v1.named_updates(kind)}
    return type(kind.__name__, (kind,), members)
