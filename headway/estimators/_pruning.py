"""Steps without the updates that a session would not have run; see `_unfetched`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from headway.estimators import _unfetched


def without(concrete: Any, specs: tuple[Any, ...], dropped: Iterable[str]) -> Any:
    """Returns a concrete function without some of its operations, and without what only they need.

    The other effects keep the order in which they were traced.

    Args:
      concrete: the concrete function.
      specs: the specs of its arguments.
      dropped: names of the operations; what uses their results must be among them.
    """
    dropped = set(dropped)
    graph_def = _reduced(concrete, dropped)
    inner_captures = concrete.inputs[len(concrete.inputs) - len(concrete.captured_inputs) :]
    structure = concrete.structured_outputs
    taken = {name.removeprefix("^").partition(":")[0] for node in graph_def.node for name in node.input}

    def step(*args: Any) -> Any:
        flat = tf.nest.flatten(args, expand_composites=True)
        own = concrete.inputs[: len(flat)]
        counterparts = dict(zip((tensor.name for tensor in own), flat, strict=True))
        captured = zip(inner_captures, concrete.captured_inputs, strict=True)
        graph = tf.compat.v1.get_default_graph()
        counterparts |= {inner.name: graph.capture(outer) for inner, outer in captured if inner.op.name in taken}
        asked = [tensor.name for tensor in concrete.outputs if tensor.name not in counterparts]
        used = {name: tensor for name, tensor in counterparts.items() if name.partition(":")[0] in taken}
        found = tf.graph_util.import_graph_def(graph_def, input_map=used, return_elements=asked, name="step")
        made = counterparts | dict(zip(asked, found, strict=True))
        outputs = []
        for tensor in concrete.outputs:
            output = tf.convert_to_tensor(made[tensor.name])
            output.set_shape(tensor.shape)
            outputs.append(output)
        return tf.nest.pack_sequence_as(structure, outputs, expand_composites=True)

    return tf.function(step, autograph=False).get_concrete_function(*specs)


def _reduced(concrete: Any, dropped: set[str]) -> Any:
    """Returns the graph of a function with what its outputs and its other effects need, as a GraphDef."""
    graph = concrete.graph
    effects = {op.name for op in graph.control_outputs if not _unfetched.only_reads(op)} - dropped
    graph_def = graph.as_graph_def()
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        waits = [name for name in node.input if name.startswith("^")]
        if not dropped.isdisjoint(name[1:] for name in waits):
            others = dict.fromkeys(other for name in waits for other in _waits_of(name[1:], nodes, dropped))
            inputs = [name for name in node.input if not name.startswith("^")] + [f"^{name}" for name in others]
            del node.input[:]
            node.input.extend(inputs)
    placeholders = {tensor.op.name for tensor in concrete.inputs}
    needed: set[str] = set()
    todo = [*effects, *(tensor.op.name for tensor in concrete.outputs)]
    while todo:
        name = todo.pop()
        if name not in needed and name not in placeholders:
            needed.add(name)
            todo += [part.removeprefix("^").partition(":")[0] for part in nodes[name].input]
    # In the order in which they were traced, by which a function orders effects.
    kept = [nodes[op.name] for op in graph.get_operations() if op.name in needed]
    for node in kept:
        # Variables, which others want to be near to, are arguments here.
        node.attr.pop("_class", None)
        inputs = [name for name in node.input if name.removeprefix("^") not in placeholders or name[0] != "^"]
        del node.input[:]
        node.input.extend(inputs)
    result = tf.compat.v1.GraphDef()
    result.library.CopyFrom(graph_def.library)
    result.versions.CopyFrom(graph_def.versions)
    result.node.extend(kept)
    return result


def _waits_of(name: str, nodes: Any, dropped: set[str]) -> list[str]:
    """Returns the operations to wait for in the place of one, which may be dropped: then those that it waits for."""
    found: dict[str, None] = {}
    todo, seen = [name], set()
    while todo:
        current = todo.pop()
        if current not in dropped:
            found[current] = None
        elif current not in seen:
            seen.add(current)
            todo += [part[1:] for part in nodes[current].input if part.startswith("^")]
    return list(found)
