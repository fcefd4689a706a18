"""Whatever holds rows, as batches of raw features that columns read eagerly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from headway import _columns
from headway.feature_columns import _tree
from headway.feature_columns._protocol import FeatureColumn
from headway.feature_columns._raw_batch import RawBatch, missing_feature

# Rows at once: many enough that the cost of an operation is that of its work.
_ROWS = 16384


def batches(data: Any, columns: Iterable[FeatureColumn], function: str) -> Iterator[RawBatch]:
    """Yields the rows of `data` once, with the features that `columns` need.

    Args:
      data: a pipeline of `headway.input_pipelines` (one epoch of it is read), a `tf.data.Dataset`, a dict of arrays,
        or a pandas, polars or Arrow frame.
      columns: the columns that will read them.
      function: the caller's name, for errors.

    Raises:
      ValueError: if `data` is something else or has no end, or a feature is missing.
    """
    needed = {key: reader for column in columns for key, reader in _tree.raw_features(column)}
    for features in _features(data, list(needed), function):
        for key, reader in needed.items():
            if key not in features:
                raise ValueError(missing_feature(key, features, f"column {reader.name!r}"))
        yield RawBatch({key: features[key] for key in needed})


def _features(data: Any, needed: list[str], function: str) -> Iterator[Mapping[str, Any]]:
    if callable(getattr(data, "dataset", None)) and hasattr(data, "num_rows"):
        yield from _of_dataset(data.dataset(), data.num_rows, function)
    elif isinstance(data, tf.data.Dataset):
        yield from _of_dataset(data, None, function)
    elif isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names"):
        yield from _of_table(_columns.of_frame(data), needed)
    else:
        raise ValueError(
            f"`data` of {function} must be an input pipeline, a tf.data.Dataset, a dict of arrays or a data frame. "
            f"Received: {type(data).__name__}. An `input_fn` has to be called first."
        )


def _of_dataset(dataset: tf.data.Dataset, num_rows: int | None, function: str) -> Iterator[Mapping[str, Any]]:
    if num_rows is None and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"`data` of {function} has no end: it repeats for ever. Pass the rows once, for example the dataset "
            "without `.repeat()`, `dataset.take(number)`, or a pipeline with `num_epochs=1`."
        )
    spec = dataset.element_spec
    spec = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(spec, Mapping):
        raise ValueError(
            f"`data` of {function} must have a dict of features in each element, or a pair (features, labels). "
            f"Received: elements of {dataset.element_spec}"
        )
    if any(getattr(part.shape, "rank", None) == 0 for part in spec.values()):
        dataset = dataset.batch(_ROWS)
    rows = 0
    for element in dataset:
        features = element[0] if isinstance(element, tuple) else element
        yield features
        rows += _num_rows(next(iter(features.values())))
        if num_rows is not None and rows >= num_rows:
            return


def _num_rows(value: Any) -> int:
    return int(value.dense_shape[0]) if isinstance(value, tf.SparseTensor) else int(tf.shape(value)[0])


def _of_table(columns: dict[str, Any], needed: list[str]) -> Iterator[Mapping[str, Any]]:
    if any(name not in columns for name in needed):
        yield columns  # for the caller to say which is missing
        return
    columns = {name: columns[name] for name in needed}
    if any(isinstance(values, tf.SparseTensor | tf.RaggedTensor) for values in columns.values()):
        yield columns
        return
    read = {name: _columns.read(name, values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in read.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns of the data must have one length. Received: {lengths}")
    arrays = {name: values.strings() if isinstance(values, _columns.Coded) else values for name, values in read.items()}
    for start in range(0, max(lengths.values(), default=0), _ROWS):
        yield {name: values[start : start + _ROWS] for name, values in arrays.items()}
