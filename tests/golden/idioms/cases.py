"""The idioms of TensorFlow 1, as programs that run unmodified on tf.estimator 2.15 and on headway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import idiom_program as program
import tensorflow as tf
from idiom_program import Case

v1 = tf.compat.v1
CASES: dict[str, Case] = {}


def linear(features: Any, scope: str = "linear", **settings: Any) -> Any:
    """Returns y = x w + b, with variables of fixed initial values."""
    with v1.variable_scope(scope, **settings):
        w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer([[0.5], [-0.25]]))
        b = v1.get_variable("b", [1], initializer=v1.zeros_initializer())
    return (features["x"] @ w + b)[:, 0]


def descend(loss: Any, rate: Any = 0.1, **kwargs: Any) -> Any:
    """Returns the operation of a step of gradient descent that counts the global step."""
    return v1.train.GradientDescentOptimizer(rate).minimize(loss, v1.train.get_global_step(), **kwargs)


def squared(y: Any, labels: Any) -> Any:
    """Returns the mean squared error."""
    return tf.reduce_mean(tf.square(y - labels))


def case(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a model_fn of (api, features, labels, mode, params), or one that returns (loss, train_op)."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        def make(api: Any) -> Callable[..., Any]:
            def model_fn(features: Any, labels: Any, mode: str, params: Any) -> Any:
                return body(api, features, labels, mode, params)

            return model_fn

        CASES[name] = Case(make, **settings)
        return body

    return register


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
    v1.summary.scalar("smooth", average.average(loss))
    with tf.control_dependencies([smooth]):
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


# ---------------------------------------------------------------------------------------------------------------------
# Losses, metrics, summaries


@case("losses", evaluate=True)
def _(api, features, labels, mode, params):
    losses, y = v1.losses, linear(features)
    binary, classes = tf.cast(labels > 0, tf.float32), features["ids"][:, 0]
    logits = tf.stack([y, 2.0 * y, -y, y + 1.0, 0.5 * y], 1)
    losses.mean_squared_error(labels, y, weights=0.5)
    losses.absolute_difference(labels, y, weights=tf.abs(labels))
    losses.huber_loss(labels, y, delta=0.5)
    losses.hinge_loss(binary, y)
    losses.log_loss(binary, tf.sigmoid(y))
    losses.sigmoid_cross_entropy(binary, y, label_smoothing=0.1)
    losses.softmax_cross_entropy(tf.one_hot(classes, 5), logits)
    losses.sparse_softmax_cross_entropy(classes, logits, reduction=losses.Reduction.SUM)
    losses.cosine_distance(tf.nn.l2_normalize(features["x"], 1), tf.nn.l2_normalize(logits[:, :2], 1), axis=1)
    losses.mean_pairwise_squared_error(tf.stack([labels, -labels], 1), logits[:, :2])
    losses.add_loss(losses.compute_weighted_loss(tf.square(y), loss_collection=None))
    loss = losses.get_total_loss()
    each = {f"loss_{i}": v1.metrics.mean(value) for i, value in enumerate(losses.get_losses())}
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, 0.01), eval_metric_ops=each)


@case("metrics", evaluate=True)
def _(api, features, labels, mode, params):
    metrics, y = v1.metrics, linear(features)
    loss = squared(y, labels)
    if mode == "train":
        return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))
    yes, said = labels > 0, y > 0
    classes = features["ids"][:, 0]
    guessed, scores = (
        (classes + features["ids"][:, 1]) % 5,
        tf.one_hot(classes, 5) + tf.one_hot(features["ids"][:, 1], 5),
    )
    score, weights = tf.sigmoid(y), tf.abs(labels)
    ops = {
        "accuracy": metrics.accuracy(yes, said, weights),
        "auc": metrics.auc(yes, score),
        "auc_pr": metrics.auc(yes, score, curve="PR", summation_method="careful_interpolation"),
        "average_precision_at_k": metrics.average_precision_at_k(classes[:, None], scores, 2),
        "false_negatives": metrics.false_negatives(yes, said),
        "false_negatives_at_thresholds": metrics.false_negatives_at_thresholds(yes, score, [0.4, 0.6]),
        "false_positives": metrics.false_positives(yes, said),
        "mean": metrics.mean(y),
        "mean_absolute_error": metrics.mean_absolute_error(labels, y),
        "mean_cosine_distance": metrics.mean_cosine_distance(features["x"], features["x"] * [1.0, 2.0], 1),
        "mean_iou": metrics.mean_iou(classes, guessed, 5),
        "mean_per_class_accuracy": metrics.mean_per_class_accuracy(classes, guessed, 5),
        "mean_relative_error": metrics.mean_relative_error(labels, y, tf.abs(labels) + 1.0),
        "mean_squared_error": metrics.mean_squared_error(labels, y),
        "mean_tensor": metrics.mean_tensor(tf.reduce_sum(features["x"], 0)),
        "percentage_below": metrics.percentage_below(y, 0.3),
        "precision": metrics.precision(yes, said),
        "precision_at_k": metrics.precision_at_k(classes[:, None], scores, 2),
        "precision_at_thresholds": metrics.precision_at_thresholds(yes, score, [0.4, 0.6]),
        "recall": metrics.recall(yes, said),
        "recall_at_k": metrics.recall_at_k(classes[:, None], scores, 2),
        "recall_at_thresholds": metrics.recall_at_thresholds(yes, score, [0.4, 0.6]),
        "root_mean_squared_error": metrics.root_mean_squared_error(labels, y),
        "sensitivity_at_specificity": metrics.sensitivity_at_specificity(yes, score, 0.5),
        "sparse_average_precision_at_k": metrics.sparse_average_precision_at_k(classes[:, None], scores, 2),
        "specificity_at_sensitivity": metrics.specificity_at_sensitivity(yes, score, 0.5),
        "true_negatives": metrics.true_negatives(yes, said),
        "true_positives": metrics.true_positives(yes, said),
    }
    return api.EstimatorSpec(mode, loss=loss, eval_metric_ops=ops)


@case("metrics of one's own", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    total = v1.get_variable(
        "total", [], initializer=v1.zeros_initializer(), trainable=False, collections=[v1.GraphKeys.LOCAL_VARIABLES]
    )
    largest = v1.Variable(
        -1e9, trainable=False, collections=[v1.GraphKeys.LOCAL_VARIABLES, v1.GraphKeys.METRIC_VARIABLES], name="largest"
    )
    ops = {
        "total": (total.read_value(), v1.assign_add(total, tf.reduce_sum(y))),
        "largest": (largest.read_value(), v1.assign(largest, tf.maximum(largest, tf.reduce_max(y)))),
    }
    mean, update = v1.metrics.mean(y)
    ops["twice"] = (2.0 * mean, tf.group(update))
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), eval_metric_ops=ops)


@case("metrics in summaries of training")
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    _, update = v1.metrics.mean(y)
    v1.summary.scalar("mean", update)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("summaries", evaluate=False)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    v1.summary.scalar("error", tf.reduce_mean(tf.abs(y - labels)))
    v1.summary.scalar("error", tf.reduce_max(tf.abs(y - labels)))
    with v1.name_scope("inside"):
        v1.summary.histogram("y", y)
        v1.summary.scalar("mean", tf.reduce_mean(y), family="fam")
    v1.summary.image("picture", tf.reshape(tf.tile(y, [4]), [1, 4, 4, 1]))
    v1.summary.text("words", features["word"])
    v1.summary.tensor_summary("tensor", y)
    v1.summary.audio("sound", tf.reshape(y, [1, -1, 1]), 8000.0)
    for variable in v1.trainable_variables():
        v1.summary.histogram(variable.op.name, variable)
    v1.summary.merge_all()
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("summaries of TensorFlow 2")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    tf.summary.scalar("error", 2.0 * loss, step=v1.train.get_global_step())
    tf.summary.histogram("y", labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


# ---------------------------------------------------------------------------------------------------------------------
# Control flow and Python


@case("control_dependencies and assertions", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    checks = [
        v1.assert_less(tf.abs(y), 1e6, message="y"),
        v1.assert_rank(y, 1),
        v1.assert_equal(tf.shape(y), tf.shape(labels)),
        tf.debugging.Assert(tf.reduce_all(labels < 100.0), [labels]),
    ]
    with tf.control_dependencies(checks):
        y = tf.identity(y)
    loss = squared(v1.check_numerics(y, "y"), labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("Print, py_func, placeholder_with_default", predict=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    y = v1.Print(y, [y], "y: ", first_n=1, summarize=2)
    scale = v1.placeholder_with_default(1.5, [])
    doubled = v1.py_func(lambda values: values * 2, [tf.stop_gradient(y)], tf.float32, stateful=False)
    doubled.set_shape(y.shape)
    y = y * scale + 0.1 * doubled
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("cond, case, while_loop", evaluate=True)
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()
    y = linear(features)
    y = v1.cond(step < 2, true_fn=lambda: y, false_fn=lambda: 0.5 * y)
    y = v1.case([(tf.equal(step, 1), lambda: y + 0.1)], default=lambda: y)
    _, y = v1.while_loop(lambda i, _: i < 2, lambda i, value: (i + 1, value * 1.1), [tf.constant(0), y])
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


# ---------------------------------------------------------------------------------------------------------------------
# Values from other checkpoints


def _write_other(folder: str) -> None:
    """Writes a checkpoint as a TensorFlow 1 program of its own would."""
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("old"):
            v1.get_variable("w", initializer=tf.constant([[1.0], [2.0]]))
            v1.get_variable("b", initializer=tf.constant([0.5]))
        v1.get_variable("w", initializer=tf.constant([[-1.0], [0.75]]))
        v1.get_variable("b", initializer=tf.constant([-0.5]))
        v1.get_variable("linear/w", initializer=tf.constant([[3.0], [-1.0]]))
        v1.get_variable("linear/b", initializer=tf.constant([0.25]))
        v1.get_variable("table", initializer=tf.reshape(tf.range(12.0) / 10.0, [6, 2]))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, folder + "/model.ckpt", write_meta_graph=False)


_MAPS: dict[str, Callable[[], dict[str, Any]]] = {
    "names": lambda: {"old/w": "linear/w", "old/b": "linear/b"},
    "scope": lambda: {"old/": "linear/"},
    "root": lambda: {"/": "linear/"},
    "variables": lambda: {"old/w": v1.trainable_variables()[0], "linear/b": v1.trainable_variables()[1]},
    "some": lambda: {v.op.name: v for v in v1.trainable_variables() if v.op.name.endswith("/w")},
}


def _initialized(assignment: Callable[[], dict[str, Any]]) -> Callable[..., Any]:
    def body(api, features, labels, mode, params):
        loss = squared(linear(features), labels)
        v1.train.init_from_checkpoint(params["other"], assignment())
        return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))

    return body


for _name, _assignment in _MAPS.items():
    case(f"init_from_checkpoint {_name}", before=_write_other)(_initialized(_assignment))


@case("init_from_checkpoint partitions", before=_write_other)
def _(api, features, labels, mode, params):
    with v1.variable_scope("new", partitioner=v1.fixed_size_partitioner(3)):
        table = v1.get_variable("table", [6, 2], initializer=v1.zeros_initializer())
    y = linear(features) + tf.reduce_sum(tf.nn.embedding_lookup(table, features["ids"]), [1, 2])
    v1.train.init_from_checkpoint(params["other"], {"table": "new/table"})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("init_from_checkpoint goes on", before=_write_other, then=lambda api, e, folder, seen: _train_again(e, seen))
def _(api, features, labels, mode, params):
    # A second call of train goes on from its own checkpoint, not from the other one.
    loss = squared(linear(features), labels)
    v1.train.init_from_checkpoint(params["other"], {"old/": "linear/"})
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


def _train_again(estimator: Any, seen: dict[str, Any]) -> None:
    estimator.train(program.rows, steps=2)
    seen["again"] = program.variables(estimator.model_dir)


@case("Scaffold init_fn", needs_graph=True, before=_write_other)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    saver = v1.train.Saver({"old/w": v1.trainable_variables()[0], "old/b": v1.trainable_variables()[1]})
    scaffold = v1.train.Scaffold(
        init_fn=lambda scaffold, session: saver.restore(session, params["other"] + "/model.ckpt")
    )
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), scaffold=scaffold)


@case("Scaffold saver")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    train_op = descend(loss)
    scaffold = v1.train.Scaffold(saver=v1.train.Saver(max_to_keep=2, keep_checkpoint_every_n_hours=1.0))
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=scaffold)


@case("Scaffold local_init_op", needs_graph=True)
def _(api, features, labels, mode, params):
    count = v1.get_local_variable("count", [], initializer=v1.zeros_initializer())
    local = tf.group(v1.local_variables_initializer(), v1.tables_initializer())
    with tf.control_dependencies([local]):
        local = v1.assign(count, 5.0)
    loss = squared(linear(features), labels) + count
    scaffold = v1.train.Scaffold(local_init_op=local)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), scaffold=scaffold)


# ---------------------------------------------------------------------------------------------------------------------
# Hooks


def _named(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    tf.reduce_mean(y, name="mean_of_y")
    with v1.name_scope("inside"):
        tf.identity(y[0], name="first")
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


class _Lines:
    """Keeps what a LoggingTensorHook would have written."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def __call__(self, values: dict[str, Any]) -> str:
        self.lines.append({name: program.shown(value) for name, value in sorted(values.items())})
        return "logged"


_lines = _Lines()


def _logging(api: Any, folder: str) -> list[Any]:
    _lines.lines.clear()
    tensors = {"mean": "mean_of_y", "first": "inside/first:0"}
    return [v1.train.LoggingTensorHook(tensors, every_n_iter=2, formatter=_lines)]


def _logged(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["logged"] = list(_lines.lines)


case("LoggingTensorHook by names", steps=4, hooks=_logging, then=_logged)(_named)


@case("LoggingTensorHook in the spec", steps=4, then=_logged)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    _lines.lines.clear()
    mean = tf.reduce_mean(y, name="mean_of_y")
    hook = v1.train.LoggingTensorHook({"a": mean, "b": "mean_of_y:0"}, every_n_iter=3, formatter=_lines)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), training_hooks=[hook])


def _listed(folder: str) -> list[str]:
    files = (name for name in tf.io.gfile.listdir(folder) if name.endswith(".index"))
    return sorted(name for name in files if ".input." not in name)


def _checkpoints(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["checkpoints"] = _listed(estimator.model_dir)


@case(
    "TensorFlow's own hooks",
    steps=9,
    hooks=lambda api, folder: [
        v1.train.StopAtStepHook(last_step=5),
        v1.train.CheckpointSaverHook(folder, save_steps=2),
        v1.train.StepCounterHook(every_n_steps=1000),
        v1.train.GlobalStepWaiterHook(0),
    ],
    then=_checkpoints,
)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    hooks = [v1.train.NanTensorHook(loss), v1.train.StopAtStepHook(num_steps=7)]
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), training_hooks=hooks)


class _Counter(v1.train.SessionRunHook):
    """Counts steps, and stops."""

    def begin(self) -> None:
        self.calls = ["begin"]

    def before_run(self, run_context: Any) -> None:
        self.calls.append("before")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.calls.append("after")
        if len(self.calls) > 4:
            run_context.request_stop()

    def end(self, session: Any) -> None:
        self.calls.append("end")


_counter = _Counter()


def _counted(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["calls"] = list(_counter.calls)


case("SessionRunHook without fetches", steps=9, hooks=lambda api, folder: [_counter], then=_counted)(_named)


class _Fetching(v1.train.SessionRunHook):
    """Fetches a tensor by its name."""

    def before_run(self, run_context: Any) -> Any:
        return v1.train.SessionRunArgs({"mean": "mean_of_y:0"})

    def after_run(self, run_context: Any, run_values: Any) -> None:
        _lines(run_values.results)


def _fetching(api: Any, folder: str) -> list[Any]:
    _lines.lines.clear()
    return [_Fetching()]


case("SessionRunHook with fetches", hooks=_fetching, then=_logged, needs_graph=True)(_named)


class _Listener(v1.train.CheckpointSaverListener):
    """Notes its calls."""

    def begin(self) -> None:
        self.calls: list[Any] = ["begin"]

    def before_save(self, session: Any, global_step_value: int) -> None:
        self.calls.append(["before", int(global_step_value)])

    def after_save(self, session: Any, global_step_value: int) -> bool:
        self.calls.append(["after", int(global_step_value)])
        return global_step_value >= 4

    def end(self, session: Any, global_step_value: int) -> None:
        self.calls.append(["end", int(global_step_value)])


_listener = _Listener()


def _listened(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["calls"] = list(_listener.calls)


case(
    "CheckpointSaverListener",
    steps=9,
    hooks=lambda api, folder: [v1.train.CheckpointSaverHook(folder, save_steps=2, listeners=[_listener])],
    then=_listened,
)(_named)


@case("FeedFnHook and placeholder", needs_graph=True)
def _(api, features, labels, mode, params):
    rate = v1.placeholder(tf.float32, [], name="rate")
    loss = squared(linear(features), labels)
    hook = v1.train.FeedFnHook(lambda: {rate: 0.05})
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, rate), training_hooks=[hook])


_final: list[Any] = []


def _finished(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["final"] = program.shown(_final[-1].final_ops_values)


@case("FinalOpsHook", needs_graph=True, then=_finished)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    train_op = descend(loss)
    hook = v1.train.FinalOpsHook({"w": v1.trainable_variables()[0].read_value()})
    _final.append(hook)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, training_hooks=[hook])


# ---------------------------------------------------------------------------------------------------------------------
# Tables


@case("lookup tables", evaluate=True, predict=True)
def _(api, features, labels, mode, params):
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(["red", "green", "blue"]), tf.constant([1, 2, 3]))
    table = tf.lookup.StaticHashTable(initializer, 0)
    ids = table.lookup(features["word"])
    back = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1, 2, 3]), tf.constant(["?", "r", "g", "b"])), ""
    )
    y = linear(features) + 0.1 * tf.cast(ids, tf.float32)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y, "letter": back.lookup(ids)})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


def _write_words(folder: str) -> None:
    with open(folder + "/words.txt", "w", encoding="utf-8") as file:
        file.write("blue\nred\ngreen\n")


@case("vocabulary files", predict=True, before=_write_words)
def _(api, features, labels, mode, params):
    initializer = tf.lookup.TextFileInitializer(
        params["other"] + "/words.txt",
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    ids = tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=2).lookup(features["word"])
    y = linear(features) + 0.1 * tf.cast(ids, tf.float32)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y, "id": ids})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


# ---------------------------------------------------------------------------------------------------------------------
# Inputs


def _one_shot() -> Any:
    return v1.data.make_one_shot_iterator(program.rows()).get_next()


def _one_shot_with_operations() -> Any:
    features, labels = v1.data.make_one_shot_iterator(program.rows()).get_next()
    features["x"] = features["x"] * 2.0
    return {name: features[name] for name in sorted(features)}, labels + tf.cast(tf.size(labels), tf.float32)


def _initializable() -> Any:
    dataset = program.rows()
    iterator = v1.data.make_initializable_iterator(dataset)
    v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    features, labels = iterator.get_next("next")
    return features, labels


def _two_iterators() -> Any:
    left = v1.data.make_one_shot_iterator(program.rows().map(lambda features, labels: features)).get_next()
    right = v1.data.make_one_shot_iterator(program.rows().map(lambda features, labels: 2.0 * labels)).get_next()
    return left, right


def _tensors() -> Any:
    return {name: tf.constant(value) for name, value in program.FEATURES.items()}, tf.constant(program.Y)


def _placeholder_free_queue() -> Any:
    queue = v1.train.slice_input_producer([program.X, program.IDS, program.WORDS, program.Y], shuffle=False)
    x, ids, word, y = v1.train.batch(queue, 4)
    return {"x": x, "ids": ids, "word": word}, y


for _name, _input_fn in {
    "one-shot iterator": _one_shot,
    "one-shot iterator with operations": _one_shot_with_operations,
    "initializable iterator": _initializable,
    "two iterators": _two_iterators,
    "tensors": _tensors,
    "queues": _placeholder_free_queue,
}.items():

    @case(f"input: {_name}", input_fn=_input_fn, needs_graph=_name == "queues")
    def _(api, features, labels, mode, params):
        loss = squared(linear(features), labels)
        return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, 0.02))
