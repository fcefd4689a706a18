"""Puts the names back that old programs import."""

from __future__ import annotations

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

_importer = Importer()
_wanted = {"tf1": False, "applied": False}


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
        `tf.train.AdamOptimizer`): those of `tf.compat.v1`. Names that it has keep their meaning of TensorFlow 2.

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
        if not _given.has_keras_2():
            _given.load(_given.KERAS_2, "install(legacy_keras=True)")
        if "tensorflow" in sys.modules:
            raise RuntimeError(_TOO_LATE.format(switch=KERAS_SWITCH))
        os.environ[KERAS_SWITCH] = "1"
    _wanted["tf1"] |= tf1
    if _importer not in sys.meta_path:
        sys.meta_path.insert(0, _importer)
        for module in _private.modules():
            _importer.add(module)
        _importer.do_after("tensorflow", _after_tensorflow)
    elif tf1 and "tensorflow" in sys.modules:
        _after_tensorflow(sys.modules["tensorflow"])


def _after_tensorflow(tensorflow: types.ModuleType) -> None:
    # It imports TensorFlow, which is there by now.
    from headway.legacy import _patches

    del tensorflow
    if not _wanted["applied"]:
        _patches.apply(_importer, keras_3=os.environ.get(KERAS_SWITCH) not in _ON)
        _wanted["applied"] = True
    if _wanted["tf1"]:
        _patches.add_v1_names()
