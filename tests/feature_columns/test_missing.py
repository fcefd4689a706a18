"""What each column does with values that are missing: the table of docs/adapting_columns.md."""

from __future__ import annotations

import decimal
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines

NAN = float("nan")
NUMBER = fc.numeric_column("x")
WORD = fc.categorical_column_with_vocabulary_list("w", ["a", "b"])
CODE = fc.categorical_column_with_vocabulary_list("i", [4, 7])


def same(left: Any, right: Any) -> bool:
    return bool(np.array_equal(np.asarray(left, np.float64), np.asarray(right, np.float64), equal_nan=True))


# name -> (column, rows of the feature with one missing, what a model gets)
RULES: dict[str, tuple[Any, dict[str, Any], list[list[float]]]] = {
    "numeric": (NUMBER, {"x": [1.0, None]}, [[1.0], [NAN]]),
    "numeric integers": (NUMBER, {"x": [1, None]}, [[1.0], [NAN]]),
    "numeric booleans": (NUMBER, {"x": [True, None]}, [[1.0], [NAN]]),
    "numeric pandas": (NUMBER, {"x": pd.array([1, None], "Int64")}, [[1.0], [NAN]]),
    "scaled": (
        fc.adapt(fc.numeric_column("x", normalizer_fn=fc.learned_scale()), {"x": [1.0, 3.0]}),
        {"x": [3.0, None]},
        [[1.0], [0.0]],
    ),
    "bucketized": (fc.bucketized_column(NUMBER, [0.0, 5.0]), {"x": [1.0, None]}, [[0, 1, 0], [0, 0, 1]]),
    "vocabulary": (fc.indicator_column(WORD), {"w": ["b", None]}, [[0, 1], [0, 0]]),
    "vocabulary ''": (fc.indicator_column(WORD), {"w": ["b", ""]}, [[0, 1], [0, 0]]),
    "vocabulary NaN": (fc.indicator_column(WORD), {"w": np.array(["b", NAN], object)}, [[0, 1], [0, 0]]),
    "vocabulary pandas": (fc.indicator_column(WORD), {"w": pd.Series(["b", None])}, [[0, 1], [0, 0]]),
    "vocabulary lists": (fc.indicator_column(WORD), {"w": [["b", None], [None, None]]}, [[0, 1], [0, 0]]),
    "vocabulary of integers": (fc.indicator_column(CODE), {"i": [7, None]}, [[0, 1], [0, 0]]),
    "vocabulary -1": (fc.indicator_column(CODE), {"i": [7, -1]}, [[0, 1], [0, 0]]),
    "vocabulary float64": (fc.indicator_column(CODE), {"i": np.array([7.0, NAN])}, [[0, 1], [0, 0]]),
    "hash": (
        fc.indicator_column(fc.categorical_column_with_hash_bucket("w", 1)),
        {"w": ["b", None]},
        [[1], [0]],
    ),
    "identity": (
        fc.indicator_column(fc.categorical_column_with_identity("i", 2, default_value=0)),
        {"i": [1, None]},
        [[0, 1], [0, 0]],
    ),
    "crossed columns": (
        fc.indicator_column(fc.crossed_column([WORD, CODE], 1)),
        {"w": ["b", None, "b"], "i": [4, 4, None]},
        [[1], [0], [0]],
    ),
    "crossed names": (
        fc.indicator_column(fc.crossed_column(["w", "v"], 1)),
        {"w": ["b", None], "v": ["a", "a"]},
        [[1], [1]],
    ),
    "embedding": (
        fc.embedding_column(WORD, 2, initializer=keras.initializers.Ones()),
        {"w": ["b", None]},
        [[1, 1], [0, 0]],
    ),
    "text": (fc.indicator_column(fc.text_column("w", vocabulary=["a"])), {"w": ["a a", None]}, [[2], [0]]),
    "datetime": (fc.datetime_column("t", "hour"), {"t": ["1970-01-01", None]}, [[0, 1], [0, 0]]),
    "datetime64": (fc.datetime_column("t", "hour"), {"t": np.array(["1970-01-01", "NaT"], "M8[s]")}, [[0, 1], [0, 0]]),
    "layer": (fc.preprocessing_column(keras.layers.Rescaling(2.0), "x"), {"x": [1.0, None]}, [[2.0], [NAN]]),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    column, features, expected = RULES[rule]
    assert same(fc.DenseFeatures([column])(features), expected)


@pytest.mark.parametrize("rule", RULES)
def test_rule_behind_an_input_pipeline(rule: str) -> None:
    column, features, expected = RULES[rule]
    (batch,) = input_pipelines.from_arrays(features).dataset().map(fc.ColumnTransform([column]))
    assert same(fc.DenseFeatures([column])(batch), expected)


UNEXPECTED: dict[str, tuple[Any, Any, str]] = {
    "string among numbers": (
        NUMBER,
        [1.0, "two"],
        r"Feature 'x' .* mixes types: 1\.0 \(float\) in row 0, 'two' \(str\)",
    ),
    "number among strings": (
        WORD,
        ["a", None, 3],
        r"Feature 'w' .* mixes types: 'a' \(str\) in row 0, 3 \(int\) in row 2",
    ),
    "object": (NUMBER, [decimal.Decimal("1.5"), None], r"Feature 'x' .* holds Decimal\('1\.5'\) \(Decimal\) in row 0"),
    "dict": (WORD, [{"a": 1}], r"Feature 'w' cannot be converted to a tensor: .*\{'a': 1\} \(dict\) in row 0"),
    "lists of two lengths": (WORD, [["a"], ["a", "b"]], r"Feature 'w' .* ragged: row 0 holds 1 values, row 1 2 values"),
}


@pytest.mark.parametrize("case", UNEXPECTED)
def test_an_unexpected_value_is_named(case: str) -> None:
    column, values, message = UNEXPECTED[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fc.ColumnTransform([column])({column.key: values})


@pytest.mark.parametrize("compiled", [False, True])
def test_float64_for_a_categorical_column_must_be_whole(compiled: bool) -> None:
    transform: Any = fc.ColumnTransform([CODE])
    run = tf.function(transform) if compiled else transform
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)headway: Feature i of column i .* not whole.*4\.5"):
        run({"i": tf.constant([4.0, 4.5], tf.float64)})
