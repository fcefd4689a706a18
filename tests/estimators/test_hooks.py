"""Hooks: who acts when, and what the classic ones do."""

from __future__ import annotations

import glob
import logging
import os
import pathlib
import re
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import estimators
from headway.estimators import Estimator, EstimatorSpec, Hook, minimize

v1 = tf.compat.v1


class Recorder(Hook):
    """Writes down what it is asked, every `every` steps; None: whenever control returns."""

    def __init__(self, name: str, calls: list[str], every: int | None) -> None:
        self.name, self.calls, self.every = name, calls, every

    def begin(self, run: Any) -> None:
        self.calls.append(f"{self.name} begin {run.step}")

    def due(self, progress: Any) -> int | None:
        return None if self.every is None else progress.step - progress.step % self.every + self.every

    def act(self, run: Any) -> None:
        self.calls.append(f"{self.name} {run.step}")

    def end(self, run: Any) -> None:
        self.calls.append(f"{self.name} end {run.step}")


@pytest.fixture(scope="module")
def model(small: Any, tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return small.estimator(small.linear, tmp_path_factory.mktemp("hooks") / "model", log_step_count_steps=None)


def test_order(small: Any, model: Estimator) -> None:
    calls: list[str] = []
    hooks = [Recorder("a", calls, 4), Recorder("b", calls, 2)]
    start = int(model.train(small.input_fn(), steps=1, hooks=hooks).get_variable_value("global_step"))
    assert start == 1
    assert calls == ["a begin 0", "b begin 0", "a end 1", "b end 1"]
    calls.clear()
    model.train(small.input_fn(), max_steps=9, hooks=hooks)
    # A hook acts at the steps that it named, and at no other although control returns there for its neighbour.
    assert calls == ["a begin 1", "b begin 1", "b 2", "a 4", "b 4", "b 6", "a 8", "b 8", "a end 9", "b end 9"]


def test_a_hook_without_a_step_acts_when_control_returns(small: Any, model: Estimator) -> None:
    calls: list[str] = []
    step = int(model.train(small.input_fn(), steps=1).get_variable_value("global_step"))
    model.train(small.input_fn(), steps=4, hooks=[Recorder("a", calls, None), Recorder("b", [], 1)])
    assert calls[1:-1] == [f"a {step + i}" for i in (1, 2, 3, 4)]


def test_every_n_steps(small: Any, model: Estimator) -> None:
    seen: list[tuple[int, float, list[str]]] = []
    step = int(model.train(small.input_fn(), steps=1).get_variable_value("global_step"))
    hook = estimators.every_n_steps(3, lambda run: seen.append((run.step - step, run.loss, sorted(run.values))))
    model.train(small.input_fn(), steps=8, hooks=[hook])
    assert [at for at, _, _ in seen] == [1, 4, 7]
    assert all(np.isfinite(loss) for _, loss, _ in seen)
    assert seen[0][2] == ["learning_rate/sgd", "loss", "step"]


def test_every_n_secs_acts_after_the_first_step(small: Any, model: Estimator) -> None:
    seen: list[int] = []
    hook = estimators.every_n_secs(1000, lambda run: seen.append(run.step))
    before = int(model.train(small.input_fn(), steps=1).get_variable_value("global_step"))
    model.train(small.input_fn(), steps=5, hooks=[hook])
    assert seen == [before + 1]


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda step: estimators.StopAtStepHook(num_steps=3), 3),
        (lambda step: estimators.StopAtStepHook(last_step=step + 2), 2),
        (lambda step: estimators.every_n_steps(2, lambda run: run.step > step + 1 and run.request_stop("enough")), 3),
        (lambda step: v1.train.StopAtStepHook, None),
    ],
    ids=["num_steps", "last_step", "request_stop", "a class"],
)
def test_stopping(make: Any, steps: int | None, small: Any, model: Estimator) -> None:
    before = int(model.train(small.input_fn(), steps=1).get_variable_value("global_step"))
    if steps is None:
        with pytest.raises(TypeError, match=r"the class StopAtStepHook itself\. Make an instance of it"):
            model.train(small.input_fn(), steps=9, hooks=[make(before)])
        return
    model.train(small.input_fn(), steps=9, hooks=[make(before)])
    assert model.get_variable_value("global_step") == before + steps


def test_the_end_of_the_input(small: Any, tmp_path: pathlib.Path) -> None:
    calls: list[str] = []

    class Classic(v1.train.SessionRunHook):
        def after_run(self, run_context: Any, run_values: Any) -> None:
            calls.append("after")

    model = small.estimator(small.linear, tmp_path / "model")
    model.train(small.input_fn(batch=3, repeat=1), hooks=[Classic(), Recorder("a", calls, 100)])
    # Eight rows are three batches; a hook due at step 100 does not act.
    assert calls == ["a begin 0", "after", "after", "after", "a end 3"]


def test_a_session_hook_that_wants_tensors_is_refused(small: Any, model: Estimator) -> None:
    class Wanting(v1.train.SessionRunHook):
        def before_run(self, run_context: Any) -> Any:
            return v1.train.SessionRunArgs("loss:0")

    with pytest.raises(
        ValueError, match=r"asks for tensors of a session, and there is no session: .* Use a headway hook"
    ):
        model.train(small.input_fn(), steps=1, hooks=[Wanting()])


def test_an_error_in_a_hook_comes_up_and_the_last_checkpoint_counts(small: Any, tmp_path: pathlib.Path) -> None:
    def fail(run: Any) -> None:
        if run.step == 5:
            raise ZeroDivisionError("mine")

    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=2)
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.train(small.input_fn(), steps=9, hooks=[estimators.every_n_steps(1, fail)])
    assert model.get_variable_value("global_step") == 4
    fresh = small.estimator(small.linear, tmp_path / "model")
    assert model.evaluate(small.input_fn(repeat=1)) == fresh.evaluate(small.input_fn(repeat=1))
    assert model.train(small.input_fn(), steps=1).get_variable_value("global_step") == 5


def nan_model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    w = tf.Variable(1.0, name="w")
    # The logarithm of a negative number once w < 0: with a gradient of 1 and steps of 0.3, in the fifth step.
    loss = w + 0.0 * tf.math.log(w) + 0.0 * tf.reduce_sum(features["x"])
    train_op = minimize(keras.optimizers.SGD(0.3), w + 0.0 * loss, [w]) if mode == "train" else None
    return EstimatorSpec(mode, loss=loss, train_op=train_op)


def test_nan(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(nan_model_fn, tmp_path / "model", save_checkpoints_steps=2)
    with pytest.raises(estimators.NanLossDuringTrainingError, match=r"NaN loss during training, at step 5\..*ckpt-4"):
        model.train(small.input_fn(), steps=50)
    assert model.get_variable_value("global_step") == 4
    np.testing.assert_allclose(model.get_variable_value("w"), -0.2, rtol=1e-5)
    assert model.evaluate(small.input_fn(repeat=1))["global_step"] == 4


def test_nan_may_end_training_quietly(small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    model = small.estimator(nan_model_fn, tmp_path / "model", save_checkpoints_steps=2)
    model.train(small.input_fn(), steps=50, hooks=[estimators.NanTensorHook(fail_on_nan_loss=False)])
    assert any("NaN loss during training, at step 5" in record.getMessage() for record in caplog.records)


def test_logging(small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[dict[str, Any]] = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        spec = small.linear(features, labels, mode)
        if mode != "train":
            return spec
        tensors = {"rows": tf.shape(labels)[0], "total": tf.reduce_sum(labels)}
        hook = estimators.LoggingTensorHook(tensors, every_n_iter=2, formatter=lambda v: str(lines.append(v)))
        return spec._replace(training_hooks=[hook])

    model = small.estimator(model_fn, tmp_path / "model")
    by_name = estimators.LoggingTensorHook({"error": "loss", "at": "step"}, every_n_iter=2, at_end=True)
    model.train(small.input_fn(batch=8), steps=4, hooks=[by_name])
    assert [line["rows"] for line in lines] == [8, 8]
    assert lines[0]["total"] == pytest.approx(small.Y.sum(), rel=1e-5)
    logged = [record.getMessage() for record in caplog.records if record.getMessage().startswith("error = ")]
    assert [line.split("at = ")[1].split(" ")[0] for line in logged] == ["1", "3", "4"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: estimators.LoggingTensorHook(["loss"]), "exactly one of every_n_iter and every_n_secs"),
        (lambda: estimators.LoggingTensorHook(["loss"], every_n_iter=1, every_n_secs=1), "exactly one of every_n_iter"),
        (lambda: estimators.StopAtStepHook(), "One of num_steps or last_step must be specified"),
        (lambda: estimators.StopAtStepHook(1, 2), "Only one of num_steps or last_step can be specified"),
        (lambda: estimators.every_n_steps(0, print), "`steps` must be at least 1. Received: 0"),
        (lambda: estimators.every_n_secs(-1, print), "`seconds` must not be negative. Received: -1"),
        (lambda: estimators.StepCounterHook(10, 10.0), "Exactly one of the cadences"),
        (lambda: estimators.SummarySaverHook(), "Exactly one of the cadences"),
        (lambda: estimators.CheckpointSaverHook(save_steps=1, checkpoint_basename="x"), "must be 'model.ckpt'"),
        (lambda: estimators.ProfilerHook(save_steps=1, profile_steps=0), "`profile_steps` must be at least 1"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_name_in_the_log(small: Any, model: Estimator) -> None:
    with pytest.raises(ValueError, match=r"the tensor 'lss', which the model_fn does not make.*'global_step'"):
        model.train(small.input_fn(), steps=1, hooks=[estimators.LoggingTensorHook(["lss"], every_n_iter=1)])


def test_summaries_of_a_hooks_own_directory(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path / "model")
    hooks = [
        estimators.StepCounterHook(every_n_steps=2, output_dir=str(tmp_path / "speed")),
        v1.train.StepCounterHook(every_n_steps=2, output_dir=str(tmp_path / "old")),
        estimators.SummarySaverHook(save_steps=2, output_dir=str(tmp_path / "loss")),
    ]
    model.train(small.input_fn(), steps=5, hooks=hooks)
    tags = {
        name: {
            (value.tag, event.step)
            for path in (tmp_path / name).iterdir()
            for event in v1.train.summary_iterator(str(path))
            for value in event.summary.value
        }
        for name in ("speed", "old", "loss")
    }
    speed = {("global_step/sec", 3), ("global_step/sec", 5)}
    assert tags == {"speed": speed, "old": speed, "loss": {("loss", 1), ("loss", 3), ("loss", 5)}}


def test_final_ops(small: Any, tmp_path: pathlib.Path) -> None:
    hooks = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        spec = small.linear(features, labels, mode)
        hooks.append(estimators.FinalOpsHook({"last": tf.reduce_max(labels)}))
        return spec._replace(training_hooks=[hooks[-1]]) if mode == "train" else spec

    small.estimator(model_fn, tmp_path / "model").train(small.input_fn(batch=8), steps=2)
    # Of the model_fn's calls one is that of the steps, and so is its hook.
    (values,) = [hook.final_ops_values for hook in hooks if hook.final_ops_values is not None]
    assert values["last"] == pytest.approx(small.Y.max())


def test_checkpoint_saver_of_the_user(small: Any, tmp_path: pathlib.Path) -> None:
    saved: list[int] = []

    class Listener(v1.train.CheckpointSaverListener):
        def after_save(self, session: Any, global_step_value: int) -> None:
            saved.append(int(global_step_value))

    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=2)
    hook = estimators.CheckpointSaverHook(str(tmp_path / "model"), save_steps=3, listeners=[Listener()])
    model.train(small.input_fn(), steps=7, hooks=[hook])
    assert saved == [0, 3, 6, 7]
    other = estimators.CheckpointSaverHook(str(tmp_path / "elsewhere"), save_steps=3)
    with pytest.raises(ValueError, match="`checkpoint_dir` must be the estimator's model_dir"):
        model.train(small.input_fn(), steps=1, hooks=[other])


def test_profiler(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path / "model")
    model.train(small.input_fn(), steps=4, hooks=[estimators.ProfilerHook(save_steps=100, profile_steps=2)])
    assert glob.glob(os.path.join(model.model_dir, "plugins", "profile", "*", "*.xplane.pb"))


def test_global_step_waiter(small: Any, model: Estimator) -> None:
    step = int(model.train(small.input_fn(), steps=1).get_variable_value("global_step"))
    model.train(small.input_fn(), steps=1, hooks=[estimators.GlobalStepWaiterHook(step)])
    assert model.get_variable_value("global_step") == step + 1


def test_hooks_of_the_spec_and_of_the_chief(small: Any, tmp_path: pathlib.Path) -> None:
    calls: list[str] = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        spec = small.linear(features, labels, mode)
        return spec._replace(
            training_hooks=[Recorder("all", calls, 1)],
            training_chief_hooks=[Recorder("chief", calls, 1)],
            evaluation_hooks=[Recorder("eval", calls, 1)],
            prediction_hooks=[Recorder("predict", calls, 1)],
        )

    model = small.estimator(model_fn, tmp_path / "model")
    user = Recorder("user", calls, 1)
    model.train(small.input_fn(), steps=1, hooks=[user])
    assert calls == [f"{name} {what}" for what in ("begin 0", "1", "end 1") for name in ("user", "all", "chief")]
    calls.clear()
    model.evaluate(small.input_fn(), steps=1)
    assert calls == ["eval begin 0", "eval 1", "eval end 1"]
    calls.clear()
    list(model.predict(small.input_fn(batch=8, repeat=1)))
    assert calls == ["predict begin 0", "predict 1", "predict end 1"]


def test_progress_lines(small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headway")
    model = small.estimator(small.linear, tmp_path / "model", progress="log", log_step_count_steps=2)
    model.train(small.input_fn(), steps=5)
    text = [record.getMessage() for record in caplog.records]
    assert [line.split("step = ")[1].split(" ")[0] for line in text if line.startswith("loss = ")] == ["1", "3", "5"]
    assert sum(line.startswith("global_step/sec: ") for line in text) == 2


def test_progress_bar(small: Any, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small.estimator(small.linear, tmp_path / "model", progress="bar")
    model.train(small.input_fn(), steps=4)
    shown = capsys.readouterr().err
    assert "step 4/4 [##############################]" in shown
    assert shown.endswith("\n")


def test_lines_of_the_log_do_not_begin_behind_the_bar(
    small: Any, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("headway").addHandler(handler)
    try:
        model = small.estimator(small.linear, tmp_path / "model", progress="bar", save_checkpoints_steps=1)
        model.train(small.input_fn(), steps=2, hooks=[estimators.every_n_steps(1, lambda run: None)])
    finally:
        logging.getLogger("headway").removeHandler(handler)
    shown = capsys.readouterr().err
    for line in re.split(r"[\r\n]", shown.replace("\x1b[K", "")):
        assert not ("Saving a checkpoint" in line and line.startswith("step "))
    assert shown.count("Saving a checkpoint") == 3
    assert "global_step/sec" not in shown


def test_the_batch_after_a_nan_is_the_next_runs(tmp_path: pathlib.Path) -> None:
    losses = []

    def model_fn(features: Any, mode: str) -> Any:
        weight = tf.Variable(0.0, name="weight")
        # The weight stays finite, and the loss is the row itself.
        loss = tf.square(weight) + tf.stop_gradient(features["x"][0])
        return EstimatorSpec(mode, loss=loss, train_op=minimize(keras.optimizers.SGD(0.1), loss, [weight]))

    def input_fn() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices({"x": [1.0, float("nan"), 3.0, 4.0]}).map(lambda row: row).batch(1)

    def trained(steps: int, *hooks: Any) -> Any:
        config = estimators.RunConfig(progress="none", resume_input="always", check_input=False)
        return Estimator(model_fn, str(tmp_path), config).train(input_fn, steps=steps, hooks=hooks)

    assert trained(4, estimators.NanTensorHook(fail_on_nan_loss=False)).get_variable_value("global_step") == 2
    trained(1, estimators.every_n_steps(1, lambda run: losses.append(run.loss)))
    assert losses == [3.0]


def test_a_rate_that_a_hook_sets_is_that_of_the_next_step(tmp_path: pathlib.Path) -> None:
    made, seen = [], []

    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        w, optimizer = tf.Variable(1.0, name="w"), keras.optimizers.SGD(0.5, name="sgd")
        made.append(optimizer)
        loss = w * tf.reduce_mean(features["x"])
        return EstimatorSpec(mode, loss=loss, train_op=minimize(optimizer, loss, [w]))

    def change(run: Any) -> None:
        if run.step == 2:
            made[-1].learning_rate = 0.25

    def see(run: Any) -> None:
        seen.append((run.step, run.values["learning_rate/sgd"]))

    model = Estimator(model_fn, config=estimators.RunConfig(str(tmp_path), progress="none"))
    rows = tf.data.Dataset.from_tensors({"x": [1.0]}).repeat
    model.train(rows, steps=3, hooks=[estimators.every_n_steps(1, act) for act in (see, change, see)])
    assert seen == [(1, 0.5), (1, 0.5), (2, 0.5), (2, 0.5), (3, 0.25), (3, 0.25)]
    # The gradient is 1.
    assert model.get_variable_value("w") == 1.0 - 0.5 - 0.5 - 0.25
