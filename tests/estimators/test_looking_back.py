"""Hooks that look back: the device does not wait for them, and they see each step as it was."""

from __future__ import annotations

import glob
import logging
import pathlib
import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway as hw
from headway.estimators import Hook, LoggingTensorHook, StepCounterHook, SummarySaverHook
from headway.estimators._train_rows import TrainRowsProgram
from headway.estimators._when import EverySteps, Progress

ROWS = hw.input_pipelines.from_arrays({"x": np.zeros(6, np.float32)}, batch_size=2, num_epochs=None)
# The first stretch is one step, to time it; the next goes on for as long as this says.
_IN_ONE_GO = 1000


def counting(features: Any, mode: str, params: dict[str, Any]) -> hw.EstimatorSpec:
    """The loss of step `s` is `s - 1`, and a summary holds twice that."""
    count = tf.Variable(0.0, name="count")
    loss = tf.where(count == params.get("nan_at", -1.0), float("nan"), count + tf.reduce_sum(features["x"]))
    tf.compat.v1.summary.scalar("twice", 2.0 * count)
    metric = keras.metrics.Mean(name="mean")
    metric.update_state(loss)
    metrics = {"mean": metric} if params.get("metrics") else None
    step = tf.compat.v1.train.get_global_step()
    with tf.control_dependencies([loss]):
        train_op = tf.group(count.assign_add(1.0), step.assign_add(params.get("counts", 1)))
    return hw.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops=metrics)


def _train(
    tmp_path: pathlib.Path, steps: int, hooks: list[Any], *, config: dict[str, Any] | None = None, **params: Any
) -> list[int]:
    """Trains in stretches as long as hooks allow; returns how many steps each made."""
    settings = {"log_step_count_steps": None, "save_summary_steps": None, "progress": "none", **(config or {})}
    estimator = hw.Estimator(
        counting,
        model_dir=str(tmp_path),
        params=params,
        config=hw.RunConfig(steps_per_loop=_IN_ONE_GO, save_checkpoints_steps=10_000, **settings),
    )
    made: list[int] = []
    run = TrainRowsProgram.run

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        stretch = run(self, *args, **kwargs)
        made.append(stretch.steps)
        return stretch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainRowsProgram, "run", counted)
        estimator.train(ROWS, steps=steps, hooks=hooks)
    return made


def _events(folder: pathlib.Path, tag: str) -> dict[int, float]:
    found = {}
    for path in glob.glob(str(folder / "events*")):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                if value.tag == tag:
                    number = value.simple_value or float(tf.make_ndarray(value.tensor) if value.tensor.dtype else 0.0)
                    found[event.step] = number
    return found


def test_summaries_are_those_of_their_steps(tmp_path: pathlib.Path) -> None:
    made = _train(tmp_path, 20, [], config={"save_summary_steps": 7})
    assert made == [20]
    assert _events(tmp_path, "loss") == {1: 0.0, 8: 7.0, 15: 14.0}
    assert _events(tmp_path, "twice") == {1: 0.0, 8: 14.0, 15: 28.0}


def test_lines_of_the_log_are_those_of_their_steps(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        made = _train(tmp_path, 12, [LoggingTensorHook(["loss", "step"], every_n_iter=5)])
    assert made == [12]
    lines = [re.sub(r" \(.* sec\)", "", record.message) for record in caplog.records if "loss = " in record.message]
    assert lines == ["loss = 0, step = 1", "loss = 5, step = 6", "loss = 10, step = 11"]


def test_hooks_that_do_not_look_back_act_in_time(tmp_path: pathlib.Path) -> None:
    seen: list[tuple[int, float]] = []
    hooks = [hw.every_n_steps(6, lambda run: seen.append((run.step, run.loss))), SummarySaverHook(save_steps=4)]
    made = _train(tmp_path, 14, hooks)
    assert made == [1, 6, 6, 1]  # to the steps 1, 7, 13, and the end
    assert seen == [(1, 0.0), (7, 6.0), (13, 12.0)]
    assert _events(tmp_path, "loss") == {1: 0.0, 5: 4.0, 9: 8.0, 13: 12.0}


def test_the_speed_is_that_between_the_steps(tmp_path: pathlib.Path) -> None:
    made = _train(tmp_path, 31, [StepCounterHook(every_n_steps=10)])
    assert made == [31]
    speeds = _events(tmp_path, "global_step/sec")
    assert sorted(speeds) == [11, 21, 31]
    # Within a stretch, time passes evenly; the last of them saw the end of it.
    assert speeds[11] == pytest.approx(speeds[21], rel=1e-3)


def test_a_hook_of_ones_own_may_look_back(tmp_path: pathlib.Path) -> None:
    class Curve(Hook):
        looks_back = True

        def __init__(self) -> None:
            self.seen: list[tuple[int, int, float]] = []

        def due(self, progress: Any) -> int | None:
            return 4 * (progress.step // 4 + 1)

        def act(self, run: Any) -> None:
            self.seen.append((run.step, run.values["step"], run.loss))

    curve = Curve()
    assert _train(tmp_path, 10, [curve]) == [10]
    assert curve.seen == [(4, 4, 3.0), (8, 8, 7.0)]


def test_a_step_that_counts_twice_is_named_as_it_is(tmp_path: pathlib.Path) -> None:
    _train(tmp_path, 20, [SummarySaverHook(save_steps=5)], counts=2)
    # Step `s` of the loop leaves the global step at 2 s, and had the loss s - 1. The steps 1, 6, 11 and 16 were asked
    # for beforehand; at the end, 40, five more than 32 have gone by.
    assert _events(tmp_path, "loss") == {2: 0.0, 12: 5.0, 22: 10.0, 32: 15.0, 40: 19.0}


def test_nothing_is_seen_of_steps_behind_a_nan(tmp_path: pathlib.Path) -> None:
    with pytest.raises(hw.estimators.NanLossDuringTrainingError, match="at step 9"):
        _train(tmp_path, 20, [SummarySaverHook(save_steps=3)], nan_at=8.0)
    assert _events(tmp_path, "loss") == {1: 0.0, 4: 3.0, 7: 6.0}


def test_metrics_of_training_are_read_in_time(tmp_path: pathlib.Path) -> None:
    made = _train(tmp_path, 9, [SummarySaverHook(save_steps=4)], metrics=True)
    assert made == [1, 4, 4]
    # The mean of the losses since the summary before: of 0; of 1, 2, 3, 4; of 5, 6, 7, 8.
    assert _events(tmp_path, "mean") == {1: 0.0, 5: 2.5, 9: 6.5}


def test_the_end_of_the_rows_comes_before_the_end_of_a_stretch(tmp_path: pathlib.Path) -> None:
    estimator = hw.Estimator(
        counting,
        model_dir=str(tmp_path),
        params={},
        config=hw.RunConfig(steps_per_loop=_IN_ONE_GO, save_summary_steps=4, progress="none"),
    )
    rows = hw.input_pipelines.from_arrays({"x": np.zeros(5, np.float32)}, batch_size=2, num_epochs=3)
    estimator.train(rows)
    assert estimator.get_variable_value("global_step") == 9
    assert _events(tmp_path, "loss") == {1: 0.0, 5: 4.0, 9: 8.0}
    # What is due at the last row is recorded as well.
    assert _events(tmp_path, "twice") == {1: 0.0, 5: 8.0, 9: 16.0}


def test_a_hook_serves_several_runs(tmp_path: pathlib.Path) -> None:
    class Curve(SummarySaverHook):
        looks_back = True

        def __init__(self) -> None:
            super().__init__(save_steps=5)
            self.seen: list[tuple[int, float]] = []

        def action(self, run: Any) -> None:
            self.seen.append((run.step, run.loss))

    curve = Curve()
    _train(tmp_path / "one", 8, [curve])
    _train(tmp_path / "one", 30, [])
    _train(tmp_path / "one", 12, [curve])
    _train(tmp_path / "other", 2, [curve])
    assert curve.seen == [(step, step - 1.0) for step in (1, 6, 39, 44, 49, 1)]


def test_a_hook_that_comes_late_acts_after_the_next_step() -> None:
    progress = Progress(step=100, first_step=90, seconds=0.0)
    when = EverySteps(5)
    when.done(Progress(step=93, first_step=90, seconds=0.0))
    assert when.steps_until(progress, 112) == [101, 106, 111]
    assert EverySteps(5).steps_until(progress, 112) == [101, 106, 111]
    assert EverySteps(5).steps_until(progress, 100) == []


def test_a_learning_rate_that_the_step_changes_is_that_of_its_step(tmp_path: pathlib.Path) -> None:
    def halving(features: Any, mode: str) -> hw.EstimatorSpec:
        weight = tf.Variable(0.0, name="weight")
        loss = tf.square(weight - 1.0) + tf.reduce_sum(features["x"])
        optimizer = keras.optimizers.SGD(0.5, name="sgd")
        with tf.control_dependencies([hw.minimize(optimizer, loss, [weight])]):
            train_op = optimizer.learning_rate.assign(optimizer.learning_rate * 0.5)
        return hw.EstimatorSpec(mode, loss=loss, train_op=train_op)

    class Rates(SummarySaverHook):
        looks_back = True

        def __init__(self) -> None:
            super().__init__(save_steps=2)
            self.seen: dict[int, float] = {}

        def action(self, run: Any) -> None:
            self.seen[run.step] = run.values["learning_rate/sgd"]

    rates = Rates()
    config = hw.RunConfig(steps_per_loop=_IN_ONE_GO, save_summary_steps=None, progress="none")
    hw.Estimator(halving, model_dir=str(tmp_path), config=config).train(ROWS, steps=6, hooks=[rates])
    assert rates.seen == {1: 0.5, 3: 0.125, 5: 0.03125}


def test_a_hook_made_from_one_that_looks_back_may_stop_in_time(tmp_path: pathlib.Path) -> None:
    class Stop(LoggingTensorHook):
        def action(self, run: Any) -> None:
            if run.step > 1:
                run.request_stop("enough")

    assert _train(tmp_path, 20, [Stop(["loss"], every_n_iter=5)]) == [1, 5]


@pytest.mark.parametrize("wrong", [0, 21])
def test_a_step_outside_of_the_stretch_is_an_error_that_names_the_hook(wrong: int, tmp_path: pathlib.Path) -> None:
    class Astray(Hook):
        looks_back = True

        def due_until(self, progress: Any, last: int) -> list[int]:
            return [wrong]

    message = rf"Astray\.due_until\(progress, 20\) returned {wrong}, at step 0\. It must return steps from 1 to 20 only"
    with pytest.raises(ValueError, match=message):
        _train(tmp_path, 20, [Astray()])
