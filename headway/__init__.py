"""headway: the Estimator API for today's TensorFlow and Keras 3.

The public names load on first use: `import headway` takes no time, and TensorFlow starts with the first name used.

Example:
  >>> import headway as hw
  >>> hw.ModeKeys.TRAIN
  'train'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that has it; a name that equals its module's last part is that module itself. All public
# names of headway.estimators stand here too. The imports for type checkers below say the same once more, as they cannot
# read a table; tests keep all three equal.
_HOMES = {
    "estimators": "headway.estimators",
    "feature_columns": "headway.feature_columns",
    "heads": "headway.heads",
    "input_pipelines": "headway.input_pipelines",
    "legacy": "headway.legacy",
    "tf_estimator": "headway.tf_estimator",
    "BaselineClassifier": "headway.estimators",
    "BaselineEstimator": "headway.estimators",
    "BaselineRegressor": "headway.estimators",
    "BestExporter": "headway.estimators",
    "CheckpointDiff": "headway.estimators",
    "CheckpointSaverHook": "headway.estimators",
    "CheckpointSaverListener": "headway.estimators",
    "ClassificationOutput": "headway.estimators",
    "DNNClassifier": "headway.estimators",
    "DNNEstimator": "headway.estimators",
    "DNNLinearCombinedClassifier": "headway.estimators",
    "DNNLinearCombinedEstimator": "headway.estimators",
    "DNNLinearCombinedRegressor": "headway.estimators",
    "DNNRegressor": "headway.estimators",
    "DeepCrossClassifier": "headway.estimators",
    "DeepCrossEstimator": "headway.estimators",
    "DeepCrossRegressor": "headway.estimators",
    "DeepFMClassifier": "headway.estimators",
    "DeepFMEstimator": "headway.estimators",
    "DeepFMRegressor": "headway.estimators",
    "Estimator": "headway.estimators",
    "EstimatorSpec": "headway.estimators",
    "EvalOutput": "headway.estimators",
    "EvalSpec": "headway.estimators",
    "ExportOutput": "headway.estimators",
    "Exporter": "headway.estimators",
    "FinalExporter": "headway.estimators",
    "FinalOpsHook": "headway.estimators",
    "GlobalStepWaiterHook": "headway.estimators",
    "GradientBoostedTreesClassifier": "headway.estimators",
    "GradientBoostedTreesRegressor": "headway.estimators",
    "Hook": "headway.estimators",
    "InMemoryEvaluatorHook": "headway.estimators",
    "KMeansClustering": "headway.estimators",
    "LatestExporter": "headway.estimators",
    "LazyAdam": "headway.estimators",
    "LinearClassifier": "headway.estimators",
    "LinearEstimator": "headway.estimators",
    "LinearRegressor": "headway.estimators",
    "LinearSDCA": "headway.estimators",
    "LoggingTensorHook": "headway.estimators",
    "MMoEEstimator": "headway.estimators",
    "ModeKeys": "headway.estimators",
    "NanLossDuringTrainingError": "headway.estimators",
    "NanTensorHook": "headway.estimators",
    "PredictOutput": "headway.estimators",
    "ProfilerHook": "headway.estimators",
    "RNNClassifier": "headway.estimators",
    "RNNEstimator": "headway.estimators",
    "RegressionOutput": "headway.estimators",
    "Run": "headway.estimators",
    "RunConfig": "headway.estimators",
    "SequenceTransformerClassifier": "headway.estimators",
    "SequenceTransformerEstimator": "headway.estimators",
    "SequenceTransformerRegressor": "headway.estimators",
    "ServingInputReceiver": "headway.estimators",
    "StepCounterHook": "headway.estimators",
    "StopAtStepHook": "headway.estimators",
    "SummarySaverHook": "headway.estimators",
    "SupervisedInputReceiver": "headway.estimators",
    "TensorServingInputReceiver": "headway.estimators",
    "TrainSpec": "headway.estimators",
    "TwoTowerRetriever": "headway.estimators",
    "UnsupervisedInputReceiver": "headway.estimators",
    "VariableTable": "headway.estimators",
    "VocabInfo": "headway.estimators",
    "WarmStartSettings": "headway.estimators",
    "add_metrics": "headway.estimators",
    "average_checkpoints": "headway.estimators",
    "build_parsing_serving_input_receiver_fn": "headway.estimators",
    "build_raw_serving_input_receiver_fn": "headway.estimators",
    "build_raw_supervised_input_receiver_fn": "headway.estimators",
    "build_supervised_input_receiver_fn_from_input_fn": "headway.estimators",
    "classifier_parse_example_spec": "headway.estimators",
    "diff_checkpoints": "headway.estimators",
    "every_n_secs": "headway.estimators",
    "every_n_steps": "headway.estimators",
    "make_early_stopping_hook": "headway.estimators",
    "make_stop_at_checkpoint_step_hook": "headway.estimators",
    "minimize": "headway.estimators",
    "model_to_estimator": "headway.estimators",
    "read_eval_metrics": "headway.estimators",
    "regressor_parse_example_spec": "headway.estimators",
    "show_checkpoint": "headway.estimators",
    "stop_if_higher_hook": "headway.estimators",
    "stop_if_lower_hook": "headway.estimators",
    "stop_if_no_decrease_hook": "headway.estimators",
    "stop_if_no_increase_hook": "headway.estimators",
    "train_and_evaluate": "headway.estimators",
}

if TYPE_CHECKING:
    from headway import estimators as estimators
    from headway import feature_columns as feature_columns
    from headway import heads as heads
    from headway import input_pipelines as input_pipelines
    from headway import legacy as legacy
    from headway import tf_estimator as tf_estimator
    from headway.estimators import BaselineClassifier as BaselineClassifier
    from headway.estimators import BaselineEstimator as BaselineEstimator
    from headway.estimators import BaselineRegressor as BaselineRegressor
    from headway.estimators import BestExporter as BestExporter
    from headway.estimators import CheckpointDiff as CheckpointDiff
    from headway.estimators import CheckpointSaverHook as CheckpointSaverHook
    from headway.estimators import CheckpointSaverListener as CheckpointSaverListener
    from headway.estimators import ClassificationOutput as ClassificationOutput
    from headway.estimators import DeepCrossClassifier as DeepCrossClassifier
    from headway.estimators import DeepCrossEstimator as DeepCrossEstimator
    from headway.estimators import DeepCrossRegressor as DeepCrossRegressor
    from headway.estimators import DeepFMClassifier as DeepFMClassifier
    from headway.estimators import DeepFMEstimator as DeepFMEstimator
    from headway.estimators import DeepFMRegressor as DeepFMRegressor
    from headway.estimators import DNNClassifier as DNNClassifier
    from headway.estimators import DNNEstimator as DNNEstimator
    from headway.estimators import DNNLinearCombinedClassifier as DNNLinearCombinedClassifier
    from headway.estimators import DNNLinearCombinedEstimator as DNNLinearCombinedEstimator
    from headway.estimators import DNNLinearCombinedRegressor as DNNLinearCombinedRegressor
    from headway.estimators import DNNRegressor as DNNRegressor
    from headway.estimators import Estimator as Estimator
    from headway.estimators import EstimatorSpec as EstimatorSpec
    from headway.estimators import EvalOutput as EvalOutput
    from headway.estimators import EvalSpec as EvalSpec
    from headway.estimators import Exporter as Exporter
    from headway.estimators import ExportOutput as ExportOutput
    from headway.estimators import FinalExporter as FinalExporter
    from headway.estimators import FinalOpsHook as FinalOpsHook
    from headway.estimators import GlobalStepWaiterHook as GlobalStepWaiterHook
    from headway.estimators import GradientBoostedTreesClassifier as GradientBoostedTreesClassifier
    from headway.estimators import GradientBoostedTreesRegressor as GradientBoostedTreesRegressor
    from headway.estimators import Hook as Hook
    from headway.estimators import InMemoryEvaluatorHook as InMemoryEvaluatorHook
    from headway.estimators import KMeansClustering as KMeansClustering
    from headway.estimators import LatestExporter as LatestExporter
    from headway.estimators import LazyAdam as LazyAdam
    from headway.estimators import LinearClassifier as LinearClassifier
    from headway.estimators import LinearEstimator as LinearEstimator
    from headway.estimators import LinearRegressor as LinearRegressor
    from headway.estimators import LinearSDCA as LinearSDCA
    from headway.estimators import LoggingTensorHook as LoggingTensorHook
    from headway.estimators import MMoEEstimator as MMoEEstimator
    from headway.estimators import ModeKeys as ModeKeys
    from headway.estimators import NanLossDuringTrainingError as NanLossDuringTrainingError
    from headway.estimators import NanTensorHook as NanTensorHook
    from headway.estimators import PredictOutput as PredictOutput
    from headway.estimators import ProfilerHook as ProfilerHook
    from headway.estimators import RegressionOutput as RegressionOutput
    from headway.estimators import RNNClassifier as RNNClassifier
    from headway.estimators import RNNEstimator as RNNEstimator
    from headway.estimators import Run as Run
    from headway.estimators import RunConfig as RunConfig
    from headway.estimators import SequenceTransformerClassifier as SequenceTransformerClassifier
    from headway.estimators import SequenceTransformerEstimator as SequenceTransformerEstimator
    from headway.estimators import SequenceTransformerRegressor as SequenceTransformerRegressor
    from headway.estimators import ServingInputReceiver as ServingInputReceiver
    from headway.estimators import StepCounterHook as StepCounterHook
    from headway.estimators import StopAtStepHook as StopAtStepHook
    from headway.estimators import SummarySaverHook as SummarySaverHook
    from headway.estimators import SupervisedInputReceiver as SupervisedInputReceiver
    from headway.estimators import TensorServingInputReceiver as TensorServingInputReceiver
    from headway.estimators import TrainSpec as TrainSpec
    from headway.estimators import TwoTowerRetriever as TwoTowerRetriever
    from headway.estimators import UnsupervisedInputReceiver as UnsupervisedInputReceiver
    from headway.estimators import VariableTable as VariableTable
    from headway.estimators import VocabInfo as VocabInfo
    from headway.estimators import WarmStartSettings as WarmStartSettings
    from headway.estimators import add_metrics as add_metrics
    from headway.estimators import average_checkpoints as average_checkpoints
    from headway.estimators import build_parsing_serving_input_receiver_fn as build_parsing_serving_input_receiver_fn
    from headway.estimators import build_raw_serving_input_receiver_fn as build_raw_serving_input_receiver_fn
    from headway.estimators import build_raw_supervised_input_receiver_fn as build_raw_supervised_input_receiver_fn
    from headway.estimators import (
        build_supervised_input_receiver_fn_from_input_fn as build_supervised_input_receiver_fn_from_input_fn,
    )
    from headway.estimators import classifier_parse_example_spec as classifier_parse_example_spec
    from headway.estimators import diff_checkpoints as diff_checkpoints
    from headway.estimators import every_n_secs as every_n_secs
    from headway.estimators import every_n_steps as every_n_steps
    from headway.estimators import make_early_stopping_hook as make_early_stopping_hook
    from headway.estimators import make_stop_at_checkpoint_step_hook as make_stop_at_checkpoint_step_hook
    from headway.estimators import minimize as minimize
    from headway.estimators import model_to_estimator as model_to_estimator
    from headway.estimators import read_eval_metrics as read_eval_metrics
    from headway.estimators import regressor_parse_example_spec as regressor_parse_example_spec
    from headway.estimators import show_checkpoint as show_checkpoint
    from headway.estimators import stop_if_higher_hook as stop_if_higher_hook
    from headway.estimators import stop_if_lower_hook as stop_if_lower_hook
    from headway.estimators import stop_if_no_decrease_hook as stop_if_no_decrease_hook
    from headway.estimators import stop_if_no_increase_hook as stop_if_no_increase_hook
    from headway.estimators import train_and_evaluate as train_and_evaluate

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(
            f"module 'headway' has no attribute {name!r}. Its public names: {', '.join(sorted(_HOMES))}."
        )
    module = importlib.import_module(home)
    value = module if home == f"headway.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
