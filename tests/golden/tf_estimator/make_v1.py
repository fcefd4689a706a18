"""Writes v1.json and v1.npz: what the ready-made estimators of tf.compat.v1.estimator 2.15 compute, and keep.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_v1.py`. The values are those that
../canned/make_canned.py writes for the estimators of tf.estimator.
"""

import importlib.util
import pathlib
import sys

import tensorflow as tf
import v1_cases

HERE = pathlib.Path(__file__).parent
CANNED = HERE.parent / "canned"
sys.path.insert(0, str(CANNED))


def load(name):
    spec = importlib.util.spec_from_file_location(name, CANNED / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_canned = load("make_canned")
# This file's cases have names of their own, and no directory of theirs is kept.
make_canned.REAL_FILES = None
cases = make_canned.cases


def data(name):
    features, labels = cases.data()
    return features, labels[v1_cases.CASES[name][1]]


def build(name, **kwargs):
    modules = (cases, tf.compat.v1.estimator, tf.feature_column, tf.compat.v1.train, tf.nn)
    return v1_cases.build(name, *modules, **kwargs)


if __name__ == "__main__":
    make_canned.write(HERE / "v1", v1_cases.CASES, data, build)
