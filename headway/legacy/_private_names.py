"""What libraries import from the modules of tensorflow_estimator that is no public name of tf.estimator.

Heads of the first generation are headway's heads, which sum the loss where those did; optimizers by name are those of
`tf.compat.v1.train`, or Keras's.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from headway import heads
from headway.estimators import SupervisedInputReceiver as SupervisedInputReceiver
from headway.estimators import UnsupervisedInputReceiver as UnsupervisedInputReceiver
from headway.estimators import (
    build_supervised_input_receiver_fn_from_input_fn as build_supervised_input_receiver_fn_from_input_fn,
)
from headway.estimators import read_eval_metrics as read_eval_metrics
from headway.heads import SequentialHeadWrapper as SequentialHeadWrapper
from headway.legacy._export_versions import Path as Path
from headway.legacy._export_versions import _get_paths as _get_paths
from headway.legacy._export_versions import _largest_export_versions as _largest_export_versions
from headway.legacy._export_versions import _mod_export_version as _mod_export_version
from headway.legacy._export_versions import _negation as _negation
from headway.legacy._export_versions import _one_of_every_n_export_versions as _one_of_every_n_export_versions
from headway.legacy._export_versions import _union as _union
from headway.legacy._keras_2 import model_to_estimator as model_to_estimator

LOSS_METRIC_KEY = "loss"
AVERAGE_LOSS_METRIC_KEY = "average_loss"


class MetricKeys:
    """Names of the metrics of heads; those with `%` are completed by a number or by the name of a class."""

    LOSS = "loss"
    LOSS_MEAN = "average_loss"
    LOSS_REGULARIZATION = "regularization_loss"
    ACCURACY = "accuracy"
    ACCURACY_BASELINE = "accuracy_baseline"
    PRECISION = "precision"
    RECALL = "recall"
    AUC = "auc"
    AUC_PR = "auc_precision_recall"
    LABEL_MEAN = "label/mean"
    PREDICTION_MEAN = "prediction/mean"
    ACCURACY_AT_THRESHOLD = "accuracy/positive_threshold_%g"
    PRECISION_AT_THRESHOLD = "precision/positive_threshold_%g"
    RECALL_AT_THRESHOLD = "recall/positive_threshold_%g"
    PROBABILITY_MEAN_AT_CLASS = "probability_mean/class%d"
    AUC_AT_CLASS = "auc/class%d"
    AUC_PR_AT_CLASS = "auc_precision_recall/class%d"
    PROBABILITY_MEAN_AT_NAME = "probability_mean/%s"
    AUC_AT_NAME = "auc/%s"
    AUC_PR_AT_NAME = "auc_precision_recall/%s"


class PredictionKeys:
    """Names of the predictions of heads."""

    CLASSES = "classes"
    CLASS_IDS = "class_ids"
    ALL_CLASSES = "all_classes"
    ALL_CLASS_IDS = "all_class_ids"
    LOGISTIC = "logistic"
    LOGITS = "logits"
    PREDICTIONS = "predictions"
    PROBABILITIES = "probabilities"
    TOP_K = "top_k"


class TaskType:
    """The roles of the processes of a cluster."""

    MASTER = "master"
    PS = "ps"
    WORKER = "worker"
    CHIEF = "chief"
    EVALUATOR = "evaluator"


class LossSpec(NamedTuple):
    """What `_Head.create_loss` returned."""

    training_loss: Any
    unreduced_loss: Any
    weights: Any
    processed_labels: Any


class _Head(abc.ABC):
    """The base class of heads of the first generation, for programs that derive from it; headway's heads count too."""

    @property
    @abc.abstractmethod
    def name(self) -> str | None:
        """The name of this head."""

    @property
    @abc.abstractmethod
    def logits_dimension(self) -> int:
        """The size of the last dimension of the logits."""

    @abc.abstractmethod
    def create_loss(self, features: Any, mode: str, logits: Any, labels: Any) -> LossSpec:
        """Returns the loss of a batch."""

    @abc.abstractmethod
    def create_estimator_spec(
        self,
        features: Any,
        mode: str,
        logits: Any,
        labels: Any = None,
        optimizer: Any = None,
        train_op_fn: Callable[..., Any] | None = None,
        regularization_losses: Any = None,
    ) -> Any:
        """Returns what a `model_fn` returns."""


_Head.register(heads.Head)  # type: ignore[type-abstract]


def _binary_logistic_head_with_sigmoid_cross_entropy_loss(
    weight_column: Any = None,
    thresholds: Any = None,
    label_vocabulary: Any = None,
    loss_reduction: str = "sum",
    loss_fn: Any = None,
    name: str | None = None,
) -> heads.Head:
    return heads.BinaryClassHead(
        weight_column=weight_column,
        thresholds=thresholds,
        label_vocabulary=label_vocabulary,
        loss_reduction=loss_reduction,
        loss_fn=loss_fn,
        name=name,
    )


def _multi_class_head_with_softmax_cross_entropy_loss(
    n_classes: int,
    weight_column: Any = None,
    label_vocabulary: Any = None,
    loss_reduction: str = "sum",
    loss_fn: Any = None,
    name: str | None = None,
) -> heads.Head:
    return heads.MultiClassHead(
        n_classes,
        weight_column=weight_column,
        label_vocabulary=label_vocabulary,
        loss_reduction=loss_reduction,
        loss_fn=loss_fn,
        name=name,
    )


def _regression_head(
    weight_column: Any = None,
    label_dimension: int = 1,
    loss_reduction: str = "sum",
    loss_fn: Any = None,
    inverse_link_fn: Any = None,
    name: str | None = None,
) -> heads.Head:
    return heads.RegressionHead(
        label_dimension=label_dimension,
        weight_column=weight_column,
        loss_reduction=loss_reduction,
        loss_fn=loss_fn,
        inverse_link_fn=inverse_link_fn,
        name=name,
    )


def binary_or_multi_class_head(
    n_classes: int, weight_column: Any, label_vocabulary: Any, loss_reduction: str
) -> heads.Head:
    """Returns the head for `n_classes` classes."""
    settings = {
        "weight_column": weight_column,
        "label_vocabulary": label_vocabulary,
        "loss_reduction": loss_reduction,
    }
    return heads.BinaryClassHead(**settings) if n_classes == 2 else heads.MultiClassHead(n_classes, **settings)


_binary_logistic_or_multi_class_head = binary_or_multi_class_head

_V1_OPTIMIZERS = {
    "Adagrad": tf.compat.v1.train.AdagradOptimizer,
    "Adam": tf.compat.v1.train.AdamOptimizer,
    "Ftrl": tf.compat.v1.train.FtrlOptimizer,
    "RMSProp": tf.compat.v1.train.RMSPropOptimizer,
    "SGD": tf.compat.v1.train.GradientDescentOptimizer,
}
_KERAS_OPTIMIZERS = {
    "Adagrad": keras.optimizers.Adagrad,
    "Adam": keras.optimizers.Adam,
    "Ftrl": keras.optimizers.Ftrl,
    "RMSProp": keras.optimizers.RMSprop,
    "SGD": keras.optimizers.SGD,
}


def get_optimizer_instance(opt: Any, learning_rate: float | None = None) -> tf.compat.v1.train.Optimizer:
    """Returns the optimizer of `tf.compat.v1.train` that `opt` names, makes or is.

    Args:
      opt: "Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD"; a function that returns an optimizer; or an optimizer.
      learning_rate: that of an optimizer given by name.

    Raises:
      ValueError: if the name is unknown or lacks its learning rate, or `opt` is something else.
    """
    if isinstance(opt, str):
        kind = _by_name(opt, _V1_OPTIMIZERS)
        if not learning_rate:
            raise ValueError("learning_rate must be specified when opt is string.")
        return kind(learning_rate=learning_rate)
    made = opt() if callable(opt) else opt
    if not isinstance(made, tf.compat.v1.train.Optimizer):
        raise ValueError(f"The given object is not an Optimizer instance. Given: {made}")
    return made


def get_optimizer_instance_v2(opt: Any, learning_rate: float | None = None) -> Any:
    """Returns the Keras optimizer that `opt` names, makes or is.

    Args:
      opt: "Adagrad", "Adam", "Ftrl", "RMSProp" or "SGD"; a function that returns an optimizer; or an optimizer.
      learning_rate: that of an optimizer given by name; by default the optimizer's own.

    Raises:
      ValueError: if the name is unknown, or `opt` is something else.
    """
    if isinstance(opt, str):
        kind = _by_name(opt, _KERAS_OPTIMIZERS)
        return kind(learning_rate=learning_rate) if learning_rate else kind()
    made = opt() if callable(opt) and not hasattr(opt, "get_config") else opt
    if isinstance(made, tf.compat.v1.train.Optimizer) or not hasattr(made, "get_config"):
        raise ValueError(f"The given object is not a tf.keras.optimizers.Optimizer instance. Given: {made}")
    return made


def _by_name(name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise ValueError(f"Unsupported optimizer name: {name}. Supported names are: {tuple(sorted(known))}")
    return known[name]


def parse_iterator_result(result: Any) -> tuple[Any, Any]:
    """Returns (features, labels) of what an input_fn's iterator gives; the labels are None where there are none."""
    if not isinstance(result, (list, tuple)):
        return result, None
    if len(result) != 2:
        raise ValueError("input_fn should return (features, labels) as a len 2 tuple.")
    return result[0], result[1]


class _StartIterator(tf.compat.v1.train.SessionRunHook):
    """Starts an iterator when the session is there."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    def begin(self) -> None:
        self._initializer = self._iterator.initializer

    def after_create_session(self, session: Any, coord: Any) -> None:
        del coord
        session.run(self._initializer)


def parse_input_fn_result(result: Any) -> tuple[Any, Any, list[Any]]:
    """Returns (features, labels, hooks) of what an input_fn has returned in a graph; the hooks start its iterator."""
    hooks = []
    if isinstance(result, tf.data.Dataset):
        iterator = tf.compat.v1.data.make_initializable_iterator(result)
        hooks.append(_StartIterator(iterator))
        result = iterator.get_next()
    return (*parse_iterator_result(result), hooks)
