"""`numpy_input_fn` and `pandas_input_fn` feed the batches, and raise the errors, of tf.estimator's."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import headway
from headway import feature_columns
from headway.estimators import RunConfig
from headway.input_pipelines import Pipeline
from headway.tf_estimator import v1

RESULTS = json.loads((pathlib.Path(__file__).parents[1] / "golden/tf_estimator/inputs.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def cases(golden_module: Callable[[str], Any]) -> Any:
    return golden_module("tf_estimator/input_cases.py")


def batches(pipeline: Pipeline, take: int = 99) -> list[Any]:
    found = list(pipeline.dataset().take(take))
    return [json.loads(json.dumps(tf.nest.map_structure(lambda value: value.numpy().tolist(), b))) for b in found]


@pytest.mark.parametrize("number", range(len(RESULTS["numpy"])))
def test_batches_are_those_of_tf_estimator(number: int, cases: Any) -> None:
    rows, batch_size, num_epochs, take = cases.BATCHES[number]
    settings = {"batch_size": batch_size, "num_epochs": num_epochs, "shuffle": False}
    x, y = cases.arrays(rows)
    pipeline = v1.inputs.numpy_input_fn(x, y, **settings)()
    assert batches(pipeline, take) == RESULTS["numpy"][number]
    assert pipeline.num_batches == (None if num_epochs is None else len(RESULTS["numpy"][number]))
    # A run goes on at any batch.
    whole = [element.numpy().tolist() for element in pipeline.elements().take(take)]
    for start in range(len(whole)):
        rest = [element.numpy().tolist() for element in pipeline.elements(start).take(take - start)]
        assert rest == whole[start:]

    frame = pd.DataFrame({"a": range(rows), "b": [0.5] * rows})
    target = pd.DataFrame({"u": range(rows), "v": range(rows)})
    assert batches(v1.inputs.pandas_input_fn(frame, target, **settings)(), take) == RESULTS["pandas"][number]


def test_each_thread_passes_over_the_rows(cases: Any, caplog: pytest.LogCaptureFixture) -> None:
    x, y = cases.arrays(5)
    found = batches(v1.inputs.numpy_input_fn(x, y, batch_size=2, shuffle=True, num_threads=3)())
    assert sum(len(labels) for _, labels in found) == RESULTS["rows_of_three_threads"]
    assert "num_threads is 3, and num_epochs, 1, is applied per thread: the rows are passed over 3 times" in caplog.text


@pytest.mark.parametrize("name", RESULTS["errors"])
def test_errors_are_those_of_tf_estimator(name: str, cases: Any) -> None:
    function, arguments = cases.ERRORS[name]
    kind, message = RESULTS["errors"][name]
    with pytest.raises({"ValueError": ValueError, "TypeError": TypeError}[kind]) as caught:
        getattr(v1.inputs, function)(**arguments)()
    # tf.estimator shows the index of the frame, which pandas writes in another way from time to time.
    assert str(caught.value).startswith(message.partition("Index(")[0].partition("RangeIndex(")[0].rstrip())


def test_each_epoch_is_shuffled_whole_and_anew() -> None:
    make = v1.inputs.numpy_input_fn(np.arange(100), batch_size=100, num_epochs=3, shuffle=True)
    first, second, third = batches(make())
    assert sorted(first) == sorted(second) == sorted(third) == list(range(100))
    assert first != second != third
    assert batches(make())[0] != first


def test_arrays_that_change_are_read_again() -> None:
    x, words = {"a": np.zeros(2)}, np.array(["p", "q"], object)
    make = v1.inputs.numpy_input_fn(x, words, shuffle=False)
    assert make() is make()
    x["a"][1] = 5.0
    assert [features["a"].numpy().tolist() for features, _ in make().dataset()] == [[0.0, 5.0]]
    words[0] = "r"
    assert [word.numpy().tolist() for _, word in make().dataset()] == [[b"r", b"q"]]


def test_a_frame_is_fed_as_it_was() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "c": ["x", None]}, index=[7, 3])
    make = v1.inputs.pandas_input_fn(frame, pd.Series([0, 1], index=[7, 3]), shuffle=False, queue_capacity=None)
    frame["a"] = 0.0
    [(features, labels)] = list(make().dataset())
    assert features["a"].numpy().tolist() == [1.0, 2.0]
    assert features["c"].numpy().tolist() == [b"x", b""]
    assert labels.numpy().tolist() == [0, 1]


def test_one_array_may_be_feature_and_label() -> None:
    x = np.arange(3.0)
    assert batches(v1.inputs.numpy_input_fn({"x": x}, x, shuffle=False)()) == [[{"x": [0, 1, 2]}, [0, 1, 2]]]


def test_a_run_goes_on_with_the_next_batch(tmp_path: pathlib.Path) -> None:
    x = np.arange(5, dtype=np.float32)
    rows = v1.inputs.numpy_input_fn({"x": x}, x, batch_size=2, num_epochs=None, shuffle=False)
    columns = [feature_columns.numeric_column("x")]

    def weights(directory: str, *steps: int) -> list[float]:
        config = RunConfig(str(tmp_path / directory), progress="none", resume_input="always")
        optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.01)
        for count in steps:
            v1.LinearRegressor(columns, optimizer=optimizer, config=config).train(rows, steps=count)
        model = v1.LinearRegressor(columns, config=config)
        return [model.get_variable_value(f"linear/linear_model/{name}weights").item() for name in ("x/", "bias_")]

    assert weights("twice", 3, 4) == pytest.approx(weights("once", 7), rel=1e-6)


def test_batches_that_mix_epochs_cannot_be_sharded() -> None:
    pipeline = v1.inputs.numpy_input_fn(np.arange(6), shuffle=False)()
    with pytest.raises(ValueError, match="A pipeline whose batches mix epochs cannot be sharded"):
        pipeline.shard(2, 0)


@pytest.mark.parametrize("runtime", ["function", "graph"])
def test_an_input_fn_may_take_features_and_labels_apart(runtime: str, tmp_path: pathlib.Path) -> None:
    x = np.arange(6, dtype=np.float32)
    fed = v1.inputs.numpy_input_fn({"x": x}, 10 * x, batch_size=4, num_epochs=2, shuffle=False)

    def input_fn() -> Any:
        features, labels = fed()
        features["sum"] = tf.reduce_sum(features["x"], keepdims=True) + tf.zeros_like(features["x"])
        return features, labels + 1

    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        loss = tf.reduce_mean(labels - 10 * features["x"]) + tf.Variable(0.0, name="weight")
        ones = tf.compat.v1.metrics.mean(features["sum"])
        return headway.EstimatorSpec(mode, {"sum": features["sum"]}, loss, eval_metric_ops={"sum": ones})

    config = RunConfig(str(tmp_path), progress="none", runtime=runtime)
    model = headway.Estimator(model_fn, config=config)
    # Batches 0 1 2 3, 4 5 0 1, 2 3 4 5: their sums, over all rows.
    result = model.evaluate(input_fn)
    assert (result["loss"], result["sum"]) == (1.0, (6 + 10 + 14) / 3)


def test_features_without_labels_cannot_be_taken_apart() -> None:
    with pytest.raises(TypeError, match="features and no labels: it cannot be taken apart"):
        _, _ = v1.inputs.numpy_input_fn(np.arange(3), shuffle=False)()
