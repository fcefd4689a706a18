"""What a model can be warm-started from: checkpoints by name or by object, SavedModels, and files of Keras."""

from __future__ import annotations

import abc
import functools
import importlib
import json
import os
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from headway import _tensorflow
from headway.estimators._tensors import TensorReader

OBJECT_ENDING = "/.ATTRIBUTES/VARIABLE_VALUE"
_IN_SAVED_MODEL = "/variables/variables"


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

    def others(self, used: set[str]) -> list[str]:
        """Returns the names of all values but those of the names in `used`, sorted, one for each value."""
        return sorted(set(self.names) - used)


def open_source(path: str) -> Source:
    """Opens a checkpoint, a directory of checkpoints, a SavedModel directory, or a .keras or .h5 file.

    Raises:
      ValueError: if there is nothing of the kind.
      ImportError: for a .keras file of Keras 2, if that is not installed.
    """
    path = os.fspath(path)
    files: dict[str, Callable[[str], Source]] = {".keras": _KerasFile, ".h5": _Hdf5File, ".hdf5": _Hdf5File}
    kind = files.get(os.path.splitext(path)[1])
    if kind is None:
        return _CheckpointSource(checkpoint_path(path, " to warm-start from"))
    if not tf.io.gfile.exists(path):
        raise ValueError(f"There is no file to warm-start from at {path!r}.")
    return kind(path)


class _CheckpointSource(Source):
    """A checkpoint. A variable of an object-based one goes by its name too, and by its path without the ending."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._reader = TensorReader(path)
        self._shapes = self._reader.get_variable_to_shape_map()
        self._keys = {name: name for name in self._shapes}
        if _tensorflow.OBJECT_GRAPH in self._shapes:
            full_names = _tensorflow.object_checkpoint_names(self._reader)
            folder = path.removesuffix(_IN_SAVED_MODEL)
            if not full_names and folder != path:
                full_names = _tensorflow.saved_model_names(folder)
            by_path = {key.removesuffix(OBJECT_ENDING): key for key in self._shapes if key.endswith(OBJECT_ENDING)}
            # A name that several objects have stands for none of them.
            self._keys = {**by_path, **full_names, **{key: key for key in by_path.values()}}

    @property
    def names(self) -> list[str]:
        return [name for name in self._keys if not name.endswith(OBJECT_ENDING)]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._shapes[self._keys[name]])

    def value(self, name: str) -> np.ndarray[Any, Any]:
        return np.asarray(self._reader.get_tensor(self._keys[name]))

    def others(self, used: set[str]) -> list[str]:
        keys = {self._keys[name] for name in used}
        # Names come behind paths, and are told rather than these.
        shown = {self._keys[name]: name for name in self.names}
        return sorted(name for key, name in shown.items() if key not in keys and key != _tensorflow.OBJECT_GRAPH)


class _LoadedSource(Source):
    """A file that is read as a whole."""

    @property
    @abc.abstractmethod
    def _weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """The values by name."""

    @property
    def names(self) -> list[str]:
        return list(self._weights)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._weights[name].shape)

    def value(self, name: str) -> np.ndarray[Any, Any]:
        return self._weights[name]


class _KerasFile(_LoadedSource):
    """A model that `Model.save` of Keras 3 or 2 wrote; its variables go by their paths, without the model's name."""

    @functools.cached_property
    def _weights(self) -> dict[str, np.ndarray[Any, Any]]:
        if self._written_by().startswith("2."):
            # In Keras 2 names begin with the layer's.
            model = self._keras_2().saving.load_model(self.path, compile=False)
            return {weight.name.removesuffix(":0"): np.asarray(weight.numpy()) for weight in model.weights}
        model = keras.saving.load_model(self.path, compile=False)
        return {weight.path.removeprefix(f"{model.name}/"): np.asarray(weight.numpy()) for weight in model.weights}

    def _written_by(self) -> str:
        with tf.io.gfile.GFile(self.path, "rb") as file, zipfile.ZipFile(file) as parts:
            return str(json.loads(parts.read("metadata.json")).get("keras_version", ""))

    def _keras_2(self) -> Any:
        try:
            return importlib.import_module("tf_keras")
        except ImportError as error:
            raise ImportError(
                f"{self.path!r} was written by Keras {self._written_by()}, which TensorFlow has put into a package of "
                "its own, tf_keras: pip install 'headway[legacy]'. Or save the weights there with "
                "`model.save_weights('weights.h5')`, and warm-start from that file."
            ) from error


class _Hdf5File(_LoadedSource):
    """Weights in HDF5: by the names that the file has for them, without the model's, else by their places in it.

    What Keras saves as `.weights.h5` has no names: the kernel of the first Dense layer is `layers/dense/vars/0`.
    """

    @functools.cached_property
    def _weights(self) -> dict[str, np.ndarray[Any, Any]]:
        found: dict[str, np.ndarray[Any, Any]] = {}
        with tf.io.gfile.GFile(self.path, "rb") as raw, h5py.File(raw, "r") as file:
            layers = file.get("model_weights", file)
            if "layer_names" not in layers.attrs:
                file.visititems(lambda name, item: _keep(found, name, item))
                return found
            config = json.loads(file.attrs.get("model_config", "{}")).get("config", {})
            prefix = f"{config.get('name')}/" if isinstance(config, dict) else ""
            for layer in layers.attrs["layer_names"]:
                for name in layers[layer].attrs["weight_names"]:
                    own = str(name).removeprefix(prefix).removesuffix(":0")
                    found[own] = np.asarray(layers[layer][name])
        return found


def _keep(found: dict[str, np.ndarray[Any, Any]], name: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset):
        found[name] = np.asarray(item)


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
            exported = [name.rstrip("/") for name in tf.io.gfile.listdir(path)]
            exported = [name for name in exported if tf.io.gfile.exists(tf.io.gfile.join(path, name, "variables"))]
            inside = f" It holds the SavedModels {sorted(exported)}: give one of them." if exported else ""
            raise ValueError(
                f"There is no checkpoint{purpose} in {path!r}. It must be a model_dir, a SavedModel directory, or the "
                f"path of a checkpoint without ending.{inside}"
            )
        return str(latest)
    if not tf.io.gfile.exists(path + ".index"):
        raise ValueError(
            f"There is no checkpoint{purpose} at {path!r}. It must be the path without ending, such as "
            "'.../model.ckpt-100'."
        )
    return path
