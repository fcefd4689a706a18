"""What a function can do of a `tf.compat.v1.train.Scaffold`: all that its saver says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from headway import _tensorflow_v1
from headway._log import logger
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators._needs_graph import NeedsGraph


@dataclasses.dataclass(frozen=True)
class Restoring:
    """What a saver says of checkpoints.

    Attributes:
      renamed: full name of a variable -> the name in the checkpoint that it gets its value from, where they differ.
      keep_max: number of newest checkpoints to keep; 0 or None for all.
      keep_every_n_hours: of the others, one in so many hours is kept.
    """

    renamed: Mapping[str, str]
    keep_max: int | None
    keep_every_n_hours: float


def restoring(spec: EstimatorSpec | None) -> Restoring | None:
    """Returns what the saver of a spec's Scaffold says; None if there is none.

    Raises:
      NeedsGraph: if the Scaffold has something that only a session can run.
    """
    if spec is None or spec.scaffold is None:
        return None
    given = _tensorflow_v1.scaffold_settings(spec.scaffold)
    others = sorted(set(given) - {"saver"})
    if others:
        raise NeedsGraph(f"model_fn returned a Scaffold with {', '.join(others)}")
    if "saver" not in given:
        return None
    saver = _tensorflow_v1.saver_settings(given["saver"])
    own = {} if saver.names is None else {_name(variable): name for name, variable in saver.names.items()}
    renamed = {variable: name for variable, name in own.items() if variable != name}
    if renamed and spec.mode == ModeKeys.TRAIN:
        raise NeedsGraph(f"model_fn returned a Scaffold whose saver writes variables under other names ({renamed})")
    return Restoring(renamed, saver.max_to_keep, saver.keep_every_n_hours)


def keep(spec: EstimatorSpec | None, directory: Any) -> None:
    """Lets a `CheckpointDirectory` keep as many checkpoints as the saver of a spec's Scaffold says."""
    found = restoring(spec)
    if found is not None:
        directory.keep(found.keep_max, found.keep_every_n_hours)
        logger.info("The Scaffold's saver keeps %s checkpoints. They hold all variables.", found.keep_max or "all")


def _name(variable: Any) -> str:
    return str(variable.name).partition(":")[0]
