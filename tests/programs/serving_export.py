"""Exports one model in several ways, and reads each back: signatures, raw tensors, serialised examples, sessions."""

import os

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where model and exports go.")
FLAGS = flags.FLAGS

v1 = tf.compat.v1
COLORS = ["red", "green", "blue"]


def model_fn(features, labels, mode, params):
    table = v1.get_variable("table", [len(COLORS) + 1, 3], initializer=shared.seeded(1))
    lookup = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(COLORS, tf.range(1, len(COLORS) + 1, dtype=tf.int64)), default_value=0
    )
    net = tf.concat([features["size"], tf.gather(table, lookup.lookup(features["color"][:, 0]))], axis=1)
    kernel = v1.get_variable("kernel", [params["width"] + 3, 3], initializer=shared.seeded(2))
    bias = v1.get_variable("bias", [3], initializer=v1.zeros_initializer())
    logits = tf.matmul(net, kernel) + bias
    probabilities = tf.nn.softmax(logits)
    price = tf.reduce_sum(tf.nn.relu(net), axis=1, keepdims=True)
    predictions = {"probabilities": probabilities, "best": tf.gather(["low", "middle", "high"], tf.argmax(logits, 1))}
    if mode == tf.estimator.ModeKeys.PREDICT:
        export_outputs = {
            "serving_default": tf.estimator.export.PredictOutput(predictions),
            "classes": tf.estimator.export.ClassificationOutput(
                scores=probabilities, classes=tf.tile([["low", "middle", "high"]], [tf.shape(logits)[0], 1])
            ),
            "price": tf.estimator.export.RegressionOutput(price),
        }
        return tf.estimator.EstimatorSpec(mode, predictions=predictions, export_outputs=export_outputs)
    loss = v1.losses.sparse_softmax_cross_entropy(labels, logits)
    if mode == tf.estimator.ModeKeys.EVAL:
        accuracy = v1.metrics.accuracy(labels, tf.argmax(logits, axis=1))
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops={"accuracy": accuracy})
    train_op = v1.train.GradientDescentOptimizer(0.3).minimize(loss, v1.train.get_or_create_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def rows(count, seed):
    rng = np.random.RandomState(seed)
    color = rng.choice([*COLORS, "grey"], size=(count, 1))
    size = rng.uniform(0, 1, size=(count, 2)).astype(np.float32)
    label = np.digitize(size.sum(axis=1) + 0.5 * (color[:, 0] == "red"), [0.8, 1.3])
    return {"size": size, "color": color.astype(object)}, label.astype(np.int64)


def input_fn():
    return tf.data.Dataset.from_tensor_slices(rows(120, 0)).repeat().batch(20)


def example(size, color):
    features = {
        "size": tf.train.Feature(float_list=tf.train.FloatList(value=size)),
        "color": tf.train.Feature(bytes_list=tf.train.BytesList(value=[color])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def main(unused_argv):
    estimator = tf.estimator.Estimator(model_fn, os.path.join(FLAGS.dir, "model"), params={"width": 2})
    estimator.train(input_fn, steps=60)
    base = os.path.join(FLAGS.dir, "export")
    spec = {
        "size": tf.io.FixedLenFeature([2], tf.float32),
        "color": tf.io.FixedLenFeature([1], tf.string, default_value="grey"),
    }
    parsing = tf.estimator.export.build_parsing_serving_input_receiver_fn(spec)
    notes = shared.write_lines(os.path.join(FLAGS.dir, "notes.txt"), ["written by hand"])
    from_examples = estimator.export_saved_model(base, parsing, assets_extra={"about/notes.txt": notes})

    def raw_receiver():
        size = v1.placeholder(tf.float32, [None, 2], name="size")
        color = v1.placeholder(tf.string, [None, 1], name="color")
        received = {"size": size, "color": color}
        # Clients send per cent.
        return tf.estimator.export.ServingInputReceiver({"size": size / 100.0, "color": color}, received)

    from_tensors = estimator.export_saved_model(base, raw_receiver)

    serialized = [example([0.1, 0.2], b"red"), example([0.9, 0.7], b"green")]
    loaded = tf.saved_model.load(from_examples.decode())
    by_example = {
        name: {key: value.numpy() for key, value in loaded.signatures[name](tf.constant(serialized)).items()}
        for name in ("serving_default", "classes", "price")
    }
    raw = tf.saved_model.load(from_tensors.decode())
    by_tensor = raw.signatures["serving_default"](
        size=tf.constant([[10.0, 20.0], [90.0, 70.0]]), color=tf.constant([["red"], ["green"]])
    )
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.loader.load(session, ["serve"], from_tensors.decode())
        signature = meta.signature_def["serving_default"]
        best = session.run(
            signature.outputs["best"].name,
            {signature.inputs["size"].name: [[50, 50]], signature.inputs["color"].name: [["violet"]]},
        )
        methods = {key: value.method_name for key, value in meta.signature_def.items() if not key.startswith("__")}
    shared.report(
        metrics=estimator.evaluate(lambda: input_fn().take(3)),
        by_example=by_example,
        by_tensor={key: value.numpy() for key, value in by_tensor.items()},
        best=best,
        signatures=sorted(loaded.signatures),
        methods=methods,
        extra=os.path.exists(os.path.join(from_examples.decode(), "assets.extra", "about", "notes.txt")),
        exports=len([name for name in os.listdir(base) if name.isdigit()]),
    )


if __name__ == "__main__":
    app.run(main)
