"""Reads what describes the golden cases, which lies beside them, and gathers the failures of many cases in one test."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import tensorflow as tf

FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "feature_columns"
# Cases are cheaper than tests.
CHUNK = 24


def load(name: str) -> ModuleType:
    """Imports a module of the folder, under its bare name: what stands there imports its neighbours so."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


specs = load("specs")


def chunks(cases: list[dict[str, Any]], kind: str) -> list[list[dict[str, Any]]]:
    """Returns the cases of one kind in lists."""
    chosen = [case for case in cases if case["kind"] == kind]
    return [chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK)]


def failures(part: list[dict[str, Any]], check: Callable[[dict[str, Any]], None]) -> str:
    """Runs `check` on each case and returns what went wrong, with the numbers of the cases."""
    wrong = []
    for case in part:
        try:
            check(case)
        except Exception as error:
            wrong.append(f"case {case['number']}: {case['columns']}: {type(error).__name__} {error}")
    return "\n".join(wrong)


class Variables:
    """Makes variables with the golden values, once per name, and notes their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, shape: tuple[int, ...], initializer: Any, dtype: Any, trainable: bool) -> tf.Variable:
        self.names.append(name)
        return tf.Variable(specs.weights(name, shape), dtype=dtype)
