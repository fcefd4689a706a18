"""Turns a loss into a training step: gradients, their sum over replicas, clipping, and the update of the variables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway import _context, _gradients, _keras_2, _replica_updates, _tensorflow, _updates
from headway._v1_optimizers import V1Optimizer

_NOT_AN_OPTIMIZER = (
    "`optimizer` must be a Keras 3 optimizer (keras.optimizers.Optimizer). Received: {received!r} of type {kind}. "
    "A tf.compat.v1.train optimizer goes into `train_op_fn=lambda loss: optimizer.minimize(loss, "
    "tf.compat.v1.train.get_global_step())`."
)
_NOT_REBUILDABLE = (
    "The optimizer {name!r} was made outside model_fn and cannot be made again from its configuration ({reason}). "
    "Make it inside model_fn, so that its state is saved with the model's; give a ready-made estimator a function that "
    "returns the optimizer."
)

_NO_ACCUMULATION = (
    "RunConfig(gradient_accumulation={steps}) needs a Keras optimizer: those of tf.compat.v1.train have no such "
    "setting. Received: {optimizer!r}."
)

# Keras optimizers, which are untyped, and V1Optimizers; their variables; whose formulas they follow.
_Pairs = list[tuple[Any, list[tf.Variable], str]]


def minimize(
    optimizer: Any,
    loss: tf.Tensor,
    variables: Sequence[Any] = (),
    *,
    update_ops: Sequence[Any] | None = None,
    formulas: str = "keras_3",
) -> tf.Operation | tf.Tensor:
    """Makes one training step on `loss`: applies gradients to `variables` and counts the global step up by one.

    Call it inside a `model_fn`, in mode TRAIN; `Head.create_estimator_spec(optimizer=...)` does. It honours
    `RunConfig.gradient_clipping` and `RunConfig.gradient_accumulation`, adds gradients up over replicas, and keeps
    gradients of embeddings sparse where the optimizer has a sparse form. The optimizer may be made inside or outside
    the model_fn.

    Several optimizers may share a step, each with variables of its own: pass a list of pairs. The gradients are
    computed once, clipped by the norm of them all (with gradient accumulation: of each pair's), and the step counts as
    one.

    Args:
      optimizer: a Keras 3 optimizer; or a list of pairs `(optimizer, variables)`.
      loss: scalar tensor.
      variables: the trainable variables; left out where `optimizer` is a list of pairs.
      update_ops: operations to run before the update, or None.
      formulas: "keras_3" for the updates as Keras 3 computes them; "keras_2" as tf.estimator did, for a model that it
        has begun (the ready-made estimators do so by themselves). See "Old model directories" in docs/checkpoints.md.
        Accumulation of gradients, weight decay and moving averages of weights follow Keras 3 in any case.

    Returns:
      The `train_op` for an `EstimatorSpec`. A step that this `train_op` is no part of is not made, as in tf.estimator;
      the log names its variables.

    Raises:
      ValueError: outside a model_fn, with no variables, with a variable in two pairs, when no variable has a gradient,
        or if there are no such formulas.
      TypeError: if an optimizer is no Keras 3 optimizer.

    Example:
      >>> import headway
      >>> def model_fn(features, mode):
      ...     weight = tf.Variable(1.0, name="weight")
      ...     loss = tf.reduce_mean(tf.square(weight * features["x"]))
      ...     train_op = None
      ...     if mode == headway.ModeKeys.TRAIN:
      ...         train_op = headway.minimize(keras.optimizers.SGD(0.25), loss, [weight])
      ...     return headway.EstimatorSpec(mode, loss=loss, train_op=train_op)
      >>> def input_fn():
      ...     return tf.data.Dataset.from_tensors({"x": tf.constant([1.0])}).repeat()
      >>> estimator = headway.Estimator(model_fn, config=headway.RunConfig(progress="none"))
      >>> float(estimator.train(input_fn, steps=1).get_variable_value("weight"))  # 1 - 0.25 * (2 * 1)
      0.5
    """
    pairs = _pairs(optimizer, variables, formulas)
    if formulas not in _updates.FORMULAS:
        raise ValueError(f"`formulas` must be one of {_updates.FORMULAS}. Received: {formulas!r}.")
    context = _context.current()
    if context is None:
        raise ValueError(
            "`minimize` must be called inside a model_fn that an Estimator runs; in a loop of your own, use the "
            "optimizer itself."
        )
    if context.mode != "train":
        # In tf.estimator a `train_op` of evaluation never ran.
        context.train_op_is_idle = True
        return tf.constant(0) if tf.executing_eagerly() else tf.no_op()
    context.uses |= {"gradient_clipping", "gradient_accumulation", "global_step"}
    in_graph = not tf.executing_eagerly()
    before = len(tf.compat.v1.get_default_graph().get_operations()) if in_graph else 0
    pairs = [(_own(own, context), values, rule) for own, values, rule in pairs]
    with tf.control_dependencies([op for op in update_ops or () if op is not None and not tf.executing_eagerly()]):
        for own, values, _ in pairs:
            if not isinstance(own, V1Optimizer) and not own.built:
                # Nadam makes one of its variables outside its own scope.
                with keras.name_scope(own.name, caller=own):
                    own.build(values)
        every = [value for _, values, _ in pairs for value in values]
        gradients = iter(_gradients.of_loss(loss, every, context, _loss_scale([own for own, _, _ in pairs])))
        for own, values, rule in pairs:
            mine = [next(gradients) for _ in values]
            if isinstance(own, V1Optimizer):
                own.apply(_as_parts(mine), values)
            # Keras updates the variables of a strategy only where its replicas run.
            elif not context.variables_only:
                _apply(own, mine, values, rule)
    if not context.variables_only:
        _constrain(optimizer, variables)
    for own, _, _ in pairs:
        if not isinstance(own, V1Optimizer):
            context.values[_unused(f"learning_rate/{own.name}", context)] = _rate(own, context)
    context.global_step.assign_add(1)
    if not in_graph:
        return tf.constant(0)
    added = tf.compat.v1.get_default_graph().get_operations()[before:]
    context.steps.append((tf.no_op(), added))
    return context.steps[-1][0]


@contextlib.contextmanager
def piling(optimizer: Any, formulas: str, model_fn: Any) -> Iterator[None]:
    """Lets tables be piled whose rows are summed inside, if that changes no result.

    Args:
      optimizer: what `minimize` updates the tables by, each of which is summed once.
      formulas: see `minimize`.
      model_fn: the function that does so. Where another one calls it, that may differentiate by the tables, or read
        them: they are not piled.
    """
    context = _context.current()
    if context is None or context.piles is None or context.model_fn != model_fn:
        yield
        return
    # The norms that gradients are clipped by are those of the variables, and Keras accumulates gradients for these.
    plain = context.gradient_clipping is None and context.gradient_accumulation == 1
    context.may_pile = plain and _updates.is_by_value(optimizer, formulas)
    try:
        yield
    finally:
        context.may_pile = False


def _pairs(optimizer: Any, variables: Sequence[Any], formulas: str) -> _Pairs:
    """Returns the checked optimizers with the `tf.Variable`s of each."""
    if isinstance(optimizer, (list, tuple)):
        if len(variables) > 0:
            raise ValueError(
                "`variables` must be left out where `optimizer` is a list of (optimizer, variables) pairs."
            )
        given = list(optimizer)
    else:
        given = [(optimizer, variables)]
    pairs: _Pairs = []
    seen: set[int] = set()
    for received, mine in given:
        own = _keras_2.modern(received)
        if not isinstance(own, (keras.optimizers.Optimizer, V1Optimizer)):
            raise TypeError(_NOT_AN_OPTIMIZER.format(received=own, kind=type(own).__name__))
        values = [_tensorflow.keras_variable_value(variable) for variable in mine]
        twice = [value.name for value in values if id(value) in seen]
        if twice:
            raise ValueError(f"Each variable must belong to one optimizer. Received in two pairs: {twice}.")
        seen |= {id(value) for value in values}
        pairs.append((own, values, "keras_2" if _keras_2.was_of_keras_2(own) else formulas))
    if not seen or not all(values for _, values, _ in pairs):
        raise ValueError(
            "`variables` must hold at least one trainable variable. Received: none. Pass those that your layers made."
        )
    return pairs


def _loss_scale(optimizers: list[Any]) -> Any:
    """Returns what the optimizers take the loss to be multiplied by; None for nothing."""
    scaling = [
        own
        for own in optimizers
        if isinstance(own, keras.optimizers.LossScaleOptimizer) or getattr(own, "loss_scale_factor", None) is not None
    ]
    if scaling and len(optimizers) > 1:
        raise ValueError(
            "A loss scale works with one optimizer: several share the gradients of one loss. Received: "
            f"{[own.name for own in scaling]} with a scale, among {len(optimizers)} optimizers."
        )
    return scaling[0].scale_loss(tf.constant(1.0)) if scaling else None


def _constrain(optimizer: Any, variables: Sequence[Any]) -> None:
    """Applies the constraints of variables, which layers and `tf.Variable` are given, after their update."""
    given = (
        [variable for _, mine in optimizer for variable in mine] if isinstance(optimizer, (list, tuple)) else variables
    )
    for variable in given:
        constraint = getattr(variable, "constraint", None)
        if constraint is not None:
            value = _tensorflow.keras_variable_value(variable)
            # By its handle, each replica changes its own copy; the copies are alike.
            constrained = tf.convert_to_tensor(constraint(tf.convert_to_tensor(value)), value.dtype)
            tf.raw_ops.AssignVariableOp(resource=value.handle, value=constrained)


def _rate(optimizer: Any, context: _context.StepContext) -> Any:
    """Returns the learning rate of this step; where a variable holds it, the variable, so that no step reads it."""
    rate = _tensorflow.keras_variable_value(optimizer.learning_rate)
    by_variable = context.on_one_cpu and isinstance(rate, tf.Variable)
    return rate if by_variable else tf.cast(rate, tf.float32)


def _unused(key: str, context: _context.StepContext) -> str:
    taken = context.values
    return key if key not in taken else next(name for i in range(1, 99) if (name := f"{key}_{i}") not in taken)


def _own(optimizer: Any, context: _context.StepContext) -> Any:
    """Returns `optimizer`, or its like with the settings of the run, whose variables belong to the estimator."""
    if isinstance(optimizer, V1Optimizer):
        if context.gradient_accumulation > 1:
            steps = context.gradient_accumulation
            raise ValueError(_NO_ACCUMULATION.format(steps=steps, optimizer=optimizer.optimizer))
        return optimizer
    changes: dict[str, Any] = {}
    if context.gradient_accumulation > 1:
        changes["gradient_accumulation_steps"] = context.gradient_accumulation
        if context.gradient_clipping is not None:
            changes["global_clipnorm"] = context.gradient_clipping
    if context.owns(_tensorflow.count_of_calls(optimizer)) and (not changes or _takes(optimizer, changes)):
        return optimizer
    try:
        with tf.init_scope():
            config = optimizer.get_config()
        own = type(optimizer).from_config({**config, **changes})
        _tensorflow.copy_weight_decay_exclusions(optimizer, own)
        return own
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(_NOT_REBUILDABLE.format(name=optimizer.name, reason=error)) from error


def _takes(optimizer: Any, changes: dict[str, Any]) -> bool:
    """Makes the changes to an optimizer of the model_fn's own, whose variables keep their names; False if it cannot."""
    if optimizer.built or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return False
    for name, value in changes.items():
        setattr(optimizer, name, value)
    return True


def _apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Any],
    variables: list[tf.Variable],
    formulas: str,
) -> None:
    if not _updates.apply(optimizer, gradients, variables, formulas):
        _apply_by_keras(optimizer, gradients, variables)


def _apply_by_keras(optimizer: keras.optimizers.Optimizer, gradients: list[Any], variables: list[tf.Variable]) -> None:
    # Keras squares the values of a sparse gradient, also where several belong to one row.
    gradients = [_gradients.merged(gradient) for gradient in gradients]
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) or getattr(optimizer, "loss_scale_factor", None):
        # Keras divides by the scale, which a sparse gradient cannot be.
        gradients = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
    if _context.num_replicas() > 1 and _replica_updates.decides(optimizer):
        _replica_updates.apply(optimizer, gradients, variables, _updates.clipped, _as_parts)
        return
    if _context.num_replicas() > 1:
        # Keras would clip the part of each replica. What is clipped before it leaves alone.
        gradients = _updates.clipped(optimizer, gradients)
    optimizer.apply(_as_parts(gradients), variables)


def _as_parts(gradients: list[Any]) -> list[Any]:
    """Returns gradients for an optimizer that adds those of the replicas up: they hold the sum already."""
    replicas = _context.num_replicas()
    return gradients if replicas == 1 else [_part_of_sum(gradient, replicas) for gradient in gradients]


def _part_of_sum(gradient: Any, replicas: int) -> Any:
    """Returns what this replica brings so that all of them together bring `gradient`, which each of them has."""
    if gradient is None:
        return None
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient / replicas
    # Sparse gradients are added up by joining their rows, and each row must come once: the first replica brings all.
    first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
    count = tf.where(first, tf.size(gradient.indices), 0)
    return tf.IndexedSlices(gradient.values[:count], gradient.indices[:count], gradient.dense_shape)
