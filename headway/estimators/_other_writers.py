"""Notices that another process writes checkpoints into the directory of a run."""

from __future__ import annotations

import os
import re

import tensorflow as tf

from headway._log import logger
from headway.estimators._checkpoints import CheckpointDirectory

_OURS = re.compile(r"model\.ckpt-\d+")


class OtherWriters:
    """Watches the state file of a directory, without locks, which file systems on a network may lack.

    A checkpoint that the state file names belongs to the run if it was there when the run began, or if the run has
    written it. Files that are gone say nothing: a user may delete them. Nor do checkpoints of other names, which a hook
    may write.

    Args:
      directory: the directory, as the run finds it.
    """

    def __init__(self, directory: CheckpointDirectory) -> None:
        self._model_dir = directory.model_dir
        self._known = {os.path.basename(checkpoint.path) for checkpoint in directory.newest_first()}
        self._last = ""
        self._told = False

    def check(self) -> None:
        """Warns, once, if another process has written a checkpoint; called before one is written."""
        if self._told:
            return
        try:
            state = tf.train.get_checkpoint_state(self._model_dir)
        except (tf.errors.OpError, ValueError):
            return
        name = "" if state is None else os.path.basename(state.model_checkpoint_path)
        if name in self._known or not _OURS.fullmatch(name):
            return
        self._told = True
        logger.warning(
            "Another process trains in %s: the checkpoint file there names %s, which this run has not written%s. Each "
            "overwrites and deletes the other's checkpoints, and the next run goes on from whichever comes last. End "
            "one of them, or give each a model_dir of its own. This is process %d.",
            self._model_dir,
            name,
            f" (its last one was {self._last})" if self._last else "",
            os.getpid(),
        )

    def wrote(self, path: str) -> None:
        """Notes that the run has written the checkpoint `path`."""
        self._last = os.path.basename(path)
        self._known.add(self._last)
