"""DenseFeatures and LinearModel as Keras layers."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc

WORD = fc.categorical_column_with_vocabulary_list("word", ["red", "green"])
MANY = fc.categorical_column_with_hash_bucket("many", 10)
NUMBER = fc.numeric_column("number")
DENSE = [NUMBER, fc.embedding_column(WORD, 2), fc.embedding_column(MANY, 3)]
LINEAR = [NUMBER, WORD, MANY, fc.embedding_column(WORD, 2)]
RAW: dict[str, Any] = {"number": [1.0, 2.0], "word": ["green", ""], "many": [["x", "y"], ["", "z"]]}


def tensors() -> dict[str, tf.Tensor]:
    return {key: tf.constant(value) for key, value in RAW.items()}


def test_names_of_variables() -> None:
    dense, linear = fc.DenseFeatures(DENSE), fc.LinearModel(LINEAR, units=2, name="wide")
    dense(RAW)
    linear(RAW)
    assert [(weight.path, tuple(weight.shape)) for weight in dense.weights] == [
        ("dense_features/many_embedding/embedding_weights", (10, 3)),
        ("dense_features/word_embedding/embedding_weights", (2, 2)),
    ]
    assert {weight.path: tuple(weight.shape) for weight in linear.weights} == {
        "wide/bias_weights": (2,),
        "wide/many/weights": (10, 2),
        "wide/number/weights": (1, 2),
        "wide/word/weights": (2, 2),
        "wide/word_embedding/embedding_weights": (2, 2),
        "wide/word_embedding/weights": (2, 2),
    }
    assert linear(RAW).numpy().tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    "layer", [lambda: fc.DenseFeatures(DENSE), lambda: fc.LinearModel([fc.embedding_column(WORD, 2), MANY])]
)
def test_features_of_every_form(layer: Any) -> None:
    layer = layer()
    expected = layer(RAW).numpy()
    for weight in layer.weights:
        weight.assign(np.sin(np.arange(weight.shape.num_elements())).reshape(weight.shape))
    expected = layer(RAW).numpy()
    sparse = tf.SparseTensor([[0, 0], [0, 1], [1, 1]], ["x", "y", "z"], [2, 2])
    ragged = tf.ragged.constant([["x", "y"], ["z"]])
    transformed = fc.ColumnTransform(layer.feature_columns)(RAW)
    for features in ({**RAW, "many": sparse}, {**RAW, "many": ragged}, transformed):
        np.testing.assert_allclose(layer(features), expected, rtol=1e-6)
    np.testing.assert_allclose(tf.function(layer)(tensors()), expected, rtol=1e-6)


def test_frozen_layer() -> None:
    layer = fc.DenseFeatures(DENSE, trainable=False)
    layer(RAW)
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (0, 2)


def test_frozen_column() -> None:
    layer = fc.DenseFeatures([fc.embedding_column(WORD, 2, trainable=False), fc.embedding_column(MANY, 3)])
    layer(RAW)
    assert [weight.path for weight in layer.trainable_weights] == ["dense_features/many_embedding/embedding_weights"]


def test_gradient_is_sparse() -> None:
    layer = fc.DenseFeatures(DENSE)
    layer(RAW)
    variables = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(RAW))
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in tape.gradient(loss, variables))


def test_functional_model_trains_and_exports(tmp_path: pathlib.Path) -> None:
    inputs = {
        "number": keras.Input((), name="number"),
        "word": keras.Input((), dtype="string", name="word"),
        "many": keras.Input((None,), dtype="string", name="many"),
    }
    deep = keras.layers.Dense(1)(fc.DenseFeatures(DENSE)(inputs))
    model = keras.Model(inputs, keras.layers.Add()([deep, fc.LinearModel(LINEAR)(inputs)]))
    model.compile("sgd", "mse")
    labels = tf.constant([1.0, -1.0])
    before = model.evaluate(tensors(), labels, verbose=0)
    model.fit(tensors(), labels, epochs=5, verbose=0)
    assert model.evaluate(tensors(), labels, verbose=0) < before
    module = tf.Module()
    module.model = model
    module.serve = tf.function(lambda x: {"out": model(x)})
    expected = module.serve(tensors())["out"].numpy()
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.serve(tensors())["out"], expected, rtol=1e-6)


def test_under_a_strategy(mirrored: tf.distribute.Strategy) -> None:
    with mirrored.scope():
        layer = fc.DenseFeatures(DENSE)
        layer(RAW)
    single = layer(RAW).numpy()
    per_replica = mirrored.run(tf.function(lambda: layer(tensors())))
    for value in mirrored.experimental_local_results(per_replica):
        np.testing.assert_allclose(value, single, rtol=1e-6)


def test_columns_that_are_first_met_inside_a_replica(mirrored: tf.distribute.Strategy) -> None:
    columns = [fc.indicator_column(fc.categorical_column_with_vocabulary_list("word", ["sea", "river", "lake"]))]

    @tf.function
    def step() -> tf.Tensor:
        # Called in each replica, within a trace: the vocabulary's table must not belong to the trace.
        return mirrored.run(lambda: fc.dense_tensor(columns, {"word": tf.constant(["lake"])}, lambda *_: None))

    for value in mirrored.experimental_local_results(step()):
        assert value.numpy().tolist() == [[0.0, 0.0, 1.0]]


def test_mixed_precision_keeps_features_exact() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = fc.DenseFeatures([NUMBER])
    # 257 has no bfloat16.
    assert layer({"number": [257.0]}).numpy().tolist() == [[257.0]]


def test_variables_keep_the_slashes_of_features() -> None:
    # The names are those of tf.keras.layers.DenseFeatures in a model_fn of tf.estimator 2.15; with a blank it raises.
    keys = ("a/b", "/e", "c//d", "a_b", "x y")
    columns = [fc.embedding_column(fc.categorical_column_with_identity(key, 3), 2) for key in keys]
    layer = fc.DenseFeatures(columns)
    layer({key: [0, 1] for key in keys})
    assert [weight.path for weight in layer.weights] == [
        "dense_features//e_embedding/embedding_weights",
        "dense_features/a/b_embedding/embedding_weights",
        "dense_features/a_b_embedding/embedding_weights",
        "dense_features/c//d_embedding/embedding_weights",
        "dense_features/x_y_embedding/embedding_weights",
    ]


# Keras 3 hands NumPy an __array__ without `copy` as it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_weights_of_features_with_slashes_survive_a_file(tmp_path: pathlib.Path) -> None:
    columns = [fc.embedding_column(fc.categorical_column_with_identity(key, 3), 2) for key in ("a/b", "a_b")]
    inputs = {key: keras.Input([1], name=key.replace("/", "."), dtype="int64") for key in ("a/b", "a_b")}
    models = [keras.Model(list(inputs.values()), fc.DenseFeatures(columns)(inputs)) for _ in range(2)]
    models[0].save_weights(tmp_path / "m.weights.h5")
    models[1].load_weights(tmp_path / "m.weights.h5")
    for mine, theirs in zip(models[1].weights, models[0].weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_columns_whose_variables_would_have_one_name() -> None:
    columns = [fc.categorical_column_with_identity(key, 3) for key in ("a/b", "a_b")]
    with pytest.raises(ValueError, match=r"Two columns need a variable 'a_b/weights'.*Rename one of the features"):
        fc.LinearModel(columns)({"a/b": [0], "a_b": [1]})
