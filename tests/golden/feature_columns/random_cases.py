"""The golden cases of more.npz, each made from its number alone: what was computed for it is all that is stored.

Kinds: `ids` (the ids of each row), `dense` (DenseFeatures), `linear` (the canned estimators' linear model), `sequence`
(SequenceFeatures).
"""

import random_columns
from random_columns import FORMS, bucketized, categorical, crossed, feature, finite, make, numeric, rng, small_buckets

COUNTS = {"ids": 200, "dense": 400, "linear": 400, "sequence": 300}
LINES = ["red", "green", "blue", "x", "Zürich", "漢字", "a b", "7"]
NUMBERS = ["5", "0", "99", "-7", "2147483647"]


def cases():
    """Yields all cases in order."""
    makers = {"ids": _ids, "dense": _dense, "linear": _linear, "sequence": _sequence}
    for kind, count in COUNTS.items():
        for number in range(count):
            rng.seed(f"{kind} {number}")
            yield {"kind": kind, "number": number, **makers[kind]()}


def _rows():
    return rng.choice([5, 5, 5, 1, 1, 0])


def _vocabulary_file(key, prefix=""):
    integers = rng.random() < 0.4
    lines = rng.sample(NUMBERS if integers else LINES, rng.choice([2, 4]))
    options = rng.choice([{}, {"num_oov_buckets": 2}, {"default_value": 1}])
    if rng.random() < 0.4:
        options["vocabulary_size"] = 2
    if integers:
        options["dtype"] = rng.choice(["int64", "int32"])
    column = make(f"{prefix}categorical_column_with_vocabulary_file", key=key, vocabulary_file=lines, **options)
    return column, "int" if integers else "string", options.get("dtype")


def _categorical(key):
    """A categorical column of any kind but crossed, with the kind and type of its feature."""
    return _vocabulary_file(key) if rng.random() < 0.4 else categorical(key)


def _feature(kind, dtype, rows):
    forms = ["vector", "matrix1"] if kind == "float" else [*FORMS, "ragged"]
    return feature(kind, rng.choice(forms), dtype, rows)


def _is_missing(value):
    return value in ("", -1)


def _weights(spec):
    """Weights for the values of a feature, in a form that goes with it: what is missing has the weight 0."""

    def draw(missing=False):
        return 0.0 if missing else rng.choice([0.5, 1.0, 2.25, 3.0, -0.5, -2.0])

    def any_weight():
        return rng.choice([0.0, draw()])

    if "ragged" in spec:
        return {"dtype": "float32", "ragged": [[any_weight() for _ in row] for row in spec["ragged"]], "depth": 1}
    if "indices" in spec:
        return {**spec, "dtype": "float32", "values": [any_weight() for _ in spec["values"]]}
    dense = spec["dense"]
    nested = [row if isinstance(row, list) else [row] for row in dense]
    if dense and rng.random() < 0.3:
        indices = [[i, j] for i, row in enumerate(nested) for j, item in enumerate(row) if not _is_missing(item)]
        shape = [len(nested), len(nested[0])]
        return {"dtype": "float32", "indices": indices, "values": [any_weight() for _ in indices], "shape": shape}
    weights = [[draw(_is_missing(item)) for item in row] for row in nested]
    flat = [row[0] for row in weights] if dense and not isinstance(dense[0], list) else weights
    return {**spec, "dtype": "float32", "dense": flat}


def _weighted(name, rows):
    part, kind, dtype = _categorical(name)
    made = {name: _feature(kind, dtype, rows)}
    made[f"{name}_w"] = _weights(made[name])
    if rng.random() < 0.1 and "dense" not in made[f"{name}_w"]:
        made[f"{name}_w"]["dtype"] = "int64"
        values = "ragged" if "ragged" in made[f"{name}_w"] else "values"
        made[f"{name}_w"][values] = _truncated(made[f"{name}_w"][values])
        return make("weighted_categorical_column", categorical_column=part, weight_feature_key=f"{name}_w",
                    dtype="int64"), made  # fmt: skip
    return make("weighted_categorical_column", categorical_column=part, weight_feature_key=f"{name}_w"), made


def _truncated(values):
    return [_truncated(value) if isinstance(value, list) else int(value) for value in values]


def _ids():
    rows = _rows()
    if rng.random() < 0.25:
        column, made = _weighted("f", rows)
        return {"rows": rows, "columns": [column], "features": made}
    column, kind, dtype = _vocabulary_file("f")
    return {"rows": rows, "columns": [column], "features": {"f": _feature(kind, dtype, rows)}}


def _embedding(part):
    return make(
        "embedding_column",
        categorical_column=part,
        dimension=rng.choice([1, 2, 4]),
        combiner=rng.choice(["mean", "sum", "sqrtn"]),
        max_norm=rng.choice([None, None, 0.8]),
    )


def _shared(names, rows):
    """`shared_embeddings` of two columns of one kind."""
    part, kind, dtype = _categorical(names[0])
    if kind == "float":
        part, kind, dtype = make("categorical_column_with_identity", key=names[0], num_buckets=6), "small", None
    parts, made = [], {}
    for name in names:
        made[name] = _feature(kind, dtype, rows)
        parts.append({**part, "key": name})
    if rng.random() < 0.3:
        made[f"{names[0]}_w"] = _weights(made[names[0]])
        parts[0] = make("weighted_categorical_column", categorical_column=parts[0], weight_feature_key=f"{names[0]}_w")
    column = make(
        "shared_embeddings",
        categorical_columns=small_buckets(parts),
        dimension=rng.choice([1, 3]),
        combiner=rng.choice(["mean", "sum", "sqrtn"]),
        max_norm=rng.choice([None, 0.8]),
        **rng.choice([{}, {"shared_embedding_collection_name": "words"}]),
    )
    return column, made


def _dense():
    rows = _rows()
    columns, features = [], {}
    for key in [f"f{i}" for i in range(rng.choice([1, 2, 4]))]:
        name = f"{rng.choice('zmb')}{key}"
        kind = rng.choice(["weighted", "weighted", "weighted", "file", "file", "any", "numeric", "shared", "shared"])
        if kind == "numeric":
            columns.append(numeric(name))
            features[name] = finite(feature("float", rng.choice(["vector", "matrix1"]), None, rows))
            continue
        if kind == "shared":
            if any(column["make"] == "shared_embeddings" for column in columns):
                continue
            column, made = _shared([name, f"{name}_too"], rows)
            columns.append(column)
            features.update(made)
            continue
        if kind == "weighted":
            part, made = _weighted(name, rows)
        else:
            part, value_kind, dtype = _vocabulary_file(name) if kind == "file" else categorical(name)
            made = {name: _feature(value_kind, dtype, rows)}
        features.update(made)
        part = small_buckets(part)
        columns.append(make("indicator_column", categorical_column=part) if rng.random() < 0.35 else _embedding(part))
    return {"rows": rows, "columns": columns, "features": features}


def _linear():
    case = _dense()
    # A linear model also takes categorical columns as they are, crosses, and sequences of ids.
    case["columns"] = [
        column["categorical_column"] if "categorical_column" in column and rng.random() < 0.7 else column
        for column in case["columns"]
    ]
    if case["rows"] == random_columns.ROWS and rng.random() < 0.2:
        column, made = crossed()
        if not set(made) & set(case["features"]):
            case["columns"].append(small_buckets(column))
            case["features"].update(made)
    if rng.random() < 0.2:
        column, made = _sequence_of_ids("s", _lengths(case["rows"]))
        case["columns"].append(small_buckets(column))
        case["features"].update(made)
    if rng.random() < 0.2:
        case["columns"].append(bucketized("n"))
        case["features"]["n"] = feature("float", "vector", None, case["rows"])
    case["units"] = rng.choice([1, 3])
    case["sparse_combiner"] = rng.choice(["sum", "sum", "mean", "sqrtn"])
    return case


def _lengths(rows):
    return [rng.choice([0, 1, 2, 3, 4]) for _ in range(rows)]


def _sequence_of_ids(name, lengths):
    """A sequence column of ids over a feature with these lengths."""
    prefix, kind, dtype = "sequence_", "string", None
    choice = rng.randrange(4)
    if choice == 0:
        column, kind, dtype = _vocabulary_file(name, prefix)
    else:
        column, kind, dtype = categorical(name)
        while kind == "float":
            column, kind, dtype = categorical(name)
        column = {**column, "make": f"{prefix}{column['make']}"}
    forms = ["sparse", "sparse with gaps", "sparse of several", "ragged", "ragged of several"]
    if all(lengths):
        forms.append("dense")
    return column, {name: _sequence_feature(rng.choice(forms), kind, dtype, lengths)}


def _sequence_feature(form, kind, dtype, lengths):
    dtype = dtype or {"string": "string", "float": "float32"}.get(kind, "int64")
    rows, steps = len(lengths), max(lengths, default=0)

    def draw(count):
        return random_columns.values(kind, count)

    if form == "dense":
        missing = "" if kind == "string" else -1
        dense = []
        for length in lengths:
            row = [*draw(length - 1), "red" if kind == "string" else 5]
            dense.append(row + [missing] * (steps - length))
        return {"dtype": dtype, "dense": dense} if rows else {"dtype": dtype, "dense": [], "shape": [0, 0]}
    if form == "ragged":
        return {"dtype": dtype, "ragged": [draw(length) for length in lengths], "depth": 1}
    if form == "ragged of several":
        # The last step has a value: a sparse tensor could not tell of it else.
        counts = [[*(rng.choice([0, 1, 2]) for _ in range(n - 1)), 1] if n else [] for n in lengths]
        return {"dtype": dtype, "ragged": [[draw(count) for count in row] for row in counts], "depth": 2}
    indices = []
    for row, length in enumerate(lengths):
        for step in range(length):
            if form == "sparse of several":
                indices.extend([row, step, place] for place in range(3) if rng.random() < 0.4 or step == length - 1)
            elif form == "sparse" or rng.random() < 0.6 or step == length - 1:
                indices.append([row, step])
    shape = [rows, steps, 3] if form == "sparse of several" else [rows, steps]
    return {"dtype": dtype, "indices": indices, "values": draw(len(indices)), "shape": shape}


def _sequence_of_numbers(name, lengths):
    """A sequence column of numbers over a feature with these lengths."""
    width = rng.choice([1, 1, 2])
    options = rng.choice([{}, {"default_value": -1.0}, {"normalizer_fn": "halve"}])
    column = make("sequence_numeric_column", key=name, shape=[width], **options)
    forms = ["sparse", "sparse with gaps"] if options.get("default_value") else ["sparse", "sparse with gaps", "ragged"]
    spec = _sequence_feature(rng.choice(forms), "float", None, [length * width for length in lengths])
    for values in ("values", "ragged"):
        if values in spec:
            spec[values] = _finite_numbers(spec[values])
    return column, {name: spec}


def _finite_numbers(values):
    if isinstance(values, list):
        return [_finite_numbers(value) for value in values]
    return values if abs(values) < 1e6 else 1.5


def _sequence():
    rows = _rows()
    lengths = _lengths(rows)
    if rows and rng.random() < 0.5:
        lengths = [max(length, 1) for length in lengths]
    columns, features = [], {}
    for key in [f"f{i}" for i in range(rng.choice([1, 1, 2, 3]))]:
        name = f"{rng.choice('zmb')}{key}"
        if rng.random() < 0.3:
            column, made = _sequence_of_numbers(name, lengths)
        else:
            part, made = _sequence_of_ids(name, lengths)
            part = small_buckets(part)
            column = make("indicator_column", categorical_column=part) if rng.random() < 0.4 else _embedding(part)
        columns.append(column)
        features.update(made)
    return {"rows": rows, "columns": columns, "features": features}
