"""Ready-made models and optimizers, each pair of which must go on from tf.estimator's model_dir as tf.estimator does.

Everything is built from the modules that are passed in, so that tf.estimator and headway build the same. Read by
make_model_dirs.py (tf.estimator), try_pairs.py (headway) and the tests.
"""

import importlib.util
import pathlib

import numpy as np
import tensorflow as tf

FIRST_STEPS, MORE_STEPS, BATCH, STEPS_OF_A_ROW = 4, 10, 16, 5

# Name of the optimizer: (class, arguments), of tf.keras.optimizers.legacy there and of keras.optimizers here.
OPTIMIZERS = {
    "SGD": ("SGD", {"learning_rate": 0.1}),
    "SGD_momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "SGD_nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "Adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "Adagrad_epsilon": ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.0, "epsilon": 0.01}),
    "Adam": ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "epsilon": 1e-4}),
    "Adam_amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "Adamax": ("Adamax", {"learning_rate": 0.01}),
    "Nadam": ("Nadam", {"learning_rate": 0.01}),
    "RMSprop": ("RMSprop", {"learning_rate": 0.01, "epsilon": 1e-3}),
    "RMSprop_momentum": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.6}),
    "RMSprop_centered": ("RMSprop", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-3}),
    "RMSprop_both": ("RMSprop", {"learning_rate": 0.01, "centered": True, "momentum": 0.6, "epsilon": 1e-3}),
    "Adadelta": ("Adadelta", {"learning_rate": 0.5}),
    "Ftrl": ("Ftrl", {"learning_rate": 0.1}),
    "Ftrl_l1_l2": (
        "Ftrl",
        {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02},
    ),
    "Ftrl_shrinkage": ("Ftrl", {"learning_rate": 0.1, "l2_shrinkage_regularization_strength": 0.05}),
    "Ftrl_beta": ("Ftrl", {"learning_rate": 0.1, "beta": 0.3}),
    "Ftrl_power": ("Ftrl", {"learning_rate": 0.1, "learning_rate_power": -0.3}),
    "clipped": ("Adagrad", {"learning_rate": 0.1, "clipnorm": 0.05}),
    # As a string, which means tf.estimator's own learning rate for the model, and clipping in recurrent ones.
    "by_name": ("Adagrad", None),
}
# The same for the models of tf.compat.v1.estimator: (class of tf.compat.v1.train, arguments).
V1_OPTIMIZERS = {
    "SGD": ("GradientDescentOptimizer", {"learning_rate": 0.1}),
    "momentum": ("MomentumOptimizer", {"learning_rate": 0.05, "momentum": 0.9}),
    "nesterov": ("MomentumOptimizer", {"learning_rate": 0.05, "momentum": 0.8, "use_nesterov": True}),
    "Adagrad": ("AdagradOptimizer", {"learning_rate": 0.1}),
    "Adam": ("AdamOptimizer", {"learning_rate": 0.01, "beta1": 0.8, "epsilon": 1e-4}),
    "RMSProp": ("RMSPropOptimizer", {"learning_rate": 0.01, "momentum": 0.6}),
    "RMSProp_centered": ("RMSPropOptimizer", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-3}),
    "Adadelta": ("AdadeltaOptimizer", {"learning_rate": 0.5}),
    "Ftrl": ("FtrlOptimizer", {"learning_rate": 0.1}),
    "Ftrl_all": (
        "FtrlOptimizer",
        {
            "learning_rate": 0.1,
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.05,
        },
    ),
}

_SEQUENCES = {"sequence_feature_columns": "sequences", "context_feature_columns": "context"}
# Name of the model: (class, kind of labels, arguments). "deep", "linear", "sequences" and "context" stand for columns.
MODELS = {
    "dnn_classifier": ("DNNClassifier", "two", {"feature_columns": "deep", "hidden_units": [4, 3], "batch_norm": True}),
    "dnn_regressor": (
        "DNNRegressor",
        "pair",
        {"feature_columns": "deep", "hidden_units": [4], "label_dimension": 2, "weight_column": "w"},
    ),
    "dnn_estimator": ("DNNEstimator", "pair", {"feature_columns": "deep", "hidden_units": [3], "head": "regression"}),
    "linear_classifier": ("LinearClassifier", "three", {"feature_columns": "linear", "n_classes": 3}),
    "linear_regressor": ("LinearRegressor", "number", {"feature_columns": "linear", "weight_column": "w"}),
    "linear_estimator": ("LinearEstimator", "pair", {"feature_columns": "linear", "head": "regression"}),
    "combined_classifier": (
        "DNNLinearCombinedClassifier",
        "two",
        {"linear_feature_columns": "linear", "dnn_feature_columns": "deep", "dnn_hidden_units": [4]},
    ),
    "combined_regressor": (
        "DNNLinearCombinedRegressor",
        "number",
        {"linear_feature_columns": "linear", "dnn_feature_columns": "deep", "dnn_hidden_units": [4, 3]},
    ),
    "baseline_classifier": ("BaselineClassifier", "three", {"n_classes": 3}),
    "baseline_regressor": ("BaselineRegressor", "pair", {"label_dimension": 2}),
    "rnn_simple": ("RNNClassifier", "two", {**_SEQUENCES, "units": [4]}),
    "rnn_simple_stacked": ("RNNClassifier", "two", {**_SEQUENCES, "units": [3, 2], "cell_type": "simple_rnn"}),
    "rnn_simple_layer": ("RNNClassifier", "two", {**_SEQUENCES, "units": 3, "cell_type": "simple_rnn"}),
    "rnn_lstm": ("RNNClassifier", "two", {**_SEQUENCES, "units": [3], "cell_type": "lstm"}),
    "rnn_lstm_stacked": (
        "RNNClassifier",
        "three",
        {**_SEQUENCES, "units": [4, 3], "cell_type": "lstm", "n_classes": 3, "weight_column": "w"},
    ),
    "rnn_lstm_layer": ("RNNClassifier", "two", {**_SEQUENCES, "units": 3, "cell_type": "lstm"}),
    "rnn_gru": ("RNNClassifier", "two", {**_SEQUENCES, "units": [3], "cell_type": "gru"}),
    "rnn_gru_stacked": ("RNNClassifier", "two", {**_SEQUENCES, "units": [3, 2], "cell_type": "gru"}),
    "rnn_gru_layer": (
        "RNNClassifier",
        "word",
        {
            **_SEQUENCES,
            "units": 3,
            "cell_type": "gru",
            "n_classes": 3,
            "label_vocabulary": ["p", "q", "r"],
            "loss_reduction": "sum",
        },
    ),
    "rnn_steps": (
        "RNNClassifier",
        "steps",
        {"sequence_feature_columns": "sequences", "units": [3], "cell_type": "gru", "return_sequences": True},
    ),
    "rnn_steps_layer": (
        "RNNClassifier",
        "steps",
        {**_SEQUENCES, "units": 3, "cell_type": "lstm", "return_sequences": True, "weight_column": "step_weights"},
    ),
    "rnn_estimator": ("RNNEstimator", "pair", {**_SEQUENCES, "rnn_cell_fn": "cells", "head": "regression"}),
    "rnn_estimator_steps": (
        "RNNEstimator",
        "step_numbers",
        {**_SEQUENCES, "units": [3, 2], "cell_type": "lstm", "return_sequences": True, "head": "sequential"},
    ),
}
# Features whose names are no words: with slashes and dots, which variables have in their names too.
MODELS["combined_slashes"] = (
    "DNNLinearCombinedClassifier",
    "two",
    {"linear_feature_columns": "slashes_linear", "dnn_feature_columns": "slashes", "dnn_hidden_units": [3]},
)


def _golden(folder, name):
    path = pathlib.Path(__file__).parents[1] / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_canned, _v1_cases = _golden("canned", "cases"), _golden("tf_estimator", "v1_cases")

# Those of tf.compat.v1.estimator.
MODELS |= {
    "v1_combined_slashes": MODELS["combined_slashes"],
    "v1_dnn_classifier": MODELS["dnn_classifier"],
    "v1_linear_regressor": MODELS["linear_regressor"],
    "v1_combined_classifier": MODELS["combined_classifier"],
    "v1_dnn_parts": (*MODELS["dnn_classifier"][:2], {**MODELS["dnn_classifier"][2], "input_layer_partitioner": 2}),
    "v1_linear_parts": (*MODELS["linear_regressor"][:2], {**MODELS["linear_regressor"][2], "partitioner": 2}),
}
# Tables that columns share, as tf.compat.v1.feature_column.shared_embedding_columns makes them.
MODELS |= {f"v1_{name}": case for name, case in _v1_cases.CASES.items() if "_shared" in name}
_ALL = ("dnn_classifier", "linear_regressor", "combined_classifier")
_SOME = ("SGD_momentum", "Adam", "Nadam", "RMSprop_centered", "Adadelta", "Ftrl_l1_l2", "by_name")
PAIRS = [(model, optimizer) for model in _ALL for optimizer in OPTIMIZERS]
PAIRS += [
    (model, optimizer)
    for model in ("dnn_regressor", "linear_classifier", "combined_regressor", "baseline_classifier", "rnn_lstm_stacked")
    for optimizer in _SOME
]
PAIRS += [
    (model, "by_name") for model in MODELS if not model.startswith("v1") and model not in {known for known, _ in PAIRS}
]
PAIRS += [("v1_linear_regressor", optimizer) for optimizer in V1_OPTIMIZERS]
PAIRS += [("v1_dnn_classifier", optimizer) for optimizer in ("nesterov", "Adam", "RMSProp_centered", "Ftrl_all")]
PAIRS += [("v1_combined_classifier", optimizer) for optimizer in ("momentum", "RMSProp", "Adadelta")]
PAIRS += [("v1_dnn_parts", "Adam"), ("v1_dnn_parts", "Adagrad"), ("v1_linear_parts", "Ftrl")]
PAIRS += [("v1_combined_slashes", "Adagrad")]
PAIRS += [(model, optimizer) for model in MODELS if "_shared" in model for optimizer in ("Adagrad", "Adam")]
PAIRS += [("rnn_gru", optimizer) for optimizer in ("SGD_nesterov", "Adamax", "RMSprop_both", "clipped")]


def data(model):
    """Returns the features of 64 rows and the labels of the model; sequences as indices, values and shape."""
    features, labels = _canned.data()
    if model.startswith("baseline"):
        # tf.estimator's first bias waits for a comparison of the sizes of several features.
        return {"x": features["x"]}, labels[MODELS[model][1]]
    if "slashes" in model:
        features = {"c/d.e": features["c"], "/n": features["a"], "-m//k": features["a"]}
    if not model.startswith("rnn"):
        return features, labels[MODELS[model][1]]
    rng = np.random.RandomState(11)
    lengths = rng.randint(0, STEPS_OF_A_ROW + 1, 64)
    # tf.estimator wants a row in each batch that is as long as the tensor.
    lengths[::8] = STEPS_OF_A_ROW
    there = np.arange(STEPS_OF_A_ROW) < lengths[:, None]
    words = rng.choice(["good", "bad", "so", "unknown"], there.shape)
    numbers = rng.normal(size=there.shape).round(2).astype(np.float32)
    places, shape = np.argwhere(there), there.shape
    labels["steps"] = ((words == "good") & there).astype(np.int64)
    labels["step_numbers"] = np.where(there, numbers + (words == "bad"), 0).astype(np.float32)
    features = {
        "a": features["a"],
        "c": features["c"],
        "w": features["w"],
        "step_weights": rng.uniform(0, 2, shape).round(1).astype(np.float32),
        "words": (places, words[there].astype(object), shape),
        "load": (places, numbers[there], shape),
    }
    return features, labels[MODELS[model][1]]


def input_fn(model, rows=64, labelled=True, repeat=False):
    """Returns an input_fn of the first rows."""
    features, labels = data(model)

    def make():
        sparse = {key: tf.SparseTensor(*value) for key, value in features.items() if isinstance(value, tuple)}
        mine = {**features, **sparse}
        dataset = tf.data.Dataset.from_tensor_slices((mine, labels) if labelled else mine)
        dataset = dataset.take(rows).batch(BATCH)
        return dataset.repeat() if repeat else dataset

    return make


def columns(fc):
    """Returns columns by the name that arguments have for them."""
    deep, linear = _canned.columns(fc)
    words = fc.sequence_categorical_column_with_vocabulary_list("words", ["good", "bad", "so"])
    c = fc.categorical_column_with_vocabulary_list("c", ["u", "v", "w"], num_oov_buckets=1)
    slashed = fc.categorical_column_with_vocabulary_list("c/d.e", ["u", "v", "w"], num_oov_buckets=1)
    near = fc.bucketized_column(fc.numeric_column("/n"), [0.0])
    far = fc.bucketized_column(fc.numeric_column("-m//k"), [-0.5, 0.5])
    shared = _v1_cases.shared_columns(fc)
    crossed = fc.crossed_column([near, "c/d.e"], 7)
    return {
        "slashes": [
            fc.numeric_column("/n"),
            fc.indicator_column(slashed),
            *(fc.embedding_column(column, 2) for column in (slashed, near, far, crossed)),
        ],
        "slashes_linear": [slashed, near, far, crossed, fc.embedding_column(slashed, 2), fc.numeric_column("/n")],
        "deep": deep,
        "linear": linear,
        "sequences": [fc.embedding_column(words, 2), fc.sequence_numeric_column("load")],
        "context": [fc.numeric_column("a"), fc.embedding_column(c, 2)],
        "shared": shared,
        "shared_first": shared[:1],
        "shared_others": shared[1:],
    }


def build(model, optimizer, classes, fc, optimizers, layers, **kwargs):
    """Returns the estimator of a pair, made of what the given modules have."""
    kind, _, arguments = MODELS[model]
    made, by_name = {}, columns(fc)
    for key, value in arguments.items():
        if key.endswith("feature_columns"):
            made[key] = by_name[value]
        elif key.endswith("partitioner"):
            made[key] = tf.compat.v1.fixed_size_partitioner(value)
        elif key == "rnn_cell_fn":
            made[key] = lambda: layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)])
        elif key == "head":
            made[key] = _head(value, classes)
        else:
            made[key] = value
    is_v1 = model.startswith("v1")
    name, settings = (V1_OPTIMIZERS if is_v1 else OPTIMIZERS)[optimizer]
    optimizers = tf.compat.v1.train if is_v1 else optimizers
    given = name if settings is None else lambda: getattr(optimizers, name)(**settings)
    for argument in ("linear_optimizer", "dnn_optimizer") if "combined" in model else ("optimizer",):
        made[argument] = given
    return getattr(classes.v1 if is_v1 else classes, kind)(**made, **kwargs)


def _head(name, classes):
    if name == "sequential":
        return classes.SequentialHeadWrapper(classes.RegressionHead(), "mask")
    return classes.RegressionHead(2, weight_column="w")
