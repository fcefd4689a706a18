"""Writes baseline.json and baseline.npz: what the baseline models of tf.estimator 2.15 compute, and keep.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `PYTHONPATH=../canned python
make_baseline.py`. The runs and what is kept of each are those of make_canned.py there.
"""

import pathlib

import baseline_cases
import cases
import make_canned
import tensorflow as tf

HERE = pathlib.Path(__file__).parent


def build(name, **kwargs):
    return baseline_cases.build(name, tf.estimator, **kwargs)


if __name__ == "__main__":
    make_canned.write(
        HERE / "baseline", baseline_cases.CASES, lambda name: baseline_cases.data(name, cases.data()), build
    )
