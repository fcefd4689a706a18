"""Census wide & deep: headway's DNNLinearCombinedClassifier, fed row by row or by input_pipelines."""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from typing import Any

import _census
import _measure


class Headway:
    """The canned estimator with the classic columns."""

    def __init__(self, tf: Any, train: _census.Table, test: _census.Table, arguments: argparse.Namespace) -> None:
        import keras

        import headway as hw

        self._tf, self._hw, self._train, self._test = tf, hw, train, test
        self._source = self._rows if arguments.input == "rows" else self._pipeline
        self._steps_before = 0
        wide, deep = _census.columns(hw.feature_columns, train)
        self._estimator = hw.DNNLinearCombinedClassifier(
            linear_feature_columns=wide,
            linear_optimizer=keras.optimizers.Ftrl(_census.FTRL_RATE),
            dnn_feature_columns=deep,
            dnn_hidden_units=_census.HIDDEN_UNITS,
            dnn_optimizer=keras.optimizers.Adagrad(arguments.dnn_rate),
            model_dir=tempfile.mkdtemp(),
            config=hw.RunConfig(save_checkpoints_steps=10**6, tf_random_seed=arguments.seed, progress="none"),
        )

    def _rows(self, part: str) -> Any:
        table = self._train if part == "train" else self._test
        return lambda: _census.row_by_row(self._tf, table, labels=part != "predict", train=part == "train")

    @functools.cache  # noqa: B019 - a pipeline is made in the call that first needs it, and given again after that
    def _pipeline(self, part: str) -> Any:
        make, size = self._hw.input_pipelines.from_arrays, _census.BATCH_SIZE
        if part == "train":
            return make(*self._train.both, batch_size=size, shuffle=True, num_epochs=None, seed=1)
        return make(self._test.features, self._test.labels if part == "evaluate" else None, batch_size=size)

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""
        before = self._steps_before
        hook = self._hw.estimators.every_n_steps(200, lambda run: noted(run.step - before))
        self._estimator.train(self._source("train"), steps=steps, hooks=[hook])
        self._steps_before += steps

    def evaluate(self) -> dict[str, float]:
        """Returns the metrics on the test rows."""
        metrics = self._estimator.evaluate(self._source("evaluate"))
        return {name: float(metrics[name]) for name in ("auc", "average_loss")}

    def predict(self) -> None:
        """Makes predictions for the test rows."""
        for _ in self._estimator.predict(self._source("predict")):
            pass


def main() -> None:
    parser = _census.parser(__doc__)
    parser.add_argument("--input", choices=["rows", "pipeline"], default="pipeline", help="what feeds the model")
    arguments = parser.parse_args()
    train, test = _census.load(arguments.census)
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _census.run(Headway(tf, train, test, arguments), arguments, began)


if __name__ == "__main__":
    main()
