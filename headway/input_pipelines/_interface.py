"""What an estimator asks of an input pipeline: the interface, without an implementation."""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable
from typing import Any, Literal

import tensorflow as tf

from headway.input_pipelines._row_numbers import RowNumbers

PositionKind = Literal["index", "iterator", "count"]
Fetch = Callable[[Any, Any], Any]


class Pipeline(abc.ABC):
    """Rows on their way to a model, in batches.

    A pipeline is made by one of the functions of `headway.input_pipelines`, never changes, and can be walked any
    number of times. It is an `input_fn`: give it to `Estimator.train`, `evaluate` or `predict` as it is, or return it
    from an `input_fn` of your own. Everyone else takes `dataset()`, an ordinary `tf.data.Dataset` of ready batches.

    The training loop goes a cheaper way. It iterates `elements()`, which for data in memory are only the row numbers
    of each batch, and calls `fetch(tables, element)` inside its compiled step, where the rows are gathered:

        tables = pipeline.tables()
        for element in pipeline.elements(start):
            step(tables, element)               # traced: batch = pipeline.fetch(tables, element)

    Example:
      >>> from headway import input_pipelines
      >>> pipeline = input_pipelines.from_arrays({"x": [1.0, 2.0, 3.0]}, [0, 1, 1], batch_size=2)
      >>> [features["x"].numpy().tolist() for features, labels in pipeline.dataset()]
      [[1.0, 2.0], [3.0]]
      >>> [rows.numpy().tolist() for rows in pipeline.elements(start=1)]
      [[2]]
    """

    @abc.abstractmethod
    def elements(self, start: int = 0) -> tf.data.Dataset:
        """Returns what the training loop iterates, from batch number `start` (counted over all epochs, from 0) on.

        The order is a pure function of the pipeline and its seed: `elements(start=k)` is `elements()` without its
        first `k` elements.
        """

    def row_numbers(self, start: int = 0) -> RowNumbers | None:
        """Returns what `elements(start)` gives as the numbers of many batches' rows; None for other elements."""
        del start
        return None

    @abc.abstractmethod
    def tables(self) -> Any:
        """Returns the tensors that stay in memory between steps, to be handed to `fetch`; () where there are none."""

    @property
    @abc.abstractmethod
    def tables_spec(self) -> Any:
        """The specs of `tables()` with an open number of rows, so that one trace serves tables of any length."""

    @property
    @abc.abstractmethod
    def fetch(self) -> Fetch:
        """The function `(tables, element) -> (features, labels)` or `-> features`, in TensorFlow operations only.

        It holds no data: it is a function of the structure alone, and equal (`==`, `hash`) for two pipelines of the
        same structure.
        """

    @property
    @abc.abstractmethod
    def fetch_key(self) -> Hashable:
        """Equal for two pipelines whose `tables()` and `elements()` may go through the same traced step."""

    @property
    @abc.abstractmethod
    def element_spec(self) -> Any:
        """The `tf.TensorSpec`s of one fetched batch: `(features, labels)`, or features alone."""

    @property
    @abc.abstractmethod
    def num_rows(self) -> int | None:
        """Rows in one epoch of this pipeline (of this shard), or None when that is not known."""

    @property
    @abc.abstractmethod
    def num_batches(self) -> int | None:
        """Batches in all epochs together, or None when that is not known or there is no end."""

    @property
    @abc.abstractmethod
    def position_kind(self) -> PositionKind:
        """How a run goes on where it stopped.

        "index": `elements(start)` jumps to the batch at no cost. "count": `elements(start)` reads and drops what came
        before. "iterator": the iterator itself can be saved in a `tf.train.Checkpoint`; where that raises, as it does
        for Python generators, or `why_not_savable` has a reason, batches are counted.
        """

    def why_not_savable(self) -> str | None:
        """Returns why the state of an iterator over `elements` is not all that a run needs to go on; None if it is.

        Ask after the run's own iterator is made: to find out, another one may be made, which draws seeds.
        """
        return None

    @property
    @abc.abstractmethod
    def seed(self) -> int | None:
        """The seed of the order of rows, drawn where the user gave none; None where nothing is shuffled here."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Names what a batch number means here: a position saved under another fingerprint does not apply."""

    @property
    def rows_digest(self) -> str | None:
        """Names the rows themselves; None where they cannot be told beforehand."""
        return None

    @abc.abstractmethod
    def with_seed(self, seed: int) -> Pipeline:
        """Returns this pipeline with its rows in the order of `seed`; it shares all data."""

    @abc.abstractmethod
    def fresh(self) -> Pipeline:
        """Returns the pipeline for another pass: in a newly drawn order where no seed was given, otherwise itself."""

    @abc.abstractmethod
    def shard(self, num_shards: int, index: int) -> Pipeline:
        """Returns worker `index`'s part of the rows, of `num_shards` parts: disjoint, and together all rows."""

    @abc.abstractmethod
    def map_batches(self, fn: Callable[[Any], Any], *, key: Hashable = None) -> Pipeline:
        """Returns a pipeline whose features are `fn(features)`; the labels stay.

        Args:
          fn: a function of TensorFlow operations from the features of a batch of any length to new ones, which works
            row by row: row `i` of the result depends on row `i` alone. Where the data is in memory and not too long it
            runs once over the whole table. A `tf.function` keeps its traces from one call to the next.
          key: names `fn` among all functions that this pipeline is mapped with; the result for a key is kept and used
            again. None: `fn` itself is the key.
        """

    @abc.abstractmethod
    def dataset(self) -> tf.data.Dataset:
        """Returns a `tf.data.Dataset` of ready batches: for Keras `fit`, or for code of your own."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Returns a table for people: where the rows come from, and name, type and shape of each column."""

    def __call__(
        self, mode: str | None = None, params: Any = None, config: Any = None, input_context: Any = None
    ) -> Pipeline:
        """Returns this worker's part of the pipeline for one pass, shuffled anew if no seed was given.

        Args:
          mode: not used; here because an `input_fn` may take it.
          params: not used.
          config: not used.
          input_context: a `tf.distribute.InputContext`, or None for all rows.
        """
        if input_context is None or input_context.num_input_pipelines == 1:
            return self.fresh()
        return self.shard(input_context.num_input_pipelines, input_context.input_pipeline_id).fresh()
