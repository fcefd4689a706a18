"""Exported models give what `predict` gives, whatever the model is made of, and need nothing of headway."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway.estimators import (
    ClassificationOutput,
    DNNLinearCombinedClassifier,
    Estimator,
    EstimatorSpec,
    LinearClassifier,
    LinearRegressor,
    RunConfig,
    ServingInputReceiver,
    _saved_model,
    build_parsing_serving_input_receiver_fn,
    build_raw_supervised_input_receiver_fn,
)

v1 = tf.compat.v1
ROOT = pathlib.Path(__file__).resolve().parents[2]


def path_of(exported: bytes) -> str:
    return os.fsdecode(exported)


def rows_of(predictions: Any, name: str) -> np.ndarray[Any, Any]:
    return np.stack([row[name] for row in predictions])


@pytest.mark.parametrize("kind", ["keras", "module", "variable", "v1"])
def test_every_kind_of_model_gives_its_predictions(kind: str, small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns[kind], tmp_path / "model").train(small.input_fn(), steps=4)
    expected = rows_of(model.predict(small.input_fn(repeat=1)), "y")
    signature = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "out"))).signatures["serving_default"]
    assert signature.structured_input_signature[1]["x"].shape.as_list() == [None, 3]
    np.testing.assert_allclose(signature(x=tf.constant(small.X))["y"], expected, atol=1e-6)
    # One row, which is a short batch, and none at all.
    np.testing.assert_allclose(signature(x=tf.constant(small.X[5:6]))["y"], expected[5:6], atol=1e-6)
    assert signature(x=tf.zeros([0, 3]))["y"].shape == (0,)


@pytest.mark.parametrize("settings", [{}, {"run_eagerly": True}], ids=["compiled", "eager"])
def test_a_model_of_two_replicas(settings: dict[str, Any], mirrored: Any, small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    model = small.estimator(small.model_fns["keras"], folder, train_distribute=mirrored, **settings)
    model.train(small.input_fn(), steps=3)
    expected = rows_of(model.predict(small.input_fn(repeat=1)), "y")
    receivers = {
        "train": build_raw_supervised_input_receiver_fn({"x": small.X}, small.Y),
        "infer": lambda: ServingInputReceiver({"x": (x := v1.placeholder(tf.float32, [None, 3]))}, x),
    }
    path = path_of(model.experimental_export_all_saved_models(tmp_path / "out", receivers))
    loaded = tf.saved_model.load(path, tags=["serve"])
    np.testing.assert_allclose(
        loaded.signatures["serving_default"](input=tf.constant(small.X))["y"], expected, atol=1e-6
    )
    names = [name for name, _ in tf.train.list_variables(os.path.join(path, "variables", "variables"))]
    assert set(names) <= set(model.get_variable_names())


def canned(folder: pathlib.Path) -> tuple[Any, Any, dict[str, Any]]:
    """Returns a model over columns of many kinds, its columns, and rows."""
    rng = np.random.default_rng(2)
    features = {
        "age": rng.uniform(20, 60, 12).astype("float32"),
        "job": rng.choice(["cook", "nurse", "pilot"], 12),
        "town": rng.choice(["bonn", "rome", "oslo"], 12),
        "day": rng.integers(0, 7, 12),
        "weight": rng.uniform(0.5, 2, 12).astype("float32"),
    }
    age = fc.numeric_column("age", normalizer_fn=lambda x: (x - tf.constant(40.0)) / 10.0)
    job = fc.categorical_column_with_vocabulary_list("job", ["cook", "nurse"], num_oov_buckets=1)
    town = fc.categorical_column_with_hash_bucket("town", 8)
    day = fc.categorical_column_with_identity("day", 7)
    wide = [fc.bucketized_column(fc.numeric_column("age"), [30, 45]), fc.crossed_column(["job", "town"], 20), day]
    deep = [age, fc.embedding_column(job, 3), fc.indicator_column(town)]
    model = DNNLinearCombinedClassifier(
        linear_feature_columns=wide,
        dnn_feature_columns=deep,
        dnn_hidden_units=[4],
        n_classes=3,
        label_vocabulary=["low", "middle", "high"],
        weight_column="weight",
        config=RunConfig(model_dir=str(folder), progress="none", tf_random_seed=1),
    )
    labels = rng.choice(["low", "middle", "high"], 12)
    model.train(input_pipelines.from_arrays(features, labels, batch_size=4, num_epochs=None), steps=6)
    return model, [*wide, *deep], features


def serialized(features: dict[str, Any]) -> list[bytes]:
    examples = []
    for i in range(len(features["age"])):
        made = {}
        for name, column in features.items():
            value = column[i]
            if isinstance(value, str):
                made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
            elif isinstance(value, np.integer):
                made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            else:
                made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        examples.append(tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString())
    return examples


def test_columns_travel_with_the_model(tmp_path: pathlib.Path) -> None:
    model, columns, features = canned(tmp_path / "model")
    rows = list(model.predict(input_pipelines.from_arrays(features, batch_size=5)))
    raw = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "raw"))).signatures["serving_default"]
    # The weights of examples are a feature of training alone.
    assert set(raw.structured_input_signature[1]) == {"age", "job", "town", "day"}
    found = raw(**{name: tf.constant(features[name]) for name in ("age", "job", "town", "day")})
    receiver_fn = build_parsing_serving_input_receiver_fn(fc.make_parse_example_spec(columns))
    parsed = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "parsed", receiver_fn))).signatures
    from_examples = parsed["predict"](examples=tf.constant(serialized(features)))
    for name in ("logits", "probabilities"):
        np.testing.assert_allclose(found[name], rows_of(rows, name), atol=1e-6)
        np.testing.assert_allclose(from_examples[name], rows_of(rows, name), atol=1e-6)
    assert found["classes"].numpy().tolist() == rows_of(rows, "classes").tolist()
    scores = parsed["serving_default"](inputs=tf.constant(serialized(features)))
    assert scores["classes"].numpy()[0].tolist() == [b"low", b"middle", b"high"]
    assert parsed["predict"](examples=tf.zeros([0], tf.string))["probabilities"].shape == (0, 3)


def test_a_vocabulary_file_and_shared_embeddings(tmp_path: pathlib.Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("red\ngreen\nblue\n")
    columns = [fc.categorical_column_with_vocabulary_file(key, str(words), num_oov_buckets=2) for key in ("one", "two")]
    model = LinearClassifier(
        [columns[0], *fc.shared_embeddings(columns, 2)],
        config=RunConfig(model_dir=str(tmp_path / "model"), progress="none", tf_random_seed=2),
    )
    features = {"one": np.array(["red", "blue", "pink"]), "two": np.array(["green", "grey", "red"])}
    model.train(input_pipelines.from_arrays(features, [0, 1, 1], batch_size=3, num_epochs=None), steps=5)
    expected = rows_of(model.predict(input_pipelines.from_arrays(features)), "logits")
    path = path_of(model.export_saved_model(tmp_path / "out"))
    words.unlink()
    found = tf.saved_model.load(path).signatures["serving_default"](
        **{name: tf.constant(values) for name, values in features.items()}
    )
    np.testing.assert_allclose(found["logits"], expected, atol=1e-6)


def test_one_string_feature_is_no_serialized_example(tmp_path: pathlib.Path) -> None:
    columns = [fc.text_column("said", hash_bucket_size=16)]
    model = LinearClassifier(columns, config=RunConfig(model_dir=str(tmp_path / "model"), progress="none"))
    features = {"said": np.array(["good day", "bad day", ""])}
    model.train(input_pipelines.from_arrays(features, [0, 1, 1], batch_size=3, num_epochs=None), steps=5)
    expected = rows_of(model.predict(input_pipelines.from_arrays(features)), "logits")
    signatures = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "out"))).signatures
    assert sorted(signatures) == ["predict", "serving_default"]
    found = signatures["serving_default"](said=tf.constant(features["said"]))
    np.testing.assert_allclose(found["logits"], expected, atol=1e-6)


def test_a_model_that_only_classifies(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(1.0, name="w")
        scores = ClassificationOutput(scores=w * features["x"])
        return EstimatorSpec(
            mode, predictions=features["x"], loss=w, train_op=w.assign_add(1.0), export_outputs={"scores": scores}
        )

    model = Estimator(model_fn, str(tmp_path / "model"), RunConfig(progress="none"))
    model.train(lambda: tf.data.Dataset.from_tensors({"x": [[1.0, 2.0]]}), steps=1)
    signatures = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "out"))).signatures
    assert sorted(signatures) == ["scores", "serving_default"]
    assert signatures["scores"](x=tf.constant([[1.0, 2.0]]))["scores"].numpy().tolist() == [[2.0, 4.0]]


_BARE = """
import sys
import tensorflow as tf
path, x = sys.argv[1], [[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]]
by_load = tf.saved_model.load(path).signatures["serving_default"](x=tf.constant(x))["y"].numpy()
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    signature = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
    by_session = session.run(signature.outputs["y"].name, {signature.inputs["x"].name: x})
assert "headway" not in sys.modules
print("RESULT", *by_load, *by_session)
"""


def test_a_process_without_headway_loads_it(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns["keras"], tmp_path / "model").train(small.input_fn(), steps=2)
    x = np.array([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]], "float32")
    expected = rows_of(model.predict(lambda: tf.data.Dataset.from_tensors({"x": x})), "y")
    path = path_of(model.export_saved_model(tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", _BARE, path], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    np.testing.assert_allclose([float(v) for v in line.split()[1:]], [*expected, *expected], atol=1e-6)


LINE = {"x": np.array([0.0, 1.0, 2.0], "float32")}
EXAMPLES = {
    "arrays": LINE,
    "tensors": {"x": tf.constant([0.0, 1.0])},
    "specs": {"x": tf.TensorSpec([None], tf.float32)},
    "frame": pd.DataFrame(LINE),
    "pipeline": input_pipelines.from_arrays(LINE, [0.0, 2.0, 4.0], batch_size=2),
    "dataset": tf.data.Dataset.from_tensors((LINE, [0.0, 2.0, 4.0])),
    "input_fn": lambda: tf.data.Dataset.from_tensors(LINE),
}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The model_dir of a linear model of 'x'."""
    folder = tmp_path_factory.mktemp("line") / "model"
    make_line(folder).train(input_pipelines.from_arrays(LINE, [0.0, 2.0, 4.0], batch_size=3, num_epochs=None), steps=20)
    return folder


def make_line(folder: pathlib.Path) -> LinearRegressor:
    return LinearRegressor([fc.numeric_column("x")], config=RunConfig(model_dir=str(folder), progress="none"))


@pytest.mark.parametrize("kind", [*EXAMPLES, "columns"])
def test_an_example_says_what_clients_send(kind: str, line: pathlib.Path, tmp_path: pathlib.Path) -> None:
    model = make_line(line)  # a new process: it has seen no input
    path = path_of(model.export_saved_model(tmp_path, example=EXAMPLES.get(kind)))
    signature = tf.saved_model.load(path).signatures["serving_default"]
    sent = tf.constant([[5.0], [7.0]]) if kind == "columns" else tf.constant([5.0, 7.0])
    expected = rows_of(model.predict(input_pipelines.from_arrays({"x": [5.0, 7.0]})), "predictions")
    np.testing.assert_allclose(signature(x=sent)["predictions"], expected, atol=1e-6)


def test_sparse_and_ragged_features_and_odd_names(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(2.0, name="w")
        sums = tf.reduce_sum(features["bag of words"], axis=1) + tf.sparse.reduce_sum(features["s"], axis=1)
        return EstimatorSpec(
            mode, predictions={"y": w * (sums + features["deep"]["inner"])}, loss=w, train_op=w.assign_add(1.0)
        )

    features = {
        "bag of words": tf.ragged.constant([[1.0, 2.0], [], [3.0]]),
        "s": tf.sparse.from_dense([[0.0, 5.0], [0.0, 0.0], [1.0, 1.0]]),
        "deep": {"inner": tf.constant([10.0, 20.0, 30.0])},
    }
    model = Estimator(model_fn, str(tmp_path / "model"), config=RunConfig(progress="none"))
    model.train(lambda: tf.data.Dataset.from_tensors(features), steps=1)
    path = path_of(model.export_saved_model(tmp_path / "out", example=features))
    with v1.Session(graph=tf.Graph()) as session:
        signature = v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        assert set(signature.inputs) == {"bag of words", "s", "deep/inner"}
        ragged, sparse = signature.inputs["bag of words"].composite_tensor, signature.inputs["s"].coo_sparse
        feed = {
            ragged.components[0].name: [1.0, 2.0, 3.0],
            ragged.components[1].name: [0, 2, 2, 3],
            sparse.indices_tensor_name: features["s"].indices.numpy(),
            sparse.values_tensor_name: features["s"].values.numpy(),
            sparse.dense_shape_tensor_name: [3, 2],
            signature.inputs["deep/inner"].name: [10.0, 20.0, 30.0],
        }
        # 3 * (3 + 5 + 10), 3 * 20, 3 * (3 + 2 + 30)
        assert session.run(signature.outputs["y"].name, feed).tolist() == [54.0, 60.0, 105.0]


def outside_model_fn(features: Any, mode: str, params: Any) -> EstimatorSpec:
    w = tf.Variable(1.0, name="w")
    y = w * features["x"] * params["scale"].value + tf.gather(params["numbers"], tf.cast(features["x"], tf.int32))
    words = params["table"].lookup(tf.cast(features["x"], tf.int64))
    # Inside of a branch, a table is an argument of another function.
    lengths = tf.cond(tf.size(words) > 0, lambda: params["words"].lookup(words), lambda: tf.zeros([0], tf.int64))
    y += tf.cast(lengths, tf.float32)
    return EstimatorSpec(mode, predictions={"y": y, "words": words}, loss=w, train_op=w.assign_add(1.0))


class Outside:
    """Things that a program has made beside the model; params are copied, and these are not to be."""

    def __init__(self) -> None:
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), tf.constant(["one", "two"]))
        lengths = tf.lookup.KeyValueTensorInitializer(tf.constant(["one", "two"]), tf.constant([300, 500], tf.int64))
        self.things = {
            "scale": keras.Variable(10.0, name="w", trainable=False),
            "numbers": tf.range(1000, dtype=tf.float32),
            "table": tf.lookup.StaticHashTable(initializer, "none"),
            "words": tf.lookup.StaticHashTable(lengths, 0),
        }

    def __deepcopy__(self, memo: Any) -> Outside:
        return self

    def __getitem__(self, name: str) -> Any:
        return self.things[name]


def test_what_a_model_uses_from_outside_travels_too(tmp_path: pathlib.Path) -> None:
    x = tf.constant([1.0, 2.0, 7.0])
    model = Estimator(outside_model_fn, str(tmp_path / "model"), RunConfig(progress="none"), Outside())
    with pytest.warns(UserWarning, match="model_fn uses variables that were made outside it"):
        model.train(lambda: tf.data.Dataset.from_tensors({"x": x}), steps=1)
    path = path_of(model.export_saved_model(tmp_path / "out"))
    found = tf.saved_model.load(path).signatures["serving_default"](x=x)
    # 2 * x * 10 + x + the length that stands for the word
    assert found["y"].numpy().tolist() == [321.0, 542.0, 147.0]
    assert found["words"].numpy().tolist() == [b"one", b"two", b"none"]
    # Its variable has the name that the model's own has: both are there.
    names = dict(tf.train.list_variables(os.path.join(path, "variables", "variables")))
    assert set(names) == {"global_step", "w", "w_1"}


def test_what_no_saved_model_holds_is_named(tmp_path: pathlib.Path) -> None:
    queue = tf.queue.FIFOQueue(5, tf.float32)
    dataset = tf.data.Dataset.range(3)

    def model_fn(features: Any, mode: str, params: Any) -> EstimatorSpec:
        w = tf.Variable(1.0, name="w")
        y = features["x"]
        if mode == "infer":
            y += (
                queue.dequeue()
                if params["what"] == "queue"
                else tf.cast(dataset.reduce(tf.constant(0, tf.int64), tf.maximum), tf.float32)
            )
        return EstimatorSpec(mode, predictions={"y": y}, loss=w, train_op=w.assign_add(1.0))

    for what, text in (("queue", "neither a variable nor a lookup table"), ("dataset", "a tensor of type 'variant'")):
        model = Estimator(model_fn, str(tmp_path / what), RunConfig(progress="none"), {"what": what})
        model.train(lambda: tf.data.Dataset.from_tensors({"x": [1.0]}), steps=1)
        with pytest.raises(ValueError, match=f"that a SavedModel cannot hold: .*{text}"):
            model.export_saved_model(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_checks_of_the_model_run_when_it_is_served(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(1.0, name="w")
        tf.debugging.assert_positive(features["x"], message="only positive numbers")
        return EstimatorSpec(mode, predictions={"y": w * features["x"]}, loss=w, train_op=w.assign_add(1.0))

    model = Estimator(model_fn, str(tmp_path / "model"), RunConfig(progress="none"))
    model.train(lambda: tf.data.Dataset.from_tensors({"x": [1.0]}), steps=1)
    signature = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "out"))).signatures["serving_default"]
    assert signature(x=tf.constant([3.0]))["y"].numpy().tolist() == [6.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="only positive numbers"):
        signature(x=tf.constant([-3.0]))


def test_an_export_does_not_touch_the_weights_in_memory(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=2)
    model.train(small.input_fn(), steps=4)
    before = rows_of(model.predict(small.input_fn(repeat=1)), "y")
    first = str(tmp_path / "model" / "model.ckpt-2")
    old = tf.saved_model.load(path_of(model.export_saved_model(tmp_path / "out", checkpoint_path=first)))
    expected = rows_of(model.predict(small.input_fn(repeat=1), checkpoint_path=first), "y")
    np.testing.assert_allclose(old.signatures["serving_default"](x=tf.constant(small.X))["y"], expected, atol=1e-6)
    np.testing.assert_array_equal(rows_of(model.predict(small.input_fn(repeat=1)), "y"), before)
    # Training goes on as if nothing had happened.
    other = small.estimator(small.linear, tmp_path / "other", save_checkpoints_steps=2)
    other.train(small.input_fn(), steps=4).train(small.input_fn(), steps=2)
    model.train(small.input_fn(), steps=2)
    np.testing.assert_array_equal(model.get_variable_value("linear/w"), other.get_variable_value("linear/w"))


def test_a_warm_start_from_an_exported_model(line: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = path_of(make_line(line).export_saved_model(tmp_path / "out"))
    warm = LinearRegressor(
        [fc.numeric_column("x")],
        config=RunConfig(model_dir=str(tmp_path / "warm"), progress="none"),
        warm_start_from=path,
    )
    rows = input_pipelines.from_arrays(LINE, [0.0, 2.0, 4.0], batch_size=3)
    expected = rows_of(make_line(line).predict(rows), "predictions")
    np.testing.assert_allclose(rows_of(warm.predict(rows), "predictions"), expected, atol=1e-6)


def test_a_failed_export_leaves_nothing(line: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    model, out = make_line(line), tmp_path / "out"
    path_of(model.export_saved_model(out))

    def no_space(*_: Any) -> None:
        raise OSError("no space left on the device")

    monkeypatch.setattr(_saved_model, "_flush_all", no_space)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("time.time", lambda: 1234567890.5)
    with pytest.raises(OSError, match="no space left"):
        model.export_saved_model(out)
    assert len(list(out.iterdir())) == 1
    (out / "1234567890").mkdir()
    with pytest.raises(RuntimeError, match="Failed to obtain a unique export directory name"):
        model.export_saved_model(out)


_KILLED = """
import sys
from headway import feature_columns as fc
from headway.estimators import LinearRegressor, RunConfig
model = LinearRegressor([fc.numeric_column("x")], config=RunConfig(model_dir=sys.argv[1], progress="none"))
while True:
    print(model.export_saved_model(sys.argv[2]), flush=True)
"""


def test_a_killed_process_leaves_whole_exports_only(line: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", _KILLED, str(line), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # Killed as soon as the second export is under way.
        while not list(out.glob("temp-*")):
            assert process.poll() is None
        process.kill()
    exports = sorted(path for path in out.iterdir() if path.name.isdigit())
    assert exports
    for path in exports:
        assert "serving_default" in tf.saved_model.load(str(path)).signatures


MISTAKES = {
    "no directory": (lambda model, out: model.export_saved_model(""), "must be the path of a directory"),
    "no function": (
        lambda model, out: model.export_saved_model(out, {"x": 1}),
        r"The input receiver of mode 'infer' must be a function that returns a ServingInputReceiver",
    ),
    "a pipeline": (
        lambda model, out: model.export_saved_model(out, EXAMPLES["pipeline"]),
        r"must return a ServingInputReceiver.*`export_saved_model\(directory, example=...\)`",
    ),
    "a scalar": (
        lambda model, out: model.export_saved_model(out, example={"x": 1.0}),
        r"must have the batch on axis 0. Received the scalar 'x'",
    ),
    "a feature is missing": (
        lambda model, out: model.export_saved_model(out, example={"z": [1.0]}),
        "Feature x is not in features dictionary",
    ),
    "no such checkpoint": (
        lambda model, out: model.export_saved_model(out, checkpoint_path="no/model.ckpt-3"),
        "must be the path of a checkpoint",
    ),
    "no such asset": (
        lambda model, out: model.export_saved_model(out, assets_extra={"a.txt": "no/such/file"}),
        "names a file that is not there: 'no/such/file'",
    ),
    "an asset elsewhere": (
        lambda model, out: model.export_saved_model(out, assets_extra={"../a.txt": __file__}),
        "are paths below the folder",
    ),
    "an input_fn without labels": (
        lambda model, out: model.experimental_export_all_saved_models(out, {"train": lambda: None}),
        "must return a ServingInputReceiver",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_before_anything_is_written(name: str, line: pathlib.Path, tmp_path: pathlib.Path) -> None:
    act, text = MISTAKES[name]
    with pytest.raises((ValueError, TypeError), match=text):
        act(make_line(line), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_known_of_the_input(small: Any, tmp_path: pathlib.Path) -> None:
    small.estimator(small.linear, tmp_path / "model").train(small.input_fn(), steps=1)
    with pytest.raises(ValueError, match=r"this estimator has seen no input yet. Give .*example="):
        small.estimator(small.linear, tmp_path / "model").export_saved_model(tmp_path / "out")


def test_a_checkpoint_of_another_model(line: pathlib.Path, tmp_path: pathlib.Path) -> None:
    columns = [fc.numeric_column("x"), fc.numeric_column("z")]
    model = LinearRegressor(columns, config=RunConfig(model_dir=str(line), progress="none"))
    with pytest.raises(ValueError, match=r"lacks 1 variable of the model:\n  linear/linear_model/z/weights"):
        model.export_saved_model(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_signature_is_left_out_with_a_reason(line: pathlib.Path, tmp_path: pathlib.Path, caplog: Any) -> None:
    columns = [fc.numeric_column("x")]
    model = LinearClassifier(columns, config=RunConfig(model_dir=str(tmp_path / "model"), progress="none"))
    model.train(input_pipelines.from_arrays(LINE, [0, 1, 1]), steps=1)

    def receiver_fn() -> ServingInputReceiver:
        x, scale = v1.placeholder(tf.float32, [None]), v1.placeholder(tf.float32, [])
        return ServingInputReceiver({"x": x * scale}, {"x": x})

    with pytest.raises(ValueError, match=r"The export would have no signature at all.*depend on the placeholders"):
        model.export_saved_model(tmp_path / "out", receiver_fn)
    model.export_saved_model(
        tmp_path / "out", lambda: ServingInputReceiver({"x": (x := v1.placeholder(tf.float32, [None]))}, {"x": x})
    )
    messages = [record.getMessage() for record in caplog.records]
    assert any("no signature 'classification': Classification signatures can only accept" in text for text in messages)
    assert any("The export has no default signature" in text for text in messages)
