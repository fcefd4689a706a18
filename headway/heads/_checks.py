"""Checks of what heads are given: while a function is traced where the shapes are known, else in the running step."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ModeKeys

ERROR_MARKER = "headway: "
"""What messages of checks in the running step begin with; see `readable_error`."""

LOSS_FN_OPTIONS = ("features", "loss_reduction", "label_smoothing")
"""What a `loss_fn` gets besides labels and logits, if it names them."""

_READABLE = re.compile(r"assertion failed: \[" + ERROR_MARKER + r"(.*?)\]((?: \[[^\n]*\])*)\s*(?:\n|\[Op|$)", re.DOTALL)

_NO_LABELS = (
    "You must provide a labels Tensor. Given: None. Suggested troubleshooting steps: check that the data contains the "
    "label, and that your input_fn returns (features, labels)."
)


def stop_unless(condition: tf.Tensor, message: str, data: Sequence[tf.Tensor], *, then: tf.Tensor) -> tf.Tensor:
    """Returns `then`, which is computed only where `condition` holds.

    Args:
      condition: bool scalar.
      message: what is wrong; `data` is printed behind it.
      data: tensors of any type.
      then: the tensor that must not be used if the condition fails.

    Raises:
      ValueError: eagerly. In a graph the running step raises `tf.errors.InvalidArgumentError`.
    """
    if tf.executing_eagerly():
        if not bool(condition):
            raise ValueError(message + " ".join(_as_text(item) for item in data))
        return then
    # `tf.debugging.Assert` puts a condition around the op, which costs 3 to 4 times the op itself in each step.
    checked = tf.raw_ops.Assert(condition=condition, data=[tf.constant(ERROR_MARKER + message), *data], summarize=10)
    with tf.control_dependencies([checked]):
        return tf.identity(then)


def readable_error(error: tf.errors.OpError) -> str | None:
    """Returns the message of a check that failed in a running step, without what TensorFlow writes around it.

    Args:
      error: what TensorFlow raised.

    Returns:
      The message, or None if the error comes from elsewhere.

    >>> import tensorflow as tf
    >>> from headway.heads import MultiClassHead, readable_error
    >>> step = tf.function(MultiClassHead(3).loss)
    >>> try:
    ...     step(labels=[7], logits=tf.zeros([1, 3]))
    ... except tf.errors.InvalidArgumentError as error:
    ...     print(readable_error(error))
    Labels must be >= 0 and Labels must be <= n_classes - 1 = 2. Smallest and largest label received: 7 7
    """
    found = _READABLE.search(error.message)
    if found is None:
        return None
    data = found.group(2).strip().replace("] [", " ").strip("[]")
    return (found.group(1) + data).replace("\\'", "'")


def _as_text(value: tf.Tensor) -> str:
    array = tf.convert_to_tensor(value).numpy()
    return repr(array.decode("utf-8", "replace")) if isinstance(array, bytes) else str(array)


def checked_name(name: Any) -> str | None:
    """Returns a head's `name`.

    Raises:
      ValueError: if it is neither None nor a string that is not empty.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise ValueError(f"`name` must be None or a string that is not empty. Received: {name!r}.")
    return name


def check_mode(mode: Any) -> None:
    """Checks that `mode` may stand where a verb of a head takes it.

    The `update_metrics` of tf.estimator's ready-made heads had no `mode`, so a call by position may give the
    regularization losses in its place.

    Raises:
      ValueError: if it is neither None nor a mode.
    """
    modes = (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT)
    if mode is not None and not (isinstance(mode, str) and mode in modes):
        raise ValueError(
            f"`mode` must be None, 'train', 'eval' or 'infer'. Received: {mode!r}. Pass regularization losses by name: "
            "`regularization_losses=[...]`."
        )


def checked_keys(keys: Sequence[str] | None, valid: Sequence[str]) -> Sequence[str]:
    """Returns the prediction keys that are wanted: `keys`, or all `valid` ones.

    Raises:
      ValueError: if one of `keys` is unknown.
    """
    if not keys:
        return valid
    if isinstance(keys, str):
        raise ValueError(
            f"`keys` must be a list or tuple of prediction keys. Received: {keys!r}. Did you mean [{keys!r}]?"
        )
    for key in keys:
        if key not in valid:
            raise ValueError(
                f"Prediction key must be in PredictionKeys, given: {key}. Valid prediction keys include {list(valid)}."
            )
    return keys


def checked_logits(logits: Any, dimension: int) -> tf.Tensor:
    """Returns `logits` as float32, shape `[D0, ..., DN, dimension]`.

    Raises:
      ValueError: if the shape is known to be another one.
    """
    logits = tf.cast(tf.convert_to_tensor(logits), tf.float32)
    rule = "logits shape must be [D0, D1, ... DN, logits_dimension]"
    if logits.shape.rank is None:
        raise ValueError(f"{rule}, but the rank of the logits is unknown. Give it with tf.ensure_shape.")
    if logits.shape.rank < 2:
        raise ValueError(
            f"logits must have rank at least 2. Received rank {logits.shape.rank}, shape {logits.shape}. {rule} with "
            f"logits_dimension={dimension}."
        )
    last = logits.shape[-1]
    if last == dimension:
        return logits
    if last is not None:
        raise ValueError(f"{rule}, got {logits.shape}. The head expects logits_dimension={dimension}.")
    shape = tf.shape(logits)
    message = f"{rule} with logits_dimension={dimension}. Received shape: "
    logits = stop_unless(tf.equal(shape[-1], dimension), message, [shape], then=logits)
    return tf.ensure_shape(logits, [*logits.shape[:-1], dimension])


_ONE_HOT = (
    "if your labels are one-hot, turn them into class ids with tf.argmax; otherwise check the n_classes or "
    "label_dimension argument to the head"
)


def checked_labels(labels: Any, logits: tf.Tensor, dimension: int, *, fix: str = _ONE_HOT) -> tf.Tensor:
    """Returns dense `labels` in the shape of the logits, with `dimension` for the last one.

    Args:
      labels: dense labels of shape `[D0, ..., DN, dimension]`; `[D0, ..., DN]` will do if `dimension` is 1.
      logits: checked logits.
      dimension: number of labels per example.
      fix: what to do if the last dimension is another one.

    Raises:
      ValueError: if there are no labels, if they are not dense, or if their shape is known to be another one.
    """
    labels = _dense_labels(labels, dimension)
    if labels.shape.rank is None:
        labels = tf.reshape(labels, tf.concat([tf.shape(logits)[:-1], [dimension]], axis=0))
    if labels.shape.rank == logits.shape.rank - 1:
        labels = tf.expand_dims(labels, -1)
    rule = (
        f"labels shape must be [D0, D1, ... DN, {dimension}]. Suggested Fix: check your n_classes or label_dimension "
        "argument to the head and/or the shape of your label"
    )
    if labels.shape.rank < 2:
        raise ValueError(
            f"labels must have rank at least 2. Received rank {labels.shape.rank}, shape {labels.shape}. {rule}."
        )
    if labels.shape[-1] not in (None, dimension):
        raise ValueError(
            f"Mismatched label shape. Expected labels dimension={dimension}. Received {labels.shape[-1]}. Suggested "
            f"Fix: {fix}, and the shape of your label: {labels.shape}."
        )
    return _matched(labels, logits, dimension, rule, "labels_shape")


def checked_numbers(labels: tf.Tensor) -> tf.Tensor:
    """Returns `labels` as float32.

    Raises:
      ValueError: if they are not numbers.
    """
    if not (labels.dtype.is_floating or labels.dtype.is_integer or labels.dtype.is_bool):
        raise ValueError(
            f"Labels dtype should be a number. Instead got {labels.dtype.name}. Convert the labels to floats."
        )
    return tf.cast(labels, tf.float32)


def checked_finite(labels: tf.Tensor) -> tf.Tensor:
    """Returns float `labels` if all are finite; one infinite label would spoil the weights for good."""
    finite = tf.math.is_finite(labels)
    first = tf.where(tf.logical_not(finite))[:1, 0]
    message = (
        "Labels must be finite, but some are NaN or infinite. Drop these rows, or fill the labels in. First such row "
        "of the batch, counted from 0: "
    )
    return stop_unless(tf.reduce_all(finite), message, [first], then=labels)


def given_labels(labels: Any) -> Any:
    """Returns `labels`.

    Raises:
      ValueError: if there are none.
    """
    if labels is None:
        raise ValueError(_NO_LABELS)
    return labels


def _dense_labels(labels: Any, dimension: int) -> tf.Tensor:
    labels = given_labels(labels)
    if isinstance(labels, Mapping):
        raise ValueError(
            f"labels must be one Tensor, not a dict. Received a dict with the keys {sorted(map(str, labels))}. "
            "Suggested Fix: pass the entry that this head is for."
        )
    if isinstance(labels, (tf.SparseTensor, tf.compat.v1.SparseTensorValue, tf.RaggedTensor)):
        kind = "RaggedTensor" if isinstance(labels, tf.RaggedTensor) else "SparseTensor"
        raise ValueError(
            f"{kind} labels are not supported. Labels must be a Tensor of shape [D0, D1, ..., DN, {dimension}], e.g. "
            f"[batch_size, {dimension}]. Suggested Fix (1): check the label in your data; each example must contain "
            f"{dimension} value(s). Suggested Fix (2): in your input_fn, turn labels into a Tensor with "
            "tf.sparse.to_dense."
        )
    return tf.convert_to_tensor(labels)


def _matched(tensor: tf.Tensor, logits: tf.Tensor, last: int, rule: str, name: str) -> tf.Tensor:
    """Returns `tensor` if its shape is that of the logits, up to `last` for the last dimension."""
    expected = tf.TensorShape([*logits.shape[:-1], last])
    shape = tensor.shape
    if not shape.is_compatible_with(expected):
        raise ValueError(f"{rule}. expected_{name}: {expected}. {name}: {shape}. logits_shape: {logits.shape}.")
    if shape.is_fully_defined() and expected.is_fully_defined():
        return tensor
    actual, wanted = tf.shape(tensor), tf.shape(logits)
    if logits.shape[-1] is None:
        same = tf.reduce_all(tf.equal(actual, tf.concat([wanted[:-1], [last]], axis=0)))
    else:
        # Comparing a[:-1] with b[:-1] takes more ops than comparing a * [1, ..., b[-1]] with b * [1, ..., a[-1]].
        ones = [1] * (logits.shape.rank - 1)
        same = tf.reduce_all(tf.equal(actual * [*ones, logits.shape[-1]], wanted * [*ones, last]))
    return stop_unless(same, f"{rule}. {name} and logits_shape: ", [actual, wanted], then=tensor)


def checked_range(labels: tf.Tensor, n_classes: int, message: str | None = None) -> tf.Tensor:
    """Returns `labels` if all are in [0, n_classes - 1]; other labels stop the step.

    Args:
      labels: numbers of any type.
      n_classes: number of classes.
      message: replaces the beginning of the message.
    """
    smallest, largest = tf.reduce_min(labels), tf.reduce_max(labels)
    # Of no labels at all, the smallest is the largest number there is, and the largest the smallest.
    inside = tf.logical_and(smallest >= 0, largest <= n_classes - 1)
    message = message or f"Labels must be >= 0 and Labels must be <= n_classes - 1 = {n_classes - 1}"
    return stop_unless(inside, f"{message}. Smallest and largest label received: ", [smallest, largest], then=labels)


def checked_weight_column(weight_column: Any) -> Any:
    """Returns `weight_column`.

    Raises:
      TypeError: if it is neither None, a string, nor a numeric column.
    """
    if weight_column is None or isinstance(weight_column, str):
        return weight_column
    if not isinstance(getattr(weight_column, "key", None), str):
        raise TypeError(
            "Weight column must be either a string or NumericColumn. "
            f"Given type: {type(weight_column)}. Pass the name of the feature that holds the weights."
        )
    return weight_column


def weights_of(features: Any, weight_column: Any, logits: tf.Tensor, *, per_logit: bool = False) -> tf.Tensor | None:
    """Returns the weights of a batch as float32, shape `[D0, ..., DN, 1]`, or None without a weight column.

    Args:
      features: the features of the batch, by name.
      weight_column: None, the name of a feature, or a numeric column.
      logits: checked logits.
      per_logit: whether weights of the shape of the logits are taken too.

    Raises:
      ValueError: if the weights are missing, no numbers, or known to have another shape.
    """
    if weight_column is None:
        return None
    weights = _weight_feature(features, weight_column)
    if weights.shape.rank is None:
        weights = tf.reshape(weights, tf.concat([tf.shape(logits)[:-1], [-1]], axis=0))
    if weights.shape.rank == 1 or weights.shape.rank == logits.shape.rank - 1:
        weights = tf.expand_dims(weights, -1)
    shapes = ["[D0, D1, ... DN]", "[D0, D1, ... DN, 1]"] + ["[D0, D1, ... DN, logits_dimension]"] * per_logit
    rule = f"weights shape must be {', '.join(shapes[:-1])} or {shapes[-1]}"
    last = logits.shape[-1] if per_logit and weights.shape[-1] != 1 else 1
    return _matched(weights, logits, last, rule, "weights_shape")


def _weight_feature(features: Any, weight_column: Any) -> tf.Tensor:
    key = weight_column if isinstance(weight_column, str) else weight_column.key
    if not isinstance(features, Mapping):
        raise ValueError(
            f"`features` must be a dict that holds the weight column {key!r}. Received: {type(features).__name__}."
        )
    if key not in features:
        raise ValueError(
            f"Feature {key} is not in features dictionary: the head reads the example weights from it "
            f"(`weight_column`). Features that are there: {sorted(map(str, features))}."
        )
    weights = features[key]
    if isinstance(weights, (tf.SparseTensor, tf.RaggedTensor)):
        raise ValueError(f"The weight column {key!r} must be a dense Tensor. Received: {type(weights).__name__}.")
    weights = tf.convert_to_tensor(weights)
    if not (weights.dtype.is_floating or weights.dtype.is_integer or weights.dtype.is_bool):
        raise ValueError(
            f"Weight column should be castable to float. Given dtype: {weights.dtype.name} of the feature {key!r}."
        )
    if weights.shape.rank == 0:
        raise ValueError(f"Feature (key: {key}) cannot have rank 0: `weight_column` needs one weight per example.")
    weights = tf.cast(weights, tf.float32)
    normalizer = getattr(weight_column, "normalizer_fn", None)
    return weights if normalizer is None else tf.cast(normalizer(weights), tf.float32)


def checked_loss_fn(loss_fn: Callable[..., tf.Tensor] | None) -> tuple[str, ...]:
    """Returns the names of the arguments that `loss_fn` takes; none if it is None.

    Raises:
      ValueError: if they are not `labels, logits` and perhaps `features`, `loss_reduction` and `label_smoothing`.
    """
    if loss_fn is None:
        return ()
    if not callable(loss_fn):
        raise ValueError(f"`loss_fn` must be a function of (labels, logits). Received: {loss_fn!r}.")
    bound = loss_fn.keywords if isinstance(loss_fn, functools.partial) else {}
    named = [
        name
        for name, parameter in inspect.signature(loss_fn).parameters.items()
        if name not in bound and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    for required in ("labels", "logits"):
        if required not in named:
            raise ValueError(
                f"loss_fn must contain argument: {required}. Given arguments: {tuple(named)}. To use a Keras loss, "
                "wrap it: `lambda labels, logits: tf.expand_dims(keras_loss(labels, logits), -1)`, with reduction=None."
            )
    unexpected = [name for name in named if name not in ("labels", "logits", *LOSS_FN_OPTIONS)]
    if unexpected:
        raise ValueError(
            f"loss_fn has unexpected args: {unexpected}. It may take labels, logits, features, loss_reduction and "
            "label_smoothing; bind others with functools.partial or a lambda."
        )
    return tuple(named)


def checked_losses(losses: Any, logits: tf.Tensor, dimension: int) -> tf.Tensor:
    """Returns what a `loss_fn` returned, as float32 of shape `[D0, ..., DN, dimension]`.

    Raises:
      ValueError: if the shape is known to be another one.
    """
    losses = tf.cast(tf.convert_to_tensor(losses), tf.float32)
    rule = f"loss_fn must return Tensor of shape [D0, D1, ... DN, {dimension}]"
    if losses.shape.rank is None:
        raise ValueError(f"{rule}, but the rank of what it returned is unknown. Give it with tf.ensure_shape.")
    return _matched(losses, logits, dimension, rule, "loss_shape")
