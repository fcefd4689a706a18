"""`create_estimator_spec`, which all heads share, and the options that shape what a head computes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import _context
from headway._spec import ClassificationOutput, ModeKeys, PredictOutput, RegressionOutput
from headway.heads import BinaryClassHead, MultiClassHead, RegressionHead

_LOGITS, _LABELS = tf.constant([[0.0], [2.0]]), tf.constant([[1.0], [1.0]])
_LN2, _SOFTPLUS = np.log(2), np.log1p(np.exp(-2.0))  # the losses of the two examples


def _context_of(mode: str, **settings: Any) -> _context.StepContext:
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    return _context.StepContext(mode=mode, global_step=step, owns=lambda variable: True, **settings)


def test_predict() -> None:
    spec = BinaryClassHead(label_vocabulary=["no", "yes"]).create_estimator_spec(None, ModeKeys.PREDICT, _LOGITS)
    assert spec.loss is None
    assert spec.train_op is None
    assert sorted(spec.export_outputs) == ["classification", "predict", "regression", "serving_default"]
    assert spec.export_outputs["serving_default"] is spec.export_outputs["classification"]
    classification = spec.export_outputs["classification"]
    assert isinstance(classification, ClassificationOutput)
    np.testing.assert_array_equal(classification.classes, [[b"no", b"yes"]] * 2)
    np.testing.assert_allclose(classification.scores[0], [0.5, 0.5])
    assert isinstance(spec.export_outputs["regression"], RegressionOutput)
    np.testing.assert_allclose(spec.export_outputs["regression"].value, spec.predictions["logistic"])
    assert isinstance(spec.export_outputs["predict"], PredictOutput)
    assert sorted(spec.export_outputs["predict"].outputs) == sorted(spec.predictions)


@pytest.mark.parametrize(
    ("head", "default", "keys"),
    [
        (MultiClassHead(3), ClassificationOutput, ["classification", "predict", "serving_default"]),
        (RegressionHead(3), RegressionOutput, ["predict", "regression", "serving_default"]),
    ],
)
def test_export_outputs(head: Any, default: type, keys: list[str]) -> None:
    spec = head.create_estimator_spec(None, ModeKeys.PREDICT, tf.zeros([2, 3]))
    assert sorted(spec.export_outputs) == keys
    assert isinstance(spec.export_outputs["serving_default"], default)
    assert isinstance(spec.export_outputs["predict"], PredictOutput)


def test_eval() -> None:
    head = BinaryClassHead(name="click")
    penalties = [tf.constant(0.25), tf.constant(0.5)]
    spec = head.create_estimator_spec(None, ModeKeys.EVAL, _LOGITS, _LABELS, regularization_losses=penalties)
    assert float(spec.loss) == pytest.approx((_LN2 + _SOFTPLUS) / 2 + 0.75, rel=1e-6)
    assert "logits" in spec.predictions
    results = {key: float(metric.result()) for key, metric in spec.eval_metric_ops.items()}
    assert results["average_loss/click"] == pytest.approx((_LN2 + _SOFTPLUS) / 2, rel=1e-6)
    assert results["regularization_loss/click"] == 0.75
    assert all(key.endswith("/click") for key in results)


def test_a_subclass_may_have_a_loss_or_metrics_of_its_own() -> None:
    class Doubled(RegressionHead):
        def loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
            return 2.0 * super().loss(*args, **kwargs)

    class Biased(RegressionHead):
        def update_metrics(self, eval_metrics: Any, features: Any, logits: Any, *args: Any, **kwargs: Any) -> Any:
            return super().update_metrics(eval_metrics, features, logits + 1.0, *args, **kwargs)

    for head, loss, prediction in ((RegressionHead(), 1.0, 1.0), (Doubled(), 2.0, 1.0), (Biased(), 1.0, 2.0)):
        spec = head.create_estimator_spec(None, ModeKeys.EVAL, _LOGITS, _LABELS)
        assert float(spec.loss) == loss
        assert float(spec.eval_metric_ops["prediction/mean"].result()) == prediction


def test_no_regularization_losses_are_none() -> None:
    head = RegressionHead()
    assert sorted(head.metrics([])) == ["average_loss", "label/mean", "prediction/mean"]
    assert float(head.loss(_LABELS, _LOGITS, regularization_losses=[])) == 1.0  # (1 + 1) / 2


def test_train_op_fn_gets_the_loss_and_update_ops_run() -> None:
    weight, average = tf.Variable(2.0), tf.Variable(0.0)

    @tf.function
    def step() -> tf.Tensor:
        logits = weight * _LOGITS
        spec = RegressionHead().create_estimator_spec(
            None,
            ModeKeys.TRAIN,
            logits,
            _LABELS,
            train_op_fn=lambda loss: weight.assign_sub(0.1 * tf.gradients(loss, weight)[0]),
            update_ops=[average.assign(0.5)],
        )
        assert spec.eval_metric_ops == {}
        with tf.control_dependencies([spec.train_op]):
            return tf.identity(spec.loss)

    # logits 0 and 4, labels 1: ((0 - 1)^2 + (4 - 1)^2) / 2; its derivative is 2 * (4 - 1) * 2 / 2
    assert float(step()) == 5.0
    assert float(weight) == pytest.approx(2.0 - 0.1 * 6.0)
    assert float(average) == 0.5


def test_optimizer() -> None:
    weight = tf.Variable(2.0)
    optimizer = keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape, _context.entered(_context_of(ModeKeys.TRAIN, tape=tape)) as context:
        spec = RegressionHead(name="price").create_estimator_spec(
            None,
            ModeKeys.TRAIN,
            weight * _LOGITS,
            _LABELS,
            optimizer=optimizer,
            trainable_variables=[weight],
            regularization_losses=[0.5 * weight],
        )
    assert float(spec.loss) == 6.0  # as above, and 0.5 * 2
    assert float(weight) == pytest.approx(2.0 - 0.1 * 6.5)
    assert int(context.global_step) == 1
    tags = {tag: float(value) for _, tag, value in context.summaries}
    assert tags == {"loss/price": 6.0, "regularization_loss/price": 1.0}


def test_training_metrics_where_the_run_asks_for_them() -> None:
    with _context.entered(_context_of(ModeKeys.TRAIN, training_metrics=True)):
        spec = BinaryClassHead().create_estimator_spec(
            None, ModeKeys.TRAIN, _LOGITS, _LABELS, train_op_fn=lambda loss: tf.identity(loss)
        )
    assert float(spec.eval_metric_ops["label/mean"].result()) == 1.0


def test_the_loss_of_a_head_is_a_share_of_the_global_loss(mirrored: tf.distribute.Strategy) -> None:
    for reduction in ("sum", "sum_over_batch_size"):
        context = _context_of(ModeKeys.TRAIN)

        def step(reduction: str = reduction, context: Any = context) -> tf.Tensor:
            with _context.entered(context):
                return RegressionHead(loss_reduction=reduction).loss(_LABELS, _LOGITS, regularization_losses=[1.0])

        losses = mirrored.experimental_local_results(tf.function(lambda step=step: mirrored.run(step))())
        # two replicas with the errors 1 and 1 each, and the penalty once
        assert sum(map(float, losses)) == (4.0 if reduction == "sum" else 1.0) + 1.0
        assert context.loss_is_share


_OPTIMIZER = keras.optimizers.SGD()


@pytest.mark.parametrize(
    ("mode", "arguments", "message"),
    [
        ("fit", {}, "`mode` must be a ModeKeys value.*Received: 'fit'"),
        (ModeKeys.TRAIN, {}, "train_op_fn and optimizer cannot both be None"),
        (
            ModeKeys.TRAIN,
            {"optimizer": _OPTIMIZER, "train_op_fn": tf.identity},
            "train_op_fn and optimizer cannot both be set",
        ),
        (ModeKeys.TRAIN, {"train_op_fn": "adam"}, "train_op_fn must be a function of the loss. Received: 'adam'"),
        (ModeKeys.TRAIN, {"optimizer": _OPTIMIZER}, "trainable_variables cannot be None"),
        (
            ModeKeys.TRAIN,
            {"optimizer": _OPTIMIZER, "trainable_variables": tf.Variable(1.0)},
            "trainable_variables should be a list or a tuple",
        ),
        (
            ModeKeys.TRAIN,
            {"optimizer": "adam", "trainable_variables": []},
            r"not a tf.keras.optimizers.Optimizer instance. Received: 'adam' of type str. .*keras.optimizers.Adam\(\)",
        ),
        (
            ModeKeys.TRAIN,
            {"optimizer": tf.compat.v1.train.AdamOptimizer(), "trainable_variables": []},
            "not a tf.keras.optimizers.Optimizer instance.*of type AdamOptimizer.*goes into train_op_fn",
        ),
        (
            ModeKeys.TRAIN,
            {"train_op_fn": tf.identity, "update_ops": tf.constant(1)},
            "update_ops should be a list or a tuple",
        ),
        (ModeKeys.EVAL, {"labels": None}, "You must provide a labels Tensor"),
    ],
)
def test_what_is_missing_or_wrong(mode: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BinaryClassHead().create_estimator_spec(None, mode, _LOGITS, **{"labels": _LABELS, **arguments})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sum", "sum"),
        ("sum_over_batch_size", "sum_over_batch_size"),
        ("auto", "sum_over_batch_size"),
        (tf.compat.v1.losses.Reduction.SUM, "sum"),
        (tf.compat.v1.losses.Reduction.SUM_OVER_BATCH_SIZE, "sum_over_batch_size"),
    ],
)
def test_loss_reduction(given: str, meant: str) -> None:
    assert RegressionHead(loss_reduction=given).loss_reduction == meant


def test_weight_column_may_be_a_numeric_column() -> None:
    class Column:
        key = "w"
        normalizer_fn = staticmethod(lambda weights: 2.0 * weights)

    features = {"w": tf.constant([1, 2])}
    # (2 * 1 + 4 * 1) / 2
    assert float(RegressionHead(weight_column=Column()).loss(_LABELS, _LOGITS, features)) == 3.0
    assert float(RegressionHead(weight_column="w").loss(_LABELS, _LOGITS, features)) == 1.5


def test_labels_and_logits_of_other_types() -> None:
    head = MultiClassHead(3)
    logits = tf.zeros([2, 3], tf.bfloat16)
    for labels in (np.array([0, 2], np.uint8), np.array([[0], [2]], np.int16), [0, 2]):
        assert float(head.loss(labels, logits)) == pytest.approx(np.log(3), rel=1e-6)
    assert head.predictions(logits)["logits"].dtype == tf.float32
    assert float(BinaryClassHead().loss([True, False], tf.zeros([2, 1], tf.float16))) == pytest.approx(_LN2, rel=1e-6)


def test_a_vocabulary_of_many_words_in_any_script() -> None:
    words = [f"word {i}" for i in range(999)] + ["größer als 日本"]
    head = MultiClassHead(1000, label_vocabulary=words)
    ids = np.array([999, 0, 500, 3])
    logits = tf.one_hot(ids, 1000) * 50.0
    labels = [words[i] for i in ids]
    assert float(tf.function(head.loss)(tf.constant(labels), logits)) == pytest.approx(0.0, abs=1e-6)
    assert [word.decode() for word in head.predictions(logits)["classes"].numpy()[:, 0]] == labels


def test_in_a_session() -> None:
    head = BinaryClassHead(label_vocabulary=["no", "yes"])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits, labels = tf.constant([[1.0], [1.0]]), tf.constant(["yes", "no"])
        spec = head.create_estimator_spec(None, ModeKeys.EVAL, logits, labels)
        assert tf.compat.v1.global_variables() == []  # what a metric counts is not saved
        session.run(tf.compat.v1.local_variables_initializer())
        value, update = spec.eval_metric_ops["accuracy"]
        for _ in range(2):
            session.run(update)
        assert session.run(value) == 0.5


def test_metrics_count_outside_of_the_replicas(mirrored: tf.distribute.Strategy) -> None:
    head = RegressionHead()
    with mirrored.scope():
        metrics = head.metrics()
        head.update_metrics(metrics, None, _LOGITS, _LABELS)
    head.update_metrics(metrics, None, _LOGITS, _LABELS)
    sums = metrics["average_loss"].accumulator.result()
    assert (sums["weight"], sums["loss"]) == (4.0, 4.0)  # two batches of two rows, each with the error 1


def test_metrics_are_the_same_however_long_the_evaluation() -> None:
    head = RegressionHead()
    metrics = head.metrics()
    features: dict[str, Any] = {}
    head.update_metrics(metrics, features, tf.fill([1, 1], 1e8), tf.zeros([1, 1]))
    for _ in range(10):
        head.update_metrics(metrics, features, tf.ones([1, 1]), tf.zeros([1, 1]))
    head.update_metrics(metrics, features, tf.fill([1, 1], -1e8), tf.zeros([1, 1]))
    # (1e8 + 10 * 1 - 1e8) / 12: sums in float32 would have lost each of the ones
    assert float(metrics["prediction/mean"].result()) == pytest.approx(10 / 12, rel=1e-6)
