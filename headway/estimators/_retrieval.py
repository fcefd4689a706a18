"""What a two-tower model is made of: the features of its towers, in-batch softmax, and an index of candidates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import _context
from headway import feature_columns as fc
from headway.estimators import _canned_layers as layers
from headway.estimators._canned_hidden import HiddenLayers
from headway.estimators._canned_layers import Variables
from headway.feature_columns._layout import places
from headway.heads._accumulator import Accumulator, Formula, Statistic, ratio
from headway.heads._interface import Metrics

# Under which the transformed features hold the candidates' ids as numbers.
HASH = "candidate_hash"
_MOST = 2**63 - 1
# What the scores of candidates become that do not count.
_NOWHERE = -1e9


@dataclasses.dataclass(frozen=True)
class Tower:
    """One of the two networks: from features to an embedding.

    Attributes:
      name: "query" or "candidate".
      columns: dense columns.
      hidden: the hidden layers.
      dimension: length of the embedding.
      normalize: whether embeddings have length one.
    """

    name: str
    columns: tuple[fc.FeatureColumn, ...]
    hidden: HiddenLayers
    dimension: int
    normalize: bool

    def is_in(self, features: Mapping[str, Any]) -> bool:
        """Whether transformed features hold what the tower reads."""
        found = places(features)
        return all(part.digest in found for column in self.columns for part in column.host_columns)

    def embedding(
        self,
        features: Mapping[str, Any],
        shared: dict[str, tf.Variable],
        *,
        training: bool,
        seed: int | None,
        first: int = 0,
    ) -> tuple[tf.Tensor, list[tf.Variable]]:
        """Returns float32 `[B, dimension]` and the trainable variables; `shared` as in `Variables`."""
        variables = Variables(self.name, shared)
        net = fc.dense_tensor(self.columns, features, variables.under("input_layer"))
        net = self.hidden(net, variables, training=training, seed=seed, first=first)
        net = tf.cast(layers.dense(net, self.dimension, variables.under("embedding")), tf.float32)
        layers.summarize_layer(net, f"{self.name}/embedding")
        return tf.math.l2_normalize(net, 1) if self.normalize else net, variables.trainable


class TowerInputs(tf.Module):
    """The input transform: the columns' host part of the towers whose features are there.

    Args:
      query: columns of the one tower.
      candidate: columns of the other.
      keep: names of raw features that pairs of both keep where they are there.
      candidate_id: name of the feature with the ids of candidates, or None. Candidates alone keep it; pairs of both
        have a number for it, as compiled steps know no strings.
    """

    def __init__(
        self,
        query: Sequence[fc.FeatureColumn],
        candidate: Sequence[fc.FeatureColumn],
        keep: tuple[str, ...],
        candidate_id: str | None,
    ) -> None:
        super().__init__(name="inputs")
        self._columns = (tuple(query), tuple(candidate))
        self._transforms = [
            fc.ColumnTransform(list(dict.fromkeys(columns)))
            for columns in ([*query, *candidate], list(query), list(candidate))
        ]
        self._keep = keep
        self._candidate_id = candidate_id

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Any) -> dict[str, Any]:
        if not isinstance(features, Mapping):
            raise ValueError(
                f"features should be a dictionary of `Tensor`s. Given type: {type(features)}. Let input_fn return "
                "{name: values}, with a name for each feature that a column reads."
            )
        if fc.is_transformed(features):
            return dict(features)
        both, query, candidate = self._transforms
        has_query, has_candidate = ({*raw_features(columns)} <= features.keys() for columns in self._columns)
        if has_query == has_candidate:
            # Where neither is complete, this says what is missing.
            transformed: dict[str, Any] = both(features)
        else:
            transformed = (query if has_query else candidate)(features)
        kept = {name: features[name] for name in self._keep if name in features}
        if has_candidate and self._candidate_id is not None:
            if self._candidate_id not in features:
                raise ValueError(
                    f"Feature {self._candidate_id!r} is not in the features: the ids of candidates come from it "
                    f"(`candidate_id_column`). Features that are there: {sorted(features)}."
                )
            ids = _single(features[self._candidate_id], self._candidate_id)
            kept[HASH] = _hashed(ids, self._candidate_id)
            if not has_query:
                kept[self._candidate_id] = ids
        return {**kept, **transformed}


def raw_features(columns: Sequence[fc.FeatureColumn]) -> list[str]:
    """Returns the names of the raw features that columns read."""
    return sorted({name for column in columns for name in column.parse_example_spec})


def _single(values: Any, name: str) -> tf.Tensor:
    """Returns `[B]`."""
    if isinstance(values, (tf.SparseTensor, tf.RaggedTensor)) or tf.convert_to_tensor(values).shape.rank not in (1, 2):
        raise ValueError(f"Feature {name!r} must be dense, with one value in each row. Received: {values}.")
    return tf.reshape(tf.convert_to_tensor(values), [-1])


def _hashed(ids: tf.Tensor, name: str) -> tf.Tensor:
    """Returns numbers that are equal where ids are, int64 `[B]`."""
    if ids.dtype == tf.string:
        return tf.strings.to_hash_bucket_fast(ids, _MOST)
    if not ids.dtype.is_integer:
        raise ValueError(f"Feature {name!r} must hold strings or integers. Received: {ids.dtype.name}.")
    return tf.cast(ids, tf.int64)


def of_row(feature: Any, name: str) -> tf.Tensor:
    """Returns a feature of one number in each row as float32 `[B]`."""
    return tf.cast(_single(feature, name), tf.float32)


@dataclasses.dataclass(frozen=True)
class Pool:
    """The candidates that the queries of a replica are compared with: those of the rows of all replicas.

    Attributes:
      embeddings: float32 `[C, dimension]`.
      own: int32 `[B]`: the place of each query's own candidate.
      log_q: float32 `[C]`: the logarithm of the probability of drawing the candidate; or None.
      hashes: int64 `[C]`; or None.
    """

    embeddings: tf.Tensor
    own: tf.Tensor
    log_q: tf.Tensor | None
    hashes: tf.Tensor | None


def pooled(embeddings: tf.Tensor, log_q: tf.Tensor | None, hashes: tf.Tensor | None) -> Pool:
    """Returns the candidates of the batch; in training, those of all replicas, so that their number does not matter."""
    rows = tf.shape(embeddings)[0]
    context, replica = _context.current(), tf.distribute.get_replica_context()
    alone = _context.num_replicas() == 1 or replica is None or context is None or context.mode != "train"
    if alone:
        return Pool(embeddings, tf.range(rows), log_q, hashes)

    def gathered(tensor: tf.Tensor | None) -> tf.Tensor | None:
        return None if tensor is None else replica.all_gather(tensor, axis=0)

    counts = replica.all_gather(tf.reshape(rows, [1]), axis=0)
    before = tf.cumsum(counts, exclusive=True)[replica.replica_id_in_sync_group]
    return Pool(gathered(embeddings), before + tf.range(rows), gathered(log_q), gathered(hashes))


def softmax_losses(query: tf.Tensor, pool: Pool, own_hashes: tf.Tensor | None, temperature: float) -> tf.Tensor:
    """Returns the loss of each query, float32 `[B]`: that its own candidate is not the one chosen from the batch.

    Yi et al. 2019, equations 4 to 6: -log softmax of s(x_i, y_j) / temperature - log Q(y_j), where Q is the probability
    of candidate j in a batch. Further rows of a query's own candidate do not count.
    """
    scores = tf.matmul(query, pool.embeddings, transpose_b=True) / temperature
    if pool.log_q is not None:
        scores -= pool.log_q
    scores = tf.where(_others_alike(pool, own_hashes), _NOWHERE, scores)
    # TensorFlow's own cross entropy refuses a batch of no rows, which has no classes here.
    return tf.reduce_logsumexp(scores, 1) - tf.gather(scores, pool.own, batch_dims=1)


def _others_alike(pool: Pool, own_hashes: tf.Tensor | None) -> tf.Tensor:
    """Returns bool `[B, C]`: the candidates of other rows that are a query's own candidate as well."""
    size = tf.shape(pool.embeddings)[0]
    is_own = tf.equal(tf.expand_dims(pool.own, 1), tf.range(size))
    if own_hashes is None or pool.hashes is None:
        return tf.zeros_like(is_own)
    return tf.logical_and(tf.equal(tf.expand_dims(own_hashes, 1), pool.hashes), tf.logical_not(is_own))


def ranks(
    query: tf.Tensor, own: tf.Tensor, candidates: tf.Tensor, own_hashes: tf.Tensor | None, hashes: tf.Tensor | None
) -> tf.Tensor:
    """Returns how many candidates other than a query's own one score at least as high, int64 `[B]`.

    Args:
      query: `[B, dimension]`.
      own: embeddings of the queries' own candidates, `[B, dimension]`.
      candidates: `[C, dimension]`; without `hashes`, `own` itself.
      own_hashes: int64 `[B]`, or None.
      hashes: int64 `[C]`, or None.
    """
    scores = tf.matmul(query, candidates, transpose_b=True)
    own_scores = tf.reduce_sum(query * own, 1, keepdims=True)
    if own_hashes is None or hashes is None:
        another = tf.logical_not(tf.eye(tf.shape(query)[0], dtype=tf.bool))
    else:
        another = tf.not_equal(tf.expand_dims(own_hashes, 1), hashes)
    return tf.math.count_nonzero(tf.logical_and(another, scores >= own_scores), 1)


class RetrievalMetrics:
    """Fresh metrics: the loss, and how far in front the queries' own candidates are.

    Args:
      top_k: the numbers of candidates for which there is a recall.
      suffix: "_in_batch", or "" over all candidates.
    """

    def __init__(self, top_k: Sequence[int], suffix: str) -> None:
        self._top_k, self._suffix = tuple(top_k), suffix
        shapes = {"weights": (), "losses": (), "reciprocals": (), "hits": (len(self._top_k),)}
        self._accumulator = Accumulator(shapes, name=f"retrieval{suffix}")

    def count(self, losses: tf.Tensor, found_ranks: tf.Tensor, weights: tf.Tensor | None) -> None:
        """Counts a batch, whose arguments are `[B]` each."""
        weights = tf.ones_like(losses) if weights is None else weights
        weights, places_ = tf.cast(weights, tf.float64), tf.cast(found_ranks, tf.float64)
        hits = [tf.reduce_sum(weights * tf.cast(found_ranks < k, tf.float64)) for k in self._top_k]
        self._accumulator.update_state(
            {
                "weights": tf.reduce_sum(weights),
                "losses": tf.reduce_sum(weights * tf.cast(losses, tf.float64)),
                "reciprocals": tf.reduce_sum(weights / (places_ + 1.0)),
                "hits": tf.stack(hits),
            }
        )

    def metrics(self) -> Metrics:
        """Returns the metrics by key."""
        formulas: dict[str, Formula] = {
            "average_loss": ratio("losses", "weights"),
            f"mrr{self._suffix}": ratio("reciprocals", "weights"),
        }
        for i, k in enumerate(self._top_k):
            formulas[f"recall{self._suffix}@{k}"] = _share_of_hits(i)
        return {key: Statistic(self._accumulator, formula, name=key) for key, formula in formulas.items()}


def _share_of_hits(position: int) -> Formula:
    return lambda sums: tf.math.divide_no_nan(sums["hits"][position], sums["weights"])


@dataclasses.dataclass(frozen=True)
class Index:
    """The embeddings of all candidates; variables, so that an exported model holds them as such.

    Attributes:
      embeddings: float32 `[C, dimension]`.
      ids: strings or integers `[C]`.
      hashes: int64 `[C]`, or None where the ids are places.
    """

    embeddings: tf.Variable
    ids: tf.Variable
    hashes: tf.Variable | None

    def ranks(self, query: tf.Tensor, own: tf.Tensor, own_hashes: tf.Tensor | None) -> tf.Tensor:
        """Returns what the function `ranks` does, among all candidates."""
        with tf.init_scope():
            # The values as they are: an evaluation has no need of variables that no checkpoint holds.
            embeddings = tf.identity(self.embeddings)
            hashes = None if self.hashes is None else tf.identity(self.hashes)
        return ranks(query, own, embeddings, own_hashes, hashes)

    def best(self, query: tf.Tensor, k: int) -> dict[str, tf.Tensor]:
        """Returns the ids `[B, k]` of the candidates with the highest scores, best first, and the scores."""
        scores, found = tf.math.top_k(tf.matmul(query, self.embeddings, transpose_b=True), k)
        return {"ids": tf.gather(self.ids, found), "scores": scores}
