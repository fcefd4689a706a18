"""Training under a MonitoredTrainingSession, with the hooks of tf.estimator in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway._spec import EstimatorSpec
from headway.estimators._classic_hooks import NanLossDuringTrainingError
from headway.estimators._events import EventWriter
from headway.estimators._runtime import Setup
from headway.estimators.graph._building import session_config
from headway.estimators.graph._hooks import SessionRun, in_session
from headway.estimators.graph._input import GraphInput

v1 = tf.compat.v1


def train(
    setup: Setup,
    spec: EstimatorSpec,
    batch: GraphInput,
    hooks: Sequence[Any],
    listeners: Sequence[Any],
    *,
    steps: int | None,
    max_steps: int | None,
) -> None:
    """Trains in the current graph until a hook or the end of the input stops it.

    Raises:
      NanLossDuringTrainingError: if the loss becomes NaN.
      ValueError: if there was no batch at all.
    """
    config = setup.config
    step = v1.train.get_global_step()
    _summarize_loss(spec.loss)
    events = EventWriter(setup.model_dir) if config.is_chief else None
    run = SessionRun(setup.directory, events)
    everywhere = [*batch.hooks, *in_session(hooks, run, spec.loss)]
    if steps is not None or max_steps is not None:
        everywhere.append(v1.train.StopAtStepHook(steps, max_steps))
    everywhere.append(v1.train.NanTensorHook(spec.loss))
    if config.log_step_count_steps is not None:
        everywhere.append(
            v1.train.LoggingTensorHook({"loss": spec.loss, "step": step}, every_n_iter=config.log_step_count_steps)
        )
    everywhere += in_session(spec.training_hooks, run, spec.loss)
    chief_only = in_session(spec.training_chief_hooks, run, spec.loss)
    scaffold = spec.scaffold or v1.train.Scaffold()
    _add_saver(setup, scaffold)
    savers = _saver_hooks(setup, scaffold, [*everywhere, *chief_only], listeners)
    loss, made = None, 0
    try:
        with v1.train.MonitoredTrainingSession(
            master=config.master,
            is_chief=config.is_chief,
            checkpoint_dir=setup.model_dir,
            scaffold=scaffold,
            hooks=everywhere,
            chief_only_hooks=[*savers, *chief_only],
            save_checkpoint_secs=0,
            save_summaries_steps=config.save_summary_steps or 0,
            config=session_config(setup),
            max_wait_secs=int(config.session_creation_timeout_secs or 7200),
            log_step_count_steps=config.log_step_count_steps or 0,
            save_graph_def=config.checkpoint_save_graph_def,
        ) as session:
            while not session.should_stop():
                _, loss = session.run([spec.train_op, spec.loss])
                made += 1
    except v1.train.NanLossDuringTrainingError as error:
        raise NanLossDuringTrainingError(
            f"NaN loss during training. {run.last_checkpoint_text} Look for a learning rate that is too high, or bad "
            "input values."
        ) from error
    finally:
        if events is not None:
            events.close()
    logger.info("Training ended after %d steps. Loss for final step: %s.", made, loss)


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
    savers = [hook for hook in hooks if isinstance(hook, v1.train.CheckpointSaverHook)]
    own = []
    if not savers and (config.save_checkpoints_secs or config.save_checkpoints_steps):
        own = [
            v1.train.CheckpointSaverHook(
                setup.model_dir,
                save_secs=config.save_checkpoints_secs,
                save_steps=config.save_checkpoints_steps,
                scaffold=scaffold,
                listeners=list(listeners),
                save_graph_def=config.checkpoint_save_graph_def,
            )
        ]
    elif listeners and not savers:
        raise ValueError(
            "There should be a CheckpointSaverHook to use saving_listeners. Please set one of the "
            "RunConfig.save_checkpoints_steps or "
            "RunConfig.save_checkpoints_secs."
        )
    return own
