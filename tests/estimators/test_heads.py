"""Every head in an estimator: ready-made models, several replicas, labels of all kinds, and what is written."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import shutil
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import heads, input_pipelines
from headway.estimators import (
    DNNEstimator,
    DNNLinearCombinedEstimator,
    Estimator,
    EstimatorSpec,
    LinearEstimator,
    RunConfig,
)

v1 = tf.compat.v1

_ROWS = 24
_rng = np.random.default_rng(5)
_X = _rng.normal(size=(_ROWS, 2)).astype("float32")
_FEATURES = {"x": _X, "w": _rng.uniform(0.2, 2.0, _ROWS).astype("float32")}
_HOT = (np.stack([_X[:, 0], _X[:, 1], -_X[:, 0]], axis=1) > 0).astype("int64")
_NAMES = tf.ragged.constant([[name for name, there in zip("abc", row, strict=True) if there] for row in _HOT])
_COUNTS = np.round(np.exp(_X[:, 0])).astype("int64")
_RATES = (1 / (1 + np.exp(-_X[:, 1]))).astype("float32")


def _several(**options: Any) -> heads.Head:
    parts = [
        heads.MultiLabelHead(3, "w", label_vocabulary=["a", "b", "c"], name="topics"),
        heads.MultiHead([heads.PoissonRegressionHead(name="visits"), heads.LogisticRegressionHead(name="rate")]),
    ]
    return heads.MultiHead(parts, **options)


HEADS: dict[str, tuple[Any, Any]] = {
    "labels": (lambda: heads.MultiLabelHead(3, "w", thresholds=[0.5]), _HOT),
    "ragged names": (lambda: heads.MultiLabelHead(3, label_vocabulary=["a", "b", "c"], name="topics"), _NAMES),
    "counts": (lambda: heads.PoissonRegressionHead(weight_column="w"), _COUNTS),
    "rates": (lambda: heads.LogisticRegressionHead(), _RATES),
    "several": (
        lambda: _several(head_weights=[1.0, 0.5]),
        {"topics": _NAMES, "visits_rate": {"visits": _COUNTS, "rate": _RATES}},
    ),
}
each_head = pytest.mark.parametrize("kind", HEADS)


def _source(labels: Any, batch: int, epochs: int | None = None) -> Any:
    return lambda: tf.data.Dataset.from_tensor_slices((_FEATURES, labels)).batch(batch).repeat(epochs)


def _config(folder: pathlib.Path, **settings: Any) -> RunConfig:
    return RunConfig(str(folder), **{"tf_random_seed": 3, "progress": "none", **settings})


def _combined(kind: str, folder: pathlib.Path, **settings: Any) -> Estimator:
    x = fc.numeric_column("x", shape=(2,))
    return DNNLinearCombinedEstimator(
        HEADS[kind][0](),
        linear_feature_columns=[x],
        linear_optimizer="SGD",
        dnn_feature_columns=[x],
        dnn_optimizer="Adam",
        dnn_hidden_units=[4],
        config=_config(folder, **settings),
    )


def _weights(model: Estimator) -> dict[str, Any]:
    return {name: model.get_variable_value(name) for name in model.get_variable_names()}


@each_head
def test_two_replicas_with_half_batches_are_one_and_a_new_object_goes_on(
    kind: str, mirrored: Any, tmp_path: pathlib.Path
) -> None:
    labels = HEADS[kind][1]
    one = _combined(kind, tmp_path / "one").train(_source(labels, 8), steps=3)
    two = _combined(kind, tmp_path / "two", train_distribute=mirrored).train(_source(labels, 4), steps=3)
    expected = _weights(one)
    for name, value in _weights(two).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    results = one.evaluate(_source(labels, 8, 1))
    # The last of five batches is one of four rows, and the second replica gets no batch for it.
    again = _combined(kind, tmp_path / "two", train_distribute=mirrored).evaluate(_source(labels, 5, 1))
    by_batch = {key for key in results if key == "loss" or key.startswith("loss/")}
    assert {key: again[key] for key in again.keys() - by_batch} == pytest.approx(
        {key: results[key] for key in results.keys() - by_batch}, rel=1e-5, abs=1e-6
    )
    rows = list(_combined(kind, tmp_path / "one").predict(_source(labels, 7, 1)))
    assert len(rows) == _ROWS
    for row, other in zip(rows, two.predict(_source(labels, 8, 1)), strict=True):
        assert row.keys() == other.keys()


@pytest.mark.parametrize(
    "settings", [{"run_eagerly": True}, {"jit_compile": True}, {"training_metrics": True}], ids=str
)
def test_settings_of_a_run(settings: dict[str, Any], tmp_path: pathlib.Path) -> None:
    labels = {"labels": _HOT, "counts": _COUNTS}
    parts = [heads.MultiLabelHead(3, "w", name="labels"), heads.PoissonRegressionHead(name="counts")]
    found = []
    for number, given in enumerate(({}, settings)):
        config = _config(tmp_path / str(number), **given)
        model = Estimator(_multi_head_fn(heads.MultiHead(parts, [1.0, 0.5])), config=config)
        result = model.train(_source(labels, 8), steps=3).evaluate(_source(labels, 8, 1))
        found.append({**result, **{name: value.tolist() for name, value in _weights(model).items()}})
    one, other = found
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_allclose(other[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("make", [DNNEstimator, LinearEstimator])
def test_training_lowers_the_loss_of_each_head(make: Any, tmp_path: pathlib.Path) -> None:
    head, labels = HEADS["several"]
    x = fc.numeric_column("x", shape=(2,))
    layers = {"hidden_units": [8]} if make is DNNEstimator else {}
    model = make(
        head=head(),
        feature_columns=[x],
        optimizer=lambda: keras.optimizers.Adam(0.05),
        **layers,
        config=_config(tmp_path),
    )
    before = model.train(_source(labels, 8), steps=1).evaluate(_source(labels, 8, 1))
    after = model.train(_source(labels, 8), steps=100).evaluate(_source(labels, 8, 1))
    keys = [key for key in before if key.startswith("loss/")]
    assert sorted(keys) == ["loss/rate", "loss/topics", "loss/visits", "loss/visits_rate"]
    assert all(after[key] < before[key] for key in keys)
    assert after["loss"] == pytest.approx(after["loss/topics"] + 0.5 * after["loss/visits_rate"], rel=1e-5)
    assert after["loss/visits_rate"] == pytest.approx(after["loss/visits"] + after["loss/rate"], rel=1e-5)


def test_labels_by_head_from_arrays(tmp_path: pathlib.Path) -> None:
    def model() -> Estimator:
        head = heads.MultiHead([HEADS["ragged names"][0](), heads.PoissonRegressionHead(name="visits")])
        x = fc.numeric_column("x", shape=(2,))
        return LinearEstimator(head, [x], config=_config(tmp_path))

    ragged = _source({"topics": _NAMES, "visits": _COUNTS}, 8, 1)
    padded = {"topics": _NAMES.to_tensor().numpy(), "visits": _COUNTS}  # with '' where a row has fewer names
    rows = input_pipelines.from_arrays(_FEATURES, padded, batch_size=8, num_epochs=1)
    assert model().train(rows).evaluate(rows) == pytest.approx(model().evaluate(ragged), rel=1e-6)


def test_sparse_labels_are_the_same_as_ragged_ones(tmp_path: pathlib.Path) -> None:
    model = _combined("ragged names", tmp_path).train(_source(_NAMES, 8), steps=2)
    expected = model.evaluate(_source(_NAMES, 8, 1))
    assert model.evaluate(_source(_NAMES.to_sparse(), 8, 1)) == pytest.approx(expected, rel=1e-6)


def _multi_head_fn(head: heads.Head) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        weight = tf.Variable(tf.fill([2, head.logits_dimension], 0.1), name="weight")
        penalty = [0.01 * tf.reduce_sum(tf.square(weight))]
        return head.create_estimator_spec(
            features,
            mode,
            features["x"] @ weight,
            labels,
            optimizer=keras.optimizers.SGD(0.1),
            trainable_variables=[weight],
            regularization_losses=penalty,
        )

    return model_fn


def _scalars(folder: pathlib.Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for path in sorted(folder.glob("events*")):
        for event in v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                number = value.simple_value if value.HasField("simple_value") else tf.make_ndarray(value.tensor)
                found.setdefault(value.tag, []).append(float(number))
    return found


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_loss_of_each_head_is_written_in_training(replicas: int, mirrored: Any, tmp_path: pathlib.Path) -> None:
    head = heads.MultiHead([heads.BinaryClassHead(name="a"), heads.RegressionHead(name="b")], head_weights=[1.0, 3.0])
    labels = {"a": _HOT[:, 0], "b": _RATES}
    config = _config(tmp_path, train_distribute=mirrored if replicas == 2 else None, save_summary_steps=1)
    Estimator(_multi_head_fn(head), config=config).train(_source(labels, 8 // replicas), steps=1)
    scalars = _scalars(tmp_path)
    # The weights are 0.1 each, and so the logits of both heads 0.1 * (x0 + x1), and the penalty 0.01 * 4 * 0.1 ** 2.
    logits = 0.1 * _X[:8].sum(axis=1)
    click = np.mean(np.log1p(np.exp(logits)) - _HOT[:8, 0] * logits)
    price = np.mean((logits - _RATES[:8]) ** 2)
    assert scalars["loss/a"] == pytest.approx([click], rel=1e-5)
    assert scalars["loss/b"] == pytest.approx([price], rel=1e-5)
    assert scalars["regularization_loss"] == pytest.approx([0.0004], rel=1e-5)
    assert scalars["loss"] == pytest.approx([click + 3 * price + 0.0004], rel=1e-5)


class MeanHead(heads.BaseHead):
    """A head as a user writes it: its loss is a mean over the rows at hand, whatever the other replicas have."""

    logits_dimension = 1
    loss_reduction = "sum_over_batch_size"

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def loss(
        self, labels: Any, logits: Any, features: Any = None, mode: Any = None, regularization_losses: Any = None
    ) -> Any:
        return tf.reduce_mean((tf.reshape(labels, tf.shape(logits)) - logits) ** 2)

    def predictions(self, logits: Any, keys: Any = None) -> Any:
        return {"predictions": logits}

    def metrics(self, regularization_losses: Any = None) -> Any:
        return {}

    def update_metrics(self, eval_metrics: Any, features: Any, logits: Any, labels: Any, *_: Any, **__: Any) -> Any:
        return eval_metrics


@pytest.mark.parametrize("other", [heads.RegressionHead, MeanHead])
def test_heads_with_a_mean_for_a_loss_among_others(other: Any, mirrored: Any, tmp_path: pathlib.Path) -> None:
    labels = {"a": _RATES, "b": _X[:, :1]}
    found = []
    for strategy in (None, mirrored):
        head = heads.MultiHead([MeanHead("a"), other(name="b")], head_weights=[1.0, 0.5])
        folder = tmp_path / str(strategy is None)
        config = _config(folder, train_distribute=strategy, save_summary_steps=1)
        model = Estimator(_multi_head_fn(head), config=config)
        model.train(_source(labels, 8 if strategy is None else 4), steps=3)
        scalars = _scalars(folder)
        found.append(
            [model.get_variable_value("weight").tolist(), *(scalars[key] for key in ("loss", "loss/a", "loss/b"))]
        )
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size"])
def test_optimizers_of_tensorflow_1_train_two_replicas_as_one(
    reduction: str, mirrored: Any, tmp_path: pathlib.Path
) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        weight = v1.get_variable("weight", [2, 1], initializer=v1.constant_initializer(0.1))
        optimizer = v1.train.GradientDescentOptimizer(0.01)
        return heads.RegressionHead(loss_reduction=reduction).create_estimator_spec(
            features,
            mode,
            features["x"] @ weight,
            labels,
            train_op_fn=lambda loss: optimizer.minimize(loss, v1.train.get_global_step()),
        )

    one, two = (
        Estimator(model_fn, config=_config(tmp_path / str(batch), train_distribute=strategy)).train(
            _source(_RATES, batch), steps=2
        )
        for batch, strategy in ((8, None), (4, mirrored))
    )
    np.testing.assert_allclose(two.get_variable_value("weight"), one.get_variable_value("weight"), rtol=1e-5)


def test_a_head_on_each_step_of_sequences(mirrored: Any, tmp_path: pathlib.Path) -> None:
    lengths = np.arange(_ROWS) % 5
    features = {"x": _rng.normal(size=(_ROWS, 4, 2)).astype("float32"), "length": lengths}
    features["w"] = _rng.uniform(0.2, 2.0, (_ROWS, 4)).astype("float32")
    labels = (features["x"][..., 0] > 0).astype("int64")

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        head = heads.SequentialHeadWrapper(heads.BinaryClassHead("w"), "mask", "w")
        features["mask"] = tf.sequence_mask(features["length"], 4)
        layer = keras.layers.Dense(head.logits_dimension)
        logits = layer(features["x"])
        return head.create_estimator_spec(
            features,
            mode,
            logits,
            labels,
            optimizer=keras.optimizers.Adam(0.1),
            trainable_variables=layer.trainable_variables,
        )

    def source(batch: int, epochs: int | None = None) -> Any:
        return lambda: tf.data.Dataset.from_tensor_slices((features, labels)).batch(batch).repeat(epochs)

    one, two = (
        Estimator(model_fn, config=_config(tmp_path / str(batch), train_distribute=strategy)).train(
            source(batch), steps=40
        )
        for batch, strategy in ((8, None), (4, mirrored))
    )
    result = one.evaluate(source(8, 1))
    assert result["accuracy"] > 0.9
    # Weighted by w, over the steps that are there.
    there, weights = np.arange(4) < lengths[:, np.newaxis], features["w"]
    assert result["label/mean"] == pytest.approx((labels * weights)[there].sum() / weights[there].sum(), rel=1e-5)
    assert two.evaluate(source(5, 1))["label/mean"] == pytest.approx(result["label/mean"], rel=1e-5)
    for name, value in _weights(two).items():
        np.testing.assert_allclose(value, one.get_variable_value(name), rtol=1e-4, atol=1e-6, err_msg=name)
    rows = list(one.predict(source(8, 1)))
    np.testing.assert_array_equal([row["mask"] for row in rows], there)
    assert rows[0]["logits"].shape == (4, 1)


def test_a_model_dir_of_tf_estimator_with_several_heads_goes_on(tmp_path: pathlib.Path) -> None:
    golden = pathlib.Path(__file__).parents[1] / "golden" / "heads"
    spec = importlib.util.spec_from_file_location("program", golden / "program.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    expected = json.loads((golden / "model_dir.json").read_text("utf-8"))
    shutil.copytree(golden / "model_dir", tmp_path, dirs_exist_ok=True)
    arguments = program.arguments(heads, fc.numeric_column, keras.optimizers)
    model = DNNLinearCombinedEstimator(**arguments, config=_config(tmp_path))

    assert program.plain(model.evaluate(program.source(tf, 1))) == pytest.approx(expected["evaluation"], rel=1e-6)
    row = next(model.predict(program.source(tf, 1)))
    numbers = program.plain({key: value for key, value in row.items() if value.dtype.kind in "fi"})
    assert numbers.keys() == expected["predictions"].keys()
    for key, value in numbers.items():
        np.testing.assert_allclose(value, expected["predictions"][key], rtol=1e-6, atol=1e-7, err_msg=key)

    model.train(program.source(tf), steps=program.MORE_STEPS)
    after = program.plain(model.evaluate(program.source(tf, 1)))
    assert after == pytest.approx(expected["evaluation after training"], rel=1e-6)
    # Keras 3 keeps settings of optimizers as plain numbers.
    settings = ("decay", "beta", "l1_regularization_strength", "l2_regularization_strength", "learning_rate_power")
    names = {name for name in expected["variables"] if not name.endswith(settings)}
    found = _weights(model)
    assert names <= found.keys()
    assert "training_4/Adagrad/dnn/logits/kernel/accumulator" in names
    for name in names:
        np.testing.assert_allclose(found[name], expected["variables"][name], rtol=1e-5, atol=1e-7, err_msg=name)
