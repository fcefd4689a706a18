"""The function runtime: a model_fn traced into compiled functions over one set of variables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import (
    _choice,
    _evaluation,
    _exporting,
    _input,
    _prediction,
    _scaffold,
    _session_input,
    _structure,
)
from headway.estimators._batch_run import BatchRun
from headway.estimators._checkpoint_tools import show_checkpoint
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._classic_hooks import (
    CheckpointSaverHook,
    GraphHook,
    NanTensorHook,
    StepCounterHook,
    SummarySaverHook,
)
from headway.estimators._evaluate_program import EvaluateProgram
from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, adapted, check_for_training
from headway.estimators._model import Model
from headway.estimators._needs_graph import NeedsGraph
from headway.estimators._predict_program import PredictProgram
from headway.estimators._program import Program
from headway.estimators._progress import ProgressBar, progress_hook
from headway.estimators._readable import readable_errors
from headway.estimators._runtime import EMPTY_INPUT, ExportRequest, Runtime, Setup
from headway.estimators._saving import Saver
from headway.estimators._train import TrainRun
from headway.estimators._train_program import TrainProgram
from headway.estimators._train_rows import TrainRowsProgram, takes_row_numbers
from headway.estimators._variable_table import VariableTable, table_of_store
from headway.estimators._weights import Weights
from headway.input_pipelines import Pipeline
from headway.input_pipelines._row_numbers import RowNumbers
from headway.input_pipelines._streams import TensorsPipeline

_PROGRAMS: dict[str, type[Program]] = {
    ModeKeys.TRAIN: TrainProgram,
    ModeKeys.EVAL: EvaluateProgram,
    ModeKeys.PREDICT: PredictProgram,
}


class FunctionRuntime(Runtime):
    """Compiles what the model_fn returns, and keeps its variables in memory, by name.

    Args:
      setup: what the estimator was made of.

    Attributes:
      weights: the variables for each strategy, by the strategy's `id`; 0 for the default one.
      on_trial: whether what only a session can run raises `NeedsGraph`.
    """

    def __init__(self, setup: Setup) -> None:
        self.weights: dict[int, Weights] = {}
        self._setup = setup
        self._programs: dict[Any, Program] = {}
        self._training: Weights | None = None
        self._graph_written = False
        self.on_trial = False

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
        config = self._setup.config
        self._seed()
        strategy = config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        worker = "" if config.is_chief else f".{config.task_type}-{config.task_id}"
        by_numbers = takes_row_numbers(config, strategy)
        pipeline = self._rows(input_fn, ModeKeys.TRAIN, strategy)
        source = _input.start(pipeline, latest, config.resume_input, worker, by_numbers=by_numbers)
        names = {name for hook in hooks for name in hook.step_names}
        program = self._prepared(ModeKeys.TRAIN, weights, source.pipeline, source.iterator, source.tables, names)
        weights.complete(latest, self._setup.warm_start)
        assert isinstance(program, TrainProgram)
        self._run(program, source, weights, list(hooks), list(listeners), steps, max_steps)

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
        config, setup = self._setup.config, self._setup
        strategy = config.eval_distribute or config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        pipeline = self._rows(input_fn, ModeKeys.EVAL, strategy)
        iterator, tables = iter(pipeline.elements()), pipeline.tables()
        program = self._prepared(ModeKeys.EVAL, weights, pipeline, iterator, tables)
        assert isinstance(program, EvaluateProgram)
        spec_hooks = program.spec.evaluation_hooks if program.spec is not None else ()
        hooks = [*hooks, *(adapted(hook) for hook in spec_hooks)]
        live = self._training is weights
        changed = self._changed(program)
        with weights.of(checkpoint_path, setup.warm_start, live=live, spec=program.spec, changed=changed) as path:
            result = _evaluation.evaluate(
                program, iterator, tables, steps=steps, hooks=hooks, model_dir=setup.model_dir
            )
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
        setup = self._setup
        strategy = setup.config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        pipeline = self._rows(input_fn, ModeKeys.PREDICT, strategy)
        iterator, tables = iter(pipeline.elements()), pipeline.tables()
        program = self._prepared(ModeKeys.PREDICT, weights, pipeline, iterator, tables)
        assert isinstance(program, PredictProgram)
        spec_hooks = program.spec.prediction_hooks if program.spec is not None else ()
        hooks = [*hooks, *(adapted(hook) for hook in spec_hooks)]
        live = self._training is weights
        changed = self._changed(program)
        run, ahead = BatchRun(setup.model_dir), pipeline.position_kind == "index"

        def predicted(hold: Callable[[], None]) -> Iterator[Any]:
            return _prediction.batches(
                program, iterator, tables, run, keys=keys, hooks=hooks, may_read_ahead=ahead, hold=hold
            )

        def given() -> contextlib.AbstractContextManager[str | None]:
            return weights.of(checkpoint_path, setup.warm_start, live=live, spec=program.spec, changed=changed)

        if live and checkpoint_path is not None:
            # Training goes on while the caller looks at a row, and needs its own weights.
            batches = _prediction.each_within(predicted(lambda: None), given)
            yield from _prediction.rows(batches) if single else batches
            return
        with given() as path:
            # Begun in training, a prediction follows its weights.
            batches = predicted((lambda: None) if live else weights.holder(path))
            yield from _prediction.rows(batches) if single else batches

    def _changed(self, program: Program) -> set[str]:
        """Returns the names of the variables whose values must come back after evaluation or prediction."""
        # Steps in Python leave no trace of what they change.
        return set(program.model.store.entries) if program.eager else program.changed

    def export(self, request: ExportRequest) -> bytes:
        """See `Runtime.export`."""
        default, trained = tf.distribute.get_strategy(), self._setup.config.train_distribute

        def model_of(mode: str) -> Model:
            # Training and evaluation run in replicas, of which an exported graph has one.
            return self._weights_for(trained if trained and mode == ModeKeys.PREDICT else default).model

        transform = None if self._setup.transform is None else self._setup.transform.python_function
        with self._or_graph("model_fn"):
            return _exporting.export(_exporting.Source(model_of, transform), request)

    def summary(self, input_fn: Callable[..., Any] | None) -> VariableTable:
        """Returns a table of the variables; see `Estimator.summary`."""
        strategy = self._setup.config.train_distribute or tf.distribute.get_strategy()
        weights, model_dir = self._weights_for(strategy), self._setup.model_dir
        if not weights.model.complete and input_fn is not None:
            self._seed()
            pipeline = self._rows(input_fn, ModeKeys.TRAIN, strategy)
            by_numbers = takes_row_numbers(self._setup.config, strategy)
            source = _input.start(pipeline, None, "never", by_numbers=by_numbers)
            self._prepared(ModeKeys.TRAIN, weights, pipeline, source.iterator, source.tables)
        if weights.model.complete or input_fn is not None:
            return table_of_store(weights.model.store, model_dir)
        if self._setup.directory.latest() is None:
            raise ValueError("The model has no variables before it is trained. Pass the input_fn: summary(input_fn).")
        return show_checkpoint(model_dir)

    def _rows(self, input_fn: Callable[..., Any], mode: str, strategy: tf.distribute.Strategy) -> Pipeline:
        setup = self._setup
        with readable_errors():
            pipeline = self._called(setup.adapt_input(input_fn), mode, strategy)
            self.seen = _structure.split_batch(pipeline.element_spec)[0]
            transform = setup.transform if mode == ModeKeys.PREDICT else setup.checked_transform
            return pipeline if transform is None else pipeline.map_batches(transform)

    def _prepared(
        self, mode: str, weights: Weights, pipeline: Pipeline, iterator: Any, tables: Any, watched: Iterable[str] = ()
    ) -> Program:
        key = (mode, id(weights), pipeline.fetch_key)
        if key not in self._programs:
            kind = TrainRowsProgram if isinstance(iterator, RowNumbers) else _PROGRAMS[mode]
            self._programs[key] = kind(weights.model, pipeline.fetch)
        program = self._programs[key]
        program.watched = tuple(sorted(watched))
        with self._or_graph("model_fn"):
            program.prepare(iterator, tables)
        self._check_without_session(program)
        return program

    def _called(self, input_fn: Callable[..., Any], mode: str, strategy: tf.distribute.Strategy) -> Pipeline:
        """Returns what input_fn gives, which may be batches that a session computes."""
        setup = self._setup

        def call() -> Pipeline:
            return _input.call_input_fn(input_fn, mode, setup.params, setup.config, strategy)

        def by_session() -> Pipeline | None:
            return _session_input.session_pipeline(
                lambda: _input.result_of(input_fn, mode, setup.params, setup.config, strategy)
            )

        if self.on_trial:
            with self._or_graph("input_fn"):
                pipeline = call()
            if isinstance(pipeline, TensorsPipeline) and by_session() is not None:
                raise NeedsGraph("input_fn takes its batches from an iterator in a session")
            return pipeline
        try:
            pipeline = call()
        except (RuntimeError, ValueError, NotImplementedError, AttributeError, NeedsGraph):
            found = by_session()
            if found is None:
                raise
            return found
        return (by_session() or pipeline) if isinstance(pipeline, TensorsPipeline) else pipeline

    @contextlib.contextmanager
    def _or_graph(self, function: str) -> Iterator[None]:
        """Lets an error of the user's function raise `NeedsGraph` on trial; headway's own say what to do already."""
        try:
            yield
        except NeedsGraph:
            raise
        except Exception as error:
            if not self.on_trial or _choice.raised_by_headway(error):
                raise
            what = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            raise NeedsGraph(f"{function} does not run in a compiled function ({what})") from error

    def _check_without_session(self, program: Program) -> None:
        """Raises an error if the traced program needs what only a session has."""
        placeholders = _choice.unfed_placeholders(program.graph)
        why = _choice.why_spec_needs_session(program.spec)
        tables = _choice.mutable_tables(program.graph)
        if placeholders:
            why = f"model_fn makes the placeholders {placeholders}"
        elif tables:
            why = f"model_fn keeps values in the tables {tables}, which change while it runs"
        if why is None:
            return
        if self.on_trial:
            raise NeedsGraph(why)
        if placeholders or tables or (program.spec is not None and program.spec.scaffold is not None):
            raise ValueError(f"{why}, which only a session knows. Run it with RunConfig(runtime='graph').")
        _choice.check_spec(program.spec)

    def _weights_for(self, strategy: tf.distribute.Strategy) -> Weights:
        key = 0 if _structure.is_default(strategy) else id(strategy)
        if key not in self.weights:
            setup = self._setup
            model = Model(setup.model_fn, setup.params, setup.config, strategy)
            self.weights[key] = Weights(model, setup.directory)
        return self.weights[key]

    def _seed(self) -> None:
        if self._setup.config.tf_random_seed is not None:
            keras.utils.set_random_seed(self._setup.config.tf_random_seed)

    def _run(
        self,
        program: TrainProgram,
        source: _input.TrainingInput,
        weights: Weights,
        user_hooks: list[Hook],
        listeners: list[Any],
        steps: int | None,
        max_steps: int | None,
    ) -> None:
        first_step = int(weights.model.store.global_step.numpy())
        last_step = first_step + steps if steps is not None else max_steps
        hooks, spec_hooks, listeners = self._all_hooks(program, user_hooks, listeners, last_step)
        _scaffold.keep(program.spec, self._setup.directory)
        saver = Saver(
            weights.model.store,
            self._setup.directory,
            is_chief=self._setup.config.is_chief,
            listeners=listeners,
            asynchronous=self._setup.config.async_checkpoints,
            unchanged=weights.unchanged(),
        )
        events = EventWriter(self._setup.model_dir) if self._setup.config.is_chief else None
        run = TrainRun(
            program,
            source,
            saver,
            events=events,
            first_step=first_step,
            steps_per_loop=self._setup.config.steps_per_loop,
        )
        saver.begin()
        self._training = weights
        # If an error ends the run, the values in memory are those of no checkpoint, NaN perhaps.
        weights.forget()
        try:
            run.loop(hooks, spec_hooks, last_step)
            saver.end(run.step)
            weights.trained(saver.last, run.step)
        finally:
            self._training = None
            weights.training_failed()
            saver.close()
            if events is not None:
                events.close()
        _report_end(run, source)

    def _all_hooks(
        self, program: TrainProgram, user_hooks: list[Hook], listeners: list[Any], last_step: int | None
    ) -> tuple[list[Hook], list[Hook], list[Any]]:
        config, spec = self._setup.config, program.spec
        spec_hooks = (
            [adapted(hook) for hook in (*spec.training_hooks, *spec.training_chief_hooks)] if spec is not None else []
        )
        check_for_training([hook for hook in user_hooks if hook not in spec_hooks])
        chief_only = spec_hooks[len(spec.training_hooks) :] if spec is not None else []
        hooks = list(user_hooks)
        hooks += [] if any(isinstance(hook, NanTensorHook) for hook in hooks) else [NanTensorHook()]
        progress = progress_hook(config.progress, config.log_step_count_steps, last_step) if config.is_chief else None
        hooks += [progress] if progress is not None else []
        hooks += [hook for hook in spec_hooks if config.is_chief or hook not in chief_only]
        savers = [hook for hook in hooks if isinstance(hook, CheckpointSaverHook)]
        saves = config.save_checkpoints_steps is not None or config.save_checkpoints_secs is not None
        if not savers and saves:
            savers = [
                CheckpointSaverHook(save_secs=config.save_checkpoints_secs, save_steps=config.save_checkpoints_steps)
            ]
            hooks += savers
        if listeners and not savers:
            raise ValueError(
                "There should be a CheckpointSaverHook to use saving_listeners. Please set one of the "
                "RunConfig.save_checkpoints_steps or "
                "RunConfig.save_checkpoints_secs."
            )
        if config.log_step_count_steps:
            # A bar shows the speed itself.
            hooks.append(StepCounterHook(config.log_step_count_steps, log=not isinstance(progress, ProgressBar)))
        if config.checkpoint_save_graph_def and program.graph is not None and not self._graph_written:
            hooks.append(GraphHook(program.graph))
            self._graph_written = True
        if config.save_summary_steps:
            hooks.append(SummarySaverHook(config.save_summary_steps))
        hooks.sort(key=lambda hook: getattr(hook, "acts_last", False))
        return hooks, spec_hooks, [*listeners, *(listener for saver in savers for listener in saver.listeners)]


def _report_end(run: TrainRun, source: _input.TrainingInput) -> None:
    if run.step == run.progress.first_step and source.consumed == 0:
        raise ValueError(EMPTY_INPUT)
    why = f" ({run.stop_reason})" if run.stop_reason else " (the input has ended)" if run.exhausted else ""
    logger.info("Training ended at step %d%s. Loss for final step: %.6g.", run.step, why, run.loss)
