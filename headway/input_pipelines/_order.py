"""The order in which rows of a table in memory come, as row numbers a batch at a time, without any state."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

_EPOCHS_FOR_EVER = 2**62


@dataclasses.dataclass(frozen=True)
class RowOrder:
    """Which rows make which batch.

    The rows of shard `shard_index` are `shard_index`, `shard_index + num_shards`, and so on. Each epoch passes over
    all of them once, in row order, or in a permutation that is a function of (`seed`, epoch) alone. All shards have
    equally many batches: without `drop_remainder` the last batch of an epoch may be short, in a shard also empty; with
    it, each shard leaves rows out until all have full batches only. Where epochs are joined, a batch goes on with the
    next epoch, and only the last batch of all may be short.
    """

    num_table_rows: int
    batch_size: int
    shuffle: bool
    num_epochs: int | None
    drop_remainder: bool
    seed: int
    num_shards: int = 1
    shard_index: int = 0
    joined: bool = False

    def __post_init__(self) -> None:
        if self.joined and self.num_shards > 1:
            raise ValueError("A pipeline whose batches mix epochs cannot be sharded: shard the arrays that it reads.")
        if not self.batches_per_epoch:
            raise ValueError(
                f"`drop_remainder=True` would drop all data: `batch_size` is {self.batch_size}, and there are only "
                f"{self.num_table_rows} rows for {self.num_shards} worker(s). "
                "Use a smaller `batch_size`, or `drop_remainder=False`."
            )

    @property
    def num_rows(self) -> int:
        """Rows in this shard."""
        return len(range(self.shard_index, self.num_table_rows, self.num_shards))

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one epoch, equal in all shards."""
        if self.drop_remainder:
            return self.num_table_rows // self.num_shards // self.batch_size
        return -(-self.num_table_rows // (self.num_shards * self.batch_size))

    @property
    def num_batches(self) -> int | None:
        """Batches of all epochs, or None without end."""
        if self.joined and self.num_epochs is not None:
            return -(-self.num_epochs * self.num_table_rows // self.batch_size)
        return None if self.num_epochs is None else self.num_epochs * self.batches_per_epoch

    def batches(self, start: int) -> tf.data.Dataset:
        """Returns the dataset of int64 row numbers `[batch]` from batch number `start` on."""
        if self.joined:
            return self._counted(self._joined_batches(start), start)
        first_epoch, first_batch = divmod(start, self.batches_per_epoch)
        last_epoch = _EPOCHS_FOR_EVER if self.num_epochs is None else max(self.num_epochs, first_epoch)

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            skip = tf.where(number == first_epoch, tf.constant(first_batch, tf.int64), tf.constant(0, tf.int64))
            return self._epoch(number, skip)

        dataset = tf.data.Dataset.range(first_epoch, last_epoch).flat_map(
            tf.autograph.experimental.do_not_convert(epoch)
        )
        return self._counted(dataset, start)

    def _counted(self, dataset: tf.data.Dataset, start: int) -> tf.data.Dataset:
        left = tf.data.INFINITE_CARDINALITY if self.num_batches is None else max(0, self.num_batches - start)
        return dataset.apply(tf.data.experimental.assert_cardinality(left))

    def ready_batches(self, start: int) -> tf.data.Dataset:
        """Returns `batches(start)` for use as it is: quickly made, and its iterators too."""
        # A dataset belongs to the graph that it is made in; outside of graphs the same one serves again.
        return _kept_batches(self, start) if tf.executing_eagerly() else _without_optimization(self.batches(start))

    def _joined_batches(self, start: int) -> tf.data.Dataset:
        first_epoch, skip = divmod(start * self.batch_size, self.num_table_rows)
        last_epoch = _EPOCHS_FOR_EVER if self.num_epochs is None else max(self.num_epochs, first_epoch)

        def rows_of(number: tf.Tensor) -> tf.Tensor:
            return self.rows(number)[tf.where(number == first_epoch, skip, 0) :]

        epochs = tf.data.Dataset.range(first_epoch, last_epoch).map(tf.autograph.experimental.do_not_convert(rows_of))
        return epochs.rebatch(self.batch_size)

    def rows(self, number: tf.Tensor) -> tf.Tensor:
        """Returns the rows of epoch `number` in their order, int64 `[rows]`."""
        if self.shuffle:
            seed = tf.stack([tf.constant(self.seed, tf.int64), number])
            rows = tf.ensure_shape(_shuffled(seed, tf.constant(self.num_rows, tf.int64)), [self.num_rows])
        else:
            rows = tf.range(self.num_rows, dtype=tf.int64)
        return self._of_shard(rows)

    def rows_of_epochs(self, epochs: range) -> tf.Tensor:
        """Returns what `rows` gives for each of some epochs that follow each other, int64 `[epochs, rows]`."""
        if len(epochs) == 1 or not self.shuffle:
            return tf.tile(self.rows(tf.constant(epochs[0], tf.int64))[tf.newaxis], [len(epochs), 1])
        numbers = tf.range(epochs.start, epochs.stop, dtype=tf.int64)
        seed, rows = tf.constant(self.seed, tf.int64), tf.constant(self.num_rows, tf.int64)
        return self._of_shard(_shuffled_epochs(seed, numbers, rows))

    def _of_shard(self, rows: tf.Tensor) -> tf.Tensor:
        return rows * self.num_shards + self.shard_index if self.num_shards > 1 else rows

    def _epoch(self, number: tf.Tensor, skip: tf.Tensor) -> tf.data.Dataset:
        rows = self.rows(number)
        size, count = self.batch_size, self.batches_per_epoch
        full = min(self.num_rows // size, count)
        # Slices of one matrix cost nothing; the short batch comes behind them.
        matrix = tf.reshape(rows[: full * size], [full, size])[tf.minimum(skip, full) :]
        dataset = tf.data.Dataset.from_tensor_slices(matrix)
        if full < count:
            rest = tf.data.Dataset.from_tensors(rows[full * size :])
            dataset = dataset.concatenate(rest.skip(tf.maximum(skip - full, 0)))
        return dataset


@tf.function(
    autograph=False,
    input_signature=[tf.TensorSpec([2], tf.int64, name="seed"), tf.TensorSpec([], tf.int64, name="rows")],
)
def _shuffled(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    # Compiled, as the operations one by one would take longer than the shuffling of thousands of rows.
    return tf.random.experimental.stateless_shuffle(tf.range(rows), seed, alg="philox")


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec([], tf.int64, name="seed"),
        tf.TensorSpec([None], tf.int64, name="epochs"),
        tf.TensorSpec([], tf.int64, name="rows"),
    ],
)
def _shuffled_epochs(seed: tf.Tensor, epochs: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(lambda epoch: _shuffled(tf.stack([seed, epoch]), rows), epochs)


@functools.lru_cache(maxsize=16)
def _kept_batches(order: RowOrder, start: int) -> tf.data.Dataset:
    return _without_optimization(order.batches(start))


def _without_optimization(dataset: tf.data.Dataset) -> tf.data.Dataset:
    # Nothing in it can be made faster, and looking for it takes longer than to predict thousands of rows.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)
