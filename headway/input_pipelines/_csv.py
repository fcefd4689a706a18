"""The pipeline over CSV files, and the public function that makes it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway.input_pipelines import _checks, _csv_schema, _memory
from headway.input_pipelines._csv_decode import Decoder
from headway.input_pipelines._csv_records import RecordSource
from headway.input_pipelines._csv_schema import CsvColumn, CsvFormat
from headway.input_pipelines._interface import Pipeline
from headway.input_pipelines._streams import StreamPipeline

_EPOCHS_FOR_EVER = 2**62

_plain = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CsvPipeline(StreamPipeline):
    """Batches read from CSV files. Made by `from_csv`."""

    records: RecordSource
    decoder: Decoder
    label: str | tuple[str, ...] | None
    batch_size: int
    buffer: int | None
    num_epochs: int | None
    drop_remainder: bool
    order_seed: int
    seed_given: bool

    def _source(self, start: int) -> tf.data.Dataset:
        first, skip = self._locate(start) if start else (0, 0)
        last = _EPOCHS_FOR_EVER if self.num_epochs is None else max(self.num_epochs, first)

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            return (
                self._epoch(number).skip(tf.where(number == first, tf.constant(skip, tf.int64), 0))
                if skip
                else self._epoch(number)
            )

        batches = tf.data.Dataset.range(first, last).flat_map(_plain(epoch))
        return batches.map(_plain(self._decode), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
            tf.data.AUTOTUNE
        )

    def _epoch(self, number: tf.Tensor) -> tf.data.Dataset:
        """The undecoded batches (text, place) of an epoch."""
        seed = None if self.buffer is None else self.order_seed
        chunks = self.records.epoch(number, seed=seed, buffer=self.buffer or 0)
        return chunks.rebatch(self.batch_size, drop_remainder=self.drop_remainder)

    def _decode(self, texts: tf.Tensor, places: tf.Tensor) -> Any:
        features = self.decoder.decode(texts, places)
        if self.label is None:
            return features
        if isinstance(self.label, str):
            answers: Any = features.pop(self.label)
        else:
            answers = {name: features.pop(name) for name in self.label}
        return features, answers

    def _locate(self, start: int) -> tuple[int, int]:
        """Returns the epoch of batch `start` and the batch within it; counts the batches of an epoch for it."""
        counted = self._epoch(tf.constant(0, tf.int64)).take(start + 1)
        per_epoch = int(counted.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))
        return (0, start) if per_epoch > start else divmod(start, max(per_epoch, 1))

    @property
    def seed(self) -> int | None:
        """See `Pipeline.seed`."""
        return None if self.buffer is None else self.order_seed

    @property
    def fingerprint(self) -> str:
        """See `Pipeline.fingerprint`."""
        records = dataclasses.replace(self.records, paths=tuple(os.path.basename(path) for path in self.records.paths))
        return f"csv {records} batch_size={self.batch_size} buffer={self.buffer} drop_remainder={self.drop_remainder}"

    def with_seed(self, seed: int) -> Pipeline:
        """See `Pipeline.with_seed`."""
        checked = _checks.seed(seed)
        if checked is None:
            raise ValueError("`seed` must be an integer. Received: None.")
        return dataclasses.replace(self, order_seed=checked, seed_given=True)

    def fresh(self) -> Pipeline:
        """See `Pipeline.fresh`."""
        if self.seed_given or self.buffer is None:
            return self
        return dataclasses.replace(self, order_seed=_checks.draw_seed())

    def shard(self, num_shards: int, index: int) -> Pipeline:
        """See `Pipeline.shard`: whole files where there are enough of them, otherwise every `num_shards`-th row."""
        count, number = _checks.shard(num_shards, index)
        if self.records.num_shards > 1:
            raise ValueError("This pipeline is already a shard. Shard the whole one.")
        paths = self.records.paths
        if len(paths) >= count:
            own = dataclasses.replace(self.records, paths=paths[number::count])
        else:
            own = dataclasses.replace(self.records, num_shards=count, shard_index=number)
        return dataclasses.replace(self, records=own, decoder=dataclasses.replace(self.decoder, paths=own.paths))

    def describe(self) -> str:
        """See `Pipeline.describe`."""
        paths = self.records.paths
        files = paths[0] if len(paths) == 1 else f"{len(paths)} CSV files, the first {paths[0]}"
        order = "in row order" if self.buffer is None else f"shuffled with a buffer of {self.buffer} rows"
        return "\n".join(
            [f"rows of {files}, batches of {self.batch_size}, {order}", *_memory.spec_lines(self.element_spec)]
        )


def from_csv(
    file_pattern: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    label: str | Sequence[str] | None = None,
    columns: Sequence[str | None] | None = None,
    dtypes: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    header: bool = True,
    delimiter: str = ",",
    quote: str | None = '"',
    na_values: str | Sequence[str] = (),
    skip_initial_space: bool = False,
    comment: str | None = None,
    batch_size: int = 128,
    shuffle: bool = False,
    shuffle_buffer: int = 10_000,
    num_epochs: int | None = 1,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> Pipeline:
    r"""Makes a pipeline that reads CSV files while the model trains; they may be larger than memory.

    The text is UTF-8, in the format of RFC 4180: fields may stand in double quotes, hold delimiters and line breaks
    there, and double quotes when these are doubled. Files that end in `.gz` are decompressed. Blank lines are left
    out. A carriage return within a field would be lost; one in the first 1000 rows is an error. Files are read in the
    order of their names. A row that cannot be read stops the run with an error that names file, line, column and text.

    Args:
      file_pattern: a path, a glob pattern, or a list of these; also on remote file systems that TensorFlow knows.
      label: name of the column to predict; several names give a dict of labels; None: no labels. A label must not be
        missing.
      columns: with a header, the columns to read (None: all); without, the names of all fields in order, None for one
        not to be read.
      dtypes: types by column: "int32", "int64", "float32", "float64" or "string". Other columns: int64 if the first
        1000 rows hold whole numbers only, float64 if whole numbers with gaps, float32 if other numbers, string
        otherwise; `describe()` shows what was found.
      defaults: what an empty field becomes, by column. Others: "" for strings, NaN for floats, an error for integers
        and labels.
      header: whether the first record of each file holds the names.
      delimiter: the character between fields.
      quote: '"', or None if quotes have no meaning.
      na_values: text, or several, that stand for a missing value, like "?" or "NA".
      skip_initial_space: leave out spaces behind a delimiter.
      comment: leave out lines that begin with this text.
      batch_size: rows in a batch. Batches never mix two epochs.
      shuffle: whether rows come in random order: files in a new order in each epoch, and rows mixed within a buffer.
      shuffle_buffer: how many rows are kept back to be mixed with later ones. Data that is sorted needs a buffer of
        many rows.
      num_epochs: how often the files are passed over; None: for ever.
      seed: makes the order of rows reproducible; see `from_arrays`.
      drop_remainder: leave out the short batch at the end of an epoch.

    Returns:
      A `Pipeline`. To go on in the middle it reads the text of at most one epoch again, without decoding it.

    Raises:
      ValueError: no file, no rows, an unknown column, or an argument out of range.

    Example:
      >>> import os, tempfile
      >>> from headway import input_pipelines
      >>> path = os.path.join(tempfile.mkdtemp(), "people.csv")
      >>> with open(path, "w") as file:
      ...     _ = file.write("age,job,rich\n25,nurse,0\n,cook,1\n")
      >>> pipeline = input_pipelines.from_csv(path, label="rich", batch_size=2)
      >>> features, labels = next(iter(pipeline.dataset()))
      >>> features["age"].numpy(), features["job"].numpy(), labels.numpy()
      (array([25., nan]), array([b'nurse', b'cook'], dtype=object), array([0, 1]))
    """
    missing = (na_values,) if isinstance(na_values, str) else tuple(na_values)
    for value in missing:
        if not isinstance(value, str):
            raise ValueError(f"`na_values` must be text, as it stands in the files. Received: {value!r}.")
    layout = CsvFormat(
        _one_character("delimiter", delimiter),
        _quotes(quote),
        missing,
        _checks.flag("skip_initial_space", skip_initial_space),
        _comment(comment),
    )
    given = _checks.seed(seed)
    size, epochs = _checks.positive("batch_size", batch_size), _checks.epochs(num_epochs)
    buffer = _checks.positive("shuffle_buffer", shuffle_buffer) if _checks.flag("shuffle", shuffle) else None
    drop, has_header = _checks.flag("drop_remainder", drop_remainder), _checks.flag("header", header)
    paths = _csv_schema.find_files(file_pattern)
    _csv_schema.check_line_ends(paths)
    fields = _fields(paths, layout, has_header, columns, label, dtypes, defaults)
    answers = label if label is None or isinstance(label, str) else tuple(label)
    return CsvPipeline(
        records=RecordSource(paths, has_header, layout.quotes, layout.comment),
        decoder=Decoder(paths, layout, fields),
        label=answers,
        batch_size=size,
        buffer=buffer,
        num_epochs=epochs,
        drop_remainder=drop,
        order_seed=given if given is not None else _checks.draw_seed() if buffer else 0,
        seed_given=given is not None,
    )


def _fields(
    paths: tuple[str, ...],
    layout: CsvFormat,
    header: bool,
    columns: Sequence[str | None] | None,
    label: str | Sequence[str] | None,
    dtypes: Mapping[str, Any] | None,
    defaults: Mapping[str, Any] | None,
) -> tuple[CsvColumn, ...]:
    """All fields of a record: names, types, defaults, and whether they are read."""
    if isinstance(columns, str):
        raise ValueError(f"`columns` must be a list of names. Received: {columns!r}.")
    names = _csv_schema.read_names(paths, layout, header, columns)
    labels = [] if label is None else [label] if isinstance(label, str) else list(label)
    for name in labels:
        _checks.choose([known for known in names if known is not None], name, "`label`")
        if labels.count(name) > 1:
            raise ValueError(f"`label` names the column {name!r} twice. Received: {labels!r}.")
    wanted = {name for name in (names if columns is None or not header else columns) if name is not None} | set(labels)
    if not wanted - set(labels):
        raise ValueError(
            f"No columns are left for features: only {_checks.listed(labels)} would be read. Give more `columns`."
        )
    types = _csv_schema.ColumnTypes(names, dtypes, defaults)
    found = types.infer(paths, layout, header)
    fields = []
    for number, field in enumerate(names):
        if field is None or field not in wanted:
            fields.append(CsvColumn(field or f"field {number}", tf.string, "", False))
        else:
            default = types.default(field, found[field], field in labels)
            # No other column that nobody gave a type is float64.
            whole = found[field] == tf.float64 and field not in types.dtypes
            fields.append(CsvColumn(field, found[field], default, True, whole))
    return tuple(fields)


def _one_character(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\n\r' or not value.isascii():
        raise ValueError(f"`{name}` must be one ASCII character, no quote and no line break. Received: {value!r}.")
    return value


def _quotes(quote: Any) -> bool:
    if quote not in ('"', None):
        raise ValueError(f"`quote` must be '\"', or None if quotes have no meaning in the files. Received: {quote!r}.")
    return quote is not None


def _comment(comment: Any) -> str | None:
    if comment is not None and (not isinstance(comment, str) or not comment):
        raise ValueError(
            f"`comment` must be a text that lines to be left out begin with, or None. Received: {comment!r}."
        )
    return comment
