"""Rows of TFRecord files by a one-shot iterator; layers of get_variable under arguments in scope, as slim has them."""

import contextlib
import os

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.app.flags.DEFINE_string("dir", None, "Where data and model go.")
FLAGS = tf.app.flags.FLAGS


class HParams:
    """Parameters by attribute, which `parse` changes from a string such as "rate=0.1,layers=2"."""

    def __init__(self, **values):
        self.__dict__.update(values)

    def parse(self, text):
        for pair in text.split(","):
            name, value = pair.split("=")
            setattr(self, name, type(getattr(self, name))(value))
        return self


_SCOPE = [{}]


@contextlib.contextmanager
def arg_scope(**defaults):
    _SCOPE.append({**_SCOPE[-1], **defaults})
    try:
        yield
    finally:
        _SCOPE.pop()


def batch_norm(net, is_training, decay=0.8, scope=None):
    with tf.variable_scope(scope, "BatchNorm", [net]):
        size = net.shape[-1:].as_list()
        beta = tf.get_variable("beta", size, initializer=tf.zeros_initializer())
        mean = tf.get_variable("moving_mean", size, initializer=tf.zeros_initializer(), trainable=False)
        variance = tf.get_variable("moving_variance", size, initializer=tf.ones_initializer(), trainable=False)
        if not is_training:
            return tf.nn.batch_normalization(net, mean, variance, beta, None, 0.001)
        batch_mean, batch_variance = tf.nn.moments(net, [0])
        for average, value in ((mean, batch_mean), (variance, batch_variance)):
            update = tf.assign_sub(average, (average - value) * (1.0 - decay))
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        return tf.nn.batch_normalization(net, batch_mean, batch_variance, beta, None, 0.001)


def fully_connected(inputs, units, scope=None, **arguments):
    """A layer with weights, bias or normalisation, regularised and summarised as the scope says."""
    arguments = {**_SCOPE[-1], **arguments}
    with tf.variable_scope(scope, "fully_connected", [inputs], reuse=arguments.get("reuse")):
        weights = tf.get_variable(
            "weights",
            [inputs.shape[-1], units],
            initializer=arguments["weights_initializer"],
            regularizer=arguments.get("weights_regularizer"),
        )
        net = tf.matmul(inputs, weights)
        if arguments.get("normalizer_fn"):
            net = arguments["normalizer_fn"](net, **arguments["normalizer_params"])
        else:
            net = tf.nn.bias_add(net, tf.get_variable("biases", [units], initializer=tf.zeros_initializer()))
        activation = arguments.get("activation_fn", tf.nn.relu)
        net = activation(net) if activation else net
    tf.summary.histogram("activations", net)
    return net


def write_records(path, rows, seed):
    rng = np.random.RandomState(seed)
    with tf.python_io.TFRecordWriter(path) as writer:
        for _ in range(rows):
            pixels = rng.randint(0, 256, size=6).astype(np.uint8)
            tags = rng.choice(["new", "old", "rare"], size=rng.randint(0, 4))
            label = int(int(pixels[:3].sum()) + 100 * ("rare" in tags) > int(pixels[3:].sum()))
            feature = {
                "image_raw": tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels.tobytes()])),
                "tags": tf.train.Feature(bytes_list=tf.train.BytesList(value=[tag.encode() for tag in tags])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return path


def input_fn(filenames, batch_size, num_epochs):
    def parser(serialized):
        features = tf.parse_example(
            serialized,
            {
                "image_raw": tf.FixedLenFeature([], tf.string),
                "tags": tf.VarLenFeature(tf.string),
                "label": tf.FixedLenFeature([], tf.int64),
            },
        )
        image = tf.reshape(tf.decode_raw(features["image_raw"], tf.uint8), [-1, 6])
        return {"image": tf.cast(image, tf.float32) * (1.0 / 255) - 0.5, "tags": features["tags"]}, features["label"]

    files = tf.data.Dataset.from_tensor_slices(filenames)
    dataset = files.interleave(tf.data.TFRecordDataset, cycle_length=2, block_length=5)
    dataset = dataset.apply(tf.data.experimental.shuffle_and_repeat(60, num_epochs, seed=11)).batch(batch_size)
    features, label = dataset.map(parser).make_one_shot_iterator().get_next()
    # What is done to a batch outside of the dataset.
    rare = tf.sparse_to_indicator(
        tf.SparseTensor(
            features["tags"].indices,
            tf.string_to_hash_bucket_fast(features["tags"].values, 8),
            features["tags"].dense_shape,
        ),
        8,
    )
    return {"image": features["image"], "tags": tf.cast(rare, tf.float32)}, label


def model_fn(features, labels, mode, params):
    hparams = params
    is_training = mode == tf.estimator.ModeKeys.TRAIN
    with arg_scope(
        weights_initializer=shared.seeded(hparams.seed, 0.6),
        weights_regularizer=lambda weights: hparams.weight_decay * tf.nn.l2_loss(weights),
    ):
        net = tf.concat([features["image"], features["tags"]], axis=1)
        with arg_scope(normalizer_fn=batch_norm, normalizer_params={"is_training": is_training}):
            for _ in range(hparams.layers):
                net = fully_connected(net, hparams.units)
        logits = fully_connected(net, 2, activation_fn=None, scope="logits")
    predictions = {"class": tf.argmax(logits, 1), "score": tf.nn.softmax(logits)[:, 1]}
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions=predictions)
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    total_loss = tf.losses.get_total_loss()
    if mode == tf.estimator.ModeKeys.EVAL:
        metrics = {
            "accuracy": tf.metrics.accuracy(labels, predictions["class"]),
            "recall_at_precision": tf.metrics.recall_at_thresholds(labels, predictions["score"], [0.25, 0.75]),
        }
        return tf.estimator.EstimatorSpec(mode, loss=total_loss, eval_metric_ops=metrics)
    step = tf.train.get_or_create_global_step()
    rate = tf.train.inverse_time_decay(hparams.rate, step, 50, 0.5)
    optimizer = tf.train.AdadeltaOptimizer(rate) if hparams.optimizer == "adadelta" else tf.train.AdamOptimizer(rate)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        total_loss = tf.identity(total_loss, name="loss_after_updates")
    grads_and_vars = optimizer.compute_gradients(total_loss)
    grads_and_vars = [(tf.clip_by_norm(grad, 2.0), var) for grad, var in grads_and_vars if grad is not None]
    with tf.control_dependencies([optimizer.apply_gradients(grads_and_vars, global_step=step)]):
        train_op = tf.identity(total_loss, name="train_op")
    return tf.estimator.EstimatorSpec(mode, loss=total_loss, train_op=train_op)


def main(_):
    train_files = [write_records(os.path.join(FLAGS.dir, f"train{i}.tfrecord"), 120, i) for i in range(2)]
    test_file = write_records(os.path.join(FLAGS.dir, "test.tfrecord"), 100, 7)
    hparams = HParams(seed=1, units=6, layers=1, rate=0.03, weight_decay=0.001, optimizer="adam").parse("layers=2")
    config = tf.estimator.RunConfig(model_dir=os.path.join(FLAGS.dir, "model"), save_summary_steps=20)
    estimator = tf.estimator.Estimator(model_fn, config=config, params=hparams)
    estimator.train(lambda: input_fn(train_files, 24, 6))
    metrics = estimator.evaluate(lambda: input_fn([test_file], 30, 1))
    scores = sorted(float(row["score"]) for row in estimator.predict(lambda: input_fn([test_file], 30, 1)))
    shared.report(
        metrics=metrics,
        scores=scores[::20],
        params=[type(estimator.params).__name__, estimator.params.layers],
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
