"""The evaluation loop, and its report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.estimators import _signals
from headway.estimators._batch_run import BatchRun
from headway.estimators._evaluate_program import Evaluated, EvaluateProgram
from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, act_on, check_for_batches, due_steps
from headway.estimators._readable import readable_errors

_RESERVED = ("loss", "global_step")
_STEPS_PER_CALL = 1000
# Control returns to Python about so often, in seconds, for Ctrl-C.
_SECONDS_PER_CALL = 0.5
_FIRST_STEPS = 16


def evaluate(
    program: EvaluateProgram, iterator: Any, tables: Any, *, steps: int | None, hooks: Sequence[Hook], model_dir: str
) -> dict[str, Any]:
    """Goes through the input and returns the metrics, `loss` and `global_step`."""
    _check_metric_names(program)
    program.model.store.reset_metrics(program.mode)
    check_for_batches(hooks)
    run = BatchRun(model_dir)
    for hook in hooks:
        hook.begin(run)
    total = Evaluated(0, 0.0, False, {})
    # Operations between workers meet by their iteration of the loop, so that no clock may say how long it is.
    most = _STEPS_PER_CALL if program.multi_worker else _FIRST_STEPS
    while run.going and not total.exhausted and (steps is None or run.step < steps):
        limit = 1 if hooks else min(most, most if steps is None else steps - run.step)
        # Workers leave the loop together or not at all.
        if not program.multi_worker and _signals.training_is_to_end():
            logger.warning("A signal has ended the evaluation after %d batches; it has no result.", total.batches)
            raise _signals.Interrupted
        due, began = due_steps(hooks, run), time.monotonic()
        with readable_errors():
            found = program.run(iterator, tables, limit)
        pairs = found.pairs if found.batches or not total.pairs else total.pairs
        total = Evaluated(total.batches + found.batches, total.loss + found.loss, found.exhausted, pairs)
        if not program.multi_worker:
            each = (time.monotonic() - began) / limit
            most = max(1, min(_STEPS_PER_CALL, 8 * limit, int(_SECONDS_PER_CALL / max(each, 1e-6))))
        run.advance(limit, found.loss / max(found.batches, 1))
        if found.batches:
            act_on(hooks, due, run)
    for hook in hooks:
        hook.end(run)
    total = program.over_all_workers(total)
    if not total.batches:
        logger.warning("The input of evaluation is empty: all metrics are those of no rows.")
    return _result(program, total, iterator, tables)


def _check_metric_names(program: EvaluateProgram) -> None:
    ops = program.spec.eval_metric_ops or {} if program.spec is not None else {}
    for name in _RESERVED:
        if name in ops:
            raise ValueError(
                f'Metric with name "{name}" is not allowed, because Estimator already defines a default metric with '
                "the same name. Give it another name."
            )


def _result(program: EvaluateProgram, total: Evaluated, iterator: Any, tables: Any) -> dict[str, Any]:
    strategy = program.model.strategy
    pairs = total.pairs
    if pairs and (strategy.num_replicas_in_sync > 1 or program.eager):
        pairs = program.pairs_of_all_replicas(iterator, tables)
    # The variables of metrics are summed over replicas where they are read in the strategy's scope.
    with strategy.scope():
        values = program.metric_results()
    result = {name: _numpy(value) for name, value in {**values, **pairs}.items()}
    result["loss"] = np.float32(total.loss / max(total.batches, 1))
    result["global_step"] = np.int64(program.model.store.global_step.numpy())
    return result


def report(result: Mapping[str, Any], directory: str, checkpoint_path: str | None) -> None:
    """Logs a result, and writes it for TensorBoard."""
    step = int(result["global_step"])
    shown = ", ".join(
        f"{name} = {value:.6g}" if np.ndim(value) == 0 and not isinstance(value, bytes) else name
        for name, value in sorted(result.items())
    )
    logger.info("Evaluation at step %d: %s", step, shown)
    writer = EventWriter(directory)
    writer.evaluation(result, step, checkpoint_path)
    writer.close()


def _numpy(value: Any) -> Any:
    array = value.numpy() if tf.is_tensor(value) else np.asarray(value)
    return array if not isinstance(array, np.ndarray) or array.ndim else array[()]
