"""`train_and_evaluate` in a process of its own and in the roles of a cluster, with exporters and early stopping."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway.estimators import (
    BestExporter,
    CheckpointSaverListener,
    EvalSpec,
    Exporter,
    FinalExporter,
    InMemoryEvaluatorHook,
    LatestExporter,
    LinearRegressor,
    RunConfig,
    TrainSpec,
    _early_stopping,
    _evaluator_hooks,
    _exporters,
    _train_and_evaluate,
    add_metrics,
    every_n_steps,
    make_early_stopping_hook,
    make_stop_at_checkpoint_step_hook,
    read_eval_metrics,
    stop_if_higher_hook,
    stop_if_lower_hook,
    train_and_evaluate,
)


class Recorder(Exporter):
    """Writes down what it is called with."""

    def __init__(self, name: str = "recorder") -> None:
        self._name = name
        self.calls: list[tuple[int, bool]] = []

    @property
    def name(self) -> str:
        return self._name

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: Any, eval_result: Any, is_the_final_export: bool
    ) -> int:
        assert os.path.basename(export_path) == self._name
        assert tf.train.load_variable(checkpoint_path, "global_step") == eval_result["global_step"]
        self.calls.append((int(eval_result["global_step"]), is_the_final_export))
        return len(self.calls)


def specs(small: Any, max_steps: int | None = 9, exporters: Any = None, hooks: Any = None, **evaluate: Any) -> Any:
    evaluate = {"steps": None, "start_delay_secs": 0, "throttle_secs": 0, **evaluate}
    return (
        TrainSpec(small.input_fn(), max_steps=max_steps, hooks=hooks),
        EvalSpec(small.input_fn(repeat=1), exporters=exporters, **evaluate),
    )


def test_evaluation_sees_the_weights_of_its_checkpoint_and_changes_nothing(small: Any, tmp_path: pathlib.Path) -> None:
    settings = {"save_checkpoints_steps": 3, "keep_checkpoint_max": None}
    model = small.estimator(small.model_fns["keras"], tmp_path / "both", **settings)
    metrics, exports = train_and_evaluate(model, *specs(small))
    alone = small.estimator(small.model_fns["keras"], tmp_path / "alone", **settings).train(small.input_fn(), steps=9)
    assert exports == []
    for name in alone.get_variable_names():
        np.testing.assert_array_equal(model.get_variable_value(name), alone.get_variable_value(name), err_msg=name)
    written = read_eval_metrics(model.eval_dir())
    assert list(written) == [3, 6, 9]
    for step, result in written.items():
        expected = alone.evaluate(
            small.input_fn(repeat=1), checkpoint_path=str(tmp_path / "alone" / f"model.ckpt-{step}")
        )
        assert result["loss"] == pytest.approx(float(expected["loss"]), rel=1e-6)
        assert result["mae"] == pytest.approx(float(expected["mae"]), rel=1e-6)
    assert float(metrics["loss"]) == pytest.approx(written[9]["loss"])


def test_two_replicas(mirrored: Any, small: Any, tmp_path: pathlib.Path) -> None:
    recorder = Recorder()
    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=4, train_distribute=mirrored)
    hook = stop_if_higher_hook(model, "mae", 1e9)  # a cadence in seconds is fine where all replicas are here
    latest = LatestExporter("latest")
    metrics, exports = train_and_evaluate(model, *specs(small, 8, [recorder, latest], [hook]))
    assert recorder.calls == [(4, False), (8, True)]
    signature = tf.saved_model.load(os.fsdecode(exports[1])).signatures["serving_default"]
    expected = [row["y"] for row in model.predict(small.input_fn(repeat=1))]
    np.testing.assert_allclose(signature(x=tf.constant(small.X))["y"], expected, atol=1e-6)
    assert int(metrics["global_step"]) == 8


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingEvaluator:
    """Counts evaluations in place of making them."""

    def __init__(self, throttle_secs: float) -> None:
        self.spec = EvalSpec(lambda: None, throttle_secs=throttle_secs)
        self.count = 0

    def evaluate_now(self) -> None:
        self.count += 1


def test_throttle_counts_from_the_beginning_of_the_last_evaluation() -> None:
    clock, evaluator = Clock(), CountingEvaluator(throttle_secs=10)
    listener = _train_and_evaluate.EvaluationListener(evaluator, clock)  # type: ignore[arg-type]
    counts = []
    listener.begin()
    for step, now in ((0, 100.0), (5, 101.0), (10, 105.0), (15, 110.9), (20, 111.0), (25, 120.0)):
        clock.now = now
        listener.after_save(None, step)
        counts.append(evaluator.count)
    # The first save, at the beginning, is not evaluated; at 111 ten seconds have gone by since 101.
    assert counts == [0, 1, 1, 1, 2, 2]
    listener.end(None, 25)
    assert evaluator.count == 3
    listener.begin()
    listener.after_save(None, 25)
    listener.after_save(None, 30)
    listener.end(None, 30)
    assert evaluator.count == 4


@pytest.mark.parametrize("at", [4, 5], ids=["at a checkpoint", "between two"])
def test_sigterm_ends_it_after_a_checkpoint_and_without_an_evaluation(
    at: int, small: Any, tmp_path: pathlib.Path
) -> None:
    def terminate(run: Any) -> None:
        if run.step == at:
            os.kill(os.getpid(), signal.SIGTERM)

    saved: list[int] = []

    class Listener(CheckpointSaverListener):
        def after_save(self, session: Any, global_step_value: int) -> None:
            saved.append(global_step_value)

    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    train, evaluate = specs(small, 20, hooks=[every_n_steps(1, terminate)])
    with pytest.raises(SystemExit) as caught:
        train_and_evaluate(model, train._replace(saving_listeners=(Listener(),)), evaluate)
    assert caught.value.code == 143
    assert saved[-1] == at
    assert json.loads((folder / f"model.ckpt-{at}.input.json").read_text())["status"] == "interrupted"
    # At step 4 the signal comes before the checkpoint of that step, and so before its evaluation.
    assert list(read_eval_metrics(model.eval_dir())) == ([2, 4] if at == 5 else [2])
    again = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    metrics, _ = train_and_evaluate(again, *specs(small, 7))
    assert int(metrics["global_step"]) == 7


def test_final_and_latest_exporters(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    now = iter(range(2_000_000_000, 2_000_001_000))
    monkeypatch.setattr("headway.estimators._saved_model.time.time", lambda: next(now))
    folder = tmp_path / "model"
    left = folder / "export" / "latest" / "temp-1000000000"
    left.mkdir(parents=True)
    (folder / "export" / "latest" / "notes").mkdir()
    model = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    exporters = [FinalExporter("final"), LatestExporter("latest", exports_to_keep=2)]
    metrics, exports = train_and_evaluate(model, *specs(small, 8, exporters))
    kept = sorted(path.name for path in (folder / "export" / "latest").iterdir())
    assert len(kept) == 3
    assert kept[-1] == "notes"  # what is no export stays, what a dead process has left goes
    assert len(list((folder / "export" / "final").iterdir())) == 1
    for path in exports:
        loaded = tf.train.load_variable(os.path.join(os.fsdecode(path), "variables", "variables"), "global_step")
        assert loaded == metrics["global_step"] == 8


def best_exports(model: Any, folder: pathlib.Path, exporter: BestExporter, losses: dict[int, float]) -> list[int]:
    path = str(folder / "export" / "best_exporter")
    made = {
        step: exporter.export(model, path, model.latest_checkpoint(), {"loss": loss, "global_step": step}, False)
        for step, loss in losses.items()
    }
    return [step for step, result in made.items() if result is not None]


def test_best_exporter_goes_on_where_the_run_before_was(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    now = iter(range(2_000_000_000, 2_000_001_000))
    monkeypatch.setattr("headway.estimators._saved_model.time.time", lambda: next(now))
    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder).train(small.input_fn(), steps=1)
    model.evaluate(small.input_fn(repeat=1))  # so that the input is known
    assert best_exports(model, folder, BestExporter(), {2: 5.0, 4: 6.0, 6: 3.0}) == [2, 6]
    # Nothing but exports: programs take the last name for the newest.
    assert all(path.name.isdigit() for path in (folder / "export" / "best_exporter").iterdir())
    # tf.estimator exports the first result of each process, and takes it for the best.
    assert best_exports(model, folder, BestExporter(), {8: 4.0, 10: 2.0, 12: 2.5}) == [10]
    # Where tf.estimator has exported, the event files tell: the evaluation above has a loss of step 1.
    (folder / "export" / ".best_exporter.json").unlink()
    [first] = read_eval_metrics(model.eval_dir()).values()
    assert best_exports(model, folder, BestExporter(), {14: first["loss"] + 1, 16: first["loss"] - 0.01}) == [16]
    assert best_exports(model, folder, BestExporter(event_file_pattern=None), {18: 9.0, 20: 10.0}) == [18]
    # Nothing is exported yet: the first result is the best.
    shutil.rmtree(folder / "export")
    assert best_exports(model, folder, BestExporter(), {22: 100.0}) == [22]


def test_best_exporter_after_an_export_that_failed(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    model = small.estimator(small.linear, tmp_path / "model").train(small.input_fn(), steps=1)
    exporter = BestExporter()
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "export_saved_model", lambda *_, **__: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            best_exports(model, tmp_path / "model", exporter, {2: 1.0})
    assert best_exports(model, tmp_path / "model", exporter, {4: 2.0}) == [4]


def test_comparing_without_a_loss() -> None:
    with pytest.raises(ValueError, match="best_eval_result cannot be empty or no loss is found in it"):
        _exporters.loss_smaller({}, {"loss": 1.0})
    with pytest.raises(ValueError, match="current_eval_result cannot be empty or no loss is found in it"):
        _exporters.loss_smaller({"loss": 1.0}, {"mae": 1.0})


def cluster(monkeypatch: Any, task: str, index: int = 0, **jobs: int) -> None:
    addresses = {job: [f"127.0.0.1:{9000 + i}" for i in range(count)] for job, count in jobs.items()}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": addresses, "task": {"type": task, "index": index}}))


def test_the_evaluator_evaluates_until_training_is_over(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    folder = tmp_path / "model"
    trainer = small.estimator(small.linear, folder, save_checkpoints_steps=2)
    cluster(monkeypatch, "evaluator", chief=1)
    evaluator, recorder = small.estimator(small.linear, folder), Recorder()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        # The chief trains while the evaluator sleeps: nothing, two steps, nothing, and the rest.
        slept.append(seconds)
        if len(slept) in (3, 5):
            trainer.train(small.input_fn(), max_steps=2 if len(slept) == 3 else 6)

    monkeypatch.setattr(_train_and_evaluate.time, "sleep", sleep)
    train, evaluate = specs(small, 6, recorder, start_delay_secs=7, throttle_secs=30)
    # Each call of `train` above is an end of training, but here they stand for one.
    monkeypatch.setattr(_train_and_evaluate.Evaluator, "newest_has_ended_training", lambda _: False)
    assert train_and_evaluate(evaluator, train, evaluate) is None
    assert recorder.calls == [(2, False), (6, True)]
    assert slept[0] == 7
    assert all(0 < seconds <= 30 for seconds in slept[1:])
    assert list(read_eval_metrics(evaluator.eval_dir())) == [2, 6]


def test_the_evaluator_ends_when_training_stopped_early(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    folder = tmp_path / "model"
    trainer = small.estimator(small.linear, folder)
    cluster(monkeypatch, "evaluator", chief=1)
    evaluator, recorder = small.estimator(small.linear, folder), Recorder()
    monkeypatch.setattr(_train_and_evaluate.time, "sleep", lambda _: trainer.train(small.input_fn(), max_steps=3))
    assert train_and_evaluate(evaluator, *specs(small, 1000, recorder)) is None
    assert recorder.calls == [(3, False)]


def test_a_checkpoint_that_is_deleted_meanwhile(small: Any, tmp_path: pathlib.Path, caplog: Any) -> None:
    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder, save_checkpoints_steps=1, keep_checkpoint_max=1)
    model.train(small.input_fn(), steps=1)

    def slow_input() -> tf.data.Dataset:
        for path in folder.glob("model.ckpt-*"):
            path.unlink()
        return small.input_fn(repeat=1)()

    other = small.estimator(small.linear, folder)
    evaluator = _train_and_evaluate.Evaluator(other, EvalSpec(slow_input, steps=None), None)
    assert not evaluator.evaluate_newest()
    assert "was deleted while it was evaluated" in caplog.text
    assert not evaluator.evaluate_newest()
    assert evaluator.last == (None, None)


def test_an_error_of_an_evaluation_is_no_deleted_checkpoint(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path / "model").train(small.input_fn(), steps=1)
    evaluator = _train_and_evaluate.Evaluator(model, EvalSpec(lambda: None, steps=None), None)
    with pytest.raises(ValueError, match="input_fn returned None"):
        evaluator.evaluate_newest()


def test_the_roles_that_train_and_serve(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    cluster(monkeypatch, "chief", chief=1)
    chief, recorder = small.estimator(small.linear, tmp_path / "chief"), Recorder()
    assert train_and_evaluate(chief, *specs(small, 3, recorder)) is None
    assert int(chief.get_variable_value("global_step")) == 3
    assert recorder.calls == []
    cluster(monkeypatch, "master", master=1)
    master = small.estimator(small.linear, tmp_path / "master")
    assert train_and_evaluate(master, *specs(small, 3, recorder)) is None
    assert recorder.calls == [(3, True)]

    started: list[Any] = []

    class Server:
        def __init__(self, cluster_spec: Any, job_name: str, task_index: int) -> None:
            started.append((job_name, task_index, sorted(cluster_spec.jobs)))

        def join(self) -> None:
            started.append("joined")

    monkeypatch.setattr(tf.distribute, "Server", Server)
    cluster(monkeypatch, "ps", 1, chief=1, ps=2)
    assert train_and_evaluate(small.estimator(small.linear, tmp_path / "ps"), *specs(small)) is None
    assert started == [("ps", 1, ["chief", "ps"]), "joined"]


def test_roles_that_cannot_be(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    cluster(monkeypatch, "evaluator", 1, chief=1)
    with pytest.raises(ValueError, match=r"there can only be one `evaluator` task .*Given task id 1"):
        train_and_evaluate(small.estimator(small.linear, tmp_path / "model"), *specs(small))
    for task in ("chief", "worker"):
        cluster(monkeypatch, task, chief=1, worker=2)
        with pytest.raises(ValueError, match=r"The cluster has 3 tasks that train.*MultiWorkerMirroredStrategy"):
            train_and_evaluate(small.estimator(small.linear, tmp_path / "model"), *specs(small))
    cluster(monkeypatch, "other", chief=1, other=1)
    with pytest.raises(ValueError, match="Task type other is not supported"):
        train_and_evaluate(small.estimator(small.linear, tmp_path / "model"), *specs(small))
    assert not (tmp_path / "model").exists()


def test_early_stopping_names_a_metric_that_is_not_there(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=2)
    hook = stop_if_lower_hook(model, "acuracy", 0.1, run_every_secs=None, run_every_steps=1)
    with pytest.raises(ValueError, match=r"has no metric 'acuracy', by which.*It has \['loss', 'mae'\]"):
        train_and_evaluate(model, *specs(small, hooks=[hook]))


def test_early_stopping_leaves_no_trace_in_the_checkpoint(small: Any, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    model = small.estimator(small.linear, folder).train(small.input_fn(), steps=2)
    before = model.get_variable_names()
    hook = make_early_stopping_hook(model, lambda: True, run_every_secs=None, run_every_steps=1)
    model.train(small.input_fn(), steps=5, hooks=[hook])
    assert model.get_variable_names() == before
    assert int(model.get_variable_value("global_step")) == 3
    # The hook may stay away again; tf.estimator's checkpoint would end this run at once.
    assert int(model.train(small.input_fn(), steps=5).get_variable_value("global_step")) == 8


def test_early_stopping_of_several_workers(small: Any, mirrored: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(_early_stopping._structure, "is_multi_worker", lambda strategy: True)
    model = small.estimator(small.linear, tmp_path / "model", train_distribute=mirrored)
    with pytest.raises(ValueError, match="run_every_secs should not be set when using MultiWorkerMirroredStrategy"):
        make_early_stopping_hook(model, lambda: True)
    answers = iter([False, True])
    hook = make_early_stopping_hook(model, lambda: next(answers), run_every_secs=None, run_every_steps=2)
    monkeypatch.undo()
    model.train(small.input_fn(), steps=9, hooks=[hook])
    assert int(model.get_variable_value("global_step")) == 3


def test_the_rest_of_an_event_file_may_be_damaged(small: Any, tmp_path: pathlib.Path, caplog: Any) -> None:
    model = small.estimator(small.linear, tmp_path / "model", save_checkpoints_steps=2)
    train_and_evaluate(model, *specs(small, 4))
    files = sorted(pathlib.Path(model.eval_dir()).glob("events.*"))
    with files[-1].open("ab") as file:
        file.write(b"half of an event")
    assert list(read_eval_metrics(model.eval_dir())) == [2, 4]
    assert "cannot be read" in caplog.text


def test_stopping_where_the_chief_has_saved(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    folder = tmp_path / "model"
    chief = small.estimator(small.linear, folder)
    chief.train(small.input_fn(), hooks=[make_stop_at_checkpoint_step_hook(chief, 3)])
    assert int(chief.get_variable_value("global_step")) == 3
    worker = small.estimator(small.linear, tmp_path / "worker")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        chief.train(small.input_fn(), steps=1)

    monkeypatch.setattr(_evaluator_hooks.time, "sleep", sleep)
    hook = _evaluator_hooks.StopAtCheckpointStepHook(str(folder), 5, 30)
    worker.train(small.input_fn(), hooks=[hook], steps=50)
    # It looks from step 4 on; the chief saves step 5 while it waits for the second time.
    assert slept == [30, 30]
    assert int(worker.get_variable_value("global_step")) == 6


def test_in_memory_evaluation_needs_one_machine(small: Any, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    cluster(monkeypatch, "chief", chief=1, worker=1)
    with pytest.raises(ValueError, match="supports only single machine"):
        InMemoryEvaluatorHook(small.estimator(small.linear, tmp_path / "model"), small.input_fn())


def test_added_metrics_of_a_ready_made_model_see_its_raw_features(tmp_path: pathlib.Path) -> None:
    def weighted(features: Any, labels: Any, predictions: Any) -> dict[str, Any]:
        metric = keras.metrics.MeanSquaredError(name="weighted")
        metric.update_state(labels[:, None], predictions["predictions"], sample_weight=features["importance"])
        return {"weighted": metric}

    x, y, importance = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.0, 3.0])
    rows = input_pipelines.from_arrays({"x": x, "importance": importance}, y, batch_size=3)
    config = RunConfig(model_dir=str(tmp_path), progress="none")
    model = add_metrics(LinearRegressor([fc.numeric_column("x")], config=config), weighted)
    result = model.train(rows, steps=1).evaluate(rows)
    predicted = np.array([row["predictions"][0] for row in model.predict(rows)])
    assert result["weighted"] == pytest.approx(float((importance * (predicted - y) ** 2).sum() / 4.0), rel=1e-5)
    assert set(model.get_variable_names()) >= {"linear/linear_model/x/weights", "linear/linear_model/bias_weights"}
