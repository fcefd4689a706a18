"""What is read from serialised examples: that of tf.estimator 2.15, whose output for these columns is written out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc

COLUMNS = [
    fc.numeric_column("a", shape=(2,)),
    fc.crossed_column(["b", "c"], 5),
    fc.weighted_categorical_column(fc.categorical_column_with_identity("d", 3), "w"),
    fc.sequence_numeric_column("s", dtype=tf.int64),
    fc.indicator_column(fc.sequence_categorical_column_with_hash_bucket("h", 3)),
]
FEATURES = {
    "a": tf.io.FixedLenFeature((2,), tf.float32),
    "b": tf.io.VarLenFeature(tf.string),
    "c": tf.io.VarLenFeature(tf.string),
    "d": tf.io.VarLenFeature(tf.int64),
    "w": tf.io.VarLenFeature(tf.float32),
    "s": tf.io.VarLenFeature(tf.int64),
    "h": tf.io.VarLenFeature(tf.string),
}


def test_columns() -> None:
    assert fc.make_parse_example_spec(COLUMNS) == FEATURES


def test_classifier() -> None:
    spec = hw.classifier_parse_example_spec(COLUMNS, "y")
    assert spec == {**FEATURES, "y": tf.io.FixedLenFeature((1,), tf.int64)}
    spec = hw.classifier_parse_example_spec(COLUMNS, "y", tf.string, label_default="no", weight_column="ww")
    label, weight = tf.io.FixedLenFeature((1,), tf.string, "no"), tf.io.FixedLenFeature((1,), tf.float32)
    assert spec == {**FEATURES, "y": label, "ww": weight}


def test_regressor() -> None:
    weight = fc.numeric_column("ww", default_value=1.0)
    spec = hw.regressor_parse_example_spec(COLUMNS, "y", label_dimension=3, weight_column=weight)
    expected = tf.io.FixedLenFeature((1,), tf.float32, (1.0,))
    assert spec == {**FEATURES, "y": tf.io.FixedLenFeature((3,), tf.float32), "ww": expected}
    spec = hw.regressor_parse_example_spec(COLUMNS, "y", label_dtype=tf.float64, label_default=0.5)
    assert spec == {**FEATURES, "y": tf.io.FixedLenFeature((1,), tf.float64, 0.5)}


def test_columns_of_tensorflow() -> None:
    weight = tf.feature_column.numeric_column("ww")
    spec = hw.classifier_parse_example_spec([tf.feature_column.numeric_column("a")], "y", weight_column=weight)
    assert sorted(spec) == ["a", "ww", "y"]


def test_an_example_is_parsed_and_used() -> None:
    spec = hw.regressor_parse_example_spec([*COLUMNS[2:3], *COLUMNS[4:]], "y")
    example = tf.train.Example()
    example.features.feature["d"].int64_list.value.extend([2, 0])
    example.features.feature["w"].float_list.value.extend([0.5, 4.0])
    example.features.feature["h"].bytes_list.value.extend([b"x", b"y", b"z"])
    example.features.feature["y"].float_list.value.append(7.0)
    parsed = tf.io.parse_example([example.SerializeToString()], spec)
    assert parsed["y"].numpy().tolist() == [[7.0]]
    assert fc.DenseFeatures(fc.indicator_column(COLUMNS[2]))(parsed).numpy().tolist() == [[4.0, 0.0, 0.5]]
    steps, lengths = fc.SequenceFeatures(COLUMNS[4])(parsed)
    assert steps.shape == (1, 3, 3)
    assert lengths.numpy().tolist() == [3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hw.classifier_parse_example_spec(COLUMNS, "a"), "label should not be used as feature. label_key: a"),
        (lambda: hw.regressor_parse_example_spec(COLUMNS, None), "label_key must be a string. Received: None"),  # type: ignore[arg-type]
        (
            lambda: hw.classifier_parse_example_spec(COLUMNS, "y", weight_column="a"),
            "weight_column should not be used as feature. weight_column: a",
        ),
        (
            lambda: hw.classifier_parse_example_spec(COLUMNS, "y", weight_column="y"),
            "weight_column should not be used as feature. weight_column: y",
        ),
        (
            lambda: hw.classifier_parse_example_spec(COLUMNS, "y", weight_column=COLUMNS[1]),
            "weight_column should be an instance of numeric_column, or the name of a feature. Given type: ",
        ),
    ],
)
def test_bad_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
