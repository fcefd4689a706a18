"""Replicas in a graph show the same as those of tf.estimator 2.15, and as one device with the whole batch."""

from __future__ import annotations

import functools
import logging
import pathlib
import types
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway
from headway import _tensorflow_v1, estimators
from tests.graph import golden as golden_values

v1 = tf.compat.v1
GRAPH, FUNCTION = (
    types.SimpleNamespace(
        Estimator=headway.Estimator,
        EstimatorSpec=headway.EstimatorSpec,
        RunConfig=functools.partial(estimators.RunConfig, runtime=runtime),
        layers=_tensorflow_v1.keras_2_of_v1("layers"),
    )
    for runtime in ("graph", "function")
)

programs, golden = golden_values.load("replicas", "programs"), golden_values.values("replicas")


@pytest.mark.parametrize("name", sorted(programs.PROGRAMS))
def test_two_replicas_are_those_of_the_original(name: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    ours = programs.PROGRAMS[name](GRAPH, str(tmp_path / "model"), mirrored)
    assert golden_values.difference(ours, golden[name]) is None


@pytest.mark.parametrize("name", ["normalized", "normalized_always"])
def test_replicas_of_a_function_are_those_of_the_original(name: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    ours = programs.PROGRAMS[name](FUNCTION, str(tmp_path / "model"), mirrored)
    assert golden_values.difference(ours, golden[name]) is None


STRATEGIES = {
    "none": lambda: None,
    "one device": lambda: tf.distribute.OneDeviceStrategy("CPU:0"),
    "version 1": lambda: v1.distribute.OneDeviceStrategy("CPU:1"),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["momentum", "adam", "ftrl", "averaged", "counted_by_hand"])
def test_one_device_with_the_whole_batch_ends_with_the_same_weights(
    name: str, strategy: str, tmp_path: pathlib.Path
) -> None:
    ours = programs.PROGRAMS[name](GRAPH, str(tmp_path / "model"), STRATEGIES[strategy]())
    assert golden_values.difference(ours, golden[name]) is None


def test_a_mirrored_strategy_of_one_device(tmp_path: pathlib.Path) -> None:
    # A strategy of version 1, as a graph makes it: two of version 2 over one device get in each other's way.
    with tf.Graph().as_default():
        strategy = v1.distribute.MirroredStrategy(["CPU:0"])
    ours = programs.PROGRAMS["momentum"](GRAPH, str(tmp_path / "model"), strategy)
    assert golden_values.difference(ours, golden["momentum"]) is None


def test_every_program_has_a_golden_value() -> None:
    assert golden.keys() == programs.PROGRAMS.keys()


def _stops_at(step: int) -> Any:
    class Stopped(RuntimeError):
        pass

    class Stop(v1.train.SessionRunHook):
        def begin(self) -> None:
            self.step = v1.train.get_global_step()

        def after_run(self, run_context: Any, run_values: Any) -> None:
            del run_values
            if run_context.session.run(self.step) == step:
                raise Stopped

    return Stop(), Stopped


def test_an_interrupted_run_goes_on_with_its_input(mirrored: Any, tmp_path: pathlib.Path) -> None:
    whole = programs.estimator(GRAPH, str(tmp_path / "whole"), mirrored, save_checkpoints_steps=1)
    # Of four batches in an epoch two replicas see each two, in turn.
    whole.train(programs.rows(mirrored, batch=8), steps=7)
    broken = programs.estimator(GRAPH, str(tmp_path / "broken"), mirrored, save_checkpoints_steps=1)
    hook, stopped = _stops_at(4)
    with pytest.raises(stopped):
        broken.train(programs.rows(mirrored, batch=8), max_steps=7, hooks=[hook])
    broken = programs.estimator(GRAPH, str(tmp_path / "broken"), mirrored)
    broken.train(programs.rows(mirrored, batch=8), max_steps=7)
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(broken.get_variable_value(name), whole.get_variable_value(name), err_msg=name)


def test_a_directory_goes_on_in_the_other_runtime(mirrored: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        w = v1.get_variable("w", [3, 1], initializer=v1.zeros_initializer())
        loss = tf.reduce_mean(tf.square((features["x"] @ w)[:, 0] - labels))
        train_op = v1.train.MomentumOptimizer(0.05, 0.9).minimize(loss, v1.train.get_or_create_global_step())
        return headway.EstimatorSpec(mode, loss=loss, train_op=train_op)

    found = []
    for runtimes in (["graph", "graph"], ["graph", "function"], ["function", "graph"]):
        folder = str(tmp_path / "-".join(runtimes))
        for runtime in runtimes:
            config = estimators.RunConfig(tf_random_seed=1, runtime=runtime, train_distribute=mirrored)
            est = headway.Estimator(model_fn, folder, config)
            est.train(programs.rows(mirrored), steps=3)
        found.append({name: est.get_variable_value(name) for name in est.get_variable_names()})
    assert found[0].keys() == {"global_step", "w", "w/Momentum"}
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_allclose(other[name], value, rtol=1e-5, err_msg=name)


def test_evaluation_from_a_hook_sees_the_weights_in_memory(mirrored: Any, tmp_path: pathlib.Path) -> None:
    est = programs.estimator(GRAPH, str(tmp_path / "model"), mirrored, params={"normalized": True})
    seen: list[Any] = []
    hook = headway.every_n_steps(3, lambda run: seen.append((run.step, est.evaluate(programs.rows(mirrored, 1, 8)))))
    est.train(programs.rows(mirrored), steps=4, hooks=[hook])
    assert [step for step, _ in seen] == [1, 4]
    after = est.evaluate(programs.rows(mirrored, 1, 8))
    assert seen[-1][1] == pytest.approx(after, rel=1e-6)


def test_train_and_evaluate(mirrored: Any, tmp_path: pathlib.Path) -> None:
    est = programs.estimator(GRAPH, str(tmp_path / "model"), mirrored)
    train_spec = headway.TrainSpec(programs.rows(mirrored), max_steps=9)
    eval_spec = headway.EvalSpec(programs.rows(mirrored, 1, 8), steps=None, throttle_secs=0)
    result, _ = headway.train_and_evaluate(est, train_spec, eval_spec)
    # The program "momentum" reaches the same step by two calls of train.
    assert golden_values.difference(programs.values(est), golden["momentum"]["values"]) is None
    assert result["loss"] == pytest.approx(golden["momentum"]["eval"]["loss"], rel=1e-5)


def test_warm_start(mirrored: Any, tmp_path: pathlib.Path) -> None:
    first = programs.estimator(GRAPH, str(tmp_path / "first"), mirrored)
    first.train(programs.rows(mirrored), steps=3)
    config = GRAPH.RunConfig(train_distribute=mirrored, eval_distribute=mirrored)
    model_fn = programs.model_fn_of(GRAPH)
    second = headway.Estimator(model_fn, str(tmp_path / "second"), config, {}, warm_start_from=str(tmp_path / "first"))
    result = second.evaluate(programs.rows(mirrored, 1, 8))
    assert result["loss"] == pytest.approx(first.evaluate(programs.rows(mirrored, 1, 8))["loss"], rel=1e-6)


@pytest.mark.parametrize("rows", [20, 22])
def test_evaluation_counts_the_rows_of_a_step_that_not_all_replicas_take_part_in(
    rows: int, mirrored: Any, tmp_path: pathlib.Path
) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        w = v1.get_variable("w", [], initializer=v1.constant_initializer(2.0))
        y = w * features["x"][:, 0]
        ops = {"mae": v1.metrics.mean_absolute_error(labels, y)}
        return headway.EstimatorSpec(mode, loss=tf.reduce_mean(tf.abs(y - labels)), eval_metric_ops=ops)

    est = headway.Estimator(model_fn, str(tmp_path / "model"), GRAPH.RunConfig(eval_distribute=mirrored))
    # Batches of 4 to each of the two: 20 rows are five of them, 22 rows have a short one.
    result = est.evaluate(programs.rows(mirrored, 1, 8, take=rows))
    errors = np.abs(2 * programs.X[:rows, 0] - programs.Y[:rows])
    assert result["mae"] == pytest.approx(float(np.mean(errors)), rel=1e-5)
    batches = [float(np.mean(errors[start : start + 4])) for start in range(0, rows, 4)]
    assert result["loss"] == pytest.approx(float(np.mean(batches)), rel=1e-5)


def test_losses_of_one_replica_are_no_losses_of_the_next(mirrored: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        w = v1.get_variable("w", [], initializer=v1.constant_initializer(2.0))
        v1.losses.add_loss(tf.reduce_mean(w * features["x"][:, 0]))
        return headway.EstimatorSpec(mode, loss=v1.losses.get_total_loss())

    config = GRAPH.RunConfig(eval_distribute=mirrored)
    result = headway.Estimator(model_fn, str(tmp_path / "model"), config).evaluate(programs.rows(mirrored, 1))
    assert result["loss"] == pytest.approx(float(np.mean(2 * programs.X[:, 0])), rel=1e-5)


@pytest.mark.parametrize("by_layer", [False, True])
def test_regularizers_that_may_count_in_part_are_told(
    by_layer: bool, mirrored: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def model_fn(features: Any, mode: str) -> Any:
        settings = {"initializer": v1.ones_initializer(), "regularizer": tf.square}
        if by_layer:
            settings = {f"kernel_{name}": value for name, value in settings.items()}
            y = GRAPH.layers.dense(features, 1, use_bias=False, name="y", **settings)
        else:
            y = features * v1.get_variable("y/kernel", [1, 1], **settings)
        loss = tf.reduce_mean(tf.square(y)) + tf.squeeze(v1.losses.get_regularization_loss())
        train_op = v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_or_create_global_step())
        return headway.EstimatorSpec(mode, loss=loss, train_op=train_op)

    est = headway.Estimator(model_fn, str(tmp_path / "model"), GRAPH.RunConfig(train_distribute=mirrored))
    with caplog.at_level(logging.WARNING, "headway"):
        est.train(lambda: tf.data.Dataset.from_tensors(tf.ones([2, 1])).repeat(), steps=1)
    # Both losses are w * w at 1, with the gradient 2: tf.estimator, too, takes half of that of the layer's regularizer.
    expected = 1 - 0.1 * (2 + 1) if by_layer else 1 - 0.1 * (2 + 2)
    assert est.get_variable_value("y/kernel").item() == pytest.approx(expected)
    assert "may count 1/2 in the gradients" in caplog.text


def test_input_that_is_no_dataset_is_refused(mirrored: Any, tmp_path: pathlib.Path) -> None:
    est = programs.estimator(GRAPH, str(tmp_path / "model"), mirrored)
    with pytest.raises(ValueError, match=r"Under MirroredStrategy an input_fn must return a tf\.data\.Dataset"):
        est.train(lambda: v1.data.make_one_shot_iterator(programs.rows(mirrored)()).get_next(), steps=1)


def test_a_strategy_that_graphs_do_not_have_is_refused() -> None:
    strategy = object.__new__(tf.distribute.MultiWorkerMirroredStrategy)  # its constructor connects to a cluster
    with pytest.raises(ValueError, match=r"is for compiled functions, and not for `runtime='graph'`.*MirroredStrategy"):
        estimators.RunConfig(runtime="graph", train_distribute=strategy)


def test_a_hook_of_sessions_takes_a_strategy_to_the_graph(
    mirrored: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    auto = types.SimpleNamespace(**{**vars(GRAPH), "RunConfig": estimators.RunConfig})
    with caplog.at_level(logging.INFO, "headway"):
        ours = programs.PROGRAMS["hooks"](auto, str(tmp_path / "model"), mirrored)
    assert golden_values.difference(ours, golden["hooks"]) is None
    assert "The model runs in the graph runtime: the hook Recorder works in a session" in caplog.text


def test_a_model_of_keras_3_stays_in_functions(
    mirrored: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        y = keras.layers.Dense(1)(features["x"])[:, 0]
        loss = tf.reduce_mean(tf.square(y - labels))
        train_op = v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_or_create_global_step())
        return headway.EstimatorSpec(mode, loss=loss, train_op=train_op)

    config = estimators.RunConfig(train_distribute=mirrored)
    with caplog.at_level(logging.INFO, "headway"):
        headway.Estimator(model_fn, str(tmp_path / "model"), config).train(programs.rows(mirrored), steps=2)
    assert "graph runtime" not in caplog.text


@pytest.mark.parametrize("what", ["behavior", "eager"])
def test_an_old_program_with_a_strategy_runs_in_a_graph(what: str, tmp_path: pathlib.Path) -> None:
    found, log = golden_values.found_by("old_replicas.py", what, str(tmp_path / "model"))
    assert golden_values.difference(found, golden["momentum"]) is None
    assert "The model runs in the graph runtime: eager execution is disabled" in log


EARLY = {
    "no_decrease": lambda est: headway.stop_if_no_decrease_hook(est, "loss", 4, min_steps=2, **EACH),
    "no_increase": lambda est: headway.stop_if_no_increase_hook(est, "loss", 4, **EACH),
    "lower": lambda est: headway.stop_if_lower_hook(est, "loss", 0.5, **EACH),
    "higher": lambda est: headway.stop_if_higher_hook(est, "loss", 0.001, **EACH),
}
EACH = {"run_every_secs": None, "run_every_steps": 2}
# At these steps tf.estimator 2.15 ends on one device; under a strategy its hooks raise an error.
STOPPED = {"no_decrease": 17, "no_increase": 7, "lower": 13, "higher": 3}


@pytest.mark.parametrize("kind", sorted(EARLY))
def test_early_stopping(kind: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    est = programs.estimator(GRAPH, str(tmp_path / "model"), mirrored, save_checkpoints_steps=2)
    train = headway.TrainSpec(programs.rows(mirrored), max_steps=30, hooks=[EARLY[kind](est)])
    evaluation = headway.EvalSpec(programs.rows(mirrored, 1, 8), steps=None, start_delay_secs=0, throttle_secs=0)
    headway.train_and_evaluate(est, train, evaluation)
    assert est.get_variable_value("global_step") == STOPPED[kind]


def _scaffold_of(kind: str, other: str, strategy: Any) -> Any:
    """Returns a scaffold that restores the first replica's variables, as programs for one device have it."""
    if kind == "saver":
        return v1.train.Scaffold(saver=v1.train.Saver(v1.global_variables(), max_to_keep=2))
    saver = v1.train.Saver([v for v in v1.trainable_variables() if "replica_1" not in v.name])

    def restore(scaffold: Any, session: Any) -> None:
        del scaffold
        saver.restore(session, tf.train.latest_checkpoint(other))

    def load(scaffold: Any, session: Any) -> None:
        del scaffold
        for variable in v1.trainable_variables():
            part = variable if strategy is None else strategy.experimental_local_results(variable)[0]
            part.load(np.full(variable.shape, 0.7, "float32"), session)

    return v1.train.Scaffold(init_fn=restore if kind == "init_fn that restores" else load)


@pytest.mark.parametrize("kind", ["saver", "init_fn that restores", "init_fn that loads"])
def test_what_the_first_replica_restores_is_in_all(kind: str, mirrored: Any, tmp_path: pathlib.Path) -> None:
    other = str(tmp_path / "other")
    programs.estimator(GRAPH, other, None).train(programs.rows(None), steps=2)
    inner = programs.model_fn_of(GRAPH)

    def model_fn(features: Any, labels: Any, mode: str, config: Any, params: Any) -> Any:
        spec = inner(features, labels, mode, params)
        return spec._replace(scaffold=_scaffold_of(kind, other, config.train_distribute))

    found = []
    for name, strategy in (("one", None), ("two", mirrored)):
        est = programs.estimator(GRAPH, str(tmp_path / name), strategy, model_fn)
        for _ in range(2):
            est.train(programs.rows(strategy), steps=2)
        found.append({"values": programs.values(est), "eval": programs.result(est, programs.rows(strategy, 1, 8))})
    assert golden_values.difference(found[1], found[0]) is None


def test_evaluation_with_moving_averages_in_all_replicas(mirrored: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str, params: Any) -> Any:
        w = v1.get_variable("w", [], initializer=v1.zeros_initializer())
        averages = v1.train.ExponentialMovingAverage(0.5)
        loss = tf.reduce_mean(w)
        if mode == "eval":
            saver = v1.train.Saver(averages.variables_to_restore())
            return headway.EstimatorSpec(mode, loss=loss, scaffold=v1.train.Scaffold(saver=saver))
        # The gradients of both replicas are 1/2 each.
        train_op = v1.train.GradientDescentOptimizer(1.0).minimize(loss, v1.train.get_or_create_global_step())
        with tf.control_dependencies([train_op]):
            return headway.EstimatorSpec(mode, loss=loss, train_op=averages.apply([w]))

    est = programs.estimator(GRAPH, str(tmp_path / "model"), mirrored, model_fn)
    est.train(programs.rows(mirrored), steps=2)
    # w is 0, -1, -2; its average 0, -0.5, -1.25.
    assert est.get_variable_value("w") == -2.0
    assert est.evaluate(programs.rows(mirrored, 1, 8))["loss"] == -1.25


def test_loading_all_replicas_at_once_is_an_error_that_says_what_to_do(mirrored: Any, tmp_path: pathlib.Path) -> None:
    inner = programs.model_fn_of(GRAPH)

    def load(scaffold: Any, session: Any) -> None:
        del scaffold
        v1.trainable_variables()[0].load(np.zeros([3, 2], "float32"), session)

    def model_fn(features: Any, labels: Any, mode: str, params: Any) -> Any:
        return inner(features, labels, mode, params)._replace(scaffold=v1.train.Scaffold(init_fn=load))

    est = programs.estimator(GRAPH, str(tmp_path / "model"), mirrored, model_fn)
    with pytest.raises(ValueError, match=r"variable of 2 replicas.*experimental_local_results\(variable\)\[0\].load"):
        est.train(programs.rows(mirrored), steps=1)
