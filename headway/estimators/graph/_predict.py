"""Prediction: batch by batch from a session."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import EstimatorSpec
from headway.estimators._runtime import Setup
from headway.estimators.graph._building import session_config
from headway.estimators.graph._hooks import SessionHooks, SessionRun
from headway.estimators.graph._input import GraphInput
from headway.estimators.graph._restoring import fitting

v1 = tf.compat.v1


def session_for(
    setup: Setup,
    spec: EstimatorSpec,
    batch: GraphInput,
    hooks: Sequence[Any],
    *,
    path: str | None,
    first: Sequence[Any] = (),
) -> Any:
    """Returns a session that predicts in the current graph, with all hooks; `first` are those that set variables."""
    in_session = SessionHooks(SessionRun(setup.directory))
    creator = v1.train.ChiefSessionCreator(
        scaffold=spec.scaffold,
        checkpoint_filename_with_path=path,
        master=setup.config.master,
        config=session_config(setup),
    )
    own = [*in_session.of(hooks), *in_session.of(spec.prediction_hooks)]
    with fitting(path):
        return v1.train.MonitoredSession(creator, hooks=[*first, *batch.hooks, *own])


def batches(session: Any, predictions: Any) -> Generator[Any]:
    """Yields the predictions of each batch, and closes the session."""
    with session:
        while not session.should_stop():
            yield session.run(predictions)
