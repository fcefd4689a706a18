"""Checkpoints in tf.estimator's own format.

One tensor per variable under its full name, in `model.ckpt-<step>.*`, and the `checkpoint` state file.

A checkpoint is written under a temporary name, flushed to the disk, and renamed; only then does the state file name it.
A process that dies at any moment leaves the one before it readable.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway import _tensorflow_v1
from headway._log import logger
from headway._slices import Place, slice_of
from headway.estimators._files import flush, write_text
from headway.estimators._missing import MOST_NAMES, missing_message
from headway.estimators._tensors import TensorReader
from headway.estimators._variables import VariableStore

_BASENAME = "model.ckpt"
_STATE_FILE = "checkpoint"
_INDEX = re.compile(r"model\.ckpt-(\d+)\.index$")
# What a process that is killed while writing leaves: our temporary files, and the folder in which TensorFlow gathers
# the parts of a checkpoint.
_TEMPORARY = re.compile(r"^(model\.ckpt-\d+|checkpoint)((\.input\.json)?\.tmp-\d+|(\.input)?_temp/?$)")
# Variables that a checkpoint of another program may lack without loss: they follow from the global step or from the
# seed.
DERIVED = re.compile(r"(^|/)(iter|learning_rate|seed_generator_state)$")


# Full variable name -> where its parts are in a checkpoint, or itself as a part of something larger.
Slices = Mapping[str, Sequence[Place]]


class CheckpointError(ValueError):
    """A checkpoint does not fit the model, or none can be read."""


class PositionNotSavableError(RuntimeError):
    """The state of an input iterator cannot be saved."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk: its path without ending, and its step."""

    path: str
    step: int

    @property
    def stamp(self) -> tuple[str, int, int]:
        """Tells this file from another one that is written to the same path later; the second item is when, in ns."""
        index = self.path + ".index"
        if "://" in index:
            return self.path, int(tf.io.gfile.stat(index).mtime_nsec), 0
        # Of a local file TensorFlow tells whole seconds; a file that replaces another one has a number of its own.
        found = os.stat(index)
        return self.path, found.st_mtime_ns, found.st_ino


class CheckpointDirectory:
    """The checkpoints of one model_dir.

    Args:
      model_dir: the directory; made when the first checkpoint is written.
      keep_max: number of newest checkpoints to keep; 0 or None for all.
      keep_every_n_hours: of the checkpoints that would be deleted, one in so many hours is kept for good.
    """

    def __init__(self, model_dir: str, *, keep_max: int | None = 5, keep_every_n_hours: float = 10000) -> None:
        self.model_dir = model_dir
        self._keep_max = keep_max or 0
        self._keep_seconds = keep_every_n_hours * 3600
        self._last_preserved: float | None = None
        self._lock = threading.Lock()

    def keep(self, keep_max: int | None, every_n_hours: float) -> None:
        """Sets how many checkpoints are kept, as the constructor does."""
        self._keep_max = keep_max or 0
        self._keep_seconds = every_n_hours * 3600

    def path(self, step: int) -> str:
        """Returns the path, without ending, of the checkpoint of `step`."""
        return os.path.join(self.model_dir, f"{_BASENAME}-{step}")

    def newest_first(self) -> list[Checkpoint]:
        """Returns the checkpoints that are there: those of the state file first, then any others."""
        found: dict[str, Checkpoint] = {}
        state = _read_state(self.model_dir)
        if state is not None:
            paths = [state.model_checkpoint_path, *reversed(list(state.all_model_checkpoint_paths))]
            for path in (os.path.join(self.model_dir, path) for path in paths):
                step = _step_of(path)
                if step is not None and tf.io.gfile.exists(path + ".index"):
                    found.setdefault(path, Checkpoint(path, step))
        if tf.io.gfile.isdir(self.model_dir):
            steps = (_INDEX.match(name) for name in tf.io.gfile.listdir(self.model_dir))
            for step in sorted((int(match[1]) for match in steps if match), reverse=True):
                found.setdefault(self.path(step), Checkpoint(self.path(step), step))
        return list(found.values())

    def latest(self) -> Checkpoint | None:
        """Returns the checkpoint that the state file names, or the newest one there is; None if there is none."""
        return next(iter(self.newest_first()), None)

    def write(
        self,
        step: int,
        tensors: Mapping[str, tf.Tensor],
        beside: Callable[[str], None] | None = None,
        slices: Slices | None = None,
    ) -> Checkpoint:
        """Writes a checkpoint, then forgets the oldest ones.

        Args:
          step: its global step.
          tensors: full variable name -> value.
          beside: called with the temporary and with the final path before the checkpoint becomes visible; writes what
            belongs to it.
          slices: see `write_tensors`.
        """
        with self._lock:
            tf.io.gfile.makedirs(self.model_dir)
            path = self.path(step)
            write_tensors(path, tensors, before_visible=beside, slices=slices)
            self._update_state(path)
        return Checkpoint(path, step)

    def clean(self) -> None:
        """Removes what a process that was killed while writing has left."""
        for name in tf.io.gfile.listdir(self.model_dir) if tf.io.gfile.isdir(self.model_dir) else ():
            if _TEMPORARY.search(name):
                _remove(os.path.join(self.model_dir, name))

    def _update_state(self, path: str) -> None:
        state = _read_state(self.model_dir)
        kept: dict[str, float] = {}
        if state is not None:
            stamps = list(state.all_model_checkpoint_timestamps) or [time.time()] * len(
                state.all_model_checkpoint_paths
            )
            kept = dict(zip(state.all_model_checkpoint_paths, stamps, strict=True))
            if self._last_preserved is None and state.last_preserved_timestamp:
                self._last_preserved = state.last_preserved_timestamp
        if self._last_preserved is None:
            self._last_preserved = min(kept.values(), default=time.time())
        kept.pop(os.path.basename(path), None)
        kept = {
            name: stamp
            for name, stamp in kept.items()
            if tf.io.gfile.exists(os.path.join(self.model_dir, name) + ".index")
        }
        kept[os.path.basename(path)] = time.time()
        doomed = []
        while self._keep_max and len(kept) > self._keep_max:
            name, stamp = next(iter(kept.items()))
            del kept[name]
            if stamp > self._last_preserved + self._keep_seconds:
                self._last_preserved = stamp
            else:
                doomed.append(name)
        _write_state(self.model_dir, kept, self._last_preserved)
        # Deleted last: the state file never names a checkpoint that is gone.
        for name in doomed:
            _delete(os.path.join(self.model_dir, name))


def write_tensors(
    path: str,
    tensors: Mapping[str, tf.Tensor],
    before_visible: Callable[[str], None] | None = None,
    slices: Slices | None = None,
) -> None:
    """Writes a V2 checkpoint to `path` so that it is there whole or not at all.

    Args:
      path: its path without ending.
      tensors: full variable name -> value.
      before_visible: called with the path before the checkpoint becomes visible.
      slices: of those that are parts of a tensor, the name of the tensor and which part; of those that are kept in
        parts, where each of them is.
    """
    temporary = f"{path}.tmp-{os.getpid()}-{threading.get_ident()}"
    places: list[Place] = []
    values: list[tf.Tensor] = []
    for name, value in tensors.items():
        mine = (slices or {}).get(name, [(name, "")])
        places += mine
        values += [value] if len(mine) == 1 else [slice_of(value, part) for _, part in mine]
    try:
        tf.raw_ops.SaveV2(
            prefix=temporary,
            tensor_names=[name for name, _ in places],
            shape_and_slices=[part for _, part in places],
            tensors=values,
        )
        data, index = ".data-00000-of-00001", ".index"
        for ending in (data, index):
            flush(temporary + ending)
        if before_visible is not None:
            before_visible(path)
        # A checkpoint exists as soon as its index does, so the data goes first.
        for ending in (data, index):
            tf.io.gfile.rename(temporary + ending, path + ending, overwrite=True)
        flush(os.path.dirname(path))
    finally:
        for leftover in tf.io.gfile.glob(_escaped(temporary) + "*"):
            tf.io.gfile.remove(leftover)


def at(path: str) -> Checkpoint:
    """Returns the checkpoint that a user names by its path without ending.

    Raises:
      ValueError: if there is none.
    """
    path = os.fspath(path)
    if not tf.io.gfile.exists(path + ".index"):
        raise ValueError(
            "`checkpoint_path` must be the path of a checkpoint without ending, such as '.../model.ckpt-100'. "
            f"Received: {path!r}."
        )
    match = re.search(r"-(\d+)$", path)
    return Checkpoint(path, int(match[1]) if match else 0)


def values_for(variables: Mapping[str, tf.Variable], checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns the values that variables have in a checkpoint, by full name.

    What follows from the global step or from the seed may be missing there, and is then left out.

    Raises:
      CheckpointError: if a variable is missing there or has another shape.
      tf.errors.OpError: if the files cannot be read.
    """
    reader = TensorReader(checkpoint.path)
    shapes = reader.get_variable_to_shape_map()
    values: dict[str, Any] = {}
    differing: list[str] = []
    for name, variable in variables.items():
        whole, part = _tensorflow_v1.slice_of(variable) or (name, "")
        if part and whole in shapes:
            _check_whole(name, whole, part, tuple(shapes[whole]), checkpoint)
            values[name] = _read_slice(checkpoint, whole, part, variable.dtype)
            continue
        if name not in shapes:
            continue
        if tuple(shapes[name]) != tuple(variable.shape):
            there = tuple(shapes[name])
            differing.append(f"{name!r} has shape {tuple(variable.shape)} in the model and {there} in the checkpoint")
            continue
        values[name] = reader.get_tensor(name)
    if differing:
        others = f" {len(differing) - 1} more differ: {'; '.join(differing[1:MOST_NAMES])}." if differing[1:] else ""
        raise CheckpointError(
            f"The variable {differing[0]} {checkpoint.path}. Use another model_dir, or change model_fn back to what it "
            f"was when the checkpoint was written.{others}"
        )
    needed = [name for name in variables if name not in values and not DERIVED.search(name)]
    if needed:
        raise CheckpointError(missing_message(needed, sorted(set(shapes) - set(variables)), checkpoint.path))
    return values


def values_under(names: Mapping[str, str], checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns, for each key of `names`, the tensor of the checkpoint that its value names.

    Raises:
      CheckpointError: if the checkpoint has no such tensor.
    """
    reader = TensorReader(checkpoint.path)
    missing = sorted(other for other in names.values() if not reader.has_tensor(other))
    if missing:
        raise CheckpointError(
            f"The Scaffold's saver restores {missing}, which the checkpoint {checkpoint.path} does not have. It has "
            f"{sorted(reader.get_variable_to_shape_map())}."
        )
    return {name: reader.get_tensor(other) for name, other in names.items()}


def _check_whole(name: str, whole: str, part: str, shape: tuple[int, ...], checkpoint: Checkpoint) -> None:
    wanted = tuple(int(size) for size in part.split()[:-1])
    if shape != wanted:
        raise CheckpointError(
            f"The variable {name!r} is a part of {whole!r} of shape {wanted}, which has shape {shape} in the "
            f"checkpoint {checkpoint.path}. Use another model_dir, or change model_fn back to what it was when the "
            "checkpoint was written."
        )


def _read_slice(checkpoint: Checkpoint, name: str, part: str, dtype: tf.DType) -> Any:
    read = tf.raw_ops.RestoreV2(prefix=checkpoint.path, tensor_names=[name], shape_and_slices=[part], dtypes=[dtype])
    return read[0].numpy()


def read_into(store: VariableStore, checkpoint: Checkpoint) -> None:
    """Sets the variables of `store` to the values of a checkpoint.

    Raises:
      CheckpointError: if a variable is missing there or has another shape; nothing is changed then.
      tf.errors.OpError: if the files cannot be read.
    """
    values = values_for({name: entry.variable for name, entry in store.entries.items()}, checkpoint)
    kept = {owner: list(owner.tensors()) for owner in store.kept.values()}
    reader = TensorReader(checkpoint.path)
    missing = [name for names in kept.values() for name in names if not reader.has_tensor(name)]
    if missing:
        there = sorted(set(reader.get_variable_to_shape_map()) - set(store.entries))
        raise CheckpointError(missing_message(missing, there, checkpoint.path))
    for owner, names in kept.items():
        owner.restore({name: reader.get_tensor(name) for name in names})
    store.places |= {name: places for name, places in reader.places.items() if name in store.entries}
    for name, value in values.items():
        variable = store.entries[name].variable
        if name.endswith("/learning_rate") and value != variable.numpy():
            _warn_of_setting(name, value, variable.numpy(), checkpoint, "the checkpoint's")
        variable.assign(tf.cast(value, variable.dtype))
    for name, mine in store.constants.items():
        scheduled = name.endswith("/decay") and not reader.has_tensor(f"{name.removesuffix('decay')}learning_rate")
        # Keras 2 left `decay` alone where the learning rate was a schedule.
        if not scheduled and reader.has_tensor(name) and np.float32(reader.get_tensor(name)) != np.float32(mine):
            _warn_of_setting(name, reader.get_tensor(name), mine, checkpoint, "the program's")
    for name, entry in store.entries.items():
        if name not in values and name.endswith("/iter"):
            entry.variable.assign(tf.cast(store.global_step, entry.variable.dtype))


def _warn_of_setting(name: str, there: Any, here: Any, checkpoint: Checkpoint, used: str) -> None:
    logger.warning(
        "%s is %g in the checkpoint %s, and %g in the program; %s is used.", name, there, checkpoint.path, here, used
    )


# What the readers of TensorFlow raise for files that are cut off, or hold something else.
UNREADABLE = (tf.errors.OpError, ValueError, RuntimeError, IndexError)


def is_readable(checkpoint: Checkpoint) -> bool:
    """Tells whether all tensors of a checkpoint can be read; the reader compares their checksums."""
    try:
        reader = TensorReader(checkpoint.path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except UNREADABLE as error:
        logger.error(
            "The checkpoint %s is damaged (%s); the one before it is used.", checkpoint.path, _first_line(error)
        )
        return False
    return True


def newest_readable(directory: CheckpointDirectory) -> Checkpoint | None:
    """Returns the newest checkpoint whose files are intact; None if there is none at all.

    Raises:
      CheckpointError: if there are checkpoints and none can be read: going on would train from the start and overwrite
        them.
    """
    checkpoints = directory.newest_first()
    for checkpoint in checkpoints:
        if is_readable(checkpoint):
            return checkpoint
    if checkpoints:
        raise CheckpointError(
            f"None of the {len(checkpoints)} checkpoints in {directory.model_dir} can be read; the newest is "
            f"{checkpoints[0].path}. "
            "Restore them from a copy, or use another model_dir to start anew."
        )
    return None


class AsyncWriter:
    """Runs writes one after the other in a thread; an error comes up at the next call.

    Args:
      enabled: whether to use a thread at all.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "checkpoint") if enabled else None
        self._pending: concurrent.futures.Future[Any] | None = None

    def submit(self, write: Callable[[], Any]) -> None:
        """Runs `write`, after the one before it has ended."""
        if self._pool is None:
            write()
            return
        self.wait()
        self._pending = self._pool.submit(write)

    def wait(self) -> None:
        """Returns when everything is written; raises what went wrong."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def close(self) -> None:
        """Waits, and ends the thread."""
        try:
            self.wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()


def save_position(path: str, position: Mapping[str, Any], iterator: Any = None) -> None:
    """Writes the position in the input beside the checkpoint `path`, and the iterator's state if there is one."""
    base = path + ".input"
    if iterator is not None:
        try:
            tf.train.Checkpoint(iterator=iterator).write(base)
            for written in tf.io.gfile.glob([_escaped(base) + ".index", _escaped(base) + ".data-*"]):
                flush(written)
        except (tf.errors.OpError, ValueError) as error:
            raise PositionNotSavableError(_first_line(error)) from error
    write_text(base + ".json", json.dumps({**position, "iterator": iterator is not None}))


def load_position(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Returns what `save_position` wrote for a checkpoint; None where tf.estimator or another program wrote it."""
    path = checkpoint.path + ".input.json"
    if not tf.io.gfile.exists(path):
        return None
    try:
        with tf.io.gfile.GFile(path, "r") as file:
            position = json.loads(file.read())
    except (ValueError, tf.errors.OpError) as error:
        logger.warning("The place in the input cannot be read from %s (%s).", path, _first_line(error))
        return None
    return position if isinstance(position, dict) and position.get("step") == checkpoint.step else None


def restore_iterator(checkpoint: Checkpoint, iterator: Any) -> str | None:
    """Sets `iterator` to the saved position; returns why not, if that cannot be."""
    try:
        tf.train.Checkpoint(iterator=iterator).read(checkpoint.path + ".input").assert_consumed()
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, AssertionError) as error:
        return _first_line(error)
    return None


def _read_state(model_dir: str) -> Any:
    # A state file that is empty is a ValueError.
    with contextlib.suppress(tf.errors.OpError, ValueError):
        return tf.train.get_checkpoint_state(model_dir) and _relative(tf.train.get_checkpoint_state(model_dir))
    return None


def _relative(state: Any) -> Any:
    state.model_checkpoint_path = os.path.basename(state.model_checkpoint_path)
    names = [os.path.basename(path) for path in state.all_model_checkpoint_paths]
    del state.all_model_checkpoint_paths[:]
    state.all_model_checkpoint_paths.extend(names)
    return state


def _write_state(model_dir: str, names: Mapping[str, float], last_preserved: float) -> None:
    newest = list(names)[-1]
    lines = [f'model_checkpoint_path: "{newest}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    lines += [f"all_model_checkpoint_timestamps: {stamp!r}" for stamp in names.values()]
    lines += [f"last_preserved_timestamp: {last_preserved!r}"]
    write_text(os.path.join(model_dir, _STATE_FILE), "\n".join(lines) + "\n")
    flush(model_dir)


def _delete(path: str) -> None:
    # The index first: without it the rest is no checkpoint.
    for name in [path + ".index", *tf.io.gfile.glob(_escaped(path) + ".*")]:
        _remove(name)


def _remove(path: str) -> None:
    """Removes a file or a folder; another process may have done so already."""
    with contextlib.suppress(tf.errors.NotFoundError):
        (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)


def _step_of(path: str) -> int | None:
    match = _INDEX.match(os.path.basename(path) + ".index")
    return int(match[1]) if match else None


def _escaped(path: str) -> str:
    return re.sub(r"([*?\[\\])", r"[\1]", path)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def snapshot(store: VariableStore) -> dict[str, tf.Tensor]:
    """Returns the values of all variables now; training may go on while they are written."""
    values = {name: tf.constant(value, tf.float32) for name, value in store.constants.items()}
    values |= {name: tf.identity(entry.variable.read_value()) for name, entry in store.entries.items()}
    for owner in store.kept.values():
        values |= owner.tensors()
    return values


def slices_of(store: VariableStore) -> Slices:
    """Returns where a checkpoint holds those variables that are parts of a tensor there, or are kept in parts."""
    parts = {name: [entry.slice] for name, entry in store.entries.items() if entry.slice[1]}
    return {**parts, **store.places}


@contextlib.contextmanager
def renamed(store: VariableStore, names: Mapping[str, str], path: str | None) -> Iterator[None]:
    """Lets variables have the values that are known under other names, and have their own back at the end.

    Args:
      store: the variables.
      names: full name of a variable -> the other name.
      path: the checkpoint to look in, for names that are none of the store's; None: those keep their values.

    Raises:
      CheckpointError: if the checkpoint has no such name.
    """
    kept = {name: tf.identity(store.entries[name].variable.read_value()) for name in names if name in store.entries}
    there = {name: other for name, other in names.items() if name in kept and other in store.entries}
    elsewhere = {name: other for name, other in names.items() if name in kept and other not in store.entries}
    values = {name: tf.identity(store.entries[other].variable.read_value()) for name, other in there.items()}
    if path is not None:
        values |= values_under(elsewhere, Checkpoint(path, 0))
    for name, value in values.items():
        store.entries[name].variable.assign(value)
    try:
        yield
    finally:
        for name, value in kept.items():
            store.entries[name].variable.assign(value)


def put_back(store: VariableStore, values: Mapping[str, tf.Tensor]) -> None:
    """Sets the variables to what `snapshot` returned."""
    for name, entry in store.entries.items():
        entry.variable.assign(values[name])
    for owner in store.kept.values():
        owner.restore({name: values[name] for name in owner.tensors()})


def names_in(directory: CheckpointDirectory) -> Iterable[str]:
    """Returns the names of all tensors in the newest checkpoint."""
    latest = directory.latest()
    return [] if latest is None else sorted(TensorReader(latest.path).get_variable_to_shape_map())
