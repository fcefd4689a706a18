"""`model_to_estimator` for a model of Keras 2 (the package tf_keras)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from headway import _context, _keras_2, _tensorflow_v1
from headway._optimize import minimize
from headway._spec import EstimatorSpec, ModeKeys


def check_model(model: Any) -> None:
    """Raises an error if a model of Keras 2 is not compiled, not built, or cannot be made again."""
    if not getattr(model, "optimizer", None):
        raise ValueError(
            "The given keras model has not been compiled yet. Please compile the model with `model.compile()` before "
            "calling `model_to_estimator()`."
        )
    if not model.built or not model.variables:
        raise ValueError(
            f"The model {model.name!r} has no variables yet. Call it on one batch, or `model.build(input_shape)`, "
            "before calling `model_to_estimator()`."
        )
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"The Keras 2 model {model.name!r} is a subclassed one, which cannot be made again in a model_fn. Write it "
            "as a functional or sequential model with an input shape, or as one of Keras 3."
        )


@dataclasses.dataclass(frozen=True)
class Keras2Model:
    """A compiled model of Keras 2, made again by each call of its `model_fn`.

    Attributes:
      model: the model.
      layers: name of a layer -> a name that does not depend on what else the program has built.
      metric_names: see `model_to_estimator`.
      export_outputs: see `model_to_estimator`.
    """

    model: Any
    layers: Mapping[str, str]
    metric_names: Mapping[str, str]
    export_outputs: Mapping[str, Any] | None

    def __post_init__(self) -> None:
        """Checks that the optimizer has a counterpart, before anything is trained."""
        _keras_2.modern(self.model.optimizer)

    def model_fn(self, features: Any, labels: Any, mode: str) -> EstimatorSpec:
        """See `Estimator`."""
        with self._from_values():
            model = _keras_2.cloned(self.model)
        outputs = model(self._inputs(features), training=mode == ModeKeys.TRAIN)
        predictions = self._by_name(outputs)
        if mode == ModeKeys.PREDICT:
            return EstimatorSpec(mode, predictions, export_outputs=self.export_outputs)
        losses, metrics = _tensorflow_v1.keras_2_measures(self.model)
        loss = _tensorflow_v1.keras_2_loss(losses, labels, outputs, model.losses)
        if mode == ModeKeys.EVAL:
            metrics.update_state(labels, outputs)
            by_name = {self.metric_names.get(metric.name, metric.name): metric for metric in metrics.metrics}
            # Keras divides by the number of replicas, whose losses it adds up.
            return EstimatorSpec(mode, predictions, loss * _context.num_replicas(), eval_metric_ops=by_name)
        context = _context.current()
        if context is not None:
            context.loss_is_share = True
        return EstimatorSpec(mode, predictions, loss, minimize(self.model.optimizer, loss, model.trainable_variables))

    @contextlib.contextmanager
    def _from_values(self) -> Iterator[None]:
        """Gives variables that are made inside stable names, and the values of those of the model to begin with."""
        base = tf.get_current_name_scope()
        values = {variable.name.partition(":")[0]: variable for variable in self.model.variables}

        def creator(next_creator: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
            scope = tf.get_current_name_scope().removeprefix(base).strip("/")
            path = f"{scope}/{arguments['name']}".strip("/")
            if path not in values:
                raise ValueError(
                    f"The Keras 2 model {self.model.name!r} makes a variable {path!r} when it is made again, which it "
                    f"does not have now. Its variables: {sorted(values)}. Write the model as one of Keras 3."
                )
            parts = [self.layers.get(part, part) for part in path.split("/")]
            arguments |= {"name": parts[-1], "initial_value": values[path].numpy(), "shape": None}
            with tf.name_scope("/".join([*([base] if base else []), *parts[:-1]]) + "/"):
                return next_creator(**arguments)

        with tf.variable_creator_scope(creator):
            yield

    def _inputs(self, features: Any) -> Any:
        """Returns the features as the model takes them."""
        names = list(self.model.input_names)
        if not isinstance(features, Mapping):
            return features
        if len(names) == 1 and len(features) == 1:
            return next(iter(features.values()))
        missing = [name for name in names if name not in features]
        if missing:
            raise ValueError(
                f"The model has inputs that are not among the features: {missing}. Features that are there: "
                f"{sorted(features)}. Let input_fn name the features like the model's inputs: {names}."
            )
        return {name: features[name] for name in names}

    def _by_name(self, outputs: Any) -> dict[str, Any]:
        if isinstance(outputs, Mapping):
            return dict(outputs)
        names = [self.layers.get(name, name) for name in self.model.output_names]
        return dict(zip(names, tf.nest.flatten(outputs), strict=True))
