"""`KMeansClustering`: against tf.estimator (tests/golden/canned_b), by hand, and in every way of running."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.estimators import KMeansClustering, RunConfig
from headway.estimators._checkpoints import write_tensors

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "canned_b"
_spec = importlib.util.spec_from_file_location("kmeans_cases", GOLDEN / "kmeans_cases.py")
assert _spec is not None
assert _spec.loader is not None
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
RESULTS = json.loads((GOLDEN / "kmeans.json").read_text("utf-8"))
POINTS = cases.points()
Input = Callable[[], tf.data.Dataset]
every_case = pytest.mark.parametrize("name", cases.CASES)


def input_of(name: str, batch: int | None = None, *, repeat: bool = False, rows: Any = POINTS) -> Input:
    def input_fn() -> tf.data.Dataset:
        data = tf.data.Dataset.from_tensor_slices(cases.features(name, rows)).batch(batch or cases.batch_size(name))
        return data.repeat() if repeat else data

    return input_fn


def points_in(batch: int, *, repeat: bool = True, rows: Any = POINTS) -> Input:
    return input_of("full", batch, repeat=repeat, rows=rows)


def make(name: str, model_dir: pathlib.Path, **settings: Any) -> KMeansClustering:
    config = RunConfig(model_dir=str(model_dir), tf_random_seed=1, progress="none", **settings)
    made: KMeansClustering = cases.build(name, KMeansClustering, fc, config=config)
    return made


def plain(model_dir: pathlib.Path, *args: Any, **kwargs: Any) -> KMeansClustering:
    config = RunConfig(model_dir=str(model_dir), progress="none")
    return KMeansClustering(*args, config=config, **kwargs)


def values(estimator: KMeansClustering) -> dict[str, np.ndarray[Any, Any]]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def assert_golden(found: dict[str, np.ndarray[Any, Any]], expected: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for key, (dtype, value) in expected.items():
        assert found[key].dtype.name == dtype
        np.testing.assert_allclose(found[key], value, rtol=tolerance, atol=tolerance, err_msg=key)


@every_case
def test_training_is_that_of_tf_estimator(name: str, tmp_path: pathlib.Path) -> None:
    estimator = make(name, tmp_path).train(input_of(name, repeat=True), steps=cases.STEPS)
    assert_golden(values(estimator), RESULTS[name]["before"])


@every_case
def test_a_model_dir_of_tf_estimator_goes_on(name: str, tmp_path: pathlib.Path) -> None:
    golden = RESULTS[name]
    step = golden["before"]["global_step"][1]
    tensors = {key: tf.constant(value, tf.as_dtype(dtype)) for key, (dtype, value) in golden["before"].items()}
    write_tensors(str(tmp_path / f"model.ckpt-{step}"), tensors)
    estimator, once = make(name, tmp_path), input_of(name)
    metrics = estimator.evaluate(once)
    assert metrics == pytest.approx(golden["metrics"], rel=1e-5)
    assert estimator.score(once) == pytest.approx(golden["score"], rel=1e-5)
    np.testing.assert_array_equal(list(estimator.predict_cluster_index(once)), golden["cluster_index"])
    np.testing.assert_allclose(list(estimator.transform(once)), golden["transform"], rtol=1e-4, atol=1e-5)
    distances = [row["all_distances"] for row in estimator.predict(once)]
    np.testing.assert_allclose(distances, golden["all_distances"], rtol=1e-4, atol=1e-5)
    assert_golden(values(estimator.train(input_of(name, repeat=True), steps=cases.MORE_STEPS)), golden["after"])


@every_case
def test_eager_is_compiled(name: str, tmp_path: pathlib.Path) -> None:
    estimator = make(name, tmp_path, run_eagerly=True).train(input_of(name, repeat=True), steps=cases.STEPS)
    assert_golden(values(estimator), RESULTS[name]["before"])
    assert estimator.evaluate(input_of(name)) == pytest.approx(RESULTS[name]["metrics"], rel=1e-5)


@every_case
def test_two_replicas_with_half_batches_are_one(
    name: str, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    half = cases.batch_size(name) // 2
    estimator = make(name, tmp_path, train_distribute=mirrored)
    estimator.train(input_of(name, half, repeat=True), steps=cases.STEPS)
    assert_golden(values(estimator), RESULTS[name]["before"])


@pytest.mark.parametrize("start", ["random", "kmeans_plus_plus"])
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_replicas_choose_the_same_first_centres(
    start: str, metric: str, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    found = []
    for i, (strategy, batch) in enumerate([(None, 40), (mirrored, 20)]):
        config = RunConfig(model_dir=str(tmp_path / str(i)), train_distribute=strategy, progress="none")
        model = KMeansClustering(3, None, start, metric, seed=7, config=config)
        found.append(values(model.train(points_in(batch), steps=2)))
    for key, value in found[0].items():
        np.testing.assert_allclose(value, found[1][key], rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("mini", [True, False])
@pytest.mark.parametrize("start", ["random", "kmeans_plus_plus"])
def test_three_far_groups_are_found(start: str, mini: bool, tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    rows = (np.repeat(middles, 20, axis=0) + rng.normal(size=(60, 2))).astype("float32")[rng.permutation(60)]
    scores = []
    for seed in range(4):
        model = plain(tmp_path / str(seed), 3, None, start, seed=seed, use_mini_batch=mini)
        model.train(points_in(60, rows=rows), steps=30)
        scores.append(float(model.score(points_in(60, rows=rows))))
    # Two numbers of variance 1 for each of 60 points; where a group has no centre, the score is a hundred times that.
    assert min(scores) < 200
    if start == "kmeans_plus_plus":
        assert max(scores) < 200


def test_first_centres_are_points_and_come_from_several_batches(tmp_path: pathlib.Path) -> None:
    model = plain(tmp_path, 5, mini_batch_steps_per_iteration=100, seed=1)
    # Batches of two: the third one completes the five centres, and is the first step.
    model.train(points_in(2), steps=1)
    np.testing.assert_array_equal(model.cluster_centers(), POINTS[:5])
    assert int(model.get_variable_value("global_step")) == 1
    assert bool(model.get_variable_value("initialized"))


def test_a_start_that_found_too_few_points_begins_anew(tmp_path: pathlib.Path) -> None:
    plain(tmp_path, 5, mini_batch_steps_per_iteration=100).train(points_in(2, repeat=False, rows=POINTS[:4]))
    model = plain(tmp_path, 5, mini_batch_steps_per_iteration=100)
    with pytest.raises(ValueError, match="has no centres yet"):
        model.score(points_in(4))
    model.train(points_in(5), steps=1)
    np.testing.assert_array_equal(model.cluster_centers(), POINTS[:5])


def test_the_seed_decides(tmp_path: pathlib.Path) -> None:
    found = [
        plain(tmp_path / str(i), 3, seed=seed, mini_batch_steps_per_iteration=9).train(points_in(40), steps=1)
        for i, seed in enumerate([1, 1, 2])
    ]
    first, again, other = (model.cluster_centers() for model in found)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_empty_batches_change_nothing(tmp_path: pathlib.Path) -> None:
    def input_fn() -> tf.data.Dataset:
        parts = [POINTS[:0], POINTS, POINTS[:0], POINTS]
        return tf.data.Dataset.from_generator(lambda: iter(parts), output_signature=tf.TensorSpec([None, 2]))

    first = plain(tmp_path / "1", 3, None, cases.CENTERS, use_mini_batch=False).train(input_fn)
    second = plain(tmp_path / "2", 3, None, cases.CENTERS, use_mini_batch=False).train(points_in(40), steps=2)
    np.testing.assert_allclose(first.cluster_centers(), second.cluster_centers(), rtol=1e-6)
    chosen = plain(tmp_path / "3", 3, None, "kmeans_plus_plus").train(input_fn)
    assert np.all(np.isfinite(chosen.cluster_centers()))


def test_a_centre_without_points_stays(tmp_path: pathlib.Path) -> None:
    centers = np.array([[0.0, 0.0], [50.0, 50.0]], "float32")
    model = plain(tmp_path, 2, None, centers, use_mini_batch=False).train(points_in(40), steps=2)
    np.testing.assert_allclose(model.cluster_centers(), [POINTS.mean(axis=0), [50.0, 50.0]], rtol=1e-5)


def test_replicas_that_have_no_batch_count_for_nothing(
    tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    config = RunConfig(model_dir=str(tmp_path), eval_distribute=mirrored, progress="none")
    model = KMeansClustering(3, None, cases.CENTERS, config=config)
    once = points_in(40, repeat=False)
    assert model.evaluate(once)["score"] == pytest.approx(plain(tmp_path / "one", 3, None, cases.CENTERS).score(once))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "start": ({"initial_clusters": "best"}, "Unsupported initialization algorithm 'best'"),
    "centres": ({"initial_clusters": [1.0, 2.0]}, "an array \\[num_clusters, d\\] of finite numbers"),
    "metric": ({"distance_metric": "l1"}, "Unsupported distance metric 'l1'"),
    "clusters": ({"num_clusters": 0}, "`num_clusters` must be an integer >= 1. Received: 0"),
    "steps": ({"mini_batch_steps_per_iteration": 0.5}, "`mini_batch_steps_per_iteration` must be an integer >= 1"),
    "tolerance": ({"relative_tolerance": 0.0}, "`relative_tolerance` must be None or above 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_are_checked(name: str) -> None:
    arguments, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        KMeansClustering(**{"num_clusters": 3, **arguments})


BAD_INPUT: dict[str, tuple[dict[str, Any], Any, str]] = {
    "strings": ({}, {"x": ["a"]}, "Points must be numbers. Received: 'x' of type string"),
    "rank": ({}, np.zeros([1, 2, 2], "float32"), "Points must have the shape \\[batch, d\\]"),
    "width": ({"initial_clusters": np.zeros([3, 5])}, np.zeros([1, 2], "float32"), "= \\[3, 2\\] for points of 2"),
    "labels": ({}, (np.zeros([1, 2], "float32"), [1]), "model_fn does not take labels"),
    "few points": (
        {"initial_clusters": "kmeans_plus_plus"},
        np.zeros([1, 2], "float32"),
        "too few points to choose the first centres by k-means\\+\\+.*: 1 3",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_input_is_checked(name: str, tmp_path: pathlib.Path) -> None:
    arguments, data, message = BAD_INPUT[name]
    model = plain(tmp_path, **{"num_clusters": 3, **arguments})
    with pytest.raises(ValueError, match=message):
        model.train(lambda: tf.data.Dataset.from_tensor_slices(data).batch(1), steps=1)
