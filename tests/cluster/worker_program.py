"""One worker of a small cluster: trains, evaluates, predicts, and prints what it sees as a line of JSON.

Without `TF_CONFIG` the same program runs alone, on batches that are as large as those of both workers together.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

ROWS, BATCH = 203, 8


def main(model_dir: str) -> None:
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if "TF_CONFIG" in os.environ else None
    from headway import estimators, heads, input_pipelines

    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype(np.float32)
    y = (x @ np.array([1.0, -2.0, 3.0, 0.0], np.float32) > 0).astype(np.int64)

    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        weights = tf.Variable(lambda: tf.zeros([4, 1]), name="w")
        bias = tf.Variable(lambda: tf.zeros([1]), name="b")
        logits = features["x"] @ weights + bias
        return heads.BinaryClassHead().create_estimator_spec(
            features, mode, logits, labels, optimizer=keras.optimizers.Adam(0.05), trainable_variables=[weights, bias]
        )

    def training(input_context: Any) -> tf.data.Dataset:
        # Batch i of the whole goes in halves to the workers: both runs then see the same rows in each step.
        halves = 1 if strategy is None else 2
        data = tf.data.Dataset.from_tensor_slices(({"x": x}, y)).batch(2 * BATCH // halves, drop_remainder=True)
        return data.shard(halves, input_context.input_pipeline_id)

    config = estimators.RunConfig(
        model_dir=model_dir, tf_random_seed=1, save_checkpoints_steps=5, train_distribute=strategy, progress="none"
    )
    estimator = estimators.Estimator(model_fn, config=config)
    estimator.train(training, steps=12)
    rows = input_pipelines.from_arrays({"x": x}, y, batch_size=30)
    metrics = {name: float(value) for name, value in estimator.evaluate(rows).items()}
    predictions = [float(row["logistic"][0]) for row in estimator.predict(input_pipelines.from_arrays({"x": x[:5]}))]
    values = {name: np.ravel(estimator.get_variable_value(name)).tolist() for name in ("w", "b")}
    sys.stdout.write("RESULT " + json.dumps({"metrics": metrics, "values": values, "predictions": predictions}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
