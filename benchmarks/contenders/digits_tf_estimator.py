"""MLP on digits: DNNClassifier of tf.estimator 2.15."""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from typing import Any

import _digits
import _measure


class TfEstimator:
    """The canned classifier over one numeric column."""

    def __init__(self, tf: Any, arguments: argparse.Namespace) -> None:
        self._tf = tf
        self._images, self._labels = _digits.load()
        tf.get_logger().setLevel(logging.ERROR)
        self._estimator = tf.estimator.DNNClassifier(
            _digits.HIDDEN_UNITS,
            [tf.feature_column.numeric_column("x", shape=(_digits.PIXELS,))],
            n_classes=_digits.CLASSES,
            optimizer=lambda: tf.keras.optimizers.legacy.Adam(_digits.RATE),
            model_dir=tempfile.mkdtemp(),
            config=tf.estimator.RunConfig(save_checkpoints_steps=10**6, tf_random_seed=arguments.seed),
        )

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""

        class Clock(self._tf.estimator.SessionRunHook):  # type: ignore[name-defined]
            steps = 0

            def after_run(self, run_context: Any, run_values: Any) -> None:
                self.steps += 1
                if self.steps == 1 or self.steps % 500 == 0:
                    noted(self.steps)

        source = lambda: _digits.batches(self._tf, {"x": self._images}, self._labels)  # noqa: E731
        self._estimator.train(source, steps=steps, hooks=[Clock()])

    def evaluate(self) -> dict[str, float]:
        """Returns the accuracy on the digits."""
        everything = {"x": self._images}, self._labels
        metrics = self._estimator.evaluate(lambda: self._tf.data.Dataset.from_tensor_slices(everything).batch(500))
        return {"accuracy": float(metrics["accuracy"])}

    def predict(self) -> None:
        """Does nothing: not measured on the digits."""


def main() -> None:
    arguments = _digits.parser(__doc__).parse_args()
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _digits.run(TfEstimator(tf, arguments), arguments, began)


if __name__ == "__main__":
    main()
