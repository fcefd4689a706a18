"""Compiled functions of a model: many training or evaluation steps in one call, or one batch of predictions.

A program belongs to one model, one mode and one way of fetching batches. It is traced for the input structure that it
first meets, and again only for another structure. The data itself (iterator, resident tables) is an argument, so that a
second `train`, `evaluate` or `predict` traces nothing.
"""

from __future__ import annotations

import abc
import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway._piles import Piles
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _pruning, _structure, _unfetched
from headway.estimators._model import Model, ModelCall
from headway.estimators._unfetched import Updates

Fetch = Callable[[Any, Any], Any]
Optional = tf.experimental.Optional


class Program(abc.ABC):
    """What the programs of all modes share: fetching batches for this process's replicas, and running these.

    Args:
      model: the model.
      fetch: turns resident tables and an element of the input into a batch; see
        `headway.input_pipelines.Pipeline.fetch`.

    Attributes:
      spec: the `EstimatorSpec` of the first replica in the last call of the model_fn.
      graph: the graph of one step; None before `prepare`, and when steps run eagerly.
      changed: names of the variables of the model that steps of evaluation or prediction may change.
      watched: names of tensors of the model_fn whose values in the last step of training are wanted among "values".
    """

    mode: str

    def __init__(self, model: Model, fetch: Fetch) -> None:
        self.model = model
        self.spec: EstimatorSpec | None = None
        self.local_replicas = _structure.local_replicas(model.strategy)
        self.multi_worker = _structure.is_multi_worker(model.strategy)
        self.eager = model.config.run_eagerly
        self._fetch = fetch
        self.graph: Any = None
        self.watched: tuple[str, ...] = ()
        self._piles: Piles | None = None
        self._traced: dict[str, Callable[..., Any]] = {}
        self._unfetched = Updates()
        self._notes = _unfetched.Notes()
        self.changed: set[str] = set()
        self._run: Callable[..., Any] = self._not_prepared

    def prepare(self, iterator: Any, tables: Any) -> None:
        """Traces the program for this input, which makes the model's variables if they are not there; runs nothing."""
        element_spec, tables_spec = iterator.element_spec, _structure.relaxed(_structure.spec_of(tables))
        if self.eager or not _structure.is_default(self.model.strategy):
            self._make_variables(element_spec, tables_spec)
        if self.eager:
            return
        key = repr((element_spec, tables_spec, self.watched))
        if key not in self._traced:
            self._traced[key] = self._trace(element_spec, tables_spec)
            if self.model.store.unset:
                self._make_variables(element_spec, tables_spec)
        self._run = self._traced[key]

    def metric_results(self) -> dict[str, Any]:
        """Returns the results of the metric objects that the program updates."""
        assert self.spec is not None
        ops = self.spec.eval_metric_ops or {}
        return {name: op.result() for name, op in ops.items() if not isinstance(op, tuple)}

    @abc.abstractmethod
    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        """Returns the compiled function that runs the program on input of these specs."""

    def _not_prepared(self, *_: Any) -> Any:
        raise AssertionError("prepare() comes before run()")

    def _call(self, tables: Any, element: Any, **kwargs: Any) -> ModelCall:
        return self._call_model(*_structure.split_batch(self._fetch(tables, element)), **kwargs)

    def _call_model(self, features: Any, labels: Any = None, **kwargs: Any) -> ModelCall:
        # model_fns pop features out of the dict; it is theirs alone.
        features = dict(features) if isinstance(features, dict) else features
        with self._explained_graphs():
            outcome = self.model.call(features, labels, self.mode, watched=self.watched, **kwargs)
        self.spec = outcome.spec
        makes_train_op = outcome.spec.train_op is not None and not outcome.context.train_op_is_idle
        if self.mode != ModeKeys.TRAIN and (outcome.unfetched.has_steps or makes_train_op):
            self._check_does_not_train()
        self._unfetched.add(outcome.unfetched)
        self.changed |= outcome.changed
        return outcome

    @contextlib.contextmanager
    def _explained_graphs(self) -> Iterator[None]:
        """Says what to do about functions of TensorFlow 1 in a model_fn that runs eagerly."""
        try:
            yield
        except RuntimeError as error:
            if not self.eager or "eager execution is enabled" not in str(error):
                raise
            raise ValueError(
                "model_fn uses what TensorFlow has in graphs only, such as optimizers of tf.compat.v1.train, and "
                f"run_eagerly=True runs it without a graph: {error} Leave run_eagerly out, or use an optimizer or "
                "metrics of Keras."
            ) from error

    def _why_all_runs(self) -> str | None:
        """Returns what it is that makes all run that was traced; None if operations can be left out."""
        replicas = self.model.strategy.num_replicas_in_sync
        if self.eager or replicas > 1:
            return "run_eagerly=True" if self.eager else f"{replicas} replicas"
        return "jit_compile=True" if self.model.config.jit_compile and self.mode == ModeKeys.TRAIN else None

    def _check_does_not_train(self) -> None:
        """Raises an error if evaluation or prediction cannot leave out the train_op that was made in it."""
        how = self._why_all_runs()
        if how is not None:
            raise ValueError(
                f"model_fn made a train_op in mode {self.mode!r}. With {how} it would train there. Make the "
                "optimizer's step in mode TRAIN only: `if mode == ModeKeys.TRAIN: ...`."
            )

    def _leaves_out(self) -> bool:
        """Returns whether operations are left out that a session would not have run; says in the log which they are."""
        found, how = self._unfetched, self._why_all_runs()
        if how is not None and found.has_steps:
            raise ValueError(
                f"model_fn makes an optimizer's step that is no part of its train_op. With {how} it would run as well. "
                "Make only the steps that the train_op has, or join them: `train_op=tf.group(one, other)`."
            )
        if how is not None and self.mode == ModeKeys.TRAIN:
            self._notes.not_left_out(found, how)
            return False
        if self.mode == ModeKeys.TRAIN:
            self._notes.left_out(found)
        self._notes.unasked(found, self.mode)
        return bool(found.operations)

    def _traced_step(self, step: Callable[..., Any], specs: tuple[Any, ...]) -> Any:
        """Returns the concrete function of a step, without the updates that a session would not have run."""
        self._unfetched = Updates()
        dropped: list[str] = []

        def traced(*args: Any) -> Any:
            outputs = step(*args)
            # Here the graph has no order yet but that which the program asked for.
            graph = tf.compat.v1.get_default_graph()
            dropped[:] = [op.name for op in _unfetched.dependents(graph, self._unfetched.operations)]
            return outputs

        concrete = tf.function(traced, autograph=False).get_concrete_function(*specs)
        if self.mode == ModeKeys.TRAIN:
            self._notes.kept(self._unfetched)
        return _pruning.without(concrete, specs, dropped) if self._leaves_out() else concrete

    def _on_replicas(self, step: Callable[..., Any], elements: tuple[Any, ...], *args: Any) -> list[Any]:
        """Runs `step(element, *args)` on each local replica with an element of its own; returns their results."""
        strategy = self.model.strategy
        if _structure.is_default(strategy):
            return [step(elements[0], *args)]

        def run(elements: tuple[Any, ...], *args: Any) -> Any:
            return step(elements[_structure.local_index(self.local_replicas)], *args)

        # compat.v1 optimizers make their slots where the replicas meet, which is outside each replica's own scope. The
        # strategy's scope comes first, or the strategy would ask the store for a variable on each device.
        # The graph's collections change while one replica waits for another: here are those that were there before.
        graph = tf.compat.v1.get_default_graph()
        collections = contextlib.nullcontext() if self.eager else _tensorflow.fresh_collections(graph)
        with collections, strategy.scope(), self.model.store.call(self.mode, may_create=False):
            results = strategy.run(run, args=(elements, *args))
        flat = [strategy.experimental_local_results(value) for value in tf.nest.flatten(results)]
        # What is one and the same object in all replicas comes back once.
        rows = [[values[min(i, len(values) - 1)] for values in flat] for i in range(self.local_replicas)]
        return [tf.nest.pack_sequence_as(results, row) for row in rows]

    def _make_variables(self, element_spec: Any, tables_spec: Any) -> None:
        """Calls the model_fn once in a graph that is thrown away, to make its variables before replicas share them.

        Variables that start from a tensor of the graph get their value here as well: only this graph can be run for
        that tensor alone.
        """
        store = self.model.store
        if self.model.complete and not store.unset:
            return
        specs = (tables_spec, element_spec)
        names: list[str] = []

        def init(*flat: Any) -> list[tf.Tensor]:
            # Keras 2 takes a graph by the name that wrap_function gives it for one of TensorFlow 1.
            tf.compat.v1.get_default_graph().name = "make_variables"
            tables, element = tf.nest.pack_sequence_as(specs, flat)
            outcome = self._call(tables, element, variables_only=True)
            names.extend(outcome.call.pending)
            return [tf.identity(tensor) for tensor in outcome.call.pending.values()]

        # Unlike tf.function, wrap_function runs only what its outputs need: no side effect of the model_fn happens
        # here.
        before = self.spec
        initial = tf.compat.v1.wrap_function(init, tf.nest.flatten(specs))
        # The metrics of this call are those of no replica: what the steps have counted is read from the steps' own.
        self.spec = self.spec if before is None else before
        if store.unset:
            values = initial(*[_structure.empty(spec, rows=1) for spec in tf.nest.flatten(specs)])
            for name, value in zip(names, values, strict=True):
                store.entries[name].variable.assign(value)
            store.unset.clear()

    def _step_function(self, step: Callable[..., Any], batch_spec: Any, *further: Any) -> Any:
        specs = (tuple(batch_spec for _ in range(self.local_replicas)), *further)
        self.graph = None
        concrete = self._traced_step(step, specs)
        # Of a step that XLA compiles, the graph is the compiled part's.
        self.graph = self.graph or concrete.graph
        self._warn_of_foreign_variables(concrete)
        return concrete

    def _warn_of_foreign_variables(self, concrete: Any) -> None:
        if not _structure.is_default(self.model.strategy):
            return
        own = [] if self._piles is None else self._piles.variables
        known = {id(variable) for variable in [*self.model.store.known_variables(), *own]}
        # A graph also lists variables that were read while it was made; those it uses are among its inputs.
        inputs = {id(tensor) for tensor in concrete.captured_inputs}
        used = [variable for variable in concrete.variables if id(variable.handle) in inputs]
        foreign = [variable.name for variable in used if id(variable) not in known]
        if foreign:
            warnings.warn(
                f"model_fn uses variables that were made outside it: {foreign}. No checkpoint holds them. Make layers, "
                "variables and optimizers inside model_fn.",
                stacklevel=2,
            )

    def _next(self, iterator: Any) -> tuple[Any, ...]:
        return tuple(iterator.get_next_as_optional() for _ in range(self.local_replicas))

    def _no_batches(self, element_spec: Any) -> tuple[Any, ...]:
        return tuple(Optional.empty(element_spec) for _ in range(self.local_replicas))

    def _all_have(self, batches: tuple[Any, ...]) -> tf.Tensor:
        """Tells whether each replica, in each worker, has a batch: all of them make a step, or none does."""
        each = [batch.has_value() for batch in batches]
        have = each[0] if len(each) == 1 else tf.reduce_all(each)
        if not self.multi_worker:
            return have
        strategy = self.model.strategy
        count = strategy.run(all_reduce, args=(tf.cast(have, tf.float32),))
        return strategy.experimental_local_results(count)[0] >= float(strategy.num_replicas_in_sync)


def compiled(function: Callable[..., Any], signature: tuple[Any, ...]) -> Callable[..., Any]:
    """Returns `function`, traced for arguments of these specs."""
    compiled: Callable[..., Any] = tf.function(function, autograph=False, input_signature=signature)
    compiled.get_concrete_function()  # type: ignore[attr-defined]
    return compiled


def all_reduce(value: tf.Tensor) -> tf.Tensor:
    """Returns the sum of `value` over all replicas; called in each of them."""
    # The copy is on the replica's device, which is where the sum is to go.
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))
