"""When a hook acts: pure functions of progress, apart from what it does."""

from __future__ import annotations

import abc
import dataclasses


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
      step: the global step: number of training steps made on this model, earlier runs included.
      first_step: the global step at which this `train` call began.
      seconds: time since this `train` call began, in seconds.
    """

    step: int
    first_step: int
    seconds: float


class When(abc.ABC):
    """Says at which steps, or after how much time, something is due.

    One object belongs to one hook: it remembers when that hook has acted last.
    """

    @abc.abstractmethod
    def next_step(self, progress: Progress) -> int | None:
        """Returns the global step at which control is wanted next; None where no step can be named."""

    def steps_until(self, progress: Progress, last: int) -> list[int]:
        """Returns the steps up to `last` that can be named beforehand, if it is acted upon at each of them."""
        step = self.next_step(progress)
        # What is overdue is due after the next step.
        return [] if step is None or step > last else [max(step, progress.step + 1)]

    @abc.abstractmethod
    def is_due(self, progress: Progress) -> bool:
        """Tells whether it is time to act."""

    @abc.abstractmethod
    def done(self, progress: Progress) -> None:
        """Notes that the hook has acted."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Forgets when the hook has acted: a new run begins."""


class EverySteps(When):
    """Every `steps` steps: first after the first step, then `steps` after the last time.

    Args:
      steps: the distance, at least 1.

    Example:
      >>> when = EverySteps(3)
      >>> [step for step in range(1, 9) if when.is_due(p := Progress(step, 0, 0.0)) and (when.done(p) or True)]
      [1, 4, 7]
    """

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"`steps` must be at least 1. Received: {steps}.")
        self.steps = steps
        self._last: int | None = None

    def next_step(self, progress: Progress) -> int | None:
        """Returns the next step, counted from the last time."""
        return progress.first_step + 1 if self._last is None else self._last + self.steps

    def steps_until(self, progress: Progress, last: int) -> list[int]:
        """Returns the next step and all after it, up to `last`."""
        step = self.next_step(progress)
        return [] if step is None else list(range(max(step, progress.step + 1), last + 1, self.steps))

    def is_due(self, progress: Progress) -> bool:
        """Tells whether that step is reached."""
        step = self.next_step(progress)
        return step is not None and progress.step >= step

    def done(self, progress: Progress) -> None:
        """Counts from here."""
        self._last = progress.step

    def reset(self) -> None:
        """Counts from the first step of a run again."""
        self._last = None


class EverySeconds(When):
    """Every `seconds` seconds: first after the first step, then when the time has gone by, as soon as control returns.

    Args:
      seconds: the time between, at least 0.
    """

    def __init__(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"`seconds` must not be negative. Received: {seconds}.")
        self.seconds = seconds
        self._last: float | None = None

    def next_step(self, progress: Progress) -> int | None:
        """Returns the first step; after that, no step can be named."""
        return progress.first_step + 1 if self._last is None else None

    def is_due(self, progress: Progress) -> bool:
        """Tells whether the time has gone by."""
        return (
            progress.step > progress.first_step if self._last is None else progress.seconds >= self._last + self.seconds
        )

    def done(self, progress: Progress) -> None:
        """Counts from here."""
        self._last = progress.seconds

    def reset(self) -> None:
        """Counts from the first step of a run again."""
        self._last = None


class Never(When):
    """At no time."""

    def next_step(self, progress: Progress) -> int | None:
        """Returns None."""
        return None

    def is_due(self, progress: Progress) -> bool:
        """Returns False."""
        return False

    def done(self, progress: Progress) -> None:
        """Does nothing."""

    def reset(self) -> None:
        """Does nothing."""


def every(*, steps: int | None = None, seconds: float | None = None) -> When:
    """Returns the `When` for exactly one of the two cadences.

    Raises:
      ValueError: if both or none is given.
    """
    if (steps is None) == (seconds is None):
        raise ValueError(
            f"Exactly one of the cadences in steps and in seconds must be given. Received: steps={steps}, seconds="
            f"{seconds}."
        )
    return EverySteps(steps) if steps is not None else EverySeconds(float(seconds or 0.0))
