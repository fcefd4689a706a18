"""Writes graph.json: what tf.estimator 2.15 shows when it runs programs.py.

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_graph.py`.
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import types

import programs
import tensorflow as tf

API = types.SimpleNamespace(
    **{name: getattr(tf.estimator, name) for name in dir(tf.estimator) if not name.startswith("_")},
    **{name: getattr(tf.estimator.export, name) for name in dir(tf.estimator.export) if not name.startswith("_")},
)


def main() -> None:
    """Runs all programs."""
    golden = {
        name: program(API, os.path.join(tempfile.mkdtemp(), "model")) for name, program in programs.PROGRAMS.items()
    }
    path = pathlib.Path(__file__).with_name("graph.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
