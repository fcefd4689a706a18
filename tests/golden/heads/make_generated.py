"""Writes generated.json: what tf.estimator 2.15 computes for the cases of generated.py, and says to wrong_input.py.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_generated.py`. The file holds results
only: generated.py makes the inputs again from the seeds.
"""

import json
import pathlib
import types

import generated
import numpy as np
import tensorflow as tf
import wrong_input
from tensorflow_estimator.python.estimator.head import sequential_head

HEADS = types.SimpleNamespace(
    SequentialHeadWrapper=sequential_head.SequentialHeadWrapper,
    **{name: getattr(tf.estimator, name) for name in dir(tf.estimator) if name.endswith("Head")},
)


class Table:
    """Numbers texts that occur again and again, so that the file holds each once."""

    def __init__(self):
        self.rows = []

    def number(self, row):
        """Returns the number of `row`."""
        if row not in self.rows:
            self.rows.append(row)
        return self.rows.index(row)


def _keep_metrics(head):
    """Lets a MultiHead count in the same metrics again and again, as it does in a graph; eagerly it makes new ones."""
    for part in getattr(head, "_heads", ()):
        _keep_metrics(part)
        metrics = part.metrics()
        part.metrics = lambda regularization_losses=None, metrics=metrics: metrics


def _shortest(value):
    """The number with the fewest digits that is the same float32."""
    return float(str(np.float32(value)))


def _predictions(head, logits, signatures):
    # A SequentialHeadWrapper hands the logits on, with `keys`, which a RegressionHead does not take.
    head = getattr(head, "static_head", head)
    found = sorted((generated.short_key(key), value.numpy()) for key, value in head.predictions(logits).items())
    signature = [[key, value.dtype.name, list(value.shape)] for key, value in found]
    # Logits come back as they are.
    values = [
        [item.decode() if isinstance(item, bytes) else _shortest(item) for item in value.reshape(-1).tolist()]
        for key, value in found
        if not key.endswith("logits")
    ]
    return signatures.number(signature), values


def result(kind, seed, key_sets, signatures):
    """Returns what tf.estimator computes for one case."""
    case = generated.Case(kind, seed)
    head = generated.build(tf, HEADS, tf.feature_column.numeric_column, case.head)
    _keep_metrics(head)
    penalties = None if case.penalties is None else [tf.constant(penalty) for penalty in case.penalties]
    metrics, losses = head.metrics(penalties), []
    for batch in case.batches:
        logits, labels, features = (generated.tensors(tf, part, ragged=False) for part in batch)
        loss = head.loss(labels=labels, logits=logits, features=features, regularization_losses=penalties)
        losses.append(_shortest(loss))
        head.update_metrics(metrics, features, logits, labels, regularization_losses=penalties)
    keys = sorted(metrics)
    signature, predictions = _predictions(
        head, generated.tensors(tf, generated.first_rows(case.batches[0][0]), ragged=False), signatures
    )
    return {
        "losses": losses,
        "keys": key_sets.number(keys),
        "metrics": [_shortest(metrics[key].result()) for key in keys],
        "signature": signature,
        "predictions": predictions,
    }


def _exports(kind, seed):
    """The signatures of a head: for each its kind and its outputs."""
    case = generated.Case(kind, seed)
    head = generated.build(tf, HEADS, tf.feature_column.numeric_column, case.head)
    logits, _, features = (generated.tensors(tf, part, ragged=False) for part in case.batches[0])
    return generated.shown_exports(head.create_estimator_spec(features, "infer", logits).export_outputs)


def _message(call):
    try:
        call(tf, HEADS)
    except (TypeError, ValueError) as error:
        return [type(error).__name__, str(error)]
    raise AssertionError("tf.estimator takes this input")


def main():
    key_sets, signatures, results = Table(), Table(), {}
    for kind in generated.KINDS:
        for seed in generated.seeds(kind):
            results[str(seed)] = result(kind, seed, key_sets, signatures)
    lines = [f'"{seed}":{json.dumps(values, separators=(",", ":"))}' for seed, values in results.items()]
    tables = {"keys": key_sets.rows, "signatures": signatures.rows}
    messages = {name: _message(call) for name, call in wrong_input.WRONG.items()}
    exports = {
        seed: _exports(kind, seed)
        for kind, count in generated.EXPORTS.items()
        for seed in generated.seeds(kind)[:count]
    }
    text = "{" + ",\n".join(f'"{name}":{json.dumps(rows, separators=(",", ":"))}' for name, rows in tables.items())
    text += ',\n"messages":' + json.dumps(messages, indent=1)
    text += ',\n"exports":{\n'
    text += ",\n".join(f'"{seed}":{json.dumps(found, separators=(",", ":"))}' for seed, found in exports.items()) + "}"
    text += ',\n"results":{\n' + ",\n".join(lines) + "\n}}\n"
    path = pathlib.Path(__file__).with_name("generated.json")
    path.write_text(text, encoding="utf-8")
    print(f"{len(results)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
