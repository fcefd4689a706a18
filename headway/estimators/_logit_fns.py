"""The parts of ready-made models as functions, for a `model_fn` of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from headway import feature_columns as fc
from headway._spec import ModeKeys
from headway.estimators._canned_model import Activation, Part, deep_part, linear_part
from headway.estimators._model import argument_names

# The model_fn has an optimizer of its own.
_UNUSED = "SGD"


def call_logit_fn(logit_fn: Callable[..., Any], features: Any, mode: str, params: Any, config: Any) -> Any:
    """Calls a function that computes logits, with those of the arguments that it takes.

    Args:
      logit_fn: takes `features`, and as it wants `mode`, `params` and `config`.
      features: the features of a batch.
      mode: a `ModeKeys` value.
      params: anything.
      config: a `RunConfig`.

    Returns:
      What the function returns: a tensor, or a dict of tensors by name.

    Raises:
      ValueError: if it returns anything else.

    Example:
      >>> def logit_fn(features, mode):
      ...     return 2 * features["x"]
      >>> float(call_logit_fn(logit_fn, {"x": tf.constant(3.0)}, "eval", None, None))
      6.0
    """
    names = argument_names(logit_fn)
    given = {"mode": mode, "params": params, "config": config}
    result = logit_fn(features=features, **{name: value for name, value in given.items() if name in names})
    named = result if isinstance(result, dict) else {"": result}
    if not all(isinstance(name, str) and isinstance(value, tf.Tensor) for name, value in named.items()):
        raise ValueError(
            "logit_fn should return a Tensor or a dictionary mapping strings to Tensors. logit_fn returned: "
            f"{result!r}."
        )
    return result


def dnn_logit_fn_builder(
    units: int,
    hidden_units: Sequence[int],
    feature_columns: Iterable[fc.FeatureColumn],
    activation_fn: Activation,
    dropout: float | None,
    input_layer_partitioner: Any,
    batch_norm: bool,
) -> Callable[..., tf.Tensor]:
    """Returns a function that computes the logits of a deep network, to be called inside a `model_fn`.

    Args:
      units: number of logits.
      hidden_units: number of units in each hidden layer.
      feature_columns: dense columns.
      activation_fn: of the hidden layers; a function, its name in Keras, or None for none.
      dropout: probability of dropping a value behind a hidden layer, or None.
      input_layer_partitioner: not used: a `tf.distribute` strategy decides where parts of variables lie.
      batch_norm: whether each hidden layer is followed by batch normalisation.

    Returns:
      `logit_fn(features, mode)`, which returns float32 `[B, units]`. Its variables are called as those of
      `DNNClassifier`, without "dnn/": give them a scope.

    Raises:
      ValueError: if an argument is not as above.

    Example:
      >>> x = fc.numeric_column("x")
      >>> logit_fn = dnn_logit_fn_builder(3, [4], [x], tf.nn.relu, None, None, False)
      >>> logit_fn({"x": tf.constant([1.0, 2.0])}, "eval").shape
      TensorShape([2, 3])
    """
    del input_layer_partitioner
    part = deep_part(feature_columns, hidden_units, _UNUSED, activation_fn, dropout, batch_norm)
    part = dataclasses.replace(part, scope="")
    _check_units(units)

    def dnn_logit_fn(features: Any, mode: str) -> tf.Tensor:
        return _logits(part, features, units, training=mode == ModeKeys.TRAIN)

    return dnn_logit_fn


def linear_logit_fn_builder(
    units: int, feature_columns: Iterable[fc.FeatureColumn], sparse_combiner: str = "sum"
) -> Callable[..., tf.Tensor]:
    """Returns a function that computes the logits of a linear model, to be called inside a `model_fn`.

    Args:
      units: number of logits.
      feature_columns: columns of any kind.
      sparse_combiner: how the weights of several values in a row are combined: "sum", "mean" or "sqrtn".

    Returns:
      `logit_fn(features)`, which returns float32 `[B, units]`. Its variables are called
      `linear_model/...`.

    Raises:
      ValueError: if an argument is not as above.

    Example:
      >>> logit_fn = linear_logit_fn_builder(2, [fc.numeric_column("x")])
      >>> logit_fn({"x": tf.constant([1.0])}).numpy()
      array([[0., 0.]], dtype=float32)
    """
    part = dataclasses.replace(linear_part(feature_columns, _UNUSED, sparse_combiner), scope="")
    _check_units(units)

    def linear_logit_fn(features: Any) -> tf.Tensor:
        return _logits(part, features, units, training=False)

    return linear_logit_fn


def _logits(part: Part, features: Any, units: int, *, training: bool) -> tf.Tensor:
    if not fc.is_transformed(features):
        features = fc.ColumnTransform(list(part.columns))(features)
    logits, _ = part.logits(features, units, {}, training=training, seed=None)
    return logits


def _check_units(units: Any) -> None:
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise ValueError(f"`units` must be an integer >= 1: the number of logits. Received: {units!r}.")
