"""The names under which transformed features travel from the host part to the device part.

A transformed batch is a dict of few tensors. Each key begins with `PREFIX` and says what its tensor holds, so that
the dict describes itself wherever it goes: through `tf.data`, a cache, or another program.

* `…floats:<entries>`: float32 `[B, D]`, all numeric columns side by side;
* `…ids:<entries>`: int64 `[B, K]`, all ids of columns whose number of values per row is fixed; -1 where a value
counts as absent;
* `…padded:<digest>`: int64 `[B, n]`, the ids of one column whose dense feature has a width that only the running
program knows;
* `…ragged:<digest>`: RaggedTensor int64 `[B, (n)]`, the ids of one column whose feature is sparse or ragged.

Entries are `<digest of the column>*<width>`, joined by commas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway.feature_columns._protocol import FeatureColumn

PREFIX = "headway_columns/"
FLOATS, IDS, PADDED, RAGGED = "floats", "ids", "padded", "ragged"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a column's values lie.

    Attributes:
      kind: one of `FLOATS`, `IDS`, `PADDED`, `RAGGED`.
      key: the key in the transformed dict.
      start: the first column of the matrix, for `FLOATS` and `IDS`.
      width: the number of columns of the matrix.
    """

    kind: str
    key: str
    start: int = 0
    width: int = 0


def matrix_key(kind: str, entries: Iterable[tuple[FeatureColumn, int]]) -> str:
    """Returns the key of a matrix that holds the given columns of the given widths side by side."""
    return f"{PREFIX}{kind}:{','.join(f'{column.digest}*{width}' for column, width in entries)}"


def column_key(kind: str, column: FeatureColumn) -> str:
    """Returns the key of the ids of one column."""
    return f"{PREFIX}{kind}:{column.digest}"


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
    """Returns where each column lies in a transformed dict, by the column's digest."""
    found: dict[str, Place] = {}
    for key in features:
        if not str(key).startswith(PREFIX):
            continue
        kind, _, entries = key.removeprefix(PREFIX).partition(":")
        if kind in (PADDED, RAGGED):
            found[entries] = Place(kind, key)
            continue
        start = 0
        for entry in entries.split(","):
            digest, _, width = entry.partition("*")
            found[digest] = Place(kind, key, start, int(width))
            start += int(width)
    return found


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
