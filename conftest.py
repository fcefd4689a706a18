"""What holds for every test, docstring and page: devices, environment, and the state of Keras and TensorFlow."""

from __future__ import annotations

import os
import tempfile

# These are read when TensorFlow and Keras start, so they are set before the imports below.
# The same numbers on every machine: no GPU, and sums in one order whatever instructions a processor has. To look for
# faster kernels takes a tenth of the time of all tests, besides. The examples run with TensorFlow's own settings.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras_home_")  # not the settings of whoever runs the tests
os.environ.pop("TF_CONFIG", None)

import gc
from collections.abc import Iterator

import keras
import pytest
import tensorflow as tf

# The scripts that made the golden values run with another TensorFlow.
# Programs are run by their tests, each in a process of its own.
collect_ignore_glob = [
    "tests/golden/*",
    "tests/programs/[!t]*.py",
    "tests/programs/t[!e]*.py",
    "tests/programs/tex*.py",
]

# Tracing makes so many objects that Python would look for garbage all the time.
gc.set_threshold(100_000, 20, 50)

# Devices cannot be split once TensorFlow has used them. One CPU as two serves the tests of replicas.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def clean_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives each test the state of a fresh program: name counters, seeds, dtype policy, eager mode, no cluster."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    # Collecting garbage costs more than most tests.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)
    tf.config.run_functions_eagerly(False)
    assert tf.executing_eagerly(), "The test left eager execution disabled, or a graph entered."


@pytest.fixture(scope="session")
def mirrored() -> tf.distribute.MirroredStrategy:
    """A strategy with two replicas in step, on two logical CPUs."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
