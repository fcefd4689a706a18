"""Predictions: batch by batch from the program, row by row to the user."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway.estimators._batch_run import BatchRun
from headway.estimators._hooks import Hook, act_on, check_for_batches, due_steps
from headway.estimators._predict_program import PredictProgram
from headway.estimators._readable import readable_errors


def batches(
    program: PredictProgram,
    iterator: Any,
    tables: Any,
    run: BatchRun,
    *,
    keys: Sequence[str] | None,
    hooks: Sequence[Hook],
    may_read_ahead: bool,
    hold: Callable[[], None],
) -> Iterator[Any]:
    """Yields the predictions of each batch as NumPy values; of a dict only those in `keys`, if given.

    `hold` is called before anything is computed: the caller may have changed the weights between two batches.
    """
    many = program.many(iterator, tables) if may_read_ahead and not hooks else None
    if many is not None:
        with readable_errors():
            yield from many.batches(iterator, tables, lambda predictions: selected(predictions, keys), hold)
        return
    check_for_batches(hooks)
    for hook in hooks:
        hook.begin(run)
    stream = program.run(iterator, tables)
    while True:
        due = due_steps(hooks, run)
        hold()
        with readable_errors():
            predictions = next(stream, None)
        if predictions is None:
            break
        yield tf.nest.map_structure(_numpy, selected(predictions, keys))
        run.advance(1)
        act_on(hooks, due, run)
        if not run.going:
            break
    for hook in hooks:
        hook.end(run)


def each_within(batches: Iterator[Any], context: Callable[[], contextlib.AbstractContextManager[Any]]) -> Iterator[Any]:
    """Yields `batches`, each of which is computed within a context of its own."""
    while True:
        with context():
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def rows(batches: Iterator[Any]) -> Iterator[Any]:
    """Yields the rows of each batch of predictions."""
    for batch in batches:
        if not isinstance(batch, dict):
            yield from batch
            continue
        names, columns = list(batch), list(batch.values())
        lengths = {name: len(column) for name, column in batch.items()}
        if len(set(lengths.values())) > 1:
            first = names[0]
            other = next(name for name in names if lengths[name] != lengths[first])
            raise ValueError(
                f"Batch length of predictions should be same. {other} has different batch length than others: "
                f"{lengths[other]}, and {first} has "
                f"{lengths[first]}. Use yield_single_examples=False for predictions that do not belong to rows."
            )
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def selected(predictions: Any, keys: Sequence[str] | None) -> Any:
    """Returns those of the predictions that `keys` names; None for all."""
    if keys is None:
        return predictions
    if not isinstance(predictions, dict):
        raise ValueError(
            f"predict_keys argument is not valid in case of non-dict predictions. Received: predict_keys={list(keys)}."
        )
    chosen = {name: value for name, value in predictions.items() if name in keys}
    if not chosen:
        raise ValueError(f"Expected to run at least one output from {sorted(predictions)}, provided {list(keys)}.")
    return chosen


def _numpy(value: Any) -> Any:
    return value.numpy() if tf.is_tensor(value) and hasattr(value, "numpy") else np.asarray(value)
