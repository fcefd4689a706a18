"""Groupwise ranking: documents scored in groups, with a head of the program's own that knows lists, loss and NDCG."""

import collections

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where the model goes.")
flags.DEFINE_integer("group_size", 2, "How many documents are scored at once.")
FLAGS = flags.FLAGS

LIST_SIZE, WIDTH = 5, 4
v1 = tf.compat.v1
RankingLosses = collections.namedtuple(
    "RankingLosses", ["training_loss", "unreduced_loss", "weights", "processed_labels"]
)


def pairwise_logistic(labels, logits):
    """The mean over the pairs of a list of which one document is more relevant; labels below 0 are padding."""
    valid = labels >= 0.0
    better = tf.expand_dims(labels, 2) > tf.expand_dims(labels, 1)
    pairs = better & tf.expand_dims(valid, 2) & tf.expand_dims(valid, 1)
    difference = tf.expand_dims(logits, 2) - tf.expand_dims(logits, 1)
    return v1.losses.compute_weighted_loss(
        tf.math.softplus(-difference), tf.cast(pairs, tf.float32), reduction=v1.losses.Reduction.SUM_BY_NONZERO_WEIGHTS
    )


def ndcg(labels, logits, topn):
    gain = tf.pow(2.0, tf.maximum(labels, 0.0)) - 1.0
    logits = tf.where(labels >= 0.0, logits, -1e6 * tf.ones_like(logits))

    def dcg(order):
        chosen = tf.gather(gain, order, batch_dims=1)
        ranks = tf.range(1, topn + 1, dtype=tf.float32)
        return tf.reduce_sum(chosen * (np.log(2.0) / tf.math.log1p(ranks)), axis=1)

    best = dcg(tf.math.top_k(gain, k=topn).indices)
    return tf.math.divide_no_nan(dcg(tf.math.top_k(logits, k=topn).indices), best)


class RankingHead(tf.estimator.Head):
    """A head on scores of shape [lists, documents]."""

    def __init__(self, eval_topn, name=None):
        self._eval_topn, self._name = eval_topn, name

    @property
    def name(self):
        return self._name

    @property
    def logits_dimension(self):
        return 1

    @property
    def loss_reduction(self):
        return tf.keras.losses.Reduction.SUM_OVER_BATCH_SIZE

    def create_loss(self, labels, logits):
        labels = tf.cast(labels, tf.float32)
        return RankingLosses(pairwise_logistic(labels, logits), None, None, labels)

    def loss(self, labels, logits, features=None, mode=None, regularization_losses=None):
        return self.create_loss(labels, logits).training_loss

    def predictions(self, logits, keys=None):
        return {"scores": logits}

    def metrics(self, regularization_losses=None):
        return {}

    def update_metrics(self, eval_metrics, features, logits, labels, regularization_losses=None):
        return eval_metrics

    def create_estimator_spec(
        self,
        features,
        mode,
        logits,
        labels=None,
        optimizer=None,
        trainable_variables=None,
        train_op_fn=None,
        update_ops=None,
        regularization_losses=None,
    ):
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(
                mode=mode,
                predictions=logits,
                export_outputs={
                    "serving_default": tf.estimator.export.RegressionOutput(logits),
                    "predict": tf.estimator.export.PredictOutput(logits),
                },
            )
        losses = self.create_loss(labels, logits)
        loss = losses.training_loss
        if regularization_losses:
            loss = loss + tf.add_n(regularization_losses)
        if mode == tf.estimator.ModeKeys.EVAL:
            metrics = {
                f"metric/ndcg_{topn}": v1.metrics.mean(ndcg(losses.processed_labels, logits, topn))
                for topn in self._eval_topn
            }
            return tf.estimator.EstimatorSpec(mode=mode, predictions=logits, loss=loss, eval_metric_ops=metrics)
        return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=train_op_fn(loss), predictions=logits)


def group_score_fn(context_features, group_features, mode, params, config):
    """Scores the documents of each group, given all of them."""
    with v1.name_scope("input_layer"):
        net = tf.concat([v1.layers.flatten(group_features["doc"]), context_features["query"]], axis=1)
    for i, units in enumerate(params["hidden"]):
        net = v1.layers.dense(net, units, tf.nn.relu, kernel_initializer=shared.seeded(i), name=f"layer{i}")
    return v1.layers.dense(net, FLAGS.group_size, kernel_initializer=shared.seeded(7), name="scores")


def make_groupwise_ranking_fn(score_fn, group_size, head, optimizer_fn):
    def model_fn(features, labels, mode, params, config):
        documents = features["doc"]
        size = documents.shape[1]
        groups = [[(first + k) % size for k in range(group_size)] for first in range(size)]
        totals, counts = [0.0] * size, [0] * size
        with v1.variable_scope("groupwise_dnn_v2", reuse=v1.AUTO_REUSE):
            for group in groups:
                chosen = {"doc": tf.gather(documents, group, axis=1)}
                scores = score_fn({"query": features["query"]}, chosen, mode, params, config)
                for k, document in enumerate(group):
                    totals[document] += scores[:, k]
                    counts[document] += 1
        logits = tf.stack([total / count for total, count in zip(totals, counts, strict=True)], axis=1)

        def train_op_fn(loss):
            update_ops = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
            minimize_op = optimizer_fn().minimize(loss, global_step=v1.train.get_global_step())
            return tf.group(minimize_op, *update_ops)

        return head.create_estimator_spec(features, mode, logits, labels, train_op_fn=train_op_fn)

    return model_fn


def lists(rows, seed):
    rng = np.random.RandomState(seed)
    query = rng.normal(size=(rows, 2)).astype(np.float32)
    documents = rng.normal(size=(rows, LIST_SIZE, WIDTH)).astype(np.float32)
    quality = documents @ np.array([1.0, -1.0, 0.5, 0.0]) + (documents[..., 0] * query[:, :1])
    relevance = np.clip(np.round(quality + 1.0), 0, 4).astype(np.float32)
    padded = rng.uniform(size=(rows, LIST_SIZE)) < 0.15
    return {"query": query, "doc": documents}, np.where(padded, -1.0, relevance).astype(np.float32)


def main(unused_argv):
    def input_fn(rows, seed, repeat):
        return v1.data.make_one_shot_iterator(
            tf.data.Dataset.from_tensor_slices(lists(rows, seed)).repeat(repeat).batch(20)
        ).get_next()

    model_fn = make_groupwise_ranking_fn(
        group_score_fn, FLAGS.group_size, RankingHead([1, 3, 5]), lambda: v1.train.AdagradOptimizer(0.1)
    )
    ranker = tf.estimator.Estimator(
        model_fn, model_dir=FLAGS.dir, params={"hidden": [8]}, config=tf.estimator.RunConfig(save_checkpoints_steps=50)
    )
    ranker.train(lambda: input_fn(200, 0, None), max_steps=60)
    metrics = ranker.evaluate(lambda: input_fn(100, 1, 1))
    scores = list(ranker.predict(lambda: input_fn(3, 1, 1)[0]))
    shared.report(metrics=metrics, scores=scores, variables=sorted(ranker.get_variable_names()))


if __name__ == "__main__":
    app.run(main)
