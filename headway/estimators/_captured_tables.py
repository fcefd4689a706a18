"""Lookup tables that a traced function has captured: what is in them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from headway import _tensorflow, _tensorflow_v1
from headway.estimators import _unfetched

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


@dataclasses.dataclass(frozen=True)
class FileTable:
    """A lookup table that is filled from a text file: an asset of the exported model.

    Attributes:
      source: arguments of `tf.raw_ops.InitializeTableFromTextFileV2`.
      key_dtype: type of the keys.
      value_dtype: type of the values.
    """

    source: Mapping[str, Any]
    key_dtype: tf.DType
    value_dtype: tf.DType

    def make(self) -> Any:
        """Makes a table from this file in the current graph, and returns its handle."""
        source = self.source
        initializer = tf.lookup.TextFileInitializer(
            source["filename"],
            self.key_dtype,
            source["key_index"],
            self.value_dtype,
            source["value_index"],
            vocab_size=source["vocab_size"] if source["vocab_size"] > 0 else None,
            delimiter=source["delimiter"],
            value_index_offset=source["offset"],
        )
        default = b"" if self.value_dtype == tf.string else 0
        return tf.lookup.StaticHashTable(initializer, tf.constant(default, self.value_dtype)).resource_handle


class OwnTables:
    """The static lookup tables that a model_fn makes: filled once, when they are made, and kept."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[Any, Mapping[str, Any]]] = {}

    def fill(self, table: Any) -> bool:
        """Fills a table outside of the function that is being traced; returns whether that could be done.

        It cannot where the content is computed from the batch.
        """
        source = _tensorflow_v1.table_source(table)
        if source is None:
            return False
        values = {name: _value(part) if tf.is_tensor(part) else part for name, part in source.items()}
        if any(value is None for value in values.values()):
            return False
        fill = tf.raw_ops.InitializeTableFromTextFileV2 if "filename" in values else tf.raw_ops.LookupTableImportV2
        handle = table.resource_handle
        _tensorflow.outside_graphs(lambda: fill(table_handle=handle, **values))
        # The table is destroyed with the object.
        if "filename" in values:
            path = values["filename"]
            values["filename"] = os.fsdecode(np.asarray(path).item() if not isinstance(path, (str, bytes)) else path)
        self._tables[id(handle)] = (table, values)
        return True

    def from_file(self, handle: Any) -> FileTable | None:
        """Returns the table whose handle this is, if it is one of these and was filled from a file."""
        table, values = self._tables.get(id(handle), (None, {}))
        if "filename" not in values:
            return None
        return FileTable(values, table.key_dtype, table.value_dtype)


def _value(tensor: Any) -> Any:
    """Returns the value of a tensor that depends on nothing but constants; None for others."""
    if not tf.is_symbolic_tensor(tensor):
        return tensor
    value = tf.get_static_value(tensor)
    if value is not None:
        return value
    nodes = _unfetched.ancestors([tensor])
    if any(op.type in ("Placeholder", "Arg") for op in nodes):
        return None
    graph_def = tf.compat.v1.GraphDef(node=[op.node_def for op in nodes])

    def copy() -> Any:
        return tf.graph_util.import_graph_def(graph_def, return_elements=[tensor.name])[0]

    return _tensorflow.outside_graphs(lambda: tf.compat.v1.wrap_function(copy, [])())


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
