"""Programs as in programs.py: training with evaluation, exporters, early stopping, and what goes wrong."""

from __future__ import annotations

import os

import programs
import tensorflow as tf
from programs import estimator, eval_steps, raw_receiver, rows

v1 = tf.compat.v1


def specs(api, max_steps=10, *, exporters=None, throttle_secs=0, name=None, **train):
    """Returns a TrainSpec and an EvalSpec."""
    return (
        api.TrainSpec(rows(), max_steps=max_steps, **train),
        api.EvalSpec(
            rows(repeat=1), steps=None, name=name, exporters=exporters, start_delay_secs=0, throttle_secs=throttle_secs
        ),
    )


def recorder(api, name, calls, result="made"):
    """Returns an exporter that writes down how it was called."""

    class Recorder(api.Exporter):
        @property
        def name(self):
            return name

        def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
            calls.append(
                [
                    os.path.relpath(export_path, estimator.model_dir),
                    os.path.basename(checkpoint_path),
                    int(eval_result["global_step"]),
                    float(eval_result["loss"]),
                    bool(is_the_final_export),
                ]
            )
            return f"{result} {int(eval_result['global_step'])}"

    return Recorder()


def plain(result):
    """Returns a result of evaluation as numbers."""
    return None if result is None else {name: float(value) for name, value in sorted(result.items())}


def every_checkpoint(api, folder):
    """Each checkpoint but the first is evaluated; the last one is final."""
    calls = []
    model = estimator(api, folder, save_checkpoints_steps=4)
    exporters = [recorder(api, "first", calls), recorder(api, "second", calls, "also")]
    metrics, exports = api.train_and_evaluate(model, *specs(api, exporters=exporters))
    again = api.train_and_evaluate(model, *specs(api, exporters=exporters))
    further = api.train_and_evaluate(model, *specs(api, 15, exporters=exporters))
    return {
        "metrics": plain(metrics),
        "exports": exports,
        "calls": calls,
        "again": list(again),
        "further": [plain(further[0]), further[1]],
        "steps": eval_steps(folder),
    }


def throttled(api, folder):
    """Between the first and the last evaluation there is no time for another."""
    model = estimator(api, folder, save_checkpoints_steps=2)
    metrics, exports = api.train_and_evaluate(model, *specs(api, throttle_secs=600, name="some"))
    return {"steps": eval_steps(folder, "eval_some"), "step": int(metrics["global_step"]), "exports": exports}


def without_max_steps(api, folder):
    """The input ends training; no export is final."""
    calls = []
    model = estimator(api, folder, save_checkpoints_steps=3)
    train = api.TrainSpec(rows(repeat=2))
    _, evaluate = specs(api, exporters=recorder(api, "one", calls))
    metrics, exports = api.train_and_evaluate(model, train, evaluate)
    return {"calls": calls, "step": int(metrics["global_step"]), "exports": exports}


def listeners(api, folder):
    """Saving listeners come before the evaluation, and may end training."""
    order = []

    class Listener(v1.train.CheckpointSaverListener):
        def begin(self):
            order.append("begin")

        def before_save(self, session, global_step_value):
            order.append(f"before {global_step_value}")

        def after_save(self, session, global_step_value):
            order.append(f"after {global_step_value}")
            return global_step_value >= 6

        def end(self, session, global_step_value):
            order.append(f"end {global_step_value}")

    calls = []
    model = estimator(api, folder, save_checkpoints_steps=3)
    train, evaluate = specs(api, exporters=recorder(api, "one", calls), saving_listeners=[Listener()])
    metrics, _ = api.train_and_evaluate(model, train, evaluate)
    return {"order": order, "steps": eval_steps(folder), "step": int(metrics["global_step"]), "calls": calls}


def final_and_latest(api, folder):
    """How many exports two exporters leave."""
    model = estimator(api, folder, save_checkpoints_steps=3)
    receiver_fn = raw_receiver(api)
    exporters = [api.FinalExporter("final", receiver_fn), api.LatestExporter("latest", receiver_fn, exports_to_keep=2)]
    _, exports = api.train_and_evaluate(model, *specs(api, 9, exporters=exporters))
    counts = {name: len(os.listdir(os.path.join(folder, "export", name))) for name in ("final", "latest")}
    return {"counts": counts, "parents": [os.path.dirname(os.fsdecode(path)).split("/")[-1] for path in exports]}


def best(api, folder):
    """Which of several results the best exporter exports, and how it compares."""
    model = estimator(api, folder, save_checkpoints_steps=1000)
    model.train(rows(), steps=1)
    exporter = api.BestExporter("best", raw_receiver(api), event_file_pattern=None, exports_to_keep=None)
    path = os.path.join(folder, "export", "best")
    found = []
    for step, loss in enumerate([3.0, 4.0, 2.0, 2.0, 1.0]):
        made = exporter.export(model, path, model.latest_checkpoint(), {"loss": loss, "global_step": step}, False)
        found.append(made is not None)
    return found


def early(api, folder, hook, **settings):
    """Returns where a hook ends training, and what was evaluated until then."""
    model = estimator(api, folder, save_checkpoints_steps=2, **settings)
    train, evaluate = specs(api, 40, hooks=[hook(model)])
    metrics, _ = api.train_and_evaluate(model, train, evaluate)
    return {"steps": eval_steps(folder), "step": int(metrics["global_step"])}


def stop_when_lower(api, folder):
    """stop_if_lower_hook."""
    return early(
        api,
        folder,
        lambda model: api.stop_if_lower_hook(model, "loss", 0.15, run_every_secs=None, run_every_steps=1),
    )


def stop_when_higher(api, folder):
    """stop_if_higher_hook, from a step on, and looking every third step."""
    return early(
        api,
        folder,
        lambda model: api.stop_if_higher_hook(model, "mae", 0.0, min_steps=5, run_every_secs=None, run_every_steps=3),
    )


def stop_when_stuck(api, folder):
    """stop_if_no_increase_hook, on a metric that decreases."""
    return early(
        api,
        folder,
        lambda model: api.stop_if_no_increase_hook(model, "loss", 5, run_every_secs=None, run_every_steps=1),
    )


def stop_when_done(api, folder):
    """stop_if_no_decrease_hook, where the loss swings."""
    return early(
        api,
        folder,
        lambda model: api.stop_if_no_decrease_hook(model, "loss", 4, run_every_secs=None, run_every_steps=1),
        rate=0.45,
    )


def stop_by_function(api, folder):
    """make_early_stopping_hook asks after the first step, and then every so many."""
    asked = []
    model = estimator(api, folder)

    def should_stop():
        asked.append(len(asked))
        return len(asked) == 4

    hook = api.make_early_stopping_hook(model, should_stop, run_every_secs=None, run_every_steps=3)
    model.train(rows(), hooks=[hook], max_steps=50)
    return {"asked": len(asked), "step": int(model.get_variable_value("global_step"))}


def metrics_in_files(api, folder):
    """read_eval_metrics."""
    model = estimator(api, folder, save_checkpoints_steps=2)
    api.train_and_evaluate(model, *specs(api, 4))
    found = api.read_eval_metrics(model.eval_dir())
    return {str(step): plain(values) for step, values in found.items()}


def in_memory(api, folder):
    """InMemoryEvaluatorHook."""
    model = estimator(api, folder)
    hook = api.InMemoryEvaluatorHook(model, rows(repeat=1), name="live", every_n_iter=2)
    model.train(rows(), hooks=[hook], steps=5)
    return eval_steps(folder, "eval_live")


def added_metrics(api, folder):
    """add_metrics."""

    def more(features, labels, predictions, config):
        del config
        return {
            "rmse": v1.metrics.root_mean_squared_error(labels, predictions["y"]),
            "mae": v1.metrics.mean(features["x"]),
        }

    model = api.add_metrics(estimator(api, folder), more)
    model.train(rows(), steps=3)
    return plain(model.evaluate(rows(repeat=1)))


LOOPS = {
    program.__name__: program
    for program in (
        every_checkpoint,
        throttled,
        without_max_steps,
        listeners,
        final_and_latest,
        best,
        stop_when_lower,
        stop_when_higher,
        stop_when_stuck,
        stop_when_done,
        stop_by_function,
        metrics_in_files,
        in_memory,
        added_metrics,
    )
}


def _trained(api, folder):
    model = estimator(api, folder)
    model.train(rows(), steps=1)
    return model


def _in_graph(make):
    with tf.Graph().as_default():
        return make(v1.placeholder(tf.float32, [None, 2]))


# What goes wrong: the act, and a phrase of what both say.
ERRORS = {
    "not trained": (
        lambda api, folder: estimator(api, folder).export_saved_model(folder, raw_receiver(api)),
        "Couldn't find trained model at ",
    ),
    "no receiver in another mode": (
        lambda api, folder: _trained(api, folder).export_saved_model(folder, None, experimental_mode="train"),
        "An input_receiver_fn must be defined",
    ),
    "no mode": (
        lambda api, folder: _trained(api, folder).experimental_export_all_saved_models(folder, {}),
        "No valid modes for exporting found. Got ",
    ),
    "unknown mode": (
        lambda api, folder: _trained(api, folder).experimental_export_all_saved_models(
            folder, {"serve": raw_receiver(api)}
        ),
        "No valid modes for exporting found. Got ",
    ),
    "receiver without features": (
        lambda api, folder: _in_graph(lambda x: api.ServingInputReceiver(None, x)),
        "features must be defined",
    ),
    "receiver without tensors": (
        lambda api, folder: _in_graph(lambda x: api.ServingInputReceiver(x, None)),
        "receiver_tensors must be defined",
    ),
    "feature that is no tensor": (
        lambda api, folder: _in_graph(lambda x: api.ServingInputReceiver({"x": [1.0]}, x)),
        "feature x must be a Tensor, SparseTensor, or RaggedTensor.",
    ),
    "receiver key that is no string": (
        lambda api, folder: _in_graph(lambda x: api.ServingInputReceiver(x, {1: x})),
        "receiver_tensor keys must be strings: 1.",
    ),
    "feature key of another type": (
        lambda api, folder: _in_graph(lambda x: api.ServingInputReceiver({1.5: x}, x)),
        "feature keys must be strings or ints: 1.5.",
    ),
    "alternatives that are no dict": (
        lambda api, folder: _in_graph(lambda x: api.ServingInputReceiver(x, x, x)),
        "receiver_tensors_alternatives must be a dict",
    ),
    "tensor receiver without features": (
        lambda api, folder: _in_graph(lambda x: api.TensorServingInputReceiver(None, x)),
        "features must be defined.",
    ),
    "tensor receiver of a dict": (
        lambda api, folder: _in_graph(lambda x: api.TensorServingInputReceiver({"x": x}, x)),
        "feature must be a Tensor, SparseTensor, or RaggedTensor.",
    ),
    "features and labels of one name": (
        lambda api, folder: api.build_raw_supervised_input_receiver_fn({"x": programs.X}, {"x": programs.Y}),
        "Features and labels must have distinct keys. Found overlapping keys: {'x'}",
    ),
    "input_fn that is no function": (lambda api, folder: api.TrainSpec(1), "`input_fn` must be callable, given: 1"),
    "max_steps 0": (lambda api, folder: api.TrainSpec(rows(), max_steps=0), "Must specify max_steps > 0, given: 0"),
    "hook that is none": (
        lambda api, folder: api.TrainSpec(rows(), hooks=[1]),
        "All hooks must be `SessionRunHook` instances",
    ),
    "listener that is none": (
        lambda api, folder: api.TrainSpec(rows(), saving_listeners=[1]),
        "All saving_listeners must be `CheckpointSaverListener` instances, given: 1",
    ),
    "eval steps 0": (lambda api, folder: api.EvalSpec(rows(), steps=0), "Must specify steps > 0, given: 0"),
    "name that is no string": (lambda api, folder: api.EvalSpec(rows(), name=1), "`name` must be string, given: 1"),
    "delay": (
        lambda api, folder: api.EvalSpec(rows(), start_delay_secs=-1),
        "Must specify start_delay_secs >= 0, given: -1",
    ),
    "throttle": (
        lambda api, folder: api.EvalSpec(rows(), throttle_secs=-1),
        "Must specify throttle_secs >= 0, given: -1",
    ),
    "exporter that is none": (
        lambda api, folder: api.EvalSpec(rows(), exporters=[1]),
        "`exporters` must be an Exporter, an iterable of Exporter, or `None`, found",
    ),
    "exporters of one name": (
        lambda api, folder: api.EvalSpec(rows(), exporters=[recorder(api, "one", []), recorder(api, "one", [])]),
        "`exporters` must have unique names.",
    ),
    "exporter without name": (
        lambda api, folder: api.EvalSpec(rows(), exporters=recorder(api, "", [])),
        "An Exporter cannot have a name that is `None` or empty.",
    ),
    "exporter with a number for a name": (
        lambda api, folder: api.EvalSpec(rows(), exporters=recorder(api, 5, [])),
        "An Exporter must have a string name. Given: <class 'int'>",
    ),
    "no estimator": (
        lambda api, folder: api.train_and_evaluate(1, *specs(api)),
        "`estimator` must have type ",
    ),
    "no train spec": (
        lambda api, folder: api.train_and_evaluate(estimator(api, folder), 1, specs(api)[1]),
        "`train_spec` must have type ",
    ),
    "no eval spec": (
        lambda api, folder: api.train_and_evaluate(estimator(api, folder), specs(api)[0], 1),
        "`eval_spec` must have type ",
    ),
    "nothing to keep": (
        lambda api, folder: api.LatestExporter("x", raw_receiver(api), exports_to_keep=0),
        "`exports_to_keep`, if provided, must be",
    ),
    "no best to keep": (
        lambda api, folder: api.BestExporter("x", raw_receiver(api), exports_to_keep=-1),
        "`exports_to_keep`, if provided, must be a positive number. Got -1",
    ),
    "no comparison": (
        lambda api, folder: api.BestExporter(compare_fn=None),
        "`compare_fn` must not be None.",
    ),
    "comparison without best": (
        lambda api, folder: api.BestExporter(compare_fn=lambda current_eval_result: True),
        "must include best_eval_result argument.",
    ),
    "comparison with more": (
        lambda api, folder: api.BestExporter(compare_fn=lambda best_eval_result, current_eval_result, more: True),
        "has following not expected args: ['more']",
    ),
    "both cadences": (
        lambda api, folder: api.make_early_stopping_hook(
            estimator(api, folder), lambda: True, run_every_secs=1, run_every_steps=1
        ),
        "Only one of `run_every_secs` and `run_every_steps` must be set.",
    ),
    "early stopping of nothing": (
        lambda api, folder: api.make_early_stopping_hook(1, lambda: True),
        "`estimator` must have type ",
    ),
    "early stopping without function": (
        lambda api, folder: api.make_early_stopping_hook(estimator(api, folder), 1),
        "`should_stop_fn` must be callable.",
    ),
    "metric_fn of other arguments": (
        lambda api, folder: api.add_metrics(estimator(api, folder), lambda features, mode: {}),
        "has following not expected args: ['mode']",
    ),
    "in memory every 0": (
        lambda api, folder: api.InMemoryEvaluatorHook(estimator(api, folder), rows(), every_n_iter=0),
        "invalid every_n_iter=0.",
    ),
    "no checkpoints to evaluate": (
        lambda api, folder: api.train_and_evaluate(
            estimator(api, folder, save_checkpoints_steps=None, save_checkpoints_secs=None), *specs(api)
        ),
        "There should be a CheckpointSaverHook to use saving_listeners.",
    ),
}
