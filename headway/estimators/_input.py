"""From what an `input_fn` returns to batches, and to the place in them where a run goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway._log import logger
from headway.estimators import _checkpoints, _structure, _v1_iterators
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._model import argument_names, required_names
from headway.estimators._run_config import RunConfig
from headway.input_pipelines import Pipeline, from_tensors
from headway.input_pipelines._late_slices import with_late_slices
from headway.input_pipelines._streams import wrapped

_INPUT_FN_ARGUMENTS = ("mode", "params", "config", "input_context")

_WHAT_IT_RETURNS = (
    "It must return a tf.data.Dataset, a headway pipeline, (features, labels), or features; each of the last two as "
    "tensors or arrays."
)


def check_input_fn(input_fn: Any) -> None:
    """Raises an error if `input_fn` cannot be called as an estimator calls it."""
    if isinstance(input_fn, tf.data.Dataset):
        raise TypeError(
            "input_fn must be a function that returns a Dataset, not the Dataset itself: each pass needs a new one. "
            "Write `lambda: dataset`, or give a headway.input_pipelines pipeline. Received: a Dataset."
        )
    if not callable(input_fn):
        raise TypeError(f"input_fn must be a function. Received: {input_fn!r} of type {type(input_fn).__name__}.")
    unknown = [name for name in required_names(input_fn) if name not in _INPUT_FN_ARGUMENTS]
    if unknown:
        raise ValueError(
            f"input_fn ({input_fn}) needs the arguments {unknown}, which no estimator gives it. It may take "
            f"{list(_INPUT_FN_ARGUMENTS)}; bind others with functools.partial or a lambda."
        )


def call_input_fn(
    input_fn: Callable[..., Any], mode: str, params: Any, config: RunConfig, strategy: tf.distribute.Strategy
) -> Pipeline:
    """Calls `input_fn` with the arguments that it takes by name, and returns its rows as a pipeline."""
    source = _v1_iterators.called(lambda: result_of(input_fn, mode, params, config, strategy))
    if isinstance(source, Pipeline):
        return source
    if isinstance(source, tf.data.Dataset):
        _structure.split_batch(source.element_spec)
        return wrapped(_without_overhead(with_late_slices(source)), source)
    if source is None:
        raise ValueError(f"input_fn returned None. {_WHAT_IT_RETURNS}")
    for kind, told, remedy in (
        (hasattr(source, "__next__"), "an iterator", "Put a generator into `tf.data.Dataset.from_generator`."),
        (hasattr(source, "columns"), "a data frame", "Use `input_pipelines.from_dataframe(frame, label=...)`."),
        (callable(source), "a function", "Call it: an input_fn returns the rows themselves."),
    ):
        if kind:
            raise TypeError(f"input_fn returned {told} ({type(source).__name__}). {_WHAT_IT_RETURNS} {remedy}")
    _structure.split_batch(source)
    return from_tensors(tuple(source) if isinstance(source, list) else source)


def result_of(
    input_fn: Callable[..., Any], mode: str, params: Any, config: RunConfig, strategy: tf.distribute.Strategy
) -> Any:
    """Returns what `input_fn` returns, called with the arguments that it takes by name."""
    names = argument_names(input_fn)
    given = {"mode": mode, "params": params, "config": config, "input_context": _input_context(config, strategy)}
    with tf.device("/cpu:0"):
        return input_fn(**{name: given[name] for name in _INPUT_FN_ARGUMENTS if name in names})


def _without_overhead(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Switches off what costs a row-by-row pipeline half its speed and gives it nothing, unless its options say else.

    tf.data measures each stage for each row, to tune what may be tuned; and it fuses shuffle and repeat into a stage
    that is slower than the two.
    """
    given, options = dataset.options(), tf.data.Options()
    if given.autotune.enabled is None and _tensorflow.leaves_nothing_to_tune(dataset):
        options.autotune.enabled = False
    if given.experimental_optimization.shuffle_and_repeat_fusion is None:
        options.experimental_optimization.shuffle_and_repeat_fusion = False
    return dataset.with_options(options)


def _input_context(config: RunConfig, strategy: tf.distribute.Strategy) -> tf.distribute.InputContext:
    replicas = strategy.num_replicas_in_sync
    if not _structure.is_multi_worker(strategy):
        return tf.distribute.InputContext(1, 0, replicas)
    workers = replicas // _structure.local_replicas(strategy)
    return tf.distribute.InputContext(workers, int(config.global_id_in_cluster or 0), replicas)


@dataclasses.dataclass
class TrainingInput:
    """The batches of a `train` call, from where it starts, and how to save how far it has come.

    Attributes:
      pipeline: the rows.
      iterator: where the steps take elements from: an iterator over `pipeline.elements`, or `RowNumbers`.
      tables: the resident tensors that go with them.
      consumed: number of elements that have been taken since the beginning of the pass.
      worker: names this worker's own position file; "" where there is one worker.
    """

    pipeline: Pipeline
    iterator: Any
    tables: Any
    consumed: int
    worker: str = ""
    _by_count: bool = False
    _savable: bool = False

    def save(self, path: str, step: int, status: str) -> None:
        """Writes the position beside the checkpoint at `path`."""
        position = {
            "step": step,
            "status": status,
            "elements": self.consumed,
            "seed": self.pipeline.seed,
            "fingerprint": self.pipeline.fingerprint,
            "rows": self.pipeline.rows_digest,
        }
        if self.pipeline.position_kind == "iterator" and not self._by_count and status != "ended":
            reason = self._saved_with_iterator(path + self.worker, position)
            if reason is None:
                return
            self._by_count = True
            logger.warning(
                "The state of the input cannot be saved (%s). A run that is interrupted will go on by skipping the "
                "batches that it has seen; that is exact if the input gives the same batches in the same order each "
                "time.",
                reason,
            )
        _checkpoints.save_position(path + self.worker, position)

    def _saved_with_iterator(self, path: str, position: dict[str, Any]) -> str | None:
        """Writes the position and the iterator's state; returns why not, if that cannot be."""
        if not self._savable:
            reason = self.pipeline.why_not_savable()
            if reason is not None:
                return reason
            self._savable = True
        try:
            _checkpoints.save_position(path, position, self.iterator)
        except _checkpoints.PositionNotSavableError as error:
            return str(error)
        return None


def place_to_go_on(
    pipeline: Pipeline, saved: Checkpoint | None, resume_input: str
) -> tuple[Pipeline, dict[str, Any] | None]:
    """Returns the pipeline in the order of the run before, and its position there; None for a fresh pass.

    Args:
      pipeline: the rows.
      saved: where training goes on from, or None; its path is that of the position.
      resume_input: the `RunConfig` field.
    """
    position = None if saved is None or resume_input == "never" else _checkpoints.load_position(saved)
    if saved is None or position is None or (resume_input == "auto" and position["status"] == "ended"):
        if saved is not None:
            logger.info("The input starts a fresh pass: %s.", _why_fresh(position, resume_input))
        return pipeline, None
    if position["seed"] is not None:
        pipeline = pipeline.with_seed(position["seed"])
    if position["fingerprint"] != pipeline.fingerprint:
        logger.warning(
            "The input starts a fresh pass: its rows, batch size or order differ from those of the interrupted run."
        )
        return pipeline, None
    # Positions of earlier versions of headway say nothing of the rows.
    if position.get("rows") not in (None, pipeline.rows_digest):
        logger.warning(
            "The input starts a fresh pass: there are as many rows as in the interrupted run, but their values, types "
            "or names have changed. To train on the rows that were not yet seen, give the rows of that run."
        )
        return pipeline, None
    logger.info(
        "The input goes on after %d batches, where the run before was %s.", position["elements"], _how_ended(position)
    )
    return pipeline, position


def start(
    pipeline: Pipeline, checkpoint: Checkpoint | None, resume_input: str, worker: str = "", *, by_numbers: bool = False
) -> TrainingInput:
    """Returns the training input from where it is to start: a fresh pass, or the place where an interrupted run was.

    Args:
      pipeline: the rows.
      checkpoint: where training goes on from, or None.
      resume_input: the `RunConfig` field.
      worker: see `TrainingInput`.
      by_numbers: whether the iterator may be `RowNumbers`.
    """
    saved = None if checkpoint is None else dataclasses.replace(checkpoint, path=checkpoint.path + worker)
    pipeline, position = place_to_go_on(pipeline, saved, resume_input)
    if saved is None or position is None:
        return _at(pipeline, 0, worker, by_numbers)
    if not position["iterator"]:
        return _at(pipeline, position["elements"], worker, by_numbers)
    resumed = _at(pipeline, 0, worker)
    reason = _checkpoints.restore_iterator(saved, resumed.iterator)
    if reason is not None:
        logger.warning(
            "The saved state of the input cannot be read (%s): %d batches are read and dropped instead.",
            reason,
            position["elements"],
        )
        return _at(pipeline, position["elements"], worker)
    resumed.consumed = position["elements"]
    return resumed


def _at(pipeline: Pipeline, elements: int, worker: str, by_numbers: bool = False) -> TrainingInput:
    numbers = pipeline.row_numbers(elements) if by_numbers else None
    iterator = iter(pipeline.elements(elements)) if numbers is None else numbers
    return TrainingInput(pipeline, iterator, pipeline.tables(), elements, worker)


def _why_fresh(position: Mapping[str, Any] | None, resume_input: str) -> str:
    if resume_input == "never":
        return "RunConfig(resume_input='never')"
    return (
        "no position was saved with the checkpoint" if position is None else "the run before ended as it was meant to"
    )


def _how_ended(position: Mapping[str, Any]) -> str:
    return {"ended": "ended", "interrupted": "interrupted by a signal"}.get(position["status"], "cut off")
