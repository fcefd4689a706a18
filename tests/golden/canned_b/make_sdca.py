"""Writes sdca.json: what LinearSDCA of tf.estimator 2.15 computes, and keeps.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_sdca.py`. For each case all variables
after a few steps and after some more, and the result of `evaluate` between the two. Of the tables of examples, only the
rows that are in use.
"""

import json
import pathlib
import tempfile

import numpy as np
import sdca_cases as cases
import tensorflow as tf

HERE = pathlib.Path(__file__).parent


def input_fn(name, batch, repeat):
    def make():
        rows = tf.data.Dataset.from_tensor_slices(cases.data(name)).batch(batch)
        return rows.repeat() if repeat else rows

    return make


def variables(estimator):
    path = estimator.latest_checkpoint()
    found = {name: np.asarray(tf.train.load_variable(path, name)) for name, _ in tf.train.list_variables(path)}
    result = {}
    for name, value in found.items():
        if not name.endswith(("-keys", "-values")):
            result[name] = value.tolist()
            continue
        keys = found[name.rpartition("-")[0] + "-keys"]
        used = np.flatnonzero(np.any(keys != 0, axis=1))
        result[name] = {"shape": value.shape, "rows": used.tolist(), "values": value[used].tolist()}
    return result


def run(name):
    config = tf.estimator.RunConfig(model_dir=tempfile.mkdtemp(), tf_random_seed=1)
    sdca = tf.estimator.experimental.LinearSDCA
    estimator = cases.build(name, tf.estimator, tf.feature_column, sdca, config=config)
    estimator.train(input_fn(name, 1, True), steps=cases.STEPS)
    before = variables(estimator)
    metrics = estimator.evaluate(input_fn(name, 8, False))
    estimator.train(input_fn(name, 1, True), steps=cases.MORE_STEPS)
    return {
        "before": before,
        "metrics": {key: float(value) for key, value in metrics.items()},
        "after": variables(estimator),
    }


def main():
    results = {}
    for name in cases.CASES:
        results[name] = run(name)
        print(name, {key: v for key, v in results[name]["after"].items() if "Table" not in key}, flush=True)
    (HERE / "sdca.json").write_text(json.dumps(results, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
