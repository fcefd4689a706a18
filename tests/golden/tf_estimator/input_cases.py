"""Calls of numpy_input_fn and pandas_input_fn, right and wrong ones; read by make_inputs.py and by the tests."""

import numpy as np
import pandas as pd

# (rows, batch_size, num_epochs, batches to take)
BATCHES = [(5, 2, 1, 9), (5, 4, 2, 9), (5, 13, 3, 9), (3, 2, None, 4), (6, 3, 2, 9), (1, 4, 3, 9)]

X = {"a": np.arange(4.0), "b": np.arange(32, 36)}
FRAME = pd.DataFrame(X)


def arrays(rows):
    return {"a": np.arange(float(rows)), "b": np.arange(2 * rows).reshape(rows, 2)}, -np.arange(rows)


# Name: (function, arguments); each is called, and what it returns is called.
ERRORS = {
    "numpy_shuffle_missing": ("numpy_input_fn", {"x": X}),
    "numpy_shuffle_text": ("numpy_input_fn", {"x": X, "shuffle": "yes"}),
    "numpy_empty_dict": ("numpy_input_fn", {"x": {}, "shuffle": False}),
    "numpy_empty_array": ("numpy_input_fn", {"x": np.array([]), "shuffle": False}),
    "numpy_list": ("numpy_input_fn", {"x": [1, 2], "shuffle": False}),
    "numpy_y_empty": ("numpy_input_fn", {"x": X, "y": {}, "shuffle": False}),
    "numpy_y_short": ("numpy_input_fn", {"x": X, "y": np.arange(3), "shuffle": False}),
    "numpy_x_short": ("numpy_input_fn", {"x": {**X, "c": np.arange(3)}, "shuffle": False}),
    "numpy_twice": ("numpy_input_fn", {"x": X, "y": {"a": np.arange(4)}, "shuffle": False}),
    "pandas_shuffle_missing": ("pandas_input_fn", {"x": FRAME}),
    "pandas_target": ("pandas_input_fn", {"x": FRAME, "shuffle": False, "target_column": ["t"]}),
    "pandas_name": ("pandas_input_fn", {"x": FRAME, "y": FRAME["a"], "shuffle": False, "target_column": "a"}),
    "pandas_index": ("pandas_input_fn", {"x": FRAME, "y": FRAME["a"][::-1], "shuffle": False}),
}
