"""Columns give what tf.feature_column and the canned estimators' linear model give: tests/golden/feature_columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from headway import feature_columns as fc
from headway.feature_columns import _raw_batch
from tests.feature_columns import golden
from tests.feature_columns.golden import specs

CASES = json.loads((golden.FOLDER / "columns.json").read_text(encoding="utf-8"))["cases"]
for _number, _case in enumerate(CASES):
    _case["number"] = _number


def chunks(kind: str) -> list[Any]:
    return [pytest.param(part, id=f"{part[0]['number']}-{part[-1]['number']}") for part in golden.chunks(CASES, kind)]


def rows_of(ids: Any) -> list[list[int]]:
    rows: list[list[int]] = ids.ragged().to_list()
    return rows


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
    result = fc.dense_tensor(columns, specs.tensors(case["features"]), golden.Variables())
    np.testing.assert_allclose(result.numpy(), case["expected"], rtol=1e-6, atol=1e-6)


def check_linear(case: dict[str, Any]) -> None:
    variables = golden.Variables()
    columns, features = specs.build(fc, case["columns"]), specs.tensors(case["features"])
    result = fc.linear_logits(columns, features, case["units"], variables, case["sparse_combiner"])
    # Terms may cancel in float32: the tolerance is relative to the largest output.
    tolerance = 1e-6 * max(1.0, np.abs(case["expected"]).max())
    np.testing.assert_allclose(result.numpy(), case["expected"], rtol=1e-6, atol=tolerance)
    assert variables.names == case["variables"]


@pytest.mark.parametrize("part", chunks("ids"))
def test_ids(part: list[Any]) -> None:
    assert golden.failures(part, check_ids) == ""


@pytest.mark.parametrize("part", chunks("dense"))
def test_dense_tensor(part: list[Any]) -> None:
    assert golden.failures(part, check_dense) == ""


@pytest.mark.parametrize("part", chunks("linear"))
def test_linear_logits(part: list[Any]) -> None:
    assert golden.failures(part, check_linear) == ""
