"""Steps without the updates that a session would not have run; see `_unfetched`.

Such a step is traced without the order that a tf.function gives to all effects, and reduced to its outputs and to those
effects that are meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from headway.estimators import _unfetched

_EFFECTS = ("Assign", "ResourceScatter", "ResourceApply", "ResourceSparseApply", "Print", "Assert")
_CALLS = ("If", "While", "Case", "StatefulPartitionedCall", "PyFunc", "EagerPyFunc")


class WithoutTraining:
    """A step without updates that nobody asked for.

    Args:
      step: the step, a Python function.
      specs: the specs of its arguments.
      unwanted: returns the updates that do not belong to the step, of all graphs in which it was traced.

    Attributes:
      graph: the graph of the step.
      structured_outputs: what `step` returned when it was traced.
    """

    def __init__(
        self, step: Callable[..., Any], specs: tuple[Any, ...], unwanted: Callable[[], Iterable[tf.Operation]]
    ) -> None:
        self.structured_outputs: Any = None
        flat_specs = tf.nest.flatten(specs, expand_composites=True)

        def flat_step(*flat: tf.Tensor) -> list[tf.Tensor]:
            outputs = step(*tf.nest.pack_sequence_as(specs, flat, expand_composites=True))
            self.structured_outputs = outputs
            return [tf.identity(tensor) for tensor in tf.nest.flatten(outputs, expand_composites=True)]

        # Unlike tf.function, wrap_function notes no side effects.
        wrapped = tf.compat.v1.wrap_function(flat_step, flat_specs)
        self.graph = wrapped.graph
        left_out = set(unwanted())
        effects = [
            op
            for op in wrapped.graph.get_operations()
            if op.type.startswith(_EFFECTS) or (op.type in _CALLS and op.op_def.is_stateful)
        ]
        meant = [op for op in effects if left_out.isdisjoint(_unfetched.ancestors([op]))]
        self._shapes = [tensor.shape for tensor in wrapped.outputs]
        self._run = wrapped.prune(wrapped.inputs[: len(flat_specs)], [list(wrapped.outputs), meant])

    def __call__(self, *args: Any) -> Any:
        """Runs the step."""
        outputs, _ = self._run(*tf.nest.flatten(args, expand_composites=True))
        outputs = [tf.ensure_shape(output, shape) for output, shape in zip(outputs, self._shapes, strict=True)]
        return tf.nest.pack_sequence_as(self.structured_outputs, outputs, expand_composites=True)
