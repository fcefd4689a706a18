"""Makes columns.json: what tf.feature_column (TensorFlow 2.15, tf.estimator 2.15) computes for random features.

Run it with the Python of an environment that holds tensorflow 2.15 and tensorflow-estimator 2.15:

    python tests/golden/feature_columns/make_columns.py

Each case has columns, features, and what came out: the ids of each row (`ids`), `DenseFeatures` (`dense`) or the linear
model of the canned estimators (`linear`), with weights by `specs.weights`.
"""

import functools
import json
import logging
import os
import pathlib
import random

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import specs
import tensorflow as tf
from tensorflow.python.feature_column import feature_column_v2
from tensorflow_estimator.python.estimator.canned import linear

SEED = 20240607
ROWS = 5
WORDS = ["red", "green", "blue", "x", "", "Zürich", "漢字", "a b", "-1", "7", "red_X_green", "0" * 40]
rng = random.Random(SEED)


def make(name, **arguments):
    return {"make": name, **arguments}


def values(kind, count):
    if kind == "string":
        return [rng.choice(WORDS) for _ in range(count)]
    if kind == "small":  # for identity columns without a default: everything in range, or absent
        return [rng.randrange(-1, 6) for _ in range(count)]
    if kind == "int":
        return [rng.choice([-1, -1, -7, 0, 1, 2, 3, 5, 12, 99, 2**31 - 1]) for _ in range(count)]
    return [
        round(rng.choice([rng.uniform(-5, 15), 0.0, 10.0, 3.5, float("nan"), float("inf")]), 4) for _ in range(count)
    ]


def feature(kind, form, dtype=None):
    dtype = dtype or {"string": "string", "float": "float32"}.get(kind, "int64")
    if form == "vector":
        return {"dtype": dtype, "dense": values(kind, ROWS)}
    if form.startswith("matrix"):
        width = int(form[6:])
        flat = values(kind, ROWS * width)
        return {"dtype": dtype, "dense": [flat[i * width : (i + 1) * width] for i in range(ROWS)]}
    width = 4
    indices = sorted(rng.sample([(row, place) for row in range(ROWS) for place in range(width)], rng.randrange(0, 14)))
    return {"dtype": dtype, "indices": indices, "values": values(kind, len(indices)), "shape": [ROWS, width]}


FORMS = ["vector", "matrix1", "matrix3", "sparse"]


def categorical(key):
    """Random categorical column over one feature, with the kind and type of that feature."""
    bucket_sizes = [1, 2, 10, 1000, 2**20, 2**31 + 11]
    vocabulary_column = functools.partial(make, "categorical_column_with_vocabulary_list", key=key)
    hash_column = functools.partial(make, "categorical_column_with_hash_bucket", key=key)
    choice = rng.randrange(9)
    if choice == 0:
        return vocabulary_column(vocabulary_list=["red", "green", "x"]), "string", None
    if choice == 1:
        vocabulary = rng.sample(WORDS, 6)
        return vocabulary_column(vocabulary_list=vocabulary, num_oov_buckets=rng.choice([1, 3])), "string", None
    if choice == 2:
        vocabulary = rng.sample(WORDS, 4)
        return vocabulary_column(vocabulary_list=vocabulary, default_value=rng.choice([0, 3])), "string", None
    if choice == 3:
        dtype = rng.choice(["int64", "int32"])
        options = rng.choice([{}, {"num_oov_buckets": 2}, {"default_value": 1}])
        return vocabulary_column(vocabulary_list=[5, 0, 99, -7], dtype=dtype, **options), "int", dtype
    if choice == 4:
        return hash_column(hash_bucket_size=rng.choice(bucket_sizes)), "string", None
    if choice == 5:
        dtype = rng.choice(["int64", "int32"])
        return hash_column(hash_bucket_size=rng.choice(bucket_sizes), dtype=dtype), "int", dtype
    if choice == 6:
        return make("categorical_column_with_identity", key=key, num_buckets=6), "small", rng.choice(["int64", "int32"])
    if choice == 7:
        return make("categorical_column_with_identity", key=key, num_buckets=13, default_value=2), "int", None
    return bucketized(key), "float", None


def numeric(key):
    options = rng.choice([{}, {}, {"normalizer_fn": "scale"}])
    return make("numeric_column", key=key, **options)


def bucketized(key, **options):
    return make(
        "bucketized_column", source_column=make("numeric_column", key=key, **options), boundaries=[0.0, 3.5, 10.0]
    )


def crossed():
    """Random cross, with its features."""
    keys, features = [], {}
    for key in "abc"[: rng.choice([2, 2, 3])]:
        if rng.random() < 0.45:
            part, kind, dtype = key, rng.choice(["string", "string", "int"]), None
        else:
            part, kind, dtype = categorical(key)
            if part["make"] == "categorical_column_with_hash_bucket":
                part = key
        keys.append(part)
        # One value per row throughout in half of the crosses: they take another path.
        features[key] = (kind, dtype)
    single = rng.random() < 0.5
    forms = ["vector", "matrix1"] if single else FORMS
    made = {
        key: feature(kind, rng.choice(["vector", "matrix1"] if kind == "float" else forms), dtype)
        for key, (kind, dtype) in features.items()
    }
    if len(keys) == 3 and rng.random() < 0.3:
        keys = [make("crossed_column", keys=keys[:2], hash_bucket_size=7), keys[2]]
    column = make(
        "crossed_column",
        keys=keys,
        hash_bucket_size=rng.choice([1, 10, 1000, 2**40 + 15]),
        hash_key=rng.choice([None, None, 0, 5, 2**62 + 1]),
    )
    return column, made


def small_buckets(column):
    """The same column with few enough ids for a table of weights."""
    if isinstance(column, list):
        return [small_buckets(item) for item in column]
    if not isinstance(column, dict):
        return column
    return {name: min(v, 9) if name == "hash_bucket_size" else small_buckets(v) for name, v in column.items()}


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


def finite(spec):
    spec["dense"] = np.nan_to_num(np.asarray(spec["dense"]), nan=1.5, posinf=2.5).tolist()
    return spec


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
