"""Columns as lists of coordinates: which weights of a linear model each row of a batch uses, and how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.feature_columns._protocol import CategoricalColumn, DenseColumn, FeatureColumn
from headway.feature_columns._transform import transformed_features
from headway.feature_columns._transformed_batch import TransformedBatch


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """The ids of a categorical column in a batch, each once in a row.

    Attributes:
      rows: the row of each, int64 `[N]`, ascending.
      ids: int64 `[N]`.
      values: how often the row has the id, float32 `[N]`.
    """

    rows: tf.Tensor
    ids: tf.Tensor
    values: tf.Tensor


def coordinates(columns: Sequence[FeatureColumn], features: Mapping[str, Any]) -> list[Coordinates | tf.Tensor]:
    """Returns for each column its `Coordinates` if it is categorical, else its values, float32 `[B, width]`.

    Raises:
      ValueError: if a column has variables of its own.
    """
    inputs = TransformedBatch(transformed_features(list(columns), features), columns)
    found: list[Coordinates | tf.Tensor] = []
    for column in columns:
        if isinstance(column, CategoricalColumn):
            found.append(_coordinates(inputs.lookup(column).dense_ids(), column.num_buckets))
        elif isinstance(column, DenseColumn):
            found.append(column.device_dense(inputs))
    return found


def _coordinates(ids: tf.Tensor, num_buckets: int) -> Coordinates:
    present = ids >= 0
    rows = tf.where(present)[:, 0]
    flat = tf.boolean_mask(ids, present)
    if ids.shape[1] == 1:
        return Coordinates(rows, flat, tf.ones_like(flat, tf.float32))
    cells, position = tf.unique(rows * num_buckets + flat)
    values = tf.math.unsorted_segment_sum(tf.ones_like(flat, tf.float32), position, tf.size(cells))
    return Coordinates(cells // num_buckets, cells % num_buckets, values)
