"""`TwoTowerRetriever`: finds for a query the best ones of many candidates."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway import feature_columns as fc
from headway._optimize import minimize
from headway._spec import EstimatorSpec, ModeKeys, PredictOutput
from headway._updates import LazyAdam
from headway.estimators import _receivers, _retrieval
from headway.estimators._canned_hidden import Activation, checked_count, hidden_layers
from headway.estimators._canned_model import names_argument
from headway.estimators._estimator import Estimator
from headway.estimators._optimizers import optimizer_maker
from headway.estimators._retrieval import HASH, Index, RetrievalMetrics, Tower, TowerInputs
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import _checks, _reduction

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one

_RATE = 0.001
_LABELS = (
    "TwoTowerRetriever takes no labels: each row is a query and a candidate that suits it. Let input_fn return such "
    "rows alone, without labels; how much a row counts can stand in a feature, see `weight_column`."
)


class TwoTowerRetriever(Estimator):
    """Finds for a query, such as a user, the best ones of many candidates, such as articles.

    Two deep networks turn the features of a query and those of a candidate into an embedding each, and their inner
    product is the score. Yi et al. 2019, https://doi.org/10.1145/3298689.3346996: training takes rows of a query and a
    candidate that suits it, and compares each query with the candidates of all rows of the batch by a softmax. As
    frequent candidates come up often in batches, the logarithm of how probable a candidate is in one is subtracted from
    its score in training (`sampling_probability_column`). Larger batches train better, since they compare more.

    Predictions: `query_embedding` (float32, `[B, embedding_dimension]`) where the features of queries are there,
    `candidate_embedding` where those of candidates are, and the `score` (`[B]`) where both are. Metrics:
    `average_loss`; `recall_in_batch@k`, the share of rows whose own candidate is among the best k of the batch; and
    `mrr_in_batch`, the mean of one over the place of the own candidate. With `candidates_fn`, `evaluate` gives
    `recall@k` and `mrr` over all candidates instead.

    Args:
      query_feature_columns: numeric, bucketized, indicator and embedding columns of queries.
      candidate_feature_columns: the same of candidates. `shared_embeddings` may stand in both.
      hidden_units: number of units in each hidden layer of both networks, such as `[64]`; may be empty.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      embedding_dimension: length of the embeddings.
      candidate_id_column: name of the feature with the ids of candidates, strings or integers: what an index gives, and
        by which further rows of one candidate in a batch are left out. None: candidates go by their place.
      sampling_probability_column: name of the feature with the probability, in (0, 1], of the candidate in the rows of
        training: its share of these. None for no correction.
      weight_column: name of the feature with the weights of rows, or a numeric column of it.
      temperature: what scores are divided by in training; the smaller, the more the best wrong candidates count.
      normalize: whether embeddings have length one, so that scores are cosines.
      top_k: the numbers of candidates for which evaluation gives the recall.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one, called
        in each trace of the model.
      activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      batch_norm: whether each hidden layer is followed by batch normalisation.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> import keras
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import RunConfig, TwoTowerRetriever
      >>> from headway.input_pipelines import from_arrays
      >>> user = fc.embedding_column(fc.categorical_column_with_identity("user", 4), 4)
      >>> item = fc.embedding_column(fc.categorical_column_with_vocabulary_list("item", ["a", "b"]), 4)
      >>> model = TwoTowerRetriever(
      ...     [user], [item], hidden_units=[], embedding_dimension=4, candidate_id_column="item",
      ...     optimizer=keras.optimizers.Adam(0.1), config=RunConfig(progress="none", tf_random_seed=1),
      ... )
      >>> likes = {"user": [0, 1, 2, 3], "item": ["a", "a", "b", "b"]}
      >>> model = model.train(from_arrays(likes, batch_size=4, num_epochs=None), steps=30)
      >>> items = from_arrays({"item": ["a", "b"]}, batch_size=2)
      >>> [row["ids"][0].decode() for row in model.top_k(from_arrays({"user": [0, 3]}, batch_size=2), items, k=1)]
      ['a', 'b']
    """

    def __init__(
        self,
        query_feature_columns: Iterable[FeatureColumn],
        candidate_feature_columns: Iterable[FeatureColumn],
        hidden_units: Sequence[int] = (64,),
        model_dir: str | os.PathLike[str] | None = None,
        *,
        embedding_dimension: int = 32,
        candidate_id_column: str | None = None,
        sampling_probability_column: str | None = None,
        weight_column: str | FeatureColumn | None = None,
        temperature: float = 0.1,
        normalize: bool = True,
        top_k: Sequence[int] = (1, 10),
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        hidden = hidden_layers(hidden_units, activation_fn, dropout, batch_norm)
        dimension = checked_count(embedding_dimension, "embedding_dimension")
        self._query, self._candidate = (
            Tower(name, _dense(columns, f"{name}_feature_columns"), hidden, dimension, bool(normalize))
            for name, columns in (("query", query_feature_columns), ("candidate", candidate_feature_columns))
        )
        self._candidate_id = _checked_name(candidate_id_column, "candidate_id_column")
        self._probability = _checked_name(sampling_probability_column, "sampling_probability_column")
        self._weight_column = _checks.checked_weight_column(weight_column)
        if isinstance(temperature, bool | str) or not hasattr(temperature, "__float__") or not temperature > 0:
            raise ValueError(f"`temperature` must be a number above 0. Received: {temperature!r}.")
        self._temperature = float(temperature)
        self._top_k = tuple(checked_count(k, "top_k") for k in top_k)
        self._optimizer = optimizer_maker(optimizer, _RATE, "optimizer")
        weight: Any = getattr(self._weight_column, "key", self._weight_column)
        keep = tuple(name for name in (weight, self._probability) if name is not None)
        super().__init__(
            self._retrieval_model_fn,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
            input_transform=TowerInputs(self._query.columns, self._candidate.columns, keep, self._candidate_id),
        )

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        *,
        candidates_fn: Callable[..., Any] | None = None,
    ) -> dict[str, Any]:
        """Evaluates the model on rows of a query and a candidate that suits it; see `Estimator.evaluate`.

        Args:
          input_fn: as in `train`.
          steps: number of batches; None for all.
          hooks: called around each batch.
          checkpoint_path: the checkpoint to evaluate; by default the newest one.
          name: tells several evaluations of a model apart.
          candidates_fn: an input_fn of all candidates, each once. The ranks are those among all of them then, and not
            among the candidates of a batch; a batch needs memory for the score of each of its rows with each candidate.

        Returns:
          The metrics by name; see the class.

        Raises:
          ValueError: as `Estimator.evaluate`; or if there is no `candidate_id_column`, which `candidates_fn` needs.
        """
        if candidates_fn is None:
            return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)
        if self._candidate_id is None:
            raise ValueError(
                "`candidates_fn` needs a `candidate_id_column`, which tells a row's own candidate from the others."
            )
        indexed = self._indexed(candidates_fn, checkpoint_path, 1, self.input_transform)
        return indexed.evaluate(input_fn, steps, hooks, checkpoint_path, name)

    def top_k(
        self,
        input_fn: Callable[..., Any],
        candidates_fn: Callable[..., Any],
        k: int = 10,
        checkpoint_path: str | os.PathLike[str] | None = None,
    ) -> Iterator[Any]:
        """Yields for each query the best candidates: a dict of `ids` `[k]`, best first, and `scores` (float32, `[k]`).

        Args:
          input_fn: gives the features of queries.
          candidates_fn: gives the features of all candidates, each once, and the `candidate_id_column`.
          k: number of candidates for each query.
          checkpoint_path: the checkpoint to use; by default the newest one.

        Raises:
          ValueError: if there are fewer than `k` candidates.
        """
        indexed = self._indexed(candidates_fn, checkpoint_path, k, fc.ColumnTransform(self._query.columns))
        yield from indexed.predict(input_fn, ["ids", "scores"], checkpoint_path=checkpoint_path)

    def export_index(
        self,
        export_dir_base: str | os.PathLike[str],
        candidates_fn: Callable[..., Any],
        k: int = 10,
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        assets_extra: Mapping[str, str] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        *,
        example: Any = None,
    ) -> bytes:
        """Writes a SavedModel from the features of queries to the best candidates, and returns the path.

        It holds the embeddings of all candidates, and compares a query with each of them. The default signature gives
        `ids` `[B, k]`, best first, and `scores` (float32, `[B, k]`).

        Args:
          export_dir_base: where the directory is made.
          candidates_fn: gives the features of all candidates, each once, and the `candidate_id_column`.
          k: number of candidates for each query.
          serving_input_receiver_fn: see `Estimator.export_saved_model`; it makes the features of queries.
          assets_extra: see `Estimator.export_saved_model`.
          checkpoint_path: the checkpoint to export; by default the newest one.
          example: a pipeline, a dataset or a batch of queries, of which only features are looked at. By default what
            this estimator has seen, or what the columns read.

        Raises:
          ValueError: if there are fewer than `k` candidates; and as `Estimator.export_saved_model`.
        """
        if example is None and serving_input_receiver_fn is None:
            example = self._example_of_queries()
        indexed = self._indexed(candidates_fn, checkpoint_path, k, fc.ColumnTransform(self._query.columns))
        return indexed.export_saved_model(
            export_dir_base, serving_input_receiver_fn, assets_extra, checkpoint_path=checkpoint_path, example=example
        )

    def _example_of_queries(self) -> Any:
        wanted = _retrieval.raw_features(self._query.columns)
        if isinstance(self._runtimes.seen, Mapping) and set(wanted) <= set(self._runtimes.seen):
            return {name: self._runtimes.seen[name] for name in wanted}
        return _receivers.example_of_parse_spec(fc.make_parse_example_spec(self._query.columns))

    def _indexed(
        self,
        candidates_fn: Callable[..., Any],
        checkpoint_path: str | os.PathLike[str] | None,
        k: int,
        transform: Callable[[Any], Any],
    ) -> Estimator:
        """Returns an estimator over the same checkpoints whose predictions are the best ones of all candidates."""
        k = checked_count(k, "k")
        index = self._index(candidates_fn, checkpoint_path)
        size = int(index.embeddings.shape[0])
        if k > size:
            raise ValueError(f"`k` must be at most the number of candidates. Received: {k}, and {size} candidates.")

        def model_fn(features: Any, labels: Any, mode: str, config: RunConfig) -> EstimatorSpec:
            return self._spec(features, labels, mode, config, index, k)

        return Estimator(model_fn, config=self._config, warm_start_from=self._warm_start, input_transform=transform)

    def _index(self, candidates_fn: Callable[..., Any], checkpoint_path: str | os.PathLike[str] | None) -> Index:
        seen = self._runtimes.seen
        batches = list(self.predict(candidates_fn, checkpoint_path=checkpoint_path, yield_single_examples=False))
        self._runtimes.seen = seen
        if not batches:
            raise ValueError("`candidates_fn` must give at least one candidate. Received: no rows.")
        wanted = ["candidate_embedding", *([] if self._candidate_id is None else ["candidate_id"])]
        if not set(wanted) <= set(batches[0]):
            raise ValueError(
                "`candidates_fn` must give the features of candidates alone: "
                f"{_retrieval.raw_features(self._candidate.columns)}, and the `candidate_id_column`. Received what "
                f"makes: {sorted(batches[0])}."
            )
        embeddings = np.concatenate([batch["candidate_embedding"] for batch in batches])
        ids, hashes = np.arange(len(embeddings)), None
        if self._candidate_id is not None:
            ids, hashes = (np.concatenate([batch[key] for batch in batches]) for key in ("candidate_id", HASH))

        def held(values: Any, name: str) -> tf.Variable:
            return tf.Variable(values, trainable=False, name=f"index/{name}")

        return Index(held(embeddings, "embeddings"), held(ids, "ids"), None if hashes is None else held(hashes, "hash"))

    def _retrieval_model_fn(self, features: Any, labels: Any, mode: str, config: RunConfig) -> EstimatorSpec:
        return self._spec(features, labels, mode, config, None, 0)

    def _spec(
        self, features: Any, labels: Any, mode: str, config: RunConfig, index: Index | None, k: int
    ) -> EstimatorSpec:
        if labels is not None:
            raise ValueError(_LABELS)
        shared: dict[str, tf.Variable] = {}
        made: dict[str, tf.Tensor] = {}
        trained: list[tf.Variable] = []
        for position, tower in enumerate((self._query, self._candidate)):
            if tower.is_in(features):
                made[tower.name], variables = tower.embedding(
                    features,
                    shared,
                    training=mode == ModeKeys.TRAIN,
                    seed=config.tf_random_seed,
                    first=position * len(tower.hidden.units),
                )
                trained += variables
        if mode == ModeKeys.PREDICT:
            predictions = self._predictions_of(features, made, index, k)
            output = PredictOutput(predictions)
            signatures = {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: output, "predict": output}
            return EstimatorSpec(mode, predictions, export_outputs=signatures)
        missing = [tower for tower in (self._query, self._candidate) if tower.name not in made]
        if missing:
            raise ValueError(
                f"Each row of training and evaluation must hold a query and a candidate. The features of the "
                f"{missing[0].name} are not all there: {_retrieval.raw_features(missing[0].columns)}."
            )
        losses, weights = self._losses(features, made["query"], made["candidate"])
        loss = _reduction.reduced_loss(losses, weights, _reduction.SUM_OVER_BATCH_SIZE)
        if mode == ModeKeys.TRAIN:
            return EstimatorSpec(mode, loss=loss, train_op=minimize([(self._optimizer(), trained)], loss))
        return EstimatorSpec(mode, loss=loss, eval_metric_ops=self._metrics(features, made, losses, weights, index))

    def _predictions_of(
        self, features: Mapping[str, Any], made: Mapping[str, tf.Tensor], index: Index | None, k: int
    ) -> dict[str, tf.Tensor]:
        predictions = {f"{name}_embedding": embedding for name, embedding in made.items()}
        if index is not None:
            return index.best(made["query"], k)
        if len(made) == 2:
            predictions["score"] = tf.reduce_sum(made["query"] * made["candidate"], 1)
        elif self._candidate_id is not None and self._candidate_id in features:
            predictions |= {"candidate_id": features[self._candidate_id], HASH: features[HASH]}
        return predictions

    def _losses(
        self, features: Mapping[str, Any], query: tf.Tensor, candidate: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the loss of each row and its weight, `[B]`; None for equal weights."""
        log_q = None
        if self._probability is not None:
            if self._probability not in features:
                raise ValueError(
                    f"Feature {self._probability!r} is not in the features: the probabilities of candidates come from "
                    "it (`sampling_probability_column`)."
                )
            q = _retrieval.of_row(features[self._probability], self._probability)
            message = f"{self._probability} (`sampling_probability_column`) must be in (0, 1]. Received: "
            inside = tf.reduce_all(tf.logical_and(q > 0.0, q <= 1.0))
            log_q = tf.math.log(_checks.stop_unless(inside, message, [q], then=q))
        own = features.get(HASH)
        pool = _retrieval.pooled(candidate, log_q, own)
        losses = _retrieval.softmax_losses(query, pool, own, self._temperature)
        weights = _checks.weights_of(features, self._weight_column, tf.expand_dims(losses, 1))
        return losses, None if weights is None else tf.squeeze(weights, 1)

    def _metrics(
        self,
        features: Mapping[str, Any],
        made: Mapping[str, tf.Tensor],
        losses: tf.Tensor,
        weights: tf.Tensor | None,
        index: Index | None,
    ) -> dict[str, Any]:
        query, own, own_hashes = made["query"], made["candidate"], features.get(HASH)
        if index is None:
            found = _retrieval.ranks(query, own, own, own_hashes, own_hashes)
        else:
            found = index.ranks(query, own, own_hashes)
        metrics = RetrievalMetrics(self._top_k, "_in_batch" if index is None else "")
        metrics.count(losses, found, weights)
        return metrics.metrics()


def _dense(columns: Any, argument: str) -> tuple[FeatureColumn, ...]:
    return names_argument(argument, lambda: fc.DenseFeatures(columns).feature_columns)


def _checked_name(name: Any, argument: str) -> str | None:
    if name is not None and not isinstance(name, str):
        raise ValueError(f"`{argument}` must be the name of a feature, or None. Received: {name!r}.")
    return name
