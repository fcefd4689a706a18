"""Bad arguments and bad features get an error that says what, where, what was received and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from headway import feature_columns as fc


def vocabulary(key: str = "word", **options: Any) -> Any:
    return fc.categorical_column_with_vocabulary_list(key, ["red", "green"], **options)


def variable(name: str, shape: Any, initializer: Any, dtype: Any, trainable: bool) -> tf.Variable:
    return tf.Variable(initializer(shape, dtype), trainable=trainable)


def dense(columns: Any, features: Any) -> Any:
    return fc.dense_tensor(columns, features, variable)


NUMBER = fc.numeric_column("number")
WORD = vocabulary()
AGE = fc.bucketized_column(NUMBER, [1.0])

ARGUMENTS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "key": (lambda: fc.numeric_column(3), ValueError, "key must be a string. Got: type <class 'int'>. Given key: 3."),
    "shape type": (
        lambda: fc.numeric_column("x", shape=[1.5]),
        TypeError,
        "shape dimensions must be integer. shape: (1.5,), key: x",
    ),
    "shape zero": (
        lambda: fc.numeric_column("x", shape=[2, 0]),
        ValueError,
        "shape dimensions must be greater than 0. shape: (2, 0), key: x",
    ),
    "numeric dtype": (
        lambda: fc.numeric_column("x", dtype=tf.string),
        ValueError,
        "dtype must be convertible to float. dtype: <dtype: 'string'>, key: x",
    ),
    "not a dtype": (
        lambda: fc.numeric_column("x", dtype="number"),
        TypeError,
        "`dtype` must be a type such as tf.string or tf.int64. Received: 'number'",
    ),
    "default shape": (
        lambda: fc.numeric_column("x", shape=2, default_value=[1.0]),
        ValueError,
        "The shape of default_value must be equal to given shape. default_value: [1.0], shape: (2,), key: x",
    ),
    "default dtype": (
        lambda: fc.numeric_column("x", default_value=1.5, dtype=tf.int64),
        TypeError,
        "default_value must be compatible with dtype. default_value: 1.5",
    ),
    "default string": (
        lambda: fc.numeric_column("x", default_value="0"),
        TypeError,
        "default_value must be compatible with dtype. default_value: 0",
    ),
    "normalizer": (
        lambda: fc.numeric_column("x", normalizer_fn=3.0),
        TypeError,
        "normalizer_fn must be a callable. Given: 3.0",
    ),
    "bucketized source": (
        lambda: fc.bucketized_column(WORD, [1.0]),
        ValueError,
        "source_column must be a column generated with numeric_column(). Given: Vocabulary",
    ),
    "bucketized rank": (
        lambda: fc.bucketized_column(fc.numeric_column("x", shape=(2, 2)), [1.0]),
        ValueError,
        "source_column must be one-dimensional column. Given: NumericColumn(key='x'",
    ),
    "no boundaries": (
        lambda: fc.bucketized_column(NUMBER, []),
        ValueError,
        "boundaries must not be empty. Received: [] for 'number'",
    ),
    "boundaries set": (
        lambda: fc.bucketized_column(NUMBER, {1.0}),
        ValueError,
        "boundaries must be a sorted list. Received: {1.0} for 'number'",
    ),
    "boundaries order": (
        lambda: fc.bucketized_column(NUMBER, [0, 5, 5]),
        ValueError,
        "boundaries must be a sorted list. Received: 5 before 5 for 'number'",
    ),
    "boundaries nan": (
        lambda: fc.bucketized_column(NUMBER, [0.0, float("nan")]),
        ValueError,
        "boundaries must be a sorted list. Received: 0.0 before nan for 'number'",
    ),
    "empty vocabulary": (
        lambda: fc.categorical_column_with_vocabulary_list("x", []),
        ValueError,
        "vocabulary_list () must be non-empty, column_name: x",
    ),
    "no vocabulary": (
        lambda: fc.categorical_column_with_vocabulary_list("x", None),
        ValueError,
        "must be non-empty, column_name: x",
    ),
    "duplicate vocabulary": (
        lambda: fc.categorical_column_with_vocabulary_list("x", ["a", "b", "a"]),
        ValueError,
        "Duplicate keys in vocabulary_list, column_name: x. Repeated: ['a']",
    ),
    "mixed vocabulary": (
        lambda: fc.categorical_column_with_vocabulary_list("x", ["a", 1]),
        ValueError,
        "vocabulary_list must hold strings or integers, not both, column_name: x. Received: ('a', 1)",
    ),
    "float vocabulary": (
        lambda: fc.categorical_column_with_vocabulary_list("x", [0.5]),
        ValueError,
        "column_name: x vocabulary dtype must be string or integer. dtype: <dtype: 'float64'>.",
    ),
    "vocabulary dtype": (
        lambda: fc.categorical_column_with_vocabulary_list("x", ["a"], dtype=tf.int64),
        ValueError,
        "dtype <dtype: 'int64'> and vocabulary dtype <dtype: 'string'> do not match, column_name: x",
    ),
    "vocabulary dtype float": (
        lambda: fc.categorical_column_with_vocabulary_list("x", [1], dtype=tf.float32),
        ValueError,
        "column_name: x dtype must be string or integer. dtype: <dtype: 'float32'>.",
    ),
    "oov and default": (
        lambda: vocabulary("x", default_value=0, num_oov_buckets=1),
        ValueError,
        "Can't specify both num_oov_buckets and default_value in x. Received: num_oov_buckets=1, default_value=0",
    ),
    "negative oov": (lambda: vocabulary("x", num_oov_buckets=-2), ValueError, "Invalid num_oov_buckets -2 in x."),
    "no hash size": (
        lambda: fc.categorical_column_with_hash_bucket("x", None),
        ValueError,
        "hash_bucket_size must be set. key: x",
    ),
    "hash size": (
        lambda: fc.categorical_column_with_hash_bucket("x", 0),
        ValueError,
        "hash_bucket_size must be at least 1. hash_bucket_size: 0, key: x",
    ),
    "hash dtype": (
        lambda: fc.categorical_column_with_hash_bucket("x", 9, tf.float32),
        ValueError,
        "column_name: x dtype must be string or integer. dtype: <dtype: 'float32'>.",
    ),
    "identity size": (
        lambda: fc.categorical_column_with_identity("x", 0),
        ValueError,
        "num_buckets 0 < 1, column_name x",
    ),
    "identity default": (
        lambda: fc.categorical_column_with_identity("x", 3, default_value=3),
        ValueError,
        "default_value 3 not in range [0, 3), column_name x",
    ),
    "indicator of a dense column": (
        lambda: fc.indicator_column(NUMBER),
        ValueError,
        "Unsupported input type. Input must be a CategoricalColumn. Given: NumericColumn(key='number'",
    ),
    "embedding of a name": (
        lambda: fc.embedding_column("word", 3),
        ValueError,
        "Unsupported input type. Input must be a CategoricalColumn. Given: 'word'. `embedding_column` wraps",
    ),
    "dimension": (
        lambda: fc.embedding_column(WORD, 0),
        ValueError,
        "Invalid dimension 0. Embedding of column_name: word",
    ),
    "combiner": (
        lambda: fc.embedding_column(WORD, 2, combiner="max"),
        ValueError,
        "combiner must be one of 'mean', 'sqrtn' or 'sum'. Received: 'max' for 'word'",
    ),
    "initializer": (
        lambda: fc.embedding_column(WORD, 2, initializer="zeros"),
        ValueError,
        "initializer must be callable if specified. Embedding of column_name: word. Received: 'zeros'",
    ),
    "half a checkpoint": (
        lambda: fc.embedding_column(WORD, 2, ckpt_to_load_from="model"),
        ValueError,
        "Must specify both `ckpt_to_load_from` and `tensor_name_in_ckpt` or none of them. Received: 'model' and None",
    ),
    "cross size": (
        lambda: fc.crossed_column(["a", "b"], 0),
        ValueError,
        "hash_bucket_size must be > 1. hash_bucket_size: 0",
    ),
    "cross of one": (
        lambda: fc.crossed_column(["a"], 9),
        ValueError,
        "keys must be a list with length > 1. Given: ['a']",
    ),
    "cross of a string": (
        lambda: fc.crossed_column("ab", 9),
        ValueError,
        "keys must be a list with length > 1. Given: ab",
    ),
    "cross of a number": (
        lambda: fc.crossed_column(["a", NUMBER], 9),
        ValueError,
        "Unsupported key type. All keys must be either string, or categorical column except HashedCategoricalColumn. ",
    ),
    "cross of a hash": (
        lambda: fc.crossed_column(["a", fc.categorical_column_with_hash_bucket("b", 3)], 9),
        ValueError,
        "categorical_column_with_hash_bucket is not supported for crossing. ",
    ),
    "spec of no column": (
        lambda: fc.make_parse_example_spec(["x"]),
        ValueError,
        "All feature_columns must be FeatureColumn instances. Given: 'x'",
    ),
    "two specs": (
        lambda: fc.make_parse_example_spec([NUMBER, fc.categorical_column_with_identity("number", 3)]),
        ValueError,
        "feature_columns contain different parse_spec for key number. Given VarLenFeature",
    ),
    "passthrough string": (
        lambda: fc.ColumnTransform([NUMBER], passthrough="weight"),
        ValueError,
        "`passthrough` must be a list of feature names. Received: 'weight'; pass ['weight'].",
    ),
    "linear units": (lambda: fc.LinearModel([NUMBER], units=0), ValueError, "`units` must be at least 1. Received: 0"),
    "linear combiner": (
        lambda: fc.LinearModel([NUMBER], sparse_combiner="max"),
        ValueError,
        "sparse_combiner must be one of 'mean', 'sqrtn' or 'sum'. Received: 'max'",
    ),
}

COLUMNS: dict[str, tuple[Any, str]] = {
    "none": ([], "feature_columns must not be empty."),
    "dict": ({"x": NUMBER}, "Expected feature_columns to be iterable, found dict. Pass its values."),
    "string": ("number", "`feature_columns` must be a list of feature columns. Received: 'number'"),
    "not a column": ([NUMBER, 3], "Items of feature_columns must be a FeatureColumn. Given (type <class 'int'>): 3."),
    "one name twice": (
        [NUMBER, fc.numeric_column("number", shape=2)],
        "Duplicate feature column name found for columns: NumericColumn(key='number', shape=(1,)",
    ),
    "bare categorical": (
        [NUMBER, WORD],
        "You can wrap a categorical column with an embedding_column or indicator_column. Given: 'word'",
    ),
}

FEATURES: dict[str, tuple[list[Any], Any, str]] = {
    "no dict": (
        [NUMBER],
        [1.0],
        "We expected a dictionary here. Instead we got: [1.0]. Pass features as {name: values}.",
    ),
    "missing": (
        [NUMBER],
        {"numbre": [1.0], "word": ["a"]},
        "Feature number is not in features dictionary. It is needed by column 'number'. Did you mean 'numbre'? "
        "Features that are there: ['numbre', 'word'].",
    ),
    "missing part of a cross": (
        [fc.indicator_column(fc.crossed_column([WORD, "place"], 9))],
        {"word": ["red"]},
        "Feature place is not in features dictionary. It is needed by column 'place_X_word'. Features that are there",
    ),
    "scalar": ([NUMBER], {"number": 1.0}, "Feature (key: number) cannot have rank 0. Given: "),
    "batch sizes": (
        [NUMBER, fc.indicator_column(WORD)],
        {"number": [1.0, 2.0], "word": ["red"]},
        "Batch size (first dimension) of each feature must be same. Batch size of features (number, word): (2, 1)",
    ),
    "string for a number": (
        [NUMBER],
        {"number": ["1.0"]},
        "numeric_column 'number' needs numbers. Received: dtype <dtype: 'string'> for feature 'number'.",
    ),
    "sparse number": (
        [NUMBER],
        {"number": tf.SparseTensor([[0, 0]], [1.0], [2, 1])},
        "The corresponding Tensor of numerical column must be a Tensor. SparseTensor is not supported. key: number.",
    ),
    "ragged number": (
        [NUMBER],
        {"number": tf.ragged.constant([[1.0], []])},
        "The corresponding Tensor of numerical column must be a Tensor. RaggedTensor is not supported. key: number.",
    ),
    "width": (
        [fc.numeric_column("number", shape=3)],
        {"number": [[1.0, 2.0]]},
        "numeric_column 'number' with shape (3,) expected width 3, received (1, 2) as feature 'number'.",
    ),
    "vector for a wide column": (
        [fc.numeric_column("number", shape=3)],
        {"number": [1.0, 2.0, 3.0]},
        "expected width 3, received (3,) as feature 'number'.",
    ),
    "normalizer width": (
        [fc.numeric_column("number", normalizer_fn=lambda x: tf.concat([x, x], 1))],
        {"number": [1.0]},
        "expected width 1, received (1, 2) as what its normalizer_fn returns.",
    ),
    "float for a vocabulary": (
        [fc.indicator_column(WORD)],
        {"word": [1.0]},
        "column_name: word input_tensor dtype must be string or integer. dtype: <dtype: 'float32'>, key: word.",
    ),
    "float for a hash": (
        [fc.indicator_column(fc.categorical_column_with_hash_bucket("word", 9))],
        {"word": [1.0]},
        "input_tensor dtype must be string or integer. dtype: <dtype: 'float32'>, key: word.",
    ),
    "float for an identity": (
        [fc.indicator_column(fc.categorical_column_with_identity("id", 9))],
        {"id": [1.0]},
        "input_tensor dtype must be string or integer. dtype: <dtype: 'float32'>, key: id.",
    ),
    "integers for a vocabulary of strings": (
        [fc.indicator_column(WORD)],
        {"word": [1]},
        "Column dtype and feature dtype must be compatible. key: word, column dtype: <dtype: 'string'>, "
        "tensor dtype: <dtype: 'int32'>.",
    ),
    "strings for a hash of integers": (
        [fc.indicator_column(fc.categorical_column_with_hash_bucket("id", 9, tf.int64))],
        {"id": ["1"]},
        "Column dtype and feature dtype must be compatible. key: id, column dtype: <dtype: 'int64'>, "
        "tensor dtype: <dtype: 'string'>.",
    ),
    "strings for an identity": (
        [fc.indicator_column(fc.categorical_column_with_identity("id", 9))],
        {"id": ["1"]},
        "Invalid input, not integer. key: id dtype: <dtype: 'string'>.",
    ),
    "rank 3": (
        [fc.indicator_column(WORD)],
        {"word": [[["red"]]]},
        "Feature 'word' of column 'word' must have shape [batch] or [batch, values per row]. Received: (1, 1, 1).",
    ),
    "transformed for others": (
        [fc.numeric_column("other")],
        fc.ColumnTransform([NUMBER])({"number": [1.0]}),
        "The features have been transformed already, but not for these columns: ['other'].",
    ),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_argument(case: str) -> None:
    call, error, message = ARGUMENTS[case]
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize("case", COLUMNS)
@pytest.mark.parametrize("use", [lambda columns: dense(columns, {"number": [1.0]}), fc.DenseFeatures])
def test_columns(case: str, use: Callable[[Any], Any]) -> None:
    columns, message = COLUMNS[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        use(columns)


def test_columns_of_a_linear_model() -> None:
    with pytest.raises(ValueError, match=r"Duplicate feature column name found for columns: .* named 'number'"):
        fc.linear_logits(COLUMNS["one name twice"][0], {"number": [1.0]}, 1, variable)


@pytest.mark.parametrize("case", FEATURES)
def test_features(case: str) -> None:
    columns, features, message = FEATURES[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        dense(columns, features)
    with pytest.raises(ValueError, match=re.escape(message)):
        fc.DenseFeatures(columns)(features)


def test_missing_passthrough() -> None:
    message = "Feature weight is not in features dictionary. It is needed by `passthrough`. Did you mean 'weights'?"
    with pytest.raises(ValueError, match=re.escape(message)):
        fc.ColumnTransform([NUMBER], passthrough=["weight"])({"number": [1.0], "weights": [1.0]})


@pytest.mark.parametrize("compiled", [False, True])
def test_identity_out_of_range(compiled: bool) -> None:
    transform: Any = fc.ColumnTransform([fc.categorical_column_with_identity("id", 3)])
    run = tf.function(transform) if compiled else transform
    assert [value.numpy().tolist() for value in run({"id": tf.constant([2, -5])}).values()] == [[[2], [-1]]]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)Feature id of .* outside of \[0, 3\).*\b17\b"):
        run({"id": tf.constant([2, 17])})


def test_width_that_only_the_running_program_knows() -> None:
    column = fc.numeric_column("x", shape=3)
    run = tf.function(lambda x: dense([column], {"x": x}), input_signature=[tf.TensorSpec([None, None])])
    assert run([[1.0, 2.0, 3.0]]).numpy().tolist() == [[1.0, 2.0, 3.0]]
    # Six numbers would also make two rows of three.
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        run([[1.0, 2.0]] * 3)


def test_checkpoint_of_another_shape(tmp_path: Any) -> None:
    path = str(tmp_path / "model")
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["w"], shape_and_slices=[""], tensors=[tf.zeros([2, 5])])
    for name, dimension, message in [
        ("w", 4, "must have the shape [2, 4] (ids, dimension) for embedding_column 'word_embedding'. Received: [2, 5]"),
        ("v", 5, "Received: 'v'. Tensors that are there: ['w']"),
    ]:
        column = fc.embedding_column(WORD, dimension, ckpt_to_load_from=path, tensor_name_in_ckpt=name)
        with pytest.raises(ValueError, match=re.escape(message)):
            dense([column], {"word": ["red"]})
