"""Which runtime a program gets, and why."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway
from headway import Estimator, EstimatorSpec, RunConfig
from headway import feature_columns as fc

v1 = tf.compat.v1
X = np.arange(12, dtype="float32").reshape(6, 2) / 10
Y = X[:, 0] - X[:, 1]


def rows() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).repeat().batch(2)


def one_shot() -> Any:
    return v1.data.make_one_shot_iterator(rows()).get_next()


def initializable() -> Any:
    iterator = v1.data.make_initializable_iterator(rows())
    v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return iterator.get_next()


def two_batches() -> Any:
    iterator = v1.data.make_one_shot_iterator(rows())
    return iterator.get_next()[0], iterator.get_next()[1]


def scaffold() -> Any:
    return v1.train.Scaffold(init_fn=lambda scaffold, session: None)


def tensors() -> Any:
    return {"x": tf.constant(X)}, tf.constant(Y)


def queue() -> Any:
    x, y = v1.train.slice_input_producer([tf.constant(X), tf.constant(Y)], shuffle=False)
    x, y = v1.train.batch([x, y], 2)
    return {"x": x}, y


class Fetching(v1.train.SessionRunHook):  # type: ignore[misc]
    def before_run(self, run_context: Any) -> Any:
        return v1.train.SessionRunArgs("loss:0")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.loss = run_values.results


class WithSession(v1.train.SessionRunHook):  # type: ignore[misc]
    def after_create_session(self, session: Any, coord: Any) -> None:
        self.step = session.run(v1.train.get_global_step())


class Counting(v1.train.SessionRunHook):  # type: ignore[misc]
    steps = 0

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.steps += 1


def model(
    *,
    logits: Callable[[Any], Any] | None = None,
    scaffold: Callable[[], Any] | None = None,
    hooks: Callable[[Any], Any] | None = None,
) -> Callable[..., EstimatorSpec]:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = v1.get_variable("w", [2, 1], initializer=v1.zeros_initializer())
        y = ((features["x"] if logits is None else logits(features["x"])) @ w)[:, 0]
        if mode == "infer":
            return EstimatorSpec(mode, predictions={"y": y})
        loss = tf.reduce_mean(tf.square(y - labels), name="loss")
        if mode == "eval":
            return EstimatorSpec(mode, loss=loss)
        return EstimatorSpec(
            mode,
            loss=loss,
            train_op=v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_global_step()),
            scaffold=None if scaffold is None else scaffold(),
            training_hooks=None if hooks is None else hooks(loss),
        )

    return model_fn


def dense(x: Any) -> Any:
    return keras.layers.Dense(2, kernel_initializer="identity")(x)


def with_placeholder(x: Any) -> Any:
    scale = v1.placeholder_with_default(1.0, [])
    return x * scale * v1.placeholder(tf.float32, [], name="scale")


def in_a_graph_only(x: Any) -> Any:
    graph = v1.get_default_graph()
    if type(graph) is not tf.Graph:
        raise RuntimeError("not in this kind of graph")
    return x


GRAPH, FUNCTION = "runs in the graph runtime", "runs in the function runtime"
CASES: dict[str, tuple[dict[str, Any], Any, list[Any], str | None]] = {
    "nothing special": ({}, rows, [], None),
    "tensors": ({}, tensors, [], None),
    "a hook that counts": ({}, rows, [Counting()], None),
    "a hook that fetches": ({}, rows, [Fetching()], f"{GRAPH}: the hook Fetching"),
    "a hook with a session": ({}, rows, [WithSession()], f"{GRAPH}: the hook WithSession"),
    "a hook of TensorFlow": ({}, rows, [v1.train.StopAtStepHook(num_steps=2)], None),
    "one for sessions": (
        {},
        rows,
        [v1.train.FinalOpsHook("loss:0")],
        f"{GRAPH}: the hook FinalOpsHook",
    ),
    "a hook of model_fn": (
        {"hooks": lambda loss: [v1.train.LoggingTensorHook({"loss": loss}, every_n_iter=1)]},
        rows,
        [],
        None,
    ),
    "one of model_fn for sessions": (
        {"hooks": lambda loss: [v1.train.FinalOpsHook("w/Read/ReadVariableOp:0")]},
        rows,
        [],
        f"{GRAPH}: model_fn returned the hook FinalOpsHook",
    ),
    "a scaffold": ({"scaffold": v1.train.Scaffold}, rows, [], None),
    "one with init_fn": (
        {"scaffold": scaffold},
        rows,
        [],
        f"{GRAPH}: model_fn returned a Scaffold with init_fn",
    ),
    "a placeholder": (
        {"logits": with_placeholder},
        rows,
        [v1.train.FeedFnHook(lambda: {"scale:0": 1.0})],
        f"{GRAPH}: the hook FeedFnHook",
    ),
    "a one-shot iterator": ({}, one_shot, [], None),
    "several batches in a step": ({}, two_batches, [], f"{GRAPH}: input_fn takes several batches of an iterator"),
    "an initializable iterator": ({}, initializable, [], None),
    "a queue": ({}, queue, [], f"{GRAPH}: input_fn does not run in a compiled function"),
    "model_fn raises": ({"logits": in_a_graph_only}, rows, [], f"{GRAPH}: model_fn does not run in a compiled"),
    "Keras layers and an iterator": ({"logits": dense}, one_shot, [], None),
    "Keras layers and a hook": ({"logits": dense}, rows, [Fetching()], f"{GRAPH}: the hook Fetching"),
}


@pytest.mark.parametrize("name", CASES)
def test_choice(name: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    arguments, input_fn, hooks, expected = CASES[name]
    estimator = Estimator(model(**arguments), config=RunConfig(model_dir=str(tmp_path), progress="none"))
    with caplog.at_level(logging.INFO, "headway"):
        estimator.train(input_fn, steps=2, hooks=hooks)
    np.testing.assert_array_equal(estimator.get_variable_value("global_step"), 2)
    if expected is None:
        # Function checkpoints have no graph beside them.
        assert not list(tmp_path.glob("*.meta"))
    else:
        assert expected in caplog.text
        assert list(tmp_path.glob("model.ckpt-2.meta"))


def test_placeholders_that_nobody_feeds_are_met_while_tracing(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = Estimator(model(logits=with_placeholder), config=RunConfig(model_dir=str(tmp_path)))
    with caplog.at_level(logging.INFO, "headway"), pytest.raises(tf.errors.InvalidArgumentError, match="scale"):
        estimator.train(rows, steps=1)
    assert "model_fn makes the placeholders ['scale']" in caplog.text


def test_a_mistake_in_model_fn_is_no_reason(tmp_path: pathlib.Path) -> None:
    def wrong(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Estimator(model(logits=wrong), config=RunConfig(model_dir=str(tmp_path))).train(rows, steps=1)


def test_a_session_hook_of_one_evaluation_leaves_the_model_where_it_is(tmp_path: pathlib.Path) -> None:
    estimator = Estimator(model(), config=RunConfig(model_dir=str(tmp_path), progress="none")).train(rows, steps=1)
    hook = Fetching()
    result = estimator.evaluate(rows, steps=2, hooks=[hook])
    assert hook.loss >= 0
    again = estimator.evaluate(rows, steps=2)
    assert result["loss"] == pytest.approx(again["loss"])
    estimator.train(rows, steps=1)
    assert not list(tmp_path.glob("*.meta"))


def test_an_evaluation_may_need_a_session_where_training_does_not(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def with_hook(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        spec = model()(features, labels, mode)
        hook = v1.train.LoggingTensorHook({"loss": "loss:0"}, every_n_iter=1)
        return spec._replace(evaluation_hooks=[hook]) if mode == "eval" else spec

    estimator = Estimator(with_hook, config=RunConfig(model_dir=str(tmp_path), progress="none"))
    estimator.train(rows, steps=1)
    with caplog.at_level(logging.INFO, "headway"):
        assert estimator.evaluate(rows, steps=1)["global_step"] == 1
    assert "This call uses the graph runtime: the hook LoggingTensorHook asks for tensors" in caplog.text
    estimator.train(rows, steps=1)
    assert not list(tmp_path.glob("*.meta"))
    # One that has trained nothing yet can still go to a graph altogether.
    later = Estimator(model(scaffold=scaffold), config=RunConfig(model_dir=str(tmp_path), progress="none"))
    assert later.evaluate(rows, steps=1)["global_step"] == 2
    later.train(rows, steps=1)
    assert list(tmp_path.glob("model.ckpt-3.meta"))


@pytest.mark.parametrize("input_fn", [one_shot, initializable])
def test_a_ready_made_estimator_takes_input_of_a_session(input_fn: Any, tmp_path: pathlib.Path) -> None:
    def make(name: str) -> Any:
        config = RunConfig(model_dir=str(tmp_path / name), tf_random_seed=1, progress="none")
        return headway.LinearRegressor([fc.numeric_column("x", shape=(2,))], config=config)

    ours, other = make("session").train(input_fn, steps=4), make("dataset").train(rows, steps=4)
    for name in ours.get_variable_names():
        np.testing.assert_allclose(ours.get_variable_value(name), other.get_variable_value(name), rtol=1e-6)


def test_what_cannot_be_is_refused(tmp_path: pathlib.Path) -> None:
    config = RunConfig(model_dir=str(tmp_path))
    columns = [fc.numeric_column("x", shape=(2,))]
    with pytest.raises(
        ValueError, match=r"has an `after_create_session`, and there is no session.* Use a headway hook"
    ):
        headway.LinearRegressor(columns, config=config).train(rows, steps=1, hooks=[WithSession()])
    with pytest.raises(ValueError, match=r"The graph runtime cannot run this model: it is made of headway's own parts"):
        headway.LinearRegressor(columns, config=config.replace(runtime="graph")).train(rows, steps=1)
    normalized = Estimator(model(logits=lambda x: keras.layers.BatchNormalization()(x)), config=config)
    with pytest.raises(
        ValueError, match=r"there is no session: .* it makes Keras 3's BatchNormalization, whose updates"
    ):
        normalized.train(rows, steps=1, hooks=[Fetching()])
    with pytest.raises(ValueError, match=r"cannot run this model: it makes Keras 3's BatchNormalization"):
        Estimator(
            model(logits=lambda x: keras.layers.BatchNormalization()(x)), config=config.replace(runtime="graph")
        ).train(rows, steps=1)
    with pytest.raises(ValueError, match=r"model_fn returned a Scaffold with init_fn, which only a session knows"):
        Estimator(model(scaffold=scaffold), config=config.replace(runtime="function")).train(rows, steps=1)
    with pytest.raises(ValueError, match=r"`gradient_clipping=1.0` is for compiled functions"):
        config.replace(runtime="graph", gradient_clipping=1.0)


def test_settings_for_sessions_have_an_effect_in_one(tmp_path: pathlib.Path) -> None:
    devices: list[str] = []

    def device_fn(op: Any) -> str:
        devices.append(op.name)
        return "/cpu:0"

    config = RunConfig(
        model_dir=str(tmp_path),
        runtime="graph",
        session_config=v1.ConfigProto(intra_op_parallelism_threads=1),
        device_fn=device_fn,
        session_creation_timeout_secs=60,
    )
    Estimator(model(), config=config).train(rows, steps=1)
    assert "w" in devices
