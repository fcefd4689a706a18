"""The numbers of the rows of many batches at once, for a loop that takes the rows itself."""

from __future__ import annotations

import concurrent.futures
import functools
import os

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headway.input_pipelines._order import RowOrder

Numbers = npt.NDArray[np.int64]

# The numbers of one call take at most so much memory: 32 MB.
_MOST_ROWS = 4_000_000
# Short epochs are ordered together, so many at a time and so many rows: to order one alone takes as long as some steps.
_EPOCHS_TOGETHER, _ROWS_TOGETHER = 64, 16_384


class RowNumbers:
    """What `RowOrder.batches(start)` gives one by one, given for as many batches as are asked for.

    Args:
      order: which rows make which batch.
      start: number of the first batch, counted over all epochs.

    Attributes:
      batch_size: number of rows in a full batch.
      element_spec: the spec of the row numbers of one batch, int64 `[batch]`.

    Example:
      >>> from headway.input_pipelines._order import RowOrder
      >>> order = RowOrder(5, batch_size=2, shuffle=False, num_epochs=2, drop_remainder=False, seed=0)
      >>> numbers = RowNumbers(order, start=1)
      >>> sizes, rows = numbers.of_next(3)
      >>> sizes.tolist(), rows.tolist()
      ([2, 1, 2], [2, 3, 4, 0, 1])
    """

    def __init__(self, order: RowOrder, start: int) -> None:
        self._order = order
        self._position = start
        rows = order.num_table_rows
        self._first_epoch = start * order.batch_size // rows if order.joined else start // order.batches_per_epoch
        self._together = max(1, min(_EPOCHS_TOGETHER, _ROWS_TOGETHER // rows))
        self._orders: dict[int, concurrent.futures.Future[Numbers]] = {}
        self.batch_size = order.batch_size
        self.element_spec = tf.TensorSpec([order.batch_size if order.drop_remainder else None], tf.int64)

    def of_next(self, count: int) -> tuple[Numbers, Numbers]:
        """Returns the sizes of the next batches, at most `count`, and their rows' numbers, one batch behind the other.

        Fewer batches are there only at the end of the last epoch, or where `count` of them would be millions of rows.
        """
        order, begin = self._order, self._position
        count = min(count, max(1, _MOST_ROWS // order.batch_size))
        end = begin + count if order.num_batches is None else min(begin + count, order.num_batches)
        if end <= begin:
            return np.zeros([0], np.int64), np.zeros([0], np.int64)
        return self._joined(begin, end) if order.joined else self._by_epoch(begin, end)

    @property
    def at_end(self) -> bool:
        """Whether no batch is left."""
        return self._order.num_batches is not None and self._position >= self._order.num_batches

    def advance(self, count: int) -> None:
        """Goes on by `count` batches."""
        self._position += count

    def _by_epoch(self, begin: int, end: int) -> tuple[Numbers, Numbers]:
        size, per_epoch = self._order.batch_size, self._order.batches_per_epoch
        sizes, rows = [], []
        while begin < end:
            epoch, first = divmod(begin, per_epoch)
            last = min(per_epoch, first + end - begin)
            rows.append(self._rows(epoch)[first * size : last * size])
            sizes.append(_sizes(len(rows[-1]), last - first, size))
            begin += last - first
        return np.concatenate(sizes), np.concatenate(rows)

    def _joined(self, begin: int, end: int) -> tuple[Numbers, Numbers]:
        size, rows_per_epoch = self._order.batch_size, self._order.num_table_rows
        first, last = begin * size, end * size
        if self._order.num_epochs is not None:
            last = min(last, self._order.num_epochs * rows_per_epoch)
        parts = [
            self._rows(epoch)[max(first - epoch * rows_per_epoch, 0) : last - epoch * rows_per_epoch]
            for epoch in range(first // rows_per_epoch, -(-last // rows_per_epoch))
        ]
        return _sizes(last - first, end - begin, size), np.concatenate(parts)

    def _rows(self, epoch: int) -> Numbers:
        """Returns the rows of an epoch in their order; epochs are asked for from the first one on."""
        # The first epoch comes alone, as training waits for it. The next ones are ordered while it is trained on.
        chunk = -(-(epoch - self._first_epoch) // self._together)
        ahead = [number for number in (chunk, chunk + 1) if number == chunk or len(self._epochs(number))]
        self._orders = {number: self._orders.get(number) or self._started(number) for number in ahead}
        rows: Numbers = self._orders[chunk].result()[epoch - self._epochs(chunk)[0]]
        return rows

    def _epochs(self, chunk: int) -> range:
        """Returns the epochs that are ordered together under a number."""
        first, last = self._first_epoch, self._order.num_epochs
        begin = first + (1 + (chunk - 1) * self._together if chunk else 0)
        end = first + 1 + chunk * self._together
        return range(begin, end if last is None else min(end, max(last, first + 1)))

    def _started(self, chunk: int) -> concurrent.futures.Future[Numbers]:
        try:
            return _worker(os.getpid()).submit(self._ordered, chunk)
        except RuntimeError:
            # The program is at its end, and a thread that it waits for still trains.
            done: concurrent.futures.Future[Numbers] = concurrent.futures.Future()
            done.set_result(self._ordered(chunk))
            return done

    def _ordered(self, chunk: int) -> Numbers:
        with tf.device("/cpu:0"):
            rows: Numbers = self._order.rows_of_epochs(self._epochs(chunk)).numpy()
        return rows


@functools.cache
def _worker(process: int) -> concurrent.futures.ThreadPoolExecutor:
    # A process that was forked has none of the threads.
    del process
    return concurrent.futures.ThreadPoolExecutor(1, "headway_row_order")


def _sizes(rows: int, batches: int, size: int) -> Numbers:
    sizes: Numbers = np.clip(rows - size * np.arange(batches, dtype=np.int64), 0, size)
    return sizes
