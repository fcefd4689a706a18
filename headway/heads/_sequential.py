"""A head for each step of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway._spec import EstimatorSpec, ExportOutput, ModeKeys
from headway.heads import _checks
from headway.heads._base import BaseHead
from headway.heads._interface import Head, Metrics
from headway.heads._multi_head import MultiHead

_MISMATCH = "Tensor shape is incompatible with provided mask"


class SequentialHeadWrapper(BaseHead):
    """A head for each step of sequences of different lengths: what is padded counts for nothing.

    Logits have shape `[batch_size, sequence_length, logits_dimension]`. The features hold a mask of shape `[batch_size,
    sequence_length]`, true for the steps that are there. Before the wrapped head sees a batch, the steps that are there
    are put one behind the other: it gets logits of shape `[number of steps, logits_dimension]`, and labels and weights
    of that many rows. Its loss and metrics are therefore those over all steps, each of which counts the same.

    Labels have shape `[batch_size, sequence_length]` or `[batch_size, sequence_length, D]`: a tensor, of which padded
    steps are left out, or a `tf.SparseTensor` or `tf.RaggedTensor`, which holds as many steps in each row as the mask.

    Metrics of the caller's go to the wrapped head: its `metrics` count the steps that are there.

    Predictions are those of the wrapped head for all steps, padded ones too. In `create_estimator_spec` the mask is
    among them, so that a program can tell which steps are there.

    Args:
      static_head: the head for one step; not a `MultiHead`.
      sequence_length_mask: name of the feature that holds the mask.
      feature_columns: name, or names, of the features that the wrapped head reads, most often its `weight_column`;
        they have the shapes that labels have. The wrapped head gets no other features.

    Raises:
      TypeError: if a name is no string, or `static_head` is no head.
      ValueError: if `static_head` is a `MultiHead`.

    >>> import tensorflow as tf
    >>> from headway.heads import RegressionHead, SequentialHeadWrapper
    >>> head = SequentialHeadWrapper(RegressionHead(), "mask")
    >>> mask = tf.sequence_mask([2, 1])
    >>> logits, labels = tf.zeros([2, 2, 1]), tf.constant([[1.0, 2.0], [4.0, 999.0]])
    >>> float(head.loss(labels, logits, {"mask": mask}))  # (1 + 4 + 16) / 3 steps
    7.0
    """

    def __init__(
        self,
        static_head: Head,
        sequence_length_mask: str = "sequence_length_mask",
        feature_columns: str | Iterable[str] | None = None,
    ) -> None:
        if not isinstance(sequence_length_mask, str):
            raise TypeError(
                "`sequence_mask` column must be a string, the name of the feature that holds the mask. "
                f"Given type: {type(sequence_length_mask)}."
            )
        if isinstance(static_head, MultiHead):
            raise ValueError(
                "`MultiHead` is not supported with `SequentialHeadWrapper`. Wrap each of its heads: "
                "`MultiHead([SequentialHeadWrapper(head), ...])`."
            )
        if not isinstance(static_head, Head):
            raise TypeError(
                f"`static_head` must be a head of headway.heads. Received: {static_head!r} of type "
                f"{type(static_head).__name__}."
            )
        self._static_head = static_head
        self._mask_key = sequence_length_mask
        self._feature_columns = _checked_columns(feature_columns)

    @property
    def static_head(self) -> Head:
        """The wrapped head."""
        return self._static_head

    @property
    def input_sequence_mask_key(self) -> str:
        """The name of the feature that holds the mask."""
        return self._mask_key

    @property
    def name(self) -> str | None:
        """The name of the wrapped head with `_sequential` behind it, or None."""
        return f"{self._static_head.name}_sequential" if self._static_head.name else None

    @property
    def logits_dimension(self) -> int:
        """That of the wrapped head."""
        return self._static_head.logits_dimension

    @property
    def loss_reduction(self) -> str:
        """That of the wrapped head."""
        return self._static_head.loss_reduction

    def loss(
        self,
        labels: Any,
        logits: tf.Tensor,
        features: Mapping[str, Any] | None = None,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the loss of the wrapped head over all steps; see `Head`.

        Raises:
          ValueError: if the mask is missing, or labels, logits and mask do not fit together.
        """
        labels, logits, features = self._flattened(labels, logits, features)
        return self._static_head.loss(labels, logits, features, mode, regularization_losses)

    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[Any, tf.Tensor]:
        """Returns the predictions of the wrapped head for each step, padded ones too; see `Head`."""
        return self._static_head.predictions(logits, keys)

    def export_outputs(self, predictions: Mapping[Any, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures of the wrapped head."""
        return self._static_head.export_outputs(predictions)

    def metrics(self, regularization_losses: Sequence[tf.Tensor] | None = None) -> Metrics:
        """Returns fresh metric objects of the wrapped head by key; see `Head`."""
        return self._static_head.metrics(regularization_losses)

    def update_metrics(
        self,
        eval_metrics: Metrics,
        features: Mapping[str, Any] | None,
        logits: tf.Tensor,
        labels: Any,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> Metrics:
        """Counts all steps of a batch and returns `eval_metrics`; see `Head`.

        Raises:
          ValueError: as for `loss`.
        """
        labels, logits, features = self._flattened(labels, logits, features)
        return self._static_head.update_metrics(eval_metrics, features, logits, labels, mode, regularization_losses)

    def create_estimator_spec(
        self,
        features: Mapping[str, Any] | None,
        mode: str,
        logits: tf.Tensor,
        labels: Any = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        trainable_variables: Sequence[tf.Variable] | None = None,
        train_op_fn: Callable[[tf.Tensor], Any] | None = None,
        update_ops: Sequence[Any] | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> EstimatorSpec:
        """Returns what a `model_fn` returns; see `Head`.

        In PREDICT the mask is among the predictions, and in no signature. In TRAIN and EVAL the predictions are those
        of the steps that are there.

        Raises:
          ValueError: as for `loss`, and if TRAIN lacks what it needs to train.
        """
        if mode == ModeKeys.PREDICT:
            mask = self._mask_of(features)
            spec = self._static_head.create_estimator_spec(features, mode, logits)
            return spec._replace(predictions={**spec.predictions, self._mask_key: mask})
        labels, logits, features = self._flattened(labels, logits, features)
        return self._static_head.create_estimator_spec(
            features,
            mode,
            logits,
            labels,
            optimizer=optimizer,
            trainable_variables=trainable_variables,
            train_op_fn=train_op_fn,
            update_ops=update_ops,
            regularization_losses=regularization_losses,
        )

    def _mask_of(self, features: Mapping[str, Any] | None) -> tf.Tensor:
        found = sorted(map(str, features)) if isinstance(features, Mapping) else []
        if not isinstance(features, Mapping) or self._mask_key not in features:
            raise ValueError(
                f"The provided sequence_length_mask key `{self._mask_key}` should be included in the features "
                f"dictionary, but was not found. Found keys: {found}. Put it there in model_fn: "
                f"`features['{self._mask_key}'] = tf.sequence_mask(lengths)`."
            )
        mask = tf.convert_to_tensor(features[self._mask_key])
        if mask.shape.rank != 2:
            raise ValueError(
                f"Mask is expected to have two dimensions, got {mask.shape.rank} instead: [batch_size, "
                f"sequence_length]. Its shape is {mask.shape}."
            )
        return mask

    def _flattened(
        self, labels: Any, logits: tf.Tensor, features: Mapping[str, Any] | None
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Returns labels, logits and the features for the wrapped head, with a row for each step that is there."""
        mask = tf.cast(self._mask_of(features), tf.bool)
        labels = _checks.given_labels(labels)
        if isinstance(labels, Mapping):
            raise ValueError(f"labels must be one Tensor, not a dict. Received the keys {sorted(map(str, labels))}.")
        steps: dict[str, tf.Tensor] = {}
        for column in self._feature_columns:
            if features is None or column not in features:
                raise ValueError(
                    f"`{column}` column expected in features dictionary. Found keys: "
                    f"{sorted(map(str, features or ()))}."
                )
            steps[column] = _steps(features[column], mask, f"feature {column!r}")
        return _steps(labels, mask, "labels"), _steps(logits, mask, "logits"), steps


def _checked_columns(feature_columns: Any) -> tuple[str, ...]:
    if feature_columns is None or isinstance(feature_columns, str):
        return (feature_columns,) if feature_columns else ()
    if not isinstance(feature_columns, Iterable):
        raise TypeError(
            f"`feature_columns` must be either a string or an iterable of strings got {type(feature_columns)} instead."
        )
    columns = tuple(feature_columns)
    for column in columns:
        if not isinstance(column, str):
            raise TypeError(
                f"Column must a string. Given type: {type(column)}. `feature_columns` are names of features, such as "
                "the weight_column of the static head."
            )
    return columns


def _steps(values: Any, mask: tf.Tensor, what: str) -> tf.Tensor:
    """Returns the steps of `values` that are there, shape `[number of steps, D]`.

    Args:
      values: a tensor, sparse tensor or ragged tensor of shape `[batch_size, sequence_length]` or `[batch_size,
        sequence_length, D2, ..., DN]`.
      mask: bool, shape `[batch_size, sequence_length]`.
      what: what `values` is, for messages.

    Raises:
      ValueError: if the shape does not fit the mask.
    """
    if isinstance(values, tf.compat.v1.SparseTensorValue):
        values = tf.SparseTensor.from_value(values)
    if isinstance(values, tf.SparseTensor):
        flat = _sparse_steps(values, mask, what)
    elif isinstance(values, tf.RaggedTensor):
        flat = _ragged_steps(values, mask, what)
    else:
        values = tf.convert_to_tensor(values)
        _check_rank(values.shape, what)
        flat = _dense_steps(values, mask, what)
    return flat if flat.shape.rank > 1 else tf.expand_dims(flat, -1)


def _check_rank(shape: tf.TensorShape, what: str) -> None:
    if shape.rank is None or shape.rank < 2:
        raise ValueError(
            f"Input tensor expected to have at least 2 dimensions, got {shape.rank} instead. The {what} must have "
            f"shape [batch_size, sequence_length, ...]. Received shape: {shape}."
        )


def _dense_steps(values: tf.Tensor, mask: tf.Tensor, what: str) -> tf.Tensor:
    if not values.shape[:2].is_compatible_with(mask.shape):
        raise ValueError(f"{_MISMATCH}: the {what} have shape {values.shape}, the mask {mask.shape}.")
    if not (values.shape[:2].is_fully_defined() and mask.shape.is_fully_defined()):
        actual, wanted = tf.shape(values)[:2], tf.shape(mask)
        message = f"{_MISMATCH}. First two dimensions of the {what}, and shape of the mask: "
        mask = _checks.stop_unless(tf.reduce_all(tf.equal(actual, wanted)), message, [actual, wanted], then=mask)
    return tf.boolean_mask(values, mask)


def _sparse_steps(values: tf.SparseTensor, mask: tf.Tensor, what: str) -> tf.Tensor:
    """Returns the values of a sparse tensor in the order of its indices."""
    _check_rank(values.shape, what)
    if None in values.shape[2:]:
        raise ValueError(
            f"The sizes of a step must be known. The {what} have shape {values.shape}: the third and further "
            "dimensions must not be None."
        )
    ordered = tf.sparse.reorder(values)
    size = values.shape[2:].num_elements()
    rows = tf.math.bincount(tf.cast(ordered.indices[:, 0], tf.int32), minlength=tf.shape(mask)[0])
    flat = _checked_lengths(ordered.values, rows, size, mask, what)
    return tf.reshape(flat, [-1, *values.shape[2:]])


def _ragged_steps(values: tf.RaggedTensor, mask: tf.Tensor, what: str) -> tf.Tensor:
    if values.ragged_rank != 1:
        raise ValueError(
            f"Only the second dimension of ragged {what} may be ragged. Received shape: {values.shape}, of which "
            f"{values.ragged_rank} dimensions are ragged."
        )
    return _checked_lengths(values.values, tf.cast(values.row_lengths(), tf.int32), 1, mask, what)


def _checked_lengths(flat: tf.Tensor, lengths: tf.Tensor, size: int, mask: tf.Tensor, what: str) -> tf.Tensor:
    """Returns `flat` if each row has as many steps, of `size` values, as its mask."""
    wanted = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    rows = tf.minimum(tf.size(lengths), tf.size(wanted))
    same = tf.reduce_all(tf.equal(lengths[:rows], size * wanted[:rows])) & tf.equal(tf.size(lengths), tf.size(wanted))
    message = f"{_MISMATCH}. Number of values in each row of the {what}, and of steps in the mask: "
    return _checks.stop_unless(same, message, [lengths, wanted], then=flat)
