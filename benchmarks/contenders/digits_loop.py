"""MLP on digits by hand: a `tf.while` of 500 steps in one call, Adam by TensorFlow's fused operation."""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import _digits
import _measure


class Network:
    """Dense layers and Adam, as variables and operations."""

    def __init__(self, tf: Any) -> None:
        self._tf = tf
        sizes = [_digits.PIXELS, *_digits.HIDDEN_UNITS, _digits.CLASSES]
        self._variables = []
        for i, o in itertools.pairwise(sizes):
            kernel = tf.random.uniform([i, o], -1, 1) * (6 / (i + o)) ** 0.5
            self._variables += [tf.Variable(kernel), tf.Variable(tf.zeros([o]))]
        self._slots = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in self._variables]
        self._powers = tf.Variable(0.9), tf.Variable(0.999)

    def logits(self, x: Any) -> Any:
        """Returns `[B, 10]`."""
        *hidden, (kernel, bias) = zip(self._variables[::2], self._variables[1::2], strict=True)
        for hidden_kernel, hidden_bias in hidden:
            x = self._tf.nn.relu(x @ hidden_kernel + hidden_bias)
        return x @ kernel + bias

    def step(self, x: Any, labels: Any) -> Any:
        """Makes one step of Adam; returns the loss."""
        tf = self._tf
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.logits(x))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, self._variables)
        first, second = self._powers
        for variable, (m, v), gradient in zip(self._variables, self._slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=first,
                beta2_power=second,
                lr=_digits.RATE,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-7,
                grad=gradient,
            )
        first.assign(first * 0.9)
        second.assign(second * 0.999)
        return loss


class Loop:
    """Training steps in a loop on the device."""

    def __init__(self, tf: Any, arguments: argparse.Namespace) -> None:
        self._tf = tf
        tf.random.set_seed(arguments.seed)
        self._images, self._labels = _digits.load()
        self._network = network = Network(tf)
        self._batches = iter(_digits.batches(tf, self._images, self._labels))

        @tf.function
        def loop(batches: Any, steps: Any) -> Any:
            loss = tf.constant(0.0)
            for _ in tf.range(steps):
                loss = network.step(*next(batches))
            return loss

        self._loop = loop

    def train(self, steps: int, noted: _measure.Noted) -> None:
        """Makes `steps` steps."""
        ends = [0, 1, *range(_digits.STEPS_PER_CALL, steps + 1, _digits.STEPS_PER_CALL)]
        for before, done in itertools.pairwise(ends):
            float(self._loop(self._batches, self._tf.constant(done - before)))
            noted(done)

    def evaluate(self) -> dict[str, float]:
        """Returns the accuracy on the digits."""
        guesses = self._network.logits(self._images).numpy().argmax(1)
        return {"accuracy": float((guesses == self._labels).mean())}

    def predict(self) -> None:
        """Does nothing: not measured on the digits."""


def main() -> None:
    arguments = _digits.parser(__doc__).parse_args()
    import tensorflow as tf  # here, as the clock starts at the end of this import

    began = time.perf_counter()
    _digits.run(Loop(tf, arguments), arguments, began)


if __name__ == "__main__":
    main()
