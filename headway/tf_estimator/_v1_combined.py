"""Wide and deep models as tf.compat.v1.estimator has them."""

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
from headway.tf_estimator._v1_canned import SUM, Optimizer, V1Canned, falling_rate, listed, note_partitioner

# The learning rates of optimizers that are given by name.
_DEEP_RATE = 0.001
_LINEAR_RATE = 0.005


class DNNLinearCombinedClassifier(estimators.DNNLinearCombinedClassifier, V1Canned):
    """Classifies with a wide and deep model, trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.DNNLinearCombinedClassifier`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      model_dir: see `headway.DNNLinearCombinedClassifier`.
      linear_feature_columns: see `headway.DNNLinearCombinedClassifier`.
      linear_optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate the smaller of 0.005 and
        1 / sqrt(number of columns)), an optimizer of `tf.compat.v1.train`, or a function that returns one.
      dnn_feature_columns: see `headway.DNNLinearCombinedClassifier`.
      dnn_optimizer: the same for the deep part (by name: learning rate 0.001).
      dnn_hidden_units: see `headway.DNNLinearCombinedClassifier`.
      dnn_activation_fn: see `headway.DNNLinearCombinedClassifier`.
      dnn_dropout: see `headway.DNNLinearCombinedClassifier`.
      n_classes: see `headway.DNNLinearCombinedClassifier`.
      weight_column: see `headway.DNNLinearCombinedClassifier`.
      label_vocabulary: see `headway.DNNLinearCombinedClassifier`.
      input_layer_partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      config: see `headway.DNNLinearCombinedClassifier`.
      warm_start_from: see `headway.DNNLinearCombinedClassifier`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.
      batch_norm: see `headway.DNNLinearCombinedClassifier`.
      linear_sparse_combiner: see `headway.DNNLinearCombinedClassifier`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.DNNLinearCombinedClassifier(linear_feature_columns=[x])
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
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
    ) -> None:
        linear_feature_columns = listed(linear_feature_columns)
        note_partitioner("input_layer_partitioner", input_layer_partitioner)
        super().__init__(
            model_dir=model_dir,
            linear_feature_columns=linear_feature_columns,
            linear_optimizer=_linear_maker(linear_optimizer, linear_feature_columns),
            dnn_feature_columns=dnn_feature_columns,
            dnn_optimizer=_deep_maker(dnn_optimizer),
            dnn_hidden_units=dnn_hidden_units,
            dnn_activation_fn=dnn_activation_fn,
            dnn_dropout=dnn_dropout,
            n_classes=n_classes,
            weight_column=weight_column,
            label_vocabulary=label_vocabulary,
            config=config,
            warm_start_from=warm_start_from,
            loss_reduction=loss_reduction,
            batch_norm=batch_norm,
            linear_sparse_combiner=linear_sparse_combiner,
        )


class DNNLinearCombinedRegressor(estimators.DNNLinearCombinedRegressor, V1Canned):
    """Predicts numbers with a wide and deep model, trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.DNNLinearCombinedRegressor`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      model_dir: see `headway.DNNLinearCombinedRegressor`.
      linear_feature_columns: see `headway.DNNLinearCombinedRegressor`.
      linear_optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate the smaller of 0.005 and
        1 / sqrt(number of columns)), an optimizer of `tf.compat.v1.train`, or a function that returns one.
      dnn_feature_columns: see `headway.DNNLinearCombinedRegressor`.
      dnn_optimizer: the same for the deep part (by name: learning rate 0.001).
      dnn_hidden_units: see `headway.DNNLinearCombinedRegressor`.
      dnn_activation_fn: see `headway.DNNLinearCombinedRegressor`.
      dnn_dropout: see `headway.DNNLinearCombinedRegressor`.
      label_dimension: see `headway.DNNLinearCombinedRegressor`.
      weight_column: see `headway.DNNLinearCombinedRegressor`.
      input_layer_partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      config: see `headway.DNNLinearCombinedRegressor`.
      warm_start_from: see `headway.DNNLinearCombinedRegressor`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.
      batch_norm: see `headway.DNNLinearCombinedRegressor`.
      linear_sparse_combiner: see `headway.DNNLinearCombinedRegressor`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.DNNLinearCombinedRegressor(linear_feature_columns=[x])
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
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
    ) -> None:
        linear_feature_columns = listed(linear_feature_columns)
        note_partitioner("input_layer_partitioner", input_layer_partitioner)
        super().__init__(
            model_dir=model_dir,
            linear_feature_columns=linear_feature_columns,
            linear_optimizer=_linear_maker(linear_optimizer, linear_feature_columns),
            dnn_feature_columns=dnn_feature_columns,
            dnn_optimizer=_deep_maker(dnn_optimizer),
            dnn_hidden_units=dnn_hidden_units,
            dnn_activation_fn=dnn_activation_fn,
            dnn_dropout=dnn_dropout,
            label_dimension=label_dimension,
            weight_column=weight_column,
            config=config,
            warm_start_from=warm_start_from,
            loss_reduction=loss_reduction,
            batch_norm=batch_norm,
            linear_sparse_combiner=linear_sparse_combiner,
        )


class DNNLinearCombinedEstimator(estimators.DNNLinearCombinedEstimator, V1Canned):
    """A head of the caller's on a wide and deep model, trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.DNNLinearCombinedEstimator`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      head: see `headway.DNNLinearCombinedEstimator`.
      model_dir: see `headway.DNNLinearCombinedEstimator`.
      linear_feature_columns: see `headway.DNNLinearCombinedEstimator`.
      linear_optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate the smaller of 0.005 and
        1 / sqrt(number of columns)), an optimizer of `tf.compat.v1.train`, or a function that returns one.
      dnn_feature_columns: see `headway.DNNLinearCombinedEstimator`.
      dnn_optimizer: the same for the deep part (by name: learning rate 0.001).
      dnn_hidden_units: see `headway.DNNLinearCombinedEstimator`.
      dnn_activation_fn: see `headway.DNNLinearCombinedEstimator`.
      dnn_dropout: see `headway.DNNLinearCombinedEstimator`.
      input_layer_partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      config: see `headway.DNNLinearCombinedEstimator`.
      batch_norm: see `headway.DNNLinearCombinedEstimator`.
      linear_sparse_combiner: see `headway.DNNLinearCombinedEstimator`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.DNNLinearCombinedEstimator(heads.RegressionHead(), linear_feature_columns=[x])
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
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        batch_norm: bool = False,
        linear_sparse_combiner: str = "sum",
    ) -> None:
        linear_feature_columns = listed(linear_feature_columns)
        note_partitioner("input_layer_partitioner", input_layer_partitioner)
        super().__init__(
            head=head,
            model_dir=model_dir,
            linear_feature_columns=linear_feature_columns,
            linear_optimizer=_linear_maker(linear_optimizer, linear_feature_columns),
            dnn_feature_columns=dnn_feature_columns,
            dnn_optimizer=_deep_maker(dnn_optimizer),
            dnn_hidden_units=dnn_hidden_units,
            dnn_activation_fn=dnn_activation_fn,
            dnn_dropout=dnn_dropout,
            config=config,
            batch_norm=batch_norm,
            linear_sparse_combiner=linear_sparse_combiner,
        )


def _deep_maker(optimizer: Any) -> V1OptimizerMaker:
    return V1OptimizerMaker(optimizer, _DEEP_RATE, "dnn_optimizer", scope="head/")


def _linear_maker(optimizer: Any, columns: Any) -> V1OptimizerMaker:
    return V1OptimizerMaker(optimizer, falling_rate(_LINEAR_RATE, columns), "linear_optimizer", scope="head/")
