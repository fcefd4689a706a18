"""The formulas of Keras 2, which ready-made models follow: golden values of its own optimizers, and by hand."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import _tensorflow, _updates
from headway.estimators import Estimator, EstimatorSpec, LazyAdam, RunConfig, minimize

GOLDEN = pathlib.Path(__file__).parent / "golden" / "model_dirs"
_spec = importlib.util.spec_from_file_location("pairs", GOLDEN / "pairs.py")
assert _spec is not None
assert _spec.loader is not None
pairs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(pairs)
UPDATES = json.loads((GOLDEN / "updates.json").read_text("utf-8"))
# Slots as Keras 3's optimizers call them -> as those of Keras 2 did.
SLOTS = {
    "SGD": {"momentums": "momentum"},
    "Adagrad": {"accumulators": "accumulator"},
    "Adam": {"momentums": "m", "velocities": "v", "velocity_hats": "vhat"},
    "Adamax": {"m": "m", "u": "v"},
    "Nadam": {"momentums": "m", "velocities": "v"},
    "RMSprop": {"velocities": "rms", "momentums": "momentum", "average_gradients": "mg"},
    "Adadelta": {"accumulated_grads": "accum_grad", "accumulated_delta_vars": "accum_var"},
    "Ftrl": {"accumulators": "accumulator", "linears": "linear"},
}


def updated(optimizer: Any, steps: Any = UPDATES["steps"]) -> list[tf.Variable]:
    """Returns table and matrix after the steps."""
    variables = [tf.Variable(value) for value in UPDATES["start"]]
    optimizer.build(variables)
    for rows, values, dense in steps:
        sparse = tf.IndexedSlices(tf.constant(values), tf.constant(rows, tf.int64), tf.constant([4, 2], tf.int64))
        assert _updates.apply(optimizer, [sparse, tf.constant(dense)], variables, "keras_2")
    return variables


@pytest.mark.parametrize("name", UPDATES["results"])
def test_values_and_slots_are_those_of_keras_2(name: str) -> None:
    kind, settings = pairs.OPTIMIZERS[name]
    optimizer = getattr(keras.optimizers, kind)(**settings)
    found = dict(zip(("table", "matrix"), updated(optimizer), strict=True))
    expected = UPDATES["results"][name]
    for slot, old in SLOTS[kind].items():
        if f"table/{old}" in expected:
            for variable, value in zip(("table", "matrix"), _tensorflow.optimizer_slots(optimizer, slot), strict=True):
                found[f"{variable}/{old}"] = value
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key].numpy(), value, rtol=1e-5, atol=1e-6, err_msg=key)
    assert int(optimizer.iterations.numpy()) == len(UPDATES["steps"])


def test_clipping_by_hand() -> None:
    # Table: rows 0 and 1 hold (0.3, 0.1) and (-0.3, 0.1), of norm sqrt(0.2). Matrix: norm sqrt(0.1401).
    step = UPDATES["steps"][:1]
    table, matrix = (np.array(value) for value in UPDATES["start"])
    gradient, dense = np.array([[0.3, 0.1], [-0.3, 0.1], [0, 0], [0, 0]]), np.array(step[0][2])
    both = np.sqrt(0.2 + 0.1401)
    for settings, expected in (
        ({"clipnorm": 0.1}, (gradient * 0.1 / np.sqrt(0.2), dense * 0.1 / np.sqrt(0.1401))),
        ({"global_clipnorm": 0.1}, (gradient * 0.1 / both, dense * 0.1 / both)),
        ({"clipvalue": 0.2}, (np.clip(gradient, -0.2, 0.2), np.clip(dense, -0.2, 0.2))),
    ):
        found = updated(keras.optimizers.SGD(1.0, **settings), step)
        np.testing.assert_allclose(found[0].numpy(), table - expected[0], rtol=1e-5)
        np.testing.assert_allclose(found[1].numpy(), matrix - expected[1], rtol=1e-5)


def test_lazy_adam_is_what_it_is() -> None:
    table = updated(LazyAdam(0.1))[0].numpy()
    np.testing.assert_array_equal(table[3], np.float32(UPDATES["start"][0][3]))


@pytest.mark.parametrize(
    "optimizer",
    [lambda: keras.optimizers.AdamW(0.1), lambda: keras.optimizers.SGD(0.1, use_ema=True)],
    ids=["a class that Keras 2 had not", "moving averages"],
)
def test_what_keras_2_had_not_is_left_to_keras(optimizer: Any) -> None:
    made, variable = optimizer(), tf.Variable([1.0])
    made.build([variable])
    assert not _updates.apply(made, [tf.constant([1.0])], [variable], "keras_2")


def model_fn_with(formulas: str) -> Any:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        weight = tf.Variable(1.0, name="w")
        loss = weight * tf.reduce_mean(features["x"])
        optimizer = keras.optimizers.RMSprop(0.1, epsilon=0.25)
        return EstimatorSpec(mode, loss=loss, train_op=minimize(optimizer, loss, [weight], formulas=formulas))

    return model_fn


@pytest.mark.parametrize(("formulas", "below"), [("keras_2", 0.4**0.5 + 0.25), ("keras_3", 0.65**0.5)])
def test_a_model_fn_chooses(formulas: str, below: float, tmp_path: pathlib.Path) -> None:
    model = Estimator(model_fn_with(formulas), str(tmp_path), RunConfig(progress="none"))
    model.train(lambda: tf.data.Dataset.from_tensors({"x": tf.constant([2.0])}), steps=1)
    # The mean of squares is 0.1 * 2^2.
    assert model.get_variable_value("w") == pytest.approx(1.0 - 0.1 * 2.0 / below, rel=1e-5)


def test_formulas_are_checked(tmp_path: pathlib.Path) -> None:
    model = Estimator(model_fn_with("keras_1"), str(tmp_path), RunConfig(progress="none"))
    with pytest.raises(ValueError, match=r"`formulas` must be one of \('keras_2', 'keras_3'\)\. Received: 'keras_1'"):
        model.train(lambda: tf.data.Dataset.from_tensors({"x": tf.constant([2.0])}), steps=1)
