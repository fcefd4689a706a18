"""Updates of variables in branches of `tf.cond` and in loops that nothing in there returns or waits for.

A session ran them only if something did; a function runs them whenever it runs the branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

# Operations with branches or a body -> the attributes that name these, and how many inputs are no arguments of them.
_WITH_FUNCTIONS = {
    "If": (("then_branch", "else_branch"), 1),
    "StatelessIf": (("then_branch", "else_branch"), 1),
    "Case": (("branches",), 1),
    "StatelessCase": (("branches",), 1),
    "While": (("body",), 0),
    "StatelessWhile": (("body",), 0),
}
_UPDATES = ("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter")

# Names of variables that a tensor is the handle of.
Names = frozenset[str]


def dangling(graph: Any, operations: Sequence[tf.Operation], names: Mapping[int, Names]) -> set[str]:
    """Returns the names of variables that branches and loops update though nothing in them needs it.

    Args:
      graph: the graph that was traced.
      operations: the operations in it that run.
      names: `id` of a handle in the graph -> the names of its variable.
    """
    calls = [op for op in operations if op.type in _WITH_FUNCTIONS and any(id(tensor) in names for tensor in op.inputs)]
    if not calls:
        return set()
    library = {function.signature.name: function for function in graph.as_graph_def().library.function}
    found: set[str] = set()
    for op in calls:
        arguments = [names.get(id(tensor), frozenset()) for tensor in op.inputs]
        found |= _in_functions(op.node_def, arguments, library)
    return found


def _in_functions(node: Any, arguments: Sequence[Names], library: Mapping[str, Any]) -> set[str]:
    """Returns the names for the functions of one operation, whose inputs are handles of variables or others."""
    attributes, first = _WITH_FUNCTIONS[node.op]
    found: set[str] = set()
    for name in _functions(node, attributes):
        function = library[name]
        own = zip(function.signature.input_arg, arguments[first:], strict=True)
        found |= _in_function(function, {argument.name: each for argument, each in own}, library)
    return found


def _functions(node: Any, attributes: Sequence[str]) -> Iterator[str]:
    for attribute in attributes:
        value = node.attr[attribute]
        yield from [each.name for each in value.list.func] or [value.func.name]


def _in_function(function: Any, arguments: Mapping[str, Names], library: Mapping[str, Any]) -> set[str]:
    needed = _needed(function)
    found: set[str] = set()
    for node in function.node_def:
        handles = [arguments.get(each, frozenset()) for each in node.input if not each.startswith("^")]
        if node.op in _WITH_FUNCTIONS:
            found |= _in_functions(node, handles, library)
        elif node.op.startswith(_UPDATES) and node.name not in needed:
            found |= handles[0]
    return found


def _needed(function: Any) -> set[str]:
    """Returns the names of the nodes that the results of a function need.

    Each result is an Identity, which TensorFlow lets wait for all that has an effect: that is no need of the program's.
    """
    nodes = {node.name: node for node in function.node_def}
    todo: list[str] = []
    for result in function.ret.values():
        node = nodes.get(result.partition(":")[0])
        if node is not None:
            todo += [each for each in node.input if not each.startswith("^")] if node.op == "Identity" else [node.name]
    seen: set[str] = set()
    while todo:
        name = todo.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in seen:
            seen.add(name)
            todo += nodes[name].input
    return seen
