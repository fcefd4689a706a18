"""Slices of tensors in checkpoints, as TensorFlow writes them: "6 2 0,3:0,2" is rows 0 to 2 of a tensor [6, 2]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Name of a tensor in a checkpoint, and which slice of a whole it holds; "" for all.
Place = tuple[str, str]


def places_of_parts(names: Sequence[str], shape: Sequence[int], axis: int) -> list[Place]:
    """Returns where the parts of a variable are that TensorFlow has cut along an axis, one for each name.

    The sizes of the parts are alike, or the first ones are larger by one.
    """
    size, more = divmod(shape[axis], len(names))
    places, begin = [], 0
    for i, name in enumerate(names):
        length = size + (i < more)
        ranges = [f"{begin},{length}" if other == axis else f"0,{whole}" for other, whole in enumerate(shape)]
        places.append((name, f"{' '.join(map(str, shape))} {':'.join(ranges)}"))
        begin += length
    return places


def slice_of(value: Any, part: str) -> Any:
    """Returns a slice of a tensor or an array, written as "<shape> <start>,<length>:..."; all of it for ""."""
    if not part:
        return value
    ranges = [tuple(map(int, one.split(","))) for one in part.split()[-1].split(":")]
    return value[tuple(slice(start, start + length) for start, length in ranges)]
