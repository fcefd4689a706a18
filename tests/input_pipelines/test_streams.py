"""Datasets and tensors of the user's as pipelines."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines


def _squares() -> tf.data.Dataset:
    return tf.data.Dataset.range(10).map(lambda i: ({"x": i}, i * i)).batch(4)


def _labels(dataset: tf.data.Dataset) -> list[list[int]]:
    return [labels.tolist() for _, labels in dataset.as_numpy_iterator()]


def test_a_dataset_is_its_own_elements() -> None:
    pipeline = input_pipelines.from_dataset(_squares())
    assert _labels(pipeline.elements()) == _labels(pipeline.dataset()) == [[0, 1, 4, 9], [16, 25, 36, 49], [64, 81]]
    assert _labels(pipeline.elements(start=2)) == [[64, 81]]
    assert pipeline.tables() == pipeline.tables_spec == ()
    assert pipeline.num_batches == 3
    assert pipeline.num_rows is None
    assert pipeline.seed is None
    assert pipeline.with_seed(3) is pipeline.fresh() is pipeline() is pipeline
    assert pipeline.element_spec == _squares().element_spec
    assert "feature x" in pipeline.describe()


def test_a_mapped_function_leaves_the_labels() -> None:
    pipeline = input_pipelines.from_dataset(_squares()).map_batches(lambda features: {"y": features["x"] + 1})
    features, labels = next(iter(pipeline.elements(start=1)))
    assert features["y"].numpy().tolist() == [5, 6, 7, 8]
    assert labels.numpy().tolist() == [16, 25, 36, 49]
    assert list(pipeline.element_spec[0]) == ["y"]


def test_a_dataset_saves_its_iterator(tmp_path: pathlib.Path) -> None:
    pipeline = input_pipelines.from_dataset(_squares())
    iterator = iter(pipeline.elements())
    next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "position"))
    resumed = iter(pipeline.elements())
    tf.train.Checkpoint(iterator=resumed).read(path)
    assert pipeline.position_kind == "iterator"
    assert next(resumed)[1].numpy().tolist() == [16, 25, 36, 49]


@pytest.mark.parametrize(
    "make", [tf.data.Dataset.range, lambda rows: tf.data.Dataset.from_tensor_slices(list(range(rows)))]
)
def test_whether_a_source_can_be_saved_is_found_out_without_drawing_from_its_seeds(make: Any) -> None:
    def numbers() -> tf.data.Dataset:
        return make(8).shuffle(8, seed=1).repeat().batch(4)

    expected = [batch.tolist() for batch in numbers().take(6).as_numpy_iterator()]
    pipeline = input_pipelines.from_dataset(numbers()).map_batches(lambda batch: batch + 1)
    iterator = iter(pipeline.elements())
    seen = [next(iterator).numpy().tolist()]
    assert pipeline.why_not_savable() is None
    seen += [next(iterator).numpy().tolist() for _ in range(5)]
    assert seen == [[value + 1 for value in batch] for batch in expected]


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_source_with_a_state_of_its_own_cannot_be_saved(shuffled: bool) -> None:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), 0)
    numbers = tf.data.Dataset.range(8)
    sources = {
        "python": numbers.map(lambda value: tf.py_function(lambda one: one, [value], tf.int64)),
        "generator": tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=tf.TensorSpec([], tf.int64)),
        "in a branch": numbers.map(lambda value: tf.cond(value > 3, lambda: tf.random.uniform([]), lambda: 0.5)),
        "nothing": numbers.map(lambda value: tf.cond(value > 3, lambda: value, lambda: value + 1)),
        "table": tf.data.Dataset.from_tensors("a").map(table.lookup),
    }
    reasons = {}
    for name, source in sources.items():
        dataset = source.shuffle(2).batch(4) if shuffled else source.batch(4)
        pipeline = input_pipelines.from_dataset(dataset).map_batches(lambda batch: batch)
        reasons[name] = pipeline.why_not_savable()
    assert [name for name, reason in reasons.items() if reason is None] == ["nothing", "table"]
    assert all("stateful" in reason for reason in reasons.values() if reason is not None)


def _counted_up_to_three(x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda x: tf.reduce_min(x) < 3, lambda x: (x + 1,), (x,))[0]


@pytest.mark.parametrize(
    ("normalizer_fn", "expected"),
    [
        (lambda x: x * 2, [[[0], [2]], [[4], [6]]]),
        (lambda x: tf.cond(tf.reduce_sum(x) > 3, lambda: -x, lambda: x), [[[0], [1]], [[-2], [-3]]]),
        (_counted_up_to_three, [[[3], [4]], [[3], [4]]]),
        (tf.function(_counted_up_to_three), [[[3], [4]], [[3], [4]]]),
        (lambda x: tf.map_fn(lambda row: row + 1, x), [[[1], [2]], [[3], [4]]]),
    ],
    ids=["arithmetic", "branch", "loop", "loop in a function", "map_fn"],
)
def test_columns_are_mapped_in_order_whatever_their_functions_are_made_of(normalizer_fn: Any, expected: Any) -> None:
    transform = fc.ColumnTransform(fc.numeric_column("x", normalizer_fn=normalizer_fn))
    batches = tf.data.Dataset.from_tensor_slices({"x": [0.0, 1.0, 2.0, 3.0]}).batch(2)
    mapped = input_pipelines.from_dataset(batches).map_batches(transform).dataset()
    assert [next(iter(batch.values())).numpy().tolist() for batch in mapped] == expected


def test_columns_say_what_is_wrong_with_a_batch() -> None:
    transform = fc.ColumnTransform(fc.categorical_column_with_identity("x", 3))
    batches = tf.data.Dataset.from_tensors({"x": tf.constant([0.0, 0.5], tf.float64)})
    mapped = input_pipelines.from_dataset(batches).map_batches(transform).dataset()
    with pytest.raises(tf.errors.InvalidArgumentError, match="column x has a number that is not whole"):
        list(mapped)


@pytest.mark.parametrize(
    ("given", "calls", "expected"), [(None, 2, False), (None, tf.data.AUTOTUNE, None), (True, 2, True)]
)
def test_tf_data_tunes_mapped_batches_only_if_the_source_has_something_to_tune(
    given: bool | None, calls: int, expected: bool | None
) -> None:
    batches = tf.data.Dataset.range(4).map(lambda i: {"x": [i]}, num_parallel_calls=calls)
    if given is not None:
        options = tf.data.Options()
        options.autotune.enabled = given
        batches = batches.with_options(options)
    mapped = input_pipelines.from_dataset(batches).map_batches(lambda batch: batch).dataset()
    assert mapped.options().autotune.enabled is expected


def test_a_dataset_is_sharded_by_batches() -> None:
    pipeline = input_pipelines.from_dataset(_squares())
    parts = [_labels(pipeline.shard(2, index).dataset()) for index in range(2)]
    assert parts == [[[0, 1, 4, 9], [64, 81]], [[16, 25, 36, 49]]]
    assert pipeline.shard(2, 0).fingerprint != pipeline.fingerprint


def test_pipelines_of_one_spec_share_a_trace() -> None:
    one, two = (input_pipelines.from_dataset(_squares()) for _ in range(2))
    other = input_pipelines.from_dataset(tf.data.Dataset.range(4).batch(2))
    assert one.fetch_key == two.fetch_key != other.fetch_key


def test_tensors_are_one_batch_for_ever() -> None:
    pipeline = input_pipelines.from_tensors({"x": [1.0, 2.0]}, [0, 1])
    assert _labels(pipeline.elements(start=10**12).take(2)) == [[0, 1], [0, 1]]
    assert pipeline.position_kind == "index"
    assert pipeline.num_batches is None
    assert pipeline.shard(4, 3) is pipeline
    assert pipeline.fingerprint == "tensors"
    assert "one batch" in pipeline.describe()
    sparse = tf.sparse.from_dense([[1, 0]])
    alone = input_pipelines.from_tensors((sparse, tf.constant([1])))
    assert tf.sparse.to_dense(next(iter(alone.dataset()))[0]).numpy().tolist() == [[1, 0]]


def test_tuples_of_another_length_are_refused() -> None:
    triples = tf.data.Dataset.from_tensors((1, 2, 3))
    with pytest.raises(ValueError, match=r"input_fn should return \(features, labels\) as a len 2 tuple.*tuples of 3"):
        input_pipelines.from_dataset(triples)
