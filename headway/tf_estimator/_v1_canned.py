"""What the ready-made estimators of tf.compat.v1.estimator do in another way than their successors."""

from __future__ import annotations

import math
from typing import Any, Final

import tensorflow as tf

from headway import _context, _summary, estimators
from headway._log import logger
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators._canned_model import CannedEstimator
from headway.estimators._run_config import RunConfig
from headway.heads import BinaryClassHead, Head, RegressionHead
from headway.heads._binary import with_trapezoids
from headway.tf_estimator._v1_estimator import Estimator

Optimizer = Any  # a name, an optimizer of tf.compat.v1.train, or a function that returns one

# The default of `loss_reduction`: the sum, not the mean, over the batch.
SUM: Final = tf.compat.v1.losses.Reduction.SUM

# How tags of the deep part and of the linear part begin, and what stood before them.
_TAGS: Final = (("dnn/", "dnn/"), ("linear/", "linear/"), ("bias", "linear/"), ("fraction_of_zero_weights", "linear/"))


_CLASSIFIERS: Final = (
    estimators.BaselineClassifier,
    estimators.DNNClassifier,
    estimators.DNNLinearCombinedClassifier,
    estimators.LinearClassifier,
)


class V1Canned(CannedEstimator, Estimator):
    """A ready-made estimator with the summaries and the metrics of version 1."""

    def __init__(self, head: Head, parts: Any, weight_column: Any, **settings: Any) -> None:
        if type(head) is BinaryClassHead and isinstance(self, _CLASSIFIERS):
            head = with_trapezoids(head)
        super().__init__(head, parts, weight_column, **settings)

    def _canned_model_fn(self, features: Any, labels: Any, mode: str, config: RunConfig) -> EstimatorSpec:
        spec = super()._canned_model_fn(features, labels, mode, config)
        context = _context.current()
        if context is not None:
            context.summaries[:] = [(kind, _v1_tag(tag), value) for kind, tag, value in context.summaries]
        if mode == ModeKeys.TRAIN and self._head.loss_reduction == "sum" and not isinstance(labels, dict):
            weights = None if self._weight is None else features[self._weight]
            _summary.scalar("average_loss", lambda: spec.loss / self._total_weight(labels, weights))
        return spec

    def _total_weight(self, labels: Any, weights: Any) -> tf.Tensor:
        """Returns the sum of the weights of all losses of a batch."""
        per_row = self._head.logits_dimension if isinstance(self._head, RegressionHead) else 1
        total = tf.shape(labels)[0] if weights is None else tf.reduce_sum(weights)
        return tf.cast(total, tf.float32) * per_row


def _v1_tag(tag: str) -> str:
    return next((before + tag for start, before in _TAGS if tag.startswith(start)), tag)


def listed(columns: Any) -> Any:
    """Returns columns that come from an iterator as a list, so that counting them uses none up."""
    return list(columns) if hasattr(columns, "__next__") else columns


def falling_rate(rate: float, columns: Any) -> float:
    """Returns the smaller of `rate` and 1 / sqrt(number of columns)."""
    number = len(columns) if hasattr(columns, "__len__") else 1
    return min(rate, 1.0 / math.sqrt(max(1, number)))


def note_partitioner(argument: str, partitioner: Any) -> None:
    """Says in the log what becomes of a partitioner, if there is one.

    Raises:
      TypeError: if it is no function.
    """
    if partitioner is None:
        return
    if not callable(partitioner):
        raise TypeError(
            f"`{argument}` must be a function such as tf.compat.v1.fixed_size_partitioner(2). "
            f"Received: {partitioner!r}."
        )
    logger.info(
        "%s is given: the variables are whole here all the same (a tf.distribute strategy decides where parts of them "
        "lie). Checkpoints that tf.estimator has written in parts are read, and tf.estimator reads those written here.",
        argument,
    )
