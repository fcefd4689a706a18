"""`LinearSDCA`: stochastic dual coordinate ascent in the place of a linear model's optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway import _context, _summary
from headway import feature_columns as fc
from headway.estimators._variables import Kept
from headway.feature_columns._coordinates import Coordinates, coordinates
from headway.feature_columns._protocol import CategoricalColumn, DenseColumn
from headway.heads import BinaryClassHead, Head, RegressionHead

_TABLE = "ShardedMutableHashTable"
# What the solver keeps of an example: its dual variable, and its parts of the primal loss, the dual loss, and the
# weights.
_STATE_SIZE = 4


@dataclasses.dataclass(frozen=True)
class LinearSDCA:
    """Trains a linear model by stochastic dual coordinate ascent; goes into its `optimizer`.

    Instead of a gradient, each step finds for each of its rows the best value of the row's dual variable, which it
    keeps by the row's id, and so needs no learning rate (Shalev-Shwartz, Zhang 2013,
    https://www.jmlr.org/papers/v14/shalev-shwartz13a.html; the L1 part: https://arxiv.org/abs/1309.2375; several
    workers: https://arxiv.org/abs/1502.03508; adaptive sampling: https://arxiv.org/abs/1502.08053). It minimizes the
    sum of the weighted losses plus `symmetric_l1_regularization * sum(abs(w))` plus `symmetric_l2_regularization *
    sum(w ** 2) / 2`; for regressors the loss is half of the squared error. The bias is regularized as well.

    For `LinearClassifier` with two classes, `LinearRegressor` with labels of one number, and `LinearEstimator` with a
    `BinaryClassHead` or a `RegressionHead`; with `sparse_combiner="sum"` and without embedding columns. The state of
    all rows that were ever seen is part of the checkpoint.

    Attributes:
      example_id_column: name of the feature, strings or integers, that tells rows apart. Ids must be unique.
      num_loss_partitions: number of workers that train at the same time; the replicas of a strategy are added.
      num_table_shards: number of parts of the table of rows; None for one.
      symmetric_l1_regularization: at least 0.
      symmetric_l2_regularization: above 0; of the order of the mean squared length of rows.
      adaptive: whether rows with a larger effect are looked at more often.

    Raises:
      ValueError: if an argument is not as above.

    Example:
      >>> from headway.estimators import LinearClassifier, LinearSDCA, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> features = {"id": ["a", "b", "c"], "x": [-1.0, 1.0, 2.0]}
      >>> model = LinearClassifier(
      ...     [fc.numeric_column("x")], optimizer=LinearSDCA("id"), config=RunConfig(progress="none")
      ... )
      >>> rows = from_arrays(features, [0, 1, 1], batch_size=3, num_epochs=None)
      >>> float(model.train(rows, steps=10).evaluate(rows, steps=1)["accuracy"])
      1.0
    """

    example_id_column: str
    num_loss_partitions: int = 1
    num_table_shards: int | None = None
    symmetric_l1_regularization: float = 0.0
    symmetric_l2_regularization: float = 1.0
    adaptive: bool = False

    def __post_init__(self) -> None:
        """Checks the fields."""
        named: Any = self.example_id_column
        if not isinstance(named, str) or not named:
            raise ValueError(
                f"`example_id_column` must be the name of a feature. Received: {self.example_id_column!r}."
            )
        if self.symmetric_l2_regularization <= 0:
            raise ValueError(
                f"symmetric_l2_regularization should be positive. Received: {self.symmetric_l2_regularization!r}."
            )
        if self.symmetric_l1_regularization < 0:
            raise ValueError(
                f"symmetric_l1_regularization should be non-negative. Received: {self.symmetric_l1_regularization!r}."
            )
        for name in ("num_loss_partitions", "num_table_shards"):
            value = getattr(self, name)
            if value is not None and (not hasattr(value, "__index__") or value < 1):
                raise ValueError(f"`{name}` must be an integer >= 1. Received: {value!r}.")

    def check(self, columns: Sequence[fc.FeatureColumn], sparse_combiner: str) -> None:
        """Raises an error if it cannot train a linear model of these columns."""
        if sparse_combiner != "sum":
            raise ValueError(
                'sparse_combiner must be "sum" when optimizer is a LinearSDCA object. Received: '
                + f"{sparse_combiner!r}."
            )
        other = [
            column.name for column in columns if not isinstance(column, CategoricalColumn) and _has_weights(column)
        ]
        if other:
            raise ValueError(
                f"LinearSDCA does not train embeddings, and these columns have some: {other}. Use the categorical "
                "columns themselves."
            )

    def loss_type(self, head: Head) -> str:
        """Returns the name of the head's loss.

        Raises:
          ValueError: if it cannot train a model with this head.
        """
        if isinstance(head, BinaryClassHead | RegressionHead) and not head.has_usual_loss:
            raise ValueError(
                "LinearSDCA knows no `loss_fn`, no `label_smoothing` and no `class_weights`. Pass another optimizer, "
                "or put the weights of the classes into the `weight_column`."
            )
        if type(head) is BinaryClassHead:
            return "logistic_loss"
        if type(head) is RegressionHead and head.logits_dimension == 1:
            return "squared_loss"
        if head.logits_dimension > 1:
            raise ValueError(
                "LinearSDCA cannot be used in a multi-class setting, and only with one-dimensional labels. Received a "
                f"head with {head.logits_dimension} logits."
            )
        raise ValueError(f"LinearSDCA needs a BinaryClassHead or a RegressionHead. Unsupported head type: {head!r}.")

    def step(self, batch: Batch, columns: Sequence[fc.FeatureColumn], weights: Sequence[tf.Variable]) -> Any:
        """Makes a training step, counts it, and returns the `train_op`.

        Args:
          batch: the rows.
          columns: the columns, sorted by name.
          weights: the weights of each column, and the bias.
        """
        context = _context.current()
        if context is None or context.keep is None:
            raise ValueError("LinearSDCA trains inside an Estimator only.")
        table = context.keep(_TABLE, lambda: ExampleTable(self.num_table_shards or 1))
        assert isinstance(table, ExampleTable)
        unshrunk = [_unshrunk(variable) for variable in weights]
        inputs = [*coordinates(columns, batch.features), tf.ones([tf.size(batch.labels), 1])]
        parts = [_Part(*part) for part in zip(inputs, weights, unshrunk, strict=True)]
        self._summarize(table, weights)
        if not context.variables_only:
            self._solve(batch, parts, table)
        context.uses.add("global_step")
        context.global_step.assign_add(1)
        return tf.constant(0) if tf.executing_eagerly() else tf.no_op()

    def _solve(self, batch: Batch, parts: list[_Part], table: ExampleTable) -> None:
        sparse = [part for part in parts if isinstance(part.inputs, Coordinates)]
        dense = [part for part in parts if not isinstance(part.inputs, Coordinates)]
        ids = [tf.unique(part.inputs.ids)[0] for part in sparse]
        fingerprints = tf.raw_ops.SdcaFprint(input=batch.ids)

        def solve() -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            states, sparse_changes, dense_changes = tf.raw_ops.SdcaOptimizerV2(
                sparse_example_indices=[part.inputs.rows for part in sparse],
                sparse_feature_indices=[part.inputs.ids for part in sparse],
                sparse_feature_values=[part.inputs.values for part in sparse],
                dense_features=[part.inputs for part in dense],
                example_weights=batch.weights,
                example_labels=batch.labels,
                sparse_indices=ids,
                sparse_weights=[part.gathered(rows) for part, rows in zip(sparse, ids, strict=True)],
                dense_weights=[part.value() for part in dense],
                example_state_data=table.lookup(fingerprints),
                loss_type=batch.loss_type,
                l1=float(self.symmetric_l1_regularization),
                l2=float(self.symmetric_l2_regularization),
                num_loss_partitions=self.num_loss_partitions * _context.num_replicas(),
                num_inner_iterations=1,
                adaptive=self.adaptive,
            )
            table.insert(fingerprints, states)
            return _shaped(sparse_changes, sparse), _shaped(dense_changes, dense)

        def nothing() -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            empty = [tf.zeros([0, *part.weights.shape[1:]]) for part in sparse]
            return empty, [tf.zeros(part.weights.shape) for part in dense]

        sparse_changes, dense_changes = tf.cond(tf.size(batch.labels) > 0, solve, nothing)
        shrinkage = self.symmetric_l1_regularization / self.symmetric_l2_regularization
        for part, rows, change in zip(sparse, ids, sparse_changes, strict=True):
            shape = tf.constant(tuple(part.weights.shape), tf.int64)
            part.add_rows(_over_replicas(tf.IndexedSlices(change, rows, shape)), shrinkage)
        for part, change in zip(dense, dense_changes, strict=True):
            part.add(_over_replicas(change), shrinkage)

    def _summarize(self, table: ExampleTable, weights: Sequence[tf.Variable]) -> None:
        def gap() -> tf.Tensor:
            # Of primal and dual problem, over all examples so far.
            sums = tf.reduce_sum(tf.cast(table.values(), tf.float64), 0)
            values = [tf.cast(tf.convert_to_tensor(variable), tf.float64) for variable in weights]
            absolute = tf.add_n([tf.reduce_sum(tf.abs(value)) for value in values])
            squares = tf.add_n([tf.reduce_sum(tf.square(value)) for value in values])
            penalty = self.symmetric_l1_regularization * absolute + self.symmetric_l2_regularization * squares
            return (sums[1] + sums[2] + penalty) / sums[3]

        _summary.scalar("approximate_duality_gap", gap)
        _summary.scalar("examples_seen", lambda: tf.cast(table.size(), tf.float32))


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a step needs of a batch.

    Attributes:
      features: the transformed features.
      ids: string `[B]`: the id of each row.
      labels: float32 `[B]`.
      weights: float32 `[B]`.
      loss_type: name of the loss.
    """

    features: Mapping[str, Any]
    ids: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    loss_type: str


@dataclasses.dataclass(frozen=True)
class _Part:
    """A column's inputs, weights, and the weights before the L1 step.

    Updates go to the replica's own copy by its handle: all replicas make the same ones.
    """

    inputs: Any
    weights: tf.Variable
    unshrunk: tf.Variable

    def gathered(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns these rows of the weights before the L1 step."""
        return tf.raw_ops.ResourceGather(resource=self.unshrunk.handle, indices=rows, dtype=tf.float32)

    def value(self) -> tf.Tensor:
        """Returns the weights before the L1 step."""
        return tf.raw_ops.ReadVariableOp(resource=self.unshrunk.handle, dtype=tf.float32)

    def add_rows(self, change: tf.IndexedSlices, shrinkage: float) -> None:
        """Adds to some rows; a row may come several times."""
        rows = change.indices
        tf.raw_ops.ResourceScatterAdd(resource=self.unshrunk.handle, indices=rows, updates=change.values)
        new = _shrunk(self.gathered(rows), shrinkage)
        tf.raw_ops.ResourceScatterUpdate(resource=self.weights.handle, indices=rows, updates=new)

    def add(self, change: tf.Tensor, shrinkage: float) -> None:
        """Adds to all."""
        tf.raw_ops.AssignAddVariableOp(resource=self.unshrunk.handle, value=change)
        tf.raw_ops.AssignVariableOp(resource=self.weights.handle, value=_shrunk(self.value(), shrinkage))


class ExampleTable(Kept):
    """The state of each example by the fingerprint of its id; saved as tf.estimator saves it.

    Args:
      num_shards: number of parts.
    """

    def __init__(self, num_shards: int) -> None:
        self._shards = [
            tf.lookup.experimental.DenseHashTable(
                tf.int64, tf.float32, default_value=[0.0] * _STATE_SIZE, empty_key=[0, 0], deleted_key=[1, 1]
            )
            for _ in range(num_shards)
        ]

    def lookup(self, keys: tf.Tensor) -> tf.Tensor:
        """Returns the states of these fingerprints, float32 `[B, 4]`; zeros for new ones."""
        if len(self._shards) == 1:
            return self._shards[0].lookup(keys)
        places = self._divided(tf.range(tf.shape(keys)[0]), keys)
        found = [shard.lookup(own) for shard, own in zip(self._shards, self._divided(keys, keys), strict=True)]
        states = tf.dynamic_stitch(places, found)
        return tf.reshape(states, [-1, _STATE_SIZE])

    def insert(self, keys: tf.Tensor, states: tf.Tensor) -> None:
        """Sets the states of these fingerprints."""
        if len(self._shards) == 1:
            self._shards[0].insert(keys, states)
            return
        parts = zip(self._shards, self._divided(keys, keys), self._divided(states, keys), strict=True)
        for shard, own_keys, own_states in parts:
            shard.insert(own_keys, own_states)

    def size(self) -> tf.Tensor:
        """Returns the number of examples."""
        return tf.add_n([shard.size() for shard in self._shards])

    def values(self) -> tf.Tensor:
        """Returns the states of all examples, and zeros."""
        return tf.concat([shard.export()[1] for shard in self._shards], 0)

    def tensors(self) -> dict[str, tf.Tensor]:
        """Returns the tables, empty places included."""
        found: dict[str, tf.Tensor] = {}
        for i, shard in enumerate(self._shards):
            keys, values = shard.export()
            found |= {f"{self._name(i)}-keys": keys, f"{self._name(i)}-values": values}
        return found

    def restore(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Sets the tables."""
        for i, shard in enumerate(self._shards):
            tf.raw_ops.LookupTableImportV2(
                table_handle=shard.resource_handle,
                keys=tensors[f"{self._name(i)}-keys"],
                values=tensors[f"{self._name(i)}-values"],
            )

    def _name(self, index: int) -> str:
        return f"{_TABLE}-{index + 1}-of-{len(self._shards)}"

    def _divided(self, values: tf.Tensor, keys: tf.Tensor) -> list[tf.Tensor]:
        shard = tf.cast(tf.math.floormod(tf.abs(keys[:, 0]), len(self._shards)), tf.int32)
        parts: list[tf.Tensor] = tf.dynamic_partition(values, shard, len(self._shards))
        return parts


def example_ids(features: Mapping[str, Any], column: str, seen: Sequence[str]) -> tf.Tensor:
    """Returns the ids of the rows, string `[B]`.

    Raises:
      ValueError: if the feature is missing, or is something else.
    """
    if column not in features:
        raise ValueError(
            f"Feature {column!r} is not in features dictionary: LinearSDCA tells rows apart by it "
            f"(`example_id_column`). Features that are there: {list(seen)}."
        )
    ids = tf.convert_to_tensor(features[column])
    if ids.dtype.is_integer:
        ids = tf.strings.as_string(ids)
    if ids.dtype != tf.string or (ids.shape.rank not in (1, None) and ids.shape[1:].num_elements() != 1):
        raise ValueError(
            f"The feature {column!r} (`example_id_column`) must have a string or an integer for each row. Received: "
            f"{ids.dtype.name} of shape {ids.shape}."
        )
    return tf.reshape(ids, [-1])


def _has_weights(column: fc.FeatureColumn) -> bool:
    """Tells whether a column has variables of its own."""
    return isinstance(column, DenseColumn) and type(column).make_variables is not DenseColumn.make_variables


def _unshrunk(variable: tf.Variable) -> tf.Variable:
    shape, name = tuple(variable.shape), variable.name.removesuffix(":0")
    return tf.Variable(lambda: tf.zeros(shape), name=f"{name}_unshrunk", trainable=False, shape=shape)


def _shaped(changes: Sequence[tf.Tensor], parts: list[_Part]) -> list[tf.Tensor]:
    return [tf.reshape(c, [-1, *part.weights.shape[1:]]) for c, part in zip(changes, parts, strict=True)]


def _shrunk(value: tf.Tensor, shrinkage: float) -> tf.Tensor:
    return tf.sign(value) * tf.maximum(0.0, tf.abs(value) - shrinkage) if shrinkage else value


def _over_replicas(change: Any) -> Any:
    if _context.num_replicas() == 1:
        return change
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, change)
