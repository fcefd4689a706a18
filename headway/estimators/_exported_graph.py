"""From a traced function to the graph of a SavedModel.

The function is traced where training traces its own: over the variables of the estimator, eagerly. Here its graph is
copied behind the placeholders of a receiver function, and each thing that it has captured gets a counterpart: a
variable one of the same name, a lookup table one of the same content, any other tensor a constant. The result is an
ordinary graph of TensorFlow 1, which every version of TensorFlow loads.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.estimators import _captured_tables
from headway.estimators._captured_tables import FileTable, OwnTables, Table
from headway.estimators._variables import VariableStore

_NOT_SAVABLE = (
    "The model uses something from outside of model_fn that a SavedModel cannot hold: {what}. Make it inside of "
    "model_fn, or leave it out of what is exported."
)
# Stateful operations that change nothing: no result need wait for them.
_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "LookupTableFindV2", "LookupTableSizeV2")


@dataclasses.dataclass(frozen=True)
class Holding:
    """A variable of an exported model.

    Attributes:
      name: its name in the SavedModel.
      variable: where it comes from.
      start: the value that a variable of a metric begins with; None for what is saved.
      foreign: whether it was made outside of the model_fn, so that no checkpoint holds it.
    """

    name: str
    variable: tf.Variable
    start: Any = None
    foreign: bool = False


@dataclasses.dataclass(frozen=True)
class Traced:
    """A traced function, and the variables that it uses.

    Attributes:
      function: the concrete function of (features, labels).
      holdings: its variables by the id of the handle that it has captured.
      tables: its lookup tables, likewise.
      unfetched: names of operations that do not belong to it; see `_unfetched`.
      renamed: name of a variable -> the name in the checkpoint that it gets its value from, where they differ.
    """

    function: Any
    holdings: dict[int, Holding]
    tables: dict[int, Table | FileTable]
    unfetched: tuple[str, ...] = ()
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Embedded:
    """A function's counterpart in another graph.

    Attributes:
      outputs: its results there, in the function's structure.
      used: for each flat input of the function, whether anything depends on it.
      effects: operations that it ran for their effect.
    """

    outputs: Any
    used: list[bool]
    effects: list[Any]


def holdings_of(function: Any, store: VariableStore, strategy: tf.distribute.Strategy, mode: str) -> dict[int, Holding]:
    """Returns the variables that a concrete function has captured, by the id of the handle."""
    known: dict[int, Holding] = {}
    for name, entry in store.entries.items():
        for part in strategy.experimental_local_results(entry.variable):
            known[id(part.handle)] = Holding(name, entry.variable)
    for name, (variable, start) in store.metric_variables(mode).items():
        known[id(variable.handle)] = Holding(name, variable, start)
    names = {holding.name for holding in known.values()}
    # A model_fn may use variables that somebody else has made: they are saved as they are now.
    for variable in function.graph.variables:
        if id(variable.handle) not in known:
            name = _unused(variable.name.partition(":")[0], names)
            names.add(name)
            known[id(variable.handle)] = Holding(name, variable, foreign=True)
    captured = {id(tensor) for tensor in function.captured_inputs}
    return {handle: holding for handle, holding in known.items() if handle in captured}


def make_variables(holdings: Sequence[Holding]) -> dict[str, tf.Variable]:
    """Makes a variable in the current graph for each holding; returns them by name."""
    keys = tf.compat.v1.GraphKeys
    made: dict[str, tf.Variable] = {}
    for holding in holdings:
        if holding.name in made:
            continue
        local = holding.start is not None
        shape, dtype = holding.variable.shape, holding.variable.dtype
        # What is saved gets its value from the session; the graph need not hold it.
        start = holding.start if local else (lambda shape=shape, dtype=dtype: tf.zeros(shape, dtype))
        made[holding.name] = tf.compat.v1.Variable(
            start,
            trainable=holding.variable.trainable and not local,
            name=holding.name,
            dtype=dtype,
            use_resource=True,
            collections=[keys.LOCAL_VARIABLES if local else keys.GLOBAL_VARIABLES],
        )
    return made


def embed(traced: Traced, inputs: Sequence[Any], variables: Mapping[str, tf.Variable], name: str) -> Embedded:
    """Copies a function into the current graph.

    Args:
      traced: the function.
      inputs: its flat inputs in this graph.
      variables: the variables in this graph by name.
      name: the name scope of the copy.
    """
    function = traced.function
    placeholders = list(function.inputs)
    captures = _captures(function)
    graph_def = function.graph.as_graph_def()
    counterparts = dict(zip((tensor.name for tensor in placeholders), inputs, strict=False))
    for tensor, inner in captures:
        counterparts[inner.name] = _counterpart(tensor, traced, variables)
    asked = _input_names(graph_def)
    replaced = {tensor.op.name for tensor in placeholders}
    kept = [node for node in graph_def.node if node.name not in replaced]
    for node in kept:
        # Places of the machine that trains, and nearness to placeholders that are gone.
        node.device = ""
        node.attr.pop("_class", None)
    del graph_def.node[:]
    graph_def.node.extend(kept)
    flat = list(function.outputs)
    _leave_out(traced.unfetched, graph_def)
    _detach({tensor.op.name for tensor in flat}, graph_def)
    fetched = [tensor.name for tensor in flat if tensor.name not in counterparts]
    left_out = {function.graph.get_operation_by_name(name) for name in traced.unfetched}
    effects = [
        operation.name
        for operation in function.graph.control_outputs
        if operation.type not in _READS and (not left_out or left_out.isdisjoint(_needed_by(operation)))
    ]
    imported = tf.graph_util.import_graph_def(
        graph_def,
        input_map={key: value for key, value in counterparts.items() if key in asked},
        return_elements=[*fetched, *effects],
        name=name,
    )
    found = {**counterparts, **dict(zip(fetched, imported, strict=False))}
    results = [found[tensor.name] for tensor in flat]
    for result, tensor in zip(results, flat, strict=True):
        result.set_shape(tensor.shape)
    direct = {tensor.name for tensor in flat}
    own = placeholders[: len(placeholders) - len(captures)]
    return Embedded(
        outputs=tf.nest.pack_sequence_as(function.structured_outputs, results),
        used=[tensor.name in asked or tensor.name in direct for tensor in own],
        effects=list(imported[len(fetched) :]),
    )


def missing_inputs(outputs: Sequence[tf.Tensor], inputs: Sequence[tf.Tensor]) -> list[str]:
    """Returns the names of placeholders that `outputs` depend on and that are none of `inputs`."""
    given = {tensor.name for tensor in inputs}
    seen: set[str] = set()
    missing: set[str] = set()
    stack = [tensor for tensor in outputs if tensor.name not in given]
    operations = [tensor.op for tensor in stack]
    while operations:
        operation = operations.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type == "Placeholder":
            missing.add(operation.name)
        operations += [tensor.op for tensor in operation.inputs if tensor.name not in given]
        operations += operation.control_inputs
    return sorted(missing)


@contextlib.contextmanager
def session(graph: Any) -> Iterator[Any]:
    """Opens a session for `graph` that leaves the GPUs alone: it only reads and writes variables."""
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=True)
    with tf.compat.v1.Session(graph=graph, config=config) as opened:
        yield opened


def set_variable(opened: Any, variable: Any, value: Any) -> None:
    """Gives a variable of a graph its value in a session."""
    opened.run(variable.initializer, {variable.initial_value: value})


def _leave_out(names: Sequence[str], graph_def: Any) -> None:
    """Lets nothing wait for operations that do not belong to a function."""
    waits = {f"^{name}" for name in names}
    for node in graph_def.node if waits else ():
        inputs = [name for name in node.input if name not in waits]
        del node.input[:]
        node.input.extend(inputs)


def _needed_by(operation: Any) -> set[Any]:
    """Returns the operations whose results an operation uses, and itself: what it only waits for is none of them."""
    todo, seen = [operation], set()
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += [tensor.op for tensor in current.inputs]
    return seen


def _detach(names: set[str], graph_def: Any) -> None:
    """Lets the results of a function no longer wait for all that it does: who fetches one may not want the rest."""
    for node in graph_def.node:
        if node.name in names and node.op == "Identity":
            data = [name for name in node.input if not name.startswith("^")]
            del node.input[:]
            node.input.extend(data)


def tables_of(function: Any, holdings: Mapping[int, Holding], own: OwnTables) -> dict[int, Table | FileTable]:
    """Returns the content of the lookup tables that a concrete function has captured, by the id of the handle.

    Args:
      function: the concrete function.
      holdings: its variables.
      own: the tables that the model_fn has made.

    Raises:
      ValueError: if it has captured a resource that is neither a variable nor a table.
    """
    found: dict[int, Table | FileTable] = {}
    graph_def: Any = None
    for handle, inner in _captures(function):
        if handle.dtype != tf.resource or id(handle) in holdings:
            continue
        from_file = own.from_file(handle)
        if from_file is not None:
            found[id(handle)] = from_file
            continue
        graph_def = graph_def or function.graph.as_graph_def()
        table = _captured_tables.read(handle, inner.op.name, graph_def)
        if table is None:
            what = f"a resource that is neither a variable nor a lookup table ({handle})"
            raise ValueError(_NOT_SAVABLE.format(what=what))
        found[id(handle)] = table
    return found


def _captures(function: Any) -> list[tuple[Any, Any]]:
    """Returns (captured tensor, placeholder inside) pairs of a concrete function."""
    captured = list(function.captured_inputs)
    return list(zip(captured, function.inputs[len(function.inputs) - len(captured) :], strict=True))


def _counterpart(tensor: Any, traced: Traced, variables: Mapping[str, Any]) -> Any:
    if id(tensor) in traced.holdings:
        return variables[traced.holdings[id(tensor)].name].handle
    if id(tensor) in traced.tables:
        return traced.tables[id(tensor)].make()
    if tensor.dtype == tf.variant:
        raise ValueError(_NOT_SAVABLE.format(what=f"a tensor of type 'variant', such as a tf.data.Dataset ({tensor})"))
    return tf.constant(tensor.numpy(), tensor.dtype)


def _input_names(graph_def: Any) -> set[str]:
    """Returns the names of all tensors that the nodes of a graph take."""
    names = (name for node in graph_def.node for name in node.input if not name.startswith("^"))
    return {name if ":" in name else f"{name}:0" for name in names}


def _unused(name: str, names: set[str]) -> str:
    candidate, number = name, 0
    while candidate in names:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
