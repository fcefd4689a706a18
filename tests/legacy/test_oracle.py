"""Old programs show what they showed with tf.estimator 2.15 (golden/legacy/make_legacy.py)."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re
import types
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "legacy"
GOLDEN = json.loads((_FOLDER / "legacy.json").read_text("utf-8"))
pytestmark = pytest.mark.filterwarnings("ignore:.*will be removed in a future version", "ignore:.*is deprecated")


def _load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("legacy_programs", _FOLDER / "programs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


programs = _load()


@pytest.fixture(params=sorted(programs.PROGRAMS))
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    program, *arguments = programs.PROGRAMS[request.param]
    return program(*arguments), GOLDEN[request.param]


# Settings of optimizers, which Keras 2 kept as variables; one of Keras 3 has its count of steps besides.
_SETTING = re.compile(r"(training/)?[A-Z]\w*/(beta|beta_[12]|decay|iter|learning_rate(_power)?|l[12]_\w+|momentum|rho)")


def _is_no_setting(name: str) -> bool:
    return _SETTING.fullmatch(name) is None


def test_program(pair: tuple[Any, Any]) -> None:
    _check(*pair)


@pytest.mark.parametrize("name", ["convolutions", "cells"])
def test_in_a_graph(name: str) -> None:
    _check(programs.network(name, tf.estimator.RunConfig(runtime="graph")), GOLDEN[f"network: {name}"])


@pytest.mark.parametrize("updates", ["first", "none"])
def test_towers_in_a_graph(updates: str) -> None:
    _check(programs.towers(updates, tf.estimator.RunConfig(runtime="graph")), GOLDEN[f"towers: {updates}"])


def _check(ours: Any, golden: Any) -> None:
    assert ours["metrics"] == pytest.approx(golden["metrics"], rel=2e-5, abs=1e-6)
    np.testing.assert_allclose(ours["predictions"], golden["predictions"], rtol=2e-5, atol=1e-6)
    assert set(filter(_is_no_setting, ours["variables"])) == set(filter(_is_no_setting, golden["variables"]))
    for name in filter(_is_no_setting, ours["variables"]):
        expected = golden["variables"][name]
        np.testing.assert_allclose(ours["variables"][name], expected, rtol=2e-5, atol=5e-6, err_msg=name)


def test_every_program_has_a_golden_value() -> None:
    assert GOLDEN.keys() == programs.PROGRAMS.keys()


@pytest.mark.parametrize("name", ["Adam", "SGD, momentum, decay"])
def test_a_model_of_keras_2_shows_the_same(name: str) -> None:
    _check(programs.from_keras_model(name, tf_keras), GOLDEN[f"keras model: {name}"])
