"""`Estimator`: a `model_fn`, its variables, and the three verbs train, evaluate and predict."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway._encoded import compiled_transform
from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import (
    _arguments,
    _checkpoints,
    _evaluation,
    _exporting,
    _finite,
    _input,
    _prediction,
    _receivers,
    _structure,
    _warm_start,
)
from headway.estimators._batch_run import BatchRun
from headway.estimators._checkpoint_tools import show_checkpoint
from headway.estimators._checkpoints import CheckpointDirectory
from headway.estimators._classic_hooks import (
    CheckpointSaverHook,
    GraphHook,
    NanTensorHook,
    StepCounterHook,
    SummarySaverHook,
)
from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, adapted
from headway.estimators._model import Model, check_model_fn, invoke
from headway.estimators._programs import EvaluateProgram, PredictProgram, Program, TrainProgram
from headway.estimators._progress import progress_hook
from headway.estimators._readable import readable_errors
from headway.estimators._run_config import RunConfig
from headway.estimators._saving import Saver
from headway.estimators._train import TrainRun
from headway.estimators._variable_table import VariableTable, table_of_store
from headway.estimators._weights import Weights
from headway.input_pipelines import Pipeline

_PROGRAMS: dict[str, type[Program]] = {
    ModeKeys.TRAIN: TrainProgram,
    ModeKeys.EVAL: EvaluateProgram,
    ModeKeys.PREDICT: PredictProgram,
}


class Estimator:
    """Trains, evaluates and applies the model that a `model_fn` describes.

    The `model_fn` is an ordinary function that makes its layers and returns an `EstimatorSpec`; the estimator calls it
    once for each mode, compiles what it returns, and keeps its variables by name. They are saved in `model_dir`, in
    tf.estimator's format: training goes on there, in this process or another one, and after any crash.

    Args:
      model_fn: `model_fn(features, labels, mode, params, config)`, of which it may leave out all but `features`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      config: a `RunConfig`.
      params: anything that the model_fn wants to know.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      input_transform: a function from a batch's features to those that the model_fn gets, row by row, in TensorFlow
        operations. It runs in the input pipeline, in parallel with training, for data in memory once for all rows; an
        exported model contains it.

    Raises:
      ValueError: if `model_fn` lacks an argument or has an unknown one, or if `model_dir` contradicts `config`.
      TypeError: if an argument has a wrong type.

    Example:
      >>> import keras, tensorflow as tf
      >>> import headway
      >>> from headway import heads, input_pipelines
      >>> def model_fn(features, labels, mode):
      ...     layers = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
      ...     logits = layers(features["x"])
      ...     return heads.RegressionHead().create_estimator_spec(
      ...         features, mode, logits, labels,
      ...         optimizer=keras.optimizers.Adam(), trainable_variables=layers.trainable_variables,
      ...     )
      >>> x, y = {"x": [[0.0], [1.0], [2.0]]}, [0.0, 2.0, 4.0]
      >>> rows = input_pipelines.from_arrays(x, y, batch_size=3, num_epochs=None)
      >>> estimator = headway.Estimator(model_fn, config=headway.RunConfig(progress="none"))
      >>> sorted(estimator.train(rows, steps=5).evaluate(rows, steps=1))
      ['average_loss', 'global_step', 'label/mean', 'loss', 'prediction/mean']
    """

    def __init__(
        self,
        model_fn: Callable[..., Any],
        model_dir: str | os.PathLike[str] | None = None,
        config: RunConfig | None = None,
        params: Any = None,
        warm_start_from: Any = None,
        *,
        input_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_model_fn(model_fn, params)
        if input_transform is not None and not callable(input_transform):
            raise TypeError(f"`input_transform` must be a function of the features. Received: {input_transform!r}.")
        self._model_fn = model_fn
        self._config = _arguments.with_model_dir(config, model_dir)
        self._params = copy.deepcopy(params)
        self._warm_start = _warm_start.checked(warm_start_from)
        # Functions keep their traces, so that the rows of training, evaluation and prediction share them.
        transform: Any = None if input_transform is None else compiled_transform(input_transform, input_transform)
        self._input_transform = self._checked_transform = transform
        if transform is not None and self._config.check_input:
            names = getattr(input_transform, "float_names", {})
            self._checked_transform = compiled_transform(_finite.checked(transform, names), transform)
        self._directory = CheckpointDirectory(
            str(self._config.model_dir),
            keep_max=self._config.keep_checkpoint_max,
            keep_every_n_hours=self._config.keep_checkpoint_every_n_hours or float("inf"),
        )
        self._weights: dict[int, Weights] = {}
        self._programs: dict[Any, Program] = {}
        self._training: Weights | None = None
        self._graph_written = False
        # The specs of the features that came last, before the input transform.
        self._seen: Any = None
        _arguments.prepare_devices(self._config)

    @property
    def model_dir(self) -> str:
        """Directory of checkpoints and summaries."""
        return self._directory.model_dir

    @property
    def config(self) -> RunConfig:
        """A copy of the configuration."""
        return copy.deepcopy(self._config)

    @property
    def params(self) -> Any:
        """A copy of what the model_fn gets as `params`."""
        return copy.deepcopy(self._params)

    @property
    def model_fn(self) -> Callable[..., Any]:
        """The model_fn as a function of `(features, labels, mode, config)`, with `params` filled in."""

        def public_model_fn(features: Any, labels: Any, mode: str, config: RunConfig | None) -> Any:
            return invoke(self._model_fn, self._params, config or self._config, features, labels, mode)

        return public_model_fn

    @property
    def input_transform(self) -> Any:
        """The function that makes the features of the model_fn from those of the input; None if they are the same."""
        return None if self._input_transform is None else self._input_transform.python_function

    @property
    def warm_start_from(self) -> _warm_start.WarmStartSettings | None:
        """The settings of the warm start, or None."""
        return self._warm_start

    def latest_checkpoint(self) -> str | None:
        """Returns the path, without ending, of the newest checkpoint in `model_dir`; None if there is none."""
        latest = self._directory.latest()
        return None if latest is None else latest.path

    def get_variable_names(self) -> list[str]:
        """Returns the names of all variables in the newest checkpoint.

        Raises:
          ValueError: if the model has not been trained.
        """
        return [name for name, _ in tf.train.list_variables(self._trained_path())]

    def get_variable_value(self, name: str) -> np.ndarray[Any, Any]:
        """Returns the value of one variable in the newest checkpoint.

        Args:
          name: its full name, one of `get_variable_names()`; TensorFlow's ":0" may follow.

        Raises:
          ValueError: if the model has not been trained, or there is no such variable.
        """
        path, name = self._trained_path(), name.removesuffix(":0")
        names = [known for known, _ in tf.train.list_variables(path)]
        if name not in names:
            raise ValueError(f"There is no variable {name!r} in {path}. There are: {names}.")
        return np.asarray(tf.train.load_variable(path, name))

    def to_keras(self, checkpoint_path: str | os.PathLike[str] | None = None) -> Any:
        """Returns a Keras 3 model with the trained weights, whose predictions are those of `predict`.

        Ready-made models with feature columns can be turned into one, and what `model_to_estimator` has made.

        Args:
          checkpoint_path: path of a checkpoint, without ending; the newest one by default.

        Raises:
          ValueError: if the model has not been trained, or is another one.
        """
        del checkpoint_path
        raise ValueError(
            "to_keras() knows ready-made models and those of model_to_estimator. What this model_fn computes is no "
            "Keras model: build the model outside it and let both use it, or export_saved_model() and load that."
        )

    def summary(self, input_fn: Callable[..., Any] | None = None) -> VariableTable:
        """Returns a table of the variables, their sizes and roles, the slots of the optimizer among them; print it.

        Before the first training, which makes them, it needs the `input_fn` of `train`, or raises a ValueError.
        """
        strategy = self._config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        if not weights.model.complete and input_fn is not None:
            self._seed()
            pipeline = self._rows(input_fn, ModeKeys.TRAIN, strategy)
            self._prepared(ModeKeys.TRAIN, weights, pipeline, iter(pipeline.elements()), pipeline.tables())
        if weights.model.complete or input_fn is not None:
            return table_of_store(weights.model.store, self.model_dir)
        if self.latest_checkpoint() is None:
            raise ValueError("The model has no variables before it is trained. Pass the input_fn: summary(input_fn).")
        return show_checkpoint(self.model_dir)

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> Estimator:
        """Trains until `steps` more steps are made, the global step is `max_steps`, or the input ends.

        Training goes on from the newest checkpoint in `model_dir`. If the run that wrote it was interrupted, the input
        goes on as well.

        Args:
          input_fn: a function that returns a `tf.data.Dataset` of `(features, labels)` batches, a headway pipeline, or
            tensors; or a pipeline.
          hooks: headway hooks, or SessionRunHooks that need no session.
          steps: number of steps to make in this call.
          max_steps: global step to reach; nothing is done if it is reached already.
          saving_listeners: `tf.compat.v1.train.CheckpointSaverListener`s, called around each checkpoint.

        Returns:
          The estimator itself.

        Raises:
          ValueError: if both `steps` and `max_steps` are given, one is not positive, or there is no data.
          NanLossDuringTrainingError: if the loss becomes NaN.
        """
        _arguments.check_train_arguments(steps, max_steps, self._config)
        _input.check_input_fn(input_fn)
        user_hooks = [adapted(hook) for hook in _arguments.sequence(hooks, "hooks")]
        listeners = _arguments.sequence(saving_listeners, "saving_listeners")
        latest = _checkpoints.newest_readable(self._directory)
        if max_steps is not None and latest is not None and latest.step >= max_steps:
            logger.info(
                "Skipping training since max_steps has already saved: step %d of %d is reached in %s.",
                latest.step,
                max_steps,
                latest.path,
            )
            return self
        self._check_writable()
        self._seed()
        strategy = self._config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        source = _input.start(
            self._rows(input_fn, ModeKeys.TRAIN, strategy), latest, self._config.resume_input, self._worker()
        )
        program = self._prepared(ModeKeys.TRAIN, weights, source.pipeline, source.iterator, source.tables)
        weights.complete(latest, self._warm_start)
        assert isinstance(program, TrainProgram)
        self._run(program, source, weights, user_hooks, listeners, steps, max_steps)
        return self

    fit = train

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Evaluates the model, and writes the result for TensorBoard to `model_dir/eval`, or `eval_<name>`.

        Args:
          input_fn: as in `train`.
          steps: number of batches; None for all.
          hooks: called around each batch.
          checkpoint_path: the checkpoint to evaluate; by default the newest one, or the weights that are in memory if
            they are newer.
          name: tells several evaluations of a model apart.

        Returns:
          The metrics by name; `loss`: the mean of the batches' losses; `global_step`: the step of the weights.

        Raises:
          ValueError: if `steps` is not positive, or a metric has a reserved name.
        """
        if steps is not None and steps <= 0:
            raise ValueError(f"Must specify steps > 0, given: {steps}")
        _input.check_input_fn(input_fn)
        eval_hooks = [adapted(hook) for hook in _arguments.sequence(hooks, "hooks")]
        strategy = self._config.eval_distribute or self._config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        pipeline = self._rows(input_fn, ModeKeys.EVAL, strategy)
        iterator, tables = iter(pipeline.elements()), pipeline.tables()
        program = self._prepared(ModeKeys.EVAL, weights, pipeline, iterator, tables)
        assert isinstance(program, EvaluateProgram)
        eval_hooks += [adapted(hook) for hook in (program.spec.evaluation_hooks if program.spec is not None else ())]
        with weights.of(checkpoint_path, self._warm_start, live=self._training is weights) as path:
            result = _evaluation.evaluate(
                program, iterator, tables, steps=steps, hooks=eval_hooks, model_dir=self.model_dir
            )
        if self._config.is_chief or self._config.task_type == "evaluator":
            _evaluation.report(result, self.eval_dir(name), path)
        return result

    def predict(
        self,
        input_fn: Callable[..., Any],
        predict_keys: Sequence[str] | str | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        yield_single_examples: bool = True,
    ) -> Iterator[Any]:
        """Yields predictions, row by row, in the order of the input.

        Nothing is computed before the first row is asked for. Further calls trace and load nothing that is there
        already.

        Args:
          input_fn: as in `train`; labels are ignored.
          predict_keys: which of the model_fn's predictions to give; None for all.
          hooks: called around each batch.
          checkpoint_path: the checkpoint to use; by default the newest one.
          yield_single_examples: whether to yield rows; False for whole batches as the model_fn returned them.

        Yields:
          For dicts of predictions a dict of NumPy values for each row, otherwise one value for each row.

        Raises:
          ValueError: if `predict_keys` names nothing that is there, or batch sizes of predictions differ.
        """
        _input.check_input_fn(input_fn)
        keys = [predict_keys] if isinstance(predict_keys, str) else None if predict_keys is None else list(predict_keys)
        predict_hooks = [adapted(hook) for hook in _arguments.sequence(hooks, "hooks")]
        return self._predictions(input_fn, keys, predict_hooks, checkpoint_path, yield_single_examples)

    def export_saved_model(
        self,
        export_dir_base: str | os.PathLike[str],
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
        experimental_mode: str = ModeKeys.PREDICT,
        *,
        example: Any = None,
    ) -> bytes:
        """Writes the model as a SavedModel, to be served or loaded without headway, and returns the path.

        The new directory below `export_dir_base` is named after the time in seconds, and appears when it is complete.

        Args:
          export_dir_base: where the directory is made.
          serving_input_receiver_fn: a function that returns a `ServingInputReceiver`: it makes placeholders, and
            features from them. None: clients send features such as those of `example`.
          assets_extra: path below the folder `assets.extra` -> file to copy there.
          as_text: whether to write the graph as text.
          checkpoint_path: the checkpoint to export; by default the newest one.
          experimental_mode: "infer"; or "train" or "eval", to export a graph that trains or evaluates.
          example: a pipeline, a dataset, or a batch of features: arrays, tensors or specs. By default the features
            that this estimator has seen last, or those that its feature columns read.

        Returns:
          The path of the new directory, as bytes.

        Raises:
          ValueError: if the model has not been trained, or what is received fits no signature.
        """
        inferred = serving_input_receiver_fn is None
        if inferred and experimental_mode != ModeKeys.PREDICT:
            raise ValueError(
                f"An input_receiver_fn must be defined to export mode {experimental_mode!r}: see "
                "`build_supervised_input_receiver_fn_from_input_fn`."
            )
        receiver_fn = serving_input_receiver_fn or self._inferred_receiver_fn(example)
        source, receivers = self._export_source(checkpoint_path), {experimental_mode: receiver_fn}
        return _exporting.export(
            source, export_dir_base, receivers, assets_extra=assets_extra, as_text=as_text, inferred=inferred
        )

    def experimental_export_all_saved_models(
        self,
        export_dir_base: str | os.PathLike[str],
        input_receiver_fn_map: Mapping[str, Callable[[], Any]],
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
    ) -> bytes:
        """Writes a SavedModel with a graph for each of several modes, over one copy of the variables.

        Args:
          export_dir_base: see `export_saved_model`.
          input_receiver_fn_map: mode -> receiver function; the graphs have the tags "train", "eval" and "serve".
          assets_extra: see `export_saved_model`.
          as_text: see `export_saved_model`.
          checkpoint_path: see `export_saved_model`.

        Returns:
          The path of the new directory, as bytes.

        Raises:
          ValueError: if the map has no mode or an unknown one; and as `export_saved_model`.
        """
        source = self._export_source(checkpoint_path)
        return _exporting.export(
            source, export_dir_base, input_receiver_fn_map, assets_extra=assets_extra, as_text=as_text
        )

    def _inferred_receiver_fn(self, example: Any) -> Callable[[], Any]:
        if example is None:
            # Columns that read one feature in two ways have no common parse spec; what was seen needs none.
            example = self._seen
        if example is None:
            example = _receivers.example_of_parse_spec(getattr(self.input_transform, "parse_example_spec", None))
        if example is None:
            raise ValueError(
                "What clients send is not known: this estimator has seen no input yet. Give "
                "`export_saved_model(directory, example=...)` a pipeline or a batch of features, or a "
                "serving_input_receiver_fn."
            )
        if callable(example):
            strategy = tf.distribute.get_strategy()
            example = _input.call_input_fn(example, ModeKeys.PREDICT, self._params, self._config, strategy)
        return _receivers.receiver_fn_like(example)

    def _export_source(self, checkpoint_path: str | None) -> _exporting.Source:
        path = checkpoint_path or self.latest_checkpoint()
        if path is None and self._warm_start is not None:
            path = os.fspath(self._warm_start.ckpt_to_initialize_from)
            path = tf.train.latest_checkpoint(path) if tf.io.gfile.isdir(path) else path
        if path is None:
            raise ValueError(f"Couldn't find trained model at {self.model_dir}. Train it, or give `checkpoint_path`.")
        default, trained = tf.distribute.get_strategy(), self._config.train_distribute

        def model_of(mode: str) -> Model:
            # Training and evaluation run in replicas, of which an exported graph has one.
            return self._weights_for(trained if trained and mode == ModeKeys.PREDICT else default).model

        return _exporting.Source(model_of, self.input_transform, _checkpoints.at(path))

    def _predictions(
        self,
        input_fn: Callable[..., Any],
        keys: list[str] | None,
        hooks: list[Hook],
        checkpoint_path: str | None,
        single: bool,
    ) -> Iterator[Any]:
        strategy = self._config.train_distribute or tf.distribute.get_strategy()
        weights = self._weights_for(strategy)
        pipeline = self._rows(input_fn, ModeKeys.PREDICT, strategy)
        iterator, tables = iter(pipeline.elements()), pipeline.tables()
        program = self._prepared(ModeKeys.PREDICT, weights, pipeline, iterator, tables)
        assert isinstance(program, PredictProgram)
        spec_hooks = program.spec.prediction_hooks if program.spec is not None else ()
        hooks = [*hooks, *(adapted(hook) for hook in spec_hooks)]
        with weights.of(checkpoint_path, self._warm_start, live=self._training is weights):
            run = BatchRun(self.model_dir)
            ahead = pipeline.position_kind == "index"
            batches = _prediction.batches(program, iterator, tables, run, keys=keys, hooks=hooks, may_read_ahead=ahead)
            yield from _prediction.rows(batches) if single else batches

    def _rows(self, input_fn: Callable[..., Any], mode: str, strategy: tf.distribute.Strategy) -> Pipeline:
        with readable_errors():
            pipeline = _input.call_input_fn(input_fn, mode, self._params, self._config, strategy)
            self._seen = _structure.split_batch(pipeline.element_spec)[0]
            transform = self._input_transform if mode == ModeKeys.PREDICT else self._checked_transform
            return pipeline if transform is None else pipeline.map_batches(transform)

    def _prepared(self, mode: str, weights: Weights, pipeline: Pipeline, iterator: Any, tables: Any) -> Program:
        key = (mode, id(weights), pipeline.fetch_key)
        if key not in self._programs:
            self._programs[key] = _PROGRAMS[mode](weights.model, pipeline.fetch)
        self._programs[key].prepare(iterator, tables)
        return self._programs[key]

    def _weights_for(self, strategy: tf.distribute.Strategy) -> Weights:
        key = 0 if _structure.is_default(strategy) else id(strategy)
        if key not in self._weights:
            self._weights[key] = Weights(Model(self._model_fn, self._params, self._config, strategy), self._directory)
        return self._weights[key]

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
        saver = Saver(
            weights.model.store,
            self._directory,
            is_chief=self._config.is_chief,
            listeners=listeners,
            asynchronous=self._config.async_checkpoints,
            unchanged=weights.unchanged(),
        )
        events = EventWriter(self.model_dir) if self._config.is_chief else None
        run = TrainRun(
            program, source, saver, events=events, first_step=first_step, steps_per_loop=self._config.steps_per_loop
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
            saver.close()
            if events is not None:
                events.close()
        _report_end(run, source)

    def _all_hooks(
        self, program: TrainProgram, user_hooks: list[Hook], listeners: list[Any], last_step: int | None
    ) -> tuple[list[Hook], list[Hook], list[Any]]:
        config, spec = self._config, program.spec
        made = (*spec.training_hooks, *spec.training_chief_hooks) if spec is not None else ()
        spec_hooks = [adapted(hook) for hook in made]
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
                "RunConfig.save_checkpoints_steps or RunConfig.save_checkpoints_secs."
            )
        if config.log_step_count_steps:
            hooks.append(StepCounterHook(config.log_step_count_steps))
        if config.checkpoint_save_graph_def and program.graph is not None and not self._graph_written:
            hooks.append(GraphHook(program.graph))
            self._graph_written = True
        if config.save_summary_steps:
            hooks.append(SummarySaverHook(config.save_summary_steps))
        hooks.sort(key=lambda hook: getattr(hook, "acts_last", False))
        return hooks, spec_hooks, [*listeners, *(listener for saver in savers for listener in saver.listeners)]

    def _trained_path(self) -> str:
        path = self.latest_checkpoint()
        if path is None:
            raise ValueError(f"Could not find trained model in model_dir: {self.model_dir}.")
        return path

    def eval_dir(self, name: str | None = None) -> str:
        """Returns the directory to which `evaluate` with this `name` writes its results."""
        return os.path.join(self.model_dir, f"eval_{name}" if name else "eval")

    def _worker(self) -> str:
        return "" if self._config.is_chief else f".{self._config.task_type}-{self._config.task_id}"

    def _seed(self) -> None:
        if self._config.tf_random_seed is not None:
            keras.utils.set_random_seed(self._config.tf_random_seed)

    def _check_writable(self) -> None:
        try:
            tf.io.gfile.makedirs(self.model_dir)
            if "://" not in self.model_dir and not os.access(self.model_dir, os.W_OK):
                raise PermissionError(f"no permission to write in {self.model_dir}")
        except (tf.errors.OpError, OSError) as error:
            raise ValueError(
                f"`model_dir` must be a directory that can be written. Received: {self.model_dir!r} ({error})."
            ) from error
        if self._config.is_chief:
            self._directory.clean()


def _report_end(run: TrainRun, source: _input.TrainingInput) -> None:
    if run.step == run.progress.first_step and source.consumed == 0:
        raise ValueError(
            "The input of training is empty: input_fn gave no batch, so no step was made. Check the files or arrays it "
            "reads, filters, and `drop_remainder` with fewer rows than a batch."
        )
    why = f" ({run.stop_reason})" if run.stop_reason else " (the input has ended)" if run.exhausted else ""
    logger.info("Training ended at step %d%s. Loss for final step: %.6g.", run.step, why, run.loss)
