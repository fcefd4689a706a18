"""Programs of the classic kind, which run unmodified on tf.estimator and on headway.tf_estimator.

Each takes the two modules, a directory and further settings for its RunConfig, and returns what it found out. Weights
start from constants, so that the numbers agree.
"""

import numpy as np
import pandas as pd
import tensorflow as tf

v1 = tf.compat.v1


def rows():
    rng = np.random.RandomState(3)
    x = rng.normal(size=(10, 2)).round(2).astype(np.float32)
    words = rng.choice(["u", "v", "w"], 10).astype(object)
    return {"x": x, "c": words}, (x[:, 0] > 0).astype(np.int64)


def columns():
    return [
        tf.feature_column.numeric_column("x", shape=(2,)),
        tf.feature_column.categorical_column_with_vocabulary_list("c", ["u", "v", "w"]),
    ]


def numbers(values):
    return {key: float(value) for key, value in values.items()}


def v1_canned(estimator, estimator_v1, model_dir, **settings):
    """A linear model of version 1 on arrays in memory: batches across epochs, export under the old name."""
    features, labels = rows()
    train = estimator_v1.inputs.numpy_input_fn(features, labels, batch_size=4, num_epochs=3, shuffle=False)
    once = estimator_v1.inputs.numpy_input_fn(features, labels, batch_size=4, shuffle=False)
    model = estimator_v1.LinearClassifier(
        columns(),
        optimizer=v1.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
        config=estimator.RunConfig(model_dir, save_checkpoints_steps=5, **settings),
    )
    model.train(train)
    metrics = model.evaluate(once)
    probabilities = [float(row["probabilities"][1]) for row in model.predict(once)]
    spec = tf.feature_column.make_parse_example_spec(columns())
    path = model.export_savedmodel(
        model_dir + "/export", estimator.export.build_parsing_serving_input_receiver_fn(spec)
    )
    return {
        "metrics": numbers(metrics),
        "probabilities": probabilities,
        "signatures": sorted(tf.saved_model.load(path.decode()).signatures),
        "names": model.get_variable_names(),
        "is_estimator": isinstance(model, estimator_v1.Estimator),
    }


def v2_canned(estimator, estimator_v1, model_dir, **settings):
    """A linear model of version 2 on a data frame, trained and evaluated by specs, with an exporter."""
    features, labels = rows()
    words = pd.Series(features["c"], dtype=object)
    frame = pd.DataFrame({"a": features["x"][:, 0], "b": features["x"][:, 1], "c": words})
    target = pd.Series(labels.astype(np.float32) * 2 + features["x"][:, 1])
    a, b = tf.feature_column.numeric_column("a"), tf.feature_column.numeric_column("b")
    model = estimator.LinearRegressor([a, b, columns()[1]], config=estimator.RunConfig(model_dir, **settings))
    spec = tf.feature_column.make_parse_example_spec([a, b, columns()[1]])
    exporter = estimator.LatestExporter("latest", estimator.export.build_parsing_serving_input_receiver_fn(spec))
    make = estimator_v1.inputs.pandas_input_fn
    result, _ = estimator.train_and_evaluate(
        model,
        estimator.TrainSpec(make(frame, target, batch_size=5, num_epochs=None, shuffle=False), max_steps=7),
        estimator.EvalSpec(make(frame, target, batch_size=5, shuffle=False), steps=None, exporters=exporter),
    )
    return {"metrics": numbers(result), "names": model.get_variable_names()}


def _dense(values, units, name):
    with v1.variable_scope(name):
        width = int(values.shape[1])
        start = 0.1 * np.arange(width * units).reshape(width, units).astype(np.float32)
        kernel = v1.get_variable("kernel", initializer=start)
        bias = v1.get_variable("bias", [units], initializer=v1.zeros_initializer())
    return tf.matmul(values, kernel) + bias


def custom_model_fn(estimator, estimator_v1, model_dir, **settings):
    """A model_fn in TensorFlow 1's words, in a subclass of Estimator, with a hook of its own."""

    class Counter(estimator.SessionRunHook):
        def __init__(self):
            self.calls = []

        def begin(self):
            self.calls.append("begin")

        def after_run(self, run_context, run_values):
            self.calls.append("after_run")

        def end(self, session):
            self.calls.append("end")

    class TwoLayers(estimator_v1.Estimator):
        def __init__(self, width, **kwargs):
            super().__init__(model_fn=self.build, params={"width": width}, **kwargs)

        def build(self, features, labels, mode, params):
            hidden = tf.nn.relu(_dense(features["x"], params["width"], "hidden"))
            logits = _dense(hidden, 2, "logits")
            predictions = {"class": tf.argmax(logits, 1), "logits": logits}
            if mode == estimator.ModeKeys.PREDICT:
                return estimator_v1.EstimatorSpec(mode, predictions=predictions)
            loss = tf.identity(v1.losses.sparse_softmax_cross_entropy(labels, logits), name="loss")
            metrics = {"accuracy": v1.metrics.accuracy(labels, predictions["class"])}
            train_op = v1.train.AdamOptimizer(0.1).minimize(loss, global_step=v1.train.get_global_step())
            return estimator_v1.EstimatorSpec(mode, predictions, loss, train_op, eval_metric_ops=metrics)

    features, labels = rows()

    def input_fn():
        return tf.data.Dataset.from_tensor_slices(({"x": features["x"]}, labels)).batch(5).repeat()

    model, counter = TwoLayers(3, config=estimator.RunConfig(model_dir, **settings)), Counter()
    hooks = [counter, estimator.StopAtStepHook(last_step=4), estimator.StepCounterHook(2, output_dir=model_dir)]
    model.train(input_fn, hooks=[*hooks, estimator.LoggingTensorHook(["loss"], every_n_iter=2)])
    first = next(model.predict(input_fn))
    return {
        "metrics": numbers(model.evaluate(input_fn, steps=2)),
        "logits": first["logits"].tolist(),
        "names": model.get_variable_names(),
        "calls": counter.calls,
        "is_estimator": isinstance(model, estimator_v1.Estimator),
    }


def tpu_estimator(estimator, estimator_v1, model_dir, **settings):
    """A TPUEstimator on a CPU: batch sizes in params, metrics as a function and its tensors, a host call."""
    seen = []

    def metric_fn(labels, logits):
        return {"error": v1.metrics.mean_squared_error(labels, logits)}

    def host_call_fn(step):
        calls = v1.get_variable("host_calls", [], tf.int64, initializer=v1.zeros_initializer(), trainable=False)
        return [v1.assign_add(calls, tf.ones_like(step[0]))]

    def model_fn(features, labels, mode, params):
        seen.append((mode, params.get("batch_size"), params.get("use_tpu")))
        logits = _dense(features, 1, "logits")[:, 0] * params["scale"]
        if mode == estimator.ModeKeys.PREDICT:
            return estimator_v1.tpu.TPUEstimatorSpec(mode, predictions={"logits": logits})
        loss = v1.losses.mean_squared_error(labels, logits)
        step = v1.train.get_global_step()
        return estimator_v1.tpu.TPUEstimatorSpec(
            mode=mode,
            loss=loss,
            train_op=v1.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step),
            eval_metrics=(metric_fn, [labels, logits]),
            host_call=(host_call_fn, [tf.reshape(step, [1])]) if mode == estimator.ModeKeys.TRAIN else None,
        )

    features, labels = rows()

    def input_fn(params):
        data = tf.data.Dataset.from_tensor_slices((features["x"], labels.astype(np.float32)))
        return data.batch(params["batch_size"], drop_remainder=True)

    tpu = estimator_v1.tpu
    config = tpu.RunConfig(model_dir=model_dir, tpu_config=tpu.TPUConfig(iterations_per_loop=2), **settings)
    model = tpu.TPUEstimator(
        model_fn,
        config=config,
        params={"scale": 2.0},
        use_tpu=False,
        train_batch_size=3,
        eval_batch_size=5,
        predict_batch_size=2,
    )
    model.train(lambda params: input_fn(params).repeat(), steps=6)
    metrics = model.evaluate(input_fn, steps=2)
    rows_of_prediction = [float(row["logits"]) for row in model.predict(input_fn)]
    return {
        "metrics": numbers(metrics),
        "predictions": rows_of_prediction,
        "seen": sorted(set(seen)),
        "host_calls": int(model.get_variable_value("host_calls")),
        "params": model.params,
        "names": model.get_variable_names(),
    }


PROGRAMS = {
    "v1_canned": v1_canned,
    "v2_canned": v2_canned,
    "custom_model_fn": custom_model_fn,
    "tpu_estimator": tpu_estimator,
}
