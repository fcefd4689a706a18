"""Hooks of headway's own in a session."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway import _tensorflow_v1
from headway.estimators._checkpoints import Checkpoint, CheckpointDirectory
from headway.estimators._classic_hooks import CheckpointSaverHook, LoggingTensorHook, SummarySaverHook
from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, Run, SessionHookAdapter, as_number
from headway.estimators._when import Progress

v1 = tf.compat.v1


class SessionRun(Run):
    """A run in a session as headway's own hooks see it.

    Args:
      directory: the checkpoints.
      events: the event file of training, or None.
      loss: the loss of the step, or None.

    Attributes:
      session: the session, without the hooks around it.
      loss_tensor: the loss of the step, or None.
      saver_hook: the hook that writes checkpoints, or None.
      outputs: what was fetched in the last step, by name.
      logged_values: `id` of a hook -> the values of its `step_tensors`.
      stop_reason: why the run is to stop, or None.
      acting: whether one of headway's own hooks is at work: it looks at the weights in memory.
    """

    def __init__(self, directory: CheckpointDirectory, events: EventWriter | None = None, loss: Any = None) -> None:
        self.progress = Progress(0, 0, 0.0)
        self.session: Any = None
        self.loss_tensor = loss
        self.saver_hook: Any = None
        self.outputs: dict[str, Any] = {}
        self.logged_values: dict[int, Any] = {}
        self.stop_reason: str | None = None
        self.acting = False
        self._directory = directory
        self._events = events
        self._began: float | None = None

    @contextlib.contextmanager
    def act(self) -> Iterator[None]:
        """Says that one of headway's own hooks is at work."""
        self.acting = True
        try:
            yield
        finally:
            self.acting = False

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
        return "loss" in self.outputs and bool(np.isnan(self.loss))

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
        path = self._directory.path(self.step)
        if self.saver_hook is None:
            return None
        if not tf.io.gfile.exists(path + ".index") and _tensorflow_v1.save_by_hook(
            self.saver_hook, self.session, self.step
        ):
            self.request_stop("a CheckpointSaverListener asked for it")
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
    """

    def __init__(self, hook: Hook, run: SessionRun) -> None:
        self._hook = hook
        self._run = run
        self._fetches: dict[str, Any] = {} if run.loss_tensor is None else {"loss": run.loss_tensor}
        self._step: Any = None
        self._due: int | None = None
        self._has_begun = False

    def begin(self) -> None:
        """Takes what is to be fetched, while the graph may still grow."""
        self._step = v1.train.get_global_step()
        if self._hook.step_tensors:
            self._fetches["logged"] = dict(self._hook.step_tensors)
        if self._hook.wants_summary:
            self._fetches["summary"] = v1.summary.merge_all()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Begins, once: a session that was lost is made anew."""
        del coord
        self._run.session = session
        self._run.at(int(session.run(self._step)))
        if not self._has_begun:
            self._has_begun = True
            with self._run.act():
                self._hook.begin(self._run)

    def before_run(self, run_context: Any) -> Any:
        """Asks for the values that hooks may see."""
        del run_context
        self._due = self._hook.due(self._run.progress)
        return v1.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Lets the hook act, if it is due."""
        results = dict(run_values.results)
        self._run.logged_values[id(self._hook)] = results.pop("logged", {})
        self._run.outputs.update(results)
        self._run.session = run_context.session
        self._run.at(int(run_context.session.run(self._step)))
        if self._due is None or self._run.step >= self._due:
            with self._run.act():
                self._hook.act(self._run)
        if self._run.stop_reason is not None:
            run_context.request_stop()

    def end(self, session: Any) -> None:
        """Ends."""
        self._run.session = session
        with self._run.act():
            self._hook.end(self._run)


@dataclasses.dataclass(frozen=True)
class SessionHooks:
    """Turns hooks of both kinds into SessionRunHooks of one run.

    Attributes:
      run: the run.
      scaffold: that of the session, or None.
    """

    run: SessionRun
    scaffold: Any = None

    def of(self, hooks: Sequence[Any]) -> list[Any]:
        """Returns the hooks in their order."""
        unwrapped = [
            hook.hook if isinstance(hook, SessionHookAdapter) else getattr(hook, "original", None) or hook
            for hook in hooks
        ]
        return [self._in_session(hook) if isinstance(hook, Hook) or _acts(hook) else hook for hook in unwrapped]

    def _in_session(self, hook: Any) -> Any:
        if isinstance(hook, CheckpointSaverHook):
            return v1.train.CheckpointSaverHook(
                hook.checkpoint_dir or self.run.model_dir,
                scaffold=self.scaffold,
                listeners=hook.listeners,
                **hook.arguments,
            )
        if type(hook) is SummarySaverHook:
            return v1.train.SummarySaverHook(output_dir=self.run.model_dir, scaffold=self.scaffold, **hook.arguments)
        if type(hook) is LoggingTensorHook:
            return v1.train.LoggingTensorHook(**{**hook.arguments, "tensors": self._tensors(hook)})
        return InSession(hook, self.run)

    def _tensors(self, hook: LoggingTensorHook) -> dict[str, Any]:
        """Returns what a hook logs: headway's own names stand for their tensors, others are names in the graph."""
        given = hook.arguments["tensors"]
        named = given if isinstance(given, Mapping) else {str(getattr(item, "name", item)): item for item in given}
        step = v1.train.get_global_step()
        known = {"loss": self.run.loss_tensor, "step": step, "global_step": step}
        graph = v1.get_default_graph()
        return {
            name: known.get(tensor, tensor) if isinstance(tensor, str) and not _is_in(graph, tensor) else tensor
            for name, tensor in named.items()
        }


def _acts(hook: Any) -> bool:
    return all(callable(getattr(hook, verb, None)) for verb in ("due", "act"))


def _is_in(graph: Any, name: str) -> bool:
    try:
        graph.as_graph_element(name)
    except (KeyError, ValueError):
        return False
    return True
