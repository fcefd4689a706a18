"""Short names for definitions of columns.

The host part and the device part find each other's tensors by these names, so two columns have one digest exactly
where they compute the same. Functions are compared by their code and what they close over, because a `model_fn` may
define its columns anew at each call.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def digest(value: object) -> str:
    """Returns ten hexadecimal digits for a column or any other definition.

    >>> digest((1, "a")) == digest((1, "a")), digest((1, "a")) == digest((1, b"a"))
    (True, False)
    """
    return hashlib.blake2b(_canonical(value).encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()


def _canonical(value: object, within: tuple[types.FunctionType, ...] = ()) -> str:
    """Returns a text that is the same for the same definition; `within` are the functions whose closures lead here."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, tf.DType):
        return f"dtype:{value.name}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"array:{value.dtype}{value.shape}{hashlib.blake2b(value.tobytes()).hexdigest()}"
    if isinstance(value, list | tuple):
        return f"({','.join(_canonical(item, within) for item in value)})"
    if isinstance(value, Mapping):
        items = (f"{_canonical(key, within)}={_canonical(item, within)}" for key, item in value.items())
        return f"{{{','.join(items)}}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # What takes no part in comparisons does not tell definitions apart.
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.compare}
        return f"{_qualified_name(type(value))}{_canonical(fields, within)}"
    if isinstance(value, functools.partial):
        return f"partial{_canonical((value.func, value.args, value.keywords), within)}"
    if isinstance(value, types.MethodType):
        return f"method({_canonical(value.__func__, within)},{id(value.__self__)})"
    if isinstance(value, types.FunctionType):
        return _canonical_function(value, within)
    if isinstance(value, type | types.BuiltinFunctionType | types.ModuleType):
        return _qualified_name(value)
    return f"{_qualified_name(type(value))}@{id(value)}"


def _canonical_function(function: types.FunctionType, within: tuple[types.FunctionType, ...]) -> str:
    name = _qualified_name(function)
    if function in within:
        return name
    text = f"{name}<{_canonical_code(function.__code__)}>"
    if getattr(sys.modules.get(function.__module__), function.__qualname__, None) is function:
        # A function of a module: its name and code say enough, and what decorators close over may be large.
        return text
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return text + _canonical((cells, function.__defaults__, function.__kwdefaults__), (*within, function))


def _canonical_code(code: types.CodeType) -> str:
    constants = [_canonical_code(c) if isinstance(c, types.CodeType) else _canonical(c) for c in code.co_consts]
    return f"{code.co_code.hex()}{code.co_names}{code.co_varnames}[{','.join(constants)}]"


def _qualified_name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', getattr(value, '__name__', ''))}"
