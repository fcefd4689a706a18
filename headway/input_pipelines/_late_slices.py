"""Datasets of rows of tensors, batched: the same batches, made by taking rows of the tensors a batch at a time.

`from_tensor_slices(...).shuffle(...).repeat().batch(...)` carries each row through each stage, as one small tensor for
each feature: some microseconds for each row. What the stages do to rows does not depend on what is in them. So here
the same stages, with the same seeds, carry the rows' numbers, and the tensors are gathered once for a whole batch.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway import _tensorflow


def with_late_slices(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset of the same elements that is faster where possible, else `dataset` itself."""
    stages = _tensorflow.stages_of(dataset) if tf.executing_eagerly() else None
    if stages is None or [name for name, _ in stages].count("batch") != 1:
        return dataset
    (_, source), *rest = stages
    rows = source["tensors"][0].shape[0]
    if rows is None:
        return dataset
    with tf.device("/cpu:0"):
        tensors = [tf.identity(tensor) for tensor in source["tensors"]]
    numbers = tf.data.Dataset.range(rows)
    after: list[dict[str, Any]] = []
    for name, arguments in rest:
        if name == "prefetch":
            after.append(arguments)
        elif name == "shuffle":
            numbers = _shuffled(numbers, **arguments)
        elif name != "with_options":
            numbers = getattr(numbers, name)(**arguments)
    structure = dataset.element_spec

    @tf.autograph.experimental.do_not_convert
    def gather(indices: tf.Tensor) -> Any:
        parts = [tf.gather(tensor, indices) for tensor in tensors]
        flat = zip(parts, tf.nest.flatten(structure), strict=True)
        return tf.nest.pack_sequence_as(structure, [tf.ensure_shape(part, spec.shape) for part, spec in flat])

    batches = numbers.map(gather)
    for arguments in after[-1:]:
        batches = batches.prefetch(**arguments)
    return batches.with_options(dataset.options())


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
