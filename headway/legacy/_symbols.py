"""Whether a name of TensorFlow or Keras is still there, and what headway has for it if not."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import logging
import re
import types
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from headway import _backend as _backend
from headway import _tensorflow_v1
from headway.legacy import _contrib, _given, _private
from headway.legacy._report import EDIT, NOTHING, RUN, RUN_AS_TF1, RUN_WITH_KERAS_2
from headway.legacy._uses import DIMENSION, ITERATIONS, UPDATES

VERSION: str = tf.__version__
_V1 = "tf.compat.v1."
_KERAS_2 = "which is installed" if _given.has_keras_2() else f"pip install '{_given.EXTRA}'"
_WITH_EXTRA = f"works under `{RUN}`, by way of Keras 2 ({_KERAS_2})"
_WORKS = f"works under `{RUN}`"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is known of a name that TensorFlow has dropped.

    Attributes:
      symbol: the name, without attributes of the object that it stands for.
      kind: as in `Finding`.
      advice: as in `Finding`.
    """

    symbol: str
    kind: str
    advice: str


_OLD_OPTIMIZER = f"take an optimizer of tf.keras.optimizers.legacy (works under `{RUN}`), or write headway.minimize"
# What no name tells of -> what to write.
_WITHOUT_A_NAME = {
    DIMENSION: "write tf.compat.dimension_value(x.shape[i]): the size of an axis is a number",
    ITERATIONS: f"{_OLD_OPTIMIZER}, which counts the global step by itself",
    UPDATES: f"{_OLD_OPTIMIZER}(optimizer, loss, variables)",
}


@functools.cache
def exists(name: str) -> bool:
    """Returns whether a name is there, in TensorFlow or under `headway run`."""
    verdict = verdict_on(name)
    return verdict is None or verdict.kind == RUN


@functools.cache
def verdict_on(name: str) -> Verdict | None:
    """Returns what headway has for a name; None where TensorFlow or Keras has it still.

    Args:
      name: as `headway.legacy._uses.canonical` writes it.
    """
    if name in _WITHOUT_A_NAME:
        return Verdict(name, EDIT, _WITHOUT_A_NAME[name])
    with _quiet():
        for judge in (_estimator, _package, _v1_module, _contribution, _keras):
            verdict = judge(name)
            if verdict is not None:
                return verdict
        return None if _found(name) else _elsewhere(name)


def _estimator(name: str) -> Verdict | None:
    for path in ("tensorflow_estimator.estimator", *_given.FACES):
        if _is_in(name, path):
            face = _given.face(path if path in _given.FACES else "tf.compat.v1.estimator")
            inner = name.removeprefix(path).strip(".")
            v1 = _given.face("tf.compat.v1.estimator")
            if path == "tf.estimator" and _walk(face, inner) is None and _walk(v1, inner) is not None:
                old = f"tf.compat.v1.estimator.{inner}"
                return Verdict(name, RUN_AS_TF1, f"works under `{RUN_AS_TF1}`, or write {old} (works under `{RUN}`)")
            verdict = _given_or_not(name, path, _walk(face, inner))
            why = _given.why_not(face, verdict.symbol.removeprefix(path).strip("."))
            return Verdict(verdict.symbol, NOTHING, why) if why else verdict
    return None


def _package(name: str) -> Verdict | None:
    if not _is_in(name, "tensorflow_estimator"):
        return None
    inner = name.removeprefix(_private.PACKAGE).strip(".")
    for path in sorted(_private.MODULES, key=len, reverse=True):
        if path and _is_in(inner, path):
            attribute = inner.removeprefix(path).strip(".").partition(".")[0]
            known = not attribute or attribute in _private.MODULES[path].split()
            symbol = f"{_private.PACKAGE}.{path}.{attribute}".rstrip(".")
            return Verdict(symbol, RUN, _WORKS) if known else _nothing(symbol)
    is_around = inner == "" or _private.PACKAGE.startswith(f"{name}.")
    return Verdict(name, RUN, _WORKS) if is_around else _nothing(name)


def _v1_module(name: str) -> Verdict | None:
    for path, target in _given.V1_MODULES.items():
        whole = f"{_V1}{path}"
        if _is_in(name, whole):
            if not _given.has_keras_2():
                return Verdict(name, RUN, _WITH_EXTRA)
            found = _walk(_given.load(target, whole), name.removeprefix(whole).strip("."))
            return _given_or_not(name, whole, found, _WITH_EXTRA)
    return None


def _contribution(name: str) -> Verdict | None:
    for path in ("tf.contrib", "tf.compat.v1.contrib"):
        if _is_in(name, path):
            symbol, write = _contrib.instead_of(name.removeprefix(path).strip("."))
            whole = f"{path}.{symbol}".rstrip(".")
            start = re.match(r"tf(\.\w+)+", write)
            # A module as a whole has its names elsewhere, but not each of them.
            if not write or (start is not None and not exists(start.group())):
                return _nothing(whole, "tf.contrib ended with TensorFlow 1")
            return Verdict(whole, EDIT, f"write {write}")
    return None


def _keras(name: str) -> Verdict | None:
    for root in ("tf.keras", "tf.compat.v1.keras", "keras"):
        if _is_in(name, root):
            return _in_keras(name, root, name.removeprefix(root).strip("."))
    for root in ("tf.losses", "tf.metrics", "tf.optimizers", "tf.initializers"):
        if _is_in(name, root):
            return _in_keras(name, "tf", name.removeprefix("tf."))
    return None


def _in_keras(name: str, root: str, inner: str) -> Verdict | None:
    for path, source in sorted(_given.KERAS_MODULES.items(), key=lambda item: -len(item[0])):
        if _is_in(inner, path):
            attribute = inner.removeprefix(path).strip(".").partition(".")[0]
            extra = isinstance(source, str) and _given.needs_keras_2(source)
            advice = _WITH_EXTRA if extra else _WORKS
            known = not attribute or attribute in _given.names(source, path) or (extra and not _given.has_keras_2())
            symbol = f"{root}.{path}.{attribute}".rstrip(".")
            return Verdict(symbol, RUN, advice) if known else _by_keras_2(symbol, f"{path}.{attribute}")
    module, _, attribute = inner.rpartition(".")
    if attribute in _given.KERAS_NAMES.get(module, {}) and not (root == "keras" and _found(name)):
        return Verdict(name, RUN, _WORKS)
    if _found(name):
        return None
    return _elsewhere(name) if root == "tf" else _by_keras_2(_first_missing(name), inner)


def _by_keras_2(symbol: str, inner: str) -> Verdict:
    """Returns what is known of a name that Keras 3 has not."""
    if symbol.startswith("keras."):
        return _nothing(symbol, "Keras 3 has dropped it")
    if not _given.has_keras_2():
        text = f"Keras 3 has dropped it; Keras 2 may have it: pip install '{_given.EXTRA}', and check again"
        return Verdict(symbol, NOTHING, text)
    version = "v1" if symbol.startswith(_V1) else "v2"
    if _walk(_tensorflow_v1.keras_2(version), inner) is not None:
        return Verdict(symbol, RUN_WITH_KERAS_2, f"works under `{RUN_WITH_KERAS_2}`: Keras 3 has dropped it")
    return _nothing(symbol)


def _elsewhere(name: str) -> Verdict:
    """Returns what is known of a name that TensorFlow itself has not."""
    symbol = _first_missing(name)
    if name.startswith("tf.") and not name.startswith(_V1):
        old = f"{_V1}{name.removeprefix('tf.')}"
        verdict = verdict_on(old)
        if verdict is None or verdict.kind in (RUN, RUN_WITH_KERAS_2):
            whole = _found_part(old) if verdict is None else verdict.symbol
            extra = "" if verdict is None or verdict.advice == _WORKS else f" ({verdict.advice})"
            text = f"works under `{RUN_AS_TF1}`, or write {whole}{extra}"
            return Verdict(f"tf.{whole.removeprefix(_V1)}", RUN_AS_TF1, text)
    if name.startswith(("tf.losses.", "tf.metrics.", "tf.optimizers.", "tf.initializers.")):
        return _by_keras_2(symbol, name.removeprefix("tf."))
    return _nothing(symbol)


def _nothing(symbol: str, why: str = f"TensorFlow {VERSION} does not have it") -> Verdict:
    return Verdict(symbol, NOTHING, f"{why}, and headway has no counterpart")


def _given_or_not(name: str, module: str, found: int | None, advice: str = _WORKS) -> Verdict:
    """Returns the verdict on a name in a module that headway stands in for.

    Args:
      name: the name.
      module: that module.
      found: how many parts of the name below it were found, None if one of them is not there.
      advice: what to say if they are.
    """
    below = name.removeprefix(module).strip(".").split(".")
    if found is None:
        return _nothing(name)
    return Verdict(".".join([module, *below[:found]]).rstrip("."), RUN, advice)


def _is_in(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")


def _walk(module: Any, inner: str) -> int | None:
    """Returns how many parts of a dotted name lead from a module to what is no module; None where one is missing."""
    value, count = module, 0
    for part in inner.split(".") if inner else ():
        if not isinstance(value, types.ModuleType):
            return count
        value = _member(value, part)
        if value is None:
            return None
        count += 1
    return count


def _member(module: types.ModuleType, name: str) -> Any:
    # A name that is None, such as a switch, is there as well.
    with contextlib.suppress(AttributeError, ImportError):
        value = getattr(module, name)
        return value if value is not None else ()
    with contextlib.suppress(ImportError, ValueError):
        return importlib.import_module(f"{module.__name__}.{name}")
    return None


def _root(name: str) -> tuple[types.ModuleType, str, str]:
    root, _, inner = name.partition(".")
    module = tf if root == "tf" else importlib.import_module(root)
    return module, root, inner


def _found(name: str) -> bool:
    module, _, inner = _root(name)
    return _walk(module, inner) is not None


def _found_part(name: str) -> str:
    """Returns a name that is there without the attributes of the object that it stands for."""
    module, root, inner = _root(name)
    count = _walk(module, inner) or 0
    return ".".join([root, *inner.split(".")[:count]])


def _first_missing(name: str) -> str:
    """Returns a name that is not there up to the part that is missing."""
    parts = name.split(".")
    return next(".".join(parts[:end]) for end in range(2, len(parts) + 1) if not _found(".".join(parts[:end])))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TensorFlow from advising on each name that is looked at."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
