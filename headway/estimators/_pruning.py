"""Steps of evaluation and prediction of a model_fn that makes its `train_op` in each mode.

tf.estimator ran what a session was asked for, and nothing else; a tf.function runs every update that was traced. So
such a step is traced without that, and reduced to its outputs and the updates of its metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

_UPDATES = ("Assign", "ResourceScatter")


class WithoutTraining:
    """A step without the updates of its `train_op`.

    Args:
      step: the step, a Python function.
      specs: the specs of its arguments.
      kept: the variables whose updates belong to the step.

    Attributes:
      graph: the graph of the step.
      structured_outputs: what `step` returned when it was traced.
    """

    def __init__(self, step: Callable[..., Any], specs: tuple[Any, ...], kept: Iterable[tf.Variable]) -> None:
        self.structured_outputs: Any = None
        flat_specs = tf.nest.flatten(specs, expand_composites=True)

        def flat_step(*flat: tf.Tensor) -> list[tf.Tensor]:
            outputs = step(*tf.nest.pack_sequence_as(specs, flat, expand_composites=True))
            self.structured_outputs = outputs
            return [tf.identity(tensor) for tensor in tf.nest.flatten(outputs, expand_composites=True)]

        # Unlike tf.function, wrap_function notes no side effects.
        wrapped = tf.compat.v1.wrap_function(flat_step, flat_specs)
        self.graph = wrapped.graph
        handles = {id(variable.handle) for variable in kept}
        inner = {id(inside) for outside, inside in wrapped.graph.captures if id(outside) in handles}
        updates = [
            op
            for op in wrapped.graph.get_operations()
            if op.type.startswith(_UPDATES) and any(id(tensor) in inner for tensor in op.inputs)
        ]
        self._run = wrapped.prune(wrapped.inputs[: len(flat_specs)], [list(wrapped.outputs), updates])

    def __call__(self, *args: Any) -> Any:
        """Runs the step."""
        outputs, _ = self._run(*tf.nest.flatten(args, expand_composites=True))
        return tf.nest.pack_sequence_as(self.structured_outputs, outputs, expand_composites=True)
