"""The names of tf.estimator 2.15, for old programs: change the import, and the program runs on today's TensorFlow.

    import headway.tf_estimator as estimator      # was: from tensorflow import estimator

Names that only `tf.compat.v1.estimator` had are in `headway.tf_estimator.v1`. Hooks are TensorFlow's own classes, as
they were in tf.estimator.

Example:
  >>> import headway.tf_estimator as estimator
  >>> estimator.ModeKeys.TRAIN
  'train'
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway.estimators import BaselineClassifier as BaselineClassifier
from headway.estimators import BaselineEstimator as BaselineEstimator
from headway.estimators import BaselineRegressor as BaselineRegressor
from headway.estimators import BestExporter as BestExporter
from headway.estimators import DNNClassifier as DNNClassifier
from headway.estimators import DNNEstimator as DNNEstimator
from headway.estimators import DNNLinearCombinedClassifier as DNNLinearCombinedClassifier
from headway.estimators import DNNLinearCombinedEstimator as DNNLinearCombinedEstimator
from headway.estimators import DNNLinearCombinedRegressor as DNNLinearCombinedRegressor
from headway.estimators import DNNRegressor as DNNRegressor
from headway.estimators import Estimator as Estimator
from headway.estimators import EstimatorSpec as EstimatorSpec
from headway.estimators import EvalSpec as EvalSpec
from headway.estimators import Exporter as Exporter
from headway.estimators import FinalExporter as FinalExporter
from headway.estimators import LatestExporter as LatestExporter
from headway.estimators import LinearClassifier as LinearClassifier
from headway.estimators import LinearEstimator as LinearEstimator
from headway.estimators import LinearRegressor as LinearRegressor
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
from headway.tf_estimator import experimental as experimental
from headway.tf_estimator import export as export
from headway.tf_estimator._gone import missing

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
    "regressor_parse_example_spec",
    "train_and_evaluate",
]

_ELSEWHERE = {name: f"in version 1: headway.tf_estimator.v1.{name}" for name in ("inputs", "tpu")}


def __getattr__(name: str) -> Any:
    return missing(__name__, name, _ELSEWHERE)
