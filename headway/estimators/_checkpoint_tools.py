"""What is in a checkpoint, how two differ, and the mean of several."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway.estimators._checkpoints import CheckpointDirectory
from headway.estimators._tensors import TensorReader
from headway.estimators._variable_table import VariableTable, aligned, table_of_tensors
from headway.estimators._variables import GLOBAL_STEP
from headway.estimators._warm_start_sources import checkpoint_path

Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class CheckpointDiff:
    """How two checkpoints differ; printed as a list. `diff_checkpoints` makes it.

    Attributes:
      first: path of the first one.
      second: path of the second one.
      only_first: names that only the first one has.
      only_second: names that only the second one has.
      shapes: name -> the two shapes, where they differ.
      values: name -> the largest absolute difference of two values, where some differ; NaN where one is NaN.
      equal: names whose values are all equal.

    Example:
      >>> CheckpointDiff("a", "b", [], [], {}, {}, ["w"]).same
      True
    """

    first: str
    second: str
    only_first: list[str]
    only_second: list[str]
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    values: dict[str, float]
    equal: list[str]

    @property
    def same(self) -> bool:
        """Whether both hold the same variables with the same values."""
        return not (self.only_first or self.only_second or self.shapes or self.values)

    def __str__(self) -> str:
        lines = [("-", name, "") for name in self.only_first] + [("+", name, "") for name in self.only_second]
        lines += [("!", name, f"shape {first} -> {second}") for name, (first, second) in self.shapes.items()]
        lines += [("~", name, f"largest difference {value:.6g}") for name, value in self.values.items()]
        head = [f"--- {self.first}", f"+++ {self.second}"]
        return "\n".join([*head, *(aligned(lines) if lines else ()), f"{len(self.equal)} variables are equal"])


def show_checkpoint(path: Path) -> VariableTable:
    """Returns a table of what a checkpoint holds: names, shapes, types and sizes.

    Args:
      path: a model_dir (its newest checkpoint), a checkpoint without ending, or a SavedModel directory.

    Raises:
      ValueError: if there is no checkpoint.

    Example:
      >>> import tempfile
      >>> path = tf.compat.v1.train.Saver({"w": tf.Variable([1.0, 2.0])}).save(None, tempfile.mkdtemp() + "/model.ckpt")
      >>> show_checkpoint(path).parameters()
      2
    """
    found = checkpoint_path(os.fspath(path))
    reader = TensorReader(found)
    types = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    return table_of_tensors({name: (tuple(shape), types[name].name) for name, shape in shapes.items()}, found)


def diff_checkpoints(first: Path, second: Path, *, tolerance: float = 0.0) -> CheckpointDiff:
    """Returns how two checkpoints differ.

    Args:
      first: a model_dir (its newest checkpoint), a checkpoint without ending, or a SavedModel directory.
      second: likewise.
      tolerance: absolute differences up to this count as equal.

    Raises:
      ValueError: if one is not there.

    Example:
      >>> import tempfile
      >>> folder = tempfile.mkdtemp()
      >>> for name, value in (("a", [1.0, 2.0]), ("b", [1.0, 2.5])):
      ...     _ = tf.compat.v1.train.Saver({"w": tf.Variable(value)}).save(None, f"{folder}/{name}")
      >>> diff_checkpoints(f"{folder}/a", f"{folder}/b").values
      {'w': 0.5}
    """
    paths = [checkpoint_path(os.fspath(path)) for path in (first, second)]
    readers = [TensorReader(path) for path in paths]
    shapes = [{name: tuple(s) for name, s in r.get_variable_to_shape_map().items()} for r in readers]
    both = sorted(set(shapes[0]) & set(shapes[1]))
    values: dict[str, float] = {}
    equal = []
    for name in both:
        if shapes[0][name] != shapes[1][name]:
            continue
        difference = _largest_difference(*(np.asarray(reader.get_tensor(name)) for reader in readers))
        if difference <= tolerance:
            equal.append(name)
        else:
            values[name] = difference
    return CheckpointDiff(
        first=paths[0],
        second=paths[1],
        only_first=sorted(set(shapes[0]) - set(both)),
        only_second=sorted(set(shapes[1]) - set(both)),
        shapes={name: (shapes[0][name], shapes[1][name]) for name in both if shapes[0][name] != shapes[1][name]},
        values=values,
        equal=equal,
    )


def average_checkpoints(paths: Path | Sequence[Path], output_dir: Path, *, last: int | None = None) -> str:
    """Writes the mean of several checkpoints as a new one, and returns its path.

    The mean of the last weights of a run often does better than the last one (Polyak, Juditsky 1992,
    https://doi.org/10.1137/0330046). Numbers with a fraction are averaged; counters, and the slots of optimizers, which
    belong to the last weights, are those of the newest checkpoint. Evaluate it by `checkpoint_path`, or make an
    estimator with `output_dir` as its model_dir.

    Args:
      paths: a model_dir, or checkpoints without ending, the newest one last.
      output_dir: directory of the new checkpoint, another one than the model_dir.
      last: how many of the newest ones to take; None for all.

    Raises:
      ValueError: if there is none, they hold different variables, or `output_dir` holds checkpoints already.

    Example:
      >>> import tempfile
      >>> folder = tempfile.mkdtemp()
      >>> for step, value in ((1, 1.0), (2, 4.0)):
      ...     _ = tf.compat.v1.train.Saver({"w": tf.Variable(value)}).save(None, f"{folder}/model.ckpt", step)
      >>> path = average_checkpoints(folder, folder + "/mean")
      >>> float(tf.train.load_variable(path, "w"))
      2.5
    """
    chosen = _chosen(paths, last)
    output = CheckpointDirectory(os.fspath(output_dir))
    if output.latest() is not None:
        raise ValueError(f"`output_dir` must hold no checkpoint yet. Received: {output_dir!r}, with {output.latest()}.")
    readers = [TensorReader(path) for path in chosen]
    shapes = readers[-1].get_variable_to_shape_map()
    for path, reader in zip(chosen, readers, strict=True):
        if reader.get_variable_to_shape_map() != shapes:
            difference = diff_checkpoints(path, chosen[-1])
            raise ValueError(
                f"The checkpoints must hold the same variables in the same shapes. Received:\n{difference}"
            )
    optimizer = {row.name for row in show_checkpoint(chosen[-1]).rows if row.role == "optimizer"}
    tensors = {}
    for name in shapes:
        newest = np.asarray(readers[-1].get_tensor(name))
        if np.issubdtype(newest.dtype, np.floating) and name not in optimizer:
            # One variable at a time, in double precision: large models need no more memory than one of them.
            total = sum(np.asarray(reader.get_tensor(name), np.float64) for reader in readers)
            newest = np.asarray(total / len(readers), newest.dtype)
        tensors[name] = tf.constant(newest)
    step = int(tensors[GLOBAL_STEP]) if GLOBAL_STEP in tensors else _step_in(chosen[-1])
    return output.write(step, tensors).path


def _chosen(paths: Path | Sequence[Path], last: int | None) -> list[str]:
    if last is not None and last < 1:
        raise ValueError(f"`last` must be None or at least 1. Received: {last}.")
    if isinstance(paths, (str, os.PathLike)):
        found = [checkpoint.path for checkpoint in CheckpointDirectory(os.fspath(paths)).newest_first()]
        found = sorted(found, key=_step_in)
        if not found:
            raise ValueError(f"There is no checkpoint to average in {os.fspath(paths)!r}.")
    else:
        found = [checkpoint_path(os.fspath(path)) for path in paths]
        if not found:
            raise ValueError("`paths` must name a model_dir or at least one checkpoint. Received: none.")
    return found if last is None else found[-last:]


def _step_in(path: str) -> int:
    match = re.search(r"-(\d+)$", path)
    return int(match[1]) if match else 0


def _largest_difference(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    if first.size == 0 or np.array_equal(first, second):
        return 0.0
    if not (np.issubdtype(first.dtype, np.number) and np.issubdtype(second.dtype, np.number)):
        return float("inf")
    return float(np.max(np.abs(first.astype(np.float64) - second.astype(np.float64))))
