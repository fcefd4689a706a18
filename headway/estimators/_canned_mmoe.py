"""A ready-made model of several tasks at once: experts that all tasks share, and a gate for each task."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import feature_columns as fc
from headway._updates import LazyAdam
from headway.estimators import _canned_layers as layers
from headway.estimators._canned_hidden import Activation, HiddenLayers, checked_count, checked_units, hidden_layers
from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import ALL_FEATURES, CannedEstimator, DeepPart, deep_part
from headway.estimators._optimizers import OptimizerMaker
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, MultiHead

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one


@dataclasses.dataclass(frozen=True)
class MMoEPart:
    """Experts, gates and towers.

    Attributes:
      deep: the columns, and the hidden layers of an expert.
      num_experts: number of experts.
      tower: the hidden layers of a task.
      tasks: name and number of logits of each task, in the order of the heads.
    """

    deep: DeepPart
    num_experts: int
    tower: HiddenLayers
    tasks: tuple[tuple[str, int], ...]

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
        """Returns float32 `[B, units]`, those of the tasks side by side, and the trainable variables."""
        del units  # the sum over the tasks
        variables = Variables("mmoe", shared)
        inputs = fc.dense_tensor(self.columns, features, variables.under("input_layer"))
        depth = len(self.deep.hidden.units)
        experts = [
            self.deep.hidden(inputs, variables.under(f"expert_{i}"), training=training, seed=seed, first=i * depth)
            for i in range(self.num_experts)
        ]
        outputs = tf.stack(experts, 1)
        logits = []
        for position, (name, width) in enumerate(self.tasks):
            # Ma et al. 2018, equations 5 and 6: y_k = h^k(sum_i g^k(x)_i f_i(x)), where g^k(x) = softmax(W_gk x).
            gate = layers.dense(inputs, self.num_experts, variables.under(f"gate_{name}"), use_bias=False)
            shares = tf.cast(tf.nn.softmax(tf.cast(gate, tf.float32)), outputs.dtype)
            net = tf.reduce_sum(tf.expand_dims(shares, 2) * outputs, 1)
            first = self.num_experts * depth + position * len(self.tower.units)
            inner = variables.under(f"tower_{name}")
            net = self.tower(net, inner, training=training, seed=seed, first=first)
            logits.append(tf.cast(layers.dense(net, width, inner.under("logits")), tf.float32))
            layers.summarize_layer(logits[-1], f"{inner.prefix}/logits")
        return tf.concat(logits, 1), variables.trainable


class MMoEEstimator(CannedEstimator):
    """Learns several tasks at once: experts that all tasks share, and a gate and a tower for each task.

    Ma et al. 2018, https://doi.org/10.1145/3219819.3220007 (multi-gate mixture-of-experts). Each expert is a deep
    network over the features. A task has a gate, which says for each row how much of each expert it takes, and hidden
    layers of its own after it. Tasks that have little in common come to use different experts.

    Labels are a dict with those of each task by the name of its head; metrics and predictions are those of
    `headway.heads.MultiHead`.

    Args:
      heads: a head of `headway.heads` for each task, with a name.
      feature_columns: numeric, bucketized, indicator and embedding columns.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      head_weights: how much each task counts in the loss, in the order of `heads`; None for all alike.
      num_experts: number of experts.
      expert_units: number of units in each hidden layer of an expert.
      tower_units: number of units in each hidden layer of a task; may be empty.
      optimizer: name of a Keras optimizer (learning rate 0.001), an instance, or a function that returns one, called
        in each trace of the model.
      activation_fn: of the hidden layers: a function, its name in Keras, or None for none.
      dropout: probability of dropping each output of a hidden layer in training; None for no dropout.
      batch_norm: whether each hidden layer is followed by batch normalisation.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.
      TypeError: if one of `heads` is no head.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import MMoEEstimator, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> tasks = [heads.BinaryClassHead(name="click"), heads.RegressionHead(name="seconds")]
      >>> labels = {"click": [0, 1], "seconds": [0.0, 7.5]}
      >>> rows = from_arrays({"x": [1.0, 2.0]}, labels, batch_size=2, num_epochs=None)
      >>> model = MMoEEstimator(tasks, [fc.numeric_column("x")], expert_units=[4], config=RunConfig(progress="none"))
      >>> first = next(model.train(rows, steps=2).predict(rows))
      >>> first["click", "probabilities"].shape, first["seconds", "predictions"].shape
      ((2,), (1,))
    """

    def __init__(
        self,
        heads: Sequence[Head],
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        head_weights: Sequence[float] | None = None,
        num_experts: int = 4,
        expert_units: Sequence[int] = (64,),
        tower_units: Sequence[int] = (16,),
        optimizer: Optimizer = LazyAdam,
        activation_fn: Activation = tf.nn.relu,
        dropout: float | None = None,
        batch_norm: bool = False,
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        heads = list(heads) if hasattr(heads, "__next__") else heads
        head = MultiHead(heads, head_weights)
        experts = checked_units(expert_units, "expert_units")
        if not experts:
            raise ValueError("`expert_units` must hold the units of at least one layer, such as [64]. Received: none.")
        part = MMoEPart(
            deep=deep_part(feature_columns, experts, optimizer, activation_fn, dropout, batch_norm),
            num_experts=checked_count(num_experts, "num_experts"),
            tower=hidden_layers(checked_units(tower_units, "tower_units"), activation_fn, dropout, batch_norm),
            tasks=tuple((_scope(str(task.name)), task.logits_dimension) for task in heads),
        )
        super().__init__(
            head, [part], ALL_FEATURES, model_dir=model_dir, config=config, warm_start_from=warm_start_from
        )


def _scope(name: str) -> str:
    """Returns the name of a task in the letters that a variable's name may have."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
