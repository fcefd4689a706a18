"""Columns of strings as codes: the same ids as from the strings themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway._encoded import Encoded
from headway.input_pipelines import _memory

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


LIST = fc.categorical_column_with_vocabulary_list
AGE = fc.bucketized_column(fc.numeric_column("age"), [2.0, 4.0, 6.0])
HOURS = fc.bucketized_column(fc.numeric_column("hours"), [1.0, 5.0])
CROSSES = [
    fc.crossed_column(["word", "other"], 1000),
    fc.crossed_column(["other", "word"], 7, hash_key=5),
    fc.crossed_column([AGE, "word", "other"], 1000),
    fc.crossed_column(["word", HOURS, AGE], 1000),
    fc.crossed_column([LIST("word", ["a", "b"]), "other"], 1000),
    fc.crossed_column([LIST("word", ["a", "b"], default_value=1), LIST("other", ["x"]), HOURS], 1000),
    fc.crossed_column([LIST("word", ["a", "b"], num_oov_buckets=3), AGE], 1000),
    fc.crossed_column([fc.crossed_column(["word", "other"], 9), AGE], 1000),
    # Of these some part has not few values known beforehand.
    fc.crossed_column(["word", "number"], 1000),
    fc.crossed_column([fc.categorical_column_with_identity("number", 9), "word"], 1000),
    fc.crossed_column([AGE, HOURS], 1000),
    # These combine in too many ways.
    fc.crossed_column(["many", "other", AGE, "word"], 1000),
]
OTHERS = [
    *(LIST("word", ["a", "b", "cc"], **more) for more in ({}, {"default_value": 2}, {"num_oov_buckets": 2})),
    LIST("word", ["a", ""]),
    fc.categorical_column_with_hash_bucket("word", 50),
    fc.categorical_column_with_hash_bucket("pair", 50),
    LIST("pair", ["a", "b"]),
    fc.embedding_column(LIST("many", ["m1", "m2"]), 2),
    *(fc.numeric_column(name, normalizer_fn=lambda x: (x - 3.0) / 2.0) for name in ("age", "hours")),
    fc.numeric_column("scores", shape=(2,)),
]


def random_features(seed: int, rows: int) -> dict[str, Any]:
    """Returns features with missing values, words outside of vocabularies, and numbers that are none."""
    rng = np.random.default_rng(seed)
    return {
        "word": rng.choice(["a", "b", "cc", "", "unknown", "\u00e9"], rows),
        "other": rng.choice(["x", "y", ""], rows),
        "many": np.char.add("m", rng.integers(0, 300, rows).astype(str)),
        "pair": rng.choice(["a", "b", "", "unknown"], (rows, 2)),
        "age": rng.choice([-1.0, 1.0, 2.0, 5.0, 1e9, np.nan, np.inf, -np.inf], rows),
        "hours": rng.uniform(-1, 8, rows).astype(np.float32),
        "number": rng.integers(-1, 9, rows),
        "scores": rng.uniform(0, 1, (rows, 2)).astype(np.float32),
    }


def as_tensors(features: dict[str, Any], *, codes: bool) -> dict[str, Any]:
    return {
        key: encoded(values) if codes and values.dtype.kind == "U" else tf.constant(values)
        for key, values in features.items()
    }


def assert_equal_tables(first: Any, second: Any) -> None:
    assert [key.replace("+", "") for key in first] == [key.replace("+", "") for key in second]
    for one, other in zip(first.values(), second.values(), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("seed", range(8))
def test_columns_of_all_kinds_have_the_ids_of_the_strings(seed: int) -> None:
    features = random_features(seed, rows=(1, 7, 300, 1000)[seed % 4])
    transform = fc.ColumnTransform([*CROSSES, *OTHERS])
    plain = transform(as_tensors(features, codes=False))
    assert_equal_tables(plain, transform(as_tensors(features, codes=True)))
    assert_equal_tables(plain, tf.function(transform)(as_tensors(features, codes=True)))


@pytest.mark.parametrize("names", [["word"], ["word", "other"], ["word", "other", "many", "pair", "number", "scores"]])
def test_a_table_mapped_in_chunks_has_the_ids_of_the_strings(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "_CHUNK_ROWS", 700)
    features = random_features(20, rows=1500)
    features = {name: features[name] for name in [*names, "age", "hours"]}

    def can(column: Any) -> bool:
        return all(name in features for name in column.parse_example_spec)

    transform = fc.ColumnTransform([*filter(can, CROSSES), *filter(can, OTHERS)])
    seen = []

    class Watching:
        takes_encoded = True

        def __call__(self, batch: Any) -> Any:
            seen.append(batch["word"])
            return transform(batch)

    pipeline = input_pipelines.from_arrays(features, batch_size=1500, shuffle=False).map_batches(Watching())
    (made,) = pipeline.dataset()
    assert_equal_tables(made, transform(as_tensors(features, codes=False)))
    # Each column knows its own distinct values, how many others lie beside it.
    assert all(isinstance(word, Encoded) and word.values.shape == [6] for word in seen)


def test_combinations_are_hashed_where_there_are_few_of_them_and_rows_where_not() -> None:
    def hashed(column: Any, count: int) -> tuple[list[list[int]], bool]:
        """Returns the shapes that TensorFlow's operation crosses, and whether rows are hashed."""
        code = Encoded.Spec(codes=tf.TensorSpec([None], tf.int32), values=tf.TensorSpec([count], tf.string))
        specs = {"word": code, "other": code, "age": tf.TensorSpec([None], tf.float32)}
        graph = tf.function(fc.ColumnTransform([column])).get_concrete_function(specs).graph
        operations = graph.get_operations()
        crossed = [tensor.shape.as_list() for op in operations if op.type == "RaggedCross" for tensor in op.inputs]
        rows = [output for op in operations for output in op.outputs if output.dtype == tf.uint64]
        return crossed, any(output.shape.num_elements() is None for output in rows)

    cross = fc.crossed_column([AGE, "word", "other"], 1000)
    # Three limits make four intervals of age.
    assert hashed(cross, 40) == ([[1, 4], [1, 40], [1, 40]], False)
    assert hashed(cross, 100) == ([], True)
