"""Ready-made factorisation machines with a deep network over the same vectors."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import feature_columns as fc
from headway._updates import LazyAdam
from headway.estimators import _canned_layers as layers
from headway.estimators._canned_hidden import Activation, checked_count
from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import (
    ALL_FEATURES,
    CannedEstimator,
    DeepPart,
    LinearPart,
    classification_head,
    deep_part,
    linear_part,
    names_argument,
)
from headway.estimators._optimizers import OptimizerMaker
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.feature_columns._checks import check_columns
from headway.feature_columns._embedding import EmbeddingColumn, TruncatedNormal
from headway.feature_columns._protocol import DenseColumn, IdColumn, SequenceColumn
from headway.feature_columns._shared_embedding import SharedEmbeddingColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one

# The sum over all pairs of fields grows with their number; vectors of this size let it begin near zero.
_FIRST_VECTORS = TruncatedNormal(0.05)


@dataclasses.dataclass(frozen=True)
class DeepFMPart:
    """A linear model, the products of all pairs of fields, and a deep network; made by `_part`.

    Attributes:
      linear: the first-order term.
      deep: what the vectors of the fields come from, and the hidden layers over them.
      dimension: length of the vectors.
    """

    linear: LinearPart
    deep: DeepPart
    dimension: int

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """The columns of both."""
        return (*self.linear.columns, *self.deep.columns)

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
        # Guo et al. 2017, section 2: y = y_FM + y_DNN, of which the first is <w, x> + sum_{i<j} <V_i, V_j> x_i x_j.
        first_order, linear_variables = self.linear.logits(features, units, shared, training=training, seed=seed)
        variables = Variables("deepfm", shared)
        fields = self._fields(features, variables.under("input_layer"))
        second_order = _pairs(fields)
        if units == 1:
            second_order = tf.reduce_sum(second_order, 1, keepdims=True)
        else:
            second_order = layers.dense(second_order, units, variables.under("pairs"), use_bias=False)
        net = tf.reshape(fields, [-1, int(fields.shape[1]) * self.dimension])
        net = self.deep.hidden(net, variables, training=training, seed=seed)
        deep = layers.dense(net, units, variables.under("logits"))
        layers.summarize_layer(deep, "deepfm/logits")
        logits = tf.add_n([first_order, tf.cast(second_order, tf.float32), tf.cast(deep, tf.float32)])
        return logits, [*linear_variables, *variables.trainable]

    def _fields(self, features: Mapping[str, Any], variables: Variables) -> tf.Tensor:
        """Returns the vectors `V_i x_i` of all fields, float32 `[B, fields, dimension]`."""
        vectors = [column for column in self.deep.columns if _has_vectors(column)]
        numbers = [column for column in self.deep.columns if isinstance(column, DenseColumn) and column not in vectors]
        fields = []
        if vectors:
            flat = fc.dense_tensor(vectors, features, variables)
            fields.append(tf.reshape(flat, [-1, len(vectors), self.dimension]))
        if numbers:
            values = fc.dense_tensor(numbers, features, variables)
            factors = [
                variables(f"{column.variable_scope}/factors", (column.width, self.dimension), _FIRST_VECTORS)
                for column in numbers
            ]
            fields.append(tf.expand_dims(values, 2) * tf.concat([tf.convert_to_tensor(part) for part in factors], 0))
        return fields[0] if len(fields) == 1 else tf.concat(fields, 1)


def _pairs(fields: tf.Tensor) -> tf.Tensor:
    """Returns the sum over all pairs of fields of their products, element by element, `[B, dimension]`.

    Rendle 2010, https://doi.org/10.1109/ICDM.2010.127, lemma 3.1: in time that is linear in the number of fields.
    """
    return 0.5 * (tf.square(tf.reduce_sum(fields, 1)) - tf.reduce_sum(tf.square(fields), 1))


def _has_vectors(column: FeatureColumn) -> bool:
    return isinstance(column, EmbeddingColumn | SharedEmbeddingColumn)


def _part(
    columns: Any,
    hidden_units: Any,
    embedding_dimension: Any,
    optimizer: Optimizer,
    activation_fn: Activation,
    dropout: float | None,
    batch_norm: bool,
) -> DeepFMPart:
    dimension = checked_count(embedding_dimension, "embedding_dimension")
    given = names_argument("feature_columns", lambda: tuple(check_columns(columns)))
    wide, deep = zip(*(_both_forms(column, dimension) for column in given), strict=True)
    return DeepFMPart(
        deep=deep_part(deep, hidden_units, optimizer, activation_fn, dropout, batch_norm),
        linear=linear_part(wide, optimizer, "sum"),
        dimension=dimension,
    )


def _both_forms(column: FeatureColumn, dimension: int) -> tuple[FeatureColumn, FeatureColumn]:
    """Returns what the linear term takes of a column, and what the vectors of its field come from."""
    if isinstance(column, EmbeddingColumn | SharedEmbeddingColumn):
        if column.width != dimension:
            raise ValueError(
                f"`feature_columns`: all fields have vectors of `embedding_dimension`={dimension} numbers. Received "
                f"{column.name!r} with {column.width}. Give it the same dimension, or pass the categorical column."
            )
        ids, vectors = column.categorical_column, column
    elif isinstance(column, IdColumn):
        ids, vectors = column, fc.embedding_column(column, dimension, initializer=_FIRST_VECTORS)
    else:
        return column, column
    if isinstance(ids, SequenceColumn):
        raise ValueError(
            f"`feature_columns`: {column.name!r} is a sequence. DeepFM takes the values of a row without their order: "
            "use categorical_column_with_* in place of sequence_categorical_column_with_*."
        )
    return ids, vectors


class DeepFMClassifier(CannedEstimator):
    """Classifies with a factorisation machine and a deep network over the same vectors.

    Guo et al. 2017, https://arxiv.org/abs/1703.04247. Each field (a categorical column, or a number) has a weight and a
    vector of `embedding_dimension` numbers for each of its values. The logit is the sum of the weights, the products of
    the vectors of all pairs of fields, and a deep network over all vectors side by side: pairs need not be crossed by
    hand. With several logits, each has its own weights for the elements of the sum of products.

    Args:
      hidden_units: number of units in each hidden layer, such as `[64, 32]`.
      feature_columns: categorical columns as they are, or embedding columns of `embedding_dimension` over them, also
        `shared_embeddings`; and numeric columns, each of whose numbers is a field.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      embedding_dimension: length of the vectors.
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
      >>> from headway.estimators import DeepFMClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> columns = [fc.categorical_column_with_identity("user", 2), fc.categorical_column_with_identity("ad", 2)]
      >>> rows = from_arrays({"user": [0, 0, 1], "ad": [0, 1, 1]}, [1, 0, 1], batch_size=3, num_epochs=None)
      >>> model = DeepFMClassifier([4], columns, embedding_dimension=2, config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=2).predict(rows))["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        embedding_dimension: int = 8,
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
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options),
            [_part(feature_columns, hidden_units, embedding_dimension, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DeepFMRegressor(CannedEstimator):
    """Predicts numbers with a factorisation machine and a deep network over the same vectors.

    The model is that of `DeepFMClassifier`, with `label_dimension` outputs, trained on the squared error.

    Args:
      hidden_units: see `DeepFMClassifier`.
      feature_columns: see `DeepFMClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      embedding_dimension: length of the vectors.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      optimizer: see `DeepFMClassifier`.
      activation_fn: see `DeepFMClassifier`.
      dropout: see `DeepFMClassifier`.
      batch_norm: see `DeepFMClassifier`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import DeepFMRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> columns = [fc.categorical_column_with_identity("shop", 2), fc.numeric_column("price")]
      >>> rows = from_arrays({"shop": [0, 1], "price": [1.0, 2.0]}, [3.0, 4.0], batch_size=2, num_epochs=None)
      >>> model = DeepFMRegressor([4], columns, config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=2).predict(rows))["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        embedding_dimension: int = 8,
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
        super().__init__(
            RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics),
            [_part(feature_columns, hidden_units, embedding_dimension, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class DeepFMEstimator(CannedEstimator):
    """A factorisation machine and a deep network over the same vectors, with a head of the caller's.

    The model is that of `DeepFMClassifier`.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      hidden_units: see `DeepFMClassifier`.
      feature_columns: see `DeepFMClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      embedding_dimension: length of the vectors.
      optimizer: see `DeepFMClassifier`.
      activation_fn: see `DeepFMClassifier`.
      dropout: see `DeepFMClassifier`.
      batch_norm: see `DeepFMClassifier`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.
      TypeError: if `head` is no head.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import DeepFMEstimator, RunConfig
      >>> columns = [fc.categorical_column_with_identity("shop", 2), fc.numeric_column("price")]
      >>> model = DeepFMEstimator(heads.PoissonRegressionHead(), [4], columns, config=RunConfig(progress="none"))
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
        embedding_dimension: int = 8,
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        super().__init__(
            head,
            [_part(feature_columns, hidden_units, embedding_dimension, optimizer, activation_fn, dropout, batch_norm)],
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
