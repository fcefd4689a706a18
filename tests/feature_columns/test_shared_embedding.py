"""Shared embeddings: one table, under tf.estimator's name, that training changes."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc

A, B = (fc.categorical_column_with_identity(name, 3) for name in "ab")
TABLE = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], np.float32)
FEATURES = {"a": [[0, 1], [2, -1]], "b": [2, -1]}


class Factory:
    """Makes variables, and notes what was asked of it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.shared_names: list[str] = []

    def __call__(self, name: str, shape: Any, *_: Any) -> tf.Variable:
        self.names.append(name)
        return tf.Variable(tf.ones(shape))

    def shared(self, name: str, shape: Any, *_: Any) -> tf.Variable:
        self.shared_names.append(name)
        return tf.Variable(TABLE)


def test_both_columns_look_up_one_table() -> None:
    factory = Factory()
    shared = fc.shared_embeddings([B, A], 2)
    assert [column.name for column in shared] == ["b_shared_embedding", "a_shared_embedding"]
    result = fc.dense_tensor([*shared, fc.embedding_column(A, 1)], FEATURES, factory)
    assert (factory.names, factory.shared_names) == (["a_embedding/embedding_weights"], ["a_b_shared_embedding"])
    # The mean of rows 0 and 1, row 2; row 2, nothing. Between them is the embedding of ones.
    assert result.numpy().tolist() == [[1.0, 1.5, 15.0, 3.0, 30.0], [1.0, 3.0, 30.0, 0.0, 0.0]]


def test_names_of_variables() -> None:
    def names(columns: list[Any]) -> list[str]:
        factory = Factory()
        fc.dense_tensor(columns, FEATURES, factory)
        return factory.names + factory.shared_names

    assert names(fc.shared_embeddings([A, B], 2)) == ["a_b_shared_embedding"]
    assert names(fc.shared_embeddings([A, B], 2, shared_embedding_collection_name="words")) == ["words"]
    # As TensorFlow 1 named it.
    assert names(fc.shared_embedding_columns([A, B], 2)) == ["a_b_shared_embedding/embedding_weights"]


def test_gradient_is_sparse_and_that_of_both_columns() -> None:
    factory = Factory()
    table = tf.Variable(TABLE)
    factory.shared = lambda *_: table  # type: ignore[method-assign]
    with tf.GradientTape() as tape:
        result = fc.dense_tensor(fc.shared_embeddings([A, B], 2, combiner="sum"), FEATURES, factory)
        loss = tf.reduce_sum(result)
    slices = tape.gradient(loss, table)
    assert isinstance(slices, tf.IndexedSlices)
    # Rows 0 and 1 occur once in `a`; row 2 once in `a` and once in `b`.
    assert tf.convert_to_tensor(slices).numpy().tolist() == [[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]


def test_weighted_and_sequence_columns_share_as_what_they_hold() -> None:
    sequence = fc.sequence_categorical_column_with_identity("s", 3)
    plain, weighted, steps = fc.shared_embeddings([A, fc.weighted_categorical_column(B, "w"), sequence], 2)
    dense = fc.dense_tensor([plain, weighted], {**FEATURES, "w": [2.0, 0.0]}, Factory())
    assert dense.numpy().tolist() == [[1.5, 15.0, 3.0, 30.0], [3.0, 30.0, 0.0, 0.0]]
    tensor, _ = fc.sequence_tensor([steps], {"s": [[1, 0]]}, Factory())
    assert tensor.numpy().tolist() == [[[2.0, 20.0], [1.0, 10.0]]]


def test_first_value_from_a_checkpoint(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "model")
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["t"], shape_and_slices=[""], tensors=[tf.constant(TABLE)])
    columns = fc.shared_embeddings([A, B], 2, ckpt_to_load_from=path, tensor_name_in_ckpt="t", trainable=False)
    layer = fc.DenseFeatures(columns)
    assert layer({"a": [1], "b": [0]}).numpy().tolist() == [[2.0, 20.0, 1.0, 10.0]]
    assert (len(layer.weights), len(layer.trainable_weights)) == (1, 0)


def input_fn() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(({"a": [0, 1, 2], "b": [2, 2, 1]}, [[1.0], [0.0], [2.0]])).repeat()


def made_by_tensorflow() -> Any:
    # tf.feature_column makes them in a graph only.
    with tf.Graph().as_default():
        columns = [tf.feature_column.categorical_column_with_identity(name, 3) for name in "ab"]
        return tf.feature_column.shared_embeddings(columns, 2)


@pytest.mark.parametrize("make", [lambda: fc.shared_embeddings([A, B], 2), made_by_tensorflow])
@pytest.mark.parametrize("kind", ["deep", "linear", "both"])
def test_estimators_train_the_table(make: Any, kind: str, tmp_path: pathlib.Path) -> None:
    columns, config = make(), hw.RunConfig(progress="none", tf_random_seed=1)
    arguments: dict[str, Any] = {"model_dir": str(tmp_path), "config": config}
    model: Any
    if kind == "deep":
        model = hw.DNNRegressor([4], columns, activation_fn=None, **arguments)
    elif kind == "linear":
        model = hw.LinearRegressor(columns, **arguments)
    else:
        model = hw.DNNLinearCombinedRegressor(
            linear_feature_columns=columns, dnn_feature_columns=columns, dnn_hidden_units=[4], **arguments
        )
    # Weights of a linear model begin at zero, and then its table has no gradient at the first step.
    model.train(input_fn, steps=2)
    before = model.get_variable_value("a_b_shared_embedding")
    model.train(input_fn, steps=3)
    assert (model.get_variable_value("a_b_shared_embedding") != before).any()
    names = model.get_variable_names()
    assert [name for name in names if "embedding" in name and "training/" not in name and "weights" not in name] == [
        "a_b_shared_embedding"
    ]
    assert any(name.startswith("training/") and "/a_b_shared_embedding/accumulator" in name for name in names)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fc.shared_embeddings([], 2), "`categorical_columns` must not be empty."),
        (lambda: fc.shared_embeddings(A, 2), "`categorical_columns` must be a list of categorical columns."),
        (lambda: fc.shared_embeddings([A, fc.numeric_column("x")], 2), "Input must be a CategoricalColumn."),
        (
            lambda: fc.shared_embeddings([A, fc.categorical_column_with_hash_bucket("h", 3)], 2),
            "To use shared_embedding_column, all categorical_columns must have the same type, or be ",
        ),
        (
            lambda: fc.shared_embeddings([A, fc.categorical_column_with_identity("c", 4)], 2),
            "To use shared_embedding_column, all categorical_columns must have the same number of buckets.",
        ),
        (
            lambda: fc.shared_embeddings([A, B], 0),
            "Invalid dimension 0. Embedding of column_name: a_b_shared_embedding",
        ),
        (lambda: fc.shared_embeddings([A, B], 2, "max"), "combiner must be one of 'mean', 'sqrtn' or 'sum'."),
        (
            lambda: fc.DenseFeatures(
                [
                    fc.shared_embeddings([A], 2, shared_embedding_collection_name="t")[0],
                    fc.shared_embeddings([B], 3, shared_embedding_collection_name="t")[0],
                ]
            )(FEATURES),
            "Two shared embeddings are named 't' and differ in shape: (3, 2) and (3, 3).",
        ),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
