"""The place in the input, counted in steps, and written beside each checkpoint."""

from __future__ import annotations

import os
import re
from typing import Any

import tensorflow as tf

from headway.estimators import _checkpoints
from headway.estimators._checkpoints import CheckpointDirectory
from headway.estimators._listeners import CheckpointSaverListener
from headway.estimators.graph._input import Place

_FILE = re.compile(r"^(model\.ckpt-\d+)(\.[^.]+)?\.input\.")


class PositionHook(tf.compat.v1.train.SessionRunHook):
    """Counts the batches of a run, of all replicas together.

    Args:
      start: number of batches before the first.
      per_step: number of batches that a step takes.

    Attributes:
      taken: number of batches that the steps up to now have taken, the one under way counted.
    """

    def __init__(self, start: int, per_step: int = 1) -> None:
        self.taken = start
        self._per_step = per_step

    def before_run(self, run_context: Any) -> None:
        """Counts the batches of the step that begins: hooks save when it is done, before those behind them are told."""
        del run_context
        self.taken += self._per_step


class PositionListener(CheckpointSaverListener):
    """Writes the place in the input beside each checkpoint, and removes what lies beside those that are gone.

    Args:
      directory: the checkpoints.
      place: the input.
      count: counts the batches.
    """

    def __init__(self, directory: CheckpointDirectory, place: Place, count: PositionHook) -> None:
        self._directory = directory
        self._place = place
        self._count = count

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Writes the place: it must be there when the checkpoint is."""
        del session
        self._write(global_step_value, "running")

    def after_save(self, session: Any, global_step_value: int) -> None:
        """Removes the places of checkpoints that are gone."""
        del session, global_step_value
        folder = self._directory.model_dir
        for name in tf.io.gfile.listdir(folder):
            match = _FILE.match(name)
            if match and not tf.io.gfile.exists(os.path.join(folder, match[1] + ".index")):
                tf.io.gfile.remove(os.path.join(folder, name))

    def end(self, session: Any, global_step_value: int) -> None:
        """Notes that the run has come to its end."""
        del session
        if tf.io.gfile.exists(self._directory.path(global_step_value) + ".index"):
            self._write(global_step_value, "ended")

    def _write(self, step: int, status: str) -> None:
        position = {
            "step": int(step),
            "status": status,
            "elements": self._count.taken,
            "seed": self._place.seed,
            "fingerprint": self._place.fingerprint,
            "rows": self._place.rows,
        }
        tf.io.gfile.makedirs(self._directory.model_dir)
        _checkpoints.save_position(self._directory.path(int(step)), position)
