"""The baseline models that golden values exist for; read by make_baseline.py and by the tests.

In arguments, "two numbers" stands for a regression head of two numbers. tf.estimator's models fail on more than one
feature (a classifier: beside the weights): the first value of their bias waits for a comparison of their sizes.
"""

CASES = {
    "baseline_classifier": ("BaselineClassifier", "two", {"weight_column": "w"}),
    "baseline_classifier_words_adam": (
        "BaselineClassifier",
        "word",
        {"n_classes": 3, "label_vocabulary": ["p", "q", "r"], "optimizer": "Adam"},
    ),
    "baseline_regressor": ("BaselineRegressor", "number", {"loss_reduction": "sum"}),
    "baseline_regressor_pair_adagrad": ("BaselineRegressor", "pair", {"label_dimension": 2, "optimizer": "Adagrad"}),
    "baseline_estimator": ("BaselineEstimator", "pair", {"head": "two numbers", "optimizer": "SGD"}),
}


def data(name, everything):
    """Returns the features of a case, and its labels, out of those of all cases."""
    features, labels = everything
    _, kind, arguments = CASES[name]
    wanted = {"x", arguments.get("weight_column", "x")}
    return {key: value for key, value in features.items() if key in wanted}, labels[kind]


def build(name, classes, **kwargs):
    """Returns the estimator of a case, made of the given classes."""
    kind, _, arguments = CASES[name]
    made = {key: classes.RegressionHead(2) if key == "head" else value for key, value in arguments.items()}
    return getattr(classes, kind)(**made, **kwargs)
