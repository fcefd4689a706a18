"""Tables, differences and means of checkpoints, as functions and as commands."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import cli, feature_columns, input_pipelines
from headway.estimators import (
    Estimator,
    LinearRegressor,
    RunConfig,
    average_checkpoints,
    diff_checkpoints,
    show_checkpoint,
)
from headway.estimators._checkpoints import CheckpointDirectory


def write(folder: pathlib.Path, step: int, **values: Any) -> str:
    tensors = {name.replace("__", "/"): tf.constant(value) for name, value in values.items()}
    tensors["global_step"] = tf.constant(step, tf.int64)
    return CheckpointDirectory(str(folder)).write(step, tensors).path


def linear(model_dir: pathlib.Path, **settings: Any) -> Estimator:
    config = RunConfig(model_dir=str(model_dir), progress="none", tf_random_seed=1, **settings)
    return LinearRegressor([feature_columns.numeric_column("x", shape=3)], config=config)


def rows() -> input_pipelines.Pipeline:
    return input_pipelines.from_arrays({"x": np.ones([2, 3], "float32")}, [1.0, 2.0], batch_size=2, num_epochs=None)


def test_a_checkpoint_as_a_table(tmp_path: pathlib.Path) -> None:
    write(tmp_path, 7, w=[[1.0, 2.0]], training__Adam__w__m=[[0.0, 0.0]], w__Adagrad=[[0.1, 0.1]])
    table = show_checkpoint(tmp_path)
    assert [(row.name, row.shape, row.dtype, row.role) for row in table.rows] == [
        ("global_step", (), "int64", "model"),
        ("training/Adam/w/m", (1, 2), "float32", "optimizer"),
        ("w", (1, 2), "float32", "model"),
        ("w/Adagrad", (1, 2), "float32", "optimizer"),
    ]
    # Two floats of four bytes in w, and the global step's eight; two slots of two floats.
    assert (table.parameters("model"), table.bytes("model")) == (3, 16)
    assert (table.parameters("optimizer"), table.bytes("optimizer")) == (4, 16)
    assert str(table).splitlines()[1].split() == ["name", "shape", "dtype", "role", "parameters", "bytes"]
    assert str(table).endswith("model: 3 parameters, 16 bytes; optimizer: 4 parameters, 16 bytes")


def test_the_summary_before_and_after_training_and_in_another_object(tmp_path: pathlib.Path) -> None:
    estimator = linear(tmp_path)
    with pytest.raises(ValueError, match=r"has no variables before it is trained\. Pass the input_fn"):
        estimator.summary()
    before = estimator.summary(rows())
    estimator.train(rows(), steps=1)
    assert estimator.summary() == before
    # Weights and bias, 3 + 1; two slots of Ftrl for each.
    assert before.parameters("trainable") == 4
    assert sum(row.parameters for row in before.rows if row.role == "optimizer" and row.shape) == 8
    again = linear(tmp_path).summary()
    assert {row.name for row in again.rows} == {row.name for row in before.rows}
    assert again.bytes() == before.bytes()


def test_a_summary_changes_no_initial_weight(tmp_path: pathlib.Path) -> None:
    first, second = linear(tmp_path / "1"), linear(tmp_path / "2")
    second.summary(rows())
    first.train(rows(), steps=2)
    second.train(rows(), steps=2)
    assert diff_checkpoints(tmp_path / "1", tmp_path / "2").same


def test_a_summary_under_replicas(tmp_path: pathlib.Path, mirrored: tf.distribute.MirroredStrategy) -> None:
    assert linear(tmp_path, train_distribute=mirrored).summary(rows()).parameters("trainable") == 4


def test_differences(tmp_path: pathlib.Path) -> None:
    first = write(tmp_path / "a", 1, w=[1.0, 2.0], old=1.0, v=[1.0], same=[3.0], text="x")
    second = write(tmp_path / "b", 3, w=[1.0, 2.5], new=1.0, v=[1.0, 2.0], same=[3.0], text="y")
    found = diff_checkpoints(first, tmp_path / "b")
    assert (found.only_first, found.only_second, found.equal) == (["old"], ["new"], ["same"])
    assert found.shapes == {"v": ((1,), (2,))}
    assert found.values == {"global_step": 2.0, "text": float("inf"), "w": 0.5}
    assert not found.same
    assert str(found).splitlines()[0] == f"--- {first}"
    assert "~  w            largest difference 0.5" in str(found)
    assert diff_checkpoints(second, second).same
    assert "w" in diff_checkpoints(first, second, tolerance=0.5).equal


def test_nan_is_a_difference(tmp_path: pathlib.Path) -> None:
    first, second = write(tmp_path / "a", 1, w=[1.0]), write(tmp_path / "b", 1, w=[float("nan")])
    assert not diff_checkpoints(first, second).same


def test_the_mean_is_that_of_the_model_and_the_rest_is_the_newest(tmp_path: pathlib.Path) -> None:
    for step, value in ((10, 100.0), (2, 2.0), (9, 4.0)):
        write(tmp_path, step, w=[value, 1.0], training__SGD__w__momentum=[value, 0.0], count=step)
    path = average_checkpoints(tmp_path, tmp_path / "mean", last=2)
    assert path == str(tmp_path / "mean" / "model.ckpt-10")
    np.testing.assert_allclose(tf.train.load_variable(path, "w"), [52.0, 1.0])
    np.testing.assert_allclose(tf.train.load_variable(path, "training/SGD/w/momentum"), [100.0, 0.0])
    assert tf.train.load_variable(path, "count") == 10
    assert tf.train.latest_checkpoint(str(tmp_path / "mean")) == path
    every = average_checkpoints([tmp_path / "model.ckpt-2", tmp_path / "model.ckpt-9"], tmp_path / "other")
    np.testing.assert_allclose(tf.train.load_variable(every, "w"), [3.0, 1.0])


def test_an_estimator_evaluates_the_mean(tmp_path: pathlib.Path) -> None:
    estimator = linear(tmp_path, save_checkpoints_steps=1)
    estimator.train(rows(), steps=3)
    path = average_checkpoints(tmp_path, tmp_path / "mean", last=2)
    name = "linear/linear_model/bias_weights"
    values = [tf.train.load_variable(str(tmp_path / f"model.ckpt-{step}"), name) for step in (2, 3)]
    np.testing.assert_allclose(tf.train.load_variable(path, name), np.mean(values, axis=0), rtol=1e-6)
    assert estimator.evaluate(rows(), steps=1, checkpoint_path=path)["global_step"] == 3
    assert linear(tmp_path / "mean").train(rows(), steps=1).get_variable_value("global_step") == 4


def test_bad_paths_and_checkpoints_that_do_not_fit(tmp_path: pathlib.Path) -> None:
    first, second = write(tmp_path / "a", 1, w=[1.0]), write(tmp_path / "b", 1, w=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"same shapes. Received:(?s:.*)shape \(1,\) -> \(2,\)"):
        average_checkpoints([first, second], tmp_path / "c")
    with pytest.raises(ValueError, match="`output_dir` must hold no checkpoint yet"):
        average_checkpoints([first], tmp_path / "b")
    with pytest.raises(ValueError, match="There is no checkpoint to average in"):
        average_checkpoints(tmp_path / "none", tmp_path / "c")
    with pytest.raises(ValueError, match=r"at least one checkpoint\. Received: none"):
        average_checkpoints([], tmp_path / "c")
    with pytest.raises(ValueError, match="`last` must be None or at least 1"):
        average_checkpoints(tmp_path / "a", tmp_path / "c", last=0)
    with pytest.raises(ValueError, match="There is no checkpoint at"):
        show_checkpoint(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="There is no checkpoint in"):
        show_checkpoint(tmp_path / "empty")


def test_the_commands(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write(tmp_path, 1, w=[1.0]), write(tmp_path, 2, w=[2.0])

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(["headway", "checkpoints", *words])
        return status, *capsys.readouterr()

    assert run("show", str(tmp_path)) == (0, f"{show_checkpoint(tmp_path)}\n", "")
    assert run("diff", first, second) == (1, f"{diff_checkpoints(first, second)}\n", "")
    assert run("diff", first, second, "--tolerance=1")[0] == 0
    mean = str(tmp_path / "mean")
    assert run("average", str(tmp_path), f"--output={mean}") == (0, f"{mean}/model.ckpt-2\n", "")
    np.testing.assert_allclose(tf.train.load_variable(mean, "w"), [1.5])
    for words in (["show"], ["average", str(tmp_path)], ["weigh", first], ["show", first, "--best"]):
        status, out, error = run(*words)
        assert (status, out) == (2, "")
        assert error.startswith("headway: ")
        assert "headway checkpoints show PATH" in error
    assert "There is no checkpoint at" in run("show", first + "0")[2]


def test_the_module_is_a_program(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, 1, w=[1.0])
    command = [sys.executable, "-m", "headway", "checkpoints", "show", path]
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == f"{show_checkpoint(path)}\n"
