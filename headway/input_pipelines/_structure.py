"""Nested structures taken apart into something hashable and a flat list of leaves, and put together again.

`tf.nest` sorts the keys of a dict. Here a dict keeps the order in which its owner wrote it, so that a batch looks like
what was given.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any


def freeze(structure: Any, leaves: list[Any]) -> Hashable:
    """Returns a hashable description of `structure` and appends its leaves, in order, to `leaves`."""
    if isinstance(structure, Mapping):
        return ("dict", tuple(structure), tuple(freeze(value, leaves) for value in structure.values()))
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return (type(structure), tuple(freeze(value, leaves) for value in structure))
    if isinstance(structure, tuple | list):
        return (type(structure).__name__, tuple(freeze(value, leaves) for value in structure))
    leaves.append(structure)
    return "leaf"


def thaw(frozen: Any, leaves: Iterator[Any]) -> Any:
    """Returns the structure that `frozen` describes, with the next of `leaves` in each place of a leaf."""
    if frozen == "leaf":
        return next(leaves)
    kind, children = frozen[0], [thaw(child, leaves) for child in frozen[-1]]
    if kind == "dict":
        return dict(zip(frozen[1], children, strict=True))
    if kind == "tuple":
        return tuple(children)
    return children if kind == "list" else kind(*children)


def key(structure: Any) -> Hashable:
    """Returns a hashable value that is equal for structures of the same shape with equal (hashable) leaves."""
    leaves: list[Any] = []
    return freeze(structure, leaves), tuple(leaves)
