"""Metrics that a caller adds to a head: Keras metrics, and functions whose values are averaged."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras
import tensorflow as tf

from headway.heads._accumulator import Formula, Sums
from headway.heads._keys import MetricKeys

Given = Mapping[str, Any] | Collection[Any] | None
"""What a head takes as `metrics`: see `ExtraMetrics`."""


@dataclasses.dataclass(frozen=True)
class MetricBatch:
    """What a metric sees of a batch.

    Attributes:
      labels: labels as the loss takes them, shape `[D0, ..., DN, labels_dimension]`; of several heads, a dict.
      predictions: float32, shape `[D0, ..., DN, predictions_dimension]`; of several heads, a dict.
      weights: float32, shape `[D0, ..., DN, 1]`; None where each is 1.
    """

    labels: Any
    predictions: Any
    weights: tf.Tensor | None


# The names of Keras and scikit-learn stand for ours.
_ARGUMENTS = {
    "labels": "labels",
    "predictions": "predictions",
    "weights": "weights",
    "features": "features",
    "y_true": "labels",
    "y_pred": "predictions",
    "sample_weight": "weights",
}
_RESERVED = (MetricKeys.LOSS, "global_step", MetricKeys.REGULARIZATION_LOSS)
_IN_A_SESSION = (
    "The metric {key!r} is a Keras metric, which cannot count in a session of TensorFlow 1. Pass a function of labels, "
    "predictions and weights, or leave eager execution enabled."
)


class ExtraMetrics:
    """The metrics that a caller adds to a head.

    Args:
      given: a list, or a dict by key, of Keras metric objects, their names in Keras, classes or functions without
        arguments that make one, and functions of labels, predictions, weights and features.
      reserved: keys of the head's own metrics.
      weighted: whether the head has example weights.
      of_one_head: whether labels and predictions are tensors. Those of several heads are dicts, which no metric of
        Keras's own takes, and rows have no weights.

    Raises:
      ValueError: if one of `given` is none of these, or has no key or one that is taken.

    >>> extra = ExtraMetrics({"auc_50": keras.metrics.AUC(num_thresholds=50)}, reserved=["auc"], weighted=False)
    >>> sorted(extra.fresh(lambda key: f"{key}/click"))
    ['auc_50/click']
    """

    def __init__(
        self, given: Given, *, reserved: Collection[str], weighted: bool = False, of_one_head: bool = True
    ) -> None:
        self._makers: dict[str, Callable[[str], keras.metrics.Metric]] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        for key, metric in _with_keys(given):
            if key in (*reserved, *_RESERVED):
                raise ValueError(
                    f"`metrics`: the head reports a metric {key!r} already. Give yours another key: "
                    f"`metrics={{'my_{key}': ...}}`."
                )
            if key in self._makers or key in self._functions:
                raise ValueError(f"`metrics`: there are two metrics {key!r}. Pass a dict, with a key for each.")
            function, make = _taken_apart(key, metric, weighted)
            if not of_one_head:
                _check_takes_dicts(key, metric, function, make)
            if make is not None:
                self._makers[key] = make
            else:
                self._functions[key] = function

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of what `sums` returns."""
        return {_sum_name(key): (2,) for key in self._functions}

    def formulas(self) -> dict[str, Formula]:
        """Returns the metrics that are functions, by key, as formulas over the sums."""
        return {key: functools.partial(_quotient, name=_sum_name(key)) for key in self._functions}

    def sums(self, batch: MetricBatch, features: Any) -> dict[str, tf.Tensor]:
        """Returns what a batch adds to the metrics that are functions."""
        if not self._functions:
            return {}
        weights = batch.weights
        if weights is None:
            weights = tf.ones_like(tf.cast(batch.labels[..., :1], tf.float32))
        values = {"labels": batch.labels, "predictions": batch.predictions, "weights": weights, "features": features}
        return {_sum_name(key): _total_and_count(key, function, values) for key, function in self._functions.items()}

    def fresh(self, full_key: Callable[[str], str]) -> dict[str, keras.metrics.Metric]:
        """Returns new Keras metrics by key, with nothing counted yet.

        Args:
          full_key: turns a key into that under which the head reports the metric.
        """
        if self._makers and not tf.compat.v1.executing_eagerly_outside_functions():
            raise ValueError(_IN_A_SESSION.format(key=next(iter(self._makers))))
        return {full_key(key): make(full_key(key)) for key, make in self._makers.items()}

    def update(self, metrics: Mapping[str, Any], full_key: Callable[[str], str], batch: MetricBatch) -> None:
        """Counts a batch in those of `metrics` that `fresh` made."""
        if not self._makers:
            return
        options = {}
        if batch.weights is not None:
            if batch.weights.shape[-1] != 1:
                raise ValueError(
                    f"The Keras metrics {sorted(self._makers)} take one weight per example. Received weights of shape "
                    f"{batch.weights.shape}. Pass a function of labels, predictions and weights instead."
                )
            options["sample_weight"] = tf.squeeze(batch.weights, -1)
        for key in self._makers:
            if full_key(key) not in metrics:
                raise ValueError(
                    f"`eval_metrics` must be what `metrics()` of this head returned, with {full_key(key)!r} in it. "
                    f"Received the keys: {sorted(metrics)}."
                )
            metrics[full_key(key)].update_state(batch.labels, batch.predictions, **options)

    def __bool__(self) -> bool:
        return bool(self._makers or self._functions)


def _sum_name(key: str) -> str:
    return f"extra/{key}"


def _quotient(sums: Sums, *, name: str) -> tf.Tensor:
    return tf.math.divide_no_nan(sums[name][0], sums[name][1])


def _with_keys(given: Given) -> list[tuple[str, Any]]:
    if given is None:
        return []
    if isinstance(given, (str, keras.metrics.Metric)) or not isinstance(given, Collection):
        raise ValueError(f"`metrics` must be a list of metrics, or a dict from keys to metrics. Received: {given!r}.")
    if not isinstance(given, Mapping):
        return [(_key_of(metric), metric) for metric in given]
    for key in given:
        if not isinstance(key, str) or not key:
            raise ValueError(f"The keys of `metrics` must be strings that are not empty. Received: {key!r}.")
    return list(given.items())


def _key_of(metric: Any) -> str:
    """Returns the key for a metric that was given without one."""
    if isinstance(metric, str):
        return metric
    if isinstance(metric, keras.metrics.Metric):
        # Keras numbers the metrics without a name through the whole program: the second AUC is "auc_1".
        plain = _snake_case(type(metric).__name__)
        return plain if re.fullmatch(rf"{plain}_\d+", metric.name) else str(metric.name)
    if isinstance(metric, type):
        return _snake_case(metric.__name__)
    name = getattr(metric, "__name__", "<lambda>")
    if name == "<lambda>":
        raise ValueError(f"`metrics`: {metric!r} has no name. Pass a dict: `metrics={{'name of the metric': ...}}`.")
    return str(name)


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _taken_apart(
    key: str, metric: Any, weighted: bool
) -> tuple[Callable[..., Any], Callable[[str], keras.metrics.Metric] | None]:
    """Returns a function of the batch, or what makes a Keras metric of a given name."""
    if isinstance(metric, str):
        try:
            metric = keras.metrics.get(metric)
        except ValueError as error:
            raise ValueError(
                f"`metrics`: Keras knows no metric {metric!r}. Names are those of keras.metrics, such as 'AUC' or "
                "'mean_absolute_error'."
            ) from error
    if isinstance(metric, keras.metrics.Metric):
        _check_takes_weights(key, type(metric), weighted)
        return _no_function, _copier(key, metric)
    if not callable(metric):
        raise ValueError(
            f"`metrics`: {key!r} must be a Keras metric, the name of one in Keras, or a function of labels, "
            f"predictions and weights. Received: {metric!r}."
        )
    if isinstance(metric, type):
        if not issubclass(metric, keras.metrics.Metric) or _required(metric):
            raise ValueError(
                f"`metrics`: the class {key!r} must be a keras.metrics.Metric that needs no arguments. Received: "
                f"{metric!r}. Pass an object of it."
            )
        _check_takes_weights(key, metric, weighted)
    if not _required(metric):
        return _no_function, functools.partial(_made, metric, key)
    strange = [name for name in _required(metric) if name not in _ARGUMENTS]
    if strange:
        raise ValueError(
            f"`metrics`: the function {key!r} has unexpected args: {strange}. It may take labels, predictions, weights "
            "and features; bind others with functools.partial or a lambda."
        )
    return metric, None


def _no_function(**_: Any) -> None:
    raise AssertionError("a Keras metric is updated, not called")


def _required(function: Callable[..., Any]) -> list[str]:
    """Returns the names of the arguments that have no default."""
    parameters = inspect.signature(function).parameters.values()
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.kind not in variable and p.default is inspect.Parameter.empty]


def _check_takes_weights(key: str, kind: type, weighted: bool) -> None:
    update = getattr(kind, "update_state", None)
    if weighted and update is not None and "sample_weight" not in inspect.signature(update).parameters:
        raise ValueError(
            f"`metrics`: the head has a weight_column, but `update_state` of the metric {key!r} ({kind.__name__}) "
            "takes no `sample_weight`. Add the argument, or leave the metric out."
        )


def _check_takes_dicts(key: str, metric: Any, function: Callable[..., Any], make: Any) -> None:
    if make is None:
        if any(_ARGUMENTS.get(name) == "weights" for name in _required(function)):
            raise ValueError(
                f"`metrics`: the function {key!r} asks for weights, which rows of a MultiHead do not have: each head "
                "has its own. Take them from `features`, and return a pair of a sum and a count."
            )
        return
    kind = metric if isinstance(metric, type) else type(metric)
    if isinstance(metric, str) or kind.__module__.startswith("keras."):
        raise ValueError(
            f"`metrics`: {key!r} is a metric of Keras, which takes tensors; labels and predictions of a MultiHead are "
            "dicts. Give it to the head that it is about, with `metrics=` there, or subclass it and choose the tensors "
            "in `update_state`."
        )


def _copier(key: str, metric: keras.metrics.Metric) -> Callable[[str], keras.metrics.Metric]:
    """Returns a function that makes a metric like `metric`, but with nothing counted and the name it is given."""
    kind, advice = type(metric), f"`metrics={{{key!r}: lambda: {type(metric).__name__}(...)}}`"
    if (
        isinstance(metric, keras.metrics.MeanMetricWrapper)
        and kind.__init__ is keras.metrics.MeanMetricWrapper.__init__
    ):
        raise ValueError(
            f"`metrics`: {key!r} wraps a function in keras.metrics.MeanMetricWrapper. Pass the function itself: a head "
            "takes the mean of what it returns."
        )
    config = metric.get_config()
    parameters = inspect.signature(kind).parameters.values()
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    lost = [p.name for p in parameters if p.kind not in variable and p.name not in {*config, "name", "dtype"}]
    # Keras's own metrics leave out of their configuration only what follows from the rest.
    if lost and not kind.__module__.startswith("keras."):
        raise ValueError(
            f"`metrics`: each evaluation starts with a new {kind.__name__}, made from `get_config()` of {key!r}, which "
            f"lacks the arguments {lost}. Return them from `get_config`, or pass what makes the metric: {advice}."
        )
    return functools.partial(_copied, kind, config)


def _copied(kind: type[keras.metrics.Metric], config: dict[str, Any], name: str) -> keras.metrics.Metric:
    return kind.from_config({**config, "name": name})


def _made(make: Callable[[], Any], key: str, name: str) -> keras.metrics.Metric:
    metric = make()
    if not isinstance(metric, keras.metrics.Metric):
        raise ValueError(
            f"`metrics`: {key!r} must be a Keras metric, what makes one without arguments, or a function of labels, "
            f"predictions and weights. Its call without arguments returned: {metric!r}."
        )
    del name  # its variables have been named already
    return metric


def _total_and_count(key: str, function: Callable[..., Any], batch: dict[str, Any]) -> tf.Tensor:
    named = {name: batch[_ARGUMENTS[name]] for name in inspect.signature(function).parameters if name in _ARGUMENTS}
    found = function(**named)
    if isinstance(found, tuple):
        if len(found) != 2:
            raise ValueError(
                f"`metrics`: the function {key!r} must return a value per example, or a pair: a sum over the batch, "
                f"and what the sum over all batches is to be divided by. Received a tuple of {len(found)}."
            )
        return tf.stack([tf.reduce_sum(tf.cast(part, tf.float64)) for part in found])
    values, weights = tf.cast(found, tf.float64), tf.cast(batch["weights"], tf.float64)
    if values.shape.rank == weights.shape.rank - 1:
        values = tf.expand_dims(values, -1)
    if values.shape.rank != weights.shape.rank or not values.shape[:-1].is_compatible_with(weights.shape[:-1]):
        raise ValueError(
            f"`metrics`: the function {key!r} must return a value per example, shape {weights.shape[:-1]}, or a pair "
            f"of a sum and a count. Received shape: {values.shape}."
        )
    weights = tf.broadcast_to(weights, tf.shape(values))
    return tf.stack([tf.reduce_sum(weights * values), tf.reduce_sum(weights)])
