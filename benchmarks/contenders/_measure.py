"""What all contenders measure with: marks while training, rates, memory, one line of JSON.

Contenders run in two environments. This file, like all in this folder, needs Python 3.10, and TensorFlow only where a
contender imports it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Noted = Callable[[int], None]
"""Is called with the number of steps done in this call of `train`, after the first one and every now and then."""


class Marks:
    """Points in time at which a number of steps was done.

    Args:
      warm_up: marks before this number of steps do not count for the rate.
    """

    def __init__(self, warm_up: int) -> None:
        self._warm_up = warm_up
        self._marks: list[tuple[float, float, int]] = []

    def add(self, steps: int) -> None:
        """Notes that `steps` steps are done now."""
        if steps >= self._warm_up:
            self._marks.append((time.perf_counter(), time.process_time(), steps))

    def figures(self) -> dict[str, float]:
        """Returns steps per second and processor time per step between the first mark and the last.

        Raises:
          ValueError: fewer than two marks were made after the warm-up.
        """
        if len(self._marks) < 2:
            raise ValueError(f"A rate needs two marks after {self._warm_up} steps. There are {len(self._marks)}.")
        (began, cpu_began, first), (ended, cpu_ended, last) = self._marks[0], self._marks[-1]
        steps = last - first
        return {
            "train_steps_per_s": steps / (ended - began),
            "cpu_ms_per_step": 1000.0 * (cpu_ended - cpu_began) / steps,
        }


class Contender(Protocol):
    """One way to train, evaluate and apply a model."""

    def train(self, steps: int, noted: Noted) -> None:
        """Makes `steps` further training steps, and calls `noted` after the first one and then evenly."""

    def evaluate(self) -> dict[str, float]:
        """Returns the metrics on the test rows."""

    def predict(self) -> None:
        """Makes predictions for the test rows."""


def train(contender: Contender, steps: int, *, warm_up: int, began: float) -> dict[str, float]:
    """Returns the rate of `steps` steps and the seconds from `began`, a `time.perf_counter()`, to the end of the first.

    Args:
      contender: what to measure.
      steps: number of steps.
      warm_up: steps before this one do not count for the rate.
      began: when the clock started.
    """
    marks = Marks(warm_up)
    figures: dict[str, float] = {}

    def noted(done: int) -> None:
        figures.setdefault("first_step_s", time.perf_counter() - began)
        marks.add(done)

    contender.train(steps, noted)
    return {**figures, **marks.figures()}


def rows_per_second(rows: int, work: Callable[[], object]) -> float:
    """Returns `rows` over the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return rows / (time.perf_counter() - began)


def twice(name: str, rows: int, work: Callable[[], object]) -> dict[str, float]:
    """Returns the rows per second of the first call of `work` and of the second one."""
    return {f"{name}_rows_per_s_{call}": rows_per_second(rows, work) for call in ("first", "again")}


def resident_mb() -> float:
    """Returns the memory that the process has in use now, in MB.

    Raises:
      OSError: the system has no /proc: only Linux has.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def memory(contender: Contender, evaluations: int) -> dict[str, float]:
    """Returns the resident memory after the fifth call of `evaluate` and after the last one, once a little is trained.

    Args:
      contender: what to measure.
      evaluations: number of calls, more than five.
    """
    contender.train(200, lambda done: None)
    resident = []
    for _ in range(evaluations):
        contender.evaluate()
        resident.append(resident_mb())
    settled, last = resident[4], resident[-1]
    return {"after_5_mb": settled, "after_last_mb": last, "growth_percent": 100.0 * (last / settled - 1.0)}


def peak_mb() -> float:
    """Returns the most memory that the process, or one that it has started, has had in use, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / unit


def report(figures: dict[str, float]) -> None:
    """Prints what a contender has measured: one line of JSON, the last one that it prints."""
    print(json.dumps({**figures, "peak_mb": peak_mb()}), flush=True)
