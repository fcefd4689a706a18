"""Random columns and features for the golden cases: the same ones for the same state of `rng`."""

import functools
import random

import numpy as np

ROWS = 5
WORDS = ["red", "green", "blue", "x", "", "Zürich", "漢字", "a b", "-1", "7", "red_X_green", "0" * 40]
rng = random.Random()


def make(name, **arguments):
    return {"make": name, **arguments}


def values(kind, count):
    """`count` values of a feature."""
    if kind == "string":
        return [rng.choice(WORDS) for _ in range(count)]
    if kind == "small":  # for identity columns without a default: everything in range, or absent
        return [rng.randrange(-1, 6) for _ in range(count)]
    if kind == "int":
        return [rng.choice([-1, -1, -7, 0, 1, 2, 3, 5, 12, 99, 2**31 - 1]) for _ in range(count)]
    return [
        round(rng.choice([rng.uniform(-5, 15), 0.0, 10.0, 3.5, float("nan"), float("inf")]), 4) for _ in range(count)
    ]


def feature(kind, form, dtype=None, rows=ROWS):
    dtype = dtype or {"string": "string", "float": "float32"}.get(kind, "int64")
    if form == "vector":
        return _dense(dtype, values(kind, rows), [rows])
    if form.startswith("matrix"):
        width = int(form[6:])
        flat = values(kind, rows * width)
        dense = [flat[i * width : (i + 1) * width] for i in range(rows)]
        return _dense(dtype, dense, [rows, width])
    if form == "ragged":
        return {"dtype": dtype, "ragged": [values(kind, rng.choice([0, 1, 1, 2, 4])) for _ in range(rows)], "depth": 1}
    width = 4
    places = [(row, place) for row in range(rows) for place in range(width)]
    indices = sorted(rng.sample(places, rng.randrange(0, min(14, len(places) + 1))))
    return {"dtype": dtype, "indices": indices, "values": values(kind, len(indices)), "shape": [rows, width]}


def _dense(dtype, dense, shape):
    # Without rows the values do not show the shape.
    return {"dtype": dtype, "dense": dense} if dense else {"dtype": dtype, "dense": [], "shape": shape}


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


def finite(spec):
    spec["dense"] = np.nan_to_num(np.asarray(spec["dense"]), nan=1.5, posinf=2.5).tolist()
    return spec
