"""Prediction: batch by batch from a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import EstimatorSpec
from headway.estimators import _prediction
from headway.estimators._runtime import Setup
from headway.estimators.graph._building import session_config
from headway.estimators.graph._hooks import SessionRun, in_session
from headway.estimators.graph._input import GraphInput

v1 = tf.compat.v1


def session_for(setup: Setup, spec: EstimatorSpec, batch: GraphInput, hooks: Sequence[Any], path: str | None) -> Any:
    """Returns a session that predicts in the current graph, with all hooks."""
    run = SessionRun(setup.directory, None)
    all_hooks = [*batch.hooks, *in_session(hooks, run, None), *in_session(spec.prediction_hooks, run, None)]
    creator = v1.train.ChiefSessionCreator(
        scaffold=spec.scaffold,
        checkpoint_filename_with_path=path,
        master=setup.config.master,
        config=session_config(setup),
    )
    return v1.train.MonitoredSession(creator, hooks=all_hooks)


def batches(session: Any, predictions: Any) -> Iterator[Any]:
    """Yields the predictions of each batch, and closes the session."""
    with session:
        while not session.should_stop():
            yield session.run(predictions)


rows = _prediction.rows
selected = _prediction.selected
