"""`TPUEstimatorSpec`: what the model_fn of a TPUEstimator returns."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from headway._spec import EstimatorSpec, ModeKeys, is_hook
from headway.estimators._model import argument_names


class _Fields(NamedTuple):
    mode: str
    predictions: Any
    loss: Any
    train_op: Any
    eval_metrics: Any
    export_outputs: Any
    scaffold_fn: Any
    host_call: Any
    training_hooks: tuple[Any, ...]
    evaluation_hooks: tuple[Any, ...]
    prediction_hooks: tuple[Any, ...]


class TPUEstimatorSpec(_Fields):
    """What the model_fn of a `TPUEstimator` returns: an `EstimatorSpec` whose metrics are a function and its arguments.

    Args:
      mode: a `ModeKeys` value.
      predictions: see `headway.EstimatorSpec`.
      loss: see `headway.EstimatorSpec`.
      train_op: see `headway.EstimatorSpec`.
      eval_metrics: a pair (function, tensors): the function gets the tensors, a list in its order or a dict by its
        argument names, and returns metrics by name.
      export_outputs: see `headway.EstimatorSpec`.
      scaffold_fn: a function that returns a `tf.compat.v1.train.Scaffold`, or None.
      host_call: a pair (function, tensors); what the function does is done in each training step.
      training_hooks: see `headway.EstimatorSpec`.
      evaluation_hooks: see `headway.EstimatorSpec`.
      prediction_hooks: see `headway.EstimatorSpec`.

    Raises:
      ValueError: if `eval_metrics` or `host_call` is no such pair.
      TypeError: if a function or a hook is none.
      RuntimeError: if a function takes another number of tensors.

    Example:
      >>> import tensorflow as tf
      >>> from headway.tf_estimator import v1
      >>> spec = v1.tpu.TPUEstimatorSpec("eval", loss=tf.constant(0.5))
      >>> spec.as_estimator_spec().mode
      'eval'
    """

    __slots__ = ()

    def __new__(
        cls,
        mode: str,
        predictions: Any = None,
        loss: Any = None,
        train_op: Any = None,
        eval_metrics: Any = None,
        export_outputs: Any = None,
        scaffold_fn: Any = None,
        host_call: Any = None,
        training_hooks: Iterable[Any] | None = None,
        evaluation_hooks: Iterable[Any] | None = None,
        prediction_hooks: Iterable[Any] | None = None,
    ) -> TPUEstimatorSpec:
        """Checks the fields and makes the tuple."""
        for name, call in (("eval_metrics", eval_metrics), ("host_call", host_call)):
            if call is not None:
                _check_call(name, call)
        hooks = [tuple(given or ()) for given in (training_hooks, evaluation_hooks, prediction_hooks)]
        for hook in sum(hooks, ()):
            if not is_hook(hook):
                raise TypeError(f"All hooks must be SessionRunHook instances, given: {hook}")
        return super().__new__(
            cls,
            mode,
            predictions,
            loss,
            train_op,
            eval_metrics,
            export_outputs,
            scaffold_fn,
            host_call,
            *hooks,
        )

    def as_estimator_spec(self) -> EstimatorSpec:
        """Returns the same as an `EstimatorSpec`: calls the functions on their tensors, here and now."""
        metrics = None if self.eval_metrics is None else _result(self.eval_metrics)
        train_op = self.train_op
        if self.host_call is not None:
            done = [value for value in tf.nest.flatten(_result(self.host_call)) if value is not None]
            if self.mode == ModeKeys.TRAIN and not tf.executing_eagerly():
                train_op = tf.group(train_op, *done)
        return EstimatorSpec(
            mode=self.mode,
            predictions=self.predictions,
            loss=self.loss,
            train_op=train_op,
            eval_metric_ops=metrics,
            export_outputs=self.export_outputs,
            scaffold=self.scaffold_fn() if self.scaffold_fn else None,
            training_hooks=self.training_hooks,
            evaluation_hooks=self.evaluation_hooks,
            prediction_hooks=self.prediction_hooks,
        )


def _check_call(name: str, call: Any) -> None:
    if not isinstance(call, (tuple, list)):
        raise ValueError(f"{name} should be tuple or list: (function, tensors). Received: {call!r}.")
    if len(call) != 2:
        raise ValueError(f"{name} should have two elements: (function, tensors). Received: {call!r}.")
    function, tensors = call
    if not callable(function):
        raise TypeError(f"{name}[0] should be callable. Received: {function!r}.")
    if not isinstance(tensors, (tuple, list, Mapping)):
        raise ValueError(f"{name}[1] should be tuple or list, or dict. Received: {tensors!r}.")
    if isinstance(tensors, Mapping):
        return
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(function).parameters.values())
    names = argument_names(function)
    if not takes_any and len(tensors) != len(names):
        raise RuntimeError(
            f"In TPUEstimatorSpec.{name}, length of tensors {len(tensors)} does not match method args of the function, "
            f"which takes {len(names)}: {list(names)}."
        )


def _result(call: Any) -> Any:
    function, tensors = call
    return function(**tensors) if isinstance(tensors, Mapping) else function(*tensors)
