"""Programs that disable eager execution, each in a process of its own."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("old_program.py")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("what", ["behavior", "eager"])
def test_an_old_program_runs(what: str, tmp_path: pathlib.Path) -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), what, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    found = json.loads(line.removeprefix("FOUND "))
    assert found["before"] == ([False] * 6 if what == "behavior" else [False] + [True] * 5)
    assert found["rounds"] == 8
    for name in ("custom", "canned", "keras"):
        seen = found[name]
        assert (seen["step"], seen["rows"], seen["exported"]) == (6, 12, True), name
        # What headway switches on for its own models is off again.
        assert seen["state"] == found["before"], name
        assert 0 < seen["loss"] < 2, name
        assert seen["graph"] == (name == "custom"), name
    slots = ["layer/w", "layer/w/Adam", "layer/w/Adam_1"]
    assert found["custom"]["names"] == ["beta1_power", "beta2_power", "global_step", *slots]
    assert "dnn/hiddenlayer_0/kernel" in found["canned"]["names"]
