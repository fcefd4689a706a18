"""The heads compute what the heads of tf.estimator 2.15 compute: see golden/heads/make_heads.py."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import heads

_CASES = json.loads((pathlib.Path(__file__).parent.parent / "golden" / "heads" / "heads.json").read_text("utf-8"))


def _absolute(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.abs(tf.cast(labels, tf.float32) - tf.reduce_sum(logits, axis=-1, keepdims=True))


def _distance(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.abs(labels - logits)


def _by_feature(labels: tf.Tensor, logits: tf.Tensor, features: dict[str, tf.Tensor]) -> tf.Tensor:
    return _absolute(labels, logits) * features["factor"]


_FUNCTIONS = {
    "absolute": _absolute,
    "distance": _distance,
    "by_feature": _by_feature,
    "exp": tf.exp,
    "sigmoid": tf.sigmoid,
}


def _array(stored: dict[str, Any]) -> np.ndarray:
    kinds = {"f": np.float32, "i": np.int64, "U": np.str_, "O": np.str_}
    return np.array(stored["flat"], kinds[stored["kind"]]).reshape(stored["shape"])


def _head(case: dict[str, Any]) -> heads.Head:
    functions = {name: _FUNCTIONS[function] for name, function in case["functions"].items()}
    return getattr(heads, case["head"])(**case["arguments"], **functions)


def _batches(case: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    return [
        (
            _array(batch["logits"]),
            _array(batch["labels"]),
            {key: _array(value) for key, value in batch["features"].items()},
        )
        for batch in case["batches"]
    ]


def _penalties(case: dict[str, Any]) -> list[tf.Tensor] | None:
    penalties = case["regularization_losses"]
    return None if penalties is None else [tf.constant(penalty) for penalty in penalties]


def _identifier(case: dict[str, Any]) -> str:
    options = {**case["arguments"], **case["functions"]}
    return "-".join([case["head"], *(f"{key}={value}" for key, value in options.items() if value)])


@pytest.mark.parametrize("case", _CASES, ids=_identifier)
def test_loss_metrics_and_predictions(case: dict[str, Any]) -> None:
    head, penalties, expected = _head(case), _penalties(case), case["expected"]
    metrics = head.metrics(penalties)
    losses = []
    for logits, labels, features in _batches(case):
        losses.append(head.loss(labels, logits, features, regularization_losses=penalties))
        head.update_metrics(metrics, features, logits, labels, regularization_losses=penalties)
    np.testing.assert_allclose(losses, expected["losses"], rtol=1e-6, atol=1e-6)
    assert all(isinstance(metric, keras.metrics.Metric) for metric in metrics.values())
    results = {key: float(metric.result()) for key, metric in metrics.items()}
    assert results == pytest.approx(expected["metrics"], rel=1e-6, abs=1e-6)

    predictions = head.predictions(_batches(case)[0][0][:4])
    assert sorted(predictions) == sorted(expected["predictions"])
    for key, stored in expected["predictions"].items():
        value, wanted = predictions[key], _array(stored["values"])
        assert value.dtype.name == stored["dtype"], key
        assert value.shape == wanted.shape, key
        if value.dtype == tf.string:
            np.testing.assert_array_equal(value.numpy().astype(str), wanted, err_msg=key)
        else:
            np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-7, err_msg=key)


def test_there_are_enough_cases() -> None:
    counts = {name: sum(case["head"] == name for case in _CASES) for name in heads.__all__}
    assert counts["BinaryClassHead"] >= 40
    assert counts["MultiClassHead"] >= 20
    assert counts["RegressionHead"] >= 20
