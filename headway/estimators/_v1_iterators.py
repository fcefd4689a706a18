"""An input_fn of TensorFlow 1, which returns tensors that an iterator gives, as a dataset.

`make_one_shot_iterator(dataset).get_next()` and what follows it meant: the next batch, in each step. Run eagerly, it is
the first batch, for ever. So what follows `get_next` is traced as a function of a batch, which the dataset is mapped
with: its batches are then those that a session would have seen, and its place is saved as that of any dataset.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway import _tensorflow_v1
from headway.estimators import _structure
from headway.estimators._captured_tables import OwnTables
from headway.estimators._needs_graph import NeedsGraph

_KEYS = ("one_shot_iterator", "initializable_iterator")


def called(input_fn: Callable[[], Any]) -> Any:
    """Returns what `input_fn` returns; a dataset of it where it takes its tensors from compat.v1 iterators.

    Raises:
      NeedsGraph: if an iterator gives several batches in each step, or the tensors cannot be traced.
    """
    if not tf.executing_eagerly():
        return input_fn()
    # Zeros do for what follows in most programs, and cost nothing; the others get their first batch.
    result, datasets, error = _tried(input_fn, lambda dataset: _zeros(dataset.element_spec))
    if error is not None and datasets:
        result, datasets, error = _tried(input_fn, _first)
    if error is not None and not datasets:
        raise error
    if not datasets or isinstance(result, tf.data.Dataset):
        return result
    return _mapped(input_fn, datasets)


def _tried(
    input_fn: Callable[[], Any], batch_of: Callable[[Any], Any]
) -> tuple[Any, list[tf.data.Dataset], Exception | None]:
    """Returns the result of `input_fn`, the datasets that it made iterators of, and the error that ended it."""
    datasets: list[Any] = []

    def make(dataset: Any) -> _Iterator:
        datasets.append(dataset)
        return _Iterator(dataset, lambda: batch_of(dataset))

    with _iterators(make):
        try:
            return input_fn(), datasets, None
        except Exception as error:
            return None, datasets, error


def _zeros(element_spec: Any) -> Any:
    return tf.nest.map_structure(lambda spec: _structure.empty(spec, rows=1), element_spec)


def _first(dataset: tf.data.Dataset) -> Any:
    for element in dataset.take(1):
        return element
    return _zeros(dataset.element_spec)


def _mapped(input_fn: Callable[[], Any], datasets: list[Any]) -> tf.data.Dataset:
    specs = [dataset.element_spec for dataset in datasets]
    structure: list[Any] = []
    # The tables live as long as the function that uses them.
    tables = OwnTables()

    def follow(*flat: Any) -> list[tf.Tensor]:
        batches = iter(tf.nest.pack_sequence_as(specs, flat, expand_composites=True))

        def make(dataset: Any) -> _Iterator:
            left = [next(batches)] if len(made) < len(datasets) else []
            made.append(dataset)
            return _Iterator(dataset, lambda: left.pop() if left else _refuse())

        made: list[Any] = []
        with _iterators(make), _filled(tables):
            result = input_fn()
        result = tuple(result) if isinstance(result, list) else result
        structure[:] = [tf.nest.map_structure(_as_tensor, result, expand_composites=True)]
        # A placeholder that is returned as it came is no output of its own.
        return [tf.identity(tensor) for tensor in tf.nest.flatten(structure[0], expand_composites=True)]

    flat_specs = tf.nest.flatten(specs, expand_composites=True)
    try:
        traced = tf.compat.v1.wrap_function(follow, flat_specs)
    except NeedsGraph:
        raise
    except Exception as error:
        raise NeedsGraph(
            "what input_fn does with the batches of an iterator cannot be traced "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        ) from error

    # Only what the outputs need: not the datasets that input_fn has made again, with which no place could be saved.
    traced = traced.prune(traced.inputs[: len(flat_specs)], traced.outputs)

    def to_result(*elements: Any) -> Any:
        outputs = traced(*tf.nest.flatten(elements, expand_composites=True))
        return tf.nest.pack_sequence_as(structure[0], outputs, expand_composites=True)

    to_result.tables = tables  # type: ignore[attr-defined]
    dataset = tf.data.Dataset.zip(tuple(datasets)) if len(datasets) > 1 else datasets[0]
    return dataset.map(to_result)


def _refuse() -> Any:
    raise NeedsGraph("input_fn takes several batches of an iterator in each step, or makes iterators anew")


@contextlib.contextmanager
def _iterators(make: Callable[[Any], Any]) -> Iterator[None]:
    """Lets `make(dataset)` make the iterators of this thread."""
    thread = threading.get_ident()

    def answer(original: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return make(dataset) if threading.get_ident() == thread else original(dataset, *args, **kwargs)

    with contextlib.ExitStack() as scopes:
        for key in _KEYS:
            scopes.enter_context(_tensorflow_v1.answering(key, answer))
        yield


def _filled(tables: OwnTables) -> contextlib.AbstractContextManager[None]:
    def fill(original: Any, table: Any) -> Any:
        return tf.no_op() if tables.fill(table) else original(table)

    return _tensorflow_v1.answering("table", fill)


def _as_tensor(value: Any) -> Any:
    return value if value is None or tf.is_tensor(value) else tf.convert_to_tensor(value)


class _Iterator:
    """What a compat.v1 iterator offers.

    Args:
      dataset: what it goes through.
      batch: returns what `get_next` gives.
    """

    def __init__(self, dataset: Any, batch: Callable[[], Any]) -> None:
        self.element_spec = dataset.element_spec
        self.output_types = tf.compat.v1.data.get_output_types(dataset)
        self.output_shapes = tf.compat.v1.data.get_output_shapes(dataset)
        self.output_classes = tf.compat.v1.data.get_output_classes(dataset)
        self._batch = batch

    @property
    def initializer(self) -> Any:
        """An operation that does nothing: the dataset begins by itself."""
        return tf.no_op()

    def get_next(self, name: str | None = None) -> Any:
        """Returns the next batch."""
        del name
        return self._batch()
