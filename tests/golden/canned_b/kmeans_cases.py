"""The clusterings that golden values exist for; read by make_kmeans.py and by the tests."""

import numpy as np

BATCH, STEPS, MORE_STEPS = 10, 3, 4
COSINE, MINI = {"distance_metric": "cosine"}, {"use_mini_batch": True}

# Name -> arguments. Centres start from `CENTERS`, or ("first") from the first rows of the input, by a function, or from
# rows that are drawn.
CASES = {
    "full": {"use_mini_batch": False},
    "full_cosine": {"use_mini_batch": False, **COSINE},
    "mini_batch": MINI,
    "mini_batch_cosine": {**MINI, **COSINE},
    "mini_batch_three_steps": {**MINI, "mini_batch_steps_per_iteration": 3},
    "mini_batch_three_steps_cosine": {**MINI, **COSINE, "mini_batch_steps_per_iteration": 3},
    "features": {"use_mini_batch": False, "as_features": True},
    "columns": {"use_mini_batch": False, "as_features": True, "columns": True},
    "first_rows": {"use_mini_batch": False, "initial_clusters": "first"},
    "tolerance": {"use_mini_batch": False, "relative_tolerance": 0.2},
    "random": {"use_mini_batch": False, "initial_clusters": "random"},
    "random_cosine": {"use_mini_batch": False, "initial_clusters": "random", **COSINE},
    "plus_plus": {"use_mini_batch": False, "initial_clusters": "kmeans_plus_plus"},
    "plus_plus_cosine": {"use_mini_batch": False, "initial_clusters": "kmeans_plus_plus", **COSINE},
}
CENTERS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], np.float32)


def points():
    """Returns 40 points of two numbers, float32 `[40, 2]`."""
    rng = np.random.RandomState(11)
    middle = np.array([[2.0, 0.5], [-0.5, 2.0], [-1.5, -1.0]])[rng.randint(0, 3, 40)]
    return (middle + 0.6 * rng.normal(size=(40, 2))).round(3).astype(np.float32)


def build(name, kind, fc, **kwargs):
    """Returns the estimator of a case, of the given class and columns."""
    arguments = {key: value for key, value in CASES[name].items() if key not in ("as_features", "columns")}
    if arguments.get("initial_clusters") == "first":
        arguments["initial_clusters"] = lambda inputs, k: (inputs[0] if isinstance(inputs, list) else inputs)[:3]
    else:
        arguments.setdefault("initial_clusters", CENTERS)
    if "columns" in CASES[name]:
        arguments["feature_columns"] = [
            fc.numeric_column("b"),
            fc.bucketized_column(fc.numeric_column("a"), [0.0]),
        ]
        arguments["initial_clusters"] = np.concatenate([CENTERS[::-1], CENTERS[:, :1]], axis=1)
    return kind(num_clusters=3, **arguments, **kwargs)


def features(name, rows):
    """Returns what the input gives for these points."""
    return {"a": rows[:, :1], "b": rows[:, 1:]} if "as_features" in CASES[name] else rows


def batch_size(name):
    """Returns the number of rows in a batch: all of them for full batches."""
    return BATCH if CASES[name]["use_mini_batch"] else 40
