"""Makes model directories of custom model_fns with tf.estimator 2.15, and reads those of headway.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15:

- `python make_custom.py` writes the directories of the tests, into custom/ beside this file.
- `python make_custom.py write FOLDER [part of a name]` writes those of all models of custom.py, for try_custom.py.
- `python make_custom.py read FOLDER` goes on from the directories that try_custom.py has written with headway, as
  headway itself has, serves what headway has exported, and prints the largest difference.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import custom
import tensorflow as tf

HERE = pathlib.Path(__file__).parent / "custom"
IN_TESTS = [
    "convolutions_momentum",
    "partitioned_adam",
    "averaged_restored",
    "by_scope",
    "keras_adam",
    "keras_layers_adagrad",
]


def keep(model_dir, kept, step=custom.FIRST_STEPS):
    """Copies the checkpoint of a step."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in pathlib.Path(model_dir).glob(f"model.ckpt-{step}.[di]*"):
        shutil.copy(path, kept)
    (kept / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{step}"\n')


def write(name, folder):
    """Writes the model_dir of a model into `folder`, and returns what tf.estimator makes of it."""
    with tempfile.TemporaryDirectory() as model_dir, tempfile.TemporaryDirectory() as export_dir:
        custom.first(name, model_dir)
        keep(model_dir, folder / name)
        return custom.results(name, model_dir, export_dir)


def read(folder):
    """Goes on from headway's directory of a model; returns what differs from what headway came to."""
    expected = json.loads((folder / "results.json").read_text())
    with tempfile.TemporaryDirectory() as model_dir, tempfile.TemporaryDirectory() as export_dir:
        shutil.copytree(folder / "model", model_dir, dirs_exist_ok=True)
        found = custom.results(folder.name, model_dir, export_dir)
    differing = custom.differences(
        {**found, "after": {key: value for key, value in found["after"].items() if key in expected["after"]}},
        {**expected, "after": {key: value for key, value in expected["after"].items() if key in found["after"]}},
    )
    # What headway has exported, in this TensorFlow.
    exports = {path.parent.name: custom.served(str(path)) for path in (folder / "export").glob("*/*")}
    return differing | custom.differences(exports, expected["exports"], "headway's exports")


def main(command="tests", folder=HERE, part=""):
    folder = pathlib.Path(folder)
    if command == "read":
        worst = {}
        for path in sorted(path for path in folder.glob("*/results.json") if part in path.parent.name):
            try:
                differing = read(path.parent)
            except Exception as error:  # the model is reported, the others go on
                differing = {f"{type(error).__name__}: {error}"[:1500]: float("inf")}
            worst[path.parent.name] = max(differing.values())
            far = [f"\n        {value:.1e} {key}" for key, value in differing.items() if not value <= 1e-5]
            print(f"{worst[path.parent.name]:.1e} {path.parent.name}", *far, flush=True)
        print(f"{sum(value <= 1e-5 for value in worst.values())} of {len(worst)} go on in tf.estimator")
        return
    for name in IN_TESTS if command == "tests" else custom.MODELS:
        if part not in name:
            continue
        try:
            text = json.dumps(write(name, folder), separators=(",", ":"))
        except Exception as error:  # the model is reported, the others go on
            print(f"{name}: {type(error).__name__}: {error}"[:2000], flush=True)
            continue
        (folder / name / "results.json").write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main(*sys.argv[1:])
