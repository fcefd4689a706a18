"""Writes export.json: what tf.estimator 2.15 shows when it runs programs.py and loops.py.

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_export.py`.
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import types

import loops
import programs
import tensorflow as tf
from tensorflow_estimator.python.estimator import early_stopping


def main() -> None:
    """Runs all programs, and all mistakes."""
    parts = (tf.estimator, tf.estimator.export, tf.estimator.experimental)
    names = {name: getattr(part, name) for part in parts for name in dir(part) if not name.startswith("_")}
    names |= {"fc": tf.feature_column, "read_eval_metrics": early_stopping.read_eval_metrics}
    api = types.SimpleNamespace(**names)
    golden = {"programs": {}, "loops": {}, "errors": {}}
    for kind, table in (("programs", programs.PROGRAMS), ("loops", loops.LOOPS)):
        for name, program in table.items():
            golden[kind][name] = program(api, os.path.join(tempfile.mkdtemp(), "model"))
    for name, (act, phrase) in loops.ERRORS.items():
        try:
            act(api, os.path.join(tempfile.mkdtemp(), "model"))
        except Exception as error:
            golden["errors"][name] = {"type": type(error).__name__, "has_phrase": phrase in str(error)}
        else:
            golden["errors"][name] = {"type": None, "has_phrase": False}
    path = pathlib.Path(__file__).with_name("export.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
