"""`train_and_evaluate`: one call that trains, evaluates each new checkpoint and exports, alone or in a cluster."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import tensorflow as tf

from headway._log import logger
from headway._spec import is_hook
from headway.estimators import _arguments, _checkpoints, _signals
from headway.estimators._estimator import Estimator
from headway.estimators._exporters import Exporter
from headway.estimators._listeners import CheckpointSaverListener, is_listener
from headway.estimators._run_config import RunConfig

_SECONDS_BETWEEN_WARNINGS = 600
_TASKS = ("chief", "evaluator", "master", "ps", "worker")
_UNTOGETHER = (
    "The cluster has {workers} tasks that train, and no strategy by which they train one model together: each would "
    "train a model of its own, and write over the others' checkpoints. Give one: "
    "RunConfig(train_distribute=tf.distribute.MultiWorkerMirroredStrategy()). tf.estimator fell back to asynchronous "
    "training over parameter servers here."
)


class _TrainFields(NamedTuple):
    input_fn: Callable[..., Any]
    max_steps: int | None
    hooks: tuple[Any, ...]
    saving_listeners: tuple[Any, ...]


class _EvalFields(NamedTuple):
    input_fn: Callable[..., Any]
    steps: int | None
    name: str | None
    hooks: tuple[Any, ...]
    exporters: tuple[Exporter, ...]
    start_delay_secs: float
    throttle_secs: float


class TrainSpec(_TrainFields):
    """The training part of `train_and_evaluate`.

    Args:
      input_fn: see `Estimator.train`.
      max_steps: global step at which training ends; None to train until the input ends.
      hooks: see `Estimator.train`.
      saving_listeners: see `Estimator.train`; they run on the chief.

    Raises:
      ValueError: if `max_steps` is not positive.
      TypeError: if `input_fn` is no function, or a hook or listener is none.

    Example:
      >>> spec = TrainSpec(lambda: None, max_steps=1000)
      >>> spec.max_steps, spec.hooks
      (1000, ())
    """

    __slots__ = ()

    def __new__(
        cls,
        input_fn: Callable[..., Any],
        max_steps: int | None = None,
        hooks: Iterable[Any] | None = None,
        saving_listeners: Iterable[Any] | None = None,
    ) -> TrainSpec:
        """Validates the fields and makes the tuple."""
        _check_input_fn(input_fn)
        _arguments.steps_or_none("max_steps", max_steps)
        listeners = tuple(saving_listeners or ())
        for listener in listeners:
            if not is_listener(listener):
                raise TypeError(f"All saving_listeners must be `CheckpointSaverListener` instances, given: {listener}")
        return super().__new__(cls, input_fn, max_steps, _checked_hooks(hooks), listeners)


class EvalSpec(_EvalFields):
    """The evaluation part of `train_and_evaluate`, with what is exported.

    Args:
      input_fn: see `Estimator.evaluate`.
      steps: number of batches; None for all.
      name: see `Estimator.evaluate`.
      hooks: see `Estimator.evaluate`.
      exporters: an `Exporter`, or several of different names, called after each evaluation.
      start_delay_secs: how long the evaluator of a cluster waits before it begins, in seconds. A run without a cluster
        begins with its first new checkpoint.
      throttle_secs: least time between the beginnings of two evaluations, in seconds. There is none without a new
        checkpoint.

    Raises:
      ValueError: if a number is negative, `steps` is not positive, or two exporters have one name.
      TypeError: if an argument has a wrong type.

    Example:
      >>> EvalSpec(lambda: None, steps=None, throttle_secs=0).steps is None
      True
    """

    __slots__ = ()

    def __new__(
        cls,
        input_fn: Callable[..., Any],
        steps: int | None = 100,
        name: str | None = None,
        hooks: Iterable[Any] | None = None,
        exporters: Exporter | Iterable[Exporter] | None = None,
        start_delay_secs: float = 120,
        throttle_secs: float = 600,
    ) -> EvalSpec:
        """Validates the fields and makes the tuple."""
        _check_input_fn(input_fn)
        _arguments.steps_or_none("steps", steps)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"`name` must be string, given: {name}")
        for field, seconds in (("start_delay_secs", start_delay_secs), ("throttle_secs", throttle_secs)):
            if seconds < 0:
                raise ValueError(f"Must specify {field} >= 0, given: {seconds}")
        hooks, chosen = _checked_hooks(hooks), _checked_exporters(exporters)
        return super().__new__(cls, input_fn, steps, name, hooks, chosen, start_delay_secs, throttle_secs)


def train_and_evaluate(estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec) -> Any:
    """Trains a model, evaluates its checkpoints as they come, and exports it.

    A process on its own evaluates in between, on the weights that it has in memory: after each checkpoint but the
    first, unless `throttle_secs` have not gone by; and at the end. Where `TF_CONFIG` names a cluster, each process does
    its task: chief and workers train, the evaluator evaluates each new checkpoint until it comes to `max_steps` or
    training has ended, parameter servers serve.

    Args:
      estimator: the estimator. Its `RunConfig` says how often checkpoints are written.
      train_spec: how to train.
      eval_spec: how to evaluate, and what to export.

    Returns:
      `(metrics, exports)` of the last evaluation: what `Estimator.evaluate` returned, and what each exporter returned;
      `(None, None)` if there was nothing left to train. In a cluster None.

    Raises:
      TypeError: if an argument has a wrong type.
      ValueError: if there are several evaluators, or the tasks of a cluster would not train together.

    Example:
      >>> import headway
      >>> from headway import feature_columns as fc, input_pipelines
      >>> rows = input_pipelines.from_arrays({"x": [0.0, 1.0, 2.0]}, [1.0, 3.0, 5.0], batch_size=3, num_epochs=None)
      >>> model = headway.LinearRegressor([fc.numeric_column("x")], config=headway.RunConfig(progress="none"))
      >>> metrics, exports = train_and_evaluate(
      ...     model, TrainSpec(rows, max_steps=20), EvalSpec(rows, steps=1, exporters=headway.FinalExporter("final")))
      >>> int(metrics["global_step"]), len(exports)
      (20, 1)
    """
    for value, name, kind in (
        (estimator, "estimator", Estimator),
        (train_spec, "train_spec", TrainSpec),
        (eval_spec, "eval_spec", EvalSpec),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"`{name}` must have type `headway.{kind.__name__}`. Got: {type(value)}")
    config = estimator.config
    evaluator = Evaluator(estimator, eval_spec, train_spec.max_steps)
    if config.task_type == "evaluator":
        _evaluate_continuously(evaluator, train_spec, config)
        return None
    if not config.cluster_spec.jobs:
        return _train_here(estimator, train_spec, evaluator)
    return _run_task(estimator, train_spec, evaluator, config)


class Evaluator:
    """Evaluates and exports an estimator's newest checkpoint.

    Args:
      estimator: the estimator.
      spec: how to evaluate.
      max_steps: the global step at which training ends, or None.

    Attributes:
      spec: as given.
      last: `(metrics, exports)` of the last evaluation; `(None, None)` before the first.
    """

    def __init__(self, estimator: Estimator, spec: EvalSpec, max_steps: int | None) -> None:
        self.spec = spec
        self.last: tuple[dict[str, Any] | None, list[Any] | None] = (None, None)
        self._estimator = estimator
        self._max_steps = max_steps
        self._seen: tuple[str, int, int] | None = None

    @property
    def step(self) -> int:
        """The global step of the last evaluation; -1 before the first."""
        metrics, _ = self.last
        return -1 if metrics is None else int(metrics["global_step"])

    def evaluate_now(self) -> None:
        """Evaluates the weights of the training that is under way in this process, which has just saved them."""
        path = self._estimator.latest_checkpoint()
        self._evaluate(path, None)

    def evaluate_newest(self) -> bool:
        """Evaluates the newest checkpoint on disk; returns False where there is no new one."""
        path = self._estimator.latest_checkpoint()
        if path is None:
            return False
        try:
            stamp = _checkpoints.at(path).stamp
            if stamp == self._seen:
                return False
            self._evaluate(path, path)
        except (tf.errors.NotFoundError, ValueError):
            # The process that trains may have deleted it meanwhile, with a newer one in its place.
            if tf.io.gfile.exists(path + ".index"):
                raise
            logger.warning("The checkpoint %s was deleted while it was evaluated; on to the next one.", path)
            return False
        self._seen = stamp
        return True

    def newest_has_ended_training(self) -> bool:
        """Tells whether the checkpoint that was evaluated last is one with which a `train` call has ended."""
        if self._seen is None or not tf.io.gfile.exists(self._seen[0] + ".index"):
            return False
        position = _checkpoints.load_position(_checkpoints.at(self._seen[0]))
        return position is not None and position["status"] == "ended"

    def written_after(self, moment: float) -> bool:
        """Tells whether the checkpoint that was evaluated last was written after `moment`, in seconds since 1970."""
        # File systems may tell whole seconds only.
        return self._seen is not None and self._seen[1] >= int(moment) * 10**9

    def _evaluate(self, path: str | None, checkpoint_path: str | None) -> None:
        spec = self.spec
        metrics = self._estimator.evaluate(
            spec.input_fn, steps=spec.steps, hooks=spec.hooks, checkpoint_path=checkpoint_path, name=spec.name
        )
        final = bool(self._max_steps) and int(metrics["global_step"]) >= (self._max_steps or 0)
        base = os.path.join(self._estimator.model_dir, "export")
        exports = [
            exporter.export(
                estimator=self._estimator,
                export_path=os.path.join(base, exporter.name),
                checkpoint_path=path,
                eval_result=metrics,
                is_the_final_export=final,
            )
            for exporter in spec.exporters
        ]
        self.last = (metrics, exports)


class EvaluationListener(CheckpointSaverListener):
    """Evaluates after each checkpoint but the first, unless the last evaluation is too recent.

    Args:
      evaluator: evaluates.
      clock: returns the time in seconds.
    """

    skips_interrupted = True

    def __init__(self, evaluator: Evaluator, clock: Callable[[], float] = time.monotonic) -> None:
        self._evaluator = evaluator
        self._clock = clock
        self._is_first = True
        self._began: float | None = None
        self._step: int | None = None

    def begin(self) -> None:
        """Begins anew."""
        self._is_first, self._began, self._step = True, None, None

    def after_save(self, session: Any, global_step_value: int) -> None:
        """Evaluates, if it is time."""
        del session
        if self._is_first:
            self._is_first = False
            return
        throttle = self._evaluator.spec.throttle_secs
        if self._began is not None and self._clock() < self._began + throttle:
            logger.info("Skip the current checkpoint eval due to throttle secs (%s secs).", throttle)
            return
        self._evaluate(global_step_value)

    def end(self, session: Any, global_step_value: int) -> None:
        """Evaluates the last checkpoint, unless that is done."""
        del session
        if global_step_value != self._step:
            self._evaluate(global_step_value)

    def _evaluate(self, step: int) -> None:
        self._began, self._step = self._clock(), step
        with contextlib.suppress(_signals.Interrupted):
            self._evaluator.evaluate_now()


def _train_here(estimator: Estimator, spec: TrainSpec, evaluator: Evaluator) -> Any:
    config = estimator.config
    logger.info(
        "Training and evaluating in this process: each checkpoint is evaluated (save_checkpoints_steps=%s, "
        "save_checkpoints_secs=%s), but no two within %s seconds.",
        config.save_checkpoints_steps,
        config.save_checkpoints_secs,
        evaluator.spec.throttle_secs,
    )
    _train(estimator, spec, [*spec.saving_listeners, EvaluationListener(evaluator)])
    return evaluator.last


def _train(estimator: Estimator, spec: TrainSpec, listeners: list[Any]) -> None:
    estimator.train(spec.input_fn, hooks=spec.hooks, max_steps=spec.max_steps, saving_listeners=listeners)


def _run_task(estimator: Estimator, spec: TrainSpec, evaluator: Evaluator, config: RunConfig) -> None:
    task = config.task_type
    if task not in _TASKS:
        raise ValueError(f"Task type {task} is not supported. Supported task types are {list(_TASKS)}.")
    if task == "ps" or (task == "worker" and _is_led_by_chief(config)):
        logger.info("This process serves as %s %s of the cluster until it is ended.", task, config.task_id)
        tf.distribute.Server(config.cluster_spec, job_name=task, task_index=config.task_id).join()
        return
    if config.num_worker_replicas > 1 and config.train_distribute is None:
        raise ValueError(_UNTOGETHER.format(workers=config.num_worker_replicas))
    listeners = list(spec.saving_listeners) if config.is_chief else []
    if task == "master":
        listeners.append(EvaluationListener(evaluator))
    _train(estimator, spec, listeners)


def _is_led_by_chief(config: RunConfig) -> bool:
    """Tells whether a chief sends the steps to the workers, which then are servers only."""
    return isinstance(config.train_distribute, tf.distribute.ParameterServerStrategy)


def _evaluate_continuously(evaluator: Evaluator, train_spec: TrainSpec, config: RunConfig) -> None:
    """Evaluates each new checkpoint until training has come to its end."""
    if config.task_id > 0:
        raise ValueError(
            "For distributed training, there can only be one `evaluator` task (with task id 0). "
            f"Given task id {config.task_id}"
        )
    spec, began, warned = evaluator.spec, time.time(), 0.0
    if spec.start_delay_secs:
        logger.info("Waiting %s secs before starting eval.", spec.start_delay_secs)
        time.sleep(spec.start_delay_secs)
    while True:
        start = time.monotonic()
        if evaluator.evaluate_newest():
            warned = start
        elif start - warned > _SECONDS_BETWEEN_WARNINGS:
            warned = start
            which = "new checkpoint" if evaluator.step >= 0 else "checkpoint"
            logger.warning("There is no %s to evaluate in %s yet.", which, config.model_dir)
        if _is_over(evaluator, train_spec.max_steps, began):
            logger.info("Exiting evaluation: training has ended at step %d.", evaluator.step)
            return
        # Even without a throttle, a directory on a network should not be listed without pause.
        time.sleep(max(spec.throttle_secs - (time.monotonic() - start), 0.05))


def _is_over(evaluator: Evaluator, max_steps: int | None, began: float) -> bool:
    if max_steps and evaluator.step >= max_steps:
        return True
    # Early stopping and the end of the input end training before `max_steps`. A checkpoint from before this process was
    # there may be the end of an earlier run.
    return evaluator.newest_has_ended_training() and evaluator.written_after(began)


def _check_input_fn(input_fn: Any) -> None:
    if not callable(input_fn):
        raise TypeError(f"`input_fn` must be callable, given: {input_fn}")


def _checked_hooks(hooks: Iterable[Any] | None) -> tuple[Any, ...]:
    checked = tuple(hooks or ())
    for hook in checked:
        if not is_hook(hook):
            raise TypeError(
                f"All hooks must be `SessionRunHook` instances, given: {hook}. headway hooks will do as well."
            )
    return checked


def _checked_exporters(exporters: Any) -> tuple[Exporter, ...]:
    if not exporters:
        return ()
    chosen = tuple(exporters) if isinstance(exporters, Iterable) else (exporters,)
    if not all(isinstance(exporter, Exporter) for exporter in chosen):
        raise TypeError(f"`exporters` must be an Exporter, an iterable of Exporter, or `None`, found {exporters}.")
    names = [exporter.name for exporter in chosen]
    for name in names:
        if not name:
            raise ValueError(f"An Exporter cannot have a name that is `None` or empty. All exporter names: {names}")
        if not isinstance(name, str):
            raise ValueError(f"An Exporter must have a string name. Given: {type(name)}")
    if len(set(names)) < len(names):
        raise ValueError(f"`exporters` must have unique names. All exporter names: {names}")
    return chosen
