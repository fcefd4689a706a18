"""Ready-made linear models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headway.estimators._canned_model import (
    ALL_FEATURES,
    CannedEstimator,
    classification_head,
    linear_part,
)
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one


class LinearClassifier(CannedEstimator):
    """Classifies with a linear model over feature columns.

    A weight for each value or id of the columns, and a bias; all begin at zero.

    Args:
      feature_columns: columns of any kind.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      optimizer: name of a Keras optimizer (learning rate 0.2), an instance, or a function that returns one, called
        in each trace of the model. None for Ftrl with the smaller of 0.2 and 1 / sqrt(number of columns). Or a
        `LinearSDCA`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      sparse_combiner: how the weights of several values in a row are combined: "sum", "mean" or "sqrtn".
      label_smoothing: see `headway.heads.BinaryClassHead`.
      class_weights: see `headway.heads.BinaryClassHead`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import LinearClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0, 1, 1], batch_size=3, num_epochs=None)
      >>> model = LinearClassifier(feature_columns=[x], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Optimizer | None = "Ftrl",
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        sparse_combiner: str = "sum",
        *,
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        options = {"label_smoothing": label_smoothing, "class_weights": class_weights, "metrics": metrics}
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options),
            [linear_part(feature_columns, optimizer, sparse_combiner)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class LinearRegressor(CannedEstimator):
    """Predicts numbers with a linear model over feature columns.

    A weight for each value or id of the columns, and a bias, trained on the squared error; all begin at zero.

    Args:
      feature_columns: columns of any kind.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      optimizer: name of a Keras optimizer (learning rate 0.2), an instance, or a function that returns one, called
        in each trace of the model. None for Ftrl with the smaller of 0.2 and 1 / sqrt(number of columns). Or a
        `LinearSDCA`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      sparse_combiner: how the weights of several values in a row are combined: "sum", "mean" or "sqrtn".
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import LinearRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0.0, 1.0, 2.0], batch_size=3, num_epochs=None)
      >>> model = LinearRegressor(feature_columns=[x], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        optimizer: Optimizer | None = "Ftrl",
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        sparse_combiner: str = "sum",
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(
            RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics),
            [linear_part(feature_columns, optimizer, sparse_combiner)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class LinearEstimator(CannedEstimator):
    """A linear model over feature columns, with a head of the caller's.

    A weight for each value or id of the columns, and a bias, give the logits of `head`.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      feature_columns: columns of any kind.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      optimizer: name of a Keras optimizer (learning rate 0.2), an instance, or a function that returns one, called
        in each trace of the model. None for Ftrl with the smaller of 0.2 and 1 / sqrt(number of columns). Or a
        `LinearSDCA`.
      config: a `RunConfig`.
      sparse_combiner: how the weights of several values in a row are combined: "sum", "mean" or "sqrtn".
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import LinearEstimator, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = fc.numeric_column("x")
      >>> rows = from_arrays({"x": [0.0, 1.0, 2.0]}, [0.0, 1.0, 2.0], batch_size=3, num_epochs=None)
      >>> model = LinearEstimator(heads.RegressionHead(), feature_columns=[x], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        head: Head,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        optimizer: Optimizer | None = "Ftrl",
        config: RunConfig | None = None,
        sparse_combiner: str = "sum",
        warm_start_from: Any = None,
    ) -> None:
        super().__init__(
            head,
            [linear_part(feature_columns, optimizer, sparse_combiner)],
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
