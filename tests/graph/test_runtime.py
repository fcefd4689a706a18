"""The graph runtime beyond what tf.estimator did: resumed input, damage, kept sessions, headway's own hooks."""

from __future__ import annotations

import json
import logging
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import headway
from headway import Estimator, EstimatorSpec, RunConfig, input_pipelines

v1 = tf.compat.v1
X = np.arange(12, dtype="float32").reshape(6, 2) / 10
Y = X[:, 0] - X[:, 1]


def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer(0.5))
    calls = v1.get_variable("calls", [], initializer=v1.zeros_initializer(), trainable=False)
    y = (features["x"] @ w)[:, 0]
    if mode == "infer":
        return EstimatorSpec(mode, predictions={"y": y, "calls": tf.fill(tf.shape(y), calls)})
    loss = tf.reduce_mean(tf.square(y - labels), name="loss")
    if mode == "eval":
        return EstimatorSpec(mode, loss=loss, eval_metric_ops={"mae": v1.metrics.mean_absolute_error(labels, y)})
    with tf.control_dependencies([calls.assign_add(1.0)]):
        train_op = v1.train.AdamOptimizer(0.1).minimize(loss, v1.train.get_global_step())
    return EstimatorSpec(mode, loss=loss, train_op=train_op)


def estimator(folder: pathlib.Path, function: Callable[..., Any] = model_fn, **config: Any) -> Estimator:
    settings = {"runtime": "graph", "save_checkpoints_steps": 2, "save_summary_steps": 0, "progress": "none"}
    return Estimator(function, config=RunConfig(model_dir=str(folder), **{**settings, **config}))


def rows(repeat: int | None = None, batch: int = 2) -> Callable[[], tf.data.Dataset]:
    return lambda: tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).repeat(repeat).batch(batch)


def test_a_directory_goes_from_runtime_to_runtime(tmp_path: pathlib.Path) -> None:
    apart = estimator(tmp_path / "apart").train(rows(), steps=6)
    for runtime in ("function", "graph", "auto"):
        estimator(tmp_path / "shared", runtime=runtime, resume_input="always").train(rows(), steps=2)
    shared = estimator(tmp_path / "shared", runtime="function")
    assert shared.get_variable_names() == apart.get_variable_names()
    for name in apart.get_variable_names():
        np.testing.assert_allclose(shared.get_variable_value(name), apart.get_variable_value(name), rtol=1e-5)
    ours, theirs = shared.evaluate(rows(1)), apart.evaluate(rows(1))
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(theirs, rel=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return estimator(tmp_path_factory.mktemp("model")).train(rows(), steps=3)


def test_predictions_keep_their_session(trained: Estimator) -> None:
    made: list[str] = []

    def counted(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        made.append(mode)
        return model_fn(features, labels, mode)

    same = estimator(pathlib.Path(trained.model_dir), counted)
    first = [row["y"] for row in same.predict(rows(1))]
    assert [row["y"] for row in same.predict(rows(1, batch=4))] == pytest.approx(first)
    assert made == ["infer"]
    older = f"{trained.model_dir}/model.ckpt-2"
    assert [next(same.predict(rows(1), checkpoint_path=path))["calls"] for path in (None, older, None)] == [3, 2, 3]
    batch = next(same.predict(rows(1), predict_keys="y", yield_single_examples=False))
    assert batch.keys() == {"y"}
    assert made == ["infer"]
    hook = v1.train.SessionRunHook()
    assert len(list(same.predict(rows(1), hooks=[hook]))) == 6
    assert made == ["infer", "infer"]


def test_features_of_all_kinds_are_fed(tmp_path: pathlib.Path) -> None:
    def kinds(features: Any, mode: str) -> EstimatorSpec:
        v1.get_variable("w", [])
        words = tf.sparse.to_dense(features["sparse"], default_value="")
        predictions = {"words": words, "sums": tf.reduce_sum(features["ragged"], axis=1)}
        loss = tf.constant(0.0)
        step = v1.train.get_global_step().assign_add(1)
        return EstimatorSpec(mode, predictions=predictions, loss=loss, train_op=step, scaffold=v1.train.Scaffold())

    def features() -> tf.data.Dataset:
        batch = {"sparse": tf.sparse.from_dense([["a", "b"], ["c", ""]]), "ragged": tf.ragged.constant([[1, 2], [3]])}
        return tf.data.Dataset.from_tensors(batch)

    model = estimator(tmp_path, kinds).train(features, steps=1)
    assert [row["words"].tolist() for row in model.predict(features)] == [[b"a", b"b"], [b"c", b""]]
    assert [row["sums"] for row in model.predict(features)] == [3, 3]


def test_a_pipeline_and_a_dataset_from_outside(trained: Estimator) -> None:
    dataset = rows(1)()
    pipeline = input_pipelines.from_arrays({"x": X}, Y, batch_size=2)
    expected = trained.evaluate(rows(1))
    assert trained.evaluate(lambda: dataset) == expected
    assert trained.evaluate(pipeline) == expected


class Crash(v1.train.SessionRunHook):  # type: ignore[misc]
    """Notes the first value of each batch, and ends a run after so many steps."""

    def __init__(self, seen: list[int], steps: int) -> None:
        self.seen, self.left = seen, steps

    def before_run(self, run_context: Any) -> Any:
        return v1.train.SessionRunArgs("first:0")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.seen.append(int(run_values.results))
        self.left -= 1
        if self.left == 0:
            raise ZeroDivisionError


def numbered(features: Any, mode: str) -> EstimatorSpec:
    loss = tf.cast(tf.identity(features["i"][0], name="first"), tf.float32)
    return EstimatorSpec(mode, loss=loss, train_op=v1.train.get_global_step().assign_add(1))


@pytest.mark.parametrize(
    "source",
    [
        lambda: tf.data.Dataset.from_tensor_slices({"i": np.arange(10)}).batch(1),
        input_pipelines.from_arrays({"i": np.arange(10)}, batch_size=1),
    ],
    ids=["dataset", "pipeline"],
)
def test_an_interrupted_run_goes_on_in_its_input(source: Any, tmp_path: pathlib.Path) -> None:
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        estimator(tmp_path, numbered, keep_checkpoint_max=2).train(source, hooks=[Crash(seen, 5)])
    # The last checkpoint is that of step 4.
    assert seen == [0, 1, 2, 3, 4]
    seen.clear()
    estimator(tmp_path, numbered, keep_checkpoint_max=2).train(source, steps=2, hooks=[Crash(seen, 99)])
    assert seen == [4, 5]
    seen.clear()
    estimator(tmp_path, numbered, keep_checkpoint_max=2).train(source, steps=1, hooks=[Crash(seen, 99)])
    assert seen == [0]
    position = json.loads((tmp_path / "model.ckpt-7.input.json").read_text())
    assert (position["status"], position["elements"]) == ("ended", 1)
    positions = {path.name.split(".input")[0] for path in tmp_path.glob("*.input.json")}
    assert positions == {path.stem for path in tmp_path.glob("*.index")}


def test_input_that_cannot_be_counted_starts_anew(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    model = estimator(tmp_path)
    with caplog.at_level(logging.INFO, "headway"):
        for _ in range(2):
            model.train(lambda: v1.data.make_one_shot_iterator(rows()()).get_next(), steps=1)
    assert caplog.text.count("The input starts anew: it is no dataset") == 1


def test_errors(tmp_path: pathlib.Path) -> None:
    model = estimator(tmp_path).train(rows(), steps=3)
    data = tmp_path / "model.ckpt-3.data-00000-of-00001"
    data.write_bytes(b"x" * len(data.read_bytes()))
    # The newest is damaged: the one before it is used, and then written anew.
    assert estimator(tmp_path).evaluate(rows(1))["global_step"] == 2
    assert estimator(tmp_path).train(rows(), steps=1).get_variable_value("calls") == 3

    def other(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        v1.get_variable("another", [2])
        return model_fn(features, labels, mode)

    for verb in (lambda m: m.train(rows(), steps=1), lambda m: m.evaluate(rows(1)), lambda m: next(m.predict(rows(1)))):
        with pytest.raises(ValueError, match=r"lacks 1 variable of the model:\n  another"):
            verb(estimator(tmp_path, other))
    with pytest.raises(ValueError, match=r"The input of training is empty"):
        model.train(lambda: rows()().take(0))
    with pytest.raises(ValueError, match=r"input_fn should return \(features, labels\) as a len 2 tuple"):
        model.train(lambda: tf.data.Dataset.from_tensors((X, Y, Y)))
    with pytest.raises(ValueError, match=r"input_fn returned None"):
        model.evaluate(lambda: None)
    with pytest.raises(ValueError, match=r"There should be a CheckpointSaverHook"):
        estimator(tmp_path, save_checkpoints_steps=None).train(
            rows(), steps=1, saving_listeners=[headway.CheckpointSaverListener()]
        )


def test_nan(tmp_path: pathlib.Path) -> None:
    infinite = lambda: rows()().map(lambda features, labels: (features, labels / 0.0))  # noqa: E731 - one line
    with pytest.raises(headway.NanLossDuringTrainingError, match=r"The last good checkpoint is .*model\.ckpt-0"):
        estimator(tmp_path).train(lambda: infinite().map(lambda f, y: (f, y - y)), steps=2)


def test_headways_hooks_in_a_session(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    losses: list[float] = []

    def stop(run: Any) -> None:
        losses.append(run.loss)
        assert run.values["step"] == run.step
        if run.step == 5:
            run.request_stop("it is enough")

    model = estimator(tmp_path, log_step_count_steps=None)
    hooks = [
        headway.every_n_steps(1, stop),
        headway.LoggingTensorHook({"tensor": "loss:0", "named": "loss", "at": "step"}, every_n_iter=2),
        headway.CheckpointSaverHook(save_steps=3),
        headway.SummarySaverHook(save_steps=2),
        headway.InMemoryEvaluatorHook(model, rows(1), every_n_iter=2),
    ]
    # TensorFlow logs through a logger of its own.
    with caplog.at_level(logging.INFO):
        model.train(rows(), hooks=hooks)
    assert len(losses) == 5
    assert all(loss > 0 for loss in losses)
    saved = sorted(int(path.stem.rpartition("-")[2]) for path in tmp_path.glob("*.meta"))
    assert saved == [0, 3, 5]
    # Weights in memory: steps that no checkpoint has.
    evaluated = headway.read_eval_metrics(model.eval_dir())
    assert list(evaluated) == [0, 2, 4, 5]
    assert evaluated[5]["loss"] == pytest.approx(model.evaluate(rows(1))["loss"])


def test_warm_start(trained: Estimator, tmp_path: pathlib.Path) -> None:
    config = RunConfig(model_dir=str(tmp_path), runtime="graph", progress="none")
    warm = Estimator(model_fn, config=config, warm_start_from=trained.model_dir)
    before = warm.evaluate(rows(1))
    assert before["loss"] == pytest.approx(trained.evaluate(rows(1))["loss"])
    assert before["global_step"] == 0
    assert next(warm.predict(rows(1)))["y"] == pytest.approx(next(trained.predict(rows(1)))["y"])
    warm.train(rows(), steps=1)
    saved = tf.train.load_variable(f"{tmp_path}/model.ckpt-0", "w")
    np.testing.assert_array_equal(saved, trained.get_variable_value("w"))


def test_export_by_example(trained: Estimator, tmp_path: pathlib.Path) -> None:
    list(trained.predict(rows(1)))
    path = trained.export_saved_model(str(tmp_path))
    served = tf.saved_model.load(path.decode()).signatures["serving_default"]
    expected = [row["y"] for row in trained.predict(rows(1))]
    np.testing.assert_allclose(served(x=tf.constant(X))["y"], expected, rtol=1e-6)


def test_another_run_in_the_model_dir_is_noticed(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    def intrude(run: Any) -> None:
        # To the run outside, this estimator is as good as one of another process.
        if run.step == 4:
            estimator(tmp_path, save_checkpoints_steps=3).train(rows(), steps=5)

    first = estimator(tmp_path, save_checkpoints_steps=3)
    first.train(rows(), steps=12, hooks=[headway.every_n_steps(1, intrude)])
    first.train(rows(), steps=2)
    (text,) = [text for record in caplog.records if "Another process trains" in (text := record.getMessage())]
    assert f"in {tmp_path}: the checkpoint file there names model.ckpt-8, which this run has not written" in text
    assert "(its last one was model.ckpt-3)" in text
