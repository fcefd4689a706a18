"""Writes losses.json: what heads of tf.estimator 2.15 compute with the losses of Keras 2 as their `loss_fn`.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_losses.py`. The batches come from
`loss_cases.py`. Class weights are multiplied into the weights of the rows, for the loss alone.
"""

import json
import pathlib

import loss_cases
import numpy as np
import tensorflow as tf

_LOSSES = tf.keras.losses


def _binary(options):
    smoothing = options.get("label_smoothing", 0.0)
    focal = options.get("focal")

    def loss_fn(labels, logits):
        if focal is None:
            losses = _LOSSES.binary_crossentropy(labels, logits, from_logits=True, label_smoothing=smoothing)
        else:
            losses = _LOSSES.binary_focal_crossentropy(
                labels,
                logits,
                apply_class_balancing="alpha" in focal,
                alpha=focal.get("alpha", 0.25),
                gamma=focal["gamma"],
                from_logits=True,
                label_smoothing=smoothing,
            )
        return tf.expand_dims(losses, -1)

    return loss_fn


def _multi_class(options):
    smoothing = options.get("label_smoothing", 0.0)
    focal = options.get("focal")

    def loss_fn(labels, logits):
        one_hot = tf.one_hot(tf.squeeze(labels, -1), 4)
        if focal is None:
            losses = _LOSSES.categorical_crossentropy(one_hot, logits, from_logits=True, label_smoothing=smoothing)
        else:
            losses = _LOSSES.categorical_focal_crossentropy(
                one_hot, logits, alpha=1.0, gamma=focal["gamma"], from_logits=True, label_smoothing=smoothing
            )
        return tf.expand_dims(losses, -1)

    return loss_fn


def _regression(options):
    delta = options["huber"]["delta"]
    return lambda labels, logits: _LOSSES.huber(labels[..., tf.newaxis], logits[..., tf.newaxis], delta=delta)


def _pinball(labels, logits):
    quantiles, error = tf.constant(loss_cases.QUANTILES), labels - logits
    return tf.where(error >= 0, quantiles * error, (quantiles - 1.0) * error)


def _head(case):
    common = {"weight_column": "w", "loss_reduction": case["reduction"]}
    options = case["options"]
    if case["kind"] == "binary":
        return tf.estimator.BinaryClassHead(loss_fn=_binary(options), **common)
    if case["kind"] == "multi_class":
        return tf.estimator.MultiClassHead(4, loss_fn=_multi_class(options), **common)
    if case["kind"] == "regression":
        return tf.estimator.RegressionHead(2, loss_fn=_regression(options), **common)
    return tf.estimator.RegressionHead(3, loss_fn=_pinball, **common)


def _expected(case):
    head = _head(case)
    metrics, losses = head.metrics(), []
    for logits, labels, weights in loss_cases.batches(case):
        weights = weights if case["weighted"] else np.ones_like(weights)
        of_classes = np.ones_like(weights)
        if "class_weights" in case["options"]:
            of_classes = np.array(case["options"]["class_weights"], np.float32)[labels]
        labels = np.repeat(labels, 3, axis=1) if case["kind"] == "quantile" else labels
        if len(labels):  # an empty batch has no loss there
            losses.append(float(head.loss(labels, tf.constant(logits), {"w": weights * of_classes})))
        head.update_metrics(metrics, {"w": tf.constant(weights)}, tf.constant(logits), labels)
    return {"losses": losses, "metrics": {key: float(metric.result()) for key, metric in metrics.items()}}


def main():
    found = [_expected(case) for case in loss_cases.cases()]
    path = pathlib.Path(__file__).with_name("losses.json")
    path.write_text(json.dumps(found, indent=0) + "\n", "utf-8")
    print(f"{len(found)} cases in {path.name}")


if __name__ == "__main__":
    main()
