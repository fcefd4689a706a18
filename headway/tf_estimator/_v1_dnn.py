"""Deep networks as tf.compat.v1.estimator has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from headway import estimators
from headway.estimators._canned_model import Activation
from headway.estimators._run_config import RunConfig
from headway.estimators._v1_canned_optimizers import V1OptimizerMaker
from headway.feature_columns import FeatureColumn
from headway.heads import Head
from headway.tf_estimator._v1_canned import SUM, Optimizer, V1Canned, note_partitioner

# The learning rate of an optimizer that is given by name.
_RATE = 0.05


class DNNClassifier(estimators.DNNClassifier, V1Canned):
    """Classifies with a deep network trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.DNNClassifier`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      hidden_units: see `headway.DNNClassifier`.
      feature_columns: see `headway.DNNClassifier`.
      model_dir: see `headway.DNNClassifier`.
      n_classes: see `headway.DNNClassifier`.
      weight_column: see `headway.DNNClassifier`.
      label_vocabulary: see `headway.DNNClassifier`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.05), an optimizer of
        `tf.compat.v1.train`, or a function that returns one.
      activation_fn: see `headway.DNNClassifier`.
      dropout: see `headway.DNNClassifier`.
      input_layer_partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      config: see `headway.DNNClassifier`.
      warm_start_from: see `headway.DNNClassifier`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.
      batch_norm: see `headway.DNNClassifier`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.DNNClassifier(hidden_units=[4], feature_columns=[x])
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
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(
            hidden_units=hidden_units,
            feature_columns=feature_columns,
            model_dir=model_dir,
            n_classes=n_classes,
            weight_column=weight_column,
            label_vocabulary=label_vocabulary,
            optimizer=_maker(optimizer, input_layer_partitioner),
            activation_fn=activation_fn,
            dropout=dropout,
            config=config,
            warm_start_from=warm_start_from,
            loss_reduction=loss_reduction,
            batch_norm=batch_norm,
        )


class DNNRegressor(estimators.DNNRegressor, V1Canned):
    """Predicts numbers with a deep network trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.DNNRegressor`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      hidden_units: see `headway.DNNRegressor`.
      feature_columns: see `headway.DNNRegressor`.
      model_dir: see `headway.DNNRegressor`.
      label_dimension: see `headway.DNNRegressor`.
      weight_column: see `headway.DNNRegressor`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.05), an optimizer of
        `tf.compat.v1.train`, or a function that returns one.
      activation_fn: see `headway.DNNRegressor`.
      dropout: see `headway.DNNRegressor`.
      input_layer_partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      config: see `headway.DNNRegressor`.
      warm_start_from: see `headway.DNNRegressor`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.
      batch_norm: see `headway.DNNRegressor`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.DNNRegressor(hidden_units=[4], feature_columns=[x])
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
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(
            hidden_units=hidden_units,
            feature_columns=feature_columns,
            model_dir=model_dir,
            label_dimension=label_dimension,
            weight_column=weight_column,
            optimizer=_maker(optimizer, input_layer_partitioner),
            activation_fn=activation_fn,
            dropout=dropout,
            config=config,
            warm_start_from=warm_start_from,
            loss_reduction=loss_reduction,
            batch_norm=batch_norm,
        )


class DNNEstimator(estimators.DNNEstimator, V1Canned):
    """A head of the caller's on a deep network trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.DNNEstimator`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      head: see `headway.DNNEstimator`.
      hidden_units: see `headway.DNNEstimator`.
      feature_columns: see `headway.DNNEstimator`.
      model_dir: see `headway.DNNEstimator`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.05), an optimizer of
        `tf.compat.v1.train`, or a function that returns one.
      activation_fn: see `headway.DNNEstimator`.
      dropout: see `headway.DNNEstimator`.
      input_layer_partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      config: see `headway.DNNEstimator`.
      warm_start_from: see `headway.DNNEstimator`.
      batch_norm: see `headway.DNNEstimator`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.DNNEstimator(heads.RegressionHead(), hidden_units=[4], feature_columns=[x])
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
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(
            head=head,
            hidden_units=hidden_units,
            feature_columns=feature_columns,
            model_dir=model_dir,
            optimizer=_maker(optimizer, input_layer_partitioner),
            activation_fn=activation_fn,
            dropout=dropout,
            config=config,
            warm_start_from=warm_start_from,
            batch_norm=batch_norm,
        )


def _maker(optimizer: Optimizer, partitioner: Any) -> V1OptimizerMaker:
    note_partitioner("input_layer_partitioner", partitioner)
    return V1OptimizerMaker(
        optimizer,
        _RATE,
        slots="t_0/",
        scope="dnn/head/",
        partitioner=partitioner,
        partitioned="dnn/input_from_feature_columns/",
    )
