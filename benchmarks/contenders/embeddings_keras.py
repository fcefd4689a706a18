"""One embedding column: a Keras 3 model and its `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _embeddings


def main() -> None:
    arguments = _embeddings.parser(__doc__).parse_args()
    import keras
    import tensorflow as tf

    def train(buckets: int, steps: int, noted: Callable[[int], None]) -> None:
        model = keras.Sequential(
            [
                keras.layers.Embedding(buckets, _embeddings.DIMENSION),
                keras.layers.Flatten(),
                keras.layers.Dense(16, "relu"),
                keras.layers.Dense(1),
            ]
        )
        model.compile(
            getattr(keras.optimizers, arguments.optimizer)(0.01),
            keras.losses.BinaryCrossentropy(from_logits=True),
            steps_per_execution=10,
            jit_compile=False,
        )
        features, labels = _embeddings.rows(buckets)
        dataset = tf.data.Dataset.from_tensor_slices((features["id"][:, None], labels))
        batches = dataset.batch(_embeddings.BATCH_SIZE, drop_remainder=True).cache().repeat().prefetch(4)

        class Noting(keras.callbacks.Callback):
            """Says how many steps are done."""

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                """See the base class."""
                noted(batch + 1)

        model.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[Noting()])

    _embeddings.run(train, arguments)


if __name__ == "__main__":
    main()
