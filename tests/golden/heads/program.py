"""A model with several heads, and its data; read by make_model_dir.py and by the tests.

Everything is built from the modules that are passed in, so that tf.estimator and headway build the same.
"""

import numpy as np

FIRST_STEPS, MORE_STEPS, BATCH = 3, 4, 10


def data():
    """Returns the features and labels of 20 rows."""
    rng = np.random.RandomState(0)
    rows = 20
    features = {
        "x": rng.normal(size=(rows, 2)).astype(np.float32),
        "w": rng.uniform(0, 2, rows).astype(np.float32),
    }
    nested = {"labels": rng.randint(0, 2, (rows, 3)), "counts": rng.poisson(2.0, rows).astype(np.float32)}
    return features, {"labels_counts": nested, "classes": rng.randint(0, 4, rows)}


def head(heads):
    """Returns a head of three, two of them in a head of their own."""
    labels = heads.MultiLabelHead(3, "w", name="labels", thresholds=[0.4])
    counts = heads.PoissonRegressionHead(name="counts")
    classes = heads.MultiClassHead(4, "w", name="classes")
    return heads.MultiHead([heads.MultiHead([labels, counts], [1.0, 0.5]), classes], [1.0, 0.25])


def arguments(heads, numeric_column, optimizers):
    """Returns the arguments of a DNNLinearCombinedEstimator."""
    x = numeric_column("x", shape=(2,))
    return {
        "head": head(heads),
        "linear_feature_columns": [x],
        "linear_optimizer": lambda: optimizers.Ftrl(0.1),
        "dnn_feature_columns": [x],
        "dnn_optimizer": lambda: optimizers.Adagrad(0.1),
        "dnn_hidden_units": [4],
    }


def source(tf, epochs=None):
    """Returns an input_fn."""
    return lambda: tf.data.Dataset.from_tensor_slices(data()).batch(BATCH).repeat(epochs)


def plain(values):
    """Returns numbers by key for JSON; keys that are nested pairs as text."""
    return {
        key if isinstance(key, str) else "|".join(_parts(key)): np.asarray(value).astype(float).tolist()
        for key, value in values.items()
    }


def _parts(key):
    return [key] if isinstance(key, str) else [part for item in key for part in _parts(item)]
