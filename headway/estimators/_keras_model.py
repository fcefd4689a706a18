"""`model_to_estimator`: an Estimator of a compiled Keras model."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from headway import _context, _keras_2, _tensorflow
from headway._optimize import minimize
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators._estimator import Estimator
from headway.estimators._keras_2_model import Keras2Model, check_model
from headway.estimators._run_config import RunConfig

_NOT_COPYABLE = (
    "The model {name!r} cannot be made again from its configuration ({reason}), so to_keras() has no model to put the "
    "weights into. Give its class a `get_config` that fits its constructor; or read the weights by name with "
    "`estimator.get_variable_value`."
)


def model_to_estimator(
    keras_model: Any = None,
    keras_model_path: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    model_dir: str | os.PathLike[str] | None = None,
    config: RunConfig | None = None,
    checkpoint_format: str = "saver",
    *,
    metric_names_map: Mapping[str, str] | None = None,
    export_outputs: Mapping[str, Any] | None = None,
) -> Estimator:
    """Returns an Estimator that trains, evaluates and applies a compiled Keras 3 model.

    Loss, metrics and optimizer are those of `compile` (or the loss of the model's own `compute_loss`). Variables begin
    with the values that the model has now, and the model itself never changes. Their names are those of its layers
    (`dense/kernel`); automatic names of layers are numbered anew (`dense`, `dense_1`, ...), so that they do not depend
    on what else a program has built. The optimizer begins anew.

    The features of the input are given to the model's inputs by name; a single one goes to a single input, whatever its
    name. Predictions go by the names of the model's outputs. An input_fn may give `(features, labels, weights)`, as
    `fit` takes them: weights of shape `[B]`, or a structure of them like the labels. They count in the loss and in
    `weighted_metrics`.

    Args:
      keras_model: a compiled model with variables: functional, sequential or subclassed; the latter two must have been
        called or built.
      keras_model_path: path of a saved model (.keras), instead of `keras_model`.
      custom_objects: name -> class or function, for loading that model.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      config: a `RunConfig`.
      checkpoint_format: "saver", the only one there is: checkpoints by name.
      metric_names_map: name of a metric of the model -> name that `evaluate` gives it.
      export_outputs: as in an `EstimatorSpec`.

    Raises:
      ValueError: if not one of `keras_model` and `keras_model_path` is given, the model is not compiled or has no
        variables yet, or the format is another one.
      TypeError: if it is no Keras 3 model.

    Example:
      >>> from headway.estimators import RunConfig, model_to_estimator
      >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
      >>> model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
      >>> estimator = model_to_estimator(model, config=RunConfig(progress="none"))
      >>> def input_fn():
      ...     return tf.data.Dataset.from_tensors((tf.ones([4, 2]), tf.ones([4]))).repeat()
      >>> sorted(estimator.train(input_fn, steps=3).evaluate(input_fn, steps=1))
      ['global_step', 'loss', 'mae']
      >>> estimator.get_variable_value("out/kernel").shape
      (2, 1)
    """
    if checkpoint_format != "saver":
        raise ValueError(
            "`checkpoint_format` must be 'saver': headway writes checkpoints by name. (One by object can be the start: "
            f"`warm_start_from` of an Estimator.) Received: {checkpoint_format!r}."
        )
    if (keras_model is None) == (keras_model_path is None):
        raise ValueError("Either `keras_model` or `keras_model_path` needs to be provided, and not both.")
    if keras_model is None:
        assert keras_model_path is not None
        with warnings.catch_warnings():
            # The state of the optimizer, which a model that was never trained lacks, is not used.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            keras_model = keras.saving.load_model(os.fspath(keras_model_path), custom_objects=custom_objects)
    if _keras_2.is_model(keras_model):
        check_model(keras_model)
        of_keras_2 = Keras2Model(keras_model, dict(renamed_layers(keras_model)), metric_names_map or {}, export_outputs)
        return Estimator(of_keras_2.model_fn, model_dir, config)
    _check_model(keras_model)
    values = [np.array(variable.numpy()) for variable in keras_model.variables]
    converted = _Converted(keras_model, stable_names(keras_model), values, metric_names_map or {}, export_outputs)
    return _KerasEstimator(converted, model_dir, config)


class _Weighted(NamedTuple):
    """Labels, and the weights of their rows."""

    labels: Any
    weights: Any


class _KerasEstimator(Estimator):
    """An Estimator of a Keras model; made by `model_to_estimator`."""

    def __init__(self, converted: _Converted, model_dir: Any, config: RunConfig | None) -> None:
        self._converted = converted
        super().__init__(converted.model_fn, model_dir, config)

    def to_keras(self, checkpoint_path: str | os.PathLike[str] | None = None) -> Any:
        """Returns a copy of the model, compiled as it was, with the trained weights; see `Estimator.to_keras`."""
        path = os.fspath(checkpoint_path or self._trained_path())
        model, names = self._converted.copied()
        reader = tf.train.load_checkpoint(path)
        for name, variable in zip(names, model.variables, strict=True):
            variable.assign(reader.get_tensor(name))
        return model

    def _adapt_input(self, input_fn: Any) -> Any:
        @functools.wraps(input_fn)
        def with_weights(*args: Any, **kwargs: Any) -> Any:
            source = input_fn(*args, **kwargs)
            if isinstance(source, tf.data.Dataset):
                is_weighted = isinstance(source.element_spec, tuple) and len(source.element_spec) == 3
                return source.map(_joined, tf.data.AUTOTUNE) if is_weighted else source
            return _joined(*source) if isinstance(source, tuple) and len(source) == 3 else source

        return with_weights


def _joined(features: Any, labels: Any, weights: Any) -> tuple[Any, _Weighted]:
    return features, _Weighted(labels, weights)


@dataclasses.dataclass(frozen=True)
class _Converted:
    """A Keras model whose variables are those of an estimator.

    Attributes:
      model: the model. It is called with the estimator's variables in the place of its own.
      names: full name of each variable of the model.
      values: first value of each variable.
      metric_names: see `model_to_estimator`.
      export_outputs: see `model_to_estimator`.
    """

    model: Any
    names: list[str]
    values: list[np.ndarray[Any, Any]]
    metric_names: Mapping[str, str]
    export_outputs: Mapping[str, Any] | None

    def model_fn(self, features: Any, labels: Any, mode: str) -> EstimatorSpec:
        """See `Estimator`."""
        inputs, training = self._inputs(features), mode == ModeKeys.TRAIN
        labels, weights = labels if isinstance(labels, _Weighted) else (labels, None)
        trained = {id(variable) for variable in self.model.trainable_variables}
        variables = [
            _variable(name, value, trainable=id(own) in trained, constraint=getattr(own, "constraint", None))
            for name, value, own in zip(self.names, self.values, self.model.variables, strict=True)
        ]
        places = list(zip(self.model.variables, variables, strict=True))
        mapping = [(own, tf.convert_to_tensor(variable)) for own, variable in places]
        own_loss: Any = None
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            outputs = self.model(inputs, training=training)
            if mode != ModeKeys.PREDICT:
                own_loss = self._own_loss(inputs, labels, weights, outputs, training)
        predictions = self._by_name(outputs)
        if mode == ModeKeys.PREDICT:
            return EstimatorSpec(mode, predictions, export_outputs=self.export_outputs)
        measured = self._measured()
        loss = own_loss if self._computes_loss else own_loss + _loss(measured, labels, outputs, weights)
        if mode == ModeKeys.EVAL:
            # Keras divides by the number of replicas, whose losses it adds up.
            loss = tf.cast(loss, tf.float32) * _context.num_replicas()
            return EstimatorSpec(
                mode, predictions, loss, eval_metric_ops=self._metrics(measured, labels, outputs, weights)
            )
        context = _context.current()
        if context is not None:
            context.loss_is_share = True
        train_op = minimize(self.model.optimizer, loss, [v for own, v in places if id(own) in trained])
        for own, variable in places:
            if id(own) not in trained:
                new = scope.get_current_value(own)
                variable.assign(tf.cast(variable if new is None else new, variable.dtype))
        return EstimatorSpec(mode, predictions, loss, train_op)

    @property
    def _computes_loss(self) -> bool:
        """Whether the model has a `compute_loss` of its own."""
        return type(self.model).compute_loss is not keras.Model.compute_loss

    def copied(self) -> tuple[Any, list[str]]:
        """Returns a copy of the model, compiled as it is, and the full names of its variables.

        Raises:
          ValueError: if the model cannot be made again from its configuration.
        """
        try:
            copy = keras.models.clone_model(self.model)
            if not copy.built:
                copy.build_from_config(self.model.get_build_config())
        except (NotImplementedError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(_NOT_COPYABLE.format(name=self.model.name, reason=reason)) from error
        if [tuple(v.shape) for v in copy.variables] != [tuple(v.shape) for v in self.model.variables]:
            raise ValueError(_NOT_COPYABLE.format(name=self.model.name, reason="its copy has other variables"))
        arguments = _tensorflow.compile_arguments(self.model)
        own = self.model.optimizer
        fresh = {name: _fresh(arguments.get(name)) for name in ("metrics", "weighted_metrics")}
        kept = {name: arguments.get(name) for name in ("loss", "loss_weights")}
        copy.compile(optimizer=type(own).from_config(own.get_config()), **kept, **fresh)
        return copy, self.names

    def _own_loss(self, inputs: Any, labels: Any, weights: Any, outputs: Any, training: bool) -> Any:
        """Returns this replica's share of what the model itself adds to the loss of `compile`, or of its own loss."""
        if self._computes_loss:
            return _loss(self.model, labels, outputs, weights, x=inputs, training=training)
        added = [tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in self.model.losses]
        return tf.add_n(added) / _context.num_replicas() if added else tf.constant(0.0)

    def _measured(self) -> Any:
        """Returns a model with the loss and fresh metrics of `compile`; what they count is the estimator's."""
        arguments = _tensorflow.compile_arguments(self.model)
        measured = _Measured()
        names = getattr(self.model, "output_names", None)
        if names is not None:
            measured.output_names = names
        kept = {name: arguments.get(name) for name in ("loss", "loss_weights")}
        fresh = {name: _fresh(arguments.get(name)) for name in ("metrics", "weighted_metrics")}
        measured.compile(optimizer=None, **kept, **fresh)
        return measured

    def _inputs(self, features: Any) -> Any:
        """Returns the features as the model takes them."""
        wanted = getattr(self.model, "inputs", None)
        if not isinstance(features, Mapping) or not wanted:
            return features
        structure = self.model.input if hasattr(self.model, "input") else wanted[0]
        if isinstance(structure, Mapping):
            names: Any = {name: name for name in structure}
        else:
            names = keras.tree.map_structure(lambda tensor: tensor.name, structure)
        flat = keras.tree.flatten(names)
        if len(flat) == 1 and len(features) == 1:
            return keras.tree.map_structure(lambda _: next(iter(features.values())), names)
        missing = [name for name in flat if name not in features]
        if missing:
            raise ValueError(
                f"The model has inputs that are not among the features: {missing}. Features that are there: "
                f"{sorted(features)}. Let input_fn name the features like the model's inputs: {flat}."
            )
        return keras.tree.map_structure(lambda name: features[name], names)

    def _by_name(self, outputs: Any) -> dict[str, Any]:
        if isinstance(outputs, Mapping):
            return dict(outputs)
        flat = keras.tree.flatten(outputs)
        names = getattr(self.model, "output_names", None)
        if names is None:
            names = [f"output_{i + 1}" for i in range(len(flat))]
        renamed = dict(renamed_layers(self.model))
        return {renamed.get(name, name): value for name, value in zip(names, flat, strict=True)}

    def _metrics(self, measured: Any, labels: Any, outputs: Any, weights: Any) -> dict[str, Any]:
        """Returns the metrics of `compile`, which have counted a batch."""
        compiled = next((metric for metric in measured.metrics if hasattr(metric, "metrics")), None)
        if compiled is None:
            return {}
        compiled.update_state(labels, outputs, sample_weight=weights)
        pairs = zip(compiled.result(), compiled.metrics, strict=True)
        return {self.metric_names.get(name, name): metric for name, metric in pairs}


class _Measured(keras.Model):
    """A model that is there for its loss and its metrics alone."""

    output_names: list[str] | None = None

    def call(self, inputs: Any) -> Any:
        """Returns the inputs."""
        return inputs


def _loss(model: Any, labels: Any, outputs: Any, weights: Any, **arguments: Any) -> Any:
    # A `compute_loss` of the user's need not know weights.
    given = {} if weights is None else {"sample_weight": weights}
    return model.compute_loss(y=labels, y_pred=outputs, **given, **arguments)


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(f"`keras_model` must be a Keras 3 model. Received: {model!r} of type {type(model).__name__}.")
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ValueError(
            "The given keras model has not been compiled yet. Please compile the model with `model.compile()` before "
            "calling `model_to_estimator()`."
        )
    if not model.built or not model.variables:
        raise ValueError(
            f"The model {model.name!r} has no variables yet. Call it on one batch, or `model.build(input_shape)`, "
            "before calling `model_to_estimator()`."
        )


def _variable(name: str, value: np.ndarray[Any, Any], *, trainable: bool, constraint: Any) -> tf.Variable:
    # Replicas see other rows, and so come to other averages; of counters and seeds all have the same.
    means = np.issubdtype(value.dtype, np.floating)
    shared = tf.VariableAggregation.MEAN if means else tf.VariableAggregation.ONLY_FIRST_REPLICA
    aggregation = tf.VariableAggregation.NONE if trainable else shared
    return tf.Variable(value, name=name, trainable=trainable, aggregation=aggregation, constraint=constraint)


def _fresh(metrics: Any) -> Any:
    """Returns metrics with state of their own; names and functions as they are."""
    if metrics is None or isinstance(metrics, str):
        return metrics
    if isinstance(metrics, keras.metrics.Metric):
        return type(metrics).from_config(metrics.get_config())
    if isinstance(metrics, Mapping):
        return {name: _fresh(value) for name, value in metrics.items()}
    return [_fresh(value) for value in metrics] if isinstance(metrics, Sequence) else metrics


def stable_names(model: Any) -> list[str]:
    """Returns a full name for each of `model.variables` that does not depend on what else the program has built."""
    renamed = dict(renamed_layers(model))
    names, taken = [], set()
    for variable in model.variables:
        parts = variable.path.removeprefix(f"{model.name}/").split("/")
        # The random states of layers are counted for the process as well.
        name = "/".join(renamed.get(part, re.sub(r"^seed_generator_\d+$", "seed_generator", part)) for part in parts)
        number, candidate = 0, name
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        names.append(candidate)
    return names


def renamed_layers(model: Any) -> Iterator[tuple[str, str]]:
    """Yields (name of a layer, its stable name) for the layers of the model, and of models in it."""
    layers = list(getattr(model, "layers", ()))
    stable = _numbered_anew([(layer.name, type(layer).__name__) for layer in layers])
    for layer, name in zip(layers, stable, strict=True):
        yield layer.name, name
        if hasattr(layer, "layers"):
            yield from renamed_layers(layer)


def _numbered_anew(names: Sequence[tuple[str, str]]) -> list[str]:
    """Returns names, given with the class of their layer, so that those which Keras made count from the first one."""
    taken: dict[str, int] = {}
    given = {name for name, kind in names if not _is_automatic(name, kind)}
    result = []
    for name, kind in names:
        if not _is_automatic(name, kind):
            result.append(name)
            continue
        base = _snake(kind)
        while True:
            number = taken.get(base, 0)
            taken[base] = number + 1
            candidate = f"{base}_{number}" if number else base
            if candidate not in given:
                break
        result.append(candidate)
    return result


def _is_automatic(name: str, kind: str) -> bool:
    return re.fullmatch(rf"{re.escape(_snake(kind))}(_\d+)?", name) is not None


def _snake(name: str) -> str:
    """Returns the name that Keras gives the first layer of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
