"""Warm start: first values of variables from another model's checkpoint."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway.estimators._variables import VariableStore


@dataclasses.dataclass(frozen=True)
class WarmStartSettings:
    """Which variables begin with values of another model.

    Attributes:
      ckpt_to_initialize_from: a checkpoint (path without ending), a directory of checkpoints, or a SavedModel.
      vars_to_warm_start: a regular expression that trainable variables must match at the beginning of their full names
        (by default all do), or a list of such expressions for any variables, trainable or not.
      var_name_to_prev_var_name: full name in this model -> name in the checkpoint, where the two differ.

    Raises:
      ValueError: if `ckpt_to_initialize_from` is empty.

    Example:
      >>> settings = WarmStartSettings("/tmp/other", vars_to_warm_start=".*embedding.*")
    """

    ckpt_to_initialize_from: str
    vars_to_warm_start: str | Sequence[str] = ".*"
    var_name_to_prev_var_name: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not self.ckpt_to_initialize_from:
            raise ValueError("`ckpt_to_initialize_from` MUST be set in WarmStartSettings. Received: an empty path.")


def checked(warm_start_from: Any) -> WarmStartSettings | None:
    """Returns the settings that an Estimator's `warm_start_from` stands for."""
    if warm_start_from is None or isinstance(warm_start_from, WarmStartSettings):
        return warm_start_from
    if isinstance(warm_start_from, str):
        return WarmStartSettings(warm_start_from)
    raise ValueError(f"warm_start_from must be a string or a WarmStartSettings, instead got {type(warm_start_from)}.")


def warm_start(store: VariableStore, settings: WarmStartSettings) -> None:
    """Sets variables to their values in the other checkpoint, and logs which.

    Raises:
      ValueError: if there is no checkpoint, nothing matches, a name is used nowhere, or shapes differ.
    """
    reader = tf.train.load_checkpoint(_checkpoint_path(settings.ckpt_to_initialize_from))
    shapes = reader.get_variable_to_shape_map()
    names = _chosen(store, settings.vars_to_warm_start)
    unused = set(settings.var_name_to_prev_var_name) - set(names)
    if unused:
        raise ValueError(
            f"var_name_to_prev_var_name names variables that are not warm-started: {sorted(unused)}. Warm-started are: "
            f"{names}."
        )
    values = {}
    for name in names:
        previous = settings.var_name_to_prev_var_name.get(name, name)
        wanted = tuple(store.entries[name].variable.shape)
        if previous not in shapes:
            raise ValueError(
                f"The checkpoint to warm-start from has no variable {previous!r} for {name!r}. It has: {sorted(shapes)}"
                "."
            )
        if tuple(shapes[previous]) != wanted:
            raise ValueError(
                f"The variable {name!r} has shape {wanted}, and {tuple(shapes[previous])} in the checkpoint to "
                "warm-start from."
            )
        values[name] = reader.get_tensor(previous)
    for name, value in values.items():
        store.entries[name].variable.assign(value)
    logger.info(
        "Warm-started %d variables from %s: %s.", len(values), settings.ckpt_to_initialize_from, ", ".join(values)
    )


def _chosen(store: VariableStore, wanted: str | Sequence[str]) -> list[str]:
    if isinstance(wanted, str):
        names = [name for name, entry in store.entries.items() if entry.role == "model" and entry.variable.trainable]
        expressions = [wanted]
    else:
        names, expressions = list(store.entries), list(wanted)
    chosen = [name for name in names if any(re.match(expression, name) for expression in expressions)]
    if not chosen:
        raise ValueError(f"vars_to_warm_start={wanted!r} matches no variable. There are: {names}.")
    return chosen


def _checkpoint_path(path: str) -> str:
    inside = str(tf.io.gfile.join(path, "variables", "variables"))
    if tf.io.gfile.exists(inside + ".index"):
        return inside
    if tf.io.gfile.isdir(path):
        latest = tf.train.latest_checkpoint(path)
        if latest is None:
            raise ValueError(f"There is no checkpoint to warm-start from in {path!r}.")
        return str(latest)
    if not tf.io.gfile.exists(path + ".index"):
        raise ValueError(f"There is no checkpoint to warm-start from at {path!r}.")
    return str(path)
