"""Text, times and Keras layers as columns: what they make of values at the edges."""

from __future__ import annotations

import datetime
import math
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines


@keras.saving.register_keras_serializable("tests")
class Whole(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return tf.cast(x, tf.int64)


def floats(column: Any, features: dict[str, Any]) -> Any:
    return fc.DenseFeatures([column])(features).numpy()


def ids(column: Any, features: dict[str, Any]) -> Any:
    (tensor,) = fc.ColumnTransform([column])(features).values()
    return tensor.to_list()


class TestText:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("Red, red wine!", [0, 0, 1]),
            ("  RED\t\nwine  ", [0, 1]),
            ("red-wine\u2014red\u00a0wine", [0, 1, 0, 1]),
            ("\u00c9T\u00c9 red", [2, 0]),
            ("don't", []),
            ("\u20ac4", [3]),
            ("", []),
            (" .,! ", []),
        ],
    )
    def test_words(self, text: str, words: list[int]) -> None:
        column = fc.text_column("t", vocabulary=["red", "wine", "\u00e9t\u00e9", "4"])
        assert ids(column, {"t": [text]}) == [words]

    def test_hashes_are_those_of_the_words(self) -> None:
        hashed = fc.categorical_column_with_hash_bucket("t", 50)
        expected = ids(hashed, {"t": tf.ragged.constant([["a", "b"], [], ["c"]])})
        assert ids(fc.text_column("t", hash_bucket_size=50), {"t": ["A b", None, "C."]}) == expected

    def test_max_tokens_counts_from_the_beginning_of_a_row(self) -> None:
        column = fc.text_column("t", vocabulary=["a", "b", "c"], max_tokens=2)
        assert ids(column, {"t": [["a b c", "c"], ["", "c"], ["c", "b a"]]}) == [[0, 1], [2], [2, 1]]

    def test_a_sequence_keeps_the_places_of_dropped_words(self) -> None:
        words = fc.sequence_text_column("t", vocabulary=["a", "b"], max_tokens=3)
        steps, lengths = fc.SequenceFeatures([fc.indicator_column(words)])({"t": ["A z b b", "", "b"]})
        none, a, b = [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]
        assert steps.numpy().tolist() == [[a, none, b], [none, none, none], [b, none, none]]
        assert lengths.numpy().tolist() == [3, 0, 1]

    def test_case_and_separator(self) -> None:
        column = fc.text_column("t", vocabulary=["A.b", "a"], lower=False, separator=r"\|")
        assert ids(column, {"t": ["A.b|a|A", "a"]}) == [[0, 1], [1]]

    def test_one_text_in_a_sparse_feature(self) -> None:
        column = fc.text_column("t", vocabulary=["a", "b"])
        feature = tf.SparseTensor([[1, 0], [1, 1]], ["a b", "b"], [3, 2])
        assert ids(column, {"t": feature}) == [[], [0, 1, 1], []]

    def test_spec(self) -> None:
        column = fc.text_column("t", vocabulary=["a", "b"], num_oov_buckets=3)
        assert (column.name, column.num_buckets) == ("t_tokens", 5)
        assert fc.make_parse_example_spec([column]) == {"t": tf.io.VarLenFeature(tf.string)}


def angle(turn: float) -> list[float]:
    return [math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)]


class TestDatetime:
    PARTS = ("hour", "weekday", "day_of_month", "month", "day_of_year", "year", "epoch")

    def test_every_part_against_the_calendar_of_python(self) -> None:
        rng = np.random.default_rng(0)
        # From 1583 to 2500, and the corners of leap years.
        seconds = rng.integers(-12_200_000_000, 16_700_000_000, 3000).tolist()
        utc = datetime.UTC
        corners = [(1600, 2, 29), (1900, 2, 28), (1900, 3, 1), (2000, 2, 29), (2000, 12, 31), (2024, 12, 31)]
        seconds += [int(datetime.datetime(*corner, 23, 59, 59, tzinfo=utc).timestamp()) for corner in corners]
        result = floats(fc.datetime_column("t", self.PARTS), {"t": np.array(seconds, np.float64)})
        for row, second in zip(result.tolist(), seconds, strict=True):
            time = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=second)
            of_day = (time - time.replace(hour=0, minute=0, second=0)).seconds / 86400
            year, following = datetime.datetime(time.year, 1, 1), datetime.datetime(time.year + 1, 1, 1)
            month = time.replace(day=1, hour=0, minute=0, second=0)
            after = (month + datetime.timedelta(days=32)).replace(day=1)
            expected = [
                *angle(of_day),
                *angle((time.weekday() + of_day) / 7),
                *angle((time - month) / (after - month)),
                *angle((time.month - 1) / 12),
                *angle((time - year) / (following - year)),
                time.year - 2000 + (time - year) / (following - year),
                second / (365.2425 * 86400),
            ]
            np.testing.assert_allclose(row, expected, rtol=1e-6, atol=2e-6, err_msg=str(time))

    @pytest.mark.parametrize(
        ("text", "format"),
        [
            ("2024-02-29T13:05:07.250000", None),
            ("2024-02-29 13:05:07.25Z", None),
            ("2024-02-29T15:05:07,25+02:00", None),
            ("2024-02-29T07:35:07.25 -0530", None),
            ("29.02.2024 13:05:07.25", "%d.%m.%Y %H:%M:%S.%f"),
            ("Thursday, 29 February 2024   01:05:07.25 pm", "%A, %d %B %Y %I:%M:%S.%f %p"),
            ("Feb 29 24 15:05:07.25 +0200", "%b %d %y %H:%M:%S.%f %z"),
            ("100% 2024|2|29|13|5|7|25", "100%% %Y|%m|%d|%H|%M|%S|%f"),
        ],
    )
    def test_strings(self, text: str, format: str | None) -> None:
        column = fc.datetime_column("t", "epoch", format=format)
        expected = datetime.datetime(2024, 2, 29, 13, 5, 7, 250_000, tzinfo=datetime.UTC).timestamp()
        seconds = column._seconds(tf.constant([text]))[0].numpy()
        assert seconds.tolist() == [expected]

    def test_twelve_o_clock(self) -> None:
        column = fc.datetime_column("t", "hour", format="%Y-%m-%d %I%p")
        result = floats(column, {"t": ["2024-01-01 12AM", "2024-01-01 12PM", "2024-01-01 6pm"]})
        np.testing.assert_allclose(result, [angle(0.0), angle(0.5), angle(0.75)], atol=1e-6)

    @pytest.mark.parametrize(
        "text",
        ["yesterday", "2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-01T24:00", "24-01-01", "1 2"],
    )
    @pytest.mark.parametrize("compiled", [False, True])
    def test_what_is_no_time_is_named(self, text: str, compiled: bool) -> None:
        transform: Any = fc.ColumnTransform([fc.datetime_column("sold")])
        run = tf.function(transform) if compiled else transform
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(?s)headway: Feature sold of .*{text}"):
            run({"sold": tf.constant(["2024-01-01", text])})

    @pytest.mark.parametrize("missing", [["", None, "  "], [None, float("nan"), None]])
    def test_missing_times_are_zeros(self, missing: Any) -> None:
        assert floats(fc.datetime_column("t", self.PARTS), {"t": missing}).tolist() == [[0.0] * 12] * 3

    def test_all_kinds_of_times_are_one(self) -> None:
        column = fc.datetime_column("t", ["hour", "year"])
        days = ["2024-03-05T06:07:08", "1999-12-31T23:59:59"]
        expected = floats(column, {"t": days})
        numpy = np.array(days, "M8[s]")
        for values in (numpy, pd.Series(pd.to_datetime(days)), numpy.astype(np.int64), numpy.astype(np.float64)):
            np.testing.assert_array_equal(floats(column, {"t": values}), expected)
        pipeline = input_pipelines.from_dataframe(pd.DataFrame({"t": pd.to_datetime(days)}))
        (batch,) = pipeline.dataset()
        np.testing.assert_array_equal(floats(column, batch), expected)

    def test_offset(self) -> None:
        column = fc.datetime_column("t", ["hour", "weekday"], utc_offset_hours=-3)
        expected = floats(fc.datetime_column("t", ["hour", "weekday"]), {"t": ["2023-12-31T22:30"]})
        np.testing.assert_array_equal(floats(column, {"t": ["2024-01-01T01:30"]}), expected)

    def test_parsed_examples(self) -> None:
        column = fc.datetime_column("t", ["year"])
        spec = fc.make_parse_example_spec([column])
        parsed = tf.io.parse_example([tf.train.Example().SerializeToString()], spec)
        assert floats(column, parsed).tolist() == [[0.0]]


class TestPreprocessing:
    def test_what_adapted_layers_have_learnt_is_kept(self) -> None:
        scale, words, cuts = (
            keras.layers.Normalization(),
            keras.layers.StringLookup(),
            keras.layers.Discretization(num_bins=2),
        )
        scale.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        words.adapt(np.array(["b", "a", "b"]))
        cuts.adapt(np.array([[1.0], [2.0], [3.0], [4.0]]))
        pair = fc.preprocessing_column(scale, "pair", shape=[2])
        np.testing.assert_allclose(floats(pair, {"pair": [[1.0, 40.0]]}), [[-1.0, 2.0]], rtol=1e-5)
        word = fc.preprocessing_column(words, "word")
        # Keras keeps 0 for words that it does not know.
        assert (word.num_buckets, word.name) == (3, "word_string_lookup")
        transform = fc.ColumnTransform([word])
        assert next(iter(transform({"word": ["a", "z", "b"]}).values())).numpy().tolist() == [[2], [0], [1]]
        number = fc.preprocessing_column(cuts, "n")
        assert number.num_buckets == len(cuts.bin_boundaries) + 1

    def test_weights_of_words(self) -> None:
        layer = keras.layers.StringLookup(output_mode="tf_idf")
        layer.adapt(np.array([["a", "b"], ["a", "c"]]))
        column = fc.preprocessing_column(layer, "w", shape=[2])
        expected = layer(tf.constant([["a", "c"]])).numpy()
        np.testing.assert_allclose(floats(column, {"w": [["a", "c"]]}), expected, rtol=1e-6)

    def test_a_layer_of_several_features(self) -> None:
        column = fc.preprocessing_column(keras.layers.HashedCrossing(10), ["a", "b"], dtype=tf.string, name="ab")
        assert (column.name, column.num_buckets) == ("ab", 10)
        result = keras.layers.HashedCrossing(10)([tf.constant([["x"]]), tf.constant([["y"]])])
        (made,) = fc.ColumnTransform([column])({"a": ["x"], "b": ["y"]}).values()
        assert made.numpy().tolist() == result.numpy().tolist()

    def test_a_layer_of_ones_own_tells_its_ids_by_argument(self) -> None:
        column = fc.preprocessing_column(Whole(), "x", num_buckets=3)
        assert floats(fc.indicator_column(column), {"x": [1.7, -1.0]}).tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]

    def test_made_and_first_met_inside_a_replica(self, mirrored: tf.distribute.MirroredStrategy) -> None:
        @tf.function
        def step() -> tf.Tensor:
            return mirrored.run(replica)

        def replica() -> tf.Tensor:
            word = fc.preprocessing_column(keras.layers.StringLookup(vocabulary=["sea", "lake"]), "word")
            number = fc.preprocessing_column(keras.layers.Normalization(mean=1.0, variance=4.0), "x")
            features = {"word": tf.constant(["lake"]), "x": tf.constant([3.0])}
            return fc.dense_tensor([fc.indicator_column(word), number], features, lambda *_: None)

        for value in mirrored.experimental_local_results(step()):
            # (3 - 1) / 2, and the second word behind the place of unknown ones.
            assert sorted(value.numpy().ravel().tolist()) == [0.0, 0.0, 1.0, 1.0]


ERRORS: dict[str, tuple[Any, str]] = {
    "text without ids": (lambda: fc.text_column("t"), "needs one of `vocabulary` and `hash_bucket_size`"),
    "text with both": (lambda: fc.text_column("t", vocabulary=["a"], hash_bucket_size=3), "needs one of"),
    "text as vocabulary": (lambda: fc.text_column("t", vocabulary="a b"), "must be a list of words. Received: 'a b'"),
    "text hash": (lambda: fc.text_column("t", hash_bucket_size=0), "hash_bucket_size must be at least 1"),
    "text hash and rest": (lambda: fc.text_column("t", hash_bucket_size=3, num_oov_buckets=1), "goes with a vocab"),
    "max_tokens": (lambda: fc.text_column("t", hash_bucket_size=3, max_tokens=0), "`max_tokens` of text_column 't'"),
    "separator": (lambda: fc.text_column("t", hash_bucket_size=3, separator="("), "must be a regular expression"),
    "no text": (lambda: ids(fc.text_column("t", hash_bucket_size=3), {"t": [1]}), "text_column 't' needs strings"),
    "part": (lambda: fc.datetime_column("t", ["hour", "minute"]), r"one or more of hour, .*Received: \['hour', 'min"),
    "no parts": (lambda: fc.datetime_column("t", []), "must be one or more of"),
    "part twice": (lambda: fc.datetime_column("t", ["hour", "hour"]), "each once"),
    "format": (lambda: fc.datetime_column("t", format="%Y-%m-%d %Q"), "has %Q, which is not among %Y, "),
    "format without day": (lambda: fc.datetime_column("t", format="%Y-%m"), "must hold year, month and day"),
    "half a clock": (lambda: fc.datetime_column("t", format="%Y%m%d %I"), "must have %I and %p together"),
    "datetime dtype": (lambda: fc.datetime_column("t", dtype=tf.bool), "must be string or a number"),
    "booleans as times": (lambda: floats(fc.datetime_column("t"), {"t": [True]}), "needs strings or numbers"),
    "numbers of a format": (
        lambda: floats(fc.datetime_column("t", format="%Y%m%d"), {"t": [20240101]}),
        "needs strings of the format '%Y%m%d'",
    ),
    "two times": (lambda: floats(fc.datetime_column("t"), {"t": [[1.0, 2.0]]}), "needs one time for each row"),
    "no layer": (lambda: fc.preprocessing_column(len, "x"), "must be a Keras layer"),
    "no keys": (lambda: fc.preprocessing_column(keras.layers.Hashing(3), []), "must name a feature"),
    "layer not adapted": (lambda: fc.preprocessing_column(keras.layers.Normalization(), "x"), "has learnt nothing yet"),
    "words not adapted": (lambda: fc.preprocessing_column(keras.layers.StringLookup(), "x"), "has learnt nothing yet"),
    "bins not adapted": (
        lambda: fc.preprocessing_column(keras.layers.Discretization(num_bins=3), "x"),
        "has learnt nothing yet",
    ),
    "wrong shape": (
        lambda: fc.preprocessing_column(keras.layers.Normalization(mean=[1, 2], variance=[1, 2]), "x"),
        r"cannot be called on features of shape \(1,\)",
    ),
    "number of ids": (
        lambda: fc.preprocessing_column(Whole(), "x"),
        "Give `num_buckets`",
    ),
    "another type": (
        lambda: floats(fc.preprocessing_column(keras.layers.Rescaling(2.0), "x"), {"x": ["a"]}),
        "was made for features of type",
    ),
    "another shape": (
        lambda: floats(fc.preprocessing_column(keras.layers.Rescaling(2.0), "x"), {"x": [[1.0, 2.0]]}),
        r"was made for features of shape \(1,\) behind the batch",
    ),
    "frequency": (lambda: fc.learned_vocabulary(min_frequency=0), "`min_frequency` of learned_vocabulary"),
    "size": (lambda: fc.learned_vocabulary(max_size=1.5), "`max_size` of learned_vocabulary"),
    "quantiles": (lambda: fc.learned_quantiles(1), "must be at least 2"),
    "gaps": (lambda: fc.learned_scale(missing="zero"), "must be 'mean' or 'keep'. Received: 'zero'"),
    "quantiles of scaled numbers": (
        lambda: fc.bucketized_column(fc.numeric_column("x", normalizer_fn=fc.learned_scale()), fc.learned_quantiles(3)),
        r"not scaled by learned_scale.*Take numeric_column\('x'\)",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str) -> None:
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_layer_with_variables() -> None:
    dense = keras.layers.Dense(2)
    dense.build((None, 1))
    with pytest.raises(ValueError, match="has variables, which belong into the model"):
        fc.preprocessing_column(dense, "x")
