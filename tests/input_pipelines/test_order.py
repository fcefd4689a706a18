"""The order of rows: no state, no rows lost or doubled, the same place reached by jumping as by walking."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from headway import input_pipelines
from headway.input_pipelines import Pipeline


def _rows(pipeline: Pipeline, start: int = 0, most: int | None = None) -> list[list[int]]:
    return [rows.numpy().tolist() for rows in itertools.islice(pipeline.elements(start), most)]


def _table(rows: int, **options: object) -> Pipeline:
    return input_pipelines.from_arrays({"x": np.arange(rows)}, np.arange(rows) * 10, **options)  # type: ignore[arg-type]


def test_batches_are_in_row_order_and_keep_epochs_apart() -> None:
    assert _rows(_table(5, batch_size=2, num_epochs=2)) == [[0, 1], [2, 3], [4], [0, 1], [2, 3], [4]]


def test_short_batches_can_be_dropped() -> None:
    pipeline = _table(5, batch_size=2, num_epochs=2, drop_remainder=True)
    assert _rows(pipeline) == [[0, 1], [2, 3], [0, 1], [2, 3]]
    assert pipeline.element_spec[0]["x"].shape == [2]


_CASES = {
    "row order, one epoch": {"rows": 7, "batch_size": 3},
    "shuffled, short batches, epochs": {"rows": 7, "batch_size": 3, "shuffle": True, "num_epochs": 3, "seed": 4},
    "shuffled, full batches": {"rows": 6, "batch_size": 3, "shuffle": True, "num_epochs": 2, "seed": 4},
    "shuffled, dropped": {"rows": 7, "batch_size": 3, "shuffle": True, "num_epochs": 3, "drop_remainder": True},
    "one batch an epoch": {"rows": 2, "batch_size": 5, "shuffle": True, "num_epochs": 4, "seed": -1},
    "shard with an empty batch": {"rows": 9, "batch_size": 4, "shuffle": True, "num_epochs": 2, "shard": (2, 1)},
    "shard of three": {"rows": 10, "batch_size": 2, "shuffle": True, "num_epochs": 2, "shard": (3, 2)},
    "shard without rows": {"rows": 1, "batch_size": 2, "num_epochs": 2, "shard": (2, 1)},
}


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES.keys())
def test_starting_at_a_batch_gives_the_tail_of_the_whole_run(case: dict[str, object]) -> None:
    options = dict(case)
    shard = options.pop("shard", None)
    pipeline = _table(options.pop("rows"), **options)  # type: ignore[arg-type]
    if shard is not None:
        pipeline = pipeline.shard(*shard)  # type: ignore[misc]
    whole = _rows(pipeline)
    assert len(whole) == pipeline.num_batches
    for start in range(len(whole) + 2):
        assert _rows(pipeline, start) == whole[start:]


def test_an_endless_pipeline_starts_anywhere() -> None:
    pipeline = _table(10, batch_size=4, shuffle=True, num_epochs=None, seed=1)
    assert pipeline.num_batches is None
    far = _rows(pipeline, 3 * 10**9, 3)  # the first batch of epoch 10**9
    assert sorted(itertools.chain.from_iterable(far)) == list(range(10))
    assert int(pipeline.elements().cardinality()) == tf.data.INFINITE_CARDINALITY


def test_each_epoch_is_another_permutation_of_all_rows() -> None:
    rows = _rows(_table(50, batch_size=50, shuffle=True, num_epochs=4, seed=3))
    assert all(sorted(epoch) == list(range(50)) for epoch in rows)
    assert len({tuple(epoch) for epoch in rows}) == 4


def test_the_order_is_a_function_of_the_seed() -> None:
    first = _table(50, shuffle=True, seed=3)
    assert _rows(first) == _rows(_table(50, shuffle=True, seed=3)) == _rows(first.with_seed(3))
    assert _rows(first) != _rows(first.with_seed(4))
    assert first.with_seed(4).seed == 4
    assert first.fresh() is first


def test_without_a_seed_each_pass_has_its_own_order_and_a_seed_repeats_it() -> None:
    pipeline = _table(50, shuffle=True)
    one, two = pipeline(), pipeline()
    assert len({pipeline.seed, one.seed, two.seed}) == 3
    assert one.seed is not None
    assert _rows(one) != _rows(two)
    assert _rows(pipeline.with_seed(one.seed)) == _rows(one)
    assert one.fingerprint == two.fingerprint


def test_the_drawn_seed_follows_that_of_tensorflow() -> None:
    seeds = []
    for _ in range(2):
        tf.random.set_seed(11)
        seeds.append([_table(5, shuffle=True).seed for _ in range(2)])
    assert seeds[0] == seeds[1]
    assert seeds[0][0] != seeds[0][1]


def test_all_permutations_are_equally_likely() -> None:
    rows = _rows(_table(3, batch_size=3, shuffle=True, num_epochs=1200, seed=0))
    counts = [rows.count(list(order)) for order in itertools.permutations(range(3))]
    # 1200 draws of 6 orders: 200 each. chi2 with 5 degrees of freedom exceeds 20.5 for one seed in 1000.
    assert sum((count - 200) ** 2 / 200 for count in counts) < 20.5


@pytest.mark.parametrize("shards", [2, 3, 7])
@pytest.mark.parametrize("drop", [False, True])
def test_shards_are_disjoint_cover_all_and_have_equally_many_batches(shards: int, drop: bool) -> None:
    whole = _table(23, batch_size=3, shuffle=True, num_epochs=1, drop_remainder=drop)
    parts = [_rows(whole.shard(shards, index)) for index in range(shards)]
    rows = [row for part in parts for batch in part for row in batch]
    assert len(rows) == len(set(rows))
    assert len({len(part) for part in parts}) == 1
    if drop:
        # Each shard has at least 23 // shards rows, of which it uses whole batches of 3.
        assert len(rows) == shards * (23 // shards // 3 * 3)
    else:
        assert sorted(rows) == list(range(23))
    assert sum(whole.shard(shards, index).num_rows or 0 for index in range(shards)) == 23


def test_an_input_context_shards() -> None:
    pipeline = _table(5, batch_size=5)
    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=1, num_replicas_in_sync=2)
    assert _rows(pipeline(input_context=context)) == [[1, 3]]
    alone = tf.distribute.InputContext(num_input_pipelines=1, input_pipeline_id=0, num_replicas_in_sync=2)
    assert _rows(pipeline("train", {}, None, alone)) == [[0, 1, 2, 3, 4]]


def test_what_changes_the_meaning_of_a_position_changes_the_fingerprint() -> None:
    base = _table(20, batch_size=4, shuffle=True, seed=1)
    same = [_table(20, batch_size=4, shuffle=True, seed=2), _table(20, batch_size=4, shuffle=True, num_epochs=None)]
    other = [
        _table(21, batch_size=4, shuffle=True),
        _table(20, batch_size=5, shuffle=True),
        _table(20, batch_size=4),
        _table(20, batch_size=4, shuffle=True, drop_remainder=True),
        base.shard(2, 0),
    ]
    assert {pipeline.fingerprint for pipeline in same} == {base.fingerprint}
    assert all(pipeline.fingerprint != base.fingerprint for pipeline in other)
