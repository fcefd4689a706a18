"""The same programs on headway and on tf.estimator 2.15 (golden/estimators/make_estimators.py) show the same."""

from __future__ import annotations

import importlib.util
import json
import math
import pathlib
import types
from typing import Any

import pytest
import tensorflow as tf

from headway import estimators

_FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "estimators"
GOLDEN = json.loads((_FOLDER / "estimators.json").read_text("utf-8"))


def _load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


programs = _load("programs")

# What headway shows instead, and why.
DIFFERENT: dict[str, Any] = {
    # A step whose train_op counts nothing is counted by headway: Keras 3 optimizers know nothing of the global step.
    "step_not_counted": [0, 2],
}


def _same(ours: Any, golden: Any) -> bool:
    if isinstance(golden, dict):
        return (
            isinstance(ours, dict) and ours.keys() == golden.keys() and all(_same(ours[k], golden[k]) for k in golden)
        )
    if isinstance(golden, list):
        return isinstance(ours, (list, tuple)) and len(ours) == len(golden) and all(map(_same, ours, golden))
    if isinstance(golden, float):
        return math.isclose(ours, golden, rel_tol=1e-5, abs_tol=1e-6)
    return bool(ours == golden)


@pytest.mark.parametrize("name", sorted(programs.PROGRAMS))
def test_program(name: str, tmp_path: pathlib.Path) -> None:
    ours = programs.PROGRAMS[name](estimators, str(tmp_path / "model"))
    golden = DIFFERENT.get(name, GOLDEN["programs"][name])
    assert _same(ours, golden), f"headway: {ours}\ntf.estimator: {golden}"


def test_every_program_and_every_mistake_has_a_golden_value() -> None:
    assert GOLDEN["programs"].keys() == programs.PROGRAMS.keys()
    assert GOLDEN["errors"].keys() == programs.ERRORS.keys()


@pytest.mark.parametrize("name", sorted(programs.ERRORS))
def test_mistake(name: str, tmp_path: pathlib.Path) -> None:
    act, phrase = programs.ERRORS[name]
    golden = GOLDEN["errors"][name]
    assert golden["has_phrase"], "tf.estimator says something else"
    with pytest.raises({"ValueError": ValueError, "TypeError": TypeError}[golden["type"]]) as caught:
        act(estimators, str(tmp_path / "model"))
    assert phrase in str(caught.value)
    assert not isinstance(caught.value, tf.errors.OpError)
