"""What a column of a table holds, as far as its values tell."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headway import _columns
from headway.feature_columns import _calendar

Kind = Literal["number", "whole", "string", "text", "time"]

# Whole numbers of up to so many different values may be names of something, such as classes.
_MOST_CLASSES = 12
_FORMATS: tuple[tuple[str, str | None], ...] = (
    (r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?", None),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", "%d %b %Y"),
)


@dataclasses.dataclass(frozen=True)
class Profile:
    """What is known of a column.

    Attributes:
      name: its name.
      rows: number of rows.
      kind: what its values are.
      missing: share of rows without a value.
      distinct: number of different values.
      useless: why no model can use it; None if one may.
      codes: one number for each different value, -1 where it is missing; None for several values per row.
      width: values per row.
      low: smallest number.
      high: largest number.
      binary: whether it holds 0 and 1 alone.
      skewed: whether a few numbers are far to one side of all others, as amounts of money often are.
      infinite: number of infinite values, which are counted among those that are missing.
      top_share: share of the most frequent number.
      words: words in a text, on average.
      time_format: how times are written; None for ISO 8601 and for times that are no strings.
      time_parts: the parts of these times that differ.
    """

    name: str
    rows: int
    kind: Kind
    missing: float
    distinct: int
    useless: str | None
    codes: npt.NDArray[np.int64] | None
    width: int = 1
    low: float = 0.0
    high: float = 0.0
    binary: bool = False
    skewed: bool = False
    infinite: int = 0
    top_share: float = 0.0
    words: float = 0.0
    time_format: str | None = None
    time_parts: tuple[str, ...] = ()


def profile(name: str, values: Any) -> Profile:
    """Looks at all values of a column."""
    column = _columns.read(name, values)
    if isinstance(column, _columns.Coded):
        return _of_strings(name, column)
    flat = column.reshape(len(column), -1) if len(column) else column.reshape(0, 1)
    if _holds_times(values):
        return _of_times(name, flat[:, 0])
    return _of_numbers(name, flat)


def _holds_times(values: Any) -> bool:
    """Whether a column that was read as numbers came as times."""
    kind = getattr(values, "dtype", getattr(values, "type", None))
    return bool(re.match(r"(datetime|date|timestamp)", str(kind).lower()))


def _of_times(name: str, seconds: npt.NDArray[Any], time_format: str | None = None) -> Profile:
    present = seconds[~np.isnan(seconds)]
    distinct = len(np.unique(present))
    days = np.floor(present / 86400)
    parts = ["weekday", "day_of_year", "year"] if len(np.unique(days)) > 1 else []
    if (present != days * 86400).any():
        parts.insert(0, "hour")
    useless = "no value at all" if not distinct else "one value only" if distinct == 1 else None
    missing = 1.0 - len(present) / max(len(seconds), 1)
    return Profile(
        name, len(seconds), "time", missing, distinct, useless, None, time_format=time_format, time_parts=tuple(parts)
    )


def _of_numbers(name: str, matrix: npt.NDArray[Any]) -> Profile:
    numbers = matrix.astype(np.float64)
    infinite = int(np.isinf(numbers).sum())
    numbers = np.where(np.isinf(numbers), np.nan, numbers)
    gaps = np.isnan(numbers)
    present = numbers[~gaps]
    _, inverse = np.unique(numbers, return_inverse=True)
    distinct = len(np.unique(present))
    codes = np.where(gaps[:, 0], -1, inverse.reshape(-1)).astype(np.int64) if matrix.shape[1] == 1 else None
    kind: Kind = "number"
    useless = None
    whole = bool(len(present)) and bool((present == np.round(present)).all())
    binary = distinct <= 2 and set(np.unique(present).tolist()) <= {0.0, 1.0}
    if not distinct:
        useless = "no value at all"
    elif distinct == 1 and not gaps.any():
        useless = f"one value only, {present[0]:.6g}"
    elif matrix.shape[1] == 1 and whole and _counts_rows(present, distinct):
        useless = "numbers the rows"
    elif matrix.shape[1] == 1 and matrix.dtype.kind in "iu" and whole and _looks_like_id(name, distinct, len(present)):
        useless = "an identifier: its name says so, and hardly a value comes twice"
    elif matrix.shape[1] == 1 and matrix.dtype.kind in "iu" and not binary and distinct <= _MOST_CLASSES < len(present):
        # Columns of classes take -1 for a missing value: among other negative numbers it is one like these.
        kind = "number" if (present == -1).any() and (present < -1).any() else "whole"
    low, high = (float(present.min()), float(present.max())) if distinct else (0.0, 0.0)
    return Profile(
        name,
        len(matrix),
        kind,
        float(gaps.mean()) if gaps.size else 0.0,
        distinct,
        useless,
        codes,
        width=matrix.shape[1],
        low=low,
        high=high,
        binary=binary,
        skewed=_skewed(present),
        infinite=infinite,
        top_share=float(np.unique(present, return_counts=True)[1].max(initial=0)) / max(len(present), 1),
    )


def _counts_rows(present: npt.NDArray[Any], distinct: int) -> bool:
    """Whether the numbers are those of the rows: consecutive, in order, each once."""
    return distinct > 10 and distinct == len(present) and bool((np.diff(present) == 1).all())


def _looks_like_id(name: str, distinct: int, count: int) -> bool:
    named = re.search(r"(^|_|\b)(id|key|uuid|guid|index|number|no)$", name.lower()) or name.endswith("Id")
    return bool(named) and distinct > max(10, 0.9 * count)


def _skewed(present: npt.NDArray[Any]) -> bool:
    """Whether the skewness (third standardised moment) is far from that of a normal, or even exponential, variable."""
    if len(np.unique(present)) <= _MOST_CLASSES:
        return False
    scaled = (present - present.mean()) / present.std()
    return bool(abs((scaled**3).mean()) > 3.0)


def _of_strings(name: str, column: _columns.Coded) -> Profile:
    rows = len(column)
    # Codes may repeat a value, and need not use all.
    values = np.array([value.strip() for value in column.values], object)
    missing_codes = np.flatnonzero([not value for value in values])
    flat = column.codes.reshape(rows, -1)
    gaps = np.asarray(np.isin(flat, missing_codes).all(1) if rows else np.zeros(0, bool))
    used = np.setdiff1d(np.unique(flat), missing_codes)
    texts = [bytes(value).decode("utf-8", "replace") for value in values[used].tolist()]
    distinct, missing = len(set(texts)), float(gaps.mean()) if rows else 0.0
    codes = np.where(gaps, -1, flat[:, 0]).astype(np.int64) if flat.shape[1] == 1 else None
    present = rows - int(gaps.sum())
    if not distinct:
        return Profile(name, rows, "string", missing, 0, "no value at all", codes)
    if distinct == 1 and not missing:
        return Profile(name, rows, "string", missing, 1, f"one value only, {texts[0]!r}", codes)
    time_format = _time_format(texts)
    if time_format is not False and flat.shape[1] == 1:
        return _of_time_strings(name, texts, used, flat[:, 0], gaps, time_format)
    words = float(np.mean([len(text.split()) for text in texts]))
    if words >= 4 and distinct > 0.5 * present:
        return Profile(name, rows, "text", missing, distinct, None, codes, words=words)
    useless = None
    if distinct > max(10, 0.9 * present):
        useless = "an identifier: hardly a value comes twice"
    return Profile(name, rows, "string", missing, distinct, useless, codes)


def _time_format(texts: list[str]) -> str | Literal[False] | None:
    """Returns the format of times; False if the strings are none."""
    for expression, time_format in _FORMATS:
        if all(re.fullmatch(expression, text) for text in texts):
            return time_format
    return False


def _of_time_strings(
    name: str,
    texts: list[str],
    used: npt.NDArray[Any],
    codes: npt.NDArray[Any],
    gaps: npt.NDArray[Any],
    time_format: str | None,
) -> Profile:
    seconds, _ = _calendar.seconds_of(tf.constant(texts), _calendar.pattern(time_format))
    by_code = np.full(int(codes.max(initial=0)) + 1, np.nan)
    by_code[used] = seconds.numpy()
    return _of_times(name, np.where(gaps, np.nan, by_code[codes]), time_format)
