"""The names of tf.compat.v1.estimator 2.15: models with optimizers of tf.compat.v1.train, TPUEstimator, inputs.

Example:
  >>> from headway.tf_estimator import v1
  >>> callable(v1.inputs.numpy_input_fn)
  True
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway.estimators import BestExporter as BestExporter
from headway.estimators import EstimatorSpec as EstimatorSpec
from headway.estimators import EvalSpec as EvalSpec
from headway.estimators import Exporter as Exporter
from headway.estimators import FinalExporter as FinalExporter
from headway.estimators import LatestExporter as LatestExporter
from headway.estimators import ModeKeys as ModeKeys
from headway.estimators import RunConfig as RunConfig
from headway.estimators import TrainSpec as TrainSpec
from headway.estimators import VocabInfo as VocabInfo
from headway.estimators import WarmStartSettings as WarmStartSettings
from headway.estimators import add_metrics as add_metrics
from headway.estimators import classifier_parse_example_spec as classifier_parse_example_spec
from headway.estimators import regressor_parse_example_spec as regressor_parse_example_spec
from headway.estimators import train_and_evaluate as train_and_evaluate
from headway.heads import BaseHead as Head
from headway.heads import BinaryClassHead as BinaryClassHead
from headway.heads import LogisticRegressionHead as LogisticRegressionHead
from headway.heads import MultiClassHead as MultiClassHead
from headway.heads import MultiHead as MultiHead
from headway.heads import MultiLabelHead as MultiLabelHead
from headway.heads import PoissonRegressionHead as PoissonRegressionHead
from headway.heads import RegressionHead as RegressionHead
from headway.tf_estimator import export as export
from headway.tf_estimator._gone import missing
from headway.tf_estimator._v1_baseline import BaselineClassifier as BaselineClassifier
from headway.tf_estimator._v1_baseline import BaselineEstimator as BaselineEstimator
from headway.tf_estimator._v1_baseline import BaselineRegressor as BaselineRegressor
from headway.tf_estimator._v1_combined import DNNLinearCombinedClassifier as DNNLinearCombinedClassifier
from headway.tf_estimator._v1_combined import DNNLinearCombinedEstimator as DNNLinearCombinedEstimator
from headway.tf_estimator._v1_combined import DNNLinearCombinedRegressor as DNNLinearCombinedRegressor
from headway.tf_estimator._v1_dnn import DNNClassifier as DNNClassifier
from headway.tf_estimator._v1_dnn import DNNEstimator as DNNEstimator
from headway.tf_estimator._v1_dnn import DNNRegressor as DNNRegressor
from headway.tf_estimator._v1_estimator import Estimator as Estimator
from headway.tf_estimator._v1_linear import LinearClassifier as LinearClassifier
from headway.tf_estimator._v1_linear import LinearEstimator as LinearEstimator
from headway.tf_estimator._v1_linear import LinearRegressor as LinearRegressor
from headway.tf_estimator.v1 import experimental as experimental
from headway.tf_estimator.v1 import inputs as inputs
from headway.tf_estimator.v1 import tpu as tpu

CheckpointSaverHook = tf.compat.v1.train.CheckpointSaverHook
CheckpointSaverListener = tf.compat.v1.train.CheckpointSaverListener
FeedFnHook = tf.compat.v1.train.FeedFnHook
FinalOpsHook = tf.compat.v1.train.FinalOpsHook
GlobalStepWaiterHook = tf.compat.v1.train.GlobalStepWaiterHook
LoggingTensorHook = tf.compat.v1.train.LoggingTensorHook
NanLossDuringTrainingError = tf.compat.v1.train.NanLossDuringTrainingError
NanTensorHook = tf.compat.v1.train.NanTensorHook
ProfilerHook = tf.compat.v1.train.ProfilerHook
SecondOrStepTimer = tf.compat.v1.train.SecondOrStepTimer
SessionRunArgs = tf.compat.v1.train.SessionRunArgs
SessionRunContext = tf.compat.v1.train.SessionRunContext
SessionRunHook = tf.compat.v1.train.SessionRunHook
SessionRunValues = tf.compat.v1.train.SessionRunValues
StepCounterHook = tf.compat.v1.train.StepCounterHook
StopAtStepHook = tf.compat.v1.train.StopAtStepHook
SummarySaverHook = tf.compat.v1.train.SummarySaverHook

__all__ = [
    "BaselineClassifier",
    "BaselineEstimator",
    "BaselineRegressor",
    "BestExporter",
    "BinaryClassHead",
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "DNNClassifier",
    "DNNEstimator",
    "DNNLinearCombinedClassifier",
    "DNNLinearCombinedEstimator",
    "DNNLinearCombinedRegressor",
    "DNNRegressor",
    "Estimator",
    "EstimatorSpec",
    "EvalSpec",
    "Exporter",
    "FeedFnHook",
    "FinalExporter",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "Head",
    "LatestExporter",
    "LinearClassifier",
    "LinearEstimator",
    "LinearRegressor",
    "LoggingTensorHook",
    "LogisticRegressionHead",
    "ModeKeys",
    "MultiClassHead",
    "MultiHead",
    "MultiLabelHead",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "PoissonRegressionHead",
    "ProfilerHook",
    "RegressionHead",
    "RunConfig",
    "SecondOrStepTimer",
    "SessionRunArgs",
    "SessionRunContext",
    "SessionRunHook",
    "SessionRunValues",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
    "TrainSpec",
    "VocabInfo",
    "WarmStartSettings",
    "add_metrics",
    "classifier_parse_example_spec",
    "experimental",
    "export",
    "inputs",
    "regressor_parse_example_spec",
    "tpu",
    "train_and_evaluate",
]


def __getattr__(name: str) -> Any:
    return missing(__name__, name, {})
