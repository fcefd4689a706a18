"""Categorical columns that have one table of trainable vectors in common."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks, _tree
from headway.feature_columns._embedding import check_embedding, first_value
from headway.feature_columns._learned import LearnedVocabulary
from headway.feature_columns._over_ids import OverIds
from headway.feature_columns._protocol import (
    Definition,
    DeviceInputs,
    FeatureColumn,
    IdColumn,
    Initializer,
    VariableFactory,
    scope_of,
    scope_with_slashes,
)
from headway.feature_columns._sequence_categorical import SequenceCategoricalColumn
from headway.feature_columns._weighted import WeightedCategoricalColumn


@dataclasses.dataclass(frozen=True)
class SharedTable(Definition):
    """The table that columns share.

    Attributes:
      name: of the table.
      dimension: length of the vectors.
      initializer: of the table, or None for the default.
      ckpt_to_load_from: checkpoint to read the first value from, or None.
      tensor_name_in_ckpt: the tensor in it.
      trainable: whether training changes the table.
      inside_layer: whether the variable is named as part of the layer that uses it, as TensorFlow 1 did.
    """

    name: str
    dimension: int
    initializer: Initializer | None
    ckpt_to_load_from: str | None
    tensor_name_in_ckpt: str | None
    trainable: bool
    inside_layer: bool

    @property
    def scope(self) -> str:
        """`name` in the letters that the name of a variable may have."""
        # TensorFlow takes no name of a variable outside of all layers that begins otherwise.
        return scope_with_slashes(self.name) if re.match("[A-Za-z0-9.]", self.name) else scope_of(self.name)

    def variable(self, variable: VariableFactory, num_buckets: int) -> tf.Variable:
        """Returns the table, float32 `[num_buckets, dimension]`."""
        make = getattr(variable, "in_layer" if self.inside_layer else "shared", variable)
        initializer = first_value(
            self.name, self.dimension, self.initializer, self.ckpt_to_load_from, self.tensor_name_in_ckpt
        )
        made: tf.Variable = make(
            f"{self.scope}/embedding_weights" if self.inside_layer else self.scope,
            (num_buckets, self.dimension),
            initializer,
            tf.float32,
            self.trainable,
        )
        return made


@dataclasses.dataclass(frozen=True)
class SharedEmbeddingColumn(OverIds):
    """One of what `shared_embeddings` returns."""

    table: SharedTable
    combiner: str
    max_norm: float | None
    use_safe_embedding_lookup: bool

    @property
    def name(self) -> str:
        """`{categorical}_shared_embedding`."""
        return f"{self.categorical_column.name}_shared_embedding"

    @property
    def variable_scope(self) -> str:
        """What the names of a linear model's weights begin with: as TensorFlow 1 did, that of the table inside it."""
        return self.table.scope if self.table.inside_layer else super().variable_scope

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[dimension]`."""
        return tf.TensorShape([self.table.dimension])

    def make_variables(self, variable: VariableFactory) -> tuple[tf.Variable, ...]:
        """Returns the shared table, float32 `[ids, dimension]`."""
        return (self.table.variable(variable, self.categorical_column.num_buckets),)

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns the combined vectors of each row's ids, float32 `[B, dimension]`, or of each step's."""
        (table,) = variables
        return inputs.lookup(self.categorical_column).embed(
            table, self.combiner, max_norm=self.max_norm, every_weight=not self.use_safe_embedding_lookup
        )


def shared_embeddings(
    categorical_columns: Iterable[FeatureColumn],
    dimension: int,
    combiner: str = "mean",
    initializer: Initializer | None = None,
    shared_embedding_collection_name: str | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
    use_safe_embedding_lookup: bool = True,
) -> list[SharedEmbeddingColumn]:
    """Represents several categorical columns by vectors from one trainable table: an id has one vector in all of them.

    The columns are for values of one kind, such as the products that a customer has seen and those that he has bought.

    Args:
      categorical_columns: categorical columns of one type and one number of ids; weighted and sequence columns count
        as what they hold. Columns with a `learned_vocabulary` learn one, from the values of all of them; `adapt` them
        in one call.
      dimension: length of the vectors.
      combiner: "mean", "sum" or "sqrtn"; see `embedding_column`.
      initializer: function from shape and dtype to the first value of the table `[ids, dimension]`; see
        `embedding_column`.
      shared_embedding_collection_name: name of the variable. None: the sorted names of the columns and
        `shared_embedding`, joined by `_`. Columns of several calls that give one name share one table in a model.
      ckpt_to_load_from: checkpoint to read the first value from instead.
      tensor_name_in_ckpt: name of the tensor in it. Both or none of the two must be given.
      max_norm: vectors longer than this are scaled down to it when they are looked up. None: no limit.
      trainable: whether training changes the table.
      use_safe_embedding_lookup: see `embedding_column`.

    Returns:
      A dense column of `dimension` values for each categorical column, in the order given, named
      `{categorical}_shared_embedding`. Ready-made estimators keep the table as a variable outside of all layers, such
      as `a_b_shared_embedding`, and train it.

    Raises:
      ValueError: if the columns are not categorical, of different types, or have different numbers of ids; if there is
        none; if another argument is not as above.

    Example:
      >>> from headway import feature_columns as fc
      >>> columns = [fc.categorical_column_with_identity(name, 3) for name in ("seen", "bought")]
      >>> shared = fc.shared_embeddings(columns, 2, initializer=lambda shape, dtype: tf.eye(*shape))
      >>> [column.name for column in shared], shared[0].table.name
      (['seen_shared_embedding', 'bought_shared_embedding'], 'bought_seen_shared_embedding')
      >>> fc.DenseFeatures(shared)({"seen": [0], "bought": [1]}).numpy()
      array([[0., 1., 1., 0.]], dtype=float32)
    """
    columns = _same_ids(categorical_columns)
    name = shared_embedding_collection_name or _joined(columns)
    check_embedding(name, dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    table = SharedTable(
        name, dimension, initializer, ckpt_to_load_from, tensor_name_in_ckpt, trainable, inside_layer=False
    )
    return [SharedEmbeddingColumn(column, table, combiner, max_norm, use_safe_embedding_lookup) for column in columns]


def shared_embedding_columns(
    categorical_columns: Iterable[FeatureColumn],
    dimension: int,
    combiner: str = "mean",
    initializer: Initializer | None = None,
    shared_embedding_collection_name: str | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
    use_safe_embedding_lookup: bool = True,
) -> list[SharedEmbeddingColumn]:
    """Does the same as `shared_embeddings`, with the variable named as `tf.compat.v1.feature_column` named it.

    The variable is part of the layer, `{layer}/{shared_embedding_collection_name}/embedding_weights`: for programs that
    go on with a checkpoint of TensorFlow 1. New programs take `shared_embeddings`.

    Args:
      categorical_columns: see `shared_embeddings`.
      dimension: see `shared_embeddings`.
      combiner: see `shared_embeddings`.
      initializer: see `shared_embeddings`.
      shared_embedding_collection_name: see `shared_embeddings`.
      ckpt_to_load_from: see `shared_embeddings`.
      tensor_name_in_ckpt: see `shared_embeddings`.
      max_norm: see `shared_embeddings`.
      trainable: see `shared_embeddings`.
      use_safe_embedding_lookup: see `shared_embeddings`.

    Returns:
      A dense column of `dimension` values for each categorical column.

    Raises:
      ValueError: as `shared_embeddings`.

    Example:
      >>> from headway import feature_columns as fc
      >>> columns = [fc.categorical_column_with_identity(name, 3) for name in ("a", "b")]
      >>> layer = fc.DenseFeatures(fc.shared_embedding_columns(columns, 2))
      >>> layer({"a": [0], "b": [1]}).shape, [weight.path for weight in layer.weights]
      (TensorShape([1, 4]), ['dense_features/a_b_shared_embedding/embedding_weights'])
    """
    columns = shared_embeddings(
        categorical_columns,
        dimension,
        combiner,
        initializer,
        shared_embedding_collection_name,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        trainable,
        use_safe_embedding_lookup,
    )
    table = dataclasses.replace(columns[0].table, inside_layer=True)
    return [dataclasses.replace(column, table=table) for column in columns]


def _joined(columns: list[IdColumn]) -> str:
    return "_".join([*sorted(column.name for column in columns), "shared_embedding"])


def _same_ids(columns: Any) -> list[IdColumn]:
    """Returns the columns if they may share a table."""
    if isinstance(columns, FeatureColumn | str) or not isinstance(columns, Iterable):
        raise ValueError(f"`categorical_columns` must be a list of categorical columns. Received: {columns!r}")
    checked = [_checks.check_ids(column, "shared_embeddings") for column in columns]
    if not checked:
        raise ValueError("`categorical_columns` must not be empty.")
    first, *others = sorted(checked, key=lambda column: column.name)
    for other in others:
        if type(_inner(other)) is not type(_inner(first)):
            raise ValueError(
                "To use shared_embedding_column, all categorical_columns must have the same type, or be "
                "weighted_categorical_column or sequence column of the same type. Given column: "
                f"{first} of type: {type(first)} does not match given column: {other} of type: {type(other)}"
            )
        open_fields = [_open(first), _open(other)]
        if open_fields[0] != open_fields[1]:
            raise ValueError(
                f"Columns that share an embedding must learn one vocabulary: give all of them the same "
                f"`learned_vocabulary(...)` and the same `num_oov_buckets`. Received: {first} and {other}"
            )
        if not open_fields[0] and other.num_buckets != first.num_buckets:
            raise ValueError(
                "To use shared_embedding_column, all categorical_columns must have the same number of buckets. Given "
                f"column: {first} with buckets: {first.num_buckets} does not match column: {other} with buckets: "
                f"{other.num_buckets}"
            )
    return checked


def _open(column: IdColumn) -> list[tuple[Any, int]]:
    """Returns what is still to be learnt of a column's ids, and how many follow them."""
    return [
        (learned, getattr(node.column, "num_oov_buckets", 0))
        for node in _tree.walk(column)
        for learned in node.learned.values()
        if isinstance(learned, LearnedVocabulary)
    ]


def _inner(column: FeatureColumn) -> FeatureColumn:
    """Returns what a weighted or sequence column holds."""
    while isinstance(column, WeightedCategoricalColumn | SequenceCategoricalColumn):
        column = column.categorical_column
    return column
