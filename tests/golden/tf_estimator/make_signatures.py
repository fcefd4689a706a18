"""Writes signatures.json: every public name of tf.estimator 2.15 and of tf.compat.v1.estimator, with its parameters.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_signatures.py`.
"""

import json
import pathlib

import signatures
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
MODULES = {"tf.estimator": tf.estimator, "tf.compat.v1.estimator": tf.compat.v1.estimator}


def lines(description):
    """Returns the description as JSON with one line for each name."""
    inner = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(description.items()))
    return f"{{\n{inner}\n}}"


if __name__ == "__main__":
    parts = [f"{json.dumps(name)}: {lines(signatures.described(module))}" for name, module in MODULES.items()]
    (HERE / "signatures.json").write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
