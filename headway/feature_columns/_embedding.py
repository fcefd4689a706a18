"""Categorical columns as trainable vectors."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._over_ids import OverIds
from headway.feature_columns._protocol import DeviceInputs, FeatureColumn, Initializer, VariableFactory
from headway.feature_columns._variables import column_scope

COMBINERS = ("mean", "sqrtn", "sum")


@dataclasses.dataclass(frozen=True)
class EmbeddingColumn(OverIds):
    """What `embedding_column` returns."""

    dimension: int
    combiner: str
    initializer: Initializer | None
    ckpt_to_load_from: str | None
    tensor_name_in_ckpt: str | None
    max_norm: float | None
    trainable: bool
    use_safe_embedding_lookup: bool

    @property
    def name(self) -> str:
        """`{categorical}_embedding`."""
        return f"{self.categorical_column.name}_embedding"

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[dimension]`."""
        return tf.TensorShape([self.dimension])

    def make_variables(self, variable: VariableFactory) -> tuple[tf.Variable, ...]:
        """Returns the table, float32 `[ids, dimension]`, under the name `{name}/embedding_weights`."""
        name = f"{column_scope(variable, self.name)}/embedding_weights"
        shape = (self.categorical_column.num_buckets, self.dimension)
        initializer = first_value(
            self.name, self.dimension, self.initializer, self.ckpt_to_load_from, self.tensor_name_in_ckpt
        )
        return (variable(name, shape, initializer, tf.float32, self.trainable),)

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns the combined vectors of each row's ids, float32 `[B, dimension]`, or of each step's.

        Zeros where a row or step has none.
        """
        (table,) = variables
        return inputs.lookup(self.categorical_column).embed(
            table, self.combiner, max_norm=self.max_norm, every_weight=not self.use_safe_embedding_lookup
        )


def first_value(
    name: str, dimension: int, initializer: Initializer | None, checkpoint: str | None, tensor: str | None
) -> Initializer:
    """Returns what makes the first value of a table of vectors: a checkpoint, `initializer`, or the default."""
    if checkpoint is not None:
        return _FromCheckpoint(checkpoint, str(tensor), name)
    return initializer or TruncatedNormal(1.0 / math.sqrt(dimension))


@dataclasses.dataclass(frozen=True)
class TruncatedNormal:
    """Draws anew at each call, unlike a Keras initializer object, and follows `tf.random.set_seed`."""

    stddev: float

    def __call__(self, shape: Any, dtype: Any = tf.float32, /, **kwargs: Any) -> tf.Tensor:
        del kwargs
        return tf.random.truncated_normal(shape, stddev=self.stddev, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class _FromCheckpoint:
    """Reads the first value from a checkpoint."""

    path: str
    tensor: str
    column: str

    def __call__(self, shape: Any, dtype: Any = tf.float32, /, **kwargs: Any) -> tf.Tensor:
        del kwargs
        reader = tf.train.load_checkpoint(self.path)
        shapes = reader.get_variable_to_shape_map()
        if self.tensor not in shapes:
            raise ValueError(
                f"`tensor_name_in_ckpt` of embedding_column {self.column!r} must be a tensor of checkpoint "
                f"{self.path}. "
                f"Received: {self.tensor!r}. Tensors that are there: {sorted(shapes)}"
            )
        if list(shapes[self.tensor]) != list(shape):
            raise ValueError(
                f"Tensor {self.tensor!r} of checkpoint {self.path} must have the shape {list(shape)} (ids, "
                "dimension) for "
                f"embedding_column {self.column!r}. Received: {list(shapes[self.tensor])}"
            )
        return tf.cast(reader.get_tensor(self.tensor), dtype)


def embedding_column(
    categorical_column: FeatureColumn,
    dimension: int,
    combiner: str = "mean",
    initializer: Initializer | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
    use_safe_embedding_lookup: bool = True,
) -> EmbeddingColumn:
    """Represents a categorical column by one trainable vector per id.

    A row's vectors are combined into one; a row without ids gets zeros. The gradient is an `tf.IndexedSlices` of the
    ids that occur, so that the cost of a step does not grow with the number of ids.

    Args:
      categorical_column: what one of the `categorical_column_with_*` functions, `bucketized_column`,
        `crossed_column` or `weighted_categorical_column` returned; or one of `sequence_categorical_column_with_*`, for
        `SequenceFeatures`.
      dimension: length of the vectors.
      combiner: "mean", "sum", or "sqrtn" (the sum divided by the square root of the number of ids).
      initializer: function from shape and dtype to the first value of the table `[ids, dimension]`. None: a normal
        distribution of standard deviation `1 / sqrt(dimension)`, cut off at two standard deviations.
      ckpt_to_load_from: checkpoint to read the first value from instead.
      tensor_name_in_ckpt: name of the tensor in it. Both or none of the two must be given.
      max_norm: vectors longer than this are scaled down to it when they are looked up. None: no limit.
      trainable: whether training changes the table.
      use_safe_embedding_lookup: whether "mean" and "sqrtn" leave out ids whose weight is not positive. Rows without
        ids are safe in either case.

    Returns:
      A dense column of `dimension` values, named `{categorical}_embedding`, with one variable
      `{name}/embedding_weights`.

    Raises:
      ValueError: if `categorical_column` is not categorical, `dimension` is not positive, `combiner` is unknown,
        `initializer` is not callable, or only one of the two checkpoint arguments is given.

    Example:
      >>> from headway import feature_columns as fc
      >>> day = fc.categorical_column_with_identity("day", 7)
      >>> column = fc.embedding_column(day, 2, initializer=lambda shape, dtype: tf.ones(shape, dtype))
      >>> fc.DenseFeatures([column])({"day": [6, -1]}).numpy()
      array([[1., 1.],
             [0., 0.]], dtype=float32)
    """
    checked = _checks.check_ids(categorical_column, "embedding_column")
    check_embedding(checked.name, dimension, combiner, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    return EmbeddingColumn(
        checked,
        dimension,
        combiner,
        initializer,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        trainable,
        use_safe_embedding_lookup,
    )


def check_embedding(
    name: str, dimension: Any, combiner: Any, initializer: Any, ckpt_to_load_from: Any, tensor_name_in_ckpt: Any
) -> None:
    """Raises ValueError if one of the arguments that embeddings have in common is not as documented."""
    if not dimension or dimension < 1:
        raise ValueError(f"Invalid dimension {dimension}. Embedding of column_name: {name}")
    if combiner not in COMBINERS:
        raise ValueError(f"combiner must be one of 'mean', 'sqrtn' or 'sum'. Received: {combiner!r} for {name!r}")
    if (ckpt_to_load_from is None) != (tensor_name_in_ckpt is None):
        raise ValueError(
            "Must specify both `ckpt_to_load_from` and `tensor_name_in_ckpt` or none of them. "
            f"Received: {ckpt_to_load_from!r} and {tensor_name_in_ckpt!r}"
        )
    if initializer is not None and not callable(initializer):
        raise ValueError(
            f"initializer must be callable if specified. Embedding of column_name: {name}. Received: {initializer!r}"
        )
