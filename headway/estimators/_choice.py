"""What tells that a program needs a session, or that it cannot do with one; before anything is trained."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from headway._spec import EstimatorSpec
from headway.estimators import _scaffold
from headway.estimators._hooks import SessionHookAdapter, adapted
from headway.estimators._needs_graph import NeedsGraph

_BASE = tf.compat.v1.train.SessionRunHook
# What the methods of a hook mention when they use a graph or a session.
_OF_SESSIONS = {
    "SessionRunArgs",
    "session",
    "get_default_graph",
    "get_default_session",
    "get_global_step",
    "get_or_create_global_step",
    "get_collection",
    "get_tensor_by_name",
    "get_operation_by_name",
    "merge_all",
    "placeholder",
    "trainable_variables",
    "global_variables",
    "local_variables",
    "model_variables",
    "moving_average_variables",
    "report_uninitialized_variables",
    "get_variable",
    "original_args",
    "Saver",
}


def hook_that_needs_session(hooks: Sequence[Any]) -> str | None:
    """Returns the class name of the first hook that uses a session or a graph; None if there is none.

    Args:
      hooks: hooks of both kinds, wrapped by `adapted` or not.
    """
    for hook in hooks:
        inner = hook.hook if isinstance(hook, SessionHookAdapter) else hook
        if _needs_session(inner):
            return type(inner).__name__
    return None


def check_hooks(hooks: Sequence[Any], why: str) -> None:
    """Raises an error if one of the hooks would do nothing, or fail, without a session.

    Raises:
      ValueError: if there is such a hook; `why` says why there is no session.
    """
    hook = _first_for_sessions(hooks)
    if hook is not None:
        made = _is_made_with_session(hook) and "SessionRunArgs" not in _names(hook)
        wish = "has an `after_create_session`" if made else "asks for tensors of a session"
        raise ValueError(
            f"The hook {hook} {wish}, and there is no session: {why}. Use a headway hook: its `run.values` has the "
            "loss, and `step_tensors` names tensors of the model_fn (see LoggingTensorHook and FinalOpsHook). For a "
            "model_fn of TensorFlow 1, RunConfig(runtime='graph') makes a session."
        )


def must_have_session(hooks: Sequence[Any]) -> bool:
    """Tells whether one of the hooks would do nothing, or fail, without a session."""
    return _first_for_sessions(hooks) is not None


def _first_for_sessions(hooks: Sequence[Any]) -> Any:
    inner = (hook.hook if isinstance(hook, SessionHookAdapter) else hook for hook in hooks)
    return next((hook for hook in inner if _is_for_sessions(hook)), None)


def _is_for_sessions(hook: Any) -> bool:
    if all(callable(getattr(hook, verb, None)) for verb in ("due", "act")):
        return False
    if type(hook).__module__.startswith("tensorflow."):
        return True
    return "SessionRunArgs" in _names(hook) or _is_made_with_session(hook)


def _is_made_with_session(hook: Any) -> bool:
    return getattr(type(hook), "after_create_session", None) is not _BASE.after_create_session


def _needs_session(hook: Any) -> bool:
    if all(callable(getattr(hook, verb, None)) for verb in ("due", "act")):
        return False
    if _is_for_sessions(hook):
        return True
    ends = {name for code in _codes(getattr(type(hook), "end", None)) for name in code.co_names}
    return bool(_names(hook) & _OF_SESSIONS) or "run" in ends


def _names(hook: Any) -> set[str]:
    """Returns what the methods of a hook mention: its own, helpers among them, and those it has from others."""
    classes = [kind for kind in type(hook).__mro__ if kind not in (_BASE, object)]
    members = [member for kind in classes for member in vars(kind).values()]
    return {name for member in members for code in _codes(member) for name in code.co_names}


def _codes(function: Any) -> Iterator[types.CodeType]:
    function = getattr(function, "fget", None) or getattr(function, "__func__", function)
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    todo = [] if code is None else [code]
    while todo:
        code = todo.pop()
        yield code
        todo.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))


def why_spec_needs_session(spec: EstimatorSpec | None) -> str | None:
    """Returns what in a spec only a session can serve, as the end of a sentence; None if there is nothing."""
    if spec is None:
        return None
    try:
        _scaffold.restoring(spec)
    except NeedsGraph as need:
        return str(need)
    name = hook_that_needs_session(_hooks_of(spec))
    return None if name is None else f"model_fn returned the hook {name}, which works in a session"


def check_spec(spec: EstimatorSpec | None) -> None:
    """Raises an error if a spec has a hook that would do nothing, or fail, without a session."""
    if spec is not None:
        check_hooks(_hooks_of(spec), "the model runs in compiled functions")


def _hooks_of(spec: EstimatorSpec) -> list[Any]:
    hooks = {"train": (*spec.training_hooks, *spec.training_chief_hooks), "eval": spec.evaluation_hooks}
    return [adapted(hook) for hook in hooks.get(spec.mode, spec.prediction_hooks)]


def unfed_placeholders(graph: Any) -> list[str]:
    """Returns the names of the placeholders in a function's graph that are none of its inputs."""
    fed = {id(tensor.op) for tensor in getattr(graph, "inputs", ())}
    operations = () if graph is None else graph.get_operations()
    return [op.name for op in operations if op.type == "Placeholder" and id(op) not in fed]


def mutable_tables(graph: Any) -> list[str]:
    """Returns the names of the tables in a function's graph that a program fills while it runs."""
    operations = () if graph is None else graph.get_operations()
    return [op.name for op in operations if op.type.startswith(("MutableHashTable", "MutableDenseHashTable"))]


def is_headways(model_fn: Any, transform: Any) -> bool:
    """Tells whether a model_fn is headway's own, as that of each ready-made estimator: it lives in functions."""
    while isinstance(model_fn, functools.partial):
        model_fn = model_fn.func
    module = str(getattr(model_fn, "__module__", ""))
    wraps = module == "headway.estimators._add_metrics"
    return transform is not None or (module.startswith("headway.") and not wraps)


def raised_by_headway(error: BaseException) -> bool:
    """Tells whether the innermost frame of an error is headway's own: then it says what to do already."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    home = Path(__file__).resolve().parents[1]
    return home in Path(traceback.tb_frame.f_code.co_filename).parents
