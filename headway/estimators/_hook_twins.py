"""TensorFlow's own session hooks, as the headway hooks that do the same without a session."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from headway import _tensorflow_v1
from headway.estimators import _classic_hooks as classic
from headway.estimators._hooks import TWINS, Hook, Run
from headway.estimators._needs_graph import NeedsGraph

_train = tf.compat.v1.train


class _SummarySaver(classic.SummarySaverHook):
    """Writes to the model_dir; a hook that writes elsewhere is refused."""

    def __init__(self, folder: str | None, **cadence: Any) -> None:
        super().__init__(**cadence)
        self._folder = folder

    def begin(self, run: Run) -> None:
        """Checks the directory."""
        if self._folder is not None and os.path.abspath(self._folder) != os.path.abspath(run.model_dir):
            raise NeedsGraph(f"a SummarySaverHook writes to {self._folder!r}, which is not the model_dir")
        super().begin(run)


def _settings(hook: Any, names: Iterable[str] = ()) -> dict[str, Any]:
    return _tensorflow_v1.hook_settings(hook, names)


def _cadence(hook: Any, prefix: str) -> dict[str, Any]:
    timer = _settings(hook, ["timer"])
    return {f"{prefix}_steps": timer["every_steps"], f"{prefix}_secs": timer["every_secs"]}


def _logging(hook: Any) -> Hook:
    found = _settings(hook, ["tensors", "timer", "formatter", "log_at_end"])
    return classic.LoggingTensorHook(
        found["tensors"],
        every_n_iter=found["every_steps"],
        every_n_secs=found["every_secs"],
        at_end=found["log_at_end"],
        formatter=found["formatter"],
    )


def _checkpoint_saver(hook: Any) -> Hook:
    found = _settings(hook, ["checkpoint_dir", "save_path", "listeners"])
    return classic.CheckpointSaverHook(
        found["checkpoint_dir"],
        checkpoint_basename=os.path.basename(found["save_path"]),
        listeners=found["listeners"],
        **_cadence(hook, "save"),
    )


def _stop_at_step(hook: Any) -> Hook:
    found = _settings(hook, ["num_steps", "last_step"])
    # A hook that has run before has worked out its last step.
    return classic.StopAtStepHook(**found if found["num_steps"] is None else {"num_steps": found["num_steps"]})


def _profiler(hook: Any) -> Hook:
    folder = os.path.dirname(_settings(hook, ["output_file"])["output_file"])
    return classic.ProfilerHook(output_dir=folder, **_cadence(hook, "save"))


TWINS.update(
    {
        _train.StopAtStepHook: _stop_at_step,
        _train.NanTensorHook: lambda hook: classic.NanTensorHook(**_settings(hook, ["fail_on_nan_loss"])),
        _train.LoggingTensorHook: _logging,
        _train.StepCounterHook: lambda hook: classic.StepCounterHook(
            **_cadence(hook, "every_n"), **_settings(hook, ["output_dir"])
        ),
        _train.SummarySaverHook: lambda hook: _SummarySaver(
            _settings(hook, ["output_dir"])["output_dir"], **_cadence(hook, "save")
        ),
        _train.CheckpointSaverHook: _checkpoint_saver,
        _train.ProfilerHook: _profiler,
        _train.GlobalStepWaiterHook: lambda hook: classic.GlobalStepWaiterHook(**_settings(hook, ["wait_until_step"])),
    }
)
