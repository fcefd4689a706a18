"""Each column under parameter servers: rows are made on a worker, variables lie on a server."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.feature_columns.test_properties import TABLE

_PROGRAM = pathlib.Path(__file__).with_name("parameter_servers_program.py")
_ROOT = _PROGRAM.parents[2]


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    """What went wrong in each row; the program has a process of its own, as joining a cluster changes its devices."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(_PROGRAM)], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("row", TABLE)
def test_parameter_servers(row: str, results: dict[str, str]) -> None:
    assert results[row] == ""
