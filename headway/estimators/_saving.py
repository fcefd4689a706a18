"""Writes checkpoints of a training run: the variables, the place in the input, and what listeners do around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway.estimators import _checkpoints
from headway.estimators._checkpoints import AsyncWriter, Checkpoint, CheckpointDirectory
from headway.estimators._input import TrainingInput
from headway.estimators._other_writers import OtherWriters
from headway.estimators._variables import VariableStore


class Saver:
    """Saves the variables of a store.

    Args:
      store: the variables.
      directory: where checkpoints go.
      is_chief: whether this process writes checkpoints; the others only their own place in the input.
      listeners: `CheckpointSaverListener`s.
      asynchronous: whether training goes on while a checkpoint is written.
      unchanged: the checkpoint on disk whose values the variables hold, if there is one.
        It is not written again: it is whole, and its place in the input is where this run begins.

    Attributes:
      last: the newest checkpoint that was written.
      stop_requested: whether a listener wants training to end.
    """

    def __init__(
        self,
        store: VariableStore,
        directory: CheckpointDirectory,
        *,
        is_chief: bool,
        listeners: Sequence[Any],
        asynchronous: bool,
        unchanged: Checkpoint | None = None,
    ) -> None:
        self.last: Checkpoint | None = None
        self.stop_requested = False
        self._store = store
        self._directory = directory
        self._is_chief = is_chief
        self._listeners = list(listeners)
        self._writer = AsyncWriter(enabled=asynchronous)
        self._unchanged = unchanged
        self._status: tuple[int, str] | None = None
        self._others = OtherWriters(directory) if is_chief else None

    @property
    def model_dir(self) -> str:
        """The directory of the checkpoints."""
        return self._directory.model_dir

    def begin(self) -> None:
        """Lets the listeners begin."""
        for listener in self._listeners:
            listener.begin()

    def save(self, step: int, source: TrainingInput, status: str) -> Checkpoint | None:
        """Writes a checkpoint of `step`, unless it is there with this status.

        Args:
          step: the global step.
          source: the input; its position is saved beside the checkpoint.
          status: "running", "ended" or "interrupted": how a later run shall treat the position.
        """
        if self._status == (step, status):
            return self.last
        position_only = self._status is not None and self._status[0] == step
        self._status = (step, status)
        path = self._directory.path(step)
        if position_only:
            self._writer.wait()
            source.save(path, step, status)
            return self.last
        return self._write(step, source, status, path)

    def _write(self, step: int, source: TrainingInput, status: str, path: str) -> Checkpoint | None:
        there = self._unchanged is not None and self._unchanged.path == path
        if not self._is_chief:
            if not there:
                source.save(path, step, status)
            return None
        listeners = [
            listener
            for listener in self._listeners
            if status != "interrupted" or not getattr(listener, "skips_interrupted", False)
        ]
        for listener in listeners:
            listener.before_save(None, step)
        if not there:
            # The position must be taken now, with the weights; only the files may come later.
            source.save(path, step, status)
            tensors = _checkpoints.snapshot(self._store)
            logger.info("Saving a checkpoint for step %d to %s.", step, path)
            slices = _checkpoints.slices_of(self._store)
            self._writer.submit(lambda: self._write_watched(step, tensors, slices))
        self.last = Checkpoint(path, step)
        if listeners:
            # A listener may read the checkpoint, for an evaluation say.
            self._writer.wait()
        for listener in listeners:
            self.stop_requested = bool(listener.after_save(None, step)) or self.stop_requested
        return self.last

    def _write_watched(self, step: int, tensors: Mapping[str, tf.Tensor], slices: _checkpoints.Slices) -> None:
        if self._others is not None:
            self._others.check()
        written = self._directory.write(step, tensors, slices=slices)
        if self._others is not None:
            self._others.wrote(written.path)

    def end(self, step: int) -> None:
        """Lets the listeners end, when everything is on disk."""
        self._writer.wait()
        for listener in self._listeners:
            listener.end(None, step)

    def close(self) -> None:
        """Waits until everything is on disk."""
        self._writer.close()
