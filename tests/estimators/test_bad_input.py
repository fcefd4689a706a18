"""Mistakes, made through an estimator as users make them: each gets an error that says what is wrong.

None may come as TensorFlow's own error with its stack of operations.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from headway import estimators, feature_columns, heads, input_pipelines
from headway.estimators import Estimator, EstimatorSpec, RunConfig, WarmStartSettings

v1 = tf.compat.v1

Case = tuple[Callable[[Any, str], Any], str]
X = np.arange(12, dtype="float32").reshape(6, 2) / 12.0
LABELS = np.array([0, 1, 2, 0, 1, 2])


def arrays(features: Any = None, labels: Any = LABELS, **arguments: Any) -> Any:
    """Returns a pipeline over six rows."""
    return input_pipelines.from_arrays({"x": X} if features is None else features, labels, **arguments)


def with_head(head: Any, folder: str, outputs: int = 1, optimizer: Any = "SGD", **config: Any) -> Estimator:
    """Returns an estimator of one dense layer and a head."""

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        layer = keras.layers.Dense(outputs)
        made = keras.optimizers.SGD(0.1) if optimizer == "SGD" else optimizer
        logits = layer(features["x"])
        return head.create_estimator_spec(
            features, mode, logits, labels, optimizer=made, trainable_variables=layer.trainable_variables
        )

    return Estimator(model_fn, folder, RunConfig(progress="none", **config))


def canned(folder: str, *columns: Any, kind: Any = estimators.DNNClassifier, **arguments: Any) -> Any:
    """Returns a canned model."""
    hidden = {} if kind.__name__.startswith("Linear") else {"hidden_units": [4]}
    chosen = list(columns) or [feature_columns.numeric_column("x", shape=(2,))]
    return kind(**{**hidden, **arguments}, feature_columns=chosen, model_dir=folder, config=RunConfig(progress="none"))


def dataset(features: Any, labels: Any = None, batch: int = 3) -> Callable[[], tf.data.Dataset]:
    """Returns an input_fn."""
    data = features if labels is None else (features, labels)
    return lambda: tf.data.Dataset.from_tensor_slices(data).batch(batch)


def csv_with(text: str, folder: str) -> Any:
    """Returns a pipeline over a file of two columns of numbers."""
    path = pathlib.Path(folder).parent / "rows.csv"
    path.write_text("x,y\n" + text)
    types = {"x": "float32", "y": "float32"}
    return input_pipelines.from_csv(str(path), label="y", batch_size=1, dtypes=types)


def spec_with(**fields: Any) -> Callable[..., Any]:
    """Returns a model_fn that returns these fields, made in its call where they are functions."""

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(1.0, name="w")
        made = {name: value(w) if callable(value) else value for name, value in fields.items()}
        return EstimatorSpec(mode, **made)

    return model_fn


def own(model_fn: Any, folder: str, **arguments: Any) -> Estimator:
    """Returns an estimator of one's own model_fn."""
    return Estimator(model_fn, folder, RunConfig(progress="none"), **arguments)


def train(model: Any, rows: Any = None, **arguments: Any) -> Any:
    """Trains, for a step where nothing else is said."""
    return model.train(arrays() if rows is None else rows, **({"steps": 1} | arguments))


def train_op(w: Any) -> Any:
    return w.assign_add(1.0)


def keras_minimize(optimizer: Any) -> Callable[[Any], Any]:
    return lambda w: estimators.minimize(optimizer, tf.square(w), [w])


def nan_at(value: float) -> np.ndarray[Any, Any]:
    changed = X.copy()
    changed[4, 1] = value
    return changed


three = heads.MultiClassHead(3)
two = heads.BinaryClassHead()
number = heads.RegressionHead()

LABEL_CASES: dict[str, Case] = {
    "class too large": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels=LABELS + 5)),
        r"Labels must be <= n_classes - 1 = 2.*received: 5 7",
    ),
    "class too large, in evaluation": (
        lambda s, d: with_head(three, d, 3).evaluate(arrays(labels=LABELS + 5)),
        r"Labels must be <= n_classes - 1 = 2.*received: 5 7",
    ),
    "class too large, canned": (
        lambda s, d: train(canned(d, n_classes=3), arrays(labels=LABELS + 1)),
        r"Labels must be <= n_classes - 1 = 2.*received: 1 3",
    ),
    "class too large, eagerly": (
        lambda s, d: train(with_head(three, d, 3, run_eagerly=True), arrays(labels=LABELS + 5)),
        r"Labels must be <= n_classes - 1 = 2.*received: 5 7",
    ),
    "class below zero": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels=LABELS - 1)),
        r"Labels must be >= 0.*-1 1",
    ),
    "binary label 2": (lambda s, d: train(with_head(two, d)), r"[Ll]abels must be .*received: .*0.* 2"),
    "string labels": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels=np.array(list("abcabc")))),
        r"[Ll]abel.*(dtype|type).*string|string.*label",
    ),
    "float classes": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels=LABELS + 0.5)),
        r"[Ll]abels dtype should be integer",
    ),
    "unknown word": (
        lambda s, d: train(
            with_head(heads.MultiClassHead(3, label_vocabulary=["a", "b", "c"]), d, 3),
            arrays(labels=np.array(list("abcabd"))),
        ),
        r"[Ll]abel.*vocabulary.*d",
    ),
    "no labels": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels=None)),
        r"You must provide a labels Tensor. Given: None",
    ),
    "one-hot labels": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels=np.eye(3)[LABELS].astype("int64"))),
        r"Expected labels dimension=1. Received 3. Suggested Fix: if your labels are one-hot",
    ),
    "logits of another size": (
        lambda s, d: train(with_head(three, d, 4)),
        r"logits shape must be .*logits_dimension=3",
    ),
    "NaN labels": (
        lambda s, d: train(with_head(number, d), arrays(labels=np.array([0, 1, np.nan, 3, 4, 5], "float32"))),
        r"(?s)label.*(NaN|missing)",
    ),
    "no weight column": (
        lambda s, d: train(with_head(heads.RegressionHead(weight_column="w"), d)),
        r"Feature w is not in features dictionary.*Features that are there: \['x'\]",
    ),
    "NaN labels in a dataset": (
        lambda s, d: train(
            with_head(number, d), dataset({"x": X}, np.array([0, 1, 2, 3, 4, np.nan], "float32")), steps=3
        ),
        r"^Labels must be finite.*First such row of the batch, counted from 0: 2$",
    ),
    "infinite labels in a dataset": (
        lambda s, d: train(with_head(number, d), dataset({"x": X}, np.array([-np.inf, 1, 2, 3, 4, 5], "float32"))),
        r"^Labels must be finite.*First such row of the batch, counted from 0: 0$",
    ),
    "labels in a dict": (
        lambda s, d: train(with_head(three, d, 3), arrays(labels={"a": LABELS})),
        r"labels must be one Tensor, not a dict.*'a'",
    ),
}

FEATURE_CASES: dict[str, Case] = {
    "no such feature": (
        lambda s, d: train(canned(d, n_classes=3), arrays({"y": X})),
        r"(?s)'?x'?.*(not in|missing).*y",
    ),
    "no such feature in prediction": (
        lambda s, d: list(train(canned(d, n_classes=3)).predict(arrays({"y": X}, None))),
        r"(?s)'?x'?.*(not in|missing).*y",
    ),
    "wrong shape": (lambda s, d: train(canned(d, n_classes=3), arrays({"x": X[:, :1]})), r"(?s)x.*shape.*\(2,\)"),
    "words for numbers": (
        lambda s, d: train(canned(d, n_classes=3), arrays({"x": np.array(list("abcdef"))})),
        r"(?s)x.*string",
    ),
    "numbers for words": (
        lambda s, d: train(
            canned(
                d,
                feature_columns.indicator_column(feature_columns.categorical_column_with_vocabulary_list("x", ["a"])),
                n_classes=3,
            ),
            arrays({"x": X[:, 0]}),
        ),
        r"(?s)x.*(string|integer|float)",
    ),
    "NaN": (
        lambda s, d: train(canned(d, n_classes=3), arrays({"x": nan_at(np.nan)})),
        r"(?s)The input has NaN or infinite values.*First bad row, and columns: [14] x",
    ),
    "infinity": (
        lambda s, d: train(canned(d, n_classes=3), arrays({"x": nan_at(np.inf)})),
        r"(?s)The input has NaN or infinite values.*First bad row, and columns: [14] x",
    ),
    "NaN in a dataset": (
        lambda s, d: train(canned(d, n_classes=3), dataset({"x": nan_at(np.nan)}, LABELS), steps=2),
        r"(?s)The input has NaN or infinite values.*First bad row, and columns: [14] x",
    ),
    "identity out of range": (
        lambda s, d: train(
            canned(
                d,
                feature_columns.indicator_column(feature_columns.categorical_column_with_identity("x", 3)),
                n_classes=3,
            ),
            arrays({"x": LABELS + 1}),
        ),
        r"Feature x .* has a value outside of \[0, 3\).*Received: 3",
    ),
    "categorical column in a DNN": (
        lambda s, d: canned(d, feature_columns.categorical_column_with_identity("x", 3)),
        r"(?s)embedding_column|indicator_column",
    ),
    "no columns": (lambda s, d: estimators.DNNClassifier([4], feature_columns=[], model_dir=d), r"feature_columns"),
    "a name for a column": (lambda s, d: estimators.LinearClassifier(["x"], model_dir=d), r"(?s)feature_columns.*'x'"),
    "no hidden units": (
        lambda s, d: estimators.DNNClassifier([0], [feature_columns.numeric_column("x")], model_dir=d),
        r"hidden_units",
    ),
    "one class": (lambda s, d: canned(d, n_classes=1), r"n_classes"),
    "an optimizer that there is not": (lambda s, d: canned(d, optimizer="Adamm"), r"(?s)Adamm.*Adam"),
    "a feature column not of ours": (lambda s, d: canned(d, 3.0), r"feature_columns"),
}

INPUT_CASES: dict[str, Case] = {
    "a dataset itself": (
        lambda s, d: train(own(s.linear, d), dataset({"x": X})()),
        r"input_fn must be a function that returns a Dataset, not the",
    ),
    "no function": (lambda s, d: train(own(s.linear, d), 3), r"input_fn must be a function. Received: 3"),
    "None": (lambda s, d: train(own(s.linear, d), lambda: None), r"input_fn returned None"),
    "a generator": (
        lambda s, d: train(own(s.linear, d), lambda: (row for row in [])),
        r"input_fn returned an iterator \(generator\).*Dataset.from_generator",
    ),
    "a data frame": (
        lambda s, d: train(own(s.linear, d), lambda: pd.DataFrame({"x": [1.0]})),
        r"input_fn returned a data frame \(DataFrame\).*from_dataframe",
    ),
    "a function of the input": (
        lambda s, d: train(own(s.linear, d), lambda: dataset({"x": X})),
        r"input_fn returned a function.*Call it",
    ),
    "a single row": (
        lambda s, d: train(canned(d, n_classes=3), lambda: tf.data.Dataset.from_tensor_slices(({"x": X}, LABELS))),
        r"^numeric_column 'x' .* received \(2,\) as feature 'x'. That looks like a single row: batch the dataset",
    ),
    "steps in words": (lambda s, d: train(own(s.linear, d), steps="10"), r"`steps` must be a whole number .*: '10' of"),
    "half a step": (lambda s, d: train(own(s.linear, d), steps=1.5), r"`steps` must be a whole number .*: 1.5 of"),
    "endless steps": (
        lambda s, d: train(own(s.linear, d), steps=None, max_steps=float("inf")),
        r"`max_steps` must be a whole number .*: inf of",
    ),
    "evaluation steps in words": (
        lambda s, d: own(s.linear, d).evaluate(arrays(), steps="1"),
        r"`steps` must be a whole number",
    ),
    "predict_keys that are no names": (
        lambda s, d: list(train(canned(d, n_classes=3)).predict(arrays(labels=None), predict_keys=[3])),
        r"`predict_keys` must be a list of names",
    ),
    "a tensor for a hook of train": (
        lambda s, d: train(own(s.linear, d), s.input_fn(), hooks=[estimators.FinalOpsHook(tf.constant(1.0))]),
        r"FinalOpsHook asks for tensors.* EstimatorSpec\(training_hooks=",
    ),
    "a hook of sessions beside Keras": (
        lambda s, d: train(
            own(
                lambda features, labels, mode: s.model_fns["keras"](features, labels, mode)._replace(
                    training_hooks=[tf.compat.v1.train.FinalOpsHook(tf.constant(1.0))]
                ),
                d,
            ),
            s.input_fn(),
        ),
        r"FinalOpsHook .*there is no session: .* FinalOpsHook",
    ),
    "three parts": (
        lambda s, d: train(own(s.linear, d), lambda: (X, X, X)),
        r"should return \(features, labels\) as a len 2 tuple",
    ),
    "three parts in a dataset": (
        lambda s, d: train(own(s.linear, d), dataset((X, X, X))),
        r"should return \(features, labels\) as a len 2 tuple",
    ),
    "no rows in training": (
        lambda s, d: train(own(s.linear, d), lambda: dataset({"x": X}, X[:, 0])().take(0)),
        r"The input of training is empty",
    ),
    "an unknown argument of input_fn": (
        lambda s, d: train(own(s.linear, d), lambda rows: None),
        r"needs the arguments \['rows'\], which no estimator gives it",
    ),
    "lengths differ": (lambda s, d: arrays(labels=LABELS[:5]), r"(?s)6.*5|5.*6"),
    "no rows": (lambda s, d: arrays({"x": X[:0]}, LABELS[:0]), r"(?s)no rows|empty"),
    "batch_size 0": (lambda s, d: arrays(batch_size=0), r"`batch_size` must be"),
    "num_epochs 0": (lambda s, d: arrays(num_epochs=0), r"`num_epochs` must be"),
    "objects": (lambda s, d: arrays({"x": np.array([{}] * 6, dtype=object)}), r"x"),
    "no such file": (lambda s, d: input_pipelines.from_csv(os.path.join(d, "no.csv"), label="y"), r"no.csv"),
    "a bad row of a file": (
        lambda s, d: train(
            own(spec_with(loss=lambda w: w * 1.0, train_op=train_op), d), csv_with("1.0,2.0\n3.0,4.0,5.0\n", d), steps=3
        ),
        r"rows\.csv, line 3: 3 fields, but 2 are expected",
    ),
    "a bad number in a file": (
        lambda s, d: train(
            own(spec_with(loss=lambda w: w * 1.0, train_op=train_op), d), csv_with("1.0,2.0\n3.0,abc\n", d), steps=3
        ),
        r"rows\.csv, line 3: .*abc",
    ),
    "an open quote in a file": (
        lambda s, d: train(
            own(spec_with(loss=lambda w: w * 1.0, train_op=train_op), d), csv_with('1.0,"2.0\n', d), steps=3
        ),
        r"rows\.csv, line 2",
    ),
    "steps 0": (lambda s, d: train(own(s.linear, d), steps=0), r"Must specify steps > 0, given: 0"),
    "steps -3": (lambda s, d: train(own(s.linear, d), steps=-3), r"Must specify steps > 0, given: -3"),
    "max_steps 0": (
        lambda s, d: train(own(s.linear, d), steps=None, max_steps=0),
        r"Must specify max_steps > 0, given: 0",
    ),
    "evaluation steps 0": (
        lambda s, d: own(s.linear, d).evaluate(arrays(), steps=0),
        r"Must specify steps > 0, given: 0",
    ),
    "unknown predict_keys": (
        lambda s, d: list(train(canned(d, n_classes=3)).predict(arrays(labels=None), predict_keys=["probability"])),
        r"(?s)Expected to run at least one output from .*'probabilities'.*provided \['probability'\]",
    ),
    "hooks not in a list": (
        lambda s, d: train(own(s.linear, d), hooks=estimators.StopAtStepHook(1)),
        r"`hooks` must be a list or tuple",
    ),
    "a function as a hook": (
        lambda s, d: train(own(s.linear, d), hooks=[print]),
        r"Hooks must be a SessionRunHook, given: <built-in",
    ),
    "listeners not in a list": (
        lambda s, d: train(own(s.linear, d), saving_listeners=3),
        r"`saving_listeners` must be a list or tuple",
    ),
}

MODEL_CASES: dict[str, Case] = {
    "no train_op": (lambda s, d: train(own(spec_with(loss=lambda w: w * 2.0), d)), r"Missing train_op"),
    "no loss": (lambda s, d: train(own(spec_with(train_op=train_op), d)), r"Missing loss"),
    "no predictions": (lambda s, d: list(own(spec_with(), d).predict(arrays(labels=None))), r"Missing predictions"),
    "a loss for each row": (
        lambda s, d: train(own(spec_with(loss=lambda w: w * tf.ones([3]), train_op=train_op), d)),
        r"Loss must be scalar",
    ),
    "another mode": (
        lambda s, d: train(own(lambda features, labels, mode: EstimatorSpec("infer", predictions=features["x"]), d)),
        r"of the mode it was called with. Called with 'train', received 'infer'",
    ),
    "None returned": (
        lambda s, d: train(own(lambda features, labels, mode: None, d)),
        r"should return an EstimatorSpec. Received: None",
    ),
    "a v1 optimizer in a head": (
        lambda s, d: train(with_head(three, d, 3, optimizer=v1.train.AdamOptimizer())),
        r"(?s)tf.compat.v1.train goes into train_op_fn",
    ),
    "an optimizer's name in a head": (
        lambda s, d: train(with_head(three, d, 3, optimizer="Adam")),
        r"(?s)optimizer.*'Adam'",
    ),
    "an optimizer's class": (
        lambda s, d: train(own(spec_with(loss=lambda w: w * 1.0, train_op=keras_minimize(keras.optimizers.SGD)), d)),
        r"must be a Keras 3 optimizer",
    ),
    "a loss of no variable": (
        lambda s, d: train(
            own(
                spec_with(
                    loss=lambda w: tf.constant(1.0),
                    train_op=lambda w: estimators.minimize(keras.optimizers.SGD(), tf.constant(1.0), [w]),
                ),
                d,
            )
        ),
        r"depends on none of the variables \['w",
    ),
    "nothing to train": (
        lambda s, d: train(
            own(
                spec_with(
                    loss=lambda w: w * 1.0, train_op=lambda w: estimators.minimize(keras.optimizers.SGD(), w * 1.0, [])
                ),
                d,
            )
        ),
        r"`variables` must hold at least one trainable variable",
    ),
    "minimize outside": (
        lambda s, d: estimators.minimize(keras.optimizers.SGD(), tf.constant(1.0), [tf.Variable(1.0)]),
        r"must be called inside a model_fn",
    ),
    "a metric that is none": (
        lambda s, d: own(spec_with(loss=lambda w: w * 1.0, eval_metric_ops={"m": 3}), d).evaluate(arrays()),
        r"must be \(metric_value, update_op\) tuples",
    ),
    "clipping that nobody does": (
        lambda s, d: train(
            Estimator(spec_with(loss=lambda w: w * 1.0, train_op=train_op), d, RunConfig(gradient_clipping=1.0))
        ),
        r"RunConfig\(gradient_clipping=1.0\) has no effect",
    ),
    "a model_fn that is none": (lambda s, d: own(7, d), r"model_fn must be a function. Received: 7"),
    "params that nobody takes": (
        lambda s, d: own(s.linear, d, params={"a": 1}),
        r"does not include params argument, but params",
    ),
    "input_transform": (lambda s, d: own(s.linear, d, input_transform=3), r"`input_transform` must be a function"),
}

PLACE_CASES: dict[str, Case] = {
    "model_dir is a file": (
        lambda s, d: (pathlib.Path(d).write_text(""), train(own(s.linear, d))),
        r"`model_dir` must be a directory that can be written",
    ),
    "model_dir below a file": (
        lambda s, d: (pathlib.Path(d).write_text(""), train(own(s.linear, d + "/sub"))),
        r"`model_dir` must be a directory that can be written",
    ),
    "two model_dirs": (
        lambda s, d: Estimator(s.linear, d, RunConfig(model_dir=d + "2")),
        r"`model_dir` are set both in constructor and `RunConfig`",
    ),
    "a dict for config": (
        lambda s, d: Estimator(s.linear, d, {"save_checkpoints_steps": 3}),
        r"config must be an instance of `RunConfig`",
    ),
    "warm start from nowhere": (
        lambda s, d: train(own(s.linear, d, warm_start_from=d + "/none"), s.input_fn()),
        r"There is no checkpoint to warm-start from",
    ),
    "warm start of nothing": (
        lambda s, d: (
            train(own(s.linear, d), s.input_fn()),
            train(own(s.linear, d + "2", warm_start_from=WarmStartSettings(d, "other")), s.input_fn()),
        ),
        r"vars_to_warm_start='other' matches no variable. There are: \['linear/w'",
    ),
    "warm start of another shape": (
        lambda s, d: (train(with_head(two, d), arrays(labels=LABELS % 2)), train(_warm(d))),
        r"variable 'dense/kernel' has shape \(2, 3\), and \(2, 1\) in the checkpoint to warm-start from",
    ),
    "a checkpoint that is not there": (
        lambda s, d: own(s.linear, d).evaluate(s.input_fn(repeat=1), checkpoint_path=d + "/model.ckpt-3"),
        r"`checkpoint_path` must be the path of a checkpoint",
    ),
    "another optimizer than in the checkpoint": (
        lambda s, d: (train(canned(d, n_classes=3)), train(canned(d, n_classes=3, optimizer="Adam"))),
        r"lacks 8 variables(?s:.*)The model is trained by Adam, and the checkpoint was written with Adagrad.",
    ),
    "the checkpoint of another model": (
        lambda s, d: (train(own(s.linear, d), s.input_fn()), train(canned(d, n_classes=3))),
        r"lacks \d+ variables(?s:.*)dnn/hiddenlayer_0/kernel(?s:.*)checkpoint has, and the model has not: .*linear/w",
    ),
    "other sizes than in the checkpoint": (
        lambda s, d: (train(canned(d, n_classes=3)), train(canned(d, n_classes=4))),
        r"has shape \(4, 4\) in the model and \(4, 3\) in the checkpoint .* 3 more differ: 'dnn/logits/bias' has shape",
    ),
    "names of an untrained model": (
        lambda s, d: own(s.linear, d).get_variable_names(),
        r"Could not find trained model in model_dir",
    ),
    "a value of an untrained model": (
        lambda s, d: own(s.linear, d).get_variable_value("w"),
        r"Could not find trained model in model_dir",
    ),
}


def _warm(folder: str) -> Estimator:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        layer = keras.layers.Dense(3)
        return three.create_estimator_spec(
            features,
            mode,
            layer(features["x"]),
            labels,
            optimizer=keras.optimizers.SGD(),
            trainable_variables=layer.trainable_variables,
        )

    return Estimator(model_fn, folder + "3", RunConfig(progress="none"), warm_start_from=folder)


CASES = {**LABEL_CASES, **FEATURE_CASES, **INPUT_CASES, **MODEL_CASES, **PLACE_CASES}


@pytest.mark.filterwarnings("ignore:model_fn uses variables")
@pytest.mark.parametrize("name", CASES)
def test_mistake(name: str, small: Any, tmp_path: pathlib.Path) -> None:
    act, message = CASES[name]
    with pytest.raises((ValueError, TypeError, KeyError, FileNotFoundError)) as caught:
        act(small, str(tmp_path / "model"))
    text = str(caught.value)
    assert re.search(message, text), text
    assert not isinstance(caught.value, tf.errors.OpError)
    assert "Detected at node" not in text
    assert "Node:" not in text
    assert "in user code" not in text


def test_there_are_many() -> None:
    tables = (LABEL_CASES, FEATURE_CASES, INPUT_CASES, MODEL_CASES, PLACE_CASES)
    assert len(CASES) == sum(map(len, tables))
    assert len(CASES) >= 60


def test_nothing_is_written_before_the_arguments_are_checked(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    for arguments in ({"steps": 0}, {"steps": 1, "max_steps": 1}, {"hooks": [3]}, {"input_fn": 3}):
        with pytest.raises((ValueError, TypeError)):
            own(small.linear, str(folder)).train(**{"input_fn": arrays(), **arguments})
    assert not folder.exists()
