"""What is put into TensorFlow's own modules once they are there."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway import _backend as _backend
from headway import _tensorflow_v1
from headway.legacy import _bilingual, _given, _private
from headway.legacy._modules import BorrowedModule, Importer
from headway.legacy._private import borrowed


def apply(importer: Importer, *, keras_3: bool) -> None:
    """Puts old names into TensorFlow, and into Keras 3 where that is what `tf.keras` is."""
    for module in _private.modules(_tensorflow_v1.OLD_ESTIMATOR):
        importer.add(module)
    for version, path in (("v2", "tf.estimator"), ("v1", "tf.compat.v1.estimator")):
        face = _faces(importer, f"tensorflow.compat.{version}.estimator", path)
        for root in _tensorflow_v1.compat_modules(version):
            root.estimator = face
    tf.estimator = _faces(importer, "tensorflow.estimator", "tf.estimator")
    for name, target in _given.V1_MODULES.items():
        module = _whole(f"tensorflow.compat.v1.{name}", target)
        importer.add(module)
        for root in _tensorflow_v1.compat_modules("v1"):
            _set(root, name, module)
    # TensorFlow's own normalization layers of version 1 are those of a module that Keras 2 has under another name.
    layers = f"{_given.KERAS_2}.legacy_tf_layers"
    for name in (layers, f"{layers}.normalization"):
        importer.add(_whole(name, _given.V1_MODULES["layers"]))
    if keras_3:
        for keras_root in _tensorflow_v1.KERAS_3_ROOTS:
            _into_keras(importer, keras_root)


def add_v1_names() -> None:
    """Gives TensorFlow the names of `tf.compat.v1` that it does not have itself; classes that it has stay as they are.

    `tf.estimator` becomes that of TensorFlow 1 as a whole: its models sum the loss, and have other optimizers. So do
    the functions whose arguments mean something else since: the second one of `tf.nn.dropout` was what to keep.
    """
    old = tf.compat.v1
    tf.estimator = old.estimator
    _add_missing(tf, old)
    _bilingual.install()
    for name in ("make_one_shot_iterator", "make_initializable_iterator"):
        setattr(tf.data.Dataset, name, _method(name))


def _method(name: str) -> Callable[..., Any]:
    # Looked up at each call: estimators answer for these functions while they call an input_fn.
    return lambda dataset, *args, **kwargs: getattr(tf.compat.v1.data, name)(dataset, *args, **kwargs)


def _add_missing(new: Any, old: Any) -> None:
    # A module of Keras is reached through another object, which loads it when it is first used.
    there = set(dir(new))
    module = sys.modules[new.__name__]
    loaders = {}
    for name in _given.public_names(old):
        if name not in there:
            loaders[name] = functools.partial(getattr, old, name)
        elif name not in ("compat", "keras", "estimator", *_bilingual.MODULES):
            pair = getattr(new, name), getattr(old, name)
            if all(isinstance(value, types.ModuleType) for value in pair) and pair[0] is not pair[1]:
                _add_missing(*pair)
    _tensorflow_v1.add_names(module, loaders)


def _faces(importer: Importer, name: str, path: str) -> BorrowedModule:
    """Makes `name`, and its folders, importable modules that show what headway has of tf.estimator."""
    for folder in _given.FACE_FOLDERS:
        importer.add(borrowed(f"{name}.{folder}", path, folder))
    whole = borrowed(name, path)
    importer.add(whole)
    return whole


def _into_keras(importer: Importer, root: str) -> None:
    for path, source in _given.KERAS_MODULES.items():
        importer.add(_whole(f"{root}.{path}", source))
    parents: dict[str, dict[str, Any]] = {"": {}}
    for path, names in _given.KERAS_NAMES.items():
        parents[path] = {
            name: functools.partial(_given.load, target, f"tf.keras.{path}.{name}") for name, target in names.items()
        }
    for path in _given.KERAS_MODULES:
        parent, _, name = path.rpartition(".")
        parents.setdefault(parent, {})[name] = importer.modules[f"{root}.{path}"]
    for path, names in parents.items():
        name = f"{root}.{path}".rstrip(".")
        if name in importer.modules:
            vars(importer.modules[name]).update(names)
        else:
            importer.do_after(name, functools.partial(_extend, names=names))


def _extend(module: types.ModuleType, names: dict[str, Any]) -> None:
    """Gives a module of Keras the modules that it lacks, and single names that it has not."""
    loaders = {}
    for name, value in names.items():
        if isinstance(value, types.ModuleType):
            setattr(module, name, value)
        elif not hasattr(module, name):
            loaders[name] = value
    _tensorflow_v1.add_names(module, loaders)


def _whole(name: str, source: str | dict[str, str]) -> BorrowedModule:
    find = functools.partial(_given.member, source, name)
    return BorrowedModule(name, find, functools.partial(_given.names, source, name))


def _set(root: Any, path: str, value: Any) -> None:
    *folders, name = path.split(".")
    setattr(functools.reduce(getattr, folders, root), name, value)
