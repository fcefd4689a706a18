"""What every SavedModel that an estimator writes has: its directory, its signatures, and the extra files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from headway._export_outputs import (
    ClassificationOutput,
    EvalOutput,
    ExportOutput,
    PredictOutput,
    RegressionOutput,
    TrainOutput,
)
from headway._log import logger
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _exported_graph
from headway.estimators._files import flush
from headway.estimators._receivers import Receiver, ServingInputReceiver, SupervisedInputReceiver
from headway.estimators._receivers import TensorServingInputReceiver as TensorReceiver

TAGS = {ModeKeys.TRAIN: "train", ModeKeys.EVAL: "eval", ModeKeys.PREDICT: tf.saved_model.SERVING}
"""Mode -> the tag of its graph, in the order in which graphs are added: training has all variables that others have."""

TRAIN_OP_COLLECTION = "saved_model_train_op"
"""The collection of a training graph that holds the operation that makes a step."""

_DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
_MOST_ATTEMPTS = 10


def check(base: str, receiver_fns: Mapping[str, Any], assets_extra: Mapping[str, str] | None) -> None:
    """Raises an error if nothing can be exported so."""
    if not base:
        raise ValueError("`export_dir_base` must be the path of a directory. Received: an empty path.")
    unknown = [mode for mode in receiver_fns if mode not in TAGS]
    if unknown or not receiver_fns:
        raise ValueError(
            f"No valid modes for exporting found. Got {list(receiver_fns)}. Give a receiver function for one or more "
            f"of {list(TAGS)}."
        )
    for mode, function in receiver_fns.items():
        if not callable(function):
            raise TypeError(
                f"The input receiver of mode {mode!r} must be a function that returns a ServingInputReceiver, as "
                f"`build_parsing_serving_input_receiver_fn` makes one. Received: {function!r}."
            )
    for name, path in (assets_extra or {}).items():
        if os.path.isabs(name) or ".." in name.split("/"):
            raise ValueError(
                f"Names in `assets_extra` are paths below the folder 'assets.extra'. Received: {name!r} (for {path!r})."
            )
        if not tf.io.gfile.exists(path):
            raise ValueError(f"`assets_extra` names a file that is not there: {path!r} (for {name!r}).")


def checked_receiver(receiver: Any) -> Receiver:
    """Returns what a receiver function returned, if it is a receiver."""
    if isinstance(receiver, (ServingInputReceiver, TensorReceiver, SupervisedInputReceiver)):
        return receiver
    raise ValueError(
        "The input receiver function must return a ServingInputReceiver, a TensorServingInputReceiver or a "
        f"SupervisedInputReceiver. Received: {receiver!r} of type {type(receiver).__name__}. To export for inputs "
        "such as those of a pipeline or batch, write `export_saved_model(directory, example=...)`."
    )


def labels_of(receiver: Receiver, mode: str) -> Any:
    """Returns the labels of a receiver; None in serving, which has none."""
    return None if mode == ModeKeys.PREDICT else getattr(receiver, "labels", None)


def export_outputs(spec: EstimatorSpec) -> dict[str, ExportOutput]:
    """Returns what the exported graph of a mode gives, by the names of the signatures."""
    if spec.mode == ModeKeys.PREDICT:
        return dict(spec.export_outputs or {})
    kind = TrainOutput if spec.mode == ModeKeys.TRAIN else EvalOutput
    # Each kind has an output of its own for every metric: a dict of none at all would be one of no name.
    predictions = spec.predictions if not isinstance(spec.predictions, dict) or spec.predictions else None
    return {spec.mode: kind(spec.loss, predictions, spec.eval_metric_ops or None)}


@contextlib.contextmanager
def new_directory(base: str, assets_extra: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    """Makes a directory below `base`, named after the time in seconds; it is there whole or not at all.

    Yields:
      The path to write to, and the path that it has at the end.
    """
    final, temporary = _new_directories(base)
    try:
        yield temporary, final
        _copy_assets(temporary, assets_extra or {})
        _flush_all(temporary)
        tf.io.gfile.rename(temporary, final)
        flush(base)
    except BaseException:
        if tf.io.gfile.exists(temporary):
            tf.io.gfile.rmtree(temporary)
        raise


def signatures(
    mode: str,
    receiver: Receiver,
    kinds: Mapping[str, ExportOutput],
    outputs: Mapping[str, Mapping[str, tf.Tensor]],
    *,
    inferred: bool,
) -> dict[str, Any]:
    """Returns the signatures of a graph: one for each output and each group of receiver tensors that fit together.

    Args:
      mode: the mode of the graph.
      receiver: what the graph receives.
      kinds: name -> output.
      outputs: name -> the tensors of that output in the graph.
      inferred: whether the receiver is headway's own: there is a default signature in any case then.
    """
    groups = {"": receiver.receiver_tensors, **(getattr(receiver, "receiver_tensors_alternatives", None) or {})}
    kinds = _for_raw_features(kinds, outputs) if inferred else kinds
    found: dict[str, Any] = {}
    excluded: dict[str, str] = {}
    for group, tensors in groups.items():
        for key, output in kinds.items():
            name = f"{group}:{key}" if group else key
            try:
                found[name] = output.as_signature_def(tensors, outputs[key])
                _check_sufficient(name, tensors, outputs[key])
            except ValueError as error:
                found.pop(name, None)
                excluded[name] = str(error)
    if inferred and found:
        found.setdefault(_DEFAULT, next(iter(found.values())))
    for name, why in excluded.items():
        logger.info("The export has no signature %r: %s", name, why)
    if not found:
        raise ValueError(
            "The export would have no signature at all. "
            + " ".join(f"{name!r}: {why}" for name, why in excluded.items())
        )
    if mode == ModeKeys.PREDICT and _DEFAULT not in found:
        logger.warning("The export has no default signature: it can be served by name only, as %s.", list(found))
    return found


def _for_raw_features(kinds: Mapping[str, ExportOutput], outputs: Any) -> dict[str, ExportOutput]:
    """Returns the outputs that clients can have who send features: any tensors, or else what there is as such.

    Even where the only feature is a string, it is no serialised example, which classification and regression take.
    """
    by_example = (ClassificationOutput, RegressionOutput)
    chosen = {key: output for key, output in kinds.items() if not isinstance(output, by_example)}
    return chosen or {key: PredictOutput(outputs[key]) for key in kinds}


def _check_sufficient(name: str, tensors: Mapping[str, Any], outputs: Mapping[str, tf.Tensor]) -> None:
    missing = _exported_graph.missing_inputs(
        list(outputs.values()), tf.nest.flatten(dict(tensors), expand_composites=True)
    )
    if missing:
        raise ValueError(
            f"The input tensors {sorted(tensors)} are insufficient to compute the outputs {sorted(outputs)} of "
            f"{name!r}: these depend on the placeholders {missing} as well. Add them to `receiver_tensors`."
        )


def _new_directories(base: str) -> tuple[str, str]:
    """Returns the path of a new directory, named after the time in seconds, and that of its temporary forerunner."""
    tf.io.gfile.makedirs(base)
    for attempt in range(_MOST_ATTEMPTS):
        stamp = str(int(time.time()))
        final, temporary = os.path.join(base, stamp), os.path.join(base, f"temp-{stamp}")
        if not tf.io.gfile.exists(final) and not tf.io.gfile.exists(temporary):
            return final, temporary
        logger.info("%s exists already; trying again (%d of %d).", final, attempt + 1, _MOST_ATTEMPTS)
        time.sleep(1)
    raise RuntimeError(
        f"Failed to obtain a unique export directory name in {base} after {_MOST_ATTEMPTS} attempts: other processes "
        "export there as well. Give each of them a directory of its own."
    )


def _copy_assets(temporary: str, assets_extra: Mapping[str, str]) -> None:
    for name, path in assets_extra.items():
        target = os.path.join(temporary, "assets.extra", name)
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(path, target)


def _flush_all(directory: str) -> None:
    """Makes sure that what is about to be renamed is on the disk."""
    for folder, _, files in tf.io.gfile.walk(directory):
        for name in files:
            flush(os.path.join(folder, name))
