"""Statistics of one pass: right, mergeable, bounded."""

from __future__ import annotations

import numpy as np
import pytest

from headway.feature_columns._statistics import Counts, Moments, Quantiles


@pytest.mark.parametrize("parts", [1, 7, 100])
def test_moments_of_parts_are_those_of_the_whole(parts: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal([1e6, -3.0], [1.0, 50.0], (1000, 2))
    values[rng.random((1000, 2)) < 0.1] = np.nan
    merged = Moments(2)
    for part in np.array_split(values, parts):
        one = Moments(2)
        one.add(part)
        merged.merge(one)
    np.testing.assert_allclose(merged.mean, np.nanmean(values, 0), rtol=1e-13)
    np.testing.assert_allclose(merged.variance, np.nanvar(values, 0), rtol=1e-9)
    np.testing.assert_array_equal(merged.count, (~np.isnan(values)).sum(0))
    np.testing.assert_array_equal([merged.smallest, merged.largest], [np.nanmin(values, 0), np.nanmax(values, 0)])


def test_moments_of_nothing() -> None:
    moments = Moments(1)
    moments.add(np.empty((0, 1)))
    assert (moments.rows, moments.count.tolist(), moments.variance.tolist()) == (0, [0], [0.0])


def test_few_numbers_have_exact_quantiles() -> None:
    sketch = Quantiles()
    sketch.add(np.array([5.0, 1.0, np.nan, 4.0, 2.0, 3.0, 8.0]))
    # Of 1 2 3 4 5 8: cuts before the value number 6 / 3 = 2 and number 4, counted from 0.
    assert sketch.cuts(3) == [3.0, 5.0]
    assert sketch.count == 6


@pytest.mark.parametrize(
    ("values", "cuts"),
    [([1.0] * 10, [1.0]), ([0.0] * 9 + [7.0], [7.0]), ([0.0] * 5 + [1.0] * 5, [1.0]), ([], [])],
)
def test_ties(values: list[float], cuts: list[float]) -> None:
    sketch = Quantiles()
    sketch.add(np.array(values))
    assert sketch.cuts(2) == cuts


@pytest.mark.parametrize("order", ["random", "rising", "falling"])
def test_many_numbers_have_quantiles_within_the_stated_error_in_bounded_memory(order: str) -> None:
    count, size = 2_000_000, 2048
    values = np.arange(float(count))
    values = {"rising": values, "falling": values[::-1], "random": np.random.default_rng(2).permutation(values)}[order]
    left, right = Quantiles(size), Quantiles(size)
    for number, part in enumerate(np.array_split(values, 400)):
        (left if number % 3 else right).add(part)
    left.merge(right)
    assert left.count == count
    # The value is its own rank. Six standard deviations of 1.4 / size.
    cuts = np.array(left.cuts(10))
    assert np.abs(cuts - count * np.arange(1, 10) / 10).max() < 6 * 1.4 / size * count
    held = sum(len(level) for level in left._levels)
    assert held < size * (1 + np.log2(count / size))


def test_counts_beyond_capacity_are_off_by_no_more_than_they_say() -> None:
    rng = np.random.default_rng(3)
    words = rng.zipf(1.3, 20_000) % 5000
    values, counts = np.unique(words, return_counts=True)
    true = dict(zip(values.tolist(), counts.tolist(), strict=True))
    left, right = Counts(200), Counts(200)
    for number, part in enumerate(np.array_split(words, 50)):
        (left if number % 2 else right).add(*(array.tolist() for array in np.unique(part, return_counts=True)))
    left.merge(right)
    assert left.total == 20_000
    assert left.distinct <= 2 * 200
    # Misra and Gries: at most total / (capacity + 1), in each of the two.
    assert 0 < left.error <= 2 * 20_000 / 201
    kept = set(left.most_frequent())
    assert all(value in kept for value, count in true.items() if count > left.error)
