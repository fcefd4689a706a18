"""The ready-made models of tf.estimator 2.15."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from typing import Any

import _canned
import _measure
import tensorflow as tf


def make(model: str, arguments: dict[str, Any]) -> Any:
    """Returns the estimator."""
    config = tf.estimator.RunConfig(save_checkpoints_steps=10**6, tf_random_seed=1, model_dir=tempfile.mkdtemp())
    if model == "LinearSDCA":
        solver = tf.estimator.experimental.LinearSDCA(example_id_column=_canned.EXAMPLE_ID)
        return tf.estimator.LinearClassifier(**arguments, optimizer=solver, config=config)
    if model == "KMeansClustering":
        return tf.compat.v1.estimator.experimental.KMeans(**arguments, config=config)
    module = tf.estimator.experimental if model.startswith("RNN") else tf.estimator
    return getattr(module, model)(**arguments, config=config)


def train(estimator: Any, source: Callable[[], Any], noted: _measure.Noted) -> None:
    """Trains, and notes the steps."""

    class Clock(tf.estimator.SessionRunHook):  # type: ignore[misc]
        steps = 0

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self.steps += 1
            if self.steps % 100 == 0:
                noted(self.steps)

    estimator.train(source, steps=_canned.WARM_UP + _canned.STEPS, hooks=[Clock()])


if __name__ == "__main__":
    tf.get_logger().setLevel(logging.ERROR)
    _canned.run(tf, make, tf.feature_column, train, __doc__)
