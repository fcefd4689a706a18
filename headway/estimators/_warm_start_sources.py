"""What a model can be warm-started from: checkpoints by name or by object, SavedModels, and .keras files."""

from __future__ import annotations

import abc
import functools
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway import _tensorflow
from headway.estimators._tensors import TensorReader

_ENDING = "/.ATTRIBUTES/VARIABLE_VALUE"


class Source(abc.ABC):
    """Values by name.

    Attributes:
      path: what was opened, for messages.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    @abc.abstractmethod
    def names(self) -> list[str]:
        """The names that there are values for."""

    @abc.abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of the value."""

    @abc.abstractmethod
    def value(self, name: str) -> np.ndarray[Any, Any]:
        """Returns the value."""


def open_source(path: str) -> Source:
    """Opens a checkpoint, a directory of checkpoints, a SavedModel directory, or a .keras file.

    Raises:
      ValueError: if there is nothing of the kind.
    """
    path = os.fspath(path)
    if path.endswith(".keras"):
        if not tf.io.gfile.exists(path):
            raise ValueError(f"There is no file to warm-start from at {path!r}.")
        return _KerasFile(path)
    return _CheckpointSource(checkpoint_path(path, " to warm-start from"))


class _CheckpointSource(Source):
    """A checkpoint. A variable of an object-based one goes by its name too, and by its path without the ending."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._reader = TensorReader(path)
        self._shapes = self._reader.get_variable_to_shape_map()
        self._keys = {name: name for name in self._shapes}
        if _tensorflow.OBJECT_GRAPH in self._shapes:
            full_names = _tensorflow.object_checkpoint_names(self._reader)
            by_path = {key.removesuffix(_ENDING): key for key in self._shapes if key.endswith(_ENDING)}
            # A name that several objects have stands for none of them.
            self._keys = {**by_path, **full_names, **{key: key for key in by_path.values()}}

    @property
    def names(self) -> list[str]:
        return [name for name in self._keys if not name.endswith(_ENDING)]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._shapes[self._keys[name]])

    def value(self, name: str) -> np.ndarray[Any, Any]:
        return np.asarray(self._reader.get_tensor(self._keys[name]))


class _KerasFile(Source):
    """A model that `keras.Model.save` wrote; its variables go by their paths, without the name of the model."""

    @functools.cached_property
    def _weights(self) -> dict[str, Any]:
        model = keras.saving.load_model(self.path, compile=False)
        return {weight.path.removeprefix(f"{model.name}/"): weight for weight in model.weights}

    @property
    def names(self) -> list[str]:
        return list(self._weights)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._weights[name].shape)

    def value(self, name: str) -> np.ndarray[Any, Any]:
        return np.asarray(self._weights[name].numpy())


def checkpoint_path(path: str, purpose: str = "") -> str:
    """Returns the path, without ending, of the checkpoint that `path` stands for.

    Args:
      path: a SavedModel directory, a directory of checkpoints (its newest one), or a checkpoint.
      purpose: what it is wanted for, for the message.

    Raises:
      ValueError: if there is none.
    """
    inside = str(tf.io.gfile.join(path, "variables", "variables"))
    if tf.io.gfile.exists(inside + ".index"):
        return inside
    if tf.io.gfile.isdir(path):
        latest = tf.train.latest_checkpoint(path)
        if latest is None:
            raise ValueError(
                f"There is no checkpoint{purpose} in {path!r}. It must be a model_dir, a SavedModel directory, or the "
                "path of a checkpoint without ending."
            )
        return str(latest)
    if not tf.io.gfile.exists(path + ".index"):
        raise ValueError(
            f"There is no checkpoint{purpose} at {path!r}. It must be the path without ending, such as "
            "'.../model.ckpt-100'."
        )
    return path
