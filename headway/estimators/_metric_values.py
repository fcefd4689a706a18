"""The values of `(value, update)` metrics after the update.

A session ran the updates of a batch, and the values at the end. In a function both run once, in the order in which they
were traced: the value first. So what it reads of the variables is traced once more, after the updates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway.estimators import _unfetched

_UPDATES = ("Assign", "ResourceScatter", "ResourceApply", "ResourceSparseApply")


def after_updates(
    pairs: Mapping[str, tuple[Any, Any]], variables: Iterable[tf.Variable], graph: Any
) -> dict[str, tf.Tensor]:
    """Returns the value of each metric after the updates of all of them.

    Args:
      pairs: name -> (value, update), as a model_fn made them in `graph`.
      variables: the variables of the metrics.
      graph: the graph that is being traced.
    """
    handles = {id(variable.handle) for variable in variables}
    inner = [inside for outside, inside in graph.captures if id(outside) in handles]
    updates = [update for _, update in pairs.values() if update is not None]
    with tf.control_dependencies(tf.nest.flatten(updates)):
        # Who reads by these handles reads after the updates.
        later = {inside.name: tf.identity(inside) for inside in inner}
        values = {name: tf.convert_to_tensor(value) for name, (value, _) in pairs.items()}
    return {name: _again(value, later) for name, value in values.items()}


def _again(value: Any, handles: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns a copy of `value` that reads the variables by other handles."""
    if not tf.is_symbolic_tensor(value):
        return tf.identity(value)
    nodes = _unfetched.ancestors([value])
    reads = {op for op in nodes if any(tensor.name in handles for tensor in op.inputs)}
    if not reads or any(op.type.startswith(_UPDATES) for op in reads):
        # It does not depend on the variables, or it is itself what an update returned.
        return tf.identity(value)
    dirty = _downstream(reads, nodes)
    clean = {tensor.name: tensor for op in dirty for tensor in op.inputs if tensor.op not in dirty}
    graph_def = tf.compat.v1.GraphDef(node=[_without_waiting(op) for op in dirty])
    inputs = clean | {name: tensor for name, tensor in handles.items() if name in clean}
    (copy,) = tf.graph_util.import_graph_def(graph_def, input_map=inputs, return_elements=[value.name], name="after")
    copy.set_shape(value.shape)
    return copy


def _downstream(sources: set[Any], nodes: set[Any]) -> set[Any]:
    """Returns those of `nodes` that use results of `sources`, and these."""
    found = set(sources)
    todo = list(sources)
    while todo:
        for tensor in todo.pop().outputs:
            for consumer in tensor.consumers():
                if consumer in nodes and consumer not in found:
                    found.add(consumer)
                    todo.append(consumer)
    return found


def _without_waiting(operation: Any) -> Any:
    node = tf.compat.v1.NodeDef()
    node.CopyFrom(operation.node_def)
    node.ClearField("input")
    node.input.extend(name for name in operation.node_def.input if not name.startswith("^"))
    node.attr.pop("_class", None)
    return node
