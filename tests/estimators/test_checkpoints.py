"""Checkpoints: whole or not at all, readable by TensorFlow's tools and from them, and with the place in the input."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway.estimators import DNNClassifier, Estimator, EstimatorSpec, RunConfig, _checkpoints, every_n_steps

v1 = tf.compat.v1


def steps_in(folder: pathlib.Path) -> list[int]:
    """Returns the steps whose checkpoints are there."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("model.ckpt-*[0-9].index"))


class Crash(BaseException):
    """Ends the program where it is raised; nobody catches it."""


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_crash_while_writing(
    renames: int, small: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A checkpoint takes three renames: data, index, state file. Training breaks off before the one of this number.
    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    model.train(small.input_fn(), steps=2)
    true_rename, done = tf.io.gfile.rename, []

    def rename(source: str, target: str, overwrite: bool = False) -> None:
        if ("ckpt-4" in source and "input" not in source) or done:
            if len(done) == renames:
                raise Crash
            done.append(target)
        true_rename(source, target, overwrite)

    with monkeypatch.context() as patched:
        patched.setattr(tf.io.gfile, "rename", rename)
        with pytest.raises(Crash):
            model.train(small.input_fn(), steps=4)
    # With data and index in place the checkpoint is there, whether the state file names it or not.
    expected = 2 if renames < 2 else 4
    again = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    assert again.evaluate(small.input_fn(repeat=1))["global_step"] in (2, expected)
    again.train(small.input_fn(), max_steps=6)
    assert again.get_variable_value("global_step") == 6
    assert not [path.name for path in folder.iterdir() if ".tmp-" in path.name]


def test_leftovers_of_a_killed_process_are_removed(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    small.estimator(small.linear, folder).train(small.input_fn(), steps=1)
    leftovers = ["model.ckpt-7.tmp-99-1.index", "checkpoint.tmp-99", "model.ckpt-7.input.json.tmp-99"]
    for name in [*leftovers, "notes.tmp"]:
        (folder / name).write_text("x")
    # TensorFlow gathers the parts of a checkpoint in a folder.
    folders = ["model.ckpt-1.input_temp", "model.ckpt-7.input_temp", "model.ckpt-7_temp"]
    for name in folders:
        (folder / name).mkdir()
        (folder / name / "part-00000-of-00001.index").write_text("x")
    small.estimator(small.linear, folder).train(small.input_fn(), steps=1)
    assert not [name for name in [*leftovers, *folders] if (folder / name).exists()]
    assert (folder / "notes.tmp").exists()


def test_a_checkpoint_is_deleted_with_what_a_killed_process_left_beside_it(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder, keep_checkpoint_max=1)
    model.train(small.input_fn(), steps=1)
    checkpoints, step = _checkpoints.CheckpointDirectory(str(folder), keep_max=1), 2
    (folder / "model.ckpt-1.input_temp").mkdir()
    checkpoints.write(step, {"global_step": tf.constant(step, tf.int64)})
    assert not list(folder.glob("model.ckpt-1.*"))
    assert steps_in(folder) == [step]


def test_a_run_that_goes_on_does_not_write_its_checkpoint_again(small: Any, tmp_path: pathlib.Path) -> None:
    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in folder.glob("model.ckpt-3*")}

    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder)
    model.train(small.input_fn(), steps=3)
    before = written()
    assert before
    model.train(small.input_fn(), steps=1)
    small.estimator(small.linear, folder).train(small.input_fn(), steps=1)
    assert written() == before
    assert steps_in(folder) == [0, 3, 4, 5]


def columns_model(folder: pathlib.Path) -> Any:
    """A ready-made model whose columns look values up and check them."""
    columns = [
        fc.numeric_column("x"),
        fc.embedding_column(fc.categorical_column_with_vocabulary_list("word", ["a", "b"]), 2),
        fc.indicator_column(fc.categorical_column_with_identity("id", 3)),
    ]
    config = RunConfig(str(folder), tf_random_seed=1, save_checkpoints_steps=1, progress="none")
    return DNNClassifier(hidden_units=[2], feature_columns=columns, config=config)


def columns_input(stateful: bool = False) -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    features = {"x": rng.normal(size=40), "word": rng.choice(["a", "b", "c"], 40), "id": rng.integers(0, 3, 40)}
    rows = tf.data.Dataset.from_tensor_slices((features, rng.integers(0, 2, 40))).shuffle(40, seed=3)
    # With a map the rows keep their way through tf.data.
    rows = rows.map(lambda x, y: ({**x, "x": x["x"] + (tf.random.uniform([], dtype=tf.float64) if stateful else 0)}, y))
    return rows.repeat().batch(4)


def test_the_place_of_a_dataset_before_columns_is_saved(tmp_path: pathlib.Path) -> None:
    whole = columns_model(tmp_path / "whole").train(columns_input, max_steps=6)

    def crash(run: Any) -> None:
        if run.step == 3:
            raise Crash

    with pytest.raises(Crash):
        columns_model(tmp_path / "parts").train(columns_input, max_steps=6, hooks=[every_n_steps(1, crash)])
    position = json.loads((tmp_path / "parts" / "model.ckpt-2.input.json").read_text())
    assert position["iterator"] is True
    parts = columns_model(tmp_path / "parts").train(columns_input, max_steps=6)
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(parts.get_variable_value(name), whole.get_variable_value(name), err_msg=name)


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (".input.json", "The place in the input cannot be read"),
        (".input.index", "8 batches are read and dropped instead"),
        (".input.data-00000-of-00001", "8 batches are read and dropped instead"),
    ],
)
@pytest.mark.parametrize("emptied", [True, False])
def test_a_damaged_place(
    ending: str, message: str, emptied: bool, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = columns_model(tmp_path)

    def crash(run: Any) -> None:
        if run.step == 9:
            raise Crash

    with pytest.raises(Crash):
        model.train(columns_input, max_steps=10, hooks=[every_n_steps(1, crash)])
    assert steps_in(tmp_path)[-1] == 8
    damaged = tmp_path / f"model.ckpt-8{ending}"
    damaged.write_bytes(b"" if emptied else b"{nonsense")
    columns_model(tmp_path).train(columns_input, max_steps=10)
    assert steps_in(tmp_path)[-1] == 10
    assert any(message in record.getMessage() for record in caplog.records)


def test_an_empty_state_file(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    small.estimator(small.linear, folder).train(small.input_fn(), steps=2)
    (folder / "checkpoint").write_text("")
    model = small.estimator(small.linear, folder)
    assert model.evaluate(small.input_fn(repeat=1))["global_step"] == 2
    assert model.train(small.input_fn(), steps=1).get_variable_value("global_step") == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.batch(8),
        lambda rows: rows.take(12).batch(4),
        lambda rows: rows.map(lambda x, y: (x, y)).batch(4),
        lambda rows: rows.shuffle(5).batch(4),
    ],
    ids=["batch size", "rows", "a map", "a shuffle"],
)
def test_another_input_starts_a_fresh_pass(
    change: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = ({"x": np.arange(40.0)}, np.arange(40) % 2)

    def model() -> Any:
        config = RunConfig(str(tmp_path), save_checkpoints_steps=1, progress="none")
        return DNNClassifier(hidden_units=[2], feature_columns=[fc.numeric_column("x")], config=config)

    def crash(run: Any) -> None:
        if run.step == 3:
            raise Crash

    rows = tf.data.Dataset.from_tensor_slices(table)
    with pytest.raises(Crash):
        model().train(lambda: rows.batch(4), max_steps=5, hooks=[every_n_steps(1, crash)])
    model().train(lambda: change(tf.data.Dataset.from_tensor_slices(table)), max_steps=3)
    assert any("The input starts a fresh pass: its rows, batch size or order" in r.getMessage() for r in caplog.records)


def test_the_time_of_a_checkpoint_is_its_files(tmp_path: pathlib.Path) -> None:
    checkpoints = _checkpoints.CheckpointDirectory(str(tmp_path))
    first = checkpoints.write(1, {"global_step": tf.constant(1, tf.int64)}).stamp
    assert first[1] == os.stat(tmp_path / "model.ckpt-1.index").st_mtime_ns
    # Written again at once: the file is another one.
    assert checkpoints.write(1, {"global_step": tf.constant(1, tf.int64)}).stamp != first


def test_a_dataset_with_a_state_of_its_own_is_counted(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    columns_model(tmp_path).train(lambda: columns_input(stateful=True), max_steps=1)
    assert json.loads((tmp_path / "model.ckpt-0.input.json").read_text())["iterator"] is False
    assert sum("The state of the input cannot be saved" in record.getMessage() for record in caplog.records) == 1


def truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "ending"),
    [
        (truncate, ".data-00000-of-00001"),
        (flip, ".data-00000-of-00001"),
        (truncate, ".index"),
        (flip, ".index"),
        (lambda path: path.unlink(), ".data-00000-of-00001"),
        (lambda path: path.write_bytes(b""), ".index"),
    ],
    ids=["short data", "wrong data", "short index", "wrong index", "no data", "empty index"],
)
def test_a_damaged_checkpoint(
    damage: Any, ending: str, small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    small.estimator(small.linear, folder, save_checkpoints_steps=2).train(small.input_fn(), steps=4)
    damage(folder / f"model.ckpt-4{ending}")
    model = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    assert model.evaluate(small.input_fn(repeat=1))["global_step"] == 2
    assert any(
        "model.ckpt-4 is damaged" in record.getMessage() and "the one before it is used" in record.getMessage()
        for record in caplog.records
    )
    assert "linear/w" in model.get_variable_names()
    assert model.get_variable_value("linear/w").shape == (3, 1)
    exported = model.export_saved_model(str(tmp_path / "export")).decode()
    found = tf.train.load_variable(f"{exported}/variables/variables", "global_step")
    assert found == 2
    model.train(small.input_fn(), steps=1)
    assert model.get_variable_value("global_step") == 3


def test_all_damaged(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    small.estimator(small.linear, folder, save_checkpoints_steps=2).train(small.input_fn(), steps=4)
    for path in folder.glob("model.ckpt-*[0-9].data*"):
        truncate(path)
    model = small.estimator(small.linear, folder)
    with pytest.raises(ValueError, match=r"None of the 3 checkpoints in .* can be read; the newest is .*model.ckpt-4"):
        model.train(small.input_fn(), steps=1)
    assert steps_in(folder) == [0, 2, 4]


def test_a_state_file_that_cannot_be_read(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    small.estimator(small.linear, folder, save_checkpoints_steps=2).train(small.input_fn(), steps=4)
    (folder / "checkpoint").write_text("no text of a protocol buffer {{{")
    model = small.estimator(small.linear, folder)
    assert model.evaluate(small.input_fn(repeat=1))["global_step"] == 4
    (folder / "checkpoint").unlink()
    assert small.estimator(small.linear, folder).evaluate(small.input_fn(repeat=1))["global_step"] == 4


@pytest.mark.parametrize(("keep", "expected"), [(1, [6]), (2, [4, 6]), (0, [0, 2, 4, 6]), (None, [0, 2, 4, 6])])
def test_keep_checkpoint_max(keep: int | None, expected: list[int], small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    small.estimator(small.linear, folder, save_checkpoints_steps=2, keep_checkpoint_max=keep).train(
        small.input_fn(), steps=6
    )
    assert steps_in(folder) == expected
    # With a checkpoint goes its place in the input.
    assert sorted(int(path.name.split("-")[1].split(".")[0]) for path in folder.glob("*.input.json")) == expected


def test_keep_checkpoint_every_n_hours(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = _checkpoints.CheckpointDirectory(str(tmp_path), keep_max=2, keep_every_n_hours=1.0)
    clock = [1000.0]
    monkeypatch.setattr(_checkpoints.time, "time", lambda: clock[0])
    for step in range(7):
        directory.write(step, {"w": tf.constant(float(step))})
        clock[0] += 0.4 * 3600
    # Written at 0.0, 0.4, 0.8, ... hours: of those that must go, 3 is the first more than an hour after the start.
    assert steps_in(tmp_path) == [3, 5, 6]


def test_asynchronous_writing_gives_the_same_files(small: Any, tmp_path: pathlib.Path) -> None:
    values = []
    for name, asynchronous in (("a", False), ("b", True)):
        model = small.estimator(small.linear, tmp_path / name, save_checkpoints_steps=1, async_checkpoints=asynchronous)
        model.train(small.input_fn(), steps=4)
        assert steps_in(tmp_path / name) == [0, 1, 2, 3, 4]
        paths = [f"{model.model_dir}/model.ckpt-{step}" for step in range(5)]
        values.append([tf.train.load_variable(path, "linear/w") for path in paths])
    np.testing.assert_array_equal(values[0], values[1])


def test_an_error_of_the_asynchronous_writer_comes_up(
    small: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    model = small.estimator(small.linear, tmp_path / "model", async_checkpoints=True)
    monkeypatch.setattr(_checkpoints, "write_tensors", fail)
    with pytest.raises(OSError, match="the disk is full"):
        model.train(small.input_fn(), steps=2)


def test_tensorflows_tools_read_it(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns["v1"], tmp_path / "model").train(small.input_fn(), steps=2)
    path = tf.train.latest_checkpoint(model.model_dir)
    assert path == model.latest_checkpoint()
    names = [name for name, _ in tf.train.list_variables(path)]
    assert names == ["global_step", "top/b", "top/b/Momentum", "tower/w", "tower/w/Momentum"]
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("tower/w", [3, 1])
        v1.train.Saver([w]).restore(session, path)
        np.testing.assert_array_equal(session.run(w), model.get_variable_value("tower/w"))
    assert model.get_variable_value("tower/w:0").shape == (3, 1)


def test_a_checkpoint_of_a_v1_saver_is_restored(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("tower/w", initializer=[[1.0], [2.0], [3.0]])
        shapes = {"tower/w/Momentum": [3, 1], "top/b/Momentum": [1]}
        slots = [v1.get_variable(name, shape, initializer=v1.zeros_initializer()) for name, shape in shapes.items()]
        b, step = v1.get_variable("top/b", initializer=[0.5]), v1.train.get_or_create_global_step()
        session.run(v1.global_variables_initializer())
        session.run(v1.assign(step, 10))
        v1.train.Saver([w, b, step, *slots]).save(session, str(folder / "model.ckpt"), global_step=step)
    model = small.estimator(small.model_fns["v1"], folder)
    rows = [row["y"] for row in model.predict(small.input_fn(repeat=1, labels=False))]
    np.testing.assert_allclose(rows, small.X @ [1.0, 2.0, 3.0] + 0.5, rtol=1e-5)
    assert model.train(small.input_fn(), steps=1).get_variable_value("global_step") == 11


# The place in the input. Each kind of input gives numbers in batches of one; what training sees is noted.
def by_index() -> Any:
    return input_pipelines.from_arrays({"x": np.arange(40.0, dtype="float32")}, batch_size=1)


def shuffled() -> Any:
    return input_pipelines.from_arrays(
        {"x": np.arange(40.0, dtype="float32")}, batch_size=1, shuffle=True, num_epochs=None
    )


def by_iterator() -> tf.data.Dataset:
    return tf.data.Dataset.range(40).shuffle(10, seed=1).map(lambda i: {"x": tf.cast(i, tf.float32)}).batch(1)


def by_count() -> tf.data.Dataset:
    def numbers() -> Any:
        for i in range(40):
            yield {"x": np.array([i], "float32")}

    return tf.data.Dataset.from_generator(numbers, output_signature={"x": tf.TensorSpec([1])})


def source_of(make: Callable[[], Any]) -> Any:
    """Returns a pipeline as it is, and a function that returns a dataset as the function."""
    made = make()
    return made if isinstance(made, input_pipelines.Pipeline) else make


def seen_model_fn(features: Any, mode: str) -> EstimatorSpec:
    last = tf.Variable(-1.0, name="last")
    step = v1.train.get_global_step()
    with tf.control_dependencies([last.assign(features["x"][0])]):
        return EstimatorSpec(mode, loss=tf.constant(0.0), train_op=step.assign_add(1))


def run(
    small: Any, folder: pathlib.Path, source: Any, steps: int, fail_at: int | None = None, **config: Any
) -> list[float]:
    """Trains, and returns what each step has seen; one that fails was cut off after its last checkpoint."""
    seen: list[float] = []
    model = small.estimator(seen_model_fn, folder, save_checkpoints_steps=4, save_summary_steps=0, **config)

    def note(run: Any) -> None:
        (weights,) = model._runtimes.function.weights.values()
        seen.append(float(weights.model.store.entries["last"].variable.numpy()))
        if run.step == fail_at:
            raise Crash

    if fail_at is None:
        model.train(source, steps=steps, hooks=[every_n_steps(1, note)])
    else:
        with pytest.raises(Crash):
            model.train(source, steps=steps, hooks=[every_n_steps(1, note)])
    return seen


@pytest.mark.parametrize("make", [by_index, shuffled, by_iterator, by_count])
def test_a_run_that_was_cut_off_goes_on(
    make: Callable[[], Any], small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of(make)
    first = run(small, tmp_path / "model", source, 10, fail_at=6)
    # The checkpoint of step 4 is the last one: steps 5 and 6 are made again, with the same batches.
    second = run(small, tmp_path / "model", source, 6)
    assert second[:2] == first[4:6]
    together = first[:4] + second
    assert len(set(together)) == 10
    # An order without a seed is another one in each run, though not within one.
    assert make is shuffled or together == run(small, tmp_path / "whole", source, 10)
    assert any("The input goes on after 4 batches" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("make", [by_index, by_iterator, by_count])
def test_a_run_that_ended_starts_afresh(
    make: Callable[[], Any], small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of(make)
    first = run(small, tmp_path / "model", source, 6)
    assert run(small, tmp_path / "model", source, 6) == first
    assert any(
        "The input starts a fresh pass: the run before ended" in record.getMessage() for record in caplog.records
    )


@pytest.mark.parametrize(("resume", "cut", "goes_on"), [("always", False, True), ("never", True, False)])
def test_resume_input(resume: str, cut: bool, goes_on: bool, small: Any, tmp_path: pathlib.Path) -> None:
    first = run(small, tmp_path / "model", by_index(), 4, fail_at=4 if cut else None)
    second = run(small, tmp_path / "model", by_index(), 4, resume_input=resume)
    assert first == [0.0, 1.0, 2.0, 3.0]
    if cut:
        # Cut off before the checkpoint of step 4: training goes on from step 0.
        assert second == first
    else:
        assert (second == [4.0, 5.0, 6.0, 7.0]) is goes_on


def test_other_data_starts_afresh(small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    run(small, tmp_path / "model", by_index(), 10, fail_at=6)
    other = input_pipelines.from_arrays({"x": np.arange(100.0, 120.0, dtype="float32")}, batch_size=1)
    assert run(small, tmp_path / "model", other, 2) == [100.0, 101.0]
    assert any("its rows, batch size or order differ" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "changed",
    [
        {"x": np.where(np.arange(20) == 19, 0.0, np.arange(20.0)).astype("float32")},
        {"x": np.arange(20.0, dtype="float32"), "other": np.zeros(20)},
    ],
    ids=["a value", "the columns"],
)
def test_as_many_other_rows_start_afresh(
    changed: dict[str, Any], small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = {"x": np.arange(20.0, dtype="float32")}
    run(small, tmp_path / "model", input_pipelines.from_arrays(rows, batch_size=1), 10, fail_at=6)
    assert run(small, tmp_path / "model", input_pipelines.from_arrays(changed, batch_size=1), 2) == [0.0, 1.0]
    assert any(
        "there are as many rows as in the interrupted run, but" in record.getMessage() for record in caplog.records
    )


def test_a_place_that_says_nothing_of_the_rows(small: Any, tmp_path: pathlib.Path) -> None:
    run(small, tmp_path / "model", by_index(), 10, fail_at=6)
    (path,) = (tmp_path / "model").glob("model.ckpt-4.input.json")
    position = json.loads(path.read_text())
    del position["rows"]
    path.write_text(json.dumps(position))
    assert run(small, tmp_path / "model", by_index(), 2) == [4.0, 5.0]


def test_the_place_is_json(small: Any, tmp_path: pathlib.Path) -> None:
    run(small, tmp_path / "model", by_index(), 5)
    position = json.loads((tmp_path / "model" / "model.ckpt-5.input.json").read_text())
    assert (position["step"], position["elements"], position["status"]) == (5, 5, "ended")


def test_a_directory_of_tf_estimator_has_no_place(small: Any, tmp_path: pathlib.Path) -> None:
    run(small, tmp_path / "model", by_index(), 10, fail_at=6)
    for path in (tmp_path / "model").glob("*.input*"):
        os.remove(path)
    assert run(small, tmp_path / "model", by_index(), 2) == [0.0, 1.0]


def test_evaluation_of_a_missing_checkpoint(small: Any, tmp_path: pathlib.Path) -> None:
    model: Estimator = small.estimator(small.linear, tmp_path / "model").train(small.input_fn(), steps=1)
    with pytest.raises(ValueError, match="`checkpoint_path` must be the path of a checkpoint without ending"):
        model.evaluate(small.input_fn(repeat=1), checkpoint_path=str(tmp_path / "model" / "model.ckpt-9"))
    with pytest.raises(ValueError, match=r"There is no variable 'v'.*There are: \['global_step'"):
        model.get_variable_value("v")


def told_of_others(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for record in caplog.records if "Another process trains" in (text := record.getMessage())]


def test_another_run_in_the_model_dir_is_noticed(
    small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"

    def intrude(run: Any) -> None:
        # To the run outside, this estimator is as good as one of another process.
        if run.step == 4:
            small.estimator(small.linear, folder, save_checkpoints_steps=3).train(small.input_fn(), steps=5)

    model = small.estimator(small.linear, folder, save_checkpoints_steps=3)
    model.train(small.input_fn(), steps=12, hooks=[every_n_steps(1, intrude)])
    (text,) = told_of_others(caplog)
    assert f"Another process trains in {folder}: the checkpoint file there names model.ckpt-8, which this run" in text
    assert "(its last one was model.ckpt-3)" in text
    assert "End one of them, or give each a model_dir of its own." in text


def test_what_is_no_other_run(small: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "model"

    def disturb(run: Any) -> None:
        if run.step == 4:
            small.estimator(small.linear, folder).evaluate(small.input_fn(), steps=1)
        if run.step == 7:
            for path in folder.glob("model.ckpt-3.*"):
                path.unlink()
        if run.step == 10:
            (folder / "checkpoint").unlink()
        if run.step == 13:
            tf.raw_ops.SaveV2(
                prefix=str(folder / "best"), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.zeros([])]
            )
            tf.compat.v1.train.update_checkpoint_state(str(folder), str(folder / "best"))

    one, two = (small.estimator(small.linear, folder, save_checkpoints_steps=3) for _ in range(2))
    one.train(small.input_fn(), steps=17, hooks=[every_n_steps(1, disturb)])
    two.train(small.input_fn(), steps=4)
    one.train(small.input_fn(), steps=4)
    with pytest.raises(RuntimeError, match="cut off"):
        two.train(small.input_fn(), steps=9, hooks=[every_n_steps(1, lambda run: cut_off(run, 30))])
    one.train(small.input_fn(), steps=9)
    assert told_of_others(caplog) == []


def cut_off(run: Any, step: int) -> None:
    if run.step == step:
        raise RuntimeError("cut off")
