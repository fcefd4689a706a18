"""One embedding column: tf.estimator's DNNClassifier."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import _embeddings


def main() -> None:
    arguments = _embeddings.parser(__doc__).parse_args()
    import tensorflow as tf

    class Noting(tf.compat.v1.train.SessionRunHook):
        """Says how many steps are done."""

        def __init__(self, noted: Callable[[int], None]) -> None:
            self._noted, self._steps = noted, 0

        def after_run(self, run_context: Any, run_values: Any) -> None:
            """See the base class."""
            self._steps += 1
            self._noted(self._steps)

    def train(buckets: int, steps: int, noted: Callable[[int], None]) -> None:
        fc = tf.feature_column
        column = fc.embedding_column(fc.categorical_column_with_identity("id", buckets), _embeddings.DIMENSION)
        model = tf.estimator.DNNClassifier(
            hidden_units=[16],
            feature_columns=[column],
            optimizer=getattr(tf.keras.optimizers.legacy, arguments.optimizer)(0.01),
            model_dir=tempfile.mkdtemp(),
            config=tf.estimator.RunConfig(save_checkpoints_steps=None, save_checkpoints_secs=None),
        )

        def input_fn() -> Any:
            dataset = tf.data.Dataset.from_tensor_slices(_embeddings.rows(buckets))
            return dataset.batch(_embeddings.BATCH_SIZE).cache().repeat().prefetch(4)

        model.train(input_fn, steps=steps, hooks=[Noting(noted)])

    _embeddings.run(train, arguments)


if __name__ == "__main__":
    main()
