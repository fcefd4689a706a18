"""The names of tf.compat.v1.estimator.inputs."""

from __future__ import annotations

from headway.tf_estimator._inputs import numpy_input_fn as numpy_input_fn
from headway.tf_estimator._inputs import pandas_input_fn as pandas_input_fn

__all__ = [
    "numpy_input_fn",
    "pandas_input_fn",
]
