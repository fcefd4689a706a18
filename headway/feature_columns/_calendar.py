"""Dates and times of a whole batch, in TensorFlow operations: read from strings, and taken apart.

The civil calendar is computed as by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
(https://howardhinnant.github.io/date_algorithms.html): years begin in March, so that the leap day is their last.
"""

from __future__ import annotations

import dataclasses
import re

import tensorflow as tf

DAY = 86400
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# strptime's directives: a name for what is read, and how it is written.
_DIRECTIVES = {
    "Y": ("year", r"\d{4}"),
    "y": ("short_year", r"\d{2}"),
    "m": ("month", r"\d{1,2}"),
    "b": ("month_name", r"[A-Za-z]{3}"),
    "B": ("month_name", r"[A-Za-z]{3,9}"),
    "d": ("day", r"\d{1,2}"),
    "H": ("hour", r"\d{1,2}"),
    "I": ("hour", r"\d{1,2}"),
    "p": ("half", r"[AaPp][Mm]"),
    "M": ("minute", r"\d{1,2}"),
    "S": ("second", r"\d{1,2}"),
    "f": ("fraction", r"\d{1,6}"),
    "z": ("offset", r"Z|[+-]\d{2}:?\d{2}"),
}
_SKIPPED = {"A": "[A-Za-z]+", "a": "[A-Za-z]+", "%": "%"}
ISO = r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: ?(Z|[+-]\d{2}(?::?\d{2})?))?)?"
_ISO_NAMES = ("year", "month", "day", "hour", "minute", "second", "fraction", "offset")


@dataclasses.dataclass(frozen=True)
class Pattern:
    """How times are written.

    Attributes:
      expression: regular expression of the whole string, with a group for each of `names`.
      names: what the groups hold.
    """

    expression: str
    names: tuple[str, ...]


def pattern(format: str | None) -> Pattern:
    """Returns how times of a `strptime` format are written; None: ISO 8601.

    Raises:
      ValueError: for a directive that is not known or comes twice, or a format without a date.
    """
    if format is None:
        return Pattern(ISO, _ISO_NAMES)
    expression, names = "", []
    for directive, literal in re.findall(r"%(.?)|([^%]+)", format):
        if literal:
            expression += re.sub(r"\s+", r"\\s+", re.escape(literal).replace("\\ ", " "))
        elif directive in _SKIPPED:
            expression += _SKIPPED[directive]
        elif directive in _DIRECTIVES:
            name, written = _DIRECTIVES[directive]
            names.append(name)
            expression += f"({written})"
        else:
            known = ", ".join(f"%{name}" for name in [*_DIRECTIVES, *_SKIPPED])
            raise ValueError(f"`format` {format!r} has %{directive}, which is not among {known}.")
    kinds = [name.removeprefix("short_").removesuffix("_name") for name in names]
    if len(set(kinds)) < len(kinds) or not {"year", "month", "day"} <= set(kinds):
        raise ValueError(f"`format` must hold year, month and day, and each part once. Received: {format!r}")
    if ("half" in names) != ("%I" in format):
        raise ValueError(f"`format` must have %I and %p together. Received: {format!r}")
    return Pattern(expression, tuple(names))


def seconds_of(text: tf.Tensor, pattern: Pattern) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads times.

    Args:
      text: strings `[N]`.
      pattern: how they are written.

    Returns:
      Seconds since 1970-01-01 UTC, float64 `[N]`, and whether each string is a time of this pattern, bool `[N]`.
    """
    text = tf.strings.strip(text)
    whole = f"^(?:{pattern.expression})$"
    valid = tf.strings.regex_full_match(text, pattern.expression)
    groups = {
        name: tf.strings.regex_replace(text, whole, rf"\{number}", replace_global=False)
        for number, name in enumerate(pattern.names, start=1)
    }
    groups = {name: tf.where(valid, group, "") for name, group in groups.items()}
    year, month = _year_and_month(groups)
    day, hour = _number(groups["day"]), _number(groups.get("hour"))
    if "half" in groups:
        afternoon = tf.equal(tf.strings.lower(groups["half"]), "pm")
        valid &= tf.logical_and(hour >= 1, hour <= 12)
        hour = hour % 12 + tf.where(afternoon, tf.constant(12, tf.int64), tf.constant(0, tf.int64))
    minute, second = _number(groups.get("minute")), _number(groups.get("second"))
    safe_month = tf.clip_by_value(month, 1, 12)
    last = days_in_month(year, safe_month)
    for value, low, high in ((month, 1, 12), (day, 1, last), (hour, 0, 23), (minute, 0, 59), (second, 0, 60)):
        valid &= tf.logical_and(value >= low, value <= high)
    whole_seconds = days_from_civil(year, safe_month, day) * DAY + hour * 3600 + minute * 60 + second
    whole_seconds -= _offset(groups.get("offset"))
    return tf.cast(whole_seconds, tf.float64) + _fraction(groups.get("fraction")), valid


def _number(digits: tf.Tensor | None) -> tf.Tensor:
    """Returns digits as int64; 0 where there are none."""
    if digits is None:
        return tf.constant(0, tf.int64)
    return tf.strings.to_number(tf.where(tf.equal(digits, ""), "0", digits), tf.int64)


def _year_and_month(groups: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    if "year" in groups:
        year = _number(groups["year"])
    else:
        # POSIX: 69 to 99 are of the last century, 00 to 68 of this one.
        short = _number(groups["short_year"])
        year = short + tf.where(short >= 69, tf.constant(1900, tf.int64), tf.constant(2000, tf.int64))
    if "month" in groups:
        return year, _number(groups["month"])
    name = tf.strings.substr(tf.strings.lower(groups["month_name"]), 0, 3)
    same = tf.equal(name[:, tf.newaxis], tf.constant(_MONTHS)[tf.newaxis])
    return year, tf.reduce_sum(tf.cast(same, tf.int64) * tf.range(1, 13, dtype=tf.int64), 1)


def _fraction(digits: tf.Tensor | None) -> tf.Tensor:
    if digits is None:
        return tf.constant(0.0, tf.float64)
    return tf.strings.to_number(tf.strings.join(["0.", digits, "0"]), tf.float64)


def _offset(zone: tf.Tensor | None) -> tf.Tensor:
    """Returns the seconds by which a zone such as +05:30 is ahead of UTC; 0 where there is none."""
    if zone is None:
        return tf.constant(0, tf.int64)
    digits = tf.strings.regex_replace(zone, "[^0-9]", "")
    sign = tf.where(tf.strings.regex_full_match(zone, "-.*"), tf.constant(-1, tf.int64), tf.constant(1, tf.int64))
    hours = _number(tf.strings.regex_replace(digits, r"^(\d{2}).*$", r"\1"))
    minutes = _number(tf.strings.regex_replace(digits, r"^\d{2}", ""))
    return sign * (hours * 3600 + minutes * 60)


def days_from_civil(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Returns days since 1970-01-01, int64."""
    year = year - tf.cast(month <= 2, tf.int64)
    era = tf.math.floordiv(year, 400)
    of_era = year - era * 400
    of_year = tf.math.floordiv(153 * tf.math.floormod(month + 9, 12) + 2, 5) + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def civil_from_days(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns year, month (1 to 12) and day (1 to 31) of days since 1970-01-01, int64."""
    days = days + 719468
    era = tf.math.floordiv(days, 146097)
    of_era = days - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * of_year + 2) // 153
    day = of_year - (153 * from_march + 2) // 5 + 1
    month = tf.math.floormod(from_march + 2, 12) + 1
    return year_of_era + era * 400 + tf.cast(month <= 2, tf.int64), month, day


def days_in_year(year: tf.Tensor) -> tf.Tensor:
    """Returns 365 or 366."""
    one = tf.ones_like(year)
    return days_from_civil(year + 1, one, one) - days_from_civil(year, one, one)


def days_in_month(year: tf.Tensor, month: tf.Tensor) -> tf.Tensor:
    """Returns 28 to 31."""
    following = tf.math.floormod(month, 12) + 1
    return days_from_civil(year + tf.cast(month == 12, tf.int64), following, tf.ones_like(month)) - days_from_civil(
        year, month, tf.ones_like(month)
    )
