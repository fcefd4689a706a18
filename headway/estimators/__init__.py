"""Estimators: training, evaluation and prediction of a `model_fn`, with checkpoints and hooks."""

from __future__ import annotations

from headway import _backend as _backend
from headway._export_outputs import ClassificationOutput as ClassificationOutput
from headway._export_outputs import EvalOutput as EvalOutput
from headway._export_outputs import ExportOutput as ExportOutput
from headway._export_outputs import PredictOutput as PredictOutput
from headway._export_outputs import RegressionOutput as RegressionOutput
from headway._optimize import minimize as minimize
from headway._spec import EstimatorSpec as EstimatorSpec
from headway._spec import ModeKeys as ModeKeys
from headway._updates import LazyAdam as LazyAdam
from headway.estimators import _hook_twins as _hook_twins
from headway.estimators._add_metrics import add_metrics as add_metrics
from headway.estimators._canned_baseline import BaselineClassifier as BaselineClassifier
from headway.estimators._canned_baseline import BaselineEstimator as BaselineEstimator
from headway.estimators._canned_baseline import BaselineRegressor as BaselineRegressor
from headway.estimators._canned_combined import DNNLinearCombinedClassifier as DNNLinearCombinedClassifier
from headway.estimators._canned_combined import DNNLinearCombinedEstimator as DNNLinearCombinedEstimator
from headway.estimators._canned_combined import DNNLinearCombinedRegressor as DNNLinearCombinedRegressor
from headway.estimators._canned_cross import DeepCrossClassifier as DeepCrossClassifier
from headway.estimators._canned_cross import DeepCrossEstimator as DeepCrossEstimator
from headway.estimators._canned_cross import DeepCrossRegressor as DeepCrossRegressor
from headway.estimators._canned_deepfm import DeepFMClassifier as DeepFMClassifier
from headway.estimators._canned_deepfm import DeepFMEstimator as DeepFMEstimator
from headway.estimators._canned_deepfm import DeepFMRegressor as DeepFMRegressor
from headway.estimators._canned_dnn import DNNClassifier as DNNClassifier
from headway.estimators._canned_dnn import DNNEstimator as DNNEstimator
from headway.estimators._canned_dnn import DNNRegressor as DNNRegressor
from headway.estimators._canned_kmeans import KMeansClustering as KMeansClustering
from headway.estimators._canned_linear import LinearClassifier as LinearClassifier
from headway.estimators._canned_linear import LinearEstimator as LinearEstimator
from headway.estimators._canned_linear import LinearRegressor as LinearRegressor
from headway.estimators._canned_mmoe import MMoEEstimator as MMoEEstimator
from headway.estimators._canned_retrieval import TwoTowerRetriever as TwoTowerRetriever
from headway.estimators._canned_rnn import RNNClassifier as RNNClassifier
from headway.estimators._canned_rnn import RNNEstimator as RNNEstimator
from headway.estimators._canned_transformer import SequenceTransformerClassifier as SequenceTransformerClassifier
from headway.estimators._canned_transformer import SequenceTransformerEstimator as SequenceTransformerEstimator
from headway.estimators._canned_transformer import SequenceTransformerRegressor as SequenceTransformerRegressor
from headway.estimators._canned_trees import GradientBoostedTreesClassifier as GradientBoostedTreesClassifier
from headway.estimators._canned_trees import GradientBoostedTreesRegressor as GradientBoostedTreesRegressor
from headway.estimators._checkpoint_tools import CheckpointDiff as CheckpointDiff
from headway.estimators._checkpoint_tools import average_checkpoints as average_checkpoints
from headway.estimators._checkpoint_tools import diff_checkpoints as diff_checkpoints
from headway.estimators._checkpoint_tools import show_checkpoint as show_checkpoint
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
from headway.estimators._early_stopping import make_early_stopping_hook as make_early_stopping_hook
from headway.estimators._early_stopping import stop_if_higher_hook as stop_if_higher_hook
from headway.estimators._early_stopping import stop_if_lower_hook as stop_if_lower_hook
from headway.estimators._early_stopping import stop_if_no_decrease_hook as stop_if_no_decrease_hook
from headway.estimators._early_stopping import stop_if_no_increase_hook as stop_if_no_increase_hook
from headway.estimators._estimator import Estimator as Estimator
from headway.estimators._evaluator_hooks import InMemoryEvaluatorHook as InMemoryEvaluatorHook
from headway.estimators._evaluator_hooks import make_stop_at_checkpoint_step_hook as make_stop_at_checkpoint_step_hook
from headway.estimators._event_files import read_eval_metrics as read_eval_metrics
from headway.estimators._exporters import BestExporter as BestExporter
from headway.estimators._exporters import Exporter as Exporter
from headway.estimators._exporters import FinalExporter as FinalExporter
from headway.estimators._exporters import LatestExporter as LatestExporter
from headway.estimators._hooks import Hook as Hook
from headway.estimators._hooks import Run as Run
from headway.estimators._hooks import every_n_secs as every_n_secs
from headway.estimators._hooks import every_n_steps as every_n_steps
from headway.estimators._keras_model import model_to_estimator as model_to_estimator
from headway.estimators._listeners import CheckpointSaverListener as CheckpointSaverListener
from headway.estimators._receivers import ServingInputReceiver as ServingInputReceiver
from headway.estimators._receivers import SupervisedInputReceiver as SupervisedInputReceiver
from headway.estimators._receivers import TensorServingInputReceiver as TensorServingInputReceiver
from headway.estimators._receivers import UnsupervisedInputReceiver as UnsupervisedInputReceiver
from headway.estimators._receivers import (
    build_parsing_serving_input_receiver_fn as build_parsing_serving_input_receiver_fn,
)
from headway.estimators._receivers import build_raw_serving_input_receiver_fn as build_raw_serving_input_receiver_fn
from headway.estimators._receivers import (
    build_raw_supervised_input_receiver_fn as build_raw_supervised_input_receiver_fn,
)
from headway.estimators._receivers import (
    build_supervised_input_receiver_fn_from_input_fn as build_supervised_input_receiver_fn_from_input_fn,
)
from headway.estimators._run_config import RunConfig as RunConfig
from headway.estimators._sdca import LinearSDCA as LinearSDCA
from headway.estimators._train_and_evaluate import EvalSpec as EvalSpec
from headway.estimators._train_and_evaluate import TrainSpec as TrainSpec
from headway.estimators._train_and_evaluate import train_and_evaluate as train_and_evaluate
from headway.estimators._variable_table import VariableTable as VariableTable
from headway.estimators._vocab_info import VocabInfo as VocabInfo
from headway.estimators._warm_start import WarmStartSettings as WarmStartSettings
from headway.feature_columns._parsing import classifier_parse_example_spec as classifier_parse_example_spec
from headway.feature_columns._parsing import regressor_parse_example_spec as regressor_parse_example_spec

__all__ = [
    "BaselineClassifier",
    "BaselineEstimator",
    "BaselineRegressor",
    "BestExporter",
    "CheckpointDiff",
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "ClassificationOutput",
    "DNNClassifier",
    "DNNEstimator",
    "DNNLinearCombinedClassifier",
    "DNNLinearCombinedEstimator",
    "DNNLinearCombinedRegressor",
    "DNNRegressor",
    "DeepCrossClassifier",
    "DeepCrossEstimator",
    "DeepCrossRegressor",
    "DeepFMClassifier",
    "DeepFMEstimator",
    "DeepFMRegressor",
    "Estimator",
    "EstimatorSpec",
    "EvalOutput",
    "EvalSpec",
    "ExportOutput",
    "Exporter",
    "FinalExporter",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "GradientBoostedTreesClassifier",
    "GradientBoostedTreesRegressor",
    "Hook",
    "InMemoryEvaluatorHook",
    "KMeansClustering",
    "LatestExporter",
    "LazyAdam",
    "LinearClassifier",
    "LinearEstimator",
    "LinearRegressor",
    "LinearSDCA",
    "LoggingTensorHook",
    "MMoEEstimator",
    "ModeKeys",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "PredictOutput",
    "ProfilerHook",
    "RNNClassifier",
    "RNNEstimator",
    "RegressionOutput",
    "Run",
    "RunConfig",
    "SequenceTransformerClassifier",
    "SequenceTransformerEstimator",
    "SequenceTransformerRegressor",
    "ServingInputReceiver",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
    "SupervisedInputReceiver",
    "TensorServingInputReceiver",
    "TrainSpec",
    "TwoTowerRetriever",
    "UnsupervisedInputReceiver",
    "VariableTable",
    "VocabInfo",
    "WarmStartSettings",
    "add_metrics",
    "average_checkpoints",
    "build_parsing_serving_input_receiver_fn",
    "build_raw_serving_input_receiver_fn",
    "build_raw_supervised_input_receiver_fn",
    "build_supervised_input_receiver_fn_from_input_fn",
    "classifier_parse_example_spec",
    "diff_checkpoints",
    "every_n_secs",
    "every_n_steps",
    "make_early_stopping_hook",
    "make_stop_at_checkpoint_step_hook",
    "minimize",
    "model_to_estimator",
    "read_eval_metrics",
    "regressor_parse_example_spec",
    "show_checkpoint",
    "stop_if_higher_hook",
    "stop_if_lower_hook",
    "stop_if_no_decrease_hook",
    "stop_if_no_increase_hook",
    "train_and_evaluate",
]
