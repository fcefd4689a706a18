"""Programs of the classic kind find out what they found out on tf.estimator: tests/golden/tf_estimator/programs.py."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import tf_estimator
from headway.tf_estimator import v1

RESULTS = json.loads((pathlib.Path(__file__).parents[1] / "golden/tf_estimator/programs.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "runtime"),
    [*((name, "function") for name in RESULTS), ("custom_model_fn", "graph"), ("tpu_estimator", "graph")],
)
# What the programs make their columns and rows with is TensorFlow's.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_program_finds_the_same(
    name: str, runtime: str, golden_module: Callable[[str], Any], tmp_path: pathlib.Path
) -> None:
    program = golden_module("tf_estimator/programs.py").PROGRAMS[name]
    found, expected = (
        json.loads(json.dumps(program(tf_estimator, v1, str(tmp_path), runtime=runtime))),
        dict(RESULTS[name]),
    )
    assert found.keys() == expected.keys()
    assert found.pop("metrics") == pytest.approx(expected.pop("metrics"), rel=1e-5, abs=1e-6)
    # The settings of Keras optimizers are written beside their slots.
    assert _without_settings(found.pop("names")) == _without_settings(expected.pop("names"))
    for key in ("probabilities", "logits", "predictions"):
        if key in expected:
            assert found.pop(key) == pytest.approx(expected.pop(key), rel=1e-5, abs=1e-6)
    assert found == expected


def _without_settings(names: list[str]) -> list[str]:
    return [name for name in names if not re.fullmatch(r"training/\w+/\w+", name)]


# What makes the column is TensorFlow's.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_an_estimator_wrapped_in_a_model_fn_by_the_name_that_tf_estimator_had(tmp_path: pathlib.Path) -> None:
    features = {"x": np.array([1.0, 2.0, 3.0, 4.0], "float32"), "key": np.arange(4)}
    data = tf.data.Dataset.from_tensor_slices((features, 2.0 * features["x"])).batch(4)
    column = tf.feature_column.numeric_column("x")
    inner = v1.LinearRegressor([column], model_dir=str(tmp_path), optimizer=tf.compat.v1.train.FtrlOptimizer(0.3))

    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        spec = inner._call_model_fn(features, labels, mode, config=inner.config)
        if mode == v1.ModeKeys.PREDICT:
            spec = spec._replace(predictions={**spec.predictions, "key": features["key"]})
        return spec

    outer = v1.Estimator(model_fn, config=inner.config)
    outer.train(lambda: data, steps=3)
    wrapped = list(outer.predict(lambda: data))
    assert [row["key"] for row in wrapped] == [0, 1, 2, 3]
    weight, bias = (inner.get_variable_value(f"linear/linear_model/{n}") for n in ("x/weights", "bias_weights"))
    assert weight != 0
    expected = features["x"] * weight[0, 0] + bias[0]
    np.testing.assert_allclose([row["predictions"][0] for row in wrapped], expected, rtol=1e-6)
