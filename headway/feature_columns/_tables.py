"""Lookup tables of vocabularies, made once per process and shared by all columns that have the same vocabulary."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_eager_tables: dict[tuple[Any, ...], tf.lookup.StaticHashTable] = {}
# A graph of TensorFlow 1 cannot use tables of the eager context; its own tables live as long as the graph.
_graph_tables: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], tf.lookup.StaticHashTable]] = (
    weakref.WeakKeyDictionary()
)


def vocabulary_table(vocabulary: tuple[Any, ...], dtype: tf.DType) -> tf.lookup.StaticHashTable:
    """Returns the table from vocabulary entries to their positions; -1 for all else.

    It is made outside of any function that is being traced, so that it outlives the trace.

    Args:
      vocabulary: strings or integers, each once.
      dtype: `tf.string` or an integer type. Strings are looked up by fingerprint (see `Values.fingerprints`).

    Returns:
      An initialised table int64 -> int64.
    """
    return _kept((vocabulary, dtype == tf.string), lambda: (_keys(vocabulary, dtype), np.arange(len(vocabulary))))


class JointTable:
    """One table for several vocabularies: the keys of each are told apart by a number that they are combined with.

    Args:
      vocabularies: the entries and the type of each, as for `vocabulary_table`.
    """

    def __init__(self, vocabularies: Sequence[tuple[tuple[Any, ...], tf.DType]]) -> None:
        self._vocabularies = [(entries, dtype == tf.string) for entries, dtype in vocabularies]
        keys = [_keys(entries, dtype) for entries, dtype in vocabularies]
        self._salts, self._keys = _told_apart(keys)
        self._ids = np.concatenate([np.arange(len(part)) for part in keys] or [np.zeros(0, int)])

    def table(self) -> tf.lookup.StaticHashTable:
        """Returns the table."""
        return _kept(("joint", *self._vocabularies), lambda: (self._keys, self._ids))

    def lookup(self, keys: tf.Tensor, rows: Sequence[int]) -> tf.Tensor:
        """Returns the position of each key in its vocabulary, or -1, int64 `[R, N]`.

        Args:
          keys: int64 `[R, N]`.
          rows: which of the vocabularies each row of keys is looked up in.
        """
        salts = tf.constant(self._salts[list(rows)][:, np.newaxis])
        return self.table().lookup(tf.bitwise.bitwise_xor(keys, salts))


def _told_apart(keys: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns a number for each array of keys, and all keys combined with these: no two are equal."""
    for seed in itertools.count():
        salts = np.random.default_rng(seed).integers(-(2**63), 2**63, len(keys), np.int64, endpoint=False)
        combined = np.concatenate([part ^ salt for part, salt in zip(keys, salts, strict=True)] or [np.zeros(0, int)])
        if len(np.unique(combined)) == len(combined):
            return salts, combined
    raise AssertionError("the loop does not end")


def _keys(vocabulary: tuple[Any, ...], dtype: tf.DType) -> npt.NDArray[np.int64]:
    if dtype != tf.string:
        return np.asarray(vocabulary, np.int64)
    with tf.init_scope():
        if tf.executing_eagerly():
            return np.asarray(_fingerprints(vocabulary))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return np.asarray(session.run(_fingerprints(vocabulary)))


def _fingerprints(vocabulary: tuple[Any, ...]) -> tf.Tensor:
    return tf.bitcast(tf.fingerprint(tf.constant(vocabulary, tf.string)), tf.int64)


def _kept(key: tuple[Any, ...], entries: Callable[[], tuple[Any, Any]]) -> tf.lookup.StaticHashTable:
    with tf.init_scope():
        if tf.executing_eagerly():
            tables = _eager_tables
        else:
            tables = _graph_tables.setdefault(tf.compat.v1.get_default_graph(), {})
        if key not in tables:
            keys, ids = entries()
            initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(ids, tf.int64))
            tables[key] = tf.lookup.StaticHashTable(initializer, -1)
        return tables[key]


def lookup_tables() -> list[tf.lookup.StaticHashTable]:
    """Returns all vocabulary tables of the eager context.

    A `tf.Module` whose functions use columns with vocabularies must hold them as an attribute when it is saved with
    `tf.saved_model.save`, which otherwise does not find them. A `ColumnTransform` holds its own.

    Returns:
      The tables, in the order in which they were made.

    Example:
      >>> from headway import feature_columns as fc
      >>> who = fc.categorical_column_with_vocabulary_list("who", ["bob", "wanda"])
      >>> features = fc.ColumnTransform([who])({"who": ["wanda"]})
      >>> module = tf.Module()
      >>> module.tables = fc.lookup_tables()
      >>> len(module.tables) >= 1
      True
    """
    return list(_eager_tables.values())
