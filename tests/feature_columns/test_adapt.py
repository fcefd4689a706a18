"""What columns learn from data, and how it is kept."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines

NUMBERS = [1.0, 2.0, float("nan"), 3.0, 6.0]
WORDS = ["b", "a", "", "b", "c"]
TABLE = {"number": NUMBERS, "word": WORDS, "id": [7, 7, -1, 3, 3]}


def vocabulary(key: str = "word", dtype: Any = tf.string, **options: Any) -> Any:
    return fc.categorical_column_with_vocabulary_list(key, fc.learned_vocabulary(**options), dtype)


def columns() -> list[Any]:
    return [
        fc.numeric_column("number", normalizer_fn=fc.learned_scale()),
        fc.bucketized_column(fc.numeric_column("number"), fc.learned_quantiles(2)),
        fc.indicator_column(vocabulary()),
        fc.crossed_column([vocabulary(), vocabulary("id", tf.int64)], 9),
    ]


def check(adapted: Any) -> None:
    scale, buckets, indicator, cross = adapted
    # Mean of 1, 2, 3, 6 is 3; squared distances 4 + 1 + 0 + 9 = 14 over 4.
    assert scale.normalizer_fn.mean == (3.0,)
    assert scale.normalizer_fn.stddev == pytest.approx((3.5**0.5,), rel=1e-12)
    # Two of four numbers lie below 3.
    assert buckets.boundaries == (3.0,)
    # b twice; a and c once, in their own order; '' is missing.
    assert indicator.categorical_column.vocabulary_list == ("b", "a", "c")
    # 3 and 7 twice each; -1 is missing.
    assert [key.vocabulary_list for key in cross.keys] == [("b", "a", "c"), (3, 7)]


DATA: dict[str, Any] = {
    "dict": TABLE,
    "pandas": pd.DataFrame(TABLE),
    "pandas with None": pd.DataFrame({**TABLE, "word": ["b", "a", None, "b", "c"], "id": pd.array([7, 7, None, 3, 3])}),
    "polars": pl.DataFrame({**TABLE, "number": [1.0, 2.0, None, 3.0, 6.0]}),
    "Arrow": pa.table({**TABLE, "word": ["b", "a", None, "b", "c"]}),
    "pipeline": input_pipelines.from_arrays(TABLE, [0, 1, 0, 1, 1], batch_size=2),
    "endless pipeline": input_pipelines.from_arrays(TABLE, batch_size=2, shuffle=True, num_epochs=None, seed=1),
    "dataset": tf.data.Dataset.from_tensor_slices(({k: np.array(v) for k, v in TABLE.items()}, [0] * 5)).batch(3),
    "dataset of rows": tf.data.Dataset.from_tensor_slices({k: np.array(v) for k, v in TABLE.items()}),
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_the_same_from_all_kinds_of_data(data: Any) -> None:
    check(fc.adapt(columns(), data))


def test_columns_given_do_not_change_and_the_structure_is_kept() -> None:
    given = {"wide": (vocabulary(),), "deep": [fc.numeric_column("number"), [fc.embedding_column(vocabulary(), 2)]]}
    adapted = fc.adapt(given, TABLE)
    assert given["wide"][0].vocabulary_list == fc.learned_vocabulary()
    assert adapted["wide"][0].vocabulary_list == ("b", "a", "c")
    assert adapted["deep"][0] is given["deep"][0]
    assert adapted["deep"][1][0].categorical_column == adapted["wide"][0]
    assert fc.adapt(vocabulary(), TABLE).num_buckets == 3


def test_nothing_to_learn_reads_no_data() -> None:
    plain = [fc.numeric_column("number")]
    assert fc.adapt(plain, iter(())) is plain


def test_each_place_of_a_row_has_its_own_scale() -> None:
    column = fc.numeric_column("pair", shape=2, normalizer_fn=fc.learned_scale())
    data = {"pair": [[1.0, 5.0], [3.0, 5.0], [float("nan"), 5.0]]}
    adapted = fc.adapt(column, data)
    # The second place never changes: its deviation counts as one.
    assert adapted.normalizer_fn == type(adapted.normalizer_fn)((2.0, 5.0), (1.0, 1.0), "mean")
    assert fc.DenseFeatures([adapted])(data).numpy().tolist() == [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    kept = fc.adapt(fc.numeric_column("pair", shape=2, normalizer_fn=fc.learned_scale(missing="keep")), data)
    assert np.isnan(fc.DenseFeatures([kept])(data).numpy()).tolist() == [[False, False]] * 2 + [[True, False]]


def test_large_numbers_keep_their_digits() -> None:
    # In float32 these would be one number.
    times = 1.7e9 + np.arange(4.0)
    adapted = fc.adapt(fc.numeric_column("t", normalizer_fn=fc.learned_scale()), {"t": times})
    # Mean 1.7e9 + 1.5; deviations 1.5, 0.5, 0.5, 1.5: variance 5 / 4.
    assert adapted.normalizer_fn.mean == (1.7e9 + 1.5,)
    expected = (np.arange(4.0) - 1.5) / 1.25**0.5
    np.testing.assert_allclose(fc.DenseFeatures([adapted])({"t": times}).numpy().ravel(), expected, rtol=1e-6)


def test_min_frequency_and_max_size() -> None:
    data = {"word": ["a"] * 3 + ["b"] * 2 + ["c"] * 2 + ["d"]}
    assert fc.adapt(vocabulary(min_frequency=2), data).vocabulary_list == ("a", "b", "c")
    assert fc.adapt(vocabulary(max_size=2), data).vocabulary_list == ("a", "b")


def test_text_and_words_of_one_feature_learn_for_themselves() -> None:
    data = {"word": ["A b", "a", "A b"]}
    text = fc.text_column("word", vocabulary=fc.learned_vocabulary())
    both = fc.adapt([vocabulary(), fc.embedding_column(text, 2)], data)
    assert both[0].vocabulary_list == ("A b", "a")
    assert both[1].categorical_column.tokens.vocabulary_list == ("a", "b")


def test_a_sparse_feature() -> None:
    data = {"word": tf.SparseTensor([[0, 0], [0, 1], [2, 0]], ["x", "y", "x"], [3, 2])}
    assert fc.adapt(vocabulary(), data).vocabulary_list == ("x", "y")


def test_the_steps_of_a_sequence() -> None:
    steps = fc.sequence_categorical_column_with_vocabulary_list("s", fc.learned_vocabulary())
    adapted = fc.adapt(fc.embedding_column(steps, 2), {"s": [["x", "y", "x"], ["y", "", ""], ["x", "z", ""]]})
    assert adapted.categorical_column.categorical_column.vocabulary_list == ("x", "y", "z")


def test_a_shared_table_needs_to_know_its_size() -> None:
    shared = fc.shared_embeddings([vocabulary(), vocabulary("second")], 2)
    with pytest.raises(ValueError, match=r"not learnt yet|not been learnt yet"):
        fc.DenseFeatures(shared)(TABLE)
    pair = fc.adapt([vocabulary(), vocabulary("second")], {"word": ["a", "b"], "second": ["b", "c"]})
    assert [column.width for column in fc.shared_embeddings(pair, 2)] == [2, 2]


def test_columns_of_tensorflow_are_taken() -> None:
    column = tf.feature_column.numeric_column("number")
    assert fc.adapt([column, vocabulary()], TABLE)[0] == fc.numeric_column("number")


def test_bytes_that_are_no_text_stay_bytes(tmp_path: pathlib.Path) -> None:
    adapted = fc.adapt(vocabulary(), {"word": np.array([b"\xff", b"ok", b"ok"], object)})
    assert adapted.vocabulary_list == ("ok", b"\xff")
    fc.save(adapted, tmp_path / "columns.json")
    assert fc.load(tmp_path / "columns.json") == adapted


def test_a_vocabulary_beyond_its_capacity(caplog: pytest.LogCaptureFixture) -> None:
    # Three frequent words among many that occur once: those must survive with their order.
    rare = [f"rare{number}" for number in range(1000)]
    words = [word for number, name in enumerate(rare) for word in (name, "often", "often" if number % 2 else "also")]
    adapted = fc.adapt(vocabulary(capacity=10, max_size=2), {"word": words})
    assert adapted.vocabulary_list == ("often", "also")
    assert "more than 10 distinct values" in caplog.text


def test_adapted_columns_are_exported(tmp_path: pathlib.Path) -> None:
    adapted = fc.adapt(columns()[:3], TABLE)
    module = tf.Module()
    module.transform = fc.ColumnTransform(adapted)
    module.apply = tf.function(lambda x: list(module.transform(x).values()))
    raw = {"number": tf.constant(NUMBERS), "word": tf.constant(WORDS)}
    expected = [value.numpy().tolist() for value in module.apply(raw)]
    tf.saved_model.save(module, str(tmp_path))
    assert [value.numpy().tolist() for value in tf.saved_model.load(str(tmp_path)).apply(raw)] == expected


class TestFile:
    def test_a_second_run_reads_what_the_first_has_learnt(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "model" / "feature_columns.json"
        first = fc.adapt({"all": columns()}, TABLE, path=path)
        check(first["all"])
        other = {"number": [100.0], "word": ["z"], "id": [1]}
        assert fc.adapt({"all": columns()}, other, path=path) == first
        # The structure is that of the caller.
        assert fc.adapt(tuple(columns()), other, path=path) == tuple(first["all"])
        assert fc.load(path) == first
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_another_definition_is_refused(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "columns.json"
        fc.adapt(columns(), TABLE, path=path)
        changed = [*columns()[:2], fc.indicator_column(vocabulary(max_size=2)), columns()[3]]
        with pytest.raises(ValueError, match=r"other definitions.*: \['word_indicator'\]\. A model.*new model_dir"):
            fc.adapt(changed, TABLE, path=path)
        with pytest.raises(ValueError, match="the order of the columns"):
            fc.adapt(columns()[::-1], TABLE, path=path)

    def test_a_lambda_is_refused_before_the_data_is_read(self, tmp_path: pathlib.Path) -> None:
        column = fc.numeric_column("number", normalizer_fn=lambda x: x)
        with pytest.raises(ValueError, match=r"`normalizer_fn` of column 'number' cannot be written to a file"):
            fc.adapt([column, vocabulary()], iter(()), path=tmp_path / "columns.json")

    def test_save_does_not_replace_other_columns(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "columns.json"
        fc.save([fc.numeric_column("x")], path)
        fc.save([fc.numeric_column("x")], path)
        with pytest.raises(ValueError, match="holds other columns"):
            fc.save([fc.numeric_column("y")], path)
        fc.save([fc.numeric_column("y")], path, overwrite=True)
        assert fc.load(path) == [fc.numeric_column("y")]

    def test_functions_of_modules_and_initializers(self, tmp_path: pathlib.Path) -> None:
        word = fc.categorical_column_with_hash_bucket("w", 5)
        made = [
            fc.numeric_column("x", normalizer_fn=tf.math.log1p, default_value=float("inf")),
            fc.embedding_column(word, 2, initializer=keras.initializers.Constant(0.5)),
        ]
        fc.save(made, tmp_path / "columns.json")
        read = fc.load(tmp_path / "columns.json")
        assert read[0] == made[0]
        assert fc.DenseFeatures([read[1]])({"w": ["a"]}).numpy().tolist() == [[0.5, 0.5]]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "There is no file"),
            ("{", "is no file of feature columns"),
            ("[1]", "is no file of feature columns that this version reads"),
            ({"type": "NoColumn"}, "a column of the kind 'NoColumn', which this version does not have"),
            ({"function": "no_such_module:f"}, "names the function 'no_such_module:f', which is not there"),
        ],
    )
    def test_files_that_cannot_be_read(self, tmp_path: pathlib.Path, content: Any, message: str) -> None:
        path = tmp_path / "columns.json"
        if content is not None:
            form = {"format": "headway feature columns 1", "definition": None, "columns": content}
            path.write_text(content if isinstance(content, str) else json.dumps(form))
        with pytest.raises(ValueError, match=message):
            fc.load(path)


class TestNotAdapted:
    @pytest.mark.parametrize("use", [fc.ColumnTransform, fc.LinearModel, lambda c: fc.save(c, "columns.json")])
    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (vocabulary(), "Column 'word' has a `vocabulary_list` that is not learnt yet"),
            (columns()[1], "Column 'number_bucketized' has a `boundaries` that is not learnt yet"),
            (columns()[0], "Column 'number' has a `normalizer_fn` that is not learnt yet"),
            (columns()[3], "Column 'word' has a `vocabulary_list` that is not learnt yet"),
            (fc.text_column("t", vocabulary=fc.learned_vocabulary()), "Column 't' has a `vocabulary_list`"),
        ],
    )
    def test_used_in_a_model(self, use: Any, column: Any, message: str) -> None:
        with pytest.raises(ValueError, match=rf"{message}.*`columns = fc\.adapt\(columns, data\)`"):
            use([column])

    @pytest.mark.parametrize(
        "ask", [lambda: vocabulary().num_buckets, lambda: vocabulary().table(), lambda: columns()[1].num_buckets]
    )
    def test_asked_for_what_is_not_known(self, ask: Any) -> None:
        with pytest.raises(ValueError, match=r"has not been learnt yet\. Learn it"):
            ask()


ERRORS: dict[str, tuple[Any, Any, str]] = {
    "no column": (["word"], TABLE, "`columns` must be a feature column, or a list.*'word' of type str"),
    "no columns": ([], TABLE, "must hold at least one feature column"),
    "missing feature": (vocabulary("wrod"), TABLE, r"Feature wrod is not in .* column 'wrod'\. Did you mean 'word'"),
    "other type": (vocabulary("id"), TABLE, "Column dtype and feature dtype must be compatible. key: id"),
    "text for numbers": (
        fc.numeric_column("word", normalizer_fn=fc.learned_scale()),
        TABLE,
        "numeric_column 'word' needs numbers",
    ),
    "no data": (vocabulary(), lambda: TABLE, "`data` of adapt must be an input pipeline.*Received: function"),
    "endless data": (
        vocabulary(),
        tf.data.Dataset.from_tensors({"word": ["a"]}).repeat(),
        "`data` of adapt has no end",
    ),
    "data without names": (vocabulary(), tf.data.Dataset.from_tensors(["a"]), "must have a dict of features"),
    "no values": (vocabulary(), {"word": ["", ""]}, "The vocabulary of column 'word' cannot be learnt"),
    "no numbers": (columns()[0], {"number": [float("nan")]}, "mean and variance of column 'number' cannot be learnt"),
    "no rows": (columns()[1], {"number": []}, "The quantiles of column 'number_bucketized' cannot be learnt"),
    "lengths": (columns()[:3], {"number": [1.0], "word": ["a", "b"]}, "must have one length. Received: {'number': 1"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str) -> None:
    given, data, message = ERRORS[case]
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        fc.adapt(given, data)


def test_columns_that_share_a_table_learn_one_vocabulary() -> None:
    def shared(**options: Any) -> Any:
        keys = [
            fc.categorical_column_with_vocabulary_list(name, fc.learned_vocabulary(**options))
            for name in ("seen", "bought")
        ]
        return fc.shared_embeddings(keys, 2)

    data = {"seen": ["b", "a", "b", "c"], "bought": ["c", "c", "", "d"]}
    adapted = fc.adapt(shared(), data)
    # c three times, b twice, a and d once, over both columns.
    assert [column.categorical_column.vocabulary_list for column in adapted] == [("c", "b", "a", "d")] * 2
    layer = fc.DenseFeatures(adapted)
    rows = layer({"seen": ["c", "d"], "bought": ["d", "c"]}).numpy()
    assert [weight.shape for weight in layer.weights] == [(4, 2)]
    # The vector of d is that of the second row's first half and of the first row's other half.
    np.testing.assert_array_equal(rows[0], [*rows[1, 2:], *rows[1, :2]])
    often = fc.adapt(shared(min_frequency=2), data)
    assert often[0].categorical_column.vocabulary_list == ("c", "b")


def test_columns_that_share_a_table_must_learn_the_same() -> None:
    keys = [
        fc.categorical_column_with_vocabulary_list("a", fc.learned_vocabulary()),
        fc.categorical_column_with_vocabulary_list("b", fc.learned_vocabulary(max_size=3)),
    ]
    with pytest.raises(ValueError, match="must learn one vocabulary"):
        fc.shared_embeddings(keys, 2)


@pytest.mark.parametrize(
    "column",
    [
        fc.numeric_column("x", normalizer_fn=fc.learned_scale()),
        fc.bucketized_column(fc.numeric_column("x"), fc.learned_quantiles(2)),
    ],
)
def test_infinite_values_are_refused(column: Any) -> None:
    with pytest.raises(ValueError, match=r"infinite values. Received: 2 in feature 'x', the first of them -inf"):
        fc.adapt(column, {"x": [1.0, float("-inf"), 2.0, float("inf")]})


def test_minus_one_among_negative_numbers(caplog: pytest.LogCaptureFixture) -> None:
    column = fc.categorical_column_with_vocabulary_list("x", fc.learned_vocabulary(), dtype=tf.int64)
    assert fc.adapt(column, {"x": [-3, -1, 2, -1]}).vocabulary_list == (-3, 2)
    assert "'x' holds -1 in 2 rows, which counts as missing" in caplog.text
    # A column of classes would take it for a missing value.
    assert "fc.numeric_column('x'" in str(fc.propose({"x": [-3, -1, 2, -1, -3, 2] * 5}))
    assert "vocabulary_list('x'" in str(fc.propose({"x": [3, -1, 2, -1, 3, 2] * 5}))


def test_infinite_values_in_a_proposal() -> None:
    text = str(fc.propose({"x": [1.0, 2.5, float("inf"), 4.0]}))
    assert "3 different numbers from 1 to 4; 25% missing, 1 of them infinite" in text
