"""A factorisation machine with a deep part on clicks: an optimizer for each scope, and a TensorFlow 1 export."""

import glob
import os

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
FLAGS = tf.app.flags.FLAGS
tf.app.flags.DEFINE_string("dir", None, "Where data and model go.")
tf.app.flags.DEFINE_integer("embedding_size", 4, "Width of an embedding.")
tf.app.flags.DEFINE_string("deep_layers", "8,4", "Units of the deep layers.")

FIELDS, FEATURES = 4, 40


def write_libsvm(path, rows, seed):
    """Lines `click id:value id:value ...`, one id for each field."""
    rng = np.random.RandomState(seed)
    taste = np.random.RandomState(9).normal(size=FEATURES)
    lines = []
    for _ in range(rows):
        ids = [field * 10 + rng.randint(10) for field in range(FIELDS)]
        values = np.round(rng.uniform(0.5, 1.5, FIELDS), 2)
        score = (taste[ids] * values).sum() + 2 * taste[ids[0]] * taste[ids[1]]
        lines.append(" ".join([str(int(score > 0)), *(f"{i}:{v}" for i, v in zip(ids, values, strict=True))]))
    return shared.write_lines(path, lines)


def input_fn(filenames, batch_size=32, num_epochs=1):
    def decode_libsvm(line):
        columns = tf.string_split([line], " ")
        labels = tf.string_to_number(columns.values[0], out_type=tf.float32)
        splits = tf.string_split(columns.values[1:], ":")
        id_vals = tf.reshape(splits.values, splits.dense_shape)
        feat_ids, feat_vals = tf.split(id_vals, num_or_size_splits=2, axis=1)
        feat_ids = tf.string_to_number(feat_ids, out_type=tf.int32)
        feat_vals = tf.string_to_number(feat_vals, out_type=tf.float32)
        return {"feat_ids": feat_ids, "feat_vals": feat_vals}, labels

    dataset = tf.data.TextLineDataset(filenames).map(decode_libsvm, num_parallel_calls=2).prefetch(100)
    dataset = dataset.repeat(num_epochs).batch(batch_size)
    iterator = dataset.make_one_shot_iterator()
    batch_features, batch_labels = iterator.get_next()
    return batch_features, batch_labels


def model_fn(features, labels, mode, params):
    layers = list(map(int, params["deep_layers"].split(",")))
    feat_ids = tf.reshape(features["feat_ids"], shape=[-1, FIELDS])
    feat_vals = tf.reshape(features["feat_vals"], shape=[-1, FIELDS])

    with tf.variable_scope("wide", partitioner=tf.fixed_size_partitioner(1)):
        bias = tf.get_variable("fm_bias", shape=[1], initializer=tf.constant_initializer(0.0))
        weights = tf.get_variable("fm_w", shape=[FEATURES], initializer=shared.seeded(1))
        y_w = tf.reduce_sum(tf.multiply(tf.nn.embedding_lookup(weights, feat_ids), feat_vals), 1)
    with tf.variable_scope("deep"):
        table = tf.get_variable("fm_v", [FEATURES, params["embedding_size"]], initializer=shared.seeded(2))
        embeddings = tf.multiply(tf.nn.embedding_lookup(table, feat_ids), feat_vals[:, :, tf.newaxis])
        sum_square = tf.square(tf.reduce_sum(embeddings, 1))
        square_sum = tf.reduce_sum(tf.square(embeddings), 1)
        y_v = 0.5 * tf.reduce_sum(tf.subtract(sum_square, square_sum), 1)
        net = tf.reshape(embeddings, shape=[-1, FIELDS * params["embedding_size"]])
        for i, units in enumerate(layers):
            with tf.variable_scope(f"mlp{i}", reuse=tf.AUTO_REUSE):
                inputs = int(net.shape[1])
                w = tf.get_variable("weights", [inputs, units], initializer=shared.seeded(3 + i))
                b = tf.get_variable("biases", [units], initializer=tf.zeros_initializer())
                net = tf.nn.relu(tf.nn.xw_plus_b(net, w, b))
        out = tf.get_variable("out", [layers[-1], 1], initializer=shared.seeded(9))
        y_d = tf.reshape(tf.matmul(net, out), [-1])
    y = bias * tf.ones_like(y_d, dtype=tf.float32) + y_w + y_v + y_d
    predictions = {"prob": tf.sigmoid(y)}
    export_outputs = {
        tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: tf.estimator.export.PredictOutput(
            predictions
        )
    }
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode=mode, predictions=predictions, export_outputs=export_outputs)

    loss = (
        tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logits=y, labels=labels))
        + params["l2_reg"] * tf.nn.l2_loss(weights)
        + params["l2_reg"] * tf.nn.l2_loss(table)
    )
    if mode == tf.estimator.ModeKeys.EVAL:
        metrics = {"auc": tf.metrics.auc(labels, predictions["prob"]), "mean": tf.metrics.mean(predictions["prob"])}
        return tf.estimator.EstimatorSpec(mode=mode, predictions=predictions, loss=loss, eval_metric_ops=metrics)

    global_step = tf.train.get_global_step()
    wide = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="wide")
    deep = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="deep")
    wide_op = tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.001).minimize(loss, var_list=wide)
    deep_op = tf.train.AdagradOptimizer(0.05, initial_accumulator_value=1e-4).minimize(
        loss, global_step=global_step, var_list=deep
    )
    return tf.estimator.EstimatorSpec(
        mode=mode, predictions=predictions, loss=loss, train_op=tf.group(wide_op, deep_op)
    )


def main(_):
    train_files = [write_libsvm(os.path.join(FLAGS.dir, f"tr{i}.libsvm"), 160, seed=i) for i in range(2)]
    test_file = write_libsvm(os.path.join(FLAGS.dir, "va.libsvm"), 120, seed=5)
    params = {"embedding_size": FLAGS.embedding_size, "deep_layers": FLAGS.deep_layers, "l2_reg": 0.001}
    config = tf.estimator.RunConfig().replace(
        session_config=tf.ConfigProto(device_count={"GPU": 0, "CPU": 2}), log_step_count_steps=20, save_summary_steps=20
    )
    model_dir = os.path.join(FLAGS.dir, "model")
    deep_fm = tf.estimator.Estimator(model_fn=model_fn, model_dir=model_dir, params=params, config=config)
    train_spec = tf.estimator.TrainSpec(input_fn=lambda: input_fn(train_files, num_epochs=6))
    eval_spec = tf.estimator.EvalSpec(
        input_fn=lambda: input_fn([test_file]), steps=None, start_delay_secs=1000, throttle_secs=1200
    )
    metrics, _ = tf.estimator.train_and_evaluate(deep_fm, train_spec, eval_spec)
    probabilities = [row["prob"] for row in deep_fm.predict(lambda: input_fn([test_file]), predict_keys="prob")]
    feature_spec = {
        "feat_ids": tf.placeholder(dtype=tf.int64, shape=[None, FIELDS], name="feat_ids"),
        "feat_vals": tf.placeholder(dtype=tf.float32, shape=[None, FIELDS], name="feat_vals"),
    }
    receiver = tf.estimator.export.build_raw_serving_input_receiver_fn(feature_spec)
    deep_fm.export_savedmodel(os.path.join(FLAGS.dir, "servable"), receiver)
    (exported,) = glob.glob(os.path.join(FLAGS.dir, "servable", "*"))
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], exported)
        signature = meta.signature_def["serving_default"]
        served = session.run(
            signature.outputs["prob"].name,
            {signature.inputs["feat_ids"].name: [[1, 12, 23, 34]], signature.inputs["feat_vals"].name: np.ones((1, 4))},
        )
    shared.report(
        metrics=metrics,
        probabilities=probabilities[:5],
        served=served,
        inputs=sorted(signature.inputs),
        variables=sorted(deep_fm.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
