"""Ready-made deep networks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.estimators._canned_model import (
    ALL_FEATURES,
    Activation,
    CannedEstimator,
    classification_head,
    deep_part,
)
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one


class DNNClassifier(CannedEstimator):
    """Classifies with a deep network over feature columns.

    Hidden layers of `hidden_units`, then one logit (two classes) or one per class.

    Args:
      hidden_units: number of units in each hidden layer, such as `[64, 32]`.
      feature_columns: numeric, bucketized, indicator and embedding columns.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one. The
        function is called in each trace of the model.
      activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      batch_norm: whether each hidden layer is followed by batch normalisation.
      label_smoothing: see `headway.heads.BinaryClassHead`.
      class_weights: see `headway.heads.BinaryClassHead`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DNNClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0, 1, 1], batch_size=3, num_epochs=None)
      >>> model = DNNClassifier(hidden_units=[4], feature_columns=[x], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Optimizer = "Adagrad",
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        batch_norm: bool = False,
        *,
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        options = {"label_smoothing": label_smoothing, "class_weights": class_weights, "metrics": metrics}
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options),
            [deep_part(feature_columns, hidden_units, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DNNRegressor(CannedEstimator):
    """Predicts numbers with a deep network over feature columns.

    Hidden layers of `hidden_units`, then `label_dimension` outputs, trained on the squared error.

    Args:
      hidden_units: number of units in each hidden layer, such as `[64, 32]`.
      feature_columns: numeric, bucketized, indicator and embedding columns.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one. The
        function is called in each trace of the model.
      activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      batch_norm: whether each hidden layer is followed by batch normalisation.
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DNNRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0.0, 1.0, 2.0], batch_size=3, num_epochs=None)
      >>> model = DNNRegressor(hidden_units=[4], feature_columns=[x], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        optimizer: Optimizer = "Adagrad",
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        batch_norm: bool = False,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(
            RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics),
            [deep_part(feature_columns, hidden_units, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DNNEstimator(CannedEstimator):
    """A deep network over feature columns, with a head of the caller's.

    Hidden layers of `hidden_units`, then the logits that `head` turns into loss, metrics and predictions.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      hidden_units: number of units in each hidden layer, such as `[64, 32]`.
      feature_columns: numeric, bucketized, indicator and embedding columns.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one. The
        function is called in each trace of the model.
      activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      batch_norm: whether each hidden layer is followed by batch normalisation.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import DNNEstimator, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0.0, 1.0, 2.0], batch_size=3, num_epochs=None)
      >>> model = DNNEstimator(
      ...     heads.RegressionHead(), hidden_units=[4], feature_columns=[x], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        head: Head,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        optimizer: Optimizer = "Adagrad",
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(
            head,
            [deep_part(feature_columns, hidden_units, optimizer, activation_fn, dropout, batch_norm)],
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
