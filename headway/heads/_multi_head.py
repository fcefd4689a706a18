"""Several heads on one model."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import _context, _summary
from headway._spec import ExportOutput, ModeKeys, PredictOutput
from headway.heads import _checks, _reduction
from headway.heads._accumulator import Accumulator, Formula, Statistic, Sums, ratio
from headway.heads._base import BaseHead
from headway.heads._extra_metrics import ExtraMetrics, Given, MetricBatch
from headway.heads._interface import Head, Metrics
from headway.heads._keys import MetricKeys, ServingKeys


class MultiHead(BaseHead):
    """Several heads on one model, for several objectives at once.

    Logits are one tensor of shape `[D0, ..., DN, logits_dimension]`, which is cut among the heads in their order, or a
    dict with the logits of each head by its name. Labels are a dict with the labels of each head by its name.

    The loss is the sum of the heads' losses, each times its weight, plus the regularization losses.

    Predictions: those of all heads, under pairs `(head name, key)`.

    Metrics: those of all heads, whose keys end in the heads' names, and `loss/<head name>`: the mean over the batches
    of the head's loss, without its weight, as `loss` is the mean of the whole. A batch without rows does not count.
    Unlike the other metrics these depend on how rows are put into batches; `average_loss/<head name>` does not.

    Signatures of the exported model: those of each head as `<head name>/<signature>`, the default one of each as `<head
    name>`, that of the first head as the default of the model, and `predict`, with all predictions as `<head
    name>/<key>`.

    Args:
      heads: list or tuple of heads, each with a name of its own. The first is served by default.
      head_weights: list or tuple of numbers, or scalar tensors, that the heads' losses are multiplied by; None for 1
        each.
      metrics: further metrics that need several heads at once; those of one head go into its own `metrics`. A dict from
        keys to functions of labels, predictions and features, which return a value per row or a pair of a sum and a
        count; or to objects of your own subclass of `keras.metrics.Metric`, or what makes one without arguments. They
        get labels as a dict by head name, and predictions as a dict by pairs `(head name, key)`. Every row counts the
        same, unless a function returns a pair. They are reported under their keys as they are.

    Raises:
      ValueError: if there is no head, a head has no name or that of another, the weights are not one number for each
        head, or one of the metrics is none.
      TypeError: if one of the heads is none.

    >>> import tensorflow as tf
    >>> from headway.heads import BinaryClassHead, MultiHead, RegressionHead
    >>> head = MultiHead([BinaryClassHead(name="click"), RegressionHead(name="price")], head_weights=[1.0, 0.5])
    >>> head.logits_dimension
    2
    >>> labels = {"click": tf.constant([1, 0]), "price": tf.constant([3.0, 2.0])}
    >>> logits = tf.constant([[0.0, 1.0], [0.0, 2.0]])
    >>> print(f"{float(head.loss(labels, logits)):.4f}")  # log 2 + 0.5 * (4 + 0) / 2
    1.6931
    >>> sorted(head.predictions(logits, keys=[("price", "predictions"), ("click", "class_ids")]))
    [('click', 'class_ids'), ('price', 'predictions')]
    >>> metrics = head.update_metrics(head.metrics(), None, logits, labels)
    >>> float(metrics["loss/price"].result()), float(metrics["label/mean/price"].result())
    (2.0, 2.5)
    >>> def revenue(labels, predictions):  # the expected one, of each row
    ...     return predictions["click", "logistic"] * predictions["price", "predictions"]
    >>> head = MultiHead([BinaryClassHead(name="click"), RegressionHead(name="price")], metrics={"revenue": revenue})
    >>> float(head.update_metrics(head.metrics(), None, logits, labels)["revenue"].result())  # (0.5 * 1 + 0.5 * 2) / 2
    0.75
    """

    def __init__(
        self, heads: Sequence[Head], head_weights: Sequence[Any] | None = None, *, metrics: Given = None
    ) -> None:
        self._heads = _checked_heads(heads)
        self._head_weights = _checked_head_weights(head_weights, len(self._heads))
        self._extra = ExtraMetrics(metrics, reserved=[self._loss_key(name) for name in self._heads], of_one_head=False)

    @property
    def name(self) -> str:
        """The names of the heads, joined by `_`."""
        return "_".join(self._heads)

    @property
    def logits_dimension(self) -> int:
        """The sum of the heads' dimensions."""
        return sum(head.logits_dimension for head in self._heads.values())

    @property
    def loss_reduction(self) -> str:
        """The one that all heads have.

        Raises:
          ValueError: if they differ.
        """
        reductions = {name: head.loss_reduction for name, head in self._heads.items()}
        if len(set(reductions.values())) > 1:
            raise ValueError(
                f"The loss_reduction must be the same for different heads. Given: {list(reductions.values())} for the "
                f"heads {list(reductions)}."
            )
        return next(iter(reductions.values()))

    def loss(
        self,
        labels: Any,
        logits: Any,
        features: Mapping[str, Any] | None = None,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Returns the weighted sum of the heads' losses, with the regularization losses added; see `Head`.

        Args:
          labels: labels by head name.
          logits: one tensor, or logits by head name.
          features: see `Head`.
          mode: see `Head`.
          regularization_losses: see `Head`. They are added once, to the sum.

        Raises:
          ValueError: if labels or logits of a head are missing, or the logits cannot be cut among the heads.
        """
        of_head, labels = self._split(logits), self._checked_labels(labels)
        losses = _reduction.as_shares(
            self._each(lambda head, *batch: head.loss(*batch), labels, of_head, features, mode)
        )
        return self._merged_loss(losses, mode, regularization_losses)

    def predictions(self, logits: Any, keys: Sequence[Any] | None = None) -> dict[Any, tf.Tensor]:
        """Returns the predictions of all heads, under pairs `(head name, key)`; see `Head`.

        Args:
          logits: one tensor, or logits by head name.
          keys: the pairs that are wanted; all of them by default.

        Raises:
          ValueError: if a key is no pair of a head's name and one of its keys, or the logits do not fit.
        """
        of_head = self._split(logits)
        wanted = self._checked_keys(keys)
        return {
            (name, key): prediction
            for name, head in self._heads.items()
            if wanted is None or name in wanted
            for key, prediction in head.predictions(of_head[name], None if wanted is None else wanted[name]).items()
        }

    def export_outputs(self, predictions: Mapping[Any, tf.Tensor]) -> dict[str, ExportOutput]:
        """Returns the signatures of all heads, and one that gives all predictions; see the class."""
        merged: dict[str, ExportOutput] = {}
        everything: dict[str, tf.Tensor] = {}
        for name, head in self._heads.items():
            own = {key: prediction for (owner, key), prediction in predictions.items() if owner == name}
            outputs = head.export_outputs(own)
            default = _default_output(outputs, name)
            merged.setdefault(ServingKeys.DEFAULT, default)
            for key, output in outputs.items():
                merged[name if key == ServingKeys.DEFAULT else f"{name}/{key}"] = output
            predict = outputs.get(ServingKeys.PREDICT)
            if isinstance(predict, PredictOutput):
                everything.update({f"{name}/{key}": tensor for key, tensor in predict.outputs.items()})
        return {**merged, ServingKeys.PREDICT: PredictOutput(everything)}

    def metrics(self, regularization_losses: Sequence[tf.Tensor] | None = None) -> Metrics:
        """Returns fresh metric objects of all heads by key; see `Head`.

        Raises:
          ValueError: if two heads report a metric under the same key.
        """
        own = self._own_metrics(regularization_losses)
        return _merged(own, {name: head.metrics() for name, head in self._heads.items()})

    def update_metrics(
        self,
        eval_metrics: Metrics,
        features: Mapping[str, Any] | None,
        logits: Any,
        labels: Any,
        mode: str | None = None,
        regularization_losses: Sequence[tf.Tensor] | None = None,
    ) -> Metrics:
        """Counts a batch in the metrics of all heads and returns `eval_metrics`; see `Head`.

        Raises:
          ValueError: if `eval_metrics` is not what `metrics` of this head returned, or as for `loss`.
        """
        _checks.check_mode(mode)
        of_head, labels = self._split(logits), self._checked_labels(labels)

        def update(head: Head, labels: Any, logits: Any, features: Any, mode: str | None) -> tf.Tensor:
            eval_metrics.update(head.update_metrics(eval_metrics, features, logits, labels, mode))
            return head.loss(labels, logits, features, mode)

        losses = _reduction.as_shares(self._each(update, labels, of_head, features, mode))
        self._count(eval_metrics, losses, (features, of_head, labels), regularization_losses)
        return eval_metrics

    def _loss_and_metrics(
        self,
        features: Mapping[str, Any] | None,
        mode: str,
        logits: Any,
        labels: Any,
        regularization_losses: Sequence[tf.Tensor] | None,
    ) -> tuple[tf.Tensor, Metrics]:
        """Lets each head check its batch and compute its losses once for both, unless a subclass has its own verbs."""
        if (type(self).loss, type(self).update_metrics) != (MultiHead.loss, MultiHead.update_metrics):
            return super()._loss_and_metrics(features, mode, logits, labels, regularization_losses)
        of_head, labels = self._split(logits), self._checked_labels(labels)
        of_heads: dict[str, Metrics] = {}

        def both(head: Head, labels: Any, logits: Any, features: Any, mode: str) -> tf.Tensor:
            if isinstance(head, BaseHead):
                loss, metrics = head._loss_and_metrics(features, mode, logits, labels, None)
            else:
                loss = head.loss(labels, logits, features, mode)
                metrics = head.update_metrics(head.metrics(), features, logits, labels, mode)
            of_heads[str(head.name)] = metrics
            return loss

        losses = _reduction.as_shares(self._each(both, labels, of_head, features, mode))
        metrics = _merged(self._own_metrics(regularization_losses), of_heads)
        self._count(metrics, losses, (features, of_head, labels), regularization_losses)
        return self._merged_loss(losses, mode, regularization_losses), metrics

    def _each(
        self, verb: Callable[..., tf.Tensor], labels: Any, logits: Mapping[str, Any], features: Any, mode: str | None
    ) -> list[Callable[[], tf.Tensor]]:
        """Returns calls of `verb(head, labels, logits, features, mode)`, one for each head."""
        return [
            functools.partial(verb, head, labels[name], logits[name], features, mode)
            for name, head in self._heads.items()
        ]

    def _merged_loss(
        self, losses: Sequence[tf.Tensor], mode: str | None, regularization_losses: Sequence[tf.Tensor] | None
    ) -> tf.Tensor:
        if mode == ModeKeys.TRAIN:
            stacked = tf.stack(losses)
            whole = _context.global_sum(stacked) if _reduction.replicas_adding_up() > 1 else stacked
            for position, name in enumerate(self._heads):
                _summary.scalar(self._loss_key(name), whole[position])
        weights = [tf.cast(weight, tf.float32) for weight in self._head_weights]
        weighted = [loss * weight for loss, weight in zip(losses, weights, strict=True)]
        return _reduction.regularized(tf.add_n(weighted), regularization_losses)

    def _own_metrics(self, regularization_losses: Sequence[tf.Tensor] | None) -> Metrics:
        """Returns the metrics that no head has: the loss of each, and the regularization losses."""
        n = len(self._heads)
        shapes = {"losses": (n,), "batches": (n,), "regularization": (), "updates": (), **self._extra.shapes()}
        accumulator = Accumulator(shapes, name=self._key("sums"))
        formulas: dict[str, Formula] = {
            self._loss_key(name): functools.partial(_mean_loss, position=position)
            for position, name in enumerate(self._heads)
        }
        if _reduction.regularization(regularization_losses) is not None:
            formulas[self._key(MetricKeys.REGULARIZATION_LOSS)] = ratio("regularization", "updates")
        formulas |= self._extra.formulas()
        own: Metrics = {key: Statistic(accumulator, formula, name=key) for key, formula in formulas.items()}
        return {**own, **self._extra.fresh(str)}

    def _count(
        self,
        eval_metrics: Metrics,
        losses: Sequence[tf.Tensor],
        batch: tuple[Any, Mapping[str, Any], Mapping[str, Any]],
        regularization_losses: Sequence[tf.Tensor] | None,
    ) -> None:
        """Counts `batch`, which is features, and logits and labels by head name, in the metrics that no head has."""
        key = self._loss_key(next(iter(self._heads)))
        metric = eval_metrics.get(key)
        if not isinstance(metric, Statistic):
            raise ValueError(
                f"`eval_metrics` must be what `metrics()` of this head returned, with {key!r} in it. "
                f"Received the keys: {sorted(eval_metrics)}."
            )
        features, logits, labels = batch
        # The logits of a head that is a MultiHead may be a dict in turn, each of whose entries has all rows.
        parts = [tf.nest.flatten(logits[name])[0] for name in self._heads]
        sizes = tf.stack([tf.cast(tf.size(part), tf.float32) for part in parts])
        present = _context.global_sum(sizes) > 0
        penalty = _reduction.regularization(regularization_losses)
        metric.accumulator.update_state(
            {
                # Without rows a loss may be anything, a mean of nothing among it.
                "losses": tf.where(present, tf.stack(losses), 0.0),
                # Where replicas have shares of one loss, they have shares of one batch.
                "batches": tf.cast(present, tf.float64) / _reduction.replicas_adding_up(),
                "regularization": tf.constant(0.0) if penalty is None else penalty,
                "updates": tf.constant(1.0),
                **self._extra_sums(eval_metrics, features, logits, labels, parts),
            }
        )

    def _extra_sums(
        self,
        eval_metrics: Metrics,
        features: Any,
        logits: Mapping[str, Any],
        labels: Mapping[str, Any],
        parts: Sequence[tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Counts a batch in the caller's Keras metrics, and returns what it adds to the caller's functions."""
        if not self._extra:
            return {}
        shaped = {name: _as_column(labels[name], part) for name, part in zip(self._heads, parts, strict=True)}
        predictions = {
            (name, key): value
            for name, head in self._heads.items()
            for key, value in head.predictions(logits[name]).items()
        }
        self._extra.update(eval_metrics, str, MetricBatch(shaped, predictions, None))
        ones = tf.ones_like(tf.cast(parts[0][..., :1], tf.float32))
        return self._extra.sums(MetricBatch(shaped, predictions, ones), features)

    def _summarize(self, loss: tf.Tensor, regularization_losses: Sequence[tf.Tensor] | None) -> None:
        """Writes the regularization losses; `loss` has written those of the heads, and the estimator writes the sum."""
        penalty = _reduction.regularization(regularization_losses)
        if penalty is not None:
            _summary.scalar(MetricKeys.REGULARIZATION_LOSS, penalty)

    def _parts(self) -> int:
        return sum(1 + (head._parts() if isinstance(head, BaseHead) else 0) for head in self._heads.values())

    @staticmethod
    def _loss_key(name: str) -> str:
        return f"{MetricKeys.LOSS}/{name}"

    def _split(self, logits: Any) -> dict[str, Any]:
        """Returns the logits of each head."""
        if isinstance(logits, Mapping):
            missing = [name for name in self._heads if name not in logits]
            if missing:
                raise ValueError(
                    f"logits has missing values for head(s): {missing}. Received logits for: "
                    f"{sorted(map(str, logits))}."
                )
            return {name: logits[name] for name in self._heads}
        logits, sizes = tf.convert_to_tensor(logits), [head.logits_dimension for head in self._heads.values()]
        if logits.shape.rank and logits.shape[-1] not in (None, sum(sizes)):
            raise ValueError(
                f"Could not split logits of shape {logits.shape.as_list()} among the heads with individual logits "
                f"dimensions: {sizes}. The last dimension of the logits tensor should equal {sum(sizes)} but is "
                f"{logits.shape[-1]}. Pass `head.logits_dimension` to the model's last layer, or a dict with the "
                "logits of each head."
            )
        logits = _checks.checked_logits(logits, sum(sizes))
        return dict(zip(self._heads, tf.split(logits, sizes, axis=-1), strict=True))

    def _checked_labels(self, labels: Any) -> Mapping[str, Any]:
        labels = _checks.given_labels(labels)
        if not isinstance(labels, Mapping):
            raise ValueError(
                f"labels must be a dict. Given: {type(labels).__name__}. Let input_fn return the labels of each head "
                f"by its name: {list(self._heads)}."
            )
        missing = [name for name in self._heads if name not in labels]
        if missing:
            raise ValueError(
                f"labels has missing values for head(s): {missing}. Received labels for: {sorted(map(str, labels))}."
            )
        return labels

    def _checked_keys(self, keys: Sequence[Any] | None) -> dict[str, list[Any]] | None:
        """Returns the wanted keys by head name, or None for all."""
        if not keys:
            return None
        wanted: dict[str, list[Any]] = {}
        for pair in keys:
            if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] not in self._heads:
                raise ValueError(
                    f"Each of `keys` must be a pair (head name, prediction key). Received: {pair!r}. The heads are "
                    f"{list(self._heads)}."
                )
            wanted.setdefault(pair[0], []).append(pair[1])
        return wanted


def _merged(own: Metrics, of_heads: Mapping[str, Metrics]) -> Metrics:
    """Returns all metrics by key.

    Raises:
      ValueError: if two heads report a metric under the same key.
    """
    merged = dict(own)
    for name, metrics in of_heads.items():
        twice = sorted(metrics.keys() & merged.keys())
        if twice:
            raise ValueError(
                f"The head {name!r} reports {twice}, which another head reports already. Let the keys of its metrics "
                f"end in its name, such as '{twice[0]}/{name}'."
            )
        merged.update(metrics)
    return merged


def _as_column(labels: Any, logits: tf.Tensor) -> Any:
    """Returns labels of shape `[B]` as `[B, 1]`, beside logits `[B, D]`, so that they fit predictions."""
    if isinstance(labels, (Mapping, tf.SparseTensor, tf.compat.v1.SparseTensorValue, tf.RaggedTensor)):
        return labels
    labels = tf.convert_to_tensor(labels)
    rank = labels.shape.rank
    return tf.expand_dims(labels, -1) if rank is not None and rank + 1 == logits.shape.rank else labels


def _mean_loss(sums: Sums, *, position: int) -> tf.Tensor:
    return tf.math.divide_no_nan(sums["losses"][position], sums["batches"][position])


def _default_output(outputs: Mapping[str, ExportOutput], name: str) -> ExportOutput:
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    if ServingKeys.DEFAULT not in outputs:
        raise ValueError(
            f"{name} did not specify default export_outputs. Given: {list(outputs)}. Suggested fix: include the key "
            f"{ServingKeys.DEFAULT!r} in what its `export_outputs` returns."
        )
    return outputs[ServingKeys.DEFAULT]


def _checked_heads(heads: Any) -> dict[str, Head]:
    """Returns the heads by name."""
    if isinstance(heads, Head) or not hasattr(heads, "__iter__"):
        raise TypeError(f"`heads` must be a list or tuple of heads. Received: {heads!r}.")
    by_name: dict[str, Head] = {}
    for head in heads:
        if not isinstance(head, Head):
            raise TypeError(
                f"`heads` must be heads of headway.heads. Received: {head!r} of type {type(head).__name__}."
            )
        if head.name is None:
            raise ValueError(
                f"All given heads must have name specified. Given: {type(head).__name__} without a name. Labels, "
                "predictions and metrics of a head go by its name: pass `name=...` to each."
            )
        if head.name in by_name:
            raise ValueError(f"All given heads must have different names. Received twice: {head.name!r}.")
        by_name[head.name] = head
    if not by_name:
        raise ValueError(f"Must specify heads. Given: {heads!r}.")
    return by_name


def _checked_head_weights(head_weights: Any, n_heads: int) -> tuple[Any, ...]:
    if head_weights is None:
        return (1.0,) * n_heads
    if isinstance(head_weights, (str, bytes, Mapping)) or not hasattr(head_weights, "__len__"):
        raise ValueError(f"`head_weights` must be a list of one number for each head. Received: {head_weights!r}.")
    if not len(head_weights):
        return (1.0,) * n_heads
    if len(head_weights) != n_heads:
        raise ValueError(
            f"heads and head_weights must have the same size. Given len(heads): {n_heads}. Given len(head_weights): "
            f"{len(head_weights)}."
        )
    for weight in head_weights:
        is_number = hasattr(weight, "__float__") and not isinstance(weight, bool)
        if not (tf.is_tensor(weight) or (is_number and math.isfinite(weight))):
            raise ValueError(
                f"Each of `head_weights` must be a finite number or a scalar tensor. Received: {weight!r}."
            )
    return tuple(head_weights)
