"""Recurrent ready-made models: sequences of every form and length, masks, cells of the caller's."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.estimators import RNNClassifier, RunConfig, _canned_recurrent

CELLS: dict[str, Callable[[], Any]] = {
    "simple": lambda: keras.layers.SimpleRNNCell(3),
    "simple without bias": lambda: keras.layers.SimpleRNNCell(2, activation=None, use_bias=False),
    "lstm": lambda: keras.layers.LSTMCell(3, activation="relu"),
    "gru": lambda: keras.layers.GRUCell(3),
    "gru without bias": lambda: keras.layers.GRUCell(3, use_bias=False),
    "two of one kind": lambda: [keras.layers.LSTMCell(3), keras.layers.LSTMCell(2)],
    "two kinds": lambda: [keras.layers.GRUCell(2), keras.layers.SimpleRNNCell(4)],
    "gru as Keras 1 had it": lambda: keras.layers.GRUCell(3, reset_after=False),
}
# Rows of all steps, of some, of none, and with a gap.
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]], bool)


@pytest.mark.parametrize("every_step", [False, True], ids=["last", "every step"])
@pytest.mark.parametrize("open_length", [False, True], ids=["known length", "open length"])
@pytest.mark.parametrize("name", CELLS)
def test_a_layer_is_called_as_keras_calls_it(name: str, open_length: bool, every_step: bool) -> None:
    keras.utils.set_random_seed(2)
    layer = keras.layers.RNN(CELLS[name](), return_sequences=every_step)
    steps = np.random.default_rng(1).normal(size=(4, 4, 2)).astype("float32")
    expected = layer(tf.constant(steps), mask=tf.constant(MASK))
    shape = [None, None if open_length else 4, 2]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32), tf.TensorSpec([None, None], tf.bool)])
    def found(steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return _canned_recurrent.call(layer, steps, mask, training=False)

    np.testing.assert_allclose(found(steps, MASK), expected, rtol=1e-5, atol=1e-6)


WORDS = [["u", "v", "w"], ["v"], [], ["w", "u"]]
COLUMN = fc.embedding_column(fc.sequence_categorical_column_with_vocabulary_list("words", ["u", "v", "w"]), 2)


def model_of(model_dir: pathlib.Path, **arguments: Any) -> RNNClassifier:
    settings: dict[str, Any] = {"units": [3], "optimizer": "SGD", **arguments}
    config = RunConfig(model_dir=str(model_dir), tf_random_seed=4, progress="none", save_summary_steps=0)
    return RNNClassifier([COLUMN], **settings, config=config)


def batch(features: Any, labels: Any = None) -> Callable[[], tf.data.Dataset]:
    return lambda: tf.data.Dataset.from_tensors(features if labels is None else (features, labels))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RNNClassifier:
    model = model_of(tmp_path_factory.mktemp("rnn"))
    model.train(batch({"words": tf.ragged.constant(WORDS)}, [[1], [0], [0], [1]]), steps=1)
    return model


def test_ragged_sparse_and_dense_rows_are_the_same(trained: RNNClassifier) -> None:
    ragged = tf.ragged.constant(WORDS)
    forms = {"ragged": ragged, "sparse": ragged.to_sparse(), "dense": ragged.to_tensor(default_value="")}
    logits = {name: [row["logits"] for row in trained.predict(batch({"words": form}))] for name, form in forms.items()}
    assert len(logits["ragged"]) == 4
    for name in ("sparse", "dense"):
        np.testing.assert_allclose(logits[name], logits["ragged"], rtol=1e-6, err_msg=name)
    # A row without steps has seen nothing: what is left is the bias of the logits.
    np.testing.assert_allclose(logits["ragged"][2], trained.get_variable_value("rnn_model/logits/bias"), rtol=1e-6)


def test_batches_without_any_step_and_without_rows(trained: RNNClassifier) -> None:
    nothing = tf.ragged.constant([[], []], ragged_rank=1, dtype=tf.string)
    rows = [row["logits"] for row in trained.predict(batch({"words": nothing}))]
    np.testing.assert_allclose(rows, [trained.get_variable_value("rnn_model/logits/bias")] * 2, rtol=1e-6)
    both = tf.data.Dataset.from_tensors(({"words": tf.ragged.constant(WORDS)}, tf.constant([[1], [0], [0], [1]])))
    empty = both.map(lambda features, labels: ({"words": features["words"][:0]}, labels[:0]))
    found, expected = (trained.evaluate(lambda rows=rows: rows) for rows in (both.concatenate(empty), both))
    # The loss is that of the mean batch, of which there are two.
    assert found.pop("loss") == pytest.approx(expected.pop("loss") / 2, rel=1e-6)
    assert found == pytest.approx(expected, rel=1e-6)


def test_each_step_is_classified_and_a_mask_among_the_features_goes_first(tmp_path: pathlib.Path) -> None:
    model = model_of(tmp_path, return_sequences=True, cell_type="gru")
    words, labels = tf.ragged.constant(WORDS), tf.ragged.constant([[1, 0, 0], [0], [], [0, 1]])
    model.train(batch({"words": words}, labels), steps=1)
    assert model.evaluate(batch({"words": words}, labels))["label/mean"] == pytest.approx(2 / 6)
    rows = list(model.predict(batch({"words": words})))
    assert [row["sequence_mask"].tolist() for row in rows[:2]] == [[True] * 3, [True, False, False]]
    assert rows[0]["probabilities"].shape == (3, 2)
    # Of no step there is an output for none.
    (row,) = model.predict(batch({"words": words[2:3]}))
    assert row["logits"].shape == (0, 1)
    first = tf.constant([[True, False, False]] * 4)
    found = model.evaluate(batch({"words": words, "sequence_mask": first}, labels.to_tensor()))
    assert found["label/mean"] == pytest.approx(1 / 4)


def test_cells_with_dropout_are_keras_s_own(tmp_path: pathlib.Path) -> None:
    model = model_of(tmp_path, units=None, rnn_cell_fn=lambda: keras.layers.LSTMCell(3, dropout=0.5))
    rows = batch({"words": tf.ragged.constant(WORDS)}, [[1], [0], [0], [1]])
    model.train(rows, steps=1)
    assert "rnn_model/rnn/lstm_cell/kernel" in model.get_variable_names()
    assert model.evaluate(rows) == model.evaluate(rows)


def test_cells_must_be_new_each_time(tmp_path: pathlib.Path) -> None:
    cell = keras.layers.LSTMCell(3)
    model = model_of(tmp_path, units=None, rnn_cell_fn=lambda: cell)
    words = {"words": tf.ragged.constant(WORDS)}
    model.train(batch(words, [[1], [0], [0], [1]]), steps=1)
    with pytest.raises(ValueError, match=r"must return new cells each time .*Make the cells inside the function"):
        list(model.predict(batch(words)))


def test_what_is_no_cell(tmp_path: pathlib.Path) -> None:
    model = model_of(tmp_path, units=None, rnn_cell_fn=lambda: keras.layers.Dense(3))
    with pytest.raises(ValueError, match=r"A RNN cell must be a Keras 3 layer .*Received: <Dense"):
        model.train(batch({"words": tf.ragged.constant(WORDS)}, [[1], [0], [0], [1]]), steps=1)


# Keras makes arrays of strings in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_to_keras_predicts_the_same_and_learns(trained: RNNClassifier) -> None:
    model = trained.to_keras()
    words = {"words": tf.ragged.constant(WORDS)}
    logits = [row["logits"] for row in trained.predict(batch(words))]
    np.testing.assert_allclose(model(words)["logits"], logits, rtol=1e-6)
    assert {weight.path for weight in model.trainable_weights} == {
        "sequence_features/words_embedding/embedding_weights",
        "rnn_model/rnn/simple_rnn_cell/kernel",
        "rnn_model/rnn/simple_rnn_cell/recurrent_kernel",
        "rnn_model/rnn/simple_rnn_cell/bias",
        "rnn_model/logits/kernel",
        "rnn_model/logits/bias",
    }
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(words)["logits"] ** 2)
    assert all(gradient is not None for gradient in tape.gradient(loss, [w.value for w in model.trainable_weights]))
