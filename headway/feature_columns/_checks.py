"""Checks of arguments that several kinds of columns share."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from headway.feature_columns import _tree
from headway.feature_columns._foreign import own_column
from headway.feature_columns._protocol import CategoricalColumn, DenseColumn, FeatureColumn, IdColumn
from headway.feature_columns._values import Values

NOT_ADAPTED = (
    "{what} has a `{field}` that is not learnt yet: {value}. Learn it before the column is used, with "
    "`columns = fc.adapt(columns, data)`, or read columns that were adapted with `fc.load(path)`."
)


def check_key(key: object) -> None:
    """Raises ValueError if `key` is no string."""
    if not isinstance(key, str):
        raise ValueError(f"key must be a string. Got: type {type(key)}. Given key: {key}.")


def as_dtype(dtype: Any, argument: str = "dtype") -> tf.DType:
    """Returns `dtype` (a `tf.DType`, NumPy type or name) as a `tf.DType`.

    Raises:
      TypeError: if it is none of these.
    """
    try:
        return tf.as_dtype(dtype)
    except TypeError as error:
        raise TypeError(f"`{argument}` must be a type such as tf.string or tf.int64. Received: {dtype!r}") from error


def check_string_or_int(dtype: tf.DType, prefix: str) -> None:
    """Raises ValueError if `dtype` is neither string nor integer."""
    if dtype != tf.string and not dtype.is_integer:
        raise ValueError(f"{prefix} dtype must be string or integer. dtype: {dtype}.")


def compatible(values: Values, dtype: tf.DType) -> Values:
    """Returns `values` as a column of `dtype` takes them: all missing, and so of no type, they become strings.

    Raises:
      ValueError: if one of column and feature holds strings and the other integers. In a graph, where the feature came
        as float64, the running step raises `tf.errors.InvalidArgumentError`.
    """
    if dtype == tf.string and values.had_gaps:
        message = (
            f"headway: Column dtype and feature dtype must be compatible. key: {values.key}, column dtype: string, and "
            "the feature holds numbers. Convert the feature to strings. Received: "
        )
        there = tf.boolean_mask(values.flat, values.flat >= 0)
        check = tf.debugging.Assert(tf.equal(tf.size(there), 0), [message, there])
        with tf.control_dependencies([] if check is None else [check]):
            return dataclasses.replace(values, flat=tf.fill(tf.shape(values.flat), ""), dtype=tf.string)
    if dtype.is_integer != values.dtype.is_integer:
        raise ValueError(
            f"Column dtype and feature dtype must be compatible. key: {values.key}, column dtype: {dtype}, "
            f"tensor dtype: {values.dtype}. Convert the feature, or make the column with `dtype={values.dtype!r}`."
        )
    return values


def check_columns(columns: Any) -> list[FeatureColumn]:
    """Returns one column or any iterable of columns as a list.

    Raises:
      ValueError: for a dict, an empty list, or an item that is no feature column.
    """
    columns = own_column(columns)
    if isinstance(columns, FeatureColumn):
        columns = [columns]
    if isinstance(columns, Mapping):
        raise ValueError(f"Expected feature_columns to be iterable, found dict. Pass its values. Received: {columns}")
    if not isinstance(columns, Iterable | Iterator) or isinstance(columns, str | bytes):
        raise ValueError(f"`feature_columns` must be a list of feature columns. Received: {columns!r}")
    checked: list[FeatureColumn] = [own_column(column) for column in columns]
    if not checked:
        raise ValueError("feature_columns must not be empty.")
    for column in checked:
        if not isinstance(column, FeatureColumn):
            raise ValueError(
                f"Items of feature_columns must be a FeatureColumn. Given (type {type(column)}): {column!r}. "
                "Make columns with the functions of headway.feature_columns or tf.feature_column."
            )
        check_adapted(column)
    return checked


def check_adapted(column: FeatureColumn) -> None:
    """Raises ValueError if something in the column is still to be learnt."""
    for node in _tree.walk(column):
        for field, value in node.learned.items():
            raise ValueError(NOT_ADAPTED.format(what=f"Column {node.column.name!r}", field=field, value=value))


def check_positive(value: object, name: str, function: str) -> None:
    """Raises ValueError if `value` is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` of {function} must be a whole number of at least 1. Received: {value!r}")


def sorted_columns(columns: Any) -> list[FeatureColumn]:
    """Returns the columns in the order of their names, which is the order of a model's inputs.

    Raises:
      ValueError: as `check_columns`, and where two columns have one name.
    """
    checked = check_columns(columns)
    repeated = [name for name, count in collections.Counter(column.name for column in checked).items() if count > 1]
    if repeated:
        first, second = [column for column in checked if column.name == repeated[0]][:2]
        raise ValueError(
            f"Duplicate feature column name found for columns: {first} and {second}. Both are named {repeated[0]!r}, "
            "and so would "
            "be their variables. Leave one out, or give the feature a second name in the features dictionary."
        )
    return sorted(checked, key=lambda column: column.name)


def dense_columns(columns: Any) -> list[DenseColumn]:
    """Returns the columns sorted by name.

    Raises:
      ValueError: as `sorted_columns`, and for a column that is no dense one.
    """
    checked = sorted_columns(columns)
    for column in checked:
        if not isinstance(column, DenseColumn):
            raise ValueError(
                "Items of feature_columns must be a DenseColumn. You can wrap a categorical column with an "
                "embedding_column or "
                f"indicator_column. Given: {column.name!r}: {column}. For example: "
                f"indicator_column({column.name}) or embedding_column({column.name}, dimension=8)."
            )
        check_without_steps(column)
    return checked  # type: ignore[return-value]


def sequence_columns(columns: Any) -> list[DenseColumn]:
    """Returns the columns sorted by name.

    Raises:
      ValueError: as `sorted_columns`, and for a column that is no dense one or no sequence.
    """
    checked = sorted_columns(columns)
    for column in checked:
        if not isinstance(column, DenseColumn) or column.sequence is None:
            raise ValueError(
                f"In {column.name}: items of feature_columns must be sequences. categorical_column must be of type "
                "SequenceCategoricalColumn to use SequenceFeatures. Suggested fix: Use sequence_numeric_column, or "
                "embedding_column or indicator_column over one of sequence_categorical_column_with_*. Given (type "
                f"{type(column)}): {column}"
            )
    return checked  # type: ignore[return-value]


def check_without_steps(column: DenseColumn) -> None:
    """Raises ValueError if the column is a sequence."""
    if column.sequence is not None:
        raise ValueError(
            f"In {column.name}: the column must not be a sequence, and categorical_column must not be of type "
            "SequenceCategoricalColumn. Suggested fix A: If you wish to use DenseFeatures, use a non-sequence "
            "categorical_column_with_* or numeric_column. Suggested fix B: If you wish to create sequence input, use "
            f"SequenceFeatures instead of DenseFeatures. Given (type {type(column)}): {column}"
        )


def check_ids(column: object, function: str) -> IdColumn:
    """Returns `column` if it is a column of ids, with or without steps.

    Raises:
      ValueError: if it is not.
    """
    column = own_column(column)
    if not isinstance(column, IdColumn):
        raise ValueError(
            f"Unsupported input type. Input must be a CategoricalColumn. Given: {column!r}. `{function}` wraps what "
            "one of the categorical_column_with_* or sequence_categorical_column_with_* functions, bucketized_column, "
            "crossed_column or weighted_categorical_column returns."
        )
    return column


def check_categorical(column: object, function: str) -> CategoricalColumn:
    """Returns `column` if it is a categorical column that is no sequence.

    Raises:
      ValueError: if it is not.
    """
    column = own_column(column)
    if not isinstance(column, CategoricalColumn):
        raise ValueError(
            f"Unsupported input type. Input must be a CategoricalColumn. Given: {column!r}. `{function}` wraps what "
            "one of the "
            "categorical_column_with_* functions, bucketized_column or crossed_column returns."
        )
    return column
