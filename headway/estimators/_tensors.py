"""Reads the tensors of a checkpoint, and puts those together of which it holds parts under several names.

A ready-made model of `tf.compat.v1.estimator` that cut a variable "x" into parts (by a partitioner; with parameter
servers, by default) left the slots of its optimizer as "x/t_0/Adam", "x/t_1/Adam": each says the shape of the whole
and holds one part of it. Here they are one tensor, "x/t_0/Adam".
"""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from headway._slices import Place, places_of_parts

_PART = re.compile(r"^(.+/(?:t|part)_)(\d+)(/[^/]+)$")


class TensorReader:
    """Like the reader of `tf.train.load_checkpoint`, with the slots of variables in parts put together.

    Args:
      path: a checkpoint without ending.

    Attributes:
      places: of what is put together, where its parts are.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._reader = tf.train.load_checkpoint(path)
        self._shapes: dict[str, list[int]] = dict(self._reader.get_variable_to_shape_map())
        self.places: dict[str, list[Place]] = {}
        for name, more in self._candidates().items():
            places = self._readable_places([name, *more])
            if places is not None:
                self.places[name] = places
                for other in more:
                    del self._shapes[other]

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Returns the shapes by name."""
        return dict(self._shapes)

    def get_variable_to_dtype_map(self) -> dict[str, tf.DType]:
        """Returns the types by name."""
        types = self._reader.get_variable_to_dtype_map()
        return {name: types[name] for name in self._shapes}

    def has_tensor(self, name: str) -> bool:
        """Tells whether there is a tensor of that name."""
        return name in self._shapes

    def get_tensor(self, name: str) -> Any:
        """Returns the value of a tensor."""
        places = self.places.get(name)
        if places is None:
            return self._reader.get_tensor(name)
        axis = _axis_of([part for _, part in places])
        return tf.concat(self._parts(places), axis).numpy()

    def _candidates(self) -> dict[str, list[str]]:
        """Returns names of what may be in parts: that of the first -> those of the others, in order."""
        found: dict[str, list[tuple[int, str]]] = {}
        for name, shape in self._shapes.items():
            match = _PART.match(name)
            if match is None or match[2] == "0":
                continue
            first = f"{match[1]}0{match[3]}"
            if self._shapes.get(first) == shape:
                found.setdefault(first, []).append((int(match[2]), name))
        return {first: [name for _, name in sorted(others)] for first, others in found.items()}

    def _readable_places(self, names: list[str]) -> list[Place] | None:
        """Returns where the parts are; None if each of the tensors is whole."""
        try:
            self._reader.get_tensor(names[0])
            return None
        except (ValueError, tf.errors.OpError):
            pass
        for places in _cuts(names, self._shapes[names[0]]):
            try:
                self._parts(places)
                return places
            except (ValueError, tf.errors.OpError):
                continue
        return None

    def _parts(self, places: list[Place]) -> list[tf.Tensor]:
        dtype = self._reader.get_variable_to_dtype_map()[places[0][0]]
        parts: list[tf.Tensor] = tf.raw_ops.RestoreV2(
            prefix=self._path,
            tensor_names=[name for name, _ in places],
            shape_and_slices=[part for _, part in places],
            dtypes=[dtype] * len(places),
        )
        return parts


def _cuts(names: list[str], shape: list[int]) -> list[list[Place]]:
    axes = [axis for axis, size in enumerate(shape) if size >= len(names)]
    return [places_of_parts(names, shape, axis) for axis in axes]


def _axis_of(parts: list[str]) -> int:
    starts = [[int(one.split(",")[0]) for one in part.split()[-1].split(":")] for part in parts]
    return max(range(len(starts[0])), key=lambda axis: starts[-1][axis])
