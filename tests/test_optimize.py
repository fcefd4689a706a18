"""`minimize`: its updates are those of Keras, for dense and sparse gradients; clipping, several optimizers."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import _slots, _updates
from headway.estimators import Estimator, EstimatorSpec, LazyAdam, RunConfig, minimize

IDS = np.array([[0, 1, 2, 0], [2, 1, 0, 1], [0, 2, 1, 2]])
TARGETS = np.array([[1.0, -1.0, 0.5, 2.0], [0.0, 1.0, 1.5, -1.0], [0.3, 0.2, -0.1, 1.0]], "float32")
TABLE = np.array([[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]], "float32")
WEIGHTS = np.array([[0.7], [-0.3]], "float32")

OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "SGD with momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "SGD with Nesterov's momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "SGD with weight decay": lambda: keras.optimizers.SGD(0.1, weight_decay=0.1),
    "SGD, clipped": lambda: keras.optimizers.SGD(0.1, clipnorm=0.3),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.2, epsilon=1e-3),
    "Adagrad, as it is": lambda: keras.optimizers.Adagrad(0.1),
    "Adagrad from zero": lambda: keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=0.01),
    "Adam": lambda: keras.optimizers.Adam(0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-5),
    "LazyAdam": lambda: LazyAdam(0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-5),
    "Adam, amsgrad": lambda: keras.optimizers.Adam(0.05, amsgrad=True),
    "AdamW": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1),
    "Ftrl": lambda: keras.optimizers.Ftrl(
        0.3, l1_regularization_strength=0.01, l2_regularization_strength=0.1, beta=0.2
    ),
    "Ftrl with shrinkage": lambda: keras.optimizers.Ftrl(0.3, l2_shrinkage_regularization_strength=0.05),
    "Ftrl of another power": lambda: keras.optimizers.Ftrl(0.3, learning_rate_power=-0.3),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.05),
    "RMSprop with momentum": lambda: keras.optimizers.RMSprop(0.05, momentum=0.5),
    "RMSprop, centered": lambda: keras.optimizers.RMSprop(0.05, centered=True),
    "Nadam": lambda: keras.optimizers.Nadam(0.05),
    "Adamax": lambda: keras.optimizers.Adamax(0.05),
    "Lion": lambda: keras.optimizers.Lion(0.01),
    "Adam of a schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
}


def loss_of(table: Any, weights: Any, ids: Any, targets: Any, *, sparse: bool) -> Any:
    """Returns the loss of a row; rows of the table are gathered, or picked by a product, whose gradient is dense."""
    rows = tf.gather(table, ids) if sparse else tf.one_hot(ids, 3) @ table
    return tf.reduce_sum(tf.square((rows @ weights)[:, 0] - targets))


def model_fn_of(optimizer: Any, sparse: bool, **arguments: Any) -> Callable[..., EstimatorSpec]:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        table, weights = tf.Variable(TABLE, name="table"), tf.Variable(WEIGHTS, name="weights")
        loss = loss_of(table, weights, features["ids"][0], labels[0], sparse=sparse)
        return EstimatorSpec(mode, loss=loss, train_op=minimize(optimizer(), loss, [table, weights], **arguments))

    return model_fn


def train(model_fn: Any, folder: pathlib.Path, steps: int = 3, **config: Any) -> Estimator:
    def input_fn() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(({"ids": IDS}, TARGETS)).repeat().batch(1)

    settings = {"progress": "none", "save_checkpoints_steps": 1000, **config}
    return Estimator(model_fn, str(folder), RunConfig(**settings)).train(input_fn, steps=steps)


def values(model: Estimator) -> list[Any]:
    return [model.get_variable_value(name) for name in ("table", "weights")]


def by_keras(optimizer: keras.optimizers.Optimizer, steps: int = 3, change: Any = lambda g: g) -> list[Any]:
    """Returns what Keras's own loop, with dense gradients, makes of the variables."""
    variables = [tf.Variable(TABLE), tf.Variable(WEIGHTS)]
    optimizer.build(variables)
    for i in range(steps):
        with tf.GradientTape() as tape:
            loss = loss_of(*variables, IDS[i % 3], TARGETS[i % 3], sparse=False)
        optimizer.apply(change(tape.gradient(loss, variables)), variables)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_keras(name: str, sparse: bool, tmp_path: pathlib.Path) -> None:
    # Each batch has all rows of the table: sparse updates leave others alone, where dense ones need not.
    found = values(train(model_fn_of(OPTIMIZERS[name], sparse), tmp_path))
    for ours, theirs in zip(found, by_keras(OPTIMIZERS[name]()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def by_rows(name: str, steps: int) -> Any:
    """Returns what the formula makes of row 1 alone, whose gradient is 2, 0, 2, 0 ..., 0 standing for its absence."""
    row, first, second = TABLE[1].astype("float64"), 0.0, 0.0
    for step in range(steps):
        gradient = 2.0 * (1 - step % 2)
        if name == "RMSprop":  # the mean decays in each step
            first = 0.9 * first + 0.1 * gradient**2
            row = row - 0.05 * gradient / np.sqrt(first + 1e-7)
        elif name == "SGD with momentum" and gradient:
            first = 0.9 * first - 0.1 * gradient
            row = row + first
        elif name == "LazyAdam" and gradient:
            first, second = 0.8 * first + 0.2 * gradient, 0.95 * second + 0.05 * gradient**2
            rate = 0.05 * np.sqrt(1 - 0.95 ** (step + 1)) / (1 - 0.8 ** (step + 1))
            row = row - rate * first / (np.sqrt(second) + 1e-5)
    return row


@pytest.mark.parametrize("name", ["RMSprop", "SGD with momentum", "LazyAdam"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_rows_that_some_batches_lack(name: str, replicas: int, tmp_path: pathlib.Path, mirrored: Any) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        table = tf.Variable(TABLE, name="table")
        # Row 1 twice in even steps, row 0 twice in odd ones.
        loss = tf.reduce_sum(tf.gather(table, features["ids"])) / features["rows"][0] * 2.0
        return EstimatorSpec(mode, loss=loss, train_op=minimize(OPTIMIZERS[name](), loss, [table]))

    def input_fn() -> tf.data.Dataset:
        ids = np.repeat([[1, 1], [0, 0]], replicas, axis=0).reshape(-1)
        return (
            tf.data.Dataset.from_tensor_slices({"ids": ids, "rows": np.full(ids.shape, 2.0, "float32")})
            .repeat()
            .batch(2)
        )

    distribute = mirrored if replicas == 2 else None
    model = Estimator(model_fn, str(tmp_path), RunConfig(progress="none", train_distribute=distribute))
    table = model.train(input_fn, steps=5).get_variable_value("table")
    np.testing.assert_allclose(table[1], by_rows(name, 5), rtol=1e-5)
    np.testing.assert_array_equal(table[2], TABLE[2])


@pytest.mark.parametrize("counts", [(2, 0), (0, 2), (0, 0)])
def test_replicas_without_rows(counts: tuple[int, int], tmp_path: pathlib.Path, mirrored: Any) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        table = tf.Variable(TABLE, name="table")
        loss = tf.reduce_sum(tf.gather(table, features["ids"].values)) * 2.0
        return EstimatorSpec(mode, loss=loss, train_op=minimize(keras.optimizers.SGD(0.1), loss, [table]))

    def input_fn() -> tf.data.Dataset:
        batches = tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1] * count for count in counts], tf.int64))
        return batches.map(lambda ids: {"ids": tf.RaggedTensor.from_row_lengths(ids, tf.shape(ids)[:1])})

    config = RunConfig(progress="none", train_distribute=mirrored)
    table = Estimator(model_fn, str(tmp_path), config).train(input_fn, steps=1).get_variable_value("table")
    # The loss is a mean over replicas: each row counts 2 / 2.
    np.testing.assert_allclose(table, TABLE - 0.1 * np.array([[0.0], [sum(counts)], [0.0]]), rtol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Ftrl"])
def test_sparse_updates_leave_other_rows_alone(name: str, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        table = tf.Variable(TABLE, name="table")
        loss = tf.reduce_sum(tf.gather(table, [1, 1]))
        return EstimatorSpec(mode, loss=loss, train_op=minimize(OPTIMIZERS[name](), loss, [table]))

    table = train(model_fn, tmp_path).get_variable_value("table")
    np.testing.assert_array_equal(table[[0, 2]], TABLE[[0, 2]])
    assert np.all(table[1] < TABLE[1])


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
def test_gradient_clipping(sparse: bool, eagerly: bool, tmp_path: pathlib.Path) -> None:
    model = train(model_fn_of(OPTIMIZERS["SGD"], sparse), tmp_path, gradient_clipping=0.5, run_eagerly=eagerly)
    expected = by_keras(keras.optimizers.SGD(0.1), change=lambda g: tf.clip_by_global_norm(g, 0.5)[0])
    for ours, theirs in zip(values(model), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_gradient_accumulation(sparse: bool, tmp_path: pathlib.Path) -> None:
    two = train(model_fn_of(OPTIMIZERS["SGD"], sparse), tmp_path / "two", steps=2, gradient_accumulation=3)
    for ours, theirs in zip(values(two), (TABLE, WEIGHTS), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    three = train(model_fn_of(OPTIMIZERS["SGD"], sparse), tmp_path / "three", steps=3, gradient_accumulation=3)
    # One step down the mean of the three gradients at the start.
    variables = [tf.Variable(TABLE), tf.Variable(WEIGHTS)]
    with tf.GradientTape() as tape:
        mean = sum(loss_of(*variables, IDS[i], TARGETS[i], sparse=False) for i in range(3)) / 3.0
    for ours, start, gradient in zip(values(three), (TABLE, WEIGHTS), tape.gradient(mean, variables), strict=True):
        np.testing.assert_allclose(ours, start - 0.1 * gradient.numpy(), rtol=1e-5, atol=1e-7)
    assert three.get_variable_value("global_step") == 3


def test_accumulation_goes_on_after_a_restart(tmp_path: pathlib.Path) -> None:
    whole = train(model_fn_of(OPTIMIZERS["Adam"], False), tmp_path / "whole", steps=4, gradient_accumulation=2)
    train(model_fn_of(OPTIMIZERS["Adam"], False), tmp_path / "parts", steps=1, gradient_accumulation=2)
    parts = train(
        model_fn_of(OPTIMIZERS["Adam"], False),
        tmp_path / "parts",
        steps=3,
        gradient_accumulation=2,
        resume_input="always",
    )
    for ours, theirs in zip(values(parts), values(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_optimizers(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        a, b = tf.Variable(1.0, name="a"), tf.Variable(1.0, name="b")
        pairs = [(keras.optimizers.SGD(0.1), [a]), (keras.optimizers.SGD(0.01), [b])]
        return EstimatorSpec(mode, loss=a + b, train_op=minimize(pairs, a + b, []))

    model = train(model_fn, tmp_path, steps=2)
    # Gradients of 1: two steps of 0.1 and of 0.01. The step is counted once.
    assert model.get_variable_value("a") == pytest.approx(0.8)
    assert model.get_variable_value("b") == pytest.approx(0.98)
    assert model.get_variable_value("global_step") == 2
    assert {"training/SGD/iter", "training/SGD_1/iter"} <= set(model.get_variable_names())


def test_update_ops_come_first(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w, seen = tf.Variable(1.0, name="w"), tf.Variable(0.0, name="seen", trainable=False)
        update = seen.assign(w)
        return EstimatorSpec(
            mode, loss=w * 1.0, train_op=minimize(keras.optimizers.SGD(0.1), w * 1.0, [w], update_ops=[update.op])
        )

    model = train(model_fn, tmp_path, steps=2)
    assert model.get_variable_value("seen") == pytest.approx(0.9)  # w after one step of two


def test_a_variable_that_the_loss_does_not_need(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        a, b = tf.Variable(1.0, name="a"), tf.Variable(1.0, name="idle")
        return EstimatorSpec(mode, loss=a * 1.0, train_op=minimize(keras.optimizers.Adam(0.1), a * 1.0, [a, b]))

    with pytest.warns(UserWarning, match=r"The loss does not depend on \['idle:0'\]: these variables are not trained"):
        model = train(model_fn, tmp_path)
    assert model.get_variable_value("idle") == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a: ("SGD", [a]), "`optimizer` must be a Keras 3 optimizer .*Received: 'SGD'"),
        (lambda a: (keras.optimizers.SGD(), []), "must hold at least one trainable variable"),
        (lambda a: ([(keras.optimizers.SGD(), [a])], [a]), "`variables` must be left out"),
        (
            lambda a: ([(keras.optimizers.SGD(), [a]), (keras.optimizers.SGD(), [a])], []),
            "must belong to one optimizer",
        ),
    ],
)
def test_wrong_arguments(make: Any, message: str, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        a = tf.Variable(1.0, name="a")
        optimizer, variables = make(a)
        return EstimatorSpec(mode, loss=a * 1.0, train_op=minimize(optimizer, a * 1.0, variables))

    with pytest.raises((TypeError, ValueError), match=message):
        train(model_fn, tmp_path)


@pytest.mark.parametrize("formulas", ["keras_2", "keras_3"])
@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.Adagrad(0.1),
        lambda: keras.optimizers.Ftrl(0.1, l1_regularization_strength=0.01),
    ],
    ids=["SGD", "Adagrad", "Ftrl"],
)
def test_tables_of_many_megabytes(make: Any, eagerly: bool, formulas: str) -> None:
    places, start = [7, 70_000, 199_999], np.random.default_rng(1).normal(size=(3, 16)).astype("float32")
    whole = np.zeros((200_000, 16), "float32")
    whole[places] = start
    table, few, ours, theirs = tf.Variable(whole), tf.Variable(start), make(), make()
    assert whole.nbytes > _slots.LARGE_BYTES
    ours.build([table])
    theirs.build([few])

    def updated(values: tf.Tensor, rows: tf.Tensor) -> bool:
        gradient = tf.IndexedSlices(values, rows, tf.constant([200_000, 16], tf.int64))
        return _updates.apply(ours, [gradient], [table], formulas)

    update = updated if eagerly else tf.function(updated)
    for step in range(3):
        values = np.random.default_rng([2, step]).normal(size=(4, 16)).astype("float32")
        # The first of the places comes twice.
        assert update(tf.constant(values), tf.constant([places[row] for row in (2, 0, 1, 0)], tf.int64))
        theirs.apply([tf.constant(np.stack([values[1] + values[3], values[2], values[0]]))], [few])
    assert update(tf.zeros([0, 16]), tf.zeros([0], tf.int64))
    np.testing.assert_allclose(table.numpy()[places], few.numpy(), rtol=2e-5, atol=1e-6)
    assert np.count_nonzero(table.numpy().any(axis=1)) == 3
