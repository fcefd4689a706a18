"""Updates of variables that a session would not have run, because nothing that was fetched needs them.

A function runs every update that was traced. Programs for sessions make a `train_op` in each mode, or two of which the
spec names one, and rely on it that only what is fetched runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway import _tensorflow_v1
from headway._context import StepContext
from headway._log import logger
from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _branches, _hooks
from headway.estimators._variables import GLOBAL_STEP, Call, Entry, VariableStore

_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp", "Identity")
_APPLIES = ("ResourceApply", "ResourceSparseApply")
# Random numbers are drawn from a state, which is nobody's result.
_DRAWS = ("Rng", "Stateful")
# What runs code of its own, and may update a variable that it is given.
_CALLS = ("If", "While", "Case", "StatefulPartitionedCall")
_READ_ONLY = "_read_only_resource_inputs"
# Effects that are no updates: without one who asks for them, a session had no checks, prints and calls of Python.
_OTHER_EFFECTS = ("Assert", "CheckNumerics", "CheckNumericsV2", "Print", "PrintV2", "PyFunc", "EagerPyFunc")

_MOST_NAMES = 8
_LEFT_OUT = (
    "Updates of %s do not run in training: neither the train_op nor the loss, a summary or a hook needs them, and a "
    "session runs only what is fetched. If they are meant, join them to the train_op: "
    "`train_op=tf.group(train_op, update)`."
)
_PARTLY_LEFT_OUT = (
    "Some of the updates of %s do not run in training, others do, as where the averages follow the first of several "
    "towers: neither the train_op nor the loss, a summary or a hook needs them, and a session runs only what is "
    "fetched. If they are meant, join them to the train_op: `train_op=tf.group(train_op, update)`."
)
_NOT_LEFT_OUT = (
    "Updates of %s run in training that neither the train_op nor the loss, a summary or a hook needs: a session would "
    "not have run them, but with %s they cannot be left out. Remove them, or join them to the train_op."
)
_KEPT = (
    "What Keras layers update is updated in each step of training: %s. In a session it was only if the train_op waited "
    "for the layers' updates."
)
_IN_BRANCHES = (
    "Updates of %s run whenever the branch of tf.cond or the body of the loop does that they stand in. A session ran "
    "them only if the branch returned them or waited for them, which this one does not: remove them if they are not "
    "meant."
)

_UNASKED = (
    "Nothing asks for the checks, prints or calls of Python %s in mode %r, so they are left out, as in a session. If "
    "they are meant, let a result wait for them: `with tf.control_dependencies([check]): loss = tf.identity(loss)`."
)


@dataclasses.dataclass
class Updates:
    """The updates of variables, and other effects, that were traced and that a session would not have run.

    Attributes:
      operations: the operations -> names of the variables of the model that they change; none for checks, prints and
        calls of Python.
      reached: all operations that run.
      for_session: whether checks, prints and calls of Python that nothing asks for are among them.
      running: names of variables that other updates change, which do run.
      kept: names of variables whose layers of Keras update them all the same.
      in_branches: names of variables that branches and loops update all the same; see `_branches`.
    """

    operations: dict[tf.Operation, set[str]] = dataclasses.field(default_factory=dict)
    reached: set[tf.Operation] = dataclasses.field(default_factory=set)
    for_session: bool = False
    running: set[str] = dataclasses.field(default_factory=set)
    kept: set[str] = dataclasses.field(default_factory=set)
    in_branches: set[str] = dataclasses.field(default_factory=set)

    def add(self, other: Updates) -> None:
        """Adds those of another replica in the same graph, whose operations each of them may see."""
        self.reached |= other.reached
        self.for_session |= other.for_session
        self.running |= other.running
        self.kept |= other.kept
        self.in_branches |= other.in_branches
        both = {**self.operations, **other.operations}
        self.operations = {op: names for op, names in both.items() if op not in self.reached}

    @property
    def has_steps(self) -> bool:
        """Whether steps of optimizers are among them."""
        return any(op.type.startswith(_APPLIES) and names for op, names in self.operations.items())

    def names(self) -> list[str]:
        """Returns the names of the variables that they change, without the global step, which is counted anyway."""
        return sorted(set().union(*self.operations.values()) - {GLOBAL_STEP})


class Notes:
    """What the log says of the updates of a program, each thing once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def left_out(self, found: Updates) -> None:
        """Names the variables of updates that do not run."""
        names = found.names()
        self._tell(logger.warning, _LEFT_OUT, [name for name in names if name not in found.running])
        self._tell(logger.warning, _PARTLY_LEFT_OUT, [name for name in names if name in found.running])

    def unasked(self, found: Updates, mode: str) -> None:
        """Names what is no update and does not run."""
        self._tell(logger.info, _UNASKED, sorted(op.name for op in found.operations if _is_other_effect(op)), mode)

    def not_left_out(self, found: Updates, how: str) -> None:
        """Names what runs all the same, because of how the program runs."""
        self._tell(logger.warning, _NOT_LEFT_OUT, found.names(), how)

    def kept(self, found: Updates) -> None:
        """Names what Keras layers update, and branches and loops."""
        self._tell(logger.warning, _KEPT, sorted(found.kept))
        self._tell(logger.warning, _IN_BRANCHES, sorted(found.in_branches))

    def _tell(self, log: Callable[..., None], text: str, names: list[str], *rest: str) -> None:
        if names and text not in self._told:
            self._told.add(text)
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            log(text, ", ".join(names[:_MOST_NAMES]) + more, *rest)


def updates(
    graph: Any,
    spec: EstimatorSpec,
    call: Call,
    context: StepContext,
    store: VariableStore,
    watched: Iterable[str] = (),
    *,
    for_session: bool | None = None,
    exported: bool = False,
) -> Updates:
    """Returns the updates in `graph` that a session would not have run, and that must not run here.

    In evaluation and prediction those are all updates of what a checkpoint holds. In training it depends on what the
    program trains by. If that is the `train_op`, by an optimizer of TensorFlow 1 or by hand, it is a program for
    sessions: then all that the `train_op` does not reach; in TensorFlow 2, by an optimizer of Keras 3 or of headway, an
    update needs nobody who asks for it. What layers and metrics of Keras and of headway update is always meant.
    Checks, prints and calls of Python that nothing needs are left out of programs for sessions in each mode.

    Args:
      graph: the graph in which the model_fn was called.
      spec: what it returned.
      call: the variables that it asked for.
      context: its surroundings.
      store: the variables of the model.
      watched: names of tensors that hooks want to see.
      for_session: whether training has shown the program to be one for sessions; None if nobody has trained it.
      exported: whether the model is exported: its outputs are fetched, and its checks stay.
    """
    training = spec.mode == ModeKeys.TRAIN
    entries = store.entries
    if training and "global_step" in context.uses:
        return _idle_steps(graph, spec, context, store)
    own = {name: entry for name, entry in entries.items() if _is_own(entry)}
    local = store.updated_by_hand(spec.mode) if training else []
    candidates = dict(_updates(graph, own, store.strategy, local))
    wanted = [*fetched(graph, spec, context), *_hooks.named_tensors(watched, graph).values()]
    wanted += [output.signature_outputs for output in (spec.export_outputs or {}).values()] if exported else []
    reached = ancestors(tf.nest.flatten(wanted))
    found = Updates({op: names for op, names in candidates.items() if op not in reached}, reached)
    if training:
        found.for_session = not call.optimizers and _trains(spec, candidates, entries)
    elif for_session is None:
        found.for_session = _looks_for_session(graph, spec, call, context, candidates)
    else:
        found.for_session = for_session
    if exported and not training:
        # Nobody sees the log where a model is served.
        return found
    if not found.for_session:
        if training:
            steps = {op: names for op, names in found.operations.items() if op.type.startswith(_APPLIES) and names}
            found.operations = steps if call.optimizers else {}
        return found
    if training:
        found.running = set().union(*(names for op, names in candidates.items() if op in reached))
        others = {name: entry for name, entry in entries.items() if name not in own}
        found.kept = set().union(*(names for op, names in _updates(graph, others, store.strategy) if op not in reached))
    _add_other_effects(found, graph, store, spec.mode)
    if training:
        running = [op for op in graph.get_operations() if op not in found.operations]
        found.in_branches = _branches.dangling(graph, running, _handles(graph, own, store.strategy))
    return found


def _idle_steps(graph: Any, spec: EstimatorSpec, context: StepContext, store: VariableStore) -> Updates:
    """Returns the updates of `headway.minimize` that the `train_op` does not ask for.

    A model_fn around a ready-made one may take its predictions and its loss, and train otherwise.
    """
    reached = ancestors([spec.train_op])
    # Those in a branch of tf.cond are the condition's own affair.
    steps = [(train_op, added) for train_op, added in context.steps if train_op.graph is graph]
    idle = {op for train_op, added in steps if train_op not in reached for op in added}
    if not idle:
        return Updates()
    if len(steps) == len(context.steps) and all(train_op not in reached for train_op, _ in steps):
        # What counts the step is the train_op's own affair, then.
        context.uses.discard("global_step")
    found = {op: names for op, names in _updates(graph, store.entries, store.strategy) if op in idle}
    return Updates(found, reached)


def _add_other_effects(found: Updates, graph: Any, store: VariableStore, mode: str) -> None:
    """Adds the checks, prints and calls of Python that neither what is fetched nor an update that runs waits for."""
    all_updates = _updates(graph, store.entries, store.strategy, store.local_variables(mode))
    found.reached |= ancestors(op for op, _ in all_updates if op not in found.operations)
    unasked = (op for op in graph.get_operations() if op not in found.reached and _is_other_effect(op))
    found.operations |= {op: set() for op in unasked if op not in found.operations}


def _looks_for_session(
    graph: Any, spec: EstimatorSpec, call: Call, context: StepContext, candidates: Mapping[Any, set[str]]
) -> bool:
    """Returns whether a program that nobody has trained looks like one for sessions, in evaluation or prediction."""
    if call.optimizers or context.train_op_is_idle:
        return False
    pairs = any(isinstance(op, tuple) for op in (spec.eval_metric_ops or {}).values())
    steps = any(op.type.startswith(_APPLIES) for op in candidates)
    return pairs or steps or _tensorflow_v1.has_got_variables(graph)


def _is_other_effect(op: tf.Operation) -> bool:
    """Returns whether an operation checks, prints or calls Python, or does so under a condition."""
    if op.type in _OTHER_EFFECTS:
        return True
    conditional = op.type in _CALLS and op.op_def.is_stateful
    return conditional and not any(tensor.dtype == tf.resource for tensor in op.inputs)


def _is_own(entry: Entry) -> bool:
    return not entry.by_keras or entry.role == "optimizer" or bool(entry.variable.trainable)


def _trains(spec: EstimatorSpec, candidates: Mapping[Any, set[str]], entries: Mapping[str, Entry]) -> bool:
    """Returns whether a program trains by its train_op, as one for sessions does."""
    if any(op.type.startswith(_APPLIES) and names for op, names in candidates.items()):
        return True
    changed = set().union(*(candidates.get(op, set()) for op in ancestors([spec.train_op])))
    return any(entries[name].variable.trainable for name in changed)


def dependents(graph: Any, operations: Iterable[tf.Operation]) -> set[tf.Operation]:
    """Returns the operations, and all that depend on one of them."""
    found = set(operations)
    for op in graph.get_operations() if found else ():
        if any(tensor.op in found for tensor in op.inputs) or not found.isdisjoint(op.control_inputs):
            found.add(op)
    return found


def only_reads(op: tf.Operation) -> bool:
    """Returns whether an operation changes nothing, though TensorFlow calls it stateful."""
    return op.type in _READS


def written(graph: Any, entries: Mapping[str, Entry], strategy: tf.distribute.Strategy) -> set[str]:
    """Returns the names of the variables of the model that `graph` may change."""
    return set().union(*(names for _, names in _updates(graph, entries, strategy)))


def _updates(
    graph: Any, entries: Mapping[str, Entry], strategy: tf.distribute.Strategy, local: Iterable[Any] = ()
) -> list[tuple[tf.Operation, set[str]]]:
    """Returns the operations of `graph` that may change variables, and their names; random state is none of them.

    Args:
      graph: the graph.
      entries: the variables by name.
      strategy: the strategy under which they live.
      local: further variables, whose names are not told.
    """
    inner = _handles(graph, entries, strategy, local)
    found = []
    for op in graph.get_operations():
        if op.type in _READS or (op.type.startswith(_DRAWS) and op.type not in _CALLS):
            continue
        if op.type in _CALLS and not op.op_def.is_stateful:
            continue
        inputs = _written_inputs(op)
        if any(id(tensor) in inner for tensor in inputs):
            found.append((op, set().union(*(inner.get(id(tensor), set()) for tensor in inputs))))
    return found


def _handles(
    graph: Any, entries: Mapping[str, Entry], strategy: tf.distribute.Strategy, local: Iterable[Any] = ()
) -> dict[int, frozenset[str]]:
    """Returns the names of variables by the `id` of their handles in `graph`; see `_updates`."""
    variables = [(frozenset({name}), entry.variable) for name, entry in entries.items() if entry.role != "random"]
    names = {
        id(part.handle): own
        for own, variable in [*variables, *((frozenset[str](), variable) for variable in local)]
        for part in strategy.experimental_local_results(variable)
    }
    return {id(inside): names[id(outside)] for outside, inside in graph.captures if id(outside) in names}


def _written_inputs(op: tf.Operation) -> list[tf.Tensor]:
    """Returns the inputs of an operation that it may write to."""
    inputs = list(op.inputs)
    if op.type not in _CALLS or _READ_ONLY not in op.node_def.attr:
        return inputs
    only_read = set(op.get_attr(_READ_ONLY))
    return [tensor for i, tensor in enumerate(inputs) if i not in only_read]


def fetched(graph: Any, spec: EstimatorSpec, context: StepContext) -> list[Any]:
    """Returns what a session would have fetched of a call of a model_fn."""
    wanted: list[Any] = [spec.loss]
    if spec.mode != ModeKeys.TRAIN:
        wanted += tf.nest.flatten(spec.predictions)
        wanted += tf.nest.flatten([op for op in spec.eval_metric_ops.values() if isinstance(op, tuple)])
    else:
        wanted += [spec.train_op, *graph.get_collection(tf.compat.v1.GraphKeys.SUMMARIES)]
        wanted += [*context.updates, *context.values.values(), *(value for _, _, value in context.summaries)]
        wanted += tf.nest.flatten(_hooks.logged_tensors(spec, graph))
    return wanted


def ancestors(values: Iterable[Any]) -> set[Any]:
    """Returns the operations that the symbolic tensors and operations among `values` depend on, and their own."""
    todo: list[Any] = []
    for value in values:
        if isinstance(value, tf.Operation):
            todo.append(value)
        elif tf.is_symbolic_tensor(value):
            todo.append(value.op)
        elif isinstance(value, tf.Variable):
            # What `assign` returns in a function stands for the variable after it.
            todo += [value.op] if isinstance(getattr(value, "op", None), tf.Operation) else []
    seen: set[Any] = set()
    while todo:
        operation = todo.pop()
        if operation not in seen:
            seen.add(operation)
            todo += [tensor.op for tensor in operation.inputs]
            todo += operation.control_inputs
    return seen
