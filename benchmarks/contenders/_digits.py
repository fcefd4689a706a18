"""Scikit-learn's digits and the settings of the small network, the same for all contenders."""

from __future__ import annotations

import argparse
from typing import Any

import _measure
import numpy as np
import numpy.typing as npt

BATCH_SIZE = 64
HIDDEN_UNITS = [128, 64]
CLASSES = 10
PIXELS = 64
RATE = 0.001
STEPS_PER_CALL = 500


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments that all contenders on the digits take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000, help="training steps, a multiple of 500")
    parser.add_argument("--seed", type=int, default=1, help="where the weights start")
    return parser


def load() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Returns the images, `[1797, 64]` in [0, 1], and their digits."""
    from sklearn.datasets import load_digits  # slow to import: only where the digits are used

    images, digits = load_digits(return_X_y=True)
    return (images / 16).astype("float32"), digits.astype("int64")


def batches(tf: Any, features: Any, labels: Any) -> Any:
    """Returns the training batches as a user writes them, without end."""
    dataset = tf.data.Dataset.from_tensor_slices((features, labels)).shuffle(2000).repeat()
    return dataset.batch(BATCH_SIZE, drop_remainder=True).prefetch(4)


def run(contender: _measure.Contender, arguments: argparse.Namespace, began: float) -> None:
    """Measures a contender's training rate and reports, with the accuracy on the same digits as a check."""
    figures = _measure.train(contender, arguments.steps, warm_up=500, began=began)
    _measure.report({**figures, **contender.evaluate()})
