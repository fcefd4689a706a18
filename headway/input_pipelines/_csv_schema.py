"""What is known of CSV files before they are read: names of the columns, and their types, from the first rows."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from headway import _columns
from headway.input_pipelines import _checks

INFERENCE_ROWS = 1000
DTYPES = (tf.int32, tf.int64, tf.float32, tf.float64, tf.string)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(inf|infinity|nan)\s*", re.IGNORECASE)
_QUOTED = re.compile(rb'"(?:[^"]|"")*"')
_BEGIN_BYTES = 65_536
_CARRIAGE_RETURN = (
    "{path}, line {line}: a field holds a carriage return (CR), which TensorFlow leaves out when it reads lines. "
    "Convert the file, for example with: tr -d '\\r' < {path} > converted.csv"
)
_BYTE_ORDER_MARK = "\ufeff"


@dataclasses.dataclass(frozen=True)
class CsvColumn:
    """A field of a record.

    Attributes:
      name: its name.
      dtype: one of int32, int64, float32, float64, string.
      default: what an empty or missing field becomes; None: such a field is an error.
      read: whether it is a feature or a label; other fields are passed over.
      whole: whether it was taken for whole numbers with gaps, which must then be exact in float64.
    """

    name: str
    dtype: tf.DType
    default: Any
    read: bool
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class CsvFormat:
    """How the files are written; the arguments of `from_csv` of these names."""

    delimiter: str
    quotes: bool
    na_values: tuple[str, ...]
    skip_initial_space: bool
    comment: str | None

    def rows(self, path: str) -> Iterator[tuple[int, list[str]]]:
        """Yields (number of its last line, fields) of each record of a file; blank and comment lines are left out.

        Raises:
          ValueError: if the text is not UTF-8, or a field holds a carriage return.
        """
        line = 0

        def lines() -> Iterator[str]:
            nonlocal line
            with tf.io.gfile.GFile(path, "rb") as raw:
                for content in gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else _byte_lines(raw):
                    line += 1
                    try:
                        text = content.decode()
                    except UnicodeDecodeError as error:
                        raise ValueError(
                            f"{path}, line {line}: not UTF-8 text ({error.reason}). Convert the file to UTF-8."
                        ) from None
                    text = text.removeprefix(_BYTE_ORDER_MARK) if line == 1 else text
                    if self.comment is None or not text.startswith(self.comment):
                        if "\r" in text.rstrip("\r\n"):
                            raise ValueError(_CARRIAGE_RETURN.format(path=path, line=line))
                        yield text

        quoting: Any = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        for row in csv.reader(
            lines(), delimiter=self.delimiter, quoting=quoting, skipinitialspace=self.skip_initial_space
        ):
            if any("\r" in field for field in row):
                raise ValueError(_CARRIAGE_RETURN.format(path=path, line=line))
            if row:
                yield line, row


def _byte_lines(file: Any) -> Iterator[bytes]:
    """Yields the lines of a file with all that they hold: a `GFile` that is iterated leaves out carriage returns."""
    rest = b""
    while block := file.read(_BEGIN_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def check_line_ends(paths: Sequence[str]) -> None:
    """Raises if the lines of a file seem to end in CR alone, which ends no line here."""
    for path in paths:
        with tf.io.gfile.GFile(path, "rb") as raw:
            begin = (gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw).read(_BEGIN_BYTES)
        if b"\n" not in begin and b"\r" in _QUOTED.sub(b"", begin).rstrip(b"\r"):
            raise ValueError(
                f"{path}: the lines end in CR alone, as on old Macintosh computers. They must end in LF or CR LF. "
                f"Convert the file, for example with: tr '\\r' '\\n' < {path} > converted.csv"
            )


def find_files(pattern: Any) -> tuple[str, ...]:
    """Returns the files of a pattern, a path or a list of these; sorted within a pattern."""
    patterns = [pattern] if isinstance(pattern, str) or hasattr(pattern, "__fspath__") else list(pattern)
    if not patterns:
        raise ValueError("`file_pattern` must name at least one file. Received: an empty list.")
    paths: list[str] = []
    for entry in patterns:
        text = entry if isinstance(entry, str) else entry.__fspath__()
        found = [text] if tf.io.gfile.exists(text) else sorted(tf.io.gfile.glob(text))
        found = [path for path in found if not tf.io.gfile.isdir(path)]
        if not found:
            raise ValueError(f"`file_pattern` matches no file. Received: {text!r}.")
        paths.extend(found)
    return tuple(paths)


def read_names(
    paths: Sequence[str], layout: CsvFormat, header: bool, columns: Sequence[str | None] | None
) -> list[str | None]:
    """Returns the name of each field: from the header, which must be the same in all files, or from `columns`."""
    if not header:
        if columns is None:
            raise ValueError(
                "With `header=False`, `columns` must name the fields of a record in their order. Received: None."
            )
        _columns.unique([name for name in columns if name is not None], "`columns`")
        return list(columns)
    first: list[str] | None = None
    for path in paths:
        line, names = next(layout.rows(path), (0, None))
        if names is None:
            continue
        if first is None:
            first = names
            _columns.unique(names, f"the header of {path}")
        elif names != first:
            raise ValueError(
                f"All files must have the same header. {paths[0]} has {_checks.listed(first)}; "
                f"{path}, line {line}, has {_checks.listed(names)}. "
                "Read them by one pipeline each, or make the headers equal."
            )
    if first is None:
        raise ValueError(f"The files are empty: {_checks.listed(paths)}.")
    for name in columns or ():
        if name is not None:
            _checks.choose(first, name, "`columns`:")
    return list(first)


class ColumnTypes:
    """Types and defaults of the columns: as given, or found in the first rows."""

    def __init__(
        self, names: Sequence[str | None], dtypes: Mapping[str, Any] | None, defaults: Mapping[str, Any] | None
    ) -> None:
        self.names = names
        known = [name for name in names if name is not None]
        for argument, given in (("dtypes", dtypes), ("defaults", defaults)):
            for name in given or ():
                _checks.choose(known, name, f"`{argument}`:")
        self.dtypes = {name: _dtype(name, value) for name, value in (dtypes or {}).items()}
        self.defaults = dict(defaults or {})

    def infer(self, paths: Sequence[str], layout: CsvFormat, header: bool) -> dict[str, tf.DType]:
        """Returns the type of each column, from its first 1000 values: int64, float32, float64 or string.

        A column of whole numbers with gaps is float64, as in a data frame, since NaN marks the gaps and float32 tells
        no numbers beyond 2**24 apart; int64 if it has a default. Numbers beyond 64 bits are text, and with gaps those
        beyond 2**53: they are names, not quantities.

        Raises:
          ValueError: no rows, or one of them has another number of fields.
        """
        rows = itertools.chain.from_iterable(
            ((path, line, row) for line, row in itertools.islice(layout.rows(path), 1 if header else 0, None))
            for path in paths
        )
        sample = list(itertools.islice(rows, INFERENCE_ROWS))
        if not sample:
            raise ValueError(f"The files hold no rows: {_checks.listed(paths)}.")
        for path, line, row in sample:
            if len(row) != len(self.names):
                raise ValueError(
                    f"{path}, line {line}: {len(row)} fields, but {len(self.names)} are expected "
                    f"({_checks.listed([name or '(not read)' for name in self.names])}). "
                    f"Correct the line, or check `header`, `columns` and `delimiter` ({layout.delimiter!r}). "
                    f"Received: {layout.delimiter.join(row)[:200]!r}."
                )
        found = {}
        for number, name in enumerate(self.names):
            if name is not None:
                found[name] = self.dtypes.get(name) or self._inferred(
                    name, [row[number] for _, _, row in sample], layout.na_values
                )
        return found

    def _inferred(self, name: str, values: Sequence[str], na_values: Sequence[str]) -> tf.DType:
        there = [value for value in values if value and value not in na_values]
        if not there or not all(_FLOAT.fullmatch(value) for value in there):
            return tf.string
        if not all(_INTEGER.fullmatch(value) for value in there):
            return tf.float32
        numbers = [int(value) for value in there]
        if not -(2**63) <= min(numbers) <= max(numbers) < 2**63:
            return tf.string
        if len(there) == len(values) or name in self.defaults:
            return tf.int64
        return tf.float64 if max(map(abs, numbers)) <= 2**53 else tf.string

    def default(self, name: str, dtype: tf.DType, is_label: bool) -> Any:
        """Returns what a missing value of this column becomes: what was given, "", NaN, or None for an error.

        Raises:
          ValueError: the given default is not of the column's type.
        """
        if name not in self.defaults:
            return None if is_label or dtype.is_integer else "" if dtype == tf.string else math.nan
        value = self.defaults[name]
        if dtype == tf.string:
            good = isinstance(value, str)
        else:
            good = (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and (dtype.is_floating or value == int(value))
            )
        if not good:
            raise ValueError(
                f"`defaults` for the column {name!r} must be a value of type {dtype.name}. Received: {value!r}."
            )
        return value


def _dtype(name: str, value: Any) -> tf.DType:
    try:
        dtype = (
            tf.string
            if value is str
            else tf.int64
            if value is int
            else tf.float32
            if value is float
            else tf.as_dtype(value)
        )
    except TypeError:
        dtype = None
    if dtype not in DTYPES:
        allowed = ", ".join(known.name for known in DTYPES)
        raise ValueError(f"`dtypes` for the column {name!r} must be one of {allowed}. Received: {value!r}.")
    return dtype
