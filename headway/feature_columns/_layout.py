"""The names under which transformed features travel from the host part to the device part.

A transformed batch is a dict of few tensors. Each key begins with `PREFIX` and says what its tensor holds, so that
the dict describes itself wherever it goes: through `tf.data`, a cache, or another program.

* `…floats:<entries>`: float32 `[B, D]`, all numeric columns side by side;
* `…ids:<entries>`: int64 `[B, K]`, all ids of columns whose number of values per row is fixed; -1 where a value
counts as absent;
* `…padded:<digest>`: int64 `[B, n]`, the ids of one column whose dense feature has a width that only the running
program knows;
* `…ragged:<digest>`: RaggedTensor int64 `[B, (n)]`, the ids of one column whose feature is sparse or ragged;
* `…weights:<entries>`: float32 `[B, W]`, the weights of ids in `…ids`;
* `…weights_of:<digest>`: float32, the weights of `…padded:<digest>` or `…ragged:<digest>`, in the same form;
* `…steps:<digest>`: ids or floats of each step of one sequence column, `[B, T, ...]`, dense or ragged;
* `…lengths:<digest>`: int64 `[B]`, the number of steps of each row of `…steps:<digest>`, if that is dense.

Entries are `<digest of the column>*<width>`, joined by commas. In `…ids` a plus sign behind an entry says that none of
the column's ids is -1, which is known where a whole table has been transformed at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headway.feature_columns._protocol import FeatureColumn

PREFIX = "headway_columns/"
FLOATS, IDS, PADDED, RAGGED, STEPS = "floats", "ids", "padded", "ragged", "steps"
# What a column has beside its values.
WEIGHTS, WEIGHTS_OF, LENGTHS = "weights", "weights_of", "lengths"
_MATRICES = (FLOATS, IDS, WEIGHTS)
_BESIDE = (WEIGHTS, WEIGHTS_OF, LENGTHS)
_COMPLETE = "+"
_ROWS_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a column's values lie.

    Attributes:
      kind: one of `FLOATS`, `IDS`, `PADDED`, `RAGGED`, `STEPS`, or `WEIGHTS`, `WEIGHTS_OF`, `LENGTHS`.
      key: the key in the transformed dict.
      start: the first column of the matrix, for `FLOATS`, `IDS` and `WEIGHTS`.
      width: the number of columns of the matrix.
      complete: whether it is known that no id is absent, for `IDS`.
    """

    kind: str
    key: str
    start: int = 0
    width: int = 0
    complete: bool = False


def matrix_key(kind: str, entries: Iterable[tuple[FeatureColumn, int]]) -> str:
    """Returns the key of a matrix that holds the given columns of the given widths side by side."""
    return f"{PREFIX}{kind}:{','.join(f'{column.digest}*{width}' for column, width in entries)}"


def column_key(kind: str, column: FeatureColumn) -> str:
    """Returns the key of the ids of one column."""
    return f"{PREFIX}{kind}:{column.digest}"


def with_complete_marked(features: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a transformed dict whose keys say which columns have an id in every place.

    Args:
      features: all rows there are, as eager tensors.
    """
    return {
        _marked(key, value) if str(key).startswith(f"{PREFIX}{IDS}:") else key: value for key, value in features.items()
    }


def _marked(key: str, ids: tf.Tensor) -> str:
    smallest = _smallest(np.asarray(ids))
    head, _, entries = key.rpartition(":")
    marked, start = [], 0
    for entry in entries.split(","):
        width = int(entry.partition("*")[2])
        marked.append(entry + _COMPLETE if (smallest[start : start + width] >= 0).all() else entry)
        start += width
    return f"{head}:{','.join(marked)}"


def _smallest(table: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the smallest number of each column."""
    # Many rows are taken for a long one: rows of few numbers are compared number by number, long ones many at once.
    whole = len(table) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
    long_rows = table[:whole].reshape(-1, _ROWS_AT_ONCE * table.shape[1])
    most = np.iinfo(np.int64).max
    joint = long_rows.min(0, initial=most).reshape(_ROWS_AT_ONCE, table.shape[1])
    smallest: npt.NDArray[np.int64] = np.minimum(joint.min(0), table[whole:].min(0, initial=most))
    return smallest


def is_transformed(features: Mapping[str, Any]) -> bool:
    """Whether `features` has passed through a `ColumnTransform`.

    Args:
      features: a batch: name -> values.

    Example:
      >>> from headway import feature_columns as fc
      >>> raw = {"age": [30.0, 41.0]}
      >>> fc.is_transformed(raw), fc.is_transformed(fc.ColumnTransform([fc.numeric_column("age")])(raw))
      (False, True)
    """
    return any(str(key).startswith(PREFIX) for key in features)


def places(features: Mapping[str, Any]) -> dict[str, Place]:
    """Returns where the values of each column lie in a transformed dict, by the column's digest."""
    return {digest: place for digest, place in _all_places(features) if place.kind not in _BESIDE}


def places_of_weights(features: Mapping[str, Any]) -> dict[str, Place]:
    """Returns where the weights of each column that has some lie, by the column's digest."""
    return {digest: place for digest, place in _all_places(features) if place.kind in (WEIGHTS, WEIGHTS_OF)}


def _all_places(features: Mapping[str, Any]) -> Iterator[tuple[str, Place]]:
    for key in features:
        if not str(key).startswith(PREFIX):
            continue
        kind, _, entries = key.removeprefix(PREFIX).partition(":")
        if kind not in _MATRICES:
            yield entries, Place(kind, key)
            continue
        start = 0
        for entry in entries.split(","):
            digest, _, width = entry.partition("*")
            columns = int(width.removesuffix(_COMPLETE))
            yield digest, Place(kind, key, start, columns, width.endswith(_COMPLETE))
            start += columns


def check_holds(features: Mapping[str, Any], columns: Iterable[FeatureColumn]) -> None:
    """Raises ValueError if a transformed dict lacks one of the columns."""
    found = places(features)
    absent = sorted({column.name for column in columns if column.digest not in found})
    if absent:
        raise ValueError(
            f"The features have been transformed already, but not for these columns: {absent}. Make one "
            "ColumnTransform with all "
            "columns of the model, or leave features untransformed. A column is found by its whole definition: the "
            "one that was "
            "transformed may differ in an argument, such as another normalizer_fn or another number of buckets."
        )


def batch_size(features: Mapping[str, Any]) -> tf.Tensor:
    """Returns the number of rows of a transformed dict, an int64 scalar."""
    value = next(features[key] for key in features if str(key).startswith(PREFIX))
    return value.nrows(tf.int64) if isinstance(value, tf.RaggedTensor) else tf.shape(value, out_type=tf.int64)[0]
