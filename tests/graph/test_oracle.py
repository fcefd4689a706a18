"""Programs that need a session show the same on headway as on tf.estimator 2.15."""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import math
import pathlib
import types
from typing import Any

import pytest

import headway
from headway import estimators

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
_NAMES = {name: getattr(headway, name) for name in headway.__all__}
AUTO = types.SimpleNamespace(**_NAMES)
GRAPH = types.SimpleNamespace(**{**_NAMES, "RunConfig": functools.partial(estimators.RunConfig, runtime="graph")})


def _load(folder: str, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", _GOLDEN / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _golden(folder: str) -> Any:
    return json.loads((_GOLDEN / folder / f"{folder}.json").read_text("utf-8"))


programs, golden = _load("graph", "programs"), _golden("graph")
common, common_golden = _load("estimators", "programs"), _golden("estimators")["programs"]


def _difference(ours: Any, golden: Any, where: str = "") -> str | None:
    """Returns where the first difference is, or None."""
    if isinstance(golden, dict) and isinstance(ours, dict):
        if ours.keys() != golden.keys():
            return f"{where}: {sorted(ours)} instead of {sorted(golden)}"
        found = (_difference(ours[key], golden[key], f"{where}/{key}") for key in golden)
        return next(filter(None, found), None)
    if isinstance(golden, list) and isinstance(ours, (list, tuple)):
        if len(ours) != len(golden):
            return f"{where}: {ours} instead of {golden}"
        found = (_difference(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(ours, golden, strict=True)))
        return next(filter(None, found), None)
    if isinstance(golden, float) and isinstance(ours, (int, float)):
        return None if math.isclose(ours, golden, rel_tol=1e-5, abs_tol=2e-6) else f"{where}: {ours} not {golden}"
    return None if ours == golden else f"{where}: {ours!r} instead of {golden!r}"


# Programs of which compiled functions can do all or some calls.
IN_FUNCTIONS = {"forms", "from_checkpoint", "iterators", "summaries", "updates"}


@pytest.mark.parametrize("name", sorted(programs.PROGRAMS))
def test_a_program_of_sessions_needs_no_setting(
    name: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "headway"):
        ours = programs.PROGRAMS[name](AUTO, str(tmp_path / "model"))
    assert _difference(ours, golden[name]) is None
    assert name in IN_FUNCTIONS or "The model runs in the graph runtime" in caplog.text


@pytest.mark.parametrize("name", sorted(IN_FUNCTIONS))
def test_a_program_of_functions_shows_the_same_in_a_session(name: str, tmp_path: pathlib.Path) -> None:
    ours = programs.PROGRAMS[name](GRAPH, str(tmp_path / "model"))
    assert _difference(ours, golden[name]) is None


# Of the programs of tests/golden/estimators, those that show what only a session could do otherwise.
COMMON = [
    "cadence",
    "eval_hook_order",
    "evaluation",
    "evaluation_empty",
    "evaluation_of_older",
    "hook_order",
    "listener_order",
    "listener_stops",
    "prediction_forms",
    "step_not_counted",
    "steps_and_max_steps",
    "summary_steps",
]


@pytest.mark.parametrize("name", COMMON)
def test_a_program_that_needs_no_session_shows_the_same_in_one(name: str, tmp_path: pathlib.Path) -> None:
    ours = common.PROGRAMS[name](GRAPH, str(tmp_path / "model"))
    assert _difference(ours, common_golden[name]) is None


def test_every_program_has_a_golden_value() -> None:
    assert golden.keys() == programs.PROGRAMS.keys()
