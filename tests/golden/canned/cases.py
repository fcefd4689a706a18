"""The ready-made models that golden values exist for, and their data; read by make_canned.py and by the tests.

Everything is built from the modules that are passed in, so that tf.estimator and headway build the same.
"""

import numpy as np

BATCH = 16
FIRST_STEPS, MORE_STEPS = 4, 3


def data():
    """Returns the features of 64 rows, and labels by kind."""
    rng = np.random.RandomState(7)
    rows = 64
    features = {
        "x": rng.normal(size=(rows, 2)).round(3).astype(np.float32),
        "a": rng.normal(size=rows).round(3).astype(np.float32),
        "c": rng.choice(["u", "v", "w", "other", ""], rows).astype(object),
        "h": np.array([f"h{i}" for i in rng.randint(0, 9, rows)], object),
        "m": rng.randint(-1, 6, (rows, 3)).astype(np.int64),
        "w": rng.uniform(0, 2, rows).round(2).astype(np.float32),
    }
    number = features["x"] @ np.array([[1.0, -0.5], [0.3, 0.8]]) + features["a"][:, None]
    labels = {
        "two": (number[:, 0] > 0).astype(np.int64),
        "three": np.digitize(number[:, 0], [-0.5, 0.5]).astype(np.int64),
        "number": number[:, 0].round(3).astype(np.float32),
        "pair": number.round(3).astype(np.float32),
    }
    labels["word"] = np.array(["p", "q", "r"], object)[labels["three"]]
    return features, labels


def columns(fc):
    """Returns the columns of the deep part and of the linear part, several of each kind."""
    x, a = fc.numeric_column("x", shape=(2,)), fc.numeric_column("a")
    c = fc.categorical_column_with_vocabulary_list("c", ["u", "v", "w"], num_oov_buckets=1)
    h = fc.categorical_column_with_hash_bucket("h", 5)
    m = fc.categorical_column_with_identity("m", 6)
    bucketized = fc.bucketized_column(a, [-0.5, 0.0, 0.5])
    crossed = fc.crossed_column([bucketized, "c"], 7)
    deep = [fc.embedding_column(h, 3), x, fc.indicator_column(c), a, bucketized, fc.embedding_column(m, 2)]
    linear = [h, x, c, bucketized, crossed, m]
    return deep, linear


# Name of the case: (class, kind of labels, arguments). In arguments, "deep" and "linear" stand for the columns, and
# {"optimizer": name, ...} for a function that makes such an optimizer.
CASES = {
    "dnn_classifier": ("DNNClassifier", "two", {"hidden_units": [4, 3], "feature_columns": "deep"}),
    "dnn_classifier_words_adam": (
        "DNNClassifier",
        "word",
        {
            "hidden_units": [4],
            "feature_columns": "deep",
            "n_classes": 3,
            "label_vocabulary": ["p", "q", "r"],
            "optimizer": "Adam",
        },
    ),
    "dnn_classifier_batch_norm": (
        "DNNClassifier",
        "two",
        {
            "hidden_units": [4, 3],
            "feature_columns": "deep",
            "weight_column": "w",
            "optimizer": "SGD",
            "batch_norm": True,
        },
    ),
    "dnn_classifier_rmsprop": (
        "DNNClassifier",
        "two",
        {"hidden_units": [4], "feature_columns": "deep", "optimizer": "RMSProp"},
    ),
    "dnn_regressor": ("DNNRegressor", "number", {"hidden_units": [4], "feature_columns": "deep", "weight_column": "w"}),
    "dnn_regressor_pair_ftrl": (
        "DNNRegressor",
        "pair",
        {
            "hidden_units": [4, 3],
            "feature_columns": "deep",
            "label_dimension": 2,
            "optimizer": {"optimizer": "Ftrl", "learning_rate": 0.1, "l1_regularization_strength": 0.01},
            "activation_fn": "tanh",
        },
    ),
    "dnn_regressor_momentum": (
        "DNNRegressor",
        "number",
        {
            "hidden_units": [4],
            "feature_columns": ["x", "a"],
            "optimizer": {"optimizer": "SGD", "learning_rate": 0.05, "momentum": 0.9},
            "loss_reduction": "sum",
        },
    ),
    "linear_classifier": ("LinearClassifier", "two", {"feature_columns": "linear"}),
    "linear_classifier_three_adam": (
        "LinearClassifier",
        "three",
        {"feature_columns": "linear", "n_classes": 3, "weight_column": "w", "optimizer": "Adam"},
    ),
    "linear_classifier_dense": ("LinearClassifier", "two", {"feature_columns": "deep", "optimizer": "Adagrad"}),
    "linear_regressor": (
        "LinearRegressor",
        "number",
        {"feature_columns": "linear", "optimizer": None, "sparse_combiner": "mean"},
    ),
    "linear_regressor_pair": ("LinearRegressor", "pair", {"feature_columns": "linear", "label_dimension": 2}),
    "combined_classifier": (
        "DNNLinearCombinedClassifier",
        "two",
        {"linear_feature_columns": "linear", "dnn_feature_columns": "deep", "dnn_hidden_units": [4, 3]},
    ),
    "combined_classifier_three": (
        "DNNLinearCombinedClassifier",
        "three",
        {
            "linear_feature_columns": "linear",
            "linear_optimizer": "SGD",
            "dnn_feature_columns": "deep",
            "dnn_optimizer": "Adam",
            "dnn_hidden_units": [4],
            "n_classes": 3,
            "weight_column": "w",
            "batch_norm": True,
        },
    ),
    "combined_classifier_adam_twice": (
        "DNNLinearCombinedClassifier",
        "two",
        {
            "linear_feature_columns": "linear",
            "linear_optimizer": "Adam",
            "dnn_feature_columns": "deep",
            "dnn_optimizer": "Adam",
            "dnn_hidden_units": [4],
            "linear_sparse_combiner": "sqrtn",
        },
    ),
    "combined_classifier_linear_only": ("DNNLinearCombinedClassifier", "two", {"linear_feature_columns": "linear"}),
    "combined_regressor": (
        "DNNLinearCombinedRegressor",
        "number",
        {"linear_feature_columns": "linear", "dnn_feature_columns": "deep", "dnn_hidden_units": [4]},
    ),
    "combined_regressor_deep_only": (
        "DNNLinearCombinedRegressor",
        "number",
        {"dnn_feature_columns": "deep", "dnn_hidden_units": [4], "loss_reduction": "sum", "weight_column": "w"},
    ),
    "dnn_estimator": ("DNNEstimator", "pair", {"hidden_units": [4], "feature_columns": "deep", "head": "pair"}),
    "linear_estimator": ("LinearEstimator", "pair", {"feature_columns": "linear", "head": "pair"}),
    "combined_estimator": (
        "DNNLinearCombinedEstimator",
        "pair",
        {
            "linear_feature_columns": "linear",
            "dnn_feature_columns": "deep",
            "dnn_hidden_units": [4],
            "head": "pair",
        },
    ),
}


def build(name, classes, fc, optimizers, activations, **kwargs):
    """Returns the estimator of a case, made of what the given modules have."""
    kind, _, arguments = CASES[name]
    by_name = dict(zip(("deep", "linear"), columns(fc), strict=True))
    numbers = [fc.numeric_column("x", shape=(2,)), fc.numeric_column("a")]
    made = {}
    for key, value in arguments.items():
        if key.endswith("feature_columns"):
            made[key] = by_name[value] if isinstance(value, str) else numbers
        elif key == "activation_fn":
            made[key] = getattr(activations, value)
        elif key == "head":
            made[key] = classes.RegressionHead(2, weight_column="w")
        elif isinstance(value, dict):
            made[key] = _maker(optimizers, **value)
        else:
            made[key] = value
    return getattr(classes, kind)(**made, **kwargs)


def _maker(optimizers, optimizer, **settings):
    return lambda: getattr(optimizers, optimizer)(**settings)
