"""Compiled functions of a model: many training or evaluation steps in one call, or one batch of predictions.

A program belongs to one model, one mode and one way of fetching batches. It is traced for the input structure that it
first meets, and again only for another structure. The data itself (iterator, resident tables) is an argument, so that a
second `train`, `evaluate` or `predict` traces nothing.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _hooks, _metric_values, _pruning, _structure, _threads, _unfetched
from headway.estimators._model import Model, ModelCall
from headway.estimators._prediction_ahead import ManyBatches, many_batches
from headway.estimators._unfetched import Updates

Fetch = Callable[[Any, Any], Any]
_Optional = tf.experimental.Optional
_SCALARS = (tf.TensorShape([]), tf.TensorShape([]), tf.TensorShape([]))


@dataclasses.dataclass
class Stretch:
    """What a stretch of training steps has done.

    Attributes:
      steps: number of steps done.
      exhausted: whether the input ended before the stretch did.
      nan_at: 0-based index in the stretch of the step whose loss was NaN; -1 if there was none.
      outputs: values of the last step: "loss", "summary" (a serialised `Summary`), "logged" (what hooks of the model_fn
        asked for), and "values" (scalars that a log may show).
    """

    steps: int
    exhausted: bool
    nan_at: int
    outputs: dict[str, Any]


@dataclasses.dataclass
class Evaluated:
    """What a stretch of evaluation steps has found.

    Attributes:
      batches: number of batches.
      loss: the sum of their losses.
      exhausted: whether the input ended before the stretch did.
      pairs: values of (value, update) metrics after the last batch.
    """

    batches: int
    loss: float
    exhausted: bool
    pairs: dict[str, Any]


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
        outcome = self.model.call(features, labels, self.mode, watched=self.watched, **kwargs)
        self.spec = outcome.spec
        makes_train_op = outcome.spec.train_op is not None and not outcome.context.train_op_is_idle
        if self.mode != ModeKeys.TRAIN and (outcome.unfetched.operations or makes_train_op):
            self._check_can_leave_out()
        self._unfetched.add(outcome.unfetched)
        self.changed |= outcome.changed
        return outcome

    def _check_can_leave_out(self) -> bool:
        """Returns whether updates can be left out that a session would not have run; raises an error if they must."""
        replicas = self.model.strategy.num_replicas_in_sync
        compiled = self.model.config.jit_compile and self.mode == ModeKeys.TRAIN
        if not (self.eager or replicas > 1 or compiled):
            return True
        how = "run_eagerly=True" if self.eager else f"{replicas} replicas" if replicas > 1 else "jit_compile=True"
        if self.mode == ModeKeys.TRAIN and self._unfetched.has_steps:
            raise ValueError(
                f"model_fn makes an optimizer's step that is no part of its train_op. With {how} it would run as well. "
                "Make only the steps that the train_op has, or join them: `train_op=tf.group(one, other)`."
            )
        if self.mode == ModeKeys.TRAIN:
            self._notes.not_left_out(self._unfetched, how)
            return False
        raise ValueError(
            f"model_fn made a train_op in mode {self.mode!r}. With {how} it would train there. Make the "
            "optimizer's step in mode TRAIN only: `if mode == ModeKeys.TRAIN: ...`."
        )

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
        if not self._unfetched.operations or not self._check_can_leave_out():
            return concrete
        if self.mode == ModeKeys.TRAIN:
            self._notes.left_out(self._unfetched)
        return _pruning.without(concrete, specs, dropped)

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

    def _step_function(self, step: Callable[..., Any], element_spec: Any, tables_spec: Any, *extra: Any) -> Any:
        elements = tuple(element_spec for _ in range(self.local_replicas))
        self.graph = None
        concrete = self._traced_step(step, (elements, tables_spec, *extra))
        # Of a step that XLA compiles, the graph is the compiled part's.
        self.graph = self.graph or concrete.graph
        self._warn_of_foreign_variables(concrete)
        return concrete

    def _warn_of_foreign_variables(self, concrete: Any) -> None:
        if not _structure.is_default(self.model.strategy):
            return
        known = {id(variable) for variable in self.model.store.known_variables()}
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
        return tuple(_Optional.empty(element_spec) for _ in range(self.local_replicas))

    def _all_have(self, batches: tuple[Any, ...]) -> tf.Tensor:
        """Tells whether each replica, in each worker, has a batch: all of them make a step, or none does."""
        have = tf.reduce_all([batch.has_value() for batch in batches])
        if not self.multi_worker:
            return have
        strategy = self.model.strategy
        count = strategy.run(_all_reduce, args=(tf.cast(have, tf.float32),))
        return strategy.experimental_local_results(count)[0] >= float(strategy.num_replicas_in_sync)


class TrainProgram(Program):
    """Training: `run` makes many steps in one call of a compiled function.

    Attributes:
      varying_rows: whether replicas sum gradients of tables whose number of rows may change from step to step.
        TensorFlow takes the number of the first step in a call for that of all of them, so a call may only make one.
    """

    mode = ModeKeys.TRAIN
    varying_rows = False

    def prepare(self, iterator: Any, tables: Any) -> None:
        """See `Program.prepare`; also settles the number of threads that operations use.

        Raises:
          ValueError: if XLA is to compile the steps of several replicas.
        """
        replicas = self.model.strategy.num_replicas_in_sync
        if self.model.config.jit_compile and replicas > 1:
            raise ValueError(
                f"RunConfig(jit_compile=True) works with one replica, and train_distribute has {replicas}. Leave one "
                "of them out."
            )
        super().prepare(iterator, tables)
        threads: Any = self.model.config.threads_per_op
        if threads == "auto":
            alone = self.graph is not None and _structure.is_default(self.model.strategy)
            threads = _threads.fewest_threads(self.graph) if alone else None
        if threads is not None and not self.eager:
            self._run = _threads.WithThreads(self._run, iterator, tables, threads)

    def run(self, iterator: Any, tables: Any, limit: int, *, record: bool) -> Stretch:
        """Makes at most `limit` steps; `record` asks for summaries in the last one."""
        if self.eager:
            return self._run_eagerly(iterator, tables, limit, record)
        steps, nan_at, go_on, outputs = self._run(iterator, tables, tf.constant(limit, tf.int64), tf.constant(record))
        return Stretch(int(steps), not bool(go_on), int(nan_at), outputs)

    def _run_eagerly(self, iterator: Any, tables: Any, limit: int, record: bool) -> Stretch:
        outputs: dict[str, Any] = {}
        for i in range(limit):
            batches = self._next(iterator)
            if not bool(self._all_have(batches)):
                return Stretch(i, True, -1, outputs)
            elements = tuple(batch.get_value() for batch in batches)
            outputs = self._step(elements, tables, tf.constant(record and i + 1 == limit))
            if bool(tf.math.is_nan(outputs["loss"])):
                return Stretch(i + 1, False, i, outputs)
        return Stretch(limit, False, -1, outputs)

    def _step(self, elements: tuple[Any, ...], tables: Any, record: tf.Tensor) -> dict[str, Any]:
        shares: list[bool] = []

        def outputs_of(outcome: ModelCall) -> dict[str, Any]:
            shares.append(outcome.context.loss_is_share)
            self.varying_rows |= outcome.context.varying_rows
            graph = tf.compat.v1.get_default_graph()
            logged = {str(i): tensors for i, tensors in enumerate(_hooks.logged_tensors(outcome.spec, graph))}
            return {
                "loss": tf.cast(outcome.spec.loss, tf.float32),
                "logged": logged,
                "values": {**outcome.context.values, **_hooks.named_tensors(self.watched, graph)},
                "summary": outcome.summary,
            }

        def replica_step(element: Any, tables: Any, record: tf.Tensor) -> dict[str, Any]:
            if self.eager:
                with tf.GradientTape(persistent=True) as tape:
                    return outputs_of(self._call(tables, element, record=record, tape=tape))
            if self.model.config.jit_compile:
                return self._by_xla(_structure.split_batch(self._fetch(tables, element)), outputs_of)
            return outputs_of(self._call(tables, element, record=record))

        results = self._on_replicas(replica_step, elements, tables, record)
        loss = self._reduce_loss([result["loss"] for result in results], mean=not shares[0])
        return {**results[0], "loss": loss}

    def _by_xla(self, batch: Any, outputs_of: Callable[[ModelCall], dict[str, Any]]) -> dict[str, Any]:
        """Returns the outputs of a step whose calculations XLA compiles; taking rows out of tables is not among them.

        XLA knows no strings: the step gets no features of strings, and records no summary but the loss, which the loop
        itself writes.
        """
        given = batch[0]
        features, labels = _structure.without_strings(*batch)
        batch = (features,) if labels is None else (features, labels)
        flat = tf.nest.flatten(batch, expand_composites=True)

        def calculate(*flat: tf.Tensor) -> dict[str, Any]:
            with _structure.explained_absence(given, features):
                outputs = outputs_of(self._call_model(*tf.nest.pack_sequence_as(batch, flat, expand_composites=True)))
            del outputs["summary"]
            return outputs

        compiled = tf.function(calculate, autograph=False, jit_compile=True)
        concrete = compiled.get_concrete_function(*[tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in flat])
        self.graph = concrete.graph
        outputs: dict[str, Any] = concrete(*flat)
        return outputs

    def _reduce_loss(self, losses: list[tf.Tensor], *, mean: bool) -> tf.Tensor:
        strategy = self.model.strategy
        loss = tf.add_n(losses)
        if self.multi_worker:
            # Every local replica brings the sum of them all, which so counts `local_replicas` times.
            summed = strategy.run(_all_reduce, args=(loss / self.local_replicas,))
            loss = strategy.experimental_local_results(summed)[0]
        return loss / strategy.num_replicas_in_sync if mean else loss

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        step = self._step_function(self._step, element_spec, tables_spec, tf.TensorSpec([], tf.bool))
        # Operations between workers take their keys from the function that they are traced in, and find none where a
        # function that is already traced is called inside a loop.
        run_step = self._step if self.multi_worker else step

        def stretch(iterator: Any, tables: Any, limit: tf.Tensor, record: tf.Tensor) -> Any:
            def one(i: tf.Tensor, nan_at: tf.Tensor, batches: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
                elements = tuple(batch.get_value() for batch in batches)
                outputs = run_step(elements, tables, record & tf.equal(i + 1, limit))
                return tf.where(tf.math.is_nan(outputs["loss"]), i, nan_at), tf.nest.flatten(outputs)

            initial = [_structure.zeros(spec) for spec in tf.nest.flatten(step.structured_outputs)]
            i, nan_at, go_on, outputs = self._loop(iterator, limit, one, initial, element_spec)
            return i, nan_at, go_on, tf.nest.pack_sequence_as(step.structured_outputs, outputs)

        scalars = (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.bool))
        return _compiled(stretch, (tf.data.IteratorSpec(element_spec), tables_spec, *scalars))

    def _loop(self, iterator: Any, limit: tf.Tensor, one: Callable[..., Any], initial: Any, spec: Any) -> Any:
        def body(i: tf.Tensor, nan_at: tf.Tensor, go_on: tf.Tensor, batches: Any, _: Any) -> Any:
            nan_at, outputs = one(i, nan_at, batches)
            # The next batch is fetched while this step still runs; but none beyond the end of the stretch, or the
            # position in the input that is saved there would be ahead of the weights.
            last = tf.equal(i + 1, limit)
            go_on, batches = tf.cond(last, lambda: (go_on, self._no_batches(spec)), lambda: self._fetched(iterator))
            return i + 1, nan_at, go_on, batches, outputs

        go_on, first = self._fetched(iterator)
        i, nan_at, go_on, _, outputs = tf.while_loop(
            lambda i, nan_at, go_on, *_: go_on & (i < limit) & (nan_at < 0),
            body,
            (tf.constant(0, tf.int64), tf.constant(-1, tf.int64), go_on, first, initial),
            shape_invariants=(*_SCALARS, tuple(tf.OptionalSpec(spec) for _ in first), [_open(t) for t in initial]),
        )
        return i, nan_at, go_on, outputs

    def _fetched(self, iterator: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        batches = self._next(iterator)
        return self._all_have(batches), batches


class EvaluateProgram(Program):
    """Evaluation: many batches in one call; a replica for which no batch is left gets an empty one."""

    mode = ModeKeys.EVAL

    def run(self, iterator: Any, tables: Any, limit: int) -> Evaluated:
        """Evaluates at most `limit` steps of one batch for each replica."""
        if self.eager:
            return self._run_eagerly(iterator, tables, limit)
        batches, loss, go_on, pairs = self._run(iterator, tables, tf.constant(limit, tf.int64))
        return Evaluated(int(batches), float(loss), not bool(go_on), pairs)

    def over_all_workers(self, found: Evaluated) -> Evaluated:
        """Returns the sums of what all workers have found."""
        if not self.multi_worker:
            return found
        strategy = self.model.strategy
        mine = tf.constant([found.loss, float(found.batches)], tf.float64) / self.local_replicas
        summed = tf.function(lambda: strategy.run(_all_reduce, args=(mine,)), autograph=False)()
        loss, batches = strategy.experimental_local_results(summed)[0].numpy()
        return dataclasses.replace(found, loss=float(loss), batches=round(float(batches)))

    def pairs_of_all_replicas(self, iterator: Any, tables: Any) -> dict[str, Any]:
        """Returns the values of (value, update) metrics after the updates of all replicas.

        A value is read before the update of its own step, so one more step is made, with batches of no rows.
        """
        specs = _structure.relaxed(iterator.element_spec)
        elements = tuple(tf.nest.map_structure(_structure.empty, specs) for _ in range(self.local_replicas))
        step = self._step if self.eager else self._one_step
        return dict(step(elements, tables, tf.zeros([self.local_replicas], tf.bool))["pairs"])

    def _run_eagerly(self, iterator: Any, tables: Any, limit: int) -> Evaluated:
        total = Evaluated(0, 0.0, False, {})
        for _ in range(limit):
            batches = self._next(iterator)
            if not bool(batches[0].has_value()):
                return dataclasses.replace(total, exhausted=True)
            present, elements = self._padded(batches, iterator.element_spec)
            outputs = self._step(elements, tables, present)
            batches_now, loss_now = total.batches + int(outputs["batches"]), total.loss + float(outputs["loss"])
            total = Evaluated(batches_now, loss_now, False, outputs["pairs"])
        return total

    def _padded(self, batches: tuple[Any, ...], element_spec: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        present = tf.stack([batch.has_value() for batch in batches])
        if self.local_replicas == 1:
            return present, (batches[0].get_value(),)
        specs = _structure.relaxed(element_spec)

        def value(batch: Any) -> Any:
            flat = tf.cond(
                batch.has_value(),
                lambda: tf.nest.flatten(batch.get_value()),
                lambda: [_structure.empty(spec) for spec in tf.nest.flatten(specs)],
            )
            return tf.nest.pack_sequence_as(specs, flat)

        return present, tuple(value(batch) for batch in batches)

    def _step(self, elements: tuple[Any, ...], tables: Any, present: tf.Tensor) -> dict[str, Any]:
        def replica_step(element: Any, tables: Any) -> dict[str, Any]:
            outcome = self._call(tables, element)
            pairs = {name: op for name, op in (outcome.spec.eval_metric_ops or {}).items() if isinstance(op, tuple)}
            return {"loss": tf.cast(outcome.spec.loss, tf.float32), "pairs": self._values_of(pairs)}

        results = self._on_replicas(replica_step, elements, tables)
        losses = tf.stack([result["loss"] for result in results])
        # An empty batch may have any loss, a mean of nothing among them: it is left out, not multiplied by zero.
        return {
            "loss": tf.reduce_sum(tf.cast(tf.where(present, losses, 0.0), tf.float64)),
            "batches": tf.reduce_sum(tf.cast(present, tf.int64)),
            "pairs": results[0]["pairs"],
        }

    def _values_of(self, pairs: dict[str, Any]) -> dict[str, tf.Tensor]:
        if self.eager or self.model.strategy.num_replicas_in_sync > 1:
            # Only a step after the last one sees the updates of all replicas.
            return {name: tf.convert_to_tensor(value) for name, (value, _) in pairs.items()}
        variables = self.model.store.local_variables(self.mode)
        return _metric_values.after_updates(pairs, variables, tf.compat.v1.get_default_graph())

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        batch_spec = element_spec if self.local_replicas == 1 else _structure.relaxed(element_spec)
        step = self._step_function(self._step, batch_spec, tables_spec, tf.TensorSpec([self.local_replicas], tf.bool))
        self._one_step = step
        pair_specs = tf.nest.flatten(step.structured_outputs["pairs"])

        def stretch(iterator: Any, tables: Any, limit: tf.Tensor) -> Any:
            def body(i: tf.Tensor, count: tf.Tensor, loss: tf.Tensor, go_on: tf.Tensor, batches: Any, _: Any) -> Any:
                present, elements = self._padded(batches, element_spec)
                outputs = step(elements, tables, present)
                last = tf.equal(i + 1, limit)
                go_on, batches = tf.cond(
                    last, lambda: (go_on, self._no_batches(element_spec)), lambda: self._fetched(iterator)
                )
                pairs = tf.nest.flatten(outputs["pairs"])
                return i + 1, count + outputs["batches"], loss + outputs["loss"], go_on, batches, pairs

            first_go_on, first = self._fetched(iterator)
            _, count, loss, go_on, _, pairs = tf.while_loop(
                lambda i, count, loss, go_on, *_: go_on & (i < limit),
                body,
                (
                    tf.constant(0, tf.int64),
                    tf.constant(0, tf.int64),
                    tf.constant(0.0, tf.float64),
                    first_go_on,
                    first,
                    [_structure.zeros(spec) for spec in pair_specs],
                ),
            )
            return count, loss, go_on, tf.nest.pack_sequence_as(step.structured_outputs["pairs"], pairs)

        return _compiled(stretch, (tf.data.IteratorSpec(element_spec), tables_spec, tf.TensorSpec([], tf.int64)))

    def _fetched(self, iterator: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        batches = self._next(iterator)
        return batches[0].has_value(), batches


class PredictProgram(Program):
    """Prediction: a generator of the predictions of one batch after another."""

    mode = ModeKeys.PREDICT

    def __init__(self, model: Model, fetch: Fetch) -> None:
        super().__init__(model, fetch)
        self._many: dict[str, ManyBatches | None] = {}

    def run(self, iterator: Any, tables: Any) -> Iterator[Any]:
        """Yields the predictions of each batch, in the order of the input."""
        step = self._step if self.eager else self._run
        for element in iterator:
            yield step((element,), tables)

    def many(self, iterator: Any, tables: Any) -> ManyBatches | None:
        """Returns the loop over several batches for this input; None where there is none."""
        if self.eager:
            return None
        element_spec, tables_spec = iterator.element_spec, _structure.relaxed(_structure.spec_of(tables))
        key = repr((element_spec, tables_spec))
        if key not in self._many:
            step = self._run.get_concrete_function()  # type: ignore[attr-defined]
            self._many[key] = many_batches(step, element_spec, tables_spec)
        return self._many[key]

    def _step(self, elements: tuple[Any, ...], tables: Any) -> Any:
        return self._call(tables, elements[0]).spec.predictions

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        specs = ((element_spec,), tables_spec)
        return _compiled(self._traced_step(self._step, specs), specs)


def _compiled(function: Callable[..., Any], signature: tuple[Any, ...]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = tf.function(function, autograph=False, input_signature=signature)
    compiled.get_concrete_function()  # type: ignore[attr-defined]
    return compiled


def _open(tensor: tf.Tensor) -> tf.TensorShape:
    # A size that is zero at the start of a loop stands for one that each step may set anew.
    return tf.TensorShape([size or None for size in tensor.shape])


def _all_reduce(value: tf.Tensor) -> tf.Tensor:
    # The copy is on the replica's device, which is where the sum is to go.
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))
