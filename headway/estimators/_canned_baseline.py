"""Ready-made models that look at no feature: what any other model must beat."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import ALL_FEATURES, CannedEstimator, classification_head
from headway.estimators._optimizers import OptimizerMaker, optimizer_maker
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, RegressionHead
from headway.heads._checks import stop_unless
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one

# tf.estimator's learning rate for optimizers that are given by name.
_RATE = 0.3
_NO_FEATURES = (
    "features should be a dictionary of at least one `Tensor`: a baseline model reads the number of rows from it. Let "
    "input_fn return {name: values}."
)


@dataclasses.dataclass(frozen=True)
class _Bias:
    """A bias for each logit, the same in all rows."""

    optimizer: OptimizerMaker
    columns: tuple[FeatureColumn, ...] = ()

    def logits(
        self,
        features: Mapping[str, Any],
        units: int,
        shared: dict[str, tf.Variable],
        *,
        training: bool,
        seed: int | None,
    ) -> tuple[tf.Tensor, list[tf.Variable]]:
        """Returns float32 `[B, units]` and the bias."""
        del training, seed
        variables = Variables("baseline", shared)
        bias = variables("bias", (units,), keras.initializers.Zeros())
        return tf.broadcast_to(bias, [_num_rows(features), units]), variables.trainable


class BaselineClassifier(CannedEstimator):
    """Predicts for each row the shares that the classes have in training: what a classifier must beat.

    It looks at no feature. Its only variables are a bias for each logit; they begin at zero.

    Args:
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      optimizer: name of a Keras optimizer (learning rate 0.3), an instance, or a function that returns one, called
        in each trace of the model.
      config: a `RunConfig`.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      label_smoothing: see `headway.heads.BinaryClassHead`.
      class_weights: see `headway.heads.BinaryClassHead`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway.estimators import BaselineClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> rows = from_arrays({"x": [5.0, 6.0, 7.0, 8.0]}, [0, 1, 1, 1], batch_size=4, num_epochs=None)
      >>> model = BaselineClassifier(config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=100).predict(rows))
      >>> [round(float(p), 1) for p in first["probabilities"]]  # a quarter and three quarters, nearly
      [0.3, 0.7]
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        loss_reduction: str = "sum_over_batch_size",
        *,
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        options = {"label_smoothing": label_smoothing, "class_weights": class_weights, "metrics": metrics}
        head = classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options)
        super().__init__(head, [_bias(optimizer)], weight_column, model_dir=model_dir, config=config)


class BaselineRegressor(CannedEstimator):
    """Predicts for each row the mean of the labels in training: what a regressor must beat.

    It looks at no feature. Its only variables are a bias for each number that a label has; they begin at zero.

    Args:
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      optimizer: name of a Keras optimizer (learning rate 0.3), an instance, or a function that returns one, called
        in each trace of the model.
      config: a `RunConfig`.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> import keras
      >>> from headway.estimators import BaselineRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> rows = from_arrays({"x": [5.0, 6.0]}, [1.0, 4.0], batch_size=2, num_epochs=None)
      >>> model = BaselineRegressor(optimizer=keras.optimizers.SGD(0.5), config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=1).predict(rows))["predictions"]  # 0 - 0.5 * (-2 + -8) / 2
      array([2.5], dtype=float32)
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
        loss_reduction: str = "sum_over_batch_size",
        *,
        metrics: Given = None,
    ) -> None:
        head = RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics)
        super().__init__(head, [_bias(optimizer)], weight_column, model_dir=model_dir, config=config)


class BaselineEstimator(CannedEstimator):
    """Looks at no feature and has a head of the caller's: what a model with that head must beat.

    Its only variables are a bias for each logit of `head`; they begin at zero.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      optimizer: name of a Keras optimizer (learning rate 0.3), an instance, or a function that returns one, called
        in each trace of the model.
      config: a `RunConfig`.

    Raises:
      ValueError: if the optimizer is unknown.
      TypeError: if `head` is no head.

    Example:
      >>> from headway import heads
      >>> from headway.estimators import BaselineEstimator, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> rows = from_arrays({"x": [5.0, 6.0]}, [0, 2], batch_size=2, num_epochs=None)
      >>> model = BaselineEstimator(heads.MultiClassHead(3), config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=2).predict(rows))["probabilities"].shape
      (3,)
    """

    def __init__(
        self,
        head: Head,
        model_dir: str | os.PathLike[str] | None = None,
        optimizer: Optimizer = "Ftrl",
        config: RunConfig | None = None,
    ) -> None:
        super().__init__(head, [_bias(optimizer)], ALL_FEATURES, model_dir=model_dir, config=config)


def _bias(optimizer: Optimizer) -> _Bias:
    return _Bias(optimizer_maker(optimizer, _RATE, "optimizer"))


def _num_rows(features: Mapping[str, Any]) -> tf.Tensor:
    """Returns the number of rows, an int32 scalar, in which all features agree."""
    counts = [_rows_of(feature) for feature in features.values()]
    if not counts:
        raise ValueError(f"{_NO_FEATURES} Received: {dict(features)!r}.")
    known = {tf.get_static_value(count) for count in counts}
    if len(known) == 1 and None not in known:
        return counts[0]
    sizes = tf.stack(counts)
    message = f"All features must have the same number of rows. Rows of {list(features)}: "
    return stop_unless(tf.reduce_all(tf.equal(sizes, sizes[0])), message, [sizes], then=sizes[0])


def _rows_of(feature: Any) -> tf.Tensor:
    if isinstance(feature, tf.RaggedTensor):
        return tf.cast(feature.nrows(), tf.int32)
    if isinstance(feature, tf.SparseTensor):
        return tf.cast(feature.dense_shape[0], tf.int32)
    return tf.shape(feature)[0]
