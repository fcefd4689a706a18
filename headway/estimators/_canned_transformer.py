"""Ready-made transformers over sequences, with attention to a candidate."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import feature_columns as fc
from headway._updates import LazyAdam
from headway.estimators import _canned_attention as attention
from headway.estimators import _canned_layers as layers
from headway.estimators._canned_hidden import Activation, HiddenLayers, checked_count, checked_units, hidden_layers
from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import ALL_FEATURES, CannedEstimator, classification_head, names_argument
from headway.estimators._optimizers import OptimizerMaker, optimizer_maker
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one
Columns = Iterable[FeatureColumn]

_RATE = 0.001


@dataclasses.dataclass(frozen=True)
class SequenceTransformerPart:
    """Transformer layers over sequence columns, and hidden layers over their outcome; made by `_part`.

    Attributes:
      sequence: sequence columns.
      candidate: dense columns of what the steps are compared with; may be empty.
      context: dense columns that go into the hidden layers; may be empty.
      num_layers: number of transformer layers.
      num_heads: of each of them.
      dimension: number of values of each step.
      feed_forward_units: units of the hidden layer in each transformer layer.
      attention_units: units of the hidden layers that compare a step with the candidate.
      hidden: the hidden layers at the end; their activation and dropout are those of the whole model.
      optimizer: makes the optimizer of all variables.
    """

    sequence: tuple[FeatureColumn, ...]
    candidate: tuple[FeatureColumn, ...]
    context: tuple[FeatureColumn, ...]
    num_layers: int
    num_heads: int
    dimension: int
    feed_forward_units: int
    attention_units: tuple[int, ...]
    hidden: HiddenLayers
    optimizer: OptimizerMaker

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """All columns."""
        return (*self.sequence, *self.candidate, *self.context)

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
        variables = Variables("transformer", shared)
        raw, lengths = fc.sequence_tensor(self.sequence, features, variables.under("sequence_input_layer"))
        there = tf.sequence_mask(lengths, tf.shape(raw)[1])
        steps = attention.dense_steps(raw, self.dimension, variables.under("steps"))
        if self.num_layers:
            steps += tf.cast(attention.positions(tf.shape(raw)[1], self.dimension), steps.dtype)
            for i in range(self.num_layers):
                drop = [2 * i, 2 * i + 1] if training and self.hidden.dropout else []
                steps = self._layer(steps, there, variables.under(f"layer_{i}"), drop, seed)
        parts = []
        if self.candidate:
            inputs = fc.dense_tensor(self.candidate, features, variables.under("candidate_input_layer"))
            target = layers.dense(inputs, self.dimension, variables.under("candidate"))
            inner = variables.under("target_attention")
            parts.append(
                attention.target_attention(steps, there, target, self.attention_units, self.hidden.activation, inner)
            )
            parts.append(target)
        else:
            parts.append(attention.mean_of_steps(steps, there))
        if self.context:
            context = fc.dense_tensor(self.context, features, variables.under("context_input_layer"))
            parts.append(tf.cast(context, steps.dtype))
        net = parts[0] if len(parts) == 1 else tf.concat(parts, 1)
        net = self.hidden(net, variables, training=training, seed=seed, first=2 * self.num_layers)
        logits = layers.dense(net, units, variables.under("logits"))
        layers.summarize_layer(logits, "transformer/logits")
        return tf.cast(logits, tf.float32), variables.trainable

    def _layer(
        self, steps: tf.Tensor, there: tf.Tensor, variables: Variables, drop: list[int], seed: int | None
    ) -> tf.Tensor:
        """Returns the output of a transformer layer, `[B, T, dimension]`.

        Vaswani et al. 2017, section 3.1: LayerNorm(x + Sublayer(x)), for self-attention and for the network of two
        dense layers of section 3.3.

        Args:
          steps: `[B, T, dimension]`.
          there: bool `[B, T]`: the steps that count.
          variables: makes the variables.
          drop: numbers of the two dropouts; empty for none.
          seed: that of the run.
        """
        taken = attention.self_attention(steps, there, self.num_heads, variables.under("attention"))
        if drop:
            taken = layers.dropout(taken, self.hidden.dropout, drop[0], seed)
        steps = attention.layer_norm(steps + taken, variables.under("attention/norm"))
        inner = variables.under("feed_forward")
        net = attention.dense_steps(steps, self.feed_forward_units, inner.under("hiddenlayer"), self.hidden.activation)
        net = attention.dense_steps(net, self.dimension, inner.under("output"))
        if drop:
            net = layers.dropout(net, self.hidden.dropout, drop[1], seed)
        return attention.layer_norm(steps + net, inner.under("norm"))


@dataclasses.dataclass(frozen=True)
class _Size:
    """The numbers that say how large a model is, as the caller gave them."""

    num_layers: Any
    num_heads: Any
    model_dimension: Any
    feed_forward_units: Any
    attention_units: Any


def _part(
    sequence: Any,
    candidate: Any,
    context: Any,
    size: _Size,
    hidden_units: Any,
    optimizer: Optimizer,
    activation_fn: Activation,
    dropout: float | None,
    batch_norm: bool,
) -> SequenceTransformerPart:
    def dense(columns: Any, argument: str) -> tuple[FeatureColumn, ...]:
        return () if columns is None else names_argument(argument, lambda: fc.DenseFeatures(columns).feature_columns)

    num_heads = checked_count(size.num_heads, "num_heads")
    dimension = checked_count(size.model_dimension, "model_dimension")
    if dimension % num_heads:
        raise ValueError(
            "`model_dimension` must be a multiple of `num_heads`, among which it is divided. Received: "
            f"model_dimension={dimension}, num_heads={num_heads}."
        )
    return SequenceTransformerPart(
        sequence=names_argument("sequence_feature_columns", lambda: fc.SequenceFeatures(sequence).feature_columns),
        candidate=dense(candidate, "candidate_feature_columns"),
        context=dense(context, "context_feature_columns"),
        num_layers=checked_count(size.num_layers, "num_layers", least=0),
        num_heads=num_heads,
        dimension=dimension,
        feed_forward_units=checked_count(size.feed_forward_units, "feed_forward_units"),
        attention_units=checked_units(size.attention_units, "attention_units"),
        hidden=hidden_layers(hidden_units, activation_fn, dropout, batch_norm),
        optimizer=optimizer_maker(optimizer, _RATE, "optimizer"),
    )


class SequenceTransformerClassifier(CannedEstimator):
    """Classifies sequences, such as texts or the clicks of a user, with a transformer.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762: in each layer every step takes from all others what suits it.
    Without `candidate_feature_columns`, hidden layers over the mean of the steps follow. With them, each step counts as
    much as it suits the candidate (an item that may be clicked next, say), as in Zhou et al. 2018,
    https://arxiv.org/abs/1706.06978 (deep interest network; this alone with `num_layers=0`) and, over transformer
    layers, in Chen et al. 2019, https://arxiv.org/abs/1905.06874 (behaviour sequence transformer). Time and memory of a
    row grow with the square of its number of steps.

    Args:
      hidden_units: number of units in each hidden layer at the end, such as `[64, 32]`; may be empty.
      sequence_feature_columns: `sequence_numeric_column`s, and embedding and indicator columns over
        `sequence_categorical_column_with_*`, all with the same number of steps in a row.
      candidate_feature_columns: dense columns of what the steps are compared with; None for nothing. With
        `shared_embeddings`, steps and candidates have vectors from one table.
      context_feature_columns: dense columns of what else is known of a row; None for nothing.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      num_layers: number of transformer layers, from 0.
      num_heads: number of heads of each of them, a divisor of `model_dimension`.
      model_dimension: number of values that each step has in the model.
      feed_forward_units: units of the hidden layer in each transformer layer.
      attention_units: units of the hidden layers that compare a step with the candidate.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one, called
        in each trace of the model.
      activation_fn: of all hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a transformer or hidden layer in training; None for no dropout.
      batch_norm: whether each hidden layer at the end is followed by batch normalisation.
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
      >>> from headway.estimators import SequenceTransformerClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> clicks = fc.sequence_categorical_column_with_identity("clicks", 5)
      >>> item = fc.categorical_column_with_identity("item", 5)
      >>> clicks, item = fc.shared_embeddings([clicks, item], 4)
      >>> batch = {"clicks": [[1, 2, 1], [3, -1, -1]], "item": [1, 1]}
      >>> rows = from_arrays(batch, [1, 0], batch_size=2, num_epochs=None)
      >>> model = SequenceTransformerClassifier(
      ...     [8], [clicks], candidate_feature_columns=[item], model_dimension=8, config=RunConfig(progress="none")
      ... )
      >>> next(model.train(rows, steps=2).predict(rows))["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        sequence_feature_columns: Columns,
        model_dir: str | os.PathLike[str] | None = None,
        *,
        candidate_feature_columns: Columns | None = None,
        context_feature_columns: Columns | None = None,
        num_layers: int = 1,
        num_heads: int = 2,
        model_dimension: int = 32,
        feed_forward_units: int = 64,
        attention_units: Sequence[int] = (36,),
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
        columns = sequence_feature_columns, candidate_feature_columns, context_feature_columns
        size = _Size(num_layers, num_heads, model_dimension, feed_forward_units, attention_units)
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options),
            [_part(*columns, size, hidden_units, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class SequenceTransformerRegressor(CannedEstimator):
    """Predicts numbers from sequences with a transformer.

    The model is that of `SequenceTransformerClassifier`, with `label_dimension` outputs, trained on the squared error.

    Args:
      hidden_units: see `SequenceTransformerClassifier`.
      sequence_feature_columns: see `SequenceTransformerClassifier`.
      candidate_feature_columns: see `SequenceTransformerClassifier`.
      context_feature_columns: see `SequenceTransformerClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      num_layers: see `SequenceTransformerClassifier`.
      num_heads: see `SequenceTransformerClassifier`.
      model_dimension: see `SequenceTransformerClassifier`.
      feed_forward_units: see `SequenceTransformerClassifier`.
      attention_units: see `SequenceTransformerClassifier`.
      label_dimension: number of values in each label, whose shape is `[B, label_dimension]`, or `[B]` for one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      optimizer: see `SequenceTransformerClassifier`.
      activation_fn: see `SequenceTransformerClassifier`.
      dropout: see `SequenceTransformerClassifier`.
      batch_norm: see `SequenceTransformerClassifier`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import SequenceTransformerRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> load = fc.sequence_numeric_column("load")
      >>> rows = from_arrays({"load": [[1.0, 2.0], [3.0, 4.0]]}, [3.0, 5.0], batch_size=2, num_epochs=None)
      >>> model = SequenceTransformerRegressor([4], [load], model_dimension=8, config=RunConfig(progress="none"))
      >>> next(model.train(rows, steps=2).predict(rows))["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        hidden_units: Sequence[int],
        sequence_feature_columns: Columns,
        model_dir: str | os.PathLike[str] | None = None,
        *,
        candidate_feature_columns: Columns | None = None,
        context_feature_columns: Columns | None = None,
        num_layers: int = 1,
        num_heads: int = 2,
        model_dimension: int = 32,
        feed_forward_units: int = 64,
        attention_units: Sequence[int] = (36,),
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
        columns = sequence_feature_columns, candidate_feature_columns, context_feature_columns
        size = _Size(num_layers, num_heads, model_dimension, feed_forward_units, attention_units)
        super().__init__(
            RegressionHead(label_dimension, weight_column, loss_reduction, metrics=metrics),
            [_part(*columns, size, hidden_units, optimizer, activation_fn, dropout, batch_norm)],
            weight_column,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class SequenceTransformerEstimator(CannedEstimator):
    """A transformer over sequences, with a head of the caller's: one outcome for each sequence.

    The model is that of `SequenceTransformerClassifier`.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on.
      hidden_units: see `SequenceTransformerClassifier`.
      sequence_feature_columns: see `SequenceTransformerClassifier`.
      candidate_feature_columns: see `SequenceTransformerClassifier`.
      context_feature_columns: see `SequenceTransformerClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      num_layers: see `SequenceTransformerClassifier`.
      num_heads: see `SequenceTransformerClassifier`.
      model_dimension: see `SequenceTransformerClassifier`.
      feed_forward_units: see `SequenceTransformerClassifier`.
      attention_units: see `SequenceTransformerClassifier`.
      optimizer: see `SequenceTransformerClassifier`.
      activation_fn: see `SequenceTransformerClassifier`.
      dropout: see `SequenceTransformerClassifier`.
      batch_norm: see `SequenceTransformerClassifier`.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.
      TypeError: if `head` is no head.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import SequenceTransformerEstimator, RunConfig
      >>> load = fc.sequence_numeric_column("load")
      >>> head = heads.PoissonRegressionHead()
      >>> model = SequenceTransformerEstimator(head, [4], [load], config=RunConfig(progress="none"))
      >>> model.config.progress
      'none'
    """

    def __init__(
        self,
        head: Head,
        hidden_units: Sequence[int],
        sequence_feature_columns: Columns,
        model_dir: str | os.PathLike[str] | None = None,
        *,
        candidate_feature_columns: Columns | None = None,
        context_feature_columns: Columns | None = None,
        num_layers: int = 1,
        num_heads: int = 2,
        model_dimension: int = 32,
        feed_forward_units: int = 64,
        attention_units: Sequence[int] = (36,),
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        columns = sequence_feature_columns, candidate_feature_columns, context_feature_columns
        size = _Size(num_layers, num_heads, model_dimension, feed_forward_units, attention_units)
        super().__init__(
            head,
            [_part(*columns, size, hidden_units, optimizer, activation_fn, dropout, batch_norm)],
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
