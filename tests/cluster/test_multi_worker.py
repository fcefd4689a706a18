"""Two worker processes give the results of one process."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
from typing import Any

import pytest

_PROGRAM = pathlib.Path(__file__).with_name("worker_program.py")
_SECONDS = 240


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _start(
    model_dir: pathlib.Path, tf_config: dict[str, Any] | None, program: pathlib.Path = _PROGRAM
) -> subprocess.Popen[str]:
    root = str(_PROGRAM.parents[2])
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": root}
    environment.pop("TF_CONFIG", None)
    if tf_config is not None:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    command = [sys.executable, str(program), str(model_dir)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _results(processes: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    try:
        outputs = [process.communicate(timeout=_SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    lines = [[line for line in output.splitlines() if line.startswith("RESULT ")] for output in outputs]
    assert all(lines), "\n".join(outputs)
    return [json.loads(line[0].removeprefix("RESULT ")) for line in lines]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]], pathlib.Path]:
    folder = tmp_path_factory.mktemp("cluster")
    [alone] = _results([_start(folder / "alone", None)])
    workers = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    configs = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}} for i in range(2)]
    together = _results([_start(folder / "together", config) for config in configs])
    return alone, together, folder


def test_weights_are_those_of_one_process(runs: Any) -> None:
    alone, together, _ = runs
    for worker in together:
        for name, value in alone["values"].items():
            assert worker["values"][name] == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_metrics_are_those_of_one_process(runs: Any) -> None:
    alone, together, _ = runs
    for worker in together:
        assert worker["metrics"].keys() == alone["metrics"].keys()
        # The mean over batches depends on the batches, and each worker makes its own.
        different = {"loss"}
        for name in alone["metrics"].keys() - different:
            assert worker["metrics"][name] == pytest.approx(alone["metrics"][name], rel=1e-5, abs=1e-6), name
    assert together[0]["metrics"]["loss"] == pytest.approx(together[1]["metrics"]["loss"], rel=1e-6)


def test_predictions_are_those_of_one_process(runs: Any) -> None:
    alone, together, _ = runs
    assert len(alone["predictions"]) == 5
    # Each worker predicts its own share of the rows; together they are all.
    shares = [worker["predictions"] for worker in together]
    assert sorted(shares[0] + shares[1]) == pytest.approx(sorted(alone["predictions"]), rel=1e-5)


def test_only_the_chief_writes_checkpoints_and_events(runs: Any) -> None:
    _, _, folder = runs
    names = {path.name for path in (folder / "together").iterdir()}
    assert {f"model.ckpt-{step}.index" for step in (0, 5, 10, 12)} <= names
    assert len([name for name in names if name.startswith("events.")]) == 1
    # Each worker saves its own place in the input.
    assert {"model.ckpt-12.input.json", "model.ckpt-12.worker-1.input.json"} <= names


def test_the_roles_of_a_cluster(tmp_path: pathlib.Path) -> None:
    program = _PROGRAM.with_name("roles_program.py")
    chief, worker = (f"127.0.0.1:{port}" for port in _free_ports(2))
    cluster = {"chief": [chief], "worker": [worker]}
    tasks = [{"type": kind, "index": 0} for kind in ("chief", "worker", "evaluator")]
    processes = [_start(tmp_path / "model", {"cluster": cluster, "task": task}, program) for task in tasks]
    results = _results(processes)
    # Only the chief wants to stop, after step 9; the worker stops with it, and the evaluator with the last checkpoint.
    assert [result["step"] for result in results] == [9, 9, 9]
    assert results[2]["evaluated"][-1] == 9
    assert results[2]["exported"] == results[2]["evaluated"]
    assert [result["returned"] for result in results] == [None, None, None]
