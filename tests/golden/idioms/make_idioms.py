"""Writes idioms.json: what tf.estimator 2.15 shows of the programs of cases.py.

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_idioms.py`.
"""

from __future__ import annotations

import json
import pathlib
import tempfile

import cases
import idiom_program
import tensorflow as tf


def _short(value):
    """Rounds to what single precision tells."""
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def main() -> None:
    """Runs all cases."""
    golden = {name: idiom_program.run(tf.estimator, case, tempfile.mkdtemp()) for name, case in cases.CASES.items()}
    path = pathlib.Path(__file__).with_name("idioms.json")
    lines = [
        f" {json.dumps(name)}: {json.dumps(_short(seen), sort_keys=True)}" for name, seen in sorted(golden.items())
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
