"""Names, specs, and what single columns do at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc

NUMBER = fc.numeric_column("n", shape=[2], default_value=1.0, dtype=tf.float64)
AGE = fc.bucketized_column(fc.numeric_column("age"), [18, 65])
WORD = fc.categorical_column_with_vocabulary_list("w", ["a", "b"], num_oov_buckets=3)
HASH = fc.categorical_column_with_hash_bucket("h", 9, tf.int32)
DAY = fc.categorical_column_with_identity("d", 7)
VARLEN = tf.io.VarLenFeature


@pytest.mark.parametrize(
    ("column", "name", "spec"),
    [
        (NUMBER, "n", {"n": tf.io.FixedLenFeature((2,), tf.float64, (1.0, 1.0))}),
        (fc.numeric_column("m"), "m", {"m": tf.io.FixedLenFeature((1,), tf.float32, None)}),
        (AGE, "age_bucketized", {"age": tf.io.FixedLenFeature((1,), tf.float32, None)}),
        (WORD, "w", {"w": VARLEN(tf.string)}),
        (HASH, "h", {"h": VARLEN(tf.int32)}),
        (DAY, "d", {"d": VARLEN(tf.int64)}),
        (fc.indicator_column(WORD), "w_indicator", {"w": VARLEN(tf.string)}),
        (fc.embedding_column(HASH, 2), "h_embedding", {"h": VARLEN(tf.int32)}),
        (
            fc.crossed_column(["z", AGE, "a"], 9),
            "a_X_age_bucketized_X_z",
            {"z": VARLEN(tf.string), "a": VARLEN(tf.string), "age": tf.io.FixedLenFeature((1,), tf.float32, None)},
        ),
        (
            fc.crossed_column([fc.crossed_column(["z", WORD], 5), "a"], 9),
            "a_X_w_X_z",
            {"z": VARLEN(tf.string), "a": VARLEN(tf.string), "w": VARLEN(tf.string)},
        ),
    ],
)
def test_name_and_spec(column: Any, name: str, spec: dict[str, Any]) -> None:
    assert column.name == name
    assert column.parse_example_spec == spec
    assert fc.make_parse_example_spec([column]) == spec


@pytest.mark.parametrize(
    ("column", "shape"),
    [
        (NUMBER, [2]),
        (AGE, [1, 3]),
        (fc.indicator_column(WORD), [1, 5]),
        (fc.embedding_column(DAY, 4), [4]),
    ],
)
def test_variable_shape(column: Any, shape: list[int]) -> None:
    assert column.variable_shape == shape


@pytest.mark.parametrize(
    ("column", "buckets"), [(AGE, 3), (WORD, 5), (HASH, 9), (DAY, 7), (fc.crossed_column(["a", "b"], 11), 11)]
)
def test_num_buckets(column: Any, buckets: int) -> None:
    assert column.num_buckets == buckets


def test_specs_of_several_columns() -> None:
    columns = [fc.numeric_column("age"), AGE, fc.indicator_column(WORD)]
    assert set(fc.make_parse_example_spec(columns)) == {"age", "w"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, np.int32, np.int64])
def test_integers_of_every_type(dtype: Any) -> None:
    column = fc.categorical_column_with_identity("x", 300)
    transformed = fc.ColumnTransform([column])({"x": np.array([0, 7, 255 if dtype == np.uint8 else 100], dtype)})
    (ids,) = transformed.values()
    # tf.feature_column takes 255 in an uint8 feature for a missing value, since it casts -1 to the feature's type.
    assert ids.numpy().ravel().tolist() == [0, 7, 255 if dtype == np.uint8 else 100]


def test_numbers_of_every_type() -> None:
    features = {"a": np.array([True, False]), "b": np.array([1, 2], np.int8), "c": np.array([0.5, 1.5])}
    columns = [fc.numeric_column(key) for key in "abc"]
    (floats,) = fc.ColumnTransform(columns)(features).values()
    assert (floats.dtype, floats.numpy().tolist()) == (tf.float32, [[1.0, 1.0, 0.5], [0.0, 2.0, 1.5]])


def test_normalizer_sees_the_feature_as_it_came() -> None:
    seen = []

    def normalizer(x: tf.Tensor) -> tf.Tensor:
        seen.append((x.dtype, x.shape.as_list()))
        return x

    fc.ColumnTransform([fc.numeric_column("x", normalizer_fn=normalizer)])({"x": tf.constant([1, 2], tf.int64)})
    assert seen == [(tf.int64, [2, 1])]


def test_numbers_of_higher_rank() -> None:
    column = fc.numeric_column("x", shape=(2, 2))
    (floats,) = fc.ColumnTransform([column])({"x": np.arange(8.0).reshape(2, 2, 2)}).values()
    assert floats.numpy().tolist() == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]


def test_vector_of_unknown_rank() -> None:
    transform = fc.ColumnTransform([WORD])
    run = tf.function(lambda x: transform({"w": x}), input_signature=[tf.TensorSpec(None, tf.string)])
    assert [value.numpy().tolist() for value in run(["b", ""]).values()] == [[[1], [-1]]]
    assert [value.numpy().tolist() for value in run([["b", "a"], ["", "b"]]).values()] == [[[1, 0], [-1, 1]]]


def test_vocabularies_of_numpy_values() -> None:
    words = fc.categorical_column_with_vocabulary_list("w", np.array(["a", "b"]))
    ids = fc.categorical_column_with_vocabulary_list("i", np.array([3, 4], np.int32))
    assert words == fc.categorical_column_with_vocabulary_list("w", ["a", "b"])
    assert ids.dtype == tf.int32
    result = fc.ColumnTransform([words, ids])({"w": ["b"], "i": [3]})
    assert [value.numpy().tolist() for value in result.values()] == [[[0, 1]]]


def test_repr_of_a_large_vocabulary_is_short() -> None:
    column = fc.categorical_column_with_vocabulary_list("w", range(10**5))
    assert repr(column) == (
        "VocabularyListCategoricalColumn(key='w', vocabulary_list=(0, 1, 2, 3, 4, ... 100000 in all), dtype=tf.int64, "
        "default_value=-1, num_oov_buckets=0)"
    )


def variables_of(column: Any) -> list[tuple[str, tf.Variable]]:
    made = []

    def variable(name: str, shape: Any, initializer: Any, dtype: Any, trainable: bool) -> tf.Variable:
        made.append((name, tf.Variable(initializer(shape, dtype), trainable=trainable)))
        return made[-1][1]

    column.make_variables(variable)
    return made


def test_embeddings_begin_at_a_truncated_normal() -> None:
    column = fc.embedding_column(fc.categorical_column_with_identity("x", 4000), 25)
    ((name, table),) = variables_of(column)
    assert name == "x_embedding/embedding_weights"
    assert table.shape == (4000, 25)
    values = table.numpy()
    # 1/sqrt(25) = 0.2; a normal distribution cut off at two standard deviations has 0.8796 of its spread.
    assert abs(values.mean()) < 0.002
    assert abs(values.std() - 0.2 * 0.8796) < 0.002
    assert np.abs(values).max() <= 0.4
    ((_, another),) = variables_of(column)
    assert not np.array_equal(values, another.numpy())


def test_initializer_and_trainable() -> None:
    column = fc.embedding_column(DAY, 2, initializer=tf.keras.initializers.Constant(3.0), trainable=False)
    ((_, table),) = variables_of(column)
    assert (table.trainable, table.numpy().tolist()) == (False, [[3.0, 3.0]] * 7)


def test_embedding_from_a_checkpoint(tmp_path: Any) -> None:
    path = str(tmp_path / "model")
    value = np.arange(14.0, dtype=np.float32).reshape(7, 2)
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["scope/w"], shape_and_slices=[""], tensors=[tf.constant(value)])
    ((_, table),) = variables_of(fc.embedding_column(DAY, 2, ckpt_to_load_from=path, tensor_name_in_ckpt="scope/w"))
    np.testing.assert_array_equal(table, value)


def test_letters_that_variable_names_cannot_have() -> None:
    column = fc.embedding_column(fc.categorical_column_with_identity("my day/x", 3), 2)
    assert [name for name, _ in variables_of(column)] == ["my_day_x_embedding/embedding_weights"]


def test_unsafe_lookup_is_safe_as_well() -> None:
    column = fc.embedding_column(DAY, 1, combiner="sum", use_safe_embedding_lookup=False)
    table = tf.Variable([[1.0]] * 7)
    result = fc.dense_tensor([column], {"d": [[-1, -1], [2, 3], [-1, -1]]}, lambda *_: table)
    assert result.numpy().tolist() == [[0.0], [2.0], [0.0]]
