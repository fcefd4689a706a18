"""Writes keras.json: what `model_to_estimator` of TensorFlow 2.15 computes, and keeps, for Keras 2 models.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_keras.py`. For each case all variables
after a few steps and after some more; metrics and predictions between the two.
"""

import json
import pathlib
import tempfile

import keras_cases as cases
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent


def input_fn(repeat):
    def make():
        rows = tf.data.Dataset.from_tensor_slices(cases.data()).batch(cases.BATCH)
        return rows.repeat() if repeat else rows

    return make


def variables(estimator):
    path = estimator.latest_checkpoint()
    found = {name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)}
    return {name: np.asarray(value).tolist() for name, value in found.items()}


def run(name):
    tf.keras.backend.clear_session()
    model = cases.CASES[name](tf.keras, tf.keras.optimizers.legacy)
    config = tf.estimator.RunConfig(model_dir=tempfile.mkdtemp(), tf_random_seed=1)
    convert = tf.compat.v1.keras.estimator.model_to_estimator
    estimator = convert(model, config=config, checkpoint_format="saver")
    estimator.train(input_fn(True), steps=cases.STEPS)
    before = variables(estimator)
    metrics = {key: float(value) for key, value in estimator.evaluate(input_fn(False)).items()}
    rows = [{key: value.tolist() for key, value in row.items()} for row in estimator.predict(input_fn(False))]
    estimator.train(input_fn(True), steps=cases.MORE_STEPS)
    return {"before": before, "metrics": metrics, "predictions": rows[:5], "after": variables(estimator)}


def main():
    results = {}
    for name in cases.CASES:
        results[name] = run(name)
        print(name, {key: np.shape(value) for key, value in results[name]["after"].items()}, flush=True)
    (HERE / "keras.json").write_text(json.dumps(results, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
