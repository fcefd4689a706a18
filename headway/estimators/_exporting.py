"""Writes a SavedModel: graphs for serving, evaluation and training over one copy of the variables."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
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
from headway.estimators import _checkpoints, _exported_graph, _structure
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._exported_graph import Holding, Traced
from headway.estimators._model import Model
from headway.estimators._receivers import Receiver, ServingInputReceiver, SupervisedInputReceiver
from headway.estimators._receivers import TensorServingInputReceiver as TensorReceiver

_DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
_TAGS = {ModeKeys.TRAIN: "train", ModeKeys.EVAL: "eval", ModeKeys.PREDICT: tf.saved_model.SERVING}
_TRAIN_OP_COLLECTION = "saved_model_train_op"
_MOST_ATTEMPTS = 10


@dataclasses.dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
      model_of: mode -> the model.
      transform: the input transform as a plain function, or None.
      checkpoint: where the values come from.
    """

    model_of: Callable[[str], Model]
    transform: Callable[[Any], Any] | None
    checkpoint: Checkpoint


@dataclasses.dataclass(frozen=True)
class _Graph:
    """The graph of one mode under way: its receiver, and the traced model that belongs behind it."""

    mode: str
    graph: Any
    receiver: Receiver
    inputs: list[Any]
    traced: Traced
    outputs: dict[str, ExportOutput]


def export(
    source: Source,
    export_dir_base: str | os.PathLike[str],
    receiver_fns: Mapping[str, Callable[[], Receiver]],
    *,
    assets_extra: Mapping[str, str] | None,
    as_text: bool,
    inferred: bool = False,
) -> bytes:
    """Writes a SavedModel to a new directory, named after the time, and returns its path.

    The directory is there whole or not at all.

    Args:
      source: what is exported.
      export_dir_base: the directory that the new one is made in.
      receiver_fns: mode -> receiver function.
      assets_extra: path below `assets.extra` -> file to copy there.
      as_text: whether the graphs are written as text.
      inferred: whether the receiver is headway's own: inputs that nothing depends on are left out then, and there is a
        default signature in any case.
    """
    base = os.fspath(export_dir_base)
    _check(base, receiver_fns, assets_extra)
    # Training first: it has all variables that the others have.
    graphs = [_traced(source, mode, receiver_fns[mode]) for mode in _TAGS if mode in receiver_fns]
    holdings = {h.name: h for graph in graphs for h in graph.traced.holdings.values()}
    store = source.model_of(graphs[0].mode).store
    holdings["global_step"] = Holding("global_step", store.global_step)
    values = _values(holdings, source.checkpoint)
    final, temporary = _new_directories(base)
    try:
        builder = tf.compat.v1.saved_model.Builder(temporary)
        for i, graph in enumerate(graphs):
            _add(builder, graph, holdings, values if i == 0 else None, inferred=inferred)
        builder.save(as_text)
        _copy_assets(temporary, assets_extra or {})
        _flush_all(temporary)
        tf.io.gfile.rename(temporary, final)
        _checkpoints.flush(base)
    except BaseException:
        if tf.io.gfile.exists(temporary):
            tf.io.gfile.rmtree(temporary)
        raise
    logger.info("Exported the model of %s to %s.", source.checkpoint.path, final)
    return os.fsencode(final)


def _check(base: str, receiver_fns: Mapping[str, Any], assets_extra: Mapping[str, str] | None) -> None:
    if not base:
        raise ValueError("`export_dir_base` must be the path of a directory. Received: an empty path.")
    unknown = [mode for mode in receiver_fns if mode not in _TAGS]
    if unknown or not receiver_fns:
        raise ValueError(
            f"No valid modes for exporting found. Got {list(receiver_fns)}. Give a receiver function for one or more "
            f"of {list(_TAGS)}."
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


def _traced(source: Source, mode: str, receiver_fn: Callable[[], Receiver]) -> _Graph:
    graph = tf.Graph()
    with graph.as_default():
        receiver = receiver_fn()
    kinds = (ServingInputReceiver, TensorReceiver, SupervisedInputReceiver)
    if not isinstance(receiver, kinds):
        raise ValueError(
            "The input receiver function must return a ServingInputReceiver, a TensorServingInputReceiver or a "
            f"SupervisedInputReceiver. Received: {receiver!r} of type {type(receiver).__name__}. To export for inputs "
            "such as those of a pipeline or batch, write `export_saved_model(directory, example=...)`."
        )
    labels = getattr(receiver, "labels", None)
    if mode == ModeKeys.PREDICT:
        labels = None
    arguments = (receiver.features,) if labels is None else (receiver.features, labels)
    specs = _structure.spec_of(arguments)
    model = source.model_of(mode)
    found: list[dict[str, ExportOutput]] = []

    def outputs(features: Any, labels: Any = None) -> Any:
        if source.transform is not None:
            features = source.transform(features)
        record = tf.constant(False) if mode == ModeKeys.TRAIN else None
        features = dict(features) if isinstance(features, dict) else features
        found.append(_export_outputs(model.call(features, labels, mode, record=record).spec))
        return {key: output.signature_outputs for key, output in found[-1].items()}

    function = tf.function(outputs, autograph=False, input_signature=specs).get_concrete_function()
    holdings = _exported_graph.holdings_of(function, model.store, model.strategy, mode)
    traced = Traced(function, holdings, _exported_graph.tables_of(function, holdings))
    return _Graph(mode, graph, receiver, tf.nest.flatten(arguments, expand_composites=True), traced, found[-1])


def _export_outputs(spec: EstimatorSpec) -> dict[str, ExportOutput]:
    if spec.mode == ModeKeys.PREDICT:
        return dict(spec.export_outputs or {})
    kind = TrainOutput if spec.mode == ModeKeys.TRAIN else EvalOutput
    # Each kind has an output of its own for every metric: a dict of none at all would be one of no name.
    predictions = spec.predictions if not isinstance(spec.predictions, dict) or spec.predictions else None
    return {spec.mode: kind(spec.loss, predictions, spec.eval_metric_ops or None)}


def _values(holdings: Mapping[str, Holding], checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns the value of each variable that is saved."""
    own = {name: h.variable for name, h in holdings.items() if h.start is None and not h.foreign}
    values = _checkpoints.values_for(own, checkpoint)
    for name, variable in own.items():
        if name not in values:
            values[name] = checkpoint.step if name.endswith("/iter") else variable.numpy()
    return values | {name: h.variable.numpy() for name, h in holdings.items() if h.foreign}


def _add(
    builder: Any, work: _Graph, holdings: Mapping[str, Holding], values: Mapping[str, Any] | None, *, inferred: bool
) -> None:
    """Completes the graph of a mode and adds it; with `values`, the variables as well."""
    own = {h.name: h for h in work.traced.holdings.values()}
    if values is not None:
        own = {**{name: h for name, h in holdings.items() if h.start is None}, **own}
    own.setdefault("global_step", holdings["global_step"])
    with work.graph.as_default() as graph:
        variables = _exported_graph.make_variables(list(own.values()))
        embedded = _exported_graph.embed(work.traced, work.inputs, variables, "model")
        outputs = embedded.outputs
        if work.mode == ModeKeys.TRAIN:
            tf.compat.v1.add_to_collection(_TRAIN_OP_COLLECTION, tf.group(*embedded.effects))
        else:
            outputs = _with_effects(work.mode, outputs, embedded.effects)
        saved = {name: variable for name, variable in variables.items() if own[name].start is None}
        arguments = {
            "tags": [_TAGS[work.mode]],
            "signature_def_map": _signatures(work, outputs, embedded.used, inferred=inferred),
            "assets_collection": tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS),
            "main_op": tf.group(tf.compat.v1.local_variables_initializer(), tf.compat.v1.tables_initializer()),
            "saver": tf.compat.v1.train.Saver(saved, sharded=True, save_relative_paths=True),
            "strip_default_attrs": True,
        }
        if values is None:
            builder.add_meta_graph(**arguments)
            return
        with _exported_graph.session(graph) as session:
            session.run(tf.compat.v1.local_variables_initializer())
            for name, variable in saved.items():
                _exported_graph.set_variable(session, variable, values[name])
            builder.add_meta_graph_and_variables(session, **arguments)


def _with_effects(mode: str, outputs: Any, effects: list[Any]) -> Any:
    """Lets results wait for what runs for its effect: checks in serving, updates of metrics in evaluation."""

    def waits(name: str) -> bool:
        return mode == ModeKeys.PREDICT or name.endswith("/update_op")

    with tf.control_dependencies(effects):
        return {
            key: {name: tf.identity(tensor) if waits(name) else tensor for name, tensor in group.items()}
            for key, group in outputs.items()
        }


def _signatures(work: _Graph, outputs: Any, used: list[bool], *, inferred: bool) -> dict[str, Any]:
    receivers = work.receiver.receiver_tensors
    if inferred:
        receivers = _used_only(receivers, work, used)
    groups = {"": receivers, **(getattr(work.receiver, "receiver_tensors_alternatives", None) or {})}
    kinds = _for_raw_features(work.outputs, outputs) if inferred else work.outputs
    signatures: dict[str, Any] = {}
    excluded: dict[str, str] = {}
    for group, tensors in groups.items():
        for key, output in kinds.items():
            name = f"{group}:{key}" if group else key
            try:
                signatures[name] = output.as_signature_def(tensors, outputs[key])
                _check_sufficient(name, tensors, outputs[key])
            except ValueError as error:
                signatures.pop(name, None)
                excluded[name] = str(error)
    if inferred and signatures:
        signatures.setdefault(_DEFAULT, next(iter(signatures.values())))
    for name, why in excluded.items():
        logger.info("The export has no signature %r: %s", name, why)
    if not signatures:
        raise ValueError(
            "The export would have no signature at all. "
            + " ".join(f"{name!r}: {why}" for name, why in excluded.items())
        )
    if work.mode == ModeKeys.PREDICT and _DEFAULT not in signatures:
        logger.warning("The export has no default signature: it can be served by name only, as %s.", list(signatures))
    return signatures


def _for_raw_features(kinds: Mapping[str, ExportOutput], outputs: Any) -> dict[str, ExportOutput]:
    """Returns the outputs that clients can have who send features: any tensors, or else what there is as such.

    Even where the only feature is a string, it is no serialised example, which classification and regression take.
    """
    by_example = (ClassificationOutput, RegressionOutput)
    chosen = {key: output for key, output in kinds.items() if not isinstance(output, by_example)}
    return chosen or {key: PredictOutput(outputs[key]) for key in kinds}


def _used_only(receivers: Mapping[str, Any], work: _Graph, used: list[bool]) -> dict[str, Any]:
    names = {tensor.name for tensor, needed in zip(work.inputs, used, strict=True) if needed}
    return {
        name: value
        for name, value in receivers.items()
        if any(part.name in names for part in tf.nest.flatten(value, expand_composites=True))
    }


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
            _checkpoints.flush(os.path.join(folder, name))
