"""Programs that need a session show the same on headway as on tf.estimator 2.15."""

from __future__ import annotations

import functools
import logging
import pathlib
import types

import pytest

import headway
from headway import estimators
from tests.graph import golden as golden_values

_NAMES = {name: getattr(headway, name) for name in headway.__all__}
AUTO = types.SimpleNamespace(**_NAMES)
GRAPH = types.SimpleNamespace(**{**_NAMES, "RunConfig": functools.partial(estimators.RunConfig, runtime="graph")})

programs, golden = golden_values.load("graph", "programs"), golden_values.values("graph")
common, common_golden = golden_values.load("estimators", "programs"), golden_values.values("estimators")["programs"]

# Programs of which compiled functions can do all or some calls.
IN_FUNCTIONS = {"forms", "from_checkpoint", "iterators", "summaries", "updates"}


@pytest.mark.parametrize("name", sorted(programs.PROGRAMS))
def test_a_program_of_sessions_needs_no_setting(
    name: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "headway"):
        ours = programs.PROGRAMS[name](AUTO, str(tmp_path / "model"))
    assert golden_values.difference(ours, golden[name]) is None
    assert name in IN_FUNCTIONS or "The model runs in the graph runtime" in caplog.text


@pytest.mark.parametrize("name", sorted(IN_FUNCTIONS))
def test_a_program_of_functions_shows_the_same_in_a_session(name: str, tmp_path: pathlib.Path) -> None:
    ours = programs.PROGRAMS[name](GRAPH, str(tmp_path / "model"))
    assert golden_values.difference(ours, golden[name]) is None


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
    assert golden_values.difference(ours, common_golden[name]) is None


def test_every_program_has_a_golden_value() -> None:
    assert golden.keys() == programs.PROGRAMS.keys()
