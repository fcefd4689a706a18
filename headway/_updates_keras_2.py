"""The updates of the optimizers of Keras 2, which tf.estimator used, on the variables of Keras 3's optimizers.

Keras 3 changed formulas: RMSprop adds epsilon below the root, Nadam has another schedule of momentum, and Adamax,
Adadelta, Nadam and RMSprop with momentum move all rows of a table in each step. A model that tf.estimator has begun
goes on as it would have there only with the formulas below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from headway import _gradients, _slots, _tensorflow

_ops = tf.raw_ops
# Of Nadam's schedule of momentum (Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, section 3.3, and
# Keras 2's own slowing of it).
_NADAM_BASE, NADAM_SLOWING = 0.96, 0.004

Update = Callable[[Any, tf.Tensor, list[Any], list[tf.Variable]], None]


def clipped(optimizer: Any, gradients: list[Any], scale: float = 1.0) -> list[Any]:
    """Returns gradients clipped as the optimizer says: each by its norm, all by their norm, or each of their values.

    Args:
      optimizer: the optimizer.
      gradients: one for each variable.
      scale: what the gradients are multiplied by.
    """
    norm, global_norm, limit = (getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue"))
    if not (norm or global_norm or limit):
        return gradients
    # The norm of a sparse gradient is that of its values, which must name each row once.
    gradients = [_gradients.merged(gradient) for gradient in gradients]
    if norm:
        return [_changed(gradient, lambda values: tf.clip_by_norm(values, norm * scale)) for gradient in gradients]
    if global_norm:
        return list(tf.clip_by_global_norm(gradients, global_norm * scale)[0])
    most = (limit or 0.0) * scale
    return [_changed(gradient, lambda values: tf.clip_by_value(values, -most, most)) for gradient in gradients]


def _changed(gradient: Any, change: Callable[[tf.Tensor], tf.Tensor]) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(change(gradient.values), gradient.indices, gradient.dense_shape)
    return None if gradient is None else change(gradient)


def _adagrad(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # variable -= rate * g / (sqrt(accumulator) + epsilon)
    common = {"lr": rate, "epsilon": optimizer.epsilon}
    for sparse, handle, accumulator in _slots.with_slots(optimizer, gradients, variables, "accumulators"):
        gradient = _slots.dense(sparse) if optimizer.epsilon > 0 else sparse
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _slots.rows_to_update(gradient, accumulator)
            _ops.ResourceSparseApplyAdagradV2(var=handle, accum=accumulator, grad=summed, indices=rows, **common)
        else:
            _ops.ResourceApplyAdagradV2(var=handle, accum=accumulator, grad=gradient, **common)


def _rmsprop(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Without momentum: variable -= rate * g / (sqrt(mean of g^2 [- (mean of g)^2]) + epsilon).
    if optimizer.momentum:
        _rmsprop_with_momentum(optimizer, rate, gradients, variables)
        return
    kinds = ("velocities", "average_gradients") if optimizer.centered else ("velocities",)
    for gradient, handle, square, *mean in _slots.with_slots(optimizer, gradients, variables, *kinds):
        sparse = isinstance(gradient, tf.IndexedSlices)
        rows, summed = _gradients.rows_of(gradient) if sparse else (None, gradient)
        added = (rows, summed) if sparse else summed
        below = _slots.decayed(square, optimizer.rho, added, square=True)
        if mean:
            below -= tf.square(_slots.decayed(mean[0], optimizer.rho, added))
        change = summed / (tf.sqrt(below) + optimizer.epsilon)
        if sparse:
            _slots.subtract(handle, rows, rate * change)
        else:
            _ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=change)


def _rmsprop_with_momentum(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # momentum = share * momentum + rate * g / sqrt(mean of g^2 [- (mean of g)^2] + epsilon); variable -= momentum. Rows
    # that a batch does not have wait.
    common = {"lr": rate, "rho": optimizer.rho, "momentum": optimizer.momentum, "epsilon": optimizer.epsilon}
    kinds = ("velocities", "momentums", *(["average_gradients"] if optimizer.centered else []))
    for gradient, handle, square, momentum, *mean in _slots.with_slots(optimizer, gradients, variables, *kinds):
        handles = {"var": handle, "ms": square, "mom": momentum, **({"mg": mean[0]} if mean else {})}
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _slots.rows_to_update(gradient, square, momentum, *mean)
            apply = _ops.ResourceSparseApplyCenteredRMSProp if mean else _ops.ResourceSparseApplyRMSProp
            apply(**handles, grad=summed, indices=rows, **common)
        else:
            apply = _ops.ResourceApplyCenteredRMSProp if mean else _ops.ResourceApplyRMSProp
            apply(**handles, grad=gradient, **common)


def _amsgrad(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Reddi, Kale, Kumar 2018, https://openreview.net/forum?id=ryQu7f-RZ, with Adam's bias corrections in the rate.
    step = _slots.next_step(optimizer)
    corrected = rate * tf.sqrt(1.0 - tf.pow(optimizer.beta_2, step)) / (1.0 - tf.pow(optimizer.beta_1, step))
    kinds = ("momentums", "velocities", "velocity_hats")
    for gradient, handle, mean, square, largest in _slots.with_slots(optimizer, gradients, variables, *kinds):
        dense = tf.convert_to_tensor(gradient)
        moment = _slots.decayed(mean, optimizer.beta_1, dense)
        peak = tf.maximum(_slots.value(largest), _slots.decayed(square, optimizer.beta_2, dense, square=True))
        _ops.AssignVariableOp(resource=largest, value=peak)
        change = moment / (tf.sqrt(peak) + optimizer.epsilon)
        _ops.ResourceApplyGradientDescent(var=handle, alpha=corrected, delta=change)


def _adamax(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Kingma, Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 2; rows that a batch does not have wait.
    power = tf.pow(optimizer.beta_1, _slots.next_step(optimizer))
    for gradient, handle, mean, norm in _slots.with_slots(optimizer, gradients, variables, "m", "u"):
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _gradients.rows_of(gradient)
            moment = _slots.moved(mean, rows, summed, 1.0 - optimizer.beta_1)
            largest = tf.maximum(optimizer.beta_2 * _slots.rows(norm, rows), tf.abs(summed))
            _ops.ResourceScatterUpdate(resource=norm, indices=rows, updates=largest)
            _slots.subtract(handle, rows, rate / (1.0 - power) * moment / (largest + optimizer.epsilon))
            continue
        _ops.ResourceApplyAdaMax(
            var=handle,
            m=mean,
            v=norm,
            beta1_power=power,
            lr=rate,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )


def _nadam(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    step = _slots.next_step(optimizer)
    now, after = [
        optimizer.beta_1 * (1.0 - 0.5 * tf.pow(_NADAM_BASE, NADAM_SLOWING * number)) for number in (step, step + 1.0)
    ]
    cache = _tensorflow.nadam_momentum_product(optimizer).handle
    product = _slots.value(cache) * now
    _ops.AssignVariableOp(resource=cache, value=product)
    for gradient, handle, mean, square in _slots.with_slots(optimizer, gradients, variables, "momentums", "velocities"):
        sparse = isinstance(gradient, tf.IndexedSlices)
        rows, summed = _gradients.rows_of(gradient) if sparse else (None, gradient)
        added = (rows, summed) if sparse else summed
        moment = _slots.decayed(mean, optimizer.beta_1, added) / (1.0 - product * after)
        below = _slots.decayed(square, optimizer.beta_2, added, square=True)
        root = tf.sqrt(below / (1.0 - tf.pow(optimizer.beta_2, step))) + optimizer.epsilon
        change = ((1.0 - now) * summed / (1.0 - product) + after * moment) / root
        if sparse:
            _slots.subtract(handle, rows, rate * change)
        else:
            _ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=change)


def _adadelta(optimizer: Any, rate: tf.Tensor, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Zeiler 2012, https://arxiv.org/abs/1212.5701, algorithm 1; rows that a batch does not have wait.
    common = {"lr": rate, "rho": optimizer.rho, "epsilon": optimizer.epsilon}
    kinds = ("accumulated_grads", "accumulated_delta_vars")
    for gradient, handle, accumulator, changes in _slots.with_slots(optimizer, gradients, variables, *kinds):
        handles = {"var": handle, "accum": accumulator, "accum_update": changes}
        if isinstance(gradient, tf.IndexedSlices):
            rows, summed = _slots.rows_to_update(gradient, accumulator, changes)
            _ops.ResourceSparseApplyAdadelta(**handles, grad=summed, indices=rows, **common)
        else:
            _ops.ResourceApplyAdadelta(**handles, grad=gradient, **common)


# The formulas that differ from those of `headway._updates`, by class.
UPDATES: dict[type, Update] = {
    keras.optimizers.Adagrad: _adagrad,
    keras.optimizers.RMSprop: _rmsprop,
    keras.optimizers.Adamax: _adamax,
    keras.optimizers.Nadam: _nadam,
    keras.optimizers.Adadelta: _adadelta,
}
AMSGRAD: Update = _amsgrad
