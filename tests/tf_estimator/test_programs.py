"""Programs of the classic kind find out what they found out on tf.estimator: tests/golden/tf_estimator/programs.py."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from headway import tf_estimator
from headway.tf_estimator import v1

RESULTS = json.loads((pathlib.Path(__file__).parents[1] / "golden/tf_estimator/programs.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "runtime"),
    [*((name, "function") for name in RESULTS), ("custom_model_fn", "graph"), ("tpu_estimator", "graph")],
)
# What the programs make their columns and rows with is TensorFlow's.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_program_finds_the_same(
    name: str, runtime: str, golden_module: Callable[[str], Any], tmp_path: pathlib.Path
) -> None:
    program = golden_module("tf_estimator/programs.py").PROGRAMS[name]
    found, expected = (
        json.loads(json.dumps(program(tf_estimator, v1, str(tmp_path), runtime=runtime))),
        dict(RESULTS[name]),
    )
    assert found.keys() == expected.keys()
    assert found.pop("metrics") == pytest.approx(expected.pop("metrics"), rel=1e-5, abs=1e-6)
    # The settings of Keras optimizers are written beside their slots.
    assert _without_settings(found.pop("names")) == _without_settings(expected.pop("names"))
    for key in ("probabilities", "logits", "predictions"):
        if key in expected:
            assert found.pop(key) == pytest.approx(expected.pop(key), rel=1e-5, abs=1e-6)
    assert found == expected


def _without_settings(names: list[str]) -> list[str]:
    return [name for name in names if not re.fullmatch(r"training/\w+/\w+", name)]
