"""Data in memory: what comes out is what was put in, through tables, fetch and mapped functions."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tensorflow as tf

from headway import input_pipelines
from headway.input_pipelines import Pipeline, _memory


def _numpy(batch: Any) -> Any:
    return tf.nest.map_structure(lambda value: value.numpy(), batch)


def _assert_equal(left: Any, right: Any) -> None:
    tf.nest.assert_same_structure(left, right)
    for one, other in zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == np.asarray(other).dtype


def _features(rows: int) -> dict[str, Any]:
    numbers = np.arange(rows)
    return {
        "float": numbers.astype(np.float32) / 2,
        "name": [f"n{i % 3}" for i in range(rows)],
        "whole": numbers,
        "other float": -numbers.astype(np.float32),
        "bytes": np.array([b"a", b"bc"] * rows)[:rows],
        "vector": np.arange(rows * 3, dtype=np.float32).reshape(rows, 3),
        "tags": np.array([["x", ""], ["y", "zz"]] * rows, dtype=object)[:rows],
        "flag": numbers % 2 == 0,
        "image": np.arange(rows * 200, dtype=np.uint8).reshape(rows, 10, 20),
        "small": numbers.astype(np.int8),
    }


def test_a_batch_holds_the_rows_in_the_users_structure_and_types() -> None:
    given = _features(5)
    pipeline = input_pipelines.from_arrays(given, {"a": [0, 1, 0, 1, 0], "b": [1.5] * 5}, batch_size=3)
    features, labels = next(iter(pipeline.dataset()))
    assert list(features) == list(given)
    for name, values in given.items():
        got = features[name].numpy()
        expected = np.asarray(values)[:3]
        if expected.dtype.kind in "UO":
            expected = np.vectorize(str.encode, otypes=[object])(expected)
        np.testing.assert_array_equal(got, expected)
        if expected.dtype.kind not in "SO":
            assert got.dtype == expected.dtype
    assert labels["a"].numpy().tolist() == [0, 1, 0]
    assert labels["b"].dtype == tf.float64


def test_features_may_be_one_array() -> None:
    pipeline = input_pipelines.from_arrays(np.eye(3), batch_size=2)
    assert [batch.numpy().tolist() for batch in pipeline.dataset()] == [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1]]]
    assert pipeline.element_spec == tf.TensorSpec([None, 3], tf.float64)


def test_a_tensor_and_other_columns_are_taken() -> None:
    given = {"t": tf.constant([1, 2]), "s": tf.constant(["a", "b"]), "p": pd.Series([1.0, 2.0]), "a": pa.array([3, 4])}
    batch = _numpy(next(iter(input_pipelines.from_arrays(given).dataset())))
    assert batch["t"].tolist() == [1, 2]
    assert batch["s"].tolist() == [b"a", b"b"]
    assert batch["p"].tolist() == [1.0, 2.0]
    assert batch["a"].tolist() == [3, 4]


def test_the_data_is_copied() -> None:
    values = np.zeros(2)
    pipeline = input_pipelines.from_arrays({"x": values})
    values[:] = 1
    assert next(iter(pipeline.dataset()))["x"].numpy().tolist() == [0, 0]


@pytest.mark.parametrize("shuffle", [False, True])
def test_fetch_in_a_traced_step_gives_what_the_dataset_gives(shuffle: bool) -> None:
    pipeline = input_pipelines.from_arrays(_features(7), np.arange(7), batch_size=3, shuffle=shuffle, num_epochs=2)
    step = tf.function(lambda tables, element: pipeline.fetch(tables, element))
    fetched = [_numpy(step(pipeline.tables(), element)) for element in pipeline.elements()]
    ready = [_numpy(batch) for batch in pipeline.dataset()]
    assert len(fetched) == len(ready) == 6
    for one, other in zip(fetched, ready, strict=True):
        _assert_equal(one, other)
    # What `tf.data` itself finds out about the batches.
    assert pipeline.element_spec == pipeline.dataset().element_spec


def test_pipelines_of_one_structure_share_a_trace_and_others_do_not() -> None:
    traces = []
    train = input_pipelines.from_arrays(_features(7), np.arange(7), batch_size=3, shuffle=True)
    test = input_pipelines.from_arrays(_features(4), np.arange(4), batch_size=2)
    assert train.fetch_key == test.fetch_key
    assert hash(train.fetch_key) == hash(test.fetch_key)
    fetch = train.fetch

    def step(tables: Any, element: Any) -> Any:
        traces.append(1)
        return fetch(tables, element)

    compiled = tf.function(step, input_signature=[train.tables_spec, tf.TensorSpec([None], tf.int64)])
    for pipeline in (train, test):
        for element in pipeline.elements():
            compiled(pipeline.tables(), element)
    assert len(traces) == 1
    others = [
        input_pipelines.from_arrays(_features(7), batch_size=3),
        input_pipelines.from_arrays(_features(7), np.arange(7.0), batch_size=3),
        input_pipelines.from_arrays({**_features(7), "more": np.zeros(7)}, np.arange(7), batch_size=3),
        input_pipelines.from_arrays(_features(7), np.arange(7), batch_size=3, drop_remainder=True),
    ]
    assert len({train.fetch_key, *(other.fetch_key for other in others)}) == 5


def test_fetch_holds_no_data() -> None:
    one = input_pipelines.from_arrays({"x": [1.0, 2.0]}, [0, 1])
    two = input_pipelines.from_arrays({"x": [5.0, 6.0, 7.0]}, [0, 1, 1])
    features, labels = one.fetch(two.tables(), tf.constant([2], tf.int64))
    assert features["x"].numpy().tolist() == [7.0]
    assert labels.numpy().tolist() == [1]


@pytest.mark.parametrize("used_before", [False, True])
def test_a_graph_without_eager_execution_takes_the_rows(used_before: bool) -> None:
    pipeline = input_pipelines.from_arrays({"x": [1, 2, 3], "s": ["a", "b", "a"]}, [0, 1, 1], batch_size=2)
    if used_before:
        assert len(list(pipeline.dataset())) == 2
    with tf.Graph().as_default():
        mapped = pipeline.map_batches(lambda features: {"y": features["x"] * 2, "s": features["s"]})
        features, labels = tf.compat.v1.data.make_one_shot_iterator(mapped.dataset()).get_next()
        with tf.compat.v1.Session() as session:
            got = [session.run((features["y"], features["s"], labels)) for _ in range(2)]
    assert [[part.tolist() for part in batch] for batch in got] == [[[2, 4], [b"a", b"b"], [0, 1]], [[6], [b"a"], [1]]]
    assert len(list(pipeline.dataset())) == 2


# Functions mapped over rows.


def _columns(features: dict[str, tf.Tensor]) -> dict[str, Any]:
    names = features["name"]
    return {
        "id": tf.strings.to_hash_bucket_fast(names, 10),
        "id2": tf.strings.to_hash_bucket_fast(tf.strings.join([names, "x"]), 10),
        "pair": tf.stack([features["float"], features["other float"]], axis=1),
        "text": tf.strings.upper(names),
        "pieces": tf.strings.split(tf.strings.join([names, " b"])),
    }


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "_CHUNK_ROWS", 4)


def _batches(pipeline: Pipeline) -> list[Any]:
    step = tf.function(lambda tables, element: pipeline.fetch(tables, element), reduce_retracing=True)
    return [step(pipeline.tables(), element) for element in pipeline.elements()]


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("lazily", [False, True])
def test_a_mapped_function_sees_every_row_once(lazily: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if lazily:
        monkeypatch.setattr(_memory, "_MOST_MAPPED_ROWS", 3)
    plain = input_pipelines.from_arrays(_features(10), np.arange(10), batch_size=3, shuffle=True, seed=2)
    mapped = plain.map_batches(_columns)
    assert mapped.position_kind == "index"
    assert (mapped.tables() == ()) is lazily
    got = _batches(mapped)
    expected = [(_columns(features), labels) for features, labels in plain.dataset()]
    assert len(got) == len(expected) == 4
    for one, other in zip(got, expected, strict=True):
        assert list(one[0]) == ["id", "id2", "pair", "text", "pieces"]
        assert one[0].pop("pieces").to_list() == other[0].pop("pieces").to_list()
        _assert_equal(_numpy(one), _numpy(other))
    tail = list(mapped.elements(start=2))
    assert len(tail) == 2
    assert list(mapped.element_spec[0]) == ["id", "id2", "pair", "text", "pieces"]
    assert mapped.element_spec[0]["pair"] == tf.TensorSpec([None, 2], tf.float32)
    ready = [batch[1].numpy().tolist() for batch in mapped.dataset()]
    assert ready == [labels.numpy().tolist() for _, labels in expected]


def test_a_mapped_table_is_kept_for_the_key_across_passes() -> None:
    calls = []

    def double(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        calls.append(1)
        return {"x": features["x"] * 2}

    pipeline = input_pipelines.from_arrays({"x": [1.0, 2.0]}, shuffle=True)
    first = pipeline.map_batches(double, key="double")
    assert len(calls) == 1
    again = pipeline().map_batches(lambda features: features, key="double")
    assert len(calls) == 1
    assert sorted(next(iter(again.dataset()))["x"].numpy().tolist()) == [2.0, 4.0]
    twice = first.map_batches(double)
    assert sorted(next(iter(twice.dataset()))["x"].numpy().tolist()) == [4.0, 8.0]


def test_sparse_results_are_made_batch_by_batch() -> None:
    pipeline = input_pipelines.from_arrays({"x": [[1, 0], [0, 2], [3, 0]]}, batch_size=2)
    mapped = pipeline.map_batches(lambda features: {"s": tf.sparse.from_dense(features["x"])})
    assert mapped.tables() == ()
    dense = [tf.sparse.to_dense(batch["s"]).numpy().tolist() for batch in mapped.dataset()]
    assert dense == [[[1, 0], [0, 2]], [[3, 0]]]


def test_a_mapped_function_must_keep_the_number_of_rows() -> None:
    pipeline = input_pipelines.from_arrays({"x": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"made 2 rows out of 3\. It must work row by row"):
        pipeline.map_batches(lambda features: {"x": features["x"][:2]})


def test_a_pipeline_describes_itself() -> None:
    pipeline = input_pipelines.from_arrays({"age": [1, 2], "job": ["a", "b"]}, [0.0, 1.0], batch_size=2)
    assert pipeline.describe().splitlines() == [
        "2 rows from arrays, batches of 2, in row order",
        "  feature age  int64    (None,)",
        "  feature job  string   (None,)",
        "  label        float64  (None,)",
    ]
    assert "2 rows from arrays" in repr(pipeline)


# Missing values and frames.

_GAPS: dict[str, tuple[list[Any], npt.NDArray[Any]]] = {
    "text": (["a", None, "b"], np.array([b"a", b"", b"b"], object)),
    "whole": ([1, None, 3], np.array([1, np.nan, 3], np.float64)),
    "real": ([0.5, None, 2.5], np.array([0.5, np.nan, 2.5], np.float64)),
    "flag": ([True, None, False], np.array([1, np.nan, 0], np.float32)),
}


@pytest.mark.parametrize("column", _GAPS)
@pytest.mark.parametrize("kind", ["list", "pandas objects", "pandas nullable", "polars", "arrow", "pandas arrow"])
def test_missing_values_become_empty_text_or_nan(column: str, kind: str) -> None:
    values, expected = _GAPS[column]
    nullable = {"text": "string", "whole": "Int64", "real": "Float64", "flag": "boolean"}[column]
    given = {
        "list": lambda: values,
        "pandas objects": lambda: pd.Series(values, dtype=object),
        "pandas nullable": lambda: pd.Series(values, dtype=nullable),
        "polars": lambda: pl.Series(values),
        "arrow": lambda: pa.chunked_array([values[:1], values[1:]]),
        "pandas arrow": lambda: pd.Series(pa.array(values), dtype=pd.ArrowDtype(pa.array(values).type)),
    }[kind]()
    got = next(iter(input_pipelines.from_arrays({"x": given}).dataset()))["x"].numpy()
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


def _frames() -> dict[str, Any]:
    data = {
        "age": [25, 38, 61],
        "job": ["nurse", "cook", "nurse"],
        "pay": [1.5, float("nan"), 3.5],
        "away": [True, False, True],
        "rich": [0, 1, 1],
    }
    arrow = pa.table(data)
    coded = arrow.set_column(1, "job", arrow["job"].dictionary_encode())
    return {
        "dict": data,
        "pandas": pd.DataFrame(data),
        "pandas indexed": pd.DataFrame(data, index=[7, 7, 9]),
        "pandas categories": pd.DataFrame(data).astype({"job": "category"}),
        "pandas nullable": pd.DataFrame(data).convert_dtypes().astype({"pay": "float64"}),
        "polars": pl.DataFrame(data),
        "polars categories": pl.DataFrame(data).with_columns(pl.col("job").cast(pl.Categorical)),
        "arrow": arrow,
        "arrow dictionary": coded,
    }


@pytest.mark.parametrize("kind", _frames())
def test_all_frames_give_equal_batches(kind: str) -> None:
    frames = _frames()
    pipelines = [input_pipelines.from_dataframe(frames[k], "rich", batch_size=2) for k in ("dict", kind)]
    for one, other in zip(*(pipeline.dataset() for pipeline in pipelines), strict=True):
        _assert_equal(_numpy(one), _numpy(other))
    assert pipelines[0].fetch_key == pipelines[1].fetch_key


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pd.Series(pd.Categorical(["b", None, "a"])), [b"b", b"", b"a"]),
        (pd.Series(pd.Categorical([3, 1, 3])), [3, 1, 3]),
        (pd.Series(pd.Categorical([3, None, 3])), [3.0, None, 3.0]),
        (pd.Series(["ü", "x"]), ["ü".encode(), b"x"]),
        (pl.Series(["b", None, "a"], dtype=pl.Categorical), [b"b", b"", b"a"]),
        (pl.Series(["b", "b"], dtype=pl.Enum(["a", "b"])), [b"b", b"b"]),
        (pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int32, 2)), [[1, 2], [3, 4]]),
        (pl.Series([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)), [[1, 2], [3, 4]]),
        (pa.array([["a", "b"], ["c", "d"]]), [[b"a", b"b"], [b"c", b"d"]]),
        (pa.array([None, None], pa.string()), [b"", b""]),
        (pd.Series([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0]]),
        ([None, None], [None, None]),
        (np.array([1, 2], ">i4"), [1, 2]),
        (np.ma.array([1, 2, 3], mask=[False, True, False]), [1.0, None, 3.0]),
        (np.ma.array(["a", "b"], mask=[False, True]), [b"a", b""]),
        (np.ma.array([1, 2]), [1, 2]),
        (pd.array([1, None], "Int64"), [1.0, None]),
        ([2**53, None, -(2**53)], [2.0**53, None, -(2.0**53)]),
    ],
)
def test_special_columns(given: Any, expected: list[Any]) -> None:
    got = next(iter(input_pipelines.from_arrays({"x": given}).dataset()))["x"].numpy()
    assert [None if isinstance(row, float) and np.isnan(row) else row for row in got.tolist()] == expected


def test_several_labels_are_a_dict() -> None:
    pipeline = input_pipelines.from_dataframe({"x": [1, 2], "y": [3, 4], "z": ["a", "b"]}, ["y", "z"])
    features, labels = next(iter(pipeline.dataset()))
    assert list(features) == ["x"]
    assert labels["y"].numpy().tolist() == [3, 4]
    assert labels["z"].numpy().tolist() == [b"a", b"b"]
    assert next(iter(input_pipelines.from_dataframe({"x": [1, 2]}).dataset()))["x"].numpy().tolist() == [1, 2]


_DAY = datetime.datetime(1970, 1, 2, 0, 0, 1, 500_000)
_TIMES: dict[str, Any] = {
    "NumPy": {"t": np.array(["1970-01-02T00:00:01.5", "NaT"], "M8[ms]")},
    "pandas": pd.DataFrame({"t": pd.to_datetime([_DAY, None])}),
    "pandas zoned": pd.DataFrame({"t": pd.to_datetime([_DAY, None], utc=True).tz_convert("Asia/Tokyo")}),
    "polars": pl.DataFrame({"t": [_DAY, None]}),
    "Arrow": pa.table({"t": pa.array([_DAY, None])}),
}


@pytest.mark.parametrize("frame", _TIMES.values(), ids=_TIMES)
def test_times_are_seconds_since_1970(frame: Any) -> None:
    (batch,) = input_pipelines.from_dataframe(frame).dataset()
    # 24 * 3600 + 1.5
    np.testing.assert_array_equal(batch["t"], np.array([86401.5, np.nan]))


@pytest.mark.parametrize("frame", [pl.DataFrame, lambda columns: pa.table(columns)], ids=["polars", "Arrow"])
def test_dates_are_seconds_since_1970(frame: Any) -> None:
    (batch,) = input_pipelines.from_dataframe(frame({"t": [datetime.date(1970, 1, 3), None]})).dataset()
    np.testing.assert_array_equal(batch["t"], np.array([2 * 86400.0, np.nan]))
