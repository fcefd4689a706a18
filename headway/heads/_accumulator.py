"""Metrics that share their sums: a batch is counted once, and each metric is a formula over what was counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Sums = dict[str, Any]
"""What was counted, by name: float64 tensors, or arrays where TensorFlow executes eagerly."""

Formula = Callable[[Sums], tf.Tensor]
"""Computes the value of a metric."""


class Accumulator(keras.metrics.Metric):
    """Named sums over all batches, in one variable: one op adds a batch, whatever the number of metrics.

    The sums are float64, so that a long evaluation ends with the same numbers however it was cut into batches. Replicas
    add to sums of their own, which add up when they are read.

    Args:
      shapes: the shape of each sum, by name.
      name: name of the metric.

    >>> accumulator = Accumulator({"total": (), "counts": (2,)})
    >>> _ = accumulator.update_state({"total": 2.5, "counts": [1, 3]})
    >>> _ = accumulator.update_state({"total": 1.5, "counts": [0, 1]})
    >>> accumulator.result()["counts"].tolist()
    [1.0, 4.0]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], name: str = "accumulator") -> None:
        super().__init__(name=name, dtype="float64")
        self._shapes = dict(shapes)
        self._sizes = [math.prod(shape) for shape in self._shapes.values()]
        keys = tf.compat.v1.GraphKeys
        # A variable of TensorFlow, not of Keras: its `assign_add` loses nothing where workers add at the same time. The
        # collections say that it belongs to a metric and not into a checkpoint.
        self._variable = tf.compat.v1.Variable(
            lambda: tf.zeros([sum(self._sizes)], tf.float64),
            trainable=False,
            name="sums",
            collections=[keys.LOCAL_VARIABLES, keys.METRIC_VARIABLES],
            use_resource=True,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )
        self.update_op: Any = None
        """The op that adds the last batch; a session runs it, elsewhere it has run."""

    @property
    def variables(self) -> list[tf.Variable]:
        """The one variable that holds the sums."""
        return [self._variable]

    def update_state(self, sums: Mapping[str, Any]) -> Any:
        """Adds the sums of a batch; all names must be there."""
        parts = [tf.reshape(tf.cast(sums[name], tf.float64), [-1]) for name in self._shapes]
        added = tf.concat(parts, axis=0)
        on_a_replica = tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context()
        if isinstance(self._variable, tf.distribute.DistributedValues) and not on_a_replica:
            # Such a variable can only be assigned here: TensorFlow shares the new sum out among the replicas.
            self.update_op = self._variable.assign(tf.convert_to_tensor(self._variable) + added)
        else:
            self.update_op = self._variable.assign_add(added)
        return self.update_op

    def result(self) -> Sums:
        """Returns the sums so far, in their shapes."""
        values, reshape = tf.convert_to_tensor(self._variable), tf.reshape
        if tf.executing_eagerly():
            # Formulas take sums apart, which NumPy does ten times as fast as one eager op after the other.
            values, reshape = values.numpy(), np.reshape
        ends = itertools.accumulate(self._sizes)
        parts = (values[end - size : end] for end, size in zip(ends, self._sizes, strict=True))
        return {name: reshape(part, shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def reset_state(self) -> None:
        """Sets all sums to zero."""
        self._variable.assign(tf.zeros_like(self._variable))


class Statistic(keras.metrics.Metric):
    """A metric that is computed from an accumulator's sums; all statistics of a head are updated and reset together.

    Args:
      accumulator: where the sums are.
      formula: computes the value, a scalar, from the sums.
      name: name of the metric.

    >>> accumulator = Accumulator({"total": (), "count": ()})
    >>> mean = Statistic(accumulator, lambda sums: sums["total"] / sums["count"], name="mean")
    >>> _ = accumulator.update_state({"total": 3.0, "count": 2})
    >>> float(mean.result())
    1.5
    """

    def __init__(self, accumulator: Accumulator, formula: Formula, name: str) -> None:
        super().__init__(name=name)
        self.accumulator = accumulator
        self._formula = formula

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables of the accumulator."""
        return self.accumulator.variables

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Always raises: a statistic is updated with all others of its head.

        Raises:
          TypeError: always.
        """
        raise TypeError(
            f"The metric {self.name!r} shares its sums with the other metrics of its head. Update them all with "
            "`head.update_metrics(eval_metrics, features, logits, labels)`."
        )

    def result(self) -> tf.Tensor:
        """Returns the value so far, a float32 scalar."""
        return tf.cast(self._formula(self.accumulator.result()), tf.float32)

    def reset_state(self) -> None:
        """Sets the sums of all statistics of the head to zero."""
        self.accumulator.reset_state()


def ratio(numerator: str, denominator: str) -> Formula:
    """Returns the formula of one scalar sum over another; 0 where the denominator is 0."""
    return lambda sums: tf.math.divide_no_nan(sums[numerator], sums[denominator])


def as_graph_pairs(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `(value, update op)` pairs for a session, in place of the statistics among `metrics`."""
    return {
        key: (metric.result(), metric.accumulator.update_op) if isinstance(metric, Statistic) else metric
        for key, metric in metrics.items()
    }
