"""Dates and times as numbers that a model can use."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headway.feature_columns import _calendar, _checks
from headway.feature_columns._protocol import FeatureColumn, FloatColumn, HostInputs

# The parts, and how many numbers each makes.
_WIDTHS = {"hour": 2, "weekday": 2, "day_of_month": 2, "month": 2, "day_of_year": 2, "year": 1, "epoch": 1}
_YEAR = 365.2425 * _calendar.DAY


@dataclasses.dataclass(frozen=True)
class DatetimeColumn(FloatColumn):
    """What `datetime_column` returns."""

    key: str
    parts: tuple[str, ...]
    format: str | None
    utc_offset_hours: float
    dtype: tf.DType

    @property
    def name(self) -> str:
        """`{key}_datetime`."""
        return f"{self.key}_datetime"

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `FixedLenFeature` of one value, missing where an example lacks it."""
        default: Any = "" if self.dtype == tf.string else None
        return {self.key: tf.io.FixedLenFeature((1,), self.dtype, default)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def variable_shape(self) -> tf.TensorShape:
        """`[numbers of all parts]`."""
        return tf.TensorShape([sum(_WIDTHS[part] for part in self.parts)])

    @property
    def labels(self) -> tuple[str, ...]:
        """What each number is, such as `hour_sin`."""
        names = [[f"{part}_sin", f"{part}_cos"] if _WIDTHS[part] == 2 else [part] for part in self.parts]
        return tuple(label for pair in names for label in pair)

    def host_floats(self, inputs: HostInputs) -> tf.Tensor:
        """Returns float32 `[B, width]`; zeros where there is no time."""
        seconds, missing = self._seconds(inputs.tensor(self.key, column=self.name))
        seconds += self.utc_offset_hours * 3600.0
        days = tf.cast(tf.floor(seconds / _calendar.DAY), tf.int64)
        of_day = seconds - tf.cast(days, tf.float64) * _calendar.DAY
        numbers = [number for part in self.parts for number in _numbers(part, seconds, days, of_day)]
        matrix = tf.cast(tf.stack(numbers, 1), tf.float32)
        return tf.where(missing[:, tf.newaxis], tf.zeros_like(matrix), matrix)

    def _seconds(self, tensor: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns seconds since 1970, float64 `[B]`, 0 where missing, and where they are missing."""
        rank = tensor.shape.rank
        if not isinstance(tensor, tf.Tensor) or rank not in (1, 2) or (rank == 2 and tensor.shape[1] not in (1, None)):
            raise ValueError(
                f"datetime_column {self.key!r} needs one time for each row, a Tensor of shape [batch] or [batch, 1]. "
                f"Received: {type(tensor).__name__} of shape {tensor.shape}"
            )
        flat = tf.reshape(tensor, [-1])
        if flat.dtype == tf.string:
            return self._read(flat)
        if self.format is not None or not (flat.dtype.is_floating or flat.dtype.is_integer):
            wanted = f"strings of the format {self.format!r}" if self.format is not None else "strings or numbers"
            raise ValueError(
                f"datetime_column {self.key!r} needs {wanted}. Received: dtype {flat.dtype} for feature {self.key!r}."
            )
        seconds = tf.cast(flat, tf.float64)
        missing = tf.logical_not(tf.math.is_finite(seconds))
        return tf.where(missing, tf.zeros_like(seconds), seconds), missing

    def _read(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seconds, valid = _calendar.seconds_of(text, _calendar.pattern(self.format))
        missing = tf.equal(tf.strings.strip(text), "")
        wrong = tf.logical_not(tf.logical_or(valid, missing))
        # Without quotes, which TensorFlow would escape when it reports a failed check; the first word tells an
        # estimator that the message is for the user.
        message = (
            f"headway: Feature {self.key} of datetime_column has a value that is no time of the format "
            f"{self.format or 'ISO 8601 (2024-12-31T23:59:59)'}. Give the right `format`, or an empty string where a "
            "time is missing. Received: "
        )
        check = tf.debugging.Assert(tf.logical_not(tf.reduce_any(wrong)), [message, tf.boolean_mask(text, wrong)])
        with tf.control_dependencies([] if check is None else [check]):
            return tf.where(valid, seconds, tf.zeros_like(seconds)), missing


def _numbers(part: str, seconds: tf.Tensor, days: tf.Tensor, of_day: tf.Tensor) -> list[tf.Tensor]:
    """Returns the numbers of one part, float64 `[B]` each."""
    if part == "epoch":
        return [seconds / _YEAR]
    year, month, day = _calendar.civil_from_days(days)
    first = tf.ones_like(month)
    share_of_day = of_day / _calendar.DAY
    day_of_year = tf.cast(days - _calendar.days_from_civil(year, first, first), tf.float64) + share_of_day
    share_of_year = day_of_year / tf.cast(_calendar.days_in_year(year), tf.float64)
    if part == "year":
        return [tf.cast(year - 2000, tf.float64) + share_of_year]
    in_month = tf.cast(day - 1, tf.float64) + share_of_day
    turns = {
        "hour": share_of_day,
        # 1970-01-01 was a Thursday; weeks begin on Monday.
        "weekday": (tf.cast(tf.math.floormod(days + 3, 7), tf.float64) + share_of_day) / 7.0,
        "day_of_month": in_month / tf.cast(_calendar.days_in_month(year, month), tf.float64),
        "month": tf.cast(month - 1, tf.float64) / 12.0,
        "day_of_year": share_of_year,
    }
    angle = 2.0 * math.pi * turns[part]
    return [tf.sin(angle), tf.cos(angle)]


def datetime_column(
    key: str,
    parts: Sequence[str] = ("hour", "weekday", "day_of_year", "year"),
    *,
    format: str | None = None,
    utc_offset_hours: float = 0.0,
    dtype: Any = tf.string,
) -> DatetimeColumn:
    """Represents a date or time by numbers: cyclic parts as sine and cosine, so that 23:59 lies beside 0:00.

    A missing time ('' , None, NaN, NaT) makes zeros, which no time makes in a cyclic part. All of it runs in
    TensorFlow on whole batches, in an exported model as well.

    Args:
      key: name of the feature: strings; numbers, which are seconds since 1970-01-01 UTC (float32 holds today's to two
        minutes only); or arrays of datetime64, which input pipelines turn into such seconds.
      parts: any of
        "hour" (time of day, minutes and seconds included), "weekday" (time of the week, from Monday), "day_of_month",
        "month", "day_of_year" (time of the year): sine and cosine of the part's share of its period;
        "year": years since the beginning of 2000, with fraction;
        "epoch": years of 365.2425 days since 1970, with fraction.
      format: how strings are written, in the directives of `strptime`
        (https://docs.python.org/3/library/datetime.html#format-codes): %Y %y %m %b %B %d %H %I %p %M %S %f %z, and %a
        and %A, which are skipped. Names of months are English. None: ISO 8601, with or without time and zone.
      utc_offset_hours: hours by which the clock that matters is ahead of UTC (2 for UTC+2): times are in UTC, or given
        with their zone. Strings without a zone that are in local time already need none.
      dtype: type in which `tf.io.parse_example` reads the feature: `tf.string`, a float or an integer type.

    Returns:
      A dense column named `{key}_datetime` of two values for each cyclic part and one for each other.

    Raises:
      ValueError: if a part is unknown or comes twice, or `format` lacks the date or has an unknown directive. When
        run: for strings that are no times (`tf.errors.InvalidArgumentError`, which names them).

    Example:
      >>> from headway import feature_columns as fc
      >>> sold = fc.datetime_column("sold", ["hour", "year"])
      >>> sold.labels
      ('hour_sin', 'hour_cos', 'year')
      >>> fc.DenseFeatures([sold])({"sold": ["2024-01-01 06:00", ""]}).numpy().astype(int)
      array([[ 1,  0, 24],
             [ 0,  0,  0]])
    """
    _checks.check_key(key)
    given = (parts,) if isinstance(parts, str) else tuple(parts)
    unknown = [part for part in given if part not in _WIDTHS]
    if unknown or not given or len(set(given)) < len(given):
        raise ValueError(
            f"`parts` of datetime_column {key!r} must be one or more of {', '.join(_WIDTHS)}, each once. "
            f"Received: {parts!r}"
        )
    try:
        _calendar.pattern(format)
    except ValueError as error:
        raise ValueError(f"datetime_column {key!r}: {error}") from error
    checked = _checks.as_dtype(dtype)
    if not (checked == tf.string or checked.is_floating or checked.is_integer):
        raise ValueError(f"`dtype` of datetime_column {key!r} must be string or a number. Received: {checked}")
    return DatetimeColumn(key, given, format, float(utc_offset_hours), checked)
