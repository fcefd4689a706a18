"""The arithmetic of k-means: distances, first centres, and the update of one step, as functions of tensors.

Lloyd 1982, https://doi.org/10.1109/TIT.1982.1056489, for full batches; Sculley 2010,
https://doi.org/10.1145/1772690.1772862, for mini-batches; Arthur, Vassilvitskii 2007 ("k-means++: the advantages of
careful seeding") for the first centres.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from headway import _context
from headway.heads._checks import stop_unless

RANDOM, PLUS_PLUS = "random", "kmeans_plus_plus"
EUCLIDEAN, COSINE = "squared_euclidean", "cosine"


class State(NamedTuple):
    """What clustering has learnt.

    Attributes:
      centers: float32 `[k, d]`; NaN in the rows that are not chosen yet.
      initialized: bool scalar: whether all rows are chosen.
      counts: int64 `[k]`: points that each centre has seen, in mini-batches; else None.
      updated: float32 `[k, d]`: the centres that learn, where an iteration has several steps; else None.
      steps_left: int64 scalar: steps before they become the centres; else None.
    """

    centers: Any
    initialized: Any
    counts: Any = None
    updated: Any = None
    steps_left: Any = None


@dataclasses.dataclass(frozen=True)
class Clustering:
    """The settings of a clustering; see `KMeansClustering`."""

    num_clusters: int
    initial_clusters: Any
    distance_metric: str
    seed: int
    use_mini_batch: bool
    steps_per_iteration: int
    num_retries: int

    @property
    def chooses(self) -> bool:
        """Whether the first centres are chosen from points, not given."""
        return isinstance(self.initial_clusters, str) or callable(self.initial_clusters)

    @property
    def keeps_apart(self) -> bool:
        """Whether the centres that learn are kept apart from those that points are assigned to."""
        return self.use_mini_batch and self.steps_per_iteration > 1

    def normalized(self, points: tf.Tensor) -> tf.Tensor:
        """Returns the points as the metric compares them: for cosine distances on the unit sphere."""
        return tf.math.l2_normalize(points, axis=1) if self.distance_metric == COSINE else points

    def distances(self, points: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
        """Returns the distance of each (normalized) point to each centre, float32 `[B, k]`."""
        if self.distance_metric == COSINE:
            return 1.0 - tf.matmul(points, self.normalized(centers), transpose_b=True)
        squares = tf.reduce_sum(tf.square(points), 1, keepdims=True) + tf.reduce_sum(tf.square(centers), 1)
        # Rounding can bring a distance of zero below zero.
        return tf.maximum(squares - 2.0 * tf.matmul(points, centers, transpose_b=True), 0.0)

    def begun(self, state: State, points: tf.Tensor) -> State:
        """Returns the state with centres chosen from a batch, `[B, d]` in each replica, while some are missing."""
        if not self.chooses:
            return state
        points = _of_all_replicas(points)
        centers = tf.cond(
            tf.logical_or(state.initialized, tf.equal(tf.shape(points)[0], 0)),
            lambda: tf.identity(state.centers),
            lambda: self._with_more(state.centers, points),
        )
        initialized = tf.logical_not(tf.reduce_any(tf.math.is_nan(centers)))
        updated = None if state.updated is None else tf.where(state.initialized, state.updated, centers)
        return state._replace(centers=centers, initialized=initialized, updated=updated)

    def _with_more(self, centers: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
        chosen = tf.reduce_sum(tf.cast(tf.logical_not(tf.math.is_nan(centers[:, 0])), tf.int32))
        more = self.normalized(self._choose(points, self.num_clusters - chosen))
        known = tf.concat([centers[:chosen], more], 0)[: self.num_clusters]
        missing = self.num_clusters - tf.shape(known)[0]
        padded = tf.pad(known, [[0, missing], [0, 0]], constant_values=float("nan"))
        return tf.ensure_shape(padded, centers.shape)

    def _choose(self, points: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        count = tf.shape(points)[0]
        if callable(self.initial_clusters):
            choose: Callable[..., Any] = self.initial_clusters
            # tf.estimator passes a list of one tensor.
            return tf.cast(choose([points], wanted), tf.float32)
        if self.initial_clusters == PLUS_PLUS:
            message = (
                "The first batch has too few points to choose the first centres by k-means++. Use larger batches, or "
                f"initial_clusters={RANDOM!r}. Points in the batch, and centres that are missing: "
            )
            points = stop_unless(count >= wanted, message, [count, wanted], then=points)
            return tf.raw_ops.KmeansPlusPlusInitialization(
                points=self.normalized(points),
                num_to_sample=tf.cast(wanted, tf.int64),
                seed=tf.constant(self.seed, tf.int64),
                num_retries_per_sample=tf.constant(self.num_retries, tf.int64),
            )
        return tf.cond(count <= wanted, lambda: points, lambda: tf.gather(points, self._drawn(wanted, count)))

    def _drawn(self, wanted: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Returns so many numbers of points, int64; those that tf.estimator drew with this `tf_random_seed`."""
        # Its operation has the generator Philox (1) with a key and a counter that both come from the seed. A program
        # draws once: a batch that is too small is taken whole.
        return tf.raw_ops.StatelessRandomUniformIntV2(
            shape=[wanted],
            key=tf.constant([self.seed % 2**64], tf.uint64),
            counter=tf.constant([0, self.seed % 2**64], tf.uint64),
            alg=1,
            minval=tf.constant(0, tf.int64),
            maxval=tf.cast(count, tf.int64),
        )

    def stepped(self, state: State, points: tf.Tensor) -> State:
        """Returns the state after a step on this replica's (normalized) points and those of the other replicas."""
        nearest = tf.argmin(self.distances(points, state.centers), axis=1)
        if self.keeps_apart:
            # Points go by the centres of before, as in tf.estimator.
            state = self._synchronized(state)
        sums = _over_replicas(tf.math.unsorted_segment_sum(points, nearest, self.num_clusters))
        ones = tf.ones_like(nearest, tf.float32)
        counts = _over_replicas(tf.math.unsorted_segment_sum(ones, nearest, self.num_clusters))
        if not self.use_mini_batch:
            means = self.normalized(tf.math.divide_no_nan(sums, counts[:, None]))
            # A centre that no point is near to stays where it is.
            return state._replace(centers=tf.where(counts[:, None] > 0, means, state.centers))
        old = state.centers if state.updated is None else state.updated
        seen = state.counts + tf.cast(counts, tf.int64)
        change = tf.math.divide_no_nan(sums - counts[:, None] * old, tf.cast(seen, tf.float32)[:, None])
        if state.updated is None:
            return state._replace(centers=old + change, counts=seen)
        return state._replace(updated=old + change, counts=seen)

    def _synchronized(self, state: State) -> State:
        """Returns the state at the beginning of a step: the centres that learn become the centres once in a while."""
        now = state.steps_left <= 0
        return state._replace(
            centers=tf.where(now, self.normalized(state.updated), state.centers),
            counts=tf.where(now, tf.zeros_like(state.counts), state.counts),
            steps_left=tf.where(now, tf.constant(self.steps_per_iteration, tf.int64), state.steps_left) - 1,
        )


def _over_replicas(value: tf.Tensor) -> tf.Tensor:
    if _context.num_replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def _of_all_replicas(points: tf.Tensor) -> tf.Tensor:
    """Returns the points of all replicas, one after the other."""
    if _context.num_replicas() == 1:
        return points
    return tf.distribute.get_replica_context().all_gather(points, axis=0)
