"""Checks of what an estimator is given, before anything is done with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway.estimators._run_config import RunConfig


def check_train_arguments(steps: int | None, max_steps: int | None, config: RunConfig) -> None:
    """Raises an error if `train` cannot be called so."""
    if steps is not None and max_steps is not None:
        raise ValueError(f"Can not provide both steps and max_steps. Received: steps={steps}, max_steps={max_steps}.")
    for name, value in (("steps", steps), ("max_steps", max_steps)):
        if value is not None and value <= 0:
            raise ValueError(f"Must specify {name} > 0, given: {value}")
    if config.task_type in ("evaluator", "ps"):
        raise ValueError(
            f"Train has been called in a process whose task is {config.task_type!r}: only 'chief' and 'worker' tasks "
            "train."
        )


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
