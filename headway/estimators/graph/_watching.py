"""Notices in a session that another process writes checkpoints into the directory of the run."""

from __future__ import annotations

from typing import Any

from headway.estimators._checkpoints import CheckpointDirectory
from headway.estimators._listeners import CheckpointSaverListener
from headway.estimators._other_writers import OtherWriters


class WatchingListener(CheckpointSaverListener):
    """Looks for checkpoints of another process before each one of this run.

    Args:
      directory: the checkpoints, as the run finds them.
    """

    def __init__(self, directory: CheckpointDirectory) -> None:
        self._directory = directory
        self._others = OtherWriters(directory)

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Looks, before the state file names this run's own checkpoint."""
        del session, global_step_value
        self._others.check()

    def after_save(self, session: Any, global_step_value: int) -> None:
        """Notes that the checkpoint is this run's own."""
        del session
        self._others.wrote(self._directory.path(int(global_step_value)))
