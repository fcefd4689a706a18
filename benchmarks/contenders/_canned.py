"""Every ready-made model over the census columns, fed by the `tf.data` pipeline that a user writes."""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import _census
import _measure
import numpy as np

MODELS = [
    "LinearClassifier",
    "LinearRegressor",
    "DNNClassifier",
    "DNNRegressor",
    "DNNLinearCombinedClassifier",
    "DNNLinearCombinedRegressor",
    "BaselineClassifier",
    "BaselineRegressor",
    "RNNClassifier",
    "KMeansClustering",
    # A LinearClassifier with this solver in the place of its optimizer.
    "LinearSDCA",
]
EXAMPLE_ID = "id"
# Steps that do not count for the rate, and those that do.
WARM_UP, STEPS = 200, 1000

Train = Callable[[Any, Callable[[], Any], _measure.Noted], None]


def arguments_of(model: str, fc: Any, train: _census.Table) -> dict[str, Any]:
    """Returns the arguments of a model, made of `tf.feature_column` or `headway.feature_columns`."""
    wide, deep = _census.columns(fc, train)
    if model.startswith("Linear"):
        return {"feature_columns": wide}
    if model.startswith("DNNLinear"):
        return {
            "linear_feature_columns": wide,
            "dnn_feature_columns": deep,
            "dnn_hidden_units": _census.HIDDEN_UNITS,
        }
    if model.startswith("DNN"):
        return {"feature_columns": deep, "hidden_units": _census.HIDDEN_UNITS}
    if model.startswith("RNN"):
        words = fc.sequence_categorical_column_with_hash_bucket("words", _census.BUCKETS)
        embedded = fc.embedding_column(words, _census.DIMENSION)
        return {"sequence_feature_columns": [embedded], "context_feature_columns": deep, "units": [16]}
    if model.startswith("KMeans"):
        numbers = [column for column in deep if column.name in _census.NUMBERS]
        return {"num_clusters": 10, "feature_columns": numbers, "use_mini_batch": True}
    return {}


def table_of(model: str, train: _census.Table) -> _census.Table:
    """Returns the features and the labels of a model: for recurrent ones the words of a row are a sequence."""
    features, labels = train.both
    if model.startswith("Baseline"):
        # tf.estimator's baselines fail on more than one feature.
        features = {"age": features["age"]}
    if model.startswith("RNN"):
        features = {**features, "words": np.stack([features[name] for name in _census.WORDS], 1)}
    if model == "LinearSDCA":
        features = {**features, EXAMPLE_ID: np.arange(len(labels)).astype(str).astype(object)}
    return _census.Table(features, labels.astype(np.float32 if "Regressor" in model else np.int64))


def run(tf: Any, make: Callable[[str, dict[str, Any]], Any], fc: Any, train: Train, description: str | None) -> None:
    """Measures the models one after the other and reports the steps per second of each.

    Args:
      tf: TensorFlow.
      make: function of the name of a class and its arguments that makes the estimator.
      fc: `tf.feature_column` or `headway.feature_columns`.
      train: trains an estimator on what a function returns, `WARM_UP + STEPS` steps, and notes how many are done.
      description: of the program.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--census", help="folder with adult.data and adult.test; without it the table is made up")
    parser.add_argument("--model", default="", help="only models whose name has this in it")
    arguments = parser.parse_args()
    rows, _ = _census.load(arguments.census)
    figures: dict[str, float] = {}
    for model in MODELS:
        if arguments.model in model:
            table = table_of(model, rows)
            estimator = make(model, arguments_of(model, fc, rows))
            marks = _measure.Marks(WARM_UP)
            began = time.perf_counter()
            labels = not model.startswith("KMeans")
            source = functools.partial(_census.row_by_row, tf, table, labels=labels, train=True)
            train(estimator, source, marks.add)
            figures[model] = marks.figures()["train_steps_per_s"]
            print(f"{model}: {figures[model]:.0f} steps/s, {time.perf_counter() - began:.0f} s", flush=True)
    _measure.report(figures)
