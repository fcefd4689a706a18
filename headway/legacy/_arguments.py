"""Whether a function of TensorFlow still takes an argument by its name, and what to write if not."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from typing import Any

import keras
import tensorflow as tf

from headway import _backend as _backend
from headway.legacy import _bilingual, _given, _symbols
from headway.legacy._report import EDIT, RUN_AS_TF1
from headway.legacy._symbols import Verdict

_V1 = "tf.compat.v1."
_LEAVE_OUT = ""

# The argument of TensorFlow 1 -> what stands for it now; for all functions that have no entry of their own below.
_NOW = {
    "arg_types": _LEAVE_OUT,
    "arg_values": _LEAVE_OUT,
    "batch_dim": "batch_axis=",
    "box_ind": "box_indices=",
    "bytes": "input_bytes=",
    "colocate_gradients_with_ops": _LEAVE_OUT,
    "collections": _LEAVE_OUT,
    "concat_dim": "axis=",
    "data": _LEAVE_OUT,
    "default_name": "name=",
    "device_name_or_function": "device_name=",
    "dilation_rate": "dilations=",
    "dim": "axis=",
    "dimension": "axis=",
    "filter": "filters=",
    "family": _LEAVE_OUT,
    "fn1": "true_fn=",
    "fn2": "false_fn=",
    "input_tensor": "input=",
    "keep_dims": "keepdims=",
    "keep_prob": "rate=1 - keep_prob",
    "m": "mean=",
    "msg": "message=",
    "optimize": _LEAVE_OUT,
    "partition_strategy": _LEAVE_OUT,
    "preferred_dtype": "dtype_hint=",
    "rate": "dilations=",
    "rates": "dilations=",
    "reduction_axes": "axis=",
    "reduction_indices": "axis=",
    "seed2": _LEAVE_OUT,
    "seq_dim": "seq_axis=",
    "split_dim": "axis=",
    "squeeze_dims": "axis=",
    "strict": _LEAVE_OUT,
    "summarize": _LEAVE_OUT,
    "t": "x=",
    "use_cudnn_on_gpu": _LEAVE_OUT,
    "v": "variance=",
    "validate_indices": _LEAVE_OUT,
    "value": "input=",
    "values": _LEAVE_OUT,
    "verify_shape": _LEAVE_OUT,
}
# (function, argument) -> likewise. The optimizers are Keras's.
_NOW_OF = {
    ("tf.nn.ctc_loss", "inputs"): "logits=",
    ("tf.nn.ctc_loss", "sequence_length"): "logit_length=",
    ("tf.nn.ctc_loss", "time_major"): "logits_time_major=",
    ("tf.nn.erosion2d", "kernel"): "filters=",
    ("tf.nn.sufficient_statistics", "keep_dims"): "keepdims=",
    ("tf.nn.weighted_cross_entropy_with_logits", "targets"): "labels=",
    ("tf.sparse.add", "thresh"): "threshold=",
    ("tf.strings.split", "source"): "input=",
    ("tf.strings.to_hash_bucket", "string_tensor"): "input=",
    ("tf.strings.to_number", "string_tensor"): "input=",
    ("tf.zeros_like", "tensor"): "input=",
    ("tf.ones_like", "tensor"): "input=",
    **{(f"tf.summary.{kind}", "tensor"): "data=" for kind in ("audio", "image", "scalar", "text")},
    ("tf.summary.histogram", "values"): "data=",
}
# By position these are the same: the argument of TensorFlow 1, and today's.
_RENAMED = {("labels", "y_true"), ("predictions", "y_pred"), ("t", "input")}
_OPTIMIZERS = ("tf.keras.optimizers.", "tf.optimizers.", "keras.optimizers.")
_OF_OPTIMIZERS = {
    "lr": "learning_rate=",
    "decay": "a schedule of tf.keras.optimizers.schedules as learning_rate=",
}


@functools.cache
def verdict_on(name: str, argument: str) -> Verdict | None:
    """Returns what to do about an argument of a function; None where it takes it, or is not there at all.

    Args:
      name: the function, as `headway.legacy._uses.canonical` writes it.
      argument: the argument's name.
    """
    symbol = f"{name}({argument}=)"
    if name.startswith(_OPTIMIZERS) and argument in _OF_OPTIMIZERS and name.rpartition(".")[2][:1].isupper():
        if any(part in name for part in (".legacy.", ".schedules.")):
            return None
        return Verdict(symbol, EDIT, f"write {_OF_OPTIMIZERS[argument]}")
    if _takes(_found(name), argument) is not False:
        return None
    old = name if name.startswith(_V1) else f"{_V1}{name.removeprefix('tf.')}"
    known = name != old and _takes(_found(old), argument) is True
    now = _NOW_OF.get((name, argument), _NOW.get(argument)) if known else None
    writes = [] if now is None else [f"write {now}" if now else "leave it out"]
    if not known:
        return Verdict(symbol, EDIT, f"leave it out: {name} of TensorFlow {_symbols.VERSION} has no such argument")
    if _bilingual.means_v1(name) or name.startswith("tf.estimator."):
        text = ", or ".join([f"works under `{RUN_AS_TF1}`", *writes, f"write {old}"][:3])
        return Verdict(symbol, RUN_AS_TF1, text)
    return Verdict(symbol, EDIT, ", or ".join([*writes, f"write {old}"]))


@functools.cache
def verdict_on_place(name: str, position: int) -> Verdict | None:
    """Returns what to do about an argument that a program of TensorFlow 1 gives by its position.

    Args:
      name: the function, as `headway.legacy._uses.canonical` writes it.
      position: that of the argument, from 0.

    Returns:
      None where the function takes the same there as in TensorFlow 1, or is not known in both.
    """
    if not name.startswith("tf.") or name.startswith(_V1) or not _bilingual.means_v1(name):
        return None
    old = f"{_V1}{name.removeprefix('tf.')}"
    before, now = _in_order(_found(old)), _in_order(_found(name))
    if not now or position >= len(before):
        return None
    argument, taken = before[position], now[position] if position < len(now) else None
    renamed = _NOW_OF.get((name, argument), _NOW.get(argument))
    if argument == taken or renamed == f"{taken}=" or (argument, taken) in _RENAMED:
        return None
    what = f"today it is {taken}" if taken else "today there is none"
    meant = f"argument {position + 1} is {argument} in TensorFlow 1, and {what}"
    return Verdict(f"{name}({argument})", RUN_AS_TF1, f"{meant}: works under `{RUN_AS_TF1}`, or write {old}")


def _in_order(function: Any) -> list[str]:
    """Returns the names of the arguments that a function takes by position; none if its signature does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return []
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in by_position]


def _found(name: str) -> Any:
    """Returns the object of that name, in TensorFlow or in what headway has of tf.estimator; None if there is none."""
    for path in _given.FACES:
        if name.startswith(f"{path}."):
            return _member(_given.face(path), name.removeprefix(f"{path}."))
    root, _, inner = name.partition(".")
    module, _, function = inner.rpartition(".")
    given = _given.KERAS_NAMES.get(module.removeprefix("keras."), {})
    if root == "tf" and function in given:
        return _given.load(given[function], name)
    if root not in ("tf", "keras"):
        return None
    return _member(tf if root == "tf" else importlib.import_module(root), inner)


def _member(found: Any, inner: str) -> Any:
    for part in inner.split("."):
        try:
            found = getattr(found, part)
        except (AttributeError, ImportError):
            return None
    return found


def _takes(function: Any, argument: str) -> bool | None:
    """Returns whether a function takes an argument of that name; None if its signature does not tell."""
    if not callable(function):
        return None
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    if argument in parameters:
        return parameters[argument].kind is not inspect.Parameter.POSITIONAL_ONLY
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return argument in _of_layer(function) if _is_layer(function) else None
    return False


def _is_layer(function: Any) -> bool:
    return isinstance(function, type) and issubclass(function, keras.layers.Layer)


@functools.cache
def _of_layer(layer: type) -> frozenset[str]:
    """Returns the arguments that a layer of Keras takes, those among them that its classes hand on to each other."""
    found: set[str] = set()
    for kind in layer.__mro__:
        if "__init__" in vars(kind) and kind is not object:
            found |= set(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]
            found |= set(re.findall(r"kwargs\.(?:pop|get)\(\s*[\"'](\w+)[\"']", inspect.getsource(kind.__init__)))  # type: ignore[misc]
    return frozenset(found)
