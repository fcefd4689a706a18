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
from headway.estimators._train_program import Mark, Stretch, TrainProgram
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
        summary = self._outputs.get("summary", b"")
        return bytes(summary if isinstance(summary, bytes) else summary.numpy())

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
            looking_back = [hook for hook in hooks if self._looks_back(hook)]
            while not self._is_over(last_step, interruption):
                due = self._stretch(hooks, looking_back, due_steps(hooks, self), last_step)
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

    def _stretch(
        self,
        hooks: Sequence[Hook],
        looking_back: Sequence[Hook],
        due: Sequence[int | None],
        last_step: int | None,
    ) -> Sequence[int | None]:
        """Makes the steps up to the first at which a hook wants control; returns which step is due for each hook."""
        at_once = [step for hook, step in zip(hooks, due, strict=True) if hook not in looking_back]
        targets = [step for step in at_once if step is not None]
        targets += [last_step] if last_step is not None else []
        wanted = max(1, min(targets, default=self.step + _LONGEST_STRETCH) - self.step)
        limit = self._in_step(last_step) if self._program.multi_worker else min(wanted, self._longest())
        limit = 1 if self._program.varying_rows else limit
        last = self.step + limit
        marks = self._marks(looking_back, last)
        record = marks.pop(last, False) or any(
            step is None or step <= last
            for hook, step in zip(hooks, due, strict=True)
            if hook.wants_summary and (step is None or hook not in looking_back)
        )
        began = time.monotonic()
        with readable_errors():
            stretch = self._program.run(
                self._source.iterator,
                self._source.tables,
                limit,
                record=record,
                marks=[Mark(step - self.step, marks[step]) for step in sorted(marks)],
            )
        seconds, begin = time.monotonic() - began, self.step
        self._look_back(looking_back, stretch, seconds)
        due = [hook.due(self.progress) if hook in looking_back else step for hook, step in zip(hooks, due, strict=True)]
        self._after(stretch, begin, seconds)
        return due

    def _looks_back(self, hook: Hook) -> bool:
        """Returns whether a hook can act later than the step that is due."""
        looks_back = self._program.keeps_marks and getattr(hook, "looks_back", False)
        # Metrics are those of all steps that were made.
        return looks_back and not (hook.wants_summary and self._program.metric_results())

    def _marks(self, looking_back: Sequence[Hook], last: int) -> dict[int, bool]:
        """Returns the steps up to `last` that hooks look back at, and whether these are to record summaries."""
        marks: dict[int, bool] = {}
        for hook in looking_back:
            for step in hook.due_until(self.progress, last):
                if not self.step < step <= last:
                    raise ValueError(
                        f"{type(hook).__name__}.due_until(progress, {last}) returned {step}, at step {self.step}. It "
                        f"must return steps from {self.step + 1} to {last} only."
                    )
                marks[step] = marks.get(step, False) or hook.wants_summary
        return marks

    def _look_back(self, looking_back: Sequence[Hook], stretch: Stretch, seconds: float) -> None:
        """Lets hooks act on the steps of a stretch before the last one, whose outputs were kept."""
        begin = self.progress
        for mark in stretch.marked:
            acting = [hook for hook in looking_back if hook.due_until(self.progress, mark.global_step)]
            self._outputs = mark.outputs
            passed = begin.seconds + seconds * mark.number / stretch.steps
            self.progress = Progress(mark.global_step, begin.first_step, passed)
            for hook in acting:
                hook.act(self)

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

    def _after(self, stretch: Stretch, begin: int, seconds: float) -> None:
        if stretch.steps:
            self._outputs = stretch.outputs
            self._seconds_per_step = max(seconds / stretch.steps, 1e-6)
        self._source.consumed += stretch.steps * self._program.local_replicas
        self.exhausted = stretch.exhausted
        step = stretch.global_step
        if stretch.nan_at >= 0:
            step = begin + stretch.nan_at + 1
        self.progress = Progress(step, self.progress.first_step, time.monotonic() - self._began)
        self._met_nan = stretch.nan_at >= 0
