"""The variable store: what makes one set of variables out of the many calls of a `model_fn`.

A `model_fn` creates its layers and variables each time it is called. While it is being called, a variable creator scope
asks the store: a name that the store does not know becomes a new variable, made outside the graph and under the
strategy's scope; a known name hands back the variable that is there. Training, evaluation and prediction so share
variables by name.
"""

from __future__ import annotations

import abc
import collections
import contextlib
import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headway import _context, _keras_2, _tensorflow, _tensorflow_v1
from headway._log import logger
from headway._slices import Place
from headway.estimators import _optimizer_names, _structure, _v1_variable

GLOBAL_STEP = "global_step"


class ModelFnVariablesError(ValueError):
    """A `model_fn` asked for variables that do not agree with the ones that it made before."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A variable of the store.

    Attributes:
      name: full name, as in the checkpoint.
      variable: the variable; a distributed one under a strategy.
      role: "model", "optimizer" or "random" (the state of a random generator).
      by_keras: whether a Keras object made it, which updates it without telling anybody.
    """

    name: str
    variable: tf.Variable
    role: str
    by_keras: bool = False

    @property
    def slice(self) -> tuple[str, str]:
        """The name of the tensor in a checkpoint that holds it, and which slice of it: "" for all.

        Only parts of a partitioned variable (`get_variable` with a partitioner) are slices: of one tensor.
        """
        part = _tensorflow_v1.slice_of(self.variable)
        return (self.name, "") if part is None else part


class Kept(abc.ABC):
    """State of a model that is no variable, such as a table, and is saved with the variables."""

    @abc.abstractmethod
    def tensors(self) -> dict[str, tf.Tensor]:
        """Returns what a checkpoint holds of it, by name."""

    @abc.abstractmethod
    def restore(self, tensors: Mapping[str, Any]) -> None:
        """Sets it to what `tensors` returned."""


@dataclasses.dataclass
class Call:
    """What one call of a `model_fn` asked for.

    Attributes:
      mode: the mode of the call.
      base_scope: TensorFlow name scope in which the call began; no part of variable names.
      may_create: whether names unknown to the store become new variables.
      variables: full name -> variable, in the order in which they were asked for.
      pending: full name -> symbolic tensor that a new variable is to start from.
      optimizers: class name -> the optimizers of that class, in the order in which they asked, each with what the names
        of its variables begin with.
      slots: how often an optimizer has asked for a variable, by what its names begin with and Keras's name.
    """

    mode: str
    base_scope: str
    may_create: bool
    variables: dict[str, tf.Variable] = dataclasses.field(default_factory=dict)
    pending: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    optimizers: dict[str, list[tuple[keras.optimizers.Optimizer, str]]] = dataclasses.field(default_factory=dict)
    slots: collections.Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)


class VariableStore:
    """Keeps the variables of one estimator by full name.

    Args:
      strategy: the `tf.distribute.Strategy` under whose scope variables are made.

    Attributes:
      kept: state that is no variable, by name.
      constants: numbers that checkpoints hold beside the variables because tf.estimator's did, by full name.
      places: of variables that checkpoints hold in parts, where those are.
      unset: names of variables that start from a tensor of the graph, and still hold zeros.
      renamed: see `StepContext`. It belongs to no single call: replicas make the slots of compat.v1 optimizers
        together.
      initialized: names of variables that `init_from_checkpoint` has set -> where it took the value from.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy = strategy
        self._entries: dict[str, Entry] = {}
        self._local: dict[tuple[str, str], tf.Variable] = {}
        self._local_start: dict[tuple[str, str], Any] = {}
        self._local_by_keras: set[tuple[str, str]] = set()
        self._local_of_keras_2: set[tuple[str, str]] = set()
        self.kept: dict[str, Kept] = {}
        self.constants: dict[str, float] = {}
        self.unset: set[str] = set()
        self.places: dict[str, Sequence[Place]] = {}
        self.renamed: list[Callable[[str], str]] = []
        self.initialized: dict[str, str] = {}
        with strategy.scope():
            step = tf.Variable(
                tf.zeros([], tf.int64),
                name=GLOBAL_STEP,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
        self._entries[GLOBAL_STEP] = Entry(GLOBAL_STEP, step, "model")
        self._as_in_graph(step)

    @property
    def global_step(self) -> tf.Variable:
        """The int64 scalar variable that counts training steps."""
        return self._entries[GLOBAL_STEP].variable

    @property
    def entries(self) -> dict[str, Entry]:
        """All variables that a checkpoint holds, by full name."""
        return self._entries

    def known_variables(self) -> list[tf.Variable]:
        """Returns every variable of the store, those of metrics included."""
        return [*(entry.variable for entry in self._entries.values()), *self._local.values()]

    def keep(self, name: str, make: Callable[[], Kept]) -> Kept:
        """Returns what is kept under `name`; the first time it is made, outside any graph."""
        if name not in self.kept:
            self.kept[name] = _tensorflow.outside_graphs(make)
        return self.kept[name]

    def initialize(self, variable: Any, path: str, tensor_name: str, slice_spec: str) -> bool:
        """Gives a new variable its first value from a checkpoint, once; what the model_dir holds comes after that.

        Args:
          variable: the variable.
          path: the checkpoint.
          tensor_name: the tensor there.
          slice_spec: which slice of it; "" for all.

        Returns:
          Whether the variable is one of this store.
        """
        name = next((name for name, entry in self._entries.items() if self._is(variable, entry.variable)), None)
        if name is None or name in self.initialized:
            return name is not None
        self.initialized[name] = f"{path}:{tensor_name}"
        own = self._entries[name].variable

        def assign() -> None:
            values = tf.raw_ops.RestoreV2(
                prefix=path, tensor_names=[tensor_name], shape_and_slices=[slice_spec], dtypes=[own.dtype]
            )
            with self.strategy.scope():
                own.assign(values[0])

        _tensorflow.outside_graphs(assign)
        self.unset.discard(name)
        logger.info("The variable %s begins with %s of the checkpoint %s.", name, tensor_name, path)
        return True

    def _is(self, variable: Any, own: tf.Variable) -> bool:
        return variable is own or any(variable is part for part in self.strategy.experimental_local_results(own))

    def reset_metrics(self, mode: str, *, only_keras: bool = False) -> None:
        """Sets the variables of the metrics of a mode back to where they began; of all, or of Keras's alone."""
        with self.strategy.scope():
            for key, variable in self._local.items():
                if key[0] == mode and (key in self._local_by_keras or not only_keras):
                    variable.assign(self._start_of(key, variable))

    def local_variables(self, mode: str) -> list[tf.Variable]:
        """Returns the variables of the metrics of a mode."""
        return [variable for (owner, _), variable in self._local.items() if owner == mode]

    def updated_by_hand(self, mode: str) -> list[tf.Variable]:
        """Returns the variables of the metrics of a mode without those of Keras's own."""
        kerass = self._local_by_keras | self._local_of_keras_2
        return [variable for key, variable in self._local.items() if key[0] == mode and key not in kerass]

    def metric_variables(self, mode: str) -> dict[str, tuple[tf.Variable, Any]]:
        """Returns the variables of the metrics of a mode by name, each with the value that it starts from."""
        return {
            key[1]: (variable, self._start_of(key, variable)) for key, variable in self._local.items() if key[0] == mode
        }

    def bring_together(self) -> None:
        """Gives all replicas one value of each variable that they update apart, such as averages: a checkpoint's.

        Where replicas are in several processes, which may not all be here, each keeps its own.
        """
        if _structure.is_multi_worker(self.strategy):
            return
        added_up = (tf.VariableAggregation.MEAN, tf.VariableAggregation.SUM)
        for variable in (entry.variable for entry in self._entries.values()):
            apart = variable.synchronization == tf.VariableSynchronization.ON_READ
            if apart and variable.aggregation in added_up:
                variable.assign(variable.read_value())

    def _start_of(self, key: tuple[str, str], variable: tf.Variable) -> Any:
        if key not in self._local_start:
            # Nothing has run yet: this is called before each pass, the first one too.
            self._local_start[key] = variable.numpy()
        return self._local_start[key]

    @contextlib.contextmanager
    def call(self, mode: str, *, may_create: bool) -> Iterator[Call]:
        """Lets the code inside, one call of a `model_fn`, get its variables from this store."""
        call = Call(mode, tf.get_current_name_scope(), may_create)
        with self.creator_scope(call):
            yield call
        # An optimizer has its settings when it is made; its first variables come before.
        for own, prefix in (pair for pairs in call.optimizers.values() for pair in pairs):
            found = _optimizer_names.settings(own)
            self.constants |= {f"{prefix}/{name}": value for name, value in found.items()}

    @contextlib.contextmanager
    def creator_scope(self, call: Call) -> Iterator[None]:
        """Answers requests for variables on behalf of `call`, for instance in another thread of it."""
        # Keras 2 makes its variables in `tf.init_scope`, where code in a graph seems to run eagerly.
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()

        def creator(next_creator: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
            del next_creator
            return self._request(call, graph, kwargs)

        with tf.variable_creator_scope(creator):
            yield

    def _request(self, call: Call, graph: Any, kwargs: dict[str, Any]) -> tf.Variable:
        plain_name, role = self._name_and_role(call, kwargs)
        name = _unused(plain_name, call.variables)
        if role == "metric":
            variable = self._local.get((call.mode, name))
            if variable is None:
                variable = self._local[call.mode, name] = self._create(call, f"{call.mode}_metrics/{name}", kwargs)
                if _tensorflow.keras_scope() is not None:
                    self._local_by_keras.add((call.mode, name))
                elif not _is_local(kwargs):
                    self._local_of_keras_2.add((call.mode, name))
        elif name in self._entries:
            variable = self._entries[name].variable
            _check_agrees(name, variable, kwargs, call.mode)
            if name in self.unset:
                call.pending[name] = kwargs["initial_value"]
        elif call.may_create:
            variable = self._create(call, name, kwargs)
            by_keras = _tensorflow.keras_scope() is not None or _keras_2.in_layer()
            self._entries[name] = Entry(name, variable, role, by_keras)
        else:
            raise ModelFnVariablesError(self._unknown_message(name, call))
        call.variables[name] = variable
        if graph is not None:
            if _tensorflow.keras_scope() is None:
                _take_name(graph, call, name)
                variable = self._for_updates(variable) if role == "metric" else variable
            _register(graph, variable, kwargs)
        return variable

    def _for_updates(self, variable: tf.Variable) -> tf.Variable:
        """Returns what an update of a metric can be traced for: outside replicas that is the part of one of them."""
        inside = tf.distribute.get_strategy() is self.strategy and not tf.distribute.in_cross_replica_context()
        return variable if inside else self.strategy.experimental_local_results(variable)[0]

    def _create(self, call: Call, name: str, kwargs: dict[str, Any]) -> tf.Variable:
        initial = kwargs.get("initial_value")
        if tf.is_symbolic_tensor(initial):
            value = tf.get_static_value(initial)
            if value is None:
                call.pending[name] = initial
                self.unset.add(name)
                value = _zeros_like(name, initial)
            initial = value
        settings = {key: kwargs.get(key) for key in ("trainable", "dtype", "constraint", "shape")}
        synchronization = kwargs.get("synchronization") or tf.VariableSynchronization.AUTO

        def make() -> tf.Variable:
            with self.strategy.scope():
                return tf.Variable(
                    initial,
                    name=name,
                    validate_shape=kwargs.get("validate_shape", True),
                    synchronization=synchronization,
                    aggregation=_aggregation(kwargs.get("aggregation")),
                    **settings,
                )

        variable = _tensorflow.outside_graphs(make)
        self._as_in_graph(variable)
        return variable

    def _as_in_graph(self, variable: tf.Variable) -> None:
        for part in self.strategy.experimental_local_results(variable):
            _v1_variable.as_in_graph(part)

    def _name_and_role(self, call: Call, kwargs: dict[str, Any]) -> tuple[str, str]:
        # compat.v1 slots come as "w/Adam/": a name scope to enter as it is, which names the variable without the slash.
        name = (kwargs.get("name") or "Variable").rstrip("/")
        scope = _tensorflow.keras_scope()
        if scope is None:
            prefix = tf.get_current_name_scope()
            if call.base_scope:
                prefix = prefix.removeprefix(call.base_scope).removeprefix("/")
            role = "metric" if _is_local(kwargs) or _keras_2.is_metric_variable(kwargs) else "model"
            name = f"{prefix}/{name}" if prefix else name
            return (self.renamed[-1](name) if self.renamed else name), role
        path, owner = scope
        if isinstance(owner, keras.optimizers.Optimizer):
            return self._optimizer_name(owner, name, call), "optimizer"
        if isinstance(owner, keras.metrics.Metric):
            return f"{path}/{name}", "metric"
        return f"{path}/{name}", "random" if isinstance(owner, keras.random.SeedGenerator) else "model"

    def _optimizer_name(self, optimizer: keras.optimizers.Optimizer, name: str, call: Call) -> str:
        """Returns tf.estimator's name for the variable that Keras 3 calls `<path, with underscores>_<slot>`."""
        kind = type(optimizer).__name__
        # Two optimizers of a class in one model_fn: tf.estimator told them apart by a number.
        same = call.optimizers.setdefault(kind, [])
        if not any(other is optimizer for other, _ in same):
            context = _context.current()
            scope = "training" if context is None else context.optimizer_scope
            same.append((optimizer, f"{scope}/{kind}" if not same else f"{scope}/{kind}_{len(same)}"))
        prefix = next(prefix for other, prefix in same if other is optimizer)
        number = call.slots[prefix, name]
        call.slots[prefix, name] += 1
        references = _optimizer_names.references(optimizer, call.variables)
        return _optimizer_names.variable_name(prefix, kind, name, references, number)

    def _unknown_message(self, name: str, call: Call) -> str:
        near = difflib.get_close_matches(name, self._entries, n=3, cutoff=0.5)
        return (
            f"model_fn asked for the variable {name!r} in mode {call.mode!r}, but neither an earlier call of model_fn "
            "nor the checkpoint has it. "
            "Every call of model_fn must name the same layers and variables alike. Closest names that exist: "
            f"{near or 'none'}."
        )


def _is_local(arguments: Mapping[str, Any]) -> bool:
    """Returns whether a variable, of which the arguments are given, is one of the graph's local ones."""
    return tf.compat.v1.GraphKeys.LOCAL_VARIABLES in (arguments.get("collections") or ())


def _unused(name: str, asked: dict[str, tf.Variable]) -> str:
    """Returns `name`, or `name_1`, ... where this call has asked for it before: those are two variables."""
    candidate, number = name, 0
    while candidate in asked:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _check_agrees(name: str, variable: tf.Variable, kwargs: dict[str, Any], mode: str) -> None:
    initial, shape, dtype = kwargs.get("initial_value"), kwargs.get("shape"), kwargs.get("dtype")
    if callable(initial):
        shape = _tensorflow.keras_initial_shape(initial) if shape is None else shape
    elif initial is not None and (shape is None or dtype is None):
        known = initial if hasattr(initial, "shape") and hasattr(initial, "dtype") else tf.convert_to_tensor(initial)
        shape, dtype = known.shape if shape is None else shape, known.dtype if dtype is None else dtype
    asked = made = ""
    if shape is not None and not tf.TensorShape(shape).is_compatible_with(variable.shape):
        asked, made = f"shape {tuple(tf.TensorShape(shape))}", f"shape {tuple(variable.shape)}"
    elif dtype is not None and tf.as_dtype(dtype).base_dtype != variable.dtype.base_dtype:
        asked, made = f"dtype {tf.as_dtype(dtype).name}", f"dtype {variable.dtype.name}"
    if asked:
        raise ModelFnVariablesError(
            f"model_fn asked for the variable {name!r} with {asked} in mode {mode!r}, but an earlier call of model_fn "
            f"made it with {made}. Give the two variables different names, or make the two alike; shapes may also "
            "follow from features that come in another shape than before."
        )


def _zeros_like(name: str, initial: tf.Tensor) -> Any:
    if not initial.shape.is_fully_defined():
        raise ModelFnVariablesError(
            f"The variable {name!r} starts from a tensor of shape {initial.shape}, which is not fully known. Give it a "
            "static shape, or pass a "
            "function that returns the initial value."
        )
    return np.zeros(tuple(initial.shape), initial.dtype.as_numpy_dtype)


def _aggregation(aggregation: Any) -> tf.VariableAggregation:
    # compat.v1 has an enumeration of its own; the values agree.
    return tf.VariableAggregation.NONE if aggregation is None else tf.VariableAggregation(aggregation.value)


def _take_name(graph: Any, call: Call, name: str) -> None:
    """Lets no operation of `graph` have the name of a variable, as if it were made there: others get a number."""
    with tf.name_scope(f"{call.base_scope}/" if call.base_scope else ""):
        graph.unique_name(name)


def _register(graph: Any, variable: tf.Variable, kwargs: dict[str, Any]) -> None:
    """Adds `variable` to the graph's collections, where compat.v1 code looks for it."""
    keys = list(kwargs.get("collections") or [tf.compat.v1.GraphKeys.GLOBAL_VARIABLES])
    if variable.trainable and tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES not in keys:
        keys.append(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES)
    for key in keys:
        if not any(other is variable for other in graph.get_collection(key)):
            graph.add_to_collection(key, variable)
