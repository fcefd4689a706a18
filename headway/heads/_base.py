"""What all heads have in common: from their verbs to an `EstimatorSpec`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway import _context, _keras_2, _summary
from headway._optimize import minimize
from headway._spec import EstimatorSpec, ExportOutput, ModeKeys, PredictOutput
from headway.heads import _reduction
from headway.heads._accumulator import as_graph_pairs
from headway.heads._interface import Head, Metrics
from headway.heads._keys import MetricKeys, ServingKeys

_OTHER_OPTIMIZER = (
    "The given optimizer is not a tf.keras.optimizers.Optimizer instance. Received: {received!r} of type {kind}. "
    "{advice}"
)


class BaseHead(Head):
    """A head whose `create_estimator_spec` follows from its other verbs.

    A subclass defines `name`, `logits_dimension`, `loss_reduction`, `loss`, `predictions`, `metrics` and
    `update_metrics`, and may override `export_outputs`.

    >>> from headway.heads import BaseHead, MultiClassHead
    >>> issubclass(MultiClassHead, BaseHead)
    True
    """

    def export_outputs(self, predictions: Mapping[Any, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the one signature that gives all predictions, under two names; see `Head`."""
        output = PredictOutput(dict(predictions))
        return {ServingKeys.DEFAULT: output, ServingKeys.PREDICT: output}

    def create_estimator_spec(
        self,
        features: Mapping[str, Any] | None,
        mode: str,
        logits: tf.Tensor,
        labels: Any = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        trainable_variables: Sequence[tf.Variable] | None = None,
        train_op_fn: Callable[[tf.Tensor], Any] | None = None,
        update_ops: Sequence[Any] | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> EstimatorSpec:
        """Returns what a `model_fn` returns; see `Head`.

        Raises:
          ValueError: if `mode` is none, or if TRAIN lacks what it needs to train.
        """
        if mode not in (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT):
            raise ValueError(f"`mode` must be a ModeKeys value: 'train', 'eval' or 'infer'. Received: {mode!r}.")
        if mode == ModeKeys.TRAIN:
            _check_training(optimizer, trainable_variables, train_op_fn, update_ops)
        with tf.name_scope(re.sub(r"[^A-Za-z0-9_.\-/]", "_", self.name or "head").lstrip("_-/") or "head"):
            context = _context.current()
            # XLA knows no strings, and training reads no predictions.
            predictions = {} if context is not None and context.compiled else self.predictions(logits)
            if mode == ModeKeys.PREDICT:
                return EstimatorSpec(mode, predictions, export_outputs=self.export_outputs(predictions))
            if mode == ModeKeys.EVAL or _training_metrics_wanted():
                loss, metrics = self._loss_and_metrics(features, mode, logits, labels, regularization_losses)
                if not tf.compat.v1.executing_eagerly_outside_functions():
                    metrics = as_graph_pairs(metrics)
            else:
                loss, metrics = self.loss(labels, logits, features, mode, regularization_losses), None
        if mode == ModeKeys.EVAL:
            return EstimatorSpec(mode, predictions, loss, eval_metric_ops=metrics)
        self._summarize(loss, regularization_losses)
        settle_optimizer_scope(self)
        train_op = _train_op(loss, optimizer, trainable_variables, train_op_fn, update_ops)
        return EstimatorSpec(mode, predictions, loss, train_op, eval_metric_ops=metrics)

    def _loss_and_metrics(
        self,
        features: Mapping[str, Any] | None,
        mode: str,
        logits: tf.Tensor,
        labels: Any,
        regularization_losses: Sequence[tf.Tensor] | None,
    ) -> tuple[tf.Tensor, Metrics]:
        """Returns the loss of a batch, and fresh metrics that have counted it."""
        loss = self.loss(labels, logits, features, mode, regularization_losses)
        metrics = self.metrics(regularization_losses)
        return loss, self.update_metrics(metrics, features, logits, labels, mode, regularization_losses)

    def _parts(self) -> int:
        """Returns how many heads this one is made of, at all depths; 0 for a head that is one alone."""
        return 0

    def _key(self, key: str) -> str:
        """Returns `key` as this head reports it: with the head's name behind it, if it has one."""
        return f"{key}/{self.name}" if self.name else key

    def _summarize(self, loss: tf.Tensor, regularization_losses: Sequence[tf.Tensor] | None) -> None:
        if self.name:
            whole = _context.global_sum(loss) if _reduction.replicas_adding_up() > 1 else loss
            _summary.scalar(self._key(MetricKeys.LOSS), whole)
        penalty = _reduction.regularization(regularization_losses)
        if penalty is not None:
            _summary.scalar(self._key(MetricKeys.REGULARIZATION_LOSS), penalty)


def _training_metrics_wanted() -> bool:
    context = _context.current()
    return context is not None and context.mode == ModeKeys.TRAIN and context.training_metrics


def settle_optimizer_scope(head: Head) -> None:
    """Settles what the names of the optimizers' variables begin with; must come before an optimizer is made."""
    context = _context.current()
    parts = head._parts() if isinstance(head, BaseHead) else 0
    if context is not None and parts:
        # In tf.estimator the parts have opened the scope before, each once, and TensorFlow numbered it.
        context.optimizer_scope = f"training_{parts}"


def _check_training(optimizer: Any, trainable_variables: Any, train_op_fn: Any, update_ops: Any) -> None:
    if optimizer is not None and train_op_fn is not None:
        raise ValueError("train_op_fn and optimizer cannot both be set. Pass the one that is to train the model.")
    if optimizer is None and train_op_fn is None:
        raise ValueError(
            "train_op_fn and optimizer cannot both be None. In TRAIN, pass a Keras optimizer with "
            "trainable_variables, or a train_op_fn that takes the loss."
        )
    if update_ops is not None and not isinstance(update_ops, (list, tuple)):
        raise ValueError(f"update_ops should be a list or a tuple. Given type: {type(update_ops)}.")
    if optimizer is None:
        if not callable(train_op_fn):
            raise ValueError(f"train_op_fn must be a function of the loss. Received: {train_op_fn!r}.")
        return
    if not (isinstance(optimizer, keras.optimizers.Optimizer) or _keras_2.is_optimizer(optimizer)):
        advice = "Pass an instance, such as keras.optimizers.Adam()."
        if isinstance(optimizer, tf.compat.v1.train.Optimizer):
            advice = (
                "An optimizer of tf.compat.v1.train goes into train_op_fn: "
                "`train_op_fn=lambda loss: optimizer.minimize(loss, tf.compat.v1.train.get_global_step())`."
            )
        raise ValueError(_OTHER_OPTIMIZER.format(received=optimizer, kind=type(optimizer).__name__, advice=advice))
    if trainable_variables is None:
        raise ValueError(
            "trainable_variables cannot be None. Given None. With `optimizer`, pass those that the model's layers "
            "made, for example `trainable_variables=model.trainable_variables`."
        )
    if not isinstance(trainable_variables, (list, tuple)):
        raise ValueError(f"trainable_variables should be a list or a tuple. Given type: {type(trainable_variables)}.")


def _train_op(
    loss: tf.Tensor,
    optimizer: Any,
    trainable_variables: Sequence[tf.Variable] | None,
    train_op_fn: Callable[[tf.Tensor], Any] | None,
    update_ops: Sequence[Any] | None,
) -> Any:
    if train_op_fn is None:
        return minimize(optimizer, loss, trainable_variables or (), update_ops=update_ops)
    train_op = train_op_fn(loss)
    # Executed eagerly, ops have run when they are passed, and grouping them would return None.
    if not update_ops or tf.executing_eagerly():
        return train_op
    return tf.group(train_op, *update_ops)
