"""What TensorFlow and Keras do not document, of sessions, `tf.compat.v1` and Keras 2; all of it can go with these."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src import optimizers as keras_optimizers
from tensorflow.python.distribute.cross_device_ops import CollectiveAllReduce
from tensorflow.python.framework import func_graph
from tensorflow.python.ops import lookup_ops, summary_ops_v2
from tensorflow.python.training import checkpoint_utils


def save_by_hook(hook: Any, session: Any, step: int) -> bool:
    """Lets a `tf.compat.v1.train.CheckpointSaverHook` save now; returns whether a listener wants training to end.

    The hook decides itself when it saves. Can go with it.
    """
    return bool(hook._save(session, step))


def add_listeners(hook: Any, listeners: Sequence[Any]) -> None:
    """Adds listeners to a `tf.compat.v1.train.CheckpointSaverHook` that a user has made.

    It takes them when it is made only. Can go with it.
    """
    hook._listeners.extend(listener for listener in listeners if listener not in hook._listeners)


def named_updates(kind: Any) -> dict[str, Any]:
    """Returns what a class derived from a class of variables needs so that updates go by the names of their operations.

    That is their name in a graph of TensorFlow 1, by which `get_collection(UPDATE_OPS, scope)` finds those of a scope.
    In a function TensorFlow calls all of them "UnreadVariable". Can go with compat.v1's collections.
    """

    def lazy_read(self: Any, op: Any) -> Any:
        update = kind._lazy_read(self, op)
        if isinstance(op, tf.Operation):
            plain: Any = type(update)
            update.__class__ = _class_named_after_op(plain)
        return update

    return {"_lazy_read": lazy_read}


@functools.cache
def _class_named_after_op(kind: Any) -> Any:
    return type(kind.__name__, (kind,), {"__doc__": kind.__doc__, "name": property(lambda self: self._parent_op.name)})


def is_loss_divided(graph: tf.Graph) -> bool:
    """Returns whether an optimizer of `tf.compat.v1.train` has divided the loss of a graph by the number of replicas.

    tf.estimator reported the mean of the replicas' losses then, and their sum otherwise. Can go with compat.v1.
    """
    return bool(graph._is_loss_scaled_by_optimizer) and (
        tf.compat.v1.distribute.get_loss_reduction() == tf.distribute.ReduceOp.MEAN
    )


@contextlib.contextmanager
def reduced_in_session(strategy: Any) -> Iterator[None]:
    """Lets a strategy add up on one device where its replicas are no GPUs, as one that was made in a graph does.

    A strategy that was made under eager execution has collective operations of CPUs, which wait for each other for ever
    in a session. Can go with sessions.
    """
    extended = strategy.extended
    before = getattr(extended, "_cross_device_ops", None)
    if not isinstance(before, CollectiveAllReduce) or all("GPU" in device for device in extended.worker_devices):
        yield
        return
    extended._cross_device_ops = tf.distribute.ReductionToOneDevice()
    try:
        yield
    finally:
        extended._cross_device_ops = before


def keep_global_step_read(graph: tf.Graph, value: tf.Tensor) -> None:
    """Says what the hooks of `tf.compat.v1.train` read as the global step of a graph.

    They make it at the first need, which may be in the thread of one replica. Can go with compat.v1.
    """
    graph.add_to_collection("global_step_read_op_cache", value)


def has_got_variables(graph: tf.Graph) -> bool:
    """Returns whether code in a graph has asked for variables by `tf.compat.v1.get_variable`.

    Can go with compat.v1.
    """
    return any(store._vars for store in graph.get_collection(("__variable_store",)))


AUTOGRAPH = "tensorflow.python.autograph"
"""The modules that call functions on behalf of code that autograph has rewritten."""
OLD_ESTIMATOR = "tensorflow.python.estimator"
"""The package inside TensorFlow by which old libraries import the modules of tensorflow_estimator."""

KERAS_3_ROOTS = ("keras._tf_keras.keras", "tensorflow.keras", "keras")
"""The names of the modules that `tf.keras` (before and after `import tensorflow.keras`) and `keras` are."""


def compat_modules(version: str) -> list[Any]:
    """Returns the module objects that go by `tf.compat.v1` or `tf.compat.v2`; there are several of each.

    `tf.compat.v1`, `import tensorflow.compat.v1`, and what each of them has as `compat.v1` are made by executing the
    same files under other names. Can go when they are one.
    """
    importlib.import_module(f"tensorflow.compat.{version}")
    ends = f".compat.{version}"
    return [sys.modules[name] for name in sorted(sys.modules) if name.startswith("tensorflow.") and name.endswith(ends)]


def keras_2_of_v1(name: str) -> Any:
    """Returns the module of Keras 2 that `tf.compat.v1.layers` ("layers") and `nn.rnn_cell` ("rnn_cell") were.

    Their layers take regularizers and constraints of Keras 3 as well. Can go with compat.v1.
    """
    kinds = {"regularizers": keras.regularizers.Regularizer, "constraints": keras.constraints.Constraint}
    for module_name, kind in kinds.items():
        module: Any = importlib.import_module(f"tf_keras.src.{module_name}")
        if not hasattr(module.get, "__wrapped__"):
            module.get = _get_of_both(module.get, kind)
    _as_in_graphs(_v1_layer())
    return importlib.import_module(f"tf_keras.api._v1.keras.__internal__.legacy.{name}")


def _v1_layer() -> Any:
    """Returns the class that the layers of `tf.compat.v1.layers` and the cells of `nn.rnn_cell` derive from."""
    return importlib.import_module("tf_keras.src.legacy_tf_layers.base").Layer


_REGULARIZED = "headway_regularized"
"""The collection of the names of variables whose regularization loss a function has already."""


def _as_in_graphs(layer: Any) -> None:
    """Lets the layers of `tf.compat.v1.layers` do in functions what they do in graphs.

    Their updates go to UPDATE_OPS, and a variable that several layers share has one regularization loss. Can go with
    compat.v1.
    """
    if "add_update" in vars(layer):
        return

    def add_update(self: Any, updates: Any) -> None:
        graph = tf.compat.v1.get_default_graph()
        if tf.executing_eagerly() or not graph.building_function:
            super(layer, self).add_update(updates)
            return
        context = _keras_2_call_context()
        if context.in_keras_graph or context.frozen:
            return
        made = [update() if callable(update) else update for update in tf.nest.flatten(updates)]
        for update in tf.nest.flatten(made):
            if update is not None:
                graph.add_to_collection(tf.compat.v1.GraphKeys.UPDATE_OPS, update)

    def regularize(self: Any, name: str, variable: Any, regularizer: Any) -> None:
        graph = tf.compat.v1.get_default_graph()
        if not tf.executing_eagerly() and graph.building_function:
            if variable.name in graph.get_collection(_REGULARIZED):
                return
            graph.add_to_collection(_REGULARIZED, variable.name)
        super(layer, self)._handle_weight_regularization(name, variable, regularizer)

    layer.add_update = add_update
    layer._handle_weight_regularization = regularize


def _get_of_both(get: Callable[[Any], Any], kind: type) -> Callable[[Any], Any]:
    """Returns `get` of Keras 2 for objects of a kind of Keras 3 too, which know no reference variables."""

    @functools.wraps(get)
    def get_of_both(identifier: Any) -> Any:
        found = get(identifier)
        if not isinstance(found, kind):
            return found
        of_tensor: Any = found
        return lambda variable: of_tensor(tf.convert_to_tensor(variable))

    return get_of_both


def keras_2(version: str) -> Any:
    """Returns what `tf.keras` ("v2") or `tf.compat.v1.keras` ("v1") is with Keras 2. Can go with tf_keras."""
    return importlib.import_module(f"tf_keras.api._{version}.keras")


def _keras_2_call_context() -> Any:
    return importlib.import_module("tf_keras.src.engine.base_layer_utils").call_context()


def in_keras_2_layer() -> bool:
    """Returns whether a layer of Keras 2 is being called in this thread that tells nobody of its updates.

    Those of `tf.compat.v1.layers` do. Can go with tf_keras.
    """
    context = _keras_2_call_context()
    return bool(context.in_call) and not isinstance(context.layer, _v1_layer())


def keras_2_settings(optimizer: Any) -> tuple[dict[str, Any], Any]:
    """Returns the configuration of an optimizer of Keras 2, and its learning rate as it was given.

    That may be a number, a schedule, a function, or a tensor of the graph, which a configuration cannot hold. Can go
    with tf_keras.
    """
    hyperparameters = getattr(optimizer, "_hyper", None)
    if hyperparameters is None:
        return optimizer.get_config(), optimizer._learning_rate
    rate, hyperparameters["learning_rate"] = hyperparameters["learning_rate"], 0.0
    try:
        return optimizer.get_config(), rate
    finally:
        hyperparameters["learning_rate"] = rate


class _Silent:
    """What stands where Keras 2 counts the loss of an epoch."""

    def update_state(self, *values: Any, **settings: Any) -> None:
        """Counts nothing."""


def keras_2_measures(model: Any) -> tuple[Any, Any]:
    """Returns what computes the loss, and what counts the metrics, as a model of Keras 2 was compiled; without state.

    `compile` may not be called where replicas run. Can go with tf_keras.
    """
    utils = importlib.import_module("tf_keras.src.engine.compile_utils")

    def fresh(metric: Any) -> Any:
        return type(metric).from_config(metric.get_config()) if hasattr(metric, "update_state") else metric

    losses, metrics = model.compiled_loss, model.compiled_metrics
    given = [tf.nest.map_structure(fresh, own) for own in (metrics._user_metrics, metrics._user_weighted_metrics)]
    names = {"output_names": model.output_names}
    measured = utils.LossesContainer(losses._user_losses, losses._user_loss_weights, **names)
    return measured, utils.MetricsContainer(*given, **names)


def keras_2_loss(losses: Any, labels: Any, outputs: Any, added: Any) -> tf.Tensor:
    """Returns the loss of a model of Keras 2, without counting it in the metrics that `fit` shows.

    Args:
      losses: the first one of `keras_2_measures`.
      labels: the labels.
      outputs: the outputs of the model.
      added: losses that the model itself adds.
    """
    losses.build(outputs)
    losses._total_loss_mean = _Silent()
    losses._per_output_metrics = [None] * len(losses._per_output_metrics)
    loss: tf.Tensor = losses(labels, outputs, regularization_losses=added)
    return loss


def let_keras_take(convert: Callable[[Any], Any]) -> None:
    """Lets `compile` of Keras 3 take what `convert` makes an optimizer of, and leaves as it is otherwise.

    Keras has no way to register optimizers of another kind. Can go with tf_keras.
    """
    get = keras_optimizers.get
    if not hasattr(get, "of_keras"):

        def get_converted(identifier: Any) -> Any:
            return get(convert(identifier))

        get_converted.of_keras = get  # type: ignore[attr-defined]
        keras_optimizers.get = get_converted


def add_names(module: types.ModuleType, loaders: Mapping[str, Callable[[], Any]]) -> None:
    """Gives a module further names, each loaded when it is first used; the names that it has stay.

    A module of TensorFlow may be a wrapper around another, which it asks for what it does not have.
    """
    plain: Any = getattr(module, "_tfmw_wrapped_module", module)
    before = plain.__dict__.get("__getattr__")

    def get(name: str) -> Any:
        if name in loaders:
            value = loaders[name]()
            setattr(plain, name, value)
            return value
        if before is not None:
            return before(name)
        raise AttributeError(f"module {plain.__name__!r} has no attribute {name!r}")

    plain.__getattr__ = get


def slice_of(variable: Any) -> tuple[str, str] | None:
    """Returns, for a part of a partitioned variable, the name of the whole in checkpoints and which slice it is.

    Can go with compat.v1's partitioners.
    """
    info = getattr(variable, "_save_slice_info", None)
    return None if info is None else (info.full_name, info.spec)


@dataclasses.dataclass(frozen=True)
class SaverSettings:
    """What a `tf.compat.v1.train.Saver` was made with.

    Attributes:
      names: name in the checkpoint -> variable; None for all variables under their own names.
      max_to_keep: number of newest checkpoints to keep; 0 or None for all.
      keep_every_n_hours: of the others, one in so many hours is kept.
    """

    names: dict[str, Any] | None
    max_to_keep: int | None
    keep_every_n_hours: float


def saver_settings(saver: Any) -> SaverSettings:
    """Returns the settings of a Saver, which has no properties for them. Can go with compat.v1."""
    variables = saver._var_list
    if variables is not None and not isinstance(variables, dict):
        parts = [part for value in variables for part in (value if isinstance(value, (list, tuple)) else [value])]
        variables = {part.name.partition(":")[0]: part for part in parts}
    return SaverSettings(variables, saver._max_to_keep, saver._keep_checkpoint_every_n_hours)


def scaffold_settings(scaffold: Any) -> dict[str, Any]:
    """Returns the arguments that a `tf.compat.v1.train.Scaffold` was given, without those that it was not.

    Can go with compat.v1.
    """
    names = {
        "init_op": scaffold._init_op,
        "init_feed_dict": scaffold._init_feed_dict,
        "init_fn": scaffold._user_init_fn,
        "ready_op": scaffold._ready_op,
        "ready_for_local_init_op": scaffold._ready_for_local_init_op,
        "local_init_op": scaffold._local_init_op,
        "local_init_feed_dict": scaffold._local_init_feed_dict,
        "summary_op": scaffold._summary_op,
        "saver": scaffold._saver,
    }
    return {name: value for name, value in names.items() if value is not None}


def hook_settings(hook: Any, names: Iterable[str]) -> dict[str, Any]:
    """Returns the arguments by which one of TensorFlow's own session hooks was made: argument -> value.

    Args:
      hook: the hook.
      names: names of its fields, without the underscore by which they begin. "timer" stands for `every_steps` and
        `every_secs`.
    """
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(hook, f"_{name}", None)
        if name == "timer":
            found |= {key: getattr(value, f"_{key}", None) for key in ("every_steps", "every_secs")}
        else:
            found[name] = value
    return found


def table_source(table: Any) -> dict[str, Any] | None:
    """Returns what a static lookup table is filled with, as arguments of the raw operation that does; None if unknown.

    That is `InitializeTableFromTextFileV2` where there is a "filename", else `LookupTableImportV2`. Can go when
    initializers tell.
    """
    source = getattr(table, "_initializer", None)
    if isinstance(source, tf.lookup.KeyValueTensorInitializer):
        return {"keys": source._keys, "values": source._values}
    if isinstance(source, tf.lookup.TextFileInitializer):
        names = ("key_index", "value_index", "delimiter", "offset")
        size = -1 if source._vocab_size is None else source._vocab_size
        path = getattr(source._filename, "asset_path", source._filename)
        return {"filename": path, "vocab_size": size, **{n: getattr(source, f"_{n}") for n in names}}
    return None


Handler = Callable[..., Any]
_handlers: dict[str, list[Handler]] = {}


def _places(key: str) -> list[tuple[Any, str]]:
    dataset = tf.compat.v1.data.Dataset
    optimizer = tf.compat.v1.train.Optimizer
    return {
        # (variable, path, tensor name, slice): `init_from_checkpoint` has found where a variable begins. In a function
        # TensorFlow would restore it in every step.
        "initializer": [(checkpoint_utils, "_set_checkpoint_initializer")],
        # (saver, ...): makes the operations of a Saver. In a function they would save and restore in every step.
        "saver": [(tf.compat.v1.train.Saver, "_build")],
        # (dataset, ...): makes an iterator.
        "one_shot_iterator": [(dataset, "_make_one_shot_iterator")],
        "initializable_iterator": [(dataset, "_make_initializable_iterator")],
        # (tag, tensor, step, metadata, name): what all of tf.summary writes with.
        "summary": [(summary_ops_v2, "write"), (tf.summary, "write"), (tf.compat.v2.summary, "write")],
        # (table): fills a table. In a function TensorFlow would fill it in every step.
        "table": [(lookup_ops.InitializableLookupTableBase, "_initialize")],
        # (graph, scope): the graph of a branch or loop takes on the name scope around it.
        "inner_scope": [(func_graph, "override_func_graph_name_scope")],
        # (replica context, function, ...): where one replica waits for the others.
        "merge_call": [(tf.distribute.ReplicaContext, "merge_call")],
        # (optimizer, loss, var_list, ...) and (optimizer, pairs, ...)
        "compute_gradients": [(optimizer, "compute_gradients")],
        "apply_gradients": [(optimizer, "apply_gradients")],
    }[key]


@contextlib.contextmanager
def answering(key: str, handler: Handler) -> Iterator[None]:
    """Lets `handler(original, *args, **kwargs)` answer calls of a function of TensorFlow; see `_places` for the keys.

    The handler is asked in all threads: a strategy runs parts of a model_fn in others. It calls `original` for what is
    not its own. Can go with compat.v1, and when a writer for tf.summary can be given.
    """
    if key not in _handlers:
        _handlers[key] = []
        for owner, name in _places(key):
            _route(owner, name, _handlers[key])
    _handlers[key].append(handler)
    try:
        yield
    finally:
        _handlers[key].remove(handler)


def _route(owner: Any, name: str, handlers: list[Handler]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def routed(*args: Any, **kwargs: Any) -> Any:
        def ask(index: int, *args: Any, **kwargs: Any) -> Any:
            if index < 0:
                return original(*args, **kwargs)
            return handlers[index](functools.partial(ask, index - 1), *args, **kwargs)

        return ask(len(handlers) - 1, *args, **kwargs)

    setattr(owner, name, routed)


def has_summary_writer() -> bool:
    """Returns whether a default writer of tf.summary is set; TensorFlow does not tell. Can go when it does."""
    return bool(summary_ops_v2.has_default_writer())
