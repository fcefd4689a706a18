"""Large tables go on huge pages: whole pages within their values, and nothing else."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc
from headway.estimators import _huge_pages

_PAGE = 1 << 21
_ROWS = 200_000  # of 16 floats each: 12.8 MB


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    made: list[tuple[int, int, int]] = []
    monkeypatch.setattr(_huge_pages, "_madvise", lambda: lambda *call: made.append(call))
    return made


def test_the_pages_lie_within_the_values(calls: list[tuple[int, int, int]]) -> None:
    large, small = tf.Variable(tf.ones([_ROWS, 16])), tf.Variable(tf.ones([100, 16]))
    address = np.asarray(memoryview(large.read_value())).ctypes.data
    thread = _huge_pages.advise([small, large])
    assert thread is not None
    thread.join()
    ((begin, length, advice),) = calls
    assert advice == 25  # MADV_COLLAPSE of linux/mman.h
    assert begin % _PAGE == length % _PAGE == 0
    assert address <= begin < address + _PAGE
    assert address + 4 * 16 * _ROWS - _PAGE < begin + length <= address + 4 * 16 * _ROWS


def test_training_asks_once_for_the_table_and_its_slots(calls: list[tuple[int, int, int]]) -> None:
    column = fc.embedding_column(fc.categorical_column_with_identity("id", _ROWS), 16)
    model = hw.DNNRegressor([2], [column], optimizer="Adagrad", config=hw.RunConfig(progress="none"))
    rows = hw.input_pipelines.from_arrays({"id": np.arange(8)}, np.ones(8), batch_size=4, num_epochs=None)
    model.train(rows, steps=2)
    for thread in threading.enumerate():
        if thread.name == "headway_huge_pages":
            thread.join()
    assert len(calls) == 2
    model.train(rows, steps=2)
    assert len(calls) == 2


def test_values_stay_as_they_are_where_the_system_has_huge_pages() -> None:
    values = np.random.default_rng(1).normal(size=[_ROWS, 16]).astype(np.float32)
    variable = tf.Variable(values)
    thread = _huge_pages.advise([variable])
    if thread is not None:
        thread.join()
    np.testing.assert_array_equal(variable.numpy(), values)
