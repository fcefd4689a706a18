"""Estimators: training, evaluation and prediction of a `model_fn`, with checkpoints and hooks."""

from __future__ import annotations

from headway import _backend as _backend
from headway._optimize import minimize as minimize
from headway._spec import EstimatorSpec as EstimatorSpec
from headway._spec import ModeKeys as ModeKeys
from headway._updates import LazyAdam as LazyAdam
from headway.estimators._canned_combined import DNNLinearCombinedClassifier as DNNLinearCombinedClassifier
from headway.estimators._canned_combined import DNNLinearCombinedEstimator as DNNLinearCombinedEstimator
from headway.estimators._canned_combined import DNNLinearCombinedRegressor as DNNLinearCombinedRegressor
from headway.estimators._canned_dnn import DNNClassifier as DNNClassifier
from headway.estimators._canned_dnn import DNNEstimator as DNNEstimator
from headway.estimators._canned_dnn import DNNRegressor as DNNRegressor
from headway.estimators._canned_linear import LinearClassifier as LinearClassifier
from headway.estimators._canned_linear import LinearEstimator as LinearEstimator
from headway.estimators._canned_linear import LinearRegressor as LinearRegressor
from headway.estimators._classic_hooks import CheckpointSaverHook as CheckpointSaverHook
from headway.estimators._classic_hooks import FinalOpsHook as FinalOpsHook
from headway.estimators._classic_hooks import GlobalStepWaiterHook as GlobalStepWaiterHook
from headway.estimators._classic_hooks import LoggingTensorHook as LoggingTensorHook
from headway.estimators._classic_hooks import NanLossDuringTrainingError as NanLossDuringTrainingError
from headway.estimators._classic_hooks import NanTensorHook as NanTensorHook
from headway.estimators._classic_hooks import ProfilerHook as ProfilerHook
from headway.estimators._classic_hooks import StepCounterHook as StepCounterHook
from headway.estimators._classic_hooks import StopAtStepHook as StopAtStepHook
from headway.estimators._classic_hooks import SummarySaverHook as SummarySaverHook
from headway.estimators._estimator import Estimator as Estimator
from headway.estimators._hooks import Hook as Hook
from headway.estimators._hooks import Run as Run
from headway.estimators._hooks import every_n_secs as every_n_secs
from headway.estimators._hooks import every_n_steps as every_n_steps
from headway.estimators._run_config import RunConfig as RunConfig
from headway.estimators._warm_start import WarmStartSettings as WarmStartSettings
from headway.feature_columns._parsing import classifier_parse_example_spec as classifier_parse_example_spec
from headway.feature_columns._parsing import regressor_parse_example_spec as regressor_parse_example_spec

__all__ = [
    "CheckpointSaverHook",
    "DNNClassifier",
    "DNNEstimator",
    "DNNLinearCombinedClassifier",
    "DNNLinearCombinedEstimator",
    "DNNLinearCombinedRegressor",
    "DNNRegressor",
    "Estimator",
    "EstimatorSpec",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "Hook",
    "LazyAdam",
    "LinearClassifier",
    "LinearEstimator",
    "LinearRegressor",
    "LoggingTensorHook",
    "ModeKeys",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "ProfilerHook",
    "Run",
    "RunConfig",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
    "WarmStartSettings",
    "classifier_parse_example_spec",
    "every_n_secs",
    "every_n_steps",
    "minimize",
    "regressor_parse_example_spec",
]
