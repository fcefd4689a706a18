"""A training program that a test kills and starts again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STEPS = 120


def train(model_dir: str, kind: str) -> None:
    """Trains up to step `STEPS`, from wherever the run before has come."""
    import keras
    import numpy as np
    import tensorflow as tf

    from headway import estimators, heads, input_pipelines

    tf.config.threading.set_intra_op_parallelism_threads(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)

    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        layers = keras.Sequential(
            [keras.layers.Dense(16, activation="relu"), keras.layers.Dropout(0.5), keras.layers.BatchNormalization()]
        )
        net = layers(features["x"], training=mode == "train")
        output = keras.layers.Dense(1)
        logits = output(net)
        return heads.BinaryClassHead().create_estimator_spec(
            features,
            mode,
            logits,
            labels,
            optimizer=keras.optimizers.Adam(0.01),
            trainable_variables=layers.trainable_variables + output.trainable_variables,
        )

    def shuffled_dataset() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(({"x": x}, y)).shuffle(50, seed=3).repeat().batch(16)

    def generator() -> tf.data.Dataset:
        def batches() -> Any:
            for i in range(10_000):
                at = (np.arange(16) + 16 * i) % len(y)
                yield {"x": x[at]}, y[at]

        signature = ({"x": tf.TensorSpec([16, 6])}, tf.TensorSpec([16], tf.int64))
        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    inputs: dict[str, Callable[..., Any]] = {
        "dataset": shuffled_dataset,
        "generator": generator,
        "memory": input_pipelines.from_arrays({"x": x}, y, batch_size=16, shuffle=True, num_epochs=None),
    }
    config = estimators.RunConfig(
        model_dir=model_dir, tf_random_seed=1, save_checkpoints_steps=7, keep_checkpoint_max=3, progress="none"
    )
    estimators.Estimator(model_fn, config=config).train(inputs[kind], max_steps=STEPS)
