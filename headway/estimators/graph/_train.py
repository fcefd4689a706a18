"""Training under a MonitoredTrainingSession, with the hooks of tf.estimator in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headway import _tensorflow_v1
from headway._log import logger
from headway._spec import EstimatorSpec
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._classic_hooks import NanLossDuringTrainingError
from headway.estimators._runtime import EMPTY_INPUT, Setup
from headway.estimators.graph._building import session_config
from headway.estimators.graph._hooks import SessionHooks, SessionRun
from headway.estimators.graph._input import GraphInput
from headway.estimators.graph._position import PositionHook, PositionListener
from headway.estimators.graph._restoring import fitting, name_newest, warm_start_hooks
from headway.estimators.graph._watching import WatchingListener

v1 = tf.compat.v1
SAVER = v1.train.CheckpointSaverHook


def train(
    setup: Setup,
    spec: EstimatorSpec,
    batch: GraphInput,
    hooks: Sequence[Any],
    listeners: Sequence[Any],
    *,
    steps: int | None,
    max_steps: int | None,
    latest: Checkpoint | None,
    run: SessionRun,
) -> None:
    """Trains in the current graph until a hook or the end of the input stops it.

    The hooks, in their order: the one that saves checkpoints, those that model_fn has for the chief, the step counter
    and the summaries; then those that start the input, the user's, the one that ends the run, the one that looks for
    NaN, the log, and those of model_fn.

    Raises:
      NanLossDuringTrainingError: if the loss becomes NaN.
      CheckpointError: if the checkpoint does not fit the model.
      ValueError: if there was no batch at all.
    """
    config = setup.config
    _summarize_loss(spec.loss)
    scaffold = spec.scaffold or v1.train.Scaffold()
    run.loss_tensor = spec.loss
    in_session = SessionHooks(run, scaffold)
    path = None if latest is None else latest.path
    first = warm_start_hooks(setup, path, complete=True)
    everywhere = _worker_hooks(setup, spec, batch, in_session, hooks, steps, max_steps)
    chief_only = in_session.of(spec.training_chief_hooks)
    _add_saver(setup, scaffold)
    if batch.place is not None:
        count = PositionHook(batch.place.start, max(1, len(batch.replicas)))
        first.append(count)
        listeners = [PositionListener(setup.directory, batch.place, count), *listeners]
    if config.is_chief:
        listeners = [WatchingListener(setup.directory), *listeners]
    savers = _saver_hooks(setup, scaffold, [*everywhere, *chief_only], listeners)
    run.saver_hook = next((h for h in (*savers, *everywhere, *chief_only) if isinstance(h, SAVER)), None)
    name_newest(setup.directory, latest)
    try:
        with (
            fitting(path),
            v1.train.MonitoredTrainingSession(
                master=config.master,
                is_chief=config.is_chief,
                checkpoint_dir=setup.model_dir,
                scaffold=scaffold,
                hooks=everywhere,
                chief_only_hooks=[*first, *savers, *chief_only],
                save_checkpoint_secs=0,
                save_summaries_steps=config.save_summary_steps or 0,
                config=session_config(setup),
                max_wait_secs=int(config.session_creation_timeout_secs or 7200),
                log_step_count_steps=config.log_step_count_steps or 0,
                save_graph_def=config.checkpoint_save_graph_def,
            ) as session,
        ):
            _loop(session, spec)
    except v1.train.NanLossDuringTrainingError as error:
        raise NanLossDuringTrainingError(
            f"NaN loss during training. {run.last_checkpoint_text} Look for a learning rate that is too high, or bad "
            "input values."
        ) from error


def _loop(session: Any, spec: EstimatorSpec) -> None:
    loss = None
    try:
        while not session.should_stop():
            _, loss = session.run([spec.train_op, spec.loss])
    except (tf.errors.OutOfRangeError, StopIteration):
        if loss is None:
            raise ValueError(EMPTY_INPUT) from None
        raise
    finally:
        if loss is not None:
            logger.info("Loss for final step: %.6g.", loss)


def _worker_hooks(
    setup: Setup,
    spec: EstimatorSpec,
    batch: GraphInput,
    in_session: SessionHooks,
    hooks: Sequence[Any],
    steps: int | None,
    max_steps: int | None,
) -> list[Any]:
    config = setup.config
    everywhere = [*batch.hooks, *in_session.of(hooks)]
    if steps is not None or max_steps is not None:
        everywhere.append(v1.train.StopAtStepHook(steps, max_steps))
    everywhere.append(v1.train.NanTensorHook(spec.loss))
    if config.log_step_count_steps is not None:
        logged = {"loss": spec.loss, "step": v1.train.get_global_step()}
        everywhere.append(v1.train.LoggingTensorHook(logged, every_n_iter=config.log_step_count_steps))
    return everywhere + in_session.of(spec.training_hooks)


def _summarize_loss(loss: Any) -> None:
    if not any(summary.op.name == "loss" for summary in v1.get_collection(v1.GraphKeys.SUMMARIES)):
        v1.summary.scalar("loss", loss)
    v1.add_to_collection(v1.GraphKeys.LOSSES, loss)


def _add_saver(setup: Setup, scaffold: Any) -> None:
    """Makes the Saver that keeps as many checkpoints as the configuration says, unless model_fn brought its own."""
    if scaffold.saver or v1.get_collection(v1.GraphKeys.SAVERS):
        return
    config = setup.config
    saver = v1.train.Saver(
        sharded=True,
        max_to_keep=config.keep_checkpoint_max,
        keep_checkpoint_every_n_hours=config.keep_checkpoint_every_n_hours or float("inf"),
        defer_build=True,
        save_relative_paths=True,
    )
    v1.add_to_collection(v1.GraphKeys.SAVERS, saver)


def _saver_hooks(setup: Setup, scaffold: Any, hooks: Sequence[Any], listeners: Sequence[Any]) -> list[Any]:
    """Returns the hook that saves checkpoints, if there is to be one and nobody brought it, with the listeners."""
    config = setup.config
    savers = [hook for hook in hooks if isinstance(hook, SAVER)]
    if savers:
        _tensorflow_v1.add_listeners(savers[0], listeners)
        return []
    if config.save_checkpoints_secs or config.save_checkpoints_steps:
        return [
            v1.train.CheckpointSaverHook(
                setup.model_dir,
                save_secs=config.save_checkpoints_secs or None,
                save_steps=config.save_checkpoints_steps or None,
                scaffold=scaffold,
                listeners=list(listeners),
                save_graph_def=config.checkpoint_save_graph_def,
            )
        ]
    if any(not isinstance(listener, PositionListener | WatchingListener) for listener in listeners):
        raise ValueError(
            "There should be a CheckpointSaverHook to use saving_listeners. Please set one of the "
            "RunConfig.save_checkpoints_steps or "
            "RunConfig.save_checkpoints_secs."
        )
    return []
