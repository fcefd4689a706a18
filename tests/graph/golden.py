"""Golden programs and values of tf.estimator, and programs that run in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import types
from typing import Any

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
_ROOT = pathlib.Path(__file__).parents[2]


def load(folder: str, name: str) -> types.ModuleType:
    """Returns the module `name` of a folder of golden values."""
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", _GOLDEN / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values(folder: str) -> Any:
    """Returns the golden values of a folder."""
    return json.loads((_GOLDEN / folder / f"{folder}.json").read_text("utf-8"))


def difference(ours: Any, golden: Any, where: str = "") -> str | None:
    """Returns where the first difference is, or None."""
    if isinstance(golden, dict) and isinstance(ours, dict):
        if ours.keys() != golden.keys():
            return f"{where}: {sorted(ours)} instead of {sorted(golden)}"
        found = (difference(ours[key], golden[key], f"{where}/{key}") for key in golden)
        return next(filter(None, found), None)
    if isinstance(golden, list) and isinstance(ours, (list, tuple)):
        if len(ours) != len(golden):
            return f"{where}: {ours} instead of {golden}"
        found = (difference(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(ours, golden, strict=True)))
        return next(filter(None, found), None)
    if isinstance(golden, float) and isinstance(ours, (int, float)):
        return None if math.isclose(ours, golden, rel_tol=1e-5, abs_tol=2e-6) else f"{where}: {ours} not {golden}"
    return None if ours == golden else f"{where}: {ours!r} instead of {golden!r}"


def found_by(program: str, *arguments: str) -> tuple[Any, str]:
    """Runs a program of this folder; returns what it has found, and its log."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(pathlib.Path(__file__).with_name(program)), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    return json.loads(line.removeprefix("FOUND ")), done.stderr
