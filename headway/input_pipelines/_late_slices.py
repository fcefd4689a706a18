"""Datasets of rows of tensors, batched: the same batches, made by taking rows of the tensors a batch at a time.

`from_tensor_slices(...).shuffle(...).repeat().batch(...)` carries each row through each stage, as one small tensor for
each feature: some microseconds for each row. What the stages do to rows does not depend on what is in them. So here
the same stages, with the same seeds, carry the rows' numbers, and the tensors are gathered once for a whole batch. The
usual stages are not even gone through: the order of a whole epoch is computed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway.input_pipelines._shuffle_order import seeds_of, shuffled_rows

# Epochs of so many rows are ordered as a whole: for fewer it is not worth it, and more would take long to begin.
_ORDERED_ROWS = range(1_000, 1_000_001)
_FOR_EVER = 2**62
_USUAL = (
    ["batch"],
    ["batch", "repeat"],
    ["shuffle", "batch"],
    ["shuffle", "batch", "repeat"],
    ["shuffle", "repeat", "batch"],
)

Stages = list[tuple[str, dict[str, Any]]]


def with_late_slices(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset of the same elements that is faster where possible, else `dataset` itself.

    Where epochs are ordered as a whole, each pass over the result is the first pass over `dataset`: `Dataset.shuffle`
    would go on drawing seeds from one iterator to the next.
    """
    stages = _tensorflow.stages_of(dataset) if tf.executing_eagerly() else None
    if stages is None or [name for name, _ in stages].count("batch") != 1:
        return dataset
    (_, source), *rest = stages
    rows = source["tensors"][0].shape[0]
    if rows is None:
        return dataset
    moving = [(name, arguments) for name, arguments in rest if name not in ("prefetch", "with_options")]
    with tf.device("/cpu:0"):
        tensors = [tf.identity(tensor) for tensor in source["tensors"]]
        numbers = _by_epoch(rows, moving)
        if numbers is None:
            numbers = _by_stage(rows, moving)
    batches = _gathered(numbers, tensors, dataset.element_spec)
    for arguments in [arguments for name, arguments in rest if name == "prefetch"][-1:]:
        batches = batches.prefetch(**arguments)
    return batches.with_options(dataset.options())


def _by_stage(rows: int, stages: Stages) -> tf.data.Dataset:
    numbers = tf.data.Dataset.range(rows)
    for name, arguments in stages:
        numbers = _shuffled(numbers, **arguments) if name == "shuffle" else getattr(numbers, name)(**arguments)
    return numbers


def _by_epoch(rows: int, stages: Stages) -> tf.data.Dataset | None:
    """Returns the row numbers of each batch, from the order of whole epochs; None for other stages than the usual."""
    found = dict(stages)
    names = [name for name, _ in stages]
    if names not in _USUAL or rows not in _ORDERED_ROWS or found.get("shuffle", {"buffer_size": 1})["buffer_size"] < 1:
        return None
    count, size = found.get("repeat", {"count": 1})["count"], found["batch"]["batch_size"]
    drop = found["batch"]["drop_remainder"]
    if "shuffle" not in found:
        # Without a function to trace: a call of `predict` may take less time than that.
        return _batches_of(tf.range(rows, dtype=tf.int64), rows, size, drop).repeat(count)
    last = _FOR_EVER if count < 0 else count
    # The next epoch is ordered while this one is trained on.
    epochs = tf.data.Dataset.range(last).map(_plain(_order(rows, **found["shuffle"]))).prefetch(1)
    if names[-2:] == ["repeat", "batch"]:
        batches = epochs.rebatch(size, drop_remainder=drop)
        total = last * rows // size if drop else -(-last * rows // size)
    else:
        batches = epochs.flat_map(_plain(lambda order: _batches_of(order, rows, size, drop)))
        total = last * (rows // size if drop else -(-rows // size))
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY if count < 0 else total))


def _order(
    rows: int, buffer_size: int, seed: int, seed2: int, reshuffle_each_iteration: bool | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    seeds = tf.constant(seeds_of(seed, seed2), tf.int64)
    return lambda epoch: shuffled_rows(rows, buffer_size, seeds, epoch, reshuffle=reshuffle_each_iteration is not False)


def _batches_of(order: tf.Tensor, rows: int, size: int, drop: bool) -> tf.data.Dataset:
    # Slices of one matrix cost nothing; the short batch comes behind them.
    full = rows // size
    batches = tf.data.Dataset.from_tensor_slices(tf.reshape(order[: full * size], [full, size]))
    if drop or full * size == rows:
        return batches
    return batches.concatenate(tf.data.Dataset.from_tensors(order[full * size :]))


def _gathered(numbers: tf.data.Dataset, tensors: list[tf.Tensor], structure: Any) -> tf.data.Dataset:
    """Returns batches of the rows of these numbers; `structure` has the specs of a batch."""
    specs = tf.nest.flatten(structure)

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parts = [tf.gather(tensor, indices) for tensor in tensors]
        return tuple(tf.ensure_shape(part, spec.shape) for part, spec in zip(parts, specs, strict=True))

    function = tf.function(gather, autograph=False).get_concrete_function(numbers.element_spec)
    # Operations as short as these take less time than to hand them to other threads, which `Dataset.map` does.
    variant = tf.raw_ops.MapDataset(
        input_dataset=tf.data.experimental.to_variant(numbers),
        other_arguments=function.captured_inputs,
        f=function,
        output_types=[spec.dtype for spec in specs],
        output_shapes=[spec.shape for spec in specs],
        use_inter_op_parallelism=False,
        preserve_cardinality=True,
    )
    return tf.data.experimental.from_variant(variant, structure)


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    plain: Callable[..., Any] = tf.autograph.experimental.do_not_convert(function)
    return plain


def _shuffled(
    numbers: tf.data.Dataset, buffer_size: Any, seed: Any, seed2: Any, reshuffle_each_iteration: bool | None
) -> tf.data.Dataset:
    """Shuffles with seeds that are drawn already, which `Dataset.shuffle` cannot be given."""
    spec = numbers.element_spec
    variant = tf.raw_ops.ShuffleDatasetV3(
        input_dataset=tf.data.experimental.to_variant(numbers),
        buffer_size=buffer_size,
        seed=seed,
        seed2=seed2,
        seed_generator=tf.raw_ops.DummySeedGenerator(),
        output_types=[spec.dtype],
        output_shapes=[spec.shape],
        reshuffle_each_iteration=True if reshuffle_each_iteration is None else reshuffle_each_iteration,
    )
    return tf.data.experimental.from_variant(variant, spec)
