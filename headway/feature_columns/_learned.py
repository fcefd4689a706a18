"""What stands in a column for a value that `adapt` learns from data."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.feature_columns import _checks
from headway.feature_columns._protocol import Definition, FeatureColumn, FloatColumn, HostInputs, Learned
from headway.feature_columns._statistics import Counts, Moments, Quantiles


class Statistic(abc.ABC):
    """Collects what one `Learned` value of one column needs, batch by batch."""

    @abc.abstractmethod
    def add(self, inputs: HostInputs) -> None:
        """Takes in a batch."""

    @abc.abstractmethod
    def value(self) -> Any:
        """Returns what goes into the column."""


def unite(statistics: Sequence[Statistic]) -> None:
    """Has columns that share one table learn one vocabulary."""
    first, *others = [each for each in statistics if isinstance(each, _Vocabulary)]
    for other in others:
        first.unite(other)


def statistic(column: Any, learned: Learned) -> Statistic:
    """Returns what collects `learned` for `column`."""
    if isinstance(learned, LearnedVocabulary):
        return _Vocabulary(column, learned)
    if isinstance(learned, LearnedQuantiles):
        return _Boundaries(column, learned)
    if isinstance(learned, LearnedScale):
        return _Scale(column, learned)
    raise TypeError(f"`adapt` does not know how to learn {learned!r}.")


@dataclasses.dataclass(frozen=True)
class LearnedVocabulary(Learned):
    """What `learned_vocabulary` returns."""

    min_frequency: int
    max_size: int | None
    capacity: int


@dataclasses.dataclass(frozen=True)
class LearnedQuantiles(Learned):
    """What `learned_quantiles` returns."""

    num_buckets: int


@dataclasses.dataclass(frozen=True)
class LearnedScale(Learned):
    """What `learned_scale` returns."""

    missing: str

    def __call__(self, tensor: tf.Tensor) -> NoReturn:
        """Raises, since nothing has been learnt."""
        raise ValueError(_checks.NOT_ADAPTED.format(what="A numeric_column", field="normalizer_fn", value=self))


@dataclasses.dataclass(frozen=True)
class Scale(Definition):
    """Numbers minus their mean, over their standard deviation: what `adapt` puts in the place of `learned_scale()`.

    Attributes:
      mean: of each value of a row.
      stddev: likewise; 1 where all values are equal.
      missing: what becomes of NaN: "mean" (0 after scaling) or "keep".
    """

    mean: tuple[float, ...]
    stddev: tuple[float, ...]
    missing: str

    def __call__(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns float32 of the shape of `tensor`."""
        shape = tf.shape(tensor)
        # In float64, since numbers such as times may be large and close to each other.
        flat = tf.reshape(tf.cast(tensor, tf.float64), [shape[0], len(self.mean)])
        scaled = (flat - tf.constant(self.mean, tf.float64)) / tf.constant(self.stddev, tf.float64)
        if self.missing == "mean":
            scaled = tf.where(tf.math.is_nan(scaled), tf.zeros_like(scaled), scaled)
        return tf.ensure_shape(tf.reshape(tf.cast(scaled, tf.float32), shape), tensor.shape)


class _Vocabulary(Statistic):
    def __init__(self, column: Any, learned: LearnedVocabulary) -> None:
        self._column, self._learned = column, learned
        self._counts = Counts(learned.capacity)
        self._minus_ones = 0

    def unite(self, other: _Vocabulary) -> None:
        """Learns one vocabulary with another column, from the values of both."""
        if other._counts is not self._counts:
            self._counts.merge(other._counts)
            other._counts = self._counts

    def add(self, inputs: HostInputs) -> None:
        column = self._column
        values = _checks.compatible(inputs.values(column.key, column=column.name), column.dtype)
        flat = values.flat if values.missing is None else tf.boolean_mask(values.flat, ~values.missing)
        if values.missing is not None and values.dtype.is_integer and not values.had_gaps:
            self._minus_ones += int(tf.math.count_nonzero(values.missing))
        distinct, _, counts = tf.unique_with_counts(flat, out_idx=tf.int64)
        self._counts.add(distinct.numpy().tolist(), counts.numpy().tolist())

    def value(self) -> tuple[Any, ...]:
        learned, counts = self._learned, self._counts
        vocabulary = counts.most_frequent(learned.min_frequency, learned.max_size)
        if not vocabulary:
            raise ValueError(
                f"The vocabulary of column {self._column.name!r} cannot be learnt: the data holds "
                f"{counts.distinct} distinct values of feature {self._column.key!r}, none of them "
                f"{learned.min_frequency} times. Lower `min_frequency`, or leave the column out."
            )
        if self._minus_ones and any(isinstance(entry, int) and entry < 0 for entry in vocabulary):
            logger.warning(
                "feature %r of column %r holds -1 in %d rows, which counts as missing, among other negative numbers. "
                "If -1 is a value like these, pass the numbers as strings.",
                self._column.key,
                self._column.name,
                self._minus_ones,
            )
        if counts.error:
            logger.warning(
                "column %r has more than %d distinct values: frequencies are too low by up to %d. Raise `capacity`, "
                "or use categorical_column_with_hash_bucket.",
                self._column.name,
                learned.capacity,
                counts.error,
            )
        return tuple(_text(item) for item in vocabulary)


def _text(item: Any) -> Any:
    if not isinstance(item, bytes):
        return item
    try:
        return item.decode()
    except UnicodeDecodeError:
        return item


class _Boundaries(Statistic):
    def __init__(self, column: Any, learned: LearnedQuantiles) -> None:
        self._column, self._learned = column, learned
        self._quantiles = Quantiles()

    def add(self, inputs: HostInputs) -> None:
        values = inputs.floats(self._column.source_column).numpy()
        _check_not_infinite(self._column, self._column.source_column.key, values)
        self._quantiles.add(values)

    def value(self) -> tuple[float, ...]:
        cuts = self._quantiles.cuts(self._learned.num_buckets)
        if not cuts:
            raise ValueError(_nothing(self._column, "quantiles"))
        # The shortest decimals that are these float32 numbers, which is what the column compares.
        return tuple(float(str(np.float32(cut))) for cut in cuts)


class _Scale(Statistic):
    def __init__(self, column: Any, learned: LearnedScale) -> None:
        self._column, self._learned = column, learned
        self._raw: FloatColumn = dataclasses.replace(column, normalizer_fn=None)
        self._moments = Moments(column.width)

    def add(self, inputs: HostInputs) -> None:
        # The raw feature, not the column's float32: numbers such as times need the digits.
        inputs.floats(self._raw)
        values = inputs.tensor(self._column.key, column=self._column.name).numpy()
        _check_not_infinite(self._column, self._column.key, values)
        self._moments.add(values.reshape(len(values), self._column.width))

    def value(self) -> Scale:
        moments = self._moments
        if not moments.count.all():
            raise ValueError(_nothing(self._column, "mean and variance"))
        stddev = np.sqrt(moments.variance)
        return Scale(
            tuple(moments.mean.tolist()), tuple(np.where(stddev > 0, stddev, 1.0).tolist()), self._learned.missing
        )


def _check_not_infinite(column: FeatureColumn, key: str, values: Any) -> None:
    infinite = np.isinf(values.reshape(len(values), -1)).any(1) if values.dtype.kind == "f" else np.zeros(0, bool)
    if infinite.any():
        raise ValueError(
            f"Column {column.name!r} cannot be learnt from infinite values. Received: {int(infinite.sum())} in feature "
            f"{key!r}, the first of them {values[np.argmax(infinite)]}. Put NaN in their place, which counts as "
            "missing, or a number."
        )


def _nothing(column: FeatureColumn, what: str) -> str:
    return (
        f"The {what} of column {column.name!r} cannot be learnt: the data holds no value for it, only missing ones or "
        "no rows at all. Leave the column out, or give the numbers yourself."
    )


def learned_vocabulary(
    *, min_frequency: int = 1, max_size: int | None = None, capacity: int = 1_000_000
) -> LearnedVocabulary:
    """Stands for a vocabulary that `adapt` learns: the values of the feature, the most frequent first.

    Values of one frequency are in their own order, so that equal data make equal vocabularies. Missing values ('' and
    -1 of dense features) are no entries.

    Args:
      min_frequency: leaves out values that occur more rarely.
      max_size: keeps this many of the most frequent values; None: all.
      capacity: number of distinct values up to which counts are exact, which bounds the memory. Beyond it rare values
        are forgotten (Misra and Gries 1982), and a warning says how far off counts may be.

    Returns:
      What to give `categorical_column_with_vocabulary_list` or `text_column` in place of a list.

    Raises:
      ValueError: if a number is not positive.

    Example:
      >>> from headway import feature_columns as fc
      >>> job = fc.categorical_column_with_vocabulary_list("job", fc.learned_vocabulary(min_frequency=2))
      >>> fc.adapt(job, {"job": ["cook", "nurse", "nurse", "pilot", "cook", "nurse", ""]}).vocabulary_list
      ('nurse', 'cook')
    """
    for name, value in (("min_frequency", min_frequency), ("max_size", max_size), ("capacity", capacity)):
        if not (name == "max_size" and value is None):
            _checks.check_positive(value, name, "learned_vocabulary")
    return LearnedVocabulary(min_frequency, max_size, capacity)


def learned_quantiles(num_buckets: int) -> LearnedQuantiles:
    """Stands for the boundaries of intervals that hold about the same number of values each; `adapt` learns them.

    They are exact up to 8,192 values, and beyond that within a few hundredths of a percent of the number of values
    (the sketch of Karnin, Lang and Liberty 2016, https://arxiv.org/abs/1603.05346), in memory that hardly grows.
    Missing values (NaN) do not count. Where many values are equal there are fewer intervals than asked for.

    Args:
      num_buckets: number of intervals, at least 2.

    Returns:
      What to give `bucketized_column` in place of a list of boundaries.

    Raises:
      ValueError: if `num_buckets` is below 2.

    Example:
      >>> from headway import feature_columns as fc
      >>> fare = fc.bucketized_column(fc.numeric_column("fare"), fc.learned_quantiles(4))
      >>> fc.adapt(fare, {"fare": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0, 800.0]}).boundaries
      (3.0, 5.0, 70.0)
    """
    _checks.check_positive(num_buckets, "num_buckets", "learned_quantiles")
    if num_buckets < 2:
        raise ValueError(f"`num_buckets` of learned_quantiles must be at least 2. Received: {num_buckets}")
    return LearnedQuantiles(num_buckets)


def learned_scale(*, missing: str = "mean") -> LearnedScale:
    """Stands for a normaliser that `adapt` learns: `(x - mean) / standard deviation`, for each value of a row.

    The standard deviation is that of the population; where all values are equal it counts as 1. Missing values (NaN)
    are skipped in learning.

    Args:
      missing: what becomes of NaN in the model: "mean" puts the mean, which is 0 after scaling, in its place; "keep"
        leaves NaN, which spreads to the loss.

    Returns:
      What to give `numeric_column` as `normalizer_fn`.

    Raises:
      ValueError: if `missing` is something else.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.adapt(fc.numeric_column("age", normalizer_fn=fc.learned_scale()), {"age": [20.0, 40.0]})
      >>> age.normalizer_fn
      Scale(mean=(30.0,), stddev=(10.0,), missing='mean')
      >>> fc.DenseFeatures([age])({"age": [20.0, 50.0, None]}).numpy().ravel().tolist()
      [-1.0, 2.0, 0.0]
    """
    if missing not in ("mean", "keep"):
        raise ValueError(f"`missing` of learned_scale must be 'mean' or 'keep'. Received: {missing!r}")
    return LearnedScale(missing)
