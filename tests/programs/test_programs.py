"""Programs written for tf.estimator run on headway as they are, and end with what tf.estimator ended with."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"programs_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare = _load("compare")

# Each group shares one import of TensorFlow; several of them spread over the cores.
GROUPS = [compare.PROGRAMS[first::4] for first in range(4)]


@pytest.mark.parametrize("programs", GROUPS, ids=lambda programs: "-".join(programs))
def test_programs_give_what_tf_estimator_gave(programs: list[str]) -> None:
    path = os.pathsep.join([str(FOLDER.parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, FOLDER / "run_forked.py", *programs],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    runs = {run["name"]: run for run in map(json.loads, done.stdout.splitlines())}
    assert list(runs) == programs
    wrong = {}
    for name, run in runs.items():
        if run["status"]:
            wrong[name] = run["log"]
        else:
            golden = json.loads((compare.GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
            found = compare.differences(golden, compare.result(run["output"]))
            wrong[name] = [f"{place} ({gap:.1e})" for place, gap in found if gap > compare.TOLERANCE]
    assert not any(wrong.values()), json.dumps(wrong, indent=1)


def test_every_program_has_a_golden_result() -> None:
    assert sorted(path.stem for path in compare.GOLDEN.glob("*.json")) == compare.PROGRAMS


def test_compare_finds_each_kind_of_difference() -> None:
    same = {"metrics": {"loss": 1.0, "step": 3}, "names": ["a", "b"]}
    near = {"metrics": {"loss": 1.0 + 1e-6, "step": 3}, "names": ["a", "b"]}
    assert compare.differences(same, same) == []
    assert [gap < compare.TOLERANCE for _, gap in compare.differences(same, near)] == [True]
    for other in (
        {"metrics": {"loss": 1.001, "step": 3}, "names": ["a", "b"]},
        {"metrics": {"loss": float("nan"), "step": 3}, "names": ["a", "b"]},
        {"metrics": {"loss": 1.0, "step": 4}, "names": ["a", "b"]},
        {"metrics": {"loss": 1.0, "step": 3}, "names": ["a"]},
        {"metrics": {"loss": 1.0, "step": 3}, "names": ["a", "c"]},
        {"metrics": {"loss": 1.0}, "names": ["a", "b"]},
    ):
        assert any(gap > compare.TOLERANCE for _, gap in compare.differences(same, other)), other
