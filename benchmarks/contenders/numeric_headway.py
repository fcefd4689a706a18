"""Many numbers: as a column for each of them, or as one column of all."""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import _measure
import numpy as np

_NUMBERS, _ROWS, _BATCH_SIZE = 200, 51_200, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, choices=[1, _NUMBERS], default=_NUMBERS, help="number of columns")
    parser.add_argument("--steps", type=int, default=6000, help="training steps")
    arguments = parser.parse_args()
    import tensorflow as tf

    import headway as hw

    fc = hw.feature_columns
    values = np.random.default_rng(0).normal(size=(_ROWS, _NUMBERS)).astype("float32")
    labels = (values[:, 0] > 0).astype("int64")
    if arguments.columns == 1:
        columns = [fc.numeric_column("x", shape=(_NUMBERS,))]
        features = {"x": values}
    else:
        columns = [fc.numeric_column(f"x{i:03d}") for i in range(_NUMBERS)]
        features = {f"x{i:03d}": values[:, i].copy() for i in range(_NUMBERS)}

    def batches() -> Any:
        dataset = tf.data.Dataset.from_tensor_slices((features, labels)).batch(_BATCH_SIZE, drop_remainder=True)
        return dataset.cache().repeat().prefetch(4)

    rows = hw.input_pipelines.from_arrays(
        features, labels, batch_size=_BATCH_SIZE, shuffle=True, num_epochs=None, seed=1
    )
    found: dict[str, float] = {}
    for name, source in (("pipeline", rows), ("tf_data", batches)):
        model = hw.DNNClassifier(
            hidden_units=[32],
            feature_columns=columns,
            model_dir=tempfile.mkdtemp(),
            config=hw.RunConfig(save_checkpoints_steps=10**6, progress="none"),
        )
        marks: list[tuple[int, float]] = []
        hook = hw.estimators.every_n_steps(
            arguments.steps // 6, lambda run, marks=marks: marks.append((run.step, time.perf_counter()))
        )
        model.train(source, steps=arguments.steps, hooks=[hook])
        (first, began), (last, ended) = marks[1], marks[-1]
        found[f"ms_{name}"] = 1000.0 * (ended - began) / (last - first)
    _measure.report(found)


if __name__ == "__main__":
    main()
