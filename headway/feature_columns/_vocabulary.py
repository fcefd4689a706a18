"""What the columns over vocabularies have in common: ids are positions in a list of strings or integers."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from headway.feature_columns import _checks, _tables
from headway.feature_columns._hash_bucket import hash_buckets
from headway.feature_columns._protocol import CategoricalColumn, ColumnGroup, FeatureColumn, HostInputs
from headway.feature_columns._values import CodedNumbers, EncodedValues, Ids, Values, stacked_fingerprints

# A larger vocabulary has a table of its own only: the joint one is a copy.
_MOST_ENTRIES_TOGETHER = 10_000


class VocabularyGroup(ColumnGroup):
    """Columns over vocabularies: one table holds the smaller ones, and one lookup finds the ids of all columns."""

    def __init__(self, columns: Sequence[VocabularyColumn]) -> None:
        super().__init__(columns)
        small = [place for place, column in enumerate(columns) if len(column.entries) <= _MOST_ENTRIES_TOGETHER]
        self._rows = {place: row for row, place in enumerate(small)}
        self._joint = _tables.JointTable([(columns[place].entries, columns[place].dtype) for place in small])

    def resources(self) -> list[Any]:
        """The joint table."""
        return [self._joint.table()] if len(self._rows) > 1 else []

    def host_ids(self, inputs: HostInputs) -> list[Ids]:
        """Returns the ids of each column, in their order."""
        every = {place: self.columns[place].values(inputs) for place in self._rows}
        values = {place: each for place, each in every.items() if each.one_per_row}

        def fused(places: list[int]) -> list[Ids]:
            keys = self._looked_up({place: values[place] for place in places})
            found = tf.unstack(self._joint.lookup(keys, [self._rows[place] for place in places]), len(places))
            return [self._ids(place, ids, values[place]) for place, ids in zip(places, found, strict=True)]

        return self.together(inputs, values, fused)

    def _looked_up(self, values: Mapping[int, Values]) -> tf.Tensor:
        """Returns what each column looks up in its table, int64 `[C, B]`."""
        if all(self.columns[place].dtype == tf.string for place in values):
            return stacked_fingerprints(list(values.values()))
        return tf.stack([self.columns[place].looked_up(each) for place, each in values.items()])

    def _ids(self, place: int, found: tf.Tensor, values: Values) -> Ids:
        column = self.columns[place]
        flat = column.with_unknown(found, values)
        return Ids(flat, values.rows, [values], missing_is_negative=column.drops_missing)


@dataclasses.dataclass(frozen=True)
class VocabularyColumn(CategoricalColumn):
    """A column whose ids are positions in a vocabulary.

    Attributes:
      key: name of the feature.
      dtype: `tf.string` or an integer type.
      default_value: the id of values outside of the vocabulary, if there are no buckets for them; -1 for none.
      num_oov_buckets: number of ids behind the vocabulary's that values outside of it are hashed into.
    """

    group: ClassVar[type[ColumnGroup]] = VocabularyGroup
    ids_are_in_range: ClassVar[bool] = True
    absent_is_minus_one: ClassVar[bool] = True

    key: str
    dtype: tf.DType
    default_value: int
    num_oov_buckets: int

    @property
    @abc.abstractmethod
    def entries(self) -> tuple[Any, ...]:
        """The vocabulary: strings or integers, each once."""

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.key

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `VarLenFeature`."""
        return {self.key: tf.io.VarLenFeature(self.dtype)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def num_buckets(self) -> int:
        """Entries of the vocabulary plus out-of-vocabulary buckets."""
        return len(self.entries) + self.num_oov_buckets

    def table(self) -> tf.lookup.StaticHashTable:
        """Returns the lookup table, shared by all columns that have this vocabulary."""
        return _tables.vocabulary_table(self.entries, self.dtype)

    def resources(self) -> list[Any]:
        """The lookup table."""
        return [self.table()]

    def values(self, inputs: HostInputs) -> Values:
        """Returns the feature."""
        return _checks.compatible(inputs.values(self.key, column=self.name), self.dtype)

    def looked_up(self, values: Values) -> tf.Tensor:
        """Returns what tables have as keys, int64 `[N]`."""
        return values.fingerprints if self.dtype == tf.string else values.flat

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the position of each value in the vocabulary."""
        values = self.values(inputs)
        if isinstance(values, EncodedValues):
            distinct = self._found(values.distinct)
            flat = tf.gather(distinct, values.codes)
            coded = None if distinct.shape[0] is None else CodedNumbers(values.codes, distinct)
        else:
            flat, coded = self._found(values), None
        return Ids(flat, values.rows, [values], missing_is_negative=self.drops_missing, coded=coded)

    def _found(self, values: Values) -> tf.Tensor:
        return self.with_unknown(self.table().lookup(self.looked_up(values)), values)

    def with_unknown(self, ids: tf.Tensor, values: Values) -> tf.Tensor:
        """Returns ids with those of values outside of the vocabulary, where `ids` is negative."""
        if self.num_oov_buckets:
            buckets = hash_buckets(values.fingerprints, self.num_oov_buckets)
            return tf.where(ids < 0, buckets + len(self.entries), ids)
        return ids if self.default_value < 0 else tf.where(ids < 0, tf.constant(self.default_value, tf.int64), ids)

    @property
    def drops_missing(self) -> bool:
        """Whether a value that stands for a missing one has no id, as others outside of the vocabulary."""
        nothing = "" if self.dtype == tf.string else -1
        return not self.num_oov_buckets and self.default_value < 0 and nothing not in self.entries


def check_out_of_vocabulary(key: object, num_oov_buckets: Any, default_value: Any, *, default_is_given: bool) -> None:
    """Raises ValueError if `num_oov_buckets` is negative, or both it and a `default_value` are given."""
    if not num_oov_buckets:
        return
    if default_is_given:
        raise ValueError(
            f"Can't specify both num_oov_buckets and default_value in {key}. "
            f"Received: num_oov_buckets={num_oov_buckets}, default_value={default_value}"
        )
    if num_oov_buckets < 0:
        raise ValueError(f"Invalid num_oov_buckets {num_oov_buckets} in {key}. It must not be negative.")
