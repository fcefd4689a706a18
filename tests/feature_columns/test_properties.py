"""What holds for every column: one result however and wherever its host part runs, and sparse gradients."""

from __future__ import annotations

import functools
import pathlib
import pickle
import re
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.feature_columns import _protocol

Made = dict[str, Any]

WORDS = ["red", "blue", "", "pink", "red", "green"]
NUMBERS = [0.5, -3.0, 18.0, float("nan"), 70.0, 2.0]
IDS = [0, 4, -1, 2, 2, 1]
NUMBERS_WITH_ZERO = [0.5, -3.0, float("nan"), 1.0, 0.0, 2.0]
COLORS = pathlib.Path(tempfile.mkdtemp(), "colors.txt")
COLORS.write_text("red\ngreen\nblue\n")
PAIRS = [[float(i), 2.0 * i] for i in range(6)]
TEXTS = ["A red hat.", "", "hat, hat -- HAT!", "?!", "no\u00ebl a", "a"]


def vocabulary(key: str = "word", **options: Any) -> Any:
    return fc.categorical_column_with_vocabulary_list(key, ["red", "green", "blue"], **options)


def vocabulary_learned(key: str) -> Any:
    return fc.categorical_column_with_vocabulary_list(key, fc.learned_vocabulary(max_size=3))


def buckets() -> Any:
    return fc.bucketized_column(fc.numeric_column("number"), [0.0, 18.0, 65.0])


def vocabulary_file(key: str = "word", **options: Any) -> Any:
    return fc.categorical_column_with_vocabulary_file(key, COLORS, **options)


def weighted(key: str) -> Any:
    return fc.weighted_categorical_column(vocabulary(key), f"{key}_weight")


def sequence_of_words(key: str) -> Any:
    return fc.sequence_categorical_column_with_vocabulary_list(key, ["red", "green", "blue"], num_oov_buckets=1)


def sparse_words() -> tf.SparseTensor:
    return tf.SparseTensor([[0, 0], [0, 2], [2, 1], [5, 0]], ["red", "pink", "blue", ""], [6, 3])


def ragged_words() -> tf.RaggedTensor:
    return tf.ragged.constant([["red", "pink"], [], ["blue"], ["blue", "blue", "red"], [], [""]])


def scaled(x: tf.Tensor) -> tf.Tensor:
    return (x - 3.0) * 2.0


def halved(x: Any) -> Any:
    return x / 2.0


def plus(k: float) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda x: x + k


# name -> (public constructor, makes the columns, features)
TABLE: dict[str, tuple[str, Callable[[], list[Any]], Made]] = {
    "numeric": ("numeric_column", lambda: [fc.numeric_column("number")], {"number": NUMBERS}),
    "numeric_of_integers": ("numeric_column", lambda: [fc.numeric_column("id")], {"id": IDS}),
    "numeric_normalized": (
        "numeric_column",
        lambda: [fc.numeric_column("number", normalizer_fn=scaled), fc.numeric_column("pair", shape=(2,))],
        {"number": NUMBERS, "pair": [[float(i), 2.0 * i] for i in range(6)]},
    ),
    "bucketized": ("bucketized_column", lambda: [buckets()], {"number": NUMBERS}),
    "bucketized_wide": (
        "bucketized_column",
        lambda: [fc.bucketized_column(fc.numeric_column("pair", shape=2), [2, 5])],
        {"pair": [[float(i), 2.0 * i] for i in range(6)]},
    ),
    "vocabulary": ("categorical_column_with_vocabulary_list", lambda: [vocabulary()], {"word": WORDS}),
    "vocabulary_oov": (
        "categorical_column_with_vocabulary_list",
        lambda: [vocabulary(num_oov_buckets=2)],
        {"word": [WORDS, WORDS, WORDS, WORDS, WORDS, WORDS]},
    ),
    "vocabulary_of_integers": (
        "categorical_column_with_vocabulary_list",
        lambda: [fc.categorical_column_with_vocabulary_list("id", [4, 1], default_value=1)],
        {"id": IDS},
    ),
    "vocabulary_sparse": ("categorical_column_with_vocabulary_list", lambda: [vocabulary()], {"word": sparse_words()}),
    "hash": (
        "categorical_column_with_hash_bucket",
        lambda: [fc.categorical_column_with_hash_bucket("word", 7)],
        {"word": WORDS},
    ),
    "hash_ragged": (
        "categorical_column_with_hash_bucket",
        lambda: [fc.categorical_column_with_hash_bucket("word", 7)],
        {"word": ragged_words()},
    ),
    "identity": (
        "categorical_column_with_identity",
        lambda: [fc.categorical_column_with_identity("id", 5)],
        {"id": IDS},
    ),
    "indicator": (
        "indicator_column",
        lambda: [fc.indicator_column(vocabulary()), fc.indicator_column(vocabulary("second"))],
        {"word": WORDS, "second": sparse_words()},
    ),
    "embedding": (
        "embedding_column",
        lambda: [
            fc.embedding_column(vocabulary(), 2, max_norm=0.5),
            fc.embedding_column(vocabulary("second"), 3, combiner="sqrtn"),
            fc.embedding_column(vocabulary("third"), 1),
        ],
        {"word": WORDS, "second": sparse_words(), "third": [WORDS[:3]] * 3 + [WORDS[3:]] * 3},
    ),
    "crossed": (
        "crossed_column",
        lambda: [fc.crossed_column([vocabulary(), buckets(), "id"], 100)],
        {"word": WORDS, "number": NUMBERS, "id": IDS},
    ),
    "crossed_multiple": (
        "crossed_column",
        lambda: [fc.crossed_column([vocabulary(), "second"], 100)],
        {"word": ragged_words(), "second": [WORDS[:2]] * 6},
    ),
    "vocabulary_file": (
        "categorical_column_with_vocabulary_file",
        lambda: [vocabulary_file(num_oov_buckets=1), fc.embedding_column(vocabulary_file("second"), 2)],
        {"word": WORDS, "second": sparse_words()},
    ),
    "weighted": (
        "weighted_categorical_column",
        lambda: [
            weighted("word"),
            fc.embedding_column(weighted("word"), 2),
            fc.indicator_column(weighted("second")),
            fc.embedding_column(weighted("second"), 2, combiner="sqrtn"),
        ],
        {
            "word": WORDS,
            "word_weight": NUMBERS_WITH_ZERO,
            "second": [WORDS[:3]] * 6,
            "second_weight": [[1.0, 0.0, 2.0]] * 6,
        },
    ),
    "weighted_ragged": (
        "weighted_categorical_column",
        lambda: [weighted("word"), fc.embedding_column(weighted("second"), 2)],
        {
            "word": ragged_words(),
            "word_weight": tf.ragged.map_flat_values(
                lambda x: tf.cast(tf.strings.length(x), tf.float32), ragged_words()
            ),
            "second": sparse_words(),
            "second_weight": tf.SparseTensor(sparse_words().indices, [0.0, -1.0, 2.0, 0.5], [6, 3]),
        },
    ),
    "shared": (
        "shared_embeddings",
        lambda: fc.shared_embeddings([vocabulary(), vocabulary("second")], 2),
        {"word": WORDS, "second": sparse_words()},
    ),
    "shared_of_tensorflow_1": (
        "shared_embedding_columns",
        lambda: fc.shared_embedding_columns([vocabulary(), vocabulary("second")], 2, combiner="sum"),
        {"word": WORDS, "second": ragged_words()},
    ),
    "sequence_identity": (
        "sequence_categorical_column_with_identity",
        lambda: [fc.embedding_column(fc.sequence_categorical_column_with_identity("id", 5), 2)],
        {"id": [IDS] * 6},
    ),
    "sequence_hash": (
        "sequence_categorical_column_with_hash_bucket",
        lambda: [fc.indicator_column(fc.sequence_categorical_column_with_hash_bucket("word", 7))],
        {"word": ragged_words()},
    ),
    "sequence_vocabulary": (
        "sequence_categorical_column_with_vocabulary_list",
        lambda: fc.shared_embeddings([sequence_of_words("word"), sequence_of_words("second")], 2),
        {"word": sparse_words(), "second": sparse_words()},
    ),
    "sequence_vocabulary_file": (
        "sequence_categorical_column_with_vocabulary_file",
        lambda: [fc.embedding_column(fc.sequence_categorical_column_with_vocabulary_file("word", COLORS), 3)],
        {"word": [[WORDS[:2], WORDS[2:4]]] * 6},
    ),
    "sequence_in_a_linear_model": (
        "sequence_categorical_column_with_vocabulary_list",
        lambda: [sequence_of_words("word"), sequence_of_words("second"), vocabulary("third")],
        {"word": ragged_words(), "second": sparse_words(), "third": WORDS},
    ),
    "sequence_numeric": (
        "sequence_numeric_column",
        lambda: [
            fc.sequence_numeric_column("load", default_value=-1.0),
            fc.sequence_numeric_column("pair", shape=2, normalizer_fn=halved),
        ],
        {
            "load": tf.SparseTensor([[0, 0], [0, 2], [2, 1], [5, 0]], [1.0, 2.0, 3.0, 4.0], [6, 3]),
            "pair": tf.ragged.constant([[1.0] * 6, [], [2.0] * 4, [], [], [3.0, 4.0]]),
        },
    ),
    "learned": (
        "numeric_column",
        lambda: fc.adapt(
            [
                fc.numeric_column("number", normalizer_fn=fc.learned_scale()),
                fc.bucketized_column(fc.numeric_column("pair", shape=2), fc.learned_quantiles(3)),
                fc.indicator_column(vocabulary_learned("word")),
                fc.embedding_column(vocabulary_learned("second"), 2),
            ],
            {"number": NUMBERS, "pair": PAIRS, "word": WORDS, "second": WORDS},
        ),
        {"number": NUMBERS, "pair": PAIRS, "word": WORDS, "second": ragged_words()},
    ),
    "text": (
        "text_column",
        lambda: [
            fc.indicator_column(fc.text_column("text", vocabulary=["a", "red", "hat"], num_oov_buckets=1)),
            fc.embedding_column(fc.text_column("second", hash_bucket_size=7, max_tokens=2), 2),
            fc.text_column("third", vocabulary=["hat", "a"]),
        ],
        {"text": TEXTS, "second": ragged_words(), "third": [[text, "A hat"] for text in TEXTS]},
    ),
    "sequence_text": (
        "sequence_text_column",
        lambda: [
            fc.indicator_column(fc.sequence_text_column("text", vocabulary=["a", "red", "hat"])),
            fc.embedding_column(fc.sequence_text_column("second", hash_bucket_size=7, max_tokens=9), 2),
        ],
        {"text": TEXTS, "second": TEXTS},
    ),
    "datetime": (
        "datetime_column",
        lambda: [
            fc.datetime_column("day", ["weekday", "day_of_month", "month"], format="%d.%m.%Y"),
            fc.datetime_column("seconds", ["hour", "day_of_year", "year", "epoch"], utc_offset_hours=-5),
        ],
        {
            "day": ["31.12.1999", "", "1.1.2000", "29.02.2024", "28.02.1900", "3.5.2011"],
            "seconds": np.array([0.0, 1.7e9, np.nan, -1.5, 86399.0, 951782400.0]),
        },
    ),
    "preprocessing": (
        "preprocessing_column",
        lambda: [
            fc.preprocessing_column(
                keras.layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0]), "pair", shape=[2]
            ),
            fc.indicator_column(fc.preprocessing_column(keras.layers.StringLookup(vocabulary=["red"]), "word")),
            fc.preprocessing_column(keras.layers.Hashing(num_bins=5), "word"),
            fc.preprocessing_column(
                keras.layers.TextVectorization(vocabulary=["hat", "a"], output_mode="count"), "text"
            ),
            fc.preprocessing_column(keras.layers.CategoryEncoding(num_tokens=5, output_mode="one_hot"), "known"),
        ],
        {"pair": PAIRS, "word": WORDS, "text": TEXTS, "known": [0.0, 1.0, 4.0, 2.0, 0.0, 3.0]},
    ),
}
EVERY = pytest.mark.parametrize("row", TABLE)


def named_function(column: Any) -> bool:
    function = getattr(column, "normalizer_fn", None)
    return function is None or "<" not in getattr(function, "__qualname__", "")


def value_of(shape: Any) -> np.ndarray[Any, Any]:
    return np.sin(np.arange(np.prod(shape)) + 1.0).reshape(shape).astype(np.float32)


class Variables:
    """Makes each variable once, by name."""

    def __init__(self) -> None:
        self.made: dict[str, tf.Variable] = {}
        self.trainable: dict[str, bool] = {}

    def __call__(
        self, name: str, shape: Any, initializer: Any, dtype: Any = tf.float32, trainable: bool = True
    ) -> tf.Variable:
        if name not in self.made:
            with tf.init_scope():
                self.made[name] = tf.Variable(value_of(shape), dtype=dtype)
            self.trainable[name] = trainable
        return self.made[name]


def outputs(columns: list[Any], features: Made, units: int, variables: Variables) -> tf.Tensor:
    """What a linear model makes of the columns, or of sequences `sequence_tensor`, with the lengths as last step."""
    if not isinstance(columns[0], _protocol.DenseColumn) or columns[0].sequence is None:
        return fc.linear_logits(columns, features, units, variables)
    steps, lengths = fc.sequence_tensor(columns, features, variables)
    return tf.concat([steps, tf.ones_like(steps[:, :1]) * tf.cast(lengths, tf.float32)[:, None, None]], 1)


def tensors(features: Made) -> Made:
    keep = (tf.SparseTensor, tf.RaggedTensor)
    return {key: value if isinstance(value, keep) else tf.constant(value) for key, value in features.items()}


def as_lists(transformed: Made) -> Made:
    return {
        key: value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
        for key, value in transformed.items()
    }


def assert_equal(left: Made, right: Made) -> None:
    # repr, because NaN differs from itself.
    assert {k: repr(v) for k, v in as_lists(left).items()} == {k: repr(v) for k, v in as_lists(right).items()}


@EVERY
def test_host_part_is_the_same_everywhere(row: str) -> None:
    _, make, features = TABLE[row]
    transform = fc.ColumnTransform(make())
    raw = tensors(features)
    eager = transform(raw)
    assert fc.is_transformed(eager)
    assert not fc.is_transformed(raw)
    assert all(value.shape[0] in (6, None) for value in eager.values())
    assert_equal(tf.function(transform)(raw), eager)
    assert_equal(transform(eager), eager)
    assert_equal(fc.ColumnTransform(make())(eager), eager)
    (mapped,) = tf.data.Dataset.from_tensors(raw).map(transform)
    assert_equal(mapped, eager)


@EVERY
def test_host_part_is_row_wise(row: str) -> None:
    _, make, features = TABLE[row]
    transform = fc.ColumnTransform(make())
    order = [5, 0, 3, 3]
    gathered = {key: tf.gather(value, order) for key, value in transform(tensors(features)).items()}
    rows = {}
    for key, value in tensors(features).items():
        if isinstance(value, tf.SparseTensor):
            rows[key] = tf.sparse.concat(0, [tf.sparse.slice(value, [i, 0], [1, value.shape[1]]) for i in order])
        else:
            rows[key] = tf.gather(value, order)
    assert_equal(transform(rows), gathered)


@EVERY
def test_empty_batch(row: str) -> None:
    _, make, features = TABLE[row]
    columns = make()
    empty = {
        key: tf.sparse.slice(value, [0, 0], [0, 3]) if isinstance(value, tf.SparseTensor) else value[:0]
        for key, value in tensors(features).items()
    }
    result = outputs(columns, empty, 2, Variables())
    assert result.shape[0] == 0
    assert result.shape.rank == 3 or result.shape == (0, 2)


@EVERY
def test_device_part_takes_raw_and_transformed_features(row: str) -> None:
    _, make, features = TABLE[row]
    columns = make()
    variables = Variables()
    raw = tensors(features)
    expected = outputs(columns, raw, 3, variables).numpy()
    assert len(expected) == 6
    assert np.nanmax(expected) > np.nanmin(expected)
    transformed = fc.ColumnTransform([*columns, fc.numeric_column("other")])({**raw, "other": [0.0] * 6})
    np.testing.assert_allclose(outputs(columns, transformed, 3, variables), expected, rtol=1e-6)
    compiled = tf.function(lambda x: outputs(columns, x, 3, variables))
    np.testing.assert_allclose(compiled(raw), expected, rtol=1e-6)
    np.testing.assert_allclose(compiled(transformed), expected, rtol=1e-6)


@EVERY
def test_two_replicas(row: str, mirrored: tf.distribute.MirroredStrategy) -> None:
    _, make, features = TABLE[row]
    columns, variables, raw = make(), Variables(), tensors(features)
    expected = outputs(columns, raw, 2, variables).numpy()
    run = tf.function(lambda: mirrored.run(lambda: outputs(columns, raw, 2, variables)))
    for result in mirrored.experimental_local_results(run()):
        np.testing.assert_allclose(result, expected, rtol=1e-6)


@EVERY
def test_written_and_read(row: str, tmp_path: pathlib.Path) -> None:
    _, make, _ = TABLE[row]
    columns = {"wide": make(), "deep": (make()[0],)}
    if any(not named_function(column) for column in columns["wide"]):
        with pytest.raises(ValueError, match="cannot be written to a file"):
            fc.save(columns, tmp_path / "columns.json")
        return
    fc.save(columns, tmp_path / "columns.json")
    assert fc.load(tmp_path / "columns.json") == columns


@EVERY
def test_described(row: str) -> None:
    _, make, _ = TABLE[row]
    columns = make()
    table = fc.describe(columns)
    assert [entry["column"] for entry in table] == [column.name for column in columns]
    assert all(entry["kind"] and entry["missing"] for entry in table)
    assert len(str(table).splitlines()) == 2 + len(columns)


@EVERY
def test_exported_model(row: str, tmp_path: pathlib.Path) -> None:
    _, make, features = TABLE[row]
    raw = tensors(features)
    module = tf.Module()
    module.transform = fc.ColumnTransform(make())
    keys = sorted(module.transform(raw))
    # Names of outputs must be identifiers; the order of the keys tells which is which.
    module.apply = tf.function(lambda x: {f"out{i}": module.transform(x)[key] for i, key in enumerate(keys)})
    expected = module.apply(raw)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert_equal(loaded.apply(raw), expected)


@EVERY
def test_columns_are_values(row: str) -> None:
    _, make, _ = TABLE[row]
    columns, again = make(), make()
    assert columns == again
    assert [hash(column) for column in columns] == [hash(column) for column in again]
    assert [column.digest for column in columns] == [column.digest for column in again]
    assert pickle.loads(pickle.dumps(columns)) == columns
    transform = pickle.loads(pickle.dumps(fc.ColumnTransform(columns, passthrough=["w"])))
    assert (list(transform.columns), transform.passthrough) == (columns, ("w",))


def test_every_public_constructor_has_a_row() -> None:
    constructors = {
        name for name in fc.__all__ if re.search("_columns?$|categorical_column_with_|shared_embeddings", name)
    }
    assert constructors == {constructor for constructor, _, _ in TABLE.values()}


def test_different_definitions_have_different_digests() -> None:
    columns = [
        *[column for _, make, _ in TABLE.values() for column in make()],
        fc.numeric_column("number", normalizer_fn=lambda x: x + 1.0),
        fc.numeric_column("number", normalizer_fn=lambda x: x + 2.0),
        *[fc.numeric_column("number", normalizer_fn=plus(k)) for k in (3.0, 4.0)],
        *[fc.numeric_column("number", normalizer_fn=functools.partial(tf.add, k)) for k in (5.0, 6.0)],
        *[fc.numeric_column("number", normalizer_fn=function) for function in (scaled, tf.square, np.square)],
        fc.categorical_column_with_hash_bucket("word", 8),
        fc.categorical_column_with_hash_bucket("id", 7, tf.int64),
    ]
    distinct = list(dict.fromkeys(columns))
    assert len({column.digest for column in distinct}) == len(distinct)


def test_a_definition_made_anew_has_the_same_digest() -> None:
    columns = [fc.numeric_column("number", normalizer_fn=plus(3.0)) for _ in range(2)]
    # Two functions, so the columns differ as values; but what is transformed for one serves the other.
    assert columns[0] != columns[1]
    assert columns[0].digest == columns[1].digest
    transformed = fc.ColumnTransform([columns[0]])({"number": [1.0]})
    assert fc.dense_tensor([columns[1]], transformed, Variables()).numpy().tolist() == [[4.0]]


def test_single_valued_columns_become_two_tensors_without_sparse_ops() -> None:
    word, number = vocabulary(), buckets()
    columns = [
        fc.numeric_column("number", normalizer_fn=scaled),
        fc.numeric_column("id"),
        fc.indicator_column(word),
        fc.embedding_column(fc.categorical_column_with_hash_bucket("word", 10), 2),
        fc.categorical_column_with_identity("id", 5),
        number,
        fc.crossed_column([word, number, "id"], 10),
    ]
    transform = fc.ColumnTransform(columns)
    raw = tensors({"number": NUMBERS, "word": WORDS, "id": IDS})
    concrete = tf.function(transform).get_concrete_function(raw)
    assert len(concrete.structured_outputs) == 2
    shapes = sorted((v.dtype.name, tuple(v.shape)) for v in concrete.structured_outputs.values())
    assert shapes == [("float32", (6, 2)), ("int64", (6, 5))]
    types = {operation.type for operation in concrete.graph.get_operations()}
    assert not [name for name in types if "Sparse" in name or "Ragged" in name or name in ("Where", "Unique")]


def test_two_columns_of_one_name_travel_side_by_side() -> None:
    plain = fc.numeric_column("number")
    normalized = fc.numeric_column("number", normalizer_fn=scaled)
    hashed = fc.categorical_column_with_hash_bucket("word", 10)
    raw = {"number": [1.0, 2.0], "word": ["red", "blue"]}
    transformed = fc.ColumnTransform([plain, normalized, vocabulary(), fc.indicator_column(hashed)])(raw)
    assert len(transformed) == 2
    for column in (plain, normalized, fc.indicator_column(vocabulary()), fc.indicator_column(hashed)):
        expected = fc.dense_tensor([column], raw, Variables())
        np.testing.assert_array_equal(fc.dense_tensor([column], transformed, Variables()), expected)


def test_neighbouring_numbers_are_one_piece() -> None:
    columns = [fc.numeric_column(f"x{i:02}") for i in range(20)]
    transformed = fc.ColumnTransform(columns)({f"x{i:02}": [float(i)] for i in range(20)})
    concrete = tf.function(lambda x: fc.dense_tensor(columns, x, Variables())).get_concrete_function(transformed)
    types = [operation.type for operation in concrete.graph.get_operations()]
    assert not [name for name in types if "Slice" in name or "Concat" in name]
    np.testing.assert_array_equal(fc.dense_tensor(columns, transformed, Variables()), [np.arange(20.0)])


def test_passthrough_keeps_raw_features() -> None:
    transform = fc.ColumnTransform([fc.numeric_column("number")], passthrough=["weight", "word"])
    result = transform({"number": [1.0], "weight": [2.0], "word": ["red"], "other": [3.0]})
    assert sorted(key for key in result if not fc.is_transformed({key: 0})) == ["weight", "word"]
    assert result["weight"].numpy().tolist() == [2.0]
    assert_equal(transform(result), result)


def test_gradient_of_linear_weights_is_sparse() -> None:
    variables = Variables()
    columns = [vocabulary(), fc.numeric_column("number"), vocabulary("second")]
    raw = tensors({"word": WORDS, "number": [1.0] * 6, "second": sparse_words()})
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(fc.linear_logits(columns, raw, 2, variables))
    gradients = dict(zip(variables.made, tape.gradient(loss, list(variables.made.values())), strict=True))
    assert isinstance(gradients["word/weights"], tf.IndexedSlices)
    assert isinstance(gradients["second/weights"], tf.IndexedSlices)
    # red, blue, missing, out of vocabulary, red, green
    np.testing.assert_array_equal(tf.convert_to_tensor(gradients["word/weights"]), [[2, 2], [1, 1], [1, 1]])
    np.testing.assert_array_equal(tf.convert_to_tensor(gradients["second/weights"]), [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(gradients["number/weights"], [[6, 6]])


@pytest.mark.parametrize("features", [{"word": WORDS}, {"word": sparse_words()}, {"word": [WORDS] * 6}])
def test_tables_are_not_copied(features: Made) -> None:
    variables = Variables()
    columns = [fc.embedding_column(vocabulary(), 2), vocabulary()]
    concrete = tf.function(lambda x: fc.linear_logits(columns, x, 1, variables)).get_concrete_function(
        tensors(features)
    )
    by_table = [operation.type for operation in concrete.graph.get_operations() if "Gather" in operation.type]
    assert by_table.count("ResourceGather") == 2
    # Read as a whole: the weights of the dense embedding and the bias, no table.
    read = [operation for operation in concrete.graph.get_operations() if operation.type == "ReadVariableOp"]
    assert sorted(tuple(operation.outputs[0].shape) for operation in read) == [(1,), (2, 1)]


def test_graph_of_tensorflow_1() -> None:
    transform = fc.ColumnTransform([vocabulary(), fc.crossed_column([vocabulary(), "id"], 10)])
    expected = as_lists(transform({"word": WORDS, "id": IDS}))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        result = transform({"word": tf.constant(WORDS), "id": tf.constant(IDS)})
        session.run(tf.compat.v1.tables_initializer())
        assert {key: value.tolist() for key, value in session.run(result).items()} == expected


def test_tables_outlive_the_transform_that_made_them() -> None:
    (batch,) = tf.data.Dataset.from_tensors({"word": ["late", "soon"]}).map(
        fc.ColumnTransform([fc.categorical_column_with_vocabulary_list("word", ["soon", "late"])])
    )
    assert [value.numpy().tolist() for value in batch.values()] == [[[1], [0]]]
    assert fc.lookup_tables()


def test_parsed_examples() -> None:
    columns = [fc.embedding_column(vocabulary(), 2), buckets(), fc.crossed_column(["word", "id"], 10)]
    spec = fc.make_parse_example_spec(columns)
    spec["id"] = tf.io.VarLenFeature(tf.int64)
    word = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"blue", b"red"]))
    number = tf.train.Feature(float_list=tf.train.FloatList(value=[20.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"word": word, "number": number}))
    parsed = tf.io.parse_example([example.SerializeToString()], spec)
    result = fc.ColumnTransform(columns)(parsed)
    # The cross has no value because `id` has none; 20 lies in [18, 65); blue is 2, red 0.
    assert sorted(map(str, as_lists(result).values())) == ["[[2, 0]]", "[[2]]", "[[]]"]
