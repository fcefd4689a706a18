"""The head for any number of classes at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway._spec import ClassificationOutput, ExportOutput, PredictOutput
from headway.heads import _checks, _classes, _cross_entropy, _curves, _decisions
from headway.heads._accumulator import Formula, Sums
from headway.heads._elementwise import Batch, ElementwiseHead, flat
from headway.heads._extra_metrics import Given
from headway.heads._keys import MetricKeys, PredictionKeys, ServingKeys
from headway.heads._vocabulary import Vocabulary, checked_vocabulary

_AT_CLASS = (
    MetricKeys.PROBABILITY_MEAN_AT_CLASS,
    MetricKeys.AUC_AT_CLASS,
    MetricKeys.AUC_PRECISION_RECALL_AT_CLASS,
)
_AT_NAME = (
    MetricKeys.PROBABILITY_MEAN_AT_NAME,
    MetricKeys.AUC_AT_NAME,
    MetricKeys.AUC_PRECISION_RECALL_AT_NAME,
)
_FIX = (
    "labels are multi-hot, with a 0 or 1 for each class; pass class ids as a SparseTensor or RaggedTensor of shape "
    "[batch_size, ?]; otherwise check the n_classes argument to the head"
)


class MultiLabelHead(ElementwiseHead):
    """The head for examples that belong to none, one or several classes: one logit for each, sigmoid cross entropy.

    Labels are one of:

    - a multi-hot tensor of shape `[D0, ..., DN, n_classes]` (most often `[batch_size, n_classes]`), 1 for each class
      of the example and 0 elsewhere; numbers between them will do;
    - a `tf.SparseTensor` or `tf.RaggedTensor` of class ids, integers of shape `[D0, ..., DN, ?]`;
    - the same of strings, if there is a vocabulary; a dense tensor of strings will do as well, with '' for none.

    The loss of an example is the mean over its classes. Weights have shape `[D0, ..., DN]` or `[D0, ..., DN, 1]`.

    Predictions of a batch of B examples with logits of shape [B, n_classes]: `logits` and `probabilities` (float32,
    [B, n_classes]; each between 0 and 1, their sum is not 1) and `classes` (string, [B, n_classes]: the names that the
    probabilities belong to, all of them in each row).

    Metrics: `average_loss` (sum of weighted losses over sum of weights), `auc` and `auc_precision_recall` (over 200
    thresholds and all classes). For each threshold: `accuracy/positive_threshold_<t>`,
    `precision/positive_threshold_<t>` and `recall/positive_threshold_<t>`. For each of
    `classes_for_class_based_metrics`: `probability_mean/class<id>`, `auc/class<id>` and
    `auc_precision_recall/class<id>`; with a vocabulary `probability_mean/<name>` and so on.

    Args:
      n_classes: number of classes, at least 2.
      weight_column: name of the feature that holds the example weights, or a numeric column; None for equal weights.
      thresholds: numbers in (0, 1), at which further metrics are computed: probabilities above it count as positive.
      label_vocabulary: list or tuple of the classes as strings, class 0 first. None: labels are multi-hot or ids.
      loss_reduction: `"sum_over_batch_size"` (default: sum of weighted losses over their number) or `"sum"`.
      loss_fn: function of `labels, logits` and perhaps `features, loss_reduction` that returns the losses, shape
        `[D0, ..., DN, 1]`; it gets multi-hot labels of shape `[D0, ..., DN, n_classes]`, in the type that they came in,
        int64 if they were ids or names. None for the mean sigmoid cross entropy.
      classes_for_class_based_metrics: ids or names of classes for which there are metrics of their own.
      name: what the metric keys end in (`auc/<name>`).
      metrics: further metrics, a list or a dict by key: Keras metrics, their names, or functions of labels,
        predictions and weights; see "Metrics of your own" in docs/heads.md. Labels are multi-hot, predictions the
        probabilities; both have shape `[D0, ..., DN, n_classes]`.

    Raises:
      ValueError: if there are less than 2 classes, a threshold is outside (0, 1), the vocabulary does not hold
        `n_classes` strings, a class for metrics is none, the reduction is none, or `loss_fn` takes other arguments.
      TypeError: if `weight_column` is neither a string nor a numeric column.

    >>> import tensorflow as tf
    >>> from headway.heads import MultiLabelHead
    >>> head = MultiLabelHead(2, label_vocabulary=["fun", "new"])
    >>> logits = tf.constant([[-10.0, 10.0], [-15.0, 10.0]])
    >>> labels = tf.ragged.constant([["fun"], ["fun", "new"]])  # multi-hot: [[1, 0], [1, 1]]
    >>> float(head.loss(labels, logits))  # ((10 + 10) / 2 + (15 + 0) / 2) / 2, all to 4 digits
    8.750...
    >>> metrics = head.update_metrics(head.metrics(), None, logits, labels)
    >>> sorted(metrics)
    ['auc', 'auc_precision_recall', 'average_loss']
    >>> head.predictions(logits, keys=["classes"])["classes"].numpy().tolist()
    [[b'fun', b'new'], [b'fun', b'new']]
    """

    _metric_prediction = PredictionKeys.PROBABILITIES

    def __init__(
        self,
        n_classes: int,
        weight_column: Any = None,
        thresholds: Iterable[float] | None = None,
        label_vocabulary: Sequence[str] | None = None,
        loss_reduction: str = "sum_over_batch_size",
        loss_fn: Callable[..., tf.Tensor] | None = None,
        classes_for_class_based_metrics: Sequence[int] | Sequence[str] | None = None,
        name: str | None = None,
        *,
        metrics: Given = None,
    ) -> None:
        super().__init__(weight_column=weight_column, loss_reduction=loss_reduction, loss_fn=loss_fn, name=name)
        self._n_classes = _checked_n_classes(n_classes)
        self._thresholds = _decisions.checked_thresholds(thresholds)
        self._vocabulary = checked_vocabulary(label_vocabulary, self._n_classes)
        self._names = None if label_vocabulary is None else tuple(map(tf.compat.as_str_any, label_vocabulary))
        self._tracked = _checked_tracked(classes_for_class_based_metrics, self._names, self._n_classes)
        self._add_metrics(metrics)

    @property
    def logits_dimension(self) -> int:
        """The number of classes."""
        return self._n_classes

    @property
    def _losses_dimension(self) -> int:
        return 1

    def predictions(self, logits: tf.Tensor, keys: Sequence[str] | None = None) -> dict[str, tf.Tensor]:
        """Returns predictions by key; see `Head` and the class.

        Raises:
          ValueError: if a key is unknown, or the logits have another shape.
        """
        logits = _checks.checked_logits(logits, self.logits_dimension)
        makers: dict[str, Callable[[], tf.Tensor]] = {
            PredictionKeys.LOGITS: lambda: logits,
            PredictionKeys.PROBABILITIES: lambda: tf.sigmoid(logits),
            PredictionKeys.CLASSES: lambda: _classes.all_classes(logits, self._n_classes, self._vocabulary),
        }
        return {key: makers[key]() for key in makers if key in _checks.checked_keys(keys, tuple(makers))}

    def export_outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures: classification (the default) and all predictions."""
        classification = ClassificationOutput(
            scores=predictions[PredictionKeys.PROBABILITIES], classes=predictions[PredictionKeys.CLASSES]
        )
        return {
            ServingKeys.DEFAULT: classification,
            ServingKeys.CLASSIFY: classification,
            ServingKeys.PREDICT: PredictOutput(dict(predictions)),
        }

    def _checked_labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
        listed = _listed(labels, logits.shape.rank)
        if listed is not None:
            labels = _multi_hot(listed, self._n_classes, self._vocabulary)
            return _checks.checked_labels(labels, logits, self._n_classes, fix=_FIX)
        labels = _checks.checked_labels(labels, logits, self._n_classes, fix=_FIX)
        labels = tf.cast(labels, tf.int64) if labels.dtype.is_bool else labels
        message = "labels must be an integer indicator Tensor with values in [0, 1]"
        return _checks.checked_range(labels, 2, message)

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        losses = _cross_entropy.of_sigmoids(tf.cast(labels, tf.float32), logits)
        return tf.reduce_mean(losses, axis=-1, keepdims=True)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {
            "counts": (1 + len(self._thresholds), _decisions.COLUMNS),
            "histogram": (_curves.THRESHOLDS, 2),
        }
        if self._tracked:
            shapes["class_predictions"] = (len(self._tracked),)
            shapes["class_histograms"] = (len(self._tracked), _curves.THRESHOLDS, 2)
        return shapes

    def _sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        probabilities, weights = tf.sigmoid(batch.logits), batch.flat_weights(batch.logits)
        logistic = tf.reshape(probabilities, [-1])
        losses = flat(tf.broadcast_to(batch.losses, tf.shape(batch.logits)))
        labels = tf.reshape(tf.cast(batch.labels, tf.float32), [-1])
        rules = [logistic > threshold for threshold in self._thresholds]
        counts, by_label = _decisions.counted(weights, losses, logistic, labels, rules)
        sums = {"counts": counts, "histogram": _curves.histogram(logistic, by_label)}
        if self._tracked:
            by_class = tf.gather(tf.reshape(logistic, [-1, self._n_classes]), self._tracked, axis=1)
            by_class_and_label = tf.gather(tf.reshape(by_label, [-1, self._n_classes, 2]), self._tracked, axis=1)
            weighted = batch.flat_weights()[:, tf.newaxis] * tf.cast(by_class, tf.float64)
            sums["class_predictions"] = tf.reduce_sum(weighted, axis=0)
            sums["class_histograms"] = _curves.histograms(by_class, by_class_and_label)
        return sums

    def _formulas(self) -> dict[str, Formula]:
        formulas: dict[str, Formula] = {
            MetricKeys.AVERAGE_LOSS: _decisions.mean(_decisions.LOSS),
            MetricKeys.AUC: lambda sums: _curves.area_under_roc(sums["histogram"]),
            MetricKeys.AUC_PRECISION_RECALL: lambda sums: _curves.area_under_precision_recall(sums["histogram"]),
            **_decisions.at_thresholds(self._thresholds, first_row=1),
        }
        for row, class_id in enumerate(self._tracked):
            of_class = class_id if self._names is None else self._names[class_id]
            mean, roc, precision_recall = (key % of_class for key in (_AT_CLASS if self._names is None else _AT_NAME))
            formulas[mean] = functools.partial(self._class_mean, row=row)
            formulas[roc] = functools.partial(_class_area, row=row, area=_curves.area_under_roc)
            formulas[precision_recall] = functools.partial(
                _class_area, row=row, area=_curves.area_under_precision_recall
            )
        return formulas

    def _class_mean(self, sums: Sums, *, row: int) -> tf.Tensor:
        # The counts hold the weight of an example once for each class.
        weight = sums["counts"][_decisions.ALL, _decisions.WEIGHT] / self._n_classes
        return tf.math.divide_no_nan(sums["class_predictions"][row], weight)


def _class_area(sums: Sums, *, row: int, area: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    return area(sums["class_histograms"][row])


def _listed(labels: Any, rank: int) -> tf.SparseTensor | None:
    """Returns ids or names as a sparse tensor of that rank; None if the labels are something else."""
    if isinstance(labels, tf.RaggedTensor):
        return labels.to_sparse()
    if isinstance(labels, tf.compat.v1.SparseTensorValue):
        return tf.SparseTensor.from_value(labels)
    if labels is None or isinstance(labels, (tf.SparseTensor, Mapping)):
        return labels if isinstance(labels, tf.SparseTensor) else None
    labels = tf.convert_to_tensor(labels)
    if labels.dtype != tf.string:
        return None
    # Rows in memory are padded to one length.
    return tf.sparse.from_dense(labels[..., tf.newaxis] if labels.shape.rank == rank - 1 else labels)


def _multi_hot(labels: tf.SparseTensor, n_classes: int, vocabulary: Vocabulary | None) -> tf.Tensor:
    """Returns int64 of shape `[D0, ..., DN, n_classes]`: 1 where the labels, of shape `[D0, ..., DN, ?]`, hold a class.

    Raises:
      ValueError: if the labels are neither integers nor names.
    """
    values = labels.values
    if values.dtype == tf.string:
        values = _classes.ids_of(values, vocabulary)
    elif not values.dtype.is_integer:
        raise ValueError(
            f"Labels dtype should be integer. Instead got {values.dtype.name}. Sparse and ragged labels are class ids, "
            "or names if there is a label_vocabulary; cast ids with tf.cast(labels, tf.int64)."
        )
    else:
        message = f"labels must be an integer SparseTensor with values in [0, {n_classes})"
        values = _checks.checked_range(values, n_classes, message)
    ids = tf.cast(values, tf.int64)[:, tf.newaxis]
    places = tf.concat([labels.indices[:, :-1], ids], axis=1)
    shape = tf.concat([labels.dense_shape[:-1], [n_classes]], axis=0)
    # A class that an example names twice is there once.
    multi_hot = tf.minimum(tf.scatter_nd(places, tf.ones_like(values, tf.int64), shape), 1)
    known = labels.shape
    return multi_hot if known.rank is None else tf.ensure_shape(multi_hot, [*known[:-1], n_classes])


def _checked_n_classes(n_classes: Any) -> int:
    if n_classes is not None and (isinstance(n_classes, bool) or not hasattr(n_classes, "__index__")):
        raise ValueError(f"`n_classes` must be an integer. Received: {n_classes!r}.")
    if n_classes is None or n_classes < 2:
        raise ValueError(
            f"n_classes must be > 1 for multi-label classification. Given: {n_classes}. For a single class use "
            "BinaryClassHead."
        )
    return int(n_classes)


def _checked_tracked(classes: Any, names: tuple[str, ...] | None, n_classes: int) -> tuple[int, ...]:
    """Returns the ids of the classes that have metrics of their own."""
    argument = "classes_for_class_based_metrics"
    if classes is None:
        return ()
    if isinstance(classes, (str, bytes)) or not hasattr(classes, "__iter__"):
        raise ValueError(f"`{argument}` must be a list of class ids or names. Received: {classes!r}.")
    ids = []
    for item in classes:
        if isinstance(item, (str, bytes)):
            if names is None:
                raise ValueError(f"label_vocabulary must be provided when {argument} are strings. Received: {item!r}.")
            if tf.compat.as_str_any(item) not in names:
                raise ValueError(f"All {argument} must be in label_vocabulary {list(names)}. Given: {item!r}.")
            ids.append(names.index(tf.compat.as_str_any(item)))
        elif isinstance(item, bool) or not hasattr(item, "__index__") or not 0 <= item < n_classes:
            raise ValueError(f"All {argument} must be in range [0, {n_classes - 1}]. Given: {item!r}.")
        else:
            ids.append(int(item))
    twice = sorted({class_id for class_id in ids if ids.count(class_id) > 1})
    if twice:
        raise ValueError(f"`{argument}` must hold each class once. Received more than once: {twice}.")
    return tuple(ids)
