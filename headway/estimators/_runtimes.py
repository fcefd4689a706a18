"""Which runtime a program needs, and the way to it: the one place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headway.estimators._checkpoint_tools import show_checkpoint
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._function_runtime import FunctionRuntime
from headway.estimators._runtime import ExportRequest, Runtime, Setup
from headway.estimators._variable_table import VariableTable
from headway.estimators.graph import GraphRuntime


class Runtimes:
    """The two runtimes of an estimator, each made when it is needed first.

    Args:
      setup: what the estimator was made of.

    Attributes:
      setup: as given.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._function: FunctionRuntime | None = None
        self._graph: GraphRuntime | None = None

    @property
    def function(self) -> FunctionRuntime:
        """The function runtime."""
        if self._function is None:
            self._function = FunctionRuntime(self.setup)
        return self._function

    @property
    def graph(self) -> GraphRuntime:
        """The graph runtime."""
        if self._graph is None:
            self._graph = GraphRuntime(self.setup)
        return self._graph

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        listeners: Sequence[Any],
        *,
        steps: int | None,
        max_steps: int | None,
        latest: Checkpoint | None,
    ) -> None:
        """See `Runtime.train`."""
        self._chosen().train(input_fn, hooks, listeners, steps=steps, max_steps=max_steps, latest=latest)

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        *,
        steps: int | None,
        checkpoint_path: str | None,
        name: str | None,
    ) -> dict[str, Any]:
        """See `Runtime.evaluate`."""
        return self._chosen().evaluate(input_fn, hooks, steps=steps, checkpoint_path=checkpoint_path, name=name)

    def predict(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any],
        *,
        keys: Sequence[str] | None,
        checkpoint_path: str | None,
        single: bool,
    ) -> Iterator[Any]:
        """See `Runtime.predict`."""
        yield from self._chosen().predict(input_fn, hooks, keys=keys, checkpoint_path=checkpoint_path, single=single)

    def export(self, request: ExportRequest) -> bytes:
        """See `Runtime.export`."""
        return self._chosen().export(request)

    def receiver_fn_like(self, example: Any) -> Callable[[], Any]:
        """Returns an input receiver function for features such as those of `example`; None: those seen last."""
        # Columns that read one feature in two ways have no common parse spec; what was seen needs none.
        seen = next((runtime.seen for runtime in (self._graph, self._function) if runtime is not None), None)
        return self.setup.receiver_fn_like(seen if example is None else example)

    def summary(self, input_fn: Callable[..., Any] | None) -> VariableTable:
        """Returns a table of the variables; see `Estimator.summary`."""
        if isinstance(self._chosen(), FunctionRuntime):
            return self.function.summary(input_fn)
        if self.setup.directory.latest() is None:
            raise ValueError("The model has no variables before it is trained: in the graph runtime, train it first.")
        return show_checkpoint(self.setup.model_dir)

    def _chosen(self) -> Runtime:
        return self.graph if self.setup.config.runtime == "graph" else self.function
