"""A ready-made model as a Keras model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway import _tensorflow
from headway.estimators._checkpoints import CheckpointError

Predict = Callable[[Mapping[str, Any]], Mapping[str, tf.Tensor]]


class CannedKerasModel(keras.Model):
    """Computes what a ready-made estimator predicts, from weights of its own; in `fit` too, without dropout.

    Args:
      predict: function of raw features to predictions by name. It asks for its variables with `tf.Variable`.
      example: a batch of features, as specs by name.
      checkpoint: reader of the checkpoint with the values. What is not there, such as the seeds of dropout, keeps its
        initial value.
      name: name of the model.

    Call arguments:
      features: dict of raw features.

    Output:
      Dict of the predictions, `[B, ...]` each.
    """

    def __init__(
        self,
        predict: Predict,
        example: Mapping[str, Any],
        checkpoint: Any,
        name: str,
    ) -> None:
        # Features keep their own types: the columns convert them.
        super().__init__(name=name, dtype="float32", autocast=False)
        self._predictions = predict
        self._by_name: dict[str, keras.Variable] = {}
        self._checkpoint = checkpoint
        tf.function(self.call, autograph=False).get_concrete_function(dict(example))
        # Keras and TensorFlow track variables in lists.
        self.held = list(self._by_name.values())
        self.built = True

    def call(self, features: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Returns the predictions for a batch of raw features."""
        with self._variables():
            return dict(self._predictions(features))

    @contextlib.contextmanager
    def _variables(self) -> Iterator[None]:
        def creator(next_creator: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
            del next_creator
            name = _full_name(kwargs)
            if name not in self._by_name:
                self._by_name[name] = _tensorflow.outside_graphs(lambda: self._made(name, kwargs))
            return self._by_name[name].value

        with _tensorflow.fresh_keras_names(), tf.variable_creator_scope(creator):
            yield

    def _made(self, name: str, kwargs: Mapping[str, Any]) -> keras.Variable:
        *scopes, leaf = name.split("/")
        with contextlib.ExitStack() as opened:
            for scope in scopes:
                opened.enter_context(keras.name_scope(scope))
            initial = kwargs["initial_value"]
            start = initial() if callable(initial) else initial
            value = np.asarray(start)
            if self._checkpoint.has_tensor(name):
                value = np.asarray(self._checkpoint.get_tensor(name))
            elif not name.endswith("seed_generator_state"):
                raise CheckpointError(
                    f"The checkpoint has no variable {name!r}, which the model has: it is that of another model, or of "
                    "other columns. Give the estimator the arguments that it was trained with."
                )
            if value.shape != np.shape(start):
                raise CheckpointError(
                    f"The variable {name!r} has shape {value.shape} in the checkpoint and {np.shape(start)} in the "
                    "model. Give the estimator the arguments that it was trained with."
                )
            return keras.Variable(
                value, dtype=value.dtype.name, trainable=bool(kwargs.get("trainable", True)), name=leaf, autocast=False
            )


def _full_name(kwargs: Mapping[str, Any]) -> str:
    scope = _tensorflow.keras_scope()
    name = str(kwargs.get("name") or "Variable")
    return name if scope is None else f"{scope[0]}/{name}"
