"""The outputs of an exported model: what each signature of a SavedModel returns, and the service that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf


class ExportOutput:
    """One signature of an exported model: its named output tensors and the kind of service that they answer.

    The kinds are `ClassificationOutput`, `RegressionOutput` and `PredictOutput` for serving, `EvalOutput` and
    `TrainOutput` for exported evaluation and training graphs. A subclass of your own defines `method_name` and
    `signature_outputs`.

    Example:
      >>> class Scores(ExportOutput):
      ...     method_name = "tensorflow/serving/predict"
      ...     def __init__(self, scores):
      ...         self.scores = scores
      ...     @property
      ...     def signature_outputs(self):
      ...         return {"scores": self.scores}
      >>> sorted(Scores(tf.constant([0.5])).signature_outputs)
      ['scores']
    """

    method_name: ClassVar[str] = ""

    @property
    def signature_outputs(self) -> dict[str, tf.Tensor]:
        """The output tensors by the names that they have in the exported signature."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `signature_outputs`: a dict from names to tensors."
        )

    def check_receiver_tensors(self, receiver_tensors: Mapping[str, tf.Tensor]) -> None:
        """Raises `ValueError` where this kind of output cannot serve inputs such as `receiver_tensors`."""

    def signature_inputs(self, receiver_tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the input tensors by the names that they have in the exported signature."""
        return dict(receiver_tensors)

    def as_signature_def(
        self, receiver_tensors: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor] | None = None
    ) -> Any:
        """Returns the `SignatureDef` proto of this output. For graph mode: every tensor must be symbolic.

        Args:
          receiver_tensors: input tensors by name.
          outputs: the counterparts of `signature_outputs` where these have been copied into another graph.

        Raises:
          ValueError: the receiver tensors do not fit this kind of output.
        """
        self.check_receiver_tensors(receiver_tensors)
        inputs = self.signature_inputs(receiver_tensors)
        outputs = self.signature_outputs if outputs is None else outputs
        saved_model = tf.compat.v1.saved_model
        return saved_model.build_signature_def(
            inputs={key: saved_model.build_tensor_info(value) for key, value in inputs.items()},
            outputs={key: saved_model.build_tensor_info(value) for key, value in outputs.items()},
            method_name=self.method_name,
        )


class _StringServedOutput(ExportOutput):
    """The kinds of output whose signature takes one string tensor of serialised `tf.Example`s, named 'inputs'."""

    _label: ClassVar[str] = ""

    def check_receiver_tensors(self, receiver_tensors: Mapping[str, tf.Tensor]) -> None:
        dtypes = [tf.as_dtype(tensor.dtype) for tensor in receiver_tensors.values()]
        if dtypes != [tf.string]:
            raise ValueError(
                f"{self._label} signatures can only accept a single tensor input of type tf.string: serialised "
                "tf.Examples. Make the serving_input_receiver_fn receive one string tensor and parse it with "
                f"`tf.io.parse_example`, or export a PredictOutput. Received: {dict(receiver_tensors)}"
            )

    def signature_inputs(self, receiver_tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        (examples,) = receiver_tensors.values()
        return {"inputs": examples}


class ClassificationOutput(_StringServedOutput):
    """Classes, their scores, or both, for `tf.Example`s that a client sends to be classified.

    With `classes` alone, row i holds the best classes in descending order. With `scores` alone, column j is the score
    of class id j. With both, `scores[i, j]` belongs to `classes[i, j]`, in any order.

    Args:
      scores: float tensor [batch, classes], or None.
      classes: string tensor [batch, classes] of labels (not of class ids), or None.

    Raises:
      ValueError: both are None, or one is no tensor of its dtype.

    Example:
      >>> output = ClassificationOutput(scores=tf.constant([[0.9, 0.1]]), classes=tf.constant([["cat", "dog"]]))
      >>> sorted(output.signature_outputs)
      ['classes', 'scores']
    """

    method_name = "tensorflow/serving/classify"
    _label = "Classification"

    def __init__(self, scores: tf.Tensor | None = None, classes: tf.Tensor | None = None) -> None:
        if scores is not None and not _is_floating_tensor(scores):
            raise ValueError(f"Classification scores must be a float32 Tensor; got {scores}.")
        if classes is not None and not (isinstance(classes, tf.Tensor) and classes.dtype == tf.string):
            raise ValueError(f"Classification classes must be a string Tensor; got {classes}.")
        if scores is None and classes is None:
            raise ValueError(
                "Cannot create a ClassificationOutput with empty arguments. "
                "At least one of `scores` and `classes` must be defined."
            )
        self._scores = scores
        self._classes = classes

    @property
    def scores(self) -> tf.Tensor | None:
        """Float tensor [batch, classes], or None."""
        return self._scores

    @property
    def classes(self) -> tf.Tensor | None:
        """String tensor [batch, classes], or None."""
        return self._classes

    @property
    def signature_outputs(self) -> dict[str, tf.Tensor]:
        """The tensors given, under 'classes' and 'scores'."""
        outputs = {"classes": self._classes, "scores": self._scores}
        return {key: value for key, value in outputs.items() if value is not None}


class RegressionOutput(_StringServedOutput):
    """Predicted values for `tf.Example`s that a client sends.

    Args:
      value: float tensor [batch] or [batch, 1].

    Raises:
      ValueError: `value` is no float tensor.

    Example:
      >>> sorted(RegressionOutput(tf.constant([1.5, 2.5])).signature_outputs)
      ['outputs']
    """

    method_name = "tensorflow/serving/regress"
    _label = "Regression"

    def __init__(self, value: tf.Tensor) -> None:
        if not _is_floating_tensor(value):
            raise ValueError(f"Regression output value must be a float32 Tensor; got {value}.")
        self._value = value

    @property
    def value(self) -> tf.Tensor:
        """Float tensor [batch] or [batch, 1]."""
        return self._value

    @property
    def signature_outputs(self) -> dict[str, tf.Tensor]:
        """The value, under 'outputs'."""
        return {"outputs": self._value}


class PredictOutput(ExportOutput):
    """Any named tensors, for clients that send any named tensors.

    Args:
      outputs: a tensor (it gets the name 'output'), or a dict from names to tensors. A name may be a tuple of strings,
        which is joined by '/'.

    Raises:
      ValueError: a name is no string, or a value is no tensor.

    Example:
      >>> sorted(PredictOutput({"logits": tf.zeros([2, 1]), ("head", "ids"): tf.zeros([2])}).outputs)
      ['head/ids', 'logits']
    """

    method_name = "tensorflow/serving/predict"

    def __init__(self, outputs: tf.Tensor | Mapping[Any, tf.Tensor]) -> None:
        self._outputs = _named_tensors(outputs, "output", "Prediction")

    @property
    def outputs(self) -> dict[str, tf.Tensor]:
        """The tensors by name."""
        return self._outputs

    @property
    def signature_outputs(self) -> dict[str, tf.Tensor]:
        """The same as `outputs`."""
        return self._outputs


class EvalOutput(ExportOutput):
    """Loss, predictions and metrics of an exported evaluation graph.

    Every name gets the prefix of its kind, unless it begins with it.

    Args:
      loss: a tensor, or a dict from names to tensors.
      predictions: a tensor, or a dict from names to tensors.
      metrics: a `(value, update_op)` pair or a Keras metric, or a dict from names to such. Each becomes two outputs,
        'metrics/<name>/value' and 'metrics/<name>/update_op'.

    Raises:
      ValueError: a name is no string, or a value is no tensor.

    Example:
      >>> sorted(EvalOutput(loss=tf.constant(0.5), predictions={"ids": tf.constant([1])}).signature_outputs)
      ['loss', 'predictions/ids']
    """

    LOSS_NAME = "loss"
    PREDICTIONS_NAME = "predictions"
    METRICS_NAME = "metrics"
    METRIC_VALUE_SUFFIX = "value"
    METRIC_UPDATE_SUFFIX = "update_op"

    method_name = "tensorflow/supervised/eval"

    def __init__(self, loss: Any = None, predictions: Any = None, metrics: Any = None) -> None:
        self._loss = None if loss is None else _prefixed(_named_tensors(loss, "loss"), "loss")
        self._predictions = (
            None if predictions is None else _prefixed(_named_tensors(predictions, "predictions"), "predictions")
        )
        self._metrics = None if metrics is None else _metric_tensors(metrics)

    @property
    def loss(self) -> dict[str, tf.Tensor] | None:
        """Tensors by name ('loss', or 'loss/<name>'), or None."""
        return self._loss

    @property
    def predictions(self) -> dict[str, tf.Tensor] | None:
        """Tensors by name ('predictions', or 'predictions/<name>'), or None."""
        return self._predictions

    @property
    def metrics(self) -> dict[str, tf.Tensor] | None:
        """Tensors by name ('metrics/<name>/value' and 'metrics/<name>/update_op'), or None."""
        return self._metrics

    @property
    def signature_outputs(self) -> dict[str, tf.Tensor]:
        """Loss, predictions and metrics in one dict."""
        return {**(self._loss or {}), **(self._predictions or {}), **(self._metrics or {})}


class TrainOutput(EvalOutput):
    """Loss, predictions and metrics of an exported training graph; arguments as for `EvalOutput`."""

    method_name = "tensorflow/supervised/training"


def _is_floating_tensor(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and bool(value.dtype.is_floating)


def _named_tensors(outputs: Any, default_name: str, label: str | None = None) -> dict[str, tf.Tensor]:
    """Returns `outputs` as a dict from names to tensors; a tensor alone gets `default_name`."""
    label = label or default_name
    named = {}
    for key, value in outputs.items() if isinstance(outputs, Mapping) else [(default_name, outputs)]:
        name = _output_name(key, label)
        if not isinstance(value, tf.Tensor):
            raise ValueError(f"{label} output value must be a Tensor; got {value}.")
        named[name] = value
    return named


def _output_name(key: Any, label: str) -> str:
    if isinstance(key, tuple) and all(isinstance(part, str) for part in key):
        key = "/".join(key)
    if not isinstance(key, str):
        raise ValueError(f"{label} output key must be a string; got {key}.")
    return key


def _prefixed(tensors: Mapping[str, tf.Tensor], prefix: str) -> dict[str, tf.Tensor]:
    return {key if key.startswith(prefix) else f"{prefix}/{key}": value for key, value in tensors.items()}


def _metric_tensors(metrics: Any) -> dict[str, tf.Tensor]:
    """Returns the value and update tensors of metrics, under their exported names."""
    named = {}
    for key, metric in metrics.items() if isinstance(metrics, Mapping) else [("metrics", metrics)]:
        name = _output_name(key, "metrics")
        name = name if name.startswith("metrics") else f"metrics/{name}"
        value, update = metric if isinstance(metric, tuple) else (metric.result(), None)
        if not isinstance(value, tf.Tensor):
            raise ValueError(f"{name} output value must be a Tensor; got {value}.")
        if update is not None and not isinstance(update, (tf.Tensor, tf.Variable, tf.Operation)):
            raise ValueError(f"{name} update_op must be a Tensor or Operation; got {update}.")
        if not isinstance(update, tf.Tensor):
            # A signature holds tensors only: an empty one stands for an operation, and depends on it.
            with tf.control_dependencies([] if update is None else [update]):
                update = tf.zeros([0])
        named[f"{name}/value"] = value
        named[f"{name}/update_op"] = update
    return named
