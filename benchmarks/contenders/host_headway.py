"""The host part of the census columns by headway: of plain strings, and of a table whose strings are encoded."""

from __future__ import annotations

import argparse
import time

import _census
import _host
import _measure


def main() -> None:
    arguments = _census.parser(__doc__).parse_args()
    train, test = _census.load(arguments.census)
    import tensorflow as tf

    import headway as hw

    fc = hw.feature_columns
    columns = _host.all_columns(fc, train)
    transform = fc.ColumnTransform(columns)
    layer = fc.DenseFeatures(columns)
    layer({name: values[:2] for name, values in test.features.items()})
    figures = {
        "plain": _host.rows_per_second(tf, train, lambda batch: tf.nest.flatten(transform(batch))),
        "dense": _host.rows_per_second(tf, train, layer),
        "encoded": _encoded(argparse.Namespace(hw=hw, transform=transform, train=train)),
    }
    _measure.report(figures)


def _encoded(given: argparse.Namespace, seconds: float = 4.0) -> float:
    """Returns the rows per second of transforming a table in memory, whose columns of words are codes of few words."""
    pipeline = given.hw.input_pipelines.from_arrays(given.train.features, batch_size=_host.BATCH_SIZE)
    pipeline.map_batches(given.transform, key=-1).tables()
    began, passes = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        # A key of its own makes the pipeline transform the table again.
        pipeline.map_batches(given.transform, key=passes).tables()
        passes += 1
    return passes * len(given.train) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
