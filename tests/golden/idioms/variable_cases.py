"""Idioms of variables, optimizers and averages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from idiom_model import case, descend, linear, squared

v1 = tf.compat.v1


# ---------------------------------------------------------------------------------------------------------------------
# Variables


@case("get_variable reuse", evaluate=True, predict=True)
def _(api, features, labels, mode, params):
    y = linear(features, "shared")
    y = 0.5 * y + 0.5 * linear({"x": 2.0 * features["x"]}, "shared", reuse=True)
    with v1.variable_scope("auto", reuse=v1.AUTO_REUSE) as scope:
        first = v1.get_variable("scale", initializer=tf.constant(1.5))
        again = v1.get_variable("scale", initializer=tf.constant(9.0))
        scope.reuse_variables()
        y = y * first + v1.get_variable("scale") - again
    for i in range(2):
        with v1.variable_scope(None, default_name="block"):
            y = y + v1.get_variable("shift", [], initializer=v1.constant_initializer(0.1 * i))
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, 0.05))


@case("get_variable custom_getter")
def _(api, features, labels, mode, params):
    def doubled(getter, name, *args, **kwargs):
        return 2.0 * getter(name, *args, **kwargs)

    loss = squared(linear(features, custom_getter=doubled), labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("get_variable regularizer", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features, regularizer=lambda w: 0.01 * tf.reduce_sum(tf.square(w)))
    y = y * v1.get_variable("scale", [], initializer=v1.ones_initializer(), regularizer=lambda w: 0.1 * tf.abs(w))
    data_loss = v1.losses.mean_squared_error(labels, y)
    loss = v1.losses.get_total_loss()
    parts = {
        "regularization": v1.metrics.mean(v1.losses.get_regularization_loss()),
        "losses": v1.metrics.mean(float(len(v1.losses.get_losses()))),
        "number": v1.metrics.mean(float(len(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)))),
        "data": v1.metrics.mean(data_loss),
    }
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), eval_metric_ops=parts)


@case("v1.Variable", evaluate=True)
def _(api, features, labels, mode, params):
    with v1.name_scope("layer"):
        w = v1.Variable(tf.constant([[0.5], [-0.25]]), name="w")
    b = v1.Variable(0.0, name="b")
    twice = v1.Variable(2.0 * tf.ones([1]), trainable=False, name="fixed")
    mean = v1.Variable(tf.zeros([2]), trainable=False, name="mean")
    y = (features["x"] @ w * twice + b)[:, 0] / 2.0
    loss = squared(y, labels)
    ops = []
    if mode == "train":
        with tf.control_dependencies([v1.assign_add(mean, tf.reduce_mean(features["x"], 0))]):
            ops = [v1.assign_sub(mean, [0.1, 0.1])]
    with tf.control_dependencies(ops):
        train_op = descend(loss)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("variable collections", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features, "a") + linear(features, "b")
    v1.add_to_collection("mine", y)
    names = [v.op.name for v in v1.trainable_variables("a")] + [v.op.name for v in v1.global_variables()]
    names += [v.op.name for v in v1.get_collection(v1.GraphKeys.TRAINABLE_VARIABLES, scope="b")]
    loss = squared(v1.get_collection("mine")[0], labels)
    train_op = descend(loss, var_list=v1.trainable_variables("a/"))
    count = v1.metrics.mean(float(sum(len(name) for name in names)))
    with v1.name_scope("scope"):
        inside = v1.get_default_graph().get_name_scope()
    assert inside.endswith("scope"), inside
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops={"names": count})


@case("variable assignments", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    table = v1.get_variable("table", [5, 1], initializer=v1.constant_initializer(0.1), trainable=False)
    counts = v1.get_variable("counts", [5], tf.int64, v1.zeros_initializer(), trainable=False)
    last = v1.get_local_variable("last", [], initializer=v1.zeros_initializer())
    ids = features["ids"][:, 0]
    y = y + tf.gather(table, ids)[:, 0]
    loss = squared(y, labels)
    updates = []
    if mode == "train":
        with tf.control_dependencies([descend(loss)]):
            updates = [
                v1.scatter_add(table, ids, 0.1 * tf.ones([tf.shape(ids)[0], 1])),
                v1.scatter_update(counts, [0, 1], [7, 8]),
                counts[4].assign(3),
                v1.assign(last, loss),
            ]
    train_op = tf.group(*updates)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


# ---------------------------------------------------------------------------------------------------------------------
# Partitioned variables


def _columns(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
    start = 0 if partition_info is None else partition_info.var_offset[0]
    return 0.5 - 0.25 * tf.cast(start + tf.range(shape[0]), tf.float32)[:, None]


def _partitioned(partitioner: Any) -> Callable[..., Any]:
    def body(api, features, labels, mode, params):
        with v1.variable_scope("model", partitioner=partitioner):
            table = v1.get_variable("table", [6, 2], initializer=v1.constant_initializer(0.2))
            w = v1.get_variable("w", [4, 1], initializer=_columns)
        found = tf.nn.embedding_lookup(table, features["ids"])
        inputs = tf.concat([features["x"], tf.reduce_sum(found, 1)], 1)
        y = (inputs @ tf.convert_to_tensor(w))[:, 0]
        if mode == "infer":
            return api.EstimatorSpec(mode, predictions={"y": y})
        loss = squared(y, labels)
        train_op = v1.train.MomentumOptimizer(0.1, 0.9).minimize(loss, v1.train.get_global_step())
        return api.EstimatorSpec(mode, loss=loss, train_op=train_op)

    return body


for _name, _partitioner in {
    "fixed_size": v1.fixed_size_partitioner(2),
    "min_max": v1.min_max_variable_partitioner(max_partitions=3, min_slice_size=8),
    "variable_axis_size": v1.variable_axis_size_partitioner(max_shard_bytes=16),
}.items():
    case(f"partitioner {_name}", evaluate=True, predict=True)(_partitioned(_partitioner))


# ---------------------------------------------------------------------------------------------------------------------
# Optimizers

_OPTIMIZERS = {
    "GradientDescent": lambda: v1.train.GradientDescentOptimizer(0.1),
    "Momentum": lambda: v1.train.MomentumOptimizer(0.1, 0.9),
    "Momentum nesterov": lambda: v1.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "Adagrad": lambda: v1.train.AdagradOptimizer(0.1),
    "AdagradDA": lambda: v1.train.AdagradDAOptimizer(0.1, v1.train.get_global_step()),
    "Adadelta": lambda: v1.train.AdadeltaOptimizer(1.0),
    "Adam": lambda: v1.train.AdamOptimizer(0.1),
    "RMSProp": lambda: v1.train.RMSPropOptimizer(0.01, momentum=0.5),
    "RMSProp centered": lambda: v1.train.RMSPropOptimizer(0.01, centered=True),
    "Ftrl": lambda: v1.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.01),
    "ProximalAdagrad": lambda: v1.train.ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01),
    "ProximalGradientDescent": lambda: v1.train.ProximalGradientDescentOptimizer(0.1, l2_regularization_strength=0.1),
}


def _optimized(optimizer: Any) -> Callable[..., Any]:
    def body(api, features, labels, mode, params):
        # A table that gets sparse gradients beside variables that get dense ones.
        table = v1.get_variable("table", [6, 1], initializer=v1.constant_initializer(0.2))
        y = linear(features) + tf.reduce_sum(tf.nn.embedding_lookup(table, features["ids"]), [1, 2])
        loss = squared(y, labels)
        train_op = optimizer().minimize(loss, global_step=v1.train.get_global_step())
        return api.EstimatorSpec(mode, loss=loss, train_op=train_op)

    return body


for _name, _optimizer in _OPTIMIZERS.items():
    case(f"{_name}Optimizer" if " " not in _name else _name)(_optimized(_optimizer))


@case("clip_by_global_norm")
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    optimizer = v1.train.AdamOptimizer(0.1, name="MyAdam")
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    clipped, norm = tf.clip_by_global_norm(gradients, 0.5)
    v1.summary.scalar("norm", norm)
    train_op = optimizer.apply_gradients(zip(clipped, variables, strict=True), v1.train.get_or_create_global_step())
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("clip_by_value, v1.gradients")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    variables = v1.trainable_variables()
    gradients = [tf.clip_by_value(gradient, -0.3, 0.3) for gradient in v1.gradients(loss, variables)]
    optimizer = v1.train.GradientDescentOptimizer(0.1)
    train_op = optimizer.apply_gradients(zip(gradients, variables, strict=True))
    train_op = tf.group(train_op, v1.assign_add(v1.train.get_global_step(), 1))
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


def _decays(step: Any) -> dict[str, Any]:
    return {
        "exponential": v1.train.exponential_decay(0.1, step, 2, 0.5),
        "staircase": v1.train.exponential_decay(0.1, step, 2, 0.5, staircase=True),
        "piecewise": v1.train.piecewise_constant(step, [1, 2], [0.1, 0.05, 0.01]),
        "polynomial": v1.train.polynomial_decay(0.1, step, 4, 0.01, power=2.0),
        "natural": v1.train.natural_exp_decay(0.1, step, 2, 0.5),
        "inverse": v1.train.inverse_time_decay(0.1, step, 2, 0.5),
        "cosine": v1.train.cosine_decay(0.1, step, 4),
        "restarts": v1.train.cosine_decay_restarts(0.1, step, 2),
        "linear": v1.train.linear_cosine_decay(0.1, step, 4),
    }


@case("learning rate decay", steps=4)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    rates = _decays(v1.train.get_global_step())
    for name, rate in rates.items():
        v1.summary.scalar(f"rate/{name}", rate)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, tf.add_n(list(rates.values())) / len(rates)))


@case("two optimizers")
def _(api, features, labels, mode, params):
    loss = squared(linear(features, "wide") + linear(features, "deep"), labels)
    wide = v1.train.FtrlOptimizer(0.1).minimize(loss, var_list=v1.trainable_variables("wide"))
    deep = v1.train.AdagradOptimizer(0.1).minimize(loss, var_list=v1.trainable_variables("deep"))
    train_op = tf.group(wide, deep)
    with tf.control_dependencies([train_op]):
        counted = v1.assign_add(v1.train.get_global_step(), 1).op
    return api.EstimatorSpec(mode, loss=loss, train_op=counted)


@case("alternating optimizers", needs_graph=True, steps=4)
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()
    loss = squared(linear(features, "a") + linear(features, "b"), labels)
    optimizer = v1.train.MomentumOptimizer(0.1, 0.5)
    train_op = tf.cond(
        tf.equal(step % 2, 0),
        lambda: optimizer.minimize(loss, step, var_list=v1.trainable_variables("a")),
        lambda: optimizer.minimize(loss, step, var_list=v1.trainable_variables("b")),
    )
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("train_op not among two", evaluate=True)
def _(api, features, labels, mode, params):
    # A session runs the step that the spec names, and no other.
    loss = squared(linear(features), labels)
    descend(loss, 10.0)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("train_op made in every mode", evaluate=True, predict=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels if labels is not None else 0.0)
    train_op = v1.train.AdamOptimizer(0.1).minimize(loss, v1.train.get_global_step())
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y})
    if mode == "eval":
        return api.EstimatorSpec(mode, loss=loss, eval_metric_ops={"mean": v1.metrics.mean(y)})
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("train_op counts only")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=v1.assign_add(v1.train.get_global_step(), 1))


@case("training stopped by tf.stop_gradient and frozen scopes")
def _(api, features, labels, mode, params):
    y = tf.stop_gradient(linear(features, "frozen")) + linear(features, "free")
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


# ---------------------------------------------------------------------------------------------------------------------
# Averages and updates


@case("ExponentialMovingAverage", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    average = v1.train.ExponentialMovingAverage(0.9, num_updates=v1.train.get_global_step())
    if mode == "eval":
        average.apply(v1.trainable_variables())
        w, b = (average.average(variable) for variable in v1.trainable_variables())
        smooth = (features["x"] @ w + b)[:, 0]
        ops = {"smooth": v1.metrics.mean(smooth), "plain": v1.metrics.mean(y)}
        return api.EstimatorSpec(mode, loss=squared(smooth, labels), eval_metric_ops=ops)
    loss = squared(y, labels)
    with tf.control_dependencies([descend(loss)]):
        train_op = average.apply(v1.trainable_variables())
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("ExponentialMovingAverage of a loss", needs_graph=True)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    average = v1.train.ExponentialMovingAverage(0.9, zero_debias=True)
    smooth = average.apply([loss])
    with tf.control_dependencies([smooth]):
        # A session that reads it beside the update finds the value before or after, by chance.
        v1.summary.scalar("smooth", tf.identity(average.average(loss)))
        return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("ExponentialMovingAverage variables_to_restore", evaluate=True, predict=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    average = v1.train.ExponentialMovingAverage(0.5)
    if mode == "train":
        loss = squared(y, labels)
        with tf.control_dependencies([descend(loss)]):
            train_op = average.apply(v1.trainable_variables())
        return api.EstimatorSpec(mode, loss=loss, train_op=train_op)
    scaffold = v1.train.Scaffold(saver=v1.train.Saver(average.variables_to_restore()))
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y}, scaffold=scaffold)
    return api.EstimatorSpec(mode, loss=squared(y, labels), scaffold=scaffold)


@case("UPDATE_OPS", evaluate=True)
def _(api, features, labels, mode, params):
    mean = v1.get_variable("mean", [2], initializer=v1.zeros_initializer(), trainable=False)
    if mode == "train":
        batch_mean = tf.reduce_mean(features["x"], 0)
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign_sub(mean, 0.1 * (mean - batch_mean)))
        centred = features["x"] - batch_mean
    else:
        centred = features["x"] - mean
    loss = squared(linear({"x": centred}), labels)
    with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
        train_op = descend(loss)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)
