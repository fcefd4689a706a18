"""Writes canned.json and canned.npz: what the ready-made estimators of tf.estimator 2.15 compute, and keep.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_canned.py`. For each case the values
of all variables after a few steps and after some more, the result of `evaluate` and the predictions between the two,
and the tags of the summaries; for one case the checkpoint files themselves.
"""

import glob
import json
import pathlib
import shutil
import tempfile

import cases
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
REAL_FILES = "combined_classifier"


def input_fn(features, labels=None, repeat=False):
    def make():
        rows = tf.data.Dataset.from_tensor_slices(features if labels is None else (features, labels))
        batches = rows.batch(cases.BATCH)
        return batches.repeat() if repeat else batches

    return make


def variables(path):
    return {name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)}


def as_json(value):
    return value.decode() if isinstance(value, bytes) else value


def tags(model_dir):
    found = set()
    for path in glob.glob(f"{model_dir}/events.*"):
        for event in tf.compat.v1.train.summary_iterator(path):
            found |= {value.tag for value in event.summary.value}
    return sorted(found)


def data(name):
    features, labels = cases.data()
    return features, labels[cases.CASES[name][1]]


def build(name, **kwargs):
    return cases.build(name, tf.estimator, tf.feature_column, tf.keras.optimizers.legacy, tf.nn, **kwargs)


def run(name, arrays, data, build):
    features, labels = data(name)
    model_dir = tempfile.mkdtemp()
    config = tf.estimator.RunConfig(tf_random_seed=3, model_dir=model_dir)
    estimator = build(name, config=config)
    estimator.train(input_fn(features, labels, repeat=True), steps=cases.FIRST_STEPS)
    before = variables(estimator.latest_checkpoint())
    if name == REAL_FILES:
        kept = HERE / "model_dir"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for path in glob.glob(f"{model_dir}/model.ckpt-{cases.FIRST_STEPS}.[di]*"):
            shutil.copy(path, kept)
        state = f'model_checkpoint_path: "model.ckpt-{cases.FIRST_STEPS}"\n'
        (kept / "checkpoint").write_text(state)
    metrics = estimator.evaluate(input_fn({k: v[:40] for k, v in features.items()}, labels[:40]))
    rows = estimator.predict(input_fn({key: value[:6] for key, value in features.items()}))
    predictions = [{key: np.asarray(value).tolist() for key, value in row.items()} for row in rows]
    estimator.train(input_fn(features, labels, repeat=True), steps=cases.MORE_STEPS)
    after = variables(estimator.latest_checkpoint())
    arrays[f"{name}/before"] = np.concatenate([np.ravel(before[key]) for key in sorted(before)]).astype(np.float32)
    arrays[f"{name}/after"] = np.concatenate([np.ravel(after[key]) for key in sorted(after)]).astype(np.float32)
    return {
        "variables": {key: [value.dtype.name, list(value.shape)] for key, value in sorted(before.items())},
        "metrics": {key: float(value) for key, value in metrics.items()},
        "predictions": predictions,
        "tags": tags(model_dir),
    }


def write(path, names, data, build):
    """Runs the cases of these names, and writes `path`.json and .npz."""
    arrays, results = {}, {}
    for name in names:
        results[name] = run(name, arrays, data, build)
        print(name, results[name]["tags"], flush=True)
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    text = json.dumps(results, default=as_json, separators=(",", ":"))
    path.with_suffix(".json").write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    write(HERE / "canned", cases.CASES, data, build)
