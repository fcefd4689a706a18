"""The program of evaluation: many batches in one call of a compiled function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway._spec import ModeKeys
from headway.estimators import _metric_values, _structure
from headway.estimators._program import Program, all_reduce, compiled


@dataclasses.dataclass
class Evaluated:
    """What a stretch of evaluation steps has found.

    Attributes:
      batches: number of batches.
      loss: the sum of their losses.
      exhausted: whether the input ended before the stretch did.
      pairs: values of (value, update) metrics after the last batch.
    """

    batches: int
    loss: float
    exhausted: bool
    pairs: dict[str, Any]


class EvaluateProgram(Program):
    """Evaluation: many batches in one call; a replica for which no batch is left gets an empty one."""

    mode = ModeKeys.EVAL

    def run(self, iterator: Any, tables: Any, limit: int) -> Evaluated:
        """Evaluates at most `limit` steps of one batch for each replica."""
        if self.eager:
            return self._run_eagerly(iterator, tables, limit)
        batches, loss, go_on, pairs = self._run(iterator, tables, tf.constant(limit, tf.int64))
        return Evaluated(int(batches), float(loss), not bool(go_on), pairs)

    def over_all_workers(self, found: Evaluated) -> Evaluated:
        """Returns the sums of what all workers have found."""
        if not self.multi_worker:
            return found
        strategy = self.model.strategy
        mine = tf.constant([found.loss, float(found.batches)], tf.float64) / self.local_replicas
        summed = tf.function(lambda: strategy.run(all_reduce, args=(mine,)), autograph=False)()
        loss, batches = strategy.experimental_local_results(summed)[0].numpy()
        return dataclasses.replace(found, loss=float(loss), batches=round(float(batches)))

    def pairs_of_all_replicas(self, iterator: Any, tables: Any) -> dict[str, Any]:
        """Returns the values of (value, update) metrics after the updates of all replicas.

        A value is read before the update of its own step, so one more step is made, with batches of no rows.
        """
        specs = _structure.relaxed(iterator.element_spec)
        elements = tuple(tf.nest.map_structure(_structure.empty, specs) for _ in range(self.local_replicas))
        step = self._step if self.eager else self._one_step
        return dict(step(elements, tables, tf.zeros([self.local_replicas], tf.bool))["pairs"])

    def _run_eagerly(self, iterator: Any, tables: Any, limit: int) -> Evaluated:
        total = Evaluated(0, 0.0, False, {})
        for _ in range(limit):
            batches = self._next(iterator)
            if not bool(batches[0].has_value()):
                return dataclasses.replace(total, exhausted=True)
            present, elements = self._padded(batches, iterator.element_spec)
            outputs = self._step(elements, tables, present)
            batches_now, loss_now = total.batches + int(outputs["batches"]), total.loss + float(outputs["loss"])
            total = Evaluated(batches_now, loss_now, False, outputs["pairs"])
        return total

    def _padded(self, batches: tuple[Any, ...], element_spec: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        present = tf.stack([batch.has_value() for batch in batches])
        if self.local_replicas == 1:
            return present, (batches[0].get_value(),)
        specs = _structure.relaxed(element_spec)

        def value(batch: Any) -> Any:
            flat = tf.cond(
                batch.has_value(),
                lambda: tf.nest.flatten(batch.get_value()),
                lambda: [_structure.empty(spec) for spec in tf.nest.flatten(specs)],
            )
            return tf.nest.pack_sequence_as(specs, flat)

        return present, tuple(value(batch) for batch in batches)

    def _step(self, elements: tuple[Any, ...], tables: Any, present: tf.Tensor) -> dict[str, Any]:
        def replica_step(element: Any, tables: Any) -> dict[str, Any]:
            outcome = self._call(tables, element)
            pairs = {name: op for name, op in (outcome.spec.eval_metric_ops or {}).items() if isinstance(op, tuple)}
            return {"loss": tf.cast(outcome.spec.loss, tf.float32), "pairs": self._values_of(pairs)}

        results = self._on_replicas(replica_step, elements, tables)
        losses = tf.stack([result["loss"] for result in results])
        # An empty batch may have any loss, a mean of nothing among them: it is left out, not multiplied by zero.
        return {
            "loss": tf.reduce_sum(tf.cast(tf.where(present, losses, 0.0), tf.float64)),
            "batches": tf.reduce_sum(tf.cast(present, tf.int64)),
            "pairs": results[0]["pairs"],
        }

    def _values_of(self, pairs: dict[str, Any]) -> dict[str, tf.Tensor]:
        if self.eager or self.model.strategy.num_replicas_in_sync > 1:
            # Only a step after the last one sees the updates of all replicas.
            return {name: tf.convert_to_tensor(value) for name, (value, _) in pairs.items()}
        variables = self.model.store.local_variables(self.mode)
        return _metric_values.after_updates(pairs, variables, tf.compat.v1.get_default_graph())

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        batch_spec = element_spec if self.local_replicas == 1 else _structure.relaxed(element_spec)
        step = self._step_function(self._step, batch_spec, tables_spec, tf.TensorSpec([self.local_replicas], tf.bool))
        self._one_step = step
        pair_specs = tf.nest.flatten(step.structured_outputs["pairs"])

        def stretch(iterator: Any, tables: Any, limit: tf.Tensor) -> Any:
            def body(i: tf.Tensor, count: tf.Tensor, loss: tf.Tensor, go_on: tf.Tensor, batches: Any, _: Any) -> Any:
                present, elements = self._padded(batches, element_spec)
                outputs = step(elements, tables, present)
                last = tf.equal(i + 1, limit)
                go_on, batches = tf.cond(
                    last, lambda: (go_on, self._no_batches(element_spec)), lambda: self._fetched(iterator)
                )
                pairs = tf.nest.flatten(outputs["pairs"])
                return i + 1, count + outputs["batches"], loss + outputs["loss"], go_on, batches, pairs

            first_go_on, first = self._fetched(iterator)
            _, count, loss, go_on, _, pairs = tf.while_loop(
                lambda i, count, loss, go_on, *_: go_on & (i < limit),
                body,
                (
                    tf.constant(0, tf.int64),
                    tf.constant(0, tf.int64),
                    tf.constant(0.0, tf.float64),
                    first_go_on,
                    first,
                    [_structure.zeros(spec) for spec in pair_specs],
                ),
            )
            return count, loss, go_on, tf.nest.pack_sequence_as(step.structured_outputs["pairs"], pairs)

        return compiled(stretch, (tf.data.IteratorSpec(element_spec), tables_spec, tf.TensorSpec([], tf.int64)))

    def _fetched(self, iterator: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        batches = self._next(iterator)
        return batches[0].has_value(), batches
