"""The training loop: stretches of steps on the device, and what happens between them.

begin every hook
while not stopped:
make steps on the device, up to the first step at which a hook wants control
let every hook act that is due
end every hook
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headway._log import logger
from headway.estimators import _signals
from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, Run, act_on, as_number, due_steps
from headway.estimators._readable import readable_errors
from headway.estimators._train_program import Stretch, TrainProgram
from headway.estimators._when import Progress

if TYPE_CHECKING:
    from headway.estimators._checkpoints import Checkpoint
    from headway.estimators._input import TrainingInput
    from headway.estimators._saving import Saver

# Control returns to Python about so often, in seconds, for the clock, for signals and for hooks without a fixed step.
_SECONDS_PER_STRETCH = 0.5
_LONGEST_STRETCH = 10_000


class TrainRun(Run):
    """One `train` call under way.

    Args:
      program: the prepared training program.
      source: where its batches come from.
      saver: writes checkpoints.
      events: the event file of training, or None.
      first_step: the global step now.
      steps_per_loop: "auto", or the largest number of steps in a stretch.
    """

    def __init__(
        self,
        program: TrainProgram,
        source: TrainingInput,
        saver: Saver,
        *,
        events: EventWriter | None,
        first_step: int,
        steps_per_loop: int | str,
    ) -> None:
        self.progress = Progress(first_step, first_step, 0.0)
        self.stop_reason: str | None = None
        self.exhausted = False
        self._program = program
        self._source = source
        self._saver = saver
        self._events = events
        self._steps_per_loop = steps_per_loop
        self._seconds_per_step = _SECONDS_PER_STRETCH
        self._outputs: dict[str, Any] = {}
        self._spec_hooks: list[Any] = []
        self._met_nan = False
        self._status = "running"
        self._interruption = _signals.Interruption()
        self._began = time.monotonic()

    @property
    def loss(self) -> float:
        return float(self._outputs["loss"]) if self._outputs else float("nan")

    @property
    def values(self) -> Mapping[str, Any]:
        rates = {name: as_number(value) for name, value in self._outputs.get("values", {}).items()}
        return {"loss": self.loss, "step": self.step, **rates}

    @property
    def met_nan(self) -> bool:
        return self._met_nan

    @property
    def last_checkpoint_text(self) -> str:
        last = self._saver.last
        return "No checkpoint was written." if last is None else f"The last good checkpoint is {last.path}."

    @property
    def events(self) -> EventWriter | None:
        return self._events

    @property
    def model_dir(self) -> str:
        return self._saver.model_dir

    def request_stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason

    def save(self) -> Checkpoint | None:
        status = "interrupted" if self._interruption else self._status
        checkpoint = self._saver.save(self.step, self._source, status)
        if self._saver.stop_requested:
            self.request_stop("a CheckpointSaverListener asked for it")
        return checkpoint

    def write_summary(self, serialized: bytes) -> None:
        if self._events is not None:
            self._events.serialized(serialized, self.step)

    def summary(self) -> bytes:
        """Returns the serialised `Summary` of the last step; empty if that step recorded none."""
        return bytes(self._outputs["summary"].numpy()) if "summary" in self._outputs else b""

    def take_metrics(self) -> Mapping[str, float]:
        with self._program.model.strategy.scope():
            results = {name: as_number(value) for name, value in self._program.metric_results().items()}
        self._program.model.store.reset_metrics(self._program.mode, only_keras=True)
        return {name: value for name, value in results.items() if isinstance(value, (int, float))}

    def logged(self, hook: Hook) -> Mapping[str, Any]:
        for i, owner in enumerate(self._spec_hooks):
            if owner is hook:
                return {name: as_number(value) for name, value in self._outputs["logged"].get(str(i), {}).items()}
        return {}

    def loop(self, hooks: Sequence[Hook], spec_hooks: Sequence[Any], last_step: int | None) -> None:
        """Trains until `last_step`, the end of the input, a hook's wish to stop, or a signal.

        Args:
          hooks: all hooks, in the order in which they act.
          spec_hooks: those among them that the model_fn returned, in the order of the program's outputs.
          last_step: the global step at which to stop, or None.
        """
        self._spec_hooks = list(spec_hooks)
        self._program.model.store.reset_metrics(self._program.mode)
        with _signals.caught() as interruption:
            self._interruption = interruption
            for hook in hooks:
                with contextlib.suppress(_signals.Interrupted):
                    hook.begin(self)
            while not self._is_over(last_step, interruption):
                due = due_steps(hooks, self)
                self._stretch(hooks, due, last_step)
                # A hook of the caller's may evaluate.
                with contextlib.suppress(_signals.Interrupted):
                    act_on(hooks, due, self)
        self._status = "ended"
        with interruption.heeded():
            for hook in hooks:
                with contextlib.suppress(_signals.Interrupted):
                    hook.end(self)
        if interruption:
            logger.warning("A signal ended training at step %d. %s", self.step, self.last_checkpoint_text)
            self._saver.close()
            interruption.raise_()

    def _is_over(self, last_step: int | None, interruption: _signals.Interruption) -> bool:
        reached = last_step is not None and self.step >= last_step
        return reached or self.exhausted or self.stop_reason is not None or bool(interruption)

    def _stretch(self, hooks: Sequence[Hook], due: Sequence[int | None], last_step: int | None) -> None:
        targets = [step for step in due if step is not None]
        targets += [last_step] if last_step is not None else []
        wanted = max(1, min(targets, default=self.step + _LONGEST_STRETCH) - self.step)
        limit = self._in_step(last_step) if self._program.multi_worker else min(wanted, self._longest())
        limit = 1 if self._program.varying_rows else limit
        last = self.step + limit
        wanting = [step for hook, step in zip(hooks, due, strict=True) if hook.wants_summary]
        record = any(step is None or step <= last for step in wanting)
        began = time.monotonic()
        with readable_errors():
            stretch = self._program.run(self._source.iterator, self._source.tables, limit, record=record)
        self._after(stretch, began)

    def _in_step(self, last_step: int | None) -> int:
        """Returns the length of a stretch that is the same in all workers, whatever hooks and clocks they have.

        Operations between workers meet by their iteration of the loop. Hooks act at the first end of a stretch after
        the step that they named.
        """
        steps = 1 if self._steps_per_loop == "auto" else int(self._steps_per_loop)
        limit = steps - (self.step - self.progress.first_step) % steps
        return limit if last_step is None else min(limit, last_step - self.step)

    def _longest(self) -> int:
        if self._steps_per_loop != "auto":
            return int(self._steps_per_loop)
        return max(1, min(_LONGEST_STRETCH, int(_SECONDS_PER_STRETCH / self._seconds_per_step)))

    def _after(self, stretch: Stretch, began: float) -> None:
        now = time.monotonic()
        if stretch.steps:
            self._outputs = stretch.outputs
            self._seconds_per_step = max((now - began) / stretch.steps, 1e-6)
        self._source.consumed += stretch.steps * self._program.local_replicas
        self.exhausted = stretch.exhausted
        step = int(self._program.model.store.global_step.numpy())
        if stretch.nan_at >= 0:
            step = self.progress.step + stretch.nan_at + 1
        self.progress = Progress(step, self.progress.first_step, now - self._began)
        self._met_nan = stretch.nan_at >= 0
