"""Lookup tables that a traced function has captured: what is in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_LOOKUP = "LookupTableFindV2"
# Operations whose first input chooses a function, and whose other inputs are its arguments.
_BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")


@dataclasses.dataclass(frozen=True)
class Table:
    """The content of a lookup table."""

    keys: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    key_dtype: tf.DType
    value_dtype: tf.DType

    def make(self) -> Any:
        """Makes a table of this content in the current graph, and returns its handle."""
        keys = tf.constant(self.keys, self.key_dtype)
        initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(self.values, self.value_dtype))
        # What is not found is an argument of each look-up: the table's own default is never asked for.
        default = b"" if self.value_dtype == tf.string else 0
        return tf.lookup.StaticHashTable(initializer, tf.constant(default, self.value_dtype)).resource_handle


def read(handle: Any, name: str, graph_def: Any) -> Table | None:
    """Returns the content of an eager table; None if what is captured is none.

    Args:
      handle: what is captured.
      name: the name of its placeholder in the function's graph.
      graph_def: the function's graph, with the functions that it calls.
    """
    library = {function.signature.name: function for function in graph_def.library.function}
    # A handle does not tell its types, and to read a table with the wrong ones ends the process.
    types = _types(name, graph_def.node, library)
    if types is None:
        return None
    keys, values = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=types[0], Tvalues=types[1])
    return Table(keys.numpy(), values.numpy(), *types)


def _types(name: str, nodes: Iterable[Any], library: Mapping[str, Any]) -> tuple[tf.DType, tf.DType] | None:
    """Returns the types of keys and values with which the tensor `name` is looked up, here or in a function called."""
    nodes = list(nodes)
    for node in nodes:
        for position, argument in enumerate(node.input):
            if argument.partition(":")[0] != name:
                continue
            if node.op == _LOOKUP and position == 0:
                return tf.as_dtype(node.attr["Tin"].type), tf.as_dtype(node.attr["Tout"].type)
            if node.op == "Identity":
                inside = _types(node.name, nodes, library)
                if inside is not None:
                    return inside
            for called in _called(node, library):
                parameters = called.signature.input_arg
                index = position - (node.op in _BRANCHES)
                found = (
                    _types(parameters[index].name, called.node_def, library) if 0 <= index < len(parameters) else None
                )
                if found is not None:
                    return found
    return None


def _called(node: Any, library: Mapping[str, Any]) -> list[Any]:
    names = [value.func.name for value in node.attr.values() if value.HasField("func")]
    names += [function.name for value in node.attr.values() for function in value.list.func]
    called = [library[node.op]] if node.op in library else []
    return called + [library[name] for name in names if name in library]
