"""Keras preprocessing layers as columns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, FloatColumn, HostInputs
from headway.feature_columns._values import DenseRows, Ids

# One layer for each configuration: columns are values, made anew at will, and layers hold tables.
_layers: dict[tuple[Any, ...], Any] = {}


@dataclasses.dataclass(frozen=True)
class _LayerColumn(FeatureColumn):
    """What both kinds share.

    Attributes:
      keys: names of the features that the layer is called on.
      shape: shape of a row of each feature.
      dtype: type of the features.
      layer_config: the layer, as Keras serialises it, in JSON; what it has learnt is part of it.
      label: name of the column.
      size: numbers in a row of the layer's output, or the number of ids.
    """

    keys: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: tf.DType
    layer_config: str
    label: str
    size: int

    def __repr__(self) -> str:
        # A configuration may hold a vocabulary.
        layer = json.loads(self.layer_config)["class_name"]
        return f"{type(self).__name__}(label={self.label!r}, layer={layer}, keys={self.keys}, size={self.size})"

    @property
    def name(self) -> str:
        """Names of the features and of the layer's class, or the name that was given."""
        return self.label

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `FixedLenFeature` for each feature."""
        return {key: tf.io.FixedLenFeature(self.shape, self.dtype) for key in self.keys}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw features."""
        return list(self.keys)

    @property
    def layer(self) -> Any:
        """The layer; all columns of one configuration share it."""
        return _layer(self.layer_config, len(self.keys), self.shape, self.dtype)

    def resources(self) -> list[Any]:
        """The layer."""
        return [self.layer]

    def _output(self, inputs: HostInputs) -> tf.Tensor:
        tensors = [self._checked(key, inputs.tensor(key, column=self.name)) for key in self.keys]
        return self.layer(tensors[0] if len(tensors) == 1 else tensors)

    def _checked(self, key: str, tensor: Any) -> tf.Tensor:
        if not isinstance(tensor, tf.Tensor):
            raise ValueError(
                f"Column {self.name!r} needs a Tensor for its layer. Received: {type(tensor).__name__} for feature "
                f"{key!r}. Make it dense first."
            )
        if (tensor.dtype == tf.string) != (self.dtype == tf.string):
            raise ValueError(
                f"Column {self.name!r} was made for features of type {self.dtype}. Received: {tensor.dtype} for "
                f"feature {key!r}. Give preprocessing_column the `dtype` that the feature has."
            )
        if tensor.shape.rank == 1 and self.shape == (1,):
            tensor = tf.expand_dims(tensor, 1)
        if not tensor.shape[1:].is_compatible_with(self.shape):
            raise ValueError(
                f"Column {self.name!r} was made for features of shape {self.shape} behind the batch. Received: "
                f"{tuple(tensor.shape)} for feature {key!r}. Give preprocessing_column the `shape` that it has."
            )
        return tf.ensure_shape(tf.cast(tensor, self.dtype), [tensor.shape[0], *self.shape])


@dataclasses.dataclass(frozen=True, repr=False)
class PreprocessingColumn(_LayerColumn, FloatColumn):
    """What `preprocessing_column` returns for a layer that makes numbers."""

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[numbers in a row]`."""
        return tf.TensorShape([self.size])

    def host_floats(self, inputs: HostInputs) -> tf.Tensor:
        """Returns the layer's output, float32 `[B, width]`."""
        output = self._output(inputs)
        return tf.reshape(tf.cast(output, tf.float32), [tf.shape(output)[0], self.size])


@dataclasses.dataclass(frozen=True, repr=False)
class PreprocessingCategoricalColumn(_LayerColumn, CategoricalColumn):
    """What `preprocessing_column` returns for a layer that makes ids."""

    @property
    def num_buckets(self) -> int:
        """The number of ids."""
        return self.size

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the layer's output as ids."""
        output = tf.cast(self._output(inputs), tf.int64)
        if output.shape.rank == 1:
            return Ids(output, DenseRows(output, 1))
        width = output.shape[1:].num_elements()
        return Ids(tf.reshape(output, [-1]), DenseRows(output, width))


def _layer(config: str, inputs: int, shape: tuple[int, ...], dtype: tf.DType) -> Any:
    """Returns the layer, ready to be called in any function."""
    key = (config, inputs, shape, dtype)
    if key not in _layers:
        # Its tables and constants belong to no function that may be traced just now.
        with tf.init_scope():
            layer = keras.saving.deserialize_keras_object(json.loads(config))
            _call_on_one_row(layer, inputs, shape, dtype)
        _layers[key] = layer
    return _layers[key]


def _call_on_one_row(layer: Any, inputs: int, shape: tuple[int, ...], dtype: tf.DType) -> Any:
    row = tf.zeros([1, *shape], dtype)
    return layer(row if inputs == 1 else [row] * inputs)


def preprocessing_column(
    layer: Any,
    keys: str | Sequence[str],
    *,
    shape: Sequence[int] = (1,),
    dtype: Any = None,
    num_buckets: int | None = None,
    name: str | None = None,
) -> PreprocessingColumn | PreprocessingCategoricalColumn:
    """Represents features by what a Keras preprocessing layer makes of them.

    The layer runs in the host part, in the input pipeline ahead of the step, and is exported with the model. Adapt it
    before: the column takes a copy of its configuration and of what it has learnt. Layers that make integers
    (`StringLookup`, `IntegerLookup`, `Hashing`, `Discretization`, `HashedCrossing`, `TextVectorization`, with
    `output_mode="int"`) give a categorical column, all others a dense one. The id 0 of a `TextVectorization`, which
    fills up short texts, counts like any other; `text_column` has no such id.

    Args:
      layer: a preprocessing layer, adapted where it has something to learn; or any layer without variables that
        `keras.saving` can write.
      keys: name of the feature, or names of several, which the layer is called on as a list.
      shape: shape of a row of each feature; a feature `[B]` suits `(1,)`.
      dtype: type of the features. None: string for layers that read strings, float32 for others.
      num_buckets: number of ids, for layers that do not tell.
      name: name of the column. None: the keys and the layer's class, such as `age_normalization`.

    Returns:
      A dense column, or a categorical one.

    Raises:
      ValueError: if `layer` is no Keras layer, is not adapted, has variables, or cannot be called on such features; or
        if the number of ids is not known.

    Example:
      >>> import keras
      >>> from headway import feature_columns as fc
      >>> age = fc.preprocessing_column(keras.layers.Discretization(bin_boundaries=[18.0, 65.0]), "age")
      >>> age.name, age.num_buckets
      ('age_discretization', 3)
      >>> fc.DenseFeatures([fc.indicator_column(age)])({"age": [20.0, 70.0]}).numpy().tolist()
      [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    names = (keys,) if isinstance(keys, str) else tuple(keys)
    if not names:
        raise ValueError(f"`keys` of preprocessing_column must name a feature. Received: {keys!r}")
    for key in names:
        _checks.check_key(key)
    if not isinstance(layer, keras.layers.Layer):
        raise ValueError(f"`layer` of preprocessing_column must be a Keras layer. Received: {layer!r}")
    label = name or "_".join([*names, _snake(type(layer).__name__)])
    checked = _checks.as_dtype(dtype) if dtype is not None else _dtype_of(layer)
    config = _configuration(layer, label)
    row = tuple(int(size) for size in shape)
    output = _output_of(config, len(names), row, checked, label)
    # Layers that count ids, or mark those that are there, may do it in integers.
    if not output.dtype.is_integer or json.loads(config)["config"].get("output_mode", "int") != "int":
        return PreprocessingColumn(names, row, checked, config, label, int(output.shape[1:].num_elements()))
    with tf.init_scope():
        size = num_buckets if num_buckets is not None else _num_ids(_layer(config, len(names), row, checked))
    if size is None:
        raise ValueError(
            f"{layer!r} makes integers, but does not tell how many different ones. Give `num_buckets` to "
            f"preprocessing_column {label!r}."
        )
    _checks.check_positive(size, "num_buckets", f"preprocessing_column {label!r}")
    return PreprocessingCategoricalColumn(names, row, checked, config, label, size)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _dtype_of(layer: Any) -> tf.DType:
    kinds = (keras.layers.StringLookup, keras.layers.TextVectorization, keras.layers.Hashing)
    if isinstance(layer, kinds):
        return tf.string
    return tf.int64 if isinstance(layer, keras.layers.IntegerLookup) else tf.float32


def _configuration(layer: Any, label: str) -> str:
    """Returns the layer in JSON, with what it has learnt."""
    try:
        written = keras.saving.serialize_keras_object(layer)
        written["config"].update(_learnt(layer, written["config"], label))
        # Automatic names differ between layers that are alike.
        written["config"]["name"] = _snake(type(layer).__name__)
        # Built when it is called, on shapes of the column's.
        written.pop("build_config", None)
        return json.dumps(written, sort_keys=True)
    except TypeError as error:
        raise ValueError(
            f"`layer` of preprocessing_column {label!r} cannot be written by keras.saving: {error} A layer of your own "
            "needs `get_config` and `@keras.saving.register_keras_serializable()`."
        ) from error


def _learnt(layer: Any, settings: Any, label: str) -> dict[str, Any]:
    """Returns what `adapt` gave the layer, as settings: Keras leaves most of it out of a layer's configuration."""
    if hasattr(layer, "get_vocabulary"):
        vocabulary = settings.get("vocabulary")
        if vocabulary is None or isinstance(vocabulary, str):
            vocabulary = np.asarray(layer.get_vocabulary(include_special_tokens=False)).tolist()
        if not vocabulary:
            raise ValueError(_unadapted(layer, label))
        if settings.get("output_mode") != "tf_idf":
            return {"vocabulary": vocabulary}
        weights = settings.get("idf_weights")
        if weights is None and getattr(layer, "idf_weights", None) is not None:
            weights = tf.convert_to_tensor(layer.idf_weights).numpy()
        if weights is None:
            raise ValueError(
                f"`layer` of preprocessing_column {label!r} does not tell its weights of words. Give them as its "
                f"`idf_weights`, or take `output_mode='count'`. Received: {layer!r}"
            )
        # Those of words that it does not know stand before the others.
        return {"vocabulary": vocabulary, "idf_weights": np.asarray(weights).ravel()[-len(vocabulary) :].tolist()}
    if isinstance(layer, keras.layers.Normalization):
        if settings.get("mean") is not None:
            return {}
        if getattr(layer, "mean", None) is None:
            raise ValueError(_unadapted(layer, label))
        values = {"mean": layer.mean, "variance": layer.variance}
        return {name: np.squeeze(keras.ops.convert_to_numpy(value)).tolist() for name, value in values.items()}
    if isinstance(layer, keras.layers.Discretization):
        if layer.bin_boundaries is None:
            raise ValueError(_unadapted(layer, label))
    elif layer.weights:
        raise ValueError(
            f"`layer` of preprocessing_column {label!r} has variables, which belong into the model: call {layer!r} on "
            "the column's tensor instead."
        )
    return {}


def _unadapted(layer: Any, label: str) -> str:
    return (
        f"`layer` of preprocessing_column {label!r} has learnt nothing yet. Received: {layer!r}. Call "
        "`layer.adapt(data)` first, or give it what it should know."
    )


def _output_of(config: str, inputs: int, shape: tuple[int, ...], dtype: tf.DType, label: str) -> tf.Tensor:
    """Returns what the layer makes of one row."""
    try:
        with tf.init_scope():
            output = _call_on_one_row(_layer(config, inputs, shape, dtype), inputs, shape, dtype)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ValueError(
            f"The layer of preprocessing_column {label!r} cannot be called on features of shape {shape} and type "
            f"{dtype}: {error}"
        ) from error
    if not isinstance(output, tf.Tensor):
        raise ValueError(f"The layer of preprocessing_column {label!r} must return one Tensor. Received: {output}")
    return output


def _num_ids(layer: Any) -> int | None:
    if hasattr(layer, "vocabulary_size"):
        return int(layer.vocabulary_size())
    if isinstance(layer, keras.layers.Discretization):
        return len(layer.bin_boundaries) + 1
    bins = getattr(layer, "num_bins", None)
    return None if bins is None else int(bins)
