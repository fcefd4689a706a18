"""Each idiom of TensorFlow 1 shows in both runtimes what tf.estimator 2.15 shows (golden/idioms/make_idioms.py)."""

from __future__ import annotations

import importlib.util
import json
import math
import pathlib
import sys
import types
from typing import Any

_HERE = pathlib.Path(__file__).parent
GOLDEN = json.loads((_HERE.parent / "golden" / "idioms" / "idioms.json").read_text("utf-8"))


def _load(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, _HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


program = _load("idiom_program")
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
