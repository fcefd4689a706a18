"""Evaluation: one pass over the input, then the values of the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from headway._spec import EstimatorSpec
from headway.estimators._runtime import Setup
from headway.estimators.graph._building import session_config
from headway.estimators.graph._hooks import SessionHooks, SessionRun
from headway.estimators.graph._input import GraphInput
from headway.estimators.graph._replica_scaffold import ReplicaScaffold
from headway.estimators.graph._restoring import fitting

v1 = tf.compat.v1
_RESERVED = ("loss", "global_step")


class _StopAfter(tf.compat.v1.train.SessionRunHook):
    def __init__(self, steps: int) -> None:
        self._left = steps

    def after_run(self, run_context: Any, run_values: Any) -> None:
        del run_values
        self._left -= 1
        if self._left <= 0:
            run_context.request_stop()


def evaluate(
    setup: Setup,
    spec: EstimatorSpec,
    batch: GraphInput,
    hooks: Sequence[Any],
    *,
    steps: int | None,
    path: str | None,
    first: Sequence[Any] = (),
) -> dict[str, Any]:
    """Evaluates in the current graph, and returns the metrics, `loss` and `global_step`.

    Args:
      setup: what the estimator was made of.
      spec: what model_fn returned, with the metrics of `with_loss`.
      batch: the input.
      hooks: the user's hooks, of both kinds.
      steps: number of batches, or None.
      path: the checkpoint, or None for initial values.
      first: hooks that set the variables.
    """
    pairs = spec.eval_metric_ops
    values = {name: value for name, (value, _) in pairs.items()}
    update = tf.group(*[tf.nest.flatten(update) for _, update in pairs.values()])
    values["global_step"] = v1.train.get_global_step()
    in_session = SessionHooks(SessionRun(setup.directory, None, spec.loss))
    counting = [] if steps is None else [_StopAfter(steps)]
    final = v1.train.FinalOpsHook(values)
    own = [*in_session.of(hooks), *counting, *in_session.of(spec.evaluation_hooks)]
    creator = v1.train.ChiefSessionCreator(
        scaffold=_with_metrics(spec.scaffold),
        checkpoint_filename_with_path=path,
        master=setup.config.evaluation_master,
        config=session_config(setup),
    )
    with fitting(path), v1.train.MonitoredSession(creator, hooks=[*first, *batch.hooks, *own, final]) as session:
        while not session.should_stop():
            session.run([update])
    return dict(final.final_ops_values)


def _with_metrics(scaffold: Any) -> Any:
    """Returns a scaffold that initialises the variables of metrics too, which were made after model_fn's own."""
    if scaffold is None or scaffold.local_init_op is None or isinstance(scaffold, ReplicaScaffold):
        return scaffold
    local_init = tf.group(scaffold.local_init_op, v1.train.Scaffold.default_local_init_op())
    return v1.train.Scaffold(local_init_op=local_init, copy_from_scaffold=scaffold)


def with_loss(spec: EstimatorSpec, present: Any = None) -> EstimatorSpec:
    """Returns a spec whose metrics are checked, with `loss` among them; called where model_fn was.

    Args:
      spec: what model_fn returned.
      present: whether the batch was there: that without rows may have any loss, which does not count. None: it was.
    """
    pairs: dict[str, Any] = dict(spec.eval_metric_ops or {})
    for name, metric in pairs.items():
        if name in _RESERVED:
            raise ValueError(
                f'Metric with name "{name}" is not allowed, because Estimator already defines a default metric with '
                "the same name. Give it another name."
            )
        if isinstance(metric, keras.metrics.Metric):
            raise ValueError(
                f"The metric {name!r} is a Keras metric, whose updates a session cannot see. Give a pair of "
                "`tf.compat.v1.metrics`, or run the model with RunConfig(runtime='function')."
            )
    if present is None:
        pairs["loss"] = v1.metrics.mean(spec.loss)
    else:
        pairs["loss"] = v1.metrics.mean(
            tf.where(present, spec.loss, tf.zeros_like(spec.loss)), tf.cast(present, tf.float32)
        )
    return spec._replace(eval_metric_ops=pairs)
