"""Predictions of data in memory: several batches in one call, and the rows of each batch by themselves."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import headway as hw
from headway import input_pipelines

ROWS = 103


def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
    x = tf.cast(features["x"], tf.float32)
    weight = tf.Variable(2.0, name="weight")
    predictions = {
        "double": weight * x,
        "pair": tf.stack([x, -x], axis=1),
        "text": tf.strings.as_string(features["x"]),
        # Which rows share a batch shows in this one.
        "batch_mean": tf.zeros_like(x) + tf.reduce_mean(x),
    }
    if mode == hw.ModeKeys.PREDICT:
        return hw.EstimatorSpec(mode, predictions=predictions)
    step = tf.compat.v1.train.get_or_create_global_step()
    return hw.EstimatorSpec(mode, loss=weight, train_op=step.assign_add(1))


def pipeline(rows: int = ROWS, batch_size: int = 4) -> input_pipelines.Pipeline:
    return input_pipelines.from_arrays({"x": np.arange(rows)}, batch_size=batch_size)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> hw.Estimator:
    estimator = hw.Estimator(model_fn, str(tmp_path_factory.mktemp("model")), hw.RunConfig(progress="none"))
    return estimator.train(pipeline(), steps=1)


def test_rows_in_order_and_batches_kept_apart(trained: hw.Estimator) -> None:
    rows = list(trained.predict(pipeline()))
    assert [int(row["double"]) for row in rows] == [2 * i for i in range(ROWS)]
    assert [row["pair"].tolist() for row in rows] == [[i, -i] for i in range(ROWS)]
    assert [row["text"] for row in rows] == [str(i).encode() for i in range(ROWS)]
    # Batches of four: 0..3 have the mean 1.5; the last one, 100..102, has three rows.
    means = [4 * (i // 4) + 1.5 if i < 100 else 101.0 for i in range(ROWS)]
    assert [float(row["batch_mean"]) for row in rows] == means


def test_whole_batches_and_chosen_keys(trained: hw.Estimator) -> None:
    batches = list(trained.predict(pipeline(), predict_keys=["double"], yield_single_examples=False))
    assert [sorted(batch) for batch in batches] == [["double"]] * 26
    assert [len(batch["double"]) for batch in batches] == [4] * 25 + [3]


@pytest.mark.parametrize("rows", [1, 4, 8, 36, 37])
def test_input_that_ends_anywhere(trained: hw.Estimator, rows: int) -> None:
    # One batch is computed first, then eight more at once: 36 rows end with these.
    assert [int(row["double"]) for row in trained.predict(pipeline(rows))] == [2 * i for i in range(rows)]


def test_a_stream_is_not_read_ahead(trained: hw.Estimator) -> None:
    asked: list[int] = []

    def numbers() -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        for number in range(100):
            asked.append(number)
            yield {"x": np.array([number])}

    spec = {"x": tf.TensorSpec([None], tf.int64)}
    stream = trained.predict(lambda: tf.data.Dataset.from_generator(numbers, output_signature=spec))
    # Someone who answers requests with such a stream would wait for ever if a second were asked for first.
    assert int(next(stream)["double"]) == 0
    assert asked == [0]


def test_predictions_that_do_not_stand_one_behind_the_other(tmp_path: pathlib.Path) -> None:
    def scalars(features: Any, mode: str) -> hw.EstimatorSpec:
        spec = model_fn(features, mode)
        if mode != hw.ModeKeys.PREDICT:
            return spec
        return hw.EstimatorSpec(mode, predictions={"sum": tf.reduce_sum(features["x"])})

    estimator = hw.Estimator(scalars, str(tmp_path), hw.RunConfig(progress="none")).train(pipeline(), steps=1)
    batches = estimator.predict(pipeline(10), yield_single_examples=False)
    assert [int(batch["sum"]) for batch in batches] == [6, 22, 17]  # 0..3, 4..7, 8 and 9


def test_a_hook_sees_each_batch(trained: hw.Estimator) -> None:
    seen: list[int] = []
    hook = hw.estimators.every_n_steps(1, lambda run: seen.append(run.step))
    assert len(list(trained.predict(pipeline(12), hooks=[hook]))) == 12
    assert len(seen) == 3


def counting_model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
    """Predicts how many steps the weights have seen."""
    weight = tf.Variable(0.0, name="weight")
    if mode == hw.ModeKeys.PREDICT:
        return hw.EstimatorSpec(mode, predictions=weight + 0.0 * features["x"])
    with tf.control_dependencies([weight.assign_add(1.0)]):
        step = tf.compat.v1.train.get_or_create_global_step().assign_add(1)
    return hw.EstimatorSpec(mode, loss=tf.constant(0.0), train_op=step)


def rows_of_one() -> tuple[Any, Any]:
    """Returns four batches of one row each, of both kinds."""
    return (
        tf.data.Dataset.from_tensor_slices({"x": np.arange(4, dtype="float32")}).batch(1),
        input_pipelines.from_arrays({"x": np.arange(4, dtype="float32")}, batch_size=1),
    )


def counting(folder: pathlib.Path, **config: Any) -> hw.Estimator:
    config = {"progress": "none", "save_checkpoints_steps": 1, "keep_checkpoint_max": None, **config}
    return hw.Estimator(counting_model_fn, str(folder), hw.RunConfig(**config))


def test_each_prediction_keeps_its_own_checkpoint(tmp_path: pathlib.Path) -> None:
    estimator = counting(tmp_path)
    estimator.train(rows_of_one()[1], steps=3)
    for rows in rows_of_one():
        old = estimator.predict(lambda rows=rows: rows, checkpoint_path=tmp_path / "model.ckpt-1")
        new = estimator.predict(lambda rows=rows: rows)
        assert [(float(a), float(b)) for a, b in zip(old, new, strict=True)] == [(1.0, 3.0)] * 4


def test_training_between_two_rows_changes_none_of_them(tmp_path: pathlib.Path) -> None:
    estimator = counting(tmp_path)
    estimator.train(rows_of_one()[1], steps=2)
    rows = estimator.predict(rows_of_one()[1])
    assert float(next(rows)) == 2.0
    estimator.train(rows_of_one()[1], steps=2)
    assert [float(row) for row in rows] == [2.0] * 3
    # What follows has the newest weights again.
    assert [float(row) for row in estimator.predict(rows_of_one()[1])] == [4.0] * 4
    assert estimator.train(rows_of_one()[1], steps=1).get_variable_value("weight") == 5.0


def test_weights_that_are_gone_are_an_error(tmp_path: pathlib.Path) -> None:
    for number, config in enumerate(({"keep_checkpoint_max": 1}, {"save_checkpoints_steps": None})):
        config.setdefault("save_checkpoints_secs", None)
        estimator = counting(tmp_path / str(number), **config)
        estimator.train(rows_of_one()[1], steps=2)
        rows = estimator.predict(rows_of_one()[1])
        next(rows)
        estimator.train(rows_of_one()[1], steps=2)
        with pytest.raises(ValueError, match="weights have changed since this prediction began"):
            list(rows)
        assert estimator.evaluate(rows_of_one()[1])["global_step"] == 4


def test_a_prediction_half_read_in_training_leaves_training_its_weights(tmp_path: pathlib.Path) -> None:
    estimator = counting(tmp_path)
    begun: list[Iterator[Any]] = []
    seen: list[float] = []

    def look(run: Any) -> None:
        if run.step == 3:
            begun.append(estimator.predict(rows_of_one()[1], checkpoint_path=tmp_path / "model.ckpt-1"))
            seen.append(float(next(begun[0])))
        if run.step == 5:
            seen.extend(float(row) for row in begun[0])

    pipeline = input_pipelines.from_arrays({"x": np.zeros(6, "float32")}, batch_size=1)
    estimator.train(pipeline, hooks=[hw.estimators.every_n_steps(1, look)])
    assert seen == [1.0] * 4
    assert estimator.get_variable_value("weight") == 6.0
