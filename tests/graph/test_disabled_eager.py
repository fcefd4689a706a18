"""Programs that disable eager execution, each in a process of its own."""

from __future__ import annotations

import pathlib

import pytest

from tests.graph.golden import found_by


@pytest.mark.parametrize("what", ["behavior", "eager"])
def test_an_old_program_runs(what: str, tmp_path: pathlib.Path) -> None:
    found, _ = found_by("old_program.py", what, str(tmp_path))
    assert found["before"] == ([False] * 6 if what == "behavior" else [False] + [True] * 5)
    assert found["rounds"] == 8
    for name in ("custom", "canned", "keras"):
        seen = found[name]
        assert (seen["step"], seen["rows"], seen["exported"]) == (6, 12, True), name
        # What headway switches on for its own models is off again.
        assert seen["state"] == found["before"], name
        assert 0 < seen["loss"] < 2, name
        assert seen["graph"] == (name == "custom"), name
    slots = ["layer/w", "layer/w/Adam", "layer/w/Adam_1"]
    assert found["custom"]["names"] == ["beta1_power", "beta2_power", "global_step", *slots]
    assert "dnn/hiddenlayer_0/kernel" in found["canned"]["names"]
