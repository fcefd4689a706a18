"""Metrics that a caller adds to a head: what they see, how often they count, and what is no metric."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import mean_absolute_error, mean_squared_error, top_k_accuracy_score

from headway import heads
from headway.estimators import Estimator, EstimatorSpec, RunConfig

_WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 1.5, 3.0], np.float32)


class Twice(keras.metrics.Metric):
    """Twice the sum of the predictions, times a factor that is part of its configuration."""

    def __init__(self, factor: float, name: str = "twice", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.factor = factor
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total.assign_add(2.0 * self.factor * tf.reduce_sum(y_pred))

    def result(self) -> Any:
        return self.total

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Forgetful(Twice):
    """A metric whose configuration lacks an argument."""

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def hit_rate(labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor) -> Any:
    """A pair of a sum and a count."""
    hits = tf.cast(tf.abs(labels - predictions) < 0.5, tf.float32)
    return tf.reduce_sum(weights * hits), tf.reduce_sum(weights)


def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits and labels of two classes and of three."""
    rng = np.random.default_rng(11)
    return rng.normal(size=(6, 3)).astype(np.float32), np.array([0, 1, 1, 0, 1, 0]), np.array([0, 2, 1, 1, 0, 2])


def results(head: heads.Head, logits: Any, labels: Any, features: Any = None) -> dict[str, float]:
    metrics = head.metrics()
    for part in (slice(0, 4), slice(4, 4), slice(4, 6)):
        own = None if features is None else {name: values[part] for name, values in features.items()}
        head.update_metrics(metrics, own, logits[part], labels[part])
    return {key: np.squeeze(metric.result()).tolist() for key, metric in metrics.items()}


def test_a_binary_head_shows_them_the_probability_of_class_1() -> None:
    logits, labels, _ = rows()
    probability = 1 / (1 + np.exp(-logits[:, 0].astype(np.float64)))
    head = heads.BinaryClassHead("w", metrics=["mean_squared_error", keras.metrics.MeanAbsoluteError(), hit_rate])
    found = results(head, logits[:, :1], labels, {"w": _WEIGHTS})
    assert found["mean_squared_error"] == pytest.approx(
        mean_squared_error(labels, probability, sample_weight=_WEIGHTS), rel=1e-6
    )
    assert found["mean_absolute_error"] == pytest.approx(
        mean_absolute_error(labels, probability, sample_weight=_WEIGHTS), rel=1e-6
    )
    assert found["hit_rate"] == found["accuracy"]


def test_a_multi_class_head_shows_them_all_probabilities_and_class_ids() -> None:
    logits, _, labels = rows()
    metrics = [keras.metrics.SparseTopKCategoricalAccuracy(k=2), keras.metrics.sparse_categorical_accuracy]
    head = heads.MultiClassHead(3, "w", label_vocabulary=["a", "b", "c"], metrics=metrics)
    found = results(head, logits, np.array(["a", "b", "c"])[labels], {"w": _WEIGHTS})
    expected = top_k_accuracy_score(labels, logits, k=2, sample_weight=_WEIGHTS)
    assert found["sparse_top_k_categorical_accuracy"] == pytest.approx(expected, rel=1e-6)
    assert found["sparse_categorical_accuracy"] == found["accuracy"]


def test_regression_heads_show_them_predictions() -> None:
    logits, labels, _ = rows()
    labels = np.stack([labels, 1 - labels], axis=1).astype(np.float32)
    head = heads.RegressionHead(2, inverse_link_fn=tf.exp, metrics=["mae", lambda_free_mae])
    expected = mean_absolute_error(labels, np.exp(logits[:, :2]))
    found = results(head, logits[:, :2], labels)
    assert found["mae"] == pytest.approx(expected, rel=1e-6)
    assert found["lambda_free_mae"] == pytest.approx(expected, rel=1e-6)
    of_quantiles = heads.QuantileRegressionHead(metrics={"median": lambda predictions: predictions[:, 1]})
    assert results(of_quantiles, logits, labels[:, 0])["median"] == pytest.approx(np.median(logits, axis=1).mean())


def lambda_free_mae(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """A value per label, under the argument names of Keras."""
    return tf.abs(y_true - y_pred)


def test_a_function_may_read_features_and_ignore_what_has_a_default() -> None:
    def where(features: Any, weights: tf.Tensor, scale: float = 2.0) -> tf.Tensor:
        assert weights.shape == (features["x"].shape[0], 1)
        return scale * features["x"]

    head = heads.BinaryClassHead(metrics=[where])
    assert results(head, rows()[0][:, :1], rows()[1], {"x": np.arange(6.0)})["where"] == 5.0  # 2 * (0 + ... + 5) / 6


def test_keys_are_those_of_the_dict_and_end_in_the_name_of_the_head() -> None:
    metrics: Any = {"f1": keras.metrics.F1Score(threshold=0.5), "area": keras.metrics.AUC, "made": lambda: Twice(0.5)}
    found = results(heads.BinaryClassHead(name="click", metrics=metrics), rows()[0][:, :1], rows()[1])
    assert {"f1/click", "area/click", "made/click"} <= found.keys()
    assert found["area/click"] == pytest.approx(found["auc/click"], rel=1e-6)
    precision, recall = found["precision/click"], found["recall/click"]
    assert found["f1/click"] == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-6)


def test_the_number_that_keras_puts_behind_a_name_is_left_out() -> None:
    first, second = keras.metrics.AUC(), keras.metrics.AUC()
    assert first.name != second.name
    for metric in (first, second):
        assert "auc" in heads.MultiClassHead(3, metrics=[metric]).metrics()


def test_the_metric_that_was_given_counts_nothing_and_each_run_starts_anew() -> None:
    given = Twice(3.0)
    head = heads.RegressionHead(metrics=[given])
    for _ in range(2):
        assert results(head, np.ones([6, 1], np.float32), np.zeros(6))["twice"] == 36.0
    assert float(given.result()) == 0.0


def test_weights_per_label() -> None:
    features = {"w": tf.constant([[1.0, 3.0]])}
    head = heads.RegressionHead(2, "w", metrics=[lambda_free_mae])
    metrics = head.update_metrics(head.metrics(), features, [[1.0, 2.0]], [[0.0, 0.0]])
    assert float(metrics["lambda_free_mae"].result()) == 7 / 4  # (1 * 1 + 3 * 2) / 4
    of_keras = heads.RegressionHead(2, "w", metrics=["mae", keras.metrics.RootMeanSquaredError()])
    with pytest.raises(ValueError, match=r"\['mae', 'root_mean_squared_error'\] take one weight per example"):
        of_keras.update_metrics(of_keras.metrics(), features, [[1.0, 2.0]], [[0.0, 0.0]])


def test_functions_count_in_a_session_and_keras_metrics_say_that_they_do_not() -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits, labels = tf.constant([[2.0], [2.0]]), tf.constant([1, 0])
        spec = heads.BinaryClassHead(metrics=[hit_rate]).create_estimator_spec(None, "eval", logits, labels)
        session.run(tf.compat.v1.local_variables_initializer())
        value, update = spec.eval_metric_ops["hit_rate"]
        session.run(update)
        assert session.run(value) == 0.5
        with pytest.raises(ValueError, match="'area' is a Keras metric, which cannot count in a session"):
            heads.BinaryClassHead(metrics={"area": lambda: keras.metrics.AUC()}).metrics()


def _model_fn(features: Any, labels: Any, mode: str, params: Any) -> EstimatorSpec:
    layer = keras.layers.Dense(1)
    return params["head"].create_estimator_spec(
        features,
        mode,
        layer(features["x"]),
        labels,
        optimizer=keras.optimizers.SGD(0.1),
        trainable_variables=layer.trainable_variables,
    )


def test_an_estimator_gets_the_same_for_any_batch_size_and_strategy(
    tmp_path: pathlib.Path, mirrored: tf.distribute.Strategy
) -> None:
    metrics = {"area": keras.metrics.AUC(), "f1": keras.metrics.F1Score(threshold=0.5), "hits": hit_rate, "mse": "mse"}
    head = heads.BinaryClassHead("w", metrics=metrics)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(11, 3)).astype(np.float32), rng.uniform(0, 2, 11).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)

    def source(batch: int, epochs: int | None = 1) -> Any:
        return lambda: tf.data.Dataset.from_tensor_slices(({"x": x, "w": w}, y)).repeat(epochs).batch(batch)

    def model(strategy: Any = None, **config: Any) -> Estimator:
        settings = RunConfig(progress="none", train_distribute=strategy, tf_random_seed=2, **config)
        return Estimator(_model_fn, str(tmp_path), settings, {"head": head})

    first = model(training_metrics=True).train(source(4, None), steps=3)
    expected = first.evaluate(source(11))
    assert expected["hits"] == pytest.approx(expected["accuracy"], rel=1e-6)
    assert expected["area"] == pytest.approx(expected["auc"], rel=1e-6)
    assert not [name for name in first.get_variable_names() if "area" in name or "f1" in name]
    others = [first, model(mirrored), model(run_eagerly=True)]
    for other, batch in [(others[0], 3), (others[0], 3), (others[1], 1), (others[1], 4), (others[2], 5)]:
        found = other.evaluate(source(batch))
        for key in ("area", "f1", "hits", "mse", "average_loss"):
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-5, err_msg=key)


class Unweighted(keras.metrics.MeanSquaredError):
    """A metric that takes no weights."""

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        super().update_state(y_true, y_pred)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (keras.metrics.AUC(), r"must be a list of metrics, or a dict.*Received: <AUC"),
        ("mse", "must be a list of metrics, or a dict.*Received: 'mse'"),
        (3, "must be a list of metrics, or a dict.*Received: 3"),
        ({3: "mse"}, "The keys of `metrics` must be strings that are not empty. Received: 3"),
        ([3], "3. has no name. Pass a dict|3 has no name. Pass a dict"),
        ({"x": 3}, "'x' must be a Keras metric, the name of one in Keras, or a function.*Received: 3"),
        (["nonsense"], "Keras knows no metric 'nonsense'"),
        ([lambda labels: labels], "has no name. Pass a dict"),
        (["accuracy"], r"reports a metric 'accuracy' already.*metrics=\{'my_accuracy'"),
        ({"loss": "mse"}, "reports a metric 'loss' already"),
        ({"global_step": "mse"}, "reports a metric 'global_step' already"),
        ([keras.metrics.Hinge(), "hinge"], "there are two metrics 'hinge'"),
        ({"x": lambda labels, other: labels}, r"'x' has unexpected args: \['other'\]. It may take labels, predictions"),
        ({"x": dict}, "class 'x' must be a keras.metrics.Metric that needs no arguments"),
        ([keras.metrics.TopKCategoricalAccuracy, Twice], "class 'twice' must be .* that needs no arguments"),
        (
            [Forgetful(2.0)],
            r"new Forgetful, made from `get_config\(\)` of 'twice', which lacks the arguments \['factor'\]",
        ),
        ([keras.metrics.MeanMetricWrapper(lambda_free_mae, name="m")], "Pass the function itself"),
        ([Unweighted(name="u")], "'u' .Unweighted. takes no `sample_weight`"),
    ],
)
def test_what_is_no_metric(metrics: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        heads.BinaryClassHead("w", metrics=metrics)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda labels: (1.0, 2.0, 3.0), "or a pair.*Received a tuple of 3"),
        (lambda labels: tf.constant(1.0), "'x' must return a value per example, shape .*Received shape: \\(\\)"),
        (lambda labels: tf.zeros([3]), r"'x' must return a value per example.*Received shape: \(3, 1\)"),
        (lambda: 3, "Its call without arguments returned: 3"),
    ],
)
def test_what_a_function_must_return(function: Callable[..., Any], message: str) -> None:
    head = heads.RegressionHead(metrics={"x": function})
    with pytest.raises(ValueError, match=message):
        head.update_metrics(head.metrics(), None, tf.zeros([2, 1]), [0.0, 1.0])


def test_metrics_of_another_head() -> None:
    head = heads.RegressionHead(metrics=[keras.metrics.LogCoshError()])
    with pytest.raises(
        ValueError, match=r"`eval_metrics` must be what `metrics\(\)` of this head returned, with 'logcosh'"
    ):
        head.update_metrics(heads.RegressionHead().metrics(), None, tf.zeros([2, 1]), [0.0, 1.0])
