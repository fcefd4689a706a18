"""The ready-made estimators go on from tf.estimator's checkpoints as it does: tests/golden/canned and canned_b."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import shutil
import types
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns, heads, input_pipelines
from headway.estimators import RunConfig, _canned_baseline, _canned_combined, _canned_dnn, _canned_linear

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "canned"
MORE_GOLDEN = GOLDEN.with_name("canned_b")


def _loaded(path: pathlib.Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _loaded(GOLDEN / "cases.py")
baseline_cases = _loaded(MORE_GOLDEN / "baseline_cases.py")
RESULTS = {
    **json.loads((GOLDEN / "canned.json").read_text("utf-8")),
    **json.loads((MORE_GOLDEN / "baseline.json").read_text("utf-8")),
}
CLASSES = types.SimpleNamespace(
    RegressionHead=heads.RegressionHead,
    **{
        name: getattr(module, name)
        for module, prefix in (
            (_canned_baseline, "Baseline"),
            (_canned_dnn, "DNN"),
            (_canned_linear, "Linear"),
            (_canned_combined, "DNNLinearCombined"),
        )
        for name in (f"{prefix}Classifier", f"{prefix}Regressor", f"{prefix}Estimator")
    },
)


def values(name: str, when: str) -> dict[str, np.ndarray]:
    path = MORE_GOLDEN / "baseline.npz" if name in baseline_cases.CASES else GOLDEN / "canned.npz"
    with np.load(path) as stored:
        flat = stored[f"{name}/{when}"]
    found, start = {}, 0
    for key, (dtype, shape) in RESULTS[name]["variables"].items():
        size = int(np.prod(shape))
        found[key] = flat[start : start + size].reshape(shape).astype(dtype)
        start += size
    assert start == flat.size
    return found


def write_checkpoint(model_dir: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
    prefix = str(model_dir / f"model.ckpt-{cases.FIRST_STEPS}")
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )
    (model_dir / "checkpoint").write_text(f'model_checkpoint_path: "{pathlib.Path(prefix).name}"\n', "utf-8")


def estimator_of(name: str, model_dir: pathlib.Path, **settings: Any) -> Any:
    config = RunConfig(model_dir=str(model_dir), progress="none", save_summary_steps=1, **settings)
    if name in baseline_cases.CASES:
        return baseline_cases.build(name, CLASSES, config=config)
    return cases.build(name, CLASSES, feature_columns, keras.optimizers, tf.nn, config=config)


def rows_of(name: str, count: int | None = None, *, epochs: int | None = 1) -> input_pipelines.Pipeline:
    features, labels = cases.data()
    if name in baseline_cases.CASES:
        features, labels = baseline_cases.data(name, (features, labels))
    else:
        labels = labels[cases.CASES[name][1]]
    features = {key: value[:count] for key, value in features.items()}
    return input_pipelines.from_arrays(features, labels[:count], batch_size=cases.BATCH, num_epochs=epochs)


def tags(model_dir: pathlib.Path) -> list[str]:
    found = set()
    for path in model_dir.glob("events.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found |= {value.tag for value in event.summary.value}
    return sorted(tag for tag in found if not tag.startswith(("global_step/", "learning_rate")))


def assert_same_variables(found: list[str], golden: dict[str, Any]) -> None:
    assert {name for name in found if not name.endswith("/iter")} == {
        name for name in golden if not name.endswith("/iter")
    }


def test_the_files_of_tf_estimator_are_found(tmp_path: pathlib.Path) -> None:
    model_dir = tmp_path / "model"
    shutil.copytree(GOLDEN / "model_dir", model_dir)
    estimator = estimator_of("combined_classifier", model_dir)
    golden = RESULTS["combined_classifier"]
    assert estimator.latest_checkpoint() == str(model_dir / f"model.ckpt-{cases.FIRST_STEPS}")
    assert set(estimator.get_variable_names()) == set(golden["variables"])
    (row,) = estimator.predict(rows_of("combined_classifier", 1))
    np.testing.assert_allclose(row["logits"], golden["predictions"][0]["logits"], rtol=1e-5)


@pytest.mark.parametrize("name", [*cases.CASES, *baseline_cases.CASES])
def test_a_model_dir_of_tf_estimator_goes_on(name: str, tmp_path: pathlib.Path) -> None:
    write_checkpoint(tmp_path, values(name, "before"))
    estimator, golden = estimator_of(name, tmp_path), RESULTS[name]

    metrics = estimator.evaluate(rows_of(name, 40))
    assert metrics.keys() == golden["metrics"].keys()
    for key, value in golden["metrics"].items():
        assert metrics[key] == pytest.approx(value, rel=1e-5, abs=1e-5), key

    predictions = list(estimator.predict(rows_of(name, 6)))
    assert len(predictions) == len(golden["predictions"])
    for row, expected in zip(predictions, golden["predictions"], strict=True):
        assert row.keys() == expected.keys()
        for key, value in expected.items():
            if row[key].dtype.kind in "OS":
                assert [word.decode() for word in row[key].ravel()] == list(np.ravel(value)), key
            else:
                np.testing.assert_allclose(row[key], value, rtol=1e-5, atol=1e-5, err_msg=key)

    estimator.train(rows_of(name, epochs=None), steps=cases.MORE_STEPS)
    assert_same_variables(estimator.get_variable_names(), golden["variables"])
    for key, value in values(name, "after").items():
        if key in estimator.get_variable_names():
            found = estimator.get_variable_value(key)
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5, err_msg=key)
    assert tags(tmp_path) == golden["tags"]
