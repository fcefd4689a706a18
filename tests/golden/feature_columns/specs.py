"""How a golden case names its columns and features, for what makes the cases and for the tests that read them."""

import numpy as np

NORMALIZERS = {"scale": lambda x: (x - 3) * 2}


def build(module, spec):
    """Makes the column(s) that `spec` describes with the functions of `module` (tf.feature_column or its like).

    A column is `{"make": function name, argument: value, ...}`; its arguments may be columns again.
    """
    import tensorflow as tf

    if isinstance(spec, list):
        return [build(module, item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    arguments = {name: build(module, value) for name, value in spec.items() if name != "make"}
    if "dtype" in arguments:
        arguments["dtype"] = tf.as_dtype(arguments["dtype"])
    if "normalizer_fn" in arguments:
        arguments["normalizer_fn"] = NORMALIZERS[arguments["normalizer_fn"]]
    return getattr(module, spec["make"])(**arguments)


def tensor(spec):
    """Makes the feature that `spec` describes: `{"dtype", "dense"}` or `{"dtype", "indices", "values", "shape"}`."""
    import tensorflow as tf

    dtype = tf.as_dtype(spec["dtype"])
    if "dense" in spec:
        return tf.constant(spec["dense"], dtype)
    indices = np.asarray(spec["indices"], np.int64).reshape(-1, len(spec["shape"]))
    return tf.SparseTensor(indices, tf.constant(spec["values"], dtype), spec["shape"])


def tensors(features):
    """Makes all features of a case."""
    return {name: tensor(spec) for name, spec in features.items()}


def weights(name, shape):
    """The value of a model's variable in the golden cases: different for each name, of about unit size."""
    phase = sum(map(ord, name)) % 17
    return np.sin(np.arange(int(np.prod(shape))) * 0.7 + phase).reshape(shape).astype(np.float32)
