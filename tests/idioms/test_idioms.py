"""Each idiom of TensorFlow 1 shows in both runtimes what tf.estimator 2.15 shows (golden/idioms/make_idioms.py)."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import pathlib
import sys
import types
from typing import Any

import pytest

from headway import estimators

_ROOT = pathlib.Path(__file__).parents[2]
_FOLDER = _ROOT / "tests" / "golden" / "idioms"
GOLDEN = json.loads((_FOLDER / "idioms.json").read_text("utf-8"))


# What tf.estimator never wrote, and headway does in compiled functions: case -> tags.
ADDED_EVENTS = {"summaries of TensorFlow 2": ["error", "y"]}


# What a session would not have run is left out, and told; nothing else is.
LEFT_OUT = {
    "ExponentialMovingAverage that nobody runs",
    "UPDATE_OPS forgotten",
    "UPDATE_OPS of one scope",
    "gradients accumulated by hand",
    "steps by hand",
    "target network of an op that nobody runs",
    "team: counters, moving loss and patience in variables",
    "train_op not among two",
    "updates beside the train_op",
}


def _load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


program = _load("idiom_program")
for _name in ("idiom_model", "variable_cases", "step_cases", "update_cases", "team_cases", "run_cases"):
    _load(_name)
cases = _load("cases")


def _different(ours: Any, golden: Any, path: str = "") -> list[str]:
    """Returns where the two differ by more than 1e-6 of their size."""
    if isinstance(golden, dict) and isinstance(ours, dict):
        found = [f"{path}/{key}: only in one" for key in ours.keys() ^ golden.keys()]
        return found + [
            line for key in ours.keys() & golden.keys() for line in _different(ours[key], golden[key], f"{path}/{key}")
        ]
    if isinstance(golden, list) and isinstance(ours, list) and len(golden) == len(ours):
        pairs = enumerate(zip(ours, golden, strict=True))
        return [line for i, (one, other) in pairs for line in _different(one, other, f"{path}[{i}]")]
    if isinstance(golden, float) and isinstance(ours, (int, float)):
        same = math.isclose(ours, golden, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(ours) and math.isnan(golden))
        return [] if same else [f"{path}: {ours}, tf.estimator {golden}"]
    return [] if ours == golden else [f"{path}: {ours}, tf.estimator {golden}"]


def _left_out(log: pytest.LogCaptureFixture) -> bool:
    return any("do not run in training" in record.getMessage() for record in log.records)


def _switched(log: pytest.LogCaptureFixture) -> bool:
    return any("graph runtime" in record.getMessage() for record in log.records)


@pytest.mark.parametrize("name", sorted(cases.CASES))
def test_as_it_comes(name: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    case = cases.CASES[name]
    caplog.set_level(logging.INFO, "headway")
    ours = program.run(estimators, case, str(tmp_path), progress="none")
    for tag in ADDED_EVENTS.get(name, ()):
        assert ours["events"].pop(tag)
    assert not _different(ours, GOLDEN[name])
    assert _switched(caplog) == case.needs_graph
    assert _left_out(caplog) == (name in LEFT_OUT)


@pytest.mark.parametrize("name", sorted(name for name, case in cases.CASES.items() if not case.needs_graph))
def test_in_the_graph_runtime(name: str, tmp_path: pathlib.Path) -> None:
    ours = program.run(estimators, cases.CASES[name], str(tmp_path), progress="none", runtime="graph")
    assert not _different(ours, GOLDEN[name])


def test_golden_values_and_documentation_have_each_case() -> None:
    text = (_ROOT / "docs" / "tf1_idioms.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    told = {row[0].strip("`"): row[1] for row in rows if row[1] in ("function", "graph")}
    assert GOLDEN.keys() == cases.CASES.keys()
    assert told == {name: "graph" if case.needs_graph else "function" for name, case in cases.CASES.items()}
