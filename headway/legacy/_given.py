"""What headway gives for names that TensorFlow has dropped: one table, for those who install it and those who ask.

A target is "module" for all names of a module, or "module:name". Nothing here imports TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.util
import types
from collections.abc import Mapping
from typing import Any

EXTRA = "headway[legacy]"
_NO_KERAS_2 = (
    "{name} needs Keras 2, which TensorFlow has put into a package of its own, tf_keras: pip install '{extra}'."
)
KERAS_2 = "tf_keras"

FACES = {"tf.estimator": "headway.tf_estimator", "tf.compat.v1.estimator": "headway.tf_estimator.v1"}
_GONE = "headway.tf_estimator._gone"
FACE_FOLDERS = ("experimental", "export", "inputs", "tpu", "tpu.experimental")

# The functional and class layers of TensorFlow 1 and the cells of its recurrent networks are Keras 2's own.
_V1_OF_KERAS_2 = f"{KERAS_2} (v1) "
V1_MODULES = {"layers": f"{_V1_OF_KERAS_2}layers", "nn.rnn_cell": f"{_V1_OF_KERAS_2}rnn_cell"}

_OPTIMIZERS = "headway.legacy._keras_2_optimizers"

# Modules below tf.keras -> all that stands in for them, or name by name.
KERAS_MODULES: dict[str, str | dict[str, str]] = {
    "estimator": {"model_to_estimator": "headway.legacy._keras_2:model_to_estimator"},
    "experimental": {
        "CosineDecay": "keras.optimizers.schedules:CosineDecay",
        "CosineDecayRestarts": "keras.optimizers.schedules:CosineDecayRestarts",
        "SequenceFeatures": "headway.feature_columns:SequenceFeatures",
    },
    "layers.experimental": {"EinsumDense": "keras.layers:EinsumDense"},
    "layers.experimental.preprocessing": "keras.layers",
    "optimizers.experimental": "keras.optimizers",
    "optimizers.legacy": _OPTIMIZERS,
}
_FUNCTIONS = (
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
)
# Single names in modules below tf.keras that are there still.
KERAS_NAMES: dict[str, dict[str, str]] = {
    "layers": {"DenseFeatures": "headway.feature_columns:DenseFeatures"},
    "losses": {name: f"keras.losses:{name}" for name in _FUNCTIONS},
    "metrics": {name: f"keras.metrics:{name}" for name in _FUNCTIONS},
}


def has_keras_2() -> bool:
    """Returns whether Keras 2 is installed."""
    return importlib.util.find_spec(KERAS_2) is not None


def require_keras_2(name: str) -> None:
    """Raises an ImportError if Keras 2, which `name` is part of, is not installed."""
    if not has_keras_2():
        raise ImportError(_NO_KERAS_2.format(name=name, extra=EXTRA))


def needs_keras_2(target: str) -> bool:
    """Returns whether a target is part of Keras 2."""
    return target == _OPTIMIZERS or target.startswith(_V1_OF_KERAS_2)


def load(target: str, name: str) -> Any:
    """Returns what a target stands for.

    Args:
      target: "module" or "module:name".
      name: what a program calls it, for the error message.

    Raises:
      ImportError: if it is part of Keras 2, and that is not installed.
    """
    module, _, attribute = target.partition(":")
    if needs_keras_2(module):
        require_keras_2(name)
    if module.startswith(_V1_OF_KERAS_2):
        from headway import _tensorflow_v1  # TensorFlow is loaded where a program needs it

        return _tensorflow_v1.keras_2_of_v1(module.removeprefix(_V1_OF_KERAS_2))
    found: Any = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def member(source: str | Mapping[str, str], module: str, name: str) -> Any:
    """Returns the name of a module that `source`, an entry of a table above, stands for.

    Raises:
      AttributeError: if it has no such name.
      ImportError: if it is part of Keras 2, and that is not installed.
    """
    if isinstance(source, str):
        return getattr(load(source, f"{module}.{name}"), name)
    if name not in source:
        raise AttributeError(f"headway has nothing for {module}.{name}. Of this module it has: {', '.join(source)}.")
    return load(source[name], f"{module}.{name}")


def names(source: str | Mapping[str, str], module: str) -> list[str]:
    """Returns the public names of a module that `source` stands for; none where Keras 2 is missing."""
    if not isinstance(source, str):
        return list(source)
    if needs_keras_2(source) and not has_keras_2():
        return []
    return public_names(load(source, module))


def public_names(module: types.ModuleType) -> list[str]:
    """Returns the names that a module shows."""
    return [name for name in getattr(module, "__all__", dir(module)) if not name.startswith("_")]


def why_not(module: Any, name: str) -> str:
    """Returns what is to be used in the place of a name of tf.estimator that is there and can never work, else ""."""
    found = module
    for part in name.split(".") if name else ():
        found = getattr(found, part, None)
    return str(found.__doc__) if getattr(found, "__module__", "") == _GONE else ""


def face(path: str, folder: str = "") -> Any:
    """Returns the module of headway that stands for tf.estimator, or one of the folders in it.

    Args:
      path: "tf.estimator" or "tf.compat.v1.estimator".
      folder: one of `FACE_FOLDERS`, or "" for the whole.
    """
    found = importlib.import_module(FACES[path])
    for part in folder.split(".") if folder else ():
        found = getattr(found, part)
    return found
