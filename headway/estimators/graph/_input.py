"""From what an `input_fn` returns, in a graph, to the tensors of one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway.estimators import _input, _structure
from headway.estimators._runtime import Setup
from headway.estimators._session_input import is_stream
from headway.input_pipelines import Pipeline

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
class GraphInput:
    """The batch of a step, in the current graph.

    Attributes:
      features: what the model_fn gets as `features`.
      labels: what it gets as `labels`, or None.
      hooks: those that start the input.
      ends: whether it can end: tensors that come from no dataset or queue are the same for ever.
      skipped: number of batches that are left out at the beginning.
    """

    features: Any
    labels: Any
    hooks: list[Any]
    ends: bool
    skipped: int = 0


def batch_of(input_fn: Callable[..., Any], mode: str, setup: Setup) -> GraphInput:
    """Calls `input_fn` in the current graph.

    Args:
      input_fn: the user's function, or a pipeline. It may return a dataset, an iterator, or tensors.
      mode: a `ModeKeys` value.
      setup: what the estimator was made of.

    Raises:
      ValueError: if it returns something else.
    """
    result = _input.result_of(input_fn, mode, setup.params, setup.config, tf.distribute.get_strategy())
    with tf.device("/cpu:0"):
        if isinstance(result, Pipeline):
            result = _from_outside(result.dataset)
        elif isinstance(result, tf.data.Dataset) and not _is_of_this_graph(result):
            dataset = result
            result = _from_outside(lambda: dataset)
        if result is None:
            raise ValueError(
                "input_fn returned None. It must return a tf.data.Dataset, a headway pipeline, (features, labels), or "
                "features."
            )
        hooks: list[Any] = []
        if isinstance(result, tf.data.Dataset):
            iterator = v1.data.make_initializable_iterator(result)
            hooks.append(IteratorHook(iterator))
            batch = iterator.get_next()
        else:
            batch = result.get_next() if isinstance(result, v1.data.Iterator) else result
    features, labels = _structure.split_batch(batch)
    graph = v1.get_default_graph()
    return GraphInput(features, labels, hooks, is_stream(graph))


def _is_of_this_graph(dataset: tf.data.Dataset) -> bool:
    """Tells whether a dataset was made in the current graph, and not outside the input_fn, under eager execution."""
    return not all(hasattr(tensor, "numpy") for tensor in _variants(dataset))


def _variants(dataset: tf.data.Dataset) -> list[Any]:
    flat: list[Any] = tf.nest.flatten(tf.data.experimental.to_variant(dataset))
    return flat


def _from_outside(make: Callable[[], tf.data.Dataset]) -> tf.data.Dataset:
    """Returns a dataset of this graph with the elements of one that lives under eager execution."""
    with tf.init_scope():
        spec = make().element_spec

    def elements() -> Iterator[Any]:
        # Generators run in threads of their own, which execute eagerly.
        for element in make():
            yield tf.nest.map_structure(_plain, element)

    return tf.data.Dataset.from_generator(elements, output_signature=spec)


def _plain(value: Any) -> Any:
    return value.numpy() if isinstance(value, tf.Tensor) else value
