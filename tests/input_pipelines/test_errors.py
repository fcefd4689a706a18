"""Bad input is refused before any work, in words that name it and say what to do."""

from __future__ import annotations

import datetime
import decimal
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import tensorflow as tf

from headway import input_pipelines

_X = {"x": [1.0, 2.0, 3.0]}
_MIXED = pd.Series([1, "a", None], dtype=object)

_ARRAYS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "lengths of features": ({"a": [1, 2], "b": [1, 2, 3]}, None, {}, r"'a' has 2 and 'b' has 3"),
    "length of labels": (_X, [0, 1], {}, r"'x' has 3 and `labels` has 2"),
    "length of one of several labels": (_X, {"p": [1, 2, 3], "q": [1]}, {}, r"'x' has 3 and label 'q' has 1"),
    "length beside one array": (np.zeros([3, 2]), [1], {}, r"'features' has 3 and `labels` has 1"),
    "no columns": ({}, None, {}, r"`features` must have at least one column\. Received: an empty dict"),
    "no label columns": (_X, {}, {}, r"`labels` must have at least one column"),
    "no rows": ({"x": []}, [], {}, r"The data is empty: there are columns, but no rows"),
    "batch size zero": (
        _X,
        None,
        {"batch_size": 0},
        r"`batch_size` must be a whole number of at least 1\. Received: 0",
    ),
    "batch size negative": (_X, None, {"batch_size": -2}, r"`batch_size` must .* Received: -2"),
    "batch size float": (_X, None, {"batch_size": 2.5}, r"`batch_size` must .* Received: 2\.5"),
    "batch size bool": (_X, None, {"batch_size": True}, r"`batch_size` must .* Received: True"),
    "epochs zero": (_X, None, {"num_epochs": 0}, r"`num_epochs` must be at least 1, or None .* Received: 0"),
    "epochs negative": (_X, None, {"num_epochs": -1}, r"`num_epochs` must be .* Received: -1"),
    "shuffle": (_X, None, {"shuffle": "yes"}, r"`shuffle` must be True or False\. Received: 'yes'"),
    "drop_remainder": (_X, None, {"drop_remainder": 1}, r"`drop_remainder` must be True or False\. Received: 1"),
    "seed": (_X, None, {"seed": "a"}, r"`seed` must be an integer .* Received: 'a'"),
    "seed too large": (_X, None, {"seed": 2**63}, r"`seed` must be an integer of at most 64 bits"),
    "all dropped": (
        _X,
        None,
        {"batch_size": 4, "drop_remainder": True},
        r"would drop all data: `batch_size` is 4.* 3 rows",
    ),
    "ragged lists": ({"x": [[1, 2], [3]]}, None, {}, r"'x' is ragged: row 0 holds 2 values, row 1 1 values\. Pad"),
    "ragged objects": ({"x": pd.Series([[1], [2, 3]])}, None, {}, r"'x' is ragged: row 0 holds 1 values, row 1 2"),
    "lists and numbers": ({"x": pd.Series([[1], 2])}, None, {}, r"'x' is ragged: row 0 holds 1 values, row 1 a single"),
    "ragged tensor": ({"x": tf.ragged.constant([[1], []])}, None, {}, r"'x' is a RaggedTensor; data in memory must be"),
    "sparse tensor": ({"x": tf.sparse.from_dense([[1]])}, None, {}, r"'x' is a SparseTensor"),
    "rank 0": (
        {"x": 3.0, "y": [1]},
        None,
        {},
        r"'x' must be an array or a list with one value for each row\. Received: 3\.0",
    ),
    "rank 0 array": ({"x": np.float32(3)}, None, {}, r"'x' must have one value for each row.*rank 0"),
    "text as a column": ({"x": "abc"}, None, {}, r"'x' must be an array or a list .* Received: 'abc'"),
    "keys": ({0: [1]}, None, {}, r"names must be strings, in `features`\. Received: 0 \(int\)"),
    "label keys": (_X, {1: [1, 2, 3]}, {}, r"names must be strings, in `labels`\. Received: 1"),
    "mixed types": ({"x": _MIXED}, None, {}, r"'x' mixes types: 1 \(int\) in row 0, 'a' \(str\) in row 1"),
    "numbers in text": ({"x": ["a", 2.5]}, None, {}, r"'x' mixes types: 'a' \(str\) in row 0, 2\.5 \(float\) in row 1"),
    "bytes in text": ({"x": ["a", b"b"]}, None, {}, r"'x' mixes types: 'a' \(str\) in row 0, b'b' \(bytes\) in row 1"),
    "flags in numbers": (
        {"x": np.array([1, True], object)},
        None,
        {},
        r"mixes types: 1 \(int\) .* True \(bool\) in row 1",
    ),
    "numbers in flags": (
        {"x": np.array([True, 1.5], object)},
        None,
        {},
        r"mixes types: True \(bool\) .* 1\.5 \(float\)",
    ),
    "other objects": (
        {"x": [decimal.Decimal(1), None]},
        None,
        {},
        r"'x' holds Decimal\('1'\) \(Decimal\) in row 0; it must",
    ),
    "a sparse matrix of SciPy": (
        {"x": scipy.sparse.csr_matrix(np.eye(2))},
        None,
        {},
        r"'x' must have one value.*a sparse matrix of SciPy, of shape \(2, 2\). Make it dense with `.toarray\(\)`",
    ),
    "a dict in a dict": ({"x": {"age": [1]}}, None, {}, r"'x' .* a dict with the keys \['age'\].*such as 'x/age'"),
    "a set": ({"x": {1, 2}}, None, {}, "'x' .* a set, which has no order. Make it a list"),
    "a structured array": (
        np.zeros(2, [("a", "f4"), ("b", "i4")]),
        None,
        {},
        r"a structured array with the fields \['a', 'b'\]. Give each field as a column",
    ),
    "gaps among large numbers": (
        {"x": [2**53 + 1, None]},
        None,
        {},
        r"'x' .* beyond 2\*\*53, such as 9007199254740993",
    ),
    "gaps among large numbers of pandas": (
        {"x": pd.array([-(2**60), None], "Int64")},
        None,
        {},
        r"'x' .* beyond 2\*\*53",
    ),
    "gaps among large categories": ({"x": pd.Categorical([2**60, None])}, None, {}, r"'x' .* beyond 2\*\*53"),
    "gaps among large numbers of Arrow": ({"x": pa.array([2**60, None])}, None, {}, r"'x' .* beyond 2\*\*53"),
    "gaps among large numbers of polars": ({"x": pl.Series([2**60, None])}, None, {}, r"'x' .* beyond 2\*\*53"),
    "too large numbers": ({"x": [2**70, 1]}, None, {}, r"'x' holds whole numbers beyond 64 bits"),
    "complex": ({"x": np.array([1j])}, None, {}, r"'x' has type complex128; it must be of booleans, integers, floats"),
    "durations": ({"x": np.array([1, 2], "m8[s]")}, None, {}, r"'x' holds durations"),
    "name for labels": (_X, "y", {}, r"`labels` must be an array\. Received: the name 'y'"),
    "frame for features": (pd.DataFrame(_X), None, {}, r"Use `from_dataframe\(frame, label=\.\.\.\)`"),
    "NaN label": (_X, [0.0, np.nan, 1.0], {}, r"`labels` must be finite, but row 1 holds nan\. Drop the rows"),
    "infinite label": (_X, {"p": [[0.0], [1.0], [np.inf]]}, {}, r"The label 'p' must be finite, but row 2 holds"),
    "missing text label": (_X, ["a", "b", None], {}, r"`labels` is missing in row 2"),
    "missing whole label": (
        _X,
        pd.Series([1, None, 2], dtype="Int64"),
        {},
        r"`labels` must be finite, but row 1 holds nan",
    ),
}


@pytest.mark.parametrize("case", _ARRAYS.values(), ids=_ARRAYS.keys())
def test_from_arrays(case: tuple[Any, Any, dict[str, Any], str]) -> None:
    features, labels, options, message = case
    with pytest.raises(ValueError, match=message):
        input_pipelines.from_arrays(features, labels, **options)


def test_labels_given_twice() -> None:
    values = np.array([1, 2])
    with pytest.raises(ValueError, match=r"The labels are given twice, also as the feature 'y'"):
        input_pipelines.from_arrays({"x": [1, 2], "y": values}, values)


_FRAME = {"age": [1, 2], "income": [0.0, 1.0]}
_FRAMES: dict[str, tuple[Any, Any, str]] = {
    "unknown label": (
        _FRAME,
        "incom",
        r"`label` 'incom' is not among the columns\. Did you mean 'income'\? Columns: 'age'",
    ),
    "unknown label of pandas": (
        pd.DataFrame(_FRAME),
        "zzz",
        r"`label` 'zzz' is not among the columns\. Columns: 'age', 'inc",
    ),
    "label twice": (pl.DataFrame(_FRAME), ["age", "age"], r"`label` names the column 'age' twice"),
    "empty label list": (_FRAME, [], r"`label` must be a column name, a list of names, or None"),
    "nothing but the label": (_FRAME, ["age", "income"], r"no columns besides the label"),
    "duplicate columns": (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, r"'a' comes more than once in the pandas"),
    "duplicate Arrow columns": (pa.table([[1], [2]], ["a", "a"]), None, r"'a' comes more than once in the Arrow table"),
    "columns without names": (pd.DataFrame([[1, 2]]), None, r"must be strings, in the pandas data frame\. Received: 0"),
    "no frame": ([1, 2], None, r"`frame` must be a pandas or polars .* Received: list"),
    "lazy frame": (pl.DataFrame(_FRAME).lazy(), None, r"Received: LazyFrame\. Call `collect\(\)` on it first"),
    "no rows": (pd.DataFrame({"x": [], "y": []}), "y", r"The data is empty"),
    "missing label": (pd.DataFrame({"x": [1, 2], "y": ["a", None]}), "y", r"The label 'y' is missing in row 1"),
    "NaN label": (pl.DataFrame({"x": [1, 2], "y": [1, None]}), "y", r"The label 'y' must be finite, but row 1"),
    "pandas periods": (pd.DataFrame({"t": pd.period_range("2024", periods=2)}), None, r"'t' holds periods"),
    "polars times of day": (pl.DataFrame({"t": [datetime.time(12)]}), None, r"'t' holds times of day"),
    "polars structs": (pl.DataFrame({"t": [{"a": 1}]}), None, r"Column 't'"),
    "Arrow times of day": (pa.table({"t": [datetime.time(12)]}), None, r"'t' holds times of day"),
    "Arrow lists": (pa.table({"t": [[1], [2, 3]]}), None, r"'t' is ragged: row 0 holds 1 values, row 1 2 values"),
    "pandas mixed": (pd.DataFrame({"t": [1, "a"]}), None, r"'t' mixes types: 1 \(int\) in row 0, 'a' \(str\) in row 1"),
    "pandas complex": (pd.DataFrame({"t": [1j]}), None, r"'t' has type complex128"),
}


@pytest.mark.parametrize("case", _FRAMES.values(), ids=_FRAMES.keys())
def test_from_dataframe(case: tuple[Any, Any, str]) -> None:
    frame, label, message = case
    with pytest.raises(ValueError, match=message):
        input_pipelines.from_dataframe(frame, label)


_CSV: dict[str, tuple[str, dict[str, Any], str]] = {
    "empty file": ("", {}, r"The files are empty: '.*data\.csv'"),
    "header only": ("a,b\n", {}, r"The files hold no rows: '.*data\.csv'"),
    "no header no rows": ("\n\n", {"header": False, "columns": ["a"]}, r"The files hold no rows"),
    "duplicate names": ("a,b,a\n1,2,3\n", {}, r"The column name 'a' comes more than once in the header of .*data\.csv"),
    "no names": ("1,2\n", {"header": False}, r"With `header=False`, `columns` must name the fields"),
    "duplicate given names": (
        "1,2\n",
        {"header": False, "columns": ["a", "a"]},
        r"'a' comes more than once in `columns`",
    ),
    "text for columns": ("a\n1\n", {"columns": "a"}, r"`columns` must be a list of names\. Received: 'a'"),
    "missing column": (
        "age,b\n1,2\n",
        {"columns": ["agee"]},
        r"'agee' is not among the columns\. Did you mean 'age'\?",
    ),
    "unknown label": (
        "age,rich\n1,2\n",
        {"label": "rch"},
        r"`label` 'rch' is not among the columns\. Did you mean 'rich'\?",
    ),
    "label twice": ("a,b\n1,2\n", {"label": ["a", "a"]}, r"`label` names the column 'a' twice"),
    "nothing but the label": ("a\n1\n", {"label": "a"}, r"No columns are left for features"),
    "unknown dtype column": ("a\n1\n", {"dtypes": {"b": "int64"}}, r"`dtypes`: 'b' is not among the columns"),
    "bad dtype": ("a\n1\n", {"dtypes": {"a": "bool"}}, r"`dtypes` for the column 'a' must be one of int32, .*'bool'"),
    "no dtype": ("a\n1\n", {"dtypes": {"a": "zzz"}}, r"`dtypes` for the column 'a' must be one of .* Received: 'zzz'"),
    "unknown default column": ("a\n1\n", {"defaults": {"b": 1}}, r"`defaults`: 'b' is not among the columns"),
    "bad default": (
        "a\n1\n",
        {"defaults": {"a": "x"}},
        r"`defaults` for the column 'a' must be .* int64\. Received: 'x'",
    ),
    "fraction as default": ("a\n1\n", {"defaults": {"a": 0.5}}, r"must be a value of type int64\. Received: 0\.5"),
    "number as text": ("a\nx\n", {"defaults": {"a": 1}}, r"must be a value of type string\. Received: 1"),
    "delimiter": ("a\n1\n", {"delimiter": ", "}, r"`delimiter` must be one ASCII character.* Received: ', '"),
    "quote": ("a\n1\n", {"quote": "'"}, r"`quote` must be '\"', or None .* Received: \"'\""),
    "comment": ("a\n1\n", {"comment": ""}, r"`comment` must be a text .* Received: ''"),
    "na_values": ("a\n1\n", {"na_values": [-1]}, r"`na_values` must be text.* Received: -1"),
    "batch size": ("a\n1\n", {"batch_size": 0}, r"`batch_size` must be a whole number of at least 1\. Received: 0"),
    "epochs": ("a\n1\n", {"num_epochs": 0}, r"`num_epochs` must be .* Received: 0"),
    "buffer": ("a\n1\n", {"shuffle": True, "shuffle_buffer": 0}, r"`shuffle_buffer` must be .* Received: 0"),
    "number of fields": (
        "a,b\n1,2\n1,2,3\n",
        {},
        r"data\.csv, line 3: 3 fields, but 2 are expected \('a', 'b'\).*'1,2,3'",
    ),
    "text that is not UTF-8": ("a\nx\n\udcff\n", {}, r"data\.csv, line 3: not UTF-8 text"),
}


@pytest.mark.parametrize("case", _CSV.values(), ids=_CSV.keys())
def test_from_csv(tmp_path: pathlib.Path, case: tuple[str, dict[str, Any], str]) -> None:
    text, options, message = case
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=message):
        input_pipelines.from_csv(path, **options)


def test_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"`file_pattern` matches no file\. Received: '.*none\*\.csv'"):
        input_pipelines.from_csv(tmp_path / "none*.csv")
    with pytest.raises(ValueError, match=r"`file_pattern` must name at least one file"):
        input_pipelines.from_csv([])
    for name, header in (("1.csv", "a,b"), ("2.csv", "b,a")):
        (tmp_path / name).write_text(f"{header}\n1,2\n")
    with pytest.raises(ValueError, match=r"All files must have the same header.*2\.csv, line 1, has 'b', 'a'"):
        input_pipelines.from_csv(tmp_path / "*.csv")


def test_datasets_and_positions() -> None:
    with pytest.raises(ValueError, match=r"`dataset` must be a tf\.data\.Dataset\. Received: list"):
        input_pipelines.from_dataset([1])
    pipeline = input_pipelines.from_arrays(_X)
    with pytest.raises(ValueError, match=r"`start` must be a batch number of at least 0\. Received: -1"):
        pipeline.elements(-1)
    with pytest.raises(ValueError, match=r"`index` must be a whole number from 0 to 1 for 2 shards\. Received: 2"):
        pipeline.shard(2, 2)
    with pytest.raises(ValueError, match=r"is shard 0 of 2 already\. Shard the whole one"):
        pipeline.shard(2, 0).shard(2, 0)
    with pytest.raises(ValueError, match=r"`seed` must be an integer"):
        pipeline.with_seed(None)  # type: ignore[arg-type]
