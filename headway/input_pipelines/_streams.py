"""Pipelines over datasets: the batches themselves are the elements."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway._columns import check_is_column
from headway._encoded import has_short_operations
from headway.input_pipelines import _checks, _memory, _structure
from headway.input_pipelines._interface import Fetch, Pipeline, PositionKind


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class StreamPipeline(Pipeline):
    """What all streams have in common; `_source(start)` is what a kind of stream adds."""

    stages: tuple[Callable[[Any], Any], ...] = ()

    @abc.abstractmethod
    def _source(self, start: int) -> tf.data.Dataset:
        """Returns the batches from number `start` on, before any mapped function."""

    @functools.cached_property
    def _source_spec(self) -> Any:
        return self._source(0).element_spec

    def elements(self, start: int = 0) -> tf.data.Dataset:
        """See `Pipeline.elements`. The elements are the batches."""
        first = _checks.start(start)
        return self._mapped(self._source(first)) if first else self._all_elements

    @functools.cached_property
    def _all_elements(self) -> tf.data.Dataset:
        return self._mapped(self._source(0))

    def _mapped(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        if self.stages:
            # Checks and vocabularies make the stages stateful for tf.data, which then saves no position. They keep
            # nothing from one batch to the next; whether the source does, `why_not_savable` finds out.
            options = tf.data.Options()
            options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
            # To tune the stages, tf.data counts the bytes of each batch, string by string, wherever it passes. The
            # stages here do without: untuned, as many batches are mapped at a time as there are cores.
            if dataset.options().autotune.enabled is None and _tensorflow.leaves_nothing_to_tune(dataset):
                options.autotune.enabled = False
            dataset = dataset.with_options(options)
        for stage in self.stages:
            mapped = _memory.on_features(stage, _has_labels(self._source_spec))
            if has_short_operations(stage):
                dataset = _tensorflow.map_in_one_thread(dataset, mapped)
            else:
                dataset = dataset.map(mapped, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE) if self.stages else dataset

    def tables(self) -> Any:
        """See `Pipeline.tables`: nothing stays in memory."""
        return ()

    @property
    def tables_spec(self) -> Any:
        """See `Pipeline.tables_spec`."""
        return ()

    @property
    def fetch(self) -> Fetch:
        """See `Pipeline.fetch`."""
        return _memory.take_element

    @functools.cached_property
    def fetch_key(self) -> Hashable:
        """See `Pipeline.fetch_key`."""
        return self.fetch, _structure.key(self.element_spec)

    @functools.cached_property
    def element_spec(self) -> Any:
        """See `Pipeline.element_spec`."""
        return self.elements().element_spec if self.stages else self._source_spec

    @property
    def num_rows(self) -> int | None:
        """See `Pipeline.num_rows`."""
        return None

    @property
    def num_batches(self) -> int | None:
        """See `Pipeline.num_batches`."""
        return None

    @property
    def position_kind(self) -> PositionKind:
        """See `Pipeline.position_kind`."""
        return "count"

    @property
    def seed(self) -> int | None:
        """See `Pipeline.seed`."""
        return None

    def with_seed(self, seed: int) -> Pipeline:
        """See `Pipeline.with_seed`. What shuffles inside a dataset keeps its own seeds."""
        _checks.seed(seed)
        return self

    def fresh(self) -> Pipeline:
        """See `Pipeline.fresh`."""
        return self

    def map_batches(self, fn: Callable[[Any], Any], *, key: Hashable = None) -> Pipeline:
        """See `Pipeline.map_batches`. The batches are mapped in `tf.data`, several at a time, in order."""
        del key
        return dataclasses.replace(self, stages=(*self.stages, fn))

    def dataset(self) -> tf.data.Dataset:
        """See `Pipeline.dataset`."""
        return self.elements()

    def __repr__(self) -> str:
        return f"<Pipeline: {self.describe().splitlines()[0]}>"


def _has_labels(element_spec: Any) -> bool:
    return isinstance(element_spec, tuple) and len(element_spec) == 2 and not hasattr(element_spec, "_fields")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class DatasetPipeline(StreamPipeline):
    """Wraps a dataset of the user's. Made by `from_dataset`."""

    source: tf.data.Dataset
    original: tf.data.Dataset
    num_shards: int = 1
    shard_index: int = 0

    def _source(self, start: int) -> tf.data.Dataset:
        dataset = self.source.shard(self.num_shards, self.shard_index) if self.num_shards > 1 else self.source
        return dataset.skip(start) if start else dataset

    @functools.cached_property
    def num_batches(self) -> int | None:
        """See `Pipeline.num_batches`: the dataset's own cardinality where it knows it."""
        if not tf.executing_eagerly():
            return None
        count = int(self._source(0).cardinality())
        return count if count >= 0 else None

    @property
    def position_kind(self) -> PositionKind:
        """See `Pipeline.position_kind`."""
        return "iterator"

    def why_not_savable(self) -> str | None:
        """See `Pipeline.why_not_savable`: tries the source alone, with the policy that it has itself."""
        if not self.stages:
            return None
        if _tensorflow.shuffles_anew(self.original):
            # To try it would change the order of the rows after the first epoch.
            kind = _tensorflow.stateful_operation(self.original)
            return None if kind is None else f"{kind} is stateful"
        try:
            _tensorflow.iterator_state(iter(self._source(0)))
        except (tf.errors.OpError, ValueError) as error:
            return str(error).strip().split("\n")[0]
        return None

    @property
    def fingerprint(self) -> str:
        """See `Pipeline.fingerprint`."""
        outline = _tensorflow.outline(self.original)
        return f"dataset {outline} {self._source_spec} shard {self.shard_index} of {self.num_shards}"

    def shard(self, num_shards: int, index: int) -> Pipeline:
        """See `Pipeline.shard`: every `num_shards`-th batch."""
        count, number = _checks.shard(num_shards, index)
        return dataclasses.replace(self, num_shards=count, shard_index=number)

    def __call__(
        self, mode: str | None = None, params: Any = None, config: Any = None, input_context: Any = None
    ) -> Pipeline:
        """Returns itself: as in tf.estimator, an `input_fn` that makes a dataset divides it among workers itself."""
        return self

    def describe(self) -> str:
        """See `Pipeline.describe`."""
        return "\n".join([f"batches from {type(self.source).__name__}", *_memory.spec_lines(self.element_spec)])


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TensorsPipeline(StreamPipeline):
    """The same batch for ever. Made by `from_tensors`."""

    batch: Any

    def _source(self, start: int) -> tf.data.Dataset:
        del start
        return tf.data.Dataset.from_tensors(self.batch).repeat()

    @property
    def position_kind(self) -> PositionKind:
        """See `Pipeline.position_kind`: all positions are alike."""
        return "index"

    @property
    def fingerprint(self) -> str:
        """See `Pipeline.fingerprint`."""
        return "tensors"

    def shard(self, num_shards: int, index: int) -> Pipeline:
        """See `Pipeline.shard`: every worker repeats the same batch."""
        _checks.shard(num_shards, index)
        return self

    def describe(self) -> str:
        """See `Pipeline.describe`."""
        return "\n".join(["one batch of tensors, repeated for ever", *_memory.spec_lines(self.element_spec)])


def from_dataset(dataset: tf.data.Dataset) -> Pipeline:
    """Wraps a `tf.data.Dataset` of ready batches, so that it can stand wherever a `Pipeline` can.

    Its position is saved with the iterator, or, where its parts cannot be saved (Python generators,
    `tf.py_function`), by counting batches and dropping as many when a run is resumed.

    Args:
      dataset: batches `(features, labels)`, or features alone. It should be batched already.

    Raises:
      ValueError: it is no dataset, or its elements are tuples of another length than 2.

    Example:
      >>> import tensorflow as tf
      >>> from headway import input_pipelines
      >>> squares = tf.data.Dataset.range(4).map(lambda i: ({"x": i}, i * i)).batch(2)
      >>> pipeline = input_pipelines.from_dataset(squares)
      >>> pipeline.position_kind, pipeline.num_batches
      ('iterator', 2)
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(f"`dataset` must be a tf.data.Dataset. Received: {type(dataset).__name__}.")
    return wrapped(dataset, dataset)


def wrapped(dataset: tf.data.Dataset, original: tf.data.Dataset) -> Pipeline:
    """Returns `from_dataset(dataset)`, where `dataset` gives the batches of `original` in a faster way."""
    _check_pair(dataset.element_spec)
    return DatasetPipeline(source=dataset, original=original)


def from_tensors(features: Any, labels: Any = None) -> Pipeline:
    """Makes a pipeline that repeats one batch for ever: what an `input_fn` that returns tensors meant in tf.estimator.

    Args:
      features: a tensor or a structure of tensors, `[batch, ...]` each.
      labels: the same, or None.

    Example:
      >>> from headway import input_pipelines
      >>> pipeline = input_pipelines.from_tensors({"x": [[1.0], [2.0]]}, [0, 1])
      >>> [labels.numpy().tolist() for _, labels in pipeline.dataset().take(2)]
      [[0, 1], [0, 1]]
    """

    # A list is a batch of values here, and only in a structure of tensors a list of tensors.
    def convert(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: convert(part, str(key)) for key, part in value.items()}
        if isinstance(value, tuple):
            parts = [convert(part, name) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        check_is_column(name, value)
        return value if isinstance(value, tf.SparseTensor | tf.RaggedTensor) else tf.convert_to_tensor(value)

    batch = convert(features, "features")
    return TensorsPipeline(batch=batch if labels is None else (batch, convert(labels, "labels")))


def _check_pair(element_spec: Any) -> None:
    if isinstance(element_spec, tuple) and not hasattr(element_spec, "_fields") and len(element_spec) != 2:
        raise ValueError(
            "input_fn should return (features, labels) as a len 2 tuple. "
            f"Received: a dataset whose elements are tuples of {len(element_spec)}. "
            "Put weights and the like into the dict of features."
        )
