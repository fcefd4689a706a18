"""Sequences of numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._numeric import checked_shape
from headway.feature_columns._protocol import DenseColumn, DeviceInputs, FeatureColumn, HostInputs, SequenceColumn
from headway.feature_columns._sequences import sparse_lengths
from headway.feature_columns._values import Steps


@dataclasses.dataclass(frozen=True)
class SequenceNumericColumn(DenseColumn, SequenceColumn):
    """What `sequence_numeric_column` returns."""

    key: str
    shape: tuple[int, ...]
    default_value: float
    dtype: tf.DType
    normalizer_fn: Callable[[Any], Any] | None

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `VarLenFeature`."""
        return {self.key: tf.io.VarLenFeature(self.dtype)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def variable_shape(self) -> tf.TensorShape:
        """The shape of a step."""
        return tf.TensorShape(self.shape)

    @property
    def sequence(self) -> SequenceColumn:
        """The column itself."""
        return self

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns float32 `[B, T, width]`."""
        del variables
        return inputs.steps(self)

    def host_steps(self, inputs: HostInputs) -> Steps:
        """Returns the numbers of each step, float32 `[B, T, width]`."""
        tensor = inputs.tensor(self.key, column=self.name)
        self._check(tensor)
        if self.normalizer_fn is not None:
            form = type(tensor)
            tensor = self.normalizer_fn(tensor)
            if not isinstance(tensor, tf.Tensor | tf.SparseTensor | tf.RaggedTensor):
                raise ValueError(
                    f"The normalizer_fn of sequence_numeric_column {self.key!r} must return a tensor of the form that "
                    f"it is given, here a {form.__name__}. Received: {tensor!r}"
                )
        if isinstance(tensor, tf.RaggedTensor):
            return Steps(self._ragged(tensor), None)
        lengths = None
        if isinstance(tensor, tf.SparseTensor):
            per_step = self.width if tensor.shape.rank == 2 else 1
            lengths = sparse_lengths(tensor, per_step)
            tensor = tf.sparse.to_dense(_with_whole_steps(tensor, per_step), tf.cast(self.default_value, tensor.dtype))
        steps = self._as_steps(tf.cast(tensor, tf.float32))
        return Steps(steps, tf.repeat(tf.shape(steps, tf.int64)[1], tf.shape(steps)[0]) if lengths is None else lengths)

    def _ragged(self, tensor: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns `[B, (T), width]` from a ragged feature whose rows hold whole steps."""
        flat = tf.cast(tensor.flat_values, tf.float32)
        if flat.shape.rank > 1:
            return tensor.with_flat_values(tf.reshape(flat, [-1, self.width]))
        # The number of steps is given, not inferred, so that a row with part of a step is an error.
        per_row = tensor.row_lengths()
        whole = tf.debugging.Assert(
            tf.reduce_all(tf.equal(per_row % self.width, 0)),
            [
                f"headway: Feature {self.key} of sequence_numeric_column must hold a multiple of {self.width} numbers "
                "in each row, because of the column's shape. Received rows of: ",
                per_row,
            ],
        )
        with tf.control_dependencies([] if whole is None else [whole]):
            splits = tensor.row_splits // self.width
        values = tf.reshape(flat, tf.stack([tf.cast(splits[-1], tf.int32), self.width]))
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    def _as_steps(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns `[B, T, width]` from `[B, T * width]` or `[B, T, *shape]`."""
        shape = tf.shape(tensor)
        if tensor.shape.rank == 2:
            numbers = tensor.shape[1]
            if numbers is not None and numbers % self.width:
                raise ValueError(self._wrong_width(tensor.shape))
            steps, static = shape[1] // self.width, None if numbers is None else numbers // self.width
        else:
            steps, static = shape[1], tensor.shape[1]
        values = tf.reshape(tensor, tf.stack([shape[0], steps, self.width]))
        return tf.ensure_shape(values, [tensor.shape[0], static, self.width])

    def _check(self, tensor: Any) -> None:
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
            raise ValueError(
                f"sequence_numeric_column {self.key!r} needs numbers. Received: dtype {tensor.dtype} for feature "
                f"{self.key!r}. Convert it with `tf.strings.to_number`, or use one of the "
                "sequence_categorical_column_with_* functions."
            )
        shape = tensor.shape
        if shape.rank is None or shape.rank < 2:
            raise ValueError(
                f"Feature {self.key!r} of sequence_numeric_column must have shape [batch, steps] or more, dense, "
                f"sparse or ragged. Received: {shape}"
            )
        if isinstance(tensor, tf.RaggedTensor) and (tensor.ragged_rank > 1 or tensor.uniform_row_length is not None):
            raise ValueError(
                f"Feature {self.key!r} of sequence_numeric_column may be ragged in its second dimension, the steps, "
                f"only. Received: {shape}"
            )
        behind = shape[2:].num_elements() if shape.rank > 2 else None
        if behind is not None and behind != self.width:
            raise ValueError(self._wrong_width(shape))

    def _wrong_width(self, shape: tf.TensorShape) -> str:
        return (
            f"sequence_numeric_column {self.key!r} with shape {self.shape} expected {self.width} numbers per step. "
            f"Received: {tuple(shape)}. Give it the shape that a step has."
        )


def _with_whole_steps(tensor: tf.SparseTensor, per_step: int) -> tf.SparseTensor:
    """Returns the tensor with room for all numbers of its last step."""
    if per_step == 1:
        return tensor
    numbers = (tensor.dense_shape[1] + per_step - 1) // per_step * per_step
    return tf.SparseTensor(tensor.indices, tensor.values, tf.stack([tensor.dense_shape[0], numbers]))


def sequence_numeric_column(
    key: str,
    shape: int | Sequence[int] = (1,),
    default_value: float = 0.0,
    dtype: Any = tf.float32,
    normalizer_fn: Callable[[Any], Any] | None = None,
) -> SequenceNumericColumn:
    """Represents sequences of real-valued features.

    A sequence is a feature of shape `[batch, steps * prod(shape)]` or `[batch, steps, *shape]`, dense, sparse or
    ragged.

    Args:
      key: name of the feature, and of the column.
      shape: shape of a step; an integer is the length of a vector.
      default_value: what stands where a sparse feature holds nothing.
      dtype: type in which `tf.io.parse_example` reads the feature, a floating or integer type.
      normalizer_fn: function from the feature, in the form and type that it comes in (`tf.io.parse_example` makes
        SparseTensors), to one of the same form and shape. It should treat each row by itself.

    Returns:
      A dense sequence column of `prod(shape)` values per step, named `key`.

    Raises:
      TypeError: if a dimension is no integer or `normalizer_fn` is not callable.
      ValueError: if a dimension is not positive, `dtype` is not numeric, or `key` is no string.

    Example:
      >>> from headway import feature_columns as fc
      >>> load = fc.sequence_numeric_column("load")
      >>> steps, lengths = fc.SequenceFeatures([load])({"load": tf.ragged.constant([[1.0, 2.0], [3.0]])})
      >>> steps.numpy().tolist(), lengths.numpy().tolist()
      ([[[1.0], [2.0]], [[3.0], [0.0]]], [2, 1])
    """
    _checks.check_key(key)
    checked = checked_shape(shape, key)
    dtype = _checks.as_dtype(dtype)
    if not (dtype.is_integer or dtype.is_floating):
        raise ValueError(f"dtype must be convertible to float. dtype: {dtype}, key: {key}")
    if normalizer_fn is not None and not callable(normalizer_fn):
        raise TypeError(f"normalizer_fn must be a callable. Given: {normalizer_fn}")
    return SequenceNumericColumn(key, checked, default_value, dtype, normalizer_fn)
