"""The host part of the census columns by headway: of plain strings, and of a table whose strings are encoded."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import _census
import _host
import _measure
import numpy as np

# How often the table stands in the one that is encoded, so that compiling the columns counts little.
_TIMES, _PASSES = 50, 5


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

    def host(batches: Any) -> Any:
        # What an Estimator does with the batches of an input_fn.
        return hw.input_pipelines.from_dataset(batches).map_batches(transform).dataset()

    dense = _host.by_map(tf, layer)
    figures = {
        **{f"host_{size}": _host.rows_per_second(tf, train, host, size) for size in _host.BATCH_SIZES},
        **{f"dense_{size}": _host.rows_per_second(tf, train, dense, size) for size in _host.BATCH_SIZES},
        "encoded": _encoded(argparse.Namespace(hw=hw, transform=transform, train=train)),
    }
    _measure.report(figures)


def _encoded(given: argparse.Namespace) -> float:
    """Returns the rows per second of transforming a table in memory, whose columns of words are codes of few words."""
    features = {name: np.tile(values, _TIMES) for name, values in given.train.features.items()}
    pipeline = given.hw.input_pipelines.from_arrays(features, batch_size=256)
    pipeline.map_batches(given.transform, key=-1).tables()
    seconds = []
    for number in range(_PASSES):
        began = time.perf_counter()
        # A key of its own makes the pipeline transform the table again.
        pipeline.map_batches(given.transform, key=number).tables()
        seconds.append(time.perf_counter() - began)
    return len(features["age"]) / statistics.median(seconds)


if __name__ == "__main__":
    main()
