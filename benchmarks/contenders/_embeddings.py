"""One embedding column, of tables from small to large: the same model and rows for all contenders.

The sizes train side by side, each in a process of its own, and take turns of some steps: where a machine is faster at
one time than at another, it is so for all sizes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import _measure
import numpy as np
import numpy.typing as npt

BATCH_SIZE, DIMENSION, ROWS = 256, 16, 51_200
SIZES = {"10k": 10_000, "1m": 1_000_000, "4m": 4_000_000}
# A size's steps are so many turns, or fewer and longer ones; the first quarter warms up.
_TURNS, _STEPS = 80, 10


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments that all contenders take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--optimizer", default="Adagrad", help="name of the optimizer")
    parser.add_argument("--steps", type=int, default=400, help="steps for each size of the table")
    parser.add_argument("--size", choices=SIZES, help="train this size, a turn for each line of the standard input")
    return parser


def rows(buckets: int) -> tuple[dict[str, npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Returns ids, uniform over the table, and labels."""
    random = np.random.default_rng(buckets)
    return {"id": random.integers(0, buckets, ROWS)}, random.integers(0, 2, ROWS)


def steps_of_turn(steps: int) -> int:
    """Returns how many of `steps` training steps make a turn."""
    return max(_STEPS, steps // _TURNS)


def run(train: Callable[[int, int, Callable[[int], None]], Any], arguments: argparse.Namespace) -> None:
    """Trains the size that is asked for; without one, all sizes in processes of their own, and reports their figures.

    Args:
      train: `train(buckets, steps, noted)` trains a new model and calls `noted` with the number of steps done.
      arguments: those of `parser`.
    """
    if arguments.size is None:
        _measure.report(_side_by_side())
    else:
        train(SIZES[arguments.size], arguments.steps, _Turns(steps_of_turn(arguments.steps)).noted)


class _Turns:
    """Lets a training go on for a turn at each line, and prints the milliseconds that a step of the turn took."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._begin(0)

    def _begin(self, done: int) -> None:
        sys.stdin.readline()
        self._first, self._began = done, time.perf_counter()

    def noted(self, done: int) -> None:
        """Ends a turn if its steps are done."""
        if done - self._first >= self._steps:
            spent = time.perf_counter() - self._began
            print(1000.0 * spent / (done - self._first), flush=True)
            self._begin(done)


def _side_by_side() -> dict[str, float]:
    """Returns the median milliseconds per step of each size, and of how many times longer the largest took in a turn.

    Raises:
      RuntimeError: a process failed.
    """
    processes = [
        subprocess.Popen([sys.executable, *sys.argv, "--size", name], stdin=-1, stdout=-1, text=True) for name in SIZES
    ]
    turns: list[list[float]] = []
    while all(lines := [_turn(process) for process in processes]):
        turns.append([float(line) for line in lines])
    for process in processes:
        process.communicate()
    failed = [name for name, process in zip(SIZES, processes, strict=True) if process.returncode]
    if failed or not turns:
        raise RuntimeError(f"The processes of sizes {failed} have failed after {len(turns)} turns.")
    counted = turns[len(turns) // 4 :]
    found = {
        f"ms_{name}": statistics.median(each) for name, each in zip(SIZES, zip(*counted, strict=True), strict=True)
    }
    return {**found, "growth": statistics.median(each[-1] / each[0] for each in counted)}


def _turn(process: subprocess.Popen[str]) -> str:
    """Returns the line in which a process says what a turn took, and lets it wait; '' if it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()
