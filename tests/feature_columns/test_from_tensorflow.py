"""Columns that tf.feature_column made are those that headway makes of the same arguments."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc
from headway.feature_columns import _checks


def halved(x: Any) -> Any:
    return x / 2.0


def words(make: Any) -> Any:
    return make.categorical_column_with_vocabulary_list("word", ["red", "green"])


def age(make: Any) -> Any:
    return make.bucketized_column(make.numeric_column("age", shape=2), [1.0, 18.0])


MAKERS: dict[str, Callable[[Any], Any]] = {
    "numeric": lambda make: make.numeric_column("x", shape=(2,), default_value=1.0, normalizer_fn=halved),
    "numeric of integers": lambda make: make.numeric_column("x", dtype=tf.int64),
    "bucketized": age,
    "vocabulary": words,
    "vocabulary with buckets": lambda make: make.categorical_column_with_vocabulary_list(
        "id", [3, 1], num_oov_buckets=2
    ),
    "hash": lambda make: make.categorical_column_with_hash_bucket("id", 10, tf.int64),
    "identity": lambda make: make.categorical_column_with_identity("id", 10, default_value=3),
    "crossed": lambda make: make.crossed_column([age(make), words(make), "place"], 10, hash_key=5),
    "weighted": lambda make: make.weighted_categorical_column(words(make), "share", dtype=tf.int64),
    "indicator": lambda make: make.indicator_column(words(make)),
    "embedding": lambda make: make.embedding_column(words(make), 4, "sum", max_norm=2.0, trainable=False),
    "embedding of zeros": lambda make: make.embedding_column(words(make), 4, initializer=tf.zeros),
    "embedding of a cross": lambda make: make.embedding_column(make.crossed_column([words(make), "place"], 10), 2),
    "sequence of identities": lambda make: make.sequence_categorical_column_with_identity("id", 10),
    "sequence of hashes": lambda make: make.sequence_categorical_column_with_hash_bucket("word", 10),
    "sequence of words": lambda make: make.indicator_column(
        make.sequence_categorical_column_with_vocabulary_list("word", ["red", "green"])
    ),
    "sequence of numbers": lambda make: make.sequence_numeric_column("x", shape=2, normalizer_fn=halved),
}


@pytest.mark.parametrize("name", MAKERS)
def test_equal_columns(name: str) -> None:
    theirs, ours = MAKERS[name](tf.feature_column), MAKERS[name](fc)
    assert _checks.check_columns(theirs) == [ours]
    assert fc.make_parse_example_spec([theirs]) == tf.feature_column.make_parse_example_spec([theirs])


@pytest.mark.parametrize("prefix", ["", "sequence_"])
def test_vocabulary_file(prefix: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("red\ngreen\n")
    for options in ({}, {"num_oov_buckets": 2}, {"default_value": 1, "vocabulary_size": 1}):
        theirs, ours = (
            getattr(make, f"{prefix}categorical_column_with_vocabulary_file")("word", str(path), **options)
            for make in (tf.feature_column, fc)
        )
        assert _checks.check_columns([theirs]) == [ours]


@pytest.mark.parametrize("name", ["shared_embeddings", "shared_embedding_columns"])
def test_shared_embeddings(name: str) -> None:
    module = tf.feature_column if name == "shared_embeddings" else tf.compat.v1.feature_column
    with tf.Graph().as_default():
        columns = [tf.feature_column.categorical_column_with_identity(key, 3) for key in "ab"]
        theirs = getattr(module, name)(columns, 2, combiner="sum", max_norm=1.0)
    ours = getattr(fc, name)(columns, 2, combiner="sum", max_norm=1.0)
    assert _checks.check_columns(theirs) == ours


def test_our_functions_take_their_columns() -> None:
    make = tf.feature_column
    assert fc.embedding_column(words(make), 2) == fc.embedding_column(words(fc), 2)
    assert fc.indicator_column(words(make)) == fc.indicator_column(words(fc))
    assert fc.weighted_categorical_column(words(make), "w") == fc.weighted_categorical_column(words(fc), "w")
    assert fc.crossed_column([words(make), "x"], 5) == fc.crossed_column([words(fc), "x"], 5)
    assert fc.bucketized_column(make.numeric_column("x"), [1.0]) == fc.bucketized_column(fc.numeric_column("x"), [1.0])


def test_layers() -> None:
    column = tf.feature_column.indicator_column(words(tf.feature_column))
    assert fc.DenseFeatures(column)({"word": ["green"]}).numpy().tolist() == [[0.0, 1.0]]
    assert fc.LinearModel([words(tf.feature_column)])({"word": ["green"]}).shape == (1, 1)
    assert fc.ColumnTransform([column]).columns == (fc.indicator_column(words(fc)),)


def test_estimator(tmp_path: pathlib.Path) -> None:
    make = tf.feature_column
    model = hw.DNNLinearCombinedRegressor(
        linear_feature_columns=[words(make)],
        dnn_feature_columns=[make.embedding_column(words(make), 2), make.numeric_column("x")],
        dnn_hidden_units=[2],
        weight_column=make.numeric_column("w"),
        model_dir=str(tmp_path),
        config=hw.RunConfig(progress="none"),
    )
    features = {"word": ["red", "green"], "x": [1.0, 2.0], "w": [1.0, 2.0]}
    model.train(lambda: tf.data.Dataset.from_tensors((features, [[1.0], [2.0]])), steps=1)
    assert "linear/linear_model/word/weights" in model.get_variable_names()


class OwnColumn(NamedTuple):
    """A column class that a program derives from none of TensorFlow's."""

    name: str


def test_column_of_no_known_class() -> None:
    with pytest.raises(ValueError, match=re.escape("Items of feature_columns must be a FeatureColumn. Given (type")):
        fc.DenseFeatures([OwnColumn("x")])


def test_column_of_a_derived_class() -> None:
    class Derived(type(tf.feature_column.numeric_column("x"))):  # type: ignore[misc]
        """What it computes cannot be known from its fields."""

    column = Derived("x", (1,), None, tf.float32, None)
    with pytest.raises(ValueError, match=r"Derived \(not TensorFlow's\), which is none that tf\.feature_column makes"):
        fc.DenseFeatures([column])
