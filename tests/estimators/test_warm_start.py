"""Warm start: against tf.estimator (tests/golden/canned_b), by hand, and from every kind of source."""

from __future__ import annotations

import importlib.util
import json
import logging
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import estimators, feature_columns, input_pipelines
from headway.estimators import Estimator, EstimatorSpec, RunConfig, VocabInfo, WarmStartSettings
from headway.estimators._checkpoints import write_tensors
from headway.estimators._warm_start_sources import open_source

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "canned_b"
_spec = importlib.util.spec_from_file_location("warm_cases", GOLDEN / "warm_cases.py")
assert _spec is not None
assert _spec.loader is not None
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
RESULTS = json.loads((GOLDEN / "warm_start.json").read_text("utf-8"))
PAIRS = {"words": (cases.NEW_WORDS, cases.OLD_WORDS), "classes": (cases.NEW_CLASSES, cases.OLD_CLASSES)}


def values(estimator: Estimator) -> dict[str, np.ndarray[Any, Any]]:
    return {name: estimator.get_variable_value(name) for name in estimator.get_variable_names()}


def new_model(model_dir: pathlib.Path, warm_start_from: Any = None) -> Any:
    config = RunConfig(model_dir=str(model_dir), tf_random_seed=3, progress="none")
    kinds = estimators
    return cases.build(
        kinds, feature_columns, keras.optimizers.SGD, False, config=config, warm_start_from=warm_start_from
    )


def rows(repeat: int | None = None) -> input_pipelines.Pipeline:
    features, labels = cases.data(False)
    return input_pipelines.from_arrays(features, labels, batch_size=24, num_epochs=repeat)


@pytest.fixture(scope="module")
def old_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model_dir with the values that tf.estimator warm-started from."""
    folder = tmp_path_factory.mktemp("old")
    tensors = {name: tf.constant(value, tf.float32) for name, value in RESULTS["before"].items()}
    write_tensors(str(folder / "model.ckpt-3"), tensors)
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-3"\n')
    return folder


def settings_of(name: str, old_dir: pathlib.Path, folder: pathlib.Path | None) -> WarmStartSettings:
    """Returns the settings of a case, with vocabularies as files in `folder`, or as lists."""
    arguments = dict(cases.CASES[name])
    infos = arguments.get("var_name_to_vocab_info", {})
    made = {}
    for variable, (kind, more) in infos.items():
        new, old = PAIRS[kind]
        if folder is not None:
            for word_list, stem in ((new, "new.txt"), (old, "old.txt")):
                (folder / stem).write_text("\n".join(word_list) + "\n")
            new, old = str(folder / "new.txt"), str(folder / "old.txt")
        made[variable] = VocabInfo(new_vocab=new, old_vocab=old, **more)
    if made:
        arguments["var_name_to_vocab_info"] = made
    return WarmStartSettings(str(old_dir), **arguments)


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray[Any, Any]]:
    """The values of a model without a warm start after one step."""
    return values(new_model(tmp_path_factory.mktemp("cold")).train(rows(), steps=1))


# Vocabularies may be files; a case without any is the same twice.
@pytest.mark.parametrize(
    ("name", "as_files"),
    [(name, files) for name, case in cases.CASES.items() for files in (True, False)[: 1 + ("vocab" in repr(case))]],
)
def test_the_variables_and_values_of_tf_estimator(
    name: str, as_files: bool, old_dir: pathlib.Path, cold: dict[str, np.ndarray[Any, Any]], tmp_path: pathlib.Path
) -> None:
    settings = settings_of(name, old_dir, tmp_path if as_files else None)
    found = values(new_model(tmp_path / "new", settings).train(rows(), steps=1))
    expected = RESULTS["after"][name]
    changed = {key for key, value in found.items() if not np.array_equal(value, cold[key])}
    # The slots follow the gradients, and are changed by the learning rate alone, which is zero.
    assert changed == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-7, err_msg=key)


def test_rows_and_columns_by_hand() -> None:
    old = np.arange(8.0).reshape(4, 2)
    more = {"num_oov_buckets": 1, "old_vocab": ["a", "b", "c"]}
    rows_info = VocabInfo(["c", "d", "a"], 3, **more, backup_initializer=lambda shape: np.full(shape, 9.0))
    value, kept = rows_info.fitted("w", old, (4, 2))
    # c is row 2 of the old one, a is row 0; d and the bucket are new.
    np.testing.assert_array_equal(value, [[4, 5], [9, 9], [0, 1], [9, 9]])
    assert kept == 2
    columns_info = VocabInfo(["b", "a"], 2, 0, ["a", "b"], axis=1)
    np.testing.assert_array_equal(columns_info.fitted("w", old, (4, 2))[0], old[:, ::-1])
    # One dimension, and the first old word alone.
    bias_info = VocabInfo(["b", "a"], 2, 0, ["a", "b"], old_vocab_size=1)
    np.testing.assert_array_equal(bias_info.fitted("b", np.array([1.0, 2.0]), (2,))[0], [0.0, 1.0])


@pytest.mark.parametrize("initializer", [keras.initializers.Ones(), tf.compat.v1.ones_initializer(), tf.ones])
def test_backup_initializers_of_all_kinds(initializer: Any) -> None:
    info = VocabInfo(["new"], 1, 0, ["old"], backup_initializer=initializer)
    np.testing.assert_array_equal(info.fitted("w", np.zeros([1, 2]), (1, 2))[0], [[1.0, 1.0]])


def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    layers = [keras.layers.Dense(2, name="first"), keras.layers.Dense(1, name="second")]
    y = layers[1](layers[0](features["x"]))[:, 0]
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    if mode == "infer":
        return EstimatorSpec(mode, predictions={"y": y})
    loss = tf.reduce_mean(tf.square(y - labels))
    return EstimatorSpec(
        mode,
        loss=loss,
        train_op=estimators.minimize(keras.optimizers.SGD(0.0), loss, variables) if mode == "train" else None,
    )


def arrays(epochs: int | None = None) -> input_pipelines.Pipeline:
    x = np.ones([4, 3], "float32")
    return input_pipelines.from_arrays({"x": x}, x[:, 0], batch_size=4, num_epochs=epochs)


def keras_model() -> keras.Model:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="first"), keras.layers.Dense(1, name="second")]
    )
    for i, weight in enumerate(model.weights):
        weight.assign(np.arange(weight.numpy().size, dtype="float32").reshape(weight.shape) + i)
    return model


NAMES = ["first/kernel", "first/bias", "second/kernel", "second/bias"]


class Net(tf.Module):
    """A module whose variables have the model's names."""

    def __init__(self, weights: list[Any]) -> None:
        super().__init__()
        self.parts = [tf.Variable(weight.numpy(), name=name) for weight, name in zip(weights, NAMES, strict=True)]


def _module_checkpoint(folder: str) -> dict[str, Any]:
    tf.train.Checkpoint(net=Net(keras_model().weights)).save(folder + "/ckpt")
    return {"ckpt_to_initialize_from": folder}


def _keras_checkpoint(folder: str) -> dict[str, Any]:
    model = keras_model()
    path = tf.train.Checkpoint(model=model).write(folder + "/weights")
    # Keras puts the name of the model before those of its layers.
    return {
        "ckpt_to_initialize_from": path,
        "var_name_to_prev_var_name": {name: f"{model.name}/{name}" for name in NAMES},
    }


def _saved_model(folder: str) -> dict[str, Any]:
    tf.saved_model.save(Net(keras_model().weights), folder + "/saved")
    return {"ckpt_to_initialize_from": folder + "/saved"}


def _keras_file(folder: str) -> dict[str, Any]:
    keras_model().save(folder + "/model.keras")
    return {"ckpt_to_initialize_from": folder + "/model.keras"}


def _by_name(folder: str) -> dict[str, Any]:
    tensors = {variable.name.removesuffix(":0"): variable for variable in Net(keras_model().weights).parts}
    write_tensors(folder + "/model.ckpt-7", tensors)
    return {"ckpt_to_initialize_from": folder + "/model.ckpt-7"}


def _keras_2_model() -> Any:
    import tf_keras

    model = tf_keras.Sequential([tf_keras.layers.Dense(2, name="first"), tf_keras.layers.Dense(1, name="second")])
    model.build((None, 3))
    model.set_weights(keras_model().get_weights())
    return model


def _written(name: str, make: Callable[[], Any]) -> Callable[[str], dict[str, Any]]:
    def write(folder: str) -> dict[str, Any]:
        model = make()
        model.compile("adam", "mse")
        model.save(f"{folder}/{name}")
        return {"ckpt_to_initialize_from": f"{folder}/{name}"}

    return write


def _weights_file(folder: str) -> dict[str, Any]:
    keras_model().save_weights(folder + "/model.weights.h5")
    # The file has no names: layers are counted by their classes.
    places = [f"layers/{layer}/vars/{i}" for layer in ("dense", "dense_1") for i in range(2)]
    return {
        "ckpt_to_initialize_from": folder + "/model.weights.h5",
        "var_name_to_prev_var_name": dict(zip(NAMES, places, strict=True)),
    }


def _keras_export(folder: str) -> dict[str, Any]:
    model = keras_model()
    model.export(folder + "/exported", verbose=False)
    return {
        "ckpt_to_initialize_from": folder + "/exported",
        "var_name_to_prev_var_name": {name: f"{model.name}/{name}" for name in NAMES},
    }


SOURCES: dict[str, Callable[[str], dict[str, Any]]] = {
    "by name": _by_name,
    "objects of a module": _module_checkpoint,
    "objects of a Keras model": _keras_checkpoint,
    "a SavedModel": _saved_model,
    "a .keras file": _keras_file,
    "a .keras file of Keras 2": _written("model.keras", _keras_2_model),
    "an .h5 file": _written("model.h5", keras_model),
    "an .h5 file of Keras 2": _written("model.h5", _keras_2_model),
    "a file of weights": _weights_file,
    "a SavedModel that Keras 3 exported": _keras_export,
}


# Keras converts its variables to arrays in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source(kind: str, tmp_path: pathlib.Path) -> None:
    settings = WarmStartSettings(**SOURCES[kind](str(tmp_path)))
    config = RunConfig(model_dir=str(tmp_path / "new"), progress="none")
    estimator = Estimator(model_fn, config=config, warm_start_from=settings)
    found = values(estimator.train(arrays(), steps=1))
    for weight, name in zip(keras_model().weights, NAMES, strict=True):
        np.testing.assert_array_equal(found[name], weight.numpy(), err_msg=name)


@pytest.mark.parametrize("kind", ["TensorFlow", "Keras", "name"])
def test_variables_stand_for_their_names(kind: str, tmp_path: pathlib.Path) -> None:
    weights = keras_model().weights
    made = {"Keras": weights[2], "TensorFlow": tf.Variable(0.0, name=NAMES[2]), "name": f"{NAMES[2]}:0"}
    wanted = [made[kind]]
    settings = WarmStartSettings(**_by_name(str(tmp_path)), vars_to_warm_start=[*wanted, "first/bi"])
    config = RunConfig(model_dir=str(tmp_path / "new"), progress="none")
    estimator = Estimator(model_fn, config=config, warm_start_from=settings)
    found = values(estimator.train(arrays(), steps=1))
    taken = {name for weight, name in zip(weights, NAMES, strict=True) if np.array_equal(found[name], weight.numpy())}
    assert taken == {"second/kernel", "first/bias"}


def test_values_are_taken_once_and_before_any_training_too(tmp_path: pathlib.Path) -> None:
    path = _by_name(str(tmp_path))["ckpt_to_initialize_from"]
    config = RunConfig(model_dir=str(tmp_path / "new"), progress="none")
    estimator = Estimator(model_fn, config=config, warm_start_from=path)
    # Row (1, 1, 1): kernel [[0, 1], [2, 3], [4, 5]], bias (1, 2): (7, 11). Kernel (2, 3), bias 3: 14 + 33 + 3 = 50.
    assert next(estimator.predict(arrays(1)))["y"] == pytest.approx(50.0)
    before = values(estimator.train(arrays(), steps=1))
    np.testing.assert_array_equal(before["first/bias"], [1.0, 2.0])
    write_tensors(path, {name: tf.zeros(value.shape) for name, value in before.items() if "/" in name})
    again = Estimator(model_fn, config=config, warm_start_from=path)
    np.testing.assert_array_equal(again.train(arrays(), steps=1).get_variable_value("first/bias"), [1.0, 2.0])


def test_all_of_a_model_whose_optimizers_shared_one_count(tmp_path: pathlib.Path) -> None:
    word = feature_columns.categorical_column_with_identity("word", 3)
    data = input_pipelines.from_arrays({"word": [0, 1, 2]}, [0, 1, 1], batch_size=3, num_epochs=None)

    def combined(folder: str, warm_start_from: Any = None) -> Any:
        return estimators.DNNLinearCombinedClassifier(
            linear_feature_columns=[word],
            dnn_feature_columns=[feature_columns.indicator_column(word)],
            dnn_hidden_units=[2],
            model_dir=str(tmp_path / folder),
            config=RunConfig(progress="none"),
            warm_start_from=warm_start_from,
        )

    before = values(combined("old").train(data, steps=3))
    assert before.pop("training/Adagrad/iter") == 3
    # tf.estimator writes one count for the optimizers of a combined model.
    write_tensors(
        str(tmp_path / "theirs" / "model.ckpt-3"), {name: tf.constant(value) for name, value in before.items()}
    )
    (tmp_path / "theirs" / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-3"\n')
    settings = WarmStartSettings(str(tmp_path / "theirs"), vars_to_warm_start=[".*"])
    after = values(combined("new", settings).train(data, steps=1))
    expected = values(combined("old").train(data, steps=1))
    assert after["training/Adagrad/iter"] == after["global_step"] == 4
    for name, value in expected.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-6, atol=1e-7, err_msg=name)


def test_slots_are_taken_by_training_though_a_prediction_came_first(
    old_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    settings = settings_of("momentum as well", old_dir, None)
    estimator = new_model(tmp_path, settings)
    next(estimator.predict(rows(1)))
    name = "training/SGD/dnn/hiddenlayer_0/kernel/momentum"
    expected = RESULTS["after"]["momentum as well"][name]
    np.testing.assert_allclose(estimator.train(rows(), steps=1).get_variable_value(name), expected, rtol=1e-6)


def test_two_replicas_begin_alike(
    old_dir: pathlib.Path, tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy
) -> None:
    config = RunConfig(model_dir=str(tmp_path), train_distribute=mirrored, progress="none")
    estimator = cases.build(
        estimators,
        feature_columns,
        keras.optimizers.SGD,
        False,
        config=config,
        warm_start_from=settings_of("words", old_dir, None),
    )
    found = estimator.train(rows(), steps=1).get_variable_value(cases.EMBEDDING)
    np.testing.assert_allclose(found, RESULTS["after"]["words"][cases.EMBEDDING], rtol=1e-6)


def test_the_log_says_what_was_taken_fitted_left_and_not_used(
    old_dir: pathlib.Path, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "headway"):
        new_model(tmp_path, settings_of("words", old_dir, None)).train(rows(), steps=1)
    [line] = [record.getMessage() for record in caplog.records if "Warm-started" in record.getMessage()]
    assert "Warm-started 5 variables" in line
    assert f"{cases.EMBEDDING}: 3 of 7" in line
    taken, fitted, left, unused = line.split("\n  ")[1:]
    assert "dnn/hiddenlayer_0/bias" in taken
    assert fitted.startswith("fitted to the new vocabulary")
    assert "dnn/logits/bias" in left
    assert "training/SGD/dnn/logits/bias/momentum" in unused


def test_the_log_has_one_name_for_what_is_not_used_in_a_checkpoint_of_objects(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = WarmStartSettings(**_module_checkpoint(str(tmp_path)), vars_to_warm_start="first")
    config = RunConfig(model_dir=str(tmp_path / "new"), progress="none")
    with caplog.at_level(logging.INFO, "headway"):
        Estimator(model_fn, config=config, warm_start_from=settings).train(arrays(), steps=1)
    [line] = [record.getMessage() for record in caplog.records if "Warm-started" in record.getMessage()]
    assert line.endswith("\n  in the checkpoint and not used: save_counter, second/bias, second/kernel")


BAD_SETTINGS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no path": (lambda: WarmStartSettings(""), ValueError, "`ckpt_to_initialize_from` MUST be set"),
    "no expression": (lambda: WarmStartSettings("x", "("), ValueError, "must be a regular expression"),
    "a number": (lambda: WarmStartSettings("x", [1]), TypeError, "or of variables, or None. Received: \\[1\\]"),
    "no VocabInfo": (lambda: WarmStartSettings("x", ".*", {"w": "file"}), TypeError, "must map names to VocabInfo"),
    "axis": (lambda: VocabInfo("a", 1, 0, "b", axis=2), ValueError, "axis argument are 0 and 1. Provided axis: 2"),
    "size": (lambda: VocabInfo("a", 0, 0, "b"), ValueError, "`new_vocab_size` of VocabInfo must be an integer >= 1"),
    "initializer": (lambda: VocabInfo("a", 1, 0, "b", -1, "zeros"), TypeError, "must be a function of a shape"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_settings_are_checked_at_once(name: str) -> None:
    make, kind, message = BAD_SETTINGS[name]
    with pytest.raises(kind, match=message):
        make()


INFO: dict[str, Any] = {"new_vocab": cases.NEW_WORDS, "num_oov_buckets": 2, "old_vocab": cases.OLD_WORDS}
BIAS = "dnn/hiddenlayer_0/bias"
BAD_WARM_STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "another shape": ({}, "has shape .*, and .* in the checkpoint to warm-start from, .*describe the change in"),
    "a name that is not there": (
        {
            "vars_to_warm_start": "dnn/hid",
            "var_name_to_prev_var_name": {"dnn/hiddenlayer_0/bias": "dnn/hiddenlayer_0/bia"},
        },
        r"has no variable\n  'dnn/hiddenlayer_0/bia' for 'dnn/hiddenlayer_0/bias'   \(closest there: 'dnn/hidden",
    ),
    "a name that is not used": (
        {"vars_to_warm_start": "dnn/hid", "var_name_to_prev_var_name": {"dnn/none": "x"}},
        "the following variables in var_name_to_prev_var_name that were not used: .*Perhaps you misspelled",
    ),
    "a VocabInfo that is not used": (
        {"vars_to_warm_start": "dnn/hid", "var_name_to_vocab_info": {"dnn/none": VocabInfo(**INFO, new_vocab_size=5)}},
        "variables in var_name_to_vocab_info that were not used",
    ),
    "a vocabulary of another size": (
        {"vars_to_warm_start": None, "var_name_to_vocab_info": {cases.EMBEDDING: VocabInfo(**INFO, new_vocab_size=4)}},
        "gives axis 0 of the new one 4 words and 2 buckets",
    ),
    "too few words": (
        {"vars_to_warm_start": None, "var_name_to_vocab_info": {cases.EMBEDDING: VocabInfo(**INFO, new_vocab_size=9)}},
        "has 5 words, which is fewer than its size 9",
    ),
    "no vocabulary file": (
        {
            "vars_to_warm_start": None,
            "var_name_to_vocab_info": {cases.EMBEDDING: VocabInfo("none.txt", 5, 2, cases.OLD_WORDS)},
        },
        "there is no vocabulary file 'none.txt'",
    ),
}


@pytest.mark.parametrize("name", BAD_WARM_STARTS)
def test_what_does_not_fit_is_an_error(name: str, old_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    arguments, message = BAD_WARM_STARTS[name]
    with pytest.raises(ValueError, match=message):
        new_model(tmp_path, WarmStartSettings(str(old_dir), **arguments)).train(rows(), steps=1)


def test_a_file_of_keras_2_without_keras_2(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _written("model.keras", _keras_2_model)(str(tmp_path))
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(
        ImportError, match=r"written by Keras 2\..* pip install 'headway\[legacy\]'. Or save the weights"
    ):
        _ = open_source(settings["ckpt_to_initialize_from"]).names


def test_a_folder_of_exports_names_them(tmp_path: pathlib.Path) -> None:
    for name in ("1700000001", "1700000002"):
        tf.saved_model.save(Net(keras_model().weights), str(tmp_path / name))
    with pytest.raises(ValueError, match=r"holds the SavedModels \['1700000001', '1700000002'\]: give one of them"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.h5", "There is no file"),
        ("none.keras", "There is no file"),
        ("none", "without ending, such as"),
    ],
)
def test_a_source_that_is_not_there(path: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=message):
        new_model(tmp_path / "new", str(tmp_path / path)).train(rows(), steps=1)


def test_vocabularies_of_tensorflow_are_taken() -> None:
    theirs = tf.compat.v1.train.VocabInfo("new", 3, 1, "old", 2, None, 1)
    settings = WarmStartSettings("x", var_name_to_vocab_info={"w": theirs})
    assert settings.var_name_to_vocab_info == {"w": VocabInfo("new", 3, 1, "old", 2, None, 1)}


def test_settings_and_vocabularies_are_named_tuples() -> None:
    info = VocabInfo("new", 3, 1, "old")
    assert info._replace(old_vocab_size=2) == VocabInfo("new", 3, 1, "old", 2)
    assert tuple(info) == ("new", 3, 1, "old", -1, None, 0)
    settings = WarmStartSettings("a", var_name_to_vocab_info={"w": info})
    path, expressions, infos, names = settings._replace(ckpt_to_initialize_from="b")
    assert (path, expressions, infos, names) == ("b", ".*", {"w": info}, {})


def test_an_object_may_be_named_as_tensorflow_lists_it(tmp_path: pathlib.Path) -> None:
    given = _module_checkpoint(str(tmp_path))
    path = given["ckpt_to_initialize_from"]
    key = f"net/parts/{NAMES.index('first/kernel')}/.ATTRIBUTES/VARIABLE_VALUE"
    settings = WarmStartSettings(path, ".*first/kernel", var_name_to_prev_var_name={"first/kernel": key})
    config = RunConfig(model_dir=str(tmp_path / "new"), progress="none")
    model = Estimator(model_fn, config=config, warm_start_from=settings)
    model.train(arrays(), steps=1)
    np.testing.assert_array_equal(
        tf.train.load_variable(str(tmp_path / "new" / "model.ckpt-0"), "first/kernel"),
        tf.train.load_variable(path, key),
    )
