"""The program of prediction: one batch after another, or several in one call of a compiled function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway._spec import ModeKeys
from headway.estimators import _structure
from headway.estimators._model import Model
from headway.estimators._prediction_ahead import ManyBatches, many_batches
from headway.estimators._program import Fetch, Program


class PredictProgram(Program):
    """Prediction: a generator of the predictions of one batch after another."""

    mode = ModeKeys.PREDICT

    def __init__(self, model: Model, fetch: Fetch) -> None:
        super().__init__(model, fetch)
        self._many: dict[str, ManyBatches | None] = {}

    def run(self, iterator: Any, tables: Any) -> Iterator[Any]:
        """Yields the predictions of each batch, in the order of the input."""
        step = self._step if self.eager else self._run
        for element in iterator:
            yield step((element,), tables)

    def many(self, iterator: Any, tables: Any) -> ManyBatches | None:
        """Returns the loop over several batches for this input; None where there is none."""
        if self.eager:
            return None
        element_spec, tables_spec = iterator.element_spec, _structure.relaxed(_structure.spec_of(tables))
        key = repr((element_spec, tables_spec))
        if key not in self._many:
            step = self._run.python_function  # type: ignore[attr-defined]
            self._many[key] = many_batches(step, element_spec, tables_spec)
        return self._many[key]

    def _step(self, elements: tuple[Any, ...], tables: Any) -> Any:
        return self._call(tables, elements[0]).spec.predictions

    def _trace(self, element_spec: Any, tables_spec: Any) -> Callable[..., Any]:
        specs = ((element_spec,), tables_spec)
        # Traced when it is called, which `many` does not: that takes the step itself into its loop.
        run: Callable[..., Any] = tf.function(
            self._traced_step(self._step, specs), autograph=False, input_signature=specs
        )
        return run
