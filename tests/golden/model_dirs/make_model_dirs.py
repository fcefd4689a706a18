"""Makes model directories of tf.estimator 2.15, and reads those of headway.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15:

- `python make_model_dirs.py` writes the directories of the tests, beside this file, and their results.json.
- `python make_model_dirs.py write FOLDER [part of a name]` writes those of all pairs of pairs.py, for try_pairs.py.
- `python make_model_dirs.py read FOLDER` goes on from the directories that try_pairs.py has written with headway, as
  headway itself has: evaluates and trains, and prints the largest difference.

A directory holds the checkpoint after a few steps; the results hold metrics, predictions, and the values of all
variables after ten more steps.
"""

import glob
import json
import pathlib
import re
import shutil
import sys
import tempfile
import types

import numpy as np
import pairs
import tensorflow as tf
from tensorflow_estimator.python.estimator.head import sequential_head

HERE = pathlib.Path(__file__).parent
# Models of each kind; all optimizers are in updates.json.
IN_TESTS = [
    ("dnn_classifier", "Nadam"),
    ("dnn_regressor", "RMSprop_centered"),
    ("linear_regressor", "Adadelta"),
    ("combined_classifier", "Adamax"),
    ("rnn_lstm_stacked", "Adam"),
    ("rnn_gru_layer", "by_name"),
    ("rnn_steps_layer", "by_name"),
    ("rnn_estimator", "by_name"),
    ("combined_slashes", "by_name"),
    ("v1_combined_slashes", "Adagrad"),
    ("v1_combined_shared", "Adam"),
    ("v1_dnn_parts", "Adam"),
    ("v1_linear_parts", "Ftrl"),
]
CLASSES = types.SimpleNamespace(v1=tf.compat.v1.estimator, SequentialHeadWrapper=sequential_head.SequentialHeadWrapper)
for module in (tf.estimator, tf.estimator.experimental):
    vars(CLASSES).update({name: getattr(module, name) for name in dir(module) if name[0].isupper()})


def build(model, optimizer, model_dir):
    config = tf.estimator.RunConfig(model_dir=str(model_dir), tf_random_seed=3, save_summary_steps=1000)
    optimizers, layers = tf.keras.optimizers.legacy, tf.keras.layers
    return pairs.build(model, optimizer, CLASSES, tf.feature_column, optimizers, layers, config=config)


def variables(estimator):
    path = estimator.latest_checkpoint()
    shapes = dict(tf.train.list_variables(path))
    # Two parts of a slot: "x/t_0/Adam" and "x/t_1/Adam".
    second = {re.sub("/(t|part)_1/", r"/\1_0/", name): name for name in shapes if re.search("/(t|part)_1/", name)}
    found = {}
    for name in shapes.keys() - second.values():
        found[name] = halves(path, (name, second[name]), shapes[name]) if name in second else whole(path, name)
    return found


def whole(path, name):
    return tf.train.load_variable(path, name).tolist()


def halves(path, names, shape):
    first = (shape[0] + 1) // 2
    rows = (f"0,{first}", f"{first},{shape[0] - first}")
    specs = [f"{shape[0]} {shape[1]} {some}:-" for some in rows]
    parts = tf.raw_ops.RestoreV2(prefix=path, tensor_names=names, shape_and_slices=specs, dtypes=[tf.float32] * 2)
    return tf.concat(parts, 0).numpy().tolist()


def evaluated(model, estimator):
    return {key: float(value) for key, value in estimator.evaluate(pairs.input_fn(model, 40)).items()}


def write(model, optimizer, folder):
    """Writes the model_dir of a pair into `folder`, and returns its results."""
    model_dir = tempfile.mkdtemp()
    estimator = build(model, optimizer, model_dir)
    estimator.train(pairs.input_fn(model, repeat=True), steps=pairs.FIRST_STEPS)
    kept = folder / f"{model}.{optimizer}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in glob.glob(f"{model_dir}/model.ckpt-{pairs.FIRST_STEPS}.[di]*"):
        shutil.copy(path, kept)
    (kept / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{pairs.FIRST_STEPS}"\n')
    metrics = evaluated(model, estimator)
    rows = estimator.predict(pairs.input_fn(model, 6, labelled=False))
    predictions = [{key: np.asarray(value).tolist() for key, value in row.items()} for row in rows]
    estimator.train(pairs.input_fn(model, repeat=True), steps=pairs.MORE_STEPS)
    after = variables(estimator)
    shutil.rmtree(model_dir)
    return {"metrics": metrics, "predictions": predictions, "after": after}


def read(folder):
    """Goes on from headway's directory of a pair; returns the largest difference from what headway came to."""
    model, optimizer = folder.name.split(".")
    expected = json.loads((folder / "results.json").read_text())
    model_dir = tempfile.mkdtemp()
    shutil.copytree(folder, model_dir, dirs_exist_ok=True)
    estimator = build(model, optimizer, model_dir)
    worst = 0.0
    for key, value in evaluated(model, estimator).items():
        worst = max(worst, difference(value, expected["metrics"][key]))
    estimator.train(pairs.input_fn(model, repeat=True), steps=pairs.MORE_STEPS)
    found = variables(estimator)
    shutil.rmtree(model_dir)
    return max([worst, *(difference(value, expected["after"][key]) for key, value in found.items())])


def difference(one, other):
    """Returns the largest difference, relative above 1 and absolute below."""
    one, other = np.asarray(one, float), np.asarray(other, float)
    return float(np.max(np.abs(one - other) / np.maximum(1.0, np.abs(one)), initial=0.0))


def as_json(value):
    return value.decode() if isinstance(value, bytes) else value


def save(folder, results):
    text = json.dumps(results, default=as_json, separators=(",", ":"))
    (folder / "results.json").write_text(text.replace('},"', '},\n"') + "\n")


def main(command="tests", folder=HERE, part=""):
    folder = pathlib.Path(folder)
    if command == "read":
        found = {}
        for path in sorted(folder.glob("*.*/results.json")):
            found[path.parent.name] = read(path.parent)
            print(f"{found[path.parent.name]:.1e} {path.parent.name}", flush=True)
        good = sum(value <= 1e-5 for value in found.values())
        print(f"{good} of {len(found)} model directories of headway go on in tf.estimator")
        return
    names = IN_TESTS if command == "tests" else [pair for pair in pairs.PAIRS if part in ".".join(pair)]
    results = {}
    for model, optimizer in names:
        try:
            results[f"{model}.{optimizer}"] = write(model, optimizer, folder)
        except Exception as error:  # the pair is reported, the others go on
            print(f"{model}.{optimizer}: {type(error).__name__}: {error}"[:2000], flush=True)
            continue
        if command != "tests":
            save(folder / f"{model}.{optimizer}", results[f"{model}.{optimizer}"])
    if command == "tests":
        save(folder, results)


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main(*sys.argv[1:])
