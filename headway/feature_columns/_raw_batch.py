"""The raw features of one batch as the columns' host parts see them: converted, checked, and each computed once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway import _columns
from headway._encoded import Encoded
from headway.feature_columns._protocol import CategoricalColumn, ColumnGroup, FloatColumn
from headway.feature_columns._values import DenseRows, EncodedValues, Ids, RaggedRows, Values


class RawBatch:
    """The raw features of one batch, with what has been computed from them.

    Args:
      features: name -> Tensor `[B]`, `[B, n]` or `[B, ...]`, SparseTensor or RaggedTensor, or what converts to a
        tensor.
    """

    def __init__(self, features: Mapping[str, Any]) -> None:
        self._features = features
        self._tensors: dict[str, Any] = {}
        self._values: dict[str, Values] = {}
        self._ids: dict[CategoricalColumn, Ids] = {}
        self._floats: dict[FloatColumn, tf.Tensor] = {}
        self._first: tuple[str, int] | None = None

    @property
    def any_encoded(self) -> bool:
        """Whether a feature is encoded: such batches are long."""
        return any(isinstance(feature, Encoded) for feature in self._features.values())

    def tensor(self, key: str, *, column: str) -> Any:
        """Returns the raw feature `key` as Tensor, SparseTensor or RaggedTensor of at least one dimension.

        Raises:
          ValueError: if there is no such feature, it is a scalar or no tensor, or its batch size differs from the
            other features'.
        """
        if key not in self._tensors:
            if key not in self._features:
                raise ValueError(missing_feature(key, self._features, f"column {column!r}"))
            self._tensors[key] = self._checked(key, as_tensor(key, self._features[key]))
        return self._tensors[key]

    def values(self, key: str, *, column: str) -> Values:
        """Returns the raw categorical feature `key` (strings or integers) as a flat vector.

        Raises:
          ValueError: if it holds something else, or has more than two dimensions.
        """
        if key not in self._values:
            feature = self._features.get(key)
            if isinstance(feature, Encoded):
                self._checked(key, feature.codes)
                self._values[key] = _encoded_values(key, feature, column)
            else:
                self._values[key] = _flatten(key, self.tensor(key, column=column), column)
        return self._values[key]

    def ids(self, column: CategoricalColumn) -> Ids:
        """Returns the ids of `column`, computed once per batch."""
        if column not in self._ids:
            self._ids[column] = column.host_ids(self)
        return self._ids[column]

    def add_ids(self, groups: Iterable[ColumnGroup]) -> None:
        """Computes the ids of columns, a group at once."""
        for group in groups:
            self._ids.update(zip(group.columns, group.host_ids(self), strict=True))

    def floats(self, column: FloatColumn) -> tf.Tensor:
        """Returns the floats of `column`, `[B]` or `[B, width]`, computed once per batch."""
        if column not in self._floats:
            self._floats[column] = column.host_floats(self)
        return self._floats[column]

    def _checked(self, key: str, tensor: Any) -> Any:
        rank = tensor.shape.rank
        if rank == 0:
            raise ValueError(
                f"Feature (key: {key}) cannot have rank 0. Given: {tensor}. Features hold one value or more per row: "
                f"for a single row, pass [{key!r} value], of shape (1,)."
            )
        size = None if rank is None else tensor.shape[0]
        if size is not None:
            if self._first is None:
                self._first = (key, size)
            elif self._first[1] != size:
                raise ValueError(
                    "Batch size (first dimension) of each feature must be same. "
                    f"Batch size of features ({self._first[0]}, {key}): ({self._first[1]}, {size})"
                )
        return tensor


def missing_feature(key: str, present: Iterable[str], who: str) -> str:
    """Returns the message for a feature that is not in the batch."""
    names = sorted(str(name) for name in present)
    close = difflib.get_close_matches(key, names, n=3)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return (
        f"Feature {key} is not in features dictionary. It is needed by {who}.{hint} Features that are there: {names}."
    )


def as_tensor(key: str, value: Any) -> Any:
    """Returns `value` as a Tensor, SparseTensor or RaggedTensor.

    Raises:
      ValueError: if it cannot be converted.
    """
    if isinstance(value, tf.Tensor | tf.SparseTensor | tf.RaggedTensor):
        return value
    if isinstance(value, Encoded):
        return value.decoded()
    if isinstance(value, tf.compat.v1.SparseTensorValue):
        return tf.SparseTensor(value.indices, value.values, value.dense_shape)
    if isinstance(value, tf.compat.v1.ragged.RaggedTensorValue):
        return tf.RaggedTensor.from_nested_row_splits(value.flat_values, value.nested_row_splits)
    try:
        return tf.convert_to_tensor(value)
    except (ValueError, TypeError) as error:
        return _with_gaps(key, value, error)


def _with_gaps(key: str, value: Any, error: Exception) -> tf.Tensor:
    """Returns what TensorFlow does not convert by itself: values with None among them, and times."""
    try:
        column = _columns.read(key, value)
    except ValueError as reason:
        raise ValueError(
            f"Feature {key!r} cannot be converted to a tensor: {reason} All its values must be of one type: numbers, "
            f"strings, or times (None where one is missing). Received: {type(value).__name__}"
        ) from error
    return tf.constant(column.strings() if isinstance(column, _columns.Coded) else column)


def _flatten(key: str, tensor: Any, column: str) -> Values:
    has_gaps = tensor.dtype == tf.float64 and isinstance(tensor, tf.Tensor)
    if has_gaps:
        tensor = _whole_numbers(key, tensor, column)
    dtype = tensor.dtype
    if dtype != tf.string and not dtype.is_integer:
        raise ValueError(
            f"column_name: {column} input_tensor dtype must be string or integer. dtype: {dtype}, key: {key}. "
            "Cast the feature, or put a numeric_column and bucketized_column in place of the categorical column."
        )
    _check_rank(key, tensor, column)
    rows: DenseRows | RaggedRows
    if isinstance(tensor, tf.SparseTensor):
        flat, rows = tensor.values, RaggedRows(tensor.dense_shape[0], tensor.indices[:, 0])
    elif isinstance(tensor, tf.RaggedTensor):
        flat, rows = tensor.flat_values, RaggedRows(tensor.nrows(tf.int64), tf.cast(tensor.value_rowids(), tf.int64))
    else:
        flat, rows = _flatten_dense(tensor)
    if dtype != tf.string and dtype != tf.int64:
        flat = tf.cast(flat, tf.int64)
    return Values(key, flat, dtype, rows, had_gaps=has_gaps)


def _check_rank(key: str, tensor: Any, column: str) -> None:
    rank = tensor.shape.rank
    if rank is not None and rank > 2:
        raise ValueError(
            f"Feature {key!r} of column {column!r} must have shape [batch] or [batch, values per row]. "
            f"Received: {tensor.shape}. Flatten what lies behind the batch."
        )


def _encoded_values(key: str, feature: Encoded, column: str) -> EncodedValues:
    _check_rank(key, feature.codes, column)
    flat, rows = _flatten_dense(feature.codes)
    distinct = Values(key, feature.values, tf.string, rows)
    return EncodedValues(key, tf.gather(feature.values, flat), tf.string, rows, flat, distinct)


def _whole_numbers(key: str, tensor: tf.Tensor, column: str) -> tf.Tensor:
    """Returns whole numbers with gaps, which come as float64 with NaN, as int64 with -1."""
    gaps = tf.math.is_nan(tensor)
    whole = tf.logical_or(gaps, tf.equal(tensor, tf.round(tensor)))
    message = (
        f"headway: Feature {key} of column {column} has a number that is not whole. Categorical columns take strings "
        "and whole numbers (float64 for whole numbers with gaps): put a numeric_column and bucketized_column in place "
        "of the categorical column. Received: "
    )
    check = tf.debugging.Assert(tf.reduce_all(whole), [message, tf.boolean_mask(tensor, ~whole)])
    with tf.control_dependencies([] if check is None else [check]):
        return tf.where(gaps, tf.constant(-1, tf.int64), tf.cast(tensor, tf.int64))


def _flatten_dense(tensor: tf.Tensor) -> tuple[tf.Tensor, DenseRows]:
    if tensor.shape.rank == 1:
        return tensor, DenseRows(tensor, 1)
    # Without a static width it is left to the running program; of a vector of unknown rank, too.
    width = tensor.shape[1] if tensor.shape.rank == 2 else None
    return tf.reshape(tensor, [-1]), DenseRows(tensor, width or None)
