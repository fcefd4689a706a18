"""Tries every pair of pairs.py: does headway go on from tf.estimator's directory as tf.estimator does?

`python try_pairs.py FOLDER [part of a name]`, where FOLDER is what `make_model_dirs.py write FOLDER` has written. For
each pair the metrics, the predictions and all variables after ten more steps are compared; the largest difference is
printed, relative above 1 and absolute below. `python try_pairs.py FOLDER part OTHER` also writes a model_dir of headway
for each pair into OTHER, for `make_model_dirs.py read OTHER`.
"""

import json
import logging
import pathlib
import shutil
import sys
import tempfile
import types

import keras
import numpy as np
import pairs
import tensorflow as tf

from headway import estimators, feature_columns, heads
from headway.tf_estimator import v1

CLASSES = types.SimpleNamespace(
    v1=v1, **{name: getattr(module, name) for module in (estimators, heads) for name in module.__all__}
)


def build(model, optimizer, model_dir):
    config = estimators.RunConfig(model_dir=str(model_dir), tf_random_seed=3, progress="none")
    return pairs.build(model, optimizer, CLASSES, feature_columns, keras.optimizers, keras.layers, config=config)


def results(model, estimator):
    """Returns what `make_model_dirs.write` returned, by headway."""
    metrics = {key: float(value) for key, value in estimator.evaluate(pairs.input_fn(model, 40)).items()}
    predictions = list(estimator.predict(pairs.input_fn(model, 6, labelled=False)))
    estimator.train(pairs.input_fn(model, repeat=True), steps=pairs.MORE_STEPS)
    after = {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}
    return {"metrics": metrics, "predictions": predictions, "after": after}


def differences(found, expected):
    """Returns by name how much results differ; what is missing differs by infinity."""
    differing = {}
    for key, value in expected["metrics"].items():
        differing[f"metric {key}"] = difference(found["metrics"].get(key), value)
    for key, value in expected["after"].items():
        differing[f"variable {key}"] = difference(found["after"].get(key), value)
    for mine, theirs in zip(found["predictions"], expected["predictions"], strict=True):
        for key in mine.keys() | theirs.keys():
            new = difference(mine.get(key), theirs.get(key))
            differing[f"prediction {key}"] = max(new, differing.get(f"prediction {key}", 0.0))
    return differing


def difference(mine, theirs):
    """Returns the largest difference, relative above 1 and absolute below."""
    if mine is None or theirs is None or np.shape(mine) != np.shape(theirs):
        return np.inf
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    if mine.dtype.kind in "OS":
        return 0.0 if [word.decode() for word in mine.ravel()] == list(theirs.ravel()) else np.inf
    mine, theirs = mine.astype(float), theirs.astype(float)
    return float(np.max(np.abs(mine - theirs) / np.maximum(1.0, np.abs(theirs)), initial=0.0))


def write_own(model, optimizer, folder):
    """Writes a model_dir of headway and what it computes from there on."""
    kept = folder / f"{model}.{optimizer}"
    shutil.rmtree(kept, ignore_errors=True)
    estimator = build(model, optimizer, kept)
    estimator.train(pairs.input_fn(model, repeat=True), steps=pairs.FIRST_STEPS)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(kept, copy, dirs_exist_ok=True)
        found = results(model, build(model, optimizer, copy))
    del found["predictions"]
    (kept / "results.json").write_text(json.dumps(found, default=lambda value: np.asarray(value).tolist()))


def main(folder, part="", own=None):
    worst = {}
    for path in sorted(pathlib.Path(folder).glob("*.*/results.json")):
        name = path.parent.name
        if part not in name:
            continue
        model, optimizer = name.split(".")
        try:
            with tempfile.TemporaryDirectory() as model_dir:
                shutil.copytree(path.parent, model_dir, dirs_exist_ok=True)
                found = results(model, build(model, optimizer, model_dir))
            differing = differences(found, json.loads(path.read_text()))
            if own is not None:
                write_own(model, optimizer, pathlib.Path(own))
        except Exception as error:  # the pair is reported, the others go on
            print(f"{name}: {type(error).__name__}: {error}"[:1500], flush=True)
            worst[name] = np.inf
            continue
        worst[name] = max(differing.values())
        far = {key: value for key, value in differing.items() if not value <= 1e-5}
        print(f"{worst[name]:.1e} {name}", *(f"\n        {value:.1e} {key}" for key, value in far.items()), flush=True)
    good = sum(value <= 1e-5 for value in worst.values())
    print(f"{good} of {len(worst)} (model, optimizer) pairs equal tf.estimator to 1e-5")


if __name__ == "__main__":
    logging.getLogger("headway").setLevel(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    main(*sys.argv[1:])
