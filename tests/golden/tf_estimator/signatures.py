"""Describes the public names of a module: the same for tf.estimator and for headway.tf_estimator.

A description maps "experimental.KMeans" to what it is: a module, a function with its parameters, a class with those of
its constructor and its public members, or a constant with its value.
"""

from __future__ import annotations

import enum
import inspect
import types
from typing import Any


def described(module: types.ModuleType, prefix: str = "") -> dict[str, Any]:
    """Returns the description of every public name of a module and of the modules in it."""
    found: dict[str, Any] = {}
    for name in sorted(getattr(module, "__all__", None) or vars(module)):
        value = getattr(module, name)
        if name.startswith("_"):
            continue
        path = f"{prefix}{name}"
        if isinstance(value, types.ModuleType):
            found[path] = {"kind": "module"}
            found |= described(value, f"{path}.")
        else:
            found[path] = described_value(value)
    return found


def described_value(value: Any) -> dict[str, Any]:
    """Returns the description of one name."""
    if inspect.isclass(value):
        members = {name: _member(value, name) for name in dir(value) if not name.startswith("_")}
        # What every tuple or exception has belongs to no API.
        members = {
            name: member
            for name, member in members.items()
            if not hasattr(tuple, name) and not hasattr(Exception, name)
        }
        return {"kind": "class", "parameters": parameters(value), "members": members}
    if callable(value):
        return {"kind": "function", "parameters": parameters(value)}
    return {"kind": "constant", "value": _shown(value)}


def parameters(function: Any) -> list[list[Any]]:
    """Returns [name, kind, default] of each parameter; the default is None where there is none, else its text."""
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:  # pragma: no cover - builtins without a signature
        return []
    kinds = {"POSITIONAL_OR_KEYWORD": "", "KEYWORD_ONLY": "keyword", "VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    return [
        [p.name, kinds.get(p.kind.name, p.kind.name), None if p.default is p.empty else _shown(p.default)]
        for p in found
        if p.name != "self"
    ]


def _member(owner: type, name: str) -> Any:
    value = inspect.getattr_static(owner, name)
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if inspect.isfunction(value):
        return parameters(value)
    if isinstance(value, (int, float, str)):
        return _shown(value)
    return "property"


def _shown(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return repr(value.value)
    if isinstance(value, types.FunctionType):
        return f"<{value.__name__.lstrip('_')}>"
    if hasattr(value, "as_numpy_dtype"):
        return str(value.name)
    if value is None or isinstance(value, (bool, int, float, str, tuple, list, dict)):
        return repr(value)
    return "<object>"
