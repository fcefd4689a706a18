"""What is wrong with the arguments or the input of a ready-made estimator is said before it trains."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf

from headway import estimators, heads, input_pipelines
from headway import feature_columns as fc
from headway.estimators import RunConfig

X = fc.numeric_column("x")
WORD = fc.categorical_column_with_vocabulary_list("word", ["u", "v"])
Combined = estimators.DNNLinearCombinedClassifier
DNN = estimators.DNNClassifier
Linear = estimators.LinearClassifier

STEPS = fc.sequence_numeric_column("steps")
RNN = estimators.RNNClassifier


def _cells() -> Any:
    return [keras.layers.GRUCell(2)]


ARGUMENTS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: RNN([STEPS]), ValueError, "`units` must be the number of units in each recurrent layer, such as [32, 16]"),
    (lambda: RNN([STEPS], units=[2, 0]), ValueError, "Received: [2, 0]."),
    (lambda: RNN([STEPS], units=[]), ValueError, "Received: []."),
    (lambda: RNN([STEPS], units=2, cell_type="rnn"), ValueError, "['simple_rnn', 'lstm', 'gru']. Received: 'rnn'."),
    (lambda: RNN([STEPS], units=2, cell_type=["gru"]), ValueError, "Received: ['gru']."),
    (
        lambda: RNN([STEPS], units=2, rnn_cell_fn=_cells),
        ValueError,
        "units and cell_type must not be specified when using rnn_cell_fn. Received: units=2.",
    ),
    (lambda: RNN([STEPS], cell_type="gru", rnn_cell_fn=_cells), ValueError, "Received: units=None, cell_type='gru'."),
    (lambda: RNN([STEPS], rnn_cell_fn="gru"), ValueError, "`rnn_cell_fn` must be a function without arguments"),
    (lambda: RNN([X], units=2), ValueError, "`sequence_feature_columns`:"),
    (lambda: RNN([STEPS], [STEPS], units=2), ValueError, "`context_feature_columns`:"),
    (
        lambda: RNN([STEPS], units=2, return_sequences=True, weight_column=fc.numeric_column("w")),
        ValueError,
        "`weight_column` must be None or the name of a feature where `return_sequences` is set to True.",
    ),
    (
        lambda: estimators.RNNEstimator(heads.BinaryClassHead(), [STEPS], units=2, return_sequences=True),
        ValueError,
        "Provided head must be a `SequentialHeadWrapper` object when `return_sequences` is set to True",
    ),
    (lambda: Combined(), ValueError, "Either linear_feature_columns or dnn_feature_columns must be defined."),
    (
        lambda: Combined(linear_feature_columns=[], dnn_feature_columns=[]),
        ValueError,
        "Either linear_feature_columns or dnn_feature_columns must be defined.",
    ),
    (
        lambda: Combined(dnn_feature_columns=[X]),
        ValueError,
        "dnn_hidden_units must be defined when dnn_feature_columns is specified.",
    ),
    (
        lambda: Combined(dnn_feature_columns=[WORD], dnn_hidden_units=[2]),
        ValueError,
        "`dnn_feature_columns`: Items of feature_columns must be a DenseColumn.",
    ),
    (lambda: DNN([2], []), ValueError, "`feature_columns`: feature_columns must not be empty."),
    (lambda: DNN([2], [WORD]), ValueError, "wrap a categorical column with an embedding_column or indicator_column"),
    (lambda: DNN([2], ["x"]), ValueError, "Items of feature_columns must be a FeatureColumn."),
    (lambda: DNN([2], [X, X]), ValueError, "Duplicate feature column name found for columns"),
    (lambda: DNN(None, [X]), ValueError, "`hidden_units` must be a list of the number of units in each hidden layer"),
    (lambda: DNN([2, 0], [X]), ValueError, "Each must be an integer >= 1. Received: [2, 0]."),
    (lambda: DNN([2.5], [X]), ValueError, "Each must be an integer >= 1. Received: [2.5]."),
    (lambda: DNN("64", [X]), ValueError, "Received: '64'."),
    (lambda: DNN([2], [X], dropout=1.0), ValueError, "`dropout` must be None or a probability in [0, 1)."),
    (lambda: DNN([2], [X], dropout="0.5"), ValueError, "Received: '0.5'."),
    (lambda: DNN([2], [X], activation_fn=3), ValueError, "`activation_fn` must be a function such as tf.nn.relu"),
    (lambda: DNN([2], [X], n_classes=1), ValueError, "n_classes must be > 2: 1."),
    (lambda: DNN([2], [X], loss_reduction="none"), ValueError, "loss_reduction"),
    (lambda: DNN([2], [X], class_weights=[1.0]), ValueError, "class_weights"),
    (
        lambda: Linear([X], optimizer=estimators.LinearSDCA("id"), class_weights=[1.0, 2.0]),
        ValueError,
        "LinearSDCA knows no `loss_fn`, no `label_smoothing` and no `class_weights`.",
    ),
    (
        lambda: estimators.LinearEstimator(
            heads.BinaryClassHead(label_smoothing=0.1), [X], optimizer=estimators.LinearSDCA("id")
        ),
        ValueError,
        "LinearSDCA knows no `loss_fn`, no `label_smoothing` and no `class_weights`.",
    ),
    (lambda: DNN([2], [X], weight_column=3), TypeError, "Weight column must be either a string or NumericColumn."),
    (
        lambda: DNN([2], [X], optimizer="Adagard"),
        ValueError,
        "Unsupported optimizer name: Adagard. Supported names are: ('Adadelta', 'Adafactor', 'Adagrad', 'Adam', ",
    ),
    (
        lambda: Combined(linear_feature_columns=[X], linear_optimizer="?"),
        ValueError,
        "For another one, pass an instance as `linear_optimizer`.",
    ),
    (
        lambda: DNN([2], [X], optimizer=None),
        ValueError,
        "The given object is not a tf.keras.optimizers.Optimizer instance. Given: None.",
    ),
    (
        lambda: Linear([X], optimizer=tf.compat.v1.train.GradientDescentOptimizer(0.1)),
        ValueError,
        "Pass a Keras optimizer as `optimizer`, such as keras.optimizers.SGD(...).",
    ),
    (
        lambda: Linear([X], optimizer=tf.compat.v1.train.FtrlOptimizer(0.1)),
        ValueError,
        "such as keras.optimizers.Ftrl(...).",
    ),
    (
        lambda: Linear([X], sparse_combiner="max"),
        ValueError,
        "sparse_combiner must be one of 'mean', 'sqrtn' or 'sum'.",
    ),
    (lambda: Linear({"x": X}), ValueError, "Expected feature_columns to be iterable, found dict."),
    (lambda: estimators.LinearRegressor([X], label_dimension=0), ValueError, "Invalid label_dimension 0."),
    (lambda: estimators.LinearEstimator("head", [X]), TypeError, "`head` must be a head of headway.heads."),
    (lambda: Linear([X], config="x"), ValueError, "config must be an instance of `RunConfig`."),
]


@pytest.mark.parametrize(("build", "error", "message"), ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_arguments(build: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        build()


INPUT: list[tuple[dict[str, Any], Any, Any, str]] = [
    ({}, {"y": [1.0]}, [1], "'x'.*'y'"),
    ({}, {"x": ["a"]}, [1], "numeric_column 'x' needs numbers"),
    ({"weight_column": "w"}, {"x": [1.0]}, [1], r"Feature w is not in features dictionary.*\['x'\]"),
    ({}, [[1.0]], [1], "features should be a dictionary of `Tensor`s. Given type:"),
    ({}, {"x": [1.0]}, [2], "Labels must be <= n_classes - 1"),
    ({}, {"x": [1.0]}, None, "You must provide a labels Tensor. Given: None"),
    ({"label_vocabulary": ["a", "b"]}, {"x": [1.0]}, [1], "label"),
    ({"optimizer": lambda: "Adam"}, {"x": [1.0]}, [1], "Given: 'Adam'. `optimizer` must be the name"),
    (
        {"optimizer": lambda: tf.compat.v1.train.AdamOptimizer()},
        {"x": [1.0]},
        [1],
        r"such as keras.optimizers.Adam\(...\)",
    ),
]


@pytest.mark.parametrize(("arguments", "features", "labels", "message"), INPUT, ids=range(len(INPUT)))
def test_input(arguments: dict[str, Any], features: Any, labels: Any, message: str, tmp_path: pathlib.Path) -> None:
    estimator = Linear([X], **arguments, config=RunConfig(model_dir=str(tmp_path), progress="none"))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        estimator.train(input_pipelines.from_arrays(features, labels, batch_size=1), steps=1)
    # Values are only met in the first step, and a run saves its first checkpoint before it.
    assert estimator.latest_checkpoint() in (None, str(tmp_path / "model.ckpt-0"))


class _Unserializable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    def __call__(self, step: Any) -> Any:
        return 0.1


def test_an_optimizer_that_cannot_be_made_again(tmp_path: pathlib.Path) -> None:
    optimizer = keras.optimizers.SGD(_Unserializable())
    config = RunConfig(model_dir=str(tmp_path), progress="none")
    rows = input_pipelines.from_arrays({"x": [1.0]}, [1], batch_size=1, num_epochs=None)
    with pytest.raises(ValueError, match="give a ready-made estimator a function that returns the optimizer"):
        Linear([X], optimizer=optimizer, config=config).train(rows, steps=1)
    maker = Linear([X], optimizer=lambda: keras.optimizers.SGD(_Unserializable()), config=config)
    assert maker.train(rows, steps=1).get_variable_value("global_step") == 1


def test_a_head_may_read_any_feature(tmp_path: pathlib.Path) -> None:
    def times_factor(labels: Any, logits: Any, features: Any) -> Any:
        return (labels - logits) * tf.cast(features["f"][:, None], tf.float32)

    head = heads.RegressionHead(loss_fn=times_factor)
    estimator = estimators.LinearEstimator(head, [X], config=RunConfig(model_dir=str(tmp_path), progress="none"))
    rows = input_pipelines.from_arrays({"x": [1.0], "f": [3.0]}, [2.0], batch_size=1)
    # No weights yet: (2 - 0) * 3.
    assert estimator.evaluate(rows)["loss"] == pytest.approx(6.0)
