"""Small tables that one variable stands in for while steps run: the same results with every optimizer."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import LazyAdam, _piles
from headway import feature_columns as fc
from headway.estimators import (
    DNNLinearCombinedClassifier,
    Estimator,
    EstimatorSpec,
    LinearClassifier,
    LinearEstimator,
    RunConfig,
    minimize,
)
from headway.heads import BinaryClassHead
from headway.input_pipelines import Pipeline, from_arrays

ROWS = 40
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adagrad, large epsilon": lambda: keras.optimizers.Adagrad(0.1, epsilon=0.01),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "rmsprop, centered": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "lazy adam": lambda: LazyAdam(0.01),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
}
# What is applied by Keras itself, or clips by the norm of each variable, is not piled.
NOT_PILED: dict[str, Callable[[], Any]] = {
    "adamw": lambda: keras.optimizers.AdamW(0.01),
    "clipped": lambda: keras.optimizers.SGD(0.1, clipnorm=0.01),
}


def columns() -> list[fc.FeatureColumn]:
    """Columns with and without values that are missing, of one value in a row and of two."""
    return [
        fc.categorical_column_with_vocabulary_list("word", ["a", "b", "c"]),
        fc.categorical_column_with_identity("number", 6),
        fc.categorical_column_with_hash_bucket("pair", 9),
        fc.bucketized_column(fc.numeric_column("x"), [0.0, 1.0]),
    ]


def rows(labels: Any = None, *, shuffle: bool = True) -> Pipeline:
    rng = np.random.default_rng(3)
    features = {
        "word": rng.choice(np.array(["a", "b", "c", "?", ""], object), ROWS),
        "number": rng.integers(0, 6, ROWS),
        "pair": rng.choice(np.array(["v", "w", "x", ""], object), (ROWS, 2)),
        "x": rng.normal(size=ROWS).astype("float32"),
    }
    labels = rng.integers(0, 2, ROWS) if labels is None else labels
    return from_arrays(features, labels, batch_size=8, shuffle=shuffle, seed=5, num_epochs=None)


def values(model: Any) -> dict[str, Any]:
    return {name: model.get_variable_value(name) for name in model.get_variable_names()}


def scalars(folder: pathlib.Path, part_of_tag: str) -> list[tuple[int, float]]:
    """Returns (step, value) of the scalars in event files whose tag has this part."""
    events = [
        event for path in sorted(folder.glob("events*")) for event in tf.compat.v1.train.summary_iterator(str(path))
    ]
    return [(event.step, v.simple_value) for event in events for v in event.summary.value if part_of_tag in v.tag]


@pytest.fixture
def piled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The heights of the piles that are made, in their order."""
    heights: list[int] = []
    make = _piles.Piles.of

    def of(self: _piles.Piles, layout: _piles.Layout, tables: Any) -> tf.Variable:
        heights.append(layout.height)
        return make(self, layout, tables)

    monkeypatch.setattr(_piles.Piles, "of", of)
    return heights


@pytest.mark.parametrize("name", [*OPTIMIZERS, *NOT_PILED])
def test_every_optimizer_gives_what_it_gives_step_by_step(name: str, tmp_path: pathlib.Path, piled: list[int]) -> None:
    make = {**OPTIMIZERS, **NOT_PILED}[name]

    def trained(folder: str, loop: int) -> dict[str, Any]:
        config = RunConfig(progress="none", steps_per_loop=loop)
        model = LinearClassifier(columns(), str(tmp_path / folder), optimizer=make, config=config)
        return values(model.train(rows(), steps=3).train(rows(), steps=4))

    expected = trained("single", 1)
    assert not piled
    found = trained("loop", 5)
    # 3 + 6 + 9 + 3 rows, and a row of zeros before each of the two tables of words, which may be missing.
    assert set(piled) == ({23} if name in OPTIMIZERS else set())
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-6, atol=1e-7, err_msg=key)


def test_a_deep_part_beside_it_and_weights_from_elsewhere(tmp_path: pathlib.Path, piled: list[int]) -> None:
    deep = [fc.embedding_column(fc.categorical_column_with_identity("number", 6), 3), fc.numeric_column("x")]

    def model(folder: str, loop: int, warm: Any = None) -> Any:
        config = RunConfig(progress="none", steps_per_loop=loop, tf_random_seed=1)
        return DNNLinearCombinedClassifier(
            str(tmp_path / folder), columns(), "Ftrl", deep, "Adagrad", [4], config=config, warm_start_from=warm
        )

    first = str(model("first", 1).train(rows(), steps=5).model_dir)
    expected = values(model("single", 1, first).train(rows(), steps=6))
    assert not piled
    found = values(model("loop", 6, first).train(rows(), steps=6))
    assert piled
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-6, atol=1e-7, err_msg=key)


def test_inputs_with_and_without_missing_values_take_turns(tmp_path: pathlib.Path, piled: list[int]) -> None:
    # What is known of the ids of a table in memory decides where rows of zeros lie: each input has piles of its own.
    columns = [fc.categorical_column_with_vocabulary_list(name, ["a", "b", "c"]) for name in ("first", "second")]
    words = np.array(["a", "b", "c", "a"], object)
    whole = {"first": words, "second": words[::-1]}
    gaps = {"first": words, "second": np.array(["", "a", "?", "b"], object)}
    inputs = [from_arrays(each, [0, 1, 1, 0], batch_size=2, num_epochs=None) for each in (whole, gaps)]

    def trained(folder: str, loop: int) -> dict[str, Any]:
        config = RunConfig(progress="none", steps_per_loop=loop)
        model = LinearClassifier(columns, str(tmp_path / folder), optimizer=OPTIMIZERS["ftrl"], config=config)
        for number in (0, 1, 0, 1, 1, 0):
            model.train(inputs[number], steps=3)
        return values(model)

    expected, found = trained("single", 1), trained("loop", 3)
    assert set(piled) == {6, 7}
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-6, atol=1e-7, err_msg=key)


@pytest.mark.parametrize("setting", [{"gradient_clipping": 0.01}, {"gradient_accumulation": 2}])
def test_what_goes_by_variables_is_not_piled(setting: Any, tmp_path: pathlib.Path, piled: list[int]) -> None:
    config = RunConfig(progress="none", **setting)
    LinearClassifier(columns(), str(tmp_path), optimizer=keras.optimizers.SGD(0.1), config=config).train(
        rows(), steps=2
    )
    assert not piled


def _with_summary(spec: EstimatorSpec, weights: list[tf.Variable]) -> EstimatorSpec:
    tf.compat.v1.summary.scalar("squares", tf.add_n([tf.reduce_sum(tf.square(weight)) for weight in weights]))
    return spec


def _with_decay(spec: EstimatorSpec, weights: list[tf.Variable]) -> EstimatorSpec:
    with tf.control_dependencies([spec.train_op]):
        return spec._replace(train_op=tf.group(*[weight.assign(weight * 0.9) for weight in weights]))


def _by_v1(spec: EstimatorSpec, weights: list[tf.Variable]) -> EstimatorSpec:
    train_op = tf.compat.v1.train.GradientDescentOptimizer(0.1).minimize(spec.loss, var_list=weights)
    return spec._replace(train_op=tf.group(spec.train_op, train_op))


def _regularized(spec: EstimatorSpec, weights: list[tf.Variable]) -> EstimatorSpec:
    loss = spec.loss + tf.add_n([tf.nn.l2_loss(weight) for weight in weights])
    return spec._replace(loss=loss, train_op=minimize(keras.optimizers.SGD(0.1), loss, weights))


@pytest.mark.parametrize("change", [_with_summary, _with_decay, _by_v1, _regularized])
def test_a_model_fn_around_a_ready_made_one_sees_its_weights(
    change: Callable[[EstimatorSpec, list[tf.Variable]], EstimatorSpec], tmp_path: pathlib.Path, piled: list[int]
) -> None:
    def trained(folder: str, loop: int) -> tuple[dict[str, Any], list[tuple[int, float]]]:
        inner = LinearClassifier(columns(), optimizer=OPTIMIZERS["adagrad"])

        def model_fn(features: Any, labels: Any, mode: str, config: RunConfig) -> Any:
            spec = inner.model_fn(features, labels, mode, config)
            weights = [v for v in tf.compat.v1.trainable_variables() if "weights" in v.name and "bias" not in v.name]
            assert len(weights) == 4
            return change(spec, weights)

        config = RunConfig(progress="none", steps_per_loop=loop, save_summary_steps=2)
        model = Estimator(model_fn, str(tmp_path / folder), config).train(rows(), steps=6)
        return values(model), scalars(tmp_path / folder, "squares")

    (expected, expected_squares), (found, squares) = trained("single", 1), trained("loop", 3)
    assert not piled
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-6, atol=1e-7, err_msg=key)
    np.testing.assert_allclose(squares, expected_squares, rtol=1e-5)
    assert len(squares) == len({value for _, value in squares}) == (3 if change is _with_summary else 0)


@pytest.mark.parametrize("differentiated", [False, True])
def test_a_head_that_reads_the_weights_sees_them(
    differentiated: bool, tmp_path: pathlib.Path, piled: list[int]
) -> None:
    class Decaying(BinaryClassHead):
        def loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
            weights = [v for v in tf.compat.v1.trainable_variables() if "weights" in v.name and "bias" not in v.name]
            penalty = tf.add_n([tf.nn.l2_loss(weight) for weight in weights])
            return super().loss(*args, **kwargs) + (penalty if differentiated else tf.stop_gradient(penalty))

    def trained(folder: str, loop: int) -> tuple[dict[str, Any], list[tuple[int, float]]]:
        config = RunConfig(progress="none", steps_per_loop=loop, save_summary_steps=2)
        model = LinearEstimator(Decaying(), columns(), str(tmp_path / folder), OPTIMIZERS["adagrad"], config)
        return values(model.train(rows(), steps=6)), scalars(tmp_path / folder, "loss")

    (expected, expected_losses), (found, losses) = trained("single", 1), trained("loop", 3)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-6, atol=1e-7, err_msg=key)
    assert len(losses) >= 3
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    # It was tried, and taken back.
    assert piled


def test_checkpoints_and_summaries_have_the_values_of_their_step(tmp_path: pathlib.Path, piled: list[int]) -> None:
    def seen(folder: str, loop: int) -> tuple[dict[int, Any], list[tuple[int, float]]]:
        config = RunConfig(progress="none", steps_per_loop=loop, save_summary_steps=3, save_checkpoints_steps=4)
        model = LinearClassifier(columns(), str(tmp_path / folder), optimizer=OPTIMIZERS["ftrl"], config=config)
        model.train(rows(), steps=10)
        paths = {step: str(tmp_path / folder / f"model.ckpt-{step}") for step in (4, 8, 10)}
        saved = {
            step: tf.train.load_variable(path, "linear/linear_model/number/weights") for step, path in paths.items()
        }
        return saved, scalars(tmp_path / folder, "fraction_of_zero")

    (expected, expected_shares), (found, shares) = seen("single", 1), seen("loop", 10)
    assert piled
    for step, weights in expected.items():
        np.testing.assert_allclose(found[step], weights, rtol=2e-6)
    assert not np.array_equal(expected[4], expected[8])
    # L1 leaves weights at zero, at first more of them.
    assert [step for step, _ in shares] == [1, 4, 7, 10]
    assert shares == expected_shares
    assert shares[0][1] > shares[-1][1] > 0


def test_a_step_that_fails_leaves_the_values_of_the_steps_before(tmp_path: pathlib.Path, piled: list[int]) -> None:
    # Without any checkpoint, a program that catches the error goes on with the values in memory.
    labels = np.zeros(ROWS, int)
    labels[25] = 7

    def failed(folder: str, loop: int) -> dict[str, Any]:
        config = RunConfig(progress="none", steps_per_loop=loop, save_checkpoints_steps=10**6)
        model = LinearClassifier(columns(), str(tmp_path / folder), optimizer=OPTIMIZERS["adagrad"], config=config)
        with pytest.raises(ValueError, match="7"):
            model.train(rows(labels, shuffle=False), steps=10)
        for path in (tmp_path / folder).glob("*ckpt*"):
            path.unlink()
        return model.evaluate(rows(), steps=5)

    single = failed("single", 1)
    loop = failed("loop", 10)
    assert piled
    assert single["global_step"] == loop["global_step"] == 4
    assert loop["average_loss"] == pytest.approx(single["average_loss"], rel=1e-6)
    assert abs(single["average_loss"] - np.log(2)) > 0.01
