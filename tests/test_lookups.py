"""Lookups in several tables at once: their gradients are those of TensorFlow, and name each row once."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import _context, _gradients, _lookups
from headway import feature_columns as fc
from headway._piles import Layout
from headway.estimators import Estimator, EstimatorSpec, RunConfig, minimize

# Two columns of ids in the first table, one in the second, three in the third; a row of each table is never looked up.
WIDTHS, ROWS, UNITS = (2, 1, 3), (5, 3, 4), 2
RNG = np.random.default_rng(7)
TABLES = [RNG.normal(size=(rows, UNITS)).astype("float32") for rows in ROWS]
SCALE = RNG.normal(size=(sum(WIDTHS), 6, UNITS)).astype("float32")


def ids_of(batch: int) -> list[Any]:
    rng = np.random.default_rng(batch)
    return [rng.integers(0, rows - 1, (width, batch)) for width, rows in zip(WIDTHS, ROWS, strict=True)]


@pytest.mark.parametrize("batch", [6, 1, 0])
@pytest.mark.parametrize("also_direct", [False, True], ids=["looked up", "also read directly"])
def test_gradients(batch: int, also_direct: bool) -> None:
    ids = ids_of(batch)
    tables = [tf.Variable(table) for table in TABLES]
    step = tf.Variable(0, dtype=tf.int64)
    kinds = []

    @tf.function(autograph=False)
    def gradients() -> list[Any]:
        context = _context.StepContext("train", step, lambda _: True, records_lookups=True)
        with _context.entered(context):
            parts = [tf.constant(part, tf.int64) for part in ids]
            vectors = _lookups.stacked(tables, parts, tf.concat(parts, 0))
            loss = tf.reduce_sum(vectors * SCALE[:, :batch]) + tf.reduce_sum(tables[1]) * float(also_direct)
            found = _gradients.of_loss(loss, tables, context)
        kinds.extend(type(gradient) for gradient in found)
        return [tf.convert_to_tensor(gradient) for gradient in found]

    results = [gradient.numpy() for gradient in gradients()]
    first = 0
    for number, (part, table) in enumerate(zip(ids, TABLES, strict=True)):
        # The loss is a sum of products, so the gradient of a row is the sum of the factors where it was looked up.
        expected = np.full_like(table, float(also_direct and number == 1))
        np.add.at(expected, part, SCALE[first : first + len(part), :batch])
        np.testing.assert_allclose(results[number], expected, rtol=1e-5, atol=1e-6)
        first += len(part)
    assert kinds[0] is _lookups.DistinctRows


@pytest.mark.parametrize("batch", [6, 1, 0])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_gradients_of_rows_of_one_table(batch: int, times: int) -> None:
    ids = np.concatenate(ids_of(batch)[:1])[0]
    table, counter = tf.Variable(TABLES[0]), tf.Variable(0, dtype=tf.int64)
    kinds = []

    @tf.function(autograph=False)
    def step() -> tuple[tf.Tensor, tf.Tensor]:
        context = _context.StepContext("train", counter, lambda _: True, records_lookups=True)
        with _context.entered(context):
            found = [_lookups.rows(table, tf.constant(ids, tf.int64)) for _ in range(times)]
            (gradient,) = _gradients.of_loss(tf.reduce_sum(tf.add_n(found) * SCALE[0, :batch]), [table], context)
        kinds.append(type(gradient))
        return found[0], tf.convert_to_tensor(gradient)

    vectors, gradient = step()
    np.testing.assert_array_equal(vectors, TABLES[0][ids])
    expected = np.zeros_like(TABLES[0])
    np.add.at(expected, ids, times * SCALE[0, :batch])
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
    # Where a table is looked up twice, the two name a row each.
    assert issubclass(kinds[0], _lookups.DistinctRows) == (times == 1)


def test_each_row_comes_once() -> None:
    table, other = tf.Variable(TABLES[0]), tf.Variable(TABLES[1])
    ids = tf.constant([[3, 1, 3], [0, 0, 2]], tf.int64)
    lookup = _lookups.StackedLookup((table, other), (1, 1), ids, tf.zeros([2, 3, UNITS]))
    first, second = lookup.gradients(tf.ones([2, 3, UNITS]))
    assert first.indices.numpy().tolist() == [3, 1]
    assert first.values.numpy().tolist() == [[2.0, 2.0], [1.0, 1.0]]
    assert second.indices.numpy().tolist() == [0, 2]
    assert second.values.numpy().tolist() == [[2.0, 2.0], [1.0, 1.0]]


def test_each_row_of_a_sum_comes_once_and_missing_ids_never() -> None:
    table, other = tf.Variable(TABLES[0]), tf.Variable(TABLES[1])
    # The first table's rows are 1 to 5 of the pile, the second's 7 to 9; before each stands what -1 finds.
    rows = tf.constant([[4, 2, 4], [7, 6, 9]], tf.int64)
    layout = Layout((len(TABLES[0]), len(TABLES[1])), (False, False))
    lookup = _lookups.SummedLookup((table, other), layout, rows, tf.zeros([3, UNITS]))
    first, second = lookup.gradients(tf.constant([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    assert first.indices.numpy().tolist() == [1, 3]
    assert first.values.numpy().tolist() == [[2.0, 20.0], [4.0, 40.0]]
    assert second.indices.numpy().tolist() == [0, 2]
    assert second.values.numpy().tolist() == [[1.0, 10.0], [3.0, 30.0]]


@pytest.mark.parametrize("batch", [6, 1, 0])
@pytest.mark.parametrize("also_direct", [False, True], ids=["looked up", "also read directly"])
@pytest.mark.parametrize("complete", [(False, False, False), (True, True, True), (True, False, True)])
def test_sums(batch: int, also_direct: bool, complete: tuple[bool, ...]) -> None:
    rng = np.random.default_rng(batch)
    least = [0 if every else -1 for every in complete]
    ids = [rng.integers(low, rows, (width, batch)) for low, width, rows in zip(least, WIDTHS, ROWS, strict=True)]
    tables = [tf.Variable(table) for table in TABLES]
    factors, counter = SCALE[0, :batch], tf.Variable(0, dtype=tf.int64)

    @tf.function(autograph=False)
    def step() -> tuple[tf.Tensor, list[Any]]:
        context = _context.StepContext("train", counter, lambda _: True, records_lookups=True)
        with _context.entered(context):
            assert _lookups.can_sum(tables)
            whole = tf.concat([tf.constant(part, tf.int64) for part in ids], 0)
            sums = _lookups.summed(tables, WIDTHS, whole, complete)
            loss = tf.reduce_sum(sums * factors) + tf.reduce_sum(tables[1]) * float(also_direct)
            return sums, [tf.convert_to_tensor(part) for part in _gradients.of_loss(loss, tables, context)]

    sums, gradients = step()
    expected = np.zeros([batch, UNITS], "float32")
    for number, (part, table) in enumerate(zip(ids, TABLES, strict=True)):
        gradient = np.full_like(table, float(also_direct and number == 1))
        for row in part:
            there = row >= 0
            expected[there] += table[row[there]]
            np.add.at(gradient, row[there], factors[there])
        np.testing.assert_allclose(gradients[number], gradient, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-6)


def test_only_few_elements_are_summed_in_one_pile() -> None:
    step = tf.Variable(0, dtype=tf.int64)
    small, large = tf.Variable(tf.zeros([8, 1])), tf.Variable(tf.zeros([20_000, 1]))
    with _context.entered(_context.StepContext("train", step, lambda _: True, records_lookups=True)):
        assert _lookups.can_sum([small, small])
        assert not _lookups.can_sum([small, large])
        assert not _lookups.can_sum([small])
    with _context.entered(_context.StepContext("train", step, lambda _: True)):
        assert not _lookups.can_sum([small, small])


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_a_linear_model_trains_as_by_hand(combiner: str, tmp_path: pathlib.Path) -> None:
    # Values in rows of one and two; None and "?" have no weight.
    columns = [
        fc.categorical_column_with_identity("one", 4),
        fc.categorical_column_with_vocabulary_list("two", ["a", "b"]),
    ]
    one = np.array([[0], [3], [3]])
    two = np.array([["a", "b"], ["a", "?"], ["", ""]])
    targets = np.array([[1.0], [2.0], [-1.0]], "float32")

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        made: list[tf.Variable] = []

        def variable(name: str, shape: Any, initializer: Any, dtype: Any, trainable: bool) -> tf.Variable:
            made.append(tf.Variable(lambda: initializer(shape, dtype), name=name, trainable=trainable))
            return made[-1]

        logits = fc.linear_logits(columns, features, 1, variable, combiner)
        loss = tf.reduce_sum(logits * labels)
        return EstimatorSpec(mode, loss=loss, train_op=minimize(keras.optimizers.SGD(1.0), loss, made))

    def input_fn() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(({"one": one, "two": two}, targets)).repeat()

    model = Estimator(model_fn, str(tmp_path), RunConfig(progress="none")).train(input_fn, steps=1)
    share = {"sum": 1.0, "mean": 0.5, "sqrtn": 0.5**0.5}[combiner]
    # The weights go down by the targets of their rows; the two ids of row 0 share it.
    np.testing.assert_allclose(model.get_variable_value("one/weights")[:, 0], [-1.0, 0.0, 0.0, -1.0], atol=1e-6)
    np.testing.assert_allclose(model.get_variable_value("two/weights")[:, 0], [-share - 2.0, -share], rtol=1e-6)


@pytest.mark.parametrize("checked", [True, False])
def test_only_columns_that_keep_their_ids_in_range_share_a_pile(checked: bool, tmp_path: pathlib.Path) -> None:
    def word(name: str) -> Any:
        if checked:
            return fc.categorical_column_with_identity(name, 3)
        return fc.preprocessing_column(keras.layers.Hashing(3), name, dtype=tf.string)

    kinds = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        made: list[tf.Variable] = []

        def variable(name: str, shape: Any, initializer: Any, dtype: Any, trainable: bool) -> tf.Variable:
            made.append(tf.Variable(lambda: initializer(shape, dtype), name=name, trainable=trainable))
            return made[-1]

        loss = tf.reduce_sum(fc.linear_logits([word("a"), word("b")], features, 1, variable) * labels)
        context = _context.current()
        assert context is not None
        kinds.extend(type(lookup) for lookup in context.lookups)
        return EstimatorSpec(mode, loss=loss, train_op=minimize(keras.optimizers.SGD(1.0), loss, made))

    values = [[0], [2]] if checked else [["x"], ["y"]]

    def input_fn() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(({"a": values, "b": values}, [[1.0], [2.0]])).repeat()

    Estimator(model_fn, str(tmp_path), RunConfig(progress="none")).train(input_fn, steps=1)
    assert set(kinds) == {_lookups.SummedLookup if checked else _lookups.StackedLookup}
