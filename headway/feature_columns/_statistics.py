"""Statistics of a column that one pass collects in bounded memory, and that may be merged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Moments:
    """Count, mean, variance, smallest and largest value of numbers, for each of `width` places of a row.

    Parts are merged by the formula of Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for
    computing sample variances"), which for parts of one value is Welford's (1962). NaN counts as missing.
    """

    def __init__(self, width: int) -> None:
        self.rows = 0
        self.count = np.zeros(width, np.int64)
        self.mean: Floats = np.zeros(width)
        self._squares: Floats = np.zeros(width)
        self.smallest: Floats = np.full(width, math.inf)
        self.largest: Floats = np.full(width, -math.inf)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Takes in a matrix `[rows, width]`."""
        part = Moments(len(self.mean))
        part.rows = len(values)
        values = values.astype(np.float64)
        present = ~np.isnan(values)
        part.count = present.sum(0)
        divisor = np.maximum(part.count, 1)
        part.mean = np.where(present, values, 0.0).sum(0) / divisor
        part._squares = (np.where(present, values - part.mean, 0.0) ** 2).sum(0)
        part.smallest = np.where(present, values, math.inf).min(0, initial=math.inf)
        part.largest = np.where(present, values, -math.inf).max(0, initial=-math.inf)
        self.merge(part)

    def merge(self, other: Moments) -> None:
        """Takes in what another one has collected."""
        total = np.maximum(self.count + other.count, 1)
        difference = other.mean - self.mean
        self._squares = self._squares + other._squares + difference**2 * self.count * other.count / total
        self.mean = self.mean + difference * other.count / total
        self.count = self.count + other.count
        self.rows += other.rows
        self.smallest = np.minimum(self.smallest, other.smallest)
        self.largest = np.maximum(self.largest, other.largest)

    @property
    def variance(self) -> Floats:
        """The mean squared distance from the mean (the population's variance)."""
        return self._squares / np.maximum(self.count, 1)


class Quantiles:
    """A sketch of the distribution of numbers, exact up to `size` values.

    The compactors of Karnin, Lang and Liberty (2016, "Optimal quantile approximation in streams",
    https://arxiv.org/abs/1603.05346) with one size for all levels: a level that is full is sorted, and every second
    value of it moves to the next level, where it stands for twice as many. The rank of a quantile is off by about
    `1.4 / size` of all values (one standard deviation), whatever their number; memory grows with its logarithm.
    """

    def __init__(self, size: int = 8192) -> None:
        self._size = size
        self._levels: list[Floats] = [np.empty(0)]
        self._random = np.random.default_rng(0)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Takes in numbers of any shape; NaN counts as missing."""
        flat = np.asarray(values, np.float64).ravel()
        self._push(0, flat[~np.isnan(flat)])

    def merge(self, other: Quantiles) -> None:
        """Takes in what another one has collected."""
        for level, values in enumerate(other._levels):
            self._push(level, values)

    def _push(self, level: int, values: Floats) -> None:
        while len(self._levels) <= level:
            self._levels.append(np.empty(0))
        held = np.concatenate([self._levels[level], values])
        if len(held) > self._size:
            held.sort()
            even = len(held) // 2 * 2
            self._push(level + 1, held[int(self._random.integers(2)) : even : 2])
            held = held[even:]
        self._levels[level] = held

    @property
    def count(self) -> int:
        """The number of values that were taken in."""
        return sum(len(values) << level for level, values in enumerate(self._levels))

    def cuts(self, parts: int) -> list[float]:
        """Returns the distinct values that cut the distribution into `parts` parts of about one size.

        Each part begins at its cut. Ties make fewer parts; no cut is the smallest value, before which nothing lies,
        unless all values are equal.
        """
        values = np.concatenate(self._levels)
        weights = np.concatenate([np.full(len(held), 1 << level) for level, held in enumerate(self._levels)])
        if not len(values):
            return []
        order = np.argsort(values, kind="stable")
        values, upto = values[order], np.cumsum(weights[order])
        # The value of rank floor(q * n), counted from 0, has that many values before it.
        ranks = np.arange(1, parts) * int(upto[-1]) // parts
        cuts = np.unique(values[np.searchsorted(upto, ranks, side="right")])
        return [float(cut) for cut in cuts if cut > values[0]] or [float(values[-1])]


class Counts:
    """How often each value occurs, exact while there are at most `capacity` distinct values.

    Beyond that the summary of Misra and Gries (1982, "Finding repeated elements"), in the form that can be merged
    (Agarwal et al. 2012, "Mergeable summaries"): rare values are dropped, and each count is too low by `error` at
    most.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[Any, int] = {}
        self.total = 0
        self.error = 0

    def add(self, values: Iterable[Any], counts: Iterable[int]) -> None:
        """Takes in values and how often each has been seen."""
        held = self._counts
        for value, count in zip(values, counts, strict=True):
            held[value] = held.get(value, 0) + count
            self.total += count
        # Twice the capacity, so that the sort below is rare.
        if len(held) > 2 * self._capacity:
            self._prune()

    def merge(self, other: Counts) -> None:
        """Takes in what another one has collected."""
        total = self.total + other.total
        self.error += other.error
        self.add(other._counts.keys(), other._counts.values())
        self.total = total

    def _prune(self) -> None:
        cut = sorted(self._counts.values(), reverse=True)[self._capacity]
        self._counts = {value: count - cut for value, count in self._counts.items() if count > cut}
        self.error += cut

    def most_frequent(self, min_frequency: int = 1, max_size: int | None = None) -> list[Any]:
        """Returns the values from the most frequent to the rarest; those of one frequency in their own order."""
        kept = [(value, count) for value, count in self._counts.items() if count + self.error >= min_frequency]
        kept.sort(key=lambda item: item[0])
        kept.sort(key=lambda item: item[1], reverse=True)
        return [value for value, _ in kept[:max_size]]

    @property
    def distinct(self) -> int:
        """The number of distinct values that are held."""
        return len(self._counts)
