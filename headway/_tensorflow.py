"""The one place that touches names which TensorFlow and Keras do not document.

Each entry says what it is for and when it can go.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import keras
import tensorflow as tf
from keras.src.backend.common import global_state, masking
from keras.src.backend.common import variables as keras_variables
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2
from tensorflow.python import tf2
from tensorflow.python.compat import v2_compat
from tensorflow.python.data.ops import debug_mode, map_op
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import op_def_registry, tensor_shape

_T = TypeVar("_T")


@contextlib.contextmanager
def fresh_keras_names() -> Iterator[None]:
    """Starts Keras's automatic names and its name-scope stack anew, and puts the old ones back at the end.

    Keras counts names for the whole process, so that a second call of a model_fn would name its layers differently.
    Can go when Keras offers a scope for automatic names.
    """
    kept = {key: global_state.get_global_attribute(key) for key in ("object_name_uids", "name_scope_stack")}
    for key in kept:
        global_state.set_global_attribute(key, None)
    try:
        yield
    finally:
        for key, value in kept.items():
            global_state.set_global_attribute(key, value)


@contextlib.contextmanager
def v2_behavior() -> Iterator[None]:
    """Switches on what `tf.compat.v1.disable_v2_behavior` has switched off, eager execution first, and off at the end.

    TensorFlow documents the switches as settings for a whole program, without a way to ask for some of them. Can go
    when nobody disables eager execution.
    """
    v1, was_eager = tf.compat.v1, eager_context.default_execution_mode
    # A thread takes its mode from the default when it is first asked for it.
    eager_context.context().executing_eagerly()
    undo: list[Callable[[], Any]] = []
    if not tf2.enabled():
        _set_tf2(True)
        undo.append(lambda: _set_tf2(False))
    if tensor_shape._TENSORSHAPE_V2_OVERRIDE is False:
        v1.enable_v2_tensorshape()
        undo.append(v1.disable_v2_tensorshape)
    if not tf.Tensor._USE_EQUALITY:
        v1.enable_tensor_equality()
        undo.append(v1.disable_tensor_equality)
    if not v1.resource_variables_enabled():
        v1.enable_resource_variables()
        undo.append(v1.disable_resource_variables)
    if not v1.control_flow_v2_enabled():
        v1.enable_control_flow_v2()
        undo.append(v1.disable_control_flow_v2)
    # Threads that are made meanwhile begin in this mode.
    eager_context.default_execution_mode = eager_context.EAGER_MODE
    try:
        with eager_context.eager_mode():
            yield
    finally:
        eager_context.default_execution_mode = was_eager
        for restore in reversed(undo):
            restore()


def executing_eagerly() -> contextlib.AbstractContextManager[None]:
    """Executes eagerly in this thread, also in a program that has disabled it. Can go when nobody disables it."""
    scope: contextlib.AbstractContextManager[None] = eager_context.eager_mode()
    return scope


def _set_tf2(enabled: bool) -> None:
    (tf2.enable if enabled else tf2.disable)()
    callbacks = v2_compat._DATA_V2_CALLBACKS
    for name in callbacks.list():
        callbacks.lookup(name)()


def keras_scope() -> tuple[str, Any] | None:
    """Returns the path of the open Keras name scopes and the object that opened the innermost one; None outside Keras.

    Keras 3 gives `tf.Variable` only the last part of a variable's name. Can go when it gives the path.
    """
    stack = global_state.get_global_attribute("name_scope_stack")
    if not stack:
        return None
    return str(keras_variables.current_path()), stack[-1].caller


def keras_initial_shape(initial_value: Any) -> tuple[int | None, ...] | None:
    """Returns the shape of the Keras variable that a function makes the initial value of; None if it is none of Keras.

    Keras 3 gives `tf.Variable` a function and no shape. Can go when it gives the shape.
    """
    for cell in getattr(initial_value, "__closure__", None) or ():
        if isinstance(cell.cell_contents, keras.Variable):
            return tuple(cell.cell_contents.shape)
    return None


def keras_variable_value(variable: Any) -> tf.Variable:
    """Returns the `tf.Variable` behind a Keras variable, and any other variable as it is."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def count_of_calls(optimizer: Any) -> Any:
    """Returns the Keras variable that counts the calls of an optimizer.

    Where gradients are accumulated, the documented `iterations` is a number made of it. Can go when that is a variable.
    """
    return optimizer._iterations


def variables_of_slots(optimizer: Any) -> list[Any]:
    """Returns the variables that an optimizer makes its slots for, in their order; none before it is built.

    Keras names slots ambiguously, and documents no way from one to its variable. Can go when it does.
    """
    return list(optimizer._trainable_variables) if optimizer.built else []


def accumulation_state(optimizer: Any) -> tuple[tf.Variable, list[tf.Variable], list[tf.Variable]]:
    """Returns the variables of an optimizer that accumulates gradients: its count, the sums, and its slots.

    Keras documents `optimizer.variables`, one flat list. Can go when it names them.
    """
    apart = [optimizer._iterations, *optimizer._accumulated_gradients]
    if optimizer.use_ema:
        apart += optimizer._model_variables_moving_average
    known = {id(variable) for variable in [*apart, optimizer._learning_rate]}
    slots = [keras_variable_value(variable) for variable in optimizer.variables if id(variable) not in known]
    sums = [keras_variable_value(variable) for variable in optimizer._accumulated_gradients]
    return keras_variable_value(optimizer._iterations), sums, slots


def update_by_keras(optimizer: Any, gradients: list[Any], variables: list[tf.Variable]) -> None:
    """Makes the update of an optimizer alone: no clipping, no accumulation, no averages of weights, no counting.

    Can go when Keras accumulates gradients on several replicas.
    """
    with keras.name_scope(optimizer.name, caller=optimizer):
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(gradients, variables, optimizer.learning_rate)


def average_by_keras(optimizer: Any) -> None:
    """Moves the averages of weights that an optimizer keeps. Can go with `update_by_keras`."""
    optimizer._update_model_variables_moving_average(optimizer._trainable_variables)


def schedule_of(optimizer: Any) -> Any:
    """Returns the schedule of a Keras optimizer's learning rate, or None.

    Its `learning_rate` is what the schedule says in this step. Can go when the schedule itself can be had.
    """
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def copy_weight_decay_exclusions(source: Any, target: Any) -> None:
    """Leaves the variables out of the weight decay of one Keras optimizer that another one leaves out, by name.

    The configuration of an optimizer does not hold them. Can go when it does.

    Raises:
      ValueError: if variables themselves are left out, which another model's are not.
    """
    if getattr(source, "_exclude_from_weight_decay", None):
        raise ValueError(
            "`exclude_from_weight_decay(var_list=...)` names variables that are not those of the model. Pass "
            "`var_names`, or a function that makes the optimizer inside the model_fn"
        )
    target._exclude_from_weight_decay_pattern = getattr(source, "_exclude_from_weight_decay_pattern", None)


@contextlib.contextmanager
def fresh_collections(graph: Any) -> Iterator[None]:
    """Empties the collections of `graph` (v1 variables, summaries, ...), and puts them back at the end.

    Function graphs share the lists of the graphs around them, so that one call of a model_fn would see what another has
    left.
    """
    kept = {key: graph.get_collection(key) for key in list(graph.collections)}
    for key in kept:
        graph.clear_collection(key)
    try:
        yield
    finally:
        set_collections(graph, kept)


def set_collections(graph: Any, collections: Mapping[str, Sequence[Any]]) -> None:
    """Lets a graph have these collections, and no others."""
    for key in list(graph.collections):
        graph.clear_collection(key)
    for key, values in collections.items():
        for value in values:
            graph.add_to_collection(key, value)


def optimizer_slots(optimizer: Any, kind: str) -> list[Any]:
    """Returns the slots of one kind ("accumulators", ...) of a built Keras optimizer, in the order of its variables.

    Keras documents `optimizer.variables`, one flat list. Can go when it documents the slots.
    """
    return list(getattr(optimizer, kind if hasattr(optimizer, kind) else f"_{kind}"))


def nadam_momentum_product(optimizer: Any) -> tf.Variable:
    """Returns the variable in which a built Nadam keeps the product of its momentums so far.

    Keras documents `optimizer.variables`, one flat list. Can go when it names this one.
    """
    return keras_variable_value(optimizer._u_product)


def encloses(outer: Any, graph: Any) -> bool:
    """Returns whether `graph` may use tensors of `outer`: is it, or is the graph of a function traced inside it.

    `tf.Graph` does not tell of the graphs around it. Can go when it does.
    """
    while graph is not None and graph is not outer:
        graph = getattr(graph, "outer_graph", None)
    return graph is outer


def outside_graphs(make: Callable[[], _T]) -> _T:
    """Returns `make()`, run where no graph, name scope, device, tape or variable creator scope is open.

    `tf.init_scope` leaves the creator scopes of the function being traced in force, among them the one by which
    `tf.function` notes that it has made variables, after which it traces everything a second time. They, and the scopes
    of strategies, belong to the graph on top, here to an empty one. (A thread of its own has none of them either, and
    takes some milliseconds to begin, for each variable of a model.) Optimizers of TensorFlow 1 know their variables by
    the key of the graph in which they ask for them. Can go when a variable can be made in eager mode from anywhere.
    """
    empty = tf.Graph()
    empty._graph_key = tf.compat.v1.get_default_graph()._graph_key
    with (
        empty.as_default(),
        eager_context.eager_mode(),
        fresh_keras_names(),
        tf.name_scope(""),
        tf.device(None),
        tf.init_scope(),  # in eager mode it only stops the tapes
    ):
        return make()


def scale_v1_losses(strategy: tf.distribute.Strategy, scale: bool) -> bool:
    """Says whether compat.v1 optimizers divide the loss by the number of replicas, whose gradients they add up.

    tf.estimator switched this on for every model_fn. Returns whether they did before. Can go with compat.v1.
    """
    before, strategy._scale_loss_for_estimator = strategy._scale_loss_for_estimator, scale
    return bool(before)


def leaves_nothing_to_tune(dataset: tf.data.Dataset) -> bool:
    """Returns whether no stage of a pipeline has a size or a parallelism that tf.data is to find out (`AUTOTUNE`).

    Can go when a dataset tells its stages.
    """
    stages = [dataset]
    while stages:
        stage = stages.pop()
        settings = (getattr(stage, name, None) for name in ("_num_parallel_calls", "_buffer_size", "_cycle_length"))
        if any(value is not None and tf.get_static_value(value) == tf.data.AUTOTUNE for value in settings):
            return False
        stages.extend(stage._inputs())
    return True


def map_in_one_thread(dataset: tf.data.Dataset, fn: Callable[..., Any]) -> tf.data.Dataset:
    """Returns a dataset mapped in order, several elements at a time, each call of `fn` in one thread where it can be.

    For functions of many short operations: to hand each of them to a thread costs more than it takes. One with
    branches or loops cannot be run so. Can go when `tf.data.Dataset.map` offers it.
    """
    calls = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    if not debug_mode.DEBUG_MODE:
        mapped: tf.data.Dataset = map_op._ParallelMapDataset(
            dataset, fn, use_inter_op_parallelism=False, preserve_cardinality=True, **calls
        )
        if not _CONTROL_FLOW & {node.op for node in _nodes(mapped)}:
            return mapped
    return dataset.map(fn, **calls)


_CONTROL_FLOW = {"If", "While", "Case", "For", "Switch", "Merge", "Enter"}
_CONTROL_FLOW |= {"StatelessIf", "StatelessWhile", "StatelessCase"}


def _nodes(stage: Any) -> list[Any]:
    """Returns the nodes of the functions of a dataset's last stage, and of all that these call."""
    graphs = [wrapper.function.graph.as_graph_def() for wrapper in stage._functions()]
    return [
        node
        for graph in graphs
        for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def))
    ]


def iterator_state(iterator: Any) -> dict[str, tf.Tensor]:
    """Returns the state of an eager dataset iterator, by name, as `tf.train.Checkpoint` would save it.

    Saving is documented, its parts are not. Can go when tf.data tells whether a position can be saved.
    """
    state: dict[str, tf.Tensor] = iterator._serialize_to_tensors()
    return state


def shuffles_anew(dataset: tf.data.Dataset) -> bool:
    """Returns whether each iterator of a dataset draws new seeds, and so changes what those before it give later on.

    Can go when a dataset tells its stages.
    """
    return any("Shuffle" in type(stage).__name__ for stage in _all_stages(dataset))


def stateful_operation(dataset: tf.data.Dataset) -> str | None:
    """Returns the type of an operation with a state of its own in the functions of a dataset; None if there is none.

    Can go when tf.data tells whether a position can be saved.
    """
    for stage in _all_stages(dataset):
        for kind in sorted({node.op for node in _nodes(stage)} - _WITHOUT_STATE):
            definition = op_def_registry.get(kind)
            if definition is not None and definition.is_stateful:
                return str(kind)
    return None


# What they call is looked at for itself; a check keeps no state, nor does what is looked up.
_WITHOUT_STATE = {"StatefulPartitionedCall", "If", "While", "Case", "Assert", "LookupTableFindV2", "LookupTableSizeV2"}


def _all_stages(dataset: Any) -> Iterator[Any]:
    # What tf.compat.v1.data makes is wrapped once more.
    stage = getattr(dataset, "_dataset", dataset)
    yield stage
    for earlier in stage._inputs():
        yield from _all_stages(earlier)


def stages_of(dataset: tf.data.Dataset) -> list[tuple[str, dict[str, Any]]] | None:
    """Returns how a dataset is made: (name of the `tf.data.Dataset` method, its arguments), from the source on.

    Known are `from_tensor_slices` of plain tensors and what leaves elements as they are, or batches them; with any
    other stage the result is None. "with_options" stands without arguments: `dataset.options()` has those of all
    stages. The seeds of "shuffle" are those that the stage has drawn. Can go when a dataset tells its stages.
    """
    stages: list[tuple[str, dict[str, Any]]] = []
    stage: Any = dataset
    while True:
        # What tf.compat.v1.data makes is wrapped once more.
        stage = getattr(stage, "_dataset", stage)
        name, arguments = _STAGES.get(type(stage).__name__, (None, {}))
        if name is None or not all(hasattr(stage, attribute) for attribute in arguments.values()):
            return None
        values = {argument: getattr(stage, attribute) for argument, attribute in arguments.items()}
        if name != "from_tensor_slices":
            values = {argument: _number(value) for argument, value in values.items()}
        stages.append((name, values))
        if name == "from_tensor_slices":
            specs = tf.nest.flatten(stage.element_spec)
            plain = all(isinstance(spec, tf.TensorSpec) for spec in specs)
            return stages[::-1] if plain and len(specs) == len(values["tensors"]) else None
        stage = stage._input_dataset


def outline(dataset: tf.data.Dataset) -> list[str]:
    """Returns what each stage of a dataset is, with the numbers of those that are known; sizes of buffers aside.

    Two datasets of one outline are taken to be the same input, made again. Can go when a dataset tells its stages.
    """
    found: list[str] = []
    todo: list[Any] = [dataset]
    while todo:
        stage = todo.pop()
        stage = getattr(stage, "_dataset", stage)
        kind = type(stage).__name__
        _, known = _STAGES.get(kind, ("", {}))
        numbers = {name: _number(getattr(stage, attribute, None)) for name, attribute in known.items()}
        if kind == "_TensorSliceDataset":
            numbers = {"rows": stage._tensors[0].shape[0]}
        # What only runs ahead or is drawn anew changes no batch.
        numbers = {name: number for name, number in numbers.items() if name not in ("seed", "seed2")}
        if kind not in ("_PrefetchDataset", "_OptionsDataset"):
            found.append(f"{kind.strip('_')}{sorted(numbers.items())}")
        todo.extend(stage._inputs())
    return found


def _number(value: Any) -> Any:
    if not isinstance(value, tf.Tensor):
        return value
    static = tf.get_static_value(value)
    return None if static is None else static.item()


_STAGES: dict[str, tuple[str, dict[str, str]]] = {
    "_TensorSliceDataset": ("from_tensor_slices", {"tensors": "_tensors"}),
    "_ShuffleDataset": (
        "shuffle",
        {
            "buffer_size": "_buffer_size",
            "seed": "_seed",
            "seed2": "_seed2",
            "reshuffle_each_iteration": "_reshuffle_each_iteration",
        },
    ),
    "_RepeatDataset": ("repeat", {"count": "_count"}),
    "_TakeDataset": ("take", {"count": "_count"}),
    "_SkipDataset": ("skip", {"count": "_count"}),
    "_ShardDataset": ("shard", {"num_shards": "_num_shards", "index": "_index"}),
    "_BatchDataset": ("batch", {"batch_size": "_batch_size", "drop_remainder": "_drop_remainder"}),
    "_PrefetchDataset": ("prefetch", {"buffer_size": "_buffer_size"}),
    "_OptionsDataset": ("with_options", {}),
}


def feature_column_fields(value: object) -> tuple[str, dict[str, Any]] | None:
    """Returns class name and fields of a column of `tf.feature_column`, or of a class derived from one; else None.

    TensorFlow does not document the classes of its columns. Can go with tf.feature_column.
    """
    if not any(base.__module__.startswith("tensorflow.python.feature_column.") for base in type(value).__mro__):
        return None
    own = type(value).__module__.startswith("tensorflow.python.feature_column.")
    name = type(value).__name__ if own else type(value).__qualname__ + " (not TensorFlow's)"
    return name, {field: getattr(value, field) for field in getattr(value, "_fields", ())}


def shared_embedding_fields(creator: Any) -> dict[str, Any]:
    """Returns what columns of one call of `tf.feature_column.shared_embeddings` have in common.

    Can go with tf.feature_column.
    """
    names = ["name", "dimension", "initializer", "ckpt_to_load_from", "tensor_name_in_ckpt", "trainable"]
    return {name: getattr(creator, f"_{name}") for name in names}


def truncated_normal_stddev(initializer: object) -> float | None:
    """Returns the standard deviation of an unseeded truncated normal initializer of compat.v1 with mean 0, else None.

    It is what `tf.feature_column` takes for embeddings by default. Can go with tf.feature_column.
    """
    if not isinstance(initializer, tf.compat.v1.truncated_normal_initializer):
        return None
    config = initializer.get_config()
    return config["stddev"] if config["mean"] == 0.0 and config["seed"] is None else None


def set_keras_mask(tensor: Any, mask: tf.Tensor) -> None:
    """Attaches the mask by which Keras layers that come next leave out steps.

    Keras takes masks from `compute_mask`, which sees a layer's inputs only. Can go when it sees the outputs.
    """
    masking.set_keras_mask(tensor, mask)


OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The tensor of an object-based checkpoint that holds the graph of its objects."""


def object_checkpoint_names(reader: Any) -> dict[str, str]:
    """Returns the name of each variable in an object-based checkpoint -> its key there; names of several are left out.

    TensorFlow documents neither the tensor nor its format. Can go when it lists names beside keys.
    """
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))
    pairs = [(attribute.full_name, attribute.checkpoint_key) for node in graph.nodes for attribute in node.attributes]
    count = collections.Counter(name for name, _ in set(pairs))
    return {name: key for name, key in pairs if name and count[name] == 1}


def saved_model_names(folder: str) -> dict[str, str]:
    """Returns the name of each variable in a SavedModel -> its key in the checkpoint there; names of several left out.

    Keras 3 exports models whose checkpoint has no names, and has each variable a second time among its private parts.
    TensorFlow does not document the format. Can go when it lists names beside keys.
    """
    with tf.io.gfile.GFile(f"{folder}/saved_model.pb", "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    nodes = saved.meta_graphs[0].object_graph_def.nodes
    todo, seen, pairs = [(0, "")], {0}, list[tuple[str, str]]()
    for number, path in todo:
        if nodes[number].WhichOneof("kind") == "variable":
            pairs.append((nodes[number].variable.name, f"{path}/.ATTRIBUTES/VARIABLE_VALUE"))
        for child in nodes[number].children:
            if child.node_id not in seen and not child.local_name.startswith("_"):
                seen.add(child.node_id)
                todo.append((child.node_id, f"{path}/{child.local_name}".lstrip("/")))
    count = collections.Counter(name for name, _ in pairs)
    return {name: key for name, key in pairs if name and count[name] == 1}


def compile_arguments(model: Any) -> dict[str, Any]:
    """Returns the arguments of `compile` as the user gave them.

    Keras documents them serialised, which not all can be (`get_compile_config`). Can go when it gives the objects.
    """
    return dict(model._compile_config.config)
