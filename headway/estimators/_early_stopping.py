"""Hooks that end training when evaluations say that it is enough."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway.estimators import _structure, _when
from headway.estimators._estimator import Estimator
from headway.estimators._event_files import read_eval_metrics
from headway.estimators._hooks import Hook, PeriodicHook, Run


def make_early_stopping_hook(
    estimator: Estimator,
    should_stop_fn: Callable[[], bool],
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> Hook:
    """Returns a hook that asks a function, every so often, whether to end training.

    Nothing is added to the checkpoint, so that the hook can join and leave a run at any time. Under a strategy over
    several workers, all of them end at the same step if one of them wants to.

    Args:
      estimator: the estimator that is trained.
      should_stop_fn: a function without arguments that returns whether to stop.
      run_every_secs: seconds between two calls; None with `run_every_steps`.
      run_every_steps: steps between two calls. Workers that train in step need it in place of `run_every_secs`.

    Raises:
      ValueError: unless exactly one cadence is given, and one in steps for several workers.
      TypeError: if `estimator` is none, or `should_stop_fn` no function.

    Example:
      >>> import headway
      >>> model = headway.Estimator(lambda features: None)
      >>> hook = make_early_stopping_hook(model, lambda: True, run_every_secs=None, run_every_steps=100)
    """
    if not isinstance(estimator, Estimator):
        raise TypeError(f"`estimator` must have type `headway.Estimator`. Got: {type(estimator)}")
    if not callable(should_stop_fn):
        raise TypeError(f"`should_stop_fn` must be callable. Received: {should_stop_fn!r}")
    if run_every_secs is not None and run_every_steps is not None:
        raise ValueError(
            "Only one of `run_every_secs` and `run_every_steps` must be set. "
            f"Received: {run_every_secs} and {run_every_steps}; `run_every_secs` is 60 unless it is None."
        )
    strategy = estimator.config.train_distribute
    together = strategy if strategy is not None and _structure.is_multi_worker(strategy) else None
    if together is not None and run_every_secs is not None:
        raise ValueError(
            "run_every_secs should not be set when using MultiWorkerMirroredStrategy: the clocks of workers differ, "
            "and all must stop at the same step. Set run_every_secs=None and run_every_steps."
        )
    return _EarlyStoppingHook(should_stop_fn, _when.every(steps=run_every_steps, seconds=run_every_secs), together)


def stop_if_higher_hook(
    estimator: Estimator,
    metric_name: str,
    threshold: float,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> Hook:
    """Returns a hook that ends training when a metric of an evaluation is higher than a threshold.

    Args:
      estimator: the estimator that is trained.
      metric_name: name of the metric, as `evaluate` returns it.
      threshold: the threshold.
      eval_dir: where the results of the evaluations lie; by default `estimator.eval_dir()`.
      min_steps: evaluations of earlier global steps do not count.
      run_every_secs: seconds between two looks; None with `run_every_steps`.
      run_every_steps: steps between two looks.

    Raises:
      ValueError: see `make_early_stopping_hook`. In training: if the evaluations have no such metric.

    Example:
      >>> import headway
      >>> model = headway.Estimator(lambda features: None)
      >>> hook = stop_if_higher_hook(model, "accuracy", 0.95, min_steps=1000)
    """
    crossed = _Crossed(metric_name, threshold, operator.gt, eval_dir or estimator.eval_dir(), min_steps)
    return make_early_stopping_hook(estimator, crossed, run_every_secs, run_every_steps)


def stop_if_lower_hook(
    estimator: Estimator,
    metric_name: str,
    threshold: float,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> Hook:
    """Returns a hook that ends training when a metric of an evaluation is lower than a threshold.

    Args:
      estimator: the estimator that is trained.
      metric_name: name of the metric, as `evaluate` returns it.
      threshold: the threshold.
      eval_dir: see `stop_if_higher_hook`.
      min_steps: see `stop_if_higher_hook`.
      run_every_secs: see `stop_if_higher_hook`.
      run_every_steps: see `stop_if_higher_hook`.

    Raises:
      ValueError: see `stop_if_higher_hook`.

    Example:
      >>> import headway
      >>> model = headway.Estimator(lambda features: None)
      >>> hook = stop_if_lower_hook(model, "loss", 0.1, run_every_secs=10)
    """
    crossed = _Crossed(metric_name, threshold, operator.lt, eval_dir or estimator.eval_dir(), min_steps)
    return make_early_stopping_hook(estimator, crossed, run_every_secs, run_every_steps)


def stop_if_no_increase_hook(
    estimator: Estimator,
    metric_name: str,
    max_steps_without_increase: int,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> Hook:
    """Returns a hook that ends training when the best value of a metric, the higher the better, is long ago.

    Args:
      estimator: the estimator that is trained.
      metric_name: name of the metric, as `evaluate` returns it.
      max_steps_without_increase: steps from the best evaluation to the newest one at which to stop.
      eval_dir: see `stop_if_higher_hook`.
      min_steps: see `stop_if_higher_hook`.
      run_every_secs: see `stop_if_higher_hook`.
      run_every_steps: see `stop_if_higher_hook`.

    Raises:
      ValueError: see `stop_if_higher_hook`.

    Example:
      >>> import headway
      >>> model = headway.Estimator(lambda features: None)
      >>> hook = stop_if_no_increase_hook(model, "auc", 5000)
    """
    stalled = _Stalled(
        metric_name, max_steps_without_increase, operator.gt, eval_dir or estimator.eval_dir(), min_steps
    )
    return make_early_stopping_hook(estimator, stalled, run_every_secs, run_every_steps)


def stop_if_no_decrease_hook(
    estimator: Estimator,
    metric_name: str,
    max_steps_without_decrease: int,
    eval_dir: str | None = None,
    min_steps: int = 0,
    run_every_secs: float | None = 60,
    run_every_steps: int | None = None,
) -> Hook:
    """Returns a hook that ends training when the best value of a metric, the lower the better, is long ago.

    Args:
      estimator: the estimator that is trained.
      metric_name: name of the metric, as `evaluate` returns it.
      max_steps_without_decrease: steps from the best evaluation to the newest one at which to stop.
      eval_dir: see `stop_if_higher_hook`.
      min_steps: see `stop_if_higher_hook`.
      run_every_secs: see `stop_if_higher_hook`.
      run_every_steps: see `stop_if_higher_hook`.

    Raises:
      ValueError: see `stop_if_higher_hook`.

    Example:
      >>> import headway
      >>> model = headway.Estimator(lambda features: None)
      >>> hook = stop_if_no_decrease_hook(model, "loss", 5000, min_steps=10000)
    """
    stalled = _Stalled(
        metric_name, max_steps_without_decrease, operator.lt, eval_dir or estimator.eval_dir(), min_steps
    )
    return make_early_stopping_hook(estimator, stalled, run_every_secs, run_every_steps)


class _Watch:
    """A condition on the results of evaluations; a pure function of the event files."""

    def __init__(
        self, metric_name: str, limit: float, better: Callable[[Any, Any], bool], eval_dir: str, min_steps: int
    ) -> None:
        self.metric_name = metric_name
        self.limit = limit
        self.better = better
        self._eval_dir = eval_dir
        self._min_steps = min_steps

    def values(self) -> list[tuple[int, float]]:
        """Returns (step, value) for each evaluation from `min_steps` on."""
        results = read_eval_metrics(self._eval_dir)
        counted = {step: result for step, result in results.items() if step >= self._min_steps}
        for step, result in counted.items():
            if self.metric_name not in result:
                raise ValueError(
                    f"The evaluation of step {step} in {self._eval_dir} has no metric {self.metric_name!r}, by which "
                    f"an early stopping hook is to decide. It has {sorted(result)}."
                )
        return [(step, result[self.metric_name]) for step, result in counted.items()]


class _Crossed(_Watch):
    def __call__(self) -> bool:
        for step, value in self.values():
            if self.better(value, self.limit):
                side = "greater than" if self.better is operator.gt else "less than"
                logger.info(
                    'At step %d, metric "%s" has value %g which is %s the configured threshold (%g) for early '
                    "stopping.",
                    step,
                    self.metric_name,
                    value,
                    side,
                    self.limit,
                )
                return True
        return False


class _Stalled(_Watch):
    def __call__(self) -> bool:
        best: tuple[int, float] | None = None
        for step, value in self.values():
            if best is None or self.better(value, best[1]):
                best = (step, value)
            if step - best[0] >= self.limit:
                logger.info(
                    'No %s in metric "%s" for %d steps, which is greater than or equal to max steps (%d) configured '
                    "for early stopping.",
                    "increase" if self.better is operator.gt else "decrease",
                    self.metric_name,
                    step - best[0],
                    self.limit,
                )
                return True
        return False


class _EarlyStoppingHook(PeriodicHook):
    acts_last = True

    def __init__(
        self, should_stop: Callable[[], bool], when: _when.When, together: tf.distribute.Strategy | None
    ) -> None:
        super().__init__(when)
        self._should_stop = should_stop
        self._together = together

    def action(self, run: Run) -> None:
        """Stops, if it is time."""
        stop = bool(self._should_stop())
        if self._together is not None:
            stop = _any_worker(self._together, stop)
        if stop:
            logger.info("Requesting early stopping at global step %d", run.step)
            run.request_stop("early stopping")


def _any_worker(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Returns whether `flag` is true in any worker; each of them must call this at the same step."""

    def total(value: tf.Tensor) -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

    mine = tf.constant(float(flag))
    summed = tf.function(lambda: strategy.run(total, args=(mine,)), autograph=False)()
    return bool(strategy.experimental_local_results(summed)[0].numpy() > 0)
