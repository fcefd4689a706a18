"""Updates of variables that a session would not have run, because nothing that was fetched needs them.

A function runs every update that was traced. Programs for sessions make a `train_op` in each mode, or two of which the
spec names one, and rely on it that only what is fetched runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway._context import StepContext
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _hooks
from headway.estimators._variables import Entry

_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp", "Identity")
_APPLIES = ("ResourceApply", "ResourceSparseApply")
# What runs code of its own, and may update a variable that it is given.
_CALLS = ("If", "While", "Case", "StatefulPartitionedCall")


def updates(
    graph: Any,
    spec: EstimatorSpec,
    context: StepContext,
    entries: Mapping[str, Entry],
    strategy: tf.distribute.Strategy,
) -> list[Any]:
    """Returns the operations of `graph` that a session would not have run, and that must not run here.

    In training those are optimizers' steps that the `train_op` has not. (Other updates beside the `train_op` are meant:
    in TensorFlow 2 an update needs nobody who asks for it.) In the other modes those are all updates of what a
    checkpoint holds. What Keras layers update is always meant.

    Args:
      graph: the graph in which the model_fn was called.
      spec: what it returned.
      context: its surroundings.
      entries: the variables of the model.
      strategy: the strategy under which they live.
    """
    own = {
        name: entry
        for name, entry in entries.items()
        if not entry.by_keras or entry.role == "optimizer" or entry.variable.trainable
    }
    candidates = [op for op, _ in _updates(graph, own, strategy)]
    training = spec.mode == ModeKeys.TRAIN
    if training and ("global_step" in context.uses or not any(op.type.startswith(_APPLIES) for op in candidates)):
        return []
    reached = ancestors(fetched(graph, spec, context))
    found = [op for op in candidates if op not in reached]
    if training and not any(op.type.startswith(_APPLIES) for op in found):
        return []
    return found


def written(graph: Any, entries: Mapping[str, Entry], strategy: tf.distribute.Strategy) -> set[str]:
    """Returns the names of the variables of the model that `graph` may change."""
    return set().union(*(names for _, names in _updates(graph, entries, strategy)))


def _updates(
    graph: Any, entries: Mapping[str, Entry], strategy: tf.distribute.Strategy
) -> list[tuple[tf.Operation, set[str]]]:
    """Returns the operations of `graph` that may change variables, and their names; random state is none of them."""
    names = {
        id(part.handle): name
        for name, entry in entries.items()
        if entry.role != "random"
        for part in strategy.experimental_local_results(entry.variable)
    }
    inner = {id(inside): names[id(outside)] for outside, inside in graph.captures if id(outside) in names}
    found = []
    for op in graph.get_operations():
        if op.type not in _READS and (op.type not in _CALLS or op.op_def.is_stateful):
            changed = {inner[id(tensor)] for tensor in op.inputs if id(tensor) in inner}
            if changed:
                found.append((op, changed))
    return found


def fetched(graph: Any, spec: EstimatorSpec, context: StepContext) -> list[Any]:
    """Returns what a session would have fetched of a call of a model_fn."""
    wanted: list[Any] = [spec.loss, *tf.nest.flatten(spec.predictions)]
    wanted += tf.nest.flatten([op for op in spec.eval_metric_ops.values() if isinstance(op, tuple)])
    if spec.mode == ModeKeys.TRAIN:
        wanted += [spec.train_op, *graph.get_collection(tf.compat.v1.GraphKeys.SUMMARIES)]
        wanted += [*context.values.values(), *(value for _, _, value in context.summaries)]
        wanted += tf.nest.flatten(_hooks.logged_tensors(spec, graph))
    return wanted


def ancestors(values: Iterable[Any]) -> set[Any]:
    """Returns the operations that the symbolic tensors and operations among `values` depend on, and their own."""
    todo: list[Any] = []
    for value in values:
        if isinstance(value, tf.Operation):
            todo.append(value)
        elif tf.is_symbolic_tensor(value):
            todo.append(value.op)
    seen: set[Any] = set()
    while todo:
        operation = todo.pop()
        if operation not in seen:
            seen.add(operation)
            todo += [tensor.op for tensor in operation.inputs]
            todo += operation.control_inputs
    return seen
