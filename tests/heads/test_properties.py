"""What holds for every head: a table of heads by a table of properties. The last test fails if a head has no row."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import heads

_ROWS = 8


@dataclasses.dataclass(frozen=True)
class Row:
    """A head and a batch for it; `make` takes further arguments of the head.

    `elements` is the number of losses in a batch; `features` are there besides the weights.
    """

    make: Callable[..., heads.Head]
    labels: Any
    dimension: int
    weights: Any = (1.0, 0.5, 2.0, 0.0, 1.5, 1.0, 3.0, 0.25)
    elements: int = _ROWS
    features: dict[str, Any] = dataclasses.field(default_factory=dict)
    steps: tuple[int, ...] = ()

    def batch(self, rows: slice = slice(None)) -> tuple[dict[str, tf.Tensor], tf.Tensor, Any]:
        rng = np.random.default_rng(3)
        logits = rng.standard_normal((_ROWS, *self.steps, self.dimension)).astype(np.float32)
        features = {"w": np.array(self.weights, np.float32), **self.features}
        cut = {name: tf.constant(np.array(values)[rows]) for name, values in features.items()}
        return cut, tf.constant(logits[rows]), _labels(self.labels, rows)


def _labels(labels: Any, rows: slice) -> Any:
    if isinstance(labels, dict):
        return {name: _labels(of_head, rows) for name, of_head in labels.items()}
    return labels[rows] if isinstance(labels, tf.RaggedTensor) else tf.constant(np.array(labels)[rows])


def _binary(**options: Any) -> heads.Head:
    return heads.BinaryClassHead(weight_column="w", thresholds=[0.3, 0.6], **options)


def _binary_words(**options: Any) -> heads.Head:
    return heads.BinaryClassHead("w", label_vocabulary=["no", "yes"], name="words", **options)


def _multi_class(**options: Any) -> heads.Head:
    return heads.MultiClassHead(3, weight_column="w", **options)


def _multi_class_words(**options: Any) -> heads.Head:
    return heads.MultiClassHead(3, weight_column="w", label_vocabulary=["a", "b", "c"], **options)


def _regression(**options: Any) -> heads.Head:
    return heads.RegressionHead(2, weight_column="w", inverse_link_fn=tf.sigmoid, **options)


def _multi_label(**options: Any) -> heads.Head:
    arguments: dict[str, Any] = {"thresholds": [0.4], "classes_for_class_based_metrics": [2, 0]}
    return heads.MultiLabelHead(3, weight_column="w", **arguments, **options)


def _multi_label_words(**options: Any) -> heads.Head:
    options = {"loss_fn": heads.losses.focal(1.5), "metrics": {"area": keras.metrics.AUC()}, **options}
    return heads.MultiLabelHead(3, "w", label_vocabulary=["a", "b", "c"], name="words", **options)


def _poisson(**options: Any) -> heads.Head:
    return heads.PoissonRegressionHead(2, weight_column="w", **options)


def _logistic(**options: Any) -> heads.Head:
    return heads.LogisticRegressionHead(weight_column="w", **options)


def _multi_head(**options: Any) -> heads.Head:
    parts = [
        heads.BinaryClassHead("w", name="click", metrics=["mse"], **options),
        heads.MultiLabelHead(2, "w", name="topics", **options),
        heads.PoissonRegressionHead(weight_column="w", name="visits", metrics=["mse", _first], **options),
    ]
    return heads.MultiHead(parts, head_weights=[1.0, 0.5, 2.0])


def _first(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    return labels[..., 0] * predictions[..., 0]


def _sequential(**options: Any) -> heads.Head:
    return heads.SequentialHeadWrapper(_multi_class(**options), "mask", feature_columns="w")


_MULTI_HOT = [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]]
_NAMES = [["a"], ["c", "b"], [], ["a", "b", "c"], ["c"], ["a", "c"], ["b"], []]
_NUMBERS = np.linspace(-2, 3, 2 * _ROWS).reshape(_ROWS, 2).astype(np.float32)
_BY_HEAD = {
    "click": [1, 0, 1, 1, 0, 0, 1, 0],
    "topics": np.array(_MULTI_HOT)[:, :2],
    "visits": np.arange(_ROWS, dtype=np.float32),
}
_STEPS = np.arange(4 * _ROWS).reshape(_ROWS, 4)
_LENGTHS = [0, 1, 2, 3, 4, 0, 1, 2]
_SEQUENCES = {
    "weights": (_STEPS % 5) / 2.0,
    "elements": sum(_LENGTHS),
    "features": {"mask": np.arange(4) < np.array(_LENGTHS)[:, np.newaxis]},
    "steps": (4,),
}


def _focal(**options: Any) -> heads.Head:
    focal = heads.losses.focal(gamma=1.5, alpha=0.3)
    return heads.BinaryClassHead("w", loss_fn=focal, label_smoothing=0.1, class_weights={1: 3.0}, **options)


def _extra_metrics(**options: Any) -> heads.Head:
    metrics = {"top_2": keras.metrics.SparseTopKCategoricalAccuracy(k=2), "log": _log_probability}
    return heads.MultiClassHead(
        3, "w", label_smoothing=0.1, class_weights=[1.0, 2.0, 0.5], name="extra", metrics=metrics, **options
    )


def _log_probability(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.gather(predictions, tf.squeeze(labels, -1), batch_dims=1))


def _quantiles(**options: Any) -> heads.Head:
    return heads.QuantileRegressionHead([0.25, 0.5, 0.9], weight_column="w", **options)


def _ranking(**options: Any) -> heads.Head:
    return heads.RankingHead(weight_column="w", ndcg_at=[1, 3], metrics=[keras.metrics.AUC(), _best_score], **options)


def _best_score(predictions: tf.Tensor, weights: tf.Tensor) -> Any:
    return tf.reduce_sum(weights[:, 0] * tf.reduce_max(predictions, axis=1)), tf.reduce_sum(weights)


def _ranking_of_rows(**options: Any) -> heads.Head:
    return heads.RankingHead("query", "w", loss_fn=heads.losses.pairwise_logistic(), **options)


# Padding, a list without a relevant item, and grades.
_LISTS = [[0, 1, 0, -1], [2, 0, 1, 0], [0, 0, -1, -1], [1, -1, -1, -1], [0, 0, 3, 1], [0, 1, 1, 0], [1, 0, 0, 0]]

TABLE = {
    "binary": Row(_binary, [1, 0, 1, 1, 0, 0, 1, 0], 1),
    "binary_words": Row(_binary_words, ["yes", "no", "no", "no", "yes", "yes", "no", "yes"], 1),
    "multi_class": Row(_multi_class, [0, 1, 2, 2, 1, 0, 0, 1], 3),
    "multi_class_words": Row(_multi_class_words, ["a", "b", "c", "c", "a", "b", "a", "b"], 3),
    "multi_label": Row(_multi_label, _MULTI_HOT, 3),
    "multi_label_words": Row(_multi_label_words, tf.ragged.constant(_NAMES), 3),
    "regression": Row(_regression, _NUMBERS, 2, elements=2 * _ROWS),
    "poisson": Row(_poisson, np.abs(_NUMBERS), 2, elements=2 * _ROWS),
    "logistic": Row(_logistic, [0.0, 0.25, 1.0, 0.5, 0.75, 1.0, 0.0, 0.1], 1),
    "multi_head": Row(_multi_head, _BY_HEAD, 4),
    "sequential": Row(_sequential, _STEPS % 3, 3, **_SEQUENCES),
    "focal": Row(_focal, [1, 0, 1, 1, 0, 0, 1, 0], 1),
    "extra_metrics": Row(_extra_metrics, [0, 1, 2, 2, 1, 0, 0, 1], 3),
    "quantiles": Row(_quantiles, np.linspace(-2, 3, _ROWS).astype(np.float32), 3, elements=24),
    "ranking": Row(_ranking, [*_LISTS, [-1, 0, 2, -1]], 4),
    # The batches below are cut after the rows 3, 4, 5 and 6: no query lies on both sides.
    "ranking_of_rows": Row(
        _ranking_of_rows,
        [1, 0, 2, 0, 1, 0, 0, 3],
        1,
        elements=5,
        features={"query": ["c", "c", "c", "b", "d", "a", "e", "e"]},
    ),
}

each_head = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


def _results(metrics: Any) -> dict[str, float]:
    return {key: float(metric.result()) for key, metric in metrics.items()}


def _metrics_over(head: heads.Head, batches: Sequence[Any]) -> dict[str, float]:
    metrics = head.metrics()
    for features, logits, labels in batches:
        head.update_metrics(metrics, features, logits, labels)
    return _results(metrics)


def _any_rows(value: Any) -> Any:
    if isinstance(value, tf.RaggedTensor):
        return tf.RaggedTensorSpec([None, None], value.dtype, ragged_rank=1)
    return tf.TensorSpec([None, *value.shape[1:]], value.dtype)


@each_head
def test_graph_equals_eager(row: Row) -> None:
    head = row.make()
    features, logits, labels = row.batch()
    metrics = head.metrics()

    @tf.function(input_signature=[tf.nest.map_structure(_any_rows, part) for part in (features, logits, labels)])
    def step(features: Any, logits: tf.Tensor, labels: Any) -> Any:
        head.update_metrics(metrics, features, logits, labels)
        return head.loss(labels, logits, features), head.predictions(logits)

    loss, predictions = step(features, logits, labels)
    np.testing.assert_allclose(loss, head.loss(labels, logits, features), rtol=1e-6)
    assert _results(metrics) == pytest.approx(_metrics_over(head, [row.batch()]), rel=1e-6)
    for key, value in head.predictions(logits).items():
        assert predictions[key].dtype == value.dtype
        np.testing.assert_array_equal(predictions[key], value, err_msg=str(key))


@each_head
def test_metrics_and_loss_do_not_depend_on_the_cut_into_batches(row: Row) -> None:
    head = row.make(loss_reduction="sum")
    parts = [row.batch(slice(0, 3)), row.batch(slice(3, 6)), row.batch(slice(6, 8))]
    over_parts, over_all = (_metrics_over(head, batches) for batches in (parts, [row.batch()]))
    # The losses of a MultiHead's heads are means over batches, as `loss` is in an evaluation.
    for key in [key for key in over_parts if key.startswith("loss/")]:
        del over_parts[key], over_all[key]
    assert over_parts == pytest.approx(over_all, rel=1e-6)
    features, logits, labels = row.batch()
    losses = [float(head.loss(part_labels, part, weights)) for weights, part, part_labels in parts]
    assert sum(losses) == pytest.approx(float(head.loss(labels, logits, features)), rel=1e-6)


@each_head
def test_loss_is_the_mean_of_the_weighted_losses(row: Row) -> None:
    features, logits, labels = row.batch()
    total = float(row.make(loss_reduction="sum").loss(labels, logits, features))
    assert float(row.make().loss(labels, logits, features)) == pytest.approx(total / row.elements, rel=1e-6)


@each_head
def test_zero_weights_count_for_nothing(row: Row) -> None:
    row = dataclasses.replace(row, weights=np.zeros_like(row.weights))
    features, logits, labels = row.batch()
    assert float(row.make().loss(labels, logits, features)) == 0.0
    assert set(_metrics_over(row.make(), [row.batch()]).values()) == {0.0}


@each_head
def test_an_empty_batch_changes_nothing(row: Row) -> None:
    head, empty = row.make(), row.batch(slice(0, 0))
    features, logits, labels = empty
    for run in (head.loss, tf.function(head.loss)):
        assert float(run(labels, logits, features)) == 0.0
    assert set(_metrics_over(head, [empty]).values()) == {0.0}
    assert _metrics_over(head, [row.batch(), empty]) == pytest.approx(_metrics_over(head, [row.batch()]), rel=1e-6)
    assert {value.shape[0] for value in head.predictions(logits).values()} == {0}


@each_head
def test_reset_starts_anew(row: Row) -> None:
    head = row.make()
    metrics = head.metrics()
    for _ in range(2):
        for metric in metrics.values():
            metric.reset_state()
        assert set(_results(metrics).values()) == {0.0}
        features, logits, labels = row.batch()
        assert head.update_metrics(metrics, features, logits, labels) is metrics
        assert _results(metrics) == pytest.approx(_metrics_over(head, [row.batch()]), rel=1e-6)


@each_head
@pytest.mark.parametrize("cut", [4, 5, 8], ids=["even", "uneven", "one_is_empty"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_two_replicas_equal_one(row: Row, cut: int, reduction: str, mirrored: tf.distribute.Strategy) -> None:
    head = row.make(loss_reduction=reduction)
    penalty = [tf.constant(0.5)]
    features, logits, labels = row.batch()
    with mirrored.scope():
        metrics = head.metrics(penalty)
    parts = [row.batch(slice(0, cut)), row.batch(slice(cut, None))]

    def part(context: Any) -> Any:
        return parts[context.replica_id_in_sync_group]

    def step(features: Any, logits: tf.Tensor, labels: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = head.loss(labels, logits, features, regularization_losses=penalty)
        head.update_metrics(metrics, features, logits, labels, regularization_losses=penalty)
        return loss, tape.gradient(loss, logits)

    values = mirrored.experimental_distribute_values_from_function(part)
    losses, gradients = tf.function(lambda values: mirrored.run(step, args=values))(values)

    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = head.loss(labels, logits, features, regularization_losses=penalty)
    total = sum(float(part) for part in mirrored.experimental_local_results(losses))
    assert total == pytest.approx(float(loss), rel=1e-5)
    together = tf.concat(mirrored.experimental_local_results(gradients), axis=0)
    np.testing.assert_allclose(together, tape.gradient(loss, logits), rtol=1e-5, atol=1e-7)
    one = head.update_metrics(head.metrics(penalty), features, logits, labels, regularization_losses=penalty)
    assert _results(metrics) == pytest.approx(_results(one), rel=1e-6)


@pytest.mark.parametrize(
    "name", [name for name in TABLE if not name.endswith(("words", "rows"))]
)  # XLA knows no strings
def test_compiled_by_xla(name: str) -> None:
    row = TABLE[name]
    head = row.make()
    features, logits, labels = row.batch()
    metrics = head.metrics()

    @tf.function(jit_compile=True)
    def step(features: Any, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        head.update_metrics(metrics, features, logits, labels)
        return head.loss(labels, logits, features)

    np.testing.assert_allclose(step(features, logits, labels), head.loss(labels, logits, features), rtol=1e-6)
    assert _results(metrics) == pytest.approx(_metrics_over(head, [row.batch()]), rel=1e-6)


@each_head
def test_predictions_by_key_and_by_default_agree(row: Row) -> None:
    head = row.make()
    logits = row.batch()[1]
    for key, value in head.predictions(logits).items():
        alone = head.predictions(logits, keys=[key])
        assert list(alone) == [key]
        np.testing.assert_array_equal(alone[key], value)


@each_head
def test_export_and_copy(row: Row, tmp_path: pathlib.Path) -> None:
    head = copy.deepcopy(row.make())
    module = tf.Module()
    # A saved function returns no dict with other keys than strings.
    module.predictions = tf.function(
        lambda logits: {str(key): value for key, value in head.predictions(logits).items()},
        input_signature=[_any_rows(row.batch()[1])],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path)).predictions(row.batch()[1])
    for key, value in row.make().predictions(row.batch()[1]).items():
        np.testing.assert_array_equal(loaded[str(key)], value, err_msg=str(key))


def test_every_public_head_is_in_the_table() -> None:
    public = {
        value
        for value in vars(heads).values()
        if inspect.isclass(value) and issubclass(value, heads.Head) and not inspect.isabstract(value)
    }
    tested = {type(row.make()) for row in TABLE.values()}
    assert public == tested, "Add a row to TABLE above for each new head: it then gets every test of this file."
