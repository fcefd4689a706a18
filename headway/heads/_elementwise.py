"""Heads with one loss per element: label checks, weights, reduction and metrics, which such heads share."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.heads import _checks, _reduction
from headway.heads._accumulator import Accumulator, Formula, Statistic, ratio
from headway.heads._base import BaseHead
from headway.heads._class_weights import ClassWeights
from headway.heads._extra_metrics import ExtraMetrics, Given, MetricBatch
from headway.heads._interface import Metrics
from headway.heads._keys import MetricKeys, PredictionKeys


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch after all checks.

    Attributes:
      logits: float32, shape `[D0, ..., DN, logits_dimension]`.
      labels: what the loss takes, shape `[D0, ..., DN, labels_dimension]`.
      losses: float32, shape `[D0, ..., DN, losses_dimension]`, not weighted.
      weights: float32, shape `[D0, ..., DN, 1]` or that of the losses; None where each is 1.
      loss_weights: the same for the loss alone, where classes have weights of their own.
      present: bool, the shape of the losses: the elements that count; None for all.
      features: the features of the batch, by name.
    """

    logits: tf.Tensor
    labels: tf.Tensor
    losses: tf.Tensor
    weights: tf.Tensor | None
    loss_weights: tf.Tensor | None
    present: tf.Tensor | None = None
    features: Any = None

    def flat_weights(self, elements: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the weight of each loss as float64 in one dimension.

        Args:
          elements: a tensor of shape `[D0, ..., DN, any]`, to get the weight of each of its elements instead.
        """
        elements = self.losses if elements is None else elements
        if self.weights is None:
            return tf.ones([tf.size(elements)], tf.float64)
        return flat(tf.broadcast_to(self.weights, tf.shape(elements)))


def flat(values: tf.Tensor) -> tf.Tensor:
    """Returns `values` as float64 in one dimension."""
    return tf.reshape(tf.cast(values, tf.float64), [-1])


class ElementwiseHead(BaseHead):
    """A head whose loss is a weighted sum over losses of elements, each of one label.

    A subclass says what labels it takes, what the losses are, and what is counted for its metrics.

    Args:
      weight_column: name of the feature that holds the example weights, a numeric column, or None.
      loss_reduction: `"sum_over_batch_size"` (sum of weighted losses over their number) or `"sum"`.
      loss_fn: takes `labels, logits` and perhaps `features, loss_reduction, label_smoothing`; returns the losses. None
        for the head's own.
      name: what the metric keys end in.
    """

    _weights_per_logit = False
    _label_smoothing = 0.0
    _class_weights: ClassWeights | None = None
    _extra: ExtraMetrics = ExtraMetrics(None, reserved=(), weighted=False)
    # What the metrics that a caller adds get for predictions.
    _metric_prediction = PredictionKeys.PREDICTIONS

    def __init__(
        self, *, weight_column: Any, loss_reduction: Any, loss_fn: Callable[..., tf.Tensor] | None, name: str | None
    ) -> None:
        self._weight_column = _checks.checked_weight_column(weight_column)
        self._loss_reduction = _reduction.checked_reduction(loss_reduction)
        self._loss_fn = loss_fn
        self._loss_fn_arguments = _checks.checked_loss_fn(loss_fn)
        self._name = _checks.checked_name(name)

    @property
    def name(self) -> str | None:
        """The name that the head's metric keys end in, or None."""
        return self._name

    @property
    def loss_reduction(self) -> str:
        """`"sum_over_batch_size"` or `"sum"`."""
        return self._loss_reduction

    @property
    def has_usual_loss(self) -> bool:
        """Whether the loss is the usual one of this kind of head, weighted by rows alone."""
        return self._loss_fn is None and not self._label_smoothing and self._class_weights is None

    @abc.abstractmethod
    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        """Returns the labels as the loss takes them; raises if they do not fit."""

    @abc.abstractmethod
    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the head's own losses, one per element."""

    @property
    @abc.abstractmethod
    def _losses_dimension(self) -> int:
        """The size of the last dimension of the losses."""

    @abc.abstractmethod
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of what `_sums` returns."""

    @abc.abstractmethod
    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns what a batch adds to the metrics."""

    @abc.abstractmethod
    def _formulas(self) -> dict[str, Formula]:
        """Returns the metrics by key, without the head's name, as formulas over the sums."""

    def loss(
        self,
        labels: Any,
        logits: tf.Tensor,
        features: Mapping[str, Any] | None = None,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the scalar loss of a batch, with the regularization losses added; see `Head`."""
        _checks.check_mode(mode)
        return self._reduced(self._batch(features, logits, labels), regularization_losses)

    def labels_and_weights(
        self, labels: Any, logits: tf.Tensor, features: Mapping[str, Any] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the labels as the loss takes them and their weights, for solvers that need more than the loss.

        Args:
          labels: labels of the batch.
          logits: float tensor of shape `[D0, ..., DN, logits_dimension]`.
          features: the features of the batch, by name; read for the example weights.

        Returns:
          Two float32 tensors of one dimension.
        """
        batch = self._batch(features, logits, labels)
        return tf.cast(flat(batch.labels), tf.float32), tf.cast(batch.flat_weights(), tf.float32)

    def metrics(self, regularization_losses: Sequence[tf.Tensor] | None = None) -> Metrics:
        """Returns fresh metric objects by key; see `Head`. They share their sums, and are updated together.

        Raises:
          ValueError: if Keras metrics were added to the head, and eager execution is disabled.
        """
        shapes = {**self._shapes(), **self._extra.shapes(), "regularization": (), "updates": ()}
        accumulator = Accumulator(shapes, name=self._key("sums"))
        formulas = {**self._formulas(), **self._extra.formulas()}
        if _reduction.regularization(regularization_losses) is not None:
            formulas[MetricKeys.REGULARIZATION_LOSS] = ratio("regularization", "updates")
        keys = {self._key(key): formula for key, formula in formulas.items()}
        own = {key: Statistic(accumulator, formula, name=key) for key, formula in keys.items()}
        return {**own, **self._extra.fresh(self._key)}

    def update_metrics(
        self,
        eval_metrics: Metrics,
        features: Mapping[str, Any] | None,
        logits: tf.Tensor,
        labels: Any,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> Metrics:
        """Counts a batch and returns `eval_metrics`; see `Head`.

        Raises:
          ValueError: if `eval_metrics` is not what `metrics` of this head returned.
        """
        _checks.check_mode(mode)
        return self._updated(eval_metrics, self._batch(features, logits, labels), regularization_losses)

    def _loss_and_metrics(
        self,
        features: Mapping[str, Any] | None,
        mode: str,
        logits: tf.Tensor,
        labels: Any,
        regularization_losses: Sequence[tf.Tensor] | None,
    ) -> tuple[tf.Tensor, Metrics]:
        """Checks a batch and computes its losses once for both, unless a subclass has a loss or metrics of its own."""
        verbs = (type(self).loss, type(self).update_metrics)
        if verbs != (ElementwiseHead.loss, ElementwiseHead.update_metrics):
            return super()._loss_and_metrics(features, mode, logits, labels, regularization_losses)
        batch = self._batch(features, logits, labels)
        metrics = self.metrics(regularization_losses)
        loss = self._reduced(batch, regularization_losses)
        return loss, self._updated(metrics, batch, regularization_losses)

    def _reduced(self, batch: Batch, regularization_losses: Sequence[tf.Tensor] | None) -> tf.Tensor:
        loss = _reduction.reduced_loss(batch.losses, batch.loss_weights, self._loss_reduction, batch.present)
        return _reduction.regularized(loss, regularization_losses)

    def _updated(
        self, eval_metrics: Metrics, batch: Batch, regularization_losses: Sequence[tf.Tensor] | None
    ) -> Metrics:
        key = self._key(MetricKeys.AVERAGE_LOSS)
        metric = eval_metrics.get(key)
        if not isinstance(metric, Statistic):
            raise ValueError(
                f"`eval_metrics` must be what `metrics()` of this head returned, with {key!r} in it. "
                f"Received the keys: {sorted(eval_metrics)}."
            )
        sums = self._sums(batch)
        penalty = _reduction.regularization(regularization_losses)
        sums["regularization"] = tf.constant(0.0) if penalty is None else penalty
        sums["updates"] = tf.constant(1.0)
        if self._extra:
            sums.update(self._extra.sums(self._metric_batch(batch), batch.features))
            self._extra.update(eval_metrics, self._key, self._keras_metric_batch(batch))
        metric.accumulator.update_state(sums)
        return eval_metrics

    def _metric_batch(self, batch: Batch) -> MetricBatch:
        """Returns what functions get that a caller has added to the metrics."""
        predictions = self.predictions(batch.logits, [self._metric_prediction])[self._metric_prediction]
        return MetricBatch(batch.labels, predictions, batch.weights)

    def _keras_metric_batch(self, batch: Batch) -> MetricBatch:
        """Returns what Keras metrics get that a caller has added."""
        return self._metric_batch(batch)

    def _add_metrics(self, metrics: Given, weighted: bool | None = None) -> None:
        """Takes the metrics that a caller adds to those of the head, whose options are all set.

        Args:
          metrics: see `ExtraMetrics`.
          weighted: whether the metrics get weights; by default, whether there is a weight column.

        Raises:
          ValueError: if one of them is no metric, or has the key of another.
        """
        weighted = self._weight_column is not None if weighted is None else weighted
        self._extra = ExtraMetrics(metrics, reserved=self._formulas(), weighted=weighted)

    def _batch(self, features: Any, logits: tf.Tensor, labels: Any) -> Batch:
        logits = _checks.checked_logits(logits, self.logits_dimension)
        labels = self._checked_labels(labels, logits)
        weights = _checks.weights_of(features, self._weight_column, logits, per_logit=self._weights_per_logit)
        losses = self._element_losses(labels, logits, features)
        return Batch(logits, labels, losses, weights, self._loss_weights(labels, weights), features=features)

    def _loss_weights(self, labels: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor | None:
        if self._class_weights is None:
            return weights
        of_classes = self._class_weights.of_rows(labels)
        return of_classes if weights is None else of_classes * weights

    def _element_losses(self, labels: tf.Tensor, logits: tf.Tensor, features: Any) -> tf.Tensor:
        if self._loss_fn is None:
            return self._losses(labels, logits)
        options = (features, self._loss_reduction, self._label_smoothing)
        extra = dict(zip(_checks.LOSS_FN_OPTIONS, options, strict=True))
        extra = {name: value for name, value in extra.items() if name in self._loss_fn_arguments}
        losses = self._loss_fn(labels=labels, logits=logits, **extra)
        return _checks.checked_losses(losses, logits, self._losses_dimension)
