"""The ready-made models that tf.estimator did not have: a table of models, a table of properties, forward passes."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import estimators, heads
from headway import feature_columns as fc
from headway.estimators import RunConfig, _canned_model

ROWS = 8
X = fc.numeric_column("x", shape=(2,))
SHOP = fc.categorical_column_with_vocabulary_list("shop", ["a", "b", "c"])
TAGS = fc.weighted_categorical_column(fc.categorical_column_with_identity("tags", 5), "tag_weights")
DAYS = [fc.categorical_column_with_identity(name, 4) for name in ("first_day", "last_day")]
FIRST_DAY, LAST_DAY = fc.shared_embeddings(DAYS, 3)
CLICKS, ITEM = fc.shared_embeddings(
    [
        fc.sequence_categorical_column_with_identity("clicks", 6),
        fc.categorical_column_with_identity("item", 6),
    ],
    3,
)
SECONDS = fc.sequence_numeric_column("seconds")
FIELDS = [X, SHOP, TAGS, FIRST_DAY, LAST_DAY]
DENSE = [X, fc.embedding_column(SHOP, 2), fc.indicator_column(TAGS), FIRST_DAY, LAST_DAY]
FM = {"hidden_units": [4, 3], "feature_columns": FIELDS, "embedding_dimension": 3}
CROSS = {"hidden_units": [4], "feature_columns": DENSE}
SMALL = {"hidden_units": [5], "model_dimension": 6, "feed_forward_units": 7, "attention_units": [4]}
WITH_ITEM = {**SMALL, "sequence_feature_columns": [CLICKS, SECONDS], "candidate_feature_columns": [ITEM]}


@dataclasses.dataclass(frozen=True)
class Case:
    """A model: the class, its arguments, its labels, and whether the table of properties has a row for it."""

    name: str
    arguments: dict[str, Any]
    labels: Any = "two"
    properties: bool = True


CASES = {
    "fm": Case("DeepFMClassifier", {**FM, "weight_column": "weight", "label_smoothing": 0.1}),
    "fm, 3 classes": Case("DeepFMClassifier", {**FM, "n_classes": 3}, "three", False),
    "fm, regressor": Case("DeepFMRegressor", FM, "number", False),
    "fm, head": Case("DeepFMEstimator", {**FM, "head": heads.PoissonRegressionHead()}, "number", False),
    "cross": Case("DeepCrossRegressor", {**CROSS, "weight_column": "weight"}, "number"),
    "cross, stacked": Case(
        "DeepCrossClassifier", {**CROSS, "structure": "stacked", "cross_rank": 2, "cross_layers": 1}, "two", False
    ),
    "cross, head": Case("DeepCrossEstimator", {**CROSS, "head": heads.MultiClassHead(3)}, "three", False),
    "mmoe": Case(
        "MMoEEstimator",
        {
            "heads": [heads.MultiClassHead(3, name="kind", weight_column="weight"), heads.RegressionHead(name="size")],
            "feature_columns": DENSE,
            "head_weights": [1.0, 0.5],
            "num_experts": 3,
            "expert_units": [4],
            "tower_units": [3],
        },
        {"kind": "three", "size": "number"},
    ),
    "transformer": Case(
        "SequenceTransformerEstimator",
        {**WITH_ITEM, "context_feature_columns": [X], "head": heads.BinaryClassHead(weight_column="weight")},
    ),
    "transformer, texts": Case(
        "SequenceTransformerClassifier", {**SMALL, "sequence_feature_columns": [CLICKS]}, "two", False
    ),
    "transformer, interest": Case("SequenceTransformerRegressor", {**WITH_ITEM, "num_layers": 0}, "number", False),
}
with_properties = pytest.mark.parametrize("key", [key for key, case in CASES.items() if case.properties])


def table() -> dict[str, Any]:
    """Eight rows; the second has no tags and no clicks, the fifth no shop and the weight zero."""
    rng = np.random.default_rng(3)
    lengths = np.array([3, 0, 1, 4, 2, 1, 2, 3])
    flat = rng.integers(0, 5, lengths.sum())

    def ragged(values: Any) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(values, lengths)

    return {
        "x": rng.normal(size=(ROWS, 2)).astype("float32"),
        "shop": np.array(["a", "b", "c", "a", "", "c", "b", "other"]),
        "tags": ragged(flat),
        "tag_weights": ragged(rng.uniform(0.5, 2, lengths.sum()).astype("float32")),
        "first_day": rng.integers(0, 4, ROWS),
        "last_day": rng.integers(0, 4, ROWS),
        "clicks": ragged(flat + 1),
        "seconds": ragged(rng.normal(size=lengths.sum()).astype("float32")),
        "item": rng.integers(0, 6, ROWS),
        "weight": np.array([1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 3.0, 1.0], "float32"),
    }


TABLE = table()
LABELS = {
    "two": np.array([0, 1, 1, 0, 1, 0, 0, 1]),
    "three": np.array([0, 1, 2, 0, 1, 0, 2, 1]),
    "number": np.array([1.0, 0.0, 2.0, 3.0, 0.5, 1.5, 2.5, 1.0], "float32"),
}


def data(key: str, batch: int = ROWS, *, epochs: int | None = 1, empty: bool = False) -> Callable[[], tf.data.Dataset]:
    labels: Any = CASES[key].labels
    labels = {name: LABELS[kind] for name, kind in labels.items()} if isinstance(labels, dict) else LABELS[labels]

    def input_fn() -> tf.data.Dataset:
        rows = tf.data.Dataset.from_tensor_slices((TABLE, labels)).repeat(epochs).batch(batch)
        if empty:  # a batch of no rows after the others
            rows = rows.concatenate(
                rows.take(1).map(lambda *parts: tf.nest.map_structure(lambda part: part[:0], parts))
            )
        return rows

    return input_fn


def make(key: str, model_dir: pathlib.Path | None, **settings: Any) -> Any:
    arguments = dict(CASES[key].arguments)
    for name in ("dropout", "batch_norm", "optimizer"):
        if name in settings:
            arguments[name] = settings.pop(name)
    place = {} if model_dir is None else {"model_dir": str(model_dir)}
    config = RunConfig(**place, tf_random_seed=5, progress="none", save_summary_steps=0, **settings)
    return getattr(estimators, CASES[key].name)(**arguments, config=config)


def weights(estimator: Any) -> dict[str, np.ndarray]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def assert_close(first: dict[str, np.ndarray], second: dict[str, np.ndarray], tolerance: float = 2e-5) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_every_public_model_is_in_the_table() -> None:
    beyond = ("DeepCross", "DeepFM", "MMoE", "SequenceTransformer")
    public = {
        name
        for name, member in vars(estimators).items()
        if isinstance(member, type) and issubclass(member, _canned_model.CannedEstimator) and name.startswith(beyond)
    }
    assert public == {case.name for case in CASES.values()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Returns a function that returns a model after three steps, the same for all tests."""

    @functools.cache
    def of(key: str) -> Any:
        return make(key, tmp_path_factory.mktemp("model")).train(data(key, epochs=None), steps=3)

    return of


@with_properties
def test_eager_is_compiled(key: str, trained: Any, tmp_path: pathlib.Path) -> None:
    eager = make(key, tmp_path, run_eagerly=True).train(data(key, epochs=None), steps=3)
    assert_close(weights(trained(key)), weights(eager))


@pytest.mark.parametrize("key", ["mmoe", "transformer"])
def test_eager_is_compiled_with_dropout_and_batch_norm(key: str, tmp_path: pathlib.Path) -> None:
    models = [
        make(key, tmp_path / str(eager), dropout=0.3, batch_norm=True, run_eagerly=eager) for eager in (False, True)
    ]
    compiled, eager = (weights(model.train(data(key, epochs=None), steps=2)) for model in models)
    assert_close(compiled, eager)


@with_properties
def test_two_replicas_with_half_batches_are_one(
    key: str, trained: Any, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    two = make(key, tmp_path, train_distribute=mirrored).train(data(key, ROWS // 2, epochs=None), steps=3)
    assert_close(weights(trained(key)), weights(two))


@with_properties
def test_what_is_reloaded_and_what_is_exported_predict_the_same(key: str, trained: Any, tmp_path: pathlib.Path) -> None:
    model = trained(key)
    predictions = list(model.predict(data(key)))
    for row, other in zip(predictions, make(key, pathlib.Path(model.model_dir)).predict(data(key)), strict=True):
        for name, value in row.items():
            np.testing.assert_array_equal(value, other[name])
    served = tf.saved_model.load(model.export_saved_model(tmp_path).decode()).signatures["predict"]
    wanted = served.structured_input_signature[1]
    flat: dict[str, Any] = {}
    for name, value in TABLE.items():
        ragged = isinstance(value, tf.RaggedTensor)
        flat |= {name: value} if not ragged else {f"{name}_component_0": value.flat_values}
        flat |= {f"{name}_component_1": value.row_splits} if ragged else {}
    outputs = served(**{name: tf.constant(flat[name], wanted[name].dtype) for name in wanted})
    for name, column in outputs.items():
        for row, value in zip(predictions, column.numpy(), strict=True):
            known = row[tuple(name.split("/"))] if "/" in name else row[name]
            if value.dtype.kind == "f":
                np.testing.assert_allclose(known, value, rtol=1e-5, atol=1e-6, err_msg=name)
            else:
                assert known.tolist() == value.tolist(), name


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Returns a function that returns a model after a step on all rows and one on none, without any tracing."""

    @functools.cache
    def of(key: str) -> Any:
        model = make(key, tmp_path_factory.mktemp("model"), run_eagerly=True, optimizer="Adam")
        return model.train(data(key, empty=True))

    return of


@with_properties
def test_a_batch_without_rows_changes_no_metric_and_no_weight(key: str, by_hand: Any) -> None:
    model = by_hand(key)
    found, with_empty = (model.evaluate(data(key, empty=empty)) for empty in (False, True))
    # The loss is the mean over batches, and that of no rows is zero.
    assert with_empty.pop("loss") == pytest.approx(found.pop("loss") / 2, rel=1e-5)
    assert with_empty == pytest.approx(found, rel=1e-5)
    assert all(np.all(np.isfinite(value)) for value in weights(model).values())


def predicted(model: Any, key: str, name: Any) -> np.ndarray:
    return np.stack([row[name] for row in model.predict(data(key))])


def mean_of(vectors: np.ndarray, ids: Any, factors: Any = None) -> np.ndarray:
    """Returns the weighted mean of the vectors of some ids."""
    ids = np.asarray(ids, int)
    factors = np.ones(len(ids)) if factors is None else np.asarray(factors)
    return (vectors[ids] * factors[:, None]).sum(0) / factors.sum() if len(ids) else np.zeros(vectors.shape[1])


def shop_ids() -> list[list[int]]:
    return [["abc".index(shop)] if shop and shop in "abc" else [] for shop in TABLE["shop"]]


def dense(net: np.ndarray, found: dict[str, np.ndarray], name: str, *, relu: bool = False) -> np.ndarray:
    net = net @ found[f"{name}/kernel"] + found.get(f"{name}/bias", 0.0)
    return np.maximum(net, 0.0) if relu else net


def inputs(found: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    """Returns what `DENSE` makes of the table, in the order of the names of the columns."""
    days = found["first_day_last_day_shared_embedding"]
    tags = np.zeros([ROWS, 5])
    for row, (ids, factors) in enumerate(zip(TABLE["tags"], TABLE["tag_weights"], strict=True)):
        np.add.at(tags[row], ids.numpy(), factors.numpy())
    shops = found[f"{prefix}/shop_embedding/embedding_weights"]
    parts = [days[TABLE["first_day"]], days[TABLE["last_day"]], [mean_of(shops, ids) for ids in shop_ids()], tags]
    return np.concatenate([*parts, TABLE["x"]], 1)


@pytest.mark.parametrize("key", ["fm", "fm, 3 classes"])
def test_forward_pass_of_deep_fm(key: str, by_hand: Any) -> None:
    found = weights(by_hand(key))
    days, top = found["first_day_last_day_shared_embedding"], "deepfm/input_layer"
    tables = [found[f"{top}/{name}_embedding/embedding_weights"] for name in ("shop", "tags_weighted_by_tag_weights")]
    linear = {name: found[f"linear/linear_model/{name}/weights"] for name in ("first_day", "last_day", "shop", "x")}
    of_tags = found["linear/linear_model/tags_weighted_by_tag_weights/weights"]
    expected = []
    for row, shop in enumerate(shop_ids()):
        tags, factors = TABLE["tags"][row].numpy(), TABLE["tag_weights"][row].numpy()
        first, last, x = TABLE["first_day"][row], TABLE["last_day"][row], TABLE["x"][row]
        fields = [days[first], days[last], mean_of(tables[0], shop), mean_of(tables[1], tags, factors)]
        fields += [x[i] * found[f"{top}/x/factors"][i] for i in range(2)]
        wide = linear["first_day"][first] + linear["last_day"][last] + linear["shop"][shop].sum(0)
        wide = wide + (of_tags[tags] * factors[:, None]).sum(0) + x @ linear["x"]
        wide = wide + found["linear/linear_model/bias_weights"]
        pairs: Any = sum(fields[i] * fields[j] for i in range(6) for j in range(i))
        pairs = pairs @ found["deepfm/pairs/kernel"] if key == "fm, 3 classes" else pairs.sum(keepdims=True)
        net = dense(np.concatenate(fields), found, "deepfm/hiddenlayer_0", relu=True)
        net = dense(net, found, "deepfm/hiddenlayer_1", relu=True)
        expected.append(wide + pairs + dense(net, found, "deepfm/logits"))
    np.testing.assert_allclose(predicted(by_hand(key), key, "logits"), expected, rtol=1e-5, atol=1e-6)


def test_forward_pass_of_deep_and_cross(by_hand: Any) -> None:
    found = weights(by_hand("cross"))
    x0 = net = inputs(found, "deepcross/input_layer")
    for layer in range(2):
        net = x0 * dense(net, found, f"deepcross/crosslayer_{layer}") + net
    net = np.concatenate([net, dense(x0, found, "deepcross/hiddenlayer_0", relu=True)], 1)
    expected = dense(net, found, "deepcross/logits")
    np.testing.assert_allclose(predicted(by_hand("cross"), "cross", "predictions"), expected, rtol=1e-5, atol=1e-6)


def test_forward_pass_of_stacked_deep_and_cross_of_low_rank(by_hand: Any) -> None:
    key = "cross, stacked"
    found = weights(by_hand(key))
    x0 = inputs(found, "deepcross/input_layer")
    low = x0 @ found["deepcross/crosslayer_0/projection/kernel"]
    net = x0 * dense(low, found, "deepcross/crosslayer_0") + x0
    expected = dense(dense(net, found, "deepcross/hiddenlayer_0", relu=True), found, "deepcross/logits")
    assert low.shape[1] == 2
    np.testing.assert_allclose(predicted(by_hand(key), key, "logits"), expected, rtol=1e-5, atol=1e-6)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_forward_pass_of_mixture_of_experts(by_hand: Any) -> None:
    found = weights(by_hand("mmoe"))
    x = inputs(found, "mmoe/input_layer")
    experts = np.stack([dense(x, found, f"mmoe/expert_{i}/hiddenlayer_0", relu=True) for i in range(3)], 1)
    for task, name in (("kind", "logits"), ("size", "predictions")):
        gate = softmax(x @ found[f"mmoe/gate_{task}/kernel"])
        net = (gate[:, :, None] * experts).sum(1)
        net = dense(net, found, f"mmoe/tower_{task}/hiddenlayer_0", relu=True)
        expected = dense(net, found, f"mmoe/tower_{task}/logits")
        np.testing.assert_allclose(predicted(by_hand("mmoe"), "mmoe", (task, name)), expected, rtol=1e-5, atol=1e-6)


def normalised(steps: np.ndarray, found: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = steps - steps.mean(-1, keepdims=True)
    return centred / np.sqrt(steps.var(-1, keepdims=True) + 1e-6) * found[f"{name}/gamma"] + found[f"{name}/beta"]


def transformed(steps: np.ndarray, found: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the output of the one layer of two heads, for one row without padding, `[T, 6]`."""
    top = "transformer/layer_0"
    places = np.array([[p / 10_000 ** (2 * (i // 2) / 6) for i in range(6)] for p in range(len(steps))]).reshape(-1, 6)
    steps = steps + np.where(np.arange(6) % 2 == 0, np.sin(places), np.cos(places))
    query, key, value = (dense(steps, found, f"{top}/attention/{name}") for name in ("query", "key", "value"))
    heads_of = (slice(0, 3), slice(3, 6))
    parts = [softmax(query[:, own] @ key[:, own].T / np.sqrt(3)) @ value[:, own] for own in heads_of]
    steps = steps + dense(np.concatenate(parts, 1), found, f"{top}/attention/output")
    steps = normalised(steps, found, f"{top}/attention/norm")
    net = dense(steps, found, f"{top}/feed_forward/hiddenlayer", relu=True)
    return normalised(steps + dense(net, found, f"{top}/feed_forward/output"), found, f"{top}/feed_forward/norm")


@pytest.mark.parametrize("key", ["transformer", "transformer, texts", "transformer, interest"])
def test_forward_pass_of_transformer(key: str, by_hand: Any) -> None:
    found, arguments = weights(by_hand(key)), CASES[key].arguments
    vectors = found["clicks_item_shared_embedding"]
    expected = []
    for row in range(ROWS):
        steps = vectors[TABLE["clicks"][row].numpy()]
        if SECONDS in arguments["sequence_feature_columns"]:
            steps = np.concatenate([steps, TABLE["seconds"][row].numpy()[:, None]], 1)
        steps = dense(steps, found, "transformer/steps")
        steps = transformed(steps, found) if arguments.get("num_layers", 1) and len(steps) else steps
        net = steps.mean(0) if len(steps) else np.zeros(6)
        if "candidate_feature_columns" in arguments:
            target = dense(vectors[TABLE["item"][row]], found, "transformer/candidate")
            spread = np.broadcast_to(target, steps.shape)
            unit = np.concatenate([steps, spread, steps - spread, steps * spread], 1)
            unit = dense(unit, found, "transformer/target_attention/hiddenlayer_0", relu=True)
            strength = dense(unit, found, "transformer/target_attention/strength")
            net = np.concatenate([(strength * steps).sum(0), target])
        if "context_feature_columns" in arguments:
            net = np.concatenate([net, TABLE["x"][row]])
        net = dense(net, found, "transformer/hiddenlayer_0", relu=True)
        expected.append(dense(net, found, "transformer/logits"))
    name = "predictions" if "Regressor" in CASES[key].name else "logits"
    np.testing.assert_allclose(predicted(by_hand(key), key, name), expected, rtol=1e-5, atol=1e-6)


FMClassifier, Cross = estimators.DeepFMClassifier, estimators.DeepCrossClassifier
Transformer, MMoE = estimators.SequenceTransformerClassifier, estimators.MMoEEstimator
TASKS = [heads.RegressionHead(name="size")]


@pytest.mark.parametrize(
    ("make_one", "message"),
    [
        (lambda: FMClassifier([2], []), "`feature_columns`: feature_columns must not be empty"),
        (lambda: FMClassifier([2], [SHOP], embedding_dimension=0), "`embedding_dimension` must be a whole number"),
        (lambda: FMClassifier([2], [FIRST_DAY], embedding_dimension=4), "vectors of `embedding_dimension`=4 numbers"),
        (lambda: FMClassifier([2], [CLICKS.categorical_column]), "'clicks' is a sequence. DeepFM takes the values"),
        (lambda: FMClassifier([2], [SECONDS]), "In seconds: the column must not be a sequence"),
        (lambda: FMClassifier([2], [SHOP, fc.embedding_column(SHOP, 8)]), "Duplicate feature column name"),
        (lambda: FMClassifier(None, [SHOP]), "`hidden_units` must be a list"),
        (lambda: FMClassifier([2], [SHOP], optimizer="Adagard"), "Unsupported optimizer name: Adagard"),
        (lambda: FMClassifier([2], [SHOP], n_classes=3, class_weights=[1.0]), "class_weights"),
        (lambda: Cross([2], [SHOP]), "wrap a categorical column with an embedding_column"),
        (lambda: Cross([2], [X], cross_layers=0), "`cross_layers` must be a whole number of at least 1. Received: 0"),
        (lambda: Cross([2], [X], cross_rank=1.5), "`cross_rank` must be a whole number of at least 1. Received: 1.5"),
        (lambda: Cross([2], [X], structure="deep"), "`structure` must be 'parallel' or 'stacked'. Received: 'deep'"),
        (lambda: MMoE([heads.RegressionHead()], [X]), "All given heads must have name specified"),
        (lambda: MMoE(TASKS, [X], num_experts=0), "`num_experts` must be a whole number of at least 1"),
        (lambda: MMoE(TASKS, [X], expert_units=[]), "`expert_units` must hold the units of at least one layer"),
        (lambda: MMoE(TASKS, [X], expert_units=[0]), "`expert_units` must be a list"),
        (lambda: MMoE(TASKS, [X], tower_units="3"), "`tower_units` must be a list"),
        (lambda: MMoE(TASKS, [X], head_weights=[1.0, 2.0]), "heads and head_weights must have the same size"),
        (lambda: Transformer([2], [ITEM]), "`sequence_feature_columns`: In item_shared_embedding: items of"),
        (
            lambda: Transformer([2], [CLICKS], candidate_feature_columns=[CLICKS]),
            "`candidate_feature_columns`: In clicks",
        ),
        (lambda: Transformer([2], [CLICKS], context_feature_columns=[SHOP]), "`context_feature_columns`: Items of"),
        (lambda: Transformer([2], [CLICKS], num_heads=3), "multiple of `num_heads`.*model_dimension=32, num_heads=3"),
        (lambda: Transformer([2], [CLICKS], num_layers=-1), "`num_layers` must be a whole number of at least 0"),
        (lambda: Transformer([2], [CLICKS], attention_units=4), "`attention_units` must be a list"),
    ],
)
def test_arguments_are_checked(make_one: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_one()
