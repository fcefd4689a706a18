"""Exports the graphs that model_fn makes, with the values of a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import _saved_model
from headway.estimators._runtime import ExportRequest, Setup
from headway.estimators.graph._building import fresh_graph, session_config, spec_in_graph

v1 = tf.compat.v1


def export(setup: Setup, request: ExportRequest) -> bytes:
    """Writes a SavedModel to a new directory and returns its path."""
    base = os.fspath(request.directory)
    _saved_model.check(base, request.receiver_fns, request.assets_extra)
    with _saved_model.new_directory(base, request.assets_extra) as (temporary, final):
        builder = v1.saved_model.Builder(temporary)
        modes = [mode for mode in _saved_model.TAGS if mode in request.receiver_fns]
        for mode in modes:
            _add(builder, setup, request, mode, request.receiver_fns[mode], with_variables=mode == modes[0])
        builder.save(request.as_text)
    logger.info("Exported the model of %s to %s.", request.checkpoint.path, final)
    return os.fsencode(final)


def _add(
    builder: Any,
    setup: Setup,
    request: ExportRequest,
    mode: str,
    receiver_fn: Callable[[], Any],
    *,
    with_variables: bool,
) -> None:
    with fresh_graph(setup):
        receiver = _saved_model.checked_receiver(receiver_fn())
        spec = spec_in_graph(setup, receiver.features, _saved_model.labels_of(receiver, mode), mode)
        kinds = _saved_model.export_outputs(spec)
        outputs = {key: output.signature_outputs for key, output in kinds.items()}
        if mode == ModeKeys.TRAIN:
            v1.add_to_collection(_saved_model.TRAIN_OP_COLLECTION, spec.train_op)
        scaffold = spec.scaffold or v1.train.Scaffold()
        local_init = scaffold.local_init_op
        saver = scaffold.saver or v1.train.Saver(sharded=True, save_relative_paths=True)
        arguments = {
            "tags": [_saved_model.TAGS[mode]],
            "signature_def_map": _saved_model.signatures(mode, receiver, kinds, outputs, inferred=request.inferred),
            "assets_collection": v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            "main_op": v1.train.Scaffold.default_local_init_op() if local_init is None else local_init,
            "saver": saver,
            "strip_default_attrs": True,
        }
        if not with_variables:
            builder.add_meta_graph(**arguments)
            return
        with v1.Session(config=session_config(setup)) as session:
            saver.restore(session, request.checkpoint.path)
            builder.add_meta_graph_and_variables(session, **arguments)
