"""Vocabulary files are read as TensorFlow reads them, once, and become part of the model."""

from __future__ import annotations

import pathlib
import pickle
import re
from typing import Any

import pytest
import tensorflow as tf

from headway import feature_columns as fc


def ids(column: Any, values: list[Any]) -> Any:
    """The id of each of the values; they come sparse, so that '' counts."""
    features = {column.key: tf.ragged.constant([[value] for value in values])}
    (transformed,) = fc.ColumnTransform([column])(features).values()
    return [row[0] if row else None for row in transformed.to_list()]


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "words.txt"
    path.write_bytes(b"red\ngreen\nblue\n")
    return path


def test_lines_end_as_in_tensorflow(file: pathlib.Path) -> None:
    # Lines as TensorFlow 2.15 reads them: without the carriage return at their end, and only that.
    file.write_bytes(b"red\r\ngr\ry\nblue\r")
    column = fc.categorical_column_with_vocabulary_file("word", file)
    assert (column.vocabulary_size, column.num_buckets) == (3, 3)
    assert ids(column, ["red", "gr\ry", "gry", "blue", "blu"]) == [0, 1, None, 2, None]


def test_tfrecord_file(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "words.tfrecord.gz")
    with tf.io.TFRecordWriter(path, options="GZIP") as writer:
        for word in (b"red", b"green", b"blue"):
            writer.write(word)
    assert ids(fc.categorical_column_with_vocabulary_file("word", path), ["blue", "red", "pink"]) == [2, 0, None]
    column = fc.categorical_column_with_vocabulary_file("word", path, vocabulary_size=2)
    assert ids(column, ["blue", "red", "pink"]) == [None, 0, None]
    # tf.feature_column gives "pink" the first of two buckets behind the three words.
    column = fc.categorical_column_with_vocabulary_file("word", path, num_oov_buckets=2)
    assert ids(column, ["blue", "red", "pink"]) == [2, 0, 3]


def test_integers(file: pathlib.Path) -> None:
    file.write_bytes(b" 5\n7 \n-1\r\n")
    column = fc.categorical_column_with_vocabulary_file("number", file, dtype=tf.int64, default_value=1)
    assert ids(column, [7, 5, -1, 99]) == [1, 0, 2, 1]


def test_the_file_is_read_once(file: pathlib.Path) -> None:
    column = fc.categorical_column_with_vocabulary_file("word", file, num_oov_buckets=1)
    again = fc.categorical_column_with_vocabulary_file("word", str(file), num_oov_buckets=1)
    assert column == again
    # The same object: the second column did not read the file.
    assert column.vocabulary is again.vocabulary
    file.unlink()
    assert ids(pickle.loads(pickle.dumps(column)), ["blue", "pink"]) == [2, 3]


def test_a_file_that_changed_is_read_again(file: pathlib.Path) -> None:
    before = fc.categorical_column_with_vocabulary_file("word", file)
    file.write_bytes(b"green\nred\nblue\nmore\n")
    after = fc.categorical_column_with_vocabulary_file("word", file)
    assert (ids(before, ["red"]), ids(after, ["red"])) == ([0], [1])
    assert before != after
    assert before.digest != after.digest


def test_an_exported_model_does_without_the_file(file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    module = tf.Module()
    module.layer = fc.ColumnTransform([fc.categorical_column_with_vocabulary_file("word", file)])
    module.serve = tf.function(
        lambda word: {"ids": next(iter(module.layer({"word": word}).values()))},
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    file.unlink()
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert loaded.serve(tf.constant(["blue", "pink"]))["ids"].numpy().tolist() == [[2], [-1]]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "of word: The file is empty. It must hold one entry per line."),
        (b"red\n\nblue\n", {}, "of word: Line 2 is empty. Each line must hold an entry; leave empty ones out."),
        (b"a\nb\n", {"vocabulary_size": 3}, "Invalid vocabulary_size: 3. The file has 2 entries; leave "),
        (b"a\nb\n", {"vocabulary_size": 0}, "Invalid vocabulary_size in word. It must be at least 1. Received: 0"),
        (b"a\nb\na\n", {}, "of word: Duplicate entries. Each may occur once. Repeated: [b'a']"),
        (b"1\nb\n", {"dtype": tf.int64}, "Entry 2 must be an integer, because of the column's dtype. Received: b'b'."),
        (
            b"a\n",
            {"dtype": tf.float32},
            "column_name: word dtype must be string or integer. dtype: <dtype: 'float32'>.",
        ),
        (b"a\n", {"file_format": "csv"}, "file_format of word must be 'text' or 'tfrecord_gzip', or None "),
        (b"a\n", {"num_oov_buckets": -1}, "Invalid num_oov_buckets -1 in word. It must not be negative."),
        (
            b"a\n",
            {"num_oov_buckets": 1, "default_value": -1},
            "Can't specify both num_oov_buckets and default_value in word. Received: num_oov_buckets=1, ",
        ),
    ],
)
def test_bad_arguments(file: pathlib.Path, content: bytes, options: dict[str, Any], message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        fc.categorical_column_with_vocabulary_file("word", file, **options)


def test_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"vocabulary_file in word does not exist. Received: '.*none\.txt'"):
        fc.categorical_column_with_vocabulary_file("word", tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"Missing vocabulary_file in word\. Pass the path of a file"):
        fc.categorical_column_with_vocabulary_file("word", "")
