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
from headway.estimators._events import EventWriter
from headway.estimators._runtime import ExportRequest, Runtime, Setup
from headway.estimators.graph import _evaluate, _export, _predict, _train
from headway.estimators.graph._building import fresh_graph, spec_in_graph
from headway.estimators.graph._hooks import SessionRun
from headway.estimators.graph._input import GraphInput, batch_of
from headway.estimators.graph._kept import KeptSession, can_be_fed, is_keepable, placeholders_like
from headway.estimators.graph._replicas import Batch, spec_of_all, strategy_of
from headway.estimators.graph._restoring import values_hook, warm_start_hooks


class GraphRuntime(Runtime):
    """Runs model_fn as tf.estimator did: in a fresh graph for each call.

    Args:
      setup: what the estimator was made of.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._refuses_keras = False
        self._live: SessionRun | None = None
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
            with self._graph_of(mode):
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
        with self._graph_of(ModeKeys.TRAIN):
            batch = self._batch(input_fn, ModeKeys.TRAIN, latest)
            spec = self._spec(batch, ModeKeys.TRAIN)
            self._train(spec, batch, hooks, listeners, steps=steps, max_steps=max_steps, latest=latest)

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
        first, path, shown = self._start(checkpoint_path)
        with self._graph_of(ModeKeys.EVAL):
            batch = self._batch(input_fn, ModeKeys.EVAL)
            spec = self._spec(batch, ModeKeys.EVAL)
            result = _evaluate.evaluate(setup, spec, batch, hooks, steps=steps, path=path, first=first)
        if config.is_chief or config.task_type == "evaluator":
            _evaluation.report(result, setup.eval_dir(name), shown)
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
        first, path, _ = self._start(checkpoint_path)
        keeps = path is not None and not first and not hooks
        batches = self._from_kept_session(input_fn, keys, path) if keeps else None
        batches = batches or self._from_new_session(input_fn, hooks, keys, path, first)
        yield from _prediction.rows(batches) if single else batches

    def _from_kept_session(
        self, input_fn: Callable[..., Any], keys: Sequence[str] | None, path: str | None
    ) -> Generator[Any] | None:
        """Returns the batches of predictions, made by the session that is kept; None where none can be."""
        with fresh_graph(self._setup) as graph:
            batch = self._batch(input_fn, ModeKeys.PREDICT)
        key = repr(self.seen)
        if key not in self._kept:
            self._kept[key] = self._new_kept_session(batch)
        kept = self._kept[key]
        return None if kept is None or path is None else kept.predictions(batch, graph, keys, path)

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
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        keys: Sequence[str] | None,
        path: str | None,
        first: Sequence[Any],
    ) -> Generator[Any]:
        setup = self._setup
        with fresh_graph(setup):
            batch = dataclasses.replace(self._batch(input_fn, ModeKeys.PREDICT), labels=None)
            spec = self._spec(batch, ModeKeys.PREDICT)
            predictions = _prediction.selected(spec.predictions, keys)
            session = _predict.session_for(setup, spec, batch, hooks, path=path, first=first)
        return _predict.batches(session, predictions)

    def export(self, request: ExportRequest) -> bytes:
        """See `Runtime.export`."""
        return _export.export(self._setup, request)

    def _graph_of(self, mode: str) -> Any:
        return fresh_graph(self._setup, strategy_of(self._setup.config, mode))

    def _spec(self, batch: GraphInput, mode: str) -> EstimatorSpec:
        def call(one: Batch) -> EstimatorSpec:
            with _context.refused():
                spec = spec_in_graph(self._setup, one.features, one.labels, mode, refuses_keras=self._refuses_keras)
            return _evaluate.with_loss(spec, one.present) if mode == ModeKeys.EVAL else spec

        if batch.replicas:
            return spec_of_all(strategy_of(self._setup.config, mode), batch.replicas, call)
        return call(Batch(batch.features, batch.labels))

    def _batch(self, input_fn: Callable[..., Any], mode: str, latest: Checkpoint | None = None) -> GraphInput:
        batch = batch_of(input_fn, mode, self._setup, latest, strategy_of(self._setup.config, mode))
        self.seen = _structure.spec_of(batch.features)
        return batch

    def _train(self, spec: EstimatorSpec, batch: GraphInput, hooks: Any, listeners: Any, **limits: Any) -> None:
        setup, outer = self._setup, self._live
        events = EventWriter(setup.model_dir) if setup.config.is_chief else None
        self._live = SessionRun(setup.directory, events)
        try:
            _train.train(setup, spec, batch, hooks, listeners, **limits, run=self._live)
        finally:
            self._live = outer
            if events is not None:
                events.close()

    def _start(self, checkpoint_path: str | None) -> tuple[list[Any], str | None, str | None]:
        """Returns what the variables begin with: hooks that set them, the checkpoint to read, and the one to name.

        One of headway's own hooks looks at the weights that are in memory; anyone else at the newest checkpoint.
        """
        directory, live = self._setup.directory, self._live
        if checkpoint_path is None and live is not None and live.acting:
            return [values_hook(live.session)], None, directory.path(live.step)
        if checkpoint_path is not None:
            path: str | None = _checkpoints.at(checkpoint_path).path
        else:
            latest = _checkpoints.newest_readable(directory)
            path = None if latest is None else latest.path
            if latest is None:
                logger.warning("There is no checkpoint in %s: the model has its initial weights.", directory.model_dir)
        return warm_start_hooks(self._setup, path, complete=False), path, path
