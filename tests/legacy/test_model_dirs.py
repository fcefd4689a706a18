"""Model directories of custom model_fns of tf.estimator 2.15 go on here as there: tests/golden/model_dirs/custom."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import sys
from typing import Any

import pytest

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "model_dirs"
pytestmark = pytest.mark.filterwarnings("ignore:.*will be removed in a future version", "ignore:.*is deprecated")


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_loaded("custom")
trying = _loaded("try_custom")
NAMES = sorted(path.parent.name for path in (GOLDEN / "custom").glob("*/results.json"))
CASES = [(name, "function") for name in NAMES]
CASES += [("averaged_restored", "graph"), ("convolutions_momentum", "graph"), ("partitioned_adam", "graph")]


@pytest.mark.parametrize(("name", "runtime"), CASES)
def test_it_goes_on_as_in_tf_estimator(name: str, runtime: str) -> None:
    folder = GOLDEN / "custom" / name
    expected = json.loads((folder / "results.json").read_text("utf-8"))
    # Metrics, predictions, signatures of exports with their numbers, and all variables after ten more steps.
    differing = trying.differences(trying.results(name, folder, runtime), expected)
    assert len(differing) > 20
    assert {key: value for key, value in differing.items() if not value <= 1e-5} == {}
