"""Predictions of several batches in one call, for input that may be read before its predictions are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

_Optional = tf.experimental.Optional
# A call's results stay in memory together.
_MOST_BATCHES, _MOST_BYTES = 64, 16 * 2**20


@dataclasses.dataclass(frozen=True)
class ManyBatches:
    """A compiled loop over batches.

    Attributes:
      run: function of `(iterator, tables, limit)` that returns how many rows each batch's outputs have, int64
        `[batches, outputs]`, and for each output those rows of all batches, one behind the other.
      structure: the structure of the predictions.
    """

    run: Callable[..., tuple[tf.Tensor, list[tf.Tensor]]]
    structure: Any

    def batches(
        self, iterator: Any, tables: Any, select: Callable[[Any], Any], hold: Callable[[], None]
    ) -> Iterator[Any]:
        """Yields `select(predictions)` of each batch, as NumPy arrays; the first without looking at a second one.

        `hold` is called before each computation.
        """
        limit = 1
        while True:
            hold()
            rows, values = self.run(iterator, tables, tf.constant(limit, tf.int64))
            chosen = tf.nest.flatten(select(tf.nest.pack_sequence_as(self.structure, list(range(len(values))))))
            template = select(tf.nest.pack_sequence_as(self.structure, values))
            arrays = {number: values[number].numpy() for number in chosen}
            ends = rows.numpy().cumsum(axis=0)
            for batch in range(len(ends)):
                begin = ends[batch - 1] if batch else 0 * ends[0]
                parts = [arrays[number][begin[number] : ends[batch][number]] for number in chosen]
                yield tf.nest.pack_sequence_as(template, parts)
            if len(ends) < limit:
                return
            size = max(1, sum(array.nbytes for array in arrays.values()) // limit)
            limit = max(1, min(8 * limit, _MOST_BATCHES, _MOST_BYTES // size))


def many_batches(step: Any, element_spec: Any, tables_spec: Any) -> ManyBatches | None:
    """Returns the loop over `step((element,), tables)`; None where its results cannot be put one behind the other."""
    structure = step.structured_outputs
    specs = tf.nest.flatten(structure)
    if not all(isinstance(spec, tf.TensorSpec | tf.Tensor) and _is_by_row(spec.shape) for spec in specs):
        return None

    def run(iterator: Any, tables: Any, limit: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        def body(i: tf.Tensor, _: tf.Tensor, batch: Any, rows: Any, values: Any) -> Any:
            outputs = tf.nest.flatten(step((batch.get_value(),), tables))
            rows = rows.write(rows.size(), tf.stack([tf.shape(output, tf.int64)[0] for output in outputs]))
            values = [array.write(array.size(), output) for array, output in zip(values, outputs, strict=True)]
            # None is fetched beyond the last: it would be lost.
            batch = tf.cond(i + 1 < limit, iterator.get_next_as_optional, lambda: _Optional.empty(element_spec))
            return i + 1, batch.has_value(), batch, rows, values

        first = iterator.get_next_as_optional()
        rows = tf.TensorArray(tf.int64, 0, dynamic_size=True, element_shape=[len(specs)])
        values = [
            tf.TensorArray(spec.dtype, 0, dynamic_size=True, element_shape=[None, *spec.shape[1:]], infer_shape=False)
            for spec in specs
        ]
        _, _, _, rows, values = tf.while_loop(
            lambda i, there, *_: there & (i < limit),
            body,
            (tf.constant(0, tf.int64), first.has_value(), first, rows, values),
        )
        return rows.stack(), [array.concat() for array in values]

    signature = (tf.data.IteratorSpec(element_spec), tables_spec, tf.TensorSpec([], tf.int64))
    return ManyBatches(tf.function(run, autograph=False, input_signature=signature), structure)


def _is_by_row(shape: tf.TensorShape) -> bool:
    return bool(shape.rank) and shape[1:].is_fully_defined()
