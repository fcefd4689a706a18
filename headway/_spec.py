"""What a `model_fn` returns: `EstimatorSpec`, with the modes that it is called in and the outputs that it exports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import keras
import tensorflow as tf

from headway import _context, _keras_2, _tensorflow
from headway._export_outputs import ClassificationOutput as ClassificationOutput
from headway._export_outputs import EvalOutput as EvalOutput
from headway._export_outputs import ExportOutput as ExportOutput
from headway._export_outputs import PredictOutput as PredictOutput
from headway._export_outputs import RegressionOutput as RegressionOutput
from headway._export_outputs import TrainOutput as TrainOutput


class ModeKeys:
    """The modes that a `model_fn` is called in: plain strings, as `tf.estimator.ModeKeys` has them.

    Example:
      >>> ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT
      ('train', 'eval', 'infer')
    """

    TRAIN: Final = "train"
    EVAL: Final = "eval"
    PREDICT: Final = "infer"


_MODES: Final = (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT)

# A hook is recognised by what it can do. Each entry is one protocol: TensorFlow's SessionRunHook, and headway's Hook.
_HOOK_PROTOCOLS: Final = (
    ("begin", "before_run", "after_run", "end"),
    ("begin", "due", "act", "end"),
)

_FOREIGN_TENSOR: Final = (
    "{what} with {value!r} must be from the default graph. Possible causes of this error include:\n\n"
    "1) {what} was created outside of the model_fn, in another graph or `tf.function`.\n\n"
    "2) it was kept from an earlier call of the model_fn: each call must make its own tensors.\n\n"
    "Create it within the call of the model_fn that returns this EstimatorSpec."
)

_MISSING_TRAIN_OP: Final = (
    "Missing train_op. In mode 'train', `EstimatorSpec` needs `train_op`: what the optimizer's step returned, "
    "for example `headway.minimize(optimizer, loss, variables)` or `optimizer.apply_gradients(...)`. (Keras 3's "
    "`optimizer.apply(...)` returns None.)"
)


def is_hook(value: Any) -> bool:
    """Returns whether `value` is an instance that follows one of the hook protocols headway can run."""
    if isinstance(value, type):
        return False
    return any(all(callable(getattr(value, name, None)) for name in names) for names in _HOOK_PROTOCOLS)


class _SpecFields(NamedTuple):
    mode: str
    predictions: Any
    loss: Any
    train_op: Any
    eval_metric_ops: dict[str, Any]
    export_outputs: dict[str, ExportOutput] | None
    training_chief_hooks: tuple[Any, ...]
    training_hooks: tuple[Any, ...]
    scaffold: Any
    evaluation_hooks: tuple[Any, ...]
    prediction_hooks: tuple[Any, ...]


class EstimatorSpec(_SpecFields):
    """What a `model_fn` returns: all that an `Estimator` needs to train, evaluate or predict with the model.

    Which fields are needed depends on `mode`: `loss` and `train_op` for 'train', `loss` for 'eval', `predictions` for
    'infer'. A `model_fn` may fill the others as well: those without meaning in a mode are ignored there. Tensors may be
    symbolic or eager. The fields are those of a named tuple, in the order of the arguments, after validation.

    Args:
      mode: a `ModeKeys` value.
      predictions: tensor, or dict from names to tensors, each [batch, ...]. Default: {}.
      loss: scalar tensor; one of one element is reshaped to [].
      train_op: operation, tensor or variable: what the optimizer's step returned.
      eval_metric_ops: dict from names to Keras metrics (updated in this call), or to `(value, update_op)` pairs as the
        functions of `tf.compat.v1.metrics` return them. Default: {}.
      export_outputs: dict from signature names to `ExportOutput`s, looked at in mode 'infer'. A single entry is also
        the default signature; of several, one must be named `tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY`.
        Default: `predictions` as a `PredictOutput` under that name.
      training_chief_hooks: hooks that run on the chief in training.
      training_hooks: hooks that run on every worker in training.
      scaffold: a `tf.compat.v1.train.Scaffold`, or None.
      evaluation_hooks: hooks that run in evaluation.
      prediction_hooks: hooks that run in prediction.

    Raises:
      ValueError: `mode` is none, a field that it needs is missing, the loss has more than one element, or a tensor was
        not made in this call.
      TypeError: a field has the wrong type.

    Example:
      >>> spec = EstimatorSpec(ModeKeys.EVAL, loss=tf.constant([0.5]))
      >>> spec.loss.shape, spec.predictions
      (TensorShape([]), {})
      >>> EstimatorSpec(ModeKeys.PREDICT)
      Traceback (most recent call last):
      ...
      ValueError: Missing predictions. In mode 'infer', `EstimatorSpec` needs `predictions`: a tensor or a dict.
    """

    __slots__ = ()

    def __new__(
        cls,
        mode: str,
        predictions: Any = None,
        loss: Any = None,
        train_op: Any = None,
        eval_metric_ops: Any = None,
        export_outputs: Any = None,
        training_chief_hooks: Iterable[Any] | None = None,
        training_hooks: Iterable[Any] | None = None,
        scaffold: Any = None,
        evaluation_hooks: Iterable[Any] | None = None,
        prediction_hooks: Iterable[Any] | None = None,
    ) -> EstimatorSpec:
        """Validates the fields and makes the tuple."""
        _check_mode(mode)
        train_op = _checked_train_op(train_op, mode)
        loss = _checked_loss(loss, mode)
        predictions = _checked_predictions(predictions, mode)
        if mode == ModeKeys.PREDICT:
            export_outputs = _checked_export_outputs(export_outputs, predictions)
        return super().__new__(
            cls,
            mode=mode,
            predictions=predictions,
            loss=loss,
            train_op=train_op,
            eval_metric_ops=_checked_eval_metric_ops(eval_metric_ops),
            export_outputs=export_outputs,
            training_chief_hooks=_checked_hooks(training_chief_hooks, "training_chief_hooks"),
            training_hooks=_checked_hooks(training_hooks, "training_hooks"),
            scaffold=_checked_scaffold(scaffold),
            evaluation_hooks=_checked_hooks(evaluation_hooks, "evaluation_hooks"),
            prediction_hooks=_checked_hooks(prediction_hooks, "prediction_hooks"),
        )

    def _replace(self, **kwargs: Any) -> EstimatorSpec:
        """Returns a new spec with some fields replaced, validated again. `mode` may be given, but not changed.

        Raises:
          ValueError: `mode` differs, or a name is no field; and all that the constructor raises.
        """
        if "mode" in kwargs and kwargs["mode"] != self.mode:
            raise ValueError(
                f"mode of EstimatorSpec cannot be changed. It is {self.mode!r}. Received: {kwargs['mode']!r}."
            )
        unknown = sorted(set(kwargs) - set(self._fields))
        if unknown:
            raise ValueError(
                f"Got unexpected field names: {unknown}. The fields of EstimatorSpec are {list(self._fields)}."
            )
        return type(self)(**{**self._asdict(), **kwargs})


def _check_mode(mode: Any) -> None:
    if not (isinstance(mode, str) and mode in _MODES):
        raise ValueError(
            f"`mode` must be a ModeKeys value, one of {list(_MODES)}. Received: {mode!r}. "
            "Give the `mode` that the model_fn was called with."
        )


def _checked_train_op(train_op: Any, mode: str) -> Any:
    if train_op is None:
        # Under eager execution tf.group and most training ops return None; the graph that the model_fn is first traced
        # in has told those that forgot the train_op.
        stepping_eagerly = tf.executing_eagerly() and _context.current() is not None
        if mode == ModeKeys.TRAIN and not stepping_eagerly:
            raise ValueError(_MISSING_TRAIN_OP)
        return None
    # Under a strategy, an optimizer returns one operation for each replica.
    if isinstance(train_op, tf.distribute.DistributedValues):
        return train_op
    if not isinstance(train_op, (tf.Operation, tf.Tensor, tf.Variable, keras.Variable)):
        raise TypeError(f"train_op must be Operation or Tensor, given: {train_op}")
    _check_graph(train_op, "train_op")
    return train_op


def _checked_loss(loss: Any, mode: str) -> Any:
    if loss is None:
        if mode in (ModeKeys.TRAIN, ModeKeys.EVAL):
            raise ValueError(f"Missing loss. In mode {mode!r}, `EstimatorSpec` needs `loss`: a scalar tensor.")
        return None
    loss = _checked_tensor(loss, "loss")
    if loss.shape.num_elements() not in (None, 1):
        raise ValueError(
            f"Loss must be scalar, given: {loss}. "
            "Reduce it over the batch, for example with `tf.reduce_mean` or `tf.reduce_sum`."
        )
    return loss if loss.shape.is_compatible_with(tf.TensorShape([])) else tf.reshape(loss, [])


def _checked_predictions(predictions: Any, mode: str) -> Any:
    if predictions is None:
        if mode == ModeKeys.PREDICT:
            raise ValueError(
                f"Missing predictions. In mode {mode!r}, `EstimatorSpec` needs `predictions`: a tensor or a dict."
            )
        return {}
    if isinstance(predictions, Mapping):
        return {key: _checked_tensor(value, f"predictions[{key}]") for key, value in predictions.items()}
    return _checked_tensor(predictions, "predictions")


def _checked_export_outputs(export_outputs: Any, predictions: Any) -> dict[str, ExportOutput]:
    default = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    if export_outputs is None:
        return {default: PredictOutput(predictions)}
    if not isinstance(export_outputs, Mapping):
        raise TypeError(
            f"`export_outputs` must be dict, received: {export_outputs}. "
            "Give a dict from signature names to ExportOutput objects."
        )
    for output in export_outputs.values():
        if not isinstance(output, ExportOutput):
            raise TypeError(
                f"Values in `export_outputs` must be ExportOutput objects, received: {export_outputs}. "
                "Wrap the tensors in a ClassificationOutput, RegressionOutput or PredictOutput."
            )
    outputs = dict(export_outputs)
    if len(outputs) == 1:
        outputs.setdefault(default, *outputs.values())
    if outputs and default not in outputs:
        raise ValueError(
            "Multiple `export_outputs` were provided, but none of them are specified as the default. "
            f"Name one of them `tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY` ({default!r}). "
            f"Received: {list(outputs)}."
        )
    return outputs


def _checked_eval_metric_ops(eval_metric_ops: Any) -> dict[str, Any]:
    if eval_metric_ops is None:
        return {}
    if not isinstance(eval_metric_ops, Mapping):
        raise TypeError(f"eval_metric_ops must be a dict, given: {eval_metric_ops}")
    return {key: _checked_metric(key, value) for key, value in eval_metric_ops.items()}


def _checked_metric(key: Any, value: Any) -> Any:
    if not isinstance(key, str):
        raise TypeError(f"Keys of eval_metric_ops must be strings: the names of the metrics. Received: {key!r}.")
    if isinstance(value, keras.metrics.Metric) or _keras_2.is_metric(value):
        return value
    # None stands for an operation under eager execution, which has run already.
    kinds = (tf.Operation, tf.Tensor, tf.Variable, keras.Variable) + ((type(None),) if tf.executing_eagerly() else ())
    is_pair = isinstance(value, tuple) and len(value) == 2
    leaves = tf.nest.flatten(value) if is_pair else []
    if not is_pair or value[0] is None or not all(isinstance(leaf, kinds) for leaf in leaves):
        raise TypeError(
            f"Values of eval_metric_ops must be (metric_value, update_op) tuples, given: {value} for key: {key}. "
            "Give a pair of tensors, as the functions of tf.compat.v1.metrics return it, or a Keras metric that was "
            "updated in this call."
        )
    for leaf in leaves:
        _check_graph(leaf, f"eval_metric_ops[{key}]")
    return value


def _checked_hooks(hooks: Any, name: str) -> tuple[Any, ...]:
    if hooks is None:
        return ()
    if not isinstance(hooks, Iterable):
        raise TypeError(
            f"`{name}` must be a list or tuple of hooks, or None. Received: {hooks}. Put a single hook into a list."
        )
    members = tuple(hooks)
    for hook in members:
        if not is_hook(hook):
            raise TypeError(
                f"All hooks must be SessionRunHook instances, given: {hook}. The members of `{name}` must be instances "
                "of tf.compat.v1.train.SessionRunHook or have the methods of a headway hook (begin, due, act, end)."
            )
    return members


def _checked_scaffold(scaffold: Any) -> Any:
    if scaffold is not None and not isinstance(scaffold, tf.compat.v1.train.Scaffold):
        raise TypeError(f"scaffold must be tf.train.Scaffold. Given: {scaffold}")
    return scaffold


def _checked_tensor(value: Any, name: str) -> Any:
    """Returns `value` if it is a tensor of this call, the value of a variable if it is one."""
    if isinstance(value, (tf.Variable, keras.Variable)):
        return tf.convert_to_tensor(value)
    if not isinstance(value, tf.Tensor):
        advice = ""
        if isinstance(value, keras.KerasTensor):
            advice = (
                ". A KerasTensor is the blueprint of a tensor: call the Keras model with the features to get tensors"
            )
        raise TypeError(f"{name} must be Tensor, given: {value}{advice}")
    _check_graph(value, name)
    return value


def _check_graph(value: Any, what: str) -> None:
    """Raises if `value` belongs to a graph that the current one can take nothing from."""
    graph = tf.compat.v1.get_default_graph()
    if isinstance(value, tf.Operation):
        usable = value.graph is graph
    elif isinstance(value, tf.Tensor) and tf.is_symbolic_tensor(value):
        usable = _tensorflow.encloses(value.graph, graph)
    else:
        usable = True
    if not usable:
        raise ValueError(_FOREIGN_TENSOR.format(what=what, value=value))
