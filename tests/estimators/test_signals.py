"""Ctrl-C and SIGTERM end training with a checkpoint, from which the next run goes on."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from headway.estimators import (
    EvalSpec,
    InMemoryEvaluatorHook,
    TrainSpec,
    every_n_steps,
    train_and_evaluate,
)


@pytest.fixture(autouse=True)
def signals_of_a_program_in_the_foreground() -> Iterator[None]:
    """What started the tests may ignore signals, and programs in their turn do then."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals, at: int) -> Any:
    """Returns a hook that sends this process a signal at a step."""
    return every_n_steps(1, lambda run: os.kill(os.getpid(), number) if run.step == at else None)


@pytest.mark.parametrize(
    ("number", "error", "code"), [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)]
)
def test_a_signal(
    number: signal.Signals, error: Any, code: int | None, small: Any, tmp_path: pathlib.Path, caplog: Any
) -> None:
    folder = tmp_path / "model"
    before = signal.getsignal(number)
    model = small.estimator(small.linear, folder)
    with pytest.raises(error) as caught:
        model.train(small.input_fn(), steps=1000, hooks=[send(number, 3)])
    assert code is None or caught.value.code == code
    assert signal.getsignal(number) is before
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert f"{number.name}: training ends after the steps under way, with a checkpoint. Once more" in text
    assert "A signal ended training at step 3. The last good checkpoint is " in text
    assert json.loads((folder / "model.ckpt-3.input.json").read_text())["status"] == "interrupted"
    small.estimator(small.linear, folder).train(small.input_fn(), steps=1)
    assert any(
        "The input goes on after 3 batches, where the run before was interrupted by a signal" in record.getMessage()
        for record in caplog.records
    )
    # In this process too the run goes on from there.
    assert model.train(small.input_fn(), steps=1).get_variable_value("global_step") == 5


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["SIGINT", "SIGTERM"]
)
@pytest.mark.parametrize("way", ["train_and_evaluate", "hook"])
def test_a_signal_during_an_evaluation_inside_of_training(
    number: signal.Signals, error: Any, way: str, small: Any, tmp_path: pathlib.Path, caplog: Any
) -> None:
    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    # The input of the evaluation has no end. The hook evaluates the first weights already.
    spec = EvalSpec(small.input_fn(), steps=None, hooks=[send(number, 3)], throttle_secs=0)
    hook = InMemoryEvaluatorHook(model, small.input_fn(), hooks=spec.hooks, every_n_iter=2)
    runs = {
        "hook": lambda: model.train(small.input_fn(), steps=1000, hooks=[hook]),
        "train_and_evaluate": lambda: train_and_evaluate(model, TrainSpec(small.input_fn(), max_steps=1000), spec),
    }
    with pytest.raises(error):
        runs[way]()
    step = 0 if way == "hook" else 2
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "A signal has ended the evaluation after 3 batches; it has no result." in text
    assert f"A signal ended training at step {step}. The last good checkpoint is " in text
    assert json.loads((folder / f"model.ckpt-{step}.input.json").read_text())["status"] == "interrupted"
    # Later evaluations come to their end.
    assert model.evaluate(small.input_fn(), steps=4)["global_step"] == step


def test_a_signal_that_the_program_ignores(small: Any, tmp_path: pathlib.Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    model = small.estimator(small.linear, tmp_path / "model")
    model.train(small.input_fn(), steps=4, hooks=[send(signal.SIGINT, 2)])
    assert model.get_variable_value("global_step") == 4
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_second_signal_ends_at_once(small: Any, tmp_path: pathlib.Path) -> None:
    def twice(run: Any) -> None:
        if run.step == 3:
            # Unlike os.kill, each call returns when its signal has been handled: two at once may be taken for one.
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=2)
    with pytest.raises(KeyboardInterrupt):
        model.train(small.input_fn(), steps=1000, hooks=[every_n_steps(1, twice)])
    assert model.get_variable_value("global_step") == 2


def test_training_in_another_thread(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path / "model")
    thread = threading.Thread(target=lambda: model.train(small.input_fn(), steps=2))
    thread.start()
    thread.join(60)
    assert model.get_variable_value("global_step") == 2


_PROGRAM = """
import os, signal, sys
import tensorflow as tf
from headway import estimators

def model_fn(features, mode):
    w = tf.Variable(0.0, name="w")
    return estimators.EstimatorSpec(mode, loss=w.read_value(), train_op=w.assign_add(1.0))

def terminate(run):
    if run.step == 5:
        os.kill(os.getpid(), signal.SIGTERM)

model = estimators.Estimator(model_fn, sys.argv[1], config=estimators.RunConfig(save_checkpoints_steps=100))
model.train(lambda: tf.data.Dataset.from_tensors({"x": [1.0]}).repeat(), hooks=[estimators.every_n_steps(1, terminate)])
"""


def test_a_process_that_is_told_to_end(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 143, done.stderr
    assert "SIGTERM: training ends after the steps under way, with a checkpoint." in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "model.ckpt-5.index").exists()


_HANGS = """
import sys, time
import tensorflow as tf
from headway import estimators

def model_fn(features, mode):
    w = tf.Variable(0.0, name="w")
    return estimators.EstimatorSpec(mode, loss=w.read_value(), train_op=w.assign_add(1.0))

def batches():
    yield [1.0]
    print("WAITS", flush=True)
    time.sleep(600)

model = estimators.Estimator(model_fn, sys.argv[1])
model.train(lambda: tf.data.Dataset.from_generator(batches, output_signature=tf.TensorSpec([1])))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_run_that_waits_for_its_input(number: signal.Signals, tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    program = [sys.executable, "-c", _HANGS, str(tmp_path / "model")]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, env=environment, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "WAITS\n"
            process.send_signal(number)
            while "Once more to end at once" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(number)
            assert process.wait(120) == 128 + number
        finally:
            process.kill()
    assert (tmp_path / "model" / "model.ckpt-0.index").exists()


def test_a_forked_process_keeps_its_signals_to_itself(small: Any, tmp_path: pathlib.Path) -> None:
    def fork(run: Any) -> None:
        if run.step != 3:
            return
        child = os.fork()
        if child == 0:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: None)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        signal.raise_signal(signal.SIGINT)

    model = small.estimator(small.linear, tmp_path / "model")
    with pytest.raises(KeyboardInterrupt):
        model.train(small.input_fn(), steps=1000, hooks=[every_n_steps(1, fork)])
    assert model.get_variable_value("global_step") == 3
