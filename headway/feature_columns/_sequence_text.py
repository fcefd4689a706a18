"""Text as the sequence of its words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from headway.feature_columns._learned import LearnedVocabulary
from headway.feature_columns._protocol import FeatureColumn, HostInputs, IdColumn, SequenceColumn
from headway.feature_columns._text import SEPARATOR, TextColumn, text_column
from headway.feature_columns._values import Steps


@dataclasses.dataclass(frozen=True)
class SequenceTextColumn(IdColumn, SequenceColumn):
    """What `sequence_text_column` returns.

    Attributes:
      categorical_column: the column of words, in the order of the text.
    """

    categorical_column: TextColumn

    @property
    def name(self) -> str:
        """That of the column of words."""
        return self.categorical_column.name

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the column of words."""
        return self.categorical_column.parse_example_spec

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The column of words."""
        return [self.categorical_column]

    @property
    def num_buckets(self) -> int:
        """That of the column of words."""
        return self.categorical_column.num_buckets

    def host_steps(self, inputs: HostInputs) -> Steps:
        """Returns the id of each word; -1 for words that the vocabulary drops, which keep their place."""
        words = self.categorical_column.host_ids(inputs).present()
        return Steps(words.with_flat_values(tf.maximum(words.flat_values, tf.constant(-1, tf.int64))), None)


def sequence_text_column(
    key: str,
    *,
    vocabulary: Iterable[str] | LearnedVocabulary | None = None,
    hash_bucket_size: int | None = None,
    num_oov_buckets: int = 0,
    max_tokens: int | None = None,
    lower: bool = True,
    separator: str = SEPARATOR,
) -> SequenceTextColumn:
    """Represents a text by the sequence of its words, for models that mind their order.

    Words are those of `text_column`. Wrap the column with `embedding_column` or `indicator_column` and give it to
    `SequenceFeatures` or `sequence_tensor`: each word is a step. A word that is dropped for being outside of the
    vocabulary is a step of zeros.

    Args:
      key: name of the feature: strings.
      vocabulary: the words, or `learned_vocabulary()`; see `text_column`.
      hash_bucket_size: number of ids, if words are hashed. One of `vocabulary` and this must be given.
      num_oov_buckets: words outside of the vocabulary are hashed into this many further ids.
      max_tokens: number of words that count, from the beginning: the largest number of steps; None: all.
      lower: whether letters are made small.
      separator: what lies between words, a regular expression.

    Returns:
      A sequence column of ids named `{key}_tokens`.

    Raises:
      ValueError: as `text_column`.

    Example:
      >>> from headway import feature_columns as fc
      >>> words = fc.sequence_text_column("t", vocabulary=["stop", "go"])
      >>> steps, lengths = fc.SequenceFeatures([fc.indicator_column(words)])({"t": ["Go, go. Stop!", "stop"]})
      >>> steps.numpy().argmax(2).tolist(), lengths.numpy().tolist()
      ([[1, 1, 0], [0, 0, 0]], [3, 1])
    """
    return SequenceTextColumn(
        text_column(
            key,
            vocabulary=vocabulary,
            hash_bucket_size=hash_bucket_size,
            num_oov_buckets=num_oov_buckets,
            max_tokens=max_tokens,
            lower=lower,
            separator=separator,
        )
    )
