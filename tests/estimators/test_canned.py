"""What holds for every ready-made estimator: a table of models and a table of properties."""

from __future__ import annotations

import functools
import pathlib
import tempfile
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import estimators, heads, input_pipelines
from headway import feature_columns as fc
from headway.estimators import RunConfig, _canned_layers, _canned_model, _optimizers

WORDS = fc.categorical_column_with_vocabulary_list("word", ["u", "v", "w"])
X = fc.numeric_column("x", shape=(2,))
DEEP = [X, fc.embedding_column(WORDS, 2)]
LINEAR = [X, WORDS, fc.crossed_column(["word", "other"], 5)]
NETWORK = {"hidden_units": [4, 3], "feature_columns": DEEP, "batch_norm": True}
BOTH = {"linear_feature_columns": LINEAR, "dnn_feature_columns": DEEP, "dnn_hidden_units": [4], "batch_norm": True}
SEQUENCES: dict[str, Any] = {
    "sequence_feature_columns": [
        fc.embedding_column(fc.sequence_categorical_column_with_vocabulary_list("words", ["u", "v", "w"]), 2)
    ],
    "context_feature_columns": DEEP,
}
STEPS_HEAD = heads.SequentialHeadWrapper(heads.RegressionHead(weight_column="step_weights"), "mask", "step_weights")
MODELS: dict[str, dict[str, Any]] = {
    "DNNClassifier": {**NETWORK, "n_classes": 3, "weight_column": "weight"},
    "DNNRegressor": {**NETWORK, "weight_column": "weight", "loss_reduction": "sum"},
    "DNNEstimator": {**NETWORK, "head": heads.RegressionHead(weight_column="weight")},
    "LinearClassifier": {"feature_columns": LINEAR, "weight_column": "weight"},
    "LinearRegressor": {"feature_columns": LINEAR, "optimizer": None},
    "LinearEstimator": {"feature_columns": LINEAR, "head": heads.MultiClassHead(3)},
    "DNNLinearCombinedClassifier": {**BOTH, "n_classes": 3, "linear_optimizer": "Adam", "dnn_optimizer": "Adam"},
    "DNNLinearCombinedRegressor": {**BOTH, "weight_column": "weight"},
    "DNNLinearCombinedEstimator": {**BOTH, "head": heads.BinaryClassHead()},
    "BaselineClassifier": {"n_classes": 3, "weight_column": "weight"},
    "BaselineRegressor": {"weight_column": "weight", "optimizer": "Adagrad"},
    "RNNClassifier": {**SEQUENCES, "units": [3, 2], "cell_type": "lstm", "weight_column": "weight"},
    "RNNEstimator": {**SEQUENCES, "units": 3, "cell_type": "gru", "return_sequences": True, "head": STEPS_HEAD},
    "BaselineEstimator": {"head": heads.BinaryClassHead(weight_column="weight")},
}
DROPOUT = {"DNN": "dropout", "DNNLinearCombined": "dnn_dropout"}
# Those that tf.estimator did not have: test_models.py has a table of them, and test_trees.py has the trees.
BEYOND = ("DeepCross", "DeepFM", "GradientBoostedTrees", "MMoE", "SequenceTransformer")
every_model = pytest.mark.parametrize("name", MODELS)


def rows(name: str, batch_size: int = 8, *, epochs: int | None = None) -> input_pipelines.Pipeline:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(32, 2)).astype("float32")
    features = {
        "x": x,
        "word": rng.choice(["u", "v", "w", "", "other"], 32),
        "other": rng.choice(["a", "b"], 32),
        "weight": rng.uniform(0, 2, 32).astype("float32"),
        # Rows of no step at all among them.
        "words": np.where(np.arange(4) < rng.integers(0, 5, (32, 1)), rng.choice(["u", "v", "w"], (32, 4)), ""),
        "step_weights": rng.uniform(0, 2, (32, 4)).astype("float32"),
    }
    two, number = (x[:, 0] > 0).astype("int64"), x[:, 0] - x[:, 1]
    if name == "RNNEstimator":
        return input_pipelines.from_arrays(features, np.tile(x, 2), batch_size=batch_size, num_epochs=epochs)
    labels = number if "Regressor" in name or name == "DNNEstimator" else two
    return input_pipelines.from_arrays(features, labels, batch_size=batch_size, num_epochs=epochs)


def make(name: str, model_dir: pathlib.Path, *, dropout: float | None = None, **settings: Any) -> Any:
    arguments = dict(MODELS[name])
    for prefix in ("Classifier", "Regressor", "Estimator"):
        if dropout is not None and name.removesuffix(prefix) in DROPOUT:
            arguments[DROPOUT[name.removesuffix(prefix)]] = dropout
    config = RunConfig(model_dir=str(model_dir), tf_random_seed=5, progress="none", **settings)
    return getattr(estimators, name)(**arguments, config=config)


def weights(estimator: Any) -> dict[str, np.ndarray]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def assert_close(first: dict[str, np.ndarray], second: dict[str, np.ndarray], tolerance: float) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_every_public_model_is_in_the_table() -> None:
    public = {
        name
        for name, member in vars(estimators).items()
        if isinstance(member, type) and issubclass(member, _canned_model.CannedEstimator)
        if not name.startswith(BEYOND)
    }
    assert public == MODELS.keys()


@every_model
def test_eager_is_compiled(name: str, tmp_path: pathlib.Path) -> None:
    compiled, eager = (make(name, tmp_path / str(i), dropout=0.3, run_eagerly=bool(i)) for i in range(2))
    for estimator in (compiled, eager):
        estimator.train(rows(name), steps=3)
    assert_close(weights(compiled), weights(eager), 1e-5)
    first, second = (estimator.evaluate(rows(name, epochs=1)) for estimator in (compiled, eager))
    assert first == pytest.approx(second, rel=1e-5, abs=1e-5)


@functools.cache
def plainly_trained(name: str) -> dict[str, np.ndarray]:
    """Returns the weights after three batches of eight rows, which several tests compare with."""
    with tempfile.TemporaryDirectory() as folder:
        return weights(make(name, pathlib.Path(folder)).train(rows(name), steps=3))


@every_model
def test_xla_gives_the_same_weights(name: str, tmp_path: pathlib.Path) -> None:
    by_xla = make(name, tmp_path, jit_compile=True).train(rows(name), steps=3)
    assert_close(plainly_trained(name), weights(by_xla), 1e-5)


@every_model
def test_two_replicas_with_half_batches_are_one(
    name: str, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    two = make(name, tmp_path, train_distribute=mirrored).train(rows(name, 4), steps=3)
    assert_close(plainly_trained(name), weights(two), 1e-5)


@every_model
def test_a_new_object_predicts_the_same_and_nothing_is_traced_twice(name: str, tmp_path: pathlib.Path) -> None:
    estimator = make(name, tmp_path, dropout=0.3)
    data, once = rows(name), rows(name, epochs=1)

    def all_verbs() -> list[Any]:
        estimator.train(data, steps=2)
        estimator.evaluate(once)
        return list(estimator.predict(once))

    all_verbs()
    (kept,) = estimator._runtimes.function.weights.values()
    traces = dict(kept.model.traces)
    predictions = all_verbs()
    assert dict(kept.model.traces) == traces
    assert int(estimator.get_variable_value("global_step")) == 4
    again = list(make(name, tmp_path).predict(once))
    for row, other in zip(predictions, again, strict=True):
        for key, value in row.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


@pytest.mark.parametrize("name", [name for name in MODELS if "Estimator" not in name])
def test_the_options_of_heads_are_passed_on(name: str, tmp_path: pathlib.Path) -> None:
    given = ("n_classes", "weight_column", "loss_reduction")
    arguments = {key: value for key, value in MODELS[name].items() if key not in given}
    if "Classifier" in name:
        arguments |= {"class_weights": [1.0, 3.0], "label_smoothing": 0.5}
    config = RunConfig(model_dir=str(tmp_path), run_eagerly=True, progress="none")
    model = getattr(estimators, name)(**arguments, loss_reduction="sum", metrics=["mse"], config=config)
    found = model.evaluate(rows(name, 32, epochs=1))
    assert found["mse"] > 0
    if name in ("BaselineClassifier", "LinearClassifier"):
        # All logits are 0, so that each loss is log(2), however labels are smoothed, times the weight of the class.
        ones = int((np.random.default_rng(1).normal(size=(32, 2)).astype("float32")[:, 0] > 0).sum())
        assert found["loss"] == pytest.approx(np.log(2) * (32 - ones + 3 * ones), rel=1e-5)


def test_dropout_resumes_bit_for_bit(tmp_path: pathlib.Path) -> None:
    # One batch, so that each step sees the same rows; only what is dropped differs from step to step.
    data = rows("DNNRegressor", 32)
    whole = make("DNNRegressor", tmp_path / "whole", dropout=0.5).train(data, steps=4)
    make("DNNRegressor", tmp_path / "halves", dropout=0.5).train(data, steps=2)
    halves = make("DNNRegressor", tmp_path / "halves", dropout=0.5).train(data, steps=2)
    first, second = weights(whole), weights(halves)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    without = weights(make("DNNRegressor", tmp_path / "none").train(data, steps=4))
    assert not np.allclose(first["dnn/logits/kernel"], without["dnn/logits/kernel"])


def test_dropout_drops_the_rate_scales_the_rest_and_differs_by_layer_seed_and_replica(
    mirrored: tf.distribute.MirroredStrategy,
) -> None:
    ones = tf.ones([100, 100])
    first = _canned_layers.dropout(ones, 0.25, 0, 1).numpy()
    assert set(np.unique(first)) == {np.float32(0.0), np.float32(1 / 0.75)}
    # 10,000 draws: the standard deviation of the share is sqrt(0.25 * 0.75 / 10,000) = 0.0043.
    assert np.mean(first == 0) == pytest.approx(0.25, abs=5 * 0.0043)
    np.testing.assert_array_equal(first, _canned_layers.dropout(ones, 0.25, 0, 1))
    assert not np.array_equal(first, _canned_layers.dropout(ones, 0.25, 1, 1))
    assert not np.array_equal(first, _canned_layers.dropout(ones, 0.25, 0, 2))
    replicas = mirrored.experimental_local_results(mirrored.run(lambda: _canned_layers.dropout(ones, 0.25, 0, 1)))
    assert not np.array_equal(replicas[0], replicas[1])


def test_batch_norm_normalises_the_batch_and_keeps_moving_averages() -> None:
    made: dict[str, tf.Variable] = {}

    def variable(name: str, shape: Any, initializer: Any, dtype: Any = tf.float32, trainable: bool = True) -> Any:
        made[name] = tf.Variable(initializer(shape, dtype), trainable=trainable)
        return made[name]

    net = _canned_layers.batch_norm(tf.constant([[1.0], [3.0]]), variable, training=True)
    # Mean 2, variance 1: (x - 2) / sqrt(1 + 0.001). Averages: 0 + 0.001 * (2 - 0), and 1 as it was.
    np.testing.assert_allclose(net, [[-0.99950037], [0.99950037]], rtol=1e-6)
    np.testing.assert_allclose(made["moving_mean"], [0.002], rtol=1e-4)
    np.testing.assert_allclose(made["moving_variance"], [1.0], rtol=1e-6)


def test_initial_weights_follow_the_seed(tmp_path: pathlib.Path) -> None:
    first, second = (
        weights(make("DNNLinearCombinedRegressor", tmp_path / str(i)).train(rows("Regressor"), steps=1))
        for i in range(2)
    )
    assert_close(first, second, 0)


def test_each_optimizer_of_a_combined_model_counts_and_the_global_step_counts_once(tmp_path: pathlib.Path) -> None:
    found = weights(make("DNNLinearCombinedClassifier", tmp_path).train(rows("Classifier"), steps=3))
    assert found["global_step"] == found["training/Adam/iter"] == found["training/Adam_1/iter"] == 3
    assert {name.split("/")[2] for name in found if name.startswith("training/Adam/") and name.count("/") > 2} == {
        "dnn"
    }
    assert {name.split("/")[2] for name in found if name.startswith("training/Adam_1/") and name.count("/") > 2} == {
        "linear"
    }


def test_gradient_clipping_uses_the_norm_of_both_parts(tmp_path: pathlib.Path) -> None:
    x = fc.numeric_column("x")
    estimator = estimators.DNNLinearCombinedRegressor(
        linear_feature_columns=[x],
        linear_optimizer=keras.optimizers.SGD(1.0),
        dnn_feature_columns=[x],
        dnn_optimizer=keras.optimizers.SGD(1.0),
        dnn_hidden_units=[2],
        config=RunConfig(model_dir=str(tmp_path), gradient_clipping=0.5, tf_random_seed=1, progress="none"),
    )
    data = input_pipelines.from_arrays({"x": [2.0]}, [100.0], batch_size=1, num_epochs=None)
    before = weights(estimator.train(data, steps=1))
    after = weights(estimator.train(data, steps=1))
    moved = [after[name] - value for name, value in before.items() if name.startswith(("dnn/", "linear/"))]
    # The learning rate is 1, so that the step is the clipped gradient, whose norm is 0.5.
    assert np.sqrt(sum(np.sum(np.square(change)) for change in moved)) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("combined", "optimizer", "columns", "rate"),
    [
        (False, "Ftrl", 1, 0.2),
        (False, "sgd", 100, 0.2),
        (False, None, 4, 0.2),
        (False, None, 100, 0.1),  # 1 / sqrt(100)
        (True, "Ftrl", 4, 0.005),
        (True, "FTRL", 50_000, 1 / 50_000**0.5),
        (False, keras.optimizers.Adam(0.03), 1, 0.03),
        (False, lambda: keras.optimizers.Adam(0.04), 1, 0.04),
    ],
)
def test_learning_rates_of_linear_models(combined: bool, optimizer: Any, columns: int, rate: float) -> None:
    part = _canned_model.linear_part(
        [fc.numeric_column(f"x{i}") for i in range(columns)], optimizer, "sum", combined=combined
    )
    assert float(part.optimizer().learning_rate) == pytest.approx(rate)


def test_learning_rate_of_deep_models() -> None:
    part = _canned_model.deep_part([X], [1], "adagrad", None, None, False)
    made: Any = part.optimizer()
    assert isinstance(made, keras.optimizers.Adagrad)
    assert float(made.learning_rate) == pytest.approx(0.001)
    assert made.initial_accumulator_value == pytest.approx(0.1)


@pytest.mark.parametrize("name", _optimizers._classes())
def test_every_optimizer_goes_by_its_name(name: str) -> None:
    optimizer = _optimizers.optimizer_maker(name.upper(), 0.1, "optimizer")()
    variable = tf.Variable([1.0, 2.0])
    optimizer.apply([tf.constant([0.5, 0.5])], [variable])
    assert type(optimizer).__name__ == name
    assert np.all(variable.numpy() != [1.0, 2.0])


def test_a_schedule_is_followed(tmp_path: pathlib.Path) -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.0])
    estimator = estimators.LinearRegressor(
        [fc.numeric_column("x")],
        optimizer=keras.optimizers.SGD(schedule),
        config=RunConfig(model_dir=str(tmp_path), progress="none"),
    )
    data = input_pipelines.from_arrays({"x": [0.0]}, [1.0], batch_size=1, num_epochs=None)
    # The gradient of (bias - 1)^2 at 0 is -2; the first step has the rate 1, later ones 0.
    estimator.train(data, steps=3)
    np.testing.assert_allclose(estimator.get_variable_value("linear/linear_model/bias_weights"), [2.0])


def test_the_weight_column_is_not_needed_to_predict(tmp_path: pathlib.Path) -> None:
    estimator = estimators.LinearRegressor(
        [X], weight_column="w", config=RunConfig(model_dir=str(tmp_path), progress="none")
    )
    estimator.train(input_pipelines.from_arrays({"x": [[1.0, 2.0]], "w": [2.0]}, [1.0], batch_size=1), steps=1)
    (row,) = estimator.predict(input_pipelines.from_arrays({"x": [[1.0, 2.0]]}, batch_size=1))
    assert row["predictions"].shape == (1,)


def test_an_embedding_that_is_not_trained_stays(tmp_path: pathlib.Path) -> None:
    column = fc.embedding_column(WORDS, 2, initializer=lambda shape, dtype: tf.ones(shape, dtype), trainable=False)
    estimator = estimators.DNNRegressor([3], [column], config=RunConfig(model_dir=str(tmp_path), progress="none"))
    estimator.train(rows("Regressor"), steps=2)
    found = weights(estimator)
    name = "dnn/input_from_feature_columns/input_layer/word_embedding/embedding_weights"
    np.testing.assert_array_equal(found[name], np.ones([3, 2]))
    assert f"training/Adagrad/{name}/accumulator" not in found
