"""The ready-made models of tf.compat.v1.estimator that golden values exist for; read by make_v1.py and by the tests.

Data and columns are those of ../canned/cases.py. Everything is built from the modules that are passed in.
"""

import tensorflow as tf

# Name of the case: (class, kind of labels, arguments). In arguments, "deep" and "linear" stand for the columns, and
# {"optimizer": name, ...} for an instance of such an optimizer of tf.compat.v1.train.
CASES = {
    "dnn_classifier": ("DNNClassifier", "two", {"hidden_units": [4, 3], "feature_columns": "deep"}),
    "dnn_classifier_adam": (
        "DNNClassifier",
        "word",
        {
            "hidden_units": [4, 3],
            "feature_columns": "deep",
            "n_classes": 3,
            "weight_column": "w",
            "label_vocabulary": ["p", "q", "r"],
            "optimizer": "Adam",
            "batch_norm": True,
        },
    ),
    "dnn_regressor_rmsprop": (
        "DNNRegressor",
        "pair",
        {
            "hidden_units": [4],
            "feature_columns": "deep",
            "label_dimension": 2,
            "weight_column": "w",
            "optimizer": {"optimizer": "RMSPropOptimizer", "learning_rate": 0.01, "momentum": 0.5, "centered": True},
            "loss_reduction": "weighted_mean",
            "activation_fn": "tanh",
        },
    ),
    "dnn_regressor_adadelta": (
        "DNNRegressor",
        "number",
        {
            "hidden_units": [4],
            "feature_columns": "deep",
            "optimizer": {"optimizer": "AdadeltaOptimizer", "learning_rate": 1.0},
            "loss_reduction": "weighted_sum_over_batch_size",
        },
    ),
    "dnn_classifier_proximal": (
        "DNNClassifier",
        "two",
        {
            "hidden_units": [4],
            "feature_columns": "deep",
            "optimizer": {
                "optimizer": "ProximalAdagradOptimizer",
                "learning_rate": 0.1,
                "l1_regularization_strength": 0.01,
                "l2_regularization_strength": 0.01,
            },
        },
    ),
    "linear_classifier": ("LinearClassifier", "two", {"feature_columns": "linear"}),
    "linear_classifier_adam": (
        "LinearClassifier",
        "three",
        {"feature_columns": "linear", "n_classes": 3, "weight_column": "w", "optimizer": "Adam"},
    ),
    "linear_regressor_momentum": (
        "LinearRegressor",
        "number",
        {
            "feature_columns": "linear",
            "weight_column": "w",
            "optimizer": {"optimizer": "MomentumOptimizer", "learning_rate": 0.05, "momentum": 0.9},
            "loss_reduction": "weighted_sum_by_nonzero_weights",
            "sparse_combiner": "mean",
        },
    ),
    "linear_regressor_pair": (
        "LinearRegressor",
        "pair",
        {"feature_columns": "linear", "label_dimension": 2, "optimizer": "SGD", "loss_reduction": "weighted_mean"},
    ),
    "linear_classifier_dense": ("LinearClassifier", "two", {"feature_columns": "deep", "optimizer": "Adagrad"}),
    "combined_classifier": (
        "DNNLinearCombinedClassifier",
        "two",
        {"linear_feature_columns": "linear", "dnn_feature_columns": "deep", "dnn_hidden_units": [4, 3]},
    ),
    "combined_classifier_adam_twice": (
        "DNNLinearCombinedClassifier",
        "three",
        {
            "linear_feature_columns": "linear",
            "linear_optimizer": "Adam",
            "dnn_feature_columns": "deep",
            "dnn_optimizer": "Adam",
            "dnn_hidden_units": [4],
            "n_classes": 3,
            "weight_column": "w",
            "batch_norm": True,
            "linear_sparse_combiner": "sqrtn",
        },
    ),
    "combined_regressor": (
        "DNNLinearCombinedRegressor",
        "number",
        {
            "linear_feature_columns": "linear",
            "dnn_feature_columns": "deep",
            "dnn_optimizer": "RMSProp",
            "dnn_hidden_units": [4],
            "loss_reduction": "weighted_sum_over_batch_size",
        },
    ),
    "combined_regressor_deep_only": (
        "DNNLinearCombinedRegressor",
        "number",
        {"dnn_feature_columns": "deep", "dnn_hidden_units": [4], "weight_column": "w", "dnn_optimizer": "Adam"},
    ),
    "combined_classifier_linear_only": ("DNNLinearCombinedClassifier", "two", {"linear_feature_columns": "linear"}),
    "linear_shared": ("LinearClassifier", "two", {"feature_columns": "shared"}),
    "dnn_shared": ("DNNRegressor", "number", {"feature_columns": "shared", "hidden_units": [3]}),
    "combined_shared": (
        "DNNLinearCombinedClassifier",
        "two",
        {"linear_feature_columns": "shared", "dnn_feature_columns": "shared", "dnn_hidden_units": [3]},
    ),
    "combined_shared_apart": (
        "DNNLinearCombinedRegressor",
        "number",
        {"linear_feature_columns": "shared_first", "dnn_feature_columns": "shared_others", "dnn_hidden_units": [3]},
    ),
    "baseline_classifier": ("BaselineClassifier", "three", {"n_classes": 3, "weight_column": "w"}),
    "baseline_regressor_adam": ("BaselineRegressor", "pair", {"label_dimension": 2, "optimizer": "Adam"}),
}


def shared_columns(fc):
    """Returns columns with tables that TensorFlow 1 made inside of layers."""
    share = getattr(fc, "shared_embedding_columns", tf.compat.v1.feature_column.shared_embedding_columns)
    c, h = (fc.categorical_column_with_hash_bucket(key, 5) for key in ("c", "h"))
    m = fc.categorical_column_with_identity("m", 6)
    # TensorFlow makes them in graphs alone.
    with tf.Graph().as_default():
        return [*share([h, c], 2), *share([m], 3, shared_embedding_collection_name="last")]


def build(name, canned_cases, classes, fc, optimizers, activations, **kwargs):
    """Returns the estimator of a case, made of what the given modules have."""
    kind, _, arguments = CASES[name]
    by_name = dict(zip(("deep", "linear"), canned_cases.columns(fc), strict=True))
    shared = shared_columns(fc)
    by_name |= {"shared": shared, "shared_first": shared[:1], "shared_others": shared[1:]}
    made = {}
    for key, value in arguments.items():
        if key.endswith("feature_columns"):
            made[key] = by_name[value]
        elif key == "activation_fn":
            made[key] = getattr(activations, value)
        elif isinstance(value, dict):
            settings = dict(value)
            made[key] = getattr(optimizers, settings.pop("optimizer"))(**settings)
        else:
            made[key] = value
    return getattr(classes, kind)(**made, **kwargs)
