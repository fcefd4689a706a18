"""The numbers of many batches' rows at once are those that the batches have one by one."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import input_pipelines
from headway.input_pipelines import _row_numbers
from headway.input_pipelines._memory import MemoryPipeline
from headway.input_pipelines._row_numbers import RowNumbers

_MOST = 17


def _pipeline(joined: bool = False, shards: int = 1, **options: Any) -> MemoryPipeline:
    pipeline = input_pipelines.from_arrays({"x": np.arange(23.0)}, batch_size=5, seed=3, **options)
    assert isinstance(pipeline, MemoryPipeline)
    pipeline = pipeline.joined() if joined else pipeline
    return pipeline if shards == 1 else pipeline.shard(shards, shards - 1)


def _one_by_one(numbers: RowNumbers | None, at_once: list[int]) -> list[list[int]]:
    """Takes batches in calls of these sizes, again and again, until the end or until there are enough."""
    assert numbers is not None
    taken: list[list[int]] = []
    for count in itertools.cycle(at_once):
        sizes, rows = numbers.of_next(count)
        assert sizes.dtype == rows.dtype == np.int64
        assert len(sizes) <= count
        assert sizes.sum() == len(rows)
        taken += [part.tolist() for part in np.split(rows, np.cumsum(sizes))[:-1]]
        numbers.advance(len(sizes))
        if not len(sizes) or len(taken) >= _MOST:
            assert len(sizes) or numbers.at_end
            return taken[:_MOST]
    raise AssertionError


@pytest.mark.parametrize("start", [0, 1, 4, 5, 9])
@pytest.mark.parametrize("num_epochs", [None, 1, 3])
@pytest.mark.parametrize(
    ("joined", "shards", "drop_remainder", "shuffle"),
    [
        (False, 1, False, True),
        (False, 1, True, True),
        (False, 1, False, False),
        (True, 1, False, True),
        (True, 1, True, True),
        (False, 2, False, True),
        (False, 6, False, True),  # the last batch of this shard is empty in no epoch, that of others is short
        (False, 4, True, False),
    ],
)
def test_the_numbers_are_those_of_the_elements(
    joined: bool, shards: int, drop_remainder: bool, shuffle: bool, num_epochs: int | None, start: int
) -> None:
    pipeline = _pipeline(joined, shards, drop_remainder=drop_remainder, shuffle=shuffle, num_epochs=num_epochs)
    expected = [element.numpy().tolist() for element in itertools.islice(pipeline.elements(start), _MOST)]
    for at_once in ([1], [2, 1, 7], [100]):
        assert _one_by_one(pipeline.row_numbers(start), at_once) == expected


def test_the_spec_is_that_of_an_element() -> None:
    for drop_remainder in (False, True):
        pipeline = _pipeline(shuffle=True, num_epochs=1, drop_remainder=drop_remainder)
        numbers = pipeline.row_numbers()
        assert numbers is not None
        assert numbers.element_spec == pipeline.elements().element_spec


def test_batches_that_are_not_consumed_come_again() -> None:
    numbers = _pipeline(shuffle=False, num_epochs=1).row_numbers()
    assert numbers is not None
    assert numbers.of_next(2)[1].tolist() == list(range(10))
    numbers.advance(1)
    assert numbers.of_next(2)[1].tolist() == list(range(5, 15))


def test_one_call_takes_no_more_rows_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_row_numbers, "_MOST_ROWS", 12)
    numbers = _pipeline(shuffle=False, num_epochs=1).row_numbers()
    assert numbers is not None
    assert numbers.of_next(100)[0].tolist() == [5, 5]  # 12 rows hold two batches of five
    monkeypatch.setattr(_row_numbers, "_MOST_ROWS", 3)
    assert numbers.of_next(100)[0].tolist() == [5]


def test_pipelines_of_other_elements_have_no_row_numbers() -> None:
    lazily = input_pipelines.from_tensors({"x": tf.range(3)})
    assert lazily.row_numbers() is None


@pytest.mark.parametrize(("rows", "most"), [(1, 200), (5, 200), (300, 70), (9000, 4)])
def test_epochs_that_are_ordered_together_are_those_of_the_elements(rows: int, most: int) -> None:
    pipeline = input_pipelines.from_arrays(
        {"x": np.arange(rows)}, batch_size=rows, shuffle=True, num_epochs=None, seed=3
    )
    assert isinstance(pipeline, MemoryPipeline)
    for start in (0, 3):
        numbers = pipeline.row_numbers(start)
        assert numbers is not None
        taken = numbers.of_next(most)[1].reshape(most, rows)
        expected = [element.numpy() for element in itertools.islice(pipeline.elements(start), most)]
        np.testing.assert_array_equal(taken, expected)


_OUTLIVING = """
import threading, time
from headway.input_pipelines._order import RowOrder
from headway.input_pipelines._row_numbers import RowNumbers

numbers = RowNumbers(RowOrder(4, batch_size=4, shuffle=True, num_epochs=None, drop_remainder=False, seed=0), start=0)
numbers.of_next(1)

def later():
    threading.main_thread().join()
    print(sorted(numbers.of_next(500)[1].tolist()) == sorted(500 * [0, 1, 2, 3]))

threading.Thread(target=later).start()
"""


def test_a_thread_may_outlive_the_main_thread() -> None:
    done = subprocess.run([sys.executable, "-c", _OUTLIVING], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "True", done.stderr
