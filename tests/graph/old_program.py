"""An old program: eager execution is disabled at its top. Run by test_disabled_eager.py; prints what it has seen."""

from __future__ import annotations

import json
import os
import sys

import tensorflow.compat.v1 as tf

if __name__ == "__main__":
    if sys.argv[1] == "behavior":
        tf.disable_v2_behavior()
    else:
        tf.disable_eager_execution()

import numpy as np
import tensorflow

import headway
from headway import feature_columns as fc

X = np.arange(24, dtype="float32").reshape(12, 2) / 10
WORDS = np.array(["a", "b", "c", "b"] * 3)
Y = (X[:, 0] > 0.9).astype("int64")


def dataset(repeat: int | None = None) -> tf.data.Dataset:
    """Returns batches of four rows."""
    return tf.data.Dataset.from_tensor_slices(({"x": X, "word": WORDS}, Y)).repeat(repeat).batch(4)


def one_shot():
    """Returns tensors of an iterator."""
    return tf.data.make_one_shot_iterator(dataset()).get_next()


def once():
    """Returns tensors of an iterator over one epoch."""
    return tf.data.make_one_shot_iterator(dataset(1)).get_next()


def state() -> list[bool]:
    """Returns the switches of TensorFlow that the program sees."""
    return [
        tf.executing_eagerly(),
        tf.resource_variables_enabled(),
        tf.control_flow_v2_enabled(),
        isinstance(tf.TensorShape([2])[0], int),
        bool(tf.Tensor._USE_EQUALITY),
        tensorflow.__internal__.tf2.enabled(),
    ]


def model_fn(features, labels, mode, params):
    """An old model_fn."""
    with tf.variable_scope("layer"):
        w = tf.get_variable("w", [2, 1], initializer=tf.zeros_initializer())
    logits = tf.squeeze(tf.matmul(features["x"], w), 1) * params["scale"]
    if mode == headway.ModeKeys.PREDICT:
        return headway.EstimatorSpec(mode, predictions={"p": tf.sigmoid(logits)})
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.to_float(labels), logits=logits)
    loss = tf.reduce_mean(losses)
    accuracy = tf.metrics.accuracy(labels, tf.cast(logits > 0, tf.int64))
    train_op = tf.train.AdamOptimizer(0.1).minimize(loss, tf.train.get_or_create_global_step())
    return headway.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops={"accuracy": accuracy})


def keras_model_fn(features, labels, mode):
    """A model_fn of a Keras 3 layer and a head, which live in compiled functions."""
    logits = tensorflow.keras.layers.Dense(1)(features["x"])

    def train_op_fn(loss):
        return tf.train.AdamOptimizer(0.1).minimize(loss, tf.train.get_global_step())

    head = headway.heads.BinaryClassHead()
    return head.create_estimator_spec(features, mode, logits, labels, train_op_fn=train_op_fn)


def run(make, folder: str) -> dict:
    """Goes through all verbs."""
    config = headway.RunConfig(model_dir=folder, tf_random_seed=1, progress="none")
    estimator = make(config)
    estimator.train(one_shot, steps=3)
    estimator.train(dataset, steps=3)
    result = estimator.evaluate(once)
    rows = list(estimator.predict(lambda: dataset(1)))
    receiver = headway.build_raw_serving_input_receiver_fn(
        {"x": tf.placeholder(tf.float32, [None, 2]), "word": tf.placeholder(tf.string, [None])}
    )
    exported = estimator.export_saved_model(os.path.join(folder, "export"), receiver)
    with tf.Graph().as_default(), tf.Session() as session:
        signatures = tf.saved_model.load(session, ["serve"], exported.decode()).signature_def
    return {
        "step": int(result["global_step"]),
        "loss": float(result["loss"]),
        "rows": len(rows),
        "exported": bool(signatures),
        "graph": os.path.exists(os.path.join(folder, "model.ckpt-6.meta")),
        "state": state(),
        "names": estimator.get_variable_names(),
    }


def main(folder: str) -> None:
    """Runs all models."""
    columns = [
        fc.numeric_column("x", shape=(2,)),
        fc.embedding_column(fc.categorical_column_with_vocabulary_list("word", ["a", "b", "c"]), 2),
    ]
    before, params = state(), {"scale": 1.0}
    found = {
        "custom": run(lambda config: headway.Estimator(model_fn, config=config, params=params), f"{folder}/custom"),
        "canned": run(lambda config: headway.DNNClassifier([3], columns, config=config), f"{folder}/canned"),
        "keras": run(lambda config: headway.Estimator(keras_model_fn, config=config), f"{folder}/keras"),
    }
    train, evaluation = headway.TrainSpec(one_shot, max_steps=8), headway.EvalSpec(once, steps=None, throttle_secs=0)
    settings = headway.RunConfig(model_dir=f"{folder}/custom", progress="none")
    estimator = headway.Estimator(model_fn, config=settings, params=params)
    metrics, _ = headway.train_and_evaluate(estimator, train, evaluation)
    found["before"] = before
    found["rounds"] = int(metrics["global_step"])
    sys.stdout.write("FOUND " + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[2])
