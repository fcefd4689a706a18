"""Trains with moving averages of the weights, and evaluates with the averages, by the saver of a Scaffold."""

import os

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.flags.DEFINE_string("dir", None, "Where the models go.")
FLAGS = tf.flags.FLAGS
MOVING_AVERAGE_DECAY = 0.95


def data(rows, seed):
    rng = np.random.RandomState(seed)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    y = (x @ np.array([1, -2, 0.5, 0, 1]) + 0.5 * rng.normal(size=rows)).astype(np.float32)
    return x, y[:, np.newaxis]


def inference(images):
    with tf.variable_scope("local", reuse=tf.AUTO_REUSE):
        weights = tf.get_variable("weights", [5, 4], initializer=shared.seeded(1))
        tf.add_to_collection("losses", 0.001 * tf.nn.l2_loss(weights))
        hidden = tf.nn.relu(tf.matmul(images, weights))
    with tf.variable_scope("linear", reuse=tf.AUTO_REUSE):
        weights = tf.get_variable("weights", [4, 1], initializer=shared.seeded(2))
        biases = tf.get_variable("biases", [1], initializer=tf.constant_initializer(0.1))
        return tf.nn.bias_add(tf.matmul(hidden, weights), biases)


def model_fn(features, labels, mode, params):
    prediction = inference(features["x"])
    ema = tf.train.ExponentialMovingAverage(MOVING_AVERAGE_DECAY, tf.train.get_or_create_global_step())
    scaffold = None
    if mode != tf.estimator.ModeKeys.TRAIN and params["averages"]:
        scaffold = tf.train.Scaffold(saver=tf.train.Saver(ema.variables_to_restore()))
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions={"y": prediction}, scaffold=scaffold)
    tf.add_to_collection("losses", tf.reduce_mean(tf.squared_difference(prediction, labels)))
    loss = tf.add_n(tf.get_collection("losses"), name="total_loss")
    if mode == tf.estimator.ModeKeys.EVAL:
        metrics = {"rmse": tf.metrics.root_mean_squared_error(labels, prediction)}
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics, scaffold=scaffold)
    step = tf.train.get_global_step()
    rate = tf.train.piecewise_constant(step, [30, 60], [0.1, 0.05, 0.02])
    apply_gradient_op = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=step)
    with tf.control_dependencies([apply_gradient_op]):
        train_op = ema.apply(tf.trainable_variables())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def main(argv=None):
    x, y = data(160, 0)
    train = tf.estimator.inputs.numpy_input_fn({"x": x}, y, batch_size=8, num_epochs=None, shuffle=False)
    x, y = data(80, 1)
    test = tf.estimator.inputs.numpy_input_fn({"x": x}, y, batch_size=16, num_epochs=1, shuffle=False)
    estimator = tf.estimator.Estimator(model_fn, os.path.join(FLAGS.dir, "model"), params={"averages": True})
    estimator.train(train, steps=90)
    raw = tf.estimator.Estimator(model_fn, os.path.join(FLAGS.dir, "model"), params={"averages": False})
    rows = estimator.predict(test, checkpoint_path=estimator.latest_checkpoint())
    shared.report(
        metrics=estimator.evaluate(test),
        raw=raw.evaluate(test, name="raw"),
        predictions=[row["y"] for row, _ in zip(rows, range(4), strict=False)],
        average=estimator.get_variable_value("linear/biases/ExponentialMovingAverage"),
        value=estimator.get_variable_value("linear/biases"),
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
