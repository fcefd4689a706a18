"""The graph runtime: each verb builds a graph, and a monitored session drives it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from headway import _context
from headway._log import logger
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _checkpoints, _evaluation, _prediction, _structure
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._runtime import ExportRequest, Runtime, Setup
from headway.estimators.graph import _evaluate, _export, _predict, _train
from headway.estimators.graph._building import fresh_graph, spec_in_graph
from headway.estimators.graph._input import GraphInput, batch_of
from headway.estimators.graph._kept import KeptSession, can_be_fed, is_keepable, placeholders_like


class GraphRuntime(Runtime):
    """Runs model_fn as tf.estimator did: in a fresh graph for each call.

    Args:
      setup: what the estimator was made of.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._refuses_keras = False
        # Specs of the features -> the session for them; None where none can be kept.
        self._kept: dict[str, KeptSession | None] = {}

    @contextlib.contextmanager
    def refusing(self, *, keras: bool) -> Iterator[None]:
        """Says whether a model with Keras 3 layers raises `NeedsFunctions`, as one with headway's own parts does."""
        before, self._refuses_keras = self._refuses_keras, keras
        try:
            yield
        finally:
            self._refuses_keras = before

    def why_not_built(self, input_fn: Callable[..., Any], mode: str) -> Exception | None:
        """Makes the graph, and throws it away; returns the error if there is one."""
        try:
            with fresh_graph(self._setup):
                self._spec(self._batch(input_fn, mode), mode)
        except Exception as error:
            return error
        return None

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        listeners: Sequence[Any],
        *,
        steps: int | None,
        max_steps: int | None,
        latest: Checkpoint | None,
    ) -> None:
        """See `Runtime.train`."""
        setup = self._setup
        with fresh_graph(setup):
            batch = self._batch(input_fn, ModeKeys.TRAIN, latest)
            spec = self._spec(batch, ModeKeys.TRAIN)
            _train.train(setup, spec, batch, hooks, listeners, steps=steps, max_steps=max_steps, latest=latest)

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        *,
        steps: int | None,
        checkpoint_path: str | None,
        name: str | None,
    ) -> dict[str, Any]:
        """See `Runtime.evaluate`."""
        setup, config = self._setup, self._setup.config
        path = self._path(checkpoint_path)
        with fresh_graph(setup):
            batch = self._batch(input_fn, ModeKeys.EVAL)
            spec = self._spec(batch, ModeKeys.EVAL)
            result = _evaluate.evaluate(setup, spec, batch, hooks, steps=steps, path=path)
        if config.is_chief or config.task_type == "evaluator":
            _evaluation.report(result, setup.eval_dir(name), path)
        return result

    def predict(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        *,
        keys: Sequence[str] | None,
        checkpoint_path: str | None,
        single: bool,
    ) -> Generator[Any]:
        """See `Runtime.predict`."""
        path = self._path(checkpoint_path)
        batches = self._from_kept_session(input_fn, keys, path) if path is not None and not hooks else None
        batches = batches or self._from_new_session(input_fn, hooks, keys, path)
        yield from _prediction.rows(batches) if single else batches

    def _from_kept_session(
        self, input_fn: Callable[..., Any], keys: Sequence[str] | None, path: str
    ) -> Generator[Any] | None:
        """Returns the batches of predictions, made by the session that is kept; None where none can be."""
        with fresh_graph(self._setup) as graph:
            batch = self._batch(input_fn, ModeKeys.PREDICT)
        key = repr(self.seen)
        if key not in self._kept:
            self._kept[key] = self._new_kept_session(batch)
        kept = self._kept[key]
        return None if kept is None else kept.predictions(batch, graph, keys, path)

    def _new_kept_session(self, batch: GraphInput) -> KeptSession | None:
        if not can_be_fed(batch.features):
            return None
        with fresh_graph(self._setup) as graph:
            features = placeholders_like(batch.features)
            # model_fns pop features out of the dict.
            given = dict(features) if isinstance(features, dict) else features
            try:
                spec = self._spec(GraphInput(given, None), ModeKeys.PREDICT)
            except _context.NeedsFunctions:
                raise
            except Exception as error:
                logger.debug("No session is kept, as model_fn cannot be called on placeholders: %s", error)
                return None
            return KeptSession(self._setup, graph, features, spec) if is_keepable(spec) else None

    def _from_new_session(
        self, input_fn: Callable[..., Any], hooks: Sequence[Any], keys: Sequence[str] | None, path: str | None
    ) -> Generator[Any]:
        setup = self._setup
        with fresh_graph(setup):
            batch = dataclasses.replace(self._batch(input_fn, ModeKeys.PREDICT), labels=None)
            spec = self._spec(batch, ModeKeys.PREDICT)
            predictions = _prediction.selected(spec.predictions, keys)
            session = _predict.session_for(setup, spec, batch, hooks, path)
        return _predict.batches(session, predictions)

    def export(self, request: ExportRequest) -> bytes:
        """See `Runtime.export`."""
        return _export.export(self._setup, request)

    def _spec(self, batch: GraphInput, mode: str) -> EstimatorSpec:
        with _context.refused():
            return spec_in_graph(self._setup, batch, mode, refuses_keras=self._refuses_keras)

    def _batch(self, input_fn: Callable[..., Any], mode: str, latest: Checkpoint | None = None) -> GraphInput:
        batch = batch_of(input_fn, mode, self._setup, latest)
        self.seen = _structure.spec_of(batch.features)
        return batch

    def _path(self, checkpoint_path: str | None) -> str | None:
        """Returns the checkpoint to use: the one given, or the newest that can be read; None if there is none."""
        if checkpoint_path is not None:
            return _checkpoints.at(checkpoint_path).path
        latest = _checkpoints.newest_readable(self._setup.directory)
        if latest is None:
            logger.warning(
                "There is no checkpoint in %s: the model has its initial weights.", self._setup.directory.model_dir
            )
        return None if latest is None else latest.path
