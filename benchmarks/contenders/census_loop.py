"""Census wide & deep by hand, as fast as its authors could write it: what a library can reach at best.

NumPy makes the ids once; the step gathers its batch from tables on the device and runs inside a `tf.while`; all wide
weights lie in one variable; `compat.v1` optimizers update the rows that a batch has touched.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from collections.abc import Iterator
from typing import Any

import _census
import _measure
import numpy as np
import numpy.typing as npt

_INTERVALS = 200


class Host:
    """Words and numbers to ids and floats, in NumPy."""

    def __init__(self, tf: Any, train: _census.Table) -> None:
        self._tf = tf
        self._words = {
            name: {word: i for i, word in enumerate(words)} for name, words in _census.vocabulary(train).items()
        }
        self._scales = np.asarray(list(_census.scales(train).values()), "float32")
        self.sizes = [len(words) + 1 for words in self._words.values()] + [len(_census.AGE_LIMITS) + 1]
        self.sizes += [_census.BUCKETS, _census.BUCKETS]
        self.indicator_sizes = [len(self._words[name]) for name in _census.INDICATORS]
        self.countries = len(self._words["native_country"])

    def _hashed(self, words: Any) -> npt.NDArray[np.int32]:
        hashed: npt.NDArray[np.int32] = self._tf.strings.to_hash_bucket_fast(words, _census.BUCKETS).numpy()
        return hashed.astype("int32")

    def __call__(self, features: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """Returns tables, rows first: floats, and int32 ids; unknown words are -1, in the wide part the last id."""
        ids = {
            name: np.fromiter((words.get(word, -1) for word in features[name]), "int32", len(features[name]))
            for name, words in self._words.items()
        }
        age = np.digitize(features["age"], _census.AGE_LIMITS).astype("int32")
        pair = features["education"] + "_X_" + features["occupation"]
        triple = np.char.mod("%d_X_", age).astype(object) + pair
        known = [np.where(column < 0, size - 1, column) for column, size in zip(ids.values(), self.sizes, strict=False)]
        wide = np.stack([*known, age, self._hashed(pair), self._hashed(triple)], axis=1)
        numbers = np.stack([features[name] for name in _census.NUMBERS], axis=1)
        return {
            "numbers": (numbers - self._scales[:, 0]) / self._scales[:, 1],
            "wide": (wide + np.cumsum([0, *self.sizes[:-1]])).astype("int32"),
            "indicators": np.stack([ids[name] for name in _census.INDICATORS], axis=1),
            "occupation": self._hashed(features["occupation"]),
            "country": np.maximum(ids["native_country"], 0),
        }


class WideAndDeep:
    """The variables, the logits and the update."""

    def __init__(self, tf: Any, host: Host, dnn_rate: float) -> None:
        self._tf, self._indicator_sizes = tf, host.indicator_sizes
        self._wide = [tf.Variable(tf.zeros([sum(host.sizes)])), tf.Variable(0.0)]

        def table(rows: int) -> Any:
            return tf.Variable(tf.random.truncated_normal([rows, _census.DIMENSION], stddev=_census.DIMENSION**-0.5))

        width = len(_census.NUMBERS) + sum(host.indicator_sizes) + 2 * _census.DIMENSION
        layers = [width, *_census.HIDDEN_UNITS, 1]
        pairs = list(itertools.pairwise(layers))
        self._tables = [table(_census.BUCKETS), table(host.countries)]
        self._kernels = [tf.Variable(tf.random.uniform([i, o], -1, 1) * (6 / (i + o)) ** 0.5) for i, o in pairs]
        self._biases = [tf.Variable(tf.zeros([o])) for _, o in pairs]
        self._ftrl = tf.compat.v1.train.FtrlOptimizer(_census.FTRL_RATE)
        self._adagrad = tf.compat.v1.train.AdagradOptimizer(dnn_rate)

    def logits(self, batch: dict[str, Any]) -> Any:
        """Returns `[B]`."""
        tf = self._tf
        linear = tf.reduce_sum(tf.gather(self._wide[0], batch["wide"]), 1) + self._wide[1]
        one_hot = [tf.one_hot(batch["indicators"][:, i], size) for i, size in enumerate(self._indicator_sizes)]
        vectors = [
            tf.gather(table, batch[name]) for table, name in zip(self._tables, ("occupation", "country"), strict=True)
        ]
        x = tf.concat([batch["numbers"], *one_hot, *vectors], 1)
        for kernel, bias in zip(self._kernels[:-1], self._biases[:-1], strict=True):
            x = tf.nn.relu(x @ kernel + bias)
        return linear + (x @ self._kernels[-1] + self._biases[-1])[:, 0]

    def step(self, batch: dict[str, Any], labels: Any) -> Any:
        """Makes one step; returns the loss."""
        tf = self._tf
        deep = [*self._tables, *self._kernels, *self._biases]
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, self.logits(batch))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [*self._wide, *deep])
        self._ftrl.apply_gradients(zip(gradients[:2], self._wide, strict=True))
        self._adagrad.apply_gradients(zip(gradients[2:], deep, strict=True))
        return loss


class Loop:
    """Training steps in a loop on the device; evaluation and prediction a batch at a time."""

    def __init__(self, tf: Any, train: _census.Table, test: _census.Table, arguments: argparse.Namespace) -> None:
        self._tf, self._test = tf, test
        tf.random.set_seed(arguments.seed)
        self._host = Host(tf, train)
        self._model = WideAndDeep(tf, self._host, arguments.dnn_rate)
        self._rows = iter(_shuffled_rows(tf, len(train)))
        tables = self._host(train.features)
        self._loop = self._compiled_loop(tables, train.labels.astype("float32"))
        signature = [{name: tf.TensorSpec([None, *table.shape[1:]], table.dtype) for name, table in tables.items()}]
        self._apply = tf.function(lambda batch: tf.sigmoid(self._model.logits(batch)), input_signature=signature)
        self._count = tf.function(self._histogram, input_signature=[*signature, tf.TensorSpec([None])])

    def _compiled_loop(self, arrays: dict[str, Any], labels: Any) -> Any:
        tf, model = self._tf, self._model
        tables, answers = {name: tf.constant(array) for name, array in arrays.items()}, tf.constant(labels)

        @tf.function
        def loop(rows: Any, steps: Any) -> Any:
            loss = tf.constant(0.0)
            for _ in tf.range(steps):
                i = next(rows)
                batch = {name: tf.gather(table, i) for name, table in tables.items()}
                loss = model.step(batch, tf.gather(answers, i))
            return loss

        return loop

    def _histogram(self, batch: dict[str, Any], labels: Any) -> Any:
        """Returns how many rows, by label, have a probability in each of 200 intervals."""
        tf = self._tf
        logits = self._model.logits(batch)
        loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))
        interval = tf.cast(tf.math.ceil(tf.sigmoid(logits) * (_INTERVALS - 1)), tf.int32)
        return loss, tf.math.unsorted_segment_sum(tf.stack([labels, 1.0 - labels], axis=1), interval, _INTERVALS)

    @functools.cached_property  # made in the call that first needs them, and kept
    def _test_tables(self) -> dict[str, Any]:
        return self._host(self._test.features)

    def _batches(self) -> Iterator[tuple[slice, dict[str, Any]]]:
        for first in range(0, len(self._test), _census.BATCH_SIZE):
            rows = slice(first, first + _census.BATCH_SIZE)
            yield rows, {name: table[rows] for name, table in self._test_tables.items()}

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""
        for done in itertools.chain([1], range(200, steps + 1, 200)):
            float(self._loop(self._rows, self._tf.constant(1 if done == 1 else 199 if done == 200 else 200)))
            noted(done)

    def evaluate(self) -> dict[str, float]:
        """Returns the metrics on the test rows."""
        labels = self._test.labels.astype("float32")
        counts, total = np.zeros([_INTERVALS, 2]), 0.0
        for rows, batch in self._batches():
            loss, histogram = self._count(batch, labels[rows])
            total, counts = total + float(loss), counts + histogram.numpy()
        above = np.cumsum(counts[::-1], axis=0)
        true_rate, false_rate = (np.append(0.0, above[:, i] / above[-1, i]) for i in (0, 1))
        auc = np.sum(np.diff(false_rate) * (true_rate[1:] + true_rate[:-1]) / 2)
        return {"auc": float(auc), "average_loss": total / len(self._test)}

    def predict(self) -> None:
        """Makes predictions for the test rows."""
        for _, batch in self._batches():
            self._apply(batch).numpy()


def _shuffled_rows(tf: Any, rows: int) -> Any:
    """Returns the dataset of row numbers `[batch]`: all rows in a new order in each epoch, for ever."""
    size = _census.BATCH_SIZE

    def epoch(number: Any) -> Any:
        order = tf.argsort(tf.random.stateless_uniform([rows], tf.stack([1, number])))
        return tf.data.Dataset.from_tensor_slices(tf.reshape(order[: rows // size * size], [-1, size]))

    return tf.data.Dataset.counter(dtype=tf.int64).map(lambda i: tf.cast(i, tf.int32)).flat_map(epoch).prefetch(8)


def main() -> None:
    arguments = _census.parser(__doc__).parse_args()
    train, test = _census.load(arguments.census)
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _census.run(Loop(tf, train, test, arguments), arguments, began)


if __name__ == "__main__":
    main()
