"""Which updates of a step run: those that a session would have run, or all of them in a program of TensorFlow 2."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import headway as hw

v1 = tf.compat.v1
X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


def endless() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors({"x": X}).repeat()


def trained(body: Callable[[Any, Any], Any], folder: pathlib.Path, steps: int = 3, **settings: Any) -> Any:
    """Trains with `body(x, step)`, which returns (loss, train_op); returns the value of a variable by name."""

    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        loss, train_op = body(features["x"], v1.train.get_global_step())
        return hw.EstimatorSpec(mode, loss=loss, train_op=train_op)

    model = hw.Estimator(model_fn, str(folder), hw.RunConfig(progress="none", runtime="function", **settings))
    return model.train(endless, steps=steps).get_variable_value


def weight() -> tf.Variable:
    return tf.Variable([[0.5], [0.5]], name="w")


def counter(name: str) -> tf.Variable:
    # Replicas that count in step have one count.
    mean = tf.VariableAggregation.MEAN
    return tf.Variable(0.0, trainable=False, name=name, aggregation=mean)


def descent(loss: Any, step: Any) -> Any:
    return v1.train.MomentumOptimizer(0.01, 0.9).minimize(loss, step)


def _told(log: pytest.LogCaptureFixture, words: str = "run in training") -> list[str]:
    return [record.getMessage() for record in log.records if words in record.getMessage()]


def test_what_is_left_out_is_told_once_by_name(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        for i in range(9):
            counter(f"never_{i}").assign_add(1.0)
        return loss, descent(loss, step)

    value = trained(body, tmp_path)
    (told,) = _told(caplog)
    assert "Updates of never_0, never_1, never_2" in told
    assert "never_7 and 1 more do not run in training" in told
    assert "train_op=tf.group(train_op, update)" in told
    assert [value(f"never_{i}") for i in range(9)] == [0.0] * 9
    assert value("global_step") == 3


def test_what_branches_and_loops_update_unasked_is_told_once_by_name(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def body(x: Any, step: Any) -> Any:
        counts = {name: counter(name) for name in ("unasked", "nested", "looped", "returned", "waited")}
        counts["otherwise"] = counter("otherwise")

        def taken() -> Any:
            counts["unasked"].assign_add(1.0)
            returned = counts["returned"].assign_add(1.0)
            with tf.control_dependencies([counts["waited"].assign_add(1.0)]):
                returned = tf.identity(returned)
            return returned + tf.cond(returned > 0.0, nested, lambda: 0.0)

        def nested() -> Any:
            counts["nested"].assign_add(1.0)
            return tf.constant(0.0)

        def not_taken() -> Any:
            counts["otherwise"].assign_add(1.0)
            return tf.constant(0.0)

        def turn(i: Any) -> Any:
            counts["looped"].assign_add(1.0)
            return i + 1

        extra = tf.cond(tf.reduce_sum(x) > 0.0, taken, not_taken)
        turns = tf.while_loop(lambda i: i < 2, turn, [0])
        loss = tf.reduce_mean(tf.square(x @ weight())) + 0.0 * extra + 0.0 * tf.cast(turns, tf.float32)
        return loss, descent(loss, step)

    value = trained(body, tmp_path)
    (told,) = _told(caplog, "branch of tf.cond")
    assert "Updates of looped, nested, otherwise, unasked run whenever" in told
    counts = {name: value(name) for name in ("unasked", "nested", "looped", "returned", "waited", "otherwise")}
    assert counts == {"unasked": 3, "nested": 3, "looped": 6, "returned": 3, "waited": 3, "otherwise": 0}


def test_branches_whose_updates_are_asked_for_need_no_words(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def body(x: Any, step: Any) -> Any:
        w, count = weight(), counter("count")
        loss = tf.reduce_mean(tf.square(x @ w))
        optimizer = v1.train.MomentumOptimizer(0.01, 0.9)
        gradients = optimizer.compute_gradients(loss, [w])
        each_second = tf.cond(
            tf.equal(step % 2, 0), lambda: tf.group(optimizer.apply_gradients(gradients)), lambda: tf.no_op()
        )
        counted = tf.cond(tf.reduce_sum(x) > 0.0, lambda: count.assign_add(1.0), lambda: count.read_value())
        return loss, tf.group(each_second, counted, step.assign_add(1))

    assert trained(body, tmp_path)("count") == 3
    assert not _told(caplog, "branch of tf.cond")


def by_v1(loss: Any, w: Any, step: Any) -> Any:
    del w
    return descent(loss, step)


def by_hand(loss: Any, w: Any, step: Any) -> Any:
    return tf.group(w.assign_sub(0.01 * tf.gradients(loss, [w])[0]), step.assign_add(1))


def by_hand_beside_the_train_op(loss: Any, w: Any, step: Any) -> Any:
    w.assign_sub(0.01 * tf.gradients(loss, [w])[0])
    return step.assign_add(1)


def by_headway(loss: Any, w: Any, step: Any) -> Any:
    del step
    return hw.minimize(keras.optimizers.SGD(0.01), loss, [w])


def by_keras(loss: Any, w: Any, step: Any) -> Any:
    optimizer = keras.optimizers.SGD(0.01)
    variable = keras.Variable(1.0, name="scale")
    optimizer.build([variable])
    optimizer.apply(tf.gradients(loss * variable.value, [variable.value]), [variable])
    return tf.group(w.assign_sub(tf.zeros_like(w)), step.assign_add(1))


@pytest.mark.parametrize(
    ("train", "runs"),
    [(by_v1, 0), (by_hand, 0), (by_hand_beside_the_train_op, 3), (by_headway, 3), (by_keras, 3)],
)
def test_what_a_program_trains_by_decides(
    train: Any, runs: int, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def body(x: Any, step: Any) -> Any:
        w = weight()
        loss = tf.reduce_mean(tf.square(x @ w))
        counter("beside").assign_add(1.0)
        with tf.control_dependencies([counter("reached").assign_add(1.0)]):
            loss = tf.identity(loss)
        return loss, train(loss, w, step)

    value = trained(body, tmp_path)
    assert (value("beside"), value("reached"), value("global_step")) == (runs, 3.0, 3)
    assert bool(_told(caplog)) == (runs == 0)


def test_what_keras_layers_update_is_always_meant(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headway")
    seen: list[Any] = []

    def body(x: Any, step: Any) -> Any:
        norm = keras.layers.BatchNormalization(momentum=0.5, name="norm")
        drop = keras.layers.Dropout(0.5, seed=1)
        ones = tf.ones([64])
        masks = tf.stack([drop(ones, training=True), drop(ones, training=True)])
        noted = tf.py_function(lambda value: seen.append(value.numpy()), [masks], [])
        counter("never").assign_add(1.0)
        with tf.control_dependencies([noted]):
            loss = tf.reduce_mean(tf.square(norm(x, training=True) @ weight()))
        return loss, descent(loss, step)

    value = trained(body, tmp_path, steps=2)
    # The mean of X is (2, 3), and 0 + 0.5 * (2, 3), once more.
    np.testing.assert_allclose(value("norm/moving_mean"), [1.5, 2.25])
    assert value("never") == 0.0
    (told,) = _told(caplog, "What Keras layers update")
    assert "norm/moving_mean, norm/moving_variance" in told
    # The state of random numbers goes on from one draw to the next.
    assert len({row.tobytes() for masks in seen for row in masks}) == 4


def test_what_layers_of_keras_2_update_is_meant_too(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    def body(x: Any, step: Any) -> Any:
        norm = tf_keras.layers.BatchNormalization(momentum=0.5, name="norm")
        counter("never").assign_add(1.0)
        loss = tf.reduce_mean(tf.square(norm(x, training=True) @ weight()))
        return loss, descent(loss, step)

    caplog.set_level(logging.INFO, "headway")
    value = trained(body, tmp_path, steps=2)
    np.testing.assert_allclose(value("norm/moving_mean"), [1.5, 2.25])
    assert value("never") == 0.0
    assert "norm/moving_mean, norm/moving_variance" in _told(caplog, "What Keras layers update")[0]


def test_effects_keep_their_order(tmp_path: pathlib.Path) -> None:
    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        total = counter("total")
        updates = []
        for i in range(1, 4):
            updates.append(total.assign(10.0 * total + i))
            counter(f"never_{i}").assign(total)
        return loss, tf.group(descent(loss, step), *updates)

    assert trained(body, tmp_path, steps=1)("total") == 123.0


@pytest.mark.parametrize("how", ["2 replicas", "jit_compile=True"])
def test_where_they_cannot_be_left_out_they_run_and_are_told(
    how: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, mirrored: tf.distribute.Strategy
) -> None:
    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        counter("beside").assign_add(1.0)
        return loss, tf.group(descent(loss, step), counter("reached").assign_add(1.0))

    settings = {"train_distribute": mirrored} if how == "2 replicas" else {"jit_compile": True}
    value = trained(body, tmp_path, **settings)
    assert (value("beside"), value("reached"), value("global_step")) == (3.0, 3.0, 3)
    (told,) = _told(caplog)
    assert told.startswith("Updates of beside run in training that neither the train_op nor")
    assert f"but with {how} they cannot be left out" in told


def test_what_a_hook_names_is_run(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headway")

    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        loss = tf.reduce_mean(tf.square(features["x"] @ weight()))
        tf.identity(v1.assign_add(counter("count"), 1.0), name="counted")
        return hw.EstimatorSpec(mode, loss=loss, train_op=descent(loss, v1.train.get_global_step()))

    model = hw.Estimator(model_fn, str(tmp_path), hw.RunConfig(progress="none", runtime="function"))
    model.train(endless, steps=3, hooks=[v1.train.LoggingTensorHook(["counted"], every_n_iter=1)])
    assert model.get_variable_value("count") == 3.0
    assert not _told(caplog)


def test_metrics_of_tensorflow_1_are_not_taken_for_those_of_keras_2(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headway")
    assert tf_keras is not None

    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        value, _ = v1.metrics.mean(x)
        seen = counter("seen")
        with tf.control_dependencies([seen.assign(value)]):
            return loss, descent(tf.identity(loss), step)

    # Nobody runs the metric's update, so its value is what it was before any.
    assert trained(body, tmp_path)("seen") == 0.0
    # Nor for checks.
    assert not _told(caplog, "Nothing asks for the checks")


def test_checks_prints_and_calls_that_nobody_asked_for_do_not_run(tmp_path: pathlib.Path) -> None:
    calls = []

    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        v1.assert_equal(1, tf.shape(x)[0])
        v1.Assert(tf.reduce_all(x < -100.0), [x])
        v1.check_numerics(v1.log(-tf.abs(x)), "nobody's")
        v1.py_func(lambda: calls.append(1) or np.float32(0.0), [], tf.float32)
        asked_for = v1.py_func(lambda: calls.append(2) or np.float32(0.0), [], tf.float32)
        with tf.control_dependencies([asked_for, v1.assert_equal(2, tf.shape(x)[0])]):
            return loss, descent(tf.identity(loss), step)

    assert trained(body, tmp_path)("global_step") == 3
    assert calls == [2, 2, 2]


@pytest.mark.parametrize("how", ["after training", "in a new process"])
def test_nor_do_they_in_evaluation_and_prediction(
    how: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headway")
    calls: list[str] = []

    def called(name: str) -> Any:
        return v1.py_func(lambda: calls.append(name) or np.float32(0.0), [], tf.float32)

    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        x = features["x"]
        y = x @ v1.get_variable("w", [2, 1], initializer=v1.ones_initializer())
        called(f"{mode} unasked")
        v1.assert_equal(1, tf.shape(x)[0])
        v1.Print(x, [x], "nobody's")
        y += called(f"{mode} asked for")
        if mode == "infer":
            return hw.EstimatorSpec(mode, predictions={"y": y})
        loss = tf.reduce_mean(tf.square(y))
        step = v1.train.get_global_step()
        return hw.EstimatorSpec(mode, loss=loss, train_op=descent(loss, step) if mode == "train" else None)

    def model() -> hw.Estimator:
        return hw.Estimator(model_fn, str(tmp_path / "model"), hw.RunConfig(progress="none", runtime="function"))

    trained_model = model().train(endless, steps=1)
    estimator = trained_model if how == "after training" else model()
    once = lambda: tf.data.Dataset.from_tensors({"x": X})  # noqa: E731
    estimator.evaluate(once)
    assert len(list(estimator.predict(once))) == 2
    assert calls == ["train asked for", "eval asked for", "infer asked for"]
    (told,) = _told(caplog, "in mode 'eval'")
    assert "Print, PyFunc, assert_equal_1/Assert/Assert in mode 'eval', so they are left out" in told


def test_an_exported_model_checks_what_its_outputs_wait_for(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        x = features["x"]
        y = x @ v1.get_variable("w", [2, 1], initializer=v1.ones_initializer())
        if mode == "infer":
            with tf.control_dependencies([v1.assert_equal(2, tf.shape(x)[0], message="two rows")]):
                outputs = {"serving_default": hw.PredictOutput({"y": tf.identity(y)})}
            return hw.EstimatorSpec(mode, predictions={"y": y}, export_outputs=outputs)
        loss = tf.reduce_mean(tf.square(y))
        return hw.EstimatorSpec(mode, loss=loss, train_op=descent(loss, v1.train.get_global_step()))

    def receiver_fn() -> Any:
        fed = v1.placeholder(tf.float32, [None, 2])
        return hw.ServingInputReceiver({"x": fed}, {"x": fed})

    model = hw.Estimator(model_fn, str(tmp_path / "model"), hw.RunConfig(progress="none", runtime="function"))
    model.train(endless, steps=1)
    path = model.export_saved_model(str(tmp_path / "export"), receiver_fn)
    serve = tf.saved_model.load(path.decode()).signatures["serving_default"]
    assert serve(x=tf.constant(X))["y"].shape == (2, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="two rows"):
        serve(x=tf.constant(X[:1]))


def test_programs_of_tensorflow_2_are_checked_in_evaluation_too(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        w = weight()
        loss = tf.reduce_mean(tf.square(features["x"] @ w))
        if mode == "eval":
            tf.debugging.assert_equal(1, tf.shape(features["x"])[0], message="one row")
            return hw.EstimatorSpec(mode, loss=loss, eval_metric_ops={"mean": v1.metrics.mean(loss)})
        return hw.EstimatorSpec(mode, loss=loss, train_op=hw.minimize(keras.optimizers.SGD(0.01), loss, [w]))

    model = hw.Estimator(model_fn, str(tmp_path), hw.RunConfig(progress="none", runtime="function"))
    model.train(endless, steps=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="one row"):
        model.evaluate(endless, steps=1)


def test_checks_alone_do_not_stop_an_evaluation_on_replicas(
    tmp_path: pathlib.Path, mirrored: tf.distribute.Strategy
) -> None:
    calls = []

    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        loss = tf.reduce_mean(tf.square(features["x"] @ v1.get_variable("w", [2, 1])))
        v1.py_func(lambda: calls.append(mode) or np.float32(0.0), [], tf.float32)
        step = v1.train.get_global_step()
        return hw.EstimatorSpec(mode, loss=loss, train_op=descent(loss, step) if mode == "train" else None)

    config = hw.RunConfig(progress="none", runtime="function", train_distribute=mirrored)
    model = hw.Estimator(model_fn, str(tmp_path), config).train(endless, steps=1)
    assert model.evaluate(endless, steps=1)["global_step"] == 1
    # In training they cannot be left out, and run in each replica.
    assert calls == ["train", "train"]


def test_what_a_layer_of_keras_waits_for_runs_with_its_update(tmp_path: pathlib.Path) -> None:
    def body(x: Any, step: Any) -> Any:
        with tf.control_dependencies([v1.assert_equal(2, tf.shape(x)[0])]):
            keras.layers.BatchNormalization(momentum=0.5, name="norm")(x, training=True)
        loss = tf.reduce_mean(tf.square(x @ weight()))
        return loss, descent(loss, step)

    np.testing.assert_allclose(trained(body, tmp_path, steps=2)("norm/moving_mean"), [1.5, 2.25])


def test_towers_that_share_a_variable_are_told_that_some_updates_run(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def body(x: Any, step: Any) -> Any:
        mean, never = counter("mean"), counter("never")
        updates = [mean.assign_add(1.0 + tower) for tower in range(2)]
        never.assign_add(1.0)
        loss = tf.reduce_mean(tf.square(x @ weight()))
        return loss, tf.group(descent(loss, step), updates[0])

    assert trained(body, tmp_path)("mean") == 3.0
    whole, some = _told(caplog)
    assert whole.startswith("Updates of never do not run in training")
    assert some.startswith("Some of the updates of mean do not run in training, others do")


def test_a_check_that_was_asked_for_is_the_models_not_the_inputs(tmp_path: pathlib.Path) -> None:
    def body(x: Any, step: Any) -> Any:
        with tf.control_dependencies([v1.assert_equal(1, tf.shape(x)[0], message="one row")]):
            return tf.reduce_mean(tf.square(x @ weight())), tf.no_op()

    def minimized(x: Any, step: Any) -> Any:
        loss, _ = body(x, step)
        return loss, descent(loss, step)

    with pytest.raises(tf.errors.InvalidArgumentError, match="one row") as raised:
        trained(minimized, tmp_path)
    assert "MapDataset" not in str(raised.value)


def test_tables_that_a_model_fills_are_kept_by_a_session(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    def model_fn(features: Any, mode: str) -> hw.EstimatorSpec:
        loss = tf.reduce_mean(tf.square(features["x"] @ v1.get_variable("w", [2, 1])))
        seen = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, 0.0, name="seen")
        if mode == "eval":
            return hw.EstimatorSpec(
                mode, loss=loss, eval_metric_ops={"size": v1.metrics.mean(tf.cast(seen.size(), tf.float32))}
            )
        step = v1.train.get_global_step()
        insert = seen.insert(tf.reshape(step, [1]), [1.0])
        with tf.control_dependencies([insert]):
            return hw.EstimatorSpec(mode, loss=loss, train_op=descent(loss, step))

    def model(**settings: Any) -> Any:
        return hw.Estimator(model_fn, str(tmp_path), hw.RunConfig(progress="none", **settings))

    with pytest.raises(ValueError, match=r"keeps values in the tables \['seen.*runtime='graph'"):
        model(runtime="function").train(endless, steps=1)
    caplog.set_level(logging.INFO, "headway")
    model().train(endless, steps=3)
    assert _told(caplog, "runs in the graph runtime")
    once = lambda: tf.data.Dataset.from_tensors({"x": X})  # noqa: E731
    # tf.estimator saves the table beside the variables: a step of each number is in it.
    assert model().evaluate(once)["size"] == 3.0
    assert model().train(endless, steps=2).evaluate(once)["size"] == 5.0


def test_an_optimizer_of_graphs_does_not_run_eagerly(tmp_path: pathlib.Path) -> None:
    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        return loss, descent(loss, step)

    with pytest.raises(ValueError, match=r"in graphs only.*Leave run_eagerly out"):
        trained(body, tmp_path, run_eagerly=True)


def test_an_optimizer_of_version_1_knows_its_variables(tmp_path: pathlib.Path) -> None:
    names: list[list[str]] = []

    def body(x: Any, step: Any) -> Any:
        loss = tf.reduce_mean(tf.square(x @ weight()))
        optimizer = v1.train.AdamOptimizer(0.01)
        train_op = optimizer.minimize(loss, step)
        names.append(sorted(variable.name for variable in optimizer.variables()))
        return loss, train_op

    trained(body, tmp_path, steps=1)
    trained(body, tmp_path, steps=1)
    # Those of tf.estimator; the second program finds them in a checkpoint.
    assert names
    assert all(each == ["beta1_power:0", "beta2_power:0", "w/Adam:0", "w/Adam_1:0"] for each in names)
