"""The heads compute what those of tf.estimator 2.15 compute, in cases from seeds: see golden/heads/generated.py."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns, heads

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "heads"
_spec = importlib.util.spec_from_file_location("generated", _GOLDEN / "generated.py")
assert _spec is not None
assert _spec.loader is not None
generated = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generated)
_EXPECTED = json.loads((_GOLDEN / "generated.json").read_text("utf-8"))
_CASES = [(kind, seed) for kind in generated.KINDS for seed in generated.seeds(kind)]
_TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def _check_predictions(found: dict[str, np.ndarray], expected: dict[str, Any]) -> None:
    signature = _EXPECTED["signatures"][expected["signature"]]
    assert [[key, value.dtype.name, list(value.shape)] for key, value in sorted(found.items())] == signature
    computed = [value for key, value in sorted(found.items()) if not key.endswith("logits")]
    for value, wanted in zip(computed, expected["predictions"], strict=True):
        if value.dtype.kind == "f":
            np.testing.assert_allclose(value.reshape(-1), wanted, **_TOLERANCE)
        else:
            plain = [item.decode() if isinstance(item, bytes) else item for item in value.reshape(-1).tolist()]
            assert plain == wanted


@pytest.mark.parametrize(("kind", "seed"), _CASES)
def test_loss_metrics_and_predictions(kind: str, seed: int) -> None:
    case, expected = generated.Case(kind, seed), _EXPECTED["results"][str(seed)]
    head = generated.build(tf, heads, feature_columns.numeric_column, case.head)
    penalties = None if case.penalties is None else [tf.constant(penalty) for penalty in case.penalties]
    metrics, losses = head.metrics(penalties), []
    for batch in case.batches:
        logits, labels, features = (generated.tensors(tf, part, ragged=True) for part in batch)
        losses.append(head.loss(labels, logits, features, regularization_losses=penalties))
        head.update_metrics(metrics, features, logits, labels, regularization_losses=penalties)
    np.testing.assert_allclose(losses, expected["losses"], **_TOLERANCE)
    keys = _EXPECTED["keys"][expected["keys"]]
    assert sorted(metrics) == keys
    for key, wanted in zip(keys, expected["metrics"], strict=True):
        # tf.estimator computes this area in float32, where the logarithm of a ratio near 1 has few digits.
        atol = 1e-5 if key.startswith("auc_precision_recall") else 1e-6
        assert float(metrics[key].result()) == pytest.approx(wanted, rel=1e-6, abs=atol), key

    logits = generated.tensors(tf, generated.first_rows(case.batches[0][0]), ragged=True)
    predictions = {generated.short_key(key): value.numpy() for key, value in head.predictions(logits).items()}
    _check_predictions(predictions, expected)


@pytest.mark.parametrize(
    ("kind", "seed"), [(kind, seed) for kind, n in generated.EXPORTS.items() for seed in generated.seeds(kind)[:n]]
)
def test_signatures(kind: str, seed: int) -> None:
    case = generated.Case(kind, seed)
    head = generated.build(tf, heads, feature_columns.numeric_column, case.head)
    logits, _, features = (generated.tensors(tf, part, ragged=True) for part in case.batches[0])
    found = generated.shown_exports(head.create_estimator_spec(features, "infer", logits).export_outputs)
    assert found == _EXPECTED["exports"][str(seed)]


def test_there_are_enough_cases() -> None:
    assert len(_EXPECTED["results"]) == len(_CASES) >= 600
