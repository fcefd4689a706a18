"""Ready-made deep & cross networks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway import feature_columns as fc
from headway._updates import LazyAdam
from headway.estimators import _canned_layers as layers
from headway.estimators._canned_hidden import Activation, checked_count
from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import ALL_FEATURES, CannedEstimator, DeepPart, classification_head, deep_part
from headway.estimators._optimizers import OptimizerMaker
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one

_PARALLEL, _STACKED = "parallel", "stacked"


@dataclasses.dataclass(frozen=True)
class DeepCrossPart:
    """Cross layers and hidden layers over dense columns; made by `_part`.

    Attributes:
      deep: the columns and the hidden layers.
      cross_layers: number of cross layers.
      cross_rank: rank of their matrices; None for full matrices.
      structure: "parallel" or "stacked".
    """

    deep: DeepPart
    cross_layers: int
    cross_rank: int | None
    structure: str

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """The dense columns."""
        return self.deep.columns

    @property
    def optimizer(self) -> OptimizerMaker:
        """That of all variables."""
        return self.deep.optimizer

    def logits(
        self,
        features: Mapping[str, Any],
        units: int,
        shared: dict[str, tf.Variable],
        *,
        training: bool,
        seed: int | None,
    ) -> tuple[tf.Tensor, list[tf.Variable]]:
        """Returns float32 `[B, units]` and the trainable variables; `shared` as in `Variables`."""
        variables = Variables("deepcross", shared)
        inputs = fc.dense_tensor(self.columns, features, variables.under("input_layer"))
        inputs = tf.cast(inputs, keras.config.dtype_policy().compute_dtype)
        net = crossed = self._crossed(inputs, variables)
        if self.structure == _STACKED:
            net = self.deep.hidden(crossed, variables, training=training, seed=seed)
        elif self.deep.hidden.units:
            deep = self.deep.hidden(inputs, variables, training=training, seed=seed)
            net = tf.concat([crossed, tf.cast(deep, crossed.dtype)], 1)
        logits = layers.dense(net, units, variables.under("logits"))
        layers.summarize_layer(logits, "deepcross/logits")
        return tf.cast(logits, tf.float32), variables.trainable

    def _crossed(self, inputs: tf.Tensor, variables: Variables) -> tf.Tensor:
        """Returns the output of the last cross layer, of the shape of `inputs`, `[B, d]`.

        Wang et al. 2021, equation 1: x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, and equation 2, where W_l = U_l V_l^T.
        """
        width, net = int(inputs.shape[1]), inputs
        for i in range(self.cross_layers):
            inner, low = variables.under(f"crosslayer_{i}"), net
            if self.cross_rank is not None:
                low = layers.dense(net, self.cross_rank, inner.under("projection"), use_bias=False)
            net = inputs * layers.dense(low, width, inner) + net
            layers.summarize_layer(net, f"deepcross/crosslayer_{i}")
        return net


def _part(
    columns: Any, hidden_units: Any, cross_layers: Any, cross_rank: Any, structure: Any, *deep: Any
) -> DeepCrossPart:
    if structure not in (_PARALLEL, _STACKED):
        raise ValueError(f"`structure` must be 'parallel' or 'stacked'. Received: {structure!r}.")
    return DeepCrossPart(
        deep=deep_part(columns, hidden_units, *deep),
        cross_layers=checked_count(cross_layers, "cross_layers"),
        cross_rank=None if cross_rank is None else checked_count(cross_rank, "cross_rank"),
        structure=structure,
    )


class DeepCrossClassifier(CannedEstimator):
    """Classifies with layers that multiply features with each other, and a deep network: DCN-v2.

    Wang et al. 2021, https://arxiv.org/abs/2008.13535. Each cross layer multiplies the inputs with a linear function of
    the layer before, so that `cross_layers` of them hold products of up to `cross_layers + 1` features, which need not
    be crossed by hand.

    Args:
      hidden_units: number of units in each hidden layer, such as `[64, 32]`; empty for cross layers alone.
      feature_columns: numeric, bucketized, indicator and embedding columns.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      cross_layers: number of cross layers.
      cross_rank: rank of the matrices of the cross layers, for many inputs: they are products of two narrow ones then,
        and cost less. None for full matrices.
      structure: "parallel": cross layers and hidden layers stand side by side over the inputs; "stacked": the hidden
        layers stand on the cross layers.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one, called
        in each trace of the model.
      activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      batch_norm: whether each hidden layer is followed by batch normalisation.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      label_smoothing: see `headway.heads.BinaryClassHead`.
      class_weights: see `headway.heads.BinaryClassHead`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DeepCrossClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> columns = [fc.numeric_column("price"), fc.numeric_column("age")]
      >>> rows = from_arrays({"price": [1.0, 2.0], "age": [3.0, 4.0]}, [1, 0], batch_size=2, num_epochs=None)
      >>> model = DeepCrossClassifier([4], columns, cross_layers=1, config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=2).predict(rows))["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        cross_layers: int = 2,
        cross_rank: int | None = None,
        structure: str = "parallel",
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        options = {"label_smoothing": label_smoothing, "class_weights": class_weights, "metrics": metrics}
        cross = cross_layers, cross_rank, structure
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options),
            [_part(feature_columns, hidden_units, *cross, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DeepCrossRegressor(CannedEstimator):
    """Predicts numbers with layers that multiply features with each other, and a deep network: DCN-v2.

    The model is that of `DeepCrossClassifier`, with `label_dimension` outputs, trained on the squared error.

    Args:
      hidden_units: see `DeepCrossClassifier`.
      feature_columns: see `DeepCrossClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      cross_layers: see `DeepCrossClassifier`.
      cross_rank: see `DeepCrossClassifier`.
      structure: see `DeepCrossClassifier`.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      optimizer: see `DeepCrossClassifier`.
      activation_fn: see `DeepCrossClassifier`.
      dropout: see `DeepCrossClassifier`.
      batch_norm: see `DeepCrossClassifier`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DeepCrossRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> columns = [fc.numeric_column("rooms"), fc.numeric_column("area")]
      >>> rows = from_arrays({"rooms": [1.0, 2.0], "area": [30.0, 55.0]}, [3.0, 4.0], batch_size=2, num_epochs=None)
      >>> model = DeepCrossRegressor([4], columns, config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=2).predict(rows))["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        cross_layers: int = 2,
        cross_rank: int | None = None,
        structure: str = "parallel",
        label_dimension: int = 1,
        weight_column: str | FeatureColumn | None = None,
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        loss_reduction: str = "sum_over_batch_size",
        metrics: Given = None,
    ) -> None:
        cross = cross_layers, cross_rank, structure
        super().__init__(
            RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics),
            [_part(feature_columns, hidden_units, *cross, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DeepCrossEstimator(CannedEstimator):
    """Layers that multiply features with each other, and a deep network (DCN-v2), with a head of the caller's.

    The model is that of `DeepCrossClassifier`.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      hidden_units: see `DeepCrossClassifier`.
      feature_columns: see `DeepCrossClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      cross_layers: see `DeepCrossClassifier`.
      cross_rank: see `DeepCrossClassifier`.
      structure: see `DeepCrossClassifier`.
      optimizer: see `DeepCrossClassifier`.
      activation_fn: see `DeepCrossClassifier`.
      dropout: see `DeepCrossClassifier`.
      batch_norm: see `DeepCrossClassifier`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.
      TypeError: if `head` is no head.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import DeepCrossEstimator, RunConfig
      >>> columns = [fc.numeric_column("rooms"), fc.numeric_column("area")]
      >>> model = DeepCrossEstimator(heads.PoissonRegressionHead(), [4], columns, config=RunConfig(progress="none"))
      >>> model.config.progress
      'none'
    """

    def __init__(
        self,
        head: Head,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        cross_layers: int = 2,
        cross_rank: int | None = None,
        structure: str = "parallel",
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        cross = cross_layers, cross_rank, structure
        super().__init__(
            head,
            [_part(feature_columns, hidden_units, *cross, optimizer, activation_fn, dropout, batch_norm)],
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
