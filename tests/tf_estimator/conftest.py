"""Files beside the golden values that the tests of headway.tf_estimator read as modules."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def _load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, GOLDEN / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden_module() -> Callable[[str], Any]:
    """Returns a function from a path below tests/golden to the module there."""
    return _load


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """The folder of the golden values of this folder's tests."""
    return GOLDEN / "tf_estimator"
