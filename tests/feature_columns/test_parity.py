"""Columns give what tf.feature_column and the canned estimators' linear model give: tests/golden/feature_columns."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.feature_columns import _raw_batch

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "feature_columns"
_spec = importlib.util.spec_from_file_location("specs", GOLDEN / "specs.py")
assert _spec is not None
assert _spec.loader is not None
specs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(specs)
CASES = json.loads((GOLDEN / "columns.json").read_text(encoding="utf-8"))["cases"]


# Cases are cheaper than tests.
CHUNK = 24


def chunks(kind: str) -> list[Any]:
    numbered = [(number, case) for number, case in enumerate(CASES) if case["kind"] == kind]
    parts = [numbered[start : start + CHUNK] for start in range(0, len(numbered), CHUNK)]
    return [pytest.param(part, id=f"{part[0][0]}-{part[-1][0]}") for part in parts]


def failures(part: list[Any], check: Callable[[dict[str, Any]], None]) -> str:
    """Runs `check` on each case and returns what went wrong, with the numbers of the cases."""
    wrong = []
    for number, case in part:
        try:
            check(case)
        except AssertionError as error:
            wrong.append(f"case {number}: {case['columns']}: {error}")
    return "\n".join(wrong)


def rows_of(ids: Any) -> list[list[int]]:
    rows: list[list[int]] = ids.ragged().to_list()
    return rows


def golden_variable(names: list[str]) -> Any:
    def variable(name: str, shape: tuple[int, ...], initializer: Any, dtype: Any, trainable: bool) -> tf.Variable:
        names.append(name)
        return tf.Variable(specs.weights(name, shape), dtype=dtype)

    return variable


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 500


def check_ids(case: dict[str, Any]) -> None:
    column = specs.build(fc, case["columns"][0])
    assert column.name == case["name"]
    rows = rows_of(_raw_batch.RawBatch(specs.tensors(case["features"])).ids(column))
    # The order within a row has no meaning, and the ops differ in it.
    assert [sorted(row) for row in rows] == [sorted(row) for row in case["expected"]]
    assert all(0 <= item < column.num_buckets for row in rows for item in row)


def check_dense(case: dict[str, Any]) -> None:
    columns = specs.build(fc, case["columns"])
    result = fc.dense_tensor(columns, specs.tensors(case["features"]), golden_variable([]))
    np.testing.assert_allclose(result.numpy(), case["expected"], rtol=1e-6, atol=1e-6)


def check_linear(case: dict[str, Any]) -> None:
    names: list[str] = []
    columns, features = specs.build(fc, case["columns"]), specs.tensors(case["features"])
    result = fc.linear_logits(columns, features, case["units"], golden_variable(names), case["sparse_combiner"])
    # Terms may cancel in float32: the tolerance is relative to the largest output.
    tolerance = 1e-6 * max(1.0, np.abs(case["expected"]).max())
    np.testing.assert_allclose(result.numpy(), case["expected"], rtol=1e-6, atol=tolerance)
    assert names == case["variables"]


@pytest.mark.parametrize("part", chunks("ids"))
def test_ids(part: list[Any]) -> None:
    assert failures(part, check_ids) == ""


@pytest.mark.parametrize("part", chunks("dense"))
def test_dense_tensor(part: list[Any]) -> None:
    assert failures(part, check_dense) == ""


@pytest.mark.parametrize("part", chunks("linear"))
def test_linear_logits(part: list[Any]) -> None:
    assert failures(part, check_linear) == ""
