"""One embedding column, of tables from small to large: the same model and rows for all contenders."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

BATCH_SIZE, DIMENSION, ROWS = 256, 16, 51_200
SIZES = {"10k": 10_000, "1m": 1_000_000, "4m": 4_000_000}


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments that all contenders take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--optimizer", default="Adagrad", help="name of the optimizer")
    parser.add_argument("--steps", type=int, default=400, help="steps for each size of the table")
    return parser


def rows(buckets: int) -> tuple[dict[str, npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Returns ids, uniform over the table, and labels."""
    random = np.random.default_rng(buckets)
    return {"id": random.integers(0, buckets, ROWS)}, random.integers(0, 2, ROWS)


def figures(train: Callable[[int, int, Callable[[int], None]], Any], steps: int) -> dict[str, float]:
    """Returns milliseconds per step for each size, and how many times the largest takes longer than the smallest.

    Args:
      train: `train(buckets, steps, noted)` trains a new model and calls `noted` with the number of steps done.
      steps: number of steps; the first quarter is not counted.
    """
    found: dict[str, float] = {}
    for name, buckets in SIZES.items():
        marks: list[tuple[int, float]] = []

        def noted(done: int, marks: list[tuple[int, float]] = marks) -> None:
            if done >= steps // 4:
                marks.append((done, time.perf_counter()))

        train(buckets, steps, noted)
        (first, began), (last, ended) = marks[0], marks[-1]
        found[f"ms_{name}"] = 1000.0 * (ended - began) / (last - first)
    return {**found, "growth": found["ms_4m"] / found["ms_10k"]}
