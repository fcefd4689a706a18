"""MLP on digits: headway's Estimator with a model_fn of Keras layers, fed by tf.data or by input_pipelines."""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import _digits
import _measure


def model_fn(features: Any, labels: Any, mode: str) -> Any:
    """Two hidden layers, and a head for ten classes."""
    import keras

    from headway import heads

    sizes = [(units, "relu") for units in _digits.HIDDEN_UNITS] + [(_digits.CLASSES, None)]
    net = keras.Sequential([keras.layers.Dense(units, activation=activation) for units, activation in sizes])
    logits = net(features["x"], training=mode == "train")
    return heads.MultiClassHead(n_classes=_digits.CLASSES).create_estimator_spec(
        features,
        mode,
        logits,
        labels,
        optimizer=keras.optimizers.Adam(_digits.RATE),
        trainable_variables=net.trainable_variables,
    )


class Headway:
    """The estimator and its input."""

    def __init__(self, tf: Any, arguments: argparse.Namespace) -> None:
        import headway as hw

        self._tf, self._hw, self._input = tf, hw, arguments.input
        self._images, self._labels = _digits.load()
        self._estimator = hw.Estimator(
            model_fn,
            model_dir=tempfile.mkdtemp(),
            config=hw.RunConfig(save_checkpoints_steps=10**6, tf_random_seed=arguments.seed, progress="none"),
        )

    def _source(self) -> Any:
        features = {"x": self._images}
        if self._input == "rows":
            return lambda: _digits.batches(self._tf, features, self._labels)
        return self._hw.input_pipelines.from_arrays(
            features, self._labels, batch_size=_digits.BATCH_SIZE, shuffle=True, num_epochs=None, drop_remainder=True
        )

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""
        hook = self._hw.estimators.every_n_steps(_digits.STEPS_PER_CALL, lambda run: noted(run.step))
        self._estimator.train(self._source(), steps=steps, hooks=[hook])

    def evaluate(self) -> dict[str, float]:
        """Returns the accuracy on the digits."""
        rows = self._hw.input_pipelines.from_arrays({"x": self._images}, self._labels, batch_size=500)
        return {"accuracy": float(self._estimator.evaluate(rows)["accuracy"])}

    def predict(self) -> None:
        """Does nothing: not measured on the digits."""


def main() -> None:
    parser = _digits.parser(__doc__)
    parser.add_argument("--input", choices=["rows", "pipeline"], default="pipeline", help="what feeds the model")
    arguments = parser.parse_args()
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _digits.run(Headway(tf, arguments), arguments, began)


if __name__ == "__main__":
    main()
