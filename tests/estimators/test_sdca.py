"""`LinearSDCA`: against tf.estimator (tests/golden/canned_b), at the optimum, and in every way of running."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import estimators, heads, input_pipelines
from headway import feature_columns as fc
from headway.estimators import LinearClassifier, LinearEstimator, LinearRegressor, LinearSDCA, RunConfig
from headway.estimators._checkpoints import write_tensors

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "canned_b"
_spec = importlib.util.spec_from_file_location("sdca_cases", GOLDEN / "sdca_cases.py")
assert _spec is not None
assert _spec.loader is not None
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
RESULTS = json.loads((GOLDEN / "sdca.json").read_text("utf-8"))
X = fc.numeric_column("x", shape=2)


def rows(name: str, batch: int, epochs: int | None = None) -> input_pipelines.Pipeline:
    return input_pipelines.from_arrays(*cases.data(name), batch_size=batch, num_epochs=epochs)


def make(name: str, model_dir: pathlib.Path, **settings: Any) -> Any:
    config = RunConfig(model_dir=str(model_dir), progress="none", **settings)
    return cases.build(name, estimators, fc, LinearSDCA, config=config)


def expanded(golden: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Returns the variables of a case, tables with their empty places."""
    found = {}
    for name, value in golden.items():
        if isinstance(value, dict):
            whole = np.zeros(value["shape"], np.int64 if name.endswith("keys") else np.float32)
            whole[value["rows"]] = value["values"]
            found[name] = whole
        else:
            found[name] = np.asarray(value, np.int64 if name == "global_step" else np.float32)
    return found


def assert_golden(estimator: Any, golden: dict[str, Any]) -> None:
    expected = expanded(golden)
    assert set(estimator.get_variable_names()) == expected.keys()
    tables = {name.rpartition("-")[0] for name in expected if name.endswith("-keys")}
    for name, value in expected.items():
        if name.rpartition("-")[0] not in tables:
            found = estimator.get_variable_value(name)
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6, err_msg=name)
    for table in tables:
        # In order of the keys: where a key lies depends on the order in which they came.
        pairs = [
            sorted(zip(map(tuple, keys), map(tuple, values), strict=True))
            for keys, values in (
                (expected[table + "-keys"], expected[table + "-values"]),
                tuple(estimator.get_variable_value(table + ending) for ending in ("-keys", "-values")),
            )
        ]
        used = [[(key, state) for key, state in found if any(key)] for found in pairs]
        assert [key for key, _ in used[0]] == [key for key, _ in used[1]]
        np.testing.assert_allclose([s for _, s in used[0]], [s for _, s in used[1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", cases.CASES)
def test_training_is_that_of_tf_estimator(name: str, tmp_path: pathlib.Path) -> None:
    assert_golden(make(name, tmp_path).train(rows(name, 1), steps=cases.STEPS), RESULTS[name]["before"])


@pytest.mark.parametrize("name", cases.CASES)
def test_a_model_dir_of_tf_estimator_goes_on(name: str, tmp_path: pathlib.Path) -> None:
    golden = RESULTS[name]
    tensors = {key: tf.constant(value) for key, value in expanded(golden["before"]).items()}
    write_tensors(str(tmp_path / f"model.ckpt-{cases.STEPS}"), tensors)
    estimator = make(name, tmp_path)
    metrics = estimator.evaluate(rows(name, 8, 1))
    assert metrics == pytest.approx(golden["metrics"], rel=1e-4, abs=1e-5)
    # Steps 31 to 45: the rows from the first one on, as in the golden run.
    assert_golden(estimator.train(rows(name, 1), steps=cases.MORE_STEPS), golden["after"])


@pytest.mark.parametrize("name", ["classifier_partitions", "regressor_adaptive_l1"])
def test_eager_is_compiled(name: str, tmp_path: pathlib.Path) -> None:
    estimator = make(name, tmp_path, run_eagerly=True).train(rows(name, 1), steps=cases.STEPS)
    assert_golden(estimator, RESULTS[name]["before"])


def regression() -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype("float32")
    label = (x @ [2.0, -1.0] + 0.5 + 0.1 * rng.normal(size=60)).astype("float32")
    return {"x": x, "key": np.arange(60), "w": rng.uniform(0, 2, 60).astype("float32")}, label


def optimum(weights: Any, l2: float) -> np.ndarray[Any, Any]:
    """Returns the weights that minimize sum(w * (x b - y)^2) / 2 + l2 * b^2 / 2, the bias last."""
    features, label = regression()
    x = np.concatenate([features["x"], np.ones([60, 1])], axis=1)
    left = x.T @ (weights[:, None] * x) + l2 * np.eye(3)
    return np.asarray(np.linalg.solve(left, x.T @ (weights * label)))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_by_linear_algebra(weighted: bool, tmp_path: pathlib.Path) -> None:
    features, label = regression()
    model = LinearRegressor(
        [X],
        weight_column="w" if weighted else None,
        optimizer=LinearSDCA("key", symmetric_l2_regularization=2.0),
        config=RunConfig(model_dir=str(tmp_path), progress="none"),
    )
    model.train(input_pipelines.from_arrays(features, label, batch_size=20, num_epochs=None), steps=300)
    found = [model.get_variable_value(f"linear/linear_model/{name}").ravel() for name in ("x/weights", "bias_weights")]
    expected = optimum(features["w"] if weighted else np.ones(60), 2.0)
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-3)


def test_two_replicas_come_to_the_same_optimum(
    tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    features, label = regression()
    config = RunConfig(model_dir=str(tmp_path), train_distribute=mirrored, progress="none")
    words = fc.categorical_column_with_identity("key", 60)
    model = LinearRegressor([X, words], optimizer=LinearSDCA("key", symmetric_l2_regularization=2.0), config=config)
    model.train(input_pipelines.from_arrays(features, label, batch_size=10, num_epochs=None), steps=300)
    one = LinearRegressor(
        [X, words],
        optimizer=LinearSDCA("key", symmetric_l2_regularization=2.0),
        config=RunConfig(model_dir=str(tmp_path / "one"), progress="none"),
    )
    one.train(input_pipelines.from_arrays(features, label, batch_size=20, num_epochs=None), steps=300)
    for name in ("x/weights", "bias_weights", "key/weights"):
        first, second = (model.get_variable_value(f"linear/linear_model/{name}") for model in (model, one))
        np.testing.assert_allclose(first, second, rtol=2e-3, atol=1e-3, err_msg=name)


def test_strings_as_labels_and_a_head_of_ones_own(tmp_path: pathlib.Path) -> None:
    features, label = regression()
    words = np.where(label > 0, "yes", "no")
    data = input_pipelines.from_arrays(features, words, batch_size=20, num_epochs=None)
    head = heads.BinaryClassHead(label_vocabulary=["no", "yes"])
    own = LinearEstimator(
        head, [X], str(tmp_path / "1"), optimizer=LinearSDCA("key"), config=RunConfig(progress="none")
    )
    classifier = LinearClassifier(
        [X],
        str(tmp_path / "2"),
        label_vocabulary=["no", "yes"],
        optimizer=LinearSDCA("key"),
        config=RunConfig(progress="none"),
    )
    for model in (own, classifier):
        assert model.train(data, steps=30).evaluate(data, steps=3)["accuracy"] > 0.95


def test_a_run_that_was_cut_goes_on_with_what_it_knows_of_each_row(tmp_path: pathlib.Path) -> None:
    name = "classifier"
    whole = make(name, tmp_path / "whole").train(rows(name, 1), steps=40)
    for _ in range(2):
        halves = make(name, tmp_path / "halves").train(rows(name, 1), steps=20)
    for variable in whole.get_variable_names():
        if "Table" not in variable:
            first, second = (model.get_variable_value(variable) for model in (whole, halves))
            np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6, err_msg=variable)


def test_an_evaluation_of_another_checkpoint_leaves_the_state_of_training(tmp_path: pathlib.Path) -> None:
    name = "regressor"
    model = make(name, tmp_path, save_checkpoints_steps=10)
    found = []

    def evaluate(run: Any) -> None:
        if run.step == 15:
            found.append(model.evaluate(rows(name, 8, 1), checkpoint_path=str(tmp_path / "model.ckpt-0"))["loss"])

    model.train(rows(name, 1), hooks=[estimators.every_n_steps(5, evaluate)], steps=cases.STEPS)
    assert_golden(model, RESULTS[name]["before"])


def test_empty_batches_change_nothing(tmp_path: pathlib.Path) -> None:
    name = "regressor"
    features, labels = cases.data(name)

    def input_fn() -> tf.data.Dataset:
        one = tf.data.Dataset.from_tensor_slices((features, labels)).batch(1).repeat()
        empty = one.map(lambda x, y: ({key: value[:0] for key, value in x.items()}, y[:0]))
        return tf.data.Dataset.choose_from_datasets([one, empty], tf.data.Dataset.range(2).repeat())

    model = make(name, tmp_path).train(input_fn, steps=2 * cases.STEPS)
    value = model.get_variable_value("linear/linear_model/x/weights")
    np.testing.assert_allclose(value, RESULTS[name]["before"]["linear/linear_model/x/weights"], rtol=1e-5)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "l2": (lambda: LinearSDCA("id", symmetric_l2_regularization=0.0), "symmetric_l2_regularization should be positive"),
    "l1": (lambda: LinearSDCA("id", symmetric_l1_regularization=-1.0), "should be non-negative"),
    "id": (lambda: LinearSDCA(""), "`example_id_column` must be the name of a feature"),
    "partitions": (lambda: LinearSDCA("id", num_loss_partitions=0), "`num_loss_partitions` must be an integer >= 1"),
    "classes": (lambda: LinearClassifier([X], n_classes=3, optimizer=LinearSDCA("id")), "multi-class setting"),
    "labels": (lambda: LinearRegressor([X], label_dimension=2, optimizer=LinearSDCA("id")), "one-dimensional labels"),
    "combiner": (
        lambda: LinearClassifier([X], optimizer=LinearSDCA("id"), sparse_combiner="mean"),
        'sparse_combiner must be "sum"',
    ),
    "embedding": (
        lambda: LinearClassifier(
            [fc.embedding_column(fc.categorical_column_with_identity("c", 3), 2)], optimizer=LinearSDCA("id")
        ),
        r"does not train embeddings, and these columns have some: \['c_embedding'\]",
    ),
    "wide and deep": (
        lambda: estimators.DNNLinearCombinedClassifier(linear_feature_columns=[X], linear_optimizer=LinearSDCA("id")),
        "LinearSDCA trains linear models alone",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_are_checked(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("other", ["a"], "Feature 'id' is not in features dictionary: LinearSDCA tells rows apart"),
        ("id", [0.5], "must have a string or an integer for each row"),
    ],
)
def test_ids_are_checked(key: str, values: Any, message: str, tmp_path: pathlib.Path) -> None:
    model = LinearRegressor([X], str(tmp_path), optimizer=LinearSDCA("id"), config=RunConfig(progress="none"))
    data = input_pipelines.from_arrays({"x": [[1.0, 2.0]], key: values}, [1.0], batch_size=1)
    with pytest.raises(ValueError, match=message):
        model.train(data, steps=1)


def test_ids_are_not_needed_to_predict(tmp_path: pathlib.Path) -> None:
    features, label = regression()
    model = LinearRegressor([X], str(tmp_path), optimizer=LinearSDCA("key"), config=RunConfig(progress="none"))
    model.train(input_pipelines.from_arrays(features, label, batch_size=20), steps=1)
    (row,) = model.predict(input_pipelines.from_arrays({"x": [[1.0, 2.0]]}, batch_size=1))
    assert row["predictions"].shape == (1,)


def test_settings_of_optimizers_are_refused(tmp_path: pathlib.Path) -> None:
    config = RunConfig(model_dir=str(tmp_path), gradient_clipping=1.0, progress="none")
    model = LinearRegressor([X], optimizer=LinearSDCA("key"), config=config)
    with pytest.raises(ValueError, match=r"gradient_clipping=1\.0"):
        model.train(input_pipelines.from_arrays(*regression(), batch_size=20), steps=1)
