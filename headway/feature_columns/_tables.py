"""Lookup tables of vocabularies, made once per process and shared by all columns that have the same vocabulary."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

_eager_tables: dict[tuple[Any, ...], tf.lookup.StaticHashTable] = {}
# A graph of TensorFlow 1 cannot use tables of the eager context; its own tables live as long as the graph.
_graph_tables: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], tf.lookup.StaticHashTable]] = (
    weakref.WeakKeyDictionary()
)


def vocabulary_table(vocabulary: tuple[Any, ...], dtype: tf.DType, default_value: int) -> tf.lookup.StaticHashTable:
    """Returns the table from vocabulary entries to their positions.

    It is made outside of any function that is being traced, so that it outlives the trace.

    Args:
      vocabulary: strings or integers, each once.
      dtype: `tf.string` or an integer type. Strings are looked up by fingerprint (see `Values.fingerprints`).
      default_value: what the table gives for all else.

    Returns:
      An initialised table int64 -> int64.
    """
    key = (vocabulary, dtype == tf.string, default_value)
    with tf.init_scope():
        if tf.executing_eagerly():
            tables = _eager_tables
        else:
            tables = _graph_tables.setdefault(tf.compat.v1.get_default_graph(), {})
        if key not in tables:
            if dtype == tf.string:
                keys = tf.bitcast(tf.fingerprint(tf.constant(vocabulary, tf.string)), tf.int64)
            else:
                keys = tf.constant(np.asarray(vocabulary, np.int64))
            initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.range(len(vocabulary), dtype=tf.int64))
            tables[key] = tf.lookup.StaticHashTable(initializer, default_value)
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
