"""Class names: from labels that are strings to class ids, and back."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from headway.heads import _checks

_HASH_RANGE = 2**63 - 1


class Vocabulary:
    """The names of the classes 0, 1, 2, ...

    Names are found by their hash in a sorted list of hashes, and then compared. Unlike a lookup table this holds no
    resource: there is nothing to initialize, to keep alive with a graph, to copy with the head or to place on a worker.

    Args:
      words: the names in the order of their ids; each once.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(tf.compat.as_bytes(word) for word in words)

    def __len__(self) -> int:
        return len(self._words)

    def ids(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the int64 ids of string `labels`, in the same shape; a label that is no class stops the step."""
        words = tf.constant(self._words)
        hashes = tf.strings.to_hash_bucket_fast(words, _HASH_RANGE)
        order = tf.argsort(hashes)
        flat = tf.reshape(labels, [-1])
        place = tf.searchsorted(tf.gather(hashes, order), tf.strings.to_hash_bucket_fast(flat, _HASH_RANGE))
        ids = tf.gather(order, tf.minimum(place, len(self) - 1))
        ids = self._checked(ids, flat, tf.equal(tf.gather(words, ids), flat))
        return tf.reshape(tf.cast(ids, tf.int64), tf.shape(labels))

    def _checked(self, ids: tf.Tensor, labels: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        # One known element more, so that there is a first unknown one to gather even if the batch is empty.
        first = tf.argmin(tf.concat([tf.cast(known, tf.int32), [1]], axis=0))
        offender = tf.gather(tf.concat([labels, [""]], axis=0), first)
        message = f"Labels must be one of the label_vocabulary {self.shown()}. First label that is not: "
        return _checks.stop_unless(tf.reduce_all(known), message, [offender], then=ids)

    def words_of(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the names of `ids`, in the same shape."""
        return tf.gather(tf.constant(self._words), ids)

    def all_words(self) -> tf.Tensor:
        """Returns all names, shape `[number of classes]`."""
        return tf.constant(self._words)

    def shown(self, limit: int = 10) -> str:
        """Returns the names as text for a message, cut after `limit` of them."""
        words = ", ".join(repr(word.decode("utf-8", "replace")) for word in self._words[:limit])
        return f"[{words}{', ...' if len(self) > limit else ''}]"


def checked_vocabulary(label_vocabulary: Sequence[str] | None, n_classes: int) -> Vocabulary | None:
    """Returns the vocabulary of a head with `n_classes` classes, or None if there is none.

    Raises:
      ValueError: if it is no list or tuple of `n_classes` different strings.
    """
    if label_vocabulary is None:
        return None
    if not isinstance(label_vocabulary, (list, tuple)):
        raise ValueError(f"label_vocabulary should be a list or a tuple. Given type: {type(label_vocabulary)}.")
    if len(label_vocabulary) != n_classes:
        raise ValueError(
            '"label_vocabulary" does not have "n_classes" items. '
            f"len(label_vocabulary)={len(label_vocabulary)}, n_classes={n_classes}, "
            f"label_vocabulary={label_vocabulary}."
        )
    strange = [word for word in label_vocabulary if not isinstance(word, (str, bytes))]
    if strange:
        raise ValueError(
            f"label_vocabulary must hold strings. Received: {strange[0]!r} of type {type(strange[0]).__name__}. "
            "Labels that are class ids already need no vocabulary."
        )
    twice = sorted({word for word in label_vocabulary if label_vocabulary.count(word) > 1})
    if twice:
        raise ValueError(f"label_vocabulary must hold each class once. Received more than once: {twice}.")
    return Vocabulary(label_vocabulary)
