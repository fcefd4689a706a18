"""Values of a categorical feature and ids of a categorical column for a batch, with the rows that they belong to."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

# Fingerprint64 of the strings that dense features hold where there is no value: '' and, of integers, '-1'.
NO_STRING, NO_NUMBER = -0x651E95C4D06FBFB1, 0x65C727C9A1B5784E


@dataclasses.dataclass(frozen=True)
class DenseRows:
    """Rows that all have the same number of values.

    Attributes:
      source: the tensor that the values came in, `[B]` or `[B, ...]`.
      width: values per row; None where only the running program knows it.
    """

    source: tf.Tensor
    width: int | None

    @property
    def num_rows(self) -> tf.Tensor:
        """The number of rows, an int64 scalar."""
        return tf.shape(self.source, out_type=tf.int64)[0]

    @property
    def single(self) -> bool:
        """Whether each row has exactly one value, so that a flat vector is indexed by row."""
        return self.width == 1

    def matrix(self, flat: tf.Tensor) -> tf.Tensor:
        """Returns `flat`, shape `[B * width]`, as `[B, width]`."""
        if self.width == 1:
            return tf.expand_dims(flat, 1)
        if self.width:
            return tf.reshape(flat, [-1, self.width])
        return tf.reshape(flat, tf.stack([self.num_rows, self._flat_width()]))

    def row_ids(self) -> tf.Tensor:
        """Returns the row of each value, int64 `[B * width]`."""
        return tf.repeat(tf.range(self.num_rows), self._flat_width())

    def _flat_width(self) -> int | tf.Tensor:
        return self.width or tf.reduce_prod(tf.shape(self.source, out_type=tf.int64)[1:])


@dataclasses.dataclass(frozen=True)
class RaggedRows:
    """Rows of any number of values.

    Attributes:
      num_rows: int64 scalar tensor.
      value_row_ids: the row of each value, int64 `[N]`, in ascending order.
    """

    num_rows: tf.Tensor
    value_row_ids: tf.Tensor

    @property
    def single(self) -> bool:
        """False: the number of values is only known when the program runs."""
        return False

    def row_ids(self) -> tf.Tensor:
        """Returns the row of each value, int64 `[N]`."""
        return self.value_row_ids


@dataclasses.dataclass(frozen=True)
class Values:
    """A raw feature as a flat vector of values.

    Attributes:
      key: name of the feature.
      flat: string or int64 `[N]`.
      dtype: the type that the feature came in.
      rows: the row of each value.
      had_gaps: whether the feature came as float64, whose NaN became -1.
    """

    key: str
    flat: tf.Tensor
    dtype: tf.DType
    rows: DenseRows | RaggedRows
    had_gaps: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def came_dense(self) -> bool:
        """Whether the feature is a dense tensor, where '' and -1 mean that there is no value."""
        return isinstance(self.rows, DenseRows)

    @property
    def one_per_row(self) -> bool:
        """Whether the feature is a vector of single values as they came: such features are worked on together."""
        return type(self) is Values and self.came_dense and self.rows.single

    @functools.cached_property
    def strings(self) -> tf.Tensor:
        """The values as strings `[N]`; integers in decimal."""
        return self.flat if self.dtype == tf.string else tf.strings.as_string(self.flat)

    @functools.cached_property
    def fingerprint_bytes(self) -> tf.Tensor:
        """FarmHash Fingerprint64 of `strings`, uint8 `[N, 8]`.

        Hashing, vocabularies and crosses all start from it, so that a string is read once, however many columns use it.
        """
        return tf.fingerprint(self.strings)

    @functools.cached_property
    def fingerprints(self) -> tf.Tensor:
        """`fingerprint_bytes` as int64 `[N]`: the bits of an unsigned number."""
        return tf.bitcast(self.fingerprint_bytes, tf.int64)

    @functools.cached_property
    def missing(self) -> tf.Tensor | None:
        """True where a dense feature has '' or (signed) -1, that is, no value; None for sparse and ragged features."""
        if not self.came_dense or self.dtype.is_unsigned:
            return None
        if self.dtype == tf.string:
            return tf.equal(tf.strings.length(self.flat), 0)
        return tf.equal(self.flat, -1)

    def each(self, fn: Callable[[Values], tf.Tensor]) -> tf.Tensor:
        """Returns `fn(self)`, `[N]`, for a function that treats each value by itself."""
        return fn(self)


def stacked_fingerprints(values: Sequence[Values]) -> tf.Tensor:
    """Returns the fingerprints of features of one value per row below each other, int64 `[C, B]`."""
    return tf.bitcast(tf.stack([each.fingerprint_bytes for each in values]), tf.int64)


@dataclasses.dataclass(frozen=True)
class EncodedValues(Values):
    """Values that repeat a few: what depends on a value alone is computed once for each of these.

    Attributes:
      codes: int32 `[N]`: the position of each value in `distinct`.
      distinct: the values, each once.
    """

    codes: tf.Tensor
    distinct: Values

    @functools.cached_property
    def fingerprints(self) -> tf.Tensor:
        """See `Values.fingerprints`."""
        return self.each(lambda values: values.fingerprints)

    @functools.cached_property
    def missing(self) -> tf.Tensor | None:
        """See `Values.missing`."""
        missing = self.distinct.missing
        return None if missing is None else tf.gather(missing, self.codes)

    def each(self, fn: Callable[[Values], tf.Tensor]) -> tf.Tensor:
        """See `Values.each`."""
        return tf.gather(fn(self.distinct), self.codes)


@dataclasses.dataclass(frozen=True)
class CodedNumbers:
    """Numbers, one per row, that are `distinct[codes]`.

    Attributes:
      codes: int32 `[N]`.
      distinct: int64 `[V]`, where V is known while a function is traced.
    """

    codes: tf.Tensor
    distinct: tf.Tensor

    @property
    def size(self) -> int:
        """V."""
        return int(self.distinct.shape[0])


@dataclasses.dataclass(frozen=True)
class Ids:
    """The ids of one categorical column for a batch.

    Attributes:
      flat: int64 `[N]`, in the order of rows.
      rows: which row each of them belongs to.
      absent_with: what the ids are made of: an id is missing where one of these is.
      weights: float32 `[N]`, or None.
      missing_is_negative: whether `flat` is negative already wherever `missing` is True.
      coded: `flat` as codes of few ids, where it comes from an encoded feature.
      below: a small number that all ids are below, none being negative; None where that is not known.
    """

    flat: tf.Tensor
    rows: DenseRows | RaggedRows
    absent_with: Sequence[Values | Ids] = ()
    weights: tf.Tensor | None = None
    missing_is_negative: bool = dataclasses.field(default=False, kw_only=True)
    coded: CodedNumbers | None = dataclasses.field(default=None, kw_only=True)
    below: int | None = dataclasses.field(default=None, kw_only=True)

    @functools.cached_property
    def missing(self) -> tf.Tensor | None:
        """True where a dense input had no value, bool `[N]`; None where no value can be missing.

        An id that is negative though it is not missing stands for a value that the column drops (out of vocabulary): a
        cross still sees it.
        """
        absent = [part.missing for part in self.absent_with if part.missing is not None]
        return functools.reduce(tf.logical_or, absent) if absent else None

    def dropped(self) -> tf.Tensor:
        """Returns `flat` with -1 wherever nothing counts."""
        if self.missing_is_negative:
            return self.flat
        return self.flat if self.missing is None else tf.where(self.missing, tf.constant(-1, tf.int64), self.flat)

    def ragged(self) -> tf.RaggedTensor:
        """Returns the ids that count, int64 `[B, (n)]`."""
        return self._where_ids_count(self.dropped())

    def ragged_weights(self) -> tf.RaggedTensor | None:
        """Returns the weights of the ids that count, float32 `[B, (n)]`."""
        return None if self.weights is None else self._where_ids_count(self.weights)

    def _where_ids_count(self, flat: tf.Tensor) -> tf.RaggedTensor:
        keep = self.dropped() >= 0
        return ragged(tf.boolean_mask(flat, keep), tf.boolean_mask(self.rows.row_ids(), keep), self.rows.num_rows)

    def present(self) -> tf.RaggedTensor:
        """Returns the ids that are not missing, negative ones included, int64 `[B, (n)]`."""
        flat, row_ids = self.flat, self.rows.row_ids()
        if self.missing is not None:
            keep = tf.logical_not(self.missing)
            flat, row_ids = tf.boolean_mask(flat, keep), tf.boolean_mask(row_ids, keep)
        return ragged(flat, row_ids, self.rows.num_rows)


@dataclasses.dataclass(frozen=True)
class Steps:
    """What a sequence column holds at each step.

    Attributes:
      values: ids, int64 with -1 where nothing counts, `[B, T]` or `[B, T, n]`, or floats `[B, T, width]`; or a
        RaggedTensor of the same whose second dimension, the steps, has the length of each row.
      lengths: number of steps of each row, int64 `[B]`; None where `values` is ragged and shows it.
    """

    values: tf.Tensor | tf.RaggedTensor
    lengths: tf.Tensor | None


def ragged(flat: tf.Tensor, row_ids: tf.Tensor, num_rows: tf.Tensor) -> tf.RaggedTensor:
    """Returns `[B, (n)]` from values `[N]` and the row of each, in ascending order."""
    return tf.RaggedTensor.from_value_rowids(flat, row_ids, tf.cast(num_rows, tf.int64), validate=False)
