"""Writes legacy.json: what tf.estimator 2.15 shows when it runs programs.py.

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_legacy.py`.
"""

from __future__ import annotations

import json
import pathlib

import programs
import tensorflow as tf


def main() -> None:
    """Runs all programs."""
    golden = {}
    for name, (program, *arguments) in programs.PROGRAMS.items():
        tf.keras.backend.clear_session()  # Keras counts the names of layers for the whole process
        golden[name] = program(*arguments)
    path = pathlib.Path(__file__).with_name("legacy.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
