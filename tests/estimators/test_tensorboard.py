"""What TensorBoard finds: tags and steps of training and evaluation, and the graph."""

from __future__ import annotations

import glob
import pathlib
from typing import Any

import keras
import pytest
import tensorflow as tf

from headway import heads
from headway.estimators import Estimator, EstimatorSpec, SummarySaverHook

v1 = tf.compat.v1


def scalars(folder: Any) -> dict[str, list[tuple[int, float]]]:
    """Returns tag -> [(step, value)] of the event files in a directory."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def events(folder: Any) -> list[Any]:
    """Returns the events in a directory."""
    paths = sorted(glob.glob(f"{folder}/events.out.tfevents.*"))
    return [event for path in paths for event in v1.train.summary_iterator(path)]


def head_model_fn(features: Any, labels: Any, mode: str, params: Any) -> EstimatorSpec:
    net = keras.layers.Dense(1)
    logits = net(features["x"])
    head = heads.RegressionHead(name=params)
    return head.create_estimator_spec(
        features, mode, logits, labels, optimizer=keras.optimizers.SGD(0.1), trainable_variables=net.trainable_variables
    )


def test_training_and_evaluation(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns["v1"], tmp_path, save_summary_steps=3, log_step_count_steps=4)
    model.train(small.input_fn(), steps=10)
    found = scalars(tmp_path)
    assert {tag: [step for step, _ in values] for tag, values in found.items()} == {
        "loss": [1, 4, 7, 10],
        "my_loss": [1, 4, 7, 10],
        "global_step/sec": [5, 9],
    }
    # The model_fn's own summary of the loss, and the estimator's, are of the same step.
    assert [value for _, value in found["loss"]] == [value for _, value in found["my_loss"]]
    result = model.evaluate(small.input_fn(repeat=1))
    assert scalars(tmp_path / "eval") == {name: [(10, pytest.approx(float(result[name])))] for name in ("loss", "mae")}
    text = [v for event in events(tmp_path / "eval") for v in event.summary.value if v.tag == "checkpoint_path"]
    assert text[0].tensor.string_val[0].decode() == model.latest_checkpoint()


def test_two_runs_in_one_second_keep_their_events(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path, save_summary_steps=1, log_step_count_steps=None)
    for _ in range(3):
        model.train(small.input_fn(), steps=1)
    assert [step for step, _ in scalars(tmp_path)["loss"]] == [1, 2, 3]


def test_no_summaries(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.linear, tmp_path, save_summary_steps=0, log_step_count_steps=None)
    model.train(small.input_fn(), steps=3)
    assert scalars(tmp_path) == {}


def test_summaries_by_seconds(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(
        small.model_fns["v1"], tmp_path, save_summary_steps=0, log_step_count_steps=None, steps_per_loop=1
    )
    model.train(small.input_fn(), steps=3, hooks=[SummarySaverHook(save_secs=0)])
    assert [step for step, _ in scalars(tmp_path)["my_loss"]] == [1, 2, 3]


def test_the_graph(small: Any, tmp_path: pathlib.Path) -> None:
    small.estimator(small.model_fns["keras"], tmp_path).train(small.input_fn(), steps=1)
    graphs = [tf.compat.v1.GraphDef.FromString(event.graph_def) for event in events(tmp_path) if event.graph_def]
    assert len(graphs) == 1
    names = [node.name for node in graphs[0].node]
    assert any("dense" in name and "MatMul" in name for name in names)


def test_metrics_of_training_have_the_tags_of_evaluation(small: Any, tmp_path: pathlib.Path) -> None:
    config = {"tf_random_seed": 1, "progress": "none", "save_summary_steps": 2, "training_metrics": True}
    model = Estimator(head_model_fn, str(tmp_path), small.config(**config), params="price")
    model.train(small.input_fn(batch=8), steps=4)
    result = model.evaluate(small.input_fn(batch=8, repeat=1))
    found = scalars(tmp_path)
    for tag in set(result) - {"loss", "global_step"}:
        assert [step for step, _ in found[tag]] == [1, 3], tag
    # After the first step: the mean of the labels of one batch of all rows.
    assert found["label/mean/price"][0][1] == pytest.approx(small.Y.mean(), rel=1e-5)
    assert [step for step, _ in found["loss/price"]] == [1, 3]


def test_arrays_and_summaries_among_metrics(small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        text = v1.Summary(value=[v1.Summary.Value(tag="inner", simple_value=3.0)]).SerializeToString()
        pairs = {
            "array": (tf.constant([1.0, 2.0]), tf.constant([1.0, 2.0])),
            "image": (tf.constant(text), tf.constant(text)),
        }
        return EstimatorSpec(mode, loss=tf.constant(1.0), eval_metric_ops=pairs)

    result = small.estimator(model_fn, tmp_path).evaluate(small.input_fn(repeat=1))
    assert result["array"].tolist() == [1.0, 2.0]
    values = {v.tag: v for event in events(tmp_path / "eval") for v in event.summary.value}
    assert tf.make_ndarray(values["array"].tensor).tolist() == [1.0, 2.0]
    assert values["image/0"].simple_value == 3.0
