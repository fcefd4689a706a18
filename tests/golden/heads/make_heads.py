"""Writes heads.json: what the heads of tf.estimator 2.15 compute on small batches.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_heads.py`. The inputs are in the file
beside the results.
"""

import itertools
import json
import pathlib

import numpy as np
import tensorflow as tf

_THRESHOLDS = ([], [0.5], [0.1, 0.25, 0.9])


def _absolute(labels, logits):
    return tf.abs(tf.cast(labels, tf.float32) - tf.reduce_sum(logits, axis=-1, keepdims=True))


def _distance(labels, logits):
    return tf.abs(labels - logits)


def _by_feature(labels, logits, features):
    return tf.abs(tf.cast(labels, tf.float32) - tf.reduce_sum(logits, axis=-1, keepdims=True)) * features["factor"]


FUNCTIONS = {
    "absolute": _absolute,
    "distance": _distance,
    "by_feature": _by_feature,
    "exp": tf.exp,
    "sigmoid": tf.sigmoid,
}


def _weights(rng, kind, shape):
    """Weights of a batch whose logits have `shape`."""
    if kind is None:
        return None
    if kind == "zeros":
        return np.zeros(shape[:-1])
    if kind == "integers":
        return rng.integers(0, 3, (*shape[:-1], 1))
    if kind == "per_logit":
        return rng.uniform(0, 2, shape).round(2)
    return rng.uniform(0, 2, shape[:-1]).round(2)


def _batch(rng, shape, weights, make_labels):
    logits = (3 * rng.standard_normal(shape)).round(2)
    logits[..., 0].flat[:3] = [0.0, 40.0, -120.0][
        : logits[..., 0].size
    ]  # on a threshold, and beyond what a float32 tells from 0 and 1
    features = {"factor": rng.uniform(0, 2, (*shape[:-1], 1)).round(2)}
    if weights is not None:
        features["w"] = _weights(rng, weights, shape)
    return {"logits": logits, "labels": make_labels(shape), "features": features}


def _case(rng, head, shapes, make_labels, *, weights=None, penalties=None, functions=None, **arguments):
    if weights is not None:
        arguments["weight_column"] = "w"
    return {
        "head": head,
        "arguments": arguments,
        "functions": functions or {},
        "regularization_losses": penalties,
        "batches": [_batch(rng, shape, weights, make_labels) for shape in shapes],
    }


def _binary_cases(rng):
    def ids(shape):
        return rng.integers(0, 2, shape)

    def flat(shape):
        return rng.integers(0, 2, shape[:-1])

    def soft(shape):
        return rng.choice([0.0, 0.3, 1.0], shape)

    def words(shape):
        return rng.choice(["no", "yes"], shape)

    two = [(5, 1), (3, 1)]
    for labels, weights, thresholds in itertools.product(
        (ids, flat, soft), (None, "floats", "zeros", "integers"), _THRESHOLDS
    ):
        yield _case(rng, "BinaryClassHead", two, labels, weights=weights, thresholds=thresholds)
    for weights, reduction in itertools.product((None, "floats"), ("sum", "auto")):
        yield _case(
            rng,
            "BinaryClassHead",
            two,
            words,
            weights=weights,
            label_vocabulary=["no", "yes"],
            loss_reduction=reduction,
        )
    yield _case(
        rng, "BinaryClassHead", two, ids, weights="floats", thresholds=[0.5], name="first", penalties=[0.5, 0.25]
    )
    yield _case(rng, "BinaryClassHead", two, ids, weights="floats", functions={"loss_fn": "absolute"})
    yield _case(rng, "BinaryClassHead", two, ids, functions={"loss_fn": "by_feature"})
    yield _case(rng, "BinaryClassHead", [(2, 3, 1)], flat, weights="integers")
    yield _case(rng, "BinaryClassHead", [(0, 1)], ids, weights="floats", thresholds=[0.5], penalties=[2.0])
    yield _case(rng, "BinaryClassHead", [(0, 1), (4, 1)], ids, thresholds=[0.5])
    yield _case(rng, "BinaryClassHead", [(150, 1)] * 3, ids, weights="floats", thresholds=[0.3, 0.7])
    yield _case(rng, "BinaryClassHead", [(150, 1)] * 2, lambda shape: np.ones(shape), thresholds=[0.5])
    yield _case(rng, "BinaryClassHead", [(150, 1)] * 2, lambda shape: np.zeros(shape), thresholds=[0.5])


def _multi_class_cases(rng):
    def ids(shape):
        return rng.integers(0, shape[-1], (*shape[:-1], 1))

    def flat(shape):
        return rng.integers(0, shape[-1], shape[:-1])

    def words(shape):
        return rng.choice(["a", "b", "c"], (*shape[:-1], 1))

    two = [(5, 3), (3, 3)]
    for labels, weights, reduction in itertools.product(
        (ids, flat), (None, "floats", "zeros", "integers"), ("sum_over_batch_size", "sum")
    ):
        yield _case(rng, "MultiClassHead", two, labels, weights=weights, n_classes=3, loss_reduction=reduction)
    for weights in (None, "floats"):
        yield _case(rng, "MultiClassHead", two, words, weights=weights, n_classes=3, label_vocabulary=["a", "b", "c"])
    yield _case(rng, "MultiClassHead", two, ids, weights="floats", n_classes=3, name="second", penalties=[0.5])
    yield _case(rng, "MultiClassHead", two, ids, weights="floats", n_classes=3, functions={"loss_fn": "absolute"})
    yield _case(rng, "MultiClassHead", [(2, 3, 4)], flat, weights="floats", n_classes=4)
    yield _case(rng, "MultiClassHead", [(0, 5)], ids, n_classes=5)
    yield _case(rng, "MultiClassHead", [(60, 12)], ids, weights="integers", n_classes=12)


def _regression_cases(rng):
    def numbers(shape):
        return rng.uniform(-5, 5, shape).round(2)

    def flat(shape):
        return rng.integers(-3, 4, shape[:-1])

    for dimension, weights, reduction in itertools.product(
        (1, 2), (None, "floats", "zeros", "per_logit"), ("sum_over_batch_size", "sum")
    ):
        shapes = [(5, dimension), (3, dimension)]
        arguments = {"label_dimension": dimension, "loss_reduction": reduction}
        yield _case(rng, "RegressionHead", shapes, numbers, weights=weights, **arguments)
    yield _case(rng, "RegressionHead", [(5, 1), (3, 1)], flat, weights="integers")
    yield _case(rng, "RegressionHead", [(5, 1), (3, 1)], flat)
    yield _case(rng, "RegressionHead", [(5, 1)], numbers, functions={"inverse_link_fn": "sigmoid"}, weights="floats")
    yield _case(
        rng, "RegressionHead", [(5, 2)], numbers, functions={"loss_fn": "distance"}, label_dimension=2, weights="floats"
    )
    yield _case(rng, "RegressionHead", [(5, 2)], numbers, label_dimension=2, name="third", penalties=[0.5, 1.0])
    yield _case(rng, "RegressionHead", [(2, 3, 2)], numbers, label_dimension=2, weights="floats")
    yield _case(rng, "RegressionHead", [(0, 1)], numbers, weights="floats")


def _tensors(batch):
    """The batch as tensors, floats as float32."""

    def tensor(values):
        values = np.asarray(values)
        return tf.constant(values.astype(np.float32) if values.dtype == np.float64 else values)

    return (
        tensor(batch["logits"]),
        tensor(batch["labels"]),
        {key: tensor(value) for key, value in batch["features"].items()},
    )


def _expected(case):
    functions = {name: FUNCTIONS[function] for name, function in case["functions"].items()}
    head = getattr(tf.estimator, case["head"])(**case["arguments"], **functions)
    penalties = case["regularization_losses"]
    penalties = None if penalties is None else [tf.constant(penalty) for penalty in penalties]
    metrics, losses = head.metrics(penalties), []
    for batch in case["batches"]:
        logits, labels, features = _tensors(batch)
        losses.append(float(head.loss(labels, logits, features, regularization_losses=penalties)))
        head.update_metrics(metrics, features, logits, labels, regularization_losses=penalties)
    logits = _tensors(case["batches"][0])[0][:4]
    predictions = {
        key: {"dtype": value.dtype.name, "values": _plain(value.numpy())}
        for key, value in head.predictions(logits).items()
    }
    return {
        "losses": losses,
        "metrics": {key: float(metric.result()) for key, metric in metrics.items()},
        "predictions": predictions,
    }


def _plain(value):
    """`value` for JSON: arrays as lists, with the shape where a list would lose it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        values = value.reshape(-1).tolist()
        values = [item.decode() if isinstance(item, bytes) else item for item in values]
        return {"shape": list(value.shape), "kind": value.dtype.kind, "flat": values}
    return value


def main():
    rng = np.random.default_rng(20)
    cases = [*_binary_cases(rng), *_multi_class_cases(rng), *_regression_cases(rng)]
    golden = [_plain({**case, "expected": _expected(case)}) for case in cases]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in golden)
    path = pathlib.Path(__file__).with_name("heads.json")
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(golden)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
