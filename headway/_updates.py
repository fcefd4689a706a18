"""The updates of Keras's optimizers, as single operations on variables, and on no more rows than a gradient names.

Keras 3 turns sparse gradients into dense ones, which makes a step as slow as the largest table is large. Here SGD,
Adagrad, Ftrl and `LazyAdam` touch the rows of the batch only, and RMSprop those rows and its own averages. Where the
formulas of Keras 2 are asked for, which tf.estimator followed, they come from `headway._updates_keras_2`.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from headway import _gradients, _slots, _tensorflow, _updates_keras_2
from headway._updates_keras_2 import Update

_ops = tf.raw_ops
# Settings that change an optimizer's formula in ways that only Keras's own code follows.
_EXTRAS = ("weight_decay", "use_ema", "loss_scale_factor", "gradient_accumulation_steps")
_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")

FORMULAS = ("keras_2", "keras_3")


@keras.saving.register_keras_serializable("headway")
class LazyAdam(keras.optimizers.Adam):
    """Adam that leaves the rows of a table alone which a batch does not have: for embeddings of many rows.

    Adam moves every row of a table in every step, also those that the batch does not have, by what is left of their
    momentum; so each step costs as much as the table is large. `LazyAdam` updates the averages and the values of the
    batch's rows only. Its results differ from Adam's where a row is missing in some batches, and are the same for
    variables whose gradient is dense. The arguments are those of `keras.optimizers.Adam`; with weight decay, clipping
    by the optimizer itself, moving averages of the weights, `amsgrad` or gradient accumulation, it is plain Adam.

    Source: Kingma, Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1, applied to the rows of the batch.

    Example:
      >>> import headway
      >>> optimizer = headway.LazyAdam(learning_rate=0.01)
      >>> float(optimizer.learning_rate)  # doctest: +ELLIPSIS
      0.0099...
    """


def apply(
    optimizer: keras.optimizers.Optimizer, gradients: list[Any], variables: list[tf.Variable], formulas: str
) -> bool:
    """Updates the variables, unless only Keras itself can; returns whether it did.

    Args:
      optimizer: built for `variables`.
      gradients: one for each variable, the sum over all replicas; None for those that stay.
      variables: the variables.
      formulas: "keras_3", or "keras_2" for those of tf.estimator.
    """
    update = _update(optimizer, variables, formulas)
    if update is None:
        return False
    if formulas == "keras_2":
        gradients = _updates_keras_2.clipped(optimizer, gradients)
    update(optimizer, tf.cast(optimizer.learning_rate, tf.float32), gradients, variables)
    _tensorflow.keras_variable_value(optimizer.iterations).assign_add(1)
    return True


def is_by_value(optimizer: Any, formulas: str) -> bool:
    """Tells whether `apply` updates each value of float32 variables for itself, wherever it lies."""
    clips = any(getattr(optimizer, name, None) for name in _CLIPPING)
    return not clips and _update(optimizer, [], formulas) is not None


def _update(optimizer: Any, variables: list[tf.Variable], formulas: str) -> Update | None:
    """Returns the update of an optimizer; None where only Keras itself can make it."""
    if any(getattr(optimizer, name, None) for name in _EXTRAS):
        return None
    if any(variable.dtype != tf.float32 for variable in variables):
        return None
    return _keras_2(optimizer) if formulas == "keras_2" else _keras_3(optimizer)


def clipped(optimizer: Any, gradients: list[Any]) -> list[Any]:
    """Returns gradients clipped as the optimizer says; those of a scaled loss by limits of that scale."""
    scale = getattr(optimizer, "loss_scale_factor", None) or 1.0
    return _updates_keras_2.clipped(optimizer, gradients, scale)


def _keras_2(optimizer: Any) -> Update | None:
    if getattr(optimizer, "amsgrad", False):
        return _updates_keras_2.AMSGRAD if type(optimizer) is keras.optimizers.Adam else None
    return _updates_keras_2.UPDATES.get(type(optimizer), _UPDATES.get(type(optimizer)))


def _keras_3(optimizer: Any) -> Update | None:
    special = any(getattr(optimizer, name, None) for name in (*_CLIPPING, "amsgrad", "centered"))
    if isinstance(optimizer, keras.optimizers.Ftrl):
        special = special or optimizer.learning_rate_power != -0.5
    if isinstance(optimizer, keras.optimizers.RMSprop):
        special = special or bool(optimizer.momentum)
    return None if special else _UPDATES.get(type(optimizer))


def _sgd(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    if optimizer.momentum:
        _momentum(optimizer, rate, gradients, variables)
        return
    for sparse, handle in _slots.with_slots(optimizer, gradients, variables):
        gradient = _slots.dense(sparse)
        if isinstance(gradient, tf.IndexedSlices):
            _slots.subtract(handle, gradient.indices, gradient.values * rate)
        else:
            _ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=gradient)


def _momentum(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html: the velocity of a row that the batch
    # does not have waits, as it did in Keras 2.
    common = {"lr": rate, "momentum": optimizer.momentum, "use_nesterov": bool(optimizer.nesterov)}
    for gradient, handle, velocity in _slots.with_slots(optimizer, gradients, variables, "momentums"):
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _slots.rows_to_update(gradient, velocity)
            _ops.ResourceSparseApplyKerasMomentum(var=handle, accum=velocity, grad=summed, indices=rows, **common)
        else:
            _ops.ResourceApplyKerasMomentum(var=handle, accum=velocity, grad=gradient, **common)


def _adagrad(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Duchi, Hazan, Singer 2011, https://jmlr.org/papers/v12/duchi11a.html: accumulator += g^2; variable -= rate * g /
    # sqrt(accumulator).
    # TensorFlow's operation adds epsilon to the root, Keras adds it below: alike where it is next to nothing.
    fused = optimizer.epsilon <= 1e-5 * optimizer.initial_accumulator_value
    common = {"lr": rate, "epsilon": optimizer.epsilon}
    for sparse, handle, accumulator in _slots.with_slots(optimizer, gradients, variables, "accumulators"):
        gradient = _slots.dense(sparse) if optimizer.epsilon > 0 else sparse
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _slots.rows_to_update(gradient, accumulator)
            if fused:
                _ops.ResourceSparseApplyAdagradV2(var=handle, accum=accumulator, grad=summed, indices=rows, **common)
                continue
            _ops.ResourceScatterAdd(resource=accumulator, indices=rows, updates=tf.square(summed))
            total = _slots.rows(accumulator, rows)
            _slots.subtract(handle, rows, rate * summed * tf.math.rsqrt(total + optimizer.epsilon))
        elif fused:
            _ops.ResourceApplyAdagradV2(var=handle, accum=accumulator, grad=gradient, **common)
        else:
            _ops.AssignAddVariableOp(resource=accumulator, value=tf.square(gradient))
            total = _slots.value(accumulator)
            step = gradient * tf.math.rsqrt(total + optimizer.epsilon)
            _ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=step)


def _rmsprop(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Tieleman, Hinton 2012, Lecture 6.5 of Neural Networks for Machine Learning: mean = rho * mean + (1 - rho) * g^2;
    # variable -= rate * g / sqrt(mean + epsilon). The means of all rows decay; nothing else needs the other rows.
    for gradient, handle, mean in _slots.with_slots(optimizer, gradients, variables, "velocities"):
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _gradients.rows_of(gradient)
            total = _slots.decayed(mean, optimizer.rho, (rows, summed), square=True)
            _slots.subtract(handle, rows, rate * summed * tf.math.rsqrt(total + optimizer.epsilon))
        else:
            total = _slots.decayed(mean, optimizer.rho, gradient, square=True)
            step = gradient * tf.math.rsqrt(total + optimizer.epsilon)
            _ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=step)


def _adam(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Kingma, Ba 2015, https://arxiv.org/abs/1412.6980, with the bias corrections drawn into the rate (end of its
    # section 2).
    step = _slots.next_step(optimizer)
    beta_1, beta_2, epsilon = optimizer.beta_1, optimizer.beta_2, optimizer.epsilon
    powers = tf.pow(beta_1, step), tf.pow(beta_2, step)
    for gradient, handle, mean, square in _slots.with_slots(optimizer, gradients, variables, "momentums", "velocities"):
        if isinstance(gradient, tf.IndexedSlices) and isinstance(optimizer, LazyAdam):
            rows, summed = _gradients.rows_of(gradient)
            mean_of_rows = _slots.moved(mean, rows, summed, 1.0 - beta_1)
            root = tf.sqrt(_slots.moved(square, rows, tf.square(summed), 1.0 - beta_2))
            corrected = rate * tf.sqrt(1.0 - powers[1]) / (1.0 - powers[0])
            _slots.subtract(handle, rows, corrected * mean_of_rows / (root + epsilon))
            continue
        _ops.ResourceApplyAdam(
            var=handle,
            m=mean,
            v=square,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def _ftrl(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # McMahan et al. 2013, https://research.google/pubs/pub41159, algorithm 1, with the shrinkage type of L2 that
    # TensorFlow added.
    l2 = optimizer.l2_regularization_strength
    common = {
        "lr": rate,
        "l1": optimizer.l1_regularization_strength,
        "l2": l2 + optimizer.beta / (2.0 * rate) if optimizer.beta else l2,
        "l2_shrinkage": optimizer.l2_shrinkage_regularization_strength,
        "lr_power": optimizer.learning_rate_power,
    }
    for gradient, handle, accumulator, linear in _slots.with_slots(
        optimizer, gradients, variables, "accumulators", "linears"
    ):
        handles = {"var": handle, "accum": accumulator, "linear": linear}
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _slots.rows_to_update(gradient, accumulator, linear)
            _ops.ResourceSparseApplyFtrlV2(**handles, grad=summed, indices=rows, **common)
        else:
            _ops.ResourceApplyFtrlV2(**handles, grad=gradient, **common)


_UPDATES: dict[type, Update] = {
    keras.optimizers.SGD: _sgd,
    keras.optimizers.Adagrad: _adagrad,
    keras.optimizers.RMSprop: _rmsprop,
    keras.optimizers.Adam: _adam,
    LazyAdam: _adam,
    keras.optimizers.Ftrl: _ftrl,
}
