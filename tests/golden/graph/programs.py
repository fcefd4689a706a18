"""Programs that need a graph and a session, which run on tf.estimator 2.15 and on headway alike.

Each takes the API as a namespace (`Estimator`, `EstimatorSpec`, `RunConfig`, ...) and a directory that is not there
yet, and returns what can be seen of the run, as something that JSON can hold.
"""

from __future__ import annotations

import glob
import os
import re

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

X = np.array(
    [[1.0, 2.0], [-1.0, 0.5], [0.3, -0.7], [2.0, 1.0], [-0.2, 0.1], [1.5, -1.5], [0.7, 0.7], [-2.0, 1.0]], "float32"
)
Y = np.array([1.0, -1.0, 0.5, 2.0, 0.0, 1.0, 0.5, -1.5], "float32")


def linear(x):
    """Returns the predictions of a linear model that starts from fixed weights."""
    w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer([[0.5], [-0.25]]))
    b = v1.get_variable("b", [1], initializer=v1.zeros_initializer())
    return (x @ w + b)[:, 0]


def spec_of(api, mode, y, labels, **fields):
    """Returns the spec of a regression by momentum."""
    if mode == "infer":
        return api.EstimatorSpec(mode, predictions=fields.pop("predictions", {"y": y}))
    loss = tf.reduce_mean(tf.square(y - labels), name="my_loss")
    if mode == "eval":
        ops = {"mae": v1.metrics.mean_absolute_error(labels, y)}
        return api.EstimatorSpec(mode, loss=loss, eval_metric_ops=ops, **fields)
    train_op = v1.train.MomentumOptimizer(0.05, 0.9).minimize(loss, v1.train.get_or_create_global_step())
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op, **fields)


def model(api, **fields):
    """Returns a model_fn; `fields` are functions that make further fields of the spec, by mode and name."""

    def model_fn(features, labels, mode):
        y = linear(features["x"])
        made = {name: make() for (of, name), make in fields.get("made", {}).items() if of == mode}
        return spec_of(api, mode, y, labels, **made)

    return model_fn


def rows(repeat=None, batch=2):
    """Returns an input_fn with a dataset."""
    return lambda: tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).repeat(repeat).batch(batch)


def estimator(api, folder, model_fn, params=None, warm_start_from=None, **config):
    """Returns an estimator."""
    settings = {"save_checkpoints_steps": 100, "tf_random_seed": 1, **config}
    return api.Estimator(
        model_fn, folder, config=api.RunConfig(**settings), params=params, warm_start_from=warm_start_from
    )


def number(value):
    """Returns a value as JSON has it."""
    return np.asarray(value).astype("float64").round(6).tolist()


def values(est):
    """Returns all variables of the newest checkpoint."""
    return {name: number(est.get_variable_value(name)) for name in est.get_variable_names()}


def tags(folder):
    """Returns step -> tags of all event files in a folder."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.tfevents.*"))):
        for event in v1.train.summary_iterator(path):
            names = [value.tag for value in event.summary.value if value.tag != "global_step/sec"]
            if names:
                found.setdefault(str(event.step), []).extend(names)
    return {step: sorted(names) for step, names in sorted(found.items())}


class Recorder(v1.train.SessionRunHook):
    """Notes each call, with what a session tells."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def begin(self):
        self.step = v1.train.get_global_step()
        self.log.append(f"{self.name} begin")

    def after_create_session(self, session, coord):
        self.log.append(f"{self.name} after_create_session {session.run(self.step)} {coord.should_stop()}")

    def before_run(self, run_context):
        asked = run_context.original_args.fetches
        self.log.append(f"{self.name} before_run {'nothing' if asked is None else type(asked).__name__}")
        return v1.train.SessionRunArgs({"loss": "my_loss:0"})

    def after_run(self, run_context, run_values):
        step = run_context.session.run(self.step)
        self.log.append(f"{self.name} after_run {step} {run_values.results['loss']:.4f}")

    def end(self, session):
        self.log.append(f"{self.name} end {session.run(self.step)}")


class Listener(v1.train.CheckpointSaverListener):
    """Notes each call."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def begin(self):
        self.log.append(f"{self.name} begin")

    def before_save(self, session, global_step_value):
        self.log.append(f"{self.name} before_save {global_step_value} {session is None}")

    def after_save(self, session, global_step_value):
        self.log.append(f"{self.name} after_save {global_step_value}")

    def end(self, session, global_step_value):
        self.log.append(f"{self.name} end {global_step_value}")


def hook_order(api, folder):
    """Hooks of the user, of model_fn, of the chief and listeners, in training and evaluation."""
    log = []
    made = {
        ("train", "training_hooks"): lambda: [Recorder("spec", log)],
        ("train", "training_chief_hooks"): lambda: [Recorder("chief", log)],
        ("eval", "evaluation_hooks"): lambda: [Recorder("spec_eval", log)],
    }
    est = estimator(api, folder, model(api, made=made), save_checkpoints_steps=2)
    listener = Listener("listener", log)
    est.train(rows(), steps=3, hooks=[Recorder("one", log), Recorder("two", log)], saving_listeners=[listener])
    est.evaluate(rows(1, 4), hooks=[Recorder("user_eval", log)])
    return log


def losses(api, folder):
    """The losses of training and its variables, over two calls."""
    seen = []

    class Losses(v1.train.SessionRunHook):
        def before_run(self, run_context):
            return v1.train.SessionRunArgs({"loss": "my_loss:0"})

        def after_run(self, run_context, run_values):
            seen.append(number(run_values.results["loss"]))

    est = estimator(api, folder, model(api))
    est.train(rows(), steps=4, hooks=[Losses()])
    est.train(rows(), max_steps=7, hooks=[Losses()])
    result = {name: number(value) for name, value in est.evaluate(rows(1, 3)).items()}
    return [seen, values(est), result, [number(row["y"]) for row in est.predict(rows(1, 3))]]


def iterators(api, folder):
    """Input from one-shot and initializable iterators and from plain tensors."""

    def one_shot():
        return v1.data.make_one_shot_iterator(rows(2)()).get_next()

    def initializable():
        iterator = v1.data.make_initializable_iterator(rows(1)())
        v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
        return iterator.get_next()

    def tensors():
        return {"x": tf.constant(X)}, tf.constant(Y)

    est = estimator(api, folder, model(api))
    found = []
    for input_fn, steps in ((one_shot, None), (initializable, None), (tensors, 3)):
        est.train(input_fn, steps=steps)
        found.append([values(est)["global_step"], number(est.evaluate(input_fn, steps=2)["loss"])])
    found.append(len(list(est.predict(one_shot))))
    return [found, values(est)]


def scaffold(api, folder):
    """A Scaffold with functions for the beginning, a Saver of its own, and summaries of its own."""
    calls = []

    def model_fn(features, labels, mode):
        y = linear(features["x"])
        seen = v1.get_variable("seen", [], trainable=False, collections=[v1.GraphKeys.LOCAL_VARIABLES])
        kept = v1.get_variable("kept", [], initializer=v1.zeros_initializer(), trainable=False)

        def init_fn(scaffold, session):
            calls.append("init_fn")
            kept.load(3.0, session)

        made = v1.train.Scaffold(
            init_fn=init_fn,
            local_init_op=tf.group(v1.train.Scaffold.default_local_init_op(), tf.no_op(name="mine")),
            saver=v1.train.Saver(max_to_keep=2),
            summary_op=v1.summary.scalar("only", kept + 0.0 * seen),
        )
        return spec_of(api, mode, y, labels, **({} if mode == "infer" else {"scaffold": made}))

    est = estimator(api, folder, model_fn, save_checkpoints_steps=1, save_summary_steps=2)
    est.train(rows(), steps=3)
    est.evaluate(rows(1))
    files = sorted(os.path.basename(path) for path in glob.glob(os.path.join(folder, "model.ckpt-*.index")))
    return [calls, files, values(est)["kept"], tags(folder)]


def placeholders(api, folder):
    """A placeholder that a hook feeds."""

    def model_fn(features, labels, mode):
        scale = v1.placeholder(tf.float32, [], name="scale")
        return spec_of(api, mode, linear(features["x"]) * scale, labels)

    def feeding(value):
        return [v1.train.FeedFnHook(lambda: {v1.get_default_graph().get_tensor_by_name("scale:0"): value})]

    class Feeding(v1.train.SessionRunHook):
        def before_run(self, run_context):
            return v1.train.SessionRunArgs(None, feed_dict={"scale:0": 3.0})

    est = estimator(api, folder, model_fn)
    est.train(rows(), steps=3, hooks=feeding(2.0))
    result = est.evaluate(rows(1), hooks=[Feeding()])
    return [values(est), number(result["loss"]), [number(r["y"]) for r in est.predict(rows(1), hooks=[Feeding()])]]


def nested(api, folder):
    """A hook that evaluates and predicts while the model trains: from the newest checkpoint."""
    seen = []

    class Nested(v1.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            step = int(run_context.session.run(v1.train.get_global_step()))
            result = est.evaluate(rows(1), name="inside")
            row = next(est.predict(rows(1)))
            seen.append([step, number(result["global_step"]), number(result["loss"]), number(row["y"])])

    est = estimator(api, folder, model(api), save_checkpoints_steps=2)
    est.train(rows(), steps=3, hooks=[Nested()])
    return [seen, tags(os.path.join(folder, "eval_inside"))]


def from_checkpoint(api, folder):
    """`init_from_checkpoint` in model_fn, and a warm start by regular expression."""
    est = estimator(api, folder, model(api))
    est.train(rows(), steps=2)

    def model_fn(features, labels, mode):
        with v1.variable_scope("inner"):
            y = linear(features["x"])
        made = v1.train.Scaffold()
        v1.train.init_from_checkpoint(folder, {"w": "inner/w"})
        return spec_of(api, mode, y, labels, **({} if mode == "infer" else {"scaffold": made}))

    other = estimator(api, folder + "_other", model_fn).train(rows(), steps=1)
    made = {("train", "scaffold"): v1.train.Scaffold}
    settings = api.WarmStartSettings(folder, vars_to_warm_start="w")
    warm = estimator(api, folder + "_warm", model(api, made=made), warm_start_from=settings).train(rows(), steps=1)
    return [values(other), values(warm)]


def updates(api, folder):
    """UPDATE_OPS, a moving average, a partitioned variable, a table, and a local variable that counts."""

    def model_fn(features, labels, mode):
        words = v1.constant(["a", "b"])
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, v1.constant([1.0, 2.0])), 0.0)
        parts = v1.get_variable(
            "parts", [4, 2], initializer=v1.ones_initializer(), partitioner=v1.fixed_size_partitioner(2)
        )
        row = v1.nn.embedding_lookup(parts, [1, 3], partition_strategy="div")
        y = linear(features["x"]) + table.lookup(tf.constant("b")) * tf.reduce_sum(row) * 0.01
        mean = v1.get_variable("mean", [], initializer=v1.zeros_initializer(), trainable=False)
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, mean.assign(0.5 * mean + 0.5 * tf.reduce_mean(y)))
        if mode != "train":
            return spec_of(api, mode, y, labels)
        loss = tf.reduce_mean(tf.square(y - labels), name="my_loss")
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            step = v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_global_step())
        average = tf.train.ExponentialMovingAverage(0.5)
        with tf.control_dependencies([step]):
            train_op = average.apply(v1.trainable_variables())
        return api.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=v1.train.Scaffold())

    est = estimator(api, folder, model_fn)
    est.train(rows(), steps=3)
    return [values(est), number(est.evaluate(rows(1))["loss"]), [number(r["y"]) for r in est.predict(rows(1))]]


def summaries(api, folder):
    """Summaries of model_fn in training, by hooks in evaluation, and the hooks of TensorFlow that log and stop."""

    def model_fn(features, labels, mode):
        y = linear(features["x"])
        v1.summary.scalar("mean_y", tf.reduce_mean(y))
        v1.summary.histogram("ys", y)
        saving = v1.train.SummarySaverHook(
            1, output_dir=os.path.join(folder, "mine"), summary_op=v1.summary.merge_all()
        )
        made = {"evaluation_hooks": [saving]} if mode == "eval" else {}
        if mode == "train":
            made["training_hooks"] = [v1.train.LoggingTensorHook({"y": tf.reduce_mean(y)}, every_n_iter=1)]
        return spec_of(api, mode, y, labels, **made)

    est = estimator(api, folder, model_fn, save_summary_steps=2)
    stopping = v1.train.StopAtStepHook(last_step=5)
    saver = v1.train.CheckpointSaverHook(folder, save_steps=3)
    est.train(rows(), hooks=[stopping, saver], steps=9)
    est.evaluate(rows(1, 4))
    files = sorted(re.sub(r"\d{10}.*", "*", name) for name in os.listdir(folder))
    # The place in the input is headway's own, and only a session saves its graph beside a checkpoint.
    files = [name for name in files if ".input" not in name and not name.endswith(".meta")]
    return [files, tags(folder), tags(os.path.join(folder, "mine")), tags(os.path.join(folder, "eval"))]


def forms(api, folder):
    """Features without labels, bare tensors, params that are no dict, and a subclass with a model_fn of its own."""

    class Settings:
        rate = 2.0

    class Mine(api.Estimator):
        def __init__(self, folder, config):
            super().__init__(self._own_model_fn, folder, config, params=Settings())

        def _own_model_fn(self, features, mode, params):
            w = v1.get_variable("w", [2, 1], initializer=v1.ones_initializer())
            y = (features @ w)[:, 0] * params.rate
            loss = tf.reduce_mean(tf.square(y), name="my_loss")
            step = v1.train.GradientDescentOptimizer(0.01).minimize(loss, v1.train.get_global_step())
            return api.EstimatorSpec(mode, predictions=y, loss=loss, train_op=step, scaffold=v1.train.Scaffold())

        def score(self, input_fn):
            return number(self.evaluate(input_fn)["loss"])

    def features():
        return tf.data.Dataset.from_tensor_slices(X).batch(3)

    est = Mine(folder, api.RunConfig(tf_random_seed=1))
    est.train(features)
    batches = [number(batch) for batch in est.predict(features, yield_single_examples=False)]
    return [values(est), est.score(features), [number(row) for row in est.predict(features)], batches]


def rounds(api, folder):
    """`train_and_evaluate` with a session hook and an exporter; the exported signature."""
    log = []

    def receiver():
        x = v1.placeholder(tf.float32, [None, 2], name="pixels")
        return api.ServingInputReceiver({"x": x}, {"x": x})

    est = estimator(api, folder, model(api), save_checkpoints_steps=2)
    train_spec = api.TrainSpec(rows(), max_steps=5, hooks=[Recorder("hook", log)])
    eval_spec = api.EvalSpec(
        rows(1), steps=None, throttle_secs=0, start_delay_secs=0, exporters=[api.FinalExporter("last", receiver)]
    )
    metrics, exports = api.train_and_evaluate(est, train_spec, eval_spec)
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.load(session, ["serve"], tf.compat.as_str(exports[0]))
        signature = meta.signature_def["serving_default"]
        y = session.run(signature.outputs["y"].name, {signature.inputs["x"].name: X})
        names = sorted(variable.op.name for variable in v1.global_variables())
    return [log, {name: number(value) for name, value in metrics.items()}, number(y), names, tags(folder + "/eval")]


PROGRAMS = {
    function.__name__: function
    for function in (
        hook_order,
        losses,
        iterators,
        scaffold,
        placeholders,
        nested,
        from_checkpoint,
        updates,
        summaries,
        forms,
        rounds,
    )
}
