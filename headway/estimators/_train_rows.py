"""Training on rows in memory by one processor: the numbers of all rows of a stretch come with the call.

A step then holds no operation of an iterator and no branch: what one costs is as much as a small layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from headway.estimators import _structure
from headway.estimators._program import compiled
from headway.estimators._run_config import RunConfig
from headway.estimators._train_program import REQUEST, Stretch, TrainProgram, open_shape
from headway.input_pipelines._row_numbers import RowNumbers


def takes_row_numbers(config: RunConfig, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a training of this configuration can take the numbers of rows in place of an iterator."""
    return _structure.is_on_one_cpu(strategy) and not config.run_eagerly


class TrainRowsProgram(TrainProgram):
    """Training with `RowNumbers` in the place of the iterator."""

    def run(self, iterator: RowNumbers, tables: Any, limit: int, *, record: bool) -> Stretch:
        """See `TrainProgram.run`; makes fewer steps also where more rows would not fit into one call."""
        sizes, rows = iterator.of_next(limit)
        count = len(sizes)
        if not count:
            return Stretch(0, int(self.model.store.global_step.numpy()), True, -1, {})
        record_at = count - 1 if record and count == limit else -1
        # An empty batch follows, since the last step takes the next rows as well.
        request = np.concatenate([[count, record_at], sizes, [0], rows])
        steps, step, outputs = self._run((), tables, tf.constant(request, tf.int64))
        done = int(steps)
        iterator.advance(done)
        nan_at = done - 1 if np.isnan(outputs["loss"].numpy()) else -1
        return Stretch(done, int(step), done < limit and iterator.at_end, nan_at, self._with_variables(outputs))

    def _argument(self, iterator: Any) -> Any:
        del iterator
        return ()

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        batch_spec = self._batch_spec(element_spec, tables_spec)
        step = self._step_function(self._step, batch_spec, tf.TensorSpec([], tf.bool))
        shapes = [spec.shape for spec in tf.nest.flatten(batch_spec, expand_composites=True)]
        initial_specs = tf.nest.flatten(step.structured_outputs)
        loss_at = tf.nest.pack_sequence_as(step.structured_outputs, list(range(len(initial_specs))))["loss"]

        def stretch(_: Any, tables: Any, request: tf.Tensor) -> Any:
            head = tf.cast(request[:2], tf.int32)
            count, record_at = head[0], head[1]
            numbers = tf.TensorArray(tf.int64, size=0, dynamic_size=True, infer_shape=False, element_shape=[None])
            numbers = numbers.split(request[3 + count :], request[2 : 3 + count])

            def taken(i: tf.Tensor) -> list[tf.Tensor]:
                rows = numbers.read(i)
                rows.set_shape(element_spec.shape)
                parts: list[tf.Tensor] = tf.nest.flatten(self._fetch(tables, rows), expand_composites=True)
                return parts

            def body(i: tf.Tensor, batch: list[tf.Tensor], _: Any) -> Any:
                packed = tf.nest.pack_sequence_as(batch_spec, batch, expand_composites=True)
                outputs = step((packed,), tf.equal(i, record_at))
                # The next rows are taken while this step still runs.
                return i + 1, taken(i + 1), tf.nest.flatten(outputs)

            initial = [_structure.zeros(spec) for spec in initial_specs]
            i, _, outputs = tf.while_loop(
                lambda i, _, outputs: (i < count) & ~tf.math.is_nan(outputs[loss_at]),
                body,
                (tf.constant(0), taken(tf.constant(0)), initial),
                shape_invariants=(tf.TensorShape([]), shapes, [open_shape(t) for t in initial]),
            )
            global_step = self.model.store.global_step.read_value()
            return i, global_step, tf.nest.pack_sequence_as(step.structured_outputs, outputs)

        return compiled(stretch, ((), tables_spec, REQUEST))
