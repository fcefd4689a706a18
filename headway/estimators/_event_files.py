"""Reads the results of evaluations back from event files."""

from __future__ import annotations

import os

import tensorflow as tf

from headway._log import logger


def results(pattern: str) -> dict[int, dict[str, float]]:
    """Returns the scalars in the event files that match a pattern: step -> name -> value, in the order of the steps."""
    found: dict[int, dict[str, float]] = {}
    for path in sorted(tf.io.gfile.glob(pattern)):
        for step, scalars in _scalars(path):
            found.setdefault(step, {}).update(scalars)
    return dict(sorted(found.items()))


def read_eval_metrics(eval_dir: str) -> dict[int, dict[str, float]]:
    """Returns the results of all evaluations that were written to a directory.

    Args:
      eval_dir: the directory, as `Estimator.eval_dir(name)` returns it.

    Returns:
      global step -> name of the metric -> value, in the order of the steps; empty where there is nothing yet.

    Example:
      >>> read_eval_metrics("no/such/directory")
      {}
    """
    return results(os.path.join(eval_dir, "*.tfevents.*"))


def _scalars(path: str) -> list[tuple[int, dict[str, float]]]:
    found: list[tuple[int, dict[str, float]]] = []
    try:
        for event in tf.compat.v1.train.summary_iterator(path):
            scalars = {value.tag: value.simple_value for value in event.summary.value if value.HasField("simple_value")}
            if scalars:
                found.append((event.step, scalars))
    except tf.errors.DataLossError as error:
        # The process that wrote it may have died, or be writing now.
        logger.warning("The rest of the event file %s cannot be read: %s", path, error)
    return found
