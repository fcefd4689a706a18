"""Census wide & deep: DNNLinearCombinedClassifier of tf.estimator 2.15, fed row by row."""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from typing import Any

import _census
import _measure


class TfEstimator:
    """The canned estimator with the classic columns."""

    def __init__(self, tf: Any, train: _census.Table, test: _census.Table, arguments: argparse.Namespace) -> None:
        self._tf, self._train, self._test = tf, train, test
        tf.get_logger().setLevel(logging.ERROR)
        wide, deep = _census.columns(tf.feature_column, train)
        self._estimator = tf.estimator.DNNLinearCombinedClassifier(
            linear_feature_columns=wide,
            linear_optimizer=lambda: tf.keras.optimizers.legacy.Ftrl(_census.FTRL_RATE),
            dnn_feature_columns=deep,
            dnn_hidden_units=_census.HIDDEN_UNITS,
            dnn_optimizer=lambda: tf.keras.optimizers.legacy.Adagrad(arguments.dnn_rate),
            model_dir=tempfile.mkdtemp(),
            config=tf.estimator.RunConfig(save_checkpoints_steps=10**6, tf_random_seed=arguments.seed),
        )

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""

        class Clock(self._tf.estimator.SessionRunHook):  # type: ignore[name-defined]
            steps = 0

            def after_run(self, run_context: Any, run_values: Any) -> None:
                self.steps += 1
                if self.steps == 1 or self.steps % 100 == 0:
                    noted(self.steps)

        source = lambda: _census.row_by_row(self._tf, self._train, train=True)  # noqa: E731
        self._estimator.train(source, steps=steps, hooks=[Clock()])

    def evaluate(self) -> dict[str, float]:
        """Returns the metrics on the test rows."""
        metrics = self._estimator.evaluate(lambda: _census.row_by_row(self._tf, self._test))
        return {name: float(metrics[name]) for name in ("auc", "average_loss")}

    def predict(self) -> None:
        """Makes predictions for the test rows."""
        for _ in self._estimator.predict(lambda: _census.row_by_row(self._tf, self._test, labels=False)):
            pass


def main() -> None:
    arguments = _census.parser(__doc__).parse_args()
    train, test = _census.load(arguments.census)
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _census.run(TfEstimator(tf, train, test, arguments), arguments, began)


if __name__ == "__main__":
    main()
