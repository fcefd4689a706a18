"""The replicas of a strategy in one graph: a batch and a call of the model_fn for each, and one spec of them all."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from headway import _tensorflow, _tensorflow_v1
from headway._log import logger
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _structure
from headway.estimators._run_config import RunConfig
from headway.estimators.graph._replica_scaffold import ReplicaScaffold, grouped_parts

v1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one replica gets in a step.

    Attributes:
      features: what the model_fn gets as `features`.
      labels: what it gets as `labels`, or None.
      present: bool scalar: whether the input had a batch for this replica, or only for those before; None if it
        always has.
    """

    features: Any
    labels: Any
    present: Any = None


def strategy_of(config: RunConfig, mode: str) -> Any:
    """Returns the strategy of a verb, or None; prediction and export are on one device, as in tf.estimator."""
    return {ModeKeys.TRAIN: config.train_distribute, ModeKeys.EVAL: config.eval_distribute}.get(mode)


@contextlib.contextmanager
def opened(strategy: Any) -> Iterator[None]:
    """Opens the scope of a strategy in the current graph; optimizers of tf.compat.v1 divide losses as they did."""
    scaled = _tensorflow.scale_v1_losses(strategy, True)
    try:
        with _tensorflow_v1.reduced_in_session(strategy), strategy.scope():
            yield
    finally:
        _tensorflow.scale_v1_losses(strategy, scaled)


def parts_of(variable: Any) -> tuple[Any, ...]:
    """Returns the variables of the replicas that one under a strategy stands for; of any other, itself."""
    strategy = getattr(variable, "distribute_strategy", None)
    return (variable,) if strategy is None else tuple(strategy.experimental_local_results(variable))


def batches(iterator: Any, spec: Any, strategy: Any, mode: str) -> list[Batch]:
    """Returns the next batches of the input, one for each replica, in their order.

    In training no replica begins before all have theirs: what is left of an input that ends in between is left out, as
    in compiled functions. In evaluation it is not: the replicas behind get batches without rows.

    Args:
      iterator: the iterator, of tf.compat.v1.
      spec: the specs of its elements.
      strategy: the strategy.
      mode: a `ModeKeys` value.
    """
    elements: list[Any] = [iterator.get_next()]
    present: list[Any] = [None]
    for _ in range(1, strategy.num_replicas_in_sync):
        with tf.control_dependencies(tf.nest.flatten(elements[-1], expand_composites=True)):
            if mode == ModeKeys.TRAIN:
                elements.append(iterator.get_next())
                present.append(None)
            else:
                element, has_value = _padded(iterator.get_next_as_optional(), spec)
                elements.append(element)
                present.append(has_value)
    with tf.control_dependencies(tf.nest.flatten(elements, expand_composites=True)):
        elements = tf.nest.map_structure(tf.identity, elements, expand_composites=True)
    return [Batch(*_structure.split_batch(one), there) for one, there in zip(elements, present, strict=True)]


def _padded(element: Any, spec: Any) -> tuple[Any, Any]:
    """Returns an element that may not be there, with no rows in its place, and whether it is there."""
    specs, has_value = _structure.relaxed(spec), element.has_value()
    flat = tf.cond(
        has_value,
        lambda: tf.nest.flatten(element.get_value(), expand_composites=True),
        lambda: tf.nest.flatten(tf.nest.map_structure(_structure.empty, specs), expand_composites=True),
    )
    return tf.nest.pack_sequence_as(specs, flat, expand_composites=True), has_value


def spec_of_all(strategy: Any, given: Sequence[Batch], call: Callable[[Batch], EstimatorSpec]) -> EstimatorSpec:
    """Returns the spec of a step of all replicas.

    Args:
      strategy: the strategy, whose scope is open.
      given: the batches of the replicas.
      call: makes the spec of one replica.

    Returns:
      The spec of the first, with the hooks that it alone has; the `train_op`, the updates of metrics and what the
      scaffolds initialise are those of all. `loss` is the mean over the replicas, or the sum where the optimizer took
      it for one.
    """
    made: dict[int, EstimatorSpec] = {}

    def replica() -> None:
        index = _structure.local_index(len(given))
        # Those that the replica before has collected are none of this one's.
        v1.get_collection_ref(v1.GraphKeys.LOSSES).clear()
        made[index] = call(given[index])

    strategy.run(replica)
    _tell_of_regularizers(given, made[0].mode)
    specs = [made[index] for index in range(len(given))]
    first, scaffolds = specs[0], [spec.scaffold for spec in specs if spec.scaffold is not None]
    return first._replace(
        loss=_reduced(specs, given),
        train_op=None if first.train_op is None else grouped_parts(strategy, [spec.train_op for spec in specs]),
        eval_metric_ops={
            name: (value, grouped_parts(strategy, [spec.eval_metric_ops[name][1] for spec in specs]))
            for name, (value, _) in first.eval_metric_ops.items()
        },
        scaffold=ReplicaScaffold(strategy, scaffolds) if scaffolds else None,
    )


def _tell_of_regularizers(given: Sequence[Batch], mode: str) -> None:
    """Warns of losses that a layer may have made for the first replica's part of its variable alone."""
    losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    if not losses or len(given) == 1 or mode != ModeKeys.TRAIN:
        return
    logger.warning(
        "The regularization losses %s may count 1/%d in the gradients, as in tf.estimator: layers of "
        "tf.compat.v1.layers make them in the first replica of a graph alone. Add them to the loss in model_fn, such "
        "as `rate * tf.nn.l2_loss(w)`, or let the model run in compiled functions.",
        ", ".join(loss.op.name for loss in losses),
        len(given),
    )


def _reduced(specs: Sequence[EstimatorSpec], given: Sequence[Batch]) -> Any:
    if specs[0].mode == ModeKeys.TRAIN:
        total = tf.add_n([spec.loss for spec in specs])
        return total / len(specs) if _tensorflow_v1.is_loss_divided(v1.get_default_graph()) else total
    there = [True if batch.present is None else batch.present for batch in given]
    return tf.reduce_mean(tf.boolean_mask(tf.stack([spec.loss for spec in specs]), tf.stack(there)))
