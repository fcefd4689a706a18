"""Writes inputs.json: the batches and the errors of tf.compat.v1.estimator.inputs 2.15 for input_cases.py.

Run it with a Python that has TensorFlow 2.15, tf.estimator 2.15 and pandas: `python make_inputs.py`.
"""

import json
import pathlib

import input_cases
import pandas as pd
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
v1 = tf.compat.v1
inputs = v1.estimator.inputs


def batches(make, take):
    """Returns the batches that an input function feeds to a session, at most `take`."""
    found = []
    with tf.Graph().as_default():
        tensors = make()()
        with v1.train.MonitoredSession() as session:
            while len(found) < take:
                try:
                    values = session.run(tensors)
                except tf.errors.OutOfRangeError:
                    break
                found.append(tf.nest.map_structure(lambda value: value.tolist(), values))
                if session.should_stop():
                    break
    return found


def of_numpy(rows, batch_size, num_epochs, take):
    x, y = input_cases.arrays(rows)
    settings = {"batch_size": batch_size, "num_epochs": num_epochs, "shuffle": False}
    return batches(lambda: inputs.numpy_input_fn(x, y, **settings), take)


def of_pandas(rows, batch_size, num_epochs, take):
    frame = pd.DataFrame({"a": range(rows), "b": [0.5] * rows})
    target = pd.DataFrame({"u": range(rows), "v": range(rows)})
    settings = {"batch_size": batch_size, "num_epochs": num_epochs, "shuffle": False}
    return batches(lambda: inputs.pandas_input_fn(frame, target, **settings), take)


def error(name):
    function, arguments = input_cases.ERRORS[name]
    try:
        with tf.Graph().as_default():
            getattr(inputs, function)(**arguments)()
    except (TypeError, ValueError) as caught:
        return [type(caught).__name__, str(caught).split("\n", 1)[0]]
    return None


if __name__ == "__main__":
    x, y = input_cases.arrays(5)
    twice = batches(lambda: inputs.numpy_input_fn(x, y, batch_size=2, shuffle=True, num_threads=3), 99)
    result = {
        "numpy": [of_numpy(*case) for case in input_cases.BATCHES],
        "pandas": [of_pandas(*case) for case in input_cases.BATCHES],
        "rows_of_three_threads": sum(len(labels) for _, labels in twice),
        "errors": {name: error(name) for name in input_cases.ERRORS},
    }
    (HERE / "inputs.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
