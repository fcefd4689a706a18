"""Which columns' ids are computed together."""

from __future__ import annotations

from collections.abc import Iterable

from headway.feature_columns import _tree
from headway.feature_columns._protocol import CategoricalColumn, ColumnGroup


def grouped(columns: Iterable[CategoricalColumn]) -> list[ColumnGroup]:
    """Returns the columns, and those that they are made of, in groups of one kind; what one needs comes before it."""
    levels: dict[CategoricalColumn, int] = {}
    for column in columns:
        _add_levels(column, levels)
    ordered = sorted(levels, key=lambda column: (levels[column], column.name, column.digest))
    members: dict[type[ColumnGroup], list[CategoricalColumn]] = {}
    # A kind's place is that of its last column.
    for column in ordered:
        members[column.group] = [*members.pop(column.group, []), column]
    return [kind(group) for kind, group in members.items()]


def _add_levels(column: CategoricalColumn, levels: dict[CategoricalColumn, int]) -> int:
    if column not in levels:
        # A column that prepares what its parts read computes them itself.
        inside = [] if column.prepares_inputs else [node.column for node in _tree.walk(column)][1:]
        parts = [_add_levels(part, levels) for part in inside if isinstance(part, CategoricalColumn)]
        levels[column] = 1 + max(parts, default=-1)
    return levels[column]
