"""Makes more.npz: what tf.feature_column (TensorFlow 2.15, tf.estimator 2.15) computes for the cases of random_cases.

Run it with the Python of an environment that holds tensorflow 2.15 and tensorflow-estimator 2.15:

    python tests/golden/feature_columns/make_more.py

For each case it stores the sizes of what came out and all numbers one behind the other; names of columns and variables
as JSON; and the cases that tf.feature_column refuses, which are not compared. It takes ten minutes.
"""

import json
import logging
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import random_cases
import specs
import tensorflow as tf
from tensorflow.python.feature_column import feature_column_v2
from tensorflow_estimator.python.estimator.canned import linear


def sparse(features):
    """The features of a case; TensorFlow's columns take no RaggedTensors."""
    tensors = specs.tensors(features)
    return {k: v.to_sparse() if isinstance(v, tf.RaggedTensor) else v for k, v in tensors.items()}


def variable_name(variable):
    """The name without the scopes of layers."""
    parts = variable.op.name.split("/")
    parts = [part for part in parts if part not in ("linear_model", "dense_features", "sequence_features")]
    return "/".join(parts)


def run(case):
    """Returns the arrays that came out, and the names."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        columns = specs.columns(tf.feature_column, case["columns"])
        features = sparse(case["features"])
        names = []
        if case["kind"] == "ids":
            cache = feature_column_v2.FeatureTransformationCache(features)
            pair = columns[0].get_sparse_tensors(cache, None)
            names.append(columns[0].name)
            fetch = [pair.id_tensor, *([] if pair.weight_tensor is None else [pair.weight_tensor])]
        elif case["kind"] == "dense":
            fetch = [tf.keras.layers.DenseFeatures(columns)(features)]
        elif case["kind"] == "sequence":
            fetch = list(tf.keras.experimental.SequenceFeatures(columns)(features))
        else:
            model = linear.LinearModel(columns, units=case["units"], sparse_combiner=case["sparse_combiner"])
            fetch = [model(features)]
        session.run(tf.compat.v1.tables_initializer())
        for variable in tf.compat.v1.global_variables():
            names.append(variable_name(variable))
            variable.load(specs.weights(names[-1], variable.shape.as_list()), session)
        found = session.run(fetch)
    if case["kind"] != "ids":
        return found, names
    ids, weights = found[0], found[1].values if len(found) == 2 else None
    # A row and an id for each value that counts, and its weight.
    keep = ids.values >= 0
    table = [ids.indices[:, 0][keep], ids.values[keep]]
    return [np.stack(table), *([] if weights is None else [np.asarray(weights, np.float64)[keep]])], names


def main():
    tf.get_logger().setLevel(logging.ERROR)
    shapes, numbers, names, refused, counts = [], [], [], [], {}
    for place, case in enumerate(random_cases.cases()):
        try:
            if not case["columns"]:
                raise ValueError("no columns")
            arrays, found = run(case)
        except (ValueError, tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError) as error:
            refused.append(place)
            print(case["kind"], case["number"], case["rows"], str(error)[:160].replace("\n", " "))
            continue
        counts[case["kind"]] = counts.get(case["kind"], 0) + 1
        shapes.append([list(np.shape(array)) for array in arrays])
        numbers.extend(np.asarray(array, np.float64).ravel() for array in arrays)
        names.append(found)
    print(counts, len(refused), "refused")
    text = json.dumps({"shapes": shapes, "names": names, "refused": refused}, separators=(",", ":"))
    np.savez_compressed(
        pathlib.Path(__file__).with_name("more.npz"),
        numbers=np.concatenate(numbers),
        text=np.frombuffer(text.encode(), np.uint8),
    )


if __name__ == "__main__":
    main()
