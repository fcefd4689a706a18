"""Two regressions and a count on one network, by MultiHead, in a model_fn of the program's own."""

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = flags.FLAGS


def input_fn(rows, seed, repeat):
    rng = np.random.RandomState(seed)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    day = rng.randint(0, 7, size=rows)
    price = (2 * x[:, 0] + 0.3 * day).astype(np.float32)
    place = np.stack([x[:, 1], x[:, 1] - x[:, 2]], axis=1).astype(np.float32)
    visits = rng.poisson(np.exp(0.5 * x[:, 0])).astype(np.float32)
    trust = rng.choice([0.0, 1.0, 2.0], size=(rows, 1)).astype(np.float32)
    features = {"x": x, "day": day, "trust": trust}
    labels = {"price": price[:, np.newaxis], "place": place, "visits": visits[:, np.newaxis]}
    return tf.data.Dataset.from_tensor_slices((features, labels)).repeat(repeat).batch(25)


def make_head():
    return tf.estimator.MultiHead(
        [
            tf.estimator.RegressionHead(weight_column="trust", name="price"),
            tf.estimator.RegressionHead(label_dimension=2, name="place"),
            tf.estimator.PoissonRegressionHead(name="visits"),
        ],
        head_weights=[1.0, 0.5, 0.2],
    )


def model_fn(features, labels, mode, params):
    table = tf.compat.v1.get_variable("day_embedding", [7, 2], initializer=shared.seeded(1))
    net = tf.concat([features["x"], tf.nn.embedding_lookup(table, features["day"])], axis=1)
    with tf.compat.v1.variable_scope("tower", initializer=shared.seeded(2)):
        kernel = tf.compat.v1.get_variable("kernel", [5, params["units"]])
        net = tf.nn.elu(net @ kernel)
        head = make_head()
        out = tf.compat.v1.get_variable(
            "out",
            [params["units"], head.logits_dimension],
            regularizer=lambda weights: 0.001 * tf.nn.l2_loss(weights),
        )
    logits = net @ out
    step = tf.compat.v1.train.get_or_create_global_step()

    def train_op_fn(loss):
        rate = tf.compat.v1.train.cosine_decay(params["rate"], step, 200)
        return tf.compat.v1.train.RMSPropOptimizer(rate).minimize(loss, global_step=step)

    return head.create_estimator_spec(
        features=features,
        mode=mode,
        logits=logits,
        labels=labels,
        train_op_fn=train_op_fn,
        regularization_losses=tf.compat.v1.losses.get_regularization_losses() or None,
    )


def main(unused_argv):
    estimator = tf.estimator.Estimator(model_fn, FLAGS.dir, params={"units": 6, "rate": 0.03})
    estimator = tf.estimator.add_metrics(
        estimator, lambda labels, predictions: {"mean_of_price": tf.compat.v1.metrics.mean(labels["price"])}
    )
    estimator.train(lambda: input_fn(200, 0, None), max_steps=120)
    metrics = estimator.evaluate(lambda: input_fn(90, 1, 1))
    predictions = list(estimator.predict(lambda: input_fn(3, 1, 1).map(lambda features, labels: features)))
    shared.report(
        metrics=metrics,
        predictions=[{"/".join(key): value for key, value in row.items()} for row in predictions],
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    app.run(main)
