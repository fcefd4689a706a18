"""`headway check`: names are followed through a program, and looked up in TensorFlow as it is installed."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest
import tensorflow as tf

from headway import cli, legacy
from headway.legacy import _bilingual, _contrib, _given, _symbols
from headway.legacy._uses import DIMENSION, ITERATIONS, UPDATES, uses_of

v1 = tf.compat.v1
RUN, LEGACY, TF1, EDIT, NOTHING = "headway run", "headway run --legacy-keras", "headway run --tf1", "edit", "nothing"


def _names(source: str, missing: tuple[str, ...] = ()) -> list[tuple[int, str]]:
    return [(use.line, use.name) for use in uses_of(source, "program.py", lambda name: name not in missing)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import tensorflow as tf\ntf.estimator.Estimator(f).train", [(2, "tf.estimator.Estimator")]),
        ("import tensorflow\ntensorflow.nn.relu", [(2, "tf.nn.relu")]),
        ("import tensorflow.compat.v1 as tf\ntf.layers.dense", [(1, "tf.compat.v1"), (2, "tf.compat.v1.layers.dense")]),
        ("from tensorflow import keras\nkeras.Model", [(1, "tf.keras"), (2, "tf.keras.Model")]),
        ("from tensorflow.keras import layers as L\nL.Dense", [(1, "tf.keras.layers"), (2, "tf.keras.layers.Dense")]),
        ("import tensorflow as tf\nv1 = tf.compat.v1\nv1.Session", [(2, "tf.compat.v1"), (3, "tf.compat.v1.Session")]),
        ("from tensorflow.python.estimator import gc", [(1, "tensorflow_estimator.python.estimator.gc")]),
        ("from tensorflow.nn import *", [(1, "tf.nn")]),
        ("n = x.shape[1].value\nn = x.get_shape()[-1].value", [(1, DIMENSION), (2, DIMENSION)]),
        ("n = x.shape.value\nn = x.sizes[1].value\nn = x.shape[1]", []),
        (
            "opt.iterations = v1.train.get_or_create_global_step()\nopt.get_updates(loss, w)",
            [(1, ITERATIONS), (2, UPDATES)],
        ),
        ("self.iterations = 0\nopt.iterations = steps\nopt.get_updates = f", []),
        # Names that are the program's own.
        ("import tensorflow as tf\ndef f(tf): return tf.x\nlambda tf: tf.x", []),
        ("import tensorflow as tf\ntf = 3\ntf.real", []),
        ("from mine import tf\ntf.x", []),
        ("from . import tf\ntf.x", []),
        ("import tensorflow as tf\ndef f():\n  import mine as tf\n  tf.x\ntf.y", [(5, "tf.y")]),
        ("import tensorflow as tf\nclass A(tf.Module):\n  x = tf.nn\ntf.x = 1", [(2, "tf.Module"), (3, "tf.nn")]),
        (
            "import tensorflow as tf\n@tf.function\ndef f(x=tf.nn.relu) -> tf.Tensor: pass",
            [(2, "tf.function"), (3, "tf.nn.relu"), (3, "tf.Tensor")],
        ),
    ],
)
def test_uses(source: str, expected: list[tuple[int, str]]) -> None:
    assert _names(source) == expected


@pytest.mark.parametrize(
    ("source", "missing", "expected"),
    [
        (
            "try:\n import tensorflow.compat.v1 as t\nexcept ImportError:\n import tensorflow as t\nt.x",
            (),
            "tf.compat.v1.x",
        ),
        ("try:\n from tensorflow import a as t\nexcept:\n from tensorflow import b as t\nt.x", ("tf.a",), "tf.b.x"),
        ("try:\n from tensorflow import a\nexcept (ImportError, KeyError):\n a = None\na.x", ("tf.a",), None),
    ],
)
def test_what_a_program_tries_and_goes_on_without(source: str, missing: tuple[str, ...], expected: str | None) -> None:
    found = dict(_names(source, missing))
    assert found.get(5) == expected
    assert not set(missing) & set(found.values())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if hasattr(tf, 'gone'):\n tf.gone.x\nelse:\n tf.gone.y", [(5, "tf.gone.y")]),
        ("z = tf.gone.x if not hasattr(tf, 'gone') else tf.gone.y", [(2, "tf.gone.x")]),
        ("if ready:\n tf.gone.x", [(3, "tf.gone.x")]),
        ("if hasattr(tf, 'nn'):\n tf.nn.relu\ntf.gone.x", [(3, "tf.nn.relu"), (4, "tf.gone.x")]),
    ],
)
def test_what_a_program_asks_for_first(source: str, expected: list[tuple[int, str]]) -> None:
    assert _names(f"import tensorflow as tf\n{source}", ("tf.gone.x", "tf.gone.y")) == expected


CANNED = "tensorflow_estimator.python.estimator.canned"
VERDICTS = {
    "tf.estimator": (RUN, "works under `headway run`"),
    "tf.estimator.ModeKeys|.TRAIN": (RUN, ""),
    "tf.estimator.Nothing": (NOTHING, "no counterpart"),
    "tf.estimator.inputs.numpy_input_fn": (TF1, "write tf.compat.v1.estimator.inputs.numpy_input_fn"),
    "tf.estimator.BoostedTreesClassifier": (NOTHING, r"headway\[trees\]"),
    "tf.compat.v1.estimator.tpu.TPUEstimator": (RUN, ""),
    f"{CANNED}.head._Head|.name": (RUN, ""),
    f"{CANNED}.head._NoHead": (NOTHING, "no counterpart"),
    "tensorflow_estimator.python": (RUN, ""),
    "tensorflow_estimator.estimator.Estimator": (RUN, ""),
    "tf.compat.v1.layers.dense": (RUN, "by way of Keras 2"),
    "tf.compat.v1.layers.nothing": (NOTHING, ""),
    "tf.compat.v1.nn.rnn_cell.LSTMCell": (RUN, "by way of Keras 2"),
    "tf.layers.dense": (TF1, "write tf.compat.v1.layers.dense"),
    "tf.Session|.run": (TF1, r"or write tf\.compat\.v1\.Session$"),
    "tf.losses.softmax_cross_entropy": (TF1, ""),
    "tf.losses.mean_squared_error": (RUN, ""),
    "tf.metrics.MeanTensor": (LEGACY, "Keras 3 has dropped it"),
    "tf.keras.layers.DenseFeatures": (RUN, ""),
    "tf.keras.layers.LocallyConnected1D": (LEGACY, "Keras 3 has dropped it"),
    "tf.keras.layers.experimental.preprocessing.Hashing": (RUN, ""),
    "tf.keras.layers.experimental.RandomFourierFeatures": (LEGACY, ""),
    "tf.keras.optimizers.legacy.Adam": (RUN, "by way of Keras 2"),
    "tf.compat.v1.keras.backend.get_session": (LEGACY, ""),
    "keras.layers.LocallyConnected1D": (NOTHING, "Keras 3 has dropped it"),
    "tf.contrib.layers.fully_connected": (EDIT, r"write tf\.compat\.v1\.layers\.dense"),
    "tf.contrib.rnn.LSTMCell|.call": (EDIT, r"write tf\.compat\.v1\.nn\.rnn_cell\.LSTMCell"),
    "tf.contrib.metrics.streaming_accuracy": (EDIT, r"metrics\.accuracy, which takes labels before predictions"),
    "tf.contrib.metrics.streaming_mean": (EDIT, r"write tf\.compat\.v1\.metrics\.mean$"),
    "tf.contrib.metrics.streaming_concat": (NOTHING, "ended with TensorFlow 1"),
    "tf.contrib.rnn.UGRNNCell": (NOTHING, "ended with TensorFlow 1"),
    "tf.contrib.unknown.name|.more": (NOTHING, "ended with TensorFlow 1"),
    DIMENSION: (EDIT, r"write tf\.compat\.dimension_value"),
    ITERATIONS: (EDIT, r"an optimizer of tf\.keras\.optimizers\.legacy .*, which counts the global step by itself"),
    UPDATES: (EDIT, r"write headway\.minimize\(optimizer, loss, variables\)"),
    "tf.nothing|.at.all": (NOTHING, "no counterpart"),
}


# What stands after a bar is used of the object, and is no part of the symbol.
@pytest.mark.parametrize("case", VERDICTS)
def test_verdict(case: str) -> None:
    kind, advice = VERDICTS[case]
    verdict = _symbols.verdict_on(case.replace("|", ""))
    assert verdict is not None
    assert (verdict.symbol, verdict.kind) == (case.partition("|")[0], kind)
    assert re.search(advice, verdict.advice)


@pytest.mark.parametrize(
    "name",
    [
        "tf.nn.relu",
        "tf.compat.v1.train.AdamOptimizer.minimize",
        "tf.keras.layers.Dense",
        "tf.losses.MeanSquaredError",
        "tf.python.framework.ops.Graph",
        "tf.feature_column.numeric_column",
        "keras.losses.mean_squared_error",
        "tf.compat.v1",
        "tf.__version__",
    ],
)
def test_what_is_there_is_no_finding(name: str) -> None:
    assert _symbols.verdict_on(name) is None


def test_without_keras_2_a_name_of_keras_may_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_given, "has_keras_2", lambda: False)
    verdict = _symbols.verdict_on("tf.keras.backend.set_learning_phase")
    assert verdict is not None
    assert verdict.kind == NOTHING
    assert "pip install 'headway[legacy]', and check again" in verdict.advice
    _symbols.verdict_on.cache_clear()


@pytest.mark.parametrize("name", sorted(_contrib.INSTEAD))
def test_what_to_write_for_contrib_is_there(name: str) -> None:
    for path in re.findall(r"\b(?:tf|headway)(?:\.\w+)+", _contrib.INSTEAD[name]):
        if path.startswith("tf."):
            assert _symbols.exists(path) or path.startswith("tf.estimator.experimental.RNN"), path
    assert _contrib.instead_of(name) == (name, _contrib.INSTEAD[name])


ARGUMENTS = {
    "tf.argmax(x, dimension=1)": (TF1, "or write axis=, or write tf.compat.v1.argmax"),
    "tf.nn.softmax_cross_entropy_with_logits(labels=a, logits=b, dim=1)": (TF1, "or write axis=,"),
    "tf.reduce_sum(x, keep_dims=True)": (TF1, "or write keepdims=,"),
    "tf.image.resize(x, [8, 8], align_corners=True)": (TF1, "--tf1`, or write tf.compat.v1.image.resize"),
    "tf.nn.dropout(x, keep_prob=0.5)": (TF1, "or write rate=1 - keep_prob,"),
    "tf.nn.conv2d(x, filter=f, strides=1, padding='SAME')": (TF1, "or write filters=,"),
    "tf.nn.embedding_lookup(t, x, partition_strategy='div')": (TF1, "or leave it out, or write tf.compat.v1.nn"),
    "tf.losses.mean_squared_error(labels=y, predictions=x)": (TF1, "or write tf.compat.v1.losses.mean_squared_error"),
    "tf.estimator.DNNClassifier(c, input_layer_partitioner=p)": (TF1, "write tf.compat.v1.estimator.DNNClassifier"),
    "tf.estimator.RunConfig(save_steps=3)": (EDIT, "has no such argument"),
    "tf.keras.optimizers.Adam(lr=0.1)": (EDIT, "write learning_rate="),
    "tf.keras.layers.BatchNormalization(fused=True)": (EDIT, "leave it out"),
    "tf.keras.layers.LSTM(3, time_major=True)": (EDIT, "leave it out"),
}


@pytest.mark.parametrize("call", ARGUMENTS)
def test_arguments_that_are_gone(call: str, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import tensorflow as tf\n{call}\n")
    found = [finding for finding in legacy.check(program).findings if finding.name.endswith("=)")]
    kind, advice = ARGUMENTS[call]
    assert {(finding.line, finding.kind) for finding in found} == {(2, kind)}
    assert all(finding.name.startswith(f"{call.partition('(')[0]}(") for finding in found)
    assert advice in found[0].advice


PLACES = {
    "tf.nn.dropout(x, 0.5)": "tf.nn.dropout(keep_prob)  argument 2 is keep_prob in TensorFlow 1, and today it is rate",
    "tf.argmax(x, 1, 'best')": "tf.argmax(name)  argument 3 is name in TensorFlow 1, and today it is output_type",
    "tf.nn.embedding_lookup(t, i, 'div')": "tf.nn.embedding_lookup(partition_strategy)  argument 3 is",
    "tf.gather(x, i, None, 'rows')": "tf.gather(name)  argument 4 is name in TensorFlow 1, and today it is axis",
    "tf.boolean_mask(x, m, 'some')": "tf.boolean_mask(name)  argument 3 is name in TensorFlow 1, and today it is axis",
    "tf.nn.moments(x, [0], None, 'both')": "tf.nn.moments(name)  argument 4 is name in TensorFlow 1, and today it is",
    "tf.reduce_sum(x, 1, True, 'sum', None)": "tf.reduce_sum(reduction_indices)  argument 5 is reduction_indices in "
    "TensorFlow 1, and today there is none",
}


@pytest.mark.parametrize("call", PLACES)
def test_positions_that_mean_something_else(call: str, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import tensorflow as tf\nx = tf.placeholder(tf.float32)\n{call}\n")
    found = [finding for finding in legacy.check(program).findings if finding.line == 3]
    assert [finding.kind for finding in found] == [TF1]
    assert f"{found[0].name}  {found[0].advice}".startswith(PLACES[call])
    # The same in a program that nothing tells to be one of TensorFlow 1 means what it says.
    program.write_text(f"import tensorflow as tf\n{call}\n")
    assert not legacy.check(program).findings


@pytest.mark.parametrize(
    "call",
    [
        "tf.nn.conv2d(x, f, 1, 'SAME')",
        "tf.reduce_sum(x, 1, True)",
        "tf.expand_dims(x, 1)",
        "tf.nn.softmax(x, 1)",
        "tf.nn.max_pool(x, 2, 2, 'SAME')",
        "tf.concat(*xs, 'name')",
        "tf.compat.v1.nn.dropout(x, 0.5)",
    ],
)
def test_positions_that_mean_the_same(call: str, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import tensorflow as tf\nx = tf.placeholder(tf.float32)\n{call}\n")
    assert not [finding for finding in legacy.check(program).findings if finding.name.endswith(")")]


@pytest.mark.parametrize(
    "call",
    [
        "tf.compat.v1.argmax(x, dimension=1)",
        "tf.compat.v1.nn.dropout(x, keep_prob=0.5)",
        "tf.compat.v1.estimator.DNNClassifier(c, input_layer_partitioner=p)",
        "tf.argmax(x, axis=1)",
        "tf.keras.layers.Dense(3, input_shape=(2,))",
        "tf.keras.layers.LSTM(3, implementation=1, name='lstm', dtype='float32')",
        "tf.keras.layers.Conv2D(3, 3, kernel_initializer='zeros', trainable=False)",
        "tf.keras.optimizers.Adam(learning_rate=0.1)",
        "tf.map_fn(f, x, dtype=tf.float32)",
        "tf.data.Dataset.range(3).batch(2, drop_remainder=True)",
        "tf.estimator.RunConfig(save_checkpoints_steps=3, **more)",
        "argmax(x, dimension=1)",
    ],
)
def test_arguments_that_are_there(call: str, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import tensorflow as tf\n{call}\n")
    assert not [finding for finding in legacy.check(program).findings if finding.name.endswith("=)")]


@pytest.mark.parametrize("name", sorted(_bilingual.names()))
def test_functions_of_two_meanings_are_in_both(name: str) -> None:
    assert _symbols.exists(name)
    assert _symbols.exists(f"tf.compat.v1.{name.removeprefix('tf.')}")


def test_a_function_of_two_meanings_asks_who_calls() -> None:
    function = _bilingual.both(tf.argmax, v1.argmax)
    rows = [[1.0, 3.0], [4.0, 2.0]]
    assert function(rows, 1, "name").numpy().tolist() == [1, 0]
    assert function(rows, dimension=0).numpy().tolist() == [1, 0]
    # Only today's takes a third argument that is a type.
    library: dict[str, Any] = {"__name__": "keras.src.backend", "argmax": function}
    exec("def call(x, kind): return argmax(x, 1, kind)", library)
    assert library["call"](rows, tf.int32).dtype == tf.int32
    # In what autograph has rewritten, too.
    compiled = tf.function(lambda x: function(x, dimension=0) + function(x, 0, "name"), autograph=True)
    assert compiled(rows).numpy().tolist() == [2, 0]


PROGRAM = """\
import tensorflow as tf
from tensorflow.keras import layers

def model_fn(features, labels, mode):
    x = layers.DenseFeatures(columns)(features)
    x = tf.contrib.layers.fully_connected(x, 3)
    return tf.estimator.EstimatorSpec(mode, tf.contrib.layers.flatten(x))

tf.estimator.Estimator(model_fn)
"""


def test_a_report_is_a_table(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    assert cli.main(["headway", "check", str(program)]) == 1
    assert (
        capsys.readouterr().out
        == f"""\
{program}
  tf.estimator.Estimator  (line 9)
      works under `headway run`
  tf.estimator.EstimatorSpec  (line 7)
      works under `headway run`
  tf.keras.layers.DenseFeatures  (line 5)
      works under `headway run`
  tf.contrib.layers.flatten  (line 7)
      write tf.compat.v1.layers.flatten
  tf.contrib.layers.fully_connected  (line 6)
      write tf.compat.v1.layers.dense(..., activation=tf.nn.relu)

1 file, 5 names that TensorFlow {tf.__version__} has dropped: 3 work under `headway run`, 2 need an edit.
"""
    )


def test_the_exit_status_says_whether_something_needs_an_edit(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs.py").write_text("import tensorflow as tf\ntf.estimator.RunConfig()\ntf.estimator.RunConfig()\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new.py").write_text("import tensorflow as tf\ntf.nn.relu(1.0)\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "old.py").write_text("import tensorflow as tf\ntf.contrib\n")
    assert cli.main(["headway", "check", "--json", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["files"], found["needs_edit"], found["tensorflow"]) == (2, False, tf.__version__)
    assert [(finding["line"], finding["column"], finding["kind"]) for finding in found["findings"]] == [
        (2, 1, RUN),
        (3, 1, RUN),
    ]
    assert cli.main(["headway", "check", str(tmp_path / "sub")]) == 0
    assert "1 file uses nothing that TensorFlow" in capsys.readouterr().out


def test_a_file_of_python_2_in_a_folder_is_a_finding(tmp_path: pathlib.Path) -> None:
    (tmp_path / "old.py").write_text("x = 1\nprint 'x'\n")
    report = legacy.check(tmp_path)
    assert [(finding.line, finding.kind) for finding in report.findings] == [(2, EDIT)]
    assert report.needs_edit


def test_what_cannot_be_checked_ends_with_status_2(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "old.py"
    program.write_text("print 'x'\n")
    for words, message in [
        ([str(program)], "Missing parentheses in call to 'print'"),
        ([str(tmp_path / "nothing.py")], "There is no program"),
        ([], "check needs a program or a folder"),
        (["--jsn", str(program)], "Unknown command line flag 'jsn'"),
    ]:
        assert cli.main(["headway", "check", *words]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["headway", "check", str(tmp_path / "empty")]) == 2
    assert "has no Python files" in capsys.readouterr().err
