"""Small programs for the Estimator API, which run on tf.estimator 2.15 and on headway alike.

Each takes the API as a namespace (`Estimator`, `EstimatorSpec`, `RunConfig`, the hooks) and an empty directory, and
returns what can be seen of the run, as something that JSON can hold.
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


def make_model_fn(api, *, metrics=True, bare=False, count_step=True, bad_batch=False):
    """Returns the model_fn of a linear regression that starts from fixed weights."""

    def model_fn(features, labels, mode):
        x = features["x"]
        w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer([[0.5], [-0.25]]))
        b = v1.get_variable("b", [1], initializer=v1.zeros_initializer())
        y = (x @ w + b)[:, 0]
        if mode == "infer":
            rows = {"y": y, "twice": 2.0 * y, "name": v1.as_string(y, precision=3)}
            rows |= {"mean": tf.reduce_mean(y, keepdims=True)} if bad_batch else {}
            return api.EstimatorSpec(mode, predictions=y if bare else rows)
        loss = tf.reduce_mean(tf.square(y - labels))
        if mode == "eval":
            ops = {"mae": v1.metrics.mean_absolute_error(labels, y), "mean_y": v1.metrics.mean(y)} if metrics else None
            return api.EstimatorSpec(mode, loss=loss, eval_metric_ops=ops)
        optimizer = v1.train.GradientDescentOptimizer(0.1)
        step = v1.train.get_global_step() if count_step else None
        return api.EstimatorSpec(mode, loss=loss, train_op=optimizer.minimize(loss, step))

    return model_fn


def rows(batch=2, repeat=None, labels=True, limit=None):
    """Returns an input_fn."""

    def input_fn():
        data = tf.data.Dataset.from_tensor_slices(({"x": X}, Y) if labels else {"x": X})
        data = data if limit is None else data.take(limit)
        return data.repeat(repeat).batch(batch)

    return input_fn


def estimator(api, folder, **config):
    """Returns an estimator of the standard model."""
    settings = {"save_checkpoints_steps": 1000, "tf_random_seed": 1, **config}
    return api.Estimator(make_model_fn(api), folder, config=api.RunConfig(**settings))


def checkpoint_steps(folder):
    """Returns the steps of the checkpoints that are there."""
    return sorted(
        int(re.search(r"-(\d+)\.index$", path)[1])
        for path in glob.glob(os.path.join(folder, "model.ckpt-*[0-9].index"))
    )


def events(folder):
    """Returns [step, tag] of the scalars in the event files of a directory, in the order in which they were written."""
    found = []
    for path in sorted(glob.glob(os.path.join(folder, "events.out.tfevents.*"))):
        for event in v1.train.summary_iterator(path):
            found += [[event.step, value.tag] for value in event.summary.value if value.HasField("simple_value")]
    return found


def cadence(api, folder):
    """Which steps have checkpoints after 10 steps, and after 10 more."""
    model = estimator(api, folder, save_checkpoints_steps=4, keep_checkpoint_max=None)
    model.train(rows(), steps=10)
    first = checkpoint_steps(folder)
    model.train(rows(), steps=10)
    return {"first": first, "second": checkpoint_steps(folder), "latest": os.path.basename(model.latest_checkpoint())}


def keep_max(api, folder):
    """Which checkpoints are left with keep_checkpoint_max=3."""
    estimator(api, folder, save_checkpoints_steps=2, keep_checkpoint_max=3).train(rows(), steps=10)
    state = tf.train.get_checkpoint_state(folder)
    return {
        "files": checkpoint_steps(folder),
        "state": [os.path.basename(path) for path in state.all_model_checkpoint_paths],
    }


def no_checkpoints(api, folder):
    """Both cadences None: nothing is written, and evaluation sees fresh weights."""
    model = estimator(api, folder, save_checkpoints_steps=None, save_checkpoints_secs=None)
    model.train(rows(), steps=3)
    return checkpoint_steps(folder)


def summary_steps(api, folder):
    """The steps of summaries, over two runs."""
    model = estimator(api, folder, save_summary_steps=3, log_step_count_steps=4)
    model.train(rows(), steps=10)
    first = [step for step, tag in events(folder) if tag == "loss"]
    model.train(rows(), steps=5)
    return {"first": first, "speed": sorted({step for step, tag in events(folder) if tag == "global_step/sec"})}


def state_file(api, folder):
    """The checkpoint state file names files relative to itself."""
    estimator(api, folder).train(rows(), steps=2)
    with open(os.path.join(folder, "checkpoint"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [line for line in lines if "timestamp" not in line]


def variables(api, folder):
    """The names, shapes and values in a checkpoint after a few steps."""
    model = estimator(api, folder)
    model.train(rows(batch=4), steps=5)
    values = {name: np.asarray(model.get_variable_value(name)).tolist() for name in sorted(model.get_variable_names())}
    return {"values": values, "dtypes": {name: str(model.get_variable_value(name).dtype) for name in values}}


def evaluation(api, folder):
    """What evaluate returns: batches of 3, 3 and 2 count alike in the loss."""
    model = estimator(api, folder)
    model.train(rows(batch=4), steps=5)
    results = {
        "all": model.evaluate(rows(batch=3, repeat=1)),
        "two batches": model.evaluate(rows(batch=3, repeat=1), steps=2),
        "more steps than batches": model.evaluate(rows(batch=3, repeat=1), steps=50),
        "named": model.evaluate(rows(batch=8, repeat=1), name="test"),
    }
    kinds = {key: type(value).__name__ for key, value in results["all"].items()}
    numbers = {case: {key: float(value) for key, value in result.items()} for case, result in results.items()}
    folders = sorted(name for name in os.listdir(folder) if name.startswith("eval"))
    return {
        "results": numbers,
        "kinds": kinds,
        "folders": folders,
        "events": sorted(events(os.path.join(folder, "eval_test"))),
    }


def evaluation_of_older(api, folder):
    """evaluate and predict with checkpoint_path."""
    model = estimator(api, folder, save_checkpoints_steps=2)
    model.train(rows(batch=4), steps=4)
    older = os.path.join(folder, "model.ckpt-2")
    result = model.evaluate(rows(batch=8, repeat=1), checkpoint_path=older)
    newest = model.evaluate(rows(batch=8, repeat=1))
    row = next(iter(model.predict(rows(batch=8, repeat=1), checkpoint_path=older)))
    return {
        "older": {k: float(v) for k, v in result.items()},
        "newest": {k: float(v) for k, v in newest.items()},
        "row": float(row["y"]),
    }


def evaluation_untrained(api, folder):
    """Evaluation and prediction before training use initial weights, and write no checkpoint."""
    model = estimator(api, folder)
    result = model.evaluate(rows(batch=8, repeat=1))
    first = next(iter(model.predict(rows(batch=8, repeat=1))))
    return {
        "result": {k: float(v) for k, v in result.items()},
        "y": float(first["y"]),
        "checkpoints": checkpoint_steps(folder),
    }


def evaluation_empty(api, folder):
    """Evaluation on no data."""
    model = estimator(api, folder)
    model.train(rows(), steps=1)
    return {key: float(value) for key, value in model.evaluate(rows(limit=0, repeat=1)).items()}


def prediction_forms(api, folder):
    """Rows and batches, dicts and bare tensors, chosen keys."""
    model = estimator(api, folder)
    model.train(rows(), steps=1)
    plain = rows(batch=3, repeat=1, labels=False)

    def shown(value):
        if isinstance(value, dict):
            return {key: shown(part) for key, part in sorted(value.items())}
        return [
            type(value).__name__,
            str(getattr(value, "dtype", "")),
            list(np.shape(value)),
            np.asarray(value).astype("U").tolist() if isinstance(value, bytes) else None,
        ]

    bare = api.Estimator(make_model_fn(api, bare=True), folder)
    return {
        "row": shown(next(iter(model.predict(plain)))),
        "count": len(list(model.predict(plain))),
        "with labels": len(list(model.predict(rows(batch=3, repeat=1)))),
        "keys": sorted(next(iter(model.predict(plain, predict_keys=["y", "unknown"])))),
        "single key": sorted(next(iter(model.predict(plain, predict_keys="twice")))),
        "batches": [shown(batch["y"]) for batch in model.predict(plain, yield_single_examples=False)],
        "bare": shown(next(iter(bare.predict(plain)))),
        "bare batches": [shown(batch) for batch in bare.predict(plain, yield_single_examples=False)],
        "values": [round(float(row["y"]), 5) for row in model.predict(plain)],
    }


def steps_and_max_steps(api, folder):
    """The global step after a chain of calls."""
    model = estimator(api, folder)
    seen, called = [], []

    def input_fn():
        called.append(1)
        return rows()()

    def train(**arguments):
        returned = model.train(input_fn, **arguments)
        seen.append([int(model.get_variable_value("global_step")), returned is model, len(called)])

    train(steps=3)
    train(steps=3)
    train(max_steps=8)
    train(max_steps=8)
    train(max_steps=2)
    train(steps=1)
    model.train(rows(batch=4, repeat=1))
    seen.append([int(model.get_variable_value("global_step")), True, 0])
    return seen


def step_not_counted(api, folder):
    """A train_op that counts no step; the input ends."""
    model = api.Estimator(
        make_model_fn(api, count_step=False), folder, config=api.RunConfig(save_checkpoints_steps=1000)
    )
    model.train(rows(batch=4, repeat=1))
    return checkpoint_steps(folder)


def hook_order(api, folder):
    """Two SessionRunHooks and a listener around three steps; the verbs in the order in which they are called."""
    calls = []

    class Recorder(v1.train.SessionRunHook):
        def __init__(self, name):
            self.name = name

        def begin(self):
            calls.append(f"{self.name} begin")

        def before_run(self, run_context):
            calls.append(f"{self.name} before")

        def after_run(self, run_context, run_values):
            calls.append(f"{self.name} after")

        def end(self, session):
            calls.append(f"{self.name} end")

    estimator(api, folder).train(rows(), hooks=[Recorder("first"), Recorder("second")], steps=3)
    return calls


def listener_order(api, folder):
    """A listener's calls with the steps that it sees."""
    calls = []

    class Listener(v1.train.CheckpointSaverListener):
        def begin(self):
            calls.append("begin")

        def before_save(self, session, global_step_value):
            calls.append(f"before {global_step_value}")

        def after_save(self, session, global_step_value):
            calls.append(f"after {global_step_value}")

        def end(self, session, global_step_value):
            calls.append(f"end {global_step_value}")

    estimator(api, folder, save_checkpoints_steps=2).train(rows(), steps=5, saving_listeners=[Listener()])
    return calls


def listener_stops(api, folder):
    """A listener that returns True after the second checkpoint."""
    steps = []

    class Listener(v1.train.CheckpointSaverListener):
        def after_save(self, session, global_step_value):
            steps.append(int(global_step_value))
            return len(steps) == 2

    model = estimator(api, folder, save_checkpoints_steps=2)
    model.train(rows(), steps=9, saving_listeners=[Listener()])
    return {"saves": sorted(set(steps)), "step": int(model.get_variable_value("global_step"))}


def hook_stops(api, folder):
    """A SessionRunHook that asks for the end."""

    class Stop(v1.train.SessionRunHook):
        calls = 0

        def after_run(self, run_context, run_values):
            self.calls += 1
            if self.calls == 4:
                run_context.request_stop()

    model = estimator(api, folder)
    model.train(rows(), hooks=[Stop()], steps=9)
    return int(model.get_variable_value("global_step"))


def eval_hook_order(api, folder):
    """Hooks of evaluation and prediction."""
    calls = []

    class Recorder(v1.train.SessionRunHook):
        def begin(self):
            calls.append("begin")

        def after_run(self, run_context, run_values):
            calls.append("after")

        def end(self, session):
            calls.append("end")

    model = estimator(api, folder)
    model.train(rows(), steps=1)
    model.evaluate(rows(batch=4, repeat=1), hooks=[Recorder()], steps=2)
    calls.append("predict")
    list(model.predict(rows(batch=4, repeat=1), hooks=[Recorder()]))
    return calls


def properties(api, folder):
    """Copies of params and config; names; an untrained model."""

    def model_fn(features, labels, mode, params, config):
        assert config.model_dir == folder
        params["changed"] = True
        return make_model_fn(api)(features, labels, mode)

    params = {"depth": 3}
    model = api.Estimator(model_fn, folder, params=params)
    before = model.latest_checkpoint()
    model.params["depth"] = 4
    model.train(rows(), steps=1)
    return {
        "params": model.params["depth"],
        "before": before,
        "copy": model.config is not model.config,
        "dir": model.model_dir == folder,
    }


PROGRAMS = {
    function.__name__: function
    for function in (
        cadence,
        keep_max,
        no_checkpoints,
        summary_steps,
        state_file,
        variables,
        evaluation,
        evaluation_of_older,
        evaluation_untrained,
        evaluation_empty,
        prediction_forms,
        steps_and_max_steps,
        hook_order,
        listener_order,
        listener_stops,
        hook_stops,
        eval_hook_order,
        properties,
        step_not_counted,
    )
}


def _model(api, folder, **kwargs):
    return api.Estimator(make_model_fn(api, **kwargs), folder)


def _with_metric_named_loss(api, folder):
    def model_fn(features, labels, mode):
        spec = make_model_fn(api)(features, labels, mode)
        return spec if mode != "eval" else spec._replace(eval_metric_ops={"loss": v1.metrics.mean(labels)})

    api.Estimator(model_fn, folder).evaluate(rows(repeat=1))


def _returns(value):
    def model_fn(features, labels, mode):
        v1.get_variable("w", [])
        return value

    return model_fn


def _keyword(**named):
    """Returns a model_fn with an argument that no estimator passes."""

    def model_fn(features, labels, mode, extra):
        return None

    return model_fn


def _no_features(labels, mode):
    return None


def _no_labels_model_fn(api):
    def model_fn(features, mode):
        return make_model_fn(api)(features, None, mode)

    return model_fn


def _triple():
    return tf.data.Dataset.from_tensors((X, Y, Y))


# name -> (what to do, a phrase of the message)
ERRORS = {
    "model_fn is None": (lambda api, d: api.Estimator(None, d), "model_fn must be provided to Estimator."),
    "unknown argument": (lambda api, d: api.Estimator(_keyword(), d), "has following not expected args"),
    "no features": (lambda api, d: api.Estimator(_no_features, d), "must include features argument"),
    "params without argument": (
        lambda api, d: api.Estimator(make_model_fn(api), d, params={"a": 1}),
        "does not include params argument, but params (",
    ),
    "config of another type": (
        lambda api, d: api.Estimator(make_model_fn(api), d, config={"a": 1}),
        "config must be an instance of `RunConfig`",
    ),
    "two model_dirs": (
        lambda api, d: api.Estimator(make_model_fn(api), d, config=api.RunConfig(model_dir=d + "2")),
        "`model_dir` are set both in constructor and `RunConfig`, but with different values.",
    ),
    "both steps": (
        lambda api, d: _model(api, d).train(rows(), steps=1, max_steps=2),
        "Can not provide both steps and max_steps.",
    ),
    "steps 0": (lambda api, d: _model(api, d).train(rows(), steps=0), "Must specify steps > 0, given: 0"),
    "max_steps -1": (
        lambda api, d: _model(api, d).train(rows(), max_steps=-1),
        "Must specify max_steps > 0, given: -1",
    ),
    "eval steps 0": (lambda api, d: _model(api, d).evaluate(rows(), steps=0), "Must specify steps > 0, given: 0"),
    "no hook": (
        lambda api, d: _model(api, d).train(rows(), hooks=["no hook"], steps=1),
        "Hooks must be a SessionRunHook, given: ",
    ),
    "no spec": (
        lambda api, d: api.Estimator(_returns(3), d).train(rows(), steps=1),
        "model_fn should return an EstimatorSpec.",
    ),
    "labels not taken": (
        lambda api, d: api.Estimator(_no_labels_model_fn(api), d).train(rows(), steps=1),
        "model_fn does not take labels, but input_fn returns labels.",
    ),
    "three parts": (
        lambda api, d: _model(api, d).train(_triple, steps=1),
        "input_fn should return (features, labels) as a len 2 tuple.",
    ),
    "metric named loss": (
        _with_metric_named_loss,
        'Metric with name "loss" is not allowed, because Estimator already defines a default metric with the same '
        "name.",
    ),
    "untrained names": (
        lambda api, d: _model(api, d).get_variable_names(),
        "Could not find trained model in model_dir: ",
    ),
    "unknown predict_keys": (
        lambda api, d: list(_model(api, d).predict(rows(repeat=1), predict_keys=["z"])),
        "Expected to run at least one output from ",
    ),
    "keys of a bare tensor": (
        lambda api, d: list(_model(api, d, bare=True).predict(rows(repeat=1), predict_keys=["z"])),
        "predict_keys argument is not valid in case of non-dict predictions.",
    ),
    "unequal batches": (
        lambda api, d: list(_model(api, d, bad_batch=True).predict(rows(repeat=1))),
        "Batch length of predictions should be same.",
    ),
    "listeners without saver": (
        lambda api, d: estimator(api, d, save_checkpoints_steps=None, save_checkpoints_secs=None).train(
            rows(), steps=1, saving_listeners=[v1.train.CheckpointSaverListener()]
        ),
        "There should be a CheckpointSaverHook to use saving_listeners. Please set one of the "
        "RunConfig.save_checkpoints_steps or RunConfig.save_checkpoints_secs.",
    ),
    "warm start of another type": (
        lambda api, d: api.Estimator(make_model_fn(api), d, warm_start_from=3),
        "warm_start_from must be a string or a WarmStartSettings, instead got",
    ),
}
