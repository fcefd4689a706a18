"""Writes kmeans.json: what KMeans of tf.estimator 2.15 computes, and keeps.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_kmeans.py`. For each case all
variables after a few steps and after some more; score and predictions between the two.

In mini-batches, tf.estimator reads centres and counts while it changes them, in no order: what a step computes depends
on which comes first. Here they are read first, as in the order of its source.
"""

import json
import pathlib
import tempfile

import kmeans_cases as cases
import numpy as np
import tensorflow as tf
from tensorflow.python.ops import clustering_ops

HERE = pathlib.Path(__file__).parent


def after_reading(function):
    def ordered(*args, **kwargs):
        operations = tf.compat.v1.get_default_graph().get_operations()
        readers = [operation for operation in operations if operation.type in ("ResourceGather", "NearestNeighbors")]
        with tf.control_dependencies(readers):
            return function(*args, **kwargs)

    return ordered


def input_fn(name, rows, repeat=False):
    def make():
        batches = tf.data.Dataset.from_tensor_slices(cases.features(name, rows)).batch(cases.batch_size(name))
        return batches.repeat() if repeat else batches

    return make


def variables(estimator):
    path = estimator.latest_checkpoint()
    return {name: np.asarray(tf.train.load_variable(path, name)) for name, _ in tf.train.list_variables(path)}


def as_json(found):
    return {name: [value.dtype.name, value.tolist()] for name, value in found.items()}


def run(name):
    config = tf.estimator.RunConfig(model_dir=tempfile.mkdtemp(), tf_random_seed=1)
    estimator = cases.build(name, tf.compat.v1.estimator.experimental.KMeans, tf.feature_column, config=config)
    points = cases.points()
    estimator.train(input_fn(name, points, repeat=True), steps=cases.STEPS)
    before = variables(estimator)
    once = input_fn(name, points)
    result = {
        "before": as_json(before),
        "metrics": {key: float(value) for key, value in estimator.evaluate(once).items()},
        "score": float(estimator.score(once)),
        "all_distances": [row["all_distances"].tolist() for row in estimator.predict(once)],
        "cluster_index": [int(index) for index in estimator.predict_cluster_index(once)],
        "transform": [row.tolist() for row in estimator.transform(once)],
    }
    estimator.train(input_fn(name, points, repeat=True), steps=cases.MORE_STEPS)
    return {**result, "after": as_json(variables(estimator))}


def main():
    for owner, name in (
        (clustering_ops.state_ops, "scatter_add"),
        (clustering_ops.KMeans, "_mini_batch_sync_updates_op"),
    ):
        setattr(owner, name, after_reading(getattr(owner, name)))
    results = {}
    for name in cases.CASES:
        results[name] = run(name)
        print(name, results[name]["after"], flush=True)
    (HERE / "kmeans.json").write_text(json.dumps(results, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
