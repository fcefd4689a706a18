"""Text as the set of its words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NoReturn

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._hash_bucket import categorical_column_with_hash_bucket
from headway.feature_columns._learned import LearnedVocabulary
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, HostInputs
from headway.feature_columns._values import Ids, RaggedRows, Values
from headway.feature_columns._vocabulary_list import categorical_column_with_vocabulary_list

# Punctuation, symbols and white space of all scripts.
SEPARATOR = r"[\s\p{Z}\p{P}\p{S}]+"


@dataclasses.dataclass(frozen=True)
class TextColumn(CategoricalColumn):
    """What `text_column` returns.

    Attributes:
      key: name of the feature.
      tokens: the column that makes ids of the words; it has the same key, and reads words in place of the text.
      max_tokens: words that count in a text, from its beginning; None: all.
      lower: whether letters are made small.
      separator: regular expression of what lies between words.
    """

    key: str
    tokens: CategoricalColumn
    max_tokens: int | None
    lower: bool
    separator: str

    @property
    def name(self) -> str:
        """`{key}_tokens`."""
        return f"{self.key}_tokens"

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """A `VarLenFeature` of strings."""
        return {self.key: tf.io.VarLenFeature(tf.string)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The raw feature."""
        return [self.key]

    @property
    def num_buckets(self) -> int:
        """The number of different words, or of their hashes."""
        return self.tokens.num_buckets

    @property
    def prepares_inputs(self) -> bool:
        """True: `tokens` reads words."""
        return True

    def inputs_for_parts(self, inputs: HostInputs) -> HostInputs:
        """Returns the words of each row as the values of the feature."""
        return _Words(self._words(inputs.values(self.key, column=self.name)))

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the ids of each row's words, in the order of the text."""
        return self.tokens.host_ids(self.inputs_for_parts(inputs))

    def _words(self, values: Values) -> Values:
        if values.had_gaps:
            values = _checks.compatible(values, tf.string)
        if values.dtype != tf.string:
            raise ValueError(
                f"text_column {self.key!r} needs strings. Received: dtype {values.dtype} for feature {self.key!r}."
            )
        text = tf.strings.lower(values.flat, encoding="utf-8") if self.lower else values.flat
        words = tf.strings.split(tf.strings.regex_replace(text, self.separator, " "))
        # A row may hold several texts; together they are one.
        row_ids = tf.gather(values.rows.row_ids(), words.value_rowids())
        num_rows = values.rows.num_rows
        flat = words.flat_values
        if self.max_tokens is not None:
            whole = tf.RaggedTensor.from_value_rowids(flat, row_ids, num_rows, validate=False)
            cut = whole[:, : self.max_tokens]
            flat, row_ids = cut.flat_values, cut.value_rowids()
        return Values(values.key, flat, tf.string, RaggedRows(num_rows, row_ids))


class _Words:
    """The words of one feature as the raw features that a column reads."""

    def __init__(self, words: Values) -> None:
        self._words = words

    def values(self, key: str, *, column: str) -> Values:
        del key, column
        return self._words

    def ids(self, column: CategoricalColumn) -> Ids:
        return column.host_ids(self)

    def tensor(self, key: str, *, column: str) -> NoReturn:
        raise TypeError(f"Column {column!r} asks for the tensor of {key!r}, which is text here.")

    def floats(self, column: FeatureColumn) -> NoReturn:
        raise TypeError(f"Column {column.name!r} asks for numbers inside of a text_column.")


def text_column(
    key: str,
    *,
    vocabulary: Iterable[str] | LearnedVocabulary | None = None,
    hash_bucket_size: int | None = None,
    num_oov_buckets: int = 0,
    max_tokens: int | None = None,
    lower: bool = True,
    separator: str = SEPARATOR,
) -> TextColumn:
    """Represents a text by its words: a categorical column with any number of ids per row.

    A text is made small, split where there is white space, punctuation or a symbol (so "Don't stop!" is the words
    "don", "t" and "stop"), and each word gets an id: its position in a vocabulary, or its hash. All of it runs in
    TensorFlow on whole batches, in an exported model as well. `indicator_column` counts the words, `embedding_column`
    combines their vectors; a linear model takes the column as it is. A text that is missing ('' or None), or has no
    words, has no ids.

    Args:
      key: name of the feature: strings, one or more for each row.
      vocabulary: the words, or `learned_vocabulary()` for `adapt` to learn them. Words must be written as the text is
        after it was split: small, if `lower`.
      hash_bucket_size: number of ids, if words are hashed. One of `vocabulary` and this must be given.
      num_oov_buckets: words outside of the vocabulary are hashed into this many further ids; 0 drops them.
      max_tokens: number of words that count, from the beginning; None: all.
      lower: whether letters are made small (of all scripts).
      separator: what lies between words, a regular expression of RE2 (https://github.com/google/re2/wiki/Syntax).

    Returns:
      A categorical column named `{key}_tokens`.

    Raises:
      ValueError: if not exactly one of `vocabulary` and `hash_bucket_size` is given, a number is out of range, or
        `separator` is no regular expression.

    Example:
      >>> from headway import feature_columns as fc
      >>> data = {"review": ["Good food, GOOD wine!", "Wine? No.", ""]}
      >>> words = fc.adapt(fc.text_column("review", vocabulary=fc.learned_vocabulary(max_size=3)), data)
      >>> words.tokens.vocabulary_list
      ('good', 'wine', 'food')
      >>> fc.DenseFeatures([fc.indicator_column(words)])(data).numpy().tolist()
      [[2.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    _checks.check_key(key)
    if (vocabulary is None) == (hash_bucket_size is None):
        raise ValueError(
            f"text_column {key!r} needs one of `vocabulary` and `hash_bucket_size`. Received: vocabulary="
            f"{vocabulary!r}, hash_bucket_size={hash_bucket_size!r}"
        )
    if isinstance(vocabulary, str):
        raise ValueError(f"`vocabulary` of text_column {key!r} must be a list of words. Received: {vocabulary!r}")
    if hash_bucket_size is not None and num_oov_buckets:
        raise ValueError(
            f"`num_oov_buckets` of text_column {key!r} goes with a vocabulary. Received: {num_oov_buckets}"
        )
    if max_tokens is not None:
        _checks.check_positive(max_tokens, "max_tokens", f"text_column {key!r}")
    try:
        tf.strings.regex_replace("", separator, " ")
    except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
        raise ValueError(
            f"`separator` of text_column {key!r} must be a regular expression. Received: {separator!r}: {error}"
        ) from error
    tokens: CategoricalColumn
    if vocabulary is not None:
        tokens = categorical_column_with_vocabulary_list(key, vocabulary, tf.string, num_oov_buckets=num_oov_buckets)
    else:
        tokens = categorical_column_with_hash_bucket(key, hash_bucket_size or 0)
    return TextColumn(key, tokens, max_tokens, bool(lower), separator)
