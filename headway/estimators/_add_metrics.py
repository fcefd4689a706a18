"""Further metrics for an estimator that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators._estimator import Estimator
from headway.estimators._model import argument_names
from headway.estimators._run_config import RunConfig

_ARGUMENTS = ("features", "labels", "predictions", "config")


def add_metrics(estimator: Estimator, metric_fn: Callable[..., Mapping[str, Any]]) -> Estimator:
    """Returns an estimator whose evaluations have further metrics; all else is as before, `model_dir` too.

    Args:
      estimator: any estimator.
      metric_fn: a function of some of `features`, `labels`, `predictions` and `config`, by name. It returns a dict of
        Keras metrics that it has updated, or of `(value, update_op)` pairs; one of the name of a metric that is there
        takes its place.

    Raises:
      ValueError: if `metric_fn` has other arguments.

    Example:
      >>> import keras
      >>> import headway
      >>> from headway import feature_columns as fc, input_pipelines
      >>> def squared(labels, predictions):
      ...     metric = keras.metrics.MeanSquaredError(name="mse")
      ...     metric.update_state(labels, predictions["predictions"][:, 0])
      ...     return {"mse": metric}
      >>> rows = input_pipelines.from_arrays({"x": [0.0, 1.0]}, [1.0, 3.0], batch_size=2, num_epochs=None)
      >>> model = headway.LinearRegressor([fc.numeric_column("x")], config=headway.RunConfig(progress="none"))
      >>> model = add_metrics(model, squared)
      >>> result = model.train(rows, steps=2).evaluate(rows, steps=1)
      >>> bool(abs(result["mse"] - result["average_loss"]) < 1e-6)
      True
    """
    if not isinstance(estimator, Estimator):
        raise TypeError(f"`estimator` must have type `headway.Estimator`. Got: {type(estimator)}")
    if not callable(metric_fn):
        raise TypeError(f"`metric_fn` must be a function. Received: {metric_fn!r}")
    names = argument_names(metric_fn)
    unknown = sorted(set(names) - set(_ARGUMENTS))
    if unknown:
        raise ValueError(
            f"metric_fn ({metric_fn}) has following not expected args: {unknown}. Allowed are {list(_ARGUMENTS)}."
        )
    model_fn = estimator.model_fn

    def with_metrics(features: Any, labels: Any, mode: str, config: RunConfig) -> EstimatorSpec:
        # The model_fn may take features out of its dict.
        given = {"features": dict(features) if isinstance(features, dict) else features, "labels": labels}
        spec: EstimatorSpec = model_fn(features, labels, mode, config)
        if mode != ModeKeys.EVAL:
            return spec
        given |= {"predictions": spec.predictions, "config": config}
        added = metric_fn(**{name: given[name] for name in names})
        if not isinstance(added, Mapping):
            raise TypeError(f"metric_fn ({metric_fn}) must return a dict from names to metrics. Received: {added!r}.")
        return spec._replace(eval_metric_ops={**(spec.eval_metric_ops or {}), **added})

    transform = estimator.input_transform
    if "features" in names and hasattr(transform, "keeping_all"):
        transform = transform.keeping_all()
    return Estimator(
        with_metrics,
        model_dir=estimator.model_dir,
        config=estimator.config,
        warm_start_from=estimator.warm_start_from,
        input_transform=transform,
    )
