"""Makes columns.json: what tf.feature_column (TensorFlow 2.15, tf.estimator 2.15) computes for random features.

Run it with the Python of an environment that holds tensorflow 2.15 and tensorflow-estimator 2.15:

    python tests/golden/feature_columns/make_columns.py

Each case has columns, features, and what came out: the ids of each row (`ids`), `DenseFeatures` (`dense`) or the linear
model of the canned estimators (`linear`), with weights by `specs.weights`.
"""

import json
import logging
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import specs
import tensorflow as tf
from random_columns import (
    FORMS,
    ROWS,
    bucketized,
    categorical,
    crossed,
    feature,
    finite,
    make,
    numeric,
    rng,
    small_buckets,
)
from tensorflow.python.feature_column import feature_column_v2
from tensorflow_estimator.python.estimator.canned import linear

SEED = 20240607
rng.seed(SEED)


def dense_case():
    columns, features = [], {}
    for key in [f"f{i}" for i in range(rng.choice([1, 3, 5]))]:
        kind = rng.choice(["numeric", "wide", "bucketized", "indicator", "embedding", "embedding", "cross"])
        name = f"{rng.choice('zmb')}{key}"
        if kind == "numeric":
            columns.append(numeric(name))
            features[name] = finite(
                feature("float", rng.choice(["vector", "matrix1"]), rng.choice(["float32", "float64"]))
            )
        elif kind == "wide":
            columns.append(make("numeric_column", key=name, shape=[3]))
            features[name] = finite(feature("float", "matrix3"))
        elif kind == "bucketized":
            columns.append(bucketized(name, shape=[3]))
            features[name] = feature("float", "matrix3")
        else:
            if kind == "cross":
                part, made = crossed()
            else:
                part, value_kind, dtype = categorical(name)
                forms = ["vector", "matrix1"] if value_kind == "float" else FORMS
                made = {name: feature(value_kind, rng.choice(forms), dtype)}
            part = small_buckets(part)
            if set(made) & set(features):
                continue
            features.update(made)
            if rng.random() < 0.4:
                columns.append(make("indicator_column", categorical_column=part))
            else:
                columns.append(
                    make(
                        "embedding_column",
                        categorical_column=part,
                        dimension=rng.choice([1, 2, 4]),
                        combiner=rng.choice(["mean", "sum", "sqrtn"]),
                        max_norm=rng.choice([None, None, 0.8]),
                    )
                )
    return {"kind": "dense", "columns": columns, "features": features}


def linear_case():
    case = dense_case()
    case["kind"] = "linear"
    # A linear model also takes categorical columns as they are.
    case["columns"] = [
        c["categorical_column"] if "categorical_column" in c and rng.random() < 0.6 else c for c in case["columns"]
    ]
    case["units"] = rng.choice([1, 3])
    case["sparse_combiner"] = rng.choice(["sum", "sum", "mean", "sqrtn"])
    return case


def ids(case):
    features = specs.tensors(case["features"])
    cache = feature_column_v2.FeatureTransformationCache(features)
    column = specs.build(tf.feature_column, case["columns"][0])
    sparse = column.get_sparse_tensors(cache, None).id_tensor
    rows = [[] for _ in range(ROWS)]
    for (row, _), value in zip(sparse.indices.numpy(), sparse.values.numpy(), strict=True):
        if value >= 0:
            rows[row].append(int(value))
    return rows, column


def last_names(name):
    return "/".join(name.split(":")[0].split("/")[-2:])


def dense(case):
    layer = tf.keras.layers.DenseFeatures(specs.build(tf.feature_column, case["columns"]))
    features = specs.tensors(case["features"])
    layer(features)
    for weight in layer.weights:
        weight.assign(specs.weights(last_names(weight.name), weight.shape))
    return layer(features).numpy()


def linear_model(case):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = linear.LinearModel(
            specs.build(tf.feature_column, case["columns"]),
            units=case["units"],
            sparse_combiner=case["sparse_combiner"],
        )
        logits = model(specs.tensors(case["features"]))
        session.run(tf.compat.v1.tables_initializer())
        names = []
        for variable in tf.compat.v1.global_variables():
            name = variable.op.name.removeprefix("linear_model/").removeprefix("linear_model/")
            names.append(name)
            variable.load(specs.weights(name, variable.shape.as_list()), session)
        return session.run(logits), names


def rounded(array):
    return [[float(f"{value:.9g}") for value in row] for row in np.asarray(array, np.float64)]


def main():
    tf.get_logger().setLevel(logging.ERROR)
    cases = []
    for number in range(140):
        column, kind, dtype = categorical("f")
        form = rng.choice(["vector", "matrix1"]) if kind == "float" else FORMS[number % 4]
        cases.append({"kind": "ids", "columns": [column], "features": {"f": feature(kind, form, dtype)}})
    wide = bucketized("f", shape=[3])
    cases.extend({"kind": "ids", "columns": [wide], "features": {"f": feature("float", "matrix3")}} for _ in range(12))
    for _ in range(160):
        column, made = crossed()
        cases.append({"kind": "ids", "columns": [column], "features": made})
    cases.extend(dense_case() for _ in range(120))
    cases.extend(linear_case() for _ in range(120))
    kept, refused = [], []
    for case in cases:
        if not case["columns"]:
            continue
        try:
            if case["kind"] == "ids":
                case["expected"], column = ids(case)
                case["name"] = column.name
            elif case["kind"] == "dense":
                case["expected"] = rounded(dense(case))
            else:
                logits, names = linear_model(case)
                case["expected"], case["variables"] = rounded(logits), names
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            refused.append(f"{case['kind']} {error}"[:300])
            continue
        kept.append(case)
    print(len(kept), "cases;", len(refused), "refused", *sorted(set(refused)), sep="\n")
    text = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in kept)
    path = pathlib.Path(__file__).with_name("columns.json")
    path.write_text(f'{{"seed":{SEED},"tensorflow":"{tf.__version__}","cases":[\n{text}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
