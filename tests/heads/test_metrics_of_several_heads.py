"""Metrics that a caller adds to a `MultiHead`, and to the steps of a `SequentialHeadWrapper`."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from headway import heads
from headway.estimators import Estimator, EstimatorSpec, RunConfig


def both(labels: Any, predictions: Any) -> Any:
    """The part of rows with both labels of which both are found."""
    found = predictions["click", "class_ids"] * predictions["buy", "class_ids"]
    wanted = tf.cast(labels["click"] * labels["buy"], tf.int64)
    return tf.reduce_sum(found * wanted), tf.reduce_sum(wanted)


def product(predictions: Any, features: Any) -> Any:
    """Both probabilities times a feature, of each row."""
    return predictions["click", "logistic"] * predictions["buy", "logistic"] * features["price"]


class JointAuc(keras.metrics.AUC):
    """How well both probabilities together tell rows with both labels from others."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, score = y_true["click"] * y_true["buy"], y_pred["click", "logistic"] * y_pred["buy", "logistic"]
        super().update_state(true, score, sample_weight)


def several() -> heads.MultiHead:
    metrics = {"both": both, "product": product, "joint_auc": lambda: JointAuc(num_thresholds=20_000)}
    two = [heads.BinaryClassHead(name="click"), heads.BinaryClassHead(name="buy")]
    return heads.MultiHead(two, metrics=metrics)


def data() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(23, 2)).astype(np.float32)
    labels = {"click": (x[:, 0] > -0.5).astype(np.int64), "buy": (x.sum(1) > 0).astype(np.int64)}
    return {"x": x, "price": rng.uniform(1, 9, (23, 1)).astype(np.float32)}, labels


def by_hand(logits: np.ndarray) -> dict[str, float]:
    features, labels = data()
    scores, joint = 1 / (1 + np.exp(-logits.astype(np.float64))), labels["click"] * labels["buy"]
    found = (logits > 0).all(axis=1)
    return {
        "both": (found * joint).sum() / joint.sum(),
        "product": float(np.mean(scores.prod(axis=1) * features["price"][:, 0])),
        "joint_auc": roc_auc_score(joint, scores.prod(axis=1)),
    }


def test_they_see_labels_and_predictions_of_all_heads() -> None:
    features, labels = data()
    logits = np.random.default_rng(5).normal(size=(23, 2)).astype(np.float32)
    head = several()
    metrics = head.metrics()
    for part in (slice(0, 9), slice(9, 9), slice(9, 23)):
        some = {key: tf.constant(value[part]) for key, value in labels.items()}
        metrics = head.update_metrics(metrics, {"price": features["price"][part]}, tf.constant(logits[part]), some)
    for key, value in by_hand(logits).items():
        assert float(metrics[key].result()) == pytest.approx(value, rel=2e-3 if "auc" in key else 1e-6), key
    assert {"both", "loss/click", "auc/buy"} <= metrics.keys()


def test_an_estimator_with_replicas_and_after_a_reload(tmp_path: pathlib.Path, mirrored: Any) -> None:
    features, labels = data()
    head = several()

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        layer = keras.layers.Dense(2)
        options = {"optimizer": keras.optimizers.SGD(0.5), "trainable_variables": layer.trainable_variables}
        logits = layer(features["x"])
        options["trainable_variables"] = layer.trainable_variables
        return head.create_estimator_spec(features, mode, logits, labels, **options)

    def source(batch: int, epochs: int | None = 1) -> Any:
        return lambda: tf.data.Dataset.from_tensor_slices((features, labels)).repeat(epochs).batch(batch)

    def model(strategy: Any = None, **config: Any) -> Estimator:
        return Estimator(model_fn, str(tmp_path), RunConfig(progress="none", train_distribute=strategy, **config))

    first = model(training_metrics=True).train(source(8, None), steps=6)
    kernel, bias = (first.get_variable_value(f"dense/{name}") for name in ("kernel", "bias"))
    expected = by_hand(features["x"] @ kernel + bias)
    for other, batch in [
        (first, 23),
        (first, 4),
        (model(mirrored), 1),
        (model(mirrored), 6),
        (model(run_eagerly=True), 7),
    ]:
        found = other.evaluate(source(batch))
        for key, value in expected.items():
            assert found[key] == pytest.approx(value, rel=2e-3 if "auc" in key else 1e-5), (key, batch)


def test_labels_of_one_dimension_fit_predictions() -> None:
    error = {"error": lambda labels, predictions: tf.abs(labels["a"] - predictions["a", "predictions"])}
    head = heads.MultiHead([heads.RegressionHead(name="a")], metrics=error)
    metrics = head.update_metrics(head.metrics(), None, tf.constant([[1.0], [5.0]]), {"a": tf.constant([2.0, 2.0])})
    assert float(metrics["error"].result()) == 2.0  # (1 + 3) / 2


def test_a_multi_head_in_a_multi_head() -> None:
    inner = heads.MultiHead(
        [heads.RegressionHead(name="a"), heads.RegressionHead(name="b")],
        metrics={"sum": lambda predictions: predictions["a", "predictions"] + predictions["b", "predictions"]},
    )
    outer = heads.MultiHead([inner, heads.RegressionHead(name="c")])
    labels = {"a_b": {"a": tf.zeros([2]), "b": tf.zeros([2])}, "c": tf.zeros([2])}
    metrics = outer.update_metrics(outer.metrics(), None, tf.constant([[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]), labels)
    assert float(metrics["sum"].result()) == 5.0  # (3 + 7) / 2


def test_functions_count_in_a_session() -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        head = heads.MultiHead(
            [heads.RegressionHead(name="a")], metrics={"twice": lambda predictions: 2 * predictions["a", "predictions"]}
        )
        spec = head.create_estimator_spec({}, "eval", tf.constant([[1.0], [2.0]]), {"a": tf.constant([1.0, 1.0])})
        session.run(tf.compat.v1.local_variables_initializer())
        value, update = spec.eval_metric_ops["twice"]
        session.run(update)
        assert session.run(value) == 3.0


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["AUC"], "'AUC' is a metric of Keras, which takes tensors; .* of a MultiHead are dicts. Give it to the head"),
        ({"x": keras.metrics.AUC()}, "'x' is a metric of Keras"),
        ({"x": lambda labels, weights: labels}, "'x' asks for weights, which rows of a MultiHead do not have"),
        ({"loss/a": lambda labels: labels}, "reports a metric 'loss/a' already"),
    ],
)
def test_what_is_no_metric(metrics: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        heads.MultiHead([heads.RegressionHead(name="a")], metrics=metrics)


def test_a_key_of_one_of_the_heads() -> None:
    head = heads.MultiHead(
        [heads.RegressionHead(name="a")],
        metrics={"average_loss/a": lambda predictions: predictions["a", "predictions"]},
    )
    with pytest.raises(ValueError, match=r"The head 'a' reports .'average_loss/a'., which another head"):
        head.metrics()


def test_metrics_of_a_wrapped_head_count_the_steps_that_are_there() -> None:
    inner = heads.RegressionHead(
        weight_column="w",
        metrics={
            "within": lambda labels, predictions: tf.cast(tf.abs(labels - predictions) < 1, tf.float32),
            "mae": "mae",
        },
    )
    head = heads.SequentialHeadWrapper(inner, "mask", feature_columns="w")
    features = {"mask": tf.sequence_mask([2, 1]), "w": tf.constant([[1.0, 3.0], [4.0, 50.0]])}
    labels, logits = tf.constant([[1.0, 2.0], [4.0, 999.0]]), tf.constant([[[1.5], [5.0]], [[4.0], [0.0]]])
    metrics = head.update_metrics(head.metrics(), features, logits, labels)
    assert float(metrics["within"].result()) == 5 / 8
    assert float(metrics["mae"].result()) == pytest.approx((1 * 0.5 + 3 * 3.0) / 8)
