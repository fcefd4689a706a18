"""MLP on digits: Keras 3 fit with 500 steps per execution, its best."""

from __future__ import annotations

import argparse
import time
from typing import Any

import _digits
import _measure


class KerasFit:
    """A Sequential model."""

    def __init__(self, tf: Any, arguments: argparse.Namespace) -> None:
        import keras

        self._tf, self._keras = tf, keras
        keras.utils.set_random_seed(arguments.seed)
        self._images, self._labels = _digits.load()
        dense = keras.layers.Dense
        hidden = [dense(units, activation="relu") for units in _digits.HIDDEN_UNITS]
        self._model = keras.Sequential([keras.Input((_digits.PIXELS,)), *hidden, dense(_digits.CLASSES)])
        self._model.compile(
            keras.optimizers.Adam(_digits.RATE),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=arguments.steps_per_execution,
            jit_compile=False,
        )

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""

        class Clock(self._keras.callbacks.Callback):  # type: ignore[name-defined]
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if (batch + 1) % _digits.STEPS_PER_CALL == 0 or batch == 0:
                    noted(batch + 1)

        rows = _digits.batches(self._tf, self._images, self._labels)
        self._model.fit(rows, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[Clock()])

    def evaluate(self) -> dict[str, float]:
        """Returns the accuracy on the digits."""
        guesses = self._model.predict(self._images, batch_size=500, verbose=0).argmax(1)
        return {"accuracy": float((guesses == self._labels).mean())}

    def predict(self) -> None:
        """Does nothing: not measured on the digits."""


def main() -> None:
    parser = _digits.parser(__doc__)
    parser.add_argument("--steps_per_execution", type=int, default=500, help="Keras's setting of this name")
    arguments = parser.parse_args()
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _digits.run(KerasFit(tf, arguments), arguments, began)


if __name__ == "__main__":
    main()
