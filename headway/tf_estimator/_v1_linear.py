"""Linear models as tf.compat.v1.estimator has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from headway import estimators
from headway.estimators._run_config import RunConfig
from headway.estimators._v1_canned_optimizers import V1OptimizerMaker
from headway.feature_columns import FeatureColumn
from headway.heads import Head
from headway.tf_estimator._v1_canned import SUM, Optimizer, V1Canned, falling_rate, listed, note_partitioner

# The learning rate of an optimizer that is given by name.
_RATE = 0.2


class LinearClassifier(estimators.LinearClassifier, V1Canned):
    """Classifies with a linear model trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.LinearClassifier`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      feature_columns: see `headway.LinearClassifier`.
      model_dir: see `headway.LinearClassifier`.
      n_classes: see `headway.LinearClassifier`.
      weight_column: see `headway.LinearClassifier`.
      label_vocabulary: see `headway.LinearClassifier`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.2), an optimizer of
        `tf.compat.v1.train`, or a function that returns one; None for Ftrl with the smaller of 0.2 and 1 / sqrt(number
        of columns); or a `LinearSDCA`.
      config: see `headway.LinearClassifier`.
      partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      warm_start_from: see `headway.LinearClassifier`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.
      sparse_combiner: see `headway.LinearClassifier`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.LinearClassifier(feature_columns=[x])
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        partitioner: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        sparse_combiner: str = "sum",
    ) -> None:
        feature_columns = listed(feature_columns)
        super().__init__(
            feature_columns=feature_columns,
            model_dir=model_dir,
            n_classes=n_classes,
            weight_column=weight_column,
            label_vocabulary=label_vocabulary,
            optimizer=_maker(optimizer, feature_columns, partitioner),
            config=config,
            warm_start_from=warm_start_from,
            loss_reduction=loss_reduction,
            sparse_combiner=sparse_combiner,
        )


class LinearRegressor(estimators.LinearRegressor, V1Canned):
    """Predicts numbers with a linear model trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.LinearRegressor`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      feature_columns: see `headway.LinearRegressor`.
      model_dir: see `headway.LinearRegressor`.
      label_dimension: see `headway.LinearRegressor`.
      weight_column: see `headway.LinearRegressor`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.2), an optimizer of
        `tf.compat.v1.train`, or a function that returns one; None for Ftrl with the smaller of 0.2 and 1 / sqrt(number
        of columns); or a `LinearSDCA`.
      config: see `headway.LinearRegressor`.
      partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      warm_start_from: see `headway.LinearRegressor`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.
      sparse_combiner: see `headway.LinearRegressor`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.LinearRegressor(feature_columns=[x])
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        partitioner: Any = None,
        warm_start_from: Any = None,
        loss_reduction: str = SUM,
        sparse_combiner: str = "sum",
    ) -> None:
        feature_columns = listed(feature_columns)
        super().__init__(
            feature_columns=feature_columns,
            model_dir=model_dir,
            label_dimension=label_dimension,
            weight_column=weight_column,
            optimizer=_maker(optimizer, feature_columns, partitioner),
            config=config,
            warm_start_from=warm_start_from,
            loss_reduction=loss_reduction,
            sparse_combiner=sparse_combiner,
        )


class LinearEstimator(estimators.LinearEstimator, V1Canned):
    """A head of the caller's on a linear model trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.LinearEstimator`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      head: see `headway.LinearEstimator`.
      feature_columns: see `headway.LinearEstimator`.
      model_dir: see `headway.LinearEstimator`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.2), an optimizer of
        `tf.compat.v1.train`, or a function that returns one; None for Ftrl with the smaller of 0.2 and 1 / sqrt(number
        of columns); or a `LinearSDCA`.
      config: see `headway.LinearEstimator`.
      partitioner: the variables are whole all the same (a strategy decides where parts of them lie);
        checkpoints that tf.estimator wrote with it are read, and written so that it reads them.
      sparse_combiner: see `headway.LinearEstimator`.
      warm_start_from: see `headway.LinearEstimator`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.tf_estimator import v1
      >>> x = fc.numeric_column("x")
      >>> model = v1.LinearEstimator(heads.RegressionHead(), feature_columns=[x])
    """

    def __init__(
        self,
        head: Head,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        partitioner: Any = None,
        sparse_combiner: str = "sum",
        warm_start_from: Any = None,
    ) -> None:
        feature_columns = listed(feature_columns)
        super().__init__(
            head=head,
            feature_columns=feature_columns,
            model_dir=model_dir,
            optimizer=_maker(optimizer, feature_columns, partitioner),
            config=config,
            sparse_combiner=sparse_combiner,
            warm_start_from=warm_start_from,
        )


def _maker(optimizer: Any, columns: Any, partitioner: Any) -> Any:
    note_partitioner("partitioner", partitioner)
    if isinstance(optimizer, estimators.LinearSDCA):
        return optimizer
    rate = _RATE
    if optimizer is None:
        optimizer, rate = "Ftrl", falling_rate(_RATE, columns)
    return V1OptimizerMaker(
        optimizer,
        rate,
        slots="part_0/",
        scope="linear/head/",
        partitioner=partitioner,
        partitioned="linear/linear_model/",
    )
