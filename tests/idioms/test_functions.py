"""What the table of idioms does not show: replicas, eager steps, places in inputs, exports, and mistakes."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway.estimators import Estimator, EstimatorSpec, RunConfig

v1 = tf.compat.v1
X = np.arange(8, dtype="float32").reshape(8, 1) / 8.0
Y = 2.0 * X[:, 0]


def _rows(batch: int = 2, repeat: int | None = None) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).repeat(repeat).batch(batch)


def _one_shot(dataset: tf.data.Dataset) -> Callable[[], Any]:
    def input_fn() -> Any:
        features, labels = v1.data.make_one_shot_iterator(dataset).get_next()
        return {"x": features["x"] + 1.0}, labels

    return input_fn


def _estimator(model_fn: Callable[..., Any], folder: pathlib.Path | None = None, **config: Any) -> Estimator:
    settings = {"progress": "none", "save_checkpoints_steps": 100, "tf_random_seed": 1, **config}
    return Estimator(model_fn, None if folder is None else str(folder), config=RunConfig(**settings))


def _linear(features: Any) -> Any:
    w = v1.get_variable("w", [1, 1], initializer=v1.zeros_initializer())
    return (features["x"] @ w)[:, 0]


def _step(loss: Any, **kwargs: Any) -> Any:
    return v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_global_step(), **kwargs)


def _spec(mode: str, y: Any, labels: Any) -> EstimatorSpec:
    """Squared error; the metrics are half of a mean, and the number of rows by an update that is an operation."""
    if mode == "infer":
        return EstimatorSpec(mode, predictions={"y": y})
    loss = tf.reduce_sum(tf.square(y - labels))
    if mode == "train":
        return EstimatorSpec(mode, loss=loss, train_op=_step(loss))
    mean, update = v1.metrics.mean(labels)
    rows = v1.get_local_variable("rows", [], initializer=v1.zeros_initializer())
    counted = v1.assign_add(rows, tf.cast(tf.size(labels), tf.float32)).op
    ops = {"half": (0.5 * mean, update), "rows": (rows.read_value(), counted)}
    return EstimatorSpec(mode, loss=loss, eval_metric_ops=ops)


def _model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    return _spec(mode, _linear(features), labels)


@pytest.mark.parametrize("replicas", [1, 2])
def test_values_of_pairs_see_all_updates(replicas: int, request: pytest.FixtureRequest) -> None:
    config = {} if replicas == 1 else {"train_distribute": request.getfixturevalue("mirrored")}
    model = _estimator(_model_fn, **config)
    result = model.evaluate(lambda: _rows(batch=3, repeat=1))
    # Batches of 3, 3 and 2 rows.
    assert result["half"] == pytest.approx(0.5 * Y.mean())
    # In replicas only compat.v1.metrics add their variables up.
    assert result["rows"] == 8.0 or replicas == 2


def test_values_of_pairs_in_eager_steps() -> None:
    # compat.v1.metrics refuse eager execution; pairs of one's own do not.
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        local = [v1.GraphKeys.LOCAL_VARIABLES]
        rows = v1.Variable(0.0, trainable=False, collections=local, name="rows")
        pair = (2.0 * rows, rows.assign_add(tf.cast(tf.size(labels), tf.float32)))
        return EstimatorSpec(mode, loss=tf.constant(0.0), eval_metric_ops={"twice": pair})

    result = _estimator(model_fn, run_eagerly=True).evaluate(lambda: _rows(batch=3, repeat=1))
    assert result["twice"] == 16.0


def test_a_batch_of_no_rows_in_evaluation() -> None:
    result = _estimator(_model_fn).evaluate(lambda: _rows(repeat=1).take(0))
    assert (result["half"], result["rows"]) == (0.0, 0.0)


def test_an_iterator_goes_on_where_an_interrupted_run_was(tmp_path: pathlib.Path) -> None:
    seen: list[float] = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        spec = _model_fn(features, labels, mode)
        note = tf.py_function(lambda x: seen.append(float(x)), [features["x"][0, 0]], [])
        with tf.control_dependencies([note] if isinstance(note, tf.Operation) else []):
            return spec._replace(loss=tf.identity(spec.loss))

    for steps in (3, 2):
        _estimator(model_fn, tmp_path, resume_input="always").train(_one_shot(_rows()), steps=steps)
    # The place itself is saved, not only how many batches were taken.
    assert list(tmp_path.glob("model.ckpt-5.input.*"))
    # Rows 0, 2, 4 of the first run, then 6 and again 0; all of them one more, by the operation after get_next.
    assert seen == [1.0, 1.25, 1.5, 1.75, 1.0]


def test_an_input_of_iterators_is_shorter_in_its_last_batch_and_ends() -> None:
    result = _estimator(_model_fn).evaluate(_one_shot(_rows(batch=5, repeat=1)))
    assert result["rows"] == 8.0


def test_several_batches_of_an_iterator_in_a_step_are_refused_in_functions() -> None:
    def input_fn() -> Any:
        iterator = v1.data.make_one_shot_iterator(_rows())
        (features, _), (_, labels) = iterator.get_next(), iterator.get_next()
        return features, labels

    # A session gives one batch after the other.
    model = _estimator(_model_fn)
    model.train(input_fn, steps=1)
    # w = 0.1 * 2 * (x_0 y_2 + x_1 y_3)
    assert model.get_variable_value("w")[0, 0] == pytest.approx(0.2 * (X[1, 0] * Y[3]), rel=1e-6)


def test_keras_variables_and_a_v1_optimizer() -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        y = dense(features["x"])[:, 0]
        loss = tf.reduce_sum(tf.square(y - labels))
        return EstimatorSpec(mode, loss=loss, train_op=_step(loss, var_list=dense.trainable_variables))

    model = _estimator(model_fn).train(lambda: _rows(batch=8), steps=1)
    assert model.get_variable_value("dense/kernel")[0, 0] == pytest.approx(0.2 * float(X[:, 0] @ Y), rel=1e-6)


def test_summaries_of_tensorflow_2_are_in_the_event_file(tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        tf.summary.scalar("error", 3.0)
        tf.summary.histogram("labels", labels)
        return _model_fn(features, labels, mode)

    _estimator(model_fn, tmp_path, save_summary_steps=2).train(_rows, steps=3)
    found: dict[str, list[int]] = {}
    plugins: set[str] = set()
    for path in tmp_path.glob("events.*"):
        for event in v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
                if value.tag == "error":
                    assert tf.make_ndarray(value.tensor) == 3.0
                    plugins.add(value.metadata.plugin_data.plugin_name)
    # A file tells what a tag is with its first event.
    assert plugins == {"scalars", ""}
    # Every second step, from the first on.
    assert found["error"] == found["labels"] == [1, 3]


def _write(folder: pathlib.Path) -> str:
    path = str(folder / "other.ckpt")
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["old"], shape_and_slices=[""], tensors=[tf.constant([[3.0]])])
    return path


@pytest.mark.parametrize("replicas", [1, 2])
def test_init_from_checkpoint_once(replicas: int, tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> None:
    path = _write(tmp_path)

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        y = _linear(features)
        v1.train.init_from_checkpoint(path, {"old": "w"})
        loss = tf.reduce_sum(y) * 0.0 + tf.reduce_sum(v1.trainable_variables()[0])
        return EstimatorSpec(mode, loss=loss, train_op=None if mode == "eval" else _step(loss))

    config = {} if replicas == 1 else {"train_distribute": request.getfixturevalue("mirrored")}
    model = _estimator(model_fn, tmp_path / "model", **config)
    assert model.evaluate(lambda: _rows(repeat=1), steps=1)["loss"] == 3.0
    model.train(_rows, steps=2)
    # The gradient is 1, or the mean of 1 and 1.
    assert model.get_variable_value("w")[0, 0] == pytest.approx(2.8)
    # Another process: its own checkpoint comes before the other one.
    again = _estimator(model_fn, tmp_path / "model", **config)
    assert again.evaluate(lambda: _rows(repeat=1), steps=1)["loss"] == pytest.approx(2.8)
    assert again.train(_rows, steps=1).get_variable_value("w")[0, 0] == pytest.approx(2.7)


def _partitioned_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
    with v1.variable_scope("m", partitioner=v1.fixed_size_partitioner(2)):
        table = v1.get_variable("table", [3, 1], initializer=v1.ones_initializer())
    y = features["x"][:, 0] * tf.reduce_sum(tf.convert_to_tensor(table))
    return _spec(mode, y, labels)


def test_parts_of_a_variable_are_one_tensor_for_warm_start_too(tmp_path: pathlib.Path) -> None:
    first = _estimator(_partitioned_fn, tmp_path / "one").train(_rows, steps=1)
    table = first.get_variable_value("m/table")
    assert table.shape == (3, 1)
    assert "m/table/part_0" not in first.get_variable_names()
    second = Estimator(
        _partitioned_fn,
        str(tmp_path / "two"),
        RunConfig(progress="none", save_checkpoints_steps=100),
        warm_start_from=first.latest_checkpoint(),
    )
    before = second.evaluate(lambda: _rows(repeat=1))["loss"]
    assert before == pytest.approx(first.evaluate(lambda: _rows(repeat=1))["loss"])

    def whole_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        with v1.variable_scope("m"):
            whole = v1.get_variable("table", [3, 1], initializer=v1.ones_initializer())
        return _spec(mode, features["x"][:, 0] * tf.reduce_sum(whole), labels)

    # A model without parts reads the same checkpoint.
    result = _estimator(whole_fn, tmp_path / "one").evaluate(lambda: _rows(repeat=1))
    assert result["loss"] == pytest.approx(before)


def test_parts_of_another_shape_are_refused(tmp_path: pathlib.Path) -> None:
    def other_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        with v1.variable_scope("m", partitioner=v1.fixed_size_partitioner(2)):
            table = v1.get_variable("table", [4, 1], initializer=v1.ones_initializer())
        return _spec(mode, features["x"][:, 0] * tf.reduce_sum(tf.convert_to_tensor(table)), labels)

    _estimator(_partitioned_fn, tmp_path).train(_rows, steps=1)
    with pytest.raises(ValueError, match=r"is a part of 'm/table' of shape \(4, 1\), which has shape \(3, 1\)"):
        _estimator(other_fn, tmp_path).evaluate(lambda: _rows(repeat=1))


def test_export_with_tables_and_without_updates(tmp_path: pathlib.Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("blue\nred\n", encoding="utf-8")

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        source = tf.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        ids = tf.lookup.StaticHashTable(source, -1).lookup(features["word"])
        keys, values = tf.constant([-1, 0, 1], tf.int64), tf.constant(["?", "b", "r"])
        letters = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), "").lookup(ids)
        w = v1.get_variable("w", [], initializer=v1.zeros_initializer())
        loss = tf.square(w - 1.0)
        # As many programs do, in each mode.
        train_op = _step(loss)
        if mode == "infer":
            return EstimatorSpec(mode, predictions={"id": ids, "letter": letters, "w": tf.fill(tf.shape(ids), w)})
        return EstimatorSpec(mode, loss=loss, train_op=train_op)

    batch = {"word": np.array(["red", "green"])}
    model = _estimator(model_fn, tmp_path / "model")
    model.train(lambda: tf.data.Dataset.from_tensors(batch).repeat(), steps=1)
    row = next(model.predict(lambda: tf.data.Dataset.from_tensors(batch)))
    assert (row["id"], row["letter"]) == (1, b"r")
    folder = pathlib.Path(model.export_saved_model(str(tmp_path / "export"), example=batch).decode())
    assert [path.name for path in (folder / "assets").iterdir()] == ["words.txt"]
    words.unlink()
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    for _ in range(2):
        served = serve(word=tf.constant(["green", "blue"]))
        assert served["id"].numpy().tolist() == [-1, 0]
        assert served["letter"].numpy().tolist() == [b"?", b"b"]
        assert served["w"].numpy() == pytest.approx([0.2, 0.2])


def test_optimizers_outside_the_train_op_are_refused_where_they_cannot_be_left_out(mirrored: Any) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        loss = tf.reduce_sum(tf.square(_linear(features) - labels))
        _step(10.0 * loss)
        return EstimatorSpec(mode, loss=loss, train_op=_step(loss))

    with pytest.raises(ValueError, match=r"an optimizer's step that is no part of its train_op. With 2 replicas"):
        _estimator(model_fn, train_distribute=mirrored, runtime="function").train(_rows, steps=1)


def test_a_name_that_no_tensor_has() -> None:
    hook = v1.train.LoggingTensorHook({"loss": "softmax"}, every_n_iter=1)
    with pytest.raises(ValueError, match=r"the tensor 'softmax', which the model_fn does not make"):
        _estimator(_model_fn, runtime="function").train(_rows, [hook], steps=1)


def test_a_scaffold_that_needs_a_session_says_so() -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        spec = _model_fn(features, labels, mode)
        return spec._replace(scaffold=v1.train.Scaffold(init_fn=lambda scaffold, session: None))

    with pytest.raises(ValueError, match=r"a Scaffold with init_fn, which only a session knows"):
        _estimator(model_fn, runtime="function").train(_rows, steps=1)


def test_variables_in_a_model_fn_have_operations_and_hashes() -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        y = _linear(features)
        (w,) = v1.trainable_variables()
        assert {w: 1}[w] == 1
        assert (w.op.name, w.op.type, w.name) == ("w", "VarHandleOp", "w:0")
        assert w.op.graph is v1.get_default_graph()
        return _spec(mode, y, labels)

    _estimator(model_fn).evaluate(lambda: _rows(repeat=1))
