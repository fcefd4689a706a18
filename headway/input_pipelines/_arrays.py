"""Pipelines over arrays and data frames: the public functions and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headway import _columns
from headway._columns import Coded, Column
from headway.input_pipelines import _checks, _layout, _memory
from headway.input_pipelines._interface import Pipeline
from headway.input_pipelines._order import RowOrder


def from_arrays(
    features: Any,
    labels: Any = None,
    *,
    batch_size: int = 128,
    shuffle: bool = False,
    num_epochs: int | None = 1,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Pipeline:
    """Makes a pipeline from arrays in memory.

    The data is copied into tables once; changing the arrays afterwards changes nothing. Batches are gathered from the
    tables by row number. Batches never mix two epochs: the last one of an epoch is short when `batch_size` does not
    divide the number of rows.

    Args:
      features: a dict from names to columns, or one array. A column is anything with one value for each row on its
        first axis: a NumPy array, a list, an eager tensor, a pandas or polars series, an Arrow array; of booleans,
        integers, floats or strings, of any rank of at least 1. Types are kept. Missing values: "" in columns of
        strings, NaN in columns of numbers (integers with gaps become float64, booleans with gaps float32).
      labels: an array, a dict of arrays, or None. Labels that are missing, NaN or infinite are an error. Weights of
        examples are a feature like any other: give the head their name (`weight_column`).
      batch_size: rows in a batch.
      shuffle: whether each epoch takes the rows in a new random order. The whole epoch is shuffled; there is no buffer.
      num_epochs: how often the rows are passed over; None: for ever.
      seed: makes the order of rows reproducible: the same in each run and each call, different in each epoch. None:
        drawn from TensorFlow's generator after `tf.random.set_seed`, otherwise at random, and anew each time an
        estimator starts to train.
      drop_remainder: leave out the short batch at the end of an epoch; batches then have a static shape.

    Returns:
      A `Pipeline`, whose batches are `(features, labels)`, or features alone if there are no labels.

    Raises:
      ValueError: no rows, columns of different lengths, a type that a model cannot take, or an argument out of range.

    Example:
      >>> from headway import input_pipelines
      >>> pipeline = input_pipelines.from_arrays(
      ...     {"age": [25, 38, 31], "job": ["nurse", None, "cook"]}, labels=[0, 1, 0], batch_size=2)
      >>> for features, labels in pipeline.dataset():
      ...     print(features["age"].numpy(), features["job"].numpy(), labels.numpy())
      [25 38] [b'nurse' b''] [0 1]
      [31] [b'cook'] [0]
    """
    return _build(features, labels, "arrays", batch_size, shuffle, num_epochs, seed, drop_remainder)


def from_dataframe(
    frame: Any,
    label: str | Sequence[str] | None = None,
    *,
    batch_size: int = 128,
    shuffle: bool = False,
    num_epochs: int | None = 1,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Pipeline:
    """Makes a pipeline from a pandas or polars data frame or an Arrow table.

    Every column but the label becomes a feature of its name; an index is not used. Strings and categories become
    string features, numbers keep their type. Missing values: "" for strings, NaN for numbers (integers with gaps
    become float64, booleans with gaps float32). Dates and times become seconds since 1970 (float64, for
    `datetime_column`). Columns of mixed types are an error that names the column.

    Args:
      frame: the table.
      label: name of the column to predict; several names give a dict of labels; None: no labels.
      batch_size: rows in a batch.
      shuffle: whether each epoch takes the rows in a new random order.
      num_epochs: how often the rows are passed over; None: for ever.
      seed: makes the order of rows reproducible; see `from_arrays`.
      drop_remainder: leave out the short batch at the end of an epoch.

    Returns:
      A `Pipeline`, whose batches are `(features, labels)`, or features alone if there are no labels.

    Raises:
      ValueError: what is wrong with the table or an argument, and what to do about it.

    Example:
      >>> import pandas as pd
      >>> from headway import input_pipelines
      >>> frame = pd.DataFrame({"age": [25, 38], "job": ["nurse", "cook"], "rich": [0, 1]})
      >>> pipeline = input_pipelines.from_dataframe(frame, label="rich", batch_size=2)
      >>> features, labels = next(iter(pipeline.dataset()))
      >>> sorted(features), labels.numpy()
      (['age', 'job'], array([0, 1]))
    """
    columns = _columns.of_frame(frame)
    names = [] if label is None else [label] if isinstance(label, str) else list(label)
    if label is not None and not names:
        raise ValueError("`label` must be a column name, a list of names, or None. Received: an empty list.")
    for name in names:
        _checks.choose(columns, name, "`label`")
        if names.count(name) > 1:
            raise ValueError(f"`label` names the column {name!r} twice. Received: {names!r}.")
    features = {name: values for name, values in columns.items() if name not in names}
    if not features:
        raise ValueError(f"The data frame has no columns besides the label. Columns: {_checks.listed(list(columns))}.")
    labels = (
        None
        if label is None
        else columns[names[0]]
        if isinstance(label, str)
        else {name: columns[name] for name in names}
    )
    source = f"a {type(frame).__module__.split('.')[0]} {type(frame).__name__}"
    return _build(features, labels, source, batch_size, shuffle, num_epochs, seed, drop_remainder, label_name=label)


def _build(
    features: Any,
    labels: Any,
    source: str,
    batch_size: int,
    shuffle: bool,
    num_epochs: int | None,
    seed: int | None,
    drop_remainder: bool,
    label_name: str | Sequence[str] | None = None,
) -> Pipeline:
    size, epochs, given = _checks.positive("batch_size", batch_size), _checks.epochs(num_epochs), _checks.seed(seed)
    shuffled, drop = _checks.flag("shuffle", shuffle), _checks.flag("drop_remainder", drop_remainder)
    if hasattr(features, "columns") or hasattr(features, "column_names"):
        raise ValueError(
            "`features` is a data frame. Use `from_dataframe(frame, label=...)`, which takes the label out by its name."
        )
    if isinstance(labels, str):
        raise ValueError(
            f"`labels` must be an array. Received: the name {labels!r}. "
            "Pass the column itself, taken out of the features."
        )
    if isinstance(features, Mapping):
        if not features:
            raise ValueError("`features` must have at least one column. Received: an empty dict.")
        _columns.unique(list(features), "`features`")
        for name, values in features.items():
            if labels is not None and values is labels:
                raise ValueError(
                    f"The labels are given twice, also as the feature {name!r}: the model would read off its answer. "
                    "Take them out of the features."
                )
        columns: Any = {name: _columns.read(name, values) for name, values in features.items()}
    else:
        columns = _columns.read("features", features)
    answers = _read_labels(labels, label_name)
    num_rows = _check_lengths(columns, answers, label_name)
    if not num_rows:
        raise ValueError("The data is empty: there are columns, but no rows.")
    order = RowOrder(
        num_rows, size, shuffled, epochs, drop, given if given is not None else _checks.draw_seed() if shuffled else 0
    )
    resident = _memory.Resident(num_rows, _layout.pack(columns), None if answers is None else _layout.pack(answers))
    return _memory.MemoryPipeline(resident, order, given is not None, source)


def _read_labels(labels: Any, label_name: str | Sequence[str] | None) -> Any:
    if labels is None:
        return None
    if isinstance(labels, Mapping):
        if not labels:
            raise ValueError("`labels` must have at least one column. Received: an empty dict.")
        _columns.unique(list(labels), "`labels`")
        return {name: _label(name, values, f"The label {name!r}") for name, values in labels.items()}
    name = label_name if isinstance(label_name, str) else "labels"
    return _label(name, labels, f"The label {name!r}" if name == label_name else "`labels`")


def _label(name: str, values: Any, shown: str) -> Column:
    column = _columns.read(name, values)
    if isinstance(column, Coded):
        gaps = np.asarray([value == b"" for value in column.values])[column.codes].reshape(len(column), -1)
        empty = np.flatnonzero(gaps.any(axis=1))
        # Several names in each row are lists, which '' brings to one length.
        if len(empty) and gaps.shape[1] == 1:
            raise ValueError(
                f"{shown} is missing in row {empty[0]}. Drop the rows without a label, or fill the label in."
            )
    else:
        _memory.check_finite(shown, column)
    return column


def _check_lengths(columns: Any, answers: Any, label_name: Any) -> int:
    """Returns the number of rows; raises, naming two columns, if they differ."""
    named = dict(columns) if isinstance(columns, dict) else {"features": columns}
    lengths = {repr(name): len(column) for name, column in named.items()}
    if isinstance(answers, dict):
        lengths.update({f"label {name!r}": len(column) for name, column in answers.items()})
    elif answers is not None:
        lengths[f"label {label_name!r}" if isinstance(label_name, str) else "`labels`"] = len(answers)
    first, rows = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != rows:
            raise ValueError(
                f"All columns must have the same number of rows, but {first} has {rows} and {name} has {length}."
            )
    return rows
