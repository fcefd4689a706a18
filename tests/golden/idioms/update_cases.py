"""Idioms of updates: which of them a session runs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from idiom_model import case, descend, linear, squared

v1 = tf.compat.v1
_CALLS: list[str] = []


def _count(name: str) -> Any:
    """Returns a variable that an update counts up."""
    return v1.get_variable(f"count/{name}", [], initializer=v1.zeros_initializer(), trainable=False)


@case("updates beside the train_op")
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()
    y = linear(features)
    # Nobody asks for these.
    v1.assign_add(_count("never"), 1.0)
    _count("never_by_method").assign_add(1.0)
    v1.scatter_add(v1.get_variable("count/rows", [2], initializer=v1.zeros_initializer(), trainable=False), [1], [1.0])
    behind = v1.assign_add(_count("never_behind"), tf.reduce_mean(y))
    with tf.control_dependencies([behind]):
        v1.assign_add(_count("never_after"), 1.0)
    inside = _count("never_in_cond")
    tf.cond(step < 1, lambda: v1.assign_add(inside, 1.0), lambda: v1.assign_add(inside, 2.0))
    # Somebody asks for these.
    with tf.control_dependencies([v1.assign_add(_count("by_loss"), 1.0)]):
        loss = squared(y, labels)
    v1.summary.scalar("seen", v1.assign_add(_count("by_summary"), 1.0))
    fetched = _count("by_cond")
    counted = tf.cond(step < 1, lambda: v1.assign_add(fetched, 1.0), lambda: v1.assign_add(fetched, 2.0))
    looped = _count("by_loop")
    counts = v1.while_loop(lambda i: i < 2.0, lambda i: i + 1.0 + 0.0 * v1.assign_add(looped, 1.0), [0.0])
    hook = v1.train.LoggingTensorHook({"hook": v1.assign_add(_count("by_hook"), 1.0)}, every_n_iter=1)
    with tf.control_dependencies([descend(loss), counted, *tf.nest.flatten(counts)]):
        train_op = v1.assign_add(_count("by_train_op"), 1.0)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, training_hooks=[hook])


@case("UPDATE_OPS forgotten", evaluate=True)
def _(api, features, labels, mode, params):
    mean = v1.get_variable("mean", [2], initializer=v1.zeros_initializer(), trainable=False)
    batch_mean = tf.reduce_mean(features["x"], 0)
    v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign_sub(mean, 0.1 * (mean - batch_mean)))
    loss = squared(linear({"x": features["x"] - mean}), labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("UPDATE_OPS of one scope", evaluate=True)
def _(api, features, labels, mode, params):
    mean = v1.get_variable("mean", [2], initializer=v1.zeros_initializer(), trainable=False)
    # As programs with a tower for each GPU have it: the averages follow the batches of the first one.
    for tower in range(2):
        with v1.name_scope(f"tower_{tower}") as scope:
            batch_mean = tf.reduce_mean(features["x"] + tower, 0)
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign_sub(mean, 0.1 * (mean - batch_mean)))
            if tower == 0:
                updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS, scope)
    centre = tf.reduce_mean(features["x"], 0) if mode == "train" else mean
    loss = squared(linear({"x": features["x"] - centre}), labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=tf.group(descend(loss), *updates))


@case("gradients applied every other step", steps=4)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    optimizer = v1.train.AdamOptimizer(0.1)
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    sums = [
        v1.get_variable(f"sum/{v.op.name}", v.shape, trainable=False, initializer=v1.zeros_initializer())
        for v in variables
    ]
    count = v1.get_variable("sum/count", [], initializer=v1.zeros_initializer(), trainable=False)
    added = [total.assign_add(gradient / 2.0) for total, gradient in zip(sums, gradients, strict=True)]

    def apply():
        means = [total.read_value() for total in sums]
        with tf.control_dependencies([optimizer.apply_gradients(zip(means, variables, strict=True))]):
            return tf.group(count.assign(0.0), *[total.assign(tf.zeros_like(total)) for total in sums])

    with tf.control_dependencies([*added, count.assign_add(1.0)]), tf.name_scope("every_other"):
        applied = tf.cond(tf.equal(count.read_value(), 2.0), apply, tf.no_op)
    with tf.control_dependencies([applied]):
        train_op = v1.assign_add(v1.train.get_global_step(), 1)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("gradients accumulated by hand", steps=4)
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()
    loss = squared(linear(features), labels)
    optimizer = v1.train.AdamOptimizer(0.1)
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    sums = [v1.Variable(tf.zeros(v.shape), trainable=False, name=f"sum_{v.op.name}") for v in variables]
    # As programs have it: made for a hook, which this run has not.
    for total in sums:
        v1.assign(total, tf.zeros_like(total))
    added = [v1.assign_add(total, gradient) for total, gradient in zip(sums, gradients, strict=True)]
    with tf.control_dependencies(added):
        means = [total.read_value() / tf.cast(step + 1, tf.float32) for total in sums]
        train_op = optimizer.apply_gradients(zip(means, variables, strict=True), step)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("target network of an op that nobody runs")
def _(api, features, labels, mode, params):
    y, target = linear(features, "online"), linear(features, "target")
    loss = squared(y, labels + 0.1 * tf.stop_gradient(target))
    pairs = zip(v1.trainable_variables("online"), v1.trainable_variables("target"), strict=True)
    tf.group(*[v1.assign(new, old) for old, new in pairs])
    train_op = descend(loss, var_list=v1.trainable_variables("online"))
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("steps by hand")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    variables = v1.trainable_variables()
    gradients = tf.gradients(loss, variables)
    steps = [v1.assign_sub(v, 0.1 * g) for v, g in zip(variables, gradients, strict=True)]
    v1.assign_add(_count("never"), 1.0)
    return api.EstimatorSpec(mode, loss=loss, train_op=tf.group(*steps, v1.assign_add(v1.train.get_global_step(), 1)))


@case("ExponentialMovingAverage that nobody runs")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    train_op = descend(loss)
    v1.train.ExponentialMovingAverage(0.5).apply(v1.trainable_variables())
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("metrics that nobody updates in training", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    ops = {"mean": v1.metrics.mean(y), "error": v1.metrics.mean_absolute_error(labels, y)}
    v1.summary.scalar("value alone", ops["mean"][0])
    v1.summary.scalar("error", ops["error"][1])
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), eval_metric_ops=ops)


def _called(name: str, x: Any) -> Any:
    """Returns a zero of Python, which notes that it was asked for."""

    def note(x):
        _CALLS.append(name)
        return x - x

    return v1.py_func(note, [x[0, 0]], tf.float32)


def _calls(api, estimator, folder, seen):
    seen["calls"] = sorted(set(_CALLS))
    _CALLS.clear()


@case("checks that nobody asks for", evaluate=True, predict=True, then=_calls)
def _(api, features, labels, mode, params):
    x = features["x"]
    _called(f"{mode}, nobody's", x)
    v1.assert_equal(tf.shape(x)[0], 77)
    tf.debugging.assert_less(x, -100.0)
    v1.check_numerics(v1.log(-tf.abs(x)), "nobody's")
    v1.Print(x, [x], "nobody's")
    with tf.control_dependencies([v1.assert_less(tf.shape(x)[0], 77)]):
        y = linear(features) + _called(f"{mode}, asked for", x)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y})
    loss = squared(y, labels)
    return api.EstimatorSpec(
        mode,
        loss=loss,
        train_op=descend(loss) if mode == "train" else None,
        eval_metric_ops={"mean": v1.metrics.mean(y, weights=1.0 + _called(f"{mode}, for a metric", x))},
    )
