"""When a model is exported while it trains, and which exports stay."""

from __future__ import annotations

import abc
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.estimators import _event_files
from headway.estimators._files import write_text
from headway.estimators._model import argument_names

_VERSION = re.compile(r"^\d{10}/?$")
_LEFTOVER = re.compile(r"^temp-(\d{10})/?$")
_COMPARED = ("best_eval_result", "current_eval_result")


class Exporter(abc.ABC):
    """Exports a model after an evaluation; belongs into `EvalSpec(exporters=...)`.

    Example:
      >>> class PathKeeper(Exporter):
      ...     name = "paths"
      ...     def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
      ...         return checkpoint_path
      >>> PathKeeper().export(None, "", "model.ckpt-5", {}, False)
      'model.ckpt-5'
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The exporter's name: its exports lie in `model_dir/export/<name>`."""

    @abc.abstractmethod
    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> Any:
        """Exports the model, or not.

        Args:
          estimator: the `Estimator`.
          export_path: the directory for this exporter's exports.
          checkpoint_path: the checkpoint that was evaluated.
          eval_result: what `evaluate` returned.
          is_the_final_export: whether training has come to `TrainSpec.max_steps`; never where that is None.

        Returns:
          The path of the export; None if there was none.
        """


class _SavedModelExporter(Exporter):
    """What the exporters of SavedModels share: the arguments of the export, and which exports stay."""

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Callable[[], Any] | None,
        assets_extra: Mapping[str, str] | None,
        as_text: bool,
        exports_to_keep: int | None = None,
    ) -> None:
        if exports_to_keep is not None and exports_to_keep <= 0:
            raise ValueError(f"`exports_to_keep`, if provided, must be a positive number. Got {exports_to_keep}.")
        self._name = name
        self._receiver_fn = serving_input_receiver_fn
        self._assets_extra = assets_extra
        self._as_text = as_text
        self._exports_to_keep = exports_to_keep

    @property
    def name(self) -> str:
        return self._name

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> Any:
        del eval_result, is_the_final_export
        path = estimator.export_saved_model(
            export_path,
            self._receiver_fn,
            assets_extra=self._assets_extra,
            as_text=self._as_text,
            checkpoint_path=checkpoint_path,
        )
        self._tidy(export_path, tf.compat.as_str(path))
        return path

    def _tidy(self, export_path: str, newest: str) -> None:
        """Deletes the oldest exports, and what a process has left that died while it exported."""
        names = [name.rstrip("/") for name in tf.io.gfile.listdir(export_path)]
        versions = sorted(name for name in names if _VERSION.match(name))
        doomed = [] if self._exports_to_keep is None else versions[: -self._exports_to_keep]
        stamp = os.path.basename(newest)
        doomed += [name for name in names if (match := _LEFTOVER.match(name)) and match[1] < stamp]
        for name in doomed:
            try:
                tf.io.gfile.rmtree(os.path.join(export_path, name))
            except tf.errors.OpError as error:
                logger.warning("The export %s could not be deleted: %s", os.path.join(export_path, name), error)


class LatestExporter(_SavedModelExporter):
    """Exports after each evaluation, and keeps the newest exports.

    Args:
      name: names the directory of the exports; each exporter of an `EvalSpec` has another.
      serving_input_receiver_fn: see `Estimator.export_saved_model`; None to infer what clients send.
      assets_extra: see `Estimator.export_saved_model`.
      as_text: see `Estimator.export_saved_model`.
      exports_to_keep: number of exports that stay; None for all.

    Raises:
      ValueError: if `exports_to_keep` is not positive.

    Example:
      >>> LatestExporter("latest", exports_to_keep=2).name
      'latest'
    """

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text, exports_to_keep)


class FinalExporter(_SavedModelExporter):
    """Exports once: after the evaluation of `TrainSpec.max_steps`.

    Args:
      name: names the directory of the exports; each exporter of an `EvalSpec` has another.
      serving_input_receiver_fn: see `Estimator.export_saved_model`; None to infer what clients send.
      assets_extra: see `Estimator.export_saved_model`.
      as_text: see `Estimator.export_saved_model`.

    Example:
      >>> FinalExporter("final").export(None, "", "model.ckpt-5", {}, is_the_final_export=False) is None
      True
    """

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> Any:
        """Exports the model if training has ended; see `Exporter`."""
        if not is_the_final_export:
            return None
        return super().export(estimator, export_path, checkpoint_path, eval_result, is_the_final_export)


def loss_smaller(best_eval_result: Mapping[str, Any], current_eval_result: Mapping[str, Any]) -> bool:
    """Returns whether the second of two results has the smaller loss.

    Raises:
      ValueError: if one of them has no loss.
    """
    for name, result in zip(_COMPARED, (best_eval_result, current_eval_result), strict=True):
        if not result or "loss" not in result:
            raise ValueError(f"{name} cannot be empty or no loss is found in it. Received: {result}.")
    return bool(best_eval_result["loss"] > current_eval_result["loss"])


class BestExporter(_SavedModelExporter):
    """Exports when the evaluation is better than all before it, and keeps the newest of these exports.

    A run that goes on in its `model_dir` compares with what an earlier run has exported: the result of an export is
    noted in `.<name>.json`, beside the directory of the exports, which holds nothing else; where tf.estimator has
    exported, the best result is read from the event files of the evaluation. If there is no export yet, the first
    evaluation is exported.

    Args:
      name: names the directory of the exports; each exporter of an `EvalSpec` has another.
      serving_input_receiver_fn: see `Estimator.export_saved_model`; None to infer what clients send.
      event_file_pattern: pattern of the event files below the `model_dir`; an `EvalSpec(name="x")` writes
        'eval_x/*.tfevents.*'. None: a run compares with its own results alone.
      compare_fn: a function of `best_eval_result` and `current_eval_result` that returns whether the latter is better;
        by default, whether its loss is smaller.
      assets_extra: see `Estimator.export_saved_model`.
      as_text: see `Estimator.export_saved_model`.
      exports_to_keep: number of exports that stay; None for all.

    Raises:
      ValueError: if `compare_fn` has other arguments, or `exports_to_keep` is not positive.

    Example:
      >>> def more_accurate(best_eval_result, current_eval_result):
      ...     return current_eval_result["accuracy"] > best_eval_result["accuracy"]
      >>> BestExporter(compare_fn=more_accurate, exports_to_keep=1).name
      'best_exporter'
    """

    def __init__(
        self,
        name: str = "best_exporter",
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        event_file_pattern: str | None = "eval/*.tfevents.*",
        compare_fn: Callable[..., Any] = loss_smaller,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text, exports_to_keep)
        _check_compare_fn(compare_fn)
        self._compare_fn = compare_fn
        self._pattern = event_file_pattern
        self._best: Mapping[str, Any] | None = None
        self._model_dir: str | None = None

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> Any:
        """Exports the model if it is the best one; see `Exporter`."""
        if self._model_dir != estimator.model_dir:
            self._model_dir = estimator.model_dir
            self._best = self._best_before(export_path, int(eval_result["global_step"]))
        if self._best is not None and not self._compare_fn(
            best_eval_result=self._best, current_eval_result=eval_result
        ):
            return None
        path = super().export(estimator, export_path, checkpoint_path, eval_result, is_the_final_export)
        # Only now: an export that fails leaves the one before it the best.
        self._best = eval_result
        _write_record(export_path, eval_result)
        return path

    def _best_before(self, export_path: str, step: int) -> Mapping[str, Any] | None:
        """Returns the result of the newest export, or the best one of other steps; None where nothing is exported."""
        exported = tf.io.gfile.isdir(export_path) and any(map(_VERSION.match, tf.io.gfile.listdir(export_path)))
        if not exported or self._pattern is None or self._model_dir is None:
            return None
        best = _read_record(export_path)
        if best is not None:
            return best
        for earlier, result in _event_files.results(os.path.join(self._model_dir, self._pattern)).items():
            # The result in question is in the files already.
            if earlier != step and (
                best is None or self._compare_fn(best_eval_result=best, current_eval_result=result)
            ):
                best = result
        return best


def _write_record(export_path: str, eval_result: Mapping[str, Any]) -> None:
    """Notes the result of an export: an evaluation may be in the event files, and its export not be there."""
    scalars = {name: float(value) for name, value in eval_result.items() if _is_number(value)}
    write_text(_record_path(export_path), json.dumps(scalars), durable=False)


def _record_path(export_path: str) -> str:
    # Programs take the last or the greatest name in the directory of the exports for the newest export.
    folder, name = os.path.split(export_path.rstrip("/"))
    return os.path.join(folder, f".{name}.json")


def _read_record(export_path: str) -> dict[str, float] | None:
    path = _record_path(export_path)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "r") as file:
        record = json.loads(file.read())
    return record if isinstance(record, dict) else None


def _is_number(value: Any) -> bool:
    return not isinstance(value, (bytes, str)) and np.ndim(value) == 0


def _check_compare_fn(compare_fn: Any) -> None:
    if compare_fn is None:
        raise ValueError("`compare_fn` must not be None. Leave it out to compare losses.")
    names = argument_names(compare_fn)
    for name in _COMPARED:
        if name not in names:
            raise ValueError(
                f"compare_fn ({compare_fn}) must include {name} argument. Its arguments are {list(names)}."
            )
    unknown = sorted(set(names) - set(_COMPARED))
    if unknown:
        raise ValueError(
            f"compare_fn ({compare_fn}) has following not expected args: {unknown}. It gets {list(_COMPARED)} alone."
        )
