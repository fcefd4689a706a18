"""A pipeline over data in memory: rows are chosen by number and gathered a batch at a time."""

from __future__ import annotations

import collections
import dataclasses
import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import tensorflow as tf

from headway._encoded import takes_encoded, with_what_is_known
from headway.input_pipelines import _checks, _layout, _structure
from headway.input_pipelines._interface import Fetch, Pipeline, PositionKind
from headway.input_pipelines._order import RowOrder
from headway.input_pipelines._row_numbers import RowNumbers
from headway.input_pipelines._rows_digest import rows_digest

# Tables up to this many rows are mapped once and kept; longer ones are mapped batch by batch, every time.
_MOST_MAPPED_ROWS = 2_000_000
_CHUNK_ROWS = 65_536
# A pipeline keeps the results of this many different functions.
_MOST_RESULTS = 4


def take_element(tables: Any, element: Any) -> Any:
    """The `fetch` of a stream: its elements are the batches."""
    del tables
    return element


def compiled(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns `fn` as a `tf.function`; itself if it is one."""
    function: Callable[[Any], Any] = (
        fn if hasattr(fn, "get_concrete_function") else tf.function(fn, reduce_retracing=True)
    )
    return function


def on_features(fn: Callable[[Any], Any], has_labels: bool) -> Callable[..., Any]:
    """Returns `fn` as a function of a whole batch, which passes the labels by."""
    row_wise = compiled(fn)
    # The errors of a function that AutoGraph rewrites begin with what it rewrote.
    mapped: Callable[..., Any] = tf.autograph.experimental.do_not_convert(
        (lambda features, labels: (row_wise(features), labels)) if has_labels else row_wise
    )
    return mapped


class Resident:
    """Tables and how they are laid out; shared by all pipelines over the same data."""

    def __init__(
        self, num_rows: int, features: tuple[_layout.Layout, Any], labels: tuple[_layout.Layout, Any] | None
    ) -> None:
        self.num_rows = num_rows
        self.fetch = _layout.Gather(features[0], labels[0] if labels else None)
        self._tables: Any = (tuple(features[1]), tuple(labels[1]) if labels else ())
        self._are_tensors = False
        self._mapped: collections.OrderedDict[Hashable, Resident] = collections.OrderedDict()
        self._lock = threading.RLock()
        self._digest: str | None = None

    def digest(self) -> str:
        """Returns a name for the rows as they were before any function was mapped over them."""
        with self._lock, tf.init_scope():
            if self._digest is None:
                self._digest = rows_digest(self._tables, self.fetch)
            return self._digest

    def tables(self) -> Any:
        """Returns the tables as tensors: eager ones, or constants where a graph is built without eager execution."""
        with self._lock, tf.init_scope():
            eager = tf.executing_eagerly()
            if self._are_tensors and eager:
                return self._tables
            arrays = tf.nest.map_structure(lambda table: table.numpy() if self._are_tensors else table, self._tables)
            tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
            if eager:
                self._tables, self._are_tensors = tensors, True
            return tensors

    def spec(self) -> Any:
        """Returns the specs of the tables, rows open."""
        return self.fetch.features.spec(), self.fetch.labels.spec() if self.fetch.labels else ()

    def mapped(self, fn: Callable[[Any], Any], key: Hashable) -> Resident | None:
        """Returns tables of `fn(features)` for all rows, made now or before; None where they are not to be made."""
        with self._lock:
            if key in self._mapped:
                self._mapped.move_to_end(key)
                return self._mapped[key]
            if self.num_rows > _MOST_MAPPED_ROWS or not tf.executing_eagerly():
                return None
            features = self._map_features(fn)
            if features is None:
                return None
            result = Resident(self.num_rows, features, None)
            result.fetch = _layout.Gather(features[0], self.fetch.labels)
            result._tables, result._are_tensors = (features[1], self.tables()[1]), True
            # The rows themselves are not kept for it.
            result._digest = self.digest()
            self._mapped[key] = result
            if len(self._mapped) > _MOST_RESULTS:
                self._mapped.popitem(last=False)
            return result

    def _map_features(self, fn: Callable[[Any], Any]) -> tuple[_layout.Layout, Any] | None:
        """Runs `fn` over the table in chunks; None if it makes what a table cannot hold."""
        source = self.fetch.features
        target: list[_layout.Layout] = []
        encoded = takes_encoded(fn) and source.repeats_values(self.tables()[0], min(self.num_rows, _CHUNK_ROWS))
        # One that AutoGraph does not rewrite is no function of its own within the one that is traced here.
        row_wise = getattr(fn, "python_function", fn) if takes_encoded(fn) else compiled(fn)

        def trace(tables: Any) -> Any:
            layout, packed = _layout.pack_tensors(row_wise(source.columns(tables, encoded=encoded)))
            target[:] = [layout]
            return packed

        convert = tf.function(trace, input_signature=[source.spec()], autograph=False)
        try:
            convert.get_concrete_function()
        except TypeError as error:
            if "A table cannot hold" not in str(error):
                raise
            return None
        tables = self.tables()[0]
        parts = []
        for begin in range(0, self.num_rows, _CHUNK_ROWS):
            rows = min(_CHUNK_ROWS, self.num_rows - begin)
            parts.append(
                convert(
                    tuple(_slice(table, group, begin, rows) for table, group in zip(tables, source.groups, strict=True))
                )
            )
            for made in parts[-1]:
                check_rows(made, rows)
        whole = [column[0] if len(parts) == 1 else tf.concat(column, 0) for column in zip(*parts, strict=True)]
        return _layout.pack_tensors(with_what_is_known(fn, target[0].columns(whole)))


def _slice(table: Any, group: _layout.Group, begin: int, rows: int) -> Any:
    if group.kind == "codes":
        return table[0][begin : begin + rows], table[1]
    return table[begin : begin + rows]


def check_rows(made: Any, rows: int) -> None:
    """Raises unless `made`, an eager result of a mapped function, has as many rows as it was made from."""
    received = made.nrows() if isinstance(made, tf.RaggedTensor) else tf.shape(made)[0]
    if int(received) != rows:
        raise ValueError(
            f"The function given to `map_batches` made {int(received)} rows out of {rows}. It must work row by row: "
            "row i of each result is made from row i of the features alone."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryPipeline(Pipeline):
    """Batches gathered from tables in memory. Made by `from_arrays` and `from_dataframe`."""

    resident: Resident
    order: RowOrder
    seed_given: bool
    source: str = "arrays"
    stages: tuple[Callable[[Any], Any], ...] = ()

    def elements(self, start: int = 0) -> tf.data.Dataset:
        """See `Pipeline.elements`. Elements are int64 row numbers `[batch]`; batches if a function is mapped lazily."""
        start = _checks.start(start)
        return self._batches(self.order.batches(start)) if self.stages else self.order.ready_batches(start)

    def row_numbers(self, start: int = 0) -> RowNumbers | None:
        """See `Pipeline.row_numbers`."""
        return None if self.stages else RowNumbers(self.order, _checks.start(start))

    def _batches(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        tables, gather = self.resident.tables(), self.resident.fetch
        stages = [compiled(stage) for stage in self.stages]

        def make(rows: tf.Tensor) -> Any:
            batch = gather(tables, rows)
            features = batch if gather.labels is None else batch[0]
            for stage in stages:
                features = stage(features)
            return features if gather.labels is None else (features, batch[1])

        make = tf.autograph.experimental.do_not_convert(make)
        return dataset.map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def tables(self) -> Any:
        """See `Pipeline.tables`."""
        return () if self.stages else self.resident.tables()

    @property
    def tables_spec(self) -> Any:
        """See `Pipeline.tables_spec`."""
        return () if self.stages else self.resident.spec()

    @property
    def fetch(self) -> Fetch:
        """See `Pipeline.fetch`."""
        return take_element if self.stages else self.resident.fetch

    @functools.cached_property
    def fetch_key(self) -> Hashable:
        """See `Pipeline.fetch_key`."""
        size = self.order.batch_size if self.order.drop_remainder else None
        return self.fetch, _structure.key(self.element_spec) if self.stages else size

    @functools.cached_property
    def element_spec(self) -> Any:
        """See `Pipeline.element_spec`."""
        if self.stages:
            return self.elements().element_spec
        size = self.order.batch_size if self.order.drop_remainder else None
        gather = self.resident.fetch
        features = gather.features.element_spec(size)
        return features if gather.labels is None else (features, gather.labels.element_spec(size))

    @property
    def num_rows(self) -> int:
        """See `Pipeline.num_rows`."""
        return self.order.num_rows

    @property
    def num_batches(self) -> int | None:
        """See `Pipeline.num_batches`."""
        return self.order.num_batches

    @property
    def position_kind(self) -> PositionKind:
        """See `Pipeline.position_kind`."""
        return "index"

    @property
    def seed(self) -> int | None:
        """See `Pipeline.seed`."""
        return self.order.seed if self.order.shuffle else None

    @property
    def fingerprint(self) -> str:
        """See `Pipeline.fingerprint`."""
        order = dataclasses.replace(self.order, seed=0, num_epochs=None)
        return f"memory {order}"

    @property
    def rows_digest(self) -> str:
        """See `Pipeline.rows_digest`."""
        return self.resident.digest()

    def with_seed(self, seed: int) -> MemoryPipeline:
        """See `Pipeline.with_seed`."""
        checked = _checks.seed(seed)
        if checked is None:
            raise ValueError("`seed` must be an integer. Received: None.")
        return self._replace(order=dataclasses.replace(self.order, seed=checked), seed_given=True)

    def fresh(self) -> MemoryPipeline:
        """See `Pipeline.fresh`."""
        if self.seed_given or not self.order.shuffle:
            return self
        return self._replace(order=dataclasses.replace(self.order, seed=_checks.draw_seed()))

    def shard(self, num_shards: int, index: int) -> MemoryPipeline:
        """See `Pipeline.shard`. Equally many batches in each shard, of which the last of an epoch may be empty."""
        count, number = _checks.shard(num_shards, index)
        if self.order.num_shards > 1:
            raise ValueError(
                f"This pipeline is shard {self.order.shard_index} of {self.order.num_shards} already. "
                "Shard the whole one."
            )
        return self._replace(order=dataclasses.replace(self.order, num_shards=count, shard_index=number))

    def joined(self) -> MemoryPipeline:
        """Returns a pipeline whose batches go on across the end of an epoch; only the last of all may be short."""
        return self._replace(order=dataclasses.replace(self.order, joined=True))

    def map_batches(self, fn: Callable[[Any], Any], *, key: Hashable = None) -> MemoryPipeline:
        """See `Pipeline.map_batches`. Up to 2 million rows are mapped at once, more batch by batch in `tf.data`."""
        mapped = None if self.stages else self.resident.mapped(fn, fn if key is None else key)
        if mapped is None:
            return self._replace(stages=(*self.stages, fn))
        return self._replace(resident=mapped)

    def dataset(self) -> tf.data.Dataset:
        """See `Pipeline.dataset`."""
        return self.elements() if self.stages else self._batches(self.order.batches(0))

    def describe(self) -> str:
        """See `Pipeline.describe`."""
        order = self.order
        how = "shuffled" if order.shuffle else "in row order"
        head = f"{order.num_rows:,} rows from {self.source}, batches of {order.batch_size}, {how}"
        return "\n".join([head, *spec_lines(self.element_spec)])

    def __repr__(self) -> str:
        return f"<Pipeline: {self.describe().splitlines()[0]}>"

    def _replace(self, **changes: Any) -> MemoryPipeline:
        return dataclasses.replace(self, **changes)


def spec_lines(element_spec: Any) -> list[str]:
    """Returns a line for each feature and label: name, type, shape of a batch."""
    parts = [("feature", element_spec)]
    if isinstance(element_spec, tuple) and len(element_spec) == 2:
        parts = [("feature", element_spec[0]), ("label", element_spec[1])]
    rows = [
        (kind, name, spec.dtype.name, str(spec.shape))
        for kind, part in parts
        for name, spec in (part.items() if isinstance(part, dict) else [("", part)])
    ]
    width = max(len(row[1]) for row in rows)
    return [f"  {kind:8}{name:{width + 2}}{dtype:9}{shape}" for kind, name, dtype, shape in rows]


def check_finite(name: str, values: Any) -> None:
    """Raises if a label is NaN or infinite; names the first such row."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(
            f"{name} must be finite, but row {row} holds {values[row]}. "
            "Drop the rows whose label is missing, or fill the label in."
        )
