"""The linear classifier of TensorFlow 1 over crossed columns, fed by numpy_input_fn."""

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = tf.flags.FLAGS


def rows(count, seed):
    rng = np.random.RandomState(seed)
    country = rng.choice(["de", "fr", "us", "jp"], count)
    device = rng.choice(["phone", "desktop"], count)
    price = rng.uniform(0, 100, count).astype(np.float32)
    # What matters is the pair, which no single feature shows.
    pays = ((country == "de") == (device == "phone")).astype(np.int64) + (price < 20).astype(np.int64)
    weight = rng.choice([0.5, 1.0, 2.0], count).astype(np.float32)
    return {"country": country, "device": device, "price": price, "weight": weight}, pays


def main(unused_argv):
    country = tf.feature_column.categorical_column_with_hash_bucket("country", 20)
    device = tf.feature_column.categorical_column_with_vocabulary_list("device", ["phone", "desktop"])
    price = tf.feature_column.bucketized_column(tf.feature_column.numeric_column("price"), [20.0, 50.0, 80.0])
    pairs = tf.feature_column.crossed_column(["country", "device"], 40)
    triples = tf.feature_column.crossed_column(["country", "device", price], 200, hash_key=7)
    model = tf.estimator.LinearClassifier(
        [country, device, price, pairs, triples],
        model_dir=FLAGS.dir,
        n_classes=3,
        weight_column="weight",
        optimizer=tf.train.FtrlOptimizer(0.2, l1_regularization_strength=0.001, l2_regularization_strength=0.01),
    )
    features, labels = rows(500, seed=0)
    train = tf.estimator.inputs.numpy_input_fn(features, labels, batch_size=32, num_epochs=6, shuffle=False)
    for _ in range(2):
        model.train(train, max_steps=120)
    features, labels = rows(100, seed=1)
    test = tf.estimator.inputs.numpy_input_fn(features, labels, batch_size=30, num_epochs=1, shuffle=False)
    metrics = model.evaluate(test)
    named = model.evaluate(test, steps=2, name="short")
    predictions = [row for row, _ in zip(model.predict(test), range(3), strict=False)]
    shared.report(
        metrics=metrics,
        short=named,
        class_ids=[row["class_ids"] for row in predictions],
        probabilities=[row["probabilities"] for row in predictions],
        weights=model.get_variable_value("linear/linear_model/device/weights"),
        variables=sorted(model.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run(main)
