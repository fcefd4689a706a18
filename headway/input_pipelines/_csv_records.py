"""From CSV files to records: vectors of text, each with the place it came from, made of many lines at a time.

A record is one line, or several where a quoted field holds line breaks. Its place is an int64: file number * 2^40 +
line number.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

LINE_BITS = 40
_CHUNK_LINES = 8192
_LONGEST_RECORD = 1 << 20
_NEVER_CLOSED = (
    ": a double quote is opened here and never closed. "
    "Close it, double it if it is part of the text, or read the file with quote=None."
)

_plain = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class RecordSource:
    """Files and how they are cut into records.

    Attributes:
      paths: the files, in order.
      header: whether the first record of each file is left out.
      quotes: whether double quotes protect delimiters and line breaks.
      comment: lines that begin with this text are left out; None: no such lines.
      num_shards: of the records of all files, numbered through in each file, this shard takes every `num_shards`-th ...
      shard_index: ... from this one on.
    """

    paths: tuple[str, ...]
    header: bool
    quotes: bool
    comment: str | None
    num_shards: int = 1
    shard_index: int = 0

    def epoch(self, number: tf.Tensor, *, seed: int | None, buffer: int) -> tf.data.Dataset:
        """Returns one pass over all records, as pairs of vectors (text, place), a few thousand rows at a time.

        Args:
          number: the number of the epoch, int64 scalar.
          seed: None for the order of the files; otherwise files and rows come in an order that is a function of (seed,
            number).
          buffer: how many rows the shuffle keeps back to mix with later ones.
        """
        files = tf.range(len(self.paths), dtype=tf.int64)
        if seed is not None:
            files = tf.random.experimental.stateless_shuffle(
                files, tf.stack([tf.constant(seed, tf.int64), -1 - number]), alg="philox"
            )
        records = tf.data.Dataset.from_tensor_slices(files).flat_map(_plain(self._file))
        return records if seed is None else _shuffled(records, tf.constant(seed, tf.int64), number, buffer)

    def _file(self, file: tf.Tensor) -> tf.data.Dataset:
        path = tf.gather(tf.constant(self.paths), file)
        compression = tf.where(tf.strings.regex_full_match(path, r".*\.gz"), "GZIP", "")
        lines = tf.data.TextLineDataset(path, compression_type=compression).batch(_CHUNK_LINES).prefetch(2)
        # One empty chunk behind the last: it finds out whether a quote is still open.
        ended = tf.data.Dataset.from_tensors(tf.constant([], tf.string))
        state = (tf.constant(1, tf.int64), tf.constant(""), tf.constant(0, tf.int64), tf.constant(0, tf.int64))

        cut = _cutter(self.header, self.quotes, self.comment, self.num_shards, self.shard_index)
        return lines.concatenate(ended).scan(state, _plain(lambda state, chunk: cut(path, file, *state, chunk)))


@functools.lru_cache(maxsize=64)
def _cutter(header: bool, quotes: bool, comment: str | None, num_shards: int, shard_index: int) -> Callable[..., Any]:
    """Returns the function that makes records of one chunk of lines; traced once for all files and epochs.

    Its arguments: path and number of the file; the state, which is the number of the next line, the text that is still
    open, the line at which it opened (0: none), and the number of records so far; the lines.
    """

    def cut(path: Any, file: Any, line: Any, pending: Any, opened: Any, done: Any, lines: Any) -> Any:
        count = tf.size(lines, tf.int64)
        places = line + tf.range(count)
        # A byte order mark is no text.
        lines = tf.cond(line == 1, lambda: tf.strings.regex_replace(lines, "^\ufeff", ""), lambda: lines)
        if quotes:
            lines, places, pending, opened = _join_quoted(lines, places, pending, opened)
            good = tf.logical_or(opened == 0, tf.logical_and(count > 0, tf.strings.length(pending) < _LONGEST_RECORD))
            message = tf.strings.join(["headway: ", path, ", line ", tf.strings.as_string(opened), _NEVER_CLOSED])
            with tf.control_dependencies([tf.debugging.Assert(good, [message])]):
                lines = tf.identity(lines)
        keep = tf.strings.length(lines) > 0
        if comment is not None:
            left_out = tf.strings.regex_full_match(lines, f"(?s){re.escape(comment)}.*")
            keep = tf.logical_and(keep, tf.logical_not(left_out))
        numbers = done + tf.cumsum(tf.cast(keep, tf.int64), exclusive=True)
        done += tf.reduce_sum(tf.cast(keep, tf.int64))
        if header:
            keep, numbers = tf.logical_and(keep, numbers > 0), numbers - 1
        if num_shards > 1:
            keep = tf.logical_and(keep, (numbers + file) % num_shards == shard_index)
        texts, places = tf.boolean_mask(lines, keep), tf.boolean_mask(places, keep)
        return (line + count, pending, opened, done), (texts, tf.bitwise.left_shift(file, LINE_BITS) + places)

    text, number, texts = (
        tf.TensorSpec(shape, dtype) for shape, dtype in (((), tf.string), ((), tf.int64), ([None], tf.string))
    )
    traced: Callable[..., Any] = tf.function(cut, [text, number, number, text, number, number, texts], autograph=False)
    return traced


def _join_quoted(lines: tf.Tensor, places: tf.Tensor, pending: tf.Tensor, opened: tf.Tensor) -> Any:
    """Joins lines between which a quoted field goes on; returns records, their places, what is open at the end."""
    # Lines that are not UTF-8 match no pattern: they stay by themselves, and are reported when they are decoded.
    odd = tf.strings.regex_full_match(lines, r'[^"]*"[^"]*(?:"[^"]*"[^"]*)*')

    def joined() -> Any:
        waiting = tf.cast([opened > 0], tf.int32)
        texts = tf.concat([tf.fill(waiting, pending), lines], 0)
        starts = tf.concat([tf.fill(waiting, opened), places], 0)
        toggles = tf.concat([waiting[: waiting[0]], tf.cast(odd, tf.int32)], 0)
        ends = tf.cast(tf.cumsum(toggles) % 2 == 0, tf.int32)
        record = tf.cumsum(ends, exclusive=True)
        total = tf.reduce_sum(ends)
        whole = tf.strings.unsorted_segment_join(texts, record, total + 1, separator="\n")
        first = tf.math.unsorted_segment_min(starts, record, total + 1)
        still_open = ends[-1] == 0
        left = tf.where(still_open, whole[total], ""), tf.where(still_open, first[total], tf.constant(0, tf.int64))
        return whole[:total], first[:total], *left

    apart = tf.logical_and(opened == 0, tf.logical_not(tf.reduce_any(odd)))
    return tf.cond(apart, lambda: (lines, places, pending, opened), joined)


def _shuffled(records: tf.data.Dataset, seed: tf.Tensor, epoch: tf.Tensor, buffer: int) -> tf.data.Dataset:
    """Mixes each chunk with up to `buffer` rows kept back from the chunks before it."""
    empty = (tf.constant([], tf.string), tf.constant([], tf.int64))
    keyed = records.map(lambda texts, places: (texts, places, False))
    last = tf.data.Dataset.from_tensors((*empty, True))

    def mix(state: Any, chunk: Any) -> Any:
        return _mixer()(seed, epoch, buffer, *state, *chunk)

    return keyed.concatenate(last).scan((tf.constant(0, tf.int64), *empty), _plain(mix))


@functools.cache
def _mixer() -> Callable[..., Any]:
    """Returns the function that adds a chunk to the rows kept back and gives out as many of them; traced once."""

    def mix(seed: Any, epoch: Any, buffer: Any, number: Any, texts: Any, places: Any, *chunk: Any) -> Any:
        texts, places = tf.concat([texts, chunk[0]], 0), tf.concat([places, chunk[1]], 0)
        rows = tf.range(tf.size(texts), dtype=tf.int64)
        words = tf.random.experimental.stateless_fold_in(tf.stack([seed, epoch]), number)
        order = tf.random.experimental.stateless_shuffle(rows, words, alg="philox")
        kept = tf.where(chunk[2], 0, tf.minimum(buffer, tf.size(texts)))
        out, back = order[kept:], order[:kept]
        given = tf.gather(texts, out), tf.gather(places, out)
        return (number + 1, tf.gather(texts, back), tf.gather(places, back)), given

    number, texts, places = (
        tf.TensorSpec(shape, dtype) for shape, dtype in (((), tf.int64), ([None], tf.string), ([None], tf.int64))
    )
    size, is_last = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.bool)
    specs = [number, number, size, number, texts, places, texts, places, is_last]
    traced: Callable[..., Any] = tf.function(mix, specs, autograph=False)
    return traced
