"""What changed in a vocabulary between two models, and what follows for a variable that it numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

Vocabulary = str | os.PathLike[str] | Sequence[str]


class _VocabFields(NamedTuple):
    new_vocab: Vocabulary
    new_vocab_size: int
    num_oov_buckets: int
    old_vocab: Vocabulary
    old_vocab_size: int
    backup_initializer: Callable[..., Any] | None
    axis: int


class VocabInfo(_VocabFields):
    """The vocabularies of a variable in the new model and in the one that it is warm-started from.

    A vocabulary gives each word the number of its line; the rows of an embedding or of linear weights (axis 0), or the
    columns of the kernel before the logits of classes (axis 1), follow these numbers. Words that both vocabularies have
    keep their values, wherever they stand; rows of new words and out-of-vocabulary buckets begin anew. The fields are
    those of a named tuple, in the order of the arguments.

    Args:
      new_vocab: the vocabulary of the new model: the path of a text file with a word in each line, or the words.
      new_vocab_size: how many of its first words are used.
      num_oov_buckets: number of rows (columns) behind them for words outside the vocabulary.
      old_vocab: the vocabulary of the other model, likewise.
      old_vocab_size: how many of its first words that model used; -1 for all.
      backup_initializer: function of a shape that makes the values of what is new; None for zeros.
      axis: 0 if the vocabulary numbers the rows of the variable, 1 for its columns.

    Raises:
      ValueError: if `axis` is neither 0 nor 1, or a size is negative.
      TypeError: if `backup_initializer` is no function.

    Example:
      >>> info = VocabInfo(["venus", "jupiter", "mercury"], 3, 0, ["mercury", "venus", "mars"])
      >>> value, kept = info.fitted("w", np.array([[1.0], [2.0], [3.0]]), (3, 1))
      >>> value.ravel().tolist(), kept
      ([2.0, 0.0, 1.0], 2)
    """

    __slots__ = ()

    def __new__(
        cls,
        new_vocab: Vocabulary,
        new_vocab_size: int,
        num_oov_buckets: int,
        old_vocab: Vocabulary,
        old_vocab_size: int = -1,
        backup_initializer: Callable[..., Any] | None = None,
        axis: int = 0,
    ) -> VocabInfo:
        """Validates the fields and makes the tuple."""
        if axis not in (0, 1):
            raise ValueError(f"The only supported values for the axis argument are 0 and 1. Provided axis: {axis}")
        sizes = {"new_vocab_size": new_vocab_size, "num_oov_buckets": num_oov_buckets, "old_vocab_size": old_vocab_size}
        for (name, value), least in zip(sizes.items(), (1, 0, -1), strict=True):
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
                raise ValueError(f"`{name}` of VocabInfo must be an integer >= {least}. Received: {value!r}.")
        if backup_initializer is not None and not callable(backup_initializer):
            raise TypeError(
                "`backup_initializer` must be a function of a shape, such as keras.initializers.GlorotUniform(). "
                f"Received: {backup_initializer!r}."
            )
        return super().__new__(
            cls, new_vocab, new_vocab_size, num_oov_buckets, old_vocab, old_vocab_size, backup_initializer, axis
        )

    def fitted(self, name: str, old: np.ndarray[Any, Any], shape: tuple[int, ...]) -> tuple[np.ndarray[Any, Any], int]:
        """Returns the value of a variable that its old value gives by this change, and the number of words kept.

        Args:
          name: name of the variable, for messages.
          old: value in the other model.
          shape: shape in the new model.

        Raises:
          ValueError: if a vocabulary is shorter than its size, or does not fit the shapes.
        """
        new_words = _words(self.new_vocab, self.new_vocab_size, f"`new_vocab` of {name!r}")
        old_words = _words(self.old_vocab, self.old_vocab_size, f"`old_vocab` of {name!r}")
        rows = self.new_vocab_size + self.num_oov_buckets
        others = [tuple(size for i, size in enumerate(s) if i != self.axis) for s in (shape, old.shape)]
        if len(shape) <= self.axis or shape[self.axis] != rows or others[0] != others[1]:
            raise ValueError(
                f"The variable {name!r} has shape {shape}, and {old.shape} in the checkpoint to warm-start from; its "
                f"VocabInfo gives axis {self.axis} of the new one {self.new_vocab_size} words and "
                f"{self.num_oov_buckets} buckets, and leaves the other axes as they are."
            )
        if old.shape[self.axis] < len(old_words):
            raise ValueError(
                f"`old_vocab` of {name!r} has {len(old_words)} words, and the variable only {old.shape[self.axis]} "
                f"entries along axis {self.axis} in the checkpoint to warm-start from. Give `old_vocab_size`."
            )
        place = {word: i for i, word in reversed(list(enumerate(old_words)))}
        pairs = [(i, place[word]) for i, word in enumerate(new_words) if word in place]
        value = np.zeros(shape, old.dtype)
        if self.backup_initializer is not None:
            value[...] = np.asarray(self.backup_initializer(shape))
        if pairs:
            to, source = (np.array(column) for column in zip(*pairs, strict=True))
            np.moveaxis(value, self.axis, 0)[to] = np.moveaxis(old, self.axis, 0)[source]
        return value, len(pairs)


def _words(vocabulary: Vocabulary, size: int, what: str) -> list[str]:
    """Returns the first `size` words, or all if it is -1."""
    if isinstance(vocabulary, (str, os.PathLike)):
        path = os.fspath(vocabulary)
        if not tf.io.gfile.exists(path):
            raise ValueError(f"{what}: there is no vocabulary file {path!r}.")
        with tf.io.gfile.GFile(path, "rb") as file:
            words = [line.decode("utf-8", "surrogateescape") for line in file.read().splitlines()]
    else:
        words = [str(word) for word in vocabulary]
    if size > len(words):
        raise ValueError(f"{what} has {len(words)} words, which is fewer than its size {size}.")
    return words if size < 0 else words[:size]
