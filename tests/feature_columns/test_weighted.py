"""Weights of ids: how they are paired with values, and what is made of weights that are zero, negative or missing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc

IDS = fc.categorical_column_with_identity("id", 4)
WEIGHTED = fc.weighted_categorical_column(IDS, "w")
TABLE = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]], np.float32)


def vectors(combiner: str, features: Any, **options: Any) -> Any:
    column = fc.embedding_column(WEIGHTED, 2, combiner=combiner, **options)
    return fc.dense_tensor([column], features, lambda *_: tf.Variable(TABLE)).numpy().tolist()


def counts(features: Any) -> Any:
    return fc.DenseFeatures([fc.indicator_column(WEIGHTED)])(features).numpy().tolist()


def sparse(values: tf.Tensor) -> tf.SparseTensor:
    return tf.SparseTensor([[0, 0], [0, 3], [1, 1]], values, [2, 4])


NAN = float("nan")
FORMS: dict[str, tuple[Any, Any]] = {
    "dense": ([[0, 2], [3, -1]], [[0.5, 2.0], [3.0, NAN]]),
    "ragged": (tf.ragged.constant([[0, 2], [3]], tf.int64), tf.ragged.constant([[0.5, 2.0], [3.0]])),
    "sparse": (sparse(tf.constant([0, 2, 3], tf.int64)), sparse(tf.constant([0.5, 2.0, 3.0]))),
    "ragged weights": ([[0, -1, 2], [-1, 3, -1]], tf.ragged.constant([[0.5, 2.0], [3.0]])),
    "dense weights": (tf.ragged.constant([[0, 2], [3]], tf.int64), [[0.5, 2.0, 0.0], [0.0, 3.0, 0.0]]),
    "integer weights": (tf.ragged.constant([[0, 0, 2], [3]], tf.int64), tf.ragged.constant([[0, 1, 4], [6]])),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str) -> None:
    ids, weights = FORMS[form]
    scale = 2.0 if form == "integer weights" else 1.0
    assert counts({"id": ids, "w": weights}) == [[0.5 * scale, 0.0, 2.0 * scale, 0.0], [0.0, 0.0, 0.0, 3.0 * scale]]
    # (0.5 * 1 + 2 * 3) / 2.5 = 2.6; 3 * 4 / 3 = 4
    expected = [[2.6, 26.0], [4.0, 40.0]] if scale == 1.0 else [[(1 + 4 * 3) / 5, (10 + 4 * 30) / 5], [4.0, 40.0]]
    np.testing.assert_allclose(vectors("mean", {"id": ids, "w": weights}), expected, rtol=1e-6)


@pytest.mark.parametrize("form", ["dense", "ragged"])
def test_weights_of_zero_and_less(form: str) -> None:
    ids, weights = [[0, 1, 2], [3, 3, 3]], [[2.0, -1.0, 1.0], [0.0, -1.0, 0.0]]
    features: dict[str, Any] = {"id": tf.constant(ids, tf.int64), "w": tf.constant(weights)}
    if form == "ragged":
        features = {key: tf.RaggedTensor.from_tensor(value) for key, value in features.items()}
    # 2 * 1 - 1 * 2 + 1 * 3 = 3; -4
    assert vectors("sum", features) == [[3.0, 30.0], [-4.0, -40.0]]
    # Without the -1: (2 * 1 + 1 * 3) / 3, and / sqrt(2^2 + 1^2); the second row has no ids left.
    np.testing.assert_allclose(vectors("mean", features), [[5 / 3, 50 / 3], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(vectors("sqrtn", features), [[5 / 5**0.5, 50 / 5**0.5], [0, 0]], rtol=1e-6)
    # With it: 3 / (2 - 1 + 1); -4 / -1
    unsafe = vectors("mean", features, use_safe_embedding_lookup=False)
    np.testing.assert_allclose(unsafe, [[1.5, 15.0], [4.0, 40.0]], rtol=1e-6)


@pytest.mark.parametrize("combiner", ["mean", "sum"])
def test_an_id_that_is_left_out_gets_no_gradient(combiner: str) -> None:
    table = tf.Variable(TABLE)
    column = fc.embedding_column(WEIGHTED, 2, combiner=combiner)
    with tf.GradientTape() as tape:
        features = {"id": [[0, 1], [2, -1]], "w": [[2.0, 0.0], [1.0, 0.0]]}
        loss = tf.reduce_sum(fc.dense_tensor([column], features, lambda *_: table))
    slices = tape.gradient(loss, table)
    assert isinstance(slices, tf.IndexedSlices)
    # A sum counts the id of weight zero, with a gradient of zero; a mean does not look it up.
    assert set(slices.indices.numpy().tolist()) == ({0, 2} if combiner == "mean" else {0, 1, 2})
    expected = [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    expected[0] = [2.0, 2.0] if combiner == "sum" else expected[0]
    np.testing.assert_allclose(tf.convert_to_tensor(slices), expected)


def test_one_column_of_ids_with_and_without_weights() -> None:
    columns = [fc.indicator_column(IDS), fc.indicator_column(WEIGHTED)]
    features = {"id": [[0, 2]], "w": [[0.5, 2.0]]}
    transformed = fc.ColumnTransform(columns)(features)
    shapes = sorted((value.dtype.name, tuple(value.shape)) for value in transformed.values())
    assert shapes == [("float32", (1, 2)), ("int64", (1, 4))]
    assert fc.DenseFeatures(columns)(transformed).numpy().tolist() == [[1.0, 0.0, 1.0, 0.0, 0.5, 0.0, 2.0, 0.0]]


@pytest.mark.parametrize(
    ("ids", "weights"),
    [
        (tf.ragged.constant([[0, 2], [3]], tf.int64), tf.ragged.constant([[0.5], [3.0]])),
        (tf.ragged.constant([[0, 2], [3]], tf.int64), tf.ragged.constant([[0.5], [3.0, 1.0]])),
        ([[0, 2], [3, 1]], tf.ragged.constant([[0.5], [3.0]])),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_another_number_of_weights(ids: Any, weights: Any, compiled: bool) -> None:
    transform: Any = fc.ColumnTransform([WEIGHTED])
    run = tf.function(transform) if compiled else transform
    message = "Feature w must hold as many weights in each row as feature column id has values there"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run({"id": ids, "w": weights})


def test_a_width_that_only_the_running_program_knows() -> None:
    signature = {"id": tf.TensorSpec([None, None], tf.int64), "w": tf.TensorSpec([None, None])}
    run = tf.function(lambda features: fc.DenseFeatures([fc.indicator_column(WEIGHTED)])(features), [signature])
    assert run({"id": [[0, 1]], "w": [[0.5, 2.0]]}).numpy().tolist() == [[0.5, 2.0, 0.0, 0.0]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Feature w must hold as many weights"):
        run({"id": [[0, 1]], "w": [[0.5]]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fc.weighted_categorical_column(fc.numeric_column("x"), "w"), "Input must be a CategoricalColumn."),
        (lambda: fc.weighted_categorical_column(WEIGHTED, "w"), "The values of column 'id_weighted_by_w' have weights"),
        (
            lambda: fc.weighted_categorical_column(fc.sequence_categorical_column_with_identity("id", 4), "w"),
            "Input must be a CategoricalColumn.",
        ),
        (lambda: fc.weighted_categorical_column(IDS, 3), "key must be a string. Got: type <class 'int'>"),  # type: ignore[arg-type]
        (lambda: fc.weighted_categorical_column(IDS, "w", tf.string), "dtype <dtype: 'string'> is not convertible to"),
        (lambda: fc.weighted_categorical_column(IDS, "w", None), "dtype None is not convertible to float."),
        (lambda: fc.make_parse_example_spec([fc.weighted_categorical_column(IDS, "id")]), "Parse config VarLenFeature"),
        (
            lambda: fc.crossed_column([WEIGHTED, "word"], 9),
            "crossed_column does not support weight_tensor, but the given column populates weight_tensor.",
        ),
        (
            lambda: counts({"id": [[0, 1]], "w": [[1.0]]}),
            "Feature 'w' must hold a weight for each value of column 'id'. Received: 1 weights and 2 values per row.",
        ),
        (lambda: counts({"id": [0], "w": ["1"]}), "Bad dtype, expected <dtype: 'float32'>, but got <dtype: 'string'>."),
        (lambda: counts({"id": [0], "w": [[[1.0]]]}), "must have shape [batch] or [batch, values per row], a weight "),
        (
            lambda: counts({"id": [0]}),
            "Feature w is not in features dictionary. It is needed by column 'id_weighted_by_w'",
        ),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
