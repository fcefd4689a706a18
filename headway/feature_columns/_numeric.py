"""Numbers as they are, or normalised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import FeatureColumn, FloatColumn, HostInputs


@dataclasses.dataclass(frozen=True)
class NumericColumn(FloatColumn):
    """What `numeric_column` returns."""

    key: str
    shape: tuple[int, ...]
    default_value: Any
    dtype: tf.DType
    normalizer_fn: Callable[[tf.Tensor], tf.Tensor] | None

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `FixedLenFeature` of the column's shape."""
        return {self.key: tf.io.FixedLenFeature(self.shape, self.dtype, self.default_value)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def variable_shape(self) -> tf.TensorShape:
        """The column's shape."""
        return tf.TensorShape(self.shape)

    def host_floats(self, inputs: HostInputs) -> tf.Tensor:
        """Returns float32 `[B, width]`, or `[B]` where the feature is a vector that needs no normaliser."""
        tensor = inputs.tensor(self.key, column=self.name)
        self._check(tensor)
        if self.normalizer_fn is None:
            if tensor.shape.rank == 1 and self.width == 1:
                return tf.cast(tensor, tf.float32)
        else:
            # As in tf.estimator, the function sees the feature in its own type, and a vector as [B, 1].
            tensor = self.normalizer_fn(tf.expand_dims(tensor, 1) if tensor.shape.rank == 1 else tensor)
            tensor = tf.convert_to_tensor(tensor)
            self._check_width(tensor.shape, "what its normalizer_fn returns")
        return self._as_matrix(tf.cast(tensor, tf.float32))

    def _as_matrix(self, tensor: tf.Tensor) -> tf.Tensor:
        rank = tensor.shape.rank
        if rank == 1 and self.width == 1:
            return tf.expand_dims(tensor, 1)
        if rank == 2 and tensor.shape[1] == self.width:
            return tensor
        # The number of rows is given, not inferred, so that a wrong width cannot pass as another number of rows.
        return tf.reshape(tensor, [tf.shape(tensor)[0], self.width])

    def _check(self, tensor: Any) -> None:
        if not isinstance(tensor, tf.Tensor):
            raise ValueError(
                "The corresponding Tensor of numerical column must be a Tensor. "
                f"{type(tensor).__name__} is not supported. key: {self.key}. Make it dense first, for example with "
                "`tf.sparse.to_dense(feature, default_value=0.)` or `feature.to_tensor()`."
            )
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
            raise ValueError(
                f"numeric_column {self.key!r} needs numbers. Received: dtype {tensor.dtype} for feature "
                f"{self.key!r}. Convert it "
                "with `tf.strings.to_number`, or use one of the categorical_column_with_* functions."
            )
        self._check_width(tensor.shape, f"feature {self.key!r}")

    def _check_width(self, shape: tf.TensorShape, what: str) -> None:
        width = shape[1:].num_elements() if shape.rank is not None else None
        if width is not None and width != self.width:
            unbatched = shape.rank == 0 or tuple(shape) == self.shape
            remedy = (
                "That looks like a single row: batch the dataset, `dataset.batch(batch_size)`."
                if unbatched
                else "Give numeric_column the shape that the feature has behind its batch dimension."
            )
            raise ValueError(
                f"numeric_column {self.key!r} with shape {self.shape} expected width {self.width}, received "
                f"{tuple(shape)} as {what}. {remedy}"
            )


def numeric_column(
    key: str,
    shape: int | Sequence[int] = (1,),
    default_value: Any = None,
    dtype: Any = tf.float32,
    normalizer_fn: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> NumericColumn:
    """Represents real-valued features.

    Args:
      key: name of the feature, and of the column.
      shape: shape of the feature without its batch dimension; an integer is the length of a vector.
      default_value: value for `tf.io.parse_example` where an example lacks the feature: one number for all elements,
        or nested lists of the given `shape`. None: such an example is an error.
      dtype: type in which `tf.io.parse_example` reads the feature; a floating or integer type. The column's own
        tensor is float32 in any case, and batches may come in any numeric type.
      normalizer_fn: function from the feature, `[B, *shape]` in the type that it comes in, to a tensor of the same
        shape. It should treat each row by itself.

    Returns:
      A dense column of `prod(shape)` values, named `key`.

    Raises:
      TypeError: if a dimension is no integer, `default_value` does not suit `dtype`, or `normalizer_fn` is not
        callable.
      ValueError: if a dimension is not positive, `dtype` is not numeric, `default_value` has another shape, or `key`
        is no string.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.numeric_column("age", normalizer_fn=lambda x: (x - 40.0) / 10.0)
      >>> fc.DenseFeatures([age])({"age": [30.0, 45.0]}).numpy()
      array([[-1. ],
             [ 0.5]], dtype=float32)
    """
    dimensions = checked_shape(shape, key)
    dtype = _checks.as_dtype(dtype)
    if not (dtype.is_integer or dtype.is_floating):
        raise ValueError(f"dtype must be convertible to float. dtype: {dtype}, key: {key}")
    default_value = _check_default_value(dimensions, default_value, dtype, key)
    if normalizer_fn is not None and not callable(normalizer_fn):
        raise TypeError(f"normalizer_fn must be a callable. Given: {normalizer_fn}")
    _checks.check_key(key)
    return NumericColumn(key, dimensions, default_value, dtype, normalizer_fn)


def checked_shape(shape: Any, key: object) -> tuple[int, ...]:
    """Returns a shape of integers; an integer is the length of a vector.

    Raises:
      TypeError: if a dimension is no integer.
      ValueError: if a dimension is not positive.
    """
    dimensions = tuple(shape) if isinstance(shape, Iterable) and not isinstance(shape, str) else (shape,)
    for dimension in dimensions:
        if not isinstance(dimension, int):
            raise TypeError(f"shape dimensions must be integer. shape: {dimensions}, key: {key}")
        if dimension < 1:
            raise ValueError(f"shape dimensions must be greater than 0. shape: {dimensions}, key: {key}")
    return dimensions


def _check_default_value(shape: tuple[int, ...], value: Any, dtype: tf.DType, key: object) -> Any:
    """Returns the default value as nested tuples of `shape`."""
    if value is None:
        return None
    if callable(getattr(value, "tolist", None)):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        if isinstance(value, int) or (isinstance(value, float) and dtype.is_floating):
            return _filled(shape, value)
    else:
        if not _has_shape(value, shape):
            raise ValueError(
                "The shape of default_value must be equal to given shape. "
                f"default_value: {value}, shape: {shape}, key: {key}"
            )
        allowed = (int, float) if dtype.is_floating else (int,)
        if all(isinstance(item, allowed) for item in tf.nest.flatten(value)):
            return _as_tuple(value)
    raise TypeError(f"default_value must be compatible with dtype. default_value: {value}, dtype: {dtype}, key: {key}")


def _filled(shape: tuple[int, ...], value: float) -> Any:
    return tuple(_filled(shape[1:], value) for _ in range(shape[0])) if shape else value


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    if not isinstance(value, list | tuple):
        return not shape
    return bool(shape) and len(value) == shape[0] and all(_has_shape(item, shape[1:]) for item in value)
