"""The layers of the ready-made models: variables under tf.estimator's names, and the operations on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from headway import _context, _summary

# Of the moving averages of batch normalisation: tf.estimator's settings.
_MOMENTUM = 0.999
_EPSILON = 1e-3


class Variables:
    """Makes the variables of one part of a model; a `headway.feature_columns` variable factory.

    Args:
      prefix: what the full names begin with, such as "dnn"; "" for nothing.
      shared: the variables of the model that belong to none of its parts, by name; those asked for are added.
      shared_prefix: what the full names of these begin with if this part is the first to ask for them; "" for nothing.
        With it, as in TensorFlow 1, the tables inside the layers of a part belong to all parts too.

    Attributes:
      prefix: see above.
      trainable: the trainable variables so far, in the order in which they were asked for. A shared one belongs to the
        part that asks for it first.
    """

    def __init__(self, prefix: str, shared: dict[str, tf.Variable] | None = None, *, shared_prefix: str = "") -> None:
        self.prefix = prefix
        self._shared_prefix = shared_prefix
        self.trainable: list[tf.Variable] = []
        self._shared = {} if shared is None else shared

    def under(self, prefix: str) -> Variables:
        """Returns a variable factory whose names begin with `prefix` as well."""
        inner = Variables(self._full(prefix), self._shared, shared_prefix=self._shared_prefix)
        inner.trainable = self.trainable
        return inner

    def graph_scope(self) -> contextlib.AbstractContextManager[Any]:
        """Returns the scope under which TensorBoard shows the operations of this part; make no variables in it."""
        # With a slash at the end a name is taken as it is, and may come twice.
        return tf.name_scope(f"{self.prefix}/") if self.prefix else contextlib.nullcontext()

    def shared(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        """Returns the variable of that name, which all parts of the model have in common."""
        if name not in self._shared:
            self._shared[name] = self._make(self._shared_prefix + name, shape, initializer, dtype, trainable)
        return self._shared[name]

    def in_layer(self, name: str, *arguments: Any, **named: Any) -> tf.Variable:
        """Returns the table of that name, which columns of a layer share: one of this part, or of the whole model."""
        if not self._shared_prefix:
            return self(name, *arguments, **named)
        if name not in self._shared:
            self._shared[name] = self(name, *arguments, **named)
        return self._shared[name]

    def __call__(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Any,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        """Returns the variable of that name: a new one, or the one that the estimator keeps under the name."""
        return self._make(self._full(name), shape, initializer, dtype, trainable)

    def _full(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _make(
        self, name: str, shape: tuple[int, ...], initializer: Any, dtype: tf.DType, trainable: bool
    ) -> tf.Variable:
        variable = tf.Variable(
            lambda: initializer(shape, dtype),
            name=name,
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            # What is not trained is given the same value by all replicas.
            aggregation=tf.VariableAggregation.NONE if trainable else tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        if trainable:
            self.trainable.append(variable)
        return variable


def dense(
    net: tf.Tensor,
    units: int,
    variable: Variables,
    activation: Callable[[tf.Tensor], tf.Tensor] | None = None,
    *,
    use_bias: bool = True,
) -> tf.Tensor:
    """Returns `activation(net @ kernel + bias)`, `[B, units]`, in the compute type of the Keras dtype policy."""
    dtype = tf.as_dtype(keras.config.dtype_policy().compute_dtype)
    # A new initializer each time: Keras's draw the same values again for the same shape.
    kernel = variable("kernel", (int(net.shape[-1]), units), keras.initializers.GlorotUniform())
    bias = variable("bias", (units,), keras.initializers.Zeros()) if use_bias else None
    with variable.graph_scope():
        net = tf.matmul(tf.cast(net, dtype), tf.cast(kernel, dtype))
        if bias is not None:
            net = tf.nn.bias_add(net, tf.cast(bias, dtype))
        return net if activation is None else activation(net)


def dropout(net: tf.Tensor, rate: float, layer: int, run_seed: int | None) -> tf.Tensor:
    """Drops values with probability `rate` and scales the others up by `1 / (1 - rate)`.

    What is dropped follows from the seed of the run, the layer, the replica and the global step alone: a run that is
    resumed drops what it would have dropped, and no state is kept.
    """
    context, replica = _context.current(), tf.distribute.get_replica_context()
    step = tf.zeros([], tf.int64) if context is None else context.global_step.read_value()
    index = 0 if replica is None else replica.replica_id_in_sync_group
    stream = tf.cast(index, tf.int64) * 1_000_003 + layer
    seed = tf.stack([step, stream + (run_seed or 0) * 7_919_000_003 % 2**61])
    return tf.nn.experimental.stateless_dropout(net, rate, seed)


def batch_norm(net: tf.Tensor, variable: Callable[..., tf.Variable], *, training: bool) -> tf.Tensor:
    """Normalises each of the values `[B, n]` over the batch, or by the moving averages outside training.

    Ioffe, Szegedy 2015, https://arxiv.org/abs/1502.03167. The batch is the global one: the result does not depend on
    the number of replicas.
    """
    shape, zeros, ones = (int(net.shape[-1]),), keras.initializers.Zeros(), keras.initializers.Ones()
    gamma, beta = variable("gamma", shape, ones), variable("beta", shape, zeros)
    moving_mean = variable("moving_mean", shape, zeros, tf.float32, False)
    moving_variance = variable("moving_variance", shape, ones, tf.float32, False)
    net = tf.cast(net, tf.float32)
    mean, variance = moving_mean, moving_variance
    if training:
        mean, variance, rows = _moments(net)
        # A batch without rows has no mean; it changes none.
        mean, variance = tf.where(rows > 0, mean, moving_mean), tf.where(rows > 0, variance, moving_variance)
        updates = [
            moving_mean.assign_sub((moving_mean - mean) * (1.0 - _MOMENTUM)),
            moving_variance.assign_sub((moving_variance - variance) * (1.0 - _MOMENTUM)),
        ]
        context = _context.current()
        if context is not None:
            context.updates += updates
    return tf.nn.batch_normalization(net, mean, variance, beta, gamma, _EPSILON)


def _moments(net: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns mean and variance over the rows of all replicas, `[n]` each, and the number of these rows."""
    replica = tf.distribute.get_replica_context()
    rows = tf.cast(tf.shape(net)[0], tf.float32)
    if _context.num_replicas() == 1 or replica is None:
        mean, variance = tf.nn.moments(net, [0])
        return mean, variance, rows
    add_up = tf.distribute.ReduceOp.SUM
    rows, total = replica.all_reduce(add_up, [rows, tf.reduce_sum(net, 0)])
    mean = total / tf.maximum(rows, 1.0)
    squares = replica.all_reduce(add_up, tf.reduce_sum(tf.math.squared_difference(net, mean), 0))
    return mean, squares / tf.maximum(rows, 1.0), rows


def summarize_layer(net: tf.Tensor, tag: str) -> None:
    """Writes the classic summaries of a layer: the part of values that are zero, and how the values are distributed."""
    _summary.scalar(f"{tag}/fraction_of_zero_values", lambda: _mean_of(tf.equal(net, 0)))
    _summary.histogram(f"{tag}/activation", lambda: finite(net))


def summarize_linear(weights: list[tf.Variable], bias: tf.Variable) -> None:
    """Writes the classic summaries of a linear model: its bias, and the part of weights that are zero."""
    if bias.shape[0] > 1:
        _summary.histogram("bias", lambda: finite(tf.convert_to_tensor(bias)))
    else:
        _summary.scalar("bias", lambda: tf.convert_to_tensor(bias)[0])
    size = float(sum(variable.shape.num_elements() for variable in weights))

    def fraction() -> tf.Tensor:
        # Not all are of one width: a table of shared embeddings has more columns than units.
        values = tf.concat([tf.reshape(_context.value_now(variable), [-1]) for variable in weights], 0)
        return tf.reduce_sum(tf.cast(tf.equal(values, 0), tf.float32)) / size

    _summary.scalar("fraction_of_zero_weights", fraction)


def finite(values: tf.Tensor) -> tf.Tensor:
    """Returns the finite ones among `values`: a histogram takes no others, and a NaN loss has an error of its own."""
    return tf.gather_nd(values, tf.where(tf.math.is_finite(values)))


def _mean_of(truth: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(truth, tf.float32))
