"""`headway run`: a program runs as it would by itself, with the old names in place."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from headway import cli

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Written as in the days of tf.estimator: nothing here knows of headway.
OLD = """\
import os
import sys

assert "tensorflow" not in sys.modules, "the environment is set in time"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow_estimator
from absl import app, flags
import numpy as np
import tensorflow.compat.v1 as tf

import beside
from tensorflow.python.estimator.canned import head as head_lib

flags.DEFINE_integer("steps", 1, "how long")


def model_fn(features, labels, mode):
    hidden = tf.layers.dense(features["x"], 4, activation=tf.nn.relu)
    logits = tf.layers.dense(hidden, 1)
    head = head_lib._regression_head()
    optimizer = tf.train.AdagradOptimizer(0.1)
    train_op_fn = lambda loss: optimizer.minimize(loss, tf.train.get_global_step())
    return head.create_estimator_spec(features, mode, logits, labels=labels, train_op_fn=train_op_fn)


def main(argv):
    assert argv == ["old.py", "more"], argv
    assert sys.path[0] == os.path.dirname(os.path.realpath(__file__)) == beside.FOLDER
    assert sys.modules["__main__"].model_fn is model_fn
    x = np.ones([4, 2], "float32")
    input_fn = tf.estimator.inputs.numpy_input_fn({"x": x}, x[:, :1], batch_size=2, num_epochs=None, shuffle=False)
    estimator = tf.estimator.Estimator(model_fn, model_dir="model")
    estimator.train(input_fn, steps=flags.FLAGS.steps)
    print("step", estimator.get_variable_value("global_step"), sorted(estimator.get_variable_names())[:2])
    sys.exit(7)


if __name__ == "__main__":
    app.run(main)
"""

TF1 = """\
import sys
import tensorflow as tf


def model_fn(features, labels, mode):
    with tf.control_dependencies([tf.assert_near(features, tf.ones([2, 2]), atol=0.01)]):
        hidden = tf.layers.dense(features, 3)
    loss = tf.losses.mean_squared_error(labels, tf.layers.dense(hidden, 1))
    train_op = tf.train.GradientDescentOptimizer(0.1).minimize(loss, tf.train.get_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


class Sevens(tf.constant_initializer):
    pass


def fail():
    assert isinstance(tf.zeros_initializer(tf.float32), tf.zeros_initializer)
    assert isinstance(Sevens(7.0), tf.constant_initializer) and Sevens(7.0)([1]).numpy() == 7.0
    assert not isinstance(tf.zeros_initializer(), Sevens) and issubclass(Sevens, tf.constant_initializer)
    with tf.name_scope(None, "scope", [1]) as scope:
        assert scope == "scope/"
    raise LookupError("of the program")


def data():
    # The second argument of dropout was what to keep: all, nearly.
    kept = tf.nn.dropout(tf.ones([2, 2]), 0.999999)
    dataset = tf.data.Dataset.from_tensors((kept, tf.reduce_mean(tf.ones([2, 3]), 1, keep_dims=True)))
    return dataset.make_one_shot_iterator().get_next()


tf.estimator.Estimator(model_fn, config=tf.estimator.RunConfig(save_summary_steps=None)).train(data)
print(sys.argv[0].endswith("tf1.py"), sys.argv[1:], tf.estimator is tf.compat.v1.estimator, tf.VERSION[:2])
fail()
"""

# `tf.keras` is Keras 2, whose names Keras 3 does not have; a model of it becomes an estimator.
KERAS_2 = """\
import tensorflow as tf
from tensorflow.keras.layers import LocallyConnected1D


def model_fn(features, labels, mode):
    net = tf.keras.Sequential([LocallyConnected1D(2, 2, name="local"), tf.keras.layers.Flatten()])
    y = net(features, training=mode == "train")
    loss = tf.reduce_mean(tf.square(y - labels))
    train_op = None
    if mode == "train":
        optimizer = tf.keras.optimizers.legacy.SGD(0.1)
        optimizer.iterations = tf.compat.v1.train.get_or_create_global_step()
        train_op = optimizer.get_updates(loss, net.trainable_variables)[0]
    mean = tf.keras.metrics.Mean()
    mean.update_state(labels)
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops={"mean": mean})


data = lambda: tf.data.Dataset.from_tensors((tf.ones([2, 3, 1]), 2.0 * tf.ones([2, 4])))
estimator = tf.estimator.Estimator(model_fn).train(data)
print(estimator.evaluate(data)["mean"], sorted(estimator.get_variable_names()))
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
model.compile("sgd", "mse")
rows = lambda: tf.data.Dataset.from_tensors((tf.ones([2, 3]), tf.ones([2, 1])))
print(tf.keras.estimator.model_to_estimator(model).train(rows).get_variable_value("dense/kernel").shape)
print(tf.keras.layers.Dense.__module__.partition(".")[0])
"""


def _run(
    folder: pathlib.Path, *words: str, command: tuple[str, ...] = ("-m", "headway")
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    line = [sys.executable, *command, *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_old_program_runs_unchanged(tmp_path: pathlib.Path) -> None:
    (tmp_path / "old.py").write_text(OLD)
    (tmp_path / "beside.py").write_text("import os\nFOLDER = os.path.dirname(os.path.realpath(__file__))\n")
    # The command that the package installs, where it is installed; the same by its module elsewhere.
    script = pathlib.Path(sys.executable).with_name("headway")
    command = (str(script),) if script.exists() else ("-m", "headway")
    done = _run(tmp_path, "run", "old.py", "--steps=3", "more", command=command)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "step 3 ['dense/bias', 'dense/bias/Adagrad']\n"


def test_names_of_tensorflow_1_in_a_module_that_fails(tmp_path: pathlib.Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "tf1.py").write_text(TF1)
    done = _run(tmp_path, "run", "--tf1", "-m", "package.tf1", "--json", "-m")
    assert done.stdout == "True ['--json', '-m'] True 2.\n", done.stderr
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("LookupError: of the program")


def test_keras_2_as_a_whole(tmp_path: pathlib.Path) -> None:
    (tmp_path / "keras_2.py").write_text(KERAS_2)
    done = _run(tmp_path, "run", "--legacy-keras", "keras_2.py")
    assert done.returncode == 0, done.stderr
    names = ["SGD/decay", "SGD/learning_rate", "SGD/momentum", "global_step", "local/bias", "local/kernel"]
    assert done.stdout == f"2.0 {names}\n(3, 1)\ntf_keras\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.py"], "headway: There is no program 'nothing.py' in "),
        (["wrong.py"], "'wrong.py' is no program that Python 3"),
        (["wrong.py"], "SyntaxError: invalid syntax"),
        (["zeros.py"], "source code string cannot contain null bytes"),
        (["folder"], "The folder 'folder' has no __main__.py"),
        (["-m", "no.such.module"], "There is no module 'no.such.module'"),
        (["-m"], "run needs a program"),
        ([], "run needs a program"),
        (["--nothing", "wrong.py"], "run has no flag --nothing; those of the program come after its name"),
    ],
)
def test_what_cannot_be_started_ends_with_status_2(
    words: list[str],
    message: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "wrong.py").write_text("x = = 1\n")
    (tmp_path / "zeros.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "folder").mkdir()
    assert cli.main(["headway", "run", *words]) == 2
    assert message in capsys.readouterr().err


def test_keras_2_that_is_not_installed_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headway.legacy._given.has_keras_2", lambda: False)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    program = tmp_path / "program.py"
    program.write_text("")
    assert cli.main(["headway", "run", "--legacy-keras", str(program)]) == 2
    assert "needs Keras 2" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["headway", "run", "--help"]) == 0
    assert "headway check [--json] PATH..." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["tf1_calls", "tf1_program"])
def test_programs_of_tensorflow_1_show_what_they_showed(name: str, tmp_path: pathlib.Path) -> None:
    folder = ROOT / "tests" / "golden" / "legacy"
    golden = json.loads((folder / f"{name}.json").read_text("utf-8"))
    done = _run(tmp_path, "run", "--tf1", str(folder / f"{name}.py"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == golden.keys()
    for key, value in golden.items():
        if np.asarray(value).dtype.kind in "USO":
            assert found[key] == value, key
        else:
            np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
