"""Columns inside columns: finding what `adapt` has to learn, and putting it in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headway.feature_columns._foreign import own_column
from headway.feature_columns._protocol import FeatureColumn, HostInputs, Learned


@dataclasses.dataclass(frozen=True)
class Node:
    """A column that stands alone or inside of others.

    Attributes:
      column: the column itself.
      owners: the columns around it that prepare its raw features (see `FeatureColumn.inputs_for_parts`), outermost
        first. One column in two such places is two nodes.
    """

    column: FeatureColumn
    owners: tuple[FeatureColumn, ...] = ()

    def inputs(self, inputs: HostInputs) -> HostInputs:
        """Returns what the column reads, from the raw features of a batch."""
        for owner in self.owners:
            inputs = owner.inputs_for_parts(inputs)
        return inputs

    @property
    def learned(self) -> dict[str, Learned]:
        """The fields that have to be learnt."""
        return {name: value for name, value in _fields(self.column).items() if isinstance(value, Learned)}


def walk(column: FeatureColumn, owners: tuple[FeatureColumn, ...] = ()) -> Iterator[Node]:
    """Yields the column and all columns inside of it, from the outside to the inside."""
    yield Node(column, owners)
    inner = (*owners, column) if column.prepares_inputs else owners
    for value in _fields(column).values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, FeatureColumn):
                yield from walk(part, inner)


def raw_features(column: FeatureColumn) -> Iterator[tuple[str, FeatureColumn]]:
    """Yields the names of the raw features that the column is computed from, and the innermost column that reads it."""
    for parent in column.parents:
        if isinstance(parent, FeatureColumn):
            yield from raw_features(parent)
        else:
            yield parent, column


def rebuilt(
    column: FeatureColumn, values: Mapping[Node, Mapping[str, Any]], owners: tuple[FeatureColumn, ...] = ()
) -> Any:
    """Returns the column with the given values in the fields of the nodes in and below it."""
    inner = (*owners, column) if column.prepares_inputs else owners

    def replaced(value: Any) -> Any:
        if isinstance(value, tuple):
            parts = tuple(replaced(part) if isinstance(part, FeatureColumn) else part for part in value)
            return value if all(map(_is, parts, value)) else parts
        return rebuilt(value, values, inner) if isinstance(value, FeatureColumn) else value

    own = values.get(Node(column, owners), {})
    fields = _fields(column)
    changed = {name: own[name] if name in own else replaced(value) for name, value in fields.items()}
    changed = {name: value for name, value in changed.items() if value is not fields[name]}
    return dataclasses.replace(column, **changed) if changed else column  # type: ignore[type-var]


def structure_map(function: Callable[[FeatureColumn], Any], columns: Any) -> Any:
    """Returns `columns`, a column or (nested) lists, tuples and dicts of them, with `function` applied to each.

    Raises:
      ValueError: if there is anything else in it.
    """
    columns = own_column(columns)
    if isinstance(columns, FeatureColumn):
        return function(columns)
    if isinstance(columns, Mapping):
        return {name: structure_map(function, part) for name, part in columns.items()}
    if isinstance(columns, tuple):
        return tuple(structure_map(function, part) for part in columns)
    if isinstance(columns, list):
        return [structure_map(function, part) for part in columns]
    raise ValueError(
        "`columns` must be a feature column, or a list, tuple or dict of feature columns. "
        f"Received: {columns!r} of type {type(columns).__name__}. Make columns with the functions of "
        "headway.feature_columns."
    )


def flat(columns: Any) -> list[FeatureColumn]:
    """Returns the columns of such a structure as a list.

    Raises:
      ValueError: as `structure_map`, and if there are none.
    """
    found: list[FeatureColumn] = []
    structure_map(found.append, columns)
    if not found:
        raise ValueError(f"`columns` must hold at least one feature column. Received: {columns!r}")
    return found


def _fields(column: FeatureColumn) -> dict[str, Any]:
    definition: Any = column
    if not dataclasses.is_dataclass(definition):
        return {}  # a class of the user's
    return {field.name: getattr(definition, field.name) for field in dataclasses.fields(definition) if field.init}


def _is(left: object, right: object) -> bool:
    return left is right
