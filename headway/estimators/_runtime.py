"""What an `Estimator` asks of a runtime: the interface, without an implementation."""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ModeKeys
from headway.estimators import _checkpoints, _input, _receivers
from headway.estimators._checkpoints import Checkpoint, CheckpointDirectory
from headway.estimators._run_config import RunConfig
from headway.estimators._warm_start import WarmStartSettings


@dataclasses.dataclass(frozen=True)
class Setup:
    """What an estimator was made of, checked.

    Attributes:
      model_fn: the user's function.
      params: what it gets as `params`.
      config: the configuration, with the model_dir.
      warm_start: where first values come from, or None.
      directory: the checkpoints.
      transform: the input transform, compiled, or None.
      checked_transform: the same with checks of its input, for training and evaluation.
      adapt_input: a function from the input_fn that was given to the one that is called.
    """

    model_fn: Callable[..., Any]
    params: Any
    config: RunConfig
    warm_start: WarmStartSettings | None
    directory: CheckpointDirectory
    transform: Any = None
    checked_transform: Any = None
    adapt_input: Callable[[Any], Any] = lambda input_fn: input_fn

    @property
    def model_dir(self) -> str:
        """Directory of checkpoints and summaries."""
        return self.directory.model_dir

    def eval_dir(self, name: str | None) -> str:
        """Returns the directory to which evaluations of this `name` write."""
        return os.path.join(self.model_dir, f"eval_{name}" if name else "eval")

    def exported_path(self, checkpoint_path: str | os.PathLike[str] | None) -> str:
        """Returns the checkpoint to export: the one given, the newest, or the one to warm-start from.

        Raises:
          ValueError: if there is none.
        """
        latest = None if checkpoint_path else _checkpoints.newest_readable(self.directory)
        path = os.fspath(checkpoint_path) if checkpoint_path else None if latest is None else latest.path
        if path is None and self.warm_start is not None:
            path = os.fspath(self.warm_start.ckpt_to_initialize_from)
            path = tf.train.latest_checkpoint(path) if tf.io.gfile.isdir(path) else path
        if path is None:
            raise ValueError(f"Couldn't find trained model at {self.model_dir}. Train it, or give `checkpoint_path`.")
        return path

    def receiver_fn_like(self, example: Any) -> Callable[[], Any]:
        """Returns an input receiver function for features such as those of `example`, or of the input transform.

        Raises:
          ValueError: if there is no example.
        """
        if example is None:
            parse_spec = getattr(getattr(self.transform, "python_function", None), "parse_example_spec", None)
            example = _receivers.example_of_parse_spec(parse_spec)
        if example is None:
            raise ValueError(
                "What clients send is not known: this estimator has seen no input yet. Give "
                "`export_saved_model(directory, example=...)` a pipeline or a batch of features, or a "
                "serving_input_receiver_fn."
            )
        if callable(example):
            strategy = tf.distribute.get_strategy()
            example = _input.call_input_fn(example, ModeKeys.PREDICT, self.params, self.config, strategy)
        return _receivers.receiver_fn_like(example)


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """How a model is exported.

    Attributes:
      directory: the directory in which the new one is made.
      receiver_fns: mode -> receiver function.
      assets_extra: path below `assets.extra` -> file to copy there.
      as_text: whether the graphs are written as text.
      checkpoint: where the values come from.
      inferred: whether the receiver is headway's own.
    """

    directory: str | os.PathLike[str]
    receiver_fns: Mapping[str, Callable[[], Any]]
    assets_extra: Mapping[str, str] | None
    as_text: bool
    checkpoint: Checkpoint
    inferred: bool = False


EMPTY_INPUT = (
    "The input of training is empty: input_fn gave no batch, so no step was made. Check the files or arrays it reads, "
    "filters, and `drop_remainder` with fewer rows than a batch."
)


class Runtime(abc.ABC):
    """Runs a model: trains, evaluates, predicts, exports. Arguments are those of `Estimator`, checked.

    Attributes:
      seen: the specs of the features that came last, or None.
    """

    seen: Any = None

    @abc.abstractmethod
    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        listeners: Sequence[Any],
        *,
        steps: int | None,
        max_steps: int | None,
        latest: Checkpoint | None,
    ) -> None:
        """Trains on from `latest`, the newest readable checkpoint."""

    @abc.abstractmethod
    def evaluate(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        *,
        steps: int | None,
        checkpoint_path: str | None,
        name: str | None,
    ) -> dict[str, Any]:
        """Returns the metrics, and writes them for TensorBoard."""

    @abc.abstractmethod
    def predict(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        *,
        keys: Sequence[str] | None,
        checkpoint_path: str | None,
        single: bool,
    ) -> Generator[Any]:
        """Yields predictions: rows, or batches."""

    @abc.abstractmethod
    def export(self, request: ExportRequest) -> bytes:
        """Writes a SavedModel and returns its path."""
