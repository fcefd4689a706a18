"""Columns as JSON files, for programs that evaluate or serve a model long after it was trained."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib
import json
import math
import os
import uuid
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway.feature_columns import _checks, _tree
from headway.feature_columns._protocol import Definition, FeatureColumn

_FORMAT = "headway feature columns 1"


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
      columns: the structure of columns.
      definition: name and digest of each column before it was adapted; None where `save` wrote the file.
    """

    columns: Any
    definition: list[list[str]] | None


def save(columns: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes columns to a JSON file, to be read by `load`.

    The file holds everything that the columns hold, learnt vocabularies and numbers included. Functions (a
    `normalizer_fn` or `initializer`) are written as the name of their module and their own, so they must be functions
    of a module, not lambdas.

    Args:
      columns: a feature column, or a list, tuple or dict of feature columns.
      path: the file; its directory is made. Any file system of `tf.io.gfile`.
      overwrite: whether a file that holds other columns is replaced. By default it is an error: a model that was
        trained with them would silently get other ids and scales.

    Raises:
      ValueError: if there is still something to learn, a column holds what cannot be written, or the file holds other
        columns.

    Example:
      >>> import tempfile
      >>> from headway import feature_columns as fc
      >>> path = f"{tempfile.mkdtemp()}/feature_columns.json"
      >>> columns = [fc.categorical_column_with_vocabulary_list("job", ["cook", "nurse"])]
      >>> fc.save(columns, path)
      >>> fc.load(path) == columns
      True
    """
    for column in _tree.flat(columns):
        _checks.check_adapted(column)
    text = _text(columns, None)
    name = os.fspath(path)
    if not overwrite and tf.io.gfile.exists(name):
        if _encode(read(path).columns, "") == _encode(columns, ""):
            return
        raise ValueError(
            f"{name} holds other columns. A model trained with those would get other ids and scales from these: take "
            "another path, or pass `overwrite=True`."
        )
    _replace(name, text)


def load(path: str | os.PathLike[str]) -> Any:
    """Reads the columns that `save`, or `adapt` with a `path`, has written.

    Functions are imported by the names that the file holds, so read only files that you trust.

    Args:
      path: the file.

    Returns:
      The columns, in the structure that was written.

    Raises:
      ValueError: if there is no such file, it is of another kind, or a function it names is no longer there.

    Example:
      >>> import tempfile
      >>> from headway import feature_columns as fc
      >>> path = f"{tempfile.mkdtemp()}/feature_columns.json"
      >>> age = fc.numeric_column("age", normalizer_fn=fc.learned_scale())
      >>> adapted = fc.adapt({"deep": [age]}, {"age": [20.0, 40.0]}, path=path)
      >>> fc.load(path)["deep"][0].normalizer_fn.mean
      (30.0,)
    """
    return read(path).columns


def definition(columns: list[FeatureColumn]) -> list[list[str]]:
    """Returns name and digest of each column; equal in every process for columns that are defined alike."""
    texts = [json.dumps(_encode(column, column.name)) for column in columns]
    digests = [hashlib.blake2b(text.encode(), digest_size=10).hexdigest() for text in texts]
    return [[column.name, digest] for column, digest in zip(columns, digests, strict=True)]


def write(columns: Any, path: str | os.PathLike[str], definition: list[list[str]]) -> None:
    """Writes adapted columns, with what they were before."""
    _replace(os.fspath(path), _text(columns, definition))


def read(path: str | os.PathLike[str]) -> Stored:
    """Returns what the file holds.

    Raises:
      ValueError: as `load`.
    """
    name = os.fspath(path)
    try:
        with tf.io.gfile.GFile(name) as file:
            content = json.loads(file.read())
    except tf.errors.NotFoundError as error:
        raise ValueError(
            f"There is no file {name}. `fc.save(columns, path)` or `fc.adapt(columns, data, path=path)` writes it."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is no file of feature columns: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"{name} is no file of feature columns that this version reads ({_FORMAT!r}).")
    return Stored(_decode(content["columns"], name), content["definition"])


def _text(columns: Any, definition: list[list[str]] | None) -> str:
    content = {"format": _FORMAT, "definition": definition, "columns": _encode(columns, "the columns")}
    return json.dumps(content, indent=1) + "\n"


def _replace(name: str, text: str) -> None:
    folder = os.path.dirname(name)
    if folder:
        tf.io.gfile.makedirs(folder)
    # Another process sees the old file, or the whole new one.
    temporary = f"{name}.{uuid.uuid4().hex}.tmp"
    with tf.io.gfile.GFile(temporary, "w") as file:
        file.write(text)
    tf.io.gfile.rename(temporary, name, overwrite=True)


def _encode(value: Any, where: str) -> Any:
    """Returns `value` in JSON's types: tuples, the usual case, are arrays; what JSON lacks is an object."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, tuple):
        return [_encode(item, where) for item in value]
    if isinstance(value, list):
        return {"list": [_encode(item, where) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[key, _encode(item, where)] for key, item in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, tf.DType):
        return {"dtype": value.name}
    if isinstance(value, Definition) and type(value).__qualname__ in _kinds():
        inside = f"column {value.name!r}" if isinstance(value, FeatureColumn) else where
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}  # type: ignore[arg-type]
        return {"type": type(value).__qualname__, **{k: _encode(v, f"`{k}` of {inside}") for k, v in fields.items()}}
    if isinstance(value, keras.initializers.Initializer):
        return {"keras": keras.saving.serialize_keras_object(value)}
    return {"function": _function_name(value, where)}


def _function_name(value: Any, where: str) -> str:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", getattr(value, "__name__", None))
    if module is not None and name is not None:
        try:
            if _import(f"{module}:{name}") is value:
                return f"{module}:{name}"
        except (ImportError, AttributeError):
            pass
    raise ValueError(
        f"{where} cannot be written to a file: {value!r}. Functions must be those of a module, which a later program "
        "finds by name: give the lambda or inner function a name at the top of a module."
    )


def _import(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _decode(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, name) for item in value)
    if not isinstance(value, dict):
        return value
    if "type" in value:
        kind = _kinds().get(value["type"])
        if kind is None:
            raise ValueError(f"{name} holds a column of the kind {value['type']!r}, which this version does not have.")
        return kind(**{key: _decode(item, name) for key, item in value.items() if key != "type"})
    ((tag, content),) = value.items()
    if tag == "function":
        try:
            return _import(content)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{name} names the function {content!r}, which is not there: {error}") from error
    if tag == "list":
        return [_decode(item, name) for item in content]
    if tag == "dict":
        return {key: _decode(item, name) for key, item in content}
    readers: dict[str, Callable[[Any], Any]] = {
        "bytes": base64.b64decode,
        "dtype": tf.as_dtype,
        "float": float,
        "keras": keras.saving.deserialize_keras_object,
    }
    return readers[tag](content)


def _kinds() -> dict[str, Any]:
    """Returns the classes that columns are made of, by name."""
    found: dict[str, Any] = {}
    waiting: list[Any] = [Definition]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__.startswith("headway.") and dataclasses.is_dataclass(kind):
            found.setdefault(getattr(kind, "__qualname__", ""), kind)
    return found
