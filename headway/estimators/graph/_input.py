"""From what an `input_fn` returns, in a graph, to the tensors of one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway._log import logger
from headway.estimators import _input, _structure
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._runtime import Setup
from headway.estimators._session_input import is_stream
from headway.estimators.graph._replicas import Batch, batches
from headway.input_pipelines import Pipeline, from_dataset
from headway.input_pipelines._streams import DatasetPipeline

v1 = tf.compat.v1


class IteratorHook(tf.compat.v1.train.SessionRunHook):
    """Initialises the iterator of a dataset when the session is there."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self._initializer: Any = None

    def begin(self) -> None:
        """Takes the operation, while the graph may still grow."""
        self._initializer = self._iterator.initializer

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Runs it; a session that is made anew begins the input anew."""
        del coord
        session.run(self._initializer)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in its input a run begins.

    Attributes:
      start: number of batches that are left out.
      seed: the seed of the order of rows, where it is known.
      fingerprint: names what a batch number means.
      rows: names the rows themselves, where they are known.
    """

    start: int
    seed: int | None
    fingerprint: str
    rows: str | None


@dataclasses.dataclass(frozen=True)
class GraphInput:
    """The batch of a step, in the current graph.

    Attributes:
      features: what the model_fn gets as `features`.
      labels: what it gets as `labels`, or None.
      hooks: those that start the input.
      ends: whether it can end: tensors that come from no dataset or queue are the same for ever.
      place: where the input begins; None where its batches cannot be counted.
      replicas: the batches of the replicas of a strategy, of which `features` and `labels` are the first; without a
        strategy, none.
    """

    features: Any
    labels: Any
    hooks: list[Any] = dataclasses.field(default_factory=list)
    ends: bool = False
    place: Place | None = None
    replicas: Sequence[Batch] = ()


def batch_of(
    input_fn: Callable[..., Any], mode: str, setup: Setup, latest: Checkpoint | None = None, strategy: Any = None
) -> GraphInput:
    """Calls `input_fn` in the current graph.

    Args:
      input_fn: the user's function, or a pipeline. It may return a dataset, an iterator, or tensors.
      mode: a `ModeKeys` value.
      setup: what the estimator was made of.
      latest: the checkpoint that training goes on from, or None. The input goes on as well if its run was interrupted.

      strategy: the strategy whose replicas get a batch each, or None.

    Raises:
      ValueError: if it returns something else; or no dataset, under a strategy.
    """
    result = _input.result_of(input_fn, mode, setup.params, setup.config, strategy or tf.distribute.get_strategy())
    if result is None:
        raise ValueError(
            "input_fn returned None. It must return a tf.data.Dataset, a headway pipeline, (features, labels), or "
            "features."
        )
    place: Place | None = None
    hooks: list[Any] = []
    with tf.device("/cpu:0"):
        if isinstance(result, tf.data.Dataset):
            # What a dataset of another length than 2 is, is said below.
            _structure.split_batch(result.element_spec)
            result = from_dataset(result)
        if isinstance(result, Pipeline):
            place, dataset = _placed(result, setup, latest)
            iterator = v1.data.make_initializable_iterator(dataset)
            hooks.append(IteratorHook(iterator))
            if strategy is not None:
                replicas = batches(iterator, dataset.element_spec, strategy, mode)
                return GraphInput(replicas[0].features, replicas[0].labels, hooks, True, place, replicas)
            batch = iterator.get_next()
        elif strategy is not None:
            raise ValueError(
                f"Under {type(strategy).__name__} an input_fn must return a tf.data.Dataset or a headway pipeline, of "
                f"which each replica takes a batch. Received: {type(result).__name__}. Return the dataset instead of "
                "an iterator or its tensors."
            )
        else:
            if latest is not None:
                logger.info("The input starts anew: it is no dataset, so its batches cannot be counted.")
            batch = result.get_next() if isinstance(result, v1.data.Iterator) else result
    features, labels = _structure.split_batch(batch)
    return GraphInput(features, labels, hooks, is_stream(v1.get_default_graph()), place)


def _placed(pipeline: Pipeline, setup: Setup, latest: Checkpoint | None) -> tuple[Place, tf.data.Dataset]:
    """Returns where the rows begin, and the batches from there on as a dataset of this graph."""
    pipeline, position = _input.place_to_go_on(pipeline, latest, setup.config.resume_input)
    start = 0 if position is None else int(position["elements"])
    place = Place(start, pipeline.seed, pipeline.fingerprint, pipeline.rows_digest)
    if isinstance(pipeline, DatasetPipeline) and _is_of_this_graph(pipeline.original):
        dataset = pipeline.dataset()
    else:
        dataset = _from_outside(pipeline.dataset)
    return place, dataset.skip(start) if start else dataset


def _is_of_this_graph(dataset: tf.data.Dataset) -> bool:
    """Tells whether a dataset was made in the current graph, and not outside the input_fn, under eager execution."""
    return not all(hasattr(tensor, "numpy") for tensor in _variants(dataset))


def _variants(dataset: tf.data.Dataset) -> list[Any]:
    flat: list[Any] = tf.nest.flatten(tf.data.experimental.to_variant(dataset))
    return flat


def _from_outside(make: Callable[[], tf.data.Dataset]) -> tf.data.Dataset:
    """Returns a dataset of this graph with the elements of one that lives under eager execution."""
    with _tensorflow.executing_eagerly():
        spec = make().element_spec

    def elements() -> Iterator[Any]:
        # Each element may be asked for in another thread, whose mode is that of the program.
        with _tensorflow.executing_eagerly():
            iterator = iter(make())
        while True:
            with _tensorflow.executing_eagerly():
                element = next(iterator, None)
                if element is None:
                    return
                element = tf.nest.map_structure(_plain, element)
            yield element

    return tf.data.Dataset.from_generator(elements, output_signature=spec)


def _plain(value: Any) -> Any:
    return value.numpy() if isinstance(value, tf.Tensor) else value
