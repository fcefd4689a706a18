"""The columns of the census model, on batches that are ready: how fast raw features become inputs of a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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


def rows_per_second(
    tf: Any, table: _census.Table, work: Callable[[Any], Any], batch_size: int, seconds: float = 4.0
) -> float:
    """Returns how many rows per second a `tf.data` pipeline gives that maps `work` over batches from memory.

    Args:
      tf: the module.
      table: the rows.
      work: a function of a batch of features; its result is thrown away.
      batch_size: rows in a batch.
      seconds: how long to measure, after one warm-up pass.
    """
    features = table.features
    batches = tf.data.Dataset.from_tensor_slices(features).batch(batch_size, drop_remainder=True).cache()
    rows = len(table) // batch_size * batch_size
    for _ in batches:  # fills the cache
        pass
    results = batches.repeat().map(work, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    iterator: Iterator[Any] = iter(results)
    for _ in range(rows // batch_size):
        next(iterator)
    began, done = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        next(iterator)
        done += batch_size
    return done / (time.perf_counter() - began)
