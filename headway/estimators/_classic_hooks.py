"""The hooks that tf.estimator's users know, under their names and with their arguments.

Those for which a session has a hook of its own keep what that one is made with in `arguments`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.estimators import _when
from headway.estimators._events import EventWriter
from headway.estimators._files import write_text
from headway.estimators._hooks import Hook, PeriodicHook, Run, as_number
from headway.estimators._when import Progress


class NanLossDuringTrainingError(tf.compat.v1.train.NanLossDuringTrainingError):
    """The loss became NaN. The weights of this step are lost; the last checkpoint is good.

    It is a `tf.compat.v1.train.NanLossDuringTrainingError`, and so a RuntimeError.

    Example:
      >>> str(NanLossDuringTrainingError())
      'NaN loss during training.'
    """

    def __str__(self) -> str:
        # TensorFlow's own says the same of every NaN.
        return RuntimeError.__str__(self) or "NaN loss during training."


class StopAtStepHook(Hook):
    """Stops training after a number of steps, or at a global step.

    Args:
      num_steps: number of steps from the beginning of this `train` call.
      last_step: global step after which to stop.

    Raises:
      ValueError: unless exactly one of them is given.

    Example:
      >>> hook = StopAtStepHook(last_step=1000)
    """

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if num_steps is None and last_step is None:
            raise ValueError("One of num_steps or last_step must be specified. Received: neither.")
        if num_steps is not None and last_step is not None:
            raise ValueError(
                f"Only one of num_steps or last_step can be specified. Received: {num_steps} and {last_step}."
            )
        self._num_steps = num_steps
        self._last_step = last_step

    def begin(self, run: Run) -> None:
        """Works out the last step."""
        if self._num_steps is not None:
            self._last_step = run.step + self._num_steps

    def due(self, progress: Progress) -> int | None:
        """Returns the last step."""
        return self._last_step

    def act(self, run: Run) -> None:
        """Stops there."""
        if self._last_step is not None and run.step >= self._last_step:
            run.request_stop(f"step {self._last_step} is reached")


class NanTensorHook(Hook):
    """Ends training when the loss becomes NaN. Every `train` call has one.

    Args:
      loss_tensor: not used: it is always the loss of the model_fn.
      fail_on_nan_loss: whether to raise `NanLossDuringTrainingError`; otherwise training stops with a line in the log.

    Example:
      >>> hook = NanTensorHook(fail_on_nan_loss=False)
    """

    def __init__(self, loss_tensor: Any = None, fail_on_nan_loss: bool = True) -> None:
        del loss_tensor
        self._fail = fail_on_nan_loss

    def act(self, run: Run) -> None:
        """Looks whether the device met a NaN."""
        if not run.met_nan:
            return
        message = (
            f"NaN loss during training, at step {run.step}. {run.last_checkpoint_text} "
            "Look for a learning rate that is too high, or bad input values."
        )
        if self._fail:
            raise NanLossDuringTrainingError(message)
        logger.error("%s", message)
        run.request_stop("the loss is NaN")


class LoggingTensorHook(PeriodicHook):
    """Logs values every so many steps or seconds.

    Args:
      tensors: a dict of labels to tensors of the model_fn or to names, or a list of these. Names are those of
        `run.values` ("loss", "step", "learning_rate/<optimizer>"), or of tensors of the model_fn, as
        `tf.identity(value, name="accuracy")` gives them. Tensors themselves need the hook to be in
        `EstimatorSpec(training_hooks=...)`.
      every_n_iter: steps between lines.
      every_n_secs: seconds between lines.
      at_end: whether to log once more at the end; alone, only then.
      formatter: makes the line from a dict of values; by default "name = value, ...".

    Raises:
      ValueError: if no cadence or both are given.

    Example:
      >>> hook = LoggingTensorHook(["loss", "step"], every_n_iter=10)
    """

    looks_back = True

    def __init__(
        self,
        tensors: Mapping[str, Any] | Iterable[Any],
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                f"exactly one of every_n_iter and every_n_secs must be provided. Received: {every_n_iter} and "
                f"{every_n_secs}."
            )
        self.arguments: dict[str, Any] = {
            "tensors": tensors,
            "every_n_iter": every_n_iter,
            "every_n_secs": every_n_secs,
            "at_end": at_end,
            "formatter": formatter,
        }
        super().__init__(_when.Never() if only_at_end else _when.every(steps=every_n_iter, seconds=every_n_secs))
        named = (
            dict(tensors)
            if isinstance(tensors, Mapping)
            else {name if isinstance(name, str) else name.name: name for name in tensors}
        )
        self.step_tensors = {name: value for name, value in named.items() if tf.is_tensor(value)}
        self._names = {name: value for name, value in named.items() if not tf.is_tensor(value)}
        self._at_end = at_end
        self._formatter = formatter
        self._last_time: float | None = None
        self.looks_back = self.looks_back and not self.step_tensors and not self.step_names

    def begin(self, run: Run) -> None:
        """Times from here."""
        super().begin(run)
        self._last_time = None

    @property
    def step_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of tensors of the model_fn."""
        return tuple(str(name) for name in self._names.values() if not _is_value(str(name)))

    def action(self, run: Run) -> None:
        """Writes the line."""
        values = {"global_step": run.step, **run.values}
        found = {name: values.get(key) for name, key in self._names.items() if key in values}
        found |= {name: value for name, value in run.logged(self).items() if name in self.step_tensors}
        found |= {name: run.logged(self).get(key) for name, key in self._names.items() if key not in values}
        shown = {name: found[name] for name in (*self._names, *self.step_tensors)}
        now = run.progress.seconds
        elapsed = "" if self._last_time is None else f" ({now - self._last_time:.3f} sec)"
        self._last_time = now
        if self._formatter is not None:
            logger.info("%s", self._formatter(shown))
        else:
            logger.info("%s%s", ", ".join(f"{name} = {_text(value)}" for name, value in shown.items()), elapsed)

    def end(self, run: Run) -> None:
        """Logs the last values, if asked to."""
        if self._at_end:
            self.action(run)


def _is_value(name: str) -> bool:
    return name in ("loss", "step", "global_step") or name.startswith("learning_rate/")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class StepCounterHook(PeriodicHook):
    """Logs the speed of training and writes it as `global_step/sec`.

    Args:
      every_n_steps: steps between two measurements.
      every_n_secs: seconds between two measurements.
      output_dir: where the summaries go; by default the model_dir.
      summary_writer: not used.
      log: whether to log the speed as well.

    Example:
      >>> hook = StepCounterHook(every_n_steps=500)
    """

    looks_back = True

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
        *,
        log: bool = True,
    ) -> None:
        del summary_writer
        self._log = log
        super().__init__(_when.every(steps=every_n_steps, seconds=every_n_secs))
        self._from: Progress | None = None
        self._events = _Events(output_dir)

    def begin(self, run: Run) -> None:
        """Counts from here."""
        super().begin(run)
        self._from = None

    def action(self, run: Run) -> None:
        """Measures, logs, writes."""
        begin, now = self._from, run.progress
        self._from = now
        if begin is None or now.seconds <= begin.seconds:
            return
        speed = (now.step - begin.step) / (now.seconds - begin.seconds)
        if self._log:
            logger.info("global_step/sec: %g", speed)
        events = self._events.of(run)
        if events is not None:
            events.scalars({"global_step/sec": speed}, now.step)

    def end(self, run: Run) -> None:
        """Ends the event file, if it is one of its own."""
        del run
        self._events.close()


class SummarySaverHook(PeriodicHook):
    """Writes the summaries of the model_fn and the loss every so many steps. Every `train` call has one.

    Args:
      save_steps: steps between summaries.
      save_secs: seconds between summaries.
      output_dir: where the summaries go; by default the model_dir.
      summary_writer: not used.
      scaffold: not used.
      summary_op: not used: all summaries of the model_fn are written.

    Example:
      >>> hook = SummarySaverHook(save_steps=100)
    """

    wants_summary = True
    looks_back = True

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
        scaffold: Any = None,
        summary_op: Any = None,
    ) -> None:
        del summary_writer, scaffold, summary_op
        self.arguments = {"save_steps": save_steps, "save_secs": save_secs}
        self._events = _Events(output_dir)
        super().__init__(_when.every(steps=save_steps, seconds=save_secs))

    def action(self, run: Run) -> None:
        """Writes what the last step recorded."""
        # Reading metrics sums them up over workers, so each of them must.
        scalars = dict(run.take_metrics())
        events = self._events.of(run)
        if events is None:
            return
        summary = run.summary()
        events.serialized(summary, run.step)
        if "loss" not in {value.tag for value in tf.compat.v1.Summary.FromString(summary).value}:
            scalars["loss"] = run.loss
        if scalars:
            events.scalars(scalars, run.step)

    def end(self, run: Run) -> None:
        """Ends the event file, if it is one of its own."""
        del run
        self._events.close()


class _Events:
    """Where a hook writes its summaries.

    Args:
      directory: a directory of its own, or None: the event file of the run.
    """

    def __init__(self, directory: str | None) -> None:
        self._directory = directory
        self._own: EventWriter | None = None

    def of(self, run: Run) -> EventWriter | None:
        """Returns the writer; None in a process that writes nothing."""
        if (
            run.events is None
            or not self._directory
            or os.path.abspath(self._directory) == os.path.abspath(run.model_dir)
        ):
            return run.events
        self._own = self._own or EventWriter(self._directory)
        return self._own

    def close(self) -> None:
        """Ends a file of its own."""
        if self._own is not None:
            self._own.close()
            self._own = None


class GraphHook(Hook):
    """Writes the graph of a training step for TensorBoard, and to `graph.pbtxt`, after the first step.

    Args:
      graph: the graph.

    Example:
      >>> hook = GraphHook(tf.Graph())
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def act(self, run: Run) -> None:
        """Writes the graph once. It comes after the first step because it takes time, which nobody should wait for."""
        if self._graph is None or run.events is None:
            return
        run.events.graph(self._graph)
        # This way C++ prints it; `tf.io.write_graph` prints it by Python, which takes as long as some hundred steps.
        write_text(os.path.join(run.model_dir, "graph.pbtxt"), str(self._graph.as_graph_def()), durable=False)
        self._graph = None


class CheckpointSaverHook(PeriodicHook):
    """Writes a checkpoint at the beginning, every so many steps or seconds, and at the end.

    Args:
      checkpoint_dir: the directory; it must be the estimator's model_dir, or None.
      save_secs: seconds between checkpoints.
      save_steps: steps between checkpoints.
      saver: not used.
      checkpoint_basename: must be "model.ckpt", the name by which checkpoints are found.
      scaffold: not used.
      listeners: `CheckpointSaverListener`s.

    Raises:
      ValueError: unless exactly one of the cadences is given, or for another basename.

    Example:
      >>> hook = CheckpointSaverHook(save_steps=500)
    """

    def __init__(
        self,
        checkpoint_dir: str | None = None,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: Any = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Any = None,
        listeners: Sequence[Any] | None = None,
    ) -> None:
        del saver, scaffold
        if checkpoint_basename != "model.ckpt":
            raise ValueError(
                "`checkpoint_basename` must be 'model.ckpt', by which an Estimator finds its checkpoints. Received: "
                f"{checkpoint_basename!r}."
            )
        super().__init__(_when.every(steps=save_steps, seconds=save_secs))
        self.arguments = {"save_steps": save_steps, "save_secs": save_secs}
        self.checkpoint_dir = checkpoint_dir
        self.listeners = list(listeners or ())

    def begin(self, run: Run) -> None:
        """Writes the first checkpoint."""
        if self.checkpoint_dir is not None and tf.io.gfile.join(self.checkpoint_dir, "") != tf.io.gfile.join(
            run.model_dir, ""
        ):
            raise ValueError(
                f"`checkpoint_dir` must be the estimator's model_dir {run.model_dir!r}: an Estimator goes on from "
                f"there. Received: {self.checkpoint_dir!r}."
            )
        self.when.done(run.progress)
        run.save()

    def action(self, run: Run) -> None:
        """Writes a checkpoint."""
        run.save()

    def end(self, run: Run) -> None:
        """Writes the last checkpoint."""
        run.save()


class ProfilerHook(Hook):
    """Profiles a stretch of steps for TensorBoard, every so many steps.

    Args:
      save_steps: steps between two profiles.
      save_secs: seconds between two profiles.
      output_dir: where to; by default the model_dir, where TensorBoard finds it beside the run.
      show_dataflow: not used: profiles always have it.
      show_memory: not used.
      profile_steps: number of steps in a profile.

    Example:
      >>> hook = ProfilerHook(save_steps=1000)
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
        *,
        profile_steps: int = 10,
    ) -> None:
        del show_dataflow, show_memory
        if profile_steps < 1:
            raise ValueError(f"`profile_steps` must be at least 1. Received: {profile_steps}.")
        self._when = _when.every(steps=save_steps, seconds=save_secs)
        self._output_dir = output_dir
        self._profile_steps = profile_steps
        self._stop_at: int | None = None

    def due(self, progress: Progress) -> int | None:
        """Returns where the next profile begins, or where the one under way ends."""
        return self._stop_at if self._stop_at is not None else self._when.next_step(progress)

    def act(self, run: Run) -> None:
        """Begins or ends a profile."""
        if self._stop_at is not None and run.step >= self._stop_at:
            self._stop(run)
        elif self._stop_at is None and self._when.is_due(run.progress):
            self._when.done(run.progress)
            tf.profiler.experimental.start(self._output_dir or run.model_dir)
            self._stop_at = run.step + self._profile_steps

    def end(self, run: Run) -> None:
        """Ends a profile that is under way."""
        if self._stop_at is not None:
            self._stop(run)

    def _stop(self, run: Run) -> None:
        tf.profiler.experimental.stop()
        self._stop_at = None
        logger.info("Wrote a profile of the steps up to %d to %s.", run.step, self._output_dir or run.model_dir)


class FinalOpsHook(Hook):
    """Keeps values of the last step.

    Args:
      final_ops: a tensor of the model_fn, or a list or dict of them; the hook belongs into
        `EstimatorSpec(training_hooks=...)`.
      final_ops_feed_dict: not used: nothing is fed.

    Attributes:
      final_ops_values: the values after the end, as `final_ops` was given.

    Example:
      >>> hook = FinalOpsHook({"total": tf.constant(1.0)})
    """

    def __init__(self, final_ops: Any, final_ops_feed_dict: Any = None) -> None:
        del final_ops_feed_dict
        self._final_ops = dict(final_ops) if isinstance(final_ops, Mapping) else final_ops
        self._keys = tf.nest.pack_sequence_as(self._final_ops, list(map(str, range(len(tf.nest.flatten(final_ops))))))
        self.step_tensors = dict(zip(tf.nest.flatten(self._keys), tf.nest.flatten(self._final_ops), strict=True))
        self.final_ops_values: Any = None

    def end(self, run: Run) -> None:
        """Takes the values."""
        values = run.logged(self)
        self.final_ops_values = tf.nest.map_structure(lambda key: values.get(key), self._keys)


class GlobalStepWaiterHook(Hook):
    """Waits until the global step reaches a value, before the first step: lets workers begin one after the other.

    Args:
      wait_until_step: the global step to wait for, as written in the newest checkpoint of the model_dir.
      poll_secs: seconds between two looks.

    Example:
      >>> hook = GlobalStepWaiterHook(wait_until_step=0)
    """

    def __init__(self, wait_until_step: int, *, poll_secs: float = 0.5) -> None:
        self._wait_until_step = wait_until_step
        self._poll_secs = poll_secs

    def begin(self, run: Run) -> None:
        """Waits."""
        while (
            self._wait_until_step > 0
            and run.step < self._wait_until_step
            and saved_step(run.model_dir) < self._wait_until_step
        ):
            logger.info("Waiting for global step %d before starting training.", self._wait_until_step)
            time.sleep(self._poll_secs)


def saved_step(model_dir: str) -> int:
    """Returns the global step of the newest checkpoint; -1 if there is none."""
    latest = tf.train.latest_checkpoint(model_dir)
    return -1 if latest is None else int(np.asarray(as_number(tf.train.load_variable(latest, "global_step"))))
