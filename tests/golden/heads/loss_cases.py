"""The cases of losses.json: options, and batches that are made again from a seed. Needs NumPy only."""

import itertools

import numpy as np

_SHAPES = {"binary": (1,), "multi_class": (4,), "regression": (2,), "quantile": (3,)}
QUANTILES = (0.1, 0.5, 0.75)
_OPTIONS = {
    "binary": [
        {"label_smoothing": 0.2},
        {"focal": {"gamma": 2.0}},
        {"focal": {"gamma": 0.5, "alpha": 0.25}},
        {"focal": {"gamma": 1.5, "alpha": 0.6}, "label_smoothing": 0.1},
        {"class_weights": [0.5, 3.0]},
        {"class_weights": [2.0, 0.0], "label_smoothing": 0.3},
    ],
    "multi_class": [
        {"label_smoothing": 0.2},
        {"focal": {"gamma": 2.0}},
        {"focal": {"gamma": 0.5}},
        {"focal": {"gamma": 1.5}, "label_smoothing": 0.1},
        {"class_weights": [0.5, 3.0, 1.0, 0.0]},
        {"class_weights": [1.0, 2.0, 1.0, 4.0], "focal": {"gamma": 2.0}},
    ],
    "regression": [{"huber": {"delta": 1.0}}, {"huber": {"delta": 0.3}}, {"huber": {"delta": 5.0}}],
    "quantile": [{}],
}


def cases():
    """Returns the cases: kind of head, options, whether there are weights, reduction, seed."""
    found = []
    for kind, options in _OPTIONS.items():
        for chosen, weighted, reduction in itertools.product(options, (False, True), ("sum_over_batch_size", "sum")):
            case = {"kind": kind, "options": chosen, "weighted": weighted, "reduction": reduction, "seed": len(found)}
            found.append(case)
    return found


def batches(case):
    """Returns three batches of a case, each logits, labels and weights; the last one is empty."""
    rng = np.random.default_rng(case["seed"])
    found = []
    for rows in (7, 4, 0):
        logits = (2.5 * rng.standard_normal((rows, *_SHAPES[case["kind"]]))).astype(np.float32)
        if case["kind"] == "binary":
            labels = rng.integers(0, 2, (rows, 1))
        elif case["kind"] == "multi_class":
            labels = rng.integers(0, 4, (rows, 1))
        else:
            width = logits.shape[-1] if case["kind"] == "regression" else 1
            labels = rng.normal(0.0, 2.0, (rows, width)).astype(np.float32)
        found.append((logits, labels, rng.uniform(0.0, 2.0, (rows, 1)).astype(np.float32)))
    return found
