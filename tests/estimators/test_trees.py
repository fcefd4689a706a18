"""Gradient-boosted trees: what TensorFlow makes of them against YDF itself, every verb of an estimator, bad input."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway.estimators import GradientBoostedTreesClassifier, GradientBoostedTreesRegressor, RunConfig

ROWS = 600
CITY = fc.categorical_column_with_vocabulary_list("city", ["Bonn", "Kyoto", "Lima", "Oslo"])
STREET = fc.categorical_column_with_hash_bucket("street", 400)
COLUMNS = [
    fc.numeric_column("x", shape=(2,)),
    fc.bucketized_column(fc.numeric_column("age"), [20, 40, 60]),
    fc.embedding_column(CITY, 3),
    STREET,
    fc.indicator_column(fc.categorical_column_with_identity("tags", 3)),
]
NAMES = ["age_bucketized", "tags_indicator/0", "tags_indicator/1", "tags_indicator/2", "x/0", "x/1", "city", "street"]


def table(rows: int, seed: int) -> dict[str, Any]:
    """Made-up rows; numbers, words and all tags of a row may be missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)).astype("float32")
    x[rng.random((rows, 2)) < 0.2] = np.nan
    return {
        "x": x,
        "age": rng.uniform(10, 80, rows).astype("float32"),
        "city": rng.choice(["Bonn", "Kyoto", "Lima", "Oslo", "", "Rome"], rows),
        "street": rng.choice([f"street {i}" for i in range(60)], rows),
        "tags": rng.integers(-1, 3, (rows, 2)),
        "weight": rng.choice([0.0, 1.0, 2.0], rows).astype("float32"),
    }


TABLE, OTHERS = table(ROWS, 1), table(100, 2)
_X = np.nan_to_num(TABLE["x"])
_SCORE = _X[:, 0] + (TABLE["city"] == "Lima") - 0.02 * TABLE["age"] + 0.5 * (TABLE["tags"] == 1).sum(1)
LABELS = {"two": (_SCORE > -0.5).astype(int), "three": (_SCORE > -1.0).astype(int) + (_SCORE > 0.5), "number": _SCORE}
LABELS["words"] = np.array(["no", "yes"])[LABELS["two"]]
MODELS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "two": (GradientBoostedTreesClassifier, {"weight_column": "weight"}, "two"),
    "words": (GradientBoostedTreesClassifier, {"label_vocabulary": ["no", "yes"], "validation_ratio": 0.0}, "words"),
    # The fourth class has no rows.
    "four": (GradientBoostedTreesClassifier, {"n_classes": 4, "max_depth": 3}, "three"),
    "number": (GradientBoostedTreesRegressor, {"subsample": 0.8, "l2_regularization": 0.1}, "number"),
}
every_model = pytest.mark.parametrize("key", MODELS)


def rows(key: str, batch_size: int = 250) -> Any:
    return input_pipelines.from_arrays(TABLE, LABELS[MODELS[key][2]], batch_size=batch_size)


def make(key: str, model_dir: pathlib.Path | str, **arguments: Any) -> Any:
    kind, own, _ = MODELS[key]
    config = RunConfig(model_dir=str(model_dir), tf_random_seed=3, progress="none")
    return kind(COLUMNS, n_trees=12, **{**own, **arguments}, config=config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {key: make(key, tmp_path_factory.mktemp(key)).train(rows(key)) for key in MODELS}


def seen(data: dict[str, Any]) -> dict[str, Any]:
    """Returns what YDF gets of a table, made by hand; its features are named by their places in `NAMES`."""
    words = fc.DenseFeatures([fc.indicator_column(STREET)])(data).numpy()
    cities = ["Bonn", "Kyoto", "Lima", "Oslo"]
    found = {"0": np.digitize(data["age"], [20, 40, 60]).astype("float32")}
    found |= {str(tag + 1): (data["tags"] == tag).sum(1).astype("float32") for tag in range(3)}
    found |= {"4": data["x"][:, 0], "5": data["x"][:, 1]}
    found["6"] = np.array([str(cities.index(city)) if city in cities else "" for city in data["city"]])
    return {**found, "7": words.argmax(1).astype(str)}


@every_model
def test_predictions_are_those_of_ydf(key: str, trained: dict[str, Any]) -> None:
    model = trained[key]
    assert model.feature_names == NAMES
    for data in (TABLE, OTHERS):
        expected = model.ydf_model().predict(seen(data))
        name = "predictions" if key == "number" else "probabilities"
        found = np.stack([row[name] for row in model.predict(input_pipelines.from_arrays(data, batch_size=64))])
        if key != "four":
            found = found[:, -1]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_trees_look_at_numbers_and_at_ids(trained: dict[str, Any]) -> None:
    importances = trained["two"].feature_importances()
    assert set(importances) == set(NAMES)
    assert sum(importances.values()) == pytest.approx(1.0)
    assert next(iter(importances)) == "x/0"
    assert importances["city"] > 0.01
    by_ydf = trained["two"].ydf_model().variable_importances()["SUM_SCORE"]
    found = trained["two"].feature_importances(normalize=False)
    assert {NAMES[int(name)]: score for score, name in by_ydf} == pytest.approx(
        {name: gain for name, gain in found.items() if gain}, rel=1e-5
    )


def test_metrics_and_keys_are_those_of_the_heads(trained: dict[str, Any]) -> None:
    found = trained["two"].evaluate(rows("two"))
    (row,) = trained["two"].predict(input_pipelines.from_arrays({k: v[:1] for k, v in TABLE.items()}, batch_size=1))
    assert set(row) >= {"logits", "logistic", "probabilities", "class_ids", "classes"}
    predicted = np.stack([row["class_ids"][0] for row in trained["two"].predict(rows("two"))])
    weights = TABLE["weight"]
    expected = weights[predicted == LABELS["two"]].sum() / weights.sum()
    assert found["accuracy"] == pytest.approx(expected, rel=1e-5)
    assert found["accuracy"] > 0.8
    assert found["global_step"] == 12
    (row,) = trained["words"].predict(input_pipelines.from_arrays({k: v[:1] for k, v in TABLE.items()}, batch_size=1))
    assert row["classes"][0].decode() == ["no", "yes"][row["class_ids"][0]]


@pytest.mark.parametrize("key", ["four", "number"])
def test_what_is_reloaded_and_what_is_exported_predict_the_same(
    key: str, trained: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    model = make(key, trained[key].model_dir)
    name = "predictions" if key == "number" else "logits"
    data = {feature: values for feature, values in OTHERS.items() if feature != "weight"}
    expected, found = (
        np.stack([row[name] for row in own.predict(input_pipelines.from_arrays(data, batch_size=100))])
        for own in (trained[key], model)
    )
    np.testing.assert_array_equal(found, expected)
    served = tf.saved_model.load(model.export_saved_model(tmp_path, example=data).decode()).signatures["predict"]
    answer = served(**{feature: tf.constant(values) for feature, values in data.items()})[name]
    np.testing.assert_allclose(answer, expected, rtol=1e-6, atol=1e-6)


def test_a_keras_model_and_sparse_words_give_the_same(trained: dict[str, Any]) -> None:
    data = {feature: values[:50] for feature, values in OTHERS.items()}
    expected = np.stack(
        [row["logits"] for row in trained["two"].predict(input_pipelines.from_arrays(data, batch_size=50))]
    )
    # As tf.io.parse_example gives it: no value where the word is missing.
    city = tf.ragged.constant([[word] if word else [] for word in data["city"]]).to_sparse()
    for form in (data["city"], city):
        found = trained["two"].to_keras()({**{k: tf.constant(v) for k, v in data.items()}, "city": form})["logits"]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_two_replicas_and_a_batch_without_rows_change_no_metric(
    trained: dict[str, Any], mirrored: tf.distribute.MirroredStrategy
) -> None:
    def input_fn() -> tf.data.Dataset:
        whole = tf.data.Dataset.from_tensor_slices((TABLE, LABELS["two"])).batch(ROWS)
        return whole.concatenate(whole.map(lambda *parts: tf.nest.map_structure(lambda part: part[:0], parts)))

    config = RunConfig(model_dir=trained["two"].model_dir, eval_distribute=mirrored, progress="none")
    two = GradientBoostedTreesClassifier(COLUMNS, weight_column="weight", config=config)
    found = trained["two"].evaluate(rows("two"))
    for other in (two.evaluate(rows("two")), trained["two"].evaluate(input_fn)):
        assert {**other, "loss": 0.0} == pytest.approx({**found, "loss": 0.0}, rel=1e-5)


def test_training_again_makes_new_trees_and_older_ones_can_be_had(tmp_path: pathlib.Path) -> None:
    few = make("two", tmp_path, validation_ratio=0.0).train(rows("two"))
    first, path = few.evaluate(rows("two")), few.latest_checkpoint()
    many = make("two", tmp_path, max_depth=2, validation_ratio=0.0).train(rows("two"), steps=1)
    second = many.evaluate(rows("two"))
    assert (first["global_step"], second["global_step"]) == (12, 24)
    assert second["average_loss"] > first["average_loss"]
    assert many.evaluate(rows("two"), checkpoint_path=path) == pytest.approx(first)
    assert few.evaluate(rows("two")) == pytest.approx(second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_trees": 0}, "`n_trees` must be a whole number of at least 1. Received: 0"),
        ({"learning_rate": 0}, "`learning_rate` must be a number up to 1 above 0. Received: 0"),
        ({"validation_ratio": 2}, "`validation_ratio` must be a number up to 1. Received: 2"),
        ({"l2_regularization": -1}, "`l2_regularization` must be a number of at least 0"),
        ({"feature_columns": []}, "`feature_columns`: feature_columns must not be empty"),
        ({"feature_columns": [CITY, fc.embedding_column(CITY, 2)]}, r"each column once. Received.*\['city'\]"),
        ({"feature_columns": [fc.sequence_numeric_column("load")]}, "'load' is a sequence, and trees take none"),
        ({"feature_columns": [fc.weighted_categorical_column(CITY, "weight")]}, "trees know no weights of ids"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradientBoostedTreesClassifier(**{"feature_columns": COLUMNS, **arguments})


def endless() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((TABLE, LABELS["two"])).batch(10).repeat()


MANY = tf.ragged.constant([[1], [2, 0]])
TAGS = fc.categorical_column_with_identity("tags", 3)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.train(rows("two"), max_steps=3), "`max_steps` has no meaning for trees"),
        (lambda m: m.train(rows("two"), steps=0), "Must specify steps > 0, given: 0"),
        (lambda m: m.train(endless), "The input of training never ends"),
        (lambda m: m.train(lambda: endless().take(0)), "The input of training is empty"),
        (lambda m: m.train(input_pipelines.from_arrays(TABLE, batch_size=9)), "Received no labels"),
        (lambda m: m.train(input_pipelines.from_arrays(TABLE, _SCORE, batch_size=9)), "Labels must be"),
        (lambda m: m.train(input_pipelines.from_arrays(TABLE, [0.5] * ROWS, batch_size=9)), "nothing between.*0.5"),
        (lambda m: m.evaluate(rows("two")), "Could not find trained model in model_dir"),
        (lambda m: m.feature_importances(), "Could not find trained model in model_dir"),
        (lambda m: GradientBoostedTreesClassifier([TAGS]).train(rows("two")), "'tags' has several"),
        (
            lambda m: GradientBoostedTreesClassifier([TAGS]).train(lambda: ({"tags": MANY}, [0, 1]), steps=1),
            "'tags' has several.*Number of values in a row: 2",
        ),
        (lambda m: make("two", m.model_dir, learner_options={"no": 1}).train(rows("two")), "YDF cannot learn.*'no'"),
    ],
)
def test_wrong_input_is_refused(tmp_path: pathlib.Path, act: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act(make("two", tmp_path))


def test_without_ydf_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ydf", None)
    with pytest.raises(ImportError, match=r"pip install headway\[trees\]"):
        GradientBoostedTreesClassifier(COLUMNS)
