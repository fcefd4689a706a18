"""One task of a small cluster: runs `train_and_evaluate`, and prints what it sees as a line of JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def main(model_dir: str) -> None:
    task = json.loads(os.environ["TF_CONFIG"])["task"]["type"]
    strategy = None if task == "evaluator" else tf.distribute.MultiWorkerMirroredStrategy()
    from headway import estimators, heads, input_pipelines

    x = np.linspace(-1, 1, 60, dtype=np.float32)
    rows = input_pipelines.from_arrays({"x": x[:, None]}, 2 * x, batch_size=6, shuffle=True, seed=1, num_epochs=None)
    test_rows = input_pipelines.from_arrays({"x": x[:, None]}, 2 * x, batch_size=60)
    exported: list[int] = []

    class Recorder(estimators.Exporter):
        name = "recorder"

        def export(
            self, estimator: Any, export_path: str, checkpoint_path: Any, eval_result: Any, is_the_final_export: bool
        ) -> None:
            exported.append(int(eval_result["global_step"]))

    class LastStep(estimators.Hook):
        step = -1

        def end(self, run: estimators.Run) -> None:
            self.step = run.step

    def model_fn(features: Any, labels: Any, mode: str) -> Any:
        weight = tf.Variable(lambda: tf.zeros([1, 1]), name="w")
        logits = features["x"] @ weight
        return heads.RegressionHead().create_estimator_spec(
            features, mode, logits, labels, optimizer=keras.optimizers.SGD(0.05), trainable_variables=[weight]
        )

    config = estimators.RunConfig(
        model_dir=model_dir, save_checkpoints_steps=4, train_distribute=strategy, progress="none"
    )
    model = estimators.Estimator(model_fn, config=config)
    asked: list[bool] = []

    def should_stop() -> bool:
        asked.append(task == "chief" and len(asked) == 2)
        return asked[-1]

    hook = estimators.make_early_stopping_hook(model, should_stop, run_every_secs=None, run_every_steps=4)
    last = LastStep()
    returned = estimators.train_and_evaluate(
        model,
        estimators.TrainSpec(rows, max_steps=1000, hooks=[hook, last]),
        estimators.EvalSpec(test_rows, steps=None, exporters=Recorder(), start_delay_secs=0, throttle_secs=0),
    )
    evaluated = list(estimators.read_eval_metrics(model.eval_dir()))
    step = evaluated[-1] if task == "evaluator" else last.step
    seen = {"step": step, "evaluated": evaluated, "exported": exported, "returned": returned}
    sys.stdout.write("RESULT " + json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
