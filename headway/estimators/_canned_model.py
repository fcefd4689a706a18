"""The one model behind all ready-made estimators with a head: the sum of the logits of its parts, and the head."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from headway import feature_columns as fc
from headway._optimize import minimize, piling
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _canned_layers as layers
from headway.estimators._canned_hidden import Activation as Activation
from headway.estimators._canned_hidden import HiddenLayers, hidden_layers
from headway.estimators._canned_keras import CannedKerasModel
from headway.estimators._canned_layers import Variables
from headway.estimators._estimator import Estimator
from headway.estimators._model import dtype_policy
from headway.estimators._optimizers import OptimizerMaker, optimizer_maker
from headway.estimators._run_config import RunConfig
from headway.estimators._sdca import Batch, LinearSDCA, example_ids
from headway.estimators._v1_canned_optimizers import V1OptimizerMaker
from headway.feature_columns._protocol import VariableFactory
from headway.feature_columns._variables import WithSlashes
from headway.heads import BinaryClassHead, Head, MultiClassHead, RegressionHead
from headway.heads._base import settle_optimizer_scope

# tf.estimator's learning rates for optimizers that are given by name.
_DEEP_RATE = 0.001
_LINEAR_RATE = 0.2
_COMBINED_LINEAR_RATE = 0.005
_FORMULAS = "keras_2"


class Part(Protocol):
    """What brings logits to a model. The logits of its parts are added."""

    @property
    def columns(self) -> tuple[fc.FeatureColumn, ...]:
        """The columns that it reads."""

    @property
    def optimizer(self) -> OptimizerMaker | LinearSDCA:
        """Makes the optimizer of its variables; or the solver for a model that has no other part."""

    def logits(
        self,
        features: dict[str, Any],
        units: int,
        shared: dict[str, tf.Variable],
        *,
        training: bool,
        seed: int | None,
    ) -> tuple[tf.Tensor, list[tf.Variable]]:
        """Returns float32 `[B, units]` and the trainable variables; `shared` as in `Variables`.

        It may add to the features what the head reads.
        """


@dataclasses.dataclass(frozen=True)
class DeepPart:
    """Hidden layers over dense columns; made by `deep_part`."""

    columns: tuple[fc.FeatureColumn, ...]
    hidden: HiddenLayers
    optimizer: OptimizerMaker
    scope: str = "dnn"

    @property
    def _of_tf1(self) -> bool:
        return isinstance(self.optimizer, V1OptimizerMaker)

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
        scope = f"{self.scope}/input_from_feature_columns/"
        variables = Variables(self.scope, shared, shared_prefix=scope if self._of_tf1 else "")
        table: VariableFactory = variables.under("input_from_feature_columns/input_layer")
        net = fc.dense_tensor(self.columns, features, table if self._of_tf1 else WithSlashes(table))
        net = self.hidden(net, variables, training=training, seed=seed)
        logits = layers.dense(net, units, variables.under("logits"))
        layers.summarize_layer(logits, "dnn/logits")
        return tf.cast(logits, tf.float32), variables.trainable


@dataclasses.dataclass(frozen=True)
class LinearPart:
    """A weight for each id or value of the columns, and a bias; made by `linear_part`."""

    columns: tuple[fc.FeatureColumn, ...]
    sparse_combiner: str
    optimizer: OptimizerMaker | LinearSDCA
    # Only combined models write the summaries of the linear logits, as in tf.estimator.
    summarizes_logits: bool
    scope: str = "linear"

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
        del training, seed
        of_tf1 = isinstance(self.optimizer, V1OptimizerMaker)
        variables = Variables(self.scope, shared, shared_prefix=f"{self.scope}/" if of_tf1 else "")
        variable = variables.under("linear_model")
        logits = fc.linear_logits(self.columns, features, units, variable, self.sparse_combiner)
        *weights, bias = variables.trainable
        layers.summarize_linear(weights, bias)
        if self.summarizes_logits:
            layers.summarize_layer(logits, "linear")
        return logits, variables.trainable


def deep_part(
    columns: Any,
    hidden_units: Any,
    optimizer: Any,
    activation_fn: Activation,
    dropout: float | None,
    batch_norm: bool,
    *,
    prefix: str = "",
) -> DeepPart:
    """Returns the deep part of a model, checked.

    Args:
      columns: dense columns.
      hidden_units: number of units in each hidden layer.
      optimizer: see `optimizer_maker`.
      activation_fn: of the hidden layers; a function, its name in Keras, or None for none.
      dropout: probability of dropping a value behind a hidden layer, or None.
      batch_norm: whether each hidden layer is followed by batch normalisation.
      prefix: what the estimator puts before the names of the arguments, such as "dnn_".

    Raises:
      ValueError: if one of the arguments is not as above.
    """
    return DeepPart(
        columns=names_argument(f"{prefix}feature_columns", lambda: fc.DenseFeatures(columns).feature_columns),
        hidden=hidden_layers(hidden_units, activation_fn, dropout, batch_norm, prefix=prefix),
        optimizer=optimizer_maker(optimizer, _DEEP_RATE, f"{prefix}optimizer"),
    )


def linear_part(columns: Any, optimizer: Any, sparse_combiner: str, *, combined: bool = False) -> LinearPart:
    """Returns the linear part of a model, checked.

    Args:
      columns: dense or categorical columns.
      optimizer: see `optimizer_maker`; a `LinearSDCA`; None for Ftrl with a rate that falls with the number of columns.
      sparse_combiner: "sum", "mean" or "sqrtn".
      combined: whether a deep part may stand beside it: the learning rates are smaller then.

    Raises:
      ValueError: if one of the arguments is not as above.
    """
    prefix = "linear_" if combined else ""
    checked = names_argument(
        f"{prefix}feature_columns",
        lambda: fc.LinearModel(columns, sparse_combiner=sparse_combiner).feature_columns,
    )
    if isinstance(optimizer, LinearSDCA):
        if combined:
            raise ValueError("LinearSDCA trains linear models alone. Pass another optimizer as `linear_optimizer`.")
        optimizer.check(checked, sparse_combiner)
        return LinearPart(checked, sparse_combiner, optimizer, False)
    rate = _LINEAR_RATE
    if combined:
        rate = min(_COMBINED_LINEAR_RATE, 1.0 / math.sqrt(len(checked)))
    elif optimizer is None:
        optimizer, rate = "Ftrl", min(_LINEAR_RATE, 1.0 / math.sqrt(len(checked)))
    return LinearPart(checked, sparse_combiner, optimizer_maker(optimizer, rate, f"{prefix}optimizer"), combined)


class _Inputs(tf.Module):
    """The input transform: the columns' host part, and the raw features that the head reads.

    Args:
      columns: all columns of the model; where there are none, features stay as they are.
      keep: names of raw features to keep where they are there; None to keep all.

    Attributes:
      seen: names of the features of the last batch that was traced, for error messages.
    """

    def __init__(self, columns: Sequence[fc.FeatureColumn], keep: tuple[str, ...] | None) -> None:
        super().__init__(name="inputs")
        self._transform = fc.ColumnTransform(list(dict.fromkeys(columns))) if columns else None
        self._keep = keep
        self.seen: tuple[str, ...] = ()

    @property
    def float_names(self) -> dict[str, list[str]]:
        """See `ColumnTransform.float_names`."""
        names: dict[str, list[str]] = {} if self._transform is None else self._transform.float_names
        return names

    def keeping_all(self) -> _Inputs:
        """Returns a transform that keeps all raw features beside what it makes of them."""
        return _Inputs(() if self._transform is None else self._transform.columns, None)

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """What must be read from serialised examples for the columns."""
        columns = () if self._transform is None else self._transform.columns
        spec: dict[str, Any] = fc.make_parse_example_spec(columns) if columns else {}
        return spec

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Any) -> dict[str, Any]:
        if not isinstance(features, Mapping):
            raise ValueError(
                f"features should be a dictionary of `Tensor`s. Given type: {type(features)}. Let input_fn return "
                "{name: values}, with a name for each feature that a column reads; of a data frame, `dict(frame)`, or "
                "the pipeline `input_pipelines.from_dataframe(frame, label=...)`."
            )
        self.seen = tuple(sorted(features))
        if self._transform is None:
            return dict(features)
        kept = features if self._keep is None else {name: features[name] for name in self._keep if name in features}
        return {**kept, **self._transform(features)}

    def of_all_rows(self, features: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `ColumnTransform.of_all_rows`."""
        return features if self._transform is None else self._transform.of_all_rows(features)


class CannedEstimator(Estimator):
    """What the ready-made estimators have in common.

    Args:
      head: the head.
      parts: what brings the logits; at least one part.
      weight_column: what the head reads from the features; `ALL_FEATURES` if that is not known.
      head_features: names of other features that the head reads where they are there.
      model_dir: see `Estimator`.
      config: see `Estimator`.
      warm_start_from: see `Estimator`.
    """

    def __init__(
        self,
        head: Head,
        parts: Sequence[Part],
        weight_column: Any,
        *,
        head_features: tuple[str, ...] = (),
        model_dir: Any = None,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        if not isinstance(head, Head):
            raise TypeError(
                f"`head` must be a head of headway.heads. Received: {head!r} of type {type(head).__name__}."
            )
        self._head = head
        self._parts = tuple(parts)
        self._solver = next((part.optimizer for part in parts if isinstance(part.optimizer, LinearSDCA)), None)
        if self._solver is not None:
            self._solver.loss_type(head)
        self._weight = None if weight_column is ALL_FEATURES else getattr(weight_column, "key", weight_column)
        columns = [column for part in self._parts for column in part.columns]
        keep: tuple[str, ...] | None = None
        if weight_column is not ALL_FEATURES:
            keep = head_features if self._weight is None else (self._weight, *head_features)
        if keep is not None and self._solver is not None:
            keep += (self._solver.example_id_column,)
        self._inputs = _Inputs(columns, keep)
        super().__init__(
            self._canned_model_fn,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
            input_transform=self._inputs if columns else None,
        )

    def _canned_model_fn(self, features: Any, labels: Any, mode: str, config: RunConfig) -> EstimatorSpec:
        if self._weight is not None and mode != ModeKeys.PREDICT and self._weight not in features:
            raise ValueError(
                f"Feature {self._weight} is not in features dictionary: the head reads the example weights from it "
                f"(`weight_column`). Features that are there: {list(self._inputs.seen)}."
            )
        features = dict(features if fc.is_transformed(features) else self._inputs(features))
        units, training = self._head.logits_dimension, mode == ModeKeys.TRAIN
        logits: list[tf.Tensor] = []
        shared: dict[str, tf.Variable] = {}
        trained: list[tuple[Any, list[tf.Variable]]] = []
        if training:
            settle_optimizer_scope(self._head)
        for part in self._parts:
            optimizer = part.optimizer() if training and callable(part.optimizer) else None
            # Each part has tables of its own, and sums each of them once.
            with piling(optimizer, _FORMULAS, self._canned_model_fn):
                own, variables = part.logits(features, units, shared, training=training, seed=config.tf_random_seed)
            logits.append(own)
            trained.append((optimizer, variables))
        whole = tf.add_n(logits) if len(logits) > 1 else logits[0]

        def train(loss: tf.Tensor) -> Any:
            if self._solver is None:
                return minimize(trained, loss, formulas=_FORMULAS)
            (part,), ((_, variables),) = self._parts, trained
            return self._solver.step(self._solver_batch(features, labels, whole), part.columns, variables)

        return self._head.create_estimator_spec(features, mode, whole, labels=labels, train_op_fn=train)

    def to_keras(self, checkpoint_path: str | os.PathLike[str] | None = None) -> keras.Model:
        """Returns a Keras 3 model of raw features with the trained weights, whose predictions are those of `predict`.

        Its weights are Keras's, under the names that they have here (`dnn/logits/kernel`), and `fit` can train them
        on; dropout stays off then, and batch normalisation keeps its averages.

        Args:
          checkpoint_path: path of a checkpoint, without ending; the newest one by default.

        Raises:
          ValueError: if the model has not been trained.
        """
        reader = tf.train.load_checkpoint(os.fspath(checkpoint_path or self._trained_path()))
        # A model without columns only counts the rows.
        spec = self._inputs.parse_example_spec or {"x": tf.io.FixedLenFeature([], tf.float32)}
        example = {
            name: tf.TensorSpec([None, *feature.shape], feature.dtype)
            if isinstance(feature, tf.io.FixedLenFeature)
            else tf.SparseTensorSpec([None, None], feature.dtype)
            for name, feature in spec.items()
        }
        return CannedKerasModel(self._predictions_of, example, reader, type(self).__name__.lower())

    def _predictions_of(self, features: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        with dtype_policy(self.config.dtype_policy):
            spec = self._canned_model_fn(features, None, ModeKeys.PREDICT, self.config)
        predictions: Mapping[str, tf.Tensor] = spec.predictions
        return predictions

    def _solver_batch(self, features: Any, labels: Any, logits: tf.Tensor) -> Batch:
        """Returns what the solver needs of a batch."""
        assert self._solver is not None
        ids = example_ids(features, self._solver.example_id_column, self._inputs.seen)
        assert isinstance(self._head, (BinaryClassHead, RegressionHead))
        own_labels, weights = self._head.labels_and_weights(labels, logits, features)
        return Batch(features, ids, own_labels, weights, self._solver.loss_type(self._head))


ALL_FEATURES = object()


def classification_head(
    n_classes: int, weight_column: Any, label_vocabulary: Any, loss_reduction: str, **options: Any
) -> Head:
    """Returns the head of a classifier: for two classes one logit, for more one logit each.

    Args:
      n_classes: number of classes.
      weight_column: see the heads.
      label_vocabulary: see the heads.
      loss_reduction: see the heads.
      **options: `label_smoothing`, `class_weights` and `metrics` of the heads.
    """
    arguments = {
        "weight_column": weight_column,
        "label_vocabulary": label_vocabulary,
        "loss_reduction": loss_reduction,
        **options,
    }
    return BinaryClassHead(**arguments) if n_classes == 2 else MultiClassHead(n_classes, **arguments)


def names_argument(argument: str, make: Callable[[], tuple[fc.FeatureColumn, ...]]) -> tuple[fc.FeatureColumn, ...]:
    """Returns `make()`, whose errors then begin with the name of the argument that they are about."""
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"`{argument}`: {error}") from error
