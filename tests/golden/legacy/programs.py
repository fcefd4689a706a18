"""Programs with layers, cells, optimizers and models of the time of tf.estimator, to run there and under headway alike.

Each returns the metrics, the predictions and the variables by name of an estimator after some steps of training, as
something that JSON can hold. All variables start from constants. TensorFlow is that of the program: on headway, the old
names have been installed before.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
constant = v1.constant_initializer
X = (np.arange(6 * 16).reshape(6, 16) % 7 / 7).astype("float32")
Y = np.linspace(0, 1, 6).astype("float32")


def train_input_fn():
    return tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).batch(3).repeat()


def eval_input_fn():
    return tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).batch(4)


def with_columns(input_fn):
    """Returns an input_fn with labels of shape [batch, 1], as Keras compares them."""
    return lambda: input_fn().map(lambda features, labels: (features, labels[:, None]))


def convolutions(x, training):
    """Layers of tf.compat.v1.layers: functions and classes, a scope that is used again, updates of batch norm."""
    layers = v1.layers
    x = tf.reshape(x, [-1, 4, 4, 1])
    x = layers.conv2d(x, 2, 3, padding="same", activation=tf.nn.relu, kernel_initializer=constant(0.1), name="c1")
    x = layers.batch_normalization(x, training=training)
    x = layers.max_pooling2d(x, 2, 2)
    x = layers.separable_conv2d(
        x, 2, 2, padding="same", depthwise_initializer=constant(0.2), pointwise_initializer=constant(0.3)
    )
    x = layers.average_pooling2d(x, 2, 1)
    x = layers.flatten(x)
    x = layers.dense(x, 3, kernel_initializer=constant(0.2), activation=tf.tanh)
    x = layers.dropout(x, 0.0, training=training)
    with v1.variable_scope("shared", reuse=v1.AUTO_REUSE):
        first = layers.dense(x, 3, kernel_initializer=constant(0.1), name="d")
    with v1.variable_scope("shared", reuse=True):
        second = layers.dense(first, 3, kernel_initializer=constant(0.1), name="d")
    last = layers.Dense(1, kernel_initializer=constant(0.5), kernel_regularizer=lambda w: 0.01 * tf.nn.l2_loss(w))
    return last(second) + last(first)


def cells(x, training):
    """Cells of tf.compat.v1.nn.rnn_cell under the functions that run them."""
    del training
    rnn_cell = v1.nn.rnn_cell
    x = tf.reshape(x, [-1, 4, 4])
    with v1.variable_scope("r", initializer=constant(0.1)):
        several = [
            rnn_cell.BasicLSTMCell(3),
            rnn_cell.LSTMCell(3, use_peepholes=True, num_proj=2),
            rnn_cell.GRUCell(2),
        ]
        cell = rnn_cell.MultiRNNCell([rnn_cell.DropoutWrapper(c, output_keep_prob=1.0) for c in several])
        lengths = tf.fill([tf.shape(x)[0]], 3)
        deep, _ = v1.nn.dynamic_rnn(cell, x, dtype=tf.float32, sequence_length=lengths)
        static, _ = v1.nn.static_rnn(rnn_cell.BasicRNNCell(2), tf.unstack(x, axis=1), dtype=tf.float32)
        both, _ = v1.nn.bidirectional_dynamic_rnn(rnn_cell.GRUCell(2), rnn_cell.GRUCell(2), x, dtype=tf.float32)
        return v1.layers.dense(tf.concat([deep[:, 2], static[-1], both[0][:, -1], both[1][:, 0]], 1), 1)


def model_fn_of(network):
    """Returns a model_fn that trains a network as TensorFlow 1 did."""

    def model_fn(features, labels, mode):
        y = tf.squeeze(network(features["x"], mode == "train"), 1)
        if mode == "infer":
            return tf.estimator.EstimatorSpec(mode, predictions={"y": y})
        loss = v1.losses.mean_squared_error(labels, y) + v1.losses.get_regularization_loss()
        train_op = None
        if mode == "train":
            with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
                train_op = v1.train.GradientDescentOptimizer(0.05).minimize(loss, v1.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    return model_fn


def towers(updates, config=None):
    """A tower for each device, with layers that all share.

    Args:
      updates: "first": the averages follow the first tower; "none": they stay.
      config: of the run.
    """

    def model_fn(features, labels, mode):
        x = features["x"]
        parts = [x[:1], x[1:]] if mode == "train" else [x]
        outputs, first = [], []
        for i, part in enumerate(parts):
            with v1.variable_scope("net", reuse=i > 0), v1.name_scope(f"tower_{i}") as scope:
                square = lambda w: 0.1 * tf.reduce_sum(tf.square(w))  # noqa: E731
                hidden = v1.layers.dense(part, 2, kernel_initializer=constant(0.1), kernel_regularizer=square, name="d")
                hidden = v1.layers.batch_normalization(hidden + part[:, :2], training=mode == "train", name="n")
                outputs.append(tf.reduce_sum(hidden, 1))
            first = first or v1.get_collection(v1.GraphKeys.UPDATE_OPS, scope)
        y = tf.concat(outputs, 0)
        if mode == "infer":
            return tf.estimator.EstimatorSpec(mode, predictions=y)
        loss = tf.reduce_mean(tf.square(labels - y)) + v1.losses.get_regularization_loss()
        if mode == "eval":
            return tf.estimator.EstimatorSpec(mode, loss=loss)
        with tf.control_dependencies(first if updates == "first" else []):
            train_op = v1.train.GradientDescentOptimizer(0.05).minimize(loss, v1.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    return outcome(tf.estimator.Estimator(model_fn, None, config))


def outcome(estimator, labels=lambda input_fn: input_fn):
    """Trains, and returns what can be seen afterwards."""
    estimator.train(labels(train_input_fn), steps=5)
    metrics = {name: float(value) for name, value in estimator.evaluate(labels(eval_input_fn)).items()}
    rows = [row if isinstance(row, dict) else {"y": row} for row in estimator.predict(eval_input_fn)]
    predictions = [float(value) for row in rows for key in sorted(row) for value in np.ravel(row[key])]
    names = [name for name in estimator.get_variable_names() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    variables = {name: np.ravel(estimator.get_variable_value(name)).astype(float).tolist() for name in sorted(names)}
    return {"metrics": metrics, "predictions": predictions, "variables": variables}


def network(name, config=None):
    return outcome(
        tf.estimator.Estimator(model_fn_of({"convolutions": convolutions, "cells": cells}[name]), None, config)
    )


def optimizers():
    legacy = tf.keras.optimizers.legacy
    return {
        "Adadelta": lambda: legacy.Adadelta(0.5),
        "Adagrad": lambda: legacy.Adagrad(0.1),
        "Adam": lambda: legacy.Adam(0.1),
        "Adam, clipped": lambda: legacy.Adam(0.1, clipnorm=0.1, epsilon=0.1),
        "Adamax": lambda: legacy.Adamax(0.1),
        "Ftrl": lambda: legacy.Ftrl(0.1, l1_regularization_strength=0.001),
        "Nadam": lambda: legacy.Nadam(0.1),
        "RMSprop": lambda: legacy.RMSprop(0.1, epsilon=0.01),
        "SGD, momentum, decay": lambda: legacy.SGD(0.1, momentum=0.9, decay=0.1),
        "SGD, schedule": lambda: legacy.SGD(tf.keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
        "SGD, function": lambda: legacy.SGD(lambda: 0.05),
        "SGD, tensor": lambda: legacy.SGD(v1.train.exponential_decay(0.1, v1.train.get_global_step(), 1, 0.5)),
    }


def in_model_fn(how, name):
    """An optimizer of Keras 2 that the model_fn itself calls."""

    def model_fn(features, labels, mode):
        w = v1.get_variable("w", [16, 1], initializer=constant(0.1))
        b = v1.get_variable("b", [1], initializer=constant(0.5))
        y = (features["x"] @ w + b)[:, 0]
        if mode == "infer":
            return tf.estimator.EstimatorSpec(mode, predictions=y)
        loss, train_op = tf.reduce_mean(tf.square(y - labels)), None
        if mode == "train":
            optimizer = optimizers()[name]()
            optimizer.iterations = v1.train.get_or_create_global_step()
            if how == "updates":
                train_op = tf.group(*optimizer.get_updates(loss, [w, b]))
            else:
                train_op = optimizer.apply_gradients(zip(tf.gradients(loss, [w, b]), [w, b], strict=True))
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    return outcome(tf.estimator.Estimator(model_fn))


def in_linear_model(name):
    """An optimizer of Keras 2 for a ready-made model."""
    columns = [tf.feature_column.numeric_column("x", shape=16)]
    return outcome(tf.estimator.LinearRegressor(columns, optimizer=optimizers()[name]))


def with_keras_layers():
    """Layers of `tf.keras`, with DenseFeatures, a head and a legacy optimizer."""

    def model_fn(features, labels, mode):
        number = tf.feature_column.numeric_column("x", shape=16)
        word = tf.feature_column.categorical_column_with_vocabulary_list("word", ["0", "1"])
        table = tf.feature_column.embedding_column(word, 2, initializer=constant(0.5))
        words = tf.as_string(tf.cast(features["x"][:, 0] > 0.5, tf.int32))
        x = tf.keras.layers.DenseFeatures([number, table])({"x": features["x"], "word": words})
        hidden = tf.keras.layers.Dense(3, activation="tanh", kernel_initializer=tf.keras.initializers.Constant(0.1))
        last = tf.keras.layers.Dense(1, kernel_initializer="ones")
        logits = last(hidden(x))
        head = tf.estimator.RegressionHead()
        variables = hidden.trainable_variables + last.trainable_variables
        optimizer = None
        if mode == "train":
            optimizer = tf.keras.optimizers.legacy.Adam(0.05)
            optimizer.iterations = v1.train.get_or_create_global_step()
        return head.create_estimator_spec(
            features, mode, logits, labels=labels, optimizer=optimizer, trainable_variables=variables
        )

    return outcome(tf.estimator.Estimator(model_fn), with_columns)


def keras_model(keras, optimizer):
    """Returns a compiled model, of the Keras that is given, which starts from constants."""
    inputs = keras.Input((16,), name="x")
    hidden = keras.layers.Dense(3, activation="tanh", kernel_initializer=keras.initializers.Constant(0.1))(inputs)
    hidden = keras.layers.Dropout(0.0)(keras.layers.BatchNormalization()(hidden))
    last = keras.layers.Dense(1, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.01), name="out")
    model = keras.Model(inputs, last(hidden))
    squares = keras.metrics.MeanSquaredError(name="squares")
    model.compile(optimizer(), loss="mse", metrics=["mae", squares])
    model.layers[1].set_weights([np.full((16, 3), 0.05, "float32"), np.full(3, 0.1, "float32")])
    return model


def from_keras_model(name, keras=None):
    model = keras_model(keras or tf.keras, optimizers()[name])
    return outcome(tf.keras.estimator.model_to_estimator(model, checkpoint_format="saver"), with_columns)


IN_MODEL_FN = [("apply", "Adam"), *(("updates", name) for name in ("Ftrl", "SGD, momentum, decay", "SGD, tensor"))]
OF_KERAS_MODEL = ["Adam", "SGD, momentum, decay", "RMSprop"]
PROGRAMS = {
    **{f"network: {name}": (network, name) for name in ("convolutions", "cells")},
    **{f"towers: {updates}": (towers, updates) for updates in ("first", "none")},
    **{f"model_fn: {how}: {name}": (in_model_fn, how, name) for how, name in IN_MODEL_FN},
    **{f"linear: {name}": (in_linear_model, name) for name in optimizers()},
    "keras layers": (with_keras_layers,),
    **{f"keras model: {name}": (from_keras_model, name) for name in OF_KERAS_MODEL},
}
