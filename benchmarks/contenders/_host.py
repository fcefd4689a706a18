"""The columns of the census model, on batches that are ready: how fast raw features become inputs of a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import _census

BATCH_SIZES = [256, 1024, 4096]


def all_columns(fc: Any, train: _census.Table) -> list[Any]:
    """Returns the wide and the deep columns, the wide ones as indicators: what DenseFeatures takes.

    Args:
      fc: `tf.feature_column` or `headway.feature_columns`.
      train: the rows to train.
    """
    wide, deep = _census.columns(fc, train)
    age = [column for column in wide if "age_bucketized" in column.name]
    crosses = [fc.indicator_column(column) for column in wide if "_X_" in column.name]
    rest = [column for column in age if "_X_" not in column.name]
    words = [fc.indicator_column(column) for column in wide if column not in age and "_X_" not in column.name]
    taken = {column.name for column in deep}
    return [*deep, *rest, *crosses, *(column for column in words if column.name not in taken)]


def by_map(tf: Any, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns the function that maps `work` over a `tf.data.Dataset` of batches as a user writes it."""
    return lambda batches: batches.map(work, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def rows_per_second(
    tf: Any, table: _census.Table, mapped: Callable[[Any], Any], batch_size: int, seconds: float = 4.0
) -> float:
    """Returns how many rows per second come out of a `tf.data` pipeline over batches from memory.

    Args:
      tf: the module.
      table: the rows.
      mapped: a function of the dataset of batches, without end, that returns the dataset of what is made of them.
      batch_size: rows in a batch.
      seconds: how long to measure at least, after shorter passes that warm up.
    """
    features = table.features
    batches = tf.data.Dataset.from_tensor_slices(features).batch(batch_size, drop_remainder=True).cache()
    for _ in batches:  # fills the cache
        pass
    results = mapped(batches.repeat())
    number = len(table) // batch_size
    while True:
        # What is skipped is computed, and nothing of it passes through Python: the pipeline's own speed.
        iterator = iter(results.skip(number))
        began = time.perf_counter()
        next(iterator)
        spent = time.perf_counter() - began
        if spent >= seconds:
            return (number + 1) * batch_size / spent
        number = int(number * max(2.0, 1.2 * seconds / spent))
