"""From records to columns: checks whole batches with one regular expression, and decodes them with one operation.

`tf.io.decode_csv` names neither file nor line of a bad record. So the records are matched against a pattern of their
fields first, which costs little beside decoding, and only the first record that does not match is looked at more
closely.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from headway.input_pipelines._csv_records import LINE_BITS
from headway.input_pipelines._csv_schema import CsvColumn, CsvFormat

_FLOAT = r"[ \t]*[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|(?i:inf(?:inity)?|nan))[ \t]*"
# A whole number that float64 holds, or one that is not whole. 2**53 is 9007199254740992.
_EXACT = (
    r"[ \t]*[+-]?(?:0*(?:\d{1,15}|[1-8]\d{15}|900[0-6]\d{12})\.?|\d+\.\d+|\.\d+|\d+\.?\d*[eE][+-]?\d+"
    r"|\.\d+[eE][+-]?\d+|(?i:inf(?:inity)?|nan))[ \t]*"
)
_ABSENT = "' is missing, and a label or a column of integers has no default. Fill it in, or give defaults={'"
_OTHER_TYPE = ". Correct the line, or read the column as another type, for example dtypes={'"
_DIGITS = {tf.int32: 10, tf.int64: 19}


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Decodes records of one format into a dict of columns.

    Attributes:
      paths: the files, to name them.
      layout: how they are written.
      columns: all fields of a record, in order.
    """

    paths: tuple[str, ...]
    layout: CsvFormat
    columns: tuple[CsvColumn, ...]

    def decode(self, texts: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the columns that are read, from records `texts` that come from `places`; all of shape `[batch]`."""
        spaces = self.layout.skip_initial_space
        quoted = tf.constant(False)
        if spaces and self.layout.quotes:
            # A quoted field is matched as a whole, so that the spaces within it stay. This is slow, and seldom needed.
            careful = f'(^|{self._delimiter}) *("(?:[^"]|"")*")|(^|{self._delimiter}) +'
            quoted = tf.logical_not(tf.reduce_all(tf.strings.regex_full_match(texts, '[^"]*')))
            kept = texts
            texts = tf.cond(quoted, lambda: tf.strings.regex_replace(kept, careful, r"\1\2\3"), lambda: kept)
        fits = tf.strings.regex_full_match(texts, self._pattern([self._field(column) for column in self.columns]))
        texts = self._asserted(texts, tf.reduce_all(fits), lambda: self._explain(texts, places, fits))
        columns = [column for column in self.columns if column.read]
        missing_texts = self.layout.na_values
        as_text = (
            spaces
            or len(missing_texts) > 1
            or (bool(missing_texts) and any(_is_required_text(column) for column in columns))
        )
        fields = tf.io.decode_csv(
            texts,
            [_record_default(column, as_text) for column in columns],
            field_delim=self.layout.delimiter,
            use_quote_delim=self.layout.quotes,
            na_value=missing_texts[0] if missing_texts and not as_text else "",
            select_cols=[number for number, column in enumerate(self.columns) if column.read],
        )
        if spaces:
            bare = fields
            fields = tf.cond(quoted, lambda: bare, lambda: [_bare(*pair) for pair in zip(columns, bare, strict=True)])
        if as_text:
            fields = [self._typed(column, field, texts, places) for column, field in zip(columns, fields, strict=True)]
        return {column.name: field for column, field in zip(columns, fields, strict=True)}

    def _typed(self, column: CsvColumn, field: tf.Tensor, texts: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """A field that was read as text, with its missing values replaced, in the column's type."""
        # The empty text needs no replacement by itself.
        texts_of_missing = [*self.layout.na_values, *([""] if column.default != "" else [])]
        missing = functools.reduce(tf.logical_or, [field == text for text in texts_of_missing], tf.constant(False))
        if column.default is not None:
            field = tf.where(missing, str(column.default), field) if texts_of_missing else field
        elif _is_required_text(column):
            there = tf.logical_not(missing)
            field = self._asserted(
                field, tf.reduce_all(there), lambda: self._located(texts, places, there, lambda _: _absent(column))
            )
        return field if column.dtype == tf.string else tf.strings.to_number(field, column.dtype)

    def _asserted(self, value: tf.Tensor, good: tf.Tensor, explain: Callable[[], tf.Tensor]) -> tf.Tensor:
        """`value`, once `good` is seen to hold; otherwise the run ends with what `explain` returns."""
        # The first word tells an estimator that the message is for the user.
        message = tf.cond(good, lambda: tf.constant(""), lambda: "headway: " + explain())
        with tf.control_dependencies([tf.debugging.Assert(good, [message], summarize=1)]):
            return tf.identity(value)

    # Patterns, in the syntax of RE2.

    @property
    def _delimiter(self) -> str:
        return re.escape(self.layout.delimiter)

    def _field(self, column: CsvColumn) -> str:
        """The pattern of one field."""
        spaces = " *" if self.layout.skip_initial_space else ""
        missing = spaces + "(?:" + "|".join(["", *(re.escape(value) for value in self.layout.na_values)]) + ")"
        if not column.read or column.dtype == tf.string:
            needed = column.read and column.default is None
            special = ('"' if self.layout.quotes else "") + self._delimiter
            first = f"{spaces}[^{special}{' ' if spaces else ''}]" if needed else ""
            plain = f"{first}[^{special}]*"
            return f'{plain}|"(?:[^"]|""){"+" if needed else "*"}"' if self.layout.quotes else plain
        floating = _EXACT if column.whole else _FLOAT
        number = floating if column.dtype.is_floating else rf"[ \t]*[+-]?\d{{1,{_DIGITS[column.dtype]}}}[ \t]*"
        either = number if column.default is None else f"{number}|{missing}"
        return f'{either}|"(?:{either})"' if self.layout.quotes else either

    def _pattern(self, fields: Sequence[str]) -> str:
        return self._delimiter.join(f"(?:{field})" for field in fields)

    # What is wrong with a record that does not fit; runs only when there is one.

    def _explain(self, texts: tf.Tensor, places: tf.Tensor, fits: tf.Tensor) -> tf.Tensor:
        anything = CsvColumn("", tf.string, "", True)
        shape = self._pattern([self._field(anything)] * len(self.columns))

        def reason(text: tf.Tensor) -> tf.Tensor:
            whole = tf.strings.regex_full_match(text, shape)
            return tf.cond(whole, lambda: self._bad_value(text), lambda: self._bad_shape(text))

        return self._located(texts, places, fits, reason)

    def _located(
        self, texts: tf.Tensor, places: tf.Tensor, fits: tf.Tensor, reason: Callable[[tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """The message for the first record that does not fit: its file and line, the reason, and the text."""
        bad = tf.argmin(tf.cast(fits, tf.int32))
        text, place = texts[bad], places[bad]
        path = tf.gather(tf.constant(self.paths), tf.bitwise.right_shift(place, LINE_BITS))
        line = tf.strings.as_string(tf.bitwise.bitwise_and(place, (1 << LINE_BITS) - 1))
        # An error message must be UTF-8, also where the text is not, or is cut within a character.
        shown = tf.strings.unicode_transcode(tf.strings.substr(text, 0, 300), "UTF-8", "UTF-8", errors="replace")
        return tf.strings.join([path, ", line ", line, ": ", reason(text), " Received: ", shown])

    def _bad_shape(self, text: tf.Tensor) -> tf.Tensor:
        bare = tf.strings.regex_replace(text, r'"(?:[^"]|"")*"', "") if self.layout.quotes else text
        count = tf.size(tf.strings.split(bare, self.layout.delimiter))
        expected = (
            f" fields, but {len(self.columns)} are expected. "
            "Correct the line, or check `header`, `columns` and `delimiter`."
        )
        stray = (
            "a double quote inside a field that does not begin with one, or text that is not UTF-8. "
            "Put the whole field in double quotes and double those inside, read the files with quote=None, "
            "or convert them to UTF-8."
        )
        return tf.where(count == len(self.columns), stray, tf.strings.join([tf.strings.as_string(count), expected]))

    def _bad_value(self, text: tf.Tensor) -> tf.Tensor:
        """Names the first column whose text is not of its type."""
        fields = tf.io.decode_csv(
            text[tf.newaxis],
            [tf.constant([""])] * len(self.columns),
            field_delim=self.layout.delimiter,
            use_quote_delim=self.layout.quotes,
        )
        values = tf.concat(fields, 0)
        # Few patterns serve many columns.
        patterns = [self._value(column) for column in self.columns]
        fits = tf.ones_like(values, tf.bool)
        for pattern in dict.fromkeys(patterns):
            applies = tf.constant([pattern == other for other in patterns])
            fits = tf.where(applies, tf.strings.regex_full_match(values, pattern), fits)
        bad = tf.argmin(tf.cast(fits, tf.int32))
        value = values[bad]
        name = tf.gather(tf.constant([column.name for column in self.columns]), bad)
        kind = tf.gather(tf.constant([_kind(column) for column in self.columns]), bad)
        wrong = [
            "the column '",
            name,
            "' holds '",
            value,
            "', which is not of type ",
            kind,
            _OTHER_TYPE,
            name,
            "': 'string'}.",
        ]
        absent = ["the column '", name, _ABSENT, name, "': ...}."]
        blank = tf.strings.length(tf.strings.strip(value)) == 0
        return tf.where(blank, tf.strings.join(absent), tf.strings.join(wrong))

    def _value(self, column: CsvColumn) -> str:
        """The pattern of one field's content, without its quotes."""
        if not column.read or column.dtype == tf.string:
            return r"(?s).*" if not _is_required_text(column) else r"(?s) *[^ ].*"
        return f"(?s)(?:{self._field(column)})"


def _kind(column: CsvColumn) -> str:
    return (
        f"{column.dtype.name}, or is a whole number beyond 2**53 in a column with gaps"
        if column.whole
        else column.dtype.name
    )


def _bare(column: CsvColumn, field: tf.Tensor) -> tf.Tensor:
    """The field without the spaces before it; around a number no spaces count."""
    return tf.strings.regex_replace(field, "^ +", "") if column.dtype == tf.string else tf.strings.strip(field)


def _absent(column: CsvColumn) -> tf.Tensor:
    return tf.constant(f"the column '{column.name}{_ABSENT}{column.name}': ...}}.")


def _is_required_text(column: CsvColumn) -> bool:
    return column.dtype == tf.string and column.default is None


def _record_default(column: CsvColumn, as_text: bool) -> Any:
    if as_text:
        return tf.constant([""])
    return tf.constant([], column.dtype) if column.default is None else tf.constant([column.default], column.dtype)
