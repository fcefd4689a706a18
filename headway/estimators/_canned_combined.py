"""Ready-made wide and deep models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.estimators._canned_model import (
    ALL_FEATURES,
    Activation,
    CannedEstimator,
    DeepPart,
    LinearPart,
    classification_head,
    deep_part,
    linear_part,
)
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one


class _Combined(CannedEstimator):
    def __init__(self, head: Head, deep: DeepPart | None, linear: LinearPart | None, *args: Any, **kwargs: Any) -> None:
        if deep is None and linear is None:
            raise ValueError(
                "Either linear_feature_columns or dnn_feature_columns must be defined. Received neither: pass a list "
                "of columns as one of them, or as both."
            )
        super().__init__(head, [part for part in (deep, linear) if part is not None], *args, **kwargs)


def _deep(
    columns: Iterable[FeatureColumn] | None,
    hidden_units: Sequence[int] | None,
    optimizer: Optimizer,
    activation_fn: Activation,
    dropout: float | None,
    batch_norm: bool,
) -> DeepPart | None:
    columns = _listed(columns)
    if not columns:
        return None
    if not hidden_units:
        raise ValueError(
            "dnn_hidden_units must be defined when dnn_feature_columns is specified. Pass the number of units in each "
            f"hidden layer, such as [64, 32]. Received: {hidden_units!r}."
        )
    return deep_part(columns, hidden_units, optimizer, activation_fn, dropout, batch_norm, prefix="dnn_")


def _linear(columns: Iterable[FeatureColumn] | None, optimizer: Optimizer, sparse_combiner: str) -> LinearPart | None:
    columns = _listed(columns)
    return linear_part(columns, optimizer, sparse_combiner, combined=True) if columns else None


def _listed(columns: Any) -> Any:
    """Returns columns that come from an iterator as a list, so that asking whether there are any uses none up."""
    return list(columns) if hasattr(columns, "__next__") else columns


class DNNLinearCombinedClassifier(_Combined):
    """Classifies with a wide and deep model: a linear model and a deep network whose logits are added.

    Cheng et al. 2016, https://arxiv.org/abs/1606.07792. Each part has columns and an optimizer of its own.

    Args:
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      linear_feature_columns: columns of any kind, of the linear part; None for no linear part.
      linear_optimizer: the same for the linear part (by name: the smaller of 0.005 and 1 / sqrt(number of
        columns)).
      dnn_feature_columns: numeric, bucketized, indicator and embedding columns of the deep part; None for no deep
        part.
      dnn_optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one,
        for the deep part.
      dnn_hidden_units: number of units in each hidden layer, such as `[64, 32]`; needed with `dnn_feature_columns`.
      dnn_activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dnn_dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      batch_norm: whether each hidden layer is followed by batch normalisation.
      linear_sparse_combiner: how the linear part combines the weights of several values in a row: "sum", "mean" or
        "sqrtn".
      label_smoothing: see `headway.heads.BinaryClassHead`.
      class_weights: see `headway.heads.BinaryClassHead`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DNNLinearCombinedClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0, 1, 1], batch_size=3, num_epochs=None)
      >>> model = DNNLinearCombinedClassifier(
      ...     linear_feature_columns=[x], dnn_feature_columns=[x], dnn_hidden_units=[4],
      ...     config=RunConfig(progress="none"),
      ... )
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        linear_feature_columns: Iterable[FeatureColumn] | None = None,
        linear_optimizer: Optimizer = "Ftrl",
        dnn_feature_columns: Iterable[FeatureColumn] | None = None,
        dnn_optimizer: Optimizer = "Adagrad",
        dnn_hidden_units: Sequence[int] | None = None,
        dnn_activation_fn: Activation = tf.nn.relu,
        dnn_dropout: float | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
        *,
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        options = {"label_smoothing": label_smoothing, "class_weights": class_weights, "metrics": metrics}
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options),
            _deep(dnn_feature_columns, dnn_hidden_units, dnn_optimizer, dnn_activation_fn, dnn_dropout, batch_norm),
            _linear(linear_feature_columns, linear_optimizer, linear_sparse_combiner),
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DNNLinearCombinedRegressor(_Combined):
    """Predicts numbers with a wide and deep model: a linear model and a deep network whose outputs are added.

    Cheng et al. 2016, https://arxiv.org/abs/1606.07792. Each part has columns and an optimizer of its own.

    Args:
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      linear_feature_columns: columns of any kind, of the linear part; None for no linear part.
      linear_optimizer: the same for the linear part (by name: the smaller of 0.005 and 1 / sqrt(number of
        columns)).
      dnn_feature_columns: numeric, bucketized, indicator and embedding columns of the deep part; None for no deep
        part.
      dnn_optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one,
        for the deep part.
      dnn_hidden_units: number of units in each hidden layer, such as `[64, 32]`; needed with `dnn_feature_columns`.
      dnn_activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dnn_dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      batch_norm: whether each hidden layer is followed by batch normalisation.
      linear_sparse_combiner: how the linear part combines the weights of several values in a row: "sum", "mean" or
        "sqrtn".
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DNNLinearCombinedRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0.0, 1.0, 2.0], batch_size=3, num_epochs=None)
      >>> model = DNNLinearCombinedRegressor(
      ...     linear_feature_columns=[x], dnn_feature_columns=[x], dnn_hidden_units=[4],
      ...     config=RunConfig(progress="none"),
      ... )
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        linear_feature_columns: Iterable[FeatureColumn] | None = None,
        linear_optimizer: Optimizer = "Ftrl",
        dnn_feature_columns: Iterable[FeatureColumn] | None = None,
        dnn_optimizer: Optimizer = "Adagrad",
        dnn_hidden_units: Sequence[int] | None = None,
        dnn_activation_fn: Activation = tf.nn.relu,
        dnn_dropout: float | None = None,
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(
            RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics),
            _deep(dnn_feature_columns, dnn_hidden_units, dnn_optimizer, dnn_activation_fn, dnn_dropout, batch_norm),
            _linear(linear_feature_columns, linear_optimizer, linear_sparse_combiner),
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DNNLinearCombinedEstimator(_Combined):
    """A wide and deep model with a head of the caller's.

    Cheng et al. 2016, https://arxiv.org/abs/1606.07792. Each part has columns and an optimizer of its own.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      linear_feature_columns: columns of any kind, of the linear part; None for no linear part.
      linear_optimizer: the same for the linear part (by name: the smaller of 0.005 and 1 / sqrt(number of
        columns)).
      dnn_feature_columns: numeric, bucketized, indicator and embedding columns of the deep part; None for no deep
        part.
      dnn_optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one,
        for the deep part.
      dnn_hidden_units: number of units in each hidden layer, such as `[64, 32]`; needed with `dnn_feature_columns`.
      dnn_activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dnn_dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      config: a `RunConfig`.
      batch_norm: whether each hidden layer is followed by batch normalisation.
      linear_sparse_combiner: how the linear part combines the weights of several values in a row: "sum", "mean" or
        "sqrtn".
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import DNNLinearCombinedEstimator, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0.0, 1.0, 2.0], batch_size=3, num_epochs=None)
      >>> model = DNNLinearCombinedEstimator(
      ...     heads.RegressionHead(),
      ...     linear_feature_columns=[x], dnn_feature_columns=[x], dnn_hidden_units=[4],
      ...     config=RunConfig(progress="none"),
      ... )
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        head: Head,
        model_dir: str | os.PathLike[str] | None = None,
        linear_feature_columns: Iterable[FeatureColumn] | None = None,
        linear_optimizer: Optimizer = "Ftrl",
        dnn_feature_columns: Iterable[FeatureColumn] | None = None,
        dnn_optimizer: Optimizer = "Adagrad",
        dnn_hidden_units: Sequence[int] | None = None,
        dnn_activation_fn: Activation = tf.nn.relu,
        dnn_dropout: float | None = None,
        config: RunConfig | None = None,
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
        *,
        warm_start_from: Any = None,
    ) -> None:
        super().__init__(
            head,
            _deep(dnn_feature_columns, dnn_hidden_units, dnn_optimizer, dnn_activation_fn, dnn_dropout, batch_norm),
            _linear(linear_feature_columns, linear_optimizer, linear_sparse_combiner),
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
