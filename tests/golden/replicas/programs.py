"""Programs of replicas in a graph, which run on tf.estimator 2.15 and on headway alike.

Each takes the API as a namespace (`Estimator`, `EstimatorSpec`, `RunConfig`, `layers`), a directory that is not there
yet, and a strategy or None, and returns what can be seen of the run, as something that JSON can hold. The global batch
is the same whatever the strategy.
"""

from __future__ import annotations

import glob
import os

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

_RNG = np.random.RandomState(1)
X = _RNG.randn(24, 3).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5]) + 0.1).astype("float32")

OPTIMIZERS = {
    "momentum": lambda: v1.train.MomentumOptimizer(0.05, 0.9),
    "adam": lambda: v1.train.AdamOptimizer(0.05),
    "adagrad": lambda: v1.train.AdagradOptimizer(0.1),
    "ftrl": lambda: v1.train.FtrlOptimizer(0.1),
    "decayed": lambda: v1.train.GradientDescentOptimizer(
        v1.train.exponential_decay(0.05, v1.train.get_global_step(), 2, 0.5)
    ),
}


def rows(strategy, repeat=None, batch=12, take=None):
    """Returns an input_fn with the batches of one replica."""
    batch //= 1 if strategy is None else strategy.num_replicas_in_sync
    return lambda: tf.data.Dataset.from_tensor_slices(({"x": X[:take]}, Y[:take])).repeat(repeat).batch(batch)


def model_fn_of(api):
    """Returns a model_fn of two layers, which `params` changes."""

    def model_fn(features, labels, mode, params):
        hidden = api.layers.dense(
            features["x"], 2, activation=tf.tanh, kernel_initializer=tf.constant_initializer(0.3), name="hidden"
        )
        if params.get("normalized"):
            training = mode == "train" or params["normalized"] == "always"
            hidden = api.layers.batch_normalization(hidden, training=training, momentum=0.5, name="normal")
        y = api.layers.dense(hidden, 1, kernel_initializer=tf.constant_initializer(0.2), name="y")[:, 0]
        if mode == "infer":
            return api.EstimatorSpec(mode, predictions={"y": y})
        if "reduction" in params:
            loss = v1.losses.mean_squared_error(labels, y, reduction=params["reduction"])
        else:
            loss = tf.reduce_mean(tf.square(y - labels))
        v1.summary.scalar("own", loss)
        if mode == "eval":
            ops = {"mae": v1.metrics.mean_absolute_error(labels, y), "mean": v1.metrics.mean(y)}
            return api.EstimatorSpec(mode, loss=loss, eval_metric_ops=ops)
        return train_spec(api, mode, tf.identity(loss, "my_loss"), params)

    return model_fn


def train_spec(api, mode, loss, params):
    """Returns the spec of training."""
    step = v1.train.get_or_create_global_step()
    optimizer = OPTIMIZERS[params.get("optimizer", "momentum")]()
    with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
        pairs = optimizer.compute_gradients(loss)
        if params.get("clipped"):
            gradients, variables = zip(*pairs, strict=True)
            pairs = list(zip(tf.clip_by_global_norm(gradients, 0.5)[0], variables, strict=True))
        train_op = optimizer.apply_gradients(pairs, step)
    if params.get("averaged"):
        with tf.control_dependencies([train_op]):
            train_op = v1.train.ExponentialMovingAverage(0.5, step).apply(v1.trainable_variables())
    return api.EstimatorSpec(mode, loss=loss, train_op=train_op)


class Recorder(v1.train.SessionRunHook):
    """Notes each call, with the step and the loss of the first replica."""

    def __init__(self):
        self.log = []

    def begin(self):
        self.step = v1.train.get_global_step()
        self.log.append("begin")

    def after_create_session(self, session, coord):
        self.log.append(f"after_create_session {session.run(self.step)}")

    def before_run(self, run_context):
        return v1.train.SessionRunArgs("my_loss:0")

    def after_run(self, run_context, run_values):
        self.log.append(f"after_run {run_context.session.run(self.step)} {run_values.results:.4f}")

    def end(self, session):
        self.log.append(f"end {session.run(self.step)}")


class Listener(v1.train.CheckpointSaverListener):
    """Notes the checkpoints."""

    def __init__(self):
        self.log = []

    def after_save(self, session, global_step_value):
        self.log.append(f"after_save {global_step_value}")


def estimator(api, folder, strategy, model_fn=None, params=None, **config):
    """Returns an estimator that trains and evaluates under the strategy."""
    settings = {"tf_random_seed": 1, "save_checkpoints_steps": 5, "log_step_count_steps": 100, **config}
    run_config = api.RunConfig(train_distribute=strategy, eval_distribute=strategy, **settings)
    return api.Estimator(model_fn or model_fn_of(api), folder, config=run_config, params=params or {})


def number(value):
    """Returns a value as JSON has it."""
    return np.asarray(value).astype("float64").round(6).tolist()


def values(est):
    """Returns all variables of the newest checkpoint."""
    return {name: number(est.get_variable_value(name)) for name in est.get_variable_names()}


def result(est, input_fn):
    """Returns the metrics."""
    return {name: number(value) for name, value in est.evaluate(input_fn).items()}


def events(folder):
    """Returns step -> [tag, value] of all scalars of training."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.tfevents.*"))):
        for event in v1.train.summary_iterator(path):
            pairs = [[value.tag, round(value.simple_value, 4)] for value in event.summary.value]
            pairs = [pair for pair in pairs if pair[0] != "global_step/sec"]
            if pairs:
                found.setdefault(str(event.step), []).extend(pairs)
    return {step: sorted(pairs) for step, pairs in sorted(found.items())}


def all_verbs(**params):
    """Returns a program that trains twice, evaluates and predicts."""

    def program(api, folder, strategy):
        est = estimator(api, folder, strategy, params=params)
        est.train(rows(strategy), steps=6)
        est.train(rows(strategy), max_steps=9)
        predictions = [number(row["y"]) for row in est.predict(rows(None, 1))]
        return {"values": values(est), "eval": result(est, rows(strategy, 1, 8)), "predictions": predictions}

    return program


def hooks(api, folder, strategy):
    """A hook of the session, a listener, and what TensorBoard gets."""
    est, hook, listener = estimator(api, folder, strategy), Recorder(), Listener()
    est.train(rows(strategy), steps=7, hooks=[hook], saving_listeners=[listener])
    return {"hook": hook.log, "listener": listener.log, "events": events(folder), "values": values(est)}


def ending(api, folder, strategy):
    """Training input that ends within a step: of 20 rows by 4 to two replicas.

    In evaluation the original may or may not count the last batch then, so it is not asked.
    """
    est = estimator(api, folder, strategy)
    est.train(rows(strategy, 1, 8, take=20))
    return values(est)


def hooks_of_the_spec(api, folder, strategy):
    """A scaffold and hooks that each replica returns."""
    log, made = [], []
    inner = model_fn_of(api)

    def model_fn(features, labels, mode, params):
        spec = inner(features, labels, mode, params)
        if mode != "train":
            return spec
        seen = v1.get_variable("seen", [], initializer=v1.zeros_initializer(), trainable=False)
        made.append(Recorder())
        scaffold = v1.train.Scaffold(
            init_fn=lambda scaffold, session: log.append("init_fn"),
            local_init_op=tf.group(v1.local_variables_initializer(), v1.tables_initializer()),
            saver=v1.train.Saver(max_to_keep=2),
        )
        with tf.control_dependencies([spec.train_op]):
            train_op = v1.assign_add(seen, 1.0)
        return spec._replace(train_op=train_op, scaffold=scaffold, training_hooks=(made[-1],))

    est = estimator(api, folder, strategy, model_fn)
    est.train(rows(strategy), steps=12)
    kept = sorted(name for name in os.listdir(folder) if name.endswith(".index"))
    return {"log": log, "hooks": [hook.log for hook in made], "kept": kept, "values": values(est)}


def counted_by_hand(api, folder, strategy):
    """A train_op that only counts: once a step, not once a replica."""

    def model_fn(features, labels, mode, params):
        w = v1.get_variable("w", [], initializer=v1.zeros_initializer())
        train_op = v1.assign_add(v1.train.get_or_create_global_step(), 1)
        return api.EstimatorSpec(mode, loss=tf.reduce_mean(tf.square(w - labels)), train_op=train_op)

    est = estimator(api, folder, strategy, model_fn)
    est.train(rows(strategy), steps=4)
    return values(est)


def partitioned(api, folder, strategy):
    """A variable in slices, its slots and averages; then a model of other slices that starts from it."""

    def model_fn_of_slices(slices):
        def model_fn(features, labels, mode, params):
            with v1.variable_scope("sliced", partitioner=v1.fixed_size_partitioner(slices)):
                w = v1.get_variable("w", [3, 2], initializer=v1.constant_initializer(0.3))
            y = tf.reduce_sum(tf.tanh(features["x"] @ tf.convert_to_tensor(w)), 1)
            loss = tf.reduce_mean(tf.square(y - labels))
            if mode == "eval":
                return api.EstimatorSpec(mode, loss=loss, eval_metric_ops={"mean": v1.metrics.mean(y)})
            return train_spec(api, mode, loss, params)

        return model_fn

    params = {"optimizer": "adam", "averaged": True}
    first = estimator(api, os.path.join(folder, "first"), strategy, model_fn_of_slices(2), params)
    first.train(rows(strategy), steps=3)
    first.train(rows(strategy), steps=3)
    config = api.RunConfig(tf_random_seed=1, train_distribute=strategy)
    second = api.Estimator(
        model_fn_of_slices(3), os.path.join(folder, "second"), config, params, warm_start_from=first.model_dir
    )
    second.train(rows(strategy), steps=2)
    return {"first": values(first), "eval": result(first, rows(strategy, 1, 8)), "second": values(second)}


PROGRAMS = {
    **{name: all_verbs(optimizer=name) for name in OPTIMIZERS},
    "averaged": all_verbs(averaged=True),
    "clipped": all_verbs(clipped=True),
    "normalized": all_verbs(normalized=True),
    # Outside of training, its updates are in a collection that nobody fetches.
    "normalized_always": all_verbs(normalized="always"),
    "mean_loss": all_verbs(reduction="weighted_sum_over_batch_size"),
    "sum_loss": all_verbs(reduction="weighted_sum", clipped=True),
    "hooks": hooks,
    "ending": ending,
    "hooks_of_the_spec": hooks_of_the_spec,
    "counted_by_hand": counted_by_hand,
    "partitioned": partitioned,
}
