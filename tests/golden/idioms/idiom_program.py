"""Runs a case on tf.estimator 2.15 or on headway, and tells all that can be seen of it."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

X = np.array(
    [[1.0, 2.0], [-1.0, 0.5], [0.3, -0.7], [2.0, 1.0], [-0.2, 0.1], [1.5, -1.5], [0.7, 0.7], [-2.0, 1.0]], "float32"
)
Y = np.array([1.0, -1.0, 0.5, 2.0, 0.0, 1.0, 0.5, -1.5], "float32")
IDS = np.array([[0, 1], [2, 3], [4, 0], [1, 1], [3, 2], [0, 4], [2, 2], [1, 3]], "int64")
WORDS = np.array(["red", "green", "blue", "red", "pink", "green", "red", "blue"])
FEATURES = {"x": X, "ids": IDS, "word": WORDS}


def rows(batch: int = 4, repeat: int | None = None) -> Any:
    """Returns the eight rows as a dataset, in order."""
    return tf.data.Dataset.from_tensor_slices((FEATURES, Y)).repeat(repeat).batch(batch)


@dataclasses.dataclass(frozen=True)
class Case:
    """An idiom, in a program as small as can be.

    Attributes:
      make: function of the Estimator API that returns the model_fn.
      steps: number of steps to train.
      evaluate: whether to evaluate.
      predict: whether to predict.
      input_fn: the input of training.
      hooks: function of (API, directory) that returns hooks of `train`.
      then: function of (API, estimator, directory, what was seen) that does more, and may add to what was seen.
      before: function of an empty directory that writes what the program needs; the model_fn gets it as `params`.
      config: further settings of the run.
      needs_graph: whether headway runs it in its graph runtime, for which it is chosen by itself.
    """

    make: Callable[[Any], Callable[..., Any]]
    steps: int = 3
    evaluate: bool = False
    predict: bool = False
    input_fn: Callable[[], Any] = rows
    hooks: Callable[[Any, str], list[Any]] | None = None
    then: Callable[[Any, Any, str, dict[str, Any]], None] | None = None
    before: Callable[[str], None] | None = None
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    needs_graph: bool = False


def run(api: Any, case: Case, folder: str, **config: Any) -> dict[str, Any]:
    """Runs a case in a new directory; returns losses, tags of events, variables by name, metrics, predictions."""
    other = os.path.join(folder, "other")
    if case.before is not None:
        os.makedirs(other)
        case.before(other)
    model_dir = os.path.join(folder, "model")
    settings = {
        "tf_random_seed": 1,
        "save_summary_steps": 1,
        "save_checkpoints_steps": 1000,
        "log_step_count_steps": None,
        **case.config,
        **config,
    }
    estimator = api.Estimator(case.make(api), model_dir, config=api.RunConfig(**settings), params={"other": other})
    hooks = [] if case.hooks is None else case.hooks(api, model_dir)
    estimator.train(case.input_fn, steps=case.steps, hooks=hooks)
    seen = {**events(model_dir), "variables": variables(model_dir)}
    if case.evaluate:
        metrics = estimator.evaluate(lambda: rows(batch=3, repeat=1))
        seen["metrics"] = {name: np.asarray(value).tolist() for name, value in metrics.items()}
    if case.predict:
        seen["predictions"] = [shown(row) for row in estimator.predict(lambda: rows(batch=3, repeat=1))]
    if case.then is not None:
        case.then(api, estimator, folder, seen)
    return seen


def variables(model_dir: str) -> dict[str, Any]:
    """Returns the newest checkpoint: name -> value."""
    reader = tf.train.load_checkpoint(model_dir)
    return {name: shown(reader.get_tensor(name)) for name in sorted(reader.get_variable_to_shape_map())}


def events(model_dir: str) -> dict[str, Any]:
    """Returns the losses, step by step; and of each other tag the kind, the steps, and the values of scalars."""
    found: dict[str, list[Any]] = {}
    for path in sorted(glob.glob(os.path.join(model_dir, "events.out.tfevents.*"))):
        for event in v1.train.summary_iterator(path):
            for value in event.summary.value:
                kind = str(value.WhichOneof("value"))
                scalar = value.simple_value if kind == "simple_value" else kind
                found.setdefault(value.tag, []).append([event.step, scalar])
    losses = [loss for _, loss in found.pop("loss", [])]
    # How full a queue is depends on the clock.
    found = {tag: values for tag, values in found.items() if "/fraction_" not in tag}
    return {"losses": losses, "events": dict(sorted(found.items()))}


def shown(value: Any) -> Any:
    """Returns a value as something that JSON can hold."""
    if isinstance(value, dict):
        return {name: shown(part) for name, part in sorted(value.items())}
    array = np.asarray(value)
    if array.dtype.kind in "OS":
        return array.astype("U").tolist()
    return array.tolist()
