"""How a golden case names its columns and features, for what makes the cases and for the tests that read them."""

import functools
import tempfile

import numpy as np

# The second one suits sparse and ragged tensors as well.
NORMALIZERS = {"scale": lambda x: (x - 3) * 2, "halve": lambda x: x / 2}


@functools.cache
def vocabulary_file(lines):
    """Writes a file of the given lines and returns its path."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", delete=False) as file:
        file.write("\n".join(lines) + "\n")
    return file.name


def build(module, spec):
    """Makes the column(s) that `spec` describes with the functions of `module` (tf.feature_column or its like).

    A column is `{"make": function name, argument: value, ...}`; its arguments may be columns again. A vocabulary file
    is given as the list of its lines.
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
    if "vocabulary_file" in arguments:
        arguments["vocabulary_file"] = vocabulary_file(tuple(arguments["vocabulary_file"]))
    return getattr(module, spec["make"])(**arguments)


def columns(module, specs):
    """Makes all columns of a case; `shared_embeddings` makes several of one description."""
    made = [build(module, spec) for spec in specs]
    return [column for item in made for column in (item if isinstance(item, list) else [item])]


def tensor(spec):
    """Makes the feature that `spec` describes.

    It is `{"dtype", "dense"}` (and "shape", for one without rows), `{"dtype", "indices", "values", "shape"}`, or
    `{"dtype", "ragged", "depth"}`.
    """
    import tensorflow as tf

    dtype = tf.as_dtype(spec["dtype"])
    if "ragged" in spec:
        return tf.ragged.constant(spec["ragged"], dtype, ragged_rank=spec["depth"])
    if "dense" in spec:
        return tf.constant(spec["dense"], dtype, spec.get("shape"))
    indices = np.asarray(spec["indices"], np.int64).reshape(-1, len(spec["shape"]))
    return tf.SparseTensor(indices, tf.constant(spec["values"], dtype), spec["shape"])


def tensors(features):
    """Makes all features of a case."""
    return {name: tensor(spec) for name, spec in features.items()}


def weights(name, shape):
    """The value of a model's variable in the golden cases: different for each name, of about unit size."""
    phase = sum(map(ord, name)) % 17
    return np.sin(np.arange(int(np.prod(shape))) * 0.7 + phase).reshape(shape).astype(np.float32)
