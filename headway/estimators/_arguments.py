"""Checks of what an estimator is given, before anything is done with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.estimators._run_config import RunConfig


def train_steps(steps: Any, max_steps: Any, config: RunConfig) -> tuple[int | None, int | None]:
    """Returns the two numbers of steps of a `train` call; raises an error if `train` cannot be called so."""
    if steps is not None and max_steps is not None:
        raise ValueError(f"Can not provide both steps and max_steps. Received: steps={steps}, max_steps={max_steps}.")
    numbers = steps_or_none("steps", steps), steps_or_none("max_steps", max_steps)
    if config.task_type in ("evaluator", "ps"):
        raise ValueError(
            f"Train has been called in a process whose task is {config.task_type!r}: only 'chief' and 'worker' tasks "
            "train."
        )
    return numbers


def steps_or_none(name: str, value: Any) -> int | None:
    """Returns a number of steps that a user gives, or None; whole numbers of any type are taken, such as 1e4.

    Raises:
      TypeError: if it is no whole number.
      ValueError: if it is not above 0.
    """
    if value is None:
        return None
    if not isinstance(value, int | float | np.number) or not float(value).is_integer():
        raise TypeError(f"`{name}` must be a whole number or None. Received: {value!r} of type {type(value).__name__}.")
    if value <= 0:
        raise ValueError(f"Must specify {name} > 0, given: {value}")
    return int(value)


def path_or_none(value: str | os.PathLike[str] | None) -> str | None:
    """Returns a path that a user gives, as a string."""
    return None if value is None else os.fspath(value)


def names(values: Any, name: str) -> list[str] | None:
    """Returns a list of the names that a user gives, one or several; None for None."""
    if values is None:
        return None
    if isinstance(values, str):
        return [values]
    found = list(values) if isinstance(values, Iterable) else [values]
    if not all(isinstance(value, str) for value in found):
        raise TypeError(f"`{name}` must be a list of names, or None. Received: {values!r}.")
    return found


def sequence(values: Sequence[Any] | None, name: str) -> list[Any]:
    """Returns a list or tuple that a user may give as a list; an empty one for None."""
    if values is None:
        return []
    if isinstance(values, (list, tuple)):
        return list(values)
    raise TypeError(f"`{name}` must be a list or tuple. Received: {values!r}. Put a single one into a list.")


def with_model_dir(config: RunConfig | None, model_dir: Any) -> RunConfig:
    """Returns the configuration with the one `model_dir` that config and argument agree on."""
    if config is None:
        config = RunConfig()
    elif not isinstance(config, RunConfig):
        raise ValueError(
            f"config must be an instance of `RunConfig`. Received: {config!r} of type {type(config).__name__}."
        )
    given = os.fspath(model_dir) if model_dir else None
    if given is not None and config.model_dir is not None and given != config.model_dir:
        raise ValueError(
            "`model_dir` are set both in constructor and `RunConfig`, but with different values. In constructor: '"
            f"{given}', in `RunConfig`: "
            f"'{config.model_dir}'. Set it in one of them."
        )
    chosen = given or config.model_dir
    if chosen is None:
        chosen = tempfile.mkdtemp()
        logger.warning("Using temporary folder as model directory: %s", chosen)
    return config.replace(model_dir=chosen)


def prepare_devices(config: RunConfig) -> None:
    """Makes the settings of a configuration that hold for the whole process."""
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    if config.gpu_memory is None:
        return
    for gpu in tf.config.list_physical_devices("GPU"):
        if config.gpu_memory == "growth":
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_logical_device_configuration(
                gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=config.gpu_memory)]
            )
