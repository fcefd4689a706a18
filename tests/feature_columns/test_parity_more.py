"""Vocabulary files, weights, shared embeddings and sequences give what tf.estimator gave: golden values in more.npz.

What comes of columns of headway is compared, and what comes of the columns of tf.feature_column itself.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.feature_columns import _checks, _raw_batch
from tests.feature_columns import golden
from tests.feature_columns.golden import specs


def read_cases() -> list[dict[str, Any]]:
    with np.load(golden.FOLDER / "more.npz") as file:
        numbers, text = file["numbers"], json.loads(file["text"].tobytes())
    refused = set(text["refused"])
    golden.load("random_columns")
    made = golden.load("random_cases").cases()
    cases = [case for place, case in enumerate(made) if place not in refused]
    start = 0
    for case, shapes, names in zip(cases, text["shapes"], text["names"], strict=True):
        case["names"], case["expected"] = names, []
        for shape in shapes:
            stop = start + int(np.prod(shape))
            case["expected"].append(numbers[start:stop].reshape(shape))
            start = stop
    assert start == len(numbers)
    return cases


CASES = read_cases()


def foreign_columns(case: dict[str, Any]) -> Any:
    """The columns of tf.feature_column, which makes shared embeddings in a graph only."""
    with tf.Graph().as_default():
        return specs.columns(tf.feature_column, case["columns"])


def close(found: tf.Tensor, expected: np.ndarray[Any, Any]) -> None:
    # Terms may cancel in float32: the tolerance is relative to the largest output.
    tolerance = 1e-6 * max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=tolerance)


def check_ids(case: dict[str, Any], columns: Any) -> None:
    (column,) = _checks.check_columns(columns)
    assert column.name == case["names"][0]
    found = _raw_batch.RawBatch(specs.tensors(case["features"])).ids(column)  # type: ignore[arg-type]
    rows, weights = found.ragged(), found.ragged_weights()
    assert rows.nrows() == case["rows"]
    # The order of ids within a row is that of tf.feature_column, as that of their weights.
    np.testing.assert_array_equal([rows.value_rowids(), rows.flat_values], case["expected"][0])
    assert (weights is None) == (len(case["expected"]) == 1)
    if weights is not None:
        np.testing.assert_array_equal(weights.flat_values, case["expected"][1])


def check_dense(case: dict[str, Any], columns: Any) -> None:
    variables = golden.Variables()
    close(fc.dense_tensor(columns, specs.tensors(case["features"]), variables), case["expected"][0])
    assert sorted(variables.names) == sorted(case["names"])


def check_linear(case: dict[str, Any], columns: Any) -> None:
    variables, features = golden.Variables(), specs.tensors(case["features"])
    logits = fc.linear_logits(columns, features, case["units"], variables, case["sparse_combiner"])
    close(logits, case["expected"][0])
    assert sorted(variables.names) == sorted(case["names"])


def check_sequence(case: dict[str, Any], columns: Any) -> None:
    variables = golden.Variables()
    tensor, lengths = fc.sequence_tensor(columns, specs.tensors(case["features"]), variables)
    if case["rows"]:
        close(tensor, case["expected"][0])
    else:
        # Of sequences of numbers without rows tf.feature_column makes one step.
        assert (tensor.shape[0], tensor.shape[2]) == (0, case["expected"][0].shape[2])
    np.testing.assert_array_equal(lengths, case["expected"][1])
    assert sorted(variables.names) == sorted(case["names"])


CHECKS = {"ids": check_ids, "dense": check_dense, "linear": check_linear, "sequence": check_sequence}
PARTS = [
    pytest.param(kind, part, id=f"{kind}-{part[0]['number']}") for kind in CHECKS for part in golden.chunks(CASES, kind)
]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 1200
    assert {case["rows"] for case in CASES} == {0, 1, 5}


@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_columns_of_headway(kind: str, part: list[dict[str, Any]]) -> None:
    assert golden.failures(part, lambda case: CHECKS[kind](case, specs.columns(fc, case["columns"]))) == ""


@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_columns_of_tensorflow(kind: str, part: list[dict[str, Any]]) -> None:
    # Each fifth: that equal columns come out is seen from their type and fields, which do not depend on the batch.
    assert golden.failures(part[::5], lambda case: CHECKS[kind](case, foreign_columns(case))) == ""
