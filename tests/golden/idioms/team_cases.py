"""Idioms together, as programs of teams have them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from idiom_model import case, descend, linear, squared

v1 = tf.compat.v1


@case("team: warmup by cond, rates per scope, one clipping")
def _(api, features, labels, mode, params):
    step = v1.train.get_or_create_global_step()
    loss = squared(linear(features, "body") + linear(features, "head"), labels)
    warm = tf.cast(step + 1, tf.float32) / 2.0
    rate = tf.cond(
        tf.less(step, 2), lambda: 0.1 * warm, lambda: v1.train.exponential_decay(0.1, step - 2, 2, 0.5, staircase=True)
    )
    v1.summary.scalar("rate", rate)
    variables = v1.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), 0.5)
    pairs = list(zip(gradients, variables, strict=True))
    body = v1.train.AdamOptimizer(rate).apply_gradients([p for p in pairs if p[1].op.name.startswith("body")])
    head = v1.train.RMSPropOptimizer(10.0 * rate).apply_gradients([p for p in pairs if p[1].op.name.startswith("head")])
    with tf.control_dependencies([body, head]):
        train_op = v1.assign_add(step, 1, name="count_step")
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("team: losses in collections, label smoothing, class weights", evaluate=True)
def _(api, features, labels, mode, params):
    def regularizer(w):
        return 0.01 * tf.nn.l2_loss(w)

    with v1.variable_scope("net", regularizer=regularizer, initializer=v1.constant_initializer(0.1)):
        hidden = tf.nn.relu(tf.matmul(features["x"], v1.get_variable("w1", [2, 3])) + v1.get_variable("b1", [3]))
        logits = tf.matmul(hidden, v1.get_variable("w2", [3, 5])) * tf.range(5.0)
    classes = tf.cast(features["ids"][:, 0], tf.int32)
    weights = tf.gather([1.0, 2.0, 0.5, 1.0, 3.0], classes)
    v1.losses.softmax_cross_entropy(tf.one_hot(classes, 5), logits, weights, label_smoothing=0.1)
    v1.losses.add_loss(0.1 * tf.reduce_mean(tf.abs(hidden)))
    v1.add_to_collection(v1.GraphKeys.REGULARIZATION_LOSSES, 0.05 * tf.reduce_mean(tf.square(logits)))
    loss = v1.losses.get_total_loss(add_regularization_losses=True)
    said = tf.argmax(logits, 1, output_type=tf.int32)
    ops = {
        "accuracy": v1.metrics.accuracy(classes, said, name="acc_op"),
        "per_class": v1.metrics.mean_per_class_accuracy(classes, said, 5),
        "weighted": v1.metrics.mean(tf.cast(tf.equal(classes, said), tf.float32), weights),
    }
    v1.summary.scalar("accuracy", ops["accuracy"][1])
    if mode == "eval":
        return api.EstimatorSpec(mode, loss=loss, eval_metric_ops=ops)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("team: averages take the place of weights in evaluation", evaluate=True, predict=True, steps=4)
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()
    average = v1.train.ExponentialMovingAverage(0.6, step)

    def getter(getter, name, *args, **kwargs):
        variable = getter(name, *args, **kwargs)
        return average.average(variable) if mode != "train" and average.average(variable) is not None else variable

    y = linear(features)
    if mode != "train":
        average.apply(v1.trainable_variables())
        with v1.variable_scope(v1.get_variable_scope(), reuse=True):
            y = linear(features, custom_getter=getter)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y})
    loss = squared(y, labels)
    if mode == "eval":
        return api.EstimatorSpec(mode, loss=loss)
    train_op = descend(loss)
    with tf.control_dependencies([train_op]):
        train_op = tf.group(average.apply(v1.trainable_variables("linear")))
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("team: batch normalisation by hand", evaluate=True)
def _(api, features, labels, mode, params):
    with v1.variable_scope("bn"):
        mean = v1.get_variable("moving_mean", [2], initializer=v1.zeros_initializer(), trainable=False)
        variance = v1.get_variable("moving_variance", [2], initializer=v1.ones_initializer(), trainable=False)
        gamma = v1.get_variable("gamma", [2], initializer=v1.ones_initializer())
    is_training = tf.constant(mode == "train")

    def batch():
        now = tf.nn.moments(features["x"], [0])
        updates = [v1.assign_sub(old, 0.1 * (old - new)) for old, new in zip((mean, variance), now, strict=True)]
        with tf.control_dependencies(updates):
            return [tf.identity(value) for value in now]

    used = tf.cond(is_training, batch, lambda: [tf.identity(mean), tf.identity(variance)])
    x = tf.nn.batch_normalization(features["x"], used[0], used[1], None, gamma, 1e-3)
    loss = squared(linear({"x": x}), labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("team: recurrent net by while_loop", evaluate=True)
def _(api, features, labels, mode, params):
    with v1.variable_scope("rnn", initializer=v1.constant_initializer(0.2)):
        table = v1.get_variable("embedding", [5, 2])
        kernel, bias = v1.get_variable("kernel", [4, 2]), v1.get_variable("bias", [2])
    words = tf.transpose(tf.nn.embedding_lookup(table, features["ids"]), [1, 0, 2])
    scale = tf.cast(1 + features["ids"], tf.float32)
    words = words * tf.transpose(scale)[:, :, None]
    outputs = tf.TensorArray(tf.float32, 2)

    def body(t, state, outputs):
        state = tf.tanh(tf.matmul(tf.concat([words[t], state], 1), kernel) + bias)
        return t + 1, state, outputs.write(t, state)

    start = tf.zeros([tf.shape(labels)[0], 2])
    _, state, outputs = tf.while_loop(lambda t, *_: t < 2, body, [0, start, outputs])
    y = tf.reduce_sum(state, 1) + 0.1 * tf.reduce_mean(outputs.stack(), [0, 2])
    loss = squared(y, labels)
    optimizer = v1.train.AdagradOptimizer(0.1)
    pairs = [(tf.clip_by_norm(g, 1.0), v) for g, v in optimizer.compute_gradients(loss) if g is not None]
    return api.EstimatorSpec(mode, loss=loss, train_op=optimizer.apply_gradients(pairs, v1.train.get_global_step()))


@case("team: words by tables, strings in predictions", evaluate=True, predict=True)
def _(api, features, labels, mode, params):
    ids = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["red", "green"], tf.constant([0, 1], tf.int64)), 2
    )
    back = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), ["r", "g"]), "?"
    )
    chosen = ids.lookup(tf.strings.lower(features["word"]))
    weights = v1.get_variable("per_word", [3], initializer=v1.zeros_initializer())
    y = linear(features) + tf.gather(weights, chosen)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y, "letter": back.lookup(chosen), "word": features["word"]})
    loss = squared(y, labels)
    train_op = v1.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01).minimize(loss, v1.train.get_global_step())
    ops = {"red": v1.metrics.mean(tf.cast(tf.equal(chosen, 0), tf.float32))}
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops=ops)


@case("team: counters, moving loss and patience in variables", steps=5)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    best = v1.get_variable("best", [], initializer=v1.constant_initializer(1e3), trainable=False)
    waited = v1.get_variable("waited", [], tf.int32, v1.zeros_initializer(), trainable=False)
    better = loss < best.read_value()
    update = tf.cond(
        better,
        lambda: tf.group(v1.assign(best, loss), v1.assign(waited, 0)),
        lambda: tf.group(v1.assign_add(waited, 1)),
    )
    seen = v1.get_variable("seen", [], tf.int64, v1.zeros_initializer(), trainable=False)
    with tf.control_dependencies([update, v1.assign_add(seen, tf.shape(labels, out_type=tf.int64)[0])]):
        train_op = descend(loss, 0.3)
    v1.assign(seen, 0, name="reset_seen")
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("team: generator and discriminator in one train_op", evaluate=True)
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()

    def discriminator(x):
        with v1.variable_scope("D", reuse=v1.AUTO_REUSE):
            w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer(0.3))
        return tf.matmul(x, w)

    with v1.variable_scope("G"):
        made = features["x"] * v1.get_variable("scale", [2], initializer=v1.ones_initializer())
    real, fake = discriminator(features["x"] + 1.0), discriminator(made)
    bce = tf.nn.sigmoid_cross_entropy_with_logits
    loss_d = tf.reduce_mean(bce(labels=tf.ones_like(real), logits=real) + bce(labels=tf.zeros_like(fake), logits=fake))
    loss_g = tf.reduce_mean(bce(labels=tf.ones_like(fake), logits=fake))
    step_d = v1.train.AdamOptimizer(0.1, 0.5).minimize(loss_d, var_list=v1.trainable_variables("D"))
    with tf.control_dependencies([step_d]):
        step_g = v1.train.AdamOptimizer(0.1, 0.5).minimize(loss_g, step, v1.trainable_variables("G"))
    ops = {"loss_d": v1.metrics.mean(loss_d), "loss_g": v1.metrics.mean(loss_g)}
    return api.EstimatorSpec(mode, loss=loss_d + loss_g, train_op=step_g, eval_metric_ops=ops)


@case("team: Python in the step, printed and checked", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    doubled = v1.py_func(lambda a: (2.0 * a).astype(np.float32), [features["x"]], tf.float32)
    doubled.set_shape([None, 2])
    y = y + linear({"x": doubled}, "second")
    printed = v1.print("y", tf.shape(y), output_stream=tf.compat.v1.logging.info)
    with tf.control_dependencies([printed, v1.assert_greater(tf.size(y), 0)]):
        loss = tf.identity(squared(y, labels))
    note = v1.get_variable("note", [], initializer=v1.zeros_initializer(), trainable=False)
    noted = v1.assign(note, v1.py_func(lambda value: np.float32(value * 3), [loss], tf.float32))
    return api.EstimatorSpec(mode, loss=loss, train_op=tf.group(descend(loss, 0.01), noted))


@case("team: adversarial weights added and taken back")
def _(api, features, labels, mode, params):
    with v1.variable_scope("net") as scope:
        w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer(0.5))
        loss = squared((features["x"] @ w)[:, 0], labels)
        (slope,) = tf.gradients(loss, [features["x"]])
        scope.reuse_variables()
        moved = tf.stop_gradient(features["x"] + 0.1 * tf.sign(slope))
        loss += squared((moved @ v1.get_variable("w", [2, 1]))[:, 0], labels)
    old = v1.get_variable("old", [2, 1], initializer=v1.zeros_initializer(), trainable=False)
    with tf.control_dependencies([v1.assign(old, w)]):
        step = descend(loss)
    with tf.control_dependencies([step]):
        train_op = v1.assign(w, 0.5 * w.read_value() + 0.5 * old.read_value(), name="average")
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


@case("team: update of metrics by a collection", evaluate=True)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    mean, _ = v1.metrics.mean(y, metrics_collections=["m"], updates_collections=v1.GraphKeys.UPDATE_OPS, name="mean_y")
    with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
        train_op = descend(loss)
    update = tf.group(*v1.get_collection(v1.GraphKeys.UPDATE_OPS))
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops={"mean": (mean, update)})


@case("team: weights of another scope copied every second step", steps=5)
def _(api, features, labels, mode, params):
    step = v1.train.get_global_step()
    y, target = linear(features, "online"), linear(features, "target")
    loss = squared(y, labels + 0.5 * tf.stop_gradient(target))
    train = descend(loss, var_list=v1.get_collection(v1.GraphKeys.TRAINABLE_VARIABLES, "online"))
    pairs = list(zip(v1.trainable_variables("online"), v1.trainable_variables("target"), strict=True))
    with tf.control_dependencies([train]):
        synced = tf.cond(
            tf.equal(step.read_value() % 2, 0),
            lambda: tf.group(*[v1.assign(new, old) for old, new in pairs]),
            lambda: tf.no_op(),
        )
    return api.EstimatorSpec(mode, loss=loss, train_op=synced)
