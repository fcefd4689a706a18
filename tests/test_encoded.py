"""Columns of strings as codes: the same ids as from the strings themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway._encoded import Encoded

RNG = np.random.default_rng(3)
ROWS = 60
WORDS = RNG.choice(["a", "b", "cc", "", "unknown"], ROWS)
PAIRS = RNG.choice(["a", "b", "", "unknown"], (ROWS, 2))
FEATURES = {"word": WORDS, "other": RNG.choice(["x", "y"], ROWS), "pair": PAIRS, "age": RNG.uniform(0, 9, ROWS)}
VOCABULARY = fc.categorical_column_with_vocabulary_list("word", ["a", "b", "cc"])
COLUMNS: dict[str, Any] = {
    "vocabulary": VOCABULARY,
    "vocabulary with buckets": fc.categorical_column_with_vocabulary_list("word", ["a", "b"], num_oov_buckets=3),
    "vocabulary with a default": fc.categorical_column_with_vocabulary_list("word", ["a", "b"], default_value=1),
    "hash": fc.categorical_column_with_hash_bucket("word", 7),
    "two values": fc.categorical_column_with_vocabulary_list("pair", ["a", "b"]),
    "two values, hashed": fc.categorical_column_with_hash_bucket("pair", 5),
    "cross of names": fc.crossed_column(["word", "other"], 11),
    "cross of columns": fc.crossed_column([VOCABULARY, fc.bucketized_column(fc.numeric_column("age"), [4.0])], 11),
    "cross of two values": fc.crossed_column(["pair", VOCABULARY], 11),
}


def encoded(strings: np.ndarray[Any, Any]) -> Encoded:
    values, codes = np.unique(strings, return_inverse=True)
    return Encoded(codes=tf.constant(codes.reshape(strings.shape), tf.int32), values=tf.constant(values))


def assert_same(first: Any, second: Any) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype
        # Ragged results compare as lists.
        to_list = "to_list" if isinstance(value, tf.RaggedTensor) else "tolist"
        lists = [getattr(part if to_list == "to_list" else part.numpy(), to_list)() for part in (value, second[name])]
        assert lists[0] == lists[1]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("rows", [ROWS, 0])
def test_ids_are_those_of_the_strings(name: str, rows: int) -> None:
    transform = fc.ColumnTransform([COLUMNS[name]], passthrough=["word"])
    plain = {key: tf.constant(values[:rows]) for key, values in FEATURES.items()}
    coded = {
        key: encoded(values[:rows]) if values.dtype.kind == "U" else plain[key] for key, values in FEATURES.items()
    }
    assert_same(transform(plain), transform(coded))
    assert_same(transform(plain), tf.function(transform)(coded))


def test_a_pipeline_gives_codes_where_values_repeat_and_strings_where_not() -> None:
    seen = []

    class Watching:
        takes_encoded = True

        def __call__(self, features: Any) -> Any:
            seen.append(isinstance(features["word"], Encoded))
            return fc.ColumnTransform([VOCABULARY])(features)

    for words in (WORDS, np.array([f"w{i}" for i in range(ROWS)])):
        pipeline = input_pipelines.from_arrays({"word": words}, batch_size=ROWS).map_batches(Watching())
        (ids,) = next(iter(pipeline.dataset())).values()
        position = {"a": 0, "b": 1, "cc": 2}
        assert ids.numpy().ravel().tolist() == [position.get(word, -1) for word in words]
    assert seen == [True, False]


def test_another_function_gets_strings() -> None:
    pipeline = input_pipelines.from_arrays({"word": WORDS}, batch_size=ROWS)
    lengths = pipeline.map_batches(lambda features: {"length": tf.strings.length(features["word"])})
    assert next(iter(lengths.dataset()))["length"].numpy().tolist() == [len(word) for word in WORDS]


def test_errors_are_those_of_strings() -> None:
    transform = fc.ColumnTransform([fc.numeric_column("word")])
    for features in ({"word": tf.constant(WORDS)}, {"word": encoded(WORDS)}):
        with pytest.raises(ValueError, match=r"numeric_column .word. needs numbers"):
            transform(features)
    with pytest.raises(ValueError, match="Batch size"):
        fc.ColumnTransform([VOCABULARY, fc.numeric_column("age")])({"word": encoded(WORDS), "age": tf.zeros([3])})
    with pytest.raises(ValueError, match="must have shape"):
        fc.ColumnTransform([VOCABULARY])({"word": encoded(WORDS.reshape(3, 4, 5))})
