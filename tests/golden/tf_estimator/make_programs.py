"""Writes programs.json: what the programs of programs.py find out on tf.estimator 2.15.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_programs.py`.
"""

import json
import pathlib
import tempfile

import programs
import tensorflow as tf

HERE = pathlib.Path(__file__).parent

if __name__ == "__main__":
    modules = (tf.estimator, tf.compat.v1.estimator)
    results = {name: program(*modules, tempfile.mkdtemp()) for name, program in programs.PROGRAMS.items()}
    (HERE / "programs.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
