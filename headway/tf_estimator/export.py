"""The names of tf.estimator.export."""

from __future__ import annotations

from headway.estimators import ClassificationOutput as ClassificationOutput
from headway.estimators import EvalOutput as EvalOutput
from headway.estimators import ExportOutput as ExportOutput
from headway.estimators import PredictOutput as PredictOutput
from headway.estimators import RegressionOutput as RegressionOutput
from headway.estimators import ServingInputReceiver as ServingInputReceiver
from headway.estimators import TensorServingInputReceiver as TensorServingInputReceiver
from headway.estimators import build_parsing_serving_input_receiver_fn as build_parsing_serving_input_receiver_fn
from headway.estimators import build_raw_serving_input_receiver_fn as build_raw_serving_input_receiver_fn

__all__ = [
    "ClassificationOutput",
    "EvalOutput",
    "ExportOutput",
    "PredictOutput",
    "RegressionOutput",
    "ServingInputReceiver",
    "TensorServingInputReceiver",
    "build_parsing_serving_input_receiver_fn",
    "build_raw_serving_input_receiver_fn",
]
