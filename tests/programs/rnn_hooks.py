"""A recurrent classifier of sentences, watched by hooks of its own that fetch tensors and stop the training."""

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
flags = tf.flags
flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = flags.FLAGS

VOCABULARY, LENGTH = 30, 8


def sentences(rows, seed):
    """Word ids, padded with 0. A sentence is good (1) where words below 10 outnumber the others."""
    rng = np.random.RandomState(seed)
    lengths = rng.randint(2, LENGTH + 1, size=rows).astype(np.int32)
    words = rng.randint(1, VOCABULARY, size=(rows, LENGTH)).astype(np.int32)
    words[rng.uniform(size=words.shape) < 0.3] //= 3
    words = np.maximum(words, 1) * (np.arange(LENGTH) < lengths[:, None])
    good = ((words > 0) & (words < 10)).sum(axis=1) * 2 > lengths
    return words, lengths, good.astype(np.int32)


def make_input_fn(rows, seed, batch_size, repeat):
    def input_fn():
        words, lengths, good = sentences(rows, seed)
        dataset = tf.data.Dataset.from_tensor_slices(({"words": words, "length": lengths}, good))
        dataset = dataset.repeat(repeat).batch(batch_size)
        return dataset.make_one_shot_iterator().get_next()

    return input_fn


class LossHistoryHook(tf.train.SessionRunHook):
    """Keeps the loss and the norm of the gradients of every tenth step."""

    def __init__(self, every):
        self._every = every
        self._step = -1
        self.history = []
        self.started = self.ended = 0

    def begin(self):
        self._norm = tf.get_collection("gradient_norm")[0]

    def after_create_session(self, session, coord):
        self.started = int(session.run(tf.train.get_global_step()))

    def before_run(self, run_context):
        self._step += 1
        if self._step % self._every:
            return None
        return tf.train.SessionRunArgs({"loss": "loss_of_batch:0", "norm": self._norm})

    def after_run(self, run_context, run_values):
        if run_values.results is not None:
            self.history.append((float(run_values.results["loss"]), float(run_values.results["norm"])))

    def end(self, session):
        self.ended = int(session.run(tf.train.get_global_step()))


class StopBelowHook(tf.train.SessionRunHook):
    """Asks for a stop once the mean of the loss has fallen below a bound."""

    def __init__(self, bound):
        self._bound = bound
        self._mean = None

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(run_context.session.graph.get_tensor_by_name("loss_of_batch:0"))

    def after_run(self, run_context, run_values):
        loss = float(run_values.results)
        self._mean = loss if self._mean is None else 0.9 * self._mean + 0.1 * loss
        if self._mean < self._bound:
            run_context.request_stop()


def model_fn(features, labels, mode, params):
    with tf.variable_scope("sentence", initializer=shared.seeded(1)):
        table = tf.get_variable("embedding", [VOCABULARY, 6])
        words = tf.nn.embedding_lookup(table, features["words"])
        cell = tf.nn.rnn_cell.GRUCell(params["units"])
        cell = tf.nn.rnn_cell.DropoutWrapper(cell, output_keep_prob=1.0)
        _, state = tf.nn.dynamic_rnn(cell, words, sequence_length=features["length"], dtype=tf.float32)
        logits = tf.layers.dense(state, 2, kernel_initializer=shared.seeded(2))
    classes = tf.argmax(logits, axis=1, output_type=tf.int32)
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions={"classes": classes, "state": state})
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    loss = tf.identity(loss, name="loss_of_batch")
    if mode == tf.estimator.ModeKeys.EVAL:
        metrics = {"accuracy": tf.metrics.accuracy(labels, classes), "precision": tf.metrics.precision(labels, classes)}
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)
    variables = tf.trainable_variables()
    gradients, norm = tf.clip_by_global_norm(tf.gradients(loss, variables), 5.0)
    tf.add_to_collection("gradient_norm", norm)
    optimizer = tf.train.AdamOptimizer(params["rate"])
    train_op = optimizer.apply_gradients(zip(gradients, variables, strict=True), tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def main(unused_argv):
    estimator = tf.estimator.Estimator(
        model_fn, FLAGS.dir, tf.estimator.RunConfig(save_checkpoints_steps=30), params={"units": 8, "rate": 0.02}
    )
    history = LossHistoryHook(every=10)
    estimator.train(make_input_fn(256, 0, 32, None), hooks=[history, StopBelowHook(0.35)], max_steps=300)
    metrics = estimator.evaluate(make_input_fn(128, 1, 50, 1))
    predictions = list(estimator.predict(make_input_fn(4, 1, 4, 1)))
    shared.report(
        metrics=metrics,
        history=history.history,
        started=history.started,
        ended=history.ended,
        states=[row["state"] for row in predictions],
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
