"""One set of variables for all calls of a model_fn, whatever it is written in."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway.estimators import Estimator, EstimatorSpec, minimize

v1 = tf.compat.v1

# Names as tf.estimator 2.15 wrote them, for the same calls; and Keras 3's own for the state of dropout.
NAMES = {
    "keras": [
        "global_step",
        "seed_generator/seed_generator_state",
        "sequential/batch_normalization/beta",
        "sequential/batch_normalization/gamma",
        "sequential/batch_normalization/moving_mean",
        "sequential/batch_normalization/moving_variance",
        "sequential/dense/bias",
        "sequential/dense/kernel",
        "sequential/dense_1/bias",
        "sequential/dense_1/kernel",
        "training/SGD/decay",
        "training/SGD/iter",
        "training/SGD/learning_rate",
        "training/SGD/momentum",
    ],
    "module": [
        "global_step",
        "linear/b",
        "linear/w",
        "training/SGD/decay",
        "training/SGD/iter",
        "training/SGD/learning_rate",
        "training/SGD/momentum",
    ],
    "variable": [
        "a",
        "b",
        "c",
        "count",
        "global_step",
        "training/SGD/decay",
        "training/SGD/iter",
        "training/SGD/learning_rate",
        "training/SGD/momentum",
    ],
    "v1": ["global_step", "top/b", "top/b/Momentum", "tower/w", "tower/w/Momentum"],
}


@pytest.fixture(scope="module", params=list(NAMES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trained(kind: str, small: Any, tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    model = small.estimator(small.model_fns[kind], tmp_path_factory.mktemp(kind) / "model")
    return model.train(small.input_fn(), steps=3)


def weights(model: Estimator) -> dict[str, np.ndarray[Any, Any]]:
    return {name: model.get_variable_value(name) for name in model.get_variable_names()}


def predicted(model: Estimator, small: Any) -> np.ndarray[Any, Any]:
    return np.array([row["y"] for row in model.predict(small.input_fn(repeat=1, labels=False))])


def test_names(kind: str, trained: Estimator) -> None:
    assert sorted(trained.get_variable_names()) == NAMES[kind]


def test_the_modes_share_weights(trained: Estimator, small: Any) -> None:
    result = trained.evaluate(small.input_fn(repeat=1))
    rows = predicted(trained, small)
    # The same weights in both modes, and neither dropout nor batch statistics: the errors agree.
    np.testing.assert_allclose(np.abs(rows - small.Y).mean(), result["mae"], rtol=1e-5)
    np.testing.assert_allclose(np.square(rows - small.Y).mean(), result["loss"], rtol=1e-5)
    assert result["global_step"] == trained.get_variable_value("global_step")


def test_a_second_call_traces_nothing(trained: Estimator, small: Any, caplog: pytest.LogCaptureFixture) -> None:
    trained.evaluate(small.input_fn(repeat=1))
    predicted(trained, small)
    (kept,) = trained._runtimes.function.weights.values()
    before = dict(kept.model.traces)
    assert before == {"train": before["train"], "eval": 1, "infer": 1}
    caplog.clear()
    trained.train(small.input_fn(), steps=1)
    trained.evaluate(small.input_fn(repeat=1))
    predicted(trained, small)
    assert dict(kept.model.traces) == before
    assert not any("Restoring" in record.getMessage() for record in caplog.records)


def test_another_estimator_goes_on(kind: str, trained: Estimator, small: Any) -> None:
    model = small.estimator(small.model_fns[kind], trained.model_dir)
    np.testing.assert_array_equal(predicted(model, small), predicted(trained, small))
    assert model.evaluate(small.input_fn(repeat=1)) == trained.evaluate(small.input_fn(repeat=1))


def test_a_checkpoint_from_elsewhere_is_loaded(kind: str, trained: Estimator, small: Any) -> None:
    model = small.estimator(small.model_fns[kind], trained.model_dir)
    step = model.evaluate(small.input_fn(repeat=1))["global_step"]
    trained.train(small.input_fn(), steps=2)
    assert model.evaluate(small.input_fn(repeat=1))["global_step"] == step + 2
    np.testing.assert_array_equal(predicted(model, small), predicted(trained, small))


@pytest.mark.parametrize("kind", ["module", "variable", "keras"], scope="function")
def test_eager_steps_give_the_same_numbers(kind: str, small: Any, tmp_path: pathlib.Path) -> None:
    compiled = small.estimator(small.model_fns[kind], tmp_path / "compiled").train(small.input_fn(), steps=3)
    eager = small.estimator(small.model_fns[kind], tmp_path / "eager", run_eagerly=True)
    eager.train(small.input_fn(), steps=3)
    ours, theirs = weights(compiled), weights(eager)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(theirs[name], value, rtol=2e-5, atol=1e-6, err_msg=name)
    results = [model.evaluate(small.input_fn(repeat=1)) for model in (compiled, eager)]
    assert results[0] == pytest.approx(results[1], rel=1e-4)
    np.testing.assert_allclose(predicted(compiled, small), predicted(eager, small), rtol=1e-4)


@pytest.mark.parametrize("steps_per_loop", [1, 7])
def test_the_length_of_stretches_changes_nothing(steps_per_loop: int, small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns["keras"], tmp_path / "a", steps_per_loop=steps_per_loop)
    other = small.estimator(small.model_fns["keras"], tmp_path / "b", steps_per_loop=3)
    first, second = (weights(m.train(small.input_fn(), steps=7)) for m in (model, other))
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value, err_msg=name)


def test_initial_values_from_tensors_are_those_of_the_graph(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns["variable"], tmp_path / "model")
    expected = tf.random.stateless_uniform([2], seed=[3, 4]).numpy()
    seen = []

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        c = tf.Variable(tf.random.stateless_uniform([2], seed=[3, 4]), name="c")
        return EstimatorSpec(mode, predictions={"c": features["x"][:, :2] * 0.0 + c})

    seen = next(small.estimator(model_fn, tmp_path / "other").predict(small.input_fn(labels=False)))["c"]
    np.testing.assert_array_equal(seen, expected)
    model.train(small.input_fn(), steps=1)
    assert not np.array_equal(model.get_variable_value("c"), np.zeros(2))


def test_random_seed(small: Any, tmp_path: pathlib.Path) -> None:
    def run(name: str, seed: int) -> dict[str, Any]:
        model = small.estimator(small.model_fns["keras"], tmp_path / name, tf_random_seed=seed)
        return weights(model.train(small.input_fn(), steps=2))

    first, same, other = run("first", 1), run("same", 1), run("other", 2)
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["sequential/dense/kernel"], other["sequential/dense/kernel"])


def test_two_layers_of_one_name_are_two(small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        a = tf.Variable([1.0, 1.0, 1.0], name="w")
        b = tf.Variable([2.0, 2.0, 2.0], name="w")
        return small.spec_of(mode, tf.reduce_sum(features["x"] * (a - b), 1), labels, [a, b])

    model = small.estimator(model_fn, tmp_path / "model").train(small.input_fn(), steps=1)
    assert {"w", "w_1"} < set(model.get_variable_names())
    assert not np.array_equal(model.get_variable_value("w"), model.get_variable_value("w_1"))


def test_keras_updates_of_batch_normalisation_and_seeds_are_kept(small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(small.model_fns["keras"], tmp_path / "model", save_checkpoints_steps=1)
    model.train(small.input_fn(), steps=2)
    old, new = (tf.train.load_checkpoint(f"{model.model_dir}/model.ckpt-{step}") for step in (0, 2))
    for name in ("sequential/batch_normalization/moving_mean", "seed_generator/seed_generator_state"):
        assert not np.array_equal(old.get_tensor(name), new.get_tensor(name)), name


@pytest.mark.parametrize(
    "make",
    [
        lambda: v1.train.GradientDescentOptimizer(0.1),
        lambda: v1.train.AdamOptimizer(0.1),
        lambda: v1.train.AdagradOptimizer(0.1),
        lambda: v1.train.FtrlOptimizer(0.1),
        lambda: v1.train.RMSPropOptimizer(0.1),
        lambda: v1.train.AdadeltaOptimizer(0.1),
    ],
    ids=["GradientDescent", "Adam", "Adagrad", "Ftrl", "RMSProp", "Adadelta"],
)
def test_v1_optimizers_train(make: Any, small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = v1.get_variable("w", [3, 1], initializer=v1.ones_initializer())
        loss = v1.losses.mean_squared_error(labels, (features["x"] @ w)[:, 0])
        return EstimatorSpec(mode, loss=loss, train_op=make().minimize(loss, v1.train.get_global_step()))

    model = small.estimator(model_fn, tmp_path / "model").train(small.input_fn(batch=8), steps=3)
    assert model.get_variable_value("global_step") == 3
    # By hand, in NumPy eager TensorFlow: the same optimizer over the same eight rows.
    w = tf.Variable(tf.ones([3, 1]))
    optimizer = make()
    for _ in range(3):
        optimizer.minimize(lambda: tf.reduce_mean(tf.square((small.X @ w)[:, 0] - small.Y)), var_list=[w])
    np.testing.assert_allclose(model.get_variable_value("w"), w.numpy(), rtol=1e-5)


def test_a_learning_rate_of_the_global_step(small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = v1.get_variable("w", [], initializer=v1.zeros_initializer())
        rate = v1.train.exponential_decay(1.0, v1.train.get_global_step(), 1, 0.5)
        # The gradient is 1: each step takes the rate away.
        loss = w + 0.0 * tf.reduce_sum(features["x"])
        return EstimatorSpec(
            mode, loss=loss, train_op=v1.train.GradientDescentOptimizer(rate).minimize(loss, v1.train.get_global_step())
        )

    model = small.estimator(model_fn, tmp_path / "model").train(small.input_fn(), steps=3)
    assert model.get_variable_value("w") == -1.75  # 1 + 1/2 + 1/4


def test_a_keras_optimizer_made_outside(small: Any, tmp_path: pathlib.Path) -> None:
    adam = keras.optimizers.Adam(0.1)

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(tf.zeros([3]), name="w")
        loss = tf.reduce_mean(tf.square(tf.linalg.matvec(features["x"], w) - labels))
        return EstimatorSpec(mode, loss=loss, train_op=minimize(adam, loss, [w]))

    model = small.estimator(model_fn, tmp_path / "model").train(small.input_fn(), steps=2)
    assert "training/Adam/w/m" in model.get_variable_names()
    assert model.get_variable_value("training/Adam/iter") == 2
    # A second estimator with the same optimizer object has a state of its own.
    other = small.estimator(model_fn, tmp_path / "other").train(small.input_fn(), steps=1)
    assert other.get_variable_value("training/Adam/iter") == 1


def test_a_keras_optimizer_applied_by_hand_counts_the_step(small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(tf.zeros([3]), name="w")
        loss = tf.reduce_mean(tf.square(tf.linalg.matvec(features["x"], w) - labels))
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.apply(tf.gradients(loss, [w]), [w])
        return EstimatorSpec(mode, loss=loss, train_op=tf.no_op())

    model = small.estimator(model_fn, tmp_path / "model").train(small.input_fn(batch=8), steps=1)
    assert model.get_variable_value("global_step") == 1
    # One step of gradient descent from zero: 0.1 * 2 * mean(y x).
    np.testing.assert_allclose(model.get_variable_value("w"), 0.2 * (small.X * small.Y[:, None]).mean(0), rtol=1e-5)


def test_lookup_tables(small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [10, 20]), -1)
        return EstimatorSpec(mode, predictions={"id": table.lookup(features["word"])})

    model = small.estimator(model_fn, tmp_path / "model")
    rows = list(model.predict(lambda: tf.data.Dataset.from_tensors({"word": ["b", "c", "a"]})))
    assert [row["id"] for row in rows] == [20, -1, 10]


def test_a_model_fn_may_pop_features(small: Any, tmp_path: pathlib.Path) -> None:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        return small.linear({"x": features.pop("x")}, labels, mode)

    model = small.estimator(model_fn, tmp_path / "model").train(small.input_fn(), steps=2)
    assert model.train(small.input_fn(), steps=1).get_variable_value("global_step") == 3


def test_callable_objects_partials_and_methods(small: Any, tmp_path: pathlib.Path) -> None:
    import functools

    class Maker:
        def __call__(self, features: Any, labels: Any, mode: str, params: Any) -> EstimatorSpec:
            assert params == {"depth": 1}
            return small.linear(features, labels, mode)

        def method(self, features: Any, labels: Any, mode: str) -> EstimatorSpec:
            return small.linear(features, labels, mode)

    def with_extra(extra: int, features: Any, labels: Any, mode: str) -> EstimatorSpec:
        assert extra == 3
        return small.linear(features, labels, mode)

    for i, (model_fn, params) in enumerate(
        [(Maker(), {"depth": 1}), (Maker().method, None), (functools.partial(with_extra, 3), None)]
    ):
        model = Estimator(model_fn, str(tmp_path / str(i)), params=params).train(small.input_fn(), steps=1)
        assert model.get_variable_value("global_step") == 1


# What goes wrong between calls: (model_fn of (features, labels, mode, calls), what to do, phrases of the message).
def _other_name_in_eval(small: Any) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(tf.zeros([3]), name="weights" if mode == "train" else "weight")
        return small.spec_of(mode, tf.linalg.matvec(features["x"], w), labels, [w])

    return model_fn


def _other_shape_in_eval(small: Any) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(tf.zeros([3, 1 if mode == "train" else 2]), name="w")
        return small.spec_of(mode, tf.reduce_sum(features["x"] @ w, 1), labels, [w])

    return model_fn


def _other_shape_of_a_layer(small: Any) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        layer = keras.layers.Dense(3 if mode == "train" else 4)
        return small.spec_of(mode, tf.reduce_sum(layer(features["x"]), 1), labels, layer.trainable_variables)

    return model_fn


def _other_dtype_in_eval(small: Any) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = tf.Variable(tf.zeros([3, 1], "float32" if mode == "train" else "float64"), name="w")
        return small.spec_of(mode, (features["x"] @ tf.cast(w, "float32"))[:, 0], labels, [w])

    return model_fn


def _extra_in_predict(small: Any) -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        w = v1.get_variable("w", [3, 1])
        y = (features["x"] @ w)[:, 0]
        if mode == "infer":
            y += v1.get_variable("bias", [])
        return small.spec_of(mode, y, labels, [w])

    return model_fn


@pytest.mark.parametrize(
    ("make", "verb", "message"),
    [
        (_other_name_in_eval, "evaluate", r"variable 'weight' in mode 'eval'.*Closest names that exist: \['weights'"),
        (_other_shape_in_eval, "evaluate", r"variable 'w' with shape \(3, 2\) in mode 'eval'.*shape \(3, 1\)"),
        (_other_shape_of_a_layer, "evaluate", r"'dense/kernel' with shape \(3, 4\) in mode 'eval'.*shape \(3, 3\)"),
        (_other_dtype_in_eval, "evaluate", r"'w' with dtype float64 in mode 'eval'.*made it with dtype float32"),
        (_extra_in_predict, "predict", r"variable 'bias' in mode 'infer'"),
    ],
    ids=["name", "shape", "shape of a layer", "dtype", "extra"],
)
def test_calls_that_disagree(make: Any, verb: str, message: str, small: Any, tmp_path: pathlib.Path) -> None:
    model = small.estimator(make(small), tmp_path / "model").train(small.input_fn(), steps=1)
    with pytest.raises(ValueError, match=message):
        list(getattr(model, verb)(small.input_fn(repeat=1)))


def _sized(small: Any, size: int, name: str = "hidden") -> Any:
    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        a = tf.Variable(tf.ones([3, size]), name=name)
        return small.spec_of(mode, tf.reduce_sum(features["x"] @ a, 1), labels, [a])

    return model_fn


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict"])
@pytest.mark.parametrize(
    ("size", "name", "message"),
    [
        (5, "hidden", r"variable 'hidden' has shape \(3, 5\) in the model and \(3, 4\) in the checkpoint .*ckpt-1"),
        (4, "hiddn", r"lacks 1 variable of the model:\n  hiddn +\(closest there: hidden\)"),
    ],
    ids=["shape", "name"],
)
def test_a_checkpoint_of_another_model(
    verb: str, size: int, name: str, message: str, small: Any, tmp_path: pathlib.Path
) -> None:
    small.estimator(_sized(small, 4), tmp_path / "model").train(small.input_fn(), steps=1)
    other = small.estimator(_sized(small, size, name), tmp_path / "model")
    before = sorted(path.name for path in (tmp_path / "model").glob("model.ckpt*"))
    with pytest.raises(ValueError, match=message):
        list(getattr(other, verb)(small.input_fn(repeat=1), **({"steps": 1} if verb == "train" else {})))
    assert sorted(path.name for path in (tmp_path / "model").glob("model.ckpt*")) == before


def test_variables_made_outside_are_named_in_a_warning(small: Any, tmp_path: pathlib.Path) -> None:
    w = tf.Variable(tf.zeros([3]), name="outer")

    def model_fn(features: Any, labels: Any, mode: str) -> EstimatorSpec:
        return small.spec_of(mode, tf.linalg.matvec(features["x"], w), labels, [w])

    model = small.estimator(model_fn, tmp_path / "model")
    with pytest.warns(UserWarning, match=r"variables that were made outside it: \['outer:0'\]. No checkpoint"):
        model.train(small.input_fn(), steps=1)
    assert "outer" not in model.get_variable_names()
