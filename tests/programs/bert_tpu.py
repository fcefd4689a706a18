"""A small transformer, fine-tuned in the manner of BERT: model_fn_builder, TPUEstimator, a pre-trained checkpoint."""

import collections
import os
import re

import numpy as np
import shared
import tensorflow.compat.v1 as tf

flags = tf.flags
FLAGS = flags.FLAGS
flags.DEFINE_string("dir", None, "Where data, checkpoint and model go.")
flags.DEFINE_bool("use_tpu", False, "Whether to use a TPU.")
flags.DEFINE_integer("train_batch_size", 16, "Rows in a batch of training.")
flags.DEFINE_float("learning_rate", 0.004, "The rate after the warm-up.")

LENGTH, VOCABULARY, HIDDEN, HEADS, INNER = 6, 20, 8, 2, 16


def layer_norm(inputs, name):
    """As in BERT: scale and shift by the last axis."""
    with tf.variable_scope(name):
        beta = tf.get_variable("beta", [HIDDEN], initializer=tf.zeros_initializer())
        gamma = tf.get_variable("gamma", [HIDDEN], initializer=tf.ones_initializer())
        mean, variance = tf.nn.moments(inputs, axes=[-1], keepdims=True)
        return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 1e-12)


def gelu(x):
    return x * 0.5 * (1.0 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * tf.pow(x, 3))))


def dense(inputs, units, name, activation=None):
    return tf.layers.dense(
        inputs, units, activation=activation, name=name, kernel_initializer=tf.truncated_normal_initializer(stddev=0.02)
    )


class SmallBert:
    """Embeddings and one block of attention; `pooled` is what the first token has become."""

    def __init__(self, input_ids, input_mask, segment_ids, scope="bert"):
        with tf.variable_scope(scope):
            with tf.variable_scope("embeddings"):
                table = tf.get_variable(
                    "word_embeddings", [VOCABULARY, HIDDEN], initializer=tf.truncated_normal_initializer(stddev=0.02)
                )
                kinds = tf.get_variable("token_type_embeddings", [2, HIDDEN])
                places = tf.get_variable("position_embeddings", [LENGTH, HIDDEN])
                net = tf.gather(table, input_ids) + tf.matmul(tf.one_hot(segment_ids, 2), kinds) + places
                net = layer_norm(net, "LayerNorm")
            with tf.variable_scope("encoder"), tf.variable_scope("layer_0"):
                net = self.block(net, input_mask)
            with tf.variable_scope("pooler"):
                self.pooled = dense(tf.squeeze(net[:, 0:1, :], axis=1), HIDDEN, "dense", tf.tanh)

    def block(self, net, input_mask):
        with tf.variable_scope("attention"):
            with tf.variable_scope("self"):
                query, key, value = (self.split(dense(net, HIDDEN, name)) for name in ("query", "key", "value"))
                scores = tf.matmul(query, key, transpose_b=True) / np.sqrt(HIDDEN // HEADS)
                scores += (1.0 - tf.cast(input_mask[:, tf.newaxis, tf.newaxis, :], tf.float32)) * -10000.0
                context = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [0, 2, 1, 3])
                context = tf.reshape(context, [-1, LENGTH, HIDDEN])
            with tf.variable_scope("output"):
                attended = layer_norm(dense(context, HIDDEN, "dense") + net, "LayerNorm")
        with tf.variable_scope("intermediate"):
            inner = dense(attended, INNER, "dense", gelu)
        with tf.variable_scope("output"):
            return layer_norm(dense(inner, HIDDEN, "dense") + attended, "LayerNorm")

    def split(self, tensor):
        return tf.transpose(tf.reshape(tensor, [-1, LENGTH, HEADS, HIDDEN // HEADS]), [0, 2, 1, 3])


class AdamWeightDecayOptimizer(tf.train.Optimizer):
    """Adam without correction of the bias, whose decay of weights leaves the moments alone."""

    def __init__(self, learning_rate, weight_decay_rate, exclude, name="AdamWeightDecayOptimizer"):
        super().__init__(False, name)
        self.learning_rate, self.weight_decay_rate, self.exclude = learning_rate, weight_decay_rate, exclude

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        assignments = []
        for grad, param in grads_and_vars:
            if grad is None or param is None:
                continue
            param_name = re.match("^(.*):\\d+$", param.name).group(1)
            m, v = (
                tf.get_variable(
                    name=f"{param_name}/{slot}",
                    shape=param.shape.as_list(),
                    dtype=tf.float32,
                    trainable=False,
                    initializer=tf.zeros_initializer(),
                )
                for slot in ("adam_m", "adam_v")
            )
            next_m = tf.multiply(0.9, m) + tf.multiply(0.1, grad)
            next_v = tf.multiply(0.999, v) + tf.multiply(0.001, tf.square(grad))
            update = next_m / (tf.sqrt(next_v) + 1e-6)
            if not any(re.search(pattern, param_name) for pattern in self.exclude):
                update += self.weight_decay_rate * param
            assignments += [param.assign(param - self.learning_rate * update), m.assign(next_m), v.assign(next_v)]
        return tf.group(*assignments, name=name)


def create_optimizer(loss, init_lr, num_train_steps, num_warmup_steps):
    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.polynomial_decay(
        tf.constant(init_lr), global_step, num_train_steps, end_learning_rate=0.0, power=1.0, cycle=False
    )
    done = tf.cast(global_step, tf.float32) / num_warmup_steps
    warming = tf.cast(global_step < num_warmup_steps, tf.float32)
    rate = (1.0 - warming) * rate + warming * init_lr * done
    optimizer = AdamWeightDecayOptimizer(rate, 0.01, exclude=["LayerNorm", "layer_norm", "bias"])
    tvars = tf.trainable_variables()
    grads, _ = tf.clip_by_global_norm(tf.gradients(loss, tvars), clip_norm=1.0)
    train_op = optimizer.apply_gradients(zip(grads, tvars, strict=True), global_step=global_step)
    return tf.group(train_op, [global_step.assign(global_step + 1)])


def get_assignment_map_from_checkpoint(tvars, init_checkpoint):
    name_to_variable = collections.OrderedDict((re.match("^(.*):\\d+$", var.name).group(1), var) for var in tvars)
    assignment_map, initialized = collections.OrderedDict(), {}
    for name, _ in tf.train.list_variables(init_checkpoint):
        if name in name_to_variable:
            assignment_map[name] = name
            initialized[name] = initialized[name + ":0"] = 1
    return assignment_map, initialized


def model_fn_builder(num_labels, init_checkpoint, learning_rate, num_train_steps, num_warmup_steps, use_tpu):
    def model_fn(features, labels, mode, params):
        for name in sorted(features):
            tf.logging.info("  name = %s, shape = %s", name, features[name].shape)
        label_ids = features["label_ids"]
        is_real = tf.cast(features["is_real_example"], tf.float32)
        model = SmallBert(features["input_ids"], features["input_mask"], features["segment_ids"])
        weights = tf.get_variable("output_weights", [num_labels, HIDDEN], initializer=shared.seeded(1, 0.1))
        bias = tf.get_variable("output_bias", [num_labels], initializer=tf.zeros_initializer())
        with tf.variable_scope("loss"):
            logits = tf.nn.bias_add(tf.matmul(model.pooled, weights, transpose_b=True), bias)
            log_probs = tf.nn.log_softmax(logits, axis=-1)
            one_hot = tf.one_hot(label_ids, depth=num_labels, dtype=tf.float32)
            per_example_loss = -tf.reduce_sum(one_hot * log_probs, axis=-1)
            total_loss = tf.reduce_mean(per_example_loss)

        tvars = tf.trainable_variables()
        scaffold_fn = None
        if init_checkpoint:
            assignment_map, initialized = get_assignment_map_from_checkpoint(tvars, init_checkpoint)
            if use_tpu:

                def scaffold_fn():
                    tf.train.init_from_checkpoint(init_checkpoint, assignment_map)
                    return tf.train.Scaffold()
            else:
                tf.train.init_from_checkpoint(init_checkpoint, assignment_map)
            for var in tvars:
                tf.logging.info("  name = %s%s", var.name, ", *INIT_FROM_CKPT*" if var.name in initialized else "")

        if mode == tf.estimator.ModeKeys.TRAIN:
            train_op = create_optimizer(total_loss, learning_rate, num_train_steps, num_warmup_steps)
            return tf.estimator.tpu.TPUEstimatorSpec(
                mode=mode, loss=total_loss, train_op=train_op, scaffold_fn=scaffold_fn
            )
        if mode == tf.estimator.ModeKeys.EVAL:

            def metric_fn(per_example_loss, label_ids, logits, is_real_example):
                predictions = tf.argmax(logits, axis=-1, output_type=tf.int32)
                accuracy = tf.metrics.accuracy(labels=label_ids, predictions=predictions, weights=is_real_example)
                loss = tf.metrics.mean(values=per_example_loss, weights=is_real_example)
                return {"eval_accuracy": accuracy, "eval_loss": loss}

            eval_metrics = (metric_fn, [per_example_loss, label_ids, logits, is_real])
            return tf.estimator.tpu.TPUEstimatorSpec(
                mode=mode, loss=total_loss, eval_metrics=eval_metrics, scaffold_fn=scaffold_fn
            )
        return tf.estimator.tpu.TPUEstimatorSpec(
            mode=mode, predictions={"probabilities": tf.nn.softmax(logits)}, scaffold_fn=scaffold_fn
        )

    return model_fn


def write_examples(path, rows, seed):
    """Pairs of halves; the label says whether several words of the second are of the upper half of the vocabulary."""
    rng = np.random.RandomState(seed)
    with tf.python_io.TFRecordWriter(path) as writer:
        for _ in range(rows):
            ids = rng.randint(2, VOCABULARY, size=LENGTH)
            ids[0] = 1
            lists = {
                "input_ids": ids,
                "input_mask": [1] * LENGTH,
                "segment_ids": [0] * 3 + [1] * 3,
                "label_ids": [int((ids[3:] > 10).sum() > 1)],
                "is_real_example": [1],
            }
            features = {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=list(map(int, values))))
                for name, values in lists.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return path


def file_based_input_fn_builder(input_file, is_training, drop_remainder):
    name_to_features = {
        "input_ids": tf.FixedLenFeature([LENGTH], tf.int64),
        "input_mask": tf.FixedLenFeature([LENGTH], tf.int64),
        "segment_ids": tf.FixedLenFeature([LENGTH], tf.int64),
        "label_ids": tf.FixedLenFeature([], tf.int64),
        "is_real_example": tf.FixedLenFeature([], tf.int64),
    }

    def decode(record):
        example = tf.parse_single_example(record, name_to_features)
        return {name: tf.to_int32(value) for name, value in example.items()}

    def input_fn(params):
        data = tf.data.TFRecordDataset(input_file)
        if is_training:
            data = data.repeat()
        return data.map(decode).batch(params["batch_size"], drop_remainder=drop_remainder)

    return input_fn


def pretrained(path):
    """Writes a checkpoint that has the variables of the transformer, and one more that the task does not use."""
    shapes = {
        "bert/embeddings/word_embeddings": [VOCABULARY, HIDDEN],
        "bert/embeddings/token_type_embeddings": [2, HIDDEN],
        "bert/embeddings/position_embeddings": [LENGTH, HIDDEN],
        "bert/pooler/dense/kernel": [HIDDEN, HIDDEN],
        "bert/pooler/dense/bias": [HIDDEN],
        "cls/predictions/output_bias": [VOCABULARY],
    }
    block = "bert/encoder/layer_0/"
    for name, shape in {
        "attention/self/query": [HIDDEN, HIDDEN],
        "attention/self/key": [HIDDEN, HIDDEN],
        "attention/self/value": [HIDDEN, HIDDEN],
        "attention/output/dense": [HIDDEN, HIDDEN],
        "intermediate/dense": [HIDDEN, INNER],
        "output/dense": [INNER, HIDDEN],
    }.items():
        shapes[f"{block}{name}/kernel"], shapes[f"{block}{name}/bias"] = shape, shape[1:]
    values = shared.first_values(shapes, scale=0.5)
    for scope in ("bert/embeddings/", f"{block}attention/output/", f"{block}output/"):
        values[scope + "LayerNorm/beta"] = np.zeros(HIDDEN)
        values[scope + "LayerNorm/gamma"] = np.ones(HIDDEN)
    return shared.write_checkpoint(path, values)


def main(_):
    tf.logging.set_verbosity(tf.logging.INFO)
    tf.gfile.MakeDirs(FLAGS.dir)
    init_checkpoint = pretrained(os.path.join(FLAGS.dir, "pretrained", "bert_model.ckpt"))
    num_train_steps = 80
    run_config = tf.estimator.tpu.RunConfig(
        cluster=None,
        master=None,
        model_dir=os.path.join(FLAGS.dir, "model"),
        save_checkpoints_steps=40,
        tpu_config=tf.estimator.tpu.TPUConfig(
            iterations_per_loop=20,
            num_shards=8,
            per_host_input_for_training=tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2,
        ),
    )
    model_fn = model_fn_builder(
        num_labels=2,
        init_checkpoint=init_checkpoint,
        learning_rate=FLAGS.learning_rate,
        num_train_steps=num_train_steps,
        num_warmup_steps=8,
        use_tpu=FLAGS.use_tpu,
    )
    estimator = tf.estimator.tpu.TPUEstimator(
        use_tpu=FLAGS.use_tpu,
        model_fn=model_fn,
        config=run_config,
        train_batch_size=FLAGS.train_batch_size,
        eval_batch_size=10,
        predict_batch_size=3,
    )
    train_file = write_examples(os.path.join(FLAGS.dir, "train.tf_record"), 160, seed=0)
    eval_file = write_examples(os.path.join(FLAGS.dir, "eval.tf_record"), 60, seed=1)
    before = estimator.evaluate(file_based_input_fn_builder(eval_file, False, False))
    estimator.train(input_fn=file_based_input_fn_builder(train_file, True, True), max_steps=num_train_steps)
    metrics = estimator.evaluate(input_fn=file_based_input_fn_builder(eval_file, False, False), steps=None)
    rows = estimator.predict(input_fn=file_based_input_fn_builder(eval_file, False, False))
    shared.report(
        before=before,
        metrics=metrics,
        probabilities=[row["probabilities"] for row, _ in zip(rows, range(5), strict=False)],
        variables=sorted(estimator.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
