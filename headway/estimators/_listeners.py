"""What may happen around each checkpoint."""

from __future__ import annotations

from typing import Any


class CheckpointSaverListener:
    """Called before and after each checkpoint of a `train` call. Override what you need.

    `Estimator.train(saving_listeners=[...])` and `TrainSpec` take it, and those of `tf.compat.v1.train` as well. There
    is no session: `session` is None.

    Attributes:
      skips_interrupted: whether the listener is left out when a signal has ended the run, which then has only seconds.

    Example:
      >>> class Copier(CheckpointSaverListener):
      ...     def after_save(self, session, global_step_value):
      ...         print(f"step {global_step_value} is saved")
      >>> Copier().after_save(None, 5)
      step 5 is saved
    """

    skips_interrupted: bool = False

    def begin(self) -> None:
        """Called once, before the first checkpoint."""

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Called before a checkpoint is written."""

    def after_save(self, session: Any, global_step_value: int) -> bool | None:
        """Called when a checkpoint is on disk; True ends training."""

    def end(self, session: Any, global_step_value: int) -> None:
        """Called once, after the last checkpoint, unless an error or a signal ended the run."""


def is_listener(value: Any) -> bool:
    """Tells whether `value` is an instance with the methods of a listener."""
    verbs = ("begin", "before_save", "after_save", "end")
    return not isinstance(value, type) and all(callable(getattr(value, verb, None)) for verb in verbs)
