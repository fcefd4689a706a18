"""Models that look at no feature as tf.compat.v1.estimator has them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from headway import estimators
from headway.estimators._run_config import RunConfig
from headway.estimators._v1_canned_optimizers import V1OptimizerMaker
from headway.feature_columns import FeatureColumn
from headway.heads import Head
from headway.tf_estimator._v1_canned import SUM, Optimizer, V1Canned

# The learning rate of an optimizer that is given by name.
_RATE = 0.3


class BaselineClassifier(estimators.BaselineClassifier, V1Canned):
    """Classifies with a model that looks at no feature, trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.BaselineClassifier`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      model_dir: see `headway.BaselineClassifier`.
      n_classes: see `headway.BaselineClassifier`.
      weight_column: see `headway.BaselineClassifier`.
      label_vocabulary: see `headway.BaselineClassifier`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.3), an optimizer of
        `tf.compat.v1.train`, or a function that returns one.
      config: see `headway.BaselineClassifier`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway.tf_estimator import v1
      >>> model = v1.BaselineClassifier()
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        loss_reduction: str = SUM,
    ) -> None:
        super().__init__(
            model_dir=model_dir,
            n_classes=n_classes,
            weight_column=weight_column,
            label_vocabulary=label_vocabulary,
            optimizer=V1OptimizerMaker(optimizer, _RATE, scope="head/"),
            config=config,
            loss_reduction=loss_reduction,
        )


class BaselineRegressor(estimators.BaselineRegressor, V1Canned):
    """Predicts numbers with a model that looks at no feature, trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.BaselineRegressor`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      model_dir: see `headway.BaselineRegressor`.
      label_dimension: see `headway.BaselineRegressor`.
      weight_column: see `headway.BaselineRegressor`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.3), an optimizer of
        `tf.compat.v1.train`, or a function that returns one.
      config: see `headway.BaselineRegressor`.
      loss_reduction: a `tf.compat.v1.losses.Reduction` but NONE; by default the sum over the batch, not the mean.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway.tf_estimator import v1
      >>> model = v1.BaselineRegressor()
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        loss_reduction: str = SUM,
    ) -> None:
        super().__init__(
            model_dir=model_dir,
            label_dimension=label_dimension,
            weight_column=weight_column,
            optimizer=V1OptimizerMaker(optimizer, _RATE, scope="head/"),
            config=config,
            loss_reduction=loss_reduction,
        )


class BaselineEstimator(estimators.BaselineEstimator, V1Canned):
    """A head of the caller's on a model that looks at no feature, trained by an optimizer of `tf.compat.v1.train`.

    The arguments are those of `headway.BaselineEstimator`, with the differences below; variables and slots
    have the names in checkpoints that tf.compat.v1.estimator gave them.

    Args:
      head: see `headway.BaselineEstimator`.
      model_dir: see `headway.BaselineEstimator`.
      optimizer: name ("Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD", learning rate 0.3), an optimizer of
        `tf.compat.v1.train`, or a function that returns one.
      config: see `headway.BaselineEstimator`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import heads
      >>> from headway.tf_estimator import v1
      >>> model = v1.BaselineEstimator(heads.RegressionHead())
    """

    def __init__(
        self,
        head: Head,
        model_dir: str | os.PathLike[str] | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
    ) -> None:
        super().__init__(
            head=head,
            model_dir=model_dir,
            optimizer=V1OptimizerMaker(optimizer, _RATE, scope="head/"),
            config=config,
        )
