"""Classes by id and by name: what the heads for classification have in common."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from headway.heads._keys import PredictionKeys
from headway.heads._vocabulary import Vocabulary


def ids_of(labels: tf.Tensor, vocabulary: Vocabulary | None) -> tf.Tensor:
    """Returns class ids for labels: of names if there is a vocabulary, else the labels themselves.

    Raises:
      ValueError: if labels are names and there is no vocabulary, or the other way round.
    """
    if vocabulary is None:
        if labels.dtype == tf.string:
            raise ValueError(
                "Labels are strings, but the head has no label_vocabulary. Pass "
                "`label_vocabulary=[...]`, the classes in the order of their ids."
            )
        return labels
    if labels.dtype != tf.string:
        raise ValueError(
            f"Labels dtype should be string if there is a vocabulary. Instead got {labels.dtype.name}. The "
            f"label_vocabulary is {vocabulary.shown()}; leave it out if labels are class ids."
        )
    return vocabulary.ids(labels)


def makers(
    logits: tf.Tensor, class_ids: Callable[[], tf.Tensor], n_classes: int, vocabulary: Vocabulary | None
) -> dict[str, Callable[[], tf.Tensor]]:
    """Returns functions that make the predictions about classes, by key.

    Args:
      logits: checked logits.
      class_ids: returns the predicted class, int64, shape `[D0, ..., DN, 1]`.
      n_classes: number of classes.
      vocabulary: names of the classes, or None.
    """

    def classes() -> tf.Tensor:
        return tf.strings.as_string(class_ids()) if vocabulary is None else vocabulary.words_of(class_ids())

    return {
        PredictionKeys.CLASS_IDS: class_ids,
        PredictionKeys.CLASSES: classes,
        PredictionKeys.ALL_CLASS_IDS: lambda: _for_each_example(tf.range(n_classes), logits),
        PredictionKeys.ALL_CLASSES: lambda: all_classes(logits, n_classes, vocabulary),
    }


def all_classes(logits: tf.Tensor, n_classes: int, vocabulary: Vocabulary | None) -> tf.Tensor:
    """Returns the names of all classes for each example, string, shape `[D0, n_classes]`; ids where there are none."""
    names = [str(i) for i in range(n_classes)]
    return _for_each_example(tf.constant(names) if vocabulary is None else vocabulary.all_words(), logits)


def _for_each_example(values: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.tile(values[tf.newaxis], [tf.shape(logits)[0], 1])
