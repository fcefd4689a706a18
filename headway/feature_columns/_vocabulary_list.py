"""Strings or integers by their position in a list."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._learned import LearnedVocabulary
from headway.feature_columns._vocabulary import VocabularyColumn, check_out_of_vocabulary


@dataclasses.dataclass(frozen=True)
class VocabularyListCategoricalColumn(VocabularyColumn):
    """What `categorical_column_with_vocabulary_list` returns."""

    vocabulary_list: tuple[Any, ...] | LearnedVocabulary

    def __repr__(self) -> str:
        # Errors show columns, and a vocabulary may hold millions of entries.
        vocabulary = repr(self.vocabulary_list)
        if isinstance(self.vocabulary_list, tuple) and len(self.vocabulary_list) > 5:
            entries = ", ".join(map(repr, self.vocabulary_list[:5]))
            vocabulary = f"({entries}, ... {len(self.vocabulary_list)} in all)"
        return (
            f"{type(self).__name__}(key={self.key!r}, vocabulary_list={vocabulary}, dtype={self.dtype!r}, "
            f"default_value={self.default_value}, num_oov_buckets={self.num_oov_buckets})"
        )

    @property
    def entries(self) -> tuple[Any, ...]:
        """`vocabulary_list`."""
        if isinstance(self.vocabulary_list, LearnedVocabulary):
            self.vocabulary_list.refuse()
        return self.vocabulary_list


def categorical_column_with_vocabulary_list(
    key: str,
    vocabulary_list: Iterable[Any] | LearnedVocabulary,
    dtype: Any = None,
    default_value: int = -1,
    num_oov_buckets: int = 0,
) -> VocabularyListCategoricalColumn:
    """Represents strings or integers by their position in a vocabulary.

    In a dense feature '' or -1 stands for a missing value; it counts as absent, as do values outside of the
    vocabulary unless `default_value` or `num_oov_buckets` says otherwise. Sparse and ragged features hold what is
    there, '' and -1 included.

    Args:
      key: name of the feature, and of the column.
      vocabulary_list: strings or integers, each once; or `learned_vocabulary()`, for `adapt` to learn.
      dtype: type of the feature, `tf.string` or an integer type. None: that of the vocabulary; of one that is to be
        learnt, `tf.string`.
      default_value: id of values outside of the vocabulary; -1 drops them. Not together with `num_oov_buckets`.
      num_oov_buckets: values outside of the vocabulary are hashed into this many further ids.

    Returns:
      A categorical column named `key` with `len(vocabulary_list) + num_oov_buckets` buckets.

    Raises:
      ValueError: if the vocabulary is empty, repeats an entry, or is neither strings nor integers; if `dtype` does
        not suit it; if `num_oov_buckets` is negative or given with a `default_value`; if `key` is no string.

    Example:
      >>> from headway import feature_columns as fc
      >>> color = fc.categorical_column_with_vocabulary_list("color", ["red", "green"], num_oov_buckets=1)
      >>> fc.DenseFeatures([fc.indicator_column(color)])({"color": ["green", "pink", ""]}).numpy()
      array([[0., 1., 0.],
             [0., 0., 1.],
             [0., 0., 0.]], dtype=float32)
    """
    given: Any = vocabulary_list
    if isinstance(given, LearnedVocabulary):
        vocabulary: Any = given
        vocabulary_dtype = tf.string if dtype is None else _checks.as_dtype(dtype)
    else:
        vocabulary = tuple(given) if given is not None else ()
        vocabulary_dtype = _check_vocabulary(vocabulary, key)
        # Python's own types, so that equal vocabularies are one however they were given, and cheap to hash.
        vocabulary = tuple(item.item() if isinstance(item, np.generic) else item for item in vocabulary)
    check_out_of_vocabulary(key, num_oov_buckets, default_value, default_is_given=default_value != -1)
    dtype = vocabulary_dtype if dtype is None else _checks.as_dtype(dtype)
    _checks.check_string_or_int(dtype, f"column_name: {key}")
    if dtype.is_integer != vocabulary_dtype.is_integer:
        raise ValueError(f"dtype {dtype} and vocabulary dtype {vocabulary_dtype} do not match, column_name: {key}")
    _checks.check_key(key)
    return VocabularyListCategoricalColumn(key, dtype, default_value, num_oov_buckets, vocabulary)


def _check_vocabulary(vocabulary: tuple[Any, ...], key: object) -> tf.DType:
    """Returns `tf.string` or an integer type."""
    if not vocabulary:
        raise ValueError(f"vocabulary_list {vocabulary} must be non-empty, column_name: {key}")
    if len(set(vocabulary)) != len(vocabulary):
        seen: set[Any] = set()
        repeated = [item for item in vocabulary if item in seen or seen.add(item)]  # type: ignore[func-returns-value]
        raise ValueError(f"Duplicate keys in vocabulary_list, column_name: {key}. Repeated: {repeated[:10]}")
    strings = sum(isinstance(item, str | bytes) for item in vocabulary)
    if strings == len(vocabulary):
        return tf.string
    if strings:
        raise ValueError(
            f"vocabulary_list must hold strings or integers, not both, column_name: {key}. Received: {vocabulary[:10]}"
        )
    dtype = _checks.as_dtype(np.array(vocabulary).dtype, "vocabulary_list")
    _checks.check_string_or_int(dtype, f"column_name: {key} vocabulary")
    return dtype
