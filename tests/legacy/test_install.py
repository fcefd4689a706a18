"""Old names lead to what headway has, however a program imports them."""

from __future__ import annotations

import importlib
import sys

import keras
import pytest
import tensorflow as tf
import tf_keras

import headway
from headway import _tensorflow_v1, feature_columns, legacy, tf_estimator
from headway.legacy import _given, _private, _private_names
from headway.tf_estimator import v1 as v1_face

V1_LAYERS = _tensorflow_v1.keras_2_of_v1("layers")
ESTIMATOR = "tensorflow_estimator.python.estimator"


def _imported(line: str) -> object:
    """Returns what an import statement binds to `x`."""
    names: dict[str, object] = {}
    exec(line, names)
    return names["x"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import tensorflow as tf; x = tf.estimator.Estimator", tf_estimator.Estimator),
        ("from tensorflow import estimator; x = estimator.DNNClassifier", tf_estimator.DNNClassifier),
        ("from tensorflow.estimator import RunConfig as x", tf_estimator.RunConfig),
        ("import tensorflow.estimator as e; x = e.export.PredictOutput", tf_estimator.export.PredictOutput),
        ("from tensorflow.estimator.export import PredictOutput as x", tf_estimator.export.PredictOutput),
        ("from tensorflow.compat.v2.estimator import Head as x", tf_estimator.Head),
        ("import tensorflow.compat.v1 as tf; x = tf.estimator.Estimator", v1_face.Estimator),
        ("import tensorflow as tf; x = tf.compat.v1.estimator.LinearClassifier", v1_face.LinearClassifier),
        ("import tensorflow as tf; x = tf.compat.v1.compat.v1.estimator.Estimator", v1_face.Estimator),
        (
            "from tensorflow.compat.v1 import estimator; x = estimator.inputs.numpy_input_fn",
            v1_face.inputs.numpy_input_fn,
        ),
        ("import tensorflow.compat.v1.estimator as e; x = e.tpu.TPUEstimator", v1_face.tpu.TPUEstimator),
        ("from tensorflow.compat.v1.estimator.inputs import pandas_input_fn as x", v1_face.inputs.pandas_input_fn),
        ("from tensorflow_estimator import estimator; x = estimator.Estimator", v1_face.Estimator),
        (f"from {ESTIMATOR}.api._v2.estimator import LinearClassifier as x", tf_estimator.LinearClassifier),
        (f"from {ESTIMATOR}.canned.linear import LinearClassifier as x", v1_face.LinearClassifier),
        (f"from {ESTIMATOR}.canned.linear import LinearClassifierV2 as x", tf_estimator.LinearClassifier),
        (f"from {ESTIMATOR}.estimator import EstimatorV2 as x", tf_estimator.Estimator),
        (f"from {ESTIMATOR} import model_fn; x = model_fn.ModeKeys", headway.ModeKeys),
        (f"from {ESTIMATOR}.canned import head; x = head._Head", _private_names._Head),
        (f"import {ESTIMATOR}.canned.head as h; x = h._regression_head().__class__", headway.heads.RegressionHead),
        ("from tensorflow.python.estimator.model_fn import EstimatorSpec as x", v1_face.EstimatorSpec),
        ("from tensorflow.python.estimator import run_config; x = run_config.RunConfig", v1_face.RunConfig),
        (
            "from tensorflow.python.layers import normalization; x = normalization.batch_norm",
            V1_LAYERS.batch_normalization,
        ),
        ("from tensorflow.keras.layers import DenseFeatures as x", feature_columns.DenseFeatures),
        ("import tensorflow as tf; x = tf.keras.layers.DenseFeatures", feature_columns.DenseFeatures),
        ("import tensorflow.compat.v1 as tf; x = tf.keras.layers.DenseFeatures", feature_columns.DenseFeatures),
        ("from keras.layers import DenseFeatures as x", feature_columns.DenseFeatures),
        ("from tensorflow.keras.experimental import SequenceFeatures as x", feature_columns.SequenceFeatures),
        ("import tensorflow as tf; x = tf.keras.layers.experimental.preprocessing.Hashing", keras.layers.Hashing),
        (
            "from tensorflow.keras.layers.experimental import preprocessing; x = preprocessing.Hashing",
            keras.layers.Hashing,
        ),
        ("import tensorflow as tf; x = tf.keras.losses.mean_squared_error", keras.losses.mean_squared_error),
        ("import tensorflow as tf; x = tf.metrics.mean_squared_error", keras.metrics.mean_squared_error),
        ("import tensorflow as tf; x = tf.keras.optimizers.legacy.Optimizer", tf_keras.optimizers.legacy.Optimizer),
        ("from tensorflow.keras.optimizers.legacy import Optimizer as x", tf_keras.optimizers.legacy.Optimizer),
        ("import tensorflow as tf; x = tf.optimizers.legacy.Optimizer", tf_keras.optimizers.legacy.Optimizer),
        ("import tensorflow as tf; x = tf.keras.optimizers.experimental.Adam", keras.optimizers.Adam),
    ],
)
def test_import(line: str, expected: object) -> None:
    assert _imported(line) is expected


@pytest.mark.parametrize(
    "line",
    [
        "import tensorflow as tf; x = tf.compat.v1.layers.dense",
        "import tensorflow.compat.v1 as tf; x = tf.layers.batch_normalization",
        "from tensorflow.compat.v1 import layers; x = layers.Conv2D",
        "from tensorflow.compat.v1.layers import max_pooling2d as x",
        "import tensorflow as tf; x = tf.compat.v1.nn.rnn_cell.LSTMCell",
        "from tensorflow.compat.v1.nn.rnn_cell import MultiRNNCell as x",
        "import tensorflow.compat.v1.nn.rnn_cell as cells; x = cells.GRUCell",
        "from tensorflow.keras.estimator import model_to_estimator as x",
    ],
)
def test_what_keras_2_has_is_there(line: str) -> None:
    assert callable(_imported(line))


@pytest.mark.parametrize("path", sorted(_private.MODULES))
def test_every_name_of_a_private_module_is_there(path: str) -> None:
    module = importlib.import_module(f"{ESTIMATOR}.{path}".rstrip("."))
    assert module.__all__ == _private.MODULES[path].split()
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))


def test_names_that_are_nowhere_are_named() -> None:
    head = importlib.import_module(f"{ESTIMATOR}.canned.head")
    with pytest.raises(AttributeError, match=r"headway has nothing for tensorflow_estimator\S*canned\.head\._NoHead"):
        head._NoHead  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name '_NoHead'"):
        _imported(f"from {ESTIMATOR}.canned.head import _NoHead as x")
    with pytest.raises(ModuleNotFoundError, match=r"canned\.nothing"):
        importlib.import_module(f"{ESTIMATOR}.canned.nothing")
    with pytest.raises(AttributeError, match="NoLayer"):
        tf.keras.layers.NoLayer  # noqa: B018
    with pytest.raises(AttributeError, match=r"nothing for \S*estimator\.NoName. Of this module it has: model_to_est"):
        tf.keras.estimator.NoName  # noqa: B018


def test_what_tensorflow_has_stays() -> None:
    assert tf.nn.relu is tf.compat.v2.nn.relu
    assert tf.keras.layers.Dense is keras.layers.Dense
    assert tf.compat.v1.train.AdamOptimizer.__module__.startswith("tensorflow.")


def test_installing_twice_changes_nothing() -> None:
    before = list(sys.meta_path), tf.estimator
    legacy.install()
    assert before == (list(sys.meta_path), tf.estimator)


def test_keras_2_as_a_whole_comes_too_late() -> None:
    with pytest.raises(RuntimeError, match="must come before TensorFlow is imported for the first time"):
        legacy.install(legacy_keras=True)


def test_without_keras_2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_given, "has_keras_2", lambda: False)
    vars(tf.compat.v1.layers).pop("conv1d", None)
    with pytest.raises(ImportError, match=r"layers\.conv1d needs Keras 2.*pip install 'headway\[legacy\]'"):
        tf.compat.v1.layers.conv1d  # noqa: B018
    with pytest.raises(ImportError, match=r"legacy_keras=True\) needs Keras 2.*pip install 'headway\[legacy\]'"):
        legacy.install(legacy_keras=True)
    # What is not of Keras 2 is there all the same.
    assert tf.keras.layers.DenseFeatures is feature_columns.DenseFeatures
    assert "dense" not in _given.names(_given.V1_MODULES["layers"], "tf.compat.v1.layers")


@pytest.mark.parametrize("name", ["Adagrad", "Adam", "Ftrl", "RMSProp", "SGD"])
def test_optimizers_by_name(name: str) -> None:
    made = _private_names.get_optimizer_instance(name, 0.1)
    assert isinstance(made, tf.compat.v1.train.Optimizer)
    assert _private_names.get_optimizer_instance(lambda: made) is made
    of_keras = _private_names.get_optimizer_instance_v2(name, 0.25)
    assert float(of_keras.learning_rate) == 0.25
    assert _private_names.get_optimizer_instance_v2(of_keras) is of_keras


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: _private_names.get_optimizer_instance("Adam"), "learning_rate must be specified when opt is string"),
        (lambda: _private_names.get_optimizer_instance("Adamm", 1.0), "Unsupported optimizer name: Adamm. Supported"),
        (lambda: _private_names.get_optimizer_instance(3), "The given object is not an Optimizer instance. Given: 3"),
        (lambda: _private_names.get_optimizer_instance_v2(3), "not a tf.keras.optimizers.Optimizer instance. Given: 3"),
        (lambda: _private_names.parse_iterator_result((1, 2, 3)), "input_fn should return .* as a len 2 tuple"),
        (lambda: tf.keras.estimator.model_to_estimator(None, checkpoint_format="x"), "'saver' or 'checkpoint', recei"),
    ],
)
def test_mistakes(act: object, message: str) -> None:
    assert callable(act)
    with pytest.raises(ValueError, match=message):
        act()


def test_heads_count_as_heads_of_the_first_generation() -> None:
    head = _private_names._binary_logistic_or_multi_class_head(3, None, None, "sum")
    assert isinstance(head, _private_names._Head)
    assert isinstance(head, headway.heads.MultiClassHead)
    assert head.loss_reduction == "sum"
    with pytest.raises(TypeError, match="abstract"):
        _private_names._Head()  # type: ignore[abstract]


def test_export_versions(tmp_path: object) -> None:
    gc = importlib.import_module(f"{ESTIMATOR}.gc")
    for name in ("7", "3", "12", "notes"):
        (tmp_path / name).mkdir()  # type: ignore[operator]
    paths = gc._get_paths(
        str(tmp_path),
        parser=lambda path: (
            path._replace(export_version=int(path.path.rsplit("/", 1)[1])) if path.path[-1].isdigit() else None
        ),
    )
    versions = {
        "all": paths,
        "largest": gc._largest_export_versions(2)(paths),
        "one of 5": gc._one_of_every_n_export_versions(5)(paths),
        "multiples of 3": gc._mod_export_version(3)(paths),
        "others": gc._negation(gc._mod_export_version(3))(paths),
        "either": gc._union(gc._largest_export_versions(1), gc._mod_export_version(7))(paths),
    }
    found = {name: sorted(path.export_version for path in kept) for name, kept in versions.items()}
    # Intervals of 5: [0, 5] holds 3, (5, 10] holds 7, (10, 15] holds 12.
    assert found == {
        "all": [3, 7, 12],
        "largest": [7, 12],
        "one of 5": [3, 7, 12],
        "multiples of 3": [3, 12],
        "others": [7],
        "either": [7, 12],
    }


def test_an_input_of_a_graph_is_started_by_its_hook() -> None:
    with tf.Graph().as_default():
        dataset = tf.data.Dataset.from_tensors(({"x": [1.0]}, [2.0]))
        features, labels, hooks = _private_names.parse_input_fn_result(dataset)
        with tf.compat.v1.train.SingularMonitoredSession(hooks=hooks) as session:
            assert session.run([features["x"], labels]) == [[1.0], [2.0]]
