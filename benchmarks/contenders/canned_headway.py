"""The ready-made models of headway."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import _canned
import _measure
import tensorflow as tf

import headway as hw


def make(model: str, arguments: dict[str, Any]) -> Any:
    """Returns the estimator."""
    config = hw.RunConfig(save_checkpoints_steps=10**6, tf_random_seed=1, model_dir=tempfile.mkdtemp(), progress="none")
    if model == "LinearSDCA":
        arguments["optimizer"] = hw.estimators.LinearSDCA(example_id_column=_canned.EXAMPLE_ID)
        model = "LinearClassifier"
    return getattr(hw.estimators, model)(**arguments, config=config)


def train(estimator: Any, source: Callable[[], Any], noted: _measure.Noted) -> None:
    """Trains, and notes the steps."""
    clock = hw.estimators.every_n_steps(100, lambda run: noted(run.step))
    estimator.train(source, steps=_canned.WARM_UP + _canned.STEPS, hooks=[clock])


if __name__ == "__main__":
    _canned.run(tf, make, hw.feature_columns, train, __doc__)
