"""Writes a SavedModel: graphs for serving, evaluation and training over one copy of the variables."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from headway._export_outputs import ExportOutput
from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import _checkpoints, _exported_graph, _saved_model, _scaffold, _structure
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._exported_graph import Holding, Traced
from headway.estimators._model import Model
from headway.estimators._receivers import Receiver
from headway.estimators._runtime import ExportRequest


@dataclasses.dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
      model_of: mode -> the model.
      transform: the input transform as a plain function, or None.
    """

    model_of: Callable[[str], Model]
    transform: Callable[[Any], Any] | None


@dataclasses.dataclass(frozen=True)
class _Graph:
    """The graph of one mode under way: its receiver, and the traced model that belongs behind it."""

    mode: str
    graph: Any
    receiver: Receiver
    inputs: list[Any]
    traced: Traced
    outputs: dict[str, ExportOutput]


def export(source: Source, request: ExportRequest) -> bytes:
    """Writes a SavedModel to a new directory, named after the time, and returns its path.

    The directory is there whole or not at all.
    """
    base, receiver_fns = os.fspath(request.directory), request.receiver_fns
    _saved_model.check(base, receiver_fns, request.assets_extra)
    graphs = [_traced(source, mode, receiver_fns[mode]) for mode in _saved_model.TAGS if mode in receiver_fns]
    holdings = {h.name: h for graph in graphs for h in graph.traced.holdings.values()}
    store = source.model_of(graphs[0].mode).store
    holdings["global_step"] = Holding("global_step", store.global_step)
    renamed = {name: other for graph in graphs for name, other in graph.traced.renamed.items()}
    values = _values(holdings, request.checkpoint, renamed)
    with _saved_model.new_directory(base, request.assets_extra) as (temporary, final):
        builder = tf.compat.v1.saved_model.Builder(temporary)
        for i, graph in enumerate(graphs):
            _add(builder, graph, holdings, values if i == 0 else None, inferred=request.inferred)
        builder.save(request.as_text)
    logger.info("Exported the model of %s to %s.", request.checkpoint.path, final)
    return os.fsencode(final)


def _traced(source: Source, mode: str, receiver_fn: Callable[[], Receiver]) -> _Graph:
    graph = tf.Graph()
    with graph.as_default():
        receiver = _saved_model.checked_receiver(receiver_fn())
    labels = _saved_model.labels_of(receiver, mode)
    arguments = (receiver.features,) if labels is None else (receiver.features, labels)
    specs = _structure.spec_of(arguments)
    model = source.model_of(mode)
    found: list[dict[str, ExportOutput]] = []
    unfetched: list[str] = []
    restoring: list[_scaffold.Restoring | None] = []

    def outputs(features: Any, labels: Any = None) -> Any:
        if source.transform is not None:
            features = source.transform(features)
        record = tf.constant(False) if mode == ModeKeys.TRAIN else None
        features = dict(features) if isinstance(features, dict) else features
        outcome = model.call(features, labels, mode, record=record, exported=True)
        unfetched[:] = [operation.name for operation in outcome.unfetched.operations]
        restoring[:] = [_scaffold.restoring(outcome.spec)]
        found.append(_saved_model.export_outputs(outcome.spec))
        return {key: output.signature_outputs for key, output in found[-1].items()}

    function = tf.function(outputs, autograph=False, input_signature=specs).get_concrete_function()
    holdings = _exported_graph.holdings_of(function, model.store, model.strategy, mode)
    tables = _exported_graph.tables_of(function, holdings, model.tables)
    renamed = restoring[0].renamed if restoring[0] is not None else {}
    traced = Traced(function, holdings, tables, tuple(unfetched), renamed)
    return _Graph(mode, graph, receiver, tf.nest.flatten(arguments, expand_composites=True), traced, found[-1])


def _values(holdings: Mapping[str, Holding], checkpoint: Checkpoint, renamed: Mapping[str, str]) -> dict[str, Any]:
    """Returns the value of each variable that is saved; of those in `renamed` that of another name."""
    own = {name: h.variable for name, h in holdings.items() if h.start is None and not h.foreign}
    values = _checkpoints.values_for(own, checkpoint)
    for name, variable in own.items():
        if name not in values:
            values[name] = checkpoint.step if name.endswith("/iter") else variable.numpy()
    values |= _checkpoints.values_under(renamed, checkpoint)
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
            tf.compat.v1.add_to_collection(_saved_model.TRAIN_OP_COLLECTION, tf.group(*embedded.effects))
        else:
            outputs = _with_effects(work.mode, outputs, embedded.effects)
        receiver = _used_only(work, embedded.used) if inferred else work.receiver
        signatures = _saved_model.signatures(work.mode, receiver, work.outputs, outputs, inferred=inferred)
        saved = {name: variable for name, variable in variables.items() if own[name].start is None}
        arguments = {
            "tags": [_saved_model.TAGS[work.mode]],
            "signature_def_map": signatures,
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


def _used_only(work: _Graph, used: list[bool]) -> Receiver:
    """Returns the receiver without the inputs that nothing depends on."""
    names = {tensor.name for tensor, needed in zip(work.inputs, used, strict=True) if needed}
    receivers = {
        name: value
        for name, value in work.receiver.receiver_tensors.items()
        if any(part.name in names for part in tf.nest.flatten(value, expand_composites=True))
    }
    return work.receiver._replace(receiver_tensors=receivers)
