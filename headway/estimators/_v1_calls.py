"""Answers for code of TensorFlow 1 in a model_fn: what it asks means in a function what it meant in a graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway import _context, _summary, _tensorflow, _tensorflow_v1
from headway.estimators._captured_tables import OwnTables
from headway.estimators._variables import VariableStore


@contextlib.contextmanager
def answered(store: VariableStore, tables: OwnTables) -> Iterator[None]:
    """Answers what a model_fn asks, on behalf of a model with these variables and tables."""

    def initialize(original: Any, variable: Any, path: str, tensor_name: str, slice_spec: str, *rest: Any) -> None:
        if not store.initialize(variable, path, tensor_name, slice_spec):
            original(variable, path, tensor_name, slice_spec, *rest)

    def build(original: Any, saver: Any, *args: Any, **kwargs: Any) -> None:
        if _context.current() is None:
            original(saver, *args, **kwargs)

    def fill(original: Any, table: Any) -> Any:
        ours = _context.current() is not None and not tf.executing_eagerly()
        return tf.no_op() if ours and tables.fill(table) else original(table)

    handlers: dict[str, Callable[..., Any]] = {
        "table": fill,
        "initializer": initialize,
        "saver": build,
        "summary": _write,
        "compute_gradients": _compute_gradients,
        "apply_gradients": _apply_gradients,
        "merge_call": _merge_call,
        "inner_scope": _inner_scope,
    }
    with contextlib.ExitStack() as scopes:
        for key, handler in handlers.items():
            scopes.enter_context(_tensorflow_v1.answering(key, handler))
        yield


def _write(original: Any, tag: Any, tensor: Any, step: Any = None, metadata: Any = None, name: Any = None) -> Any:
    """Collects what `tf.summary` writes for the event file of training, unless the model_fn has set a writer."""
    context = _context.current()
    if context is None or _tensorflow_v1.has_summary_writer():
        return original(tag, tensor, step=step, metadata=metadata, name=name)
    if context.record is not None:
        _summary.tensor(tag, tensor, metadata)
    return tf.constant(context.record is not None)


def _compute_gradients(
    original: Any, optimizer: Any, loss: Any, var_list: Any = None, *args: Any, **kwargs: Any
) -> Any:
    if var_list is not None:
        var_list = [_tensorflow.keras_variable_value(variable) for variable in tf.nest.flatten(var_list)]
    return original(optimizer, loss, var_list, *args, **kwargs)


def _apply_gradients(original: Any, optimizer: Any, grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
    pairs = [(gradient, _tensorflow.keras_variable_value(variable)) for gradient, variable in grads_and_vars]
    return original(optimizer, pairs, *args, **kwargs)


def _inner_scope(original: Any, graph: Any, scope: str) -> None:
    """Lets names in the branches of `tf.cond` and in loops begin anew, as in a graph of TensorFlow 1.

    A variable that is made there, such as `beta1_power` by an optimizer in a branch, then has tf.estimator's name.
    """
    if _context.current() is None:
        original(graph, scope)


def _merge_call(original: Any, *args: Any, **kwargs: Any) -> Any:
    """Keeps what a replica has in the collections of the graph from others, which run while it waits."""
    graph = tf.compat.v1.get_default_graph()
    if _context.current() is None or tf.executing_eagerly():
        return original(*args, **kwargs)
    own = {key: graph.get_collection(key) for key in list(graph.collections)}
    try:
        return original(*args, **kwargs)
    finally:
        _tensorflow.set_collections(graph, own)
