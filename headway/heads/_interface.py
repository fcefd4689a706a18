"""What a head is: the verbs that an Estimator, a canned model or a user's own loop may call. No logic lives here."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway._spec import EstimatorSpec, ExportOutput

Metrics = dict[str, keras.metrics.Metric]
"""Metric objects by the key that `evaluate` reports them under."""


class Head(abc.ABC):
    """What follows the last hidden layer of a model: loss, metrics, predictions and export outputs.

    A model computes `logits` of shape `[D0, ..., DN, logits_dimension]` (most often `[batch_size, logits_dimension]`);
    the head knows what they mean. Each verb works eagerly, in a `tf.function`, in a replica of a `tf.distribute`
    strategy and in a program's own loop.

    Subclass `headway.heads.BaseHead` to write a head: it derives `create_estimator_spec` from the other verbs.

    >>> from headway.heads import Head, RegressionHead
    >>> isinstance(RegressionHead(), Head)
    True
    """

    @property
    @abc.abstractmethod
    def name(self) -> str | None:
        """The name that the head's metric keys end in (`accuracy/<name>`), or None."""

    @property
    @abc.abstractmethod
    def logits_dimension(self) -> int:
        """The size of the last dimension of the logits."""

    @property
    @abc.abstractmethod
    def loss_reduction(self) -> str:
        """How the losses of a batch become one number: `"sum_over_batch_size"` or `"sum"`."""

    @abc.abstractmethod
    def loss(
        self,
        labels: Any,
        logits: tf.Tensor,
        features: Mapping[str, Any] | None = None,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the scalar loss of a batch, with the regularization losses added.

        In a replica this is the replica's own part: the parts of all replicas add up to the loss of the global
        batch, and so do their gradients.

        Args:
          labels: labels of the batch, in the shape that the head documents.
          logits: float tensor of shape `[D0, ..., DN, logits_dimension]`.
          features: the features of the batch, by name; read for the example weights.
          mode: a `ModeKeys` value; heads whose loss differs between modes read it.
          regularization_losses: scalars that are added to the loss.

        Returns:
          A float32 scalar.
        """

    @abc.abstractmethod
    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[Any, tf.Tensor]:
        """Returns predictions by key.

        Args:
          logits: float tensor of shape `[D0, ..., DN, logits_dimension]`.
          keys: the predictions that are wanted; all of them by default.

        Returns:
          Tensors whose first dimension is that of the logits.
        """

    @abc.abstractmethod
    def metrics(self, regularization_losses: Sequence[tf.Tensor] | None = None) -> Metrics:
        """Returns fresh metric objects by key, with nothing counted yet.

        Args:
          regularization_losses: if given, their mean is among the metrics.
        """

    @abc.abstractmethod
    def update_metrics(
        self,
        eval_metrics: Metrics,
        features: Mapping[str, Any] | None,
        logits: tf.Tensor,
        labels: Any,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> Metrics:
        """Counts a batch and returns `eval_metrics`.

        Args:
          eval_metrics: what `metrics` returned.
          features: the features of the batch, by name; read for the example weights.
          logits: float tensor of shape `[D0, ..., DN, logits_dimension]`.
          labels: labels of the batch.
          mode: a `ModeKeys` value.
          regularization_losses: the scalars that were added to the loss.
        """

    @abc.abstractmethod
    def export_outputs(self, predictions: Mapping[Any, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures that a model with this head is exported with.

        Args:
          predictions: what `predictions` returned.

        Returns:
          Export outputs by signature name, `"serving_default"` among them.
        """

    @abc.abstractmethod
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
        """Returns what a `model_fn` returns.

        Args:
          features: the features of the batch, by name; read for the example weights.
          mode: a `ModeKeys` value.
          logits: float tensor of shape `[D0, ..., DN, logits_dimension]`.
          labels: labels of the batch; needed unless `mode` is PREDICT.
          optimizer: a Keras optimizer that minimizes the loss in TRAIN. Exactly one of `optimizer` and `train_op_fn` is
            given in TRAIN; other modes ignore both.
          trainable_variables: list or tuple of the variables that `optimizer` updates.
          train_op_fn: takes the loss and returns the op that trains the model.
          update_ops: list or tuple of further ops that each training step runs.
          regularization_losses: scalars that are added to the loss.

        Returns:
          An `EstimatorSpec` with predictions and, by mode, loss, train op, metrics or export outputs.
        """
