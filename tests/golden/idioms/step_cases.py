"""Idioms of losses, metrics, summaries and control flow."""

from __future__ import annotations

import tensorflow as tf
from idiom_model import case, descend, linear, squared

v1 = tf.compat.v1


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
