"""One model: a `model_fn`, its variables, and the way to call it."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from headway import _context, _summary, _tensorflow
from headway._context import StepContext
from headway._piles import Piles
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _structure, _unfetched, _v1_calls
from headway.estimators._captured_tables import OwnTables
from headway.estimators._run_config import RunConfig
from headway.estimators._unfetched import Updates
from headway.estimators._variables import Call, VariableStore

_ALLOWED_ARGUMENTS = ("features", "labels", "mode", "params", "config", "self")
_UNUSED_SETTING = (
    "RunConfig({name}={value!r}) has no effect, because model_fn applies its gradients itself. Let headway do it "
    "(`Head.create_estimator_spec(optimizer=...)` or `train_op=headway.minimize(optimizer, loss, variables)`), or "
    "remove the setting."
)


@dataclasses.dataclass
class ModelCall:
    """The outcome of one call of a `model_fn`.

    Attributes:
      spec: what it returned.
      call: the variables that it asked for.
      context: its surroundings, with what heads and summaries left there.
      summary: serialised `Summary` of the step, a string scalar.
      unfetched: updates that were traced and must not run.
      changed: names of the variables of the model that evaluation or prediction may change.
    """

    spec: EstimatorSpec
    call: Call
    context: StepContext
    summary: tf.Tensor
    unfetched: Updates = dataclasses.field(default_factory=Updates)
    changed: set[str] = dataclasses.field(default_factory=set)


def argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the argument names of `function`: a function, method, partial or callable object."""
    if isinstance(function, functools.partial):
        taken = set(function.keywords)
        names = argument_names(function.func)[len(function.args) :]
        return tuple(name for name in names if name not in taken)
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


def required_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the names of the arguments of `function` that have no default."""
    parameters = inspect.signature(function).parameters.values()
    named = (p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return tuple(p.name for p in named if p.default is p.empty)


def check_model_fn(model_fn: Any, params: Any) -> None:
    """Raises an error if `model_fn` cannot be called as an estimator calls it."""
    if model_fn is None:
        raise ValueError("model_fn must be provided to Estimator.")
    if not callable(model_fn):
        raise TypeError(f"model_fn must be a function. Received: {model_fn!r} of type {type(model_fn).__name__}.")
    names = argument_names(model_fn)
    if "features" not in names:
        raise ValueError(f"model_fn ({model_fn}) must include features argument. Its arguments are: {list(names)}.")
    if params is not None and "params" not in names:
        raise ValueError(
            f"model_fn ({model_fn}) does not include params argument, but params ({params}) is passed to Estimator."
        )
    unknown = [name for name in names if name not in _ALLOWED_ARGUMENTS]
    if unknown:
        raise ValueError(
            f"model_fn ({model_fn}) has following not expected args: {unknown}. Allowed are "
            f"{list(_ALLOWED_ARGUMENTS[:-1])}."
        )


def invoke(
    model_fn: Callable[..., Any], params: Any, config: RunConfig, features: Any, labels: Any, mode: str
) -> EstimatorSpec:
    """Calls a model_fn with the arguments that it takes, and checks what it returns."""
    names = argument_names(model_fn)
    arguments: dict[str, Any] = {}
    if "labels" in names:
        arguments["labels"] = labels
    elif labels is not None:
        raise ValueError(
            "model_fn does not take labels, but input_fn returns labels. Add a `labels` argument, or let input_fn "
            "return features only."
        )
    given = {"mode": mode, "params": params, "config": config}
    arguments |= {name: value for name, value in given.items() if name in names}
    spec = model_fn(features=features, **arguments)
    if not isinstance(spec, EstimatorSpec):
        raise ValueError(
            f"model_fn should return an EstimatorSpec. Received: {spec!r} of type {type(spec).__name__}, in mode "
            f"{mode!r}."
        )
    if spec.mode != mode:
        raise ValueError(
            f"model_fn should return an EstimatorSpec of the mode it was called with. Called with {mode!r}, "
            f"received {spec.mode!r}."
        )
    return spec


class Model:
    """Calls a `model_fn` so that all its calls share one set of variables.

    Args:
      model_fn: the user's function.
      params: what it gets as `params`.
      config: the run's configuration.
      strategy: the strategy under which its variables live.
    """

    def __init__(
        self, model_fn: Callable[..., Any], params: Any, config: RunConfig, strategy: tf.distribute.Strategy
    ) -> None:
        self.model_fn = model_fn
        self.params = params
        self.config = config
        self.strategy = strategy
        self.store = VariableStore(strategy)
        self.tables = OwnTables()
        self.traces: collections.Counter[str] = collections.Counter()
        self._complete = False
        self._for_session: bool | None = None

    @property
    def complete(self) -> bool:
        """Whether training has made all variables, so that no later call may make new ones."""
        return self._complete

    def mark_complete(self) -> None:
        """Says that the variables are all there: further names are mistakes."""
        self._complete = True

    def call(
        self,
        features: Any,
        labels: Any,
        mode: str,
        *,
        record: tf.Tensor | None = None,
        tape: tf.GradientTape | None = None,
        may_create: bool | None = None,
        variables_only: bool = False,
        watched: Iterable[str] = (),
        exported: bool = False,
        piles: Piles | None = None,
    ) -> ModelCall:
        """Calls the model_fn on one batch, in the current graph or eagerly.

        Args:
          features: features as input_fn and input transform gave them.
          labels: labels, or None.
          mode: a `ModeKeys` value.
          record: bool scalar: whether the step writes summaries; None for never.
          tape: the tape that watches an eager call in training.
          may_create: whether new names become variables; by default until training has made them all.
          variables_only: whether the call is made for its variables alone: nothing that it computes ever runs.
          watched: names of tensors that hooks want to see.
          exported: whether the export outputs are wanted.
          piles: see `StepContext`.
        """
        self.traces[mode] += not tf.executing_eagerly()
        may_create = not self._complete if may_create is None else may_create
        graph = tf.compat.v1.get_default_graph()
        with contextlib.ExitStack() as scopes:
            scopes.enter_context(_tensorflow.fresh_keras_names())
            scopes.enter_context(warnings.catch_warnings())
            # compat.v1 summaries are written by the estimator, which needs no TensorFlow 2 writer for them.
            warnings.filterwarnings("ignore", "Cannot activate TF2 compatibility support for TF1 summary ops")
            if not tf.executing_eagerly():
                scopes.enter_context(_tensorflow.fresh_collections(graph))
                for key in (tf.compat.v1.GraphKeys.GLOBAL_STEP, tf.compat.v1.GraphKeys.GLOBAL_VARIABLES):
                    graph.add_to_collection(key, self.store.global_step)
            call = scopes.enter_context(self.store.call(mode, may_create=may_create))
            context = scopes.enter_context(
                _context.entered(self._context(mode, call, record, tape, variables_only, piles))
            )
            scopes.enter_context(_v1_calls.answered(self.store, self.tables))
            scopes.enter_context(dtype_policy(self.config.dtype_policy))
            if self.strategy.num_replicas_in_sync > 1:
                _tensorflow.scale_v1_losses(self.strategy, True)
            before = self.store.global_step.read_value() if mode == ModeKeys.TRAIN else None
            spec = invoke(self.model_fn, self.params, self.config, features, labels, mode)
            unfetched = Updates()
            if not tf.executing_eagerly() and not variables_only:
                unfetched = _unfetched.updates(
                    graph, spec, call, context, self.store, watched, for_session=self._for_session, exported=exported
                )
                self._for_session = unfetched.for_session if mode == ModeKeys.TRAIN else self._for_session
            if mode == ModeKeys.TRAIN:
                self._check_settings_used(context)
                self._count_step(context, before, spec.train_op)
            changed: set[str] = set()
            if mode != ModeKeys.TRAIN and not tf.executing_eagerly():
                changed = _unfetched.written(graph, self.store.entries, self.strategy)
            return ModelCall(spec, call, context, self._summary(graph, context), unfetched, changed)

    def _context(
        self,
        mode: str,
        call: Call,
        record: tf.Tensor | None,
        tape: tf.GradientTape | None,
        variables_only: bool,
        piles: Piles | None,
    ) -> StepContext:
        def owns(variable: Any) -> bool:
            value = _tensorflow.keras_variable_value(variable)
            return any(other is value for other in call.variables.values())

        config = self.config
        return StepContext(
            mode=mode,
            global_step=self.store.global_step,
            owns=owns,
            record=record,
            tape=tape,
            gradient_clipping=config.gradient_clipping,
            gradient_accumulation=config.gradient_accumulation,
            on_one_cpu=_structure.is_on_one_cpu(self.strategy) and not tf.executing_eagerly(),
            compiled=config.jit_compile and mode == ModeKeys.TRAIN,
            variables_only=variables_only,
            # XLA has no sparse updates, and a tape knows nothing of lookups.
            records_lookups=mode == ModeKeys.TRAIN and tape is None and not config.jit_compile,
            training_metrics=config.training_metrics,
            model_fn=self.model_fn,
            piles=piles,
            keep=self.store.keep,
            places=self.store.places,
            renamed=self.store.renamed,
        )

    def _count_step(self, context: StepContext, before: tf.Tensor | None, train_op: Any) -> None:
        """Counts the global step where the train_op has not, as with a Keras optimizer applied by hand."""
        if "global_step" in context.uses or before is None or self._counts(train_op):
            return
        step = self.store.global_step
        after = [train_op] if tf.is_symbolic_tensor(train_op) or isinstance(train_op, tf.Operation) else []
        with tf.control_dependencies(after):
            step.assign_add(tf.cast(tf.equal(step.read_value(), before), tf.int64))

    def _counts(self, train_op: Any) -> bool:
        """Returns whether it is certain that a train_op counts the global step."""
        handles = {id(part.handle) for part in self.strategy.experimental_local_results(self.store.global_step)}
        graph = tf.compat.v1.get_default_graph()
        if tf.executing_eagerly():
            return False
        inner = {id(inside) for outside, inside in graph.captures if id(outside) in handles}
        return any(
            op.type.startswith("Assign") and id(op.inputs[0]) in inner for op in _unfetched.ancestors([train_op])
        )

    def _check_settings_used(self, context: StepContext) -> None:
        for name, default in (("gradient_clipping", None), ("gradient_accumulation", 1)):
            value = getattr(self.config, name)
            if value != default and name not in context.uses:
                raise ValueError(_UNUSED_SETTING.format(name=name, value=value))

    def _summary(self, graph: Any, context: StepContext) -> tf.Tensor:
        collected = _summary.serialized(context)
        if tf.executing_eagerly() or context.record is None:
            return collected
        by_v1 = [tf.reshape(s, []) for s in graph.get_collection(tf.compat.v1.GraphKeys.SUMMARIES)]
        return tf.strings.join([collected, *by_v1]) if by_v1 else collected


@contextlib.contextmanager
def dtype_policy(name: str | None) -> Iterator[None]:
    """Makes a Keras dtype policy the current one; None leaves the one that is."""
    if name is None:
        yield
        return
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
