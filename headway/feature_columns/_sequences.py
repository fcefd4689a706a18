"""The steps of sequence features, whatever form they come in: dense, sparse or ragged."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from headway.feature_columns._protocol import CategoricalColumn, FloatColumn, HostInputs
from headway.feature_columns._values import DenseRows, Ids, RaggedRows, Steps, Values


@dataclasses.dataclass(frozen=True)
class StepInputs:
    """Raw features in which each step of each row counts as a row of its own.

    What a categorical column makes of it is the ids of each step.

    Args:
      inputs: the raw features.
    """

    inputs: HostInputs

    def tensor(self, key: str, *, column: str) -> Any:
        """Returns the raw feature with its steps, checked."""
        tensor = self.inputs.tensor(key, column=column)
        rank = tensor.shape.rank
        if rank not in (2, 3):
            raise ValueError(
                f"Feature {key!r} of sequence column {column!r} must have shape [batch, steps] or [batch, steps, "
                f"values per step], dense, sparse or ragged. Received: {tensor.shape}"
            )
        if isinstance(tensor, tf.RaggedTensor) and tensor.uniform_row_length is not None:
            raise ValueError(
                f"Feature {key!r} of sequence column {column!r} is ragged, but not in its steps. Received: "
                f"{tensor.shape}. Pass its `to_tensor()`, or a RaggedTensor whose second dimension is ragged."
            )
        return tensor

    def values(self, key: str, *, column: str) -> Values:
        """Returns the values of all steps as a flat vector; their rows are the steps."""
        tensor = self.tensor(key, column=column)
        dtype = tensor.dtype
        if dtype != tf.string and not dtype.is_integer:
            raise ValueError(
                f"column_name: {column} input_tensor dtype must be string or integer. dtype: {dtype}, key: {key}. "
                "Cast the feature, or use sequence_numeric_column for numbers."
            )
        rows: DenseRows | RaggedRows
        if isinstance(tensor, tf.Tensor):
            flat = tf.reshape(tensor, [-1])
            # One value per row is all that the ids of a single value depend on.
            rows = DenseRows(flat, 1)
        else:
            flat = tensor.values if isinstance(tensor, tf.SparseTensor) else tf.reshape(tensor.flat_values, [-1])
            count = tf.size(flat, tf.int64)
            rows = RaggedRows(count, tf.range(count))
        return Values(key, flat if dtype == tf.string else tf.cast(flat, tf.int64), dtype, rows)

    def ids(self, column: CategoricalColumn) -> Ids:
        """Returns the ids of all values of `column`."""
        return column.host_ids(self)

    def floats(self, column: FloatColumn) -> tf.Tensor:
        """Returns the floats of `column`."""
        return self.inputs.floats(column)


def id_steps(tensor: Any, ids: Ids) -> Steps:
    """Returns the ids of each step.

    Args:
      tensor: the raw feature.
      ids: of all its values, as `StepInputs` gave them to a column.
    """
    minus_one = tf.constant(-1, tf.int64)
    flat = tf.maximum(ids.dropped(), minus_one)
    if isinstance(tensor, tf.RaggedTensor):
        return Steps(tensor.with_flat_values(tf.reshape(flat, tf.shape(tensor.flat_values))), None)
    if isinstance(tensor, tf.SparseTensor):
        sparse = tf.SparseTensor(tensor.indices, flat, tensor.dense_shape)
        return Steps(tf.sparse.to_dense(sparse, -1), sparse_lengths(tensor))
    values = tf.ensure_shape(tf.reshape(flat, tf.shape(tensor)), tensor.shape)
    present = tf.ones_like(values, tf.bool) if ids.missing is None else tf.logical_not(ids.missing)
    present = tf.reshape(present, tf.shape(tensor))
    if tensor.shape.rank == 3:
        present = tf.reduce_any(present, 2)
    places = tf.range(1, tf.shape(tensor, tf.int64)[1] + 1)
    # An empty maximum is the least integer.
    lengths = tf.maximum(tf.reduce_max(tf.where(present, places, tf.zeros([], tf.int64)), 1), 0)
    return Steps(values, lengths)


def sparse_lengths(tensor: tf.SparseTensor, values_per_step: int = 1) -> tf.Tensor:
    """Returns the number of steps of each row up to the last one that holds a value, int64 `[B]`."""
    last = tf.math.unsorted_segment_max(tensor.indices[:, 1] + 1, tensor.indices[:, 0], tensor.dense_shape[0])
    # Of a row without values the maximum is the least integer.
    return (tf.maximum(last, 0) + values_per_step - 1) // values_per_step
