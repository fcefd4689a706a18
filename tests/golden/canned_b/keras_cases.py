"""The Keras models that golden values exist for; read by make_keras.py and by the tests."""

import numpy as np

STEPS, MORE_STEPS, BATCH = 5, 4, 8


def data():
    """Returns 32 rows: features and labels."""
    rng = np.random.RandomState(2)
    x = rng.normal(size=(32, 3)).astype(np.float32)
    return {"x": x}, (x[:, :1] - 2 * x[:, 1:2] + 0.1).astype(np.float32)


def functional(keras, optimizers):
    inputs = keras.Input((3,), name="x")
    hidden = keras.layers.Dense(4, activation="tanh", kernel_regularizer="l2", name="d1")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="d2")(hidden))
    model.compile(optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
    return model


def batch_norm(keras, optimizers):
    layers = [keras.layers.Dense(4, use_bias=False, name="d1"), keras.layers.BatchNormalization(name="bn")]
    inputs = keras.Input((3,), name="x")
    net = layers[1](layers[0](inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="d2")(net))
    model.compile(optimizers.Adam(0.01), "mae", metrics=["mse"])
    return model


CASES = {"functional": functional, "batch_norm": batch_norm}
