"""What the settings of a RunConfig do to training."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import headway as hw
from headway import input_pipelines
from headway.estimators import _threads
from headway.estimators._threads import fewest_threads

# The loss is the mean of x @ w, so its gradient is the mean of x: [3, 4] in the first batch, [1, 0] in the second.
X = np.array([[2.0, 4.0], [4.0, 4.0], [0.0, 0.0], [2.0, 0.0]], np.float32)
ROWS = input_pipelines.from_arrays({"x": X}, batch_size=2, num_epochs=None)


def model_fn(features: Any, mode: str) -> Any:
    w = tf.Variable([0.0, 0.0], name="w")
    y = tf.linalg.matvec(features["x"], w)
    loss = tf.reduce_mean(y)
    train_op = hw.minimize(keras.optimizers.SGD(1.0), loss, [w]) if mode == "train" else None
    return hw.EstimatorSpec(mode, predictions={"y": y}, loss=loss, train_op=train_op)


def trained(model_dir: pathlib.Path, steps: int, **settings: Any) -> hw.Estimator:
    config = hw.RunConfig(model_dir=str(model_dir), progress="none", **settings)
    return hw.Estimator(model_fn, config=config).train(ROWS, steps=steps)


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        ({}, 1, [-3.0, -4.0]),
        ({}, 2, [-4.0, -4.0]),
        # The norm of [3, 4] is 5: it becomes 1; that of [1, 0] is 1 already.
        ({"gradient_clipping": 1.0}, 1, [-0.6, -0.8]),
        ({"gradient_clipping": 1.0}, 2, [-1.6, -0.8]),
        # Nothing for one step, then the mean of both gradients, [2, 2].
        ({"gradient_accumulation": 2}, 1, [0.0, 0.0]),
        ({"gradient_accumulation": 2}, 2, [-2.0, -2.0]),
        # The norm of [2, 2] is 2 sqrt 2.
        ({"gradient_accumulation": 2, "gradient_clipping": 1.0}, 2, [-(0.5**0.5), -(0.5**0.5)]),
        ({"run_eagerly": True}, 2, [-4.0, -4.0]),
        ({"run_eagerly": True, "gradient_clipping": 1.0}, 2, [-1.6, -0.8]),
        ({"steps_per_loop": 1}, 2, [-4.0, -4.0]),
        ({"threads_per_op": 2}, 2, [-4.0, -4.0]),
        ({"threads_per_op": None}, 2, [-4.0, -4.0]),
        ({"async_checkpoints": True}, 2, [-4.0, -4.0]),
        ({"jit_compile": True}, 2, [-4.0, -4.0]),
        ({"jit_compile": True, "gradient_clipping": 1.0}, 2, [-1.6, -0.8]),
    ],
)
def test_weights(settings: dict[str, Any], steps: int, expected: list[float], tmp_path: pathlib.Path) -> None:
    estimator = trained(tmp_path, steps, **settings)
    np.testing.assert_allclose(estimator.get_variable_value("w"), expected, rtol=1e-6)


def test_what_runs_a_stretch_is_kept_until_it_fails(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(_threads.WithThreads):
        def __init__(self, *args: Any) -> None:
            made.append(args)
            super().__init__(*args)

    monkeypatch.setattr(_threads, "WithThreads", Counted)
    config = hw.RunConfig(model_dir=str(tmp_path), progress="none")

    def checking(features: Any, mode: str) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(features["x"], 100.0, message="too large")]):
            return model_fn({"x": tf.identity(features["x"])}, mode)

    estimator = hw.Estimator(checking, config=config).train(ROWS, steps=1).train(ROWS, steps=1)
    assert len(made) == 1
    # Each run begins with the first batch.
    np.testing.assert_allclose(estimator.get_variable_value("w"), [-6.0, -8.0], rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
        estimator.train(input_pipelines.from_arrays({"x": X + 100.0}, batch_size=2), steps=1)
    # Other tables, and then those of before, behind a failure.
    estimator.train(ROWS, steps=1)
    assert len(made) == 3
    estimator.train(ROWS, steps=1)
    assert len(made) == 3
    np.testing.assert_allclose(estimator.get_variable_value("w"), [-12.0, -16.0], rtol=1e-6)


def test_xla_works_with_one_replica(tmp_path: pathlib.Path, mirrored: Any) -> None:
    with pytest.raises(ValueError, match=r"jit_compile=True\) works with one replica, and train_distribute has 2"):
        trained(tmp_path, 1, jit_compile=True, train_distribute=mirrored)


def test_xla_takes_no_strings(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    words = np.array(["a", "b", "c", "d"])
    seen = []

    def watching(features: Any, labels: Any, mode: str) -> Any:
        seen.append(sorted(features))
        return model_fn(features, mode)

    config = hw.RunConfig(model_dir=str(tmp_path), progress="none", jit_compile=True)
    estimator = hw.Estimator(watching, config=config)
    estimator.train(input_pipelines.from_arrays({"x": X, "word": words}, X[:, 0], batch_size=2), steps=1)
    assert seen == [["x"]]
    assert any("model_fn gets the features without ['word']" in record.getMessage() for record in caplog.records)
    with pytest.raises(ValueError, match="takes no strings as labels"):
        estimator.train(input_pipelines.from_arrays({"x": X}, words, batch_size=2), steps=1)


def test_mixed_precision_is_the_policy_inside_model_fn_and_nowhere_else(tmp_path: pathlib.Path) -> None:
    seen = []

    def watching(features: Any, mode: str) -> Any:
        seen.append(keras.config.dtype_policy().name)
        return model_fn(features, mode)

    config = hw.RunConfig(model_dir=str(tmp_path), progress="none", mixed_precision=True)
    hw.Estimator(watching, config=config).train(ROWS, steps=1)
    assert set(seen) == {"mixed_bfloat16"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("setting", [{"gradient_clipping": 1.0}, {"gradient_accumulation": 2}])
def test_a_setting_that_model_fn_ignores_is_an_error(setting: dict[str, Any], tmp_path: pathlib.Path) -> None:
    def by_hand(features: Any, mode: str) -> Any:
        w = tf.Variable([0.0, 0.0], name="w")
        loss = tf.reduce_mean(tf.linalg.matvec(features["x"], w))
        return hw.EstimatorSpec(mode, loss=loss, train_op=w.assign_sub(tf.gradients(loss, [w])[0]))

    config = hw.RunConfig(model_dir=str(tmp_path), progress="none", **setting)
    name, value = next(iter(setting.items()))
    with pytest.raises(ValueError, match=rf"RunConfig\({name}={value}\) has no effect.*minimize"):
        hw.Estimator(by_hand, config=config).train(ROWS, steps=1)


def test_small_layers_get_one_thread_and_large_ones_tensorflows_choice() -> None:
    def graph_of(width: int) -> Any:
        weights = tf.constant(np.zeros([4, width], np.float32))
        return tf.function(lambda x: x @ weights).get_concrete_function(tf.TensorSpec([None, 4])).graph

    assert fewest_threads(graph_of(100)) == 1
    # 4 * 20,000 elements are more than 256 * 256.
    assert fewest_threads(graph_of(20_000)) is None


def test_a_second_worker_needs_work_to_do_and_a_core_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 200])])
    def step(x: tf.Tensor) -> tf.Tensor:
        return (x @ tf.zeros([200, 100])) @ tf.zeros([100, 10])

    graph = step.get_concrete_function().graph
    cores = {0, 1}
    monkeypatch.setattr(_threads.os, "sched_getaffinity", lambda pid: cores, raising=False)
    # 21,000 weights, as many multiplications for each row: 6 million are made at 286 rows.
    assert [_threads.fewest_workers(graph, rows) for rows in (16, 285, 286, 1024)] == [1, 1, 2, 2]
    assert _threads.fewest_workers(graph, None) is None
    full = tf.function(step.python_function).get_concrete_function(tf.TensorSpec([300, 200])).graph
    assert _threads.fewest_workers(full, None) == 1  # one core is the input's
    nothing = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec([None])).graph
    assert _threads.fewest_workers(nothing, None) == 1
    cores |= {2, 3, 4, 5}
    monkeypatch.setattr(_threads, "_LITTLE_WORK", 1_000_000)
    assert _threads.fewest_workers(graph, None) == 4
    cores -= {3, 4, 5}
    assert _threads.fewest_workers(graph, None) == 2
    cores -= {2}
    assert _threads.fewest_workers(graph, None) == 1


def test_xla_gets_no_strings(tmp_path: pathlib.Path) -> None:
    def asks(features: Any, mode: str) -> Any:
        features["word"]
        return model_fn(features, mode)

    rows = input_pipelines.from_arrays({"x": X, "word": ["a", "b", "c", "d"]}, batch_size=2, num_epochs=None)
    config = hw.RunConfig(model_dir=str(tmp_path), progress="none", jit_compile=True)
    with pytest.raises(ValueError, match=r"asked for the feature 'word', which holds strings. With .*jit_compile=True"):
        hw.Estimator(asks, config=config).train(rows, steps=1)
    # Another missing key is the model_fn's own affair.
    with pytest.raises(KeyError, match="word"):
        hw.Estimator(asks, config=config).train(ROWS, steps=1)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        # Nothing for one step, then the mean of both gradients, [2, 2].
        (lambda: keras.optimizers.SGD(1.0, gradient_accumulation_steps=2), [-2.0, -2.0]),
        # The scale goes in and out again; each step is made.
        (lambda: keras.optimizers.SGD(1.0, loss_scale_factor=8.0), [-4.0, -4.0]),
    ],
    ids=["accumulation", "scale"],
)
def test_an_optimizer_with_settings_of_its_own_is_the_one_that_trains(
    optimizer: Any, expected: list[float], tmp_path: pathlib.Path
) -> None:
    made = []

    def by_rows(features: Any, mode: str) -> Any:
        # Each number of the batch meets its row of the table: the gradient is sparse.
        w = tf.Variable([[0.0], [0.0]], name="w")
        rows = tf.gather(w, tf.tile([[0, 1]], [tf.shape(features["x"])[0], 1]))
        loss = tf.reduce_mean(tf.reduce_sum(features["x"] * rows[:, :, 0], 1))
        made.append(optimizer())
        return hw.EstimatorSpec(mode, loss=loss, train_op=hw.minimize(made[-1], loss, [w]))

    estimator = hw.Estimator(by_rows, str(tmp_path), hw.RunConfig(progress="none")).train(ROWS, steps=2)
    np.testing.assert_allclose(estimator.get_variable_value("w")[:, 0], expected, rtol=1e-6)
    assert not [name for name in estimator.get_variable_names() if "_1/" in name]


def test_accumulation_leaves_the_names_of_the_optimizers_variables(tmp_path: pathlib.Path) -> None:
    estimator = trained(tmp_path, 2, gradient_accumulation=2)
    names = [name for name in estimator.get_variable_names() if name.startswith("training/")]
    assert names == [
        f"training/SGD/{name}" for name in ("decay", "iter", "learning_rate", "momentum", "w/gradient_accumulator")
    ]
    # [-2, -2] after two steps of accumulation; without it, the first row's gradient is [3, 4].
    np.testing.assert_allclose(trained(tmp_path, 1).get_variable_value("w"), [-5.0, -6.0], rtol=1e-6)


_DETERMINISTIC = """
import sys
import numpy as np
import tensorflow as tf
import headway as hw
from headway import input_pipelines

def model_fn(features, mode):
    w = tf.Variable(0.0, name="w")
    step = tf.compat.v1.train.get_or_create_global_step()
    with tf.control_dependencies([w.assign(2.0 * w + tf.reduce_sum(features["x"])), step.assign_add(1)]):
        return hw.EstimatorSpec(mode, loss=tf.constant(0.0), train_op=tf.constant(0))

for folder in sys.argv[1:]:
    config = hw.RunConfig(folder, tf_random_seed=1, deterministic=True, progress="none")
    estimator = hw.Estimator(model_fn, config=config)
    # No seed of TensorFlow's is set yet.
    rows = input_pipelines.from_arrays({"x": np.arange(8, dtype="float32")}, batch_size=1, shuffle=True)
    print(estimator.train(rows).get_variable_value("w"))
"""


def test_deterministic_runs_over_shuffled_rows(tmp_path: pathlib.Path) -> None:
    folders = [str(tmp_path / name) for name in "ab"]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    # In a process of its own: what makes operations deterministic cannot be undone.
    done = subprocess.run(
        [sys.executable, "-c", _DETERMINISTIC, *folders], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    assert first == second


def _sums(features: Any, labels: Any, mode: str) -> Any:
    weight = tf.compat.v1.get_variable("weight", [], initializer=tf.compat.v1.ones_initializer())
    words = features["words"]
    if isinstance(words, tf.SparseTensor):
        words = tf.sparse.to_dense(words)
    elif features.pop("pad", None) is not None and isinstance(words, tf.RaggedTensor):
        words = words.to_tensor()
    loss = tf.reduce_sum(weight * tf.reduce_sum(words, 1) * labels)
    step = tf.compat.v1.train.get_or_create_global_step()
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.5)
    return hw.EstimatorSpec(mode, loss=loss, train_op=optimizer.minimize(loss, step))


RAGGED = tf.ragged.constant([[1.0], [2.0, 3.0], [], [4.0, 5.0, 6.0]])
FOR_XLA: dict[str, tuple[dict[str, Any], str]] = {
    "sparse": ({"words": RAGGED.to_sparse()}, r"takes no sparse tensors, and features \['words'\] are"),
    "padded in the model": (
        {"words": RAGGED, "pad": tf.ones([4])},
        r"makes ragged tensors dense, .* \(ragged features: \['words'\]\).*pads or cuts them to 20 steps",
    ),
}


@pytest.mark.parametrize("name", FOR_XLA)
def test_what_has_no_size_of_its_own_is_refused_before_xla_takes_it(name: str, tmp_path: pathlib.Path) -> None:
    features, message = FOR_XLA[name]
    config = hw.RunConfig(model_dir=str(tmp_path), progress="none", jit_compile=True)
    batches = tf.data.Dataset.from_tensor_slices((features, tf.ones([4]))).batch(4)
    with pytest.raises(ValueError, match=message):
        hw.Estimator(_sums, config=config).train(lambda: batches)
    assert not list(tmp_path.glob("*.ckpt*"))


def test_ragged_rows_that_are_summed_are_compiled(tmp_path: pathlib.Path) -> None:
    config = hw.RunConfig(model_dir=str(tmp_path), progress="none", jit_compile=True)
    batches = tf.data.Dataset.from_tensor_slices(({"words": RAGGED}, tf.ones([4]))).batch(4)
    estimator = hw.Estimator(_sums, config=config).train(lambda: batches)
    # The gradient is the sum of all words, 21, and the rate 0.5.
    assert estimator.get_variable_value("weight") == 1.0 - 0.5 * 21.0
