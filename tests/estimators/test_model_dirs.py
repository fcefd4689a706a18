"""Model directories that tf.estimator 2.15 has written go on here as they do there: tests/golden/model_dirs."""

from __future__ import annotations

import importlib.util
import json
import logging
import pathlib
import re
import shutil
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway
from headway.tf_estimator import export as export_api
from headway.tf_estimator import v1

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "model_dirs"


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


pairs = _loaded("pairs")
trying = _loaded("try_pairs")
exports = _loaded("exports")
RESULTS = json.loads((GOLDEN / "results.json").read_text("utf-8"))
EXPORTS = json.loads((GOLDEN / "exports.json").read_text("utf-8"))


@pytest.mark.parametrize("name", RESULTS)
def test_it_goes_on_as_in_tf_estimator(name: str, tmp_path: pathlib.Path) -> None:
    model_dir = tmp_path / "model"
    shutil.copytree(GOLDEN / name, model_dir)
    model, optimizer = name.split(".")
    estimator = trying.build(model, optimizer, model_dir)
    assert estimator.latest_checkpoint() == str(model_dir / f"model.ckpt-{pairs.FIRST_STEPS}")
    found = trying.results(model, estimator)
    far = {key: value for key, value in trying.differences(found, RESULTS[name]).items() if not value <= 1e-5}
    assert not far
    # tf.estimator finds all that it needs, settings of the optimizer included. Counts of steps and the random states of
    # Keras 3 are more than it had.
    more = found["after"].keys() - RESULTS[name]["after"].keys()
    assert all(key.endswith(("/iter", "/seed_generator_state")) for key in more)


def test_another_setting_than_in_the_checkpoint_is_logged(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = "rnn_lstm_stacked.Adam"
    model_dir = tmp_path / "model"
    shutil.copytree(GOLDEN / name, model_dir)
    values = {key: tf.train.load_variable(str(model_dir), key) for key, _ in tf.train.list_variables(str(model_dir))}
    values["training/Adam/beta_1"] = np.float32(0.5)
    prefix = str(model_dir / f"model.ckpt-{pairs.FIRST_STEPS}")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(value) for value in values.values()],
    )
    estimator = trying.build(*name.split("."), model_dir)
    with caplog.at_level(logging.WARNING, "headway"):
        estimator.train(pairs.input_fn("rnn_lstm_stacked"), steps=1)
    assert "training/Adam/beta_1 is 0.5 in the checkpoint" in caplog.text
    assert "and 0.8 in the program; the program's is used." in caplog.text
    assert estimator.get_variable_value("training/Adam/beta_1") == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["v1_dnn_parts.Adam", "v1_linear_parts.Ftrl"])
def test_slots_in_parts_are_read_and_written_as_parts(
    name: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "headway"):
        estimator = trying.build(*name.split("."), tmp_path)
    assert "partitioner is given: the variables are whole here all the same" in caplog.text
    estimator.train(pairs.input_fn(name.split(".")[0]), steps=1)
    # The same names as tf.estimator's, the second parts included; what has parts there cannot be read whole here.
    path = str(GOLDEN / name / f"model.ckpt-{pairs.FIRST_STEPS}")
    shapes = dict(tf.train.list_variables(path))
    written = estimator.latest_checkpoint()
    assert written is not None
    assert dict(tf.train.list_variables(written)) == shapes
    parts = [key for key in shapes if "/t_1/" in key or "/part_1/" in key]
    assert parts
    for key in parts:
        with pytest.raises(ValueError, match="sufficient slices"):
            tf.train.load_variable(written, key)
    # The tools show one tensor for the parts.
    first = parts[0].replace("_1/", "_0/")
    assert estimator.get_variable_value(first).shape == tuple(shapes[first])
    assert not set(parts) & set(estimator.get_variable_names())
    assert headway.diff_checkpoints(written, written).same
    assert first in {row.name for row in headway.show_checkpoint(path).rows}


def test_a_partitioner_that_is_none(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TypeError, match="`partitioner` must be a function such as"):
        v1.LinearRegressor([headway.feature_columns.numeric_column("x")], partitioner=2)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (keras.optimizers.schedules.InverseTimeDecay(0.5, 1, 0.1), {"decay": 0.1, "learning_rate": 0.5}),
        (keras.optimizers.schedules.ExponentialDecay(0.5, 3, 0.9), {"decay": 0.0}),
    ],
    ids=["decay", "schedule"],
)
def test_decay_of_keras_2_is_written_as_it_was(schedule: Any, expected: dict[str, float], tmp_path: Any) -> None:
    estimator = headway.BaselineRegressor(
        optimizer=lambda: keras.optimizers.Adagrad(schedule), config=headway.RunConfig(str(tmp_path), progress="none")
    )
    estimator.train(lambda: tf.data.Dataset.from_tensors(({"x": [1.0]}, [[2.0]])), steps=1)
    names = [
        name for name in estimator.get_variable_names() if re.fullmatch("training/Adagrad/(decay|learning_rate)", name)
    ]
    found = {name.rpartition("/")[2]: float(estimator.get_variable_value(name)) for name in names}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", EXPORTS)
def test_its_export_serves_as_that_of_tf_estimator(name: str, tmp_path: pathlib.Path) -> None:
    model, optimizer = name.split(".")
    shutil.copytree(GOLDEN / name, tmp_path / "model")
    estimator = trying.build(model, optimizer, tmp_path / "model")
    path = exports.export(estimator, model, tmp_path / "export", export_api)
    assert exports.differing(exports.served(path, model), EXPORTS[name]) == []


# What tf.estimator 2.15 named the table of `shared_embeddings` in a program without eager execution.
@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda both: headway.DNNClassifier([2], both), ["a/b_c_shared_embedding"]),
        (lambda both: headway.LinearClassifier(both), ["a/b_c_shared_embedding"]),
        (lambda both: v1.DNNClassifier([2], both), ["dnn/input_from_feature_columns/a/b_c_shared_embedding"]),
        (lambda both: v1.LinearClassifier(both), ["linear/a/b_c_shared_embedding"]),
        (
            lambda both: v1.DNNLinearCombinedClassifier(None, both, "Ftrl", both, dnn_hidden_units=[2]),
            ["dnn/input_from_feature_columns/a/b_c_shared_embedding"],
        ),
    ],
)
def test_names_of_shared_tables(make: Any, names: list[str]) -> None:
    fc = headway.feature_columns
    both = fc.shared_embeddings([fc.categorical_column_with_identity(key, 3) for key in ("a/b", "c")], 2)
    estimator = make(both)
    features = {"a/b": [[0], [1]], "c": [[1], [2]]}
    estimator.train(lambda: tf.data.Dataset.from_tensors((features, [[0], [1]])), steps=1)
    assert [name for name in estimator.get_variable_names() if name.endswith("c_shared_embedding")] == names


def _accumulators(estimator: Any) -> dict[str, np.ndarray]:
    names = [name for name in estimator.get_variable_names() if name.endswith("/accumulator")]
    return {name.removesuffix("/accumulator"): estimator.get_variable_value(name) for name in names}


def test_slots_of_columns_that_keras_names_alike(tmp_path: pathlib.Path) -> None:
    fc = headway.feature_columns
    columns = [fc.embedding_column(fc.categorical_column_with_identity(key, 2), 2) for key in ("a_b", "a/b")]
    estimator = headway.DNNClassifier([3], columns, config=headway.RunConfig(str(tmp_path), progress="none"))
    # "a/b" has no value in any row: its slot stays at Keras's first value.
    features = {"a/b": [[-1], [-1]], "a_b": [[0], [1]]}
    estimator.train(lambda: tf.data.Dataset.from_tensors((features, [[0], [1]])).repeat(), steps=3)
    found, scope = _accumulators(estimator), "training/Adagrad/dnn/input_from_feature_columns/input_layer"
    np.testing.assert_allclose(found[f"{scope}/a/b_embedding/embedding_weights"], 0.1)
    assert (found[f"{scope}/a_b_embedding/embedding_weights"] > 0.1).any()


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("order", [["a/b", "a_b", "x", "x_0"], ["x_0", "x", "a_b", "a/b"]])
def test_slots_go_by_the_order_of_the_variables(order: list[str], accumulation: int, tmp_path: pathlib.Path) -> None:
    factors = {"a/b": 1.0, "a_b": 2.0, "x": 3.0, "x_0": 4.0}

    def model_fn(features: Any, mode: str) -> headway.EstimatorSpec:
        weights = {name: tf.Variable(0.0, name=name) for name in factors}
        loss = tf.add_n([factors[name] * weight for name, weight in weights.items()]) + 0.0 * features["x"][0]
        optimizer = keras.optimizers.Adagrad(0.5, initial_accumulator_value=0.0)
        train_op = headway.minimize(optimizer, loss, [weights[name] for name in order])
        return headway.EstimatorSpec(mode, loss=loss, train_op=train_op)

    config = headway.RunConfig(str(tmp_path), progress="none", gradient_accumulation=accumulation)
    estimator = headway.Estimator(model_fn, config=config)
    estimator.train(lambda: tf.data.Dataset.from_tensors({"x": [1.0]}).repeat(), steps=2 * accumulation)
    # Two updates, each with the same gradient.
    expected = {f"training/Adagrad/{name}": 2 * factor**2 for name, factor in factors.items()}
    assert {name: float(value) for name, value in _accumulators(estimator).items()} == pytest.approx(expected)
