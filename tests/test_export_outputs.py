"""The export outputs: their rules, names and signatures, with the messages of tf.estimator 2.15."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras
import pytest
import tensorflow as tf

from headway._export_outputs import (
    ClassificationOutput,
    EvalOutput,
    ExportOutput,
    PredictOutput,
    RegressionOutput,
    TrainOutput,
)


def scalar() -> tf.Tensor:
    return tf.constant(1.0)


def metric_pair() -> tuple[tf.Tensor, tf.Tensor]:
    return scalar(), scalar() + 1.0


SCORES = tf.constant([[0.25, 0.75]])
CLASSES = tf.constant([["a", "b"]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassificationOutput(), "Cannot create a ClassificationOutput with empty arguments."),
        (lambda: ClassificationOutput(scores=[0.5]), "Classification scores must be a float32 Tensor; got [0.5]."),
        (lambda: ClassificationOutput(scores=tf.constant([1])), "Classification scores must be a float32 Tensor; got "),
        (lambda: ClassificationOutput(classes="a"), "Classification classes must be a string Tensor; got a."),
        (
            lambda: ClassificationOutput(classes=tf.constant([1])),
            "Classification classes must be a string Tensor; got ",
        ),
        (lambda: RegressionOutput(1.0), "Regression output value must be a float32 Tensor; got 1.0."),
        (lambda: RegressionOutput(tf.constant([1])), "Regression output value must be a float32 Tensor; got "),
        (lambda: PredictOutput({"a": 1}), "Prediction output value must be a Tensor; got 1."),
        (lambda: PredictOutput({1: scalar()}), "Prediction output key must be a string; got 1."),
        (lambda: PredictOutput({("a", 1): scalar()}), "Prediction output key must be a string; got ('a', 1)."),
        (lambda: PredictOutput(1.0), "Prediction output value must be a Tensor; got 1.0."),
        (lambda: EvalOutput(loss=1.0), "loss output value must be a Tensor; got 1.0."),
        (lambda: EvalOutput(loss={1: scalar()}), "loss output key must be a string; got 1."),
        (lambda: EvalOutput(predictions={"a": 1}), "predictions output value must be a Tensor; got 1."),
        (lambda: EvalOutput(metrics={"a": (1.0, scalar())}), "metrics/a output value must be a Tensor; got 1.0."),
        (
            lambda: EvalOutput(metrics={"a": (scalar(), "op")}),
            "metrics/a update_op must be a Tensor or Operation; got op.",
        ),
        (lambda: EvalOutput(metrics={1: metric_pair()}), "metrics output key must be a string; got 1."),
    ],
)
def test_export_outputs_reject(make: Callable[[], ExportOutput], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_classification_output() -> None:
    both = ClassificationOutput(SCORES, CLASSES)
    assert both.scores is SCORES
    assert both.classes is CLASSES
    assert both.signature_outputs == {"classes": CLASSES, "scores": SCORES}
    assert ClassificationOutput(scores=SCORES).signature_outputs == {"scores": SCORES}
    assert ClassificationOutput(classes=CLASSES).signature_outputs == {"classes": CLASSES}


def test_regression_and_predict_output() -> None:
    assert RegressionOutput(SCORES).value is SCORES
    assert RegressionOutput(SCORES).signature_outputs == {"outputs": SCORES}
    assert PredictOutput(SCORES).outputs == {"output": SCORES}
    assert PredictOutput({("head", "a"): SCORES, "b": CLASSES}).outputs == {"head/a": SCORES, "b": CLASSES}


@pytest.mark.parametrize("kind", [EvalOutput, TrainOutput])
def test_supervised_outputs_have_prefixes(kind: type[EvalOutput]) -> None:
    pair, pair_2 = metric_pair(), metric_pair()
    output = kind(
        loss={"loss": SCORES, "extra": CLASSES},
        predictions=CLASSES,
        metrics={"a": pair, ("metrics", "b"): pair_2},
    )
    assert output.loss == {"loss": SCORES, "loss/extra": CLASSES}
    assert output.predictions == {"predictions": CLASSES}
    assert output.metrics == {
        "metrics/a/value": pair[0],
        "metrics/a/update_op": pair[1],
        "metrics/b/value": pair_2[0],
        "metrics/b/update_op": pair_2[1],
    }
    assert list(output.signature_outputs) == ["loss", "loss/extra", "predictions", *output.metrics]
    empty = kind()
    assert (empty.loss, empty.predictions, empty.metrics, empty.signature_outputs) == (None, None, None, {})


def test_updates_that_are_no_tensors_become_empty_ones() -> None:
    metric = keras.metrics.Mean()
    metric.update_state([1.0, 3.0])
    metrics = EvalOutput(metrics=metric).metrics
    assert metrics is not None
    assert metrics["metrics/value"].numpy() == 2.0
    assert metrics["metrics/update_op"].shape == (0,)
    counter = tf.Variable(0)

    @tf.function
    def evaluate() -> dict[str, tf.Tensor] | None:
        return EvalOutput(metrics={"a": (scalar(), tf.group(counter.assign_add(1)))}).metrics

    assert evaluate()["metrics/a/update_op"].shape == (0,)
    assert counter.numpy() == 1


@pytest.mark.parametrize(
    ("make", "method", "inputs", "outputs"),
    [
        (lambda: ClassificationOutput(tf.zeros([1, 2])), "tensorflow/serving/classify", {"inputs"}, {"scores"}),
        (lambda: RegressionOutput(tf.zeros([1])), "tensorflow/serving/regress", {"inputs"}, {"outputs"}),
        (lambda: PredictOutput({"a": tf.zeros([1])}), "tensorflow/serving/predict", {"examples"}, {"a"}),
        (lambda: EvalOutput(loss=scalar()), "tensorflow/supervised/eval", {"examples"}, {"loss"}),
        (lambda: TrainOutput(loss=scalar()), "tensorflow/supervised/training", {"examples"}, {"loss"}),
    ],
)
def test_signature_defs(make: Callable[[], ExportOutput], method: str, inputs: set[str], outputs: set[str]) -> None:
    with tf.Graph().as_default():
        receiver = {"examples": tf.compat.v1.placeholder(tf.string, [None])}
        signature = make().as_signature_def(receiver)
    assert (signature.method_name, set(signature.inputs), set(signature.outputs)) == (method, inputs, outputs)


@pytest.mark.parametrize("receiver", [{}, {"x": SCORES}, {"x": CLASSES, "y": CLASSES}], ids=["none", "floats", "two"])
@pytest.mark.parametrize(
    ("output", "label"), [(ClassificationOutput(SCORES), "Classification"), (RegressionOutput(SCORES), "Regression")]
)
def test_examples_are_one_string_tensor(output: ExportOutput, label: str, receiver: dict[str, tf.Tensor]) -> None:
    with pytest.raises(ValueError, match=f"{label} signatures can only accept a single tensor input of type tf.string"):
        output.as_signature_def(receiver)


def test_an_export_output_of_your_own_defines_its_outputs() -> None:
    with pytest.raises(NotImplementedError, match="ExportOutput must define `signature_outputs`"):
        _ = ExportOutput().signature_outputs
