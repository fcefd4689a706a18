"""Rows taken late give the batches that rows taken early give."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway.input_pipelines._late_slices import with_late_slices

Dataset = tf.data.Dataset
ROWS = 23
TABLE = (
    {
        "number": np.arange(ROWS, dtype="float32"),
        "word": np.array([f"w{i}" for i in range(ROWS)]),
        "matrix": np.arange(ROWS * 6).reshape(ROWS, 2, 3),
    },
    np.arange(ROWS) % 2,
)


def rows() -> Dataset:
    return Dataset.from_tensor_slices(TABLE)


FASTER: dict[str, Callable[[], Dataset]] = {
    "in order": lambda: rows().batch(4),
    "shuffled": lambda: rows().shuffle(ROWS, seed=3).batch(4),
    "shuffled by a small buffer, for three epochs": lambda: rows().shuffle(5, seed=3).repeat(3).batch(4),
    "epochs shuffled alike": lambda: rows().shuffle(9, seed=3, reshuffle_each_iteration=False).repeat(2).batch(4),
    "shuffled across epochs": lambda: rows().repeat(2).shuffle(30, seed=1).batch(5, drop_remainder=True),
    "parts": lambda: rows().shard(2, 1).skip(2).take(7).batch(3),
    "batches shuffled": lambda: rows().batch(4).shuffle(3, seed=2).repeat(2),
    "prefetched": lambda: rows().prefetch(3).shuffle(7, seed=5).batch(4).prefetch(2),
    "of tensorflow 1": lambda: tf.compat.v1.data.Dataset.from_tensor_slices(TABLE).shuffle(9, seed=1).batch(4),
    "features alone": lambda: Dataset.from_tensor_slices(TABLE[0]).batch(4),
    "one tensor": lambda: Dataset.from_tensor_slices(TABLE[1]).batch(4),
}
# Epochs of this many rows are ordered as a whole.
MANY = 1_203
LONG_TABLE = ({"number": np.arange(MANY, dtype="float32")}, np.arange(MANY) % 7)


def many() -> Dataset:
    return Dataset.from_tensor_slices(LONG_TABLE)


BY_EPOCH: dict[str, Callable[[], Dataset]] = {
    "as users write it": lambda: many().shuffle(MANY, seed=1).repeat().batch(256).prefetch(2),
    "a small buffer": lambda: many().shuffle(100, seed=5).repeat(3).batch(100),
    "a buffer of one": lambda: many().shuffle(1, seed=5).repeat(2).batch(100),
    "a large buffer": lambda: many().shuffle(10 * MANY, seed=5).repeat(2).batch(100),
    "only full batches": lambda: many().shuffle(500, seed=2).repeat(3).batch(100, drop_remainder=True),
    "short batches in each epoch": lambda: many().shuffle(500, seed=2).batch(100).repeat(3),
    "full batches in each epoch": lambda: many().shuffle(500, seed=2).batch(100, drop_remainder=True).repeat(),
    "batches that fit": lambda: many().shuffle(500, seed=2).batch(MANY // 3).repeat(2),
    "batches of several epochs": lambda: many().shuffle(500, seed=2).repeat(5).batch(2 * MANY),
    "epochs alike": lambda: many().shuffle(MANY, seed=3, reshuffle_each_iteration=False).repeat(3).batch(100),
    "one epoch": lambda: many().shuffle(MANY, seed=3).batch(100),
    "in order": lambda: many().batch(100),
    "in order, for ever": lambda: many().repeat().batch(100),
    "no epoch": lambda: many().shuffle(MANY, seed=3).batch(100).repeat(0),
    "by the seed of the program": lambda: many().shuffle(MANY).repeat().batch(100),
    "of tensorflow 1": lambda: tf.compat.v1.data.Dataset.from_tensor_slices(LONG_TABLE).shuffle(9, seed=1).batch(4),
}
# Three epochs and more of the endless ones.
ENOUGH = 40

AS_THEY_ARE: dict[str, Callable[[], Dataset]] = {
    "not batched": rows,
    "batched twice": lambda: rows().batch(2).batch(2),
    "mapped before": lambda: rows().map(lambda x, y: (x["number"], y)).batch(4),
    "mapped after": lambda: rows().batch(4).map(lambda x, y: (x["number"], y)),
    "ragged": lambda: Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3]])).batch(2),
    "sparse": lambda: Dataset.from_tensor_slices(tf.sparse.eye(3)).batch(2),
    "of another source": lambda: Dataset.range(5).batch(2),
    "filtered": lambda: rows().filter(lambda x, y: y > 0).batch(2),
}


def batches(dataset: Dataset) -> list[Any]:
    return [[part.tolist() for part in tf.nest.flatten(batch)] for batch in dataset.as_numpy_iterator()]


@pytest.mark.parametrize("name", FASTER)
def test_the_same_batches(name: str) -> None:
    tf.random.set_seed(11)
    given = FASTER[name]()
    late = with_late_slices(given)
    assert late is not given
    assert late.element_spec == given.element_spec
    # The second pass of a shuffled dataset has another order than the first, in both alike.
    for _ in range(2):
        assert batches(late) == batches(given)
    assert int(late.cardinality()) == int(given.cardinality())


@pytest.mark.parametrize("name", BY_EPOCH)
def test_the_same_batches_from_epochs_ordered_as_a_whole(name: str) -> None:
    tf.random.set_seed(11)
    given = BY_EPOCH[name]()
    late = with_late_slices(given)
    assert late.element_spec == given.element_spec
    assert batches(late.take(ENOUGH)) == batches(given.take(ENOUGH))
    assert int(late.cardinality()) == int(given.cardinality())


@pytest.mark.parametrize("name", BY_EPOCH)
def test_the_place_in_epochs_ordered_as_a_whole_can_be_saved(name: str, tmp_path: pathlib.Path) -> None:
    tf.random.set_seed(11)
    late = with_late_slices(BY_EPOCH[name]())
    expected = batches(late.take(ENOUGH))
    for taken in (5, 12, 13):
        if taken < len(expected):
            iterator = iter(late)
            for _ in range(taken):
                next(iterator)
            path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / f"after_{taken}"))
            tf.random.set_seed(11)
            resumed = iter(with_late_slices(BY_EPOCH[name]()))
            tf.train.Checkpoint(iterator=resumed).read(path)
            rest = [[part.numpy().tolist() for part in tf.nest.flatten(batch)] for batch in _first(resumed, 14)]
            assert rest == expected[taken : taken + 14]


def _first(iterator: Any, count: int) -> list[Any]:
    return [batch for _, batch in zip(range(count), iterator, strict=False)]


def test_without_a_seed_an_epoch_that_was_interrupted_still_has_each_row_once(tmp_path: pathlib.Path) -> None:
    def make() -> Dataset:
        return with_late_slices(many().shuffle(MANY).batch(100).repeat())

    iterator = iter(make())
    seen = [next(iterator)[0]["number"].numpy() for _ in range(5)]
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "place"))
    # A new process draws other seeds.
    resumed = iter(make())
    tf.train.Checkpoint(iterator=resumed).read(path)
    seen += [next(resumed)[0]["number"].numpy() for _ in range(8)]
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(MANY))


def test_without_a_seed_epochs_and_datasets_have_orders_of_their_own() -> None:
    orders = [
        batch[0]["number"].numpy().tolist()
        for _ in range(2)
        for batch in with_late_slices(many().shuffle(MANY).repeat(2).batch(MANY))
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(MANY)) for order in orders)


def test_without_a_seed_each_pass_has_all_rows_in_an_order_of_its_own() -> None:
    late = with_late_slices(rows().shuffle(ROWS).batch(ROWS))
    numbers = [next(iter(late))[0]["number"].numpy() for _ in range(2)]
    for order in numbers:
        np.testing.assert_array_equal(np.sort(order), np.arange(ROWS))
    assert numbers[0].tolist() != numbers[1].tolist()


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_what_cannot_be_made_faster_stays(name: str) -> None:
    given = AS_THEY_ARE[name]()
    assert with_late_slices(given) is given


def test_options_stay() -> None:
    options = tf.data.Options()
    options.deterministic = False
    options.threading.private_threadpool_size = 3
    late = with_late_slices(rows().with_options(options).batch(4))
    assert late.options().deterministic is False
    assert late.options().threading.private_threadpool_size == 3


def test_the_place_in_it_can_be_saved(tmp_path: pathlib.Path) -> None:
    late = with_late_slices(rows().shuffle(8, seed=1).repeat(2).batch(4))
    iterator = iter(late)
    for _ in range(3):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "place"))
    expected = [part.numpy().tolist() for part in tf.nest.flatten(next(iterator))]
    resumed = iter(late)
    tf.train.Checkpoint(iterator=resumed).read(path)
    assert [part.numpy().tolist() for part in tf.nest.flatten(next(resumed))] == expected
