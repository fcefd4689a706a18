"""An old program with a strategy: eager execution is disabled at its top. Run by test_replicas.py."""

from __future__ import annotations

import importlib.util
import json
import logging
import pathlib
import sys
import types

import tensorflow.compat.v1 as tf

if __name__ == "__main__":
    if sys.argv[1] == "behavior":
        tf.disable_v2_behavior()
    else:
        tf.disable_eager_execution()

import tensorflow

import headway
from headway import _tensorflow_v1

PROGRAMS = pathlib.Path(__file__).parents[1] / "golden" / "replicas" / "programs.py"


def main(folder: str) -> None:
    """Trains, evaluates and predicts, and prints what it has seen."""
    logging.basicConfig(level=logging.INFO)
    spec = importlib.util.spec_from_file_location("replicas_programs", PROGRAMS)
    programs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(programs)
    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    tensorflow.config.set_logical_device_configuration(cpu, [tensorflow.config.LogicalDeviceConfiguration()] * 2)
    strategy = tensorflow.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    api = types.SimpleNamespace(
        Estimator=headway.Estimator,
        EstimatorSpec=headway.EstimatorSpec,
        RunConfig=headway.RunConfig,
        layers=_tensorflow_v1.keras_2_of_v1("layers"),
    )
    found = programs.PROGRAMS["momentum"](api, folder, strategy)
    sys.stdout.write("FOUND " + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[2])
