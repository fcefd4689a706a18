"""Training on rows in memory by one processor: the numbers of all rows of a stretch come with the call.

A step then holds no operation of an iterator and no branch: what one costs is as much as a small layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from headway.estimators import _structure
from headway.estimators._program import compiled
from headway.estimators._run_config import RunConfig
from headway.estimators._train_program import REQUEST, Mark, Marked, Stretch, TrainProgram, open_shape
from headway.input_pipelines._row_numbers import RowNumbers


def takes_row_numbers(config: RunConfig, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a training of this configuration can take the numbers of rows in place of an iterator."""
    return _structure.is_on_one_cpu(strategy) and not config.run_eagerly


class TrainRowsProgram(TrainProgram):
    """Training with `RowNumbers` in the place of the iterator.

    A call makes segments of steps: each ends with a step whose outputs are kept.
    """

    keeps_marks = True

    def run(
        self, iterator: RowNumbers, tables: Any, limit: int, *, record: bool, marks: Sequence[Mark] = ()
    ) -> Stretch:
        """See `TrainProgram.run`; makes fewer steps also where more rows would not fit into one call."""
        sizes, rows = iterator.of_next(limit)
        count = len(sizes)
        if not count:
            return Stretch(0, int(self.model.store.global_step.numpy()), True, -1, {})
        # What is due at the end of the input is no more than a mark before the limit.
        record_last = record or any(mark.record for mark in marks if mark.number == count)
        segments = [*(mark for mark in marks if mark.number < count), Mark(count, record_last)]
        ends = [mark.number for mark in segments]
        records = [mark.record for mark in segments]
        # The last batch comes twice, since the last step takes rows for one more.
        request = np.concatenate(
            [[len(segments), count], ends, records, sizes, sizes[-1:], rows, rows[len(rows) - sizes[-1] :]]
        )
        with self._rescued():
            steps, step, kept, outputs = self._run((), tables, tf.constant(request, tf.int64))
        done = int(steps)
        iterator.advance(done)
        nan_at = done - 1 if np.isnan(outputs["loss"].numpy()) else -1
        global_steps, kept = tf.nest.map_structure(lambda values: values.numpy(), kept)
        marked = [
            Marked(
                end, int(global_steps[i]), self._with_variables(tf.nest.map_structure(lambda each, i=i: each[i], kept))
            )
            for i, end in enumerate(ends[:-1])
            if end < done
        ]
        exhausted = done < limit and iterator.at_end
        return Stretch(done, int(step), exhausted, nan_at, self._with_variables(outputs), marked)

    def _batch_size(self, iterator: Any) -> int | None:
        return int(iterator.batch_size)

    def _argument(self, iterator: Any) -> Any:
        del iterator
        return ()

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        batch_spec = self._batch_spec(element_spec, tables_spec)
        step = self._traced_on_piles(batch_spec)

        def stretch(_: Any, tables: Any, request: tf.Tensor) -> Any:
            segments, count = request[0], request[1]
            ends = tf.cast(request[2 : 2 + segments], tf.int32)
            records = request[2 + segments : 2 + 2 * segments] > 0
            begin = 2 + 2 * segments
            numbers = tf.TensorArray(tf.int64, size=0, dynamic_size=True, infer_shape=False, element_shape=[None])
            numbers = numbers.split(request[begin + count + 1 :], request[begin : begin + count + 1])

            def taken(i: tf.Tensor) -> list[tf.Tensor]:
                rows = numbers.read(i)
                rows.set_shape(element_spec.shape)
                parts: list[tf.Tensor] = tf.nest.flatten(self._fetch(tables, rows), expand_composites=True)
                return parts

            i, kept, outputs = self._segments(step, batch_spec, taken, ends, records)
            return i, self.model.store.global_step.read_value(), kept, outputs

        return compiled(self._on_piles(stretch), ((), tables_spec, REQUEST))

    def _segments(
        self,
        step: Any,
        batch_spec: Any,
        taken: Callable[[tf.Tensor], list[tf.Tensor]],
        ends: tf.Tensor,
        records: tf.Tensor,
    ) -> tuple[tf.Tensor, Any, Any]:
        """Makes segments of steps until a loss is NaN.

        Args:
          step: the traced step, of a batch and whether to record.
          batch_spec: the specs of a batch.
          taken: returns the parts of the batch of a number.
          ends: for each segment, the number of the step behind it.
          records: for each segment, whether its last step records summaries.

        Returns:
          The number of steps; for each segment, the global step and what is kept of its last step; and all outputs of
          the last step.
        """
        structure = step.structured_outputs
        initial = [_structure.zeros(spec) for spec in tf.nest.flatten(structure)]
        shapes = [spec.shape for spec in tf.nest.flatten(batch_spec, expand_composites=True)]
        open_shapes = [open_shape(tensor) for tensor in initial]

        def sound(outputs: list[tf.Tensor]) -> tf.Tensor:
            return ~tf.math.is_nan(tf.nest.pack_sequence_as(structure, outputs)["loss"])

        def segment(k: tf.Tensor, i: tf.Tensor, batch: Any, outputs: Any, arrays: Any) -> Any:
            end = ends[k]
            record_at = tf.where(records[k], end - 1, -1)

            def body(i: tf.Tensor, batch: list[tf.Tensor], _: Any) -> Any:
                packed = tf.nest.pack_sequence_as(batch_spec, batch, expand_composites=True)
                outputs = step((packed,), tf.equal(i, record_at))
                # The next rows are taken while this step still runs.
                return i + 1, taken(i + 1), tf.nest.flatten(outputs)

            i, batch, outputs = tf.while_loop(
                lambda i, _, outputs: (i < end) & sound(outputs),
                body,
                (i, batch, outputs),
                shape_invariants=(tf.TensorShape([]), shapes, open_shapes),
            )
            kept = (self.model.store.global_step.read_value(), _kept(tf.nest.pack_sequence_as(structure, outputs)))
            arrays = [array.write(k, value) for array, value in zip(arrays, tf.nest.flatten(kept), strict=True)]
            return k + 1, i, batch, outputs, arrays

        kept = (tf.TensorSpec([], tf.int64), _kept(structure))
        arrays = [tf.TensorArray(spec.dtype, size=tf.size(ends), element_shape=()) for spec in tf.nest.flatten(kept)]
        begin = tf.constant(0)
        _, i, _, outputs, arrays = tf.while_loop(
            lambda k, i, batch, outputs, arrays: (k < tf.size(ends)) & sound(outputs),
            segment,
            (begin, begin, taken(begin), initial, arrays),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), shapes, open_shapes, [None for _ in arrays]),
        )
        kept = tf.nest.pack_sequence_as(kept, [array.stack() for array in arrays])
        return i, kept, tf.nest.pack_sequence_as(structure, outputs)


def _kept(outputs: Any) -> dict[str, Any]:
    """Returns what is kept of a step, or its specs: all that are single values, but what hooks asked for by name."""
    values = {name: value for name, value in outputs["values"].items() if value.shape == ()}
    # A step that XLA compiles has no summary.
    return {"values": values, **{name: outputs[name] for name in ("loss", "summary") if name in outputs}}
