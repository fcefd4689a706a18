"""Sequences: their forms, their lengths, and the mask that goes on with them."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc

WORD = fc.sequence_categorical_column_with_vocabulary_list("word", ["red", "green"])
COUNTS = fc.indicator_column(WORD)
LOAD = fc.sequence_numeric_column("load")
TABLE = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)

# "pink" is a step without an id.
FORMS: dict[str, tuple[Any, list[int]]] = {
    "dense": ([["red", "pink", "green"], ["", "red", ""], ["", "", ""]], [3, 2, 0]),
    "sparse": (
        tf.SparseTensor([[0, 0], [0, 1], [0, 2], [1, 1]], ["red", "pink", "green", "red"], [3, 3]),
        [3, 2, 0],
    ),
    "ragged": (tf.ragged.constant([["red", "pink", "green"], ["", "red"], []]), [3, 2, 0]),
    "several": (
        [[["red", ""], ["", "pink"], ["green", ""]], [["", ""], ["", "red"], ["", ""]], [["", ""]] * 3],
        [3, 2, 0],
    ),
    "several in a ragged tensor": (
        tf.ragged.constant([[["red"], ["pink", "pink"], ["green"]], [[], ["red"]], []], ragged_rank=2),
        [3, 2, 0],
    ),
    "several in a sparse tensor": (
        tf.SparseTensor([[0, 0, 1], [0, 1, 0], [0, 2, 0], [1, 1, 1]], ["red", "pink", "green", "red"], [3, 3, 2]),
        [3, 2, 0],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str) -> None:
    feature, expected = FORMS[form]
    steps, lengths = fc.SequenceFeatures([COUNTS])({"word": feature})
    assert lengths.numpy().tolist() == expected
    nothing = [0.0, 0.0]
    assert steps.numpy().tolist() == [
        [[1.0, 0.0], nothing, [0.0, 1.0]],
        [nothing, [1.0, 0.0], nothing],
        [nothing] * 3,
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("combiner", ["mean", "sum", "sqrtn"])
def test_a_linear_model_takes_all_ids_of_a_row(form: str, combiner: str) -> None:
    value = {"word/weights": TABLE, "bias_weights": [0.5, 0.0]}
    logits = fc.linear_logits([WORD], {"word": FORMS[form][0]}, 2, lambda name, *_: tf.Variable(value[name]), combiner)
    divisor = {"mean": 2.0, "sum": 1.0, "sqrtn": 2.0**0.5}[combiner]
    expected = [[4.0 / divisor + 0.5, 6.0 / divisor], [1.5, 2.0], [0.5, 0.0]]
    np.testing.assert_allclose(logits, expected, rtol=1e-6)


def test_several_values_per_step_are_combined() -> None:
    feature = tf.ragged.constant([[["red", "green"], []], [["green"]]], ragged_rank=2)
    column = fc.embedding_column(WORD, 2, combiner="mean")
    steps, _ = fc.sequence_tensor([column], {"word": feature}, lambda *_: tf.Variable(TABLE))
    assert steps.numpy().tolist() == [[[2.0, 3.0], [0.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]]]


def test_numbers() -> None:
    pair = fc.sequence_numeric_column("pair", shape=2, default_value=-1.0)
    # Five numbers are two steps and a half: the last one is filled up.
    sparse = tf.SparseTensor([[0, 0], [0, 1], [0, 4], [1, 1]], [1.0, 2.0, 3.0, 4.0], [2, 5])
    steps, lengths = fc.SequenceFeatures([pair])({"pair": sparse})
    assert steps.numpy().tolist() == [[[1, 2], [-1, -1], [3, -1]], [[-1, 4], [-1, -1], [-1, -1]]]
    assert lengths.numpy().tolist() == [3, 1]
    for feature in (
        tf.ragged.constant([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0]]),
        tf.ragged.constant([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]], inner_shape=(2,)),
    ):
        steps, lengths = fc.SequenceFeatures([pair])({"pair": feature})
        assert steps.numpy().tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
        assert lengths.numpy().tolist() == [2, 1]
    for dense in ([[1, 2, 3, 4]], [[[1, 2], [3, 4]]]):
        steps, lengths = fc.SequenceFeatures([pair])({"pair": dense})
        assert (steps.numpy().tolist(), lengths.numpy().tolist()) == ([[[1, 2], [3, 4]]], [2])


def test_a_normalizer_sees_the_feature_as_it_comes() -> None:
    def doubled(feature: tf.SparseTensor) -> tf.SparseTensor:
        return tf.SparseTensor(feature.indices, feature.values * 2.0, feature.dense_shape)

    load = fc.sequence_numeric_column("load", normalizer_fn=doubled)
    steps, _ = fc.SequenceFeatures([load])({"load": tf.SparseTensor([[0, 1]], [3.0], [1, 2])})
    assert steps.numpy().tolist() == [[[0.0], [6.0]]]


def test_columns_of_different_forms_are_as_long_as_the_longest() -> None:
    features = {
        "word": [["red", "green", "", ""], ["red", "", "", ""]],
        "load": tf.ragged.constant([[1.0, 2.0], [3.0]]),
    }
    steps, lengths = fc.SequenceFeatures([LOAD, COUNTS])(features)
    assert lengths.numpy().tolist() == [2, 1]
    assert steps.shape == (2, 4, 3)
    assert steps.numpy()[:, :2].tolist() == [[[1, 1, 0], [2, 0, 1]], [[3, 1, 0], [0, 0, 0]]]
    assert not steps.numpy()[:, 2:].any()


@pytest.mark.parametrize("compiled", [False, True])
def test_columns_that_differ_in_length(compiled: bool) -> None:
    features = {"word": tf.ragged.constant([["red"]]), "load": tf.ragged.constant([[1.0, 2.0]])}
    layer: Any = fc.SequenceFeatures([LOAD, COUNTS])
    layer(FEATURES)
    run = tf.function(layer) if compiled else layer
    with pytest.raises(tf.errors.InvalidArgumentError, match="Sequences load and word differ in the number of steps"):
        run(features)


FEATURES = {"word": tf.ragged.constant([["red", "green"], ["red"]]), "load": tf.ragged.constant([[1.0, 2.0], [3.0]])}


@pytest.mark.parametrize("transformed", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_mask_reaches_a_recurrent_layer(transformed: bool, compiled: bool) -> None:
    layer = fc.SequenceFeatures([LOAD, fc.embedding_column(WORD, 2)])
    recurrent = keras.layers.GRU(3)
    features: Any = fc.ColumnTransform(layer.feature_columns)(FEATURES) if transformed else FEATURES

    def apply(features: Any) -> tf.Tensor:
        return recurrent(layer(features)[0])

    layer(FEATURES)
    result = (tf.function(apply) if compiled else apply)(features)
    # The second row ends after its first step, as if it stood alone.
    alone = apply({"word": [["red"]], "load": [[3.0]]})
    np.testing.assert_allclose(result[1:], alone, rtol=1e-5)


def test_model_trains_and_exports(tmp_path: pathlib.Path) -> None:
    inputs = {"word": keras.Input((None,), dtype="string", name="word")}
    steps, lengths = fc.SequenceFeatures([fc.embedding_column(WORD, 2)], name="sequence_features")(inputs)
    assert (steps.shape, lengths.shape) == ((None, None, 2), (None,))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GRU(3)(steps)))
    assert model.layers[1].weights[0].path == "sequence_features/word_embedding/embedding_weights"
    model.compile("sgd", "mse")
    words = {"word": tf.constant([["red", "green"], ["red", ""]])}
    labels = tf.constant([1.0, -1.0])
    before = model.evaluate(words, labels, verbose=0)
    model.fit(words, labels, epochs=5, verbose=0)
    assert model.evaluate(words, labels, verbose=0) < before
    np.testing.assert_allclose(model(words)[1:], model({"word": tf.constant([["red"]])}), rtol=1e-5)
    module = tf.Module()
    module.model = model
    module.serve = tf.function(lambda x: {"out": model(x)})
    expected = module.serve(words)["out"].numpy()
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.serve(words)["out"], expected, rtol=1e-6)


def test_under_a_strategy(mirrored: tf.distribute.Strategy) -> None:
    with mirrored.scope():
        layer = fc.SequenceFeatures([LOAD, fc.embedding_column(WORD, 2)])
        single = layer(FEATURES)[0].numpy()
    for value in mirrored.experimental_local_results(mirrored.run(tf.function(lambda: layer(FEATURES)[0]))):
        np.testing.assert_allclose(value, single, rtol=1e-6)


def test_gradient_is_sparse() -> None:
    table = tf.Variable(TABLE)
    with tf.GradientTape() as tape:
        steps, _ = fc.sequence_tensor([fc.embedding_column(WORD, 2)], {"word": [["red", "red", ""]]}, lambda *_: table)
        loss = tf.reduce_sum(steps)
    slices = tape.gradient(loss, table)
    assert isinstance(slices, tf.IndexedSlices)
    assert tf.convert_to_tensor(slices).numpy().tolist() == [[2.0, 2.0], [0.0, 0.0]]
    assert set(slices.indices.numpy().tolist()) == {0}


PLAIN = fc.categorical_column_with_identity("id", 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fc.DenseFeatures([COUNTS]), "In word_indicator: the column must not be a sequence, and categorical"),
        (lambda: fc.DenseFeatures([LOAD]), "In load: the column must not be a sequence"),
        (lambda: fc.LinearModel([COUNTS]), "use SequenceFeatures instead of DenseFeatures"),
        (lambda: fc.SequenceFeatures([fc.numeric_column("x")]), "In x: items of feature_columns must be sequences."),
        (
            lambda: fc.SequenceFeatures([fc.embedding_column(PLAIN, 2)]),
            "In id_embedding: items of feature_columns must",
        ),
        (lambda: fc.SequenceFeatures([WORD]), "Suggested fix: Use sequence_numeric_column, or embedding_column or"),
        (lambda: fc.crossed_column([WORD, "x"], 9), "Sequences cannot be crossed."),
        (lambda: fc.sequence_numeric_column("x", shape=[0]), "shape dimensions must be greater than 0. shape: (0,)"),
        (lambda: fc.sequence_numeric_column("x", dtype=tf.string), "dtype must be convertible to float. dtype: <dtype"),
        (lambda: fc.sequence_numeric_column(3), "key must be a string. Got: type <class 'int'>"),  # type: ignore[arg-type]
        (
            lambda: fc.SequenceFeatures([COUNTS])({"word": ["red"]}),
            "Feature 'word' of sequence column 'word' must have shape [batch, steps] or [batch, steps, values",
        ),
        (
            lambda: fc.SequenceFeatures([COUNTS])({"word": [[1.5]]}),
            "column_name: word input_tensor dtype must be string or integer. dtype: <dtype: 'float32'>, key: word.",
        ),
        (
            lambda: fc.SequenceFeatures([LOAD])({"load": [1.0]}),
            "Feature 'load' of sequence_numeric_column must have shape [batch, steps] or more",
        ),
        (lambda: fc.SequenceFeatures([LOAD])({"load": [["1"]]}), "sequence_numeric_column 'load' needs numbers."),
        (
            lambda: fc.SequenceFeatures([LOAD])({"load": [[[1.0, 2.0]]]}),
            "sequence_numeric_column 'load' with shape (1,) expected 1 numbers per step. Received: (1, 1, 2).",
        ),
        (
            lambda: fc.SequenceFeatures([fc.sequence_numeric_column("pair", shape=2)])({"pair": [[1.0, 2.0, 3.0]]}),
            "sequence_numeric_column 'pair' with shape (2,) expected 2 numbers per step. Received: (1, 3).",
        ),
        (
            lambda: fc.SequenceFeatures([LOAD])({"load": tf.ragged.constant([[[1.0], []]])}),
            "may be ragged in its second dimension, the steps, only. Received: (1, None, None)",
        ),
        (
            lambda: fc.SequenceFeatures([fc.sequence_numeric_column("x", normalizer_fn=lambda x: 3)])({"x": [[1.0]]}),
            "The normalizer_fn of sequence_numeric_column 'x' must return a tensor of the form that it is given",
        ),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_normalizer_that_is_no_function() -> None:
    with pytest.raises(TypeError, match=r"normalizer_fn must be a callable\. Given: 3"):
        fc.sequence_numeric_column("x", normalizer_fn=3)  # type: ignore[arg-type]


def test_part_of_a_step() -> None:
    pair = fc.sequence_numeric_column("pair", shape=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold a multiple of 2 numbers in each row"):
        fc.SequenceFeatures([pair])({"pair": tf.ragged.constant([[1.0, 2.0, 3.0], [4.0]])})
