"""Writes replicas.json: what tf.estimator 2.15 shows when it runs programs.py on two replicas.

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_replicas.py`.
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
    Estimator=tf.estimator.Estimator,
    EstimatorSpec=tf.estimator.EstimatorSpec,
    RunConfig=tf.estimator.RunConfig,
    layers=tf.compat.v1.layers,
)


def main() -> None:
    """Runs all programs."""
    # tf.estimator's replicas on CPUs work in the mode of TensorFlow 1 only.
    tf.compat.v1.disable_v2_behavior()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    golden = {
        name: program(API, os.path.join(tempfile.mkdtemp(), "model"), strategy)
        for name, program in programs.PROGRAMS.items()
    }
    path = pathlib.Path(__file__).with_name("replicas.json")
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
