"""What the programs of this folder have in common: first values, rows to learn from, and the line of results."""

from __future__ import annotations

import json
import os
import zlib

import numpy as np
import tensorflow as tf


def seeded(seed, scale=0.3):
    """Returns an initializer whose values depend on the seed and the shape alone, so that every run begins alike."""

    def initializer(shape, dtype=None, **unused):
        shape = [int(size) for size in shape]
        values = np.random.RandomState(seed).uniform(-scale, scale, size=shape).astype(np.float32)
        return tf.constant(values, dtype=tf.as_dtype(dtype or tf.float32))

    return initializer


def write_checkpoint(path, values):
    """Writes arrays by the names of their variables, as a pre-trained model is handed on. Returns the path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.Graph().as_default():
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=np.asarray(value, np.float32))
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            return tf.compat.v1.train.Saver().save(session, path, write_meta_graph=False)


def first_values(shapes, scale=0.3):
    """Returns an array for each name, which depends on the name and the shape alone."""
    return {
        name: np.random.RandomState(zlib.crc32(name.encode())).uniform(-scale, scale, size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def write_lines(path, lines):
    """Writes a text file. Returns its path."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def report(**results):
    """Prints the line of JSON by which two runs are compared."""
    print(json.dumps(plain(results), sort_keys=True), flush=True)


def plain(value):
    """Returns a value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return value
