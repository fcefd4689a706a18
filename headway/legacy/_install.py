"""Puts the names back that old programs import."""

from __future__ import annotations

import dataclasses
import os
import sys
import types

from headway.legacy import _given, _private
from headway.legacy._modules import Importer

KERAS_SWITCH = "TF_USE_LEGACY_KERAS"
_ON = ("true", "True", "1")
_TOO_LATE = (
    "`install(legacy_keras=True)` must come before TensorFlow is imported for the first time, as TensorFlow picks its "
    "Keras then. Call it first, or set {switch}=1 in the environment."
)


@dataclasses.dataclass
class _State:
    """What has been asked for, and what has been done."""

    tf1: bool = False
    applying: bool = False
    applied: bool = False


_importer = Importer()
_state = _State()


def install(*, legacy_keras: bool = False, tf1: bool = False) -> None:
    """Makes programs written for tf.estimator find what they import, for the rest of this process.

    It provides `tf.estimator`, `tf.compat.v1.estimator` and the package `tensorflow_estimator`, with the modules in it
    that libraries import; `tf.compat.v1.layers` and `tf.compat.v1.nn.rnn_cell`; `tf.keras.estimator`,
    `tf.keras.optimizers.legacy`, `tf.keras.layers.DenseFeatures`, and others that Keras 3 has dropped or moved. What
    TensorFlow still has stays as it is. TensorFlow need not be imported yet: a program may set its environment first.
    Calling it again changes nothing.

    What is part of Keras 2 (`tf.compat.v1.layers` and `rnn_cell`, the legacy optimizers) comes from the package
    tf_keras, which `pip install 'headway[legacy]'` installs; without it the first use raises an ImportError.

    Args:
      legacy_keras: whether `tf.keras` shall be Keras 2, the whole of it. headway itself stays on Keras 3.
      tf1: whether `tf` shall have the names of TensorFlow 1 that it does not have (`tf.layers`, `tf.placeholder`,
        `tf.train.AdamOptimizer`): those of `tf.compat.v1`. Functions whose arguments have changed are those of
        TensorFlow 1 for the program; classes stay those of TensorFlow 2.

    Raises:
      ImportError: if `legacy_keras` is asked for, and tf_keras is not installed.
      RuntimeError: if `legacy_keras` is asked for, and TensorFlow has been imported with Keras 3.

    Example:
      >>> import headway.legacy
      >>> headway.legacy.install()
      >>> import tensorflow as tf
      >>> from tensorflow_estimator.python.estimator import model_fn
      >>> tf.estimator.ModeKeys.TRAIN, model_fn.ModeKeys.EVAL
      ('train', 'eval')
    """
    if legacy_keras and os.environ.get(KERAS_SWITCH) not in _ON:
        _given.require_keras_2("install(legacy_keras=True)")
        if "tensorflow" in sys.modules:
            raise RuntimeError(_TOO_LATE.format(switch=KERAS_SWITCH))
        os.environ[KERAS_SWITCH] = "1"
    _state.tf1 |= tf1
    if _importer not in sys.meta_path:
        sys.meta_path.insert(0, _importer)
        for module in _private.modules():
            _importer.add(module)
        # A program may import Keras first, which then imports TensorFlow before it is there itself.
        _importer.do_after("keras", _after_import)
        _importer.do_after("tensorflow", _after_import)
    elif tf1:
        _after_import(None)


def _after_import(module: types.ModuleType | None) -> None:
    del module
    keras = sys.modules.get("keras")
    if _state.applying or "tensorflow" not in sys.modules or (keras is not None and not hasattr(keras, "Model")):
        return
    _state.applying = True
    try:
        # It imports both.
        from headway.legacy import _patches

        if not _state.applied:
            _patches.apply(_importer, keras_3=os.environ.get(KERAS_SWITCH) not in _ON)
            _state.applied = True
        if _state.tf1:
            _patches.add_v1_names()
    finally:
        _state.applying = False
