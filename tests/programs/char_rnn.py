"""A model of characters, several cells deep; hooks fetch by name, change the rate through a placeholder, and sample."""

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_eager_execution()
tf.app.flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = tf.app.flags.FLAGS

TEXT = "the cat sat on the mat. the rat sat on the cat. " * 12
ALPHABET = sorted(set(TEXT))
LENGTH = 8


def sequences():
    ids = np.array([ALPHABET.index(letter) for letter in TEXT], np.int32)
    starts = np.arange(0, len(ids) - LENGTH - 1, 3)
    return np.stack([ids[i : i + LENGTH] for i in starts]), np.stack([ids[i + 1 : i + LENGTH + 1] for i in starts])


def input_fn(batch_size=32, repeat=None):
    x, y = sequences()
    dataset = tf.data.Dataset.from_tensor_slices(({"x": x}, y)).repeat(repeat).batch(batch_size, drop_remainder=True)
    iterator = tf.data.make_initializable_iterator(dataset)
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return iterator.get_next()


def char_model_fn(features, labels, mode, params):
    size = len(ALPHABET)
    with tf.variable_scope("rnnlm", initializer=shared.seeded(1, 0.5)):
        embedding = tf.get_variable("embedding", [size, 8])
        inputs = tf.nn.embedding_lookup(embedding, features["x"])
        inputs = [tf.squeeze(step, [1]) for step in tf.split(inputs, LENGTH, 1)]
        cells = [tf.nn.rnn_cell.BasicLSTMCell(params["units"]) for _ in range(2)]
        cell = tf.nn.rnn_cell.MultiRNNCell(cells, state_is_tuple=True)
        outputs, _ = tf.nn.static_rnn(cell, inputs, dtype=tf.float32)
        outputs = tf.reshape(tf.stack(outputs, axis=1), [-1, params["units"]])
        softmax_w = tf.get_variable("softmax_w", [params["units"], size])
        softmax_b = tf.get_variable("softmax_b", [size], initializer=tf.zeros_initializer())
    logits = tf.reshape(tf.matmul(outputs, softmax_w) + softmax_b, [-1, LENGTH, size])
    following = tf.argmax(logits[:, -1], axis=-1, name="following")
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions=following)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits, scope="cost")
    tf.exp(loss, name="perplexity")
    accuracy = tf.metrics.accuracy(labels, tf.argmax(logits, -1))
    rate = tf.placeholder_with_default(params["rate"], [], name="rate")
    optimizer = tf.train.RMSPropOptimizer(rate, momentum=0.5)
    grads, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    grads, _ = tf.clip_by_global_norm(grads, 1.0)
    train_op = optimizer.apply_gradients(zip(grads, variables, strict=True), global_step=tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops={"accuracy": accuracy})


class DecayHook(tf.train.SessionRunHook):
    """Feeds a rate that falls each 20 steps, and collects the perplexity by the name of its tensor."""

    def begin(self):
        graph = tf.get_default_graph()
        self._rate = graph.get_tensor_by_name("rate:0")
        self._step = 0
        self.perplexities = []

    def after_create_session(self, session, coord):
        self.parameters = sum(int(np.prod(var.shape.as_list())) for var in tf.trainable_variables())
        self.stopping = coord.should_stop()

    def before_run(self, run_context):
        rate = 0.04 * 0.7 ** (self._step // 20)
        return tf.train.SessionRunArgs({"perplexity": "perplexity:0"}, feed_dict={self._rate: rate})

    def after_run(self, run_context, run_values):
        if self._step % 20 == 0:
            self.perplexities.append(run_values.results["perplexity"])
        self._step += 1


class SampleListener(tf.train.CheckpointSaverListener):
    """Lets the model write on, each time that it was saved."""

    def __init__(self, estimator, start, count):
        self._estimator, self._start, self._count = estimator, start, count
        self.samples = {}

    def after_save(self, session, global_step_value):
        self.samples[global_step_value] = write_on(self._estimator, self._start, self._count)


def write_on(estimator, text, count):
    for _ in range(count):
        ids = np.array([[ALPHABET.index(letter) for letter in text[-LENGTH:]]], np.int32)
        window = tf.estimator.inputs.numpy_input_fn({"x": ids}, shuffle=False, num_epochs=1)
        (following,) = estimator.predict(window)
        text += ALPHABET[following]
    return text


def main(_):
    estimator = tf.estimator.Estimator(
        char_model_fn,
        model_dir=FLAGS.dir,
        params={"units": 16, "rate": 0.01},
        config=tf.estimator.RunConfig(save_checkpoints_steps=40),
    )
    hook = DecayHook()
    listener = SampleListener(estimator, "the cat ", 3)
    estimator.train(input_fn, steps=80, hooks=[hook], saving_listeners=[listener])
    metrics = estimator.evaluate(lambda: input_fn(64, 1))
    shared.report(
        metrics=metrics,
        perplexities=hook.perplexities,
        parameters=hook.parameters,
        stopping=hook.stopping,
        samples=listener.samples,
        text=write_on(estimator, "on the c", 6),
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
