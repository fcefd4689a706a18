"""A program of TensorFlow 1 as a whole: a small net on images and words, from its input to its export.

`python tf1_program.py --compat > tf1_program.json`, with a Python that has TensorFlow 2.15, writes what it ends with.
"""

from __future__ import annotations

import json
import sys
import tempfile

import numpy as np
import tensorflow as tf

if "--compat" in sys.argv:
    tf = tf.compat.v1

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.rand(64, 8, 8, 1).astype("float32")
LABELS = (IMAGES.mean((1, 2, 3)) > 0.5).astype("int32")
WORDS = np.array(["a", "b", "c", "d"] * 16)


def input_fn(training):
    def centred(features, label):
        mean = tf.reduce_mean(features["image"], [0, 1], keep_dims=True)
        return {"image": features["image"] - mean, "word": features["word"]}, label

    def read():
        rows = tf.data.Dataset.from_tensor_slices(({"image": IMAGES, "word": WORDS}, LABELS)).map(centred).batch(16)
        return (rows.repeat() if training else rows).make_one_shot_iterator().get_next()

    return read


def constant(*shape):
    values = np.random.RandomState(len(shape)).randn(*shape) * 0.3
    return tf.constant_initializer(values, dtype=tf.float32)


def convolution(x, units, name):
    shape = [3, 3, x.get_shape().as_list()[-1], units]
    with tf.variable_scope(name, regularizer=lambda w: 1e-3 * tf.nn.l2_loss(w)):
        kernel = tf.get_variable("kernel", shape, initializer=constant(*shape))
        x = tf.nn.conv2d(x, filter=kernel, strides=[1, 1, 1, 1], padding="SAME", use_cudnn_on_gpu=True)
    return tf.nn.max_pool(value=tf.nn.relu(x), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


def model_fn(features, labels, mode):
    x = convolution(convolution(features["image"], 4, "first"), 4, "second")
    x = tf.nn.dropout(tf.reshape(x, [-1, 16]), 1.0)
    known = tf.lookup.KeyValueTensorInitializer(["a", "b", "c"], tf.constant([0, 1, 2], tf.int64))
    ids = tf.lookup.StaticVocabularyTable(known, 1).lookup(features["word"])
    table = tf.get_variable("table", [4, 3], initializer=tf.ones_initializer())
    x = tf.concat([x, tf.nn.embedding_lookup(table, ids, "div", "words")], 1)
    logits = tf.matmul(x, tf.get_variable("w", [19, 2], initializer=constant(19, 2)))
    probabilities, classes = tf.nn.softmax(logits, dim=-1), tf.argmax(logits, dimension=1)
    if mode == tf.estimator.ModeKeys.PREDICT:
        predictions = {"probabilities": probabilities, "class": classes}
        return tf.estimator.EstimatorSpec(
            mode, predictions, export_outputs={"serving_default": tf.estimator.export.PredictOutput(predictions)}
        )
    wanted = tf.one_hot(labels, 2)
    entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=wanted, logits=logits, dim=-1))
    tf.losses.mean_squared_error(wanted, probabilities, 0.3)
    loss = entropy + tf.losses.get_total_loss()
    tf.summary.scalar("entropy", entropy, family="losses")
    tf.summary.histogram("logits", logits)
    if mode == tf.estimator.ModeKeys.EVAL:
        ops = {
            "accuracy": tf.metrics.accuracy(labels, classes),
            "auc": tf.metrics.auc(labels, probabilities[:, 1]),
            "error": tf.metrics.mean_absolute_error(wanted, probabilities),
        }
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=ops)
    step = tf.train.get_or_create_global_step()
    rate = tf.cond(
        tf.less(step, 3),
        fn1=lambda: 0.01 * tf.cast(step + 1, tf.float32),
        fn2=lambda: tf.train.polynomial_decay(0.03, step, 20),
    )
    optimizer = tf.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train_op = optimizer.apply_gradients(zip(gradients, variables, strict=True), step)
    with tf.control_dependencies([train_op]):
        train_op = tf.train.ExponentialMovingAverage(0.9).apply(tf.trainable_variables())
    hook = tf.train.LoggingTensorHook({"entropy": entropy}, every_n_iter=5)
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, training_hooks=[hook])


def receive():
    image, words = tf.placeholder(tf.float32, [None, 8, 8, 1]), tf.sparse_placeholder(tf.string, [None, 1])
    dense = tf.reshape(tf.sparse_tensor_to_dense(words, default_value=""), [-1])
    received = {"image": image, "word": words}
    return tf.estimator.export.ServingInputReceiver({"image": image, "word": dense}, received)


def main():
    """Trains, evaluates, predicts and exports, and prints what can be seen of it."""
    folder = tempfile.mkdtemp()
    config = tf.estimator.RunConfig(tf_random_seed=1, save_summary_steps=2, log_step_count_steps=None)
    estimator = tf.estimator.Estimator(model_fn, folder, config)
    estimator.train(input_fn(True), steps=12)
    seen = {name: float(value) for name, value in estimator.evaluate(input_fn(False)).items()}
    for name in estimator.get_variable_names():
        value = np.ravel(estimator.get_variable_value(name))
        seen[f"variable {name}"] = float(value @ np.arange(1.0, 1.0 + value.size)) / value.size
    rows = list(estimator.predict(input_fn(False)))
    seen["probabilities"] = [float(row["probabilities"][0]) for row in rows[::16]]
    tags = set()
    for path in tf.gfile.Glob(f"{folder}/events*"):
        for event in tf.train.summary_iterator(path):
            tags |= {value.tag for value in event.summary.value}
    seen["tags"] = sorted(tags)
    exported = estimator.export_savedmodel(folder + "/export", receive).decode()
    seen["files"] = sorted(tf.gfile.ListDirectory(exported))
    print("{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(seen.items())) + "\n}")


main()
