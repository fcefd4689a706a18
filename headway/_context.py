"""What a piece of model code may know about the step that it is traced in.

The estimator opens a `StepContext` around each call of a `model_fn`. Heads, optimizers and summaries look it up here,
so that the floors below the estimator need not import it. Outside an estimator there is no context, and each function
here falls back to what an ordinary TensorFlow program would do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from headway import _tensorflow
from headway._piles import Piles
from headway._slices import Place


@dataclasses.dataclass
class StepContext:
    """The surroundings of one call of a `model_fn`.

    Attributes:
      mode: a `ModeKeys` value.
      global_step: the int64 scalar variable that counts training steps.
      owns: tells whether a variable was made inside this call, so that checkpoints hold it.
      record: bool scalar tensor, or None: whether summaries are written in this step.
      tape: the gradient tape that watches this call when it runs eagerly; None in a graph.
      gradient_clipping: largest global norm of the gradients, or None.
      gradient_accumulation: number of steps whose gradients are averaged before one update.
      on_one_cpu: whether the step runs on one processor alone, with no other device and no replicas.
      compiled: whether XLA compiles the step: it knows no strings, and no sparse updates.
      variables_only: whether the call is made for its variables alone: nothing that it computes ever runs.
      training_metrics: whether heads compute their metrics in training as well.
      summaries: what `headway._summary` collected: (function that writes it, tag, tensor).
      values: scalars of this step that a log may show, by name: tensors, or variables that hold them.
      updates: updates that headway's own layers make in training, whatever the `train_op` needs.
      train_op_is_idle: set by `headway.minimize` outside training: its `train_op` does nothing.
      varying_rows: set by the step: whether replicas sum sparse gradients whose number of rows may change.
      records_lookups: whether lookups in tables note themselves in `lookups`.
      lookups: see `headway._lookups`.
      model_fn: the function that is called; None outside an estimator.
      steps: for each `headway.minimize` in a graph, the operation that it returned, and all that it added.
      piles: what makes variables that stand in for others while a stretch of steps runs; None where none may.
      may_pile: whether the tables that are summed now may be piled; see `headway._optimize.piling`.
      uses: names of the settings above that model code has honoured in this call.
      keep: function (name, make) that returns what is kept under a name between calls, and in checkpoints, and makes
        it the first time; None outside an estimator.
      loss_is_share: whether the losses of the replicas add up to the loss of the global batch. Heads set it; the loss
        of any other model_fn is taken to be a mean over the replica's own batch.
      optimizer_scope: what the names of the optimizers' variables begin with in checkpoints.
      places: of variables that checkpoints hold in parts, where those are.
      renamed: functions from the name that a variable is asked for by to the one that it is kept under. The last
        counts.
    """

    mode: str
    global_step: tf.Variable
    owns: Callable[[Any], bool]
    record: tf.Tensor | None = None
    tape: tf.GradientTape | None = None
    gradient_clipping: float | None = None
    gradient_accumulation: int = 1
    on_one_cpu: bool = False
    compiled: bool = False
    variables_only: bool = False
    training_metrics: bool = False
    summaries: list[tuple[Callable[..., Any], Any, Any]] = dataclasses.field(default_factory=list)
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    updates: list[Any] = dataclasses.field(default_factory=list)
    train_op_is_idle: bool = False
    varying_rows: bool = False
    records_lookups: bool = False
    lookups: list[Any] = dataclasses.field(default_factory=list)
    model_fn: Callable[..., Any] | None = None
    steps: list[tuple[Any, list[Any]]] = dataclasses.field(default_factory=list)
    piles: Piles | None = None
    may_pile: bool = False
    uses: set[str] = dataclasses.field(default_factory=set)
    keep: Callable[[str, Callable[[], Any]], Any] | None = None
    loss_is_share: bool = False
    optimizer_scope: str = "training"
    places: dict[str, Sequence[Place]] = dataclasses.field(default_factory=dict)
    renamed: list[Callable[[str], str]] = dataclasses.field(default_factory=list)


class NeedsFunctions(Exception):
    """A graph was to be made of a model that lives in compiled functions; the message says what tells so."""


class _Stack(threading.local):
    def __init__(self) -> None:
        self.contexts: list[StepContext] = []
        self.refuses = 0


_stack = _Stack()


def current() -> StepContext | None:
    """Returns the context of the `model_fn` call that is being traced in this thread, or None."""
    if not _stack.contexts and _stack.refuses:
        raise NeedsFunctions("it is made of headway's own parts")
    return _stack.contexts[-1] if _stack.contexts else None


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Lets model code that asks for its context raise `NeedsFunctions`: it is called in a graph that has none."""
    contexts, _stack.contexts = _stack.contexts, []
    _stack.refuses += 1
    try:
        yield
    finally:
        _stack.refuses -= 1
        _stack.contexts = contexts


@contextlib.contextmanager
def entered(context: StepContext) -> Iterator[StepContext]:
    """Makes `context` the current one for this thread."""
    _stack.contexts.append(context)
    try:
        yield context
    finally:
        _stack.contexts.pop()


def num_replicas() -> int:
    """Returns how many replicas run the current code in step; 1 outside a strategy."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def value_now(variable: tf.Variable) -> tf.Tensor:
    """Returns the value of a variable at this place in a step, also of one that another stands in for."""
    context = current()
    return (
        tf.convert_to_tensor(variable) if context is None or context.piles is None else context.piles.value_of(variable)
    )


def global_sum(value: tf.Tensor) -> tf.Tensor:
    """Returns the sum of `value` over all replicas and workers; `value` itself where there is only one.

    The training loss of a replica that has the sum `s` over `n` rows is `s / global_sum(n)`: such losses, and their
    gradients, add up over the replicas to those of the global batch, however it was split. No gradient flows through
    the sum.

    Outside training inside an estimator (evaluation, prediction) each replica's batch stands for itself, and `value` is
    returned.
    """
    replica_context = tf.distribute.get_replica_context()
    context = current()
    if num_replicas() == 1 or replica_context is None or (context is not None and context.mode != "train"):
        return value
    declare_loss_a_share()
    return replica_context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(value))


def declare_loss_a_share() -> None:
    """Says that the losses of the replicas add up to that of the global batch, so that no optimizer divides them."""
    context = current()
    if context is not None:
        context.loss_is_share = True
        _tensorflow.scale_v1_losses(tf.distribute.get_strategy(), False)
