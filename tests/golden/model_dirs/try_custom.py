"""Tries every model of custom.py: does headway go on from tf.estimator's directory as tf.estimator does?

`python try_custom.py FOLDER [part of a name]`, where FOLDER is what `make_custom.py write FOLDER` has written. For each
model, in both runtimes, the metrics, the predictions, what the exported SavedModel takes and gives, and all variables
after ten more steps are compared; the largest difference is printed, relative above 1 and absolute below.
`python try_custom.py FOLDER part OTHER` also writes model_dirs and exports of headway into OTHER, for
`make_custom.py read OTHER`.
"""

import json
import logging
import pathlib
import re
import shutil
import sys
import tempfile

import custom
import numpy as np
import tensorflow as tf

from headway import legacy

RUNTIMES = ("function", "graph")
# Counts and random states that tf.estimator had not.
_OURS_ALONE = re.compile(r"(.*/)?(iter|iterations|seed_generator_state)")


def config(runtime):
    return {"runtime": runtime, "progress": "none"}


def differences(found, expected):
    """Returns by name how much results differ, without what headway alone has."""
    after = {key: value for key, value in found["after"].items() if not _OURS_ALONE.fullmatch(key)}
    return custom.differences({**found, "after": after}, expected)


def results(name, folder, runtime):
    with tempfile.TemporaryDirectory() as model_dir, tempfile.TemporaryDirectory() as export_dir:
        shutil.copytree(folder, model_dir, dirs_exist_ok=True)
        return custom.results(name, model_dir, export_dir, **config(runtime))


def write_own(name, folder, runtime):
    """Writes a model_dir of headway, what it exports, and what it computes from there on."""
    shutil.rmtree(folder, ignore_errors=True)
    custom.first(name, folder / "model", **config(runtime))
    with tempfile.TemporaryDirectory() as model_dir:
        shutil.copytree(folder / "model", model_dir, dirs_exist_ok=True)
        found = custom.results(name, model_dir, folder / "export", **config(runtime))
    (folder / "results.json").write_text(json.dumps(found))


def main(folder, part="", own=None):
    worst = {}
    for path in sorted(pathlib.Path(folder).glob("*/results.json")):
        name = path.parent.name
        for runtime in RUNTIMES:
            label = f"{name} ({runtime})"
            if part not in label:
                continue
            try:
                differing = differences(results(name, path.parent, runtime), json.loads(path.read_text()))
                if own is not None:
                    write_own(name, pathlib.Path(own) / runtime / name, runtime)
            except Exception as error:  # the model is reported, the others go on
                differing = {f"{type(error).__name__}: {error}"[:1500]: np.inf}
            worst[label] = max(differing.values())
            far = [f"\n        {value:.1e} {key}" for key, value in differing.items() if not value <= 1e-5]
            print(f"{worst[label]:.1e} {label}", *far, flush=True)
    print(f"{sum(value <= 1e-5 for value in worst.values())} of {len(worst)} equal tf.estimator to 1e-5")


if __name__ == "__main__":
    legacy.install()
    logging.getLogger("headway").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
    main(*sys.argv[1:])
