"""Keras layers inside a model_fn, trained by an optimizer of TensorFlow 1, with Keras metrics."""

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = flags.FLAGS


def input_fn(rows, seed, repeat):
    rng = np.random.RandomState(seed)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    y = (np.abs(x[:, 0]) + x[:, 1] > 1).astype(np.int64)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).cache().repeat(repeat)
    return dataset.batch(32)


def model_fn(features, labels, mode, params, config):
    net = tf.keras.layers.Dense(
        params["units"], activation="relu", kernel_initializer=shared.seeded(1, 0.8), name="hidden"
    )(features)
    net = tf.keras.layers.Dense(
        params["units"], activation=tf.nn.tanh, kernel_initializer=shared.seeded(2, 0.8), name="hidden2"
    )(net)
    logits = tf.keras.layers.Dense(2, kernel_initializer=shared.seeded(3, 0.8), name="logits")(net)
    classes = tf.argmax(logits, axis=1)
    predictions = {"class": classes, "probabilities": tf.nn.softmax(logits)}
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions=predictions)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    if mode == tf.estimator.ModeKeys.EVAL:
        recall = tf.keras.metrics.Recall(name="recall")
        recall.update_state(labels, classes)
        metrics = {
            "accuracy": tf.compat.v1.metrics.accuracy(labels, classes),
            "auc": tf.compat.v1.metrics.auc(labels, predictions["probabilities"][:, 1]),
            "recall": recall,
        }
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)
    step = tf.compat.v1.train.get_or_create_global_step()
    rate = tf.compat.v1.train.exponential_decay(params["rate"], step, decay_steps=20, decay_rate=0.9, staircase=True)
    tf.compat.v1.summary.scalar("rate", rate)
    optimizer = tf.compat.v1.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
    train_op = optimizer.apply_gradients(zip(gradients, variables, strict=True), global_step=step)
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def main(unused_argv):
    estimator = tf.estimator.Estimator(
        model_fn,
        model_dir=FLAGS.dir,
        params={"units": 12, "rate": 0.05},
        config=tf.estimator.RunConfig(save_checkpoints_steps=50, save_summary_steps=10, log_step_count_steps=20),
    )
    estimator.train(lambda: input_fn(320, 0, None), steps=60)
    estimator.train(lambda: input_fn(320, 0, None), steps=30)
    metrics = estimator.evaluate(lambda: input_fn(200, 1, 1))
    predictions = list(estimator.predict(lambda: input_fn(5, 1, 1)))
    shared.report(
        metrics=metrics,
        probabilities=[row["probabilities"] for row in predictions],
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    app.run(main)
