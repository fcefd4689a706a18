"""The programs of tests/golden/export show the same on headway as on tf.estimator 2.15."""

from __future__ import annotations

import importlib.util
import json
import math
import pathlib
import sys
import types
from typing import Any

import pytest
import tensorflow as tf

import headway
from headway import feature_columns

_FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "export"
GOLDEN = json.loads((_FOLDER / "export.json").read_text("utf-8"))
API = types.SimpleNamespace(fc=feature_columns, **{name: getattr(headway, name) for name in headway.__all__})


def _load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


programs = _load("programs")
_kept = sys.modules.get("programs")
sys.modules["programs"] = programs  # loops imports it by this name
loops = _load("loops")
if _kept is None:
    del sys.modules["programs"]
else:
    sys.modules["programs"] = _kept


def _difference(ours: Any, golden: Any, where: str = "") -> str | None:
    """Returns where the first difference is, or None."""
    if isinstance(golden, dict) and isinstance(ours, dict):
        if ours.keys() != golden.keys():
            return f"{where}: {sorted(ours)} instead of {sorted(golden)}"
        found = (_difference(ours[key], golden[key], f"{where}/{key}") for key in golden)
        return next(filter(None, found), None)
    if isinstance(golden, list) and isinstance(ours, (list, tuple)) and len(ours) == len(golden):
        found = (_difference(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(ours, golden, strict=True)))
        return next(filter(None, found), None)
    if isinstance(golden, float) and isinstance(ours, float):
        return None if math.isclose(ours, golden, rel_tol=1e-6, abs_tol=1e-6) else f"{where}: {ours} not {golden}"
    if isinstance(golden, str) and golden.startswith("Placeholder") and isinstance(ours, str):
        return None  # a placeholder without a name of its own: headway names it after the feature
    return None if ours == golden else f"{where}: {ours!r} instead of {golden!r}"


@pytest.mark.parametrize("name", sorted(programs.PROGRAMS))
def test_program(name: str, tmp_path: pathlib.Path) -> None:
    ours = programs.PROGRAMS[name](API, str(tmp_path / "model"))
    assert _difference(json.loads(json.dumps(ours)), GOLDEN["programs"][name]) is None


@pytest.mark.parametrize("name", sorted(loops.LOOPS))
def test_loop(name: str, tmp_path: pathlib.Path) -> None:
    ours = loops.LOOPS[name](API, str(tmp_path / "model"))
    assert _difference(json.loads(json.dumps(ours)), GOLDEN["loops"][name]) is None


def test_every_program_and_every_mistake_has_a_golden_value() -> None:
    assert GOLDEN["programs"].keys() == programs.PROGRAMS.keys()
    assert GOLDEN["loops"].keys() == loops.LOOPS.keys()
    assert GOLDEN["errors"].keys() == loops.ERRORS.keys()


@pytest.mark.parametrize("name", sorted(loops.ERRORS))
def test_mistake(name: str, tmp_path: pathlib.Path) -> None:
    act, phrase = loops.ERRORS[name]
    golden = GOLDEN["errors"][name]
    assert golden["has_phrase"], "tf.estimator says something else"
    with pytest.raises({"ValueError": ValueError, "TypeError": TypeError}[golden["type"]]) as caught:
        act(API, str(tmp_path / "model"))
    assert phrase in str(caught.value)
    assert not isinstance(caught.value, tf.errors.OpError)
