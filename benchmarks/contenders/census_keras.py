"""Census wide & deep: Keras 3 fit at its best, with ids made once for the table and batches gathered by row number.

Ftrl for the wide part and Adagrad for the deep part by MultiOptimizer; many steps per execution. Hashes and crosses are
Keras's own, so that rows collide in other buckets than in the other contenders.
"""

from __future__ import annotations

import argparse
import functools
import time
from typing import Any

import _census
import _measure
import numpy as np


class Preprocessing:
    """The columns of the table as Keras layers, run on a whole table at once."""

    def __init__(self, keras: Any, tf: Any, train: _census.Table) -> None:
        layers = keras.layers
        self._tf = tf
        self.words = _census.vocabulary(train)
        self._lookup = {name: layers.StringLookup(vocabulary=words) for name, words in self.words.items()}
        self._age = layers.Discretization(bin_boundaries=_census.AGE_LIMITS)
        self._occupation = layers.Hashing(_census.BUCKETS)
        self._pair, self._triple = (layers.HashedCrossing(_census.BUCKETS) for _ in range(2))
        scales = np.asarray(list(_census.scales(train).values()), "float32")
        self._mean, self._scale = scales[:, 0], scales[:, 1]
        self.sizes = [len(words) + 1 for words in self.words.values()] + [len(_census.AGE_LIMITS) + 1]
        self.sizes += [_census.BUCKETS, _census.BUCKETS]

    def __call__(self, features: dict[str, Any]) -> dict[str, Any]:
        """Returns floats `[rows, 5]` and int32 ids: those of the wide part with an offset, as they share a table."""
        tf = self._tf
        numbers = np.stack([features[name] for name in _census.NUMBERS], axis=-1)
        words = {name: tf.constant(features[name]) for name in self.words}
        ids = {name: self._lookup[name](words[name]) for name in words}
        age = self._age(tf.constant(features["age"]))
        pair = words["education"], words["occupation"]
        crosses = [self._pair(pair), self._triple((tf.strings.as_string(age), *pair))]
        wide = tf.stack([tf.cast(column, tf.int32) for column in (*ids.values(), age, *crosses)], axis=-1)
        return {
            "numbers": tf.constant((numbers - self._mean) / self._scale),
            "wide": wide + np.cumsum([0, *self.sizes[:-1]]).astype("int32"),
            "indicators": tf.stack([tf.cast(ids[name], tf.int32) for name in _census.INDICATORS], axis=-1),
            "occupation": tf.cast(self._occupation(words["occupation"]), tf.int32),
            "country": tf.cast(ids["native_country"], tf.int32),
        }


def build(keras: Any, prepared: Preprocessing) -> Any:
    """Returns the model: the sum of a linear part, whose layers are named `wide_...`, and a deep part."""
    layers, ops = keras.layers, keras.ops
    inputs = {
        "numbers": keras.Input((len(_census.NUMBERS),), name="numbers"),
        "wide": keras.Input((len(prepared.sizes),), dtype="int32", name="wide"),
        "indicators": keras.Input((len(_census.INDICATORS),), dtype="int32", name="indicators"),
        "occupation": keras.Input((), dtype="int32", name="occupation"),
        "country": keras.Input((), dtype="int32", name="country"),
    }

    class Bias(layers.Layer):  # type: ignore[name-defined]
        def build(self, input_shape: Any) -> None:
            self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

        def call(self, x: Any) -> Any:
            return x + self.bias

    weights = layers.Embedding(sum(prepared.sizes), 1, embeddings_initializer="zeros", name="wide_weights")
    wide = Bias(name="wide_bias")(ops.sum(weights(inputs["wide"]), 1))
    countries = len(prepared.words["native_country"]) + 1
    tables = {"occupation": _census.BUCKETS, "country": countries}
    deep = [inputs["numbers"]]
    for i, name in enumerate(_census.INDICATORS):
        deep.append(ops.one_hot(inputs["indicators"][:, i], len(prepared.words[name]) + 1))
    for name, rows in tables.items():
        start = keras.initializers.TruncatedNormal(stddev=_census.DIMENSION**-0.5)
        deep.append(layers.Embedding(rows, _census.DIMENSION, embeddings_initializer=start)(inputs[name]))
    hidden = layers.Concatenate()(deep)
    for units in _census.HIDDEN_UNITS:
        hidden = layers.Dense(units, activation="relu")(hidden)
    return keras.Model(inputs, layers.Add()([wide, layers.Dense(1)(hidden)]))


def gathered(tf: Any, prepared: dict[str, Any], labels: Any, *, train: bool) -> Any:
    """Returns batches of rows that are gathered by number; in training all rows are in a new order in each epoch."""
    rows, size = len(labels), _census.BATCH_SIZE
    tables, answers = prepared, tf.constant(labels, tf.float32)

    def shuffled(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(tf.range(rows), tf.stack([1, epoch]))
        return tf.data.Dataset.from_tensor_slices(tf.reshape(order[: rows // size * size], [-1, size]))

    if train:
        numbers = tf.data.Dataset.counter().map(lambda i: tf.cast(i, tf.int32)).flat_map(shuffled)
    else:
        numbers = tf.data.Dataset.range(rows).batch(size)
    return numbers.map(
        lambda i: ({name: tf.gather(table, i) for name, table in tables.items()}, tf.gather(answers, i)),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(tf.data.AUTOTUNE)


class KerasFit:
    """`fit`, `evaluate` and `predict` of the model."""

    def __init__(self, tf: Any, train: _census.Table, test: _census.Table, arguments: argparse.Namespace) -> None:
        import keras

        self._tf, self._keras, self._train, self._test = tf, keras, train, test
        keras.utils.set_random_seed(arguments.seed)
        self._preprocessing = Preprocessing(keras, tf, train)
        self._model = build(keras, self._preprocessing)
        ftrl, adagrad = keras.optimizers.Ftrl(_census.FTRL_RATE), keras.optimizers.Adagrad(arguments.dnn_rate)
        self._settings = {
            "optimizer": keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(adagrad, {"wide_.*": ftrl})),
            "loss": keras.losses.BinaryCrossentropy(from_logits=True),
            "steps_per_execution": arguments.steps_per_execution,
            "jit_compile": False,
        }
        self._compiled_for = ""

    @functools.cache  # noqa: B019 - a table is prepared in the call that first needs it, and kept
    def _rows(self, part: str) -> Any:
        table = self._train if part == "train" else self._test
        return gathered(self._tf, self._preprocessing(table.features), table.labels, train=part == "train")

    def _compile(self, purpose: str) -> None:
        """Compiles without metrics to train, and with those of tf.estimator to evaluate; not twice in a row."""
        if self._compiled_for == purpose:
            return
        self._compiled_for, metrics = purpose, self._keras.metrics
        chosen = [
            metrics.AUC(from_logits=True, name="auc"),
            metrics.AUC(from_logits=True, curve="PR", name="auc_precision_recall"),
            metrics.BinaryAccuracy(threshold=0.0),
            metrics.Precision(thresholds=0.0),
            metrics.Recall(thresholds=0.0),
        ]
        self._model.compile(**self._settings, metrics=chosen if purpose == "evaluate" else None)

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""

        class Clock(self._keras.callbacks.Callback):  # type: ignore[name-defined]
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                noted(batch + 1)

        self._compile("train")
        self._model.fit(self._rows("train"), steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[Clock()])

    def evaluate(self) -> dict[str, float]:
        """Returns the metrics on the test rows."""
        self._compile("evaluate")
        metrics = self._model.evaluate(self._rows("test"), verbose=0, return_dict=True)
        return {"auc": float(metrics["auc"]), "average_loss": float(metrics["loss"])}

    def predict(self) -> None:
        """Makes predictions for the test rows."""
        self._model.predict(self._rows("test"), verbose=0)


def main() -> None:
    parser = _census.parser(__doc__)
    parser.add_argument("--steps_per_execution", type=int, default=50, help="Keras's setting of this name")
    arguments = parser.parse_args()
    train, test = _census.load(arguments.census)
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _census.run(KerasFit(tf, train, test, arguments), arguments, began)


if __name__ == "__main__":
    main()
