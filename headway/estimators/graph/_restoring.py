"""What a session's variables begin with: a checkpoint that can be read and fits, or another model's values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway.estimators import _checkpoints
from headway.estimators._checkpoints import Checkpoint, CheckpointDirectory
from headway.estimators._runtime import Setup
from headway.estimators._variables import Entry
from headway.estimators._warm_start import warm_start_values
from headway.estimators.graph._replicas import parts_of

v1 = tf.compat.v1


def name_newest(directory: CheckpointDirectory, latest: Checkpoint | None) -> None:
    """Lets the state file name the newest checkpoint that can be read, which is where a session goes on.

    Args:
      directory: the checkpoints.
      latest: the newest that can be read, or None.
    """
    if latest is None or tf.train.latest_checkpoint(directory.model_dir) == latest.path:
        return
    older = [other.path for other in directory.newest_first() if other.step < latest.step]
    v1.train.update_checkpoint_state(directory.model_dir, latest.path, [*reversed(older), latest.path])


@contextlib.contextmanager
def fitting(path: str | None) -> Iterator[None]:
    """Turns the error of a session that could not restore `path` into one that names the variables.

    Raises:
      CheckpointError: if a variable of the current graph is missing in the checkpoint, or has another shape there.
    """
    try:
        yield
    except (tf.errors.NotFoundError, tf.errors.InvalidArgumentError, ValueError):
        if path is not None:
            variables = {variable.op.name: variable for variable in v1.global_variables()}
            # The parts of a partitioned variable are one in a checkpoint.
            whole = {name: variable for name, variable in variables.items() if "/part_" not in name}
            _checkpoints.values_for(whole, Checkpoint(path, 0))
        raise


class ValuesHook(tf.compat.v1.train.SessionRunHook):
    """Gives variables their values when the session is there.

    Args:
      values: a function of the variables of the graph by name, which returns values by name.
    """

    def __init__(self, values: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._values_of = values
        self._values: list[tuple[Any, Any]] = []

    def begin(self) -> None:
        """Gets the values."""
        variables = {variable.op.name: variable for variable in v1.global_variables()}
        self._values = [(variables[name], value) for name, value in self._values_of(variables).items()]

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Sets the variables, once: a session that is made anew begins with a checkpoint."""
        del coord
        values, self._values = self._values, []
        for variable, value in values:
            for part in parts_of(variable):
                part.load(np.asarray(value, variable.dtype.as_numpy_dtype), session)


def warm_start_hooks(setup: Setup, path: str | None, *, complete: bool) -> list[Any]:
    """Returns the hook that takes values from another model, where there is no checkpoint at `path`.

    Args:
      setup: what the estimator was made of.
      path: the checkpoint, or None.
      complete: whether all variables of training are there: a name that is used nowhere is an error then.
    """
    settings = setup.warm_start
    if settings is None or path is not None:
        return []

    def values(variables: Mapping[str, Any]) -> dict[str, Any]:
        entries = {name: Entry(name, variable, "model") for name, variable in variables.items()}
        return warm_start_values(entries, settings, complete=complete)

    return [ValuesHook(values)]


def values_hook(session: Any) -> ValuesHook:
    """Returns the hook that takes the values of the variables in another session, as they are now."""
    variables = {variable.op.name: variable for variable in session.graph.get_collection("variables")}
    parts = session.run({name: list(parts_of(variable)) for name, variable in variables.items()})
    now = {name: _whole(variables[name], values) for name, values in parts.items()}
    return ValuesHook(lambda variables: {name: now[name] for name in variables if name in now})


def _whole(variable: Any, values: Sequence[Any]) -> Any:
    """Returns what a checkpoint holds of a variable that has these values in the replicas."""
    apart = variable.synchronization == tf.VariableSynchronization.ON_READ
    if apart and variable.aggregation == tf.VariableAggregation.MEAN:
        return np.mean(values, axis=0)
    if apart and variable.aggregation == tf.VariableAggregation.SUM:
        return np.sum(values, axis=0)
    return values[0]
