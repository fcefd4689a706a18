"""The names of tf.estimator.experimental."""

from __future__ import annotations

from headway.estimators import InMemoryEvaluatorHook as InMemoryEvaluatorHook
from headway.estimators import LinearSDCA as LinearSDCA
from headway.estimators import build_raw_supervised_input_receiver_fn as build_raw_supervised_input_receiver_fn
from headway.estimators import make_early_stopping_hook as make_early_stopping_hook
from headway.estimators import make_stop_at_checkpoint_step_hook as make_stop_at_checkpoint_step_hook
from headway.estimators import stop_if_higher_hook as stop_if_higher_hook
from headway.estimators import stop_if_lower_hook as stop_if_lower_hook
from headway.estimators import stop_if_no_decrease_hook as stop_if_no_decrease_hook
from headway.estimators import stop_if_no_increase_hook as stop_if_no_increase_hook
from headway.estimators._logit_fns import call_logit_fn as call_logit_fn
from headway.tf_estimator._rnn import RNNClassifier as RNNClassifier
from headway.tf_estimator._rnn import RNNEstimator as RNNEstimator

__all__ = [
    "InMemoryEvaluatorHook",
    "LinearSDCA",
    "RNNClassifier",
    "RNNEstimator",
    "build_raw_supervised_input_receiver_fn",
    "call_logit_fn",
    "make_early_stopping_hook",
    "make_stop_at_checkpoint_step_hook",
    "stop_if_higher_hook",
    "stop_if_lower_hook",
    "stop_if_no_decrease_hook",
    "stop_if_no_increase_hook",
]
