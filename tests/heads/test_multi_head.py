"""`MultiHead` and `SequentialHeadWrapper`: how batches reach the heads, and what comes back."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway._spec import ClassificationOutput, ModeKeys, PredictOutput, RegressionOutput
from headway.heads import BinaryClassHead, Head, MultiClassHead, MultiHead, RegressionHead, SequentialHeadWrapper

_CLICK, _PRICE = BinaryClassHead(name="click"), RegressionHead(2, name="price")
_LABELS = {"click": tf.constant([1, 0]), "price": tf.constant([[3.0, 0.0], [1.0, 2.0]]), "unused": tf.zeros([2])}
_LOGITS = tf.constant([[0.0, 1.0, 0.0], [0.0, 1.0, 4.0]])
_LN2, _MSE = np.log(2), (4 + 0 + 0 + 4) / 4  # the losses of the two heads


def _results(metrics: Any) -> dict[str, float]:
    return {key: float(metric.result()) for key, metric in metrics.items()}


def test_names_and_sizes() -> None:
    head = MultiHead((_CLICK, _PRICE))
    assert (head.name, head.logits_dimension, head.loss_reduction) == ("click_price", 3, "sum_over_batch_size")


@pytest.mark.parametrize("logits", [_LOGITS, {"click": _LOGITS[:, :1], "price": _LOGITS[:, 1:]}], ids=["one", "dict"])
@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, _LN2 + _MSE),
        ([], _LN2 + _MSE),
        ([0.5, 2], 0.5 * _LN2 + 2 * _MSE),
        ([tf.constant(0.5), np.float64(0)], 0.5 * _LN2),
    ],
)
def test_loss(logits: Any, weights: Any, expected: float) -> None:
    head = MultiHead([_CLICK, _PRICE], weights)
    for run in (head.loss, tf.function(head.loss)):
        assert float(run(_LABELS, logits, {}, regularization_losses=[1.0, 0.5])) == pytest.approx(expected + 1.5)


def test_a_weight_that_changes() -> None:
    weight = tf.Variable(1.0)
    step = tf.function(MultiHead([_CLICK, _PRICE], [weight, 1.0]).loss)
    assert float(step(_LABELS, _LOGITS)) == pytest.approx(_LN2 + _MSE)
    weight.assign(0.0)
    assert float(step(_LABELS, _LOGITS)) == pytest.approx(_MSE)


def test_logits_whose_size_only_the_step_knows() -> None:
    head = MultiHead([_CLICK, _PRICE])
    step = tf.function(lambda logits: head.loss(_LABELS, logits), input_signature=[tf.TensorSpec([None, None])])
    assert float(step(_LOGITS)) == pytest.approx(_LN2 + _MSE)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"logits_dimension=3. Received shape"):
        step(_LOGITS[:, :2])


@pytest.mark.parametrize("logits", [_LOGITS, {"click": _LOGITS[:, :1], "price": _LOGITS[:, 1:]}], ids=["one", "dict"])
def test_eval(logits: Any) -> None:
    head = MultiHead([_CLICK, _PRICE], [1.0, 0.5])
    spec = head.create_estimator_spec({}, ModeKeys.EVAL, logits, _LABELS, regularization_losses=[0.25])
    np.testing.assert_array_equal(spec.predictions["price", "predictions"], _LOGITS[:, 1:])
    found = _results(spec.eval_metric_ops)
    assert float(spec.loss) == pytest.approx(_LN2 + 0.5 * _MSE + 0.25)
    expected = {
        "loss/click": _LN2,
        "loss/price": _MSE,
        "regularization_loss/click_price": 0.25,
        "average_loss/click": _LN2,
        "average_loss/price": _MSE,
        "label/mean/price": 6 / 4,
        "prediction/mean/price": 6 / 4,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    own = {key for key in found if key.endswith("/click")}
    assert own - {"loss/click"} == set(_CLICK.metrics())
    assert len(found) == len(own) + 5
    # In two verbs it is the same.
    apart = head.update_metrics(head.metrics([0.25]), {}, _LOGITS, _LABELS, regularization_losses=[0.25])
    assert _results(apart) == pytest.approx(found)


def test_the_loss_of_a_head_is_the_mean_over_batches_with_rows() -> None:
    head = MultiHead([RegressionHead(name="a")])
    metrics = head.metrics()
    for labels in ([1.0, 1.0, 1.0], [2.0], []):
        logits = tf.zeros([len(labels), 1])
        head.update_metrics(metrics, {}, logits, {"a": tf.constant(labels, shape=[len(labels)])})
    found = _results(metrics)
    assert found["loss/a"] == (1 + 4) / 2
    assert found["average_loss/a"] == (3 * 1 + 4) / 4


def test_a_subclass_may_have_a_loss_of_its_own() -> None:
    class Doubled(MultiHead):
        def loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
            return 2.0 * super().loss(*args, **kwargs)

    spec = Doubled([_CLICK, _PRICE]).create_estimator_spec({}, ModeKeys.EVAL, _LOGITS, _LABELS)
    assert float(spec.loss) == pytest.approx(2 * (_LN2 + _MSE))
    assert float(spec.eval_metric_ops["loss/price"].result()) == _MSE


def test_predict_and_signatures() -> None:
    spec = MultiHead([_CLICK, _PRICE]).create_estimator_spec({}, ModeKeys.PREDICT, _LOGITS)
    np.testing.assert_array_equal(spec.predictions["price", "predictions"], _LOGITS[:, 1:])
    assert {name for name, _ in spec.predictions} == {"click", "price"}
    outputs = spec.export_outputs
    assert sorted(outputs) == [
        "click",
        "click/classification",
        "click/predict",
        "click/regression",
        "predict",
        "price",
        "price/predict",
        "price/regression",
        "serving_default",
    ]
    assert outputs["serving_default"] is outputs["click"] is outputs["click/classification"]
    assert isinstance(outputs["click"], ClassificationOutput)
    assert isinstance(outputs["price"], RegressionOutput)
    assert isinstance(outputs["predict"], PredictOutput)
    assert outputs["predict"].outputs.keys() == {"/".join(key) for key in spec.predictions}


def test_train() -> None:
    weight = tf.Variable(1.0)

    @tf.function
    def step() -> Any:
        spec = MultiHead([_CLICK, _PRICE]).create_estimator_spec(
            {},
            ModeKeys.TRAIN,
            weight * _LOGITS,
            _LABELS,
            train_op_fn=lambda loss: weight.assign_sub(0.1 * tf.gradients(loss, weight)[0]),
        )
        with tf.control_dependencies([spec.train_op]):
            return tf.identity(spec.loss)

    assert float(step()) == pytest.approx(_LN2 + _MSE)
    # The derivative of the price's loss: the mean of 2 (p - y) p over p = 1 0 1 4, y = 3 0 1 2, which is 3.
    assert float(weight) == pytest.approx(1.0 - 0.1 * 3.0)


def test_in_a_session() -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels = {"click": tf.constant([1, 0]), "price": tf.constant([[3.0, 0.0], [1.0, 2.0]])}
        logits = tf.constant([[0.0, 1.0, 0.0], [0.0, 1.0, 4.0]])
        spec = MultiHead([_CLICK, _PRICE]).create_estimator_spec({}, ModeKeys.EVAL, logits, labels)
        session.run(tf.compat.v1.local_variables_initializer())
        for _ in range(2):
            session.run([update for _, update in spec.eval_metric_ops.values()])
        found = session.run({key: value for key, (value, _) in spec.eval_metric_ops.items()})
    assert found["loss/price"] == _MSE
    assert found["label/mean/price"] == 6 / 4


def test_a_head_that_only_has_the_interface() -> None:
    """A head need not be a `BaseHead`: a wrapper, for instance, that hands every verb on."""

    def handed_on(verb: str) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(_PRICE, verb)(*args, **kwargs)

        return call

    verbs = {name: handed_on(name) for name in Head.__abstractmethods__}
    for name in ("name", "logits_dimension", "loss_reduction"):
        verbs[name] = property(lambda self, name=name: getattr(_PRICE, name))
    wrapper = type("Wrapper", (Head,), verbs)()
    specs = [
        MultiHead([_CLICK, price]).create_estimator_spec({}, ModeKeys.EVAL, _LOGITS, _LABELS)
        for price in (wrapper, _PRICE)
    ]
    first, second = (_results(spec.eval_metric_ops) for spec in specs)
    assert first == second
    outputs = MultiHead([wrapper]).create_estimator_spec({}, ModeKeys.PREDICT, _LOGITS[:, 1:]).export_outputs
    assert sorted(outputs) == ["predict", "price", "price/predict", "price/regression", "serving_default"]


def test_a_head_with_one_signature_of_any_name() -> None:
    class Custom(RegressionHead):
        def export_outputs(self, predictions: Any) -> Any:
            return {name: PredictOutput(dict(predictions)) for name in signatures}

    signatures = ["mine"]
    outputs = MultiHead([Custom(name="a")]).export_outputs({("a", "predictions"): tf.zeros([2, 1])})
    assert sorted(outputs) == ["a/mine", "predict", "serving_default"]
    signatures = ["mine", "yours"]
    with pytest.raises(ValueError, match=r"a did not specify default export_outputs. Given: \['mine', 'yours'\]"):
        MultiHead([Custom(name="a")]).export_outputs({("a", "predictions"): tf.zeros([2, 1])})


_MASK = tf.constant([[True, True, False], [True, False, False]])
_STEPS = [[1.0, 3.0, 99.0], [2.0, 99.0, 99.0]]


@pytest.mark.parametrize(
    "labels",
    [
        tf.constant(_STEPS),
        tf.constant(_STEPS)[..., tf.newaxis],
        np.array(_STEPS),
        tf.ragged.constant([[1.0, 3.0], [2.0]]),
        tf.RaggedTensor.from_row_lengths([[1.0], [3.0], [2.0]], [2, 1]),
        tf.sparse.SparseTensor([[1, 0], [0, 1], [0, 0]], [2.0, 3.0, 1.0], [2, 3]),
        tf.sparse.SparseTensor([[1, 0, 0], [0, 1, 0], [0, 0, 0]], [2.0, 3.0, 1.0], [2, 3, 1]),
        tf.compat.v1.SparseTensorValue([[0, 0], [0, 1], [1, 0]], np.float32([1.0, 3.0, 2.0]), [2, 3]),
    ],
    ids=["two", "three", "array", "ragged", "ragged3", "sparse", "sparse3", "value"],
)
@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_steps_of_every_kind(labels: Any, wrap: Any) -> None:
    head = SequentialHeadWrapper(RegressionHead(weight_column="w"), "mask", ["w"])
    features = {"mask": _MASK, "w": tf.constant([[1.0, 2.0, 7.0], [4.0, 7.0, 7.0]])}
    loss = wrap(lambda: head.loss(labels, tf.zeros([2, 3, 1]), features))()
    assert float(loss) == pytest.approx((1 * 1 + 2 * 9 + 4 * 4) / 3)
    metrics = head.metrics()
    wrap(lambda: head.update_metrics(metrics, features, tf.zeros([2, 3, 1]), labels)["average_loss"].result())()
    assert _results(metrics)["label/mean"] == pytest.approx((1 + 2 * 3 + 4 * 2) / 7)


def test_a_mask_of_numbers_with_holes() -> None:
    head = SequentialHeadWrapper(RegressionHead(), "mask")
    features = {"mask": tf.constant([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])}
    assert float(head.loss(tf.constant(_STEPS), tf.zeros([2, 3, 1]), features)) == (1 + 99 * 99) / 2
    # Steps in a sparse tensor need not say where they are, only how many there are in each row.
    labels = tf.sparse.SparseTensor([[0, 0], [0, 1]], [1.0, 3.0], [2, 2])
    assert float(head.loss(labels, tf.zeros([2, 3, 1]), features)) == (1 + 9) / 2


def test_properties_of_a_wrapper() -> None:
    static = MultiClassHead(3, loss_reduction="sum", name="tag")
    head = SequentialHeadWrapper(static)
    assert (head.name, head.logits_dimension, head.loss_reduction) == ("tag_sequential", 3, "sum")
    assert (head.input_sequence_mask_key, head.static_head) == ("sequence_length_mask", static)
    assert SequentialHeadWrapper(MultiClassHead(3)).name is None
    assert head.metrics().keys() == static.metrics().keys()


def test_spec_of_a_wrapper() -> None:
    head = SequentialHeadWrapper(RegressionHead(name="x"), "mask")
    features, logits = {"mask": _MASK}, tf.zeros([2, 3, 1])
    spec = head.create_estimator_spec(features, ModeKeys.PREDICT, logits)
    np.testing.assert_array_equal(spec.predictions["mask"], _MASK)
    assert sorted(spec.export_outputs) == ["predict", "regression", "serving_default"]
    assert list(spec.export_outputs["predict"].outputs) == ["predictions"]
    spec = head.create_estimator_spec(features, ModeKeys.EVAL, logits, tf.constant(_STEPS), regularization_losses=[1.0])
    assert float(spec.loss) == pytest.approx((1 + 9 + 4) / 3 + 1)
    assert spec.predictions["predictions"].shape == (3, 1)
    assert _results(spec.eval_metric_ops)["label/mean/x"] == 2.0


def test_sequences_among_several_heads() -> None:
    parts = [
        SequentialHeadWrapper(RegressionHead(name="x"), "mask"),
        SequentialHeadWrapper(RegressionHead(name="y"), "all"),
    ]
    head = MultiHead(parts)
    features = {"mask": _MASK, "all": tf.ones([2, 3], tf.bool)}
    labels = {"x_sequential": tf.constant(_STEPS), "y_sequential": tf.ones([2, 3])}
    spec = head.create_estimator_spec(features, ModeKeys.EVAL, tf.zeros([2, 3, 2]), labels)
    assert float(spec.loss) == pytest.approx((1 + 9 + 4) / 3 + 1)
    assert _results(spec.eval_metric_ops)["loss/y_sequential"] == 1.0


def test_heads_can_be_copied() -> None:
    head = copy.deepcopy(MultiHead([_CLICK, MultiHead([_PRICE, RegressionHead(name="z")])], [1.0, 2.0]))
    labels = {"click": _LABELS["click"], "price_z": {"price": _LABELS["price"], "z": [0.0, 0.0]}}
    logits = tf.concat([_LOGITS, tf.constant([[1.0], [1.0]])], axis=1)
    assert float(head.loss(labels, logits)) == pytest.approx(_LN2 + 2 * (_MSE + 1.0))
    assert all(isinstance(metric, keras.metrics.Metric) for metric in head.metrics().values())
