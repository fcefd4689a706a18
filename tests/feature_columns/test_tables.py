"""The tables that describe columns and data, and the columns that are proposed for a table."""

from __future__ import annotations

import datetime
import pathlib
import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tensorflow as tf

from headway import feature_columns as fc


def rows(table: Any) -> dict[str, dict[str, Any]]:
    return {row["column"]: {name: value for name, value in row.items() if value is not None} for row in table}


class TestReport:
    def test_vocabulary(self) -> None:
        # Two of four rows have a value; of the four values x and z are outside; c is never met.
        column = fc.categorical_column_with_vocabulary_list("w", ["a", "b", "c"], default_value=0)
        data = {"w": [["a", "x"], ["", ""], ["b", "z"], ["", ""]]}
        expected = {"column": "w", "rows": 4, "missing": 0.5, "out_of_vocabulary": 0.5, "distinct": 4, "buckets": 3}
        assert rows(fc.report(column, data))["w"] == {**expected, "unused": pytest.approx(1 / 3)}

    def test_values_outside_that_have_ids(self) -> None:
        column = fc.categorical_column_with_vocabulary_list("w", ["a"], num_oov_buckets=1)
        assert rows(fc.report(column, {"w": ["a", "x", "y", "a"]}))["w"]["out_of_vocabulary"] == 0.5
        identity = fc.categorical_column_with_identity("i", 3, default_value=0)
        assert rows(fc.report(identity, {"i": [0, 5, 2, -1]}))["i"]["out_of_vocabulary"] == pytest.approx(1 / 3)

    @pytest.mark.parametrize("batch_size", [7, 1000])
    def test_collisions_of_hashes(self, batch_size: int) -> None:
        words = [f"w{number}" for number in range(300)]
        buckets = tf.strings.to_hash_bucket_fast(words, 100).numpy()
        sizes = np.bincount(buckets, minlength=100)
        data = tf.data.Dataset.from_tensor_slices({"w": words * 2}).batch(batch_size)
        row = rows(fc.report(fc.categorical_column_with_hash_bucket("w", 100), data))["w"]
        assert (row["rows"], row["missing"], row["distinct"], row["buckets"]) == (600, 0.0, 300, 100)
        assert row["unused"] == pytest.approx((sizes == 0).mean())
        assert row["collisions"] == pytest.approx(sizes[sizes > 1].sum() / 300)

    def test_a_cross_and_what_is_crossed(self) -> None:
        age = fc.bucketized_column(fc.numeric_column("age"), [10.0])
        cross = fc.crossed_column([age, "w"], 1000)
        table = rows(fc.report([cross, age], {"age": [1.0, 20.0, 2.0, 30.0], "w": ["a", "a", "a", "b"]}))
        assert list(table) == ["age_bucketized_X_w", "age_bucketized", "age"]
        # Young and a, old and a, old and b.
        assert table["age_bucketized_X_w"]["distinct"] == 3
        assert table["age_bucketized_X_w"]["collisions"] == 0.0
        assert table["age"]["max"] == 30.0

    def test_numbers_are_those_of_the_model_and_gaps_those_of_the_data(self) -> None:
        column = fc.adapt(
            fc.numeric_column("x", normalizer_fn=fc.learned_scale()), {"x": [1.0, 3.0]}
        )  # mean 2, deviation 1
        row = rows(fc.report(column, {"x": [2.0, None, 4.0, 2.0]}))["x"]
        assert row == {
            "column": "x",
            "rows": 4,
            "missing": 0.25,
            "min": 0.0,
            "max": 2.0,
            "mean": 0.5,
            "stddev": row["stddev"],
        }
        assert row["stddev"] == pytest.approx(np.std([0.0, 0.0, 2.0, 0.0]))

    def test_text(self) -> None:
        known = fc.text_column("t", vocabulary=["a", "b"])
        hashed = fc.embedding_column(fc.text_column("s", hash_bucket_size=1), 2)
        table = rows(fc.report([known, hashed], {"t": ["A c", "", "b"], "s": ["x y x", "y", ""]}))
        assert (table["t_tokens"]["out_of_vocabulary"], table["t_tokens"]["distinct"]) == (pytest.approx(1 / 3), 3)
        assert (table["s_tokens"]["distinct"], table["s_tokens"]["collisions"]) == (2, 1.0)

    def test_weights_files_and_sequences(self, tmp_path: pathlib.Path) -> None:
        file = tmp_path / "words.txt"
        file.write_text("a\nb\n")
        word = fc.categorical_column_with_vocabulary_file("w", file)
        steps = fc.sequence_categorical_column_with_vocabulary_list("s", ["a"])
        columns = [fc.embedding_column(fc.weighted_categorical_column(word, "n"), 2), fc.indicator_column(steps)]
        table = rows(fc.report(columns, {"w": ["a", "z"], "n": [1.0, 2.0], "s": [["a", "b", ""], ["a", "", ""]]}))
        assert (table["w"]["out_of_vocabulary"], table["w"]["unused"]) == (0.5, 0.5)
        # Of six steps three are filled up; of the others one in three is unknown.
        assert (table["s"]["rows"], table["s"]["missing"]) == (6, 0.5)
        assert table["s"]["out_of_vocabulary"] == pytest.approx(1 / 3)

    def test_no_rows(self) -> None:
        columns = [fc.numeric_column("x"), fc.categorical_column_with_hash_bucket("w", 3)]
        empty = tf.data.Dataset.from_tensor_slices({"x": [1.0], "w": ["a"]}).take(0).batch(2)
        table = rows(fc.report(columns, empty))
        assert [row["rows"] for row in table.values()] == [0, 0]

    def test_not_adapted(self) -> None:
        with pytest.raises(ValueError, match="Column 'w' has a `vocabulary_list` that is not learnt yet"):
            fc.report(fc.categorical_column_with_vocabulary_list("w", fc.learned_vocabulary()), {"w": ["a"]})


class TestDescribe:
    def test_columns_that_are_adapted(self) -> None:
        word = fc.categorical_column_with_vocabulary_list("w", ["a", "b"], num_oov_buckets=1)
        table = fc.describe({"deep": [fc.embedding_column(word, 4), fc.numeric_column("x", shape=3)], "wide": word})
        first, second, third = table
        assert first == {
            "column": "w_embedding",
            "features": ("w",),
            "dtype": ("string",),
            "kind": "embedding of vocabulary list",
            "shape_in": "(n)",
            "buckets": 3,
            "missing": "counts as absent",
            "unknown": "hashed into 1",
            "shape_out": "(4,)",
            "parameters": 12,
            "to_learn": None,
        }
        assert (second["missing"], second["shape_in"], second["parameters"]) == ("NaN", "(3,)", 0)
        assert (third["shape_out"], third["parameters"]) == (None, None)
        assert table.rows == list(table)

    def test_columns_that_are_not(self) -> None:
        word = fc.categorical_column_with_vocabulary_list("w", fc.learned_vocabulary())
        first, second = fc.describe(
            [fc.embedding_column(word, 4), fc.numeric_column("x", normalizer_fn=fc.learned_scale())]
        )
        assert (first["buckets"], first["parameters"], first["to_learn"]) == (None, None, ("LearnedVocabulary",))
        assert (second["shape_out"], second["to_learn"]) == ("(1,)", ("LearnedScale",))

    def test_a_table_that_says_to_the_model_what_it_is(self) -> None:
        frozen = fc.embedding_column(fc.categorical_column_with_identity("i", 5), 2, trainable=False)
        assert fc.describe(frozen)[0]["parameters"] == 0
        assert fc.describe(frozen)[0]["unknown"] == "error"


def frame() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    count = 400
    answer = rng.integers(0, 2, count)
    kind = rng.integers(0, 5, count)
    start = datetime.datetime(2024, 1, 1)
    return {
        "label": answer,
        "row": np.arange(count),
        "customer_id": rng.permutation(count * 7)[:count],
        "uuid": [f"{number:08x}" for number in rng.permutation(10**6)[:count]],
        "constant": ["x"] * count,
        "empty": [None] * count,
        "leak": np.where(answer == 1, "yes", "no"),
        "kind": [f"k{number}" for number in kind],
        "kind_name": [f"the {number}th" for number in kind],
        "city": [f"c{number}" for number in rng.integers(0, 60, count)],
        "stars": rng.integers(1, 6, count),
        "flag": rng.random(count) < 0.5,
        "height": rng.normal(170, 10, count),
        "income": np.exp(rng.normal(0, 2.5, count)),
        "gap": np.where(rng.random(count) < 0.25, np.nan, rng.normal(0, 1, count)),
        "review": [" ".join(rng.choice(["good", "bad", "very", "food", "wine"], 7)) + f" {n}" for n in range(count)],
        "signed": [
            (start + datetime.timedelta(days=int(day))).strftime("%Y-%m-%d") for day in rng.integers(0, 700, count)
        ],
        "pair": rng.normal(size=(count, 2)),
    }


def code_of(proposal: Any, name: str) -> str:
    (line,) = [line.strip() for line in proposal.code.splitlines() if f"'{name}'" in line and "fc." in line]
    return line.removesuffix(",")


class TestPropose:
    def test_what_is_left_out_has_a_reason(self) -> None:
        left_out = fc.propose(frame(), label="label").left_out
        assert left_out == {
            "row": "numbers the rows",
            "customer_id": "an identifier: its name says so, and hardly a value comes twice",
            "uuid": "an identifier: hardly a value comes twice",
            "constant": "one value only, 'x'",
            "empty": "no value at all",
            "leak": "gives the label away (one value of 'label' for each of its values); was it known beforehand?",
            "kind_name": "says the same as 'kind', value for value",
        }

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            (
                "kind",
                "fc.indicator_column(fc.categorical_column_with_vocabulary_list('kind', fc.learned_vocabulary(), "
                "num_oov_buckets=1))",
            ),
            (
                "stars",
                "fc.indicator_column(fc.categorical_column_with_vocabulary_list('stars', fc.learned_vocabulary(), "
                "dtype='int64'))",
            ),
            ("flag", "fc.numeric_column('flag')"),
            ("height", "fc.numeric_column('height', normalizer_fn=fc.learned_scale())"),
            ("gap", "fc.numeric_column('gap', normalizer_fn=fc.learned_scale())"),
            ("income", "fc.bucketized_column(fc.numeric_column('income'), fc.learned_quantiles(10))"),
            ("signed", "fc.datetime_column('signed', ['weekday', 'day_of_year', 'year'])"),
            ("pair", "fc.numeric_column('pair', shape=2, normalizer_fn=fc.learned_scale())"),
        ],
    )
    def test_columns(self, name: str, code: str) -> None:
        assert code_of(fc.propose(frame(), label="label"), name) == code

    def test_many_categories_become_vectors_and_sentences_words(self) -> None:
        proposal = fc.propose(frame(), label="label")
        assert code_of(proposal, "city").startswith("fc.embedding_column(fc.categorical_column_with_vocabulary_list(")
        assert code_of(proposal, "review").startswith("fc.embedding_column(fc.text_column('review'")
        # Of 400 rows a quarter, give or take, lacks a value.
        assert re.search(r"# gap: \d+ different numbers .*; 2\d% missing", proposal.code)

    @pytest.mark.parametrize(
        "as_frame", [dict, lambda table: pd.DataFrame({k: v for k, v in table.items() if k != "pair"})]
    )
    def test_the_code_runs_makes_the_columns_and_these_fit(self, as_frame: Any) -> None:
        table = as_frame(frame())
        proposal = fc.propose(table, label="label")
        names: dict[str, Any] = {}
        exec(str(proposal), names)
        assert names["columns"] == proposal.columns
        adapted = fc.adapt(proposal.columns, table)
        batch = {name: table[name] for name in table if name not in {"label", *proposal.left_out}}
        if isinstance(table, pd.DataFrame):
            batch = {name: values.to_numpy() for name, values in batch.items()}
        result = fc.DenseFeatures(adapted)(batch).numpy()
        assert len(result) == 400
        assert np.isfinite(result).all()

    def test_times_of_all_kinds(self) -> None:
        times = [datetime.datetime(2024, 1, day, 12) for day in range(1, 21)]
        for table in (
            pd.DataFrame({"t": times}),
            pl.DataFrame({"t": times}),
            pa.table({"t": times}),
            {"t": np.array(times, "M8[s]")},
        ):
            proposal = fc.propose(table)
            assert code_of(proposal, "t") == "fc.datetime_column('t', ['hour', 'weekday', 'day_of_year', 'year'])"
        german = [time.strftime("%d.%m.%Y") for time in times]
        assert code_of(fc.propose({"t": german}), "t").endswith("'year'], format='%d.%m.%Y')")

    def test_many_different_strings_are_hashed(self) -> None:
        rng = np.random.default_rng(0)
        proposal = fc.propose({"w": [f"w{number}" for number in rng.integers(0, 12_000, 60_000)]})
        assert "categorical_column_with_hash_bucket('w', hash_bucket_size=2" in code_of(proposal, "w")

    def test_most_numbers_are_zero(self) -> None:
        numbers = np.concatenate([np.zeros(900), np.exp(np.arange(100.0) / 10)])
        (column,) = fc.propose({"x": numbers}).columns
        # A tenth of the rows shares some ten intervals.
        assert 8 <= len(fc.adapt(column, {"x": numbers}).boundaries) <= 11

    def test_names_that_could_be_code(self) -> None:
        name = "a'\ncolumns = [print('x')] #"
        table = {name: [1.5, 2.5, 3.5], "columns = [": ["x", "x", "x"]}
        proposal = fc.propose(table)
        assert [column.key for column in proposal.columns] == [name]  # type: ignore[attr-defined]
        assert proposal.left_out == {"columns = [": "one value only, 'x'"}

    @pytest.mark.parametrize(
        ("table", "label", "message"),
        [
            ({"x": [1.0]}, "y", r"`label` 'y' of propose is not among the columns\. Columns: \['x'\]"),
            ({"x": []}, None, "has no rows"),
            ({"x": [1.0], "y": [1.0, 2.0]}, None, "must have one length"),
            ({"x": [1.0, 1.0]}, None, "Nothing is left to propose: {'x': 'one value only, 1'}"),
            ([1.0], None, "must be a pandas or polars data frame"),
            (pd.DataFrame({"t": [1, "a"]}), None, "'t' mixes types: 1"),
        ],
    )
    def test_errors(self, table: Any, label: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message.replace("{", r"\{")):
            fc.propose(table, label=label)
