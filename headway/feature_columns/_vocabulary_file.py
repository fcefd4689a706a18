"""Strings or integers by their line in a file."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import os
import re
import struct
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import Definition
from headway.feature_columns._vocabulary import VocabularyColumn, check_out_of_vocabulary

_FORMATS = (None, "text", "tfrecord_gzip")
_INTEGER = re.compile(rb"\s*-?[0-9]+\s*")


@dataclasses.dataclass(frozen=True)
class Vocabulary(Definition):
    """The entries of a file, equal to another one of the same entries.

    Attributes:
      entries: bytes or integers, each once.
      checksum: of the entries, by which vocabularies are compared: there may be millions of entries.
    """

    entries: tuple[Any, ...] = dataclasses.field(repr=False, compare=False)
    checksum: str


@dataclasses.dataclass(frozen=True)
class VocabularyFileCategoricalColumn(VocabularyColumn):
    """What `categorical_column_with_vocabulary_file` returns."""

    vocabulary_file: str
    vocabulary: Vocabulary

    @property
    def entries(self) -> tuple[Any, ...]:
        """What the file held when the column was made."""
        return self.vocabulary.entries

    @property
    def vocabulary_size(self) -> int:
        """The number of entries."""
        return len(self.vocabulary.entries)


def categorical_column_with_vocabulary_file(
    key: str,
    vocabulary_file: str | os.PathLike[str],
    vocabulary_size: int | None = None,
    dtype: Any = tf.string,
    default_value: int | None = None,
    num_oov_buckets: int = 0,
    file_format: str | None = None,
) -> VocabularyFileCategoricalColumn:
    r"""Represents strings or integers by their line in a vocabulary file.

    The file is read once, here: the vocabulary becomes part of the column, of what is pickled with it, and of
    exported models, and the file may change or go away afterwards. Missing values and values outside of the
    vocabulary are as in `categorical_column_with_vocabulary_list`.

    Args:
      key: name of the feature, and of the column.
      vocabulary_file: path of a file with one entry per line, in any file system of `tf.io.gfile`.
      vocabulary_size: number of entries, from the beginning of the file. None: all.
      dtype: type of the feature, `tf.string` or an integer type.
      default_value: id of values outside of the vocabulary. None or -1 drops them. Not together with
        `num_oov_buckets`.
      num_oov_buckets: values outside of the vocabulary are hashed into this many further ids.
      file_format: "text", or "tfrecord_gzip" for a gzipped TFRecord file with one entry per record. None: by the name,
        which ends in `tfrecord.gz` for the latter.

    Returns:
      A categorical column named `key` with `vocabulary_size + num_oov_buckets` buckets.

    Raises:
      ValueError: if the file does not exist, is empty or has an empty line, has fewer entries than `vocabulary_size`,
        repeats one, or has one that is no integer though `dtype` is; if `file_format` is unknown; if `num_oov_buckets`
        is negative or given with a `default_value`; if `dtype` is neither string nor integer, or `key` is no string.

    Example:
      >>> import pathlib, tempfile
      >>> from headway import feature_columns as fc
      >>> file = pathlib.Path(tempfile.mkdtemp(), "colors.txt")
      >>> _ = file.write_text("red\ngreen\n")
      >>> color = fc.categorical_column_with_vocabulary_file("color", file, num_oov_buckets=1)
      >>> fc.DenseFeatures([fc.indicator_column(color)])({"color": ["green", "pink", ""]}).numpy()
      array([[0., 1., 0.],
             [0., 0., 1.],
             [0., 0., 0.]], dtype=float32)
    """
    path = os.fspath(vocabulary_file) if vocabulary_file else ""
    if not path:
        raise ValueError(f"Missing vocabulary_file in {key}. Pass the path of a file with one entry per line.")
    check_out_of_vocabulary(key, num_oov_buckets, default_value, default_is_given=default_value is not None)
    dtype = _checks.as_dtype(dtype)
    _checks.check_string_or_int(dtype, f"column_name: {key}")
    _checks.check_key(key)
    if vocabulary_size is not None and vocabulary_size < 1:
        raise ValueError(f"Invalid vocabulary_size in {key}. It must be at least 1. Received: {vocabulary_size}")
    if file_format not in _FORMATS:
        raise ValueError(
            f"file_format of {key} must be 'text' or 'tfrecord_gzip', or None to tell by the file's name. "
            f"Received: {file_format!r}"
        )
    if file_format is None:
        file_format = "tfrecord_gzip" if path.endswith("tfrecord.gz") else "text"
    if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
        raise ValueError(f"vocabulary_file in {key} does not exist. Received: {path!r}")
    stat = tf.io.gfile.stat(path)
    state = (stat.length, stat.mtime_nsec)
    try:
        vocabulary = _read(path, state, file_format, vocabulary_size, dtype.is_integer)
    except ValueError as error:
        raise ValueError(f"vocabulary_file {path!r} of {key}: {error}") from None
    default = -1 if default_value is None else default_value
    return VocabularyFileCategoricalColumn(key, dtype, default, num_oov_buckets or 0, path, vocabulary)


# A model_fn may make its columns at each call; one file is read again only after it has changed.
@functools.lru_cache(maxsize=16)
def _read(path: str, state: Any, file_format: str, size: int | None, integers: bool) -> Vocabulary:
    del state
    lines = _records(path) if file_format == "tfrecord_gzip" else _lines(path)
    if not lines:
        raise ValueError("The file is empty. It must hold one entry per line.")
    if size is not None and len(lines) < size:
        raise ValueError(
            f"Invalid vocabulary_size: {size}. The file has {len(lines)} entries; leave `vocabulary_size` out to take "
            "them all."
        )
    lines = lines[:size]
    if file_format == "text" and b"" in lines:
        raise ValueError(f"Line {lines.index(b'') + 1} is empty. Each line must hold an entry; leave empty ones out.")
    entries = tuple(_as_integer(line, number) for number, line in enumerate(lines)) if integers else lines
    if len(set(entries)) != len(entries):
        seen: set[Any] = set()
        repeated = [item for item in entries if item in seen or seen.add(item)]  # type: ignore[func-returns-value]
        raise ValueError(f"Duplicate entries. Each may occur once. Repeated: {repeated[:10]}")
    checksum = hashlib.blake2b(repr(entries).encode(), digest_size=16).hexdigest()
    return Vocabulary(entries, checksum)


def _lines(path: str) -> tuple[bytes, ...]:
    with tf.io.gfile.GFile(path, "rb") as file:
        lines = file.read().split(b"\n")
    # As TensorFlow's own reader of vocabularies: one carriage return belongs to the end of a line.
    return tuple(line.removesuffix(b"\r") for line in (lines if lines[-1] else lines[:-1]))


def _records(path: str) -> tuple[bytes, ...]:
    """Reads a TFRecord file: for each record its length (8 bytes), a checksum (4), the data, a checksum (4)."""
    with tf.io.gfile.GFile(path, "rb") as file:
        content = gzip.decompress(file.read())
    records, start = [], 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        records.append(content[start + 12 : start + 12 + length])
        start += length + 16
    return tuple(records)


def _as_integer(line: bytes, number: int) -> int:
    if not _INTEGER.fullmatch(line):
        raise ValueError(
            f"Entry {number + 1} must be an integer, because of the column's dtype. Received: {line!r}. Mend the file, "
            "or give the column `dtype=tf.string`."
        )
    return int(line)
