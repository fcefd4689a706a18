"""Keras layers on top of columns, for model functions and Keras models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from headway._tensorflow import set_keras_mask
from headway.feature_columns import _checks
from headway.feature_columns._device import (
    check_linear,
    dense_tensor,
    linear_logits,
    linear_variables,
    sequence_tensor,
)
from headway.feature_columns._protocol import FeatureColumn, Initializer
from headway.feature_columns._raw_batch import as_tensor
from headway.feature_columns._transform import ColumnTransform
from headway.feature_columns._variables import WithSlashes


class _Scope(keras.layers.Layer):
    """Holds the variables of one column, so that the column's name is part of their path."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.built = True


class _ColumnsLayer(keras.layers.Layer):
    """A layer that is called on a dict of features."""

    def __init__(self, columns: Iterable[FeatureColumn], trainable: bool, name: str | None) -> None:
        # Features keep their own types: the columns convert them.
        super().__init__(trainable=trainable, name=name, dtype="float32", autocast=False)
        self._transform = ColumnTransform(columns)

    def __call__(self, features: Mapping[str, Any], **kwargs: Any) -> Any:
        """Calls the layer on a dict of tensors, or of what converts to tensors; `kwargs` are for Keras."""
        if not isinstance(features, Mapping):
            raise ValueError(
                f"We expected a dictionary here. Instead we got: {features!r}. Pass features as {{name: values}}."
            )
        symbolic = keras.KerasTensor
        tensors = {k: v if isinstance(v, symbolic) else as_tensor(k, v) for k, v in features.items()}
        return super().__call__(tensors, **kwargs)

    @property
    def feature_columns(self) -> tuple[FeatureColumn, ...]:
        """The columns in the order of their names."""
        return self._transform.columns

    def _variable(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        """Returns the TensorFlow variable of that name; `build` makes it, `call` finds it."""
        scope, _, leaf = name.rpartition("/")
        holder = self._scope(scope) if scope else self
        attribute = f"variable_{leaf}"
        weight = getattr(holder, attribute, None)
        if weight is None:
            # Without autocast `value` is the variable itself, which is looked up without being copied.
            trainable = trainable and self.trainable
            with contextlib.ExitStack() as opened:
                for part in scope.split("/")[:-1]:
                    opened.enter_context(keras.name_scope(part))
                weight = holder.add_weight(
                    name=leaf,
                    shape=shape,
                    initializer=initializer,
                    dtype=dtype.name,
                    trainable=trainable,
                    autocast=False,
                )
            # TensorFlow tracks variables and layers that are attributes, for exported models and checkpoints.
            setattr(holder, attribute, weight)
        return weight.value

    def _scope(self, name: str) -> keras.layers.Layer:
        # Keras stores weights in files under the names of attributes, where a slash means a group.
        attribute = f"column_{name.replace('/', '>')}"
        scope = getattr(self, attribute, None)
        if scope is None:
            scope = _Scope(name.rpartition("/")[2])
            setattr(self, attribute, scope)
        return scope


class DenseFeatures(_ColumnsLayer):
    """Puts dense columns side by side, in the order of their names.

    Args:
      feature_columns: numeric, bucketized, indicator and embedding columns, each of another name.
      trainable: whether training changes the layer's variables.
      name: name of the layer.

    Call arguments:
      features: dict of raw features, or what a `ColumnTransform` made of them.

    Output:
      float32 `[B, sum of widths]`.

    Raises:
      ValueError: if a column is not dense or two have one name. When called: if a feature is missing, or its type or
        shape does not suit its column.

    Example:
      >>> from headway import feature_columns as fc
      >>> layer = fc.DenseFeatures([fc.numeric_column("b", shape=2), fc.numeric_column("a")])
      >>> layer({"a": [1, 2], "b": [[3, 4], [5, 6]]}).numpy()
      array([[1., 3., 4.],
             [2., 5., 6.]], dtype=float32)
    """

    def __init__(
        self, feature_columns: Iterable[FeatureColumn] | FeatureColumn, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(_checks.dense_columns(feature_columns), trainable, name)

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables."""
        del input_shape
        for column in _checks.dense_columns(self.feature_columns):
            column.make_variables(WithSlashes(self._variable))

    def call(self, features: Mapping[str, Any]) -> tf.Tensor:
        """Returns float32 `[B, sum of widths]`."""
        return dense_tensor(self.feature_columns, self._transform(features), WithSlashes(self._variable))


class SequenceFeatures(_ColumnsLayer):
    """Puts sequence columns side by side, in the order of their names.

    What it returns goes into a recurrent Keras layer as it is: it carries the mask of the steps that are there.

    Args:
      feature_columns: `sequence_numeric_column`s, and embedding and indicator columns over
        `sequence_categorical_column_with_*`, each of another name.
      trainable: whether training changes the layer's variables.
      name: name of the layer.

    Call arguments:
      features: dict of raw features, dense, sparse or ragged, or what a `ColumnTransform` made of them.

    Output:
      A tuple of the sequences, float32 `[B, T, sum of widths]`, and the number of steps of each row, int64 `[B]`. T is
      the number of steps of the longest row of a ragged feature, and the second dimension of any other.

    Raises:
      ValueError: if a column is no sequence or two have one name. When called: if a feature is missing, or its type or
        shape does not suit its column.

    Example:
      >>> from headway import feature_columns as fc
      >>> word = fc.sequence_categorical_column_with_hash_bucket("words", 100)
      >>> layer = fc.SequenceFeatures([fc.embedding_column(word, 8)])
      >>> steps, lengths = layer({"words": tf.ragged.constant([["it", "rains"], ["sun"]])})
      >>> steps.shape, lengths.numpy().tolist()
      (TensorShape([2, 2, 8]), [2, 1])
      >>> keras.layers.GRU(4)(steps).shape
      TensorShape([2, 4])
    """

    def __init__(
        self, feature_columns: Iterable[FeatureColumn] | FeatureColumn, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(_checks.sequence_columns(feature_columns), trainable, name)

    def __call__(self, features: Mapping[str, Any], **kwargs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Calls the layer on a dict of tensors, or of what converts to tensors; `kwargs` are for Keras."""
        steps, lengths = super().__call__(features, **kwargs)
        if isinstance(steps, tf.Tensor):
            set_keras_mask(steps, tf.sequence_mask(lengths, tf.shape(steps)[1]))
        return steps, lengths

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables."""
        del input_shape
        for column in _checks.sequence_columns(self.feature_columns):
            column.make_variables(self._variable)

    def call(self, features: Mapping[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns float32 `[B, T, sum of widths]` and int64 `[B]`."""
        return sequence_tensor(self.feature_columns, self._transform(features), self._variable)


class LinearModel(_ColumnsLayer):
    """A linear model of columns: a weight for each id, or for each value of a dense column, plus a bias.

    All of them begin at zero.

    Args:
      feature_columns: dense and categorical columns, each of another name.
      units: number of outputs.
      sparse_combiner: how the weights of a row's ids are combined: "sum", "mean" or "sqrtn".
      trainable: whether training changes the layer's variables.
      name: name of the layer.

    Call arguments:
      features: dict of raw features, or what a `ColumnTransform` made of them.

    Output:
      float32 `[B, units]`.

    Raises:
      ValueError: if two columns have one name, `units` or `sparse_combiner` is none. When called: if a feature is
        missing, or its type or shape does not suit its column.

    Example:
      >>> from headway import feature_columns as fc
      >>> model = fc.LinearModel([fc.categorical_column_with_identity("day", 7)], units=2, name="wide")
      >>> model({"day": [0, 6]}).shape
      TensorShape([2, 2])
      >>> [weight.path for weight in model.weights]
      ['wide/bias_weights', 'wide/day/weights']
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn] | FeatureColumn,
        units: int = 1,
        sparse_combiner: str = "sum",
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        columns = check_linear(feature_columns, units, sparse_combiner)
        super().__init__(columns, trainable, name)
        self._units = units
        self._sparse_combiner = sparse_combiner

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables."""
        del input_shape
        linear_variables(list(self.feature_columns), self._units, self._variable)

    def call(self, features: Mapping[str, Any]) -> tf.Tensor:
        """Returns float32 `[B, units]`."""
        transformed = self._transform(features)
        return linear_logits(self.feature_columns, transformed, self._units, self._variable, self._sparse_combiner)
