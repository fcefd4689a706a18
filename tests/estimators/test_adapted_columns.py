"""Columns that learn from data, in the ready-made models: from a table to a second program that resumes the run."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headway as hw
from headway import feature_columns as fc
from headway import input_pipelines


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    count = 256
    city = rng.choice(["Rome", "Oslo", None], count)
    age = np.where(rng.random(count) < 0.1, np.nan, rng.normal(40, 10, count))
    hour = rng.integers(0, 24, count)
    note = np.where(hour < 12, "an early Bird!", "it was late")
    return pd.DataFrame(
        {
            "city": city,
            "age": age,
            "note": note,
            "time": pd.to_datetime("2024-01-01") + pd.to_timedelta(hour, "h"),
            "bought": ((city == "Rome") ^ (hour < 12)).astype(int),
        }
    )


def columns() -> list[Any]:
    return [
        fc.numeric_column("age", normalizer_fn=fc.learned_scale()),
        fc.indicator_column(fc.categorical_column_with_vocabulary_list("city", fc.learned_vocabulary())),
        fc.embedding_column(fc.text_column("note", vocabulary=fc.learned_vocabulary()), 4),
        fc.datetime_column("time", ["hour"]),
    ]


def rows(**options: Any) -> Any:
    return input_pipelines.from_dataframe(frame(), label="bought", batch_size=64, **options)


def model(adapted: Any, model_dir: pathlib.Path) -> hw.DNNClassifier:
    config = hw.RunConfig(tf_random_seed=1, progress="none")
    return hw.DNNClassifier([32], adapted, model_dir=str(model_dir), optimizer="Adam", config=config)


def test_a_second_program_gets_the_columns_and_the_numbers_of_the_first(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "feature_columns.json"
    first = model(fc.adapt(columns(), rows(), path=path), tmp_path)
    first.train(rows(shuffle=True, num_epochs=None, seed=1), steps=1000)
    metrics = first.evaluate(rows())
    # The label follows from city and hour.
    assert metrics["accuracy"] > 0.95
    again = model(fc.adapt(columns(), {"never": "read"}, path=path), tmp_path)
    assert again.evaluate(rows()) == metrics
    assert model(fc.load(path), tmp_path).evaluate(rows()) == metrics


def test_columns_that_are_not_adapted_are_refused_when_the_model_is_made(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"Column 'age' has a `normalizer_fn` that is not learnt yet.*fc\.adapt"):
        model(columns(), tmp_path)
    with pytest.raises(ValueError, match=r"Column 'city' has a `vocabulary_list` that is not learnt yet"):
        hw.LinearClassifier([columns()[1].categorical_column])


def test_a_time_that_is_none_is_named_to_the_user(tmp_path: pathlib.Path) -> None:
    estimator = hw.LinearRegressor([fc.datetime_column("day")], model_dir=str(tmp_path))
    data = input_pipelines.from_arrays({"day": ["2024-01-01", "soon"]}, [0.0, 1.0], batch_size=2)
    with pytest.raises(Exception, match=r"Feature day of datetime_column has a value that is no time.*soon"):
        estimator.train(data, steps=1)
