"""A tagger of words: generators of sentences, padded batches, lookup tables from files, predictions of strings."""

import functools
import os

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.app.flags.DEFINE_string("dir", None, "Where data and model go.")
FLAGS = tf.app.flags.FLAGS

WORDS = {"B-PER": ["Ada", "Alan", "Grace"], "B-LOC": ["Paris", "Rome"], "O": ["went", "to", "from", "saw", "and"]}


def write_sentences(folder, kind, count, seed):
    rng = np.random.RandomState(seed)
    words, tags = [], []
    for _ in range(count):
        picked = [list(WORDS)[i] for i in rng.choice(3, size=rng.randint(2, 7), p=[0.3, 0.2, 0.5])]
        line = []
        for tag in picked:
            word = WORDS[tag][rng.randint(len(WORDS[tag]))]
            if tag != "O" and rng.uniform() < 0.1:
                word = f"Unknown{rng.randint(9)}"  # in no vocabulary
            line.append(word)
        words.append(" ".join(line))
        tags.append(" ".join(picked))
    shared.write_lines(os.path.join(folder, f"{kind}.words.txt"), words)
    shared.write_lines(os.path.join(folder, f"{kind}.tags.txt"), tags)


def parse_fn(line_words, line_tags):
    words = [word.encode() for word in line_words.strip().split()]
    tags = [tag.encode() for tag in line_tags.strip().split()]
    assert len(words) == len(tags), "Words and tags lengths don't match"
    return (words, len(words)), tags


def generator_fn(words, tags):
    with open(words) as f_words, open(tags) as f_tags:
        for line_words, line_tags in zip(f_words, f_tags, strict=True):
            yield parse_fn(line_words, line_tags)


def input_fn(words, tags, params=None, shuffle_and_repeat=False):
    params = params if params is not None else {}
    shapes = (([None], ()), [None])
    types = ((tf.string, tf.int32), tf.string)
    defaults = (("<pad>", 0), "O")
    dataset = tf.data.Dataset.from_generator(
        functools.partial(generator_fn, words, tags), output_shapes=shapes, output_types=types
    )
    if shuffle_and_repeat:
        dataset = dataset.shuffle(params["buffer"], seed=3).repeat(params["epochs"])
    return dataset.padded_batch(params.get("batch_size", 20), shapes, defaults).prefetch(1)


def metrics_of(tags, pred_ids, weights, indices):
    entity = tf.reduce_any(tf.equal(tf.expand_dims(tags, -1), tf.constant(indices, tf.int64)), axis=-1)
    found = tf.reduce_any(tf.equal(tf.expand_dims(pred_ids, -1), tf.constant(indices, tf.int64)), axis=-1)
    metrics = {
        "acc": tf.metrics.accuracy(tags, pred_ids, weights),
        "precision": tf.metrics.precision(entity, found, weights),
        "recall": tf.metrics.recall(entity, found, weights),
        "confusion": tf.metrics.mean_iou(tags, pred_ids, len(indices) + 1, weights),
    }
    for metric_name in ("acc", "precision", "recall"):
        tf.summary.scalar(metric_name, metrics[metric_name][1])
    return metrics


def model_fn(features, labels, mode, params):
    if isinstance(features, dict):
        features = features["words"], features["nwords"]
    words, nwords = features
    training = mode == tf.estimator.ModeKeys.TRAIN
    vocab_words = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            params["words"],
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        num_oov_buckets=params["num_oov_buckets"],
    )
    with open(params["tags"]) as file:
        indices = [index for index, tag in enumerate(file) if tag.strip() != "O"]
        num_tags = len(indices) + 1
    word_ids = vocab_words.lookup(words)
    table = tf.get_variable("embedding", [params["size"], params["dim"]], initializer=shared.seeded(1))
    embeddings = tf.nn.embedding_lookup(table, word_ids)
    embeddings = tf.layers.dropout(embeddings, rate=params["dropout"], training=training)
    net = tf.layers.conv1d(
        embeddings, 12, 3, padding="same", activation=tf.nn.relu, kernel_initializer=shared.seeded(2), name="window"
    )
    logits = tf.layers.dense(net, num_tags, kernel_initializer=shared.seeded(3))
    pred_ids = tf.argmax(logits, axis=-1)
    mask = tf.sequence_mask(nwords)
    if mode == tf.estimator.ModeKeys.PREDICT:
        reverse_vocab_tags = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                params["tags"],
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            ),
            default_value="UNK",
        )
        pred_strings = reverse_vocab_tags.lookup(tf.to_int64(pred_ids))
        return tf.estimator.EstimatorSpec(mode, predictions={"pred_ids": pred_ids, "tags": pred_strings})
    vocab_tags = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            params["tags"],
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        default_value=-1,
    )
    tags = vocab_tags.lookup(labels)
    weights = tf.cast(mask, tf.float32)
    loss = tf.losses.sparse_softmax_cross_entropy(tags, logits, weights=weights)
    metrics = metrics_of(tags, pred_ids, weights, indices)
    if mode == tf.estimator.ModeKeys.EVAL:
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)
    train_op = tf.train.AdamOptimizer(0.01).minimize(loss, global_step=tf.train.get_or_create_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def main(unused_argv):
    write_sentences(FLAGS.dir, "train", 200, seed=0)
    write_sentences(FLAGS.dir, "testa", 60, seed=1)
    vocabulary = [word for words in WORDS.values() for word in words]
    params = {
        "dim": 6,
        "dropout": 0.0,
        "num_oov_buckets": 2,
        "size": len(vocabulary) + 2,
        "epochs": 4,
        "batch_size": 20,
        "buffer": 50,
        "words": shared.write_lines(os.path.join(FLAGS.dir, "vocab.words.txt"), vocabulary),
        "tags": shared.write_lines(os.path.join(FLAGS.dir, "vocab.tags.txt"), list(WORDS)),
    }

    def fwords(name):
        return os.path.join(FLAGS.dir, f"{name}.words.txt")

    def ftags(name):
        return os.path.join(FLAGS.dir, f"{name}.tags.txt")

    train_inpf = functools.partial(input_fn, fwords("train"), ftags("train"), params, shuffle_and_repeat=True)
    eval_inpf = functools.partial(input_fn, fwords("testa"), ftags("testa"))
    cfg = tf.estimator.RunConfig(save_checkpoints_steps=20)
    estimator = tf.estimator.Estimator(model_fn, os.path.join(FLAGS.dir, "model"), cfg, params)
    train_spec = tf.estimator.TrainSpec(input_fn=train_inpf)
    eval_spec = tf.estimator.EvalSpec(input_fn=eval_inpf, throttle_secs=0)
    metrics, _ = tf.estimator.train_and_evaluate(estimator, train_spec, eval_spec)
    tags = []
    for golds, preds in zip(generator_fn(fwords("testa"), ftags("testa")), estimator.predict(eval_inpf), strict=True):
        (words, length), _ = golds
        tags.append([b"/".join(pair).decode() for pair in zip(words, preds["tags"][:length], strict=True)])
    shared.report(metrics=metrics, tags=tags[:8], variables=sorted(estimator.get_variable_names()))


if __name__ == "__main__":
    tf.app.run()
