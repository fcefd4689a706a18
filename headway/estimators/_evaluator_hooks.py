"""Hooks that look at a model, or at its checkpoints, while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from headway.estimators import _when
from headway.estimators._classic_hooks import StopAtStepHook, saved_step
from headway.estimators._estimator import Estimator
from headway.estimators._hooks import Hook, PeriodicHook, Run
from headway.estimators._when import Progress


class InMemoryEvaluatorHook(PeriodicHook):
    """Evaluates the weights in memory before the first step, every so many steps, and at the end.

    Results go where `Estimator.evaluate` writes them. No checkpoint is needed.

    Args:
      estimator: the estimator that is trained.
      input_fn: see `Estimator.evaluate`.
      steps: number of batches; None for all.
      hooks: see `Estimator.evaluate`.
      name: see `Estimator.evaluate`.
      every_n_iter: steps between two evaluations.

    Raises:
      ValueError: if `every_n_iter` is not positive, or the estimator trains in a cluster.

    Example:
      >>> import headway
      >>> from headway import feature_columns as fc, input_pipelines
      >>> rows = input_pipelines.from_arrays({"x": [0.0, 1.0]}, [1.0, 3.0], batch_size=2, num_epochs=None)
      >>> model = headway.LinearRegressor([fc.numeric_column("x")], config=headway.RunConfig(progress="none"))
      >>> hook = InMemoryEvaluatorHook(model, rows, steps=1, every_n_iter=2)
      >>> _ = model.train(rows, steps=4, hooks=[hook])
      >>> list(headway.read_eval_metrics(model.eval_dir()))
      [0, 2, 4]
    """

    def __init__(
        self,
        estimator: Estimator,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        name: str | None = None,
        every_n_iter: int | None = 100,
    ) -> None:
        if every_n_iter is None or every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}. It is the number of steps between evaluations.")
        if estimator.config.num_ps_replicas > 0 or estimator.config.num_worker_replicas > 1:
            raise ValueError(
                "InMemoryEvaluator supports only single machine (aka Local) setting. In a cluster, run a task of type "
                "'evaluator' and `train_and_evaluate`."
            )
        super().__init__(_when.EverySteps(every_n_iter))
        self._evaluate: Callable[[], Any] = lambda: estimator.evaluate(input_fn, steps=steps, hooks=hooks, name=name)
        self._step: int | None = None

    def begin(self, run: Run) -> None:
        """Evaluates the weights that training begins with."""
        self.when.done(run.progress)
        self.action(run)

    def action(self, run: Run) -> None:
        """Evaluates."""
        self._step = run.step
        self._evaluate()

    def end(self, run: Run) -> None:
        """Evaluates the last weights."""
        if run.step != self._step:
            self.action(run)


class StopAtCheckpointStepHook(Hook):
    """Ends training in a worker when the chief has saved the last step.

    Args:
      model_dir: where the chief saves.
      last_step: the global step.
      wait_secs: seconds between two looks.
    """

    def __init__(self, model_dir: str, last_step: int, wait_secs: float) -> None:
        self._model_dir = model_dir
        self._last_step = last_step
        self._wait_secs = wait_secs

    def due(self, progress: Progress) -> int | None:
        """Returns the step before the last, and then each."""
        return max(self._last_step - 1, progress.step + 1)

    def act(self, run: Run) -> None:
        """Stops, or waits."""
        if run.step + 1 < self._last_step:
            return
        if saved_step(self._model_dir) >= self._last_step:
            run.request_stop(f"the checkpoint of step {self._last_step} is written")
        else:
            time.sleep(self._wait_secs)


def make_stop_at_checkpoint_step_hook(
    estimator: Estimator, last_step: int, wait_after_file_check_secs: float = 30
) -> Hook:
    """Returns a hook that ends training at a global step, in the other workers when the chief has saved it.

    Args:
      estimator: the estimator that is trained.
      last_step: the global step.
      wait_after_file_check_secs: seconds between two looks at the checkpoints.

    Raises:
      ValueError: if `last_step` is None.

    Example:
      >>> import headway
      >>> model = headway.Estimator(lambda features: None)
      >>> hook = make_stop_at_checkpoint_step_hook(model, last_step=1000)
    """
    if last_step is None:
        raise ValueError("last_step must be specified. Received: None.")
    if estimator.config.is_chief:
        return StopAtStepHook(last_step=last_step)
    return StopAtCheckpointStepHook(estimator.model_dir, last_step, wait_after_file_check_secs)
