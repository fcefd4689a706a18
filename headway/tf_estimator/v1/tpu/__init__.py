"""The names of tf.compat.v1.estimator.tpu, which work as without a TPU."""

from __future__ import annotations

from headway.tf_estimator._tpu_config import InputPipelineConfig as InputPipelineConfig
from headway.tf_estimator._tpu_config import RunConfig as RunConfig
from headway.tf_estimator._tpu_config import TPUConfig as TPUConfig
from headway.tf_estimator._tpu_estimator import TPUEstimator as TPUEstimator
from headway.tf_estimator._tpu_spec import TPUEstimatorSpec as TPUEstimatorSpec
from headway.tf_estimator.v1.tpu import experimental as experimental

__all__ = [
    "InputPipelineConfig",
    "RunConfig",
    "TPUConfig",
    "TPUEstimator",
    "TPUEstimatorSpec",
    "experimental",
]
