"""A classifier that begins with the weights of an older one, whose vocabulary was shorter and in another order."""

import os

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where vocabularies and models go.")
FLAGS = flags.FLAGS

OLD = ["apple", "pear", "plum", "fig"]
NEW = ["fig", "kiwi", "apple", "plum", "lime", "pear"]


def input_fn(words, rows, seed, repeat):
    rng = np.random.RandomState(seed)
    fruit = rng.choice(words, size=rows)
    size = rng.uniform(0, 1, size=rows).astype(np.float32)
    sold = ((np.char.str_len(fruit) > 3) == (size > 0.4)).astype(np.int64)
    features = {"fruit": fruit.astype(object), "size": size}
    return tf.data.Dataset.from_tensor_slices((features, sold)).repeat(repeat).batch(20)


def columns(words, folder):
    path = shared.write_lines(os.path.join(folder, f"fruit_{len(words)}.txt"), words)
    fruit = tf.feature_column.categorical_column_with_vocabulary_file("fruit", path, len(words), num_oov_buckets=1)
    size = tf.feature_column.bucketized_column(tf.feature_column.numeric_column("size"), [0.2, 0.4, 0.6, 0.8])
    linear = [fruit, size, tf.feature_column.crossed_column(["fruit", size], 60)]
    deep = [tf.feature_column.embedding_column(fruit, 3, initializer=shared.seeded(4)), size]
    return path, linear, deep


def build(words, folder, **arguments):
    path, linear, deep = columns(words, folder)
    model = tf.estimator.DNNLinearCombinedClassifier(
        model_dir=os.path.join(folder, f"model_{len(words)}"),
        linear_feature_columns=linear,
        dnn_feature_columns=deep,
        dnn_hidden_units=[6],
        dnn_optimizer=lambda: tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9),
        **arguments,
    )
    return path, model


def main(unused_argv):
    first = shared.write_checkpoint(
        os.path.join(FLAGS.dir, "first", "model"),
        shared.first_values({"dnn/hiddenlayer_0/kernel": [8, 6], "dnn/logits/kernel": [6, 1]}),
    )
    kernels = tf.estimator.WarmStartSettings(first, vars_to_warm_start="dnn.*kernel")
    old_path, old = build(OLD, FLAGS.dir, warm_start_from=kernels)
    old.train(lambda: input_fn(OLD, 300, 0, None), max_steps=60)

    new_path = os.path.join(FLAGS.dir, "fruit_6.txt")
    vocabulary = tf.estimator.VocabInfo(
        new_vocab=new_path,
        new_vocab_size=len(NEW),
        num_oov_buckets=1,
        old_vocab=old_path,
        old_vocab_size=len(OLD),
        backup_initializer=tf.compat.v1.zeros_initializer(),
    )
    settings = tf.estimator.WarmStartSettings(
        ckpt_to_initialize_from=old.model_dir,
        vars_to_warm_start=".*",
        var_name_to_vocab_info={
            "linear/linear_model/fruit/weights": vocabulary,
            "dnn/input_from_feature_columns/input_layer/fruit_embedding/embedding_weights": vocabulary,
        },
    )
    _, new = build(NEW, FLAGS.dir, warm_start_from=settings)
    at_once = new.evaluate(lambda: input_fn(NEW, 200, 1, 1))
    new.train(lambda: input_fn(NEW, 300, 2, None), steps=1)
    weights = new.get_variable_value("linear/linear_model/fruit/weights")
    new.train(lambda: input_fn(NEW, 300, 2, None), steps=59)
    shared.report(
        old=old.evaluate(lambda: input_fn(OLD, 200, 1, 1)),
        at_once=at_once,
        weights=weights,
        metrics=new.evaluate(lambda: input_fn(NEW, 200, 1, 1)),
        variables=sorted(new.get_variable_names()),
    )


if __name__ == "__main__":
    app.run(main)
