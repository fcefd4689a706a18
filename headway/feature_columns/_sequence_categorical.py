"""Sequences of categorical values."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from headway.feature_columns._hash_bucket import categorical_column_with_hash_bucket
from headway.feature_columns._identity import categorical_column_with_identity
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, HostInputs, IdColumn, SequenceColumn
from headway.feature_columns._sequences import StepInputs, id_steps
from headway.feature_columns._values import Steps
from headway.feature_columns._vocabulary_file import categorical_column_with_vocabulary_file
from headway.feature_columns._vocabulary_list import categorical_column_with_vocabulary_list


@dataclasses.dataclass(frozen=True)
class SequenceCategoricalColumn(IdColumn, SequenceColumn):
    """What the `sequence_categorical_column_with_*` functions return.

    Attributes:
      categorical_column: what the values of each step become.
      key: the feature.
    """

    categorical_column: CategoricalColumn
    key: str

    @property
    def name(self) -> str:
        """That of the categorical column."""
        return self.categorical_column.name

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the categorical column."""
        return self.categorical_column.parse_example_spec

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The categorical column."""
        return [self.categorical_column]

    @property
    def num_buckets(self) -> int:
        """That of the categorical column."""
        return self.categorical_column.num_buckets

    @property
    def prepares_inputs(self) -> bool:
        """True: the categorical column reads the values of all steps."""
        return True

    def inputs_for_parts(self, inputs: HostInputs) -> HostInputs:
        """Returns the values of the steps in place of the feature."""
        return StepInputs(inputs)

    def host_steps(self, inputs: HostInputs) -> Steps:
        """Returns the ids of each step."""
        steps = StepInputs(inputs)
        return id_steps(steps.tensor(self.key, column=self.name), self.categorical_column.host_ids(steps))


def sequence_categorical_column_with_identity(
    key: str, num_buckets: int, default_value: int | None = None
) -> SequenceCategoricalColumn:
    """Represents sequences of integers that are ids in `[0, num_buckets)` already.

    A sequence is a feature of shape `[batch, steps]`, or `[batch, steps, values per step]`, dense, sparse or ragged.
    Wrap the column with `embedding_column` or `indicator_column` and give it to `SequenceFeatures` or
    `sequence_tensor`; a linear model takes it as it is, without regard to the order of steps.

    Args:
      key: name of the feature, and of the column.
      num_buckets: number of ids.
      default_value: id of values out of range; see `categorical_column_with_identity`.

    Returns:
      A sequence column named `key`.

    Raises:
      ValueError: as `categorical_column_with_identity`.

    Example:
      >>> from headway import feature_columns as fc
      >>> watched = fc.indicator_column(fc.sequence_categorical_column_with_identity("watched", 3))
      >>> steps, lengths = fc.SequenceFeatures([watched])({"watched": tf.ragged.constant([[2, 0], [1]])})
      >>> steps.numpy().tolist()
      [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
      >>> lengths.numpy().tolist()
      [2, 1]
    """
    return SequenceCategoricalColumn(categorical_column_with_identity(key, num_buckets, default_value), key)


def sequence_categorical_column_with_hash_bucket(
    key: str, hash_bucket_size: int, dtype: Any = tf.string
) -> SequenceCategoricalColumn:
    """Represents sequences of strings or integers by their hash.

    For the form of sequences see `sequence_categorical_column_with_identity`.

    Args:
      key: name of the feature, and of the column.
      hash_bucket_size: number of ids, at least 1.
      dtype: type of the feature, `tf.string` or an integer type.

    Returns:
      A sequence column named `key`.

    Raises:
      ValueError: as `categorical_column_with_hash_bucket`.

    Example:
      >>> from headway import feature_columns as fc
      >>> words = fc.indicator_column(fc.sequence_categorical_column_with_hash_bucket("words", 4))
      >>> steps, _ = fc.SequenceFeatures([words])({"words": [["a", "b", ""]]})
      >>> steps.numpy().tolist()
      [[[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]
    """
    return SequenceCategoricalColumn(categorical_column_with_hash_bucket(key, hash_bucket_size, dtype), key)


def sequence_categorical_column_with_vocabulary_list(
    key: str,
    vocabulary_list: Iterable[Any],
    dtype: Any = None,
    default_value: int = -1,
    num_oov_buckets: int = 0,
) -> SequenceCategoricalColumn:
    """Represents sequences of strings or integers by their position in a vocabulary.

    For the form of sequences see `sequence_categorical_column_with_identity`. A value outside of the vocabulary that
    has no id still is a step.

    Args:
      key: name of the feature, and of the column.
      vocabulary_list: strings or integers, each once.
      dtype: type of the feature, `tf.string` or an integer type. None: that of the vocabulary.
      default_value: id of values outside of the vocabulary; -1 drops them. Not together with `num_oov_buckets`.
      num_oov_buckets: values outside of the vocabulary are hashed into this many further ids.

    Returns:
      A sequence column named `key`.

    Raises:
      ValueError: as `categorical_column_with_vocabulary_list`.

    Example:
      >>> from headway import feature_columns as fc
      >>> words = fc.sequence_categorical_column_with_vocabulary_list("words", ["sun", "rain"])
      >>> steps, lengths = fc.SequenceFeatures([fc.indicator_column(words)])({"words": [["rain", "fog", ""]]})
      >>> steps.numpy().tolist(), lengths.numpy().tolist()
      ([[[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]], [2])
    """
    column = categorical_column_with_vocabulary_list(key, vocabulary_list, dtype, default_value, num_oov_buckets)
    return SequenceCategoricalColumn(column, key)


def sequence_categorical_column_with_vocabulary_file(
    key: str,
    vocabulary_file: str | os.PathLike[str],
    vocabulary_size: int | None = None,
    num_oov_buckets: int = 0,
    default_value: int | None = None,
    dtype: Any = tf.string,
) -> SequenceCategoricalColumn:
    r"""Represents sequences of strings or integers by their line in a vocabulary file.

    For the form of sequences see `sequence_categorical_column_with_identity`. The order of arguments is that of
    `tf.feature_column`; it differs from `categorical_column_with_vocabulary_file`.

    Args:
      key: name of the feature, and of the column.
      vocabulary_file: path of a file with one entry per line; it is read once, here.
      vocabulary_size: number of entries, from the beginning of the file. None: all.
      num_oov_buckets: values outside of the vocabulary are hashed into this many further ids.
      default_value: id of values outside of the vocabulary. None or -1 drops them. Not together with
        `num_oov_buckets`.
      dtype: type of the feature, `tf.string` or an integer type.

    Returns:
      A sequence column named `key`.

    Raises:
      ValueError: as `categorical_column_with_vocabulary_file`.

    Example:
      >>> import pathlib, tempfile
      >>> from headway import feature_columns as fc
      >>> file = pathlib.Path(tempfile.mkdtemp(), "words.txt")
      >>> _ = file.write_text("sun\nrain\n")
      >>> words = fc.indicator_column(fc.sequence_categorical_column_with_vocabulary_file("words", file))
      >>> steps, _ = fc.SequenceFeatures([words])({"words": [["rain", "sun"]]})
      >>> steps.numpy().tolist()
      [[[0.0, 1.0], [1.0, 0.0]]]
    """
    column = categorical_column_with_vocabulary_file(
        key, vocabulary_file, vocabulary_size, dtype, default_value, num_oov_buckets
    )
    return SequenceCategoricalColumn(column, key)
