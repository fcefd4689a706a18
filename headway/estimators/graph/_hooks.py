"""Hooks of headway's own in a session, and the hooks that a step of the graph runtime has anyway."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway.estimators._checkpoints import Checkpoint, CheckpointDirectory
from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, Run, SessionHookAdapter, as_number
from headway.estimators._when import Progress

v1 = tf.compat.v1


class SessionRun(Run):
    """A run in a session as headway's own hooks see it.

    Args:
      directory: the checkpoints.
      events: the event file of training, or None.
    """

    def __init__(self, directory: CheckpointDirectory, events: EventWriter | None) -> None:
        self.progress = Progress(0, 0, 0.0)
        self.stop_reason: str | None = None
        self.session: Any = None
        self.outputs: dict[str, Any] = {}
        self.logged_values: dict[int, Any] = {}
        self._directory = directory
        self._events = events
        self._began: float | None = None

    def at(self, step: int) -> None:
        """Notes how far the run has come."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            self.progress = Progress(step, step, 0.0)
        self.progress = Progress(step, self.progress.first_step, now - self._began)

    @property
    def loss(self) -> float:
        return float(self.outputs.get("loss", float("nan")))

    @property
    def values(self) -> Mapping[str, Any]:
        return {"loss": self.loss, "step": self.step}

    @property
    def met_nan(self) -> bool:
        return bool(self.outputs) and bool(np.isnan(self.loss))

    @property
    def last_checkpoint_text(self) -> str:
        last = self._directory.latest()
        return "No checkpoint was written." if last is None else f"The last good checkpoint is {last.path}."

    @property
    def events(self) -> EventWriter | None:
        return self._events

    @property
    def model_dir(self) -> str:
        return self._directory.model_dir

    def request_stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason

    def save(self) -> Checkpoint | None:
        latest = self._directory.latest()
        if latest is not None and latest.step == self.step:
            return latest
        (saver, *_) = v1.get_collection(v1.GraphKeys.SAVERS)
        path = saver.save(self.session, self._directory.path(self.step).rpartition("-")[0], global_step=self.step)
        return Checkpoint(path, self.step)

    def summary(self) -> bytes:
        return bytes(self.outputs.get("summary", b""))

    def take_metrics(self) -> Mapping[str, float]:
        return {}

    def write_summary(self, serialized: bytes) -> None:
        if self._events is not None:
            self._events.serialized(serialized, self.step)

    def logged(self, hook: Hook) -> Mapping[str, Any]:
        return {name: as_number(value) for name, value in self.logged_values.get(id(hook), {}).items()}


class InSession(tf.compat.v1.train.SessionRunHook):
    """Runs a hook of headway's own in a session.

    Args:
      hook: the hook.
      run: the run, shared by all of them.
      loss: the loss of the step, or None.
    """

    def __init__(self, hook: Hook, run: SessionRun, loss: Any) -> None:
        self._hook = hook
        self._run = run
        self._fetches: dict[str, Any] = {} if loss is None else {"loss": loss}
        self._step: Any = None
        self._due: int | None = None

    def begin(self) -> None:
        """Takes what is to be fetched, while the graph may still grow."""
        self._step = v1.train.get_global_step()
        if self._hook.step_tensors:
            self._fetches["logged"] = dict(self._hook.step_tensors)
        if self._hook.wants_summary:
            self._fetches["summary"] = v1.summary.merge_all()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Begins."""
        del coord
        self._run.session = session
        self._run.at(int(session.run(self._step)))
        self._hook.begin(self._run)

    def before_run(self, run_context: Any) -> Any:
        """Asks for the values that hooks may see."""
        del run_context
        self._due = self._hook.due(self._run.progress)
        return v1.train.SessionRunArgs({**self._fetches, "step": self._step})

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Lets the hook act, if it is due."""
        results = dict(run_values.results)
        self._run.logged_values[id(self._hook)] = results.pop("logged", {})
        self._run.outputs.update(results)
        # A step that is read beside the update may be the one before it.
        self._run.session = run_context.session
        self._run.at(int(run_context.session.run(self._step)))
        if self._due is None or self._run.step >= self._due:
            self._hook.act(self._run)
        if self._run.stop_reason is not None:
            run_context.request_stop()

    def end(self, session: Any) -> None:
        """Ends."""
        self._run.session = session
        self._hook.end(self._run)


def in_session(hooks: Sequence[Any], run: SessionRun, loss: Any) -> list[Any]:
    """Returns hooks of both kinds as SessionRunHooks."""
    unwrapped = [hook.hook if isinstance(hook, SessionHookAdapter) else hook for hook in hooks]
    return [InSession(hook, run, loss) if isinstance(hook, Hook) else hook for hook in unwrapped]
