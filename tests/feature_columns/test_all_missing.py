"""A feature of which nothing is there has no type of its own: every column takes it as missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines

COLUMNS: dict[str, Any] = {
    "vocabulary": fc.categorical_column_with_vocabulary_list("p", ["a", "b"]),
    "vocabulary with buckets": fc.categorical_column_with_vocabulary_list("p", ["a", "b"], num_oov_buckets=2),
    "vocabulary of integers": fc.categorical_column_with_vocabulary_list("p", [1, 2]),
    "hash": fc.categorical_column_with_hash_bucket("p", 3),
    "identity": fc.categorical_column_with_identity("p", 3),
}
NOTHING = {"None": [None, None], "NaN": [np.nan, np.nan]}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("nothing", NOTHING)
def test_no_id(name: str, nothing: str) -> None:
    transform = fc.ColumnTransform([COLUMNS[name]])
    values = {"p": NOTHING[nothing]}
    for pipeline in (
        input_pipelines.from_arrays(values, batch_size=2),
        input_pipelines.from_dataframe(pd.DataFrame(values), batch_size=2),
    ):
        (ids,) = next(iter(pipeline.map_batches(transform).dataset())).values()
        assert ids.numpy().tolist() == [[-1], [-1]]


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_number_stays_missing(nothing: str) -> None:
    pipeline = input_pipelines.from_arrays({"p": NOTHING[nothing]}, batch_size=2)
    (floats,) = next(iter(pipeline.map_batches(fc.ColumnTransform([fc.numeric_column("p")])).dataset())).values()
    assert np.isnan(floats.numpy()).all()


@pytest.mark.parametrize("name", ["vocabulary", "hash"])
def test_numbers_are_no_strings(name: str) -> None:
    transform, features = fc.ColumnTransform([COLUMNS[name]]), {"p": tf.constant([7.0, np.nan], tf.float64)}
    for run in (transform, tf.function(transform)):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"key: p, column dtype: string, and the feature holds"
        ):
            run(features)
