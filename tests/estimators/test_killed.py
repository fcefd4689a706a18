"""A run that is killed at arbitrary moments and started again ends with the weights of a run that was never killed."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import time
import types
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

_KILLS = 8
_LONGEST = 120.0


def _program() -> types.ModuleType:
    name = "killed_program"
    if name not in sys.modules:
        path = pathlib.Path(__file__).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _train(path: str, model_dir: str, kind: str) -> None:
    sys.path.insert(0, path)
    import killed_program

    killed_program.train(model_dir, kind)


@pytest.fixture(scope="module")
def server() -> Any:
    """Forks processes that have TensorFlow imported and not yet started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras", "headway.estimators", "headway.heads", "headway.input_pipelines"])
    return context


def _start(server: Any, model_dir: str, kind: str) -> Any:
    process = server.Process(target=_train, args=(str(pathlib.Path(__file__).parent), model_dir, kind))
    process.start()
    return process


def _indexes(model_dir: str) -> set[tuple[str, int]]:
    # A checkpoint that is written anew keeps its name.
    return {(p.name, p.stat().st_mtime_ns) for p in pathlib.Path(model_dir).glob("model.ckpt-*.index") if p.exists()}


def _kill_after_checkpoints(process: Any, model_dir: str, count: int, jitter: float) -> bool:
    """Kills the process a moment after it has written so many checkpoints; returns False if it ended before."""
    seen = _indexes(model_dir)
    new: set[tuple[str, int]] = set()
    deadline = time.monotonic() + _LONGEST
    while process.is_alive() and time.monotonic() < deadline:
        new |= _indexes(model_dir) - seen
        if len(new) >= count:
            time.sleep(jitter)
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            return process.exitcode == -signal.SIGKILL
        time.sleep(0.001)
    assert not process.is_alive(), "the run hangs"
    return False


def _values(model_dir: str) -> dict[str, np.ndarray[Any, Any]]:
    path = tf.train.latest_checkpoint(model_dir)
    return {name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)}


@pytest.mark.parametrize("kind", ["memory", "dataset", "generator"])
def test_killed_and_restarted_run_is_bit_identical(kind: str, server: Any, tmp_path: pathlib.Path) -> None:
    whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")
    process = _start(server, whole, kind)
    process.join(_LONGEST)
    assert process.exitcode == 0
    rng = random.Random(kind)
    kills = 0
    while kills < _KILLS:
        process = _start(server, killed, kind)
        if not _kill_after_checkpoints(process, killed, rng.choice([1, 1, 2, 3]), rng.uniform(0.0, 0.03)):
            break
        kills += 1
    process = _start(server, killed, kind)
    process.join(_LONGEST)
    assert process.exitcode == 0
    expected, found = _values(whole), _values(killed)
    assert int(found["global_step"]) == _program().STEPS
    assert expected.keys() == found.keys()
    different = [name for name in expected if not np.array_equal(expected[name], found[name])]
    assert not different
    assert kills >= 4
