"""`KMeansClustering`: points in clusters around centres."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway import _context, _summary
from headway import feature_columns as fc
from headway._spec import EstimatorSpec, ModeKeys, PredictOutput
from headway.estimators import _clustering
from headway.estimators._canned_layers import Variables
from headway.estimators._clustering import Clustering, State
from headway.estimators._estimator import Estimator
from headway.estimators._hooks import Hook, Run
from headway.estimators._run_config import RunConfig
from headway.estimators._when import Progress
from headway.heads._checks import stop_unless

_NOT_TRAINED = "The clustering has no centres yet. Train it first, or give `initial_clusters` as an array."


class KMeansClustering(Estimator):
    """Finds `num_clusters` centres so that points are near to one of them: k-means.

    With full batches each training step is an iteration of Lloyd's algorithm, and a batch must hold all points. With
    mini-batches (the default) the centres move towards the points of each batch, the less the more points they have
    seen (Sculley 2010, https://doi.org/10.1145/1772690.1772862).

    The input gives points as a float tensor `[B, d]`, or as a dict of features, `[B]` or `[B, n]` each, which stand
    side by side in the order of their names; and no labels. Centres are chosen from the first batch, or the first
    batches until there are enough; such a batch counts as a step once all are chosen.

    Predictions: `cluster_index` (int64, `[B]`), the nearest centre, and `all_distances` (float32, `[B, num_clusters]`).
    Metrics: `score`, the sum over the points of a batch of their distances to the nearest centre, and its mean where
    there are several batches.

    Args:
      num_clusters: number of centres; that of `initial_clusters` where this is an array.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      initial_clusters: "random" (points of the first batch), "kmeans_plus_plus" (points of the first batch that are
        far from each other; Arthur, Vassilvitskii 2007), an array of centres `[num_clusters, d]`, or a function
        `f(inputs, k)` that takes a list of one tensor `[B, d]` and returns up to `k` centres.
      distance_metric: "squared_euclidean", or "cosine": one minus the cosine of the angle between two points.
      seed: for the choice of the first centres; None for that of `config`, or another one in each program.
      use_mini_batch: whether steps see mini-batches, not all points.
      mini_batch_steps_per_iteration: number of steps after which what was learnt moves the centres.
      kmeans_plus_plus_num_retries: for each centre, how many further points are tried for the best one; a negative
        number for a number that grows with the logarithm of the centres.
      relative_tolerance: training stops where the loss of a step differs from the one before by less than this part of
        it; None for never. Meant for full batches.
      config: a `RunConfig`.
      feature_columns: dense columns that make the points from features; None for the features themselves.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway.estimators import KMeansClustering, RunConfig
      >>> points = np.array([[1.0, 1.0], [1.2, 0.8], [5.0, 5.0], [5.2, 4.8]], "float32")
      >>> def input_fn():
      ...     return tf.data.Dataset.from_tensors(points)
      >>> first = points[[0, 2]]
      >>> model = KMeansClustering(2, None, first, use_mini_batch=False, config=RunConfig(progress="none"))
      >>> model.train(input_fn).cluster_centers()
      array([[1.1, 0.9],
             [5.1, 4.9]], dtype=float32)
      >>> [int(index) for index in model.predict_cluster_index(input_fn)]
      [0, 0, 1, 1]
      >>> round(float(model.score(input_fn)), 3)  # each point is 0.1 away from a centre in both directions
      0.08
    """

    SQUARED_EUCLIDEAN_DISTANCE = _clustering.EUCLIDEAN
    COSINE_DISTANCE = _clustering.COSINE
    RANDOM_INIT = _clustering.RANDOM
    KMEANS_PLUS_PLUS_INIT = _clustering.PLUS_PLUS
    SCORE = "score"
    CLUSTER_INDEX = "cluster_index"
    ALL_DISTANCES = "all_distances"
    CLUSTER_CENTERS_VAR_NAME = "clusters"

    def __init__(
        self,
        num_clusters: int,
        model_dir: str | os.PathLike[str] | None = None,
        initial_clusters: Any = "random",
        distance_metric: str = "squared_euclidean",
        seed: int | None = None,
        use_mini_batch: bool = True,
        mini_batch_steps_per_iteration: int = 1,
        kmeans_plus_plus_num_retries: int = 2,
        relative_tolerance: float | None = None,
        config: RunConfig | None = None,
        feature_columns: Iterable[fc.FeatureColumn] | None = None,
    ) -> None:
        initial = _checked_initial(initial_clusters)
        if isinstance(initial, np.ndarray):
            num_clusters = len(initial)
        if distance_metric not in (_clustering.EUCLIDEAN, _clustering.COSINE):
            raise ValueError(
                f"Unsupported distance metric {distance_metric!r}. It must be 'squared_euclidean' or 'cosine'."
            )
        _check_positive("num_clusters", num_clusters)
        _check_positive("mini_batch_steps_per_iteration", mini_batch_steps_per_iteration)
        if relative_tolerance is not None and not relative_tolerance > 0:
            raise ValueError(f"`relative_tolerance` must be None or above 0. Received: {relative_tolerance!r}.")
        if seed is None:
            seed = config.tf_random_seed if isinstance(config, RunConfig) else None
        self._clustering = Clustering(
            num_clusters=int(num_clusters),
            initial_clusters=initial,
            distance_metric=distance_metric,
            seed=int(np.random.default_rng().integers(2**31)) if seed is None else int(seed),
            use_mini_batch=bool(use_mini_batch),
            steps_per_iteration=int(mini_batch_steps_per_iteration),
            num_retries=int(kmeans_plus_plus_num_retries),
        )
        self._tolerance = relative_tolerance
        self._columns = None if feature_columns is None else fc.DenseFeatures(feature_columns).feature_columns
        transform = None if self._columns is None else fc.ColumnTransform(self._columns)
        super().__init__(self._clustering_model_fn, model_dir=model_dir, config=config, input_transform=transform)

    def predict_cluster_index(self, input_fn: Callable[..., Any]) -> Iterator[Any]:
        """Yields for each point the index of the nearest centre.

        Args:
          input_fn: as in `predict`.
        """
        for row in self.predict(input_fn, predict_keys=[self.CLUSTER_INDEX]):
            yield row[self.CLUSTER_INDEX]

    def transform(self, input_fn: Callable[..., Any]) -> Iterator[Any]:
        """Yields for each point its distances to the centres, float32 `[num_clusters]`: Euclidean, or cosine.

        Euclidean distances are not squared here; those of `predict` are.

        Args:
          input_fn: as in `predict`.
        """
        euclidean = self._clustering.distance_metric == _clustering.EUCLIDEAN
        for row in self.predict(input_fn, predict_keys=[self.ALL_DISTANCES]):
            distances = row[self.ALL_DISTANCES]
            yield np.sqrt(distances) if euclidean else distances

    def score(self, input_fn: Callable[..., Any]) -> Any:
        """Returns the sum, over the points of the first batch, of their distances to the nearest centre.

        Euclidean distances are squared. scikit-learn's `score` is the negative of this.

        Args:
          input_fn: as in `evaluate`.
        """
        return self.evaluate(input_fn, steps=1)[self.SCORE]

    def cluster_centers(self) -> np.ndarray[Any, Any]:
        """Returns the centres of the newest checkpoint, float32 `[num_clusters, d]`.

        Raises:
          ValueError: if the model has not been trained.
        """
        return self.get_variable_value(self.CLUSTER_CENTERS_VAR_NAME)

    def _clustering_model_fn(self, features: Any, mode: str) -> EstimatorSpec:
        raw = self._points(features)
        points = self._clustering.normalized(raw)
        variables = self._variables(raw)
        state = State(*(None if variable is None else tf.convert_to_tensor(variable) for variable in variables))
        if mode == ModeKeys.TRAIN:
            return self._training_spec(raw, points, state, variables)
        centers = stop_unless(state.initialized, _NOT_TRAINED, [], then=state.centers)
        distances = self._clustering.distances(points, centers)
        predictions = {
            self.ALL_DISTANCES: distances,
            self.CLUSTER_INDEX: tf.argmin(distances, axis=1),
        }
        if mode == ModeKeys.PREDICT:
            outputs = {key: PredictOutput(value) for key, value in predictions.items()}
            default = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
            outputs[default] = PredictOutput(predictions[self.CLUSTER_INDEX])
            return EstimatorSpec(mode, predictions, export_outputs=outputs)
        loss = _sum_of_nearest(distances)
        score = keras.metrics.Mean(name=self.SCORE)
        # A replica for which no batch was left has no points.
        score.update_state(loss, sample_weight=tf.cast(tf.shape(points)[0] > 0, tf.float32))
        return EstimatorSpec(mode, predictions, loss, eval_metric_ops={self.SCORE: score})

    def _training_spec(self, raw: tf.Tensor, points: tf.Tensor, state: State, variables: State) -> EstimatorSpec:
        begun = self._clustering.begun(state, raw)
        loss = _sum_of_nearest(self._clustering.distances(points, begun.centers))
        loss = tf.where(begun.initialized, loss, 0.0)
        stepped = self._clustering.stepped(begun, points)
        for variable, first, then in zip(variables, begun, stepped, strict=True):
            if variable is not None:
                variable.assign(tf.where(begun.initialized, then, first))
        _summary.scalar("loss/raw", loss)
        context = _context.current()
        if context is not None:
            context.loss_is_share = True
            # A batch that only gives centres is no step.
            context.uses.add("global_step")
            context.global_step.assign_add(tf.cast(begun.initialized, tf.int64))
        hooks = [] if self._tolerance is None else [_StopWhenSettled(self._tolerance)]
        train_op = tf.constant(0) if tf.executing_eagerly() else tf.no_op()
        return EstimatorSpec(ModeKeys.TRAIN, loss=loss, train_op=train_op, training_hooks=hooks)

    def _points(self, features: Any) -> tf.Tensor:
        """Returns the raw points, float32 `[B, d]`."""
        if self._columns is not None:
            points = fc.dense_tensor(self._columns, features, Variables("input_layer"))
        elif isinstance(features, Mapping):
            parts = [(name, tf.convert_to_tensor(features[name])) for name in sorted(features)]
            points = tf.concat([_column(name, part) for name, part in parts], axis=1)
        else:
            points = _column("features", tf.convert_to_tensor(features))
        if points.shape.rank != 2 or points.shape[1] is None:
            raise ValueError(
                "Points must have the shape [batch, d], with a d that is known when the model is built. Received: "
                f"{points.shape}. Reshape them in input_fn."
            )
        return points

    def _variables(self, points: tf.Tensor) -> State:
        """Returns the variables under tf.estimator's names."""
        model, shape = self._clustering, (self._clustering.num_clusters, points.shape[1])
        centers = np.full(shape, np.nan, np.float32)
        known = not model.chooses
        if known:
            if model.initial_clusters.shape != shape:
                raise ValueError(
                    f"`initial_clusters` must have the shape [num_clusters, d] = {list(shape)} for points of "
                    f"{shape[1]} numbers. Received: {list(model.initial_clusters.shape)}."
                )
            cosine = model.distance_metric == _clustering.COSINE
            centers = _normalized_rows(model.initial_clusters) if cosine else model.initial_clusters
        first_count = 0 if model.keeps_apart else 1
        return State(
            centers=_variable(self.CLUSTER_CENTERS_VAR_NAME, centers),
            initialized=_variable("initialized", np.array(known)),
            counts=_variable("Variable", np.full(shape[0], first_count, np.int64)) if model.use_mini_batch else None,
            updated=_variable("clusters_updated", centers) if model.keeps_apart else None,
            steps_left=_variable("update_in_steps", np.int64(model.steps_per_iteration)) if model.keeps_apart else None,
        )


class _StopWhenSettled(Hook):
    """Ends training where the loss of a step is nearly that of the one before."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._previous: float | None = None

    def begin(self, run: Run) -> None:
        """Forgets the losses of another call of `train`."""
        self._previous = None

    def due(self, progress: Progress) -> int:
        """Returns the next step."""
        return progress.step + 1

    def act(self, run: Run) -> None:
        """Compares two losses."""
        if self._previous is not None:
            change = abs(run.loss - self._previous) / (1 + abs(self._previous))
            if change < self._tolerance:
                run.request_stop(f"the loss changes by less than {self._tolerance:g} of it")
        self._previous = run.loss


def _variable(name: str, value: Any) -> tf.Variable:
    # All replicas give it the same value.
    aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, name=name, trainable=False, aggregation=aggregation)


def _sum_of_nearest(distances: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.reduce_min(distances, axis=1))


def _normalized_rows(centers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    length = np.sqrt(np.maximum(np.sum(np.square(centers), axis=1, keepdims=True), 1e-12))
    return np.asarray(centers / length, np.float32)


def _column(name: str, values: tf.Tensor) -> tf.Tensor:
    if not (values.dtype.is_floating or values.dtype.is_integer):
        raise ValueError(
            f"Points must be numbers. Received: {name!r} of type {values.dtype.name}. Leave it out in input_fn, or "
            "make numbers of it by `feature_columns`."
        )
    values = tf.cast(values, tf.float32)
    return tf.expand_dims(values, 1) if values.shape.rank == 1 else values


def _checked_initial(initial: Any) -> Any:
    if isinstance(initial, str):
        if initial not in (_clustering.RANDOM, _clustering.PLUS_PLUS):
            raise ValueError(
                f"Unsupported initialization algorithm {initial!r}. `initial_clusters` must be 'random', "
                "'kmeans_plus_plus', an array of centres, or a function."
            )
        return initial
    if callable(initial):
        return initial
    centers = np.asarray(initial, np.float32)
    if centers.ndim != 2 or not np.all(np.isfinite(centers)):
        raise ValueError(
            "`initial_clusters` must be 'random', 'kmeans_plus_plus', a function, or an array [num_clusters, d] of "
            f"finite numbers. Received: {initial!r}."
        )
    return centers


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"`{name}` must be an integer >= 1. Received: {value!r}.")
