"""Runs each row of the table of columns under parameter servers: a coordinator here, a worker and a server beside it.

Prints a line of JSON: row -> "" or what went wrong. Usage: python parameter_servers_program.py
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from headway import feature_columns as fc
from tests.feature_columns.test_properties import TABLE, Variables, outputs, tensors

_TASK = "import sys, json, tensorflow as tf; tf.distribute.Server(json.loads(sys.argv[1]), sys.argv[2], 0).join()"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    addresses = {job: [f"localhost:{_free_port()}"] for job in ("worker", "ps")}
    tasks = [subprocess.Popen([sys.executable, "-c", _TASK, json.dumps(addresses), job]) for job in addresses]
    try:
        yield tf.distribute.cluster_resolver.SimpleClusterResolver(tf.train.ClusterSpec(addresses), rpc_layer="grpc")
    finally:
        for task in tasks:
            task.kill()


def _check(row: str, strategy: Any, coordinator: Any) -> None:
    _, make, features = TABLE[row]
    columns, raw = make(), tensors(features)
    expected = outputs(columns, raw, 2, Variables()).numpy()
    transform = fc.ColumnTransform(columns)
    with strategy.scope():
        variables = Variables()
        outputs(columns, raw, 2, variables)  # makes them, on the server

    def transformed() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(raw).map(transform)

    @tf.function
    def step(iterator: Any) -> tf.Tensor:
        return outputs(columns, next(iterator), 2, variables)

    batches = iter(coordinator.create_per_worker_dataset(transformed))
    found = coordinator.schedule(step, args=(batches,)).fetch()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    places = {variable.device for variable in variables.made.values()}
    assert all("/job:ps" in place for place in places), places


def main() -> None:
    found = {}
    with _cluster() as resolver:
        strategy = tf.distribute.ParameterServerStrategy(resolver)
        coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        for row in TABLE:
            try:
                _check(row, strategy, coordinator)
                found[row] = ""
            except Exception as error:
                found[row] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    # The coordinator's threads would wait for the tasks that are gone.
    os._exit(0)


if __name__ == "__main__":
    main()
