"""The program of training: many steps in one call of a compiled function."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from headway._piles import Piles
from headway._spec import ModeKeys
from headway.estimators import _hooks, _structure, _threads
from headway.estimators._model import Model, ModelCall
from headway.estimators._program import Fetch, Optional, Program, all_reduce, compiled

# What a call asks for, as numbers; see `run` of each program.
REQUEST = tf.TensorSpec([None], tf.int64)
_SCALARS = (tf.TensorShape([]), tf.TensorShape([]), tf.TensorShape([]))


class Mark(NamedTuple):
    """A step of a stretch whose outputs are wanted.

    Attributes:
      number: how many steps of the stretch are done then, from 1 on.
      record: whether the step records summaries.
    """

    number: int
    record: bool


class Marked(NamedTuple):
    """What was kept at a mark.

    Attributes:
      number: that of the mark.
      global_step: the global step then.
      outputs: those of the step, without "logged" and what else is no single value.
    """

    number: int
    global_step: int
    outputs: dict[str, Any]


@dataclasses.dataclass
class Stretch:
    """What a stretch of training steps has done.

    Attributes:
      steps: number of steps done.
      global_step: the global step after them.
      exhausted: whether the input ended before the stretch did.
      nan_at: 0-based index in the stretch of the step whose loss was NaN; -1 if there was none.
      marked: what was kept at the marks that came before the last step.
      outputs: values of the last step: "loss", "summary" (a serialised `Summary`), "logged" (what hooks of the model_fn
        asked for), and "values" (scalars that a log may show).
    """

    steps: int
    global_step: int
    exhausted: bool
    nan_at: int
    outputs: dict[str, Any]
    marked: list[Marked] = dataclasses.field(default_factory=list)


class TrainProgram(Program):
    """Training: `run` makes many steps in one call of a compiled function.

    Attributes:
      varying_rows: whether replicas sum gradients of tables whose number of rows may change from step to step.
        TensorFlow takes the number of the first step in a call for that of all of them, so a call may only make one.
      keeps_marks: whether `run` keeps outputs of steps before the last one.
    """

    mode = ModeKeys.TRAIN
    varying_rows = False
    keeps_marks = False

    def __init__(self, model: Model, fetch: Fetch) -> None:
        super().__init__(model, fetch)
        self._variables: dict[str, tf.Variable] = {}
        self._every_piles: list[Piles] = []
        self._last_with_threads: tuple[list[Any], Callable[..., Any] | None] = ([], None)

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
        workers = None
        if threads == "auto":
            alone = self.graph is not None and _structure.is_default(self.model.strategy)
            threads = _threads.fewest_threads(self.graph) if alone else None
            workers = None if threads is None else _threads.fewest_workers(self.graph, self._batch_size(iterator))
        if threads is not None and not self.eager:
            self._run = self._with_threads(self._argument(iterator), tables, threads, workers)

    def _with_threads(self, argument: Any, tables: Any, threads: int, workers: int | None) -> Callable[..., Any]:
        """Returns the compiled function with so many threads; the one of the call before if nothing has changed."""
        parts = [self._run, *tf.nest.flatten((argument, tables), expand_composites=True), threads, workers]
        kept, made = self._last_with_threads
        if made is None or len(kept) != len(parts) or any(a is not b for a, b in zip(kept, parts, strict=True)):
            # TensorFlow takes as long to get it ready for its first call as some hundred steps take.
            made = _threads.WithThreads(self._run, argument, tables, threads, workers)
            self._last_with_threads = parts, made
        return made

    def _batch_size(self, iterator: Any) -> int | None:
        """Returns the number of rows in a batch; None where an input pipeline makes the batches."""
        del iterator
        return None

    def run(self, iterator: Any, tables: Any, limit: int, *, record: bool, marks: Sequence[Mark] = ()) -> Stretch:
        """Makes at most `limit` steps.

        Args:
          iterator: as given to `prepare`.
          tables: as given to `prepare`.
          limit: number of steps.
          record: whether the last one records summaries.
          marks: earlier steps whose outputs are wanted, in order; only where `keeps_marks`.
        """
        assert not marks
        if self.eager:
            return self._run_eagerly(iterator, tables, limit, record)
        with self._rescued():
            steps, step, nan_at, go_on, outputs = self._run(iterator, tables, tf.constant([limit, record], tf.int64))
        return Stretch(int(steps), int(step), not bool(go_on), int(nan_at), self._with_variables(outputs))

    def _with_variables(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Returns the outputs of a step with the values that variables hold now, before a hook changes them."""
        now = {name: variable.read_value() for name, variable in self._variables.items()}
        return {**outputs, "values": {**outputs["values"], **now}}

    def _argument(self, iterator: Any) -> Any:
        """Returns what the compiled function gets in the iterator's place."""
        return iterator

    def _run_eagerly(self, iterator: Any, tables: Any, limit: int, record: bool) -> Stretch:
        outputs: dict[str, Any] = {}
        done, nan_at, exhausted = 0, -1, False
        while done < limit and nan_at < 0:
            batches = self._next(iterator)
            exhausted = not bool(self._all_have(batches))
            if exhausted:
                break
            fetched = tuple(self._fetch(tables, batch.get_value()) for batch in batches)
            outputs = self._step(fetched, tf.constant(record and done + 1 == limit))
            nan_at = done if bool(tf.math.is_nan(outputs["loss"])) else -1
            done += 1
        return Stretch(done, int(self.model.store.global_step.numpy()), exhausted, nan_at, outputs)

    def _step(self, batches: tuple[Any, ...], record: tf.Tensor) -> dict[str, Any]:
        shares: list[bool] = []

        def outputs_of(outcome: ModelCall) -> dict[str, Any]:
            shares.append(outcome.context.loss_is_share)
            self.varying_rows |= outcome.context.varying_rows
            graph = tf.compat.v1.get_default_graph()
            rates = {name: _of_step(value) for name, value in outcome.context.values.items()}
            values = {**rates, **_hooks.named_tensors(self.watched, graph)}
            self._variables = {name: value for name, value in values.items() if isinstance(value, tf.Variable)}
            logged = {str(i): tensors for i, tensors in enumerate(_hooks.logged_tensors(outcome.spec, graph))}
            return {
                "loss": tf.cast(outcome.spec.loss, tf.float32),
                "logged": logged,
                "values": {name: value for name, value in values.items() if name not in self._variables},
                "summary": outcome.summary,
            }

        def replica_step(batch: Any, record: tf.Tensor) -> dict[str, Any]:
            features_and_labels = _structure.split_batch(batch)
            if self.eager:
                with tf.GradientTape(persistent=True) as tape:
                    return outputs_of(self._call_model(*features_and_labels, record=record, tape=tape))
            if self.model.config.jit_compile:
                return self._by_xla(features_and_labels, outputs_of)
            return outputs_of(self._call_model(*features_and_labels, record=record, piles=self._piles))

        results = self._on_replicas(replica_step, batches, record)
        loss = self._reduce_loss([result["loss"] for result in results], mean=not shares[0])
        return {**results[0], "loss": loss}

    def _by_xla(self, batch: Any, outputs_of: Callable[[ModelCall], dict[str, Any]]) -> dict[str, Any]:
        """Returns the outputs of a step whose calculations XLA compiles; taking rows out of tables is not among them.

        XLA knows no strings: the step gets no features of strings, and records no summary but the loss, which the loop
        itself writes.
        """
        given = batch[0]
        features, labels = _structure.without_strings(*batch)
        _structure.check_not_sparse(features, labels)
        batch = (features,) if labels is None else (features, labels)
        flat = tf.nest.flatten(batch, expand_composites=True)

        def calculate(*flat: tf.Tensor) -> dict[str, Any]:
            with _structure.explained_absence(given, features):
                outputs = outputs_of(self._call_model(*tf.nest.pack_sequence_as(batch, flat, expand_composites=True)))
            del outputs["summary"]
            return outputs

        compiled = tf.function(calculate, autograph=False, jit_compile=True)
        concrete = compiled.get_concrete_function(*[tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in flat])
        _structure.check_sizes_are_known(concrete.graph, features)
        self.graph = concrete.graph
        outputs: dict[str, Any] = concrete(*flat)
        return outputs

    def _reduce_loss(self, losses: list[tf.Tensor], *, mean: bool) -> tf.Tensor:
        strategy = self.model.strategy
        loss = tf.add_n(losses)
        if self.multi_worker:
            # Every local replica brings the sum of them all, which so counts `local_replicas` times.
            summed = strategy.run(all_reduce, args=(loss / self.local_replicas,))
            loss = strategy.experimental_local_results(summed)[0]
        return loss / strategy.num_replicas_in_sync if mean else loss

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        batch_spec = self._batch_spec(element_spec, tables_spec)
        step = self._traced_on_piles(batch_spec)
        # Operations between workers take their keys from the function that they are traced in, and find none where a
        # function that is already traced is called inside a loop.
        run_step = self._step if self.multi_worker else step

        def stretch(iterator: Any, tables: Any, request: tf.Tensor) -> Any:
            limit, record = request_of(request)

            def one(i: tf.Tensor, nan_at: tf.Tensor, batches: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
                outputs = run_step(tuple(batch.get_value() for batch in batches), record & tf.equal(i + 1, limit))
                return tf.where(tf.math.is_nan(outputs["loss"]), i, nan_at), tf.nest.flatten(outputs)

            def take() -> tuple[tf.Tensor, tuple[Any, ...]]:
                return self._taken(iterator, tables, batch_spec)

            initial = [_structure.zeros(spec) for spec in tf.nest.flatten(step.structured_outputs)]
            i, nan_at, go_on, outputs = self._loop(take, limit, one, initial, batch_spec)
            global_step = self.model.store.global_step.read_value()
            return i, global_step, nan_at, go_on, tf.nest.pack_sequence_as(step.structured_outputs, outputs)

        return compiled(self._on_piles(stretch), (tf.data.IteratorSpec(element_spec), tables_spec, REQUEST))

    def _traced_on_piles(self, batch_spec: Any) -> Any:
        """Returns the traced step, of a batch and whether to record, with piles of its own where they pay."""
        config, record = self.model.config, tf.TensorSpec([], tf.bool)
        on_one_cpu = _structure.is_on_one_cpu(self.model.strategy)
        pays = on_one_cpu and not config.jit_compile and config.steps_per_loop != 1
        self._piles = Piles() if pays else None
        step = self._step_function(self._step, batch_spec, record)
        if self._piles is not None and self._piles.are_bypassed_in(step.graph):
            # Such as a head of the caller's that adds the weights to the loss.
            self._piles = None
            step = self._step_function(self._step, batch_spec, record)
        if self._piles is not None:
            self._every_piles.append(self._piles)
        return step

    def _on_piles(self, stretch: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a stretch that takes variables into the piles before it begins, and back out at its end."""
        piles = self._piles
        if piles is None:
            return stretch

        def on_piles(*args: Any) -> Any:
            with tf.control_dependencies(piles.load()):
                results = stretch(*args)
            piles.store()
            return results

        return on_piles

    @contextlib.contextmanager
    def _rescued(self) -> Iterator[None]:
        """Lets variables have the values of the last step that was made, also if a stretch fails in its middle."""
        try:
            yield
        except BaseException:
            for piles in self._every_piles:
                piles.rescue()
            self._last_with_threads = [], None
            raise

    def _batch_spec(self, element_spec: Any, tables_spec: Any) -> Any:
        if not tf.nest.flatten(tables_spec):
            return element_spec
        fetch = tf.function(self._fetch, autograph=False).get_concrete_function(tables_spec, element_spec)
        return _structure.spec_of(fetch.structured_outputs)

    def _taken(self, iterator: Any, tables: Any, batch_spec: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        """Returns whether all replicas have a batch, and their next batches.

        Rows are taken out of resident tables here, while the step before still runs, and not in the step itself.
        """
        elements = self._next(iterator)
        have = self._all_have(elements)
        if not tf.nest.flatten(tables):
            return have, elements

        def batches() -> tuple[Any, ...]:
            return tuple(Optional.from_value(self._fetch(tables, element.get_value())) for element in elements)

        return have, tf.cond(have, batches, lambda: self._no_batches(batch_spec))

    def _loop(self, take: Callable[[], Any], limit: tf.Tensor, one: Callable[..., Any], initial: Any, spec: Any) -> Any:
        def body(i: tf.Tensor, nan_at: tf.Tensor, go_on: tf.Tensor, batches: Any, _: Any) -> Any:
            nan_at, outputs = one(i, nan_at, batches)
            # The next batch is fetched while this step still runs; but none beyond the end of the stretch, or the
            # position in the input that is saved there would be ahead of the weights.
            last = tf.equal(i + 1, limit) | (nan_at >= 0)
            go_on, batches = tf.cond(last, lambda: (go_on, self._no_batches(spec)), take)
            return i + 1, nan_at, go_on, batches, outputs

        go_on, first = take()
        i, nan_at, go_on, _, outputs = tf.while_loop(
            lambda i, nan_at, go_on, *_: go_on & (i < limit) & (nan_at < 0),
            body,
            (tf.constant(0, tf.int64), tf.constant(-1, tf.int64), go_on, first, initial),
            shape_invariants=(*_SCALARS, tuple(tf.OptionalSpec(spec) for _ in first), [open_shape(t) for t in initial]),
        )
        return i, nan_at, go_on, outputs


def _of_step(value: Any) -> Any:
    """Returns the tensor of a step that holds what a variable had then, if the step itself changes it; else `value`."""
    if not isinstance(value, tf.Variable) or tf.executing_eagerly():
        return value
    uses = tf.compat.v1.get_default_graph().capture(value.handle).consumers()
    if not any(op.type.startswith("Assign") for op in uses):
        return value
    reads = [op.outputs[0] for op in uses if op.type == "ReadVariableOp"]
    return tf.identity(reads[0] if reads else value)


def request_of(request: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the number of steps that a call asks for, and whether the last one is to record a summary."""
    with tf.device("/cpu:0"):
        return request[0], request[1] > 0


def open_shape(tensor: tf.Tensor) -> tf.TensorShape:
    """Returns the shape that a loop variable may have in any step, of the zeros that it starts from."""
    # A size that is zero at the start of a loop stands for one that each step may set anew.
    return tf.TensorShape([size or None for size in tensor.shape])
