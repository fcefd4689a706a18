"""Writes estimators.json: what tf.estimator 2.15 shows when it runs programs.py.

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_estimators.py`.
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile

import programs
import tensorflow as tf


def main() -> None:
    """Runs all programs, and all mistakes."""
    golden = {"programs": {}, "errors": {}}
    for name, program in programs.PROGRAMS.items():
        golden["programs"][name] = program(tf.estimator, os.path.join(tempfile.mkdtemp(), "model"))
    for name, (act, phrase) in programs.ERRORS.items():
        try:
            act(tf.estimator, os.path.join(tempfile.mkdtemp(), "model"))
        except Exception as error:
            golden["errors"][name] = {"type": type(error).__name__, "has_phrase": phrase in str(error)}
        else:
            golden["errors"][name] = {"type": None, "has_phrase": False}
    path = pathlib.Path(__file__).with_name("estimators.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
