"""Which runtime a program needs, and the way to it: the one place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import tensorflow as tf

from headway import _tensorflow
from headway._context import NeedsFunctions
from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import _choice
from headway.estimators._checkpoint_tools import show_checkpoint
from headway.estimators._checkpoints import Checkpoint
from headway.estimators._function_runtime import FunctionRuntime
from headway.estimators._needs_graph import NeedsGraph
from headway.estimators._run_config import function_only_setting
from headway.estimators._runtime import ExportRequest, Runtime, Setup
from headway.estimators._variable_table import VariableTable
from headway.estimators.graph import GraphRuntime

_T = TypeVar("_T")
_END = object()


class Runtimes:
    """The two runtimes of an estimator, each made when it is needed first.

    Args:
      setup: what the estimator was made of.

    Attributes:
      setup: as given.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        # "function" or "graph", once it is settled.
        self._settled = None if setup.config.runtime == "auto" else setup.config.runtime
        if self._settled is None and self._must_be_function:
            self._settled = "function"
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
        self._run(
            lambda runtime: runtime.train(input_fn, hooks, listeners, steps=steps, max_steps=max_steps, latest=latest),
            input_fn,
            ModeKeys.TRAIN,
            hooks,
        )

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
        return self._run(
            lambda runtime: runtime.evaluate(input_fn, hooks, steps=steps, checkpoint_path=checkpoint_path, name=name),
            input_fn,
            ModeKeys.EVAL,
            hooks,
        )

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

        def begun(runtime: Runtime) -> tuple[Runtime, Any, Generator[Any]]:
            rows = runtime.predict(input_fn, hooks, keys=keys, checkpoint_path=checkpoint_path, single=single)
            return runtime, next(rows, _END), rows

        runtime, row, rows = self._run(begun, input_fn, ModeKeys.PREDICT, hooks)
        if row is not _END and (runtime is self._graph or tf.executing_eagerly()):
            yield row
            yield from rows
            return
        try:
            while row is not _END:
                yield row
                row = self._within(runtime, lambda: next(rows, _END))
        finally:
            self._within(runtime, rows.close)

    def export(self, request: ExportRequest) -> bytes:
        """See `Runtime.export`."""
        # Nothing is known of a program that only exports, but whether eager execution is disabled.
        return self._run(lambda runtime: runtime.export(request), None, ModeKeys.PREDICT, ())

    def receiver_fn_like(self, example: Any) -> Callable[[], Any]:
        """Returns an input receiver function for features such as those of `example`; None: those seen last."""
        # Columns that read one feature in two ways have no common parse spec; what was seen needs none.
        return self.setup.receiver_fn_like(self.seen if example is None else example)

    @property
    def seen(self) -> Any:
        """The specs of the features that came last, or None."""
        seen = [runtime.seen for runtime in (self._graph, self._function) if runtime is not None]
        return next((specs for specs in seen if specs is not None), None)

    @seen.setter
    def seen(self, specs: Any) -> None:
        for runtime in (self._graph, self._function):
            if runtime is not None:
                runtime.seen = specs

    def renew(self) -> None:
        """Has the model made anew at the next call: its variables have other shapes now."""
        self._function = self._graph = None

    def summary(self, input_fn: Callable[..., Any] | None) -> VariableTable:
        """Returns a table of the variables; see `Estimator.summary`."""
        if self._settled != "graph":
            return self._within(self.function, lambda: self.function.summary(input_fn))
        if self.setup.directory.latest() is None:
            raise ValueError("The model has no variables before it is trained: in the graph runtime, train it first.")
        return show_checkpoint(self.setup.model_dir)

    def _run(
        self, call: Callable[[Runtime], _T], input_fn: Callable[..., Any] | None, mode: str, hooks: Sequence[Any]
    ) -> _T:
        """Returns `call` of the runtime that the program needs, and remembers which it was."""
        if self._settled == "graph":
            return self._in_graph(call, "", refuses_keras=False)
        if self._must_be_function:
            _choice.check_hooks(hooks, "the model runs in compiled functions")
            return self._within(self.function, lambda: call(self.function))
        hook = _choice.hook_that_needs_session(hooks)
        if hook is None and tf.executing_eagerly():
            return self._on_trial(call, input_fn, mode)
        if hook is None and self._settled == "function":
            return self._within(self.function, lambda: call(self.function))
        why = "eager execution is disabled" if hook is None else f"the hook {hook} works in a session"
        try:
            return self._in_graph(
                call, why, refuses_keras=not _choice.must_have_session(hooks), once=self._is_trained_in_functions(mode)
            )
        except NeedsFunctions as need:
            _choice.check_hooks(hooks, f"the model runs in compiled functions, because {need}")
            logger.info("The model runs in the function runtime: %s.", need)
            self._settled = "function"
            return self._within(self.function, lambda: call(self.function))

    def _is_trained_in_functions(self, mode: str) -> bool:
        """Tells whether only this call is for a graph: what an evaluation needs says nothing of training."""
        return self._settled == "function" and mode != ModeKeys.TRAIN

    @property
    def _must_be_function(self) -> bool:
        setup = self.setup
        fixed = setup.config.runtime == "function" or function_only_setting(setup.config) is not None
        return fixed or _choice.is_headways(setup.model_fn, setup.transform)

    def _in_graph(self, call: Callable[[Runtime], _T], why: str, *, refuses_keras: bool, once: bool = False) -> _T:
        """Calls the graph runtime, and stays with it unless it is for `once`."""
        before = self._settled
        if once:
            logger.info("This call uses the graph runtime: %s.", why)
        elif before != "graph":
            self._settled = "graph"
            logger.info("The model runs in the graph runtime: %s.", why)
        try:
            with self.graph.refusing(keras=refuses_keras):
                return call(self.graph)
        except Exception as error:
            self._settled = before
            if before != "graph" or not isinstance(error, NeedsFunctions):
                raise
            raise ValueError(
                f"The graph runtime cannot run this model: {error}. Such models work in compiled functions: leave "
                "RunConfig(runtime='graph') out, and hooks and input that need a session."
            ) from None

    def _on_trial(self, call: Callable[[Runtime], _T], input_fn: Callable[..., Any] | None, mode: str) -> _T:
        """Calls the function runtime, or the other one if it cannot run the program and nothing was trained yet."""
        self.function.on_trial = True
        try:
            result = call(self.function)
        except NeedsGraph as need:
            cause = need.__cause__
            if cause is not None and input_fn is not None:
                error = self.graph.why_not_built(input_fn, mode)
                if error is not None:
                    logger.debug("The graph runtime cannot make the model either: %s", error)
                    raise cause from None
            self.function.on_trial = False
            try:
                return self._in_graph(call, str(need), refuses_keras=True, once=self._is_trained_in_functions(mode))
            except NeedsFunctions:
                result = self._within(self.function, lambda: call(self.function))
        finally:
            self.function.on_trial = False
        if mode == ModeKeys.TRAIN:
            self._settled = "function"
        return result

    def _within(self, runtime: Runtime, action: Callable[[], _T]) -> _T:
        """Returns `action()`, with eager execution for the function runtime."""
        try:
            if runtime is self._graph or tf.executing_eagerly():
                return action()
            with _tensorflow.v2_behavior():
                return action()
        except NeedsGraph as need:
            raise ValueError(
                f"{need}, which only a session can serve, and this model runs in compiled functions. A model_fn of "
                "your own may run in a session: RunConfig(runtime='graph')."
            ) from need
