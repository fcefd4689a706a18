"""Idioms of checkpoints, hooks, tables and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import idiom_program as program
import tensorflow as tf
from idiom_model import case, descend, linear, squared

v1 = tf.compat.v1


# ---------------------------------------------------------------------------------------------------------------------
# Values from other checkpoints


def _write_other(folder: str) -> None:
    """Writes a checkpoint as a TensorFlow 1 program of its own would."""
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("old"):
            v1.get_variable("w", initializer=tf.constant([[1.0], [2.0]]))
            v1.get_variable("b", initializer=tf.constant([0.5]))
        v1.get_variable("w", initializer=tf.constant([[-1.0], [0.75]]))
        v1.get_variable("b", initializer=tf.constant([-0.5]))
        v1.get_variable("linear/w", initializer=tf.constant([[3.0], [-1.0]]))
        v1.get_variable("linear/b", initializer=tf.constant([0.25]))
        v1.get_variable("table", initializer=tf.reshape(tf.range(12.0) / 10.0, [6, 2]))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, folder + "/model.ckpt", write_meta_graph=False)


_MAPS: dict[str, Callable[[], dict[str, Any]]] = {
    "names": lambda: {"old/w": "linear/w", "old/b": "linear/b"},
    "scope": lambda: {"old/": "linear/"},
    "root": lambda: {"/": "linear/"},
    "variables": lambda: {"old/w": v1.trainable_variables()[0], "linear/b": v1.trainable_variables()[1]},
    "some": lambda: {v.op.name: v for v in v1.trainable_variables() if v.op.name.endswith("/w")},
}


def _initialized(assignment: Callable[[], dict[str, Any]]) -> Callable[..., Any]:
    def body(api, features, labels, mode, params):
        loss = squared(linear(features), labels)
        v1.train.init_from_checkpoint(params["other"], assignment())
        return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))

    return body


for _name, _assignment in _MAPS.items():
    case(f"init_from_checkpoint {_name}", before=_write_other)(_initialized(_assignment))


@case("init_from_checkpoint partitions", before=_write_other)
def _(api, features, labels, mode, params):
    with v1.variable_scope("new", partitioner=v1.fixed_size_partitioner(3)):
        table = v1.get_variable("table", [6, 2], initializer=v1.zeros_initializer())
    y = linear(features) + tf.reduce_sum(tf.nn.embedding_lookup(table, features["ids"]), [1, 2])
    v1.train.init_from_checkpoint(params["other"], {"table": "new/table"})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


@case("init_from_checkpoint goes on", before=_write_other, then=lambda api, e, folder, seen: _train_again(e, seen))
def _(api, features, labels, mode, params):
    # A second call of train goes on from its own checkpoint, not from the other one.
    loss = squared(linear(features), labels)
    v1.train.init_from_checkpoint(params["other"], {"old/": "linear/"})
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


def _train_again(estimator: Any, seen: dict[str, Any]) -> None:
    estimator.train(program.rows, steps=2)
    seen["again"] = program.variables(estimator.model_dir)


@case("Scaffold init_fn", needs_graph=True, before=_write_other)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    saver = v1.train.Saver({"old/w": v1.trainable_variables()[0], "old/b": v1.trainable_variables()[1]})
    scaffold = v1.train.Scaffold(
        init_fn=lambda scaffold, session: saver.restore(session, params["other"] + "/model.ckpt")
    )
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), scaffold=scaffold)


@case("Scaffold saver")
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    train_op = descend(loss)
    scaffold = v1.train.Scaffold(saver=v1.train.Saver(max_to_keep=2, keep_checkpoint_every_n_hours=1.0))
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=scaffold)


@case("Scaffold local_init_op", needs_graph=True)
def _(api, features, labels, mode, params):
    count = v1.get_local_variable("count", [], initializer=v1.zeros_initializer())
    local = tf.group(v1.local_variables_initializer(), v1.tables_initializer())
    with tf.control_dependencies([local]):
        local = v1.assign(count, 5.0)
    loss = squared(linear(features), labels) + count
    scaffold = v1.train.Scaffold(local_init_op=local)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), scaffold=scaffold)


# ---------------------------------------------------------------------------------------------------------------------
# Hooks


def _named(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    tf.reduce_mean(y, name="mean_of_y")
    with v1.name_scope("inside"):
        tf.identity(y[0], name="first")
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


class _Lines:
    """Keeps what a LoggingTensorHook would have written."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def __call__(self, values: dict[str, Any]) -> str:
        self.lines.append({name: program.shown(value) for name, value in sorted(values.items())})
        return "logged"


_lines = _Lines()


def _logging(api: Any, folder: str) -> list[Any]:
    _lines.lines.clear()
    tensors = {"mean": "mean_of_y", "first": "inside/first:0"}
    return [v1.train.LoggingTensorHook(tensors, every_n_iter=2, formatter=_lines)]


def _logged(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["logged"] = list(_lines.lines)


case("LoggingTensorHook by names", steps=4, hooks=_logging, then=_logged)(_named)


@case("LoggingTensorHook in the spec", steps=4, then=_logged)
def _(api, features, labels, mode, params):
    y = linear(features)
    loss = squared(y, labels)
    _lines.lines.clear()
    mean = tf.reduce_mean(y, name="mean_of_y")
    hook = v1.train.LoggingTensorHook({"a": mean, "b": "mean_of_y:0"}, every_n_iter=3, formatter=_lines)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), training_hooks=[hook])


def _listed(folder: str) -> list[str]:
    files = (name for name in tf.io.gfile.listdir(folder) if name.endswith(".index"))
    return sorted(name for name in files if ".input." not in name)


def _checkpoints(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["checkpoints"] = _listed(estimator.model_dir)


@case(
    "TensorFlow's own hooks",
    steps=9,
    hooks=lambda api, folder: [
        v1.train.StopAtStepHook(last_step=5),
        v1.train.CheckpointSaverHook(folder, save_steps=2),
        v1.train.StepCounterHook(every_n_steps=1000),
        v1.train.GlobalStepWaiterHook(0),
    ],
    then=_checkpoints,
)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    hooks = [v1.train.NanTensorHook(loss), v1.train.StopAtStepHook(num_steps=7)]
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss), training_hooks=hooks)


class _Counter(v1.train.SessionRunHook):
    """Counts steps, and stops."""

    def begin(self) -> None:
        self.calls = ["begin"]

    def before_run(self, run_context: Any) -> None:
        self.calls.append("before")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.calls.append("after")
        if len(self.calls) > 4:
            run_context.request_stop()

    def end(self, session: Any) -> None:
        self.calls.append("end")


_counter = _Counter()


def _counted(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["calls"] = list(_counter.calls)


case("SessionRunHook without fetches", steps=9, hooks=lambda api, folder: [_counter], then=_counted)(_named)


class _Fetching(v1.train.SessionRunHook):
    """Fetches a tensor by its name."""

    def before_run(self, run_context: Any) -> Any:
        return v1.train.SessionRunArgs({"mean": "mean_of_y:0"})

    def after_run(self, run_context: Any, run_values: Any) -> None:
        _lines(run_values.results)


def _fetching(api: Any, folder: str) -> list[Any]:
    _lines.lines.clear()
    return [_Fetching()]


case("SessionRunHook with fetches", hooks=_fetching, then=_logged, needs_graph=True)(_named)


class _Listener(v1.train.CheckpointSaverListener):
    """Notes its calls."""

    def begin(self) -> None:
        self.calls: list[Any] = ["begin"]

    def before_save(self, session: Any, global_step_value: int) -> None:
        self.calls.append(["before", int(global_step_value)])

    def after_save(self, session: Any, global_step_value: int) -> bool:
        self.calls.append(["after", int(global_step_value)])
        return global_step_value >= 4

    def end(self, session: Any, global_step_value: int) -> None:
        self.calls.append(["end", int(global_step_value)])


_listener = _Listener()


def _listened(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["calls"] = list(_listener.calls)


case(
    "CheckpointSaverListener",
    steps=9,
    hooks=lambda api, folder: [v1.train.CheckpointSaverHook(folder, save_steps=2, listeners=[_listener])],
    then=_listened,
)(_named)


@case("FeedFnHook and placeholder", needs_graph=True)
def _(api, features, labels, mode, params):
    rate = v1.placeholder(tf.float32, [], name="rate")
    loss = squared(linear(features), labels)
    hook = v1.train.FeedFnHook(lambda: {rate: 0.05})
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, rate), training_hooks=[hook])


_final: list[Any] = []


def _finished(api: Any, estimator: Any, folder: str, seen: dict[str, Any]) -> None:
    seen["final"] = program.shown(_final[-1].final_ops_values)


@case("FinalOpsHook", needs_graph=True, then=_finished)
def _(api, features, labels, mode, params):
    loss = squared(linear(features), labels)
    train_op = descend(loss)
    hook = v1.train.FinalOpsHook({"w": v1.trainable_variables()[0].read_value()})
    _final.append(hook)
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, training_hooks=[hook])


# ---------------------------------------------------------------------------------------------------------------------
# Tables


@case("lookup tables", evaluate=True, predict=True)
def _(api, features, labels, mode, params):
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(["red", "green", "blue"]), tf.constant([1, 2, 3]))
    table = tf.lookup.StaticHashTable(initializer, 0)
    ids = table.lookup(features["word"])
    back = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1, 2, 3]), tf.constant(["?", "r", "g", "b"])), ""
    )
    y = linear(features) + 0.1 * tf.cast(ids, tf.float32)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y, "letter": back.lookup(ids)})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


def _write_words(folder: str) -> None:
    with open(folder + "/words.txt", "w", encoding="utf-8") as file:
        file.write("blue\nred\ngreen\n")


@case("vocabulary files", predict=True, before=_write_words)
def _(api, features, labels, mode, params):
    initializer = tf.lookup.TextFileInitializer(
        params["other"] + "/words.txt",
        tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    ids = tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=2).lookup(features["word"])
    y = linear(features) + 0.1 * tf.cast(ids, tf.float32)
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions={"y": y, "id": ids})
    loss = squared(y, labels)
    return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss))


# ---------------------------------------------------------------------------------------------------------------------
# Inputs


def _one_shot() -> Any:
    return v1.data.make_one_shot_iterator(program.rows()).get_next()


def _one_shot_with_operations() -> Any:
    features, labels = v1.data.make_one_shot_iterator(program.rows()).get_next()
    features["x"] = features["x"] * 2.0
    return {name: features[name] for name in sorted(features)}, labels + tf.cast(tf.size(labels), tf.float32)


def _initializable() -> Any:
    dataset = program.rows()
    iterator = v1.data.make_initializable_iterator(dataset)
    v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    features, labels = iterator.get_next("next")
    return features, labels


def _two_iterators() -> Any:
    left = v1.data.make_one_shot_iterator(program.rows().map(lambda features, labels: features)).get_next()
    right = v1.data.make_one_shot_iterator(program.rows().map(lambda features, labels: 2.0 * labels)).get_next()
    return left, right


def _tensors() -> Any:
    return {name: tf.constant(value) for name, value in program.FEATURES.items()}, tf.constant(program.Y)


def _placeholder_free_queue() -> Any:
    queue = v1.train.slice_input_producer([program.X, program.IDS, program.WORDS, program.Y], shuffle=False)
    x, ids, word, y = v1.train.batch(queue, 4)
    return {"x": x, "ids": ids, "word": word}, y


for _name, _input_fn in {
    "one-shot iterator": _one_shot,
    "one-shot iterator with operations": _one_shot_with_operations,
    "initializable iterator": _initializable,
    "two iterators": _two_iterators,
    "tensors": _tensors,
    "queues": _placeholder_free_queue,
}.items():

    @case(f"input: {_name}", input_fn=_input_fn, needs_graph=_name == "queues")
    def _(api, features, labels, mode, params):
        loss = squared(linear(features), labels)
        return api.EstimatorSpec(mode, loss=loss, train_op=descend(loss, 0.02))
