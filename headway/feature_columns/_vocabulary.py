"""What the columns over vocabularies have in common: ids are positions in a list of strings or integers."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks, _tables
from headway.feature_columns._hash_bucket import hash_buckets
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, HostInputs
from headway.feature_columns._values import Ids, Values


@dataclasses.dataclass(frozen=True)
class VocabularyColumn(CategoricalColumn):
    """A column whose ids are positions in a vocabulary.

    Attributes:
      key: name of the feature.
      dtype: `tf.string` or an integer type.
      default_value: the id of values outside of the vocabulary, if there are no buckets for them; -1 for none.
      num_oov_buckets: number of ids behind the vocabulary's that values outside of it are hashed into.
    """

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
        default_value = -1 if self.num_oov_buckets else self.default_value
        return _tables.vocabulary_table(self.entries, self.dtype, default_value)

    def resources(self) -> list[Any]:
        """The lookup table."""
        return [self.table()]

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the position of each value in the vocabulary."""
        values = _checks.compatible(inputs.values(self.key, column=self.name), self.dtype)
        return Ids(values.each(self._position), values.rows, values.missing)

    def _position(self, values: Values) -> tf.Tensor:
        ids = self.table().lookup(values.fingerprints if self.dtype == tf.string else values.flat)
        if self.num_oov_buckets:
            buckets = hash_buckets(values.fingerprints, self.num_oov_buckets)
            ids = tf.where(ids < 0, buckets + len(self.entries), ids)
        return ids


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
