"""The linear models that LinearSDCA trains for golden values; read by make_sdca.py and by the tests.

Each step sees one row, for the order in which a step looks at its rows is random.
"""

import numpy as np

STEPS, MORE_STEPS = 30, 15

# Name -> (class, arguments of the model, arguments of LinearSDCA).
CASES = {
    "classifier": ("LinearClassifier", {"weight_column": "w"}, {"symmetric_l2_regularization": 2.0}),
    "classifier_l1": ("LinearClassifier", {}, {"symmetric_l1_regularization": 0.3, "symmetric_l2_regularization": 1.5}),
    "classifier_partitions": (
        "LinearClassifier",
        {"weight_column": "w"},
        {"num_loss_partitions": 2, "num_table_shards": 3, "symmetric_l2_regularization": 2.0},
    ),
    "regressor": ("LinearRegressor", {"weight_column": "w"}, {"symmetric_l2_regularization": 3.0}),
    "regressor_adaptive_l1": (
        "LinearRegressor",
        {},
        {"adaptive": True, "symmetric_l1_regularization": 0.2, "symmetric_l2_regularization": 1.5},
    ),
}


def data(name):
    """Returns features and labels of 20 rows."""
    rng = np.random.RandomState(5)
    features = {
        "id": np.array([f"row {i}" for i in range(20)], object),
        "x": rng.normal(size=(20, 2)).round(3).astype(np.float32),
        "a": rng.normal(size=20).round(3).astype(np.float32),
        "c": rng.choice(["u", "v", "w", ""], 20).astype(object),
        "m": rng.randint(-1, 4, (20, 3)).astype(np.int64),
        "w": rng.uniform(0.5, 2, 20).round(2).astype(np.float32),
    }
    number = features["x"][:, 0] + 0.5 * features["a"] + (features["c"] == "u")
    labels = (number > 0).astype(np.int64) if CASES[name][0] == "LinearClassifier" else number.astype(np.float32)
    return features, labels


def build(name, classes, fc, sdca, **kwargs):
    """Returns the estimator of a case, made of what is given."""
    kind, arguments, settings = CASES[name]
    columns = [
        fc.numeric_column("x", shape=(2,)),
        fc.bucketized_column(fc.numeric_column("a"), [-0.5, 0.5]),
        fc.categorical_column_with_vocabulary_list("c", ["u", "v", "w"]),
        fc.categorical_column_with_identity("m", 4),
    ]
    return getattr(classes, kind)(columns, optimizer=sdca(example_id_column="id", **settings), **arguments, **kwargs)
