"""The two-tower model: its loss and metrics against NumPy, the properties of every model, its index, bad input."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.estimators import RunConfig, TwoTowerRetriever
from headway.input_pipelines import from_arrays

ITEMS = ["ale", "bun", "cod", "dal", "egg"]
# Shared by both towers: what a user has bought, and the item itself.
BOUGHT, ITEM = fc.shared_embeddings(
    [fc.categorical_column_with_vocabulary_list(name, ITEMS) for name in ("bought", "item")], 3
)
AGE, PRICE = fc.numeric_column("age"), fc.numeric_column("price")
PRICES = dict(zip(ITEMS, [0.1, 0.5, 0.9, 0.3, 0.7], strict=True))
# "bun" comes up three times, so that two rows must not count as wrong answers for each other.
ROW_ITEMS = ["bun", "ale", "bun", "cod", "dal", "bun", "egg", "ale"]
TABLE = {
    "age": np.linspace(-1, 1, 8).astype("float32"),
    "bought": np.array(["ale", "bun", "", "cod", "egg", "ale", "dal", "cod"]),
    "item": np.array(ROW_ITEMS),
    "price": np.array([PRICES[item] for item in ROW_ITEMS], "float32"),
    "share": np.array([ROW_ITEMS.count(item) / 8 for item in ROW_ITEMS], "float32"),
    "weight": np.array([1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 3.0, 1.0], "float32"),
}
QUERIES = {name: TABLE[name] for name in ("age", "bought")}
CATALOGUE = {"item": np.array(ITEMS), "price": np.array(list(PRICES.values()), "float32")}


def rows(batch_size: int = 8, *, epochs: int | None = 1) -> Any:
    return from_arrays(TABLE, batch_size=batch_size, num_epochs=epochs)


def catalogue() -> Any:
    return from_arrays(CATALOGUE, batch_size=3)


def make(model_dir: pathlib.Path | str, *, dropout: float | None = None, **settings: Any) -> TwoTowerRetriever:
    return TwoTowerRetriever(
        [AGE, BOUGHT],
        [ITEM, PRICE],
        hidden_units=[4],
        embedding_dimension=3,
        candidate_id_column="item",
        sampling_probability_column="share",
        weight_column="weight",
        temperature=0.5,
        top_k=(1, 2),
        dropout=dropout,
        config=RunConfig(model_dir=str(model_dir), tf_random_seed=5, progress="none", **settings),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TwoTowerRetriever:
    made = make(tmp_path_factory.mktemp("model"))
    made.train(rows(epochs=None), steps=3)
    return made


def weights(estimator: Any) -> dict[str, np.ndarray]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def assert_close(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], rtol=2e-5, atol=2e-5, err_msg=name)


def tower(found: dict[str, np.ndarray], name: str, inputs: np.ndarray) -> np.ndarray:
    net = np.maximum(inputs @ found[f"{name}/hiddenlayer_0/kernel"] + found[f"{name}/hiddenlayer_0/bias"], 0.0)
    net = net @ found[f"{name}/embedding/kernel"] + found[f"{name}/embedding/bias"]
    return net / np.linalg.norm(net, axis=1, keepdims=True)


def vectors(found: dict[str, np.ndarray], names: np.ndarray) -> np.ndarray:
    table = np.concatenate([found["bought_item_shared_embedding"], np.zeros([1, 3])])
    return table[[ITEMS.index(name) if name else -1 for name in names.tolist()]]


def embeddings(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns those of the queries and of the catalogue."""
    query = np.concatenate([TABLE["age"][:, None], vectors(found, TABLE["bought"])], 1)
    candidate = np.concatenate([vectors(found, CATALOGUE["item"]), CATALOGUE["price"][:, None]], 1)
    return tower(found, "query", query), tower(found, "candidate", candidate)


def test_loss_and_metrics_are_those_of_numpy(model: TwoTowerRetriever) -> None:
    query, catalogue_ = embeddings(weights(model))
    own = [ITEMS.index(item) for item in ROW_ITEMS]
    scores = query @ catalogue_[own].T
    alike = np.equal.outer(own, own) & ~np.eye(8, dtype=bool)
    corrected = np.where(alike, -np.inf, scores / 0.5 - np.log(TABLE["share"]))
    losses = np.log(np.exp(corrected).sum(1)) - np.diag(corrected)
    above = (np.where(alike | np.eye(8, dtype=bool), -np.inf, scores) >= np.diag(scores)[:, None]).sum(1)
    shares = TABLE["weight"] / TABLE["weight"].sum()
    assert model.evaluate(rows()) == pytest.approx(
        {
            "loss": (losses * TABLE["weight"]).sum() / 8,
            "average_loss": (losses * shares).sum(),
            "recall_in_batch@1": shares[above < 1].sum(),
            "recall_in_batch@2": shares[above < 2].sum(),
            "mrr_in_batch": (shares / (above + 1)).sum(),
            "global_step": 3,
        },
        rel=1e-5,
    )


def test_metrics_over_all_candidates_are_those_of_numpy(model: TwoTowerRetriever) -> None:
    query, catalogue_ = embeddings(weights(model))
    scores = query @ catalogue_.T
    own = scores[np.arange(8), [ITEMS.index(item) for item in ROW_ITEMS]]
    above = (scores > own[:, None] + 1e-7).sum(1)
    shares = TABLE["weight"] / TABLE["weight"].sum()
    found = model.evaluate(rows(3), candidates_fn=catalogue(), name="all")
    expected = {f"recall@{k}": shares[above < k].sum() for k in (1, 2)} | {"mrr": (shares / (above + 1)).sum()}
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-5)


def test_the_index_and_its_export_give_the_best_candidates(model: TwoTowerRetriever, tmp_path: pathlib.Path) -> None:
    query, catalogue_ = embeddings(weights(model))
    scores = query @ catalogue_.T
    order = np.argsort(-scores, 1)[:, :2]
    best = list(model.top_k(from_arrays(QUERIES, batch_size=5), catalogue(), k=2))
    assert [row["ids"].astype(str).tolist() for row in best] == np.array(ITEMS)[order].tolist()
    np.testing.assert_allclose([row["scores"] for row in best], np.take_along_axis(scores, order, 1), rtol=1e-5)
    reloaded = make(model.model_dir)
    path = reloaded.export_index(tmp_path, catalogue(), k=2, example=TABLE)
    served = tf.saved_model.load(path.decode()).signatures["serving_default"]
    answer = served(**{name: tf.constant(value) for name, value in QUERIES.items()})
    assert answer["ids"].numpy().astype(str).tolist() == np.array(ITEMS)[order].tolist()
    np.testing.assert_allclose(answer["scores"], np.take_along_axis(scores, order, 1), rtol=1e-5)


def test_queries_and_candidates_alone_have_embeddings_and_pairs_have_scores(model: TwoTowerRetriever) -> None:
    query, catalogue_ = embeddings(weights(model))
    pairs = list(model.predict(rows()))
    of_queries = list(model.predict(from_arrays(QUERIES, batch_size=8)))
    of_items = list(model.predict(catalogue()))
    assert [sorted(found[0]) for found in (of_queries, of_items)] == [
        ["query_embedding"],
        ["candidate_embedding", "candidate_hash", "candidate_id"],
    ]
    np.testing.assert_allclose([row["query_embedding"] for row in of_queries], query, rtol=1e-5)
    np.testing.assert_allclose([row["candidate_embedding"] for row in of_items], catalogue_, rtol=1e-5)
    own = catalogue_[[ITEMS.index(item) for item in ROW_ITEMS]]
    np.testing.assert_allclose([row["score"] for row in pairs], (query * own).sum(1), rtol=1e-4)


def test_eager_is_compiled_with_dropout(tmp_path: pathlib.Path) -> None:
    models = [make(tmp_path / str(eager), dropout=0.3, run_eagerly=eager) for eager in (False, True)]
    assert_close(*(weights(made.train(rows(epochs=None), steps=2)) for made in models))


def test_two_replicas_compare_with_the_candidates_of_both(
    model: TwoTowerRetriever, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    two = make(tmp_path, train_distribute=mirrored).train(rows(4, epochs=None), steps=3)
    assert_close(weights(model), weights(two))


def test_a_batch_without_rows_changes_nothing(model: TwoTowerRetriever) -> None:
    def input_fn() -> tf.data.Dataset:
        whole = tf.data.Dataset.from_tensor_slices(TABLE).batch(8)
        return whole.concatenate(whole.map(lambda batch: {name: value[:0] for name, value in batch.items()}))

    found, with_empty = model.evaluate(rows()), model.evaluate(input_fn)
    assert with_empty.pop("loss") == pytest.approx(found.pop("loss") / 2)
    assert with_empty == pytest.approx(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, "`temperature` must be a number above 0. Received: 0"),
        ({"embedding_dimension": 0}, "`embedding_dimension` must be a whole number of at least 1"),
        ({"candidate_id_column": 3}, "`candidate_id_column` must be the name of a feature"),
        ({"top_k": [0]}, "`top_k` must be a whole number of at least 1"),
        ({"hidden_units": "64"}, "`hidden_units` must be a list"),
        ({"query_feature_columns": []}, "`query_feature_columns`: feature_columns must not be empty"),
        ({"candidate_feature_columns": ["item"]}, "`candidate_feature_columns`: Items of feature_columns"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    columns = {"query_feature_columns": [AGE], "candidate_feature_columns": [PRICE]}
    with pytest.raises(ValueError, match=message):
        TwoTowerRetriever(**{**columns, **arguments})


def without(name: str) -> Any:
    return from_arrays({key: value for key, value in TABLE.items() if key != name}, batch_size=8)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.train(from_arrays(TABLE, [1] * 8, batch_size=8)), "takes no labels"),
        (lambda m: m.train(from_arrays(QUERIES, batch_size=8)), "features of the candidate are not all there"),
        (lambda m: m.train(without("share")), "'share' is not in the features"),
        (lambda m: m.train(without("weight")), "Feature weight is not in features"),
        (lambda m: m.train(from_arrays({**TABLE, "share": [0.0] * 8}, batch_size=8)), r"must be in \(0, 1\]"),
        (lambda m: list(m.predict(from_arrays({"price": [1.0]}, batch_size=1))), "'age'"),
        (lambda m: m.export_index("x", catalogue(), k=6), "at most the number of candidates. Received: 6, and 5"),
        (lambda m: m.export_index("x", from_arrays(QUERIES, batch_size=8)), "features of candidates alone"),
        (lambda m: list(m.top_k(catalogue(), catalogue(), k=1)), "Feature age is not in|'age'"),
    ],
)
def test_wrong_input_is_refused(
    model: TwoTowerRetriever, tmp_path: pathlib.Path, act: Callable[[Any], Any], message: str
) -> None:
    trained = make(tmp_path if "train" in act.__code__.co_names else model.model_dir)
    with pytest.raises(ValueError, match=message):
        act(trained)
