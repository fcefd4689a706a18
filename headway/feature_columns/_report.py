"""What data looks like through the eyes of columns: out of vocabulary, collisions, gaps and ranges."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headway.feature_columns import _checks, _data, _tables, _tree
from headway.feature_columns._identity import IdentityCategoricalColumn
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, FloatColumn, HostInputs
from headway.feature_columns._statistics import Moments
from headway.feature_columns._text import TextColumn
from headway.feature_columns._text_table import Table
from headway.feature_columns._vocabulary import VocabularyColumn

_Ints = npt.NDArray[np.int64]


def report(columns: Any, data: Any) -> Table:
    """Reads the data once and says how well the columns fit it.

    It tells what a training curve does not: values that a vocabulary does not have, values that share an id by hashing,
    entries that never occur, missing values, and ranges.

    Args:
      columns: a feature column, or a list, tuple or dict of feature columns, adapted.
      data: as for `adapt`.

    Returns:
      A sequence of dicts, one for each column that makes numbers or ids of features (those inside of others, such as
      what is crossed, included), that prints as a table. Rows of a sequence are its steps. Keys, where they apply (None
      elsewhere):
        `column`, `rows`;
        `missing`: for numbers the share of missing values; for categorical columns the share of rows without any
        value;
        `out_of_vocabulary`: share of the values that are outside of the vocabulary or the range;
        `distinct`: number of different values (of a cross: combinations); `buckets`: number of ids;
        `unused`: share of the ids that no value has;
        `collisions`: share of the different values that share their id with another one;
        `min`, `max`, `mean`, `stddev`: of the numbers that the model gets (of the first value of a row, if there are
        several).
      Different values of hashed columns are counted exactly, in 8 bytes each.

    Raises:
      ValueError: as `adapt`, and for columns that are not adapted.

    Example:
      >>> from headway import feature_columns as fc
      >>> job = fc.categorical_column_with_vocabulary_list("job", ["cook", "nurse", "pilot"])
      >>> table = fc.report([job, fc.numeric_column("age")], {
      ...     "job": ["cook", "singer", "nurse", ""], "age": [20.0, 40.0, None, 60.0]})
      >>> print(table)
      column  rows  missing  out_of_vocabulary  distinct  buckets  unused  min  max  mean  stddev
      ------  ----  -------  -----------------  --------  -------  ------  ---  ---  ----  ------
      job     4     0.25     0.3333             3         3        0.3333
      age     4     0.25                                                   20   60   40    16.33
    """
    given = _tree.flat(columns)
    for column in given:
        _checks.check_adapted(column)
    studies = [_study(node) for node in dict.fromkeys(node for column in given for node in _studied(column))]
    for inputs in _data.batches(data, given, "report"):
        for study in studies:
            study.add(study.node.inputs(inputs))
    return Table([{"column": study.node.column.name, **study.row()} for study in studies])


def _studied(column: FeatureColumn) -> list[_tree.Node]:
    """Returns the columns in and inside of `column` that make numbers or ids of features."""
    nodes = [node for node in _tree.walk(column) if isinstance(node.column, FloatColumn | CategoricalColumn)]
    # The study of a column of text is that of its words.
    return [node for node in nodes if not any(isinstance(owner, TextColumn) for owner in node.owners)]


def _study(node: _tree.Node) -> _Study:
    column: Any = node.column
    if isinstance(column, FloatColumn):
        return _Numbers(node, column)
    core = column.tokens if isinstance(column, TextColumn) else column
    if isinstance(core, VocabularyColumn):
        return _Vocabulary(node, column, core)
    return _Hashed(node, column, core) if hasattr(core, "hash_bucket_size") else _Ids(node, column)


class _Study(abc.ABC):
    """What is seen of one column."""

    node: _tree.Node

    @abc.abstractmethod
    def add(self, inputs: HostInputs) -> None:
        """Takes in a batch."""

    @abc.abstractmethod
    def row(self) -> dict[str, Any]:
        """Returns the entries of the table."""


class _Numbers(_Study):
    def __init__(self, node: _tree.Node, column: FloatColumn) -> None:
        self.node, self.column = node, column
        self._moments = Moments(column.width)
        self._gaps = 0
        raw = getattr(column, "normalizer_fn", None)
        self._raw: FloatColumn = column if raw is None else dataclasses.replace(column, normalizer_fn=None)  # type: ignore[type-var]

    def add(self, inputs: HostInputs) -> None:
        values = inputs.floats(self.column).numpy()
        self._moments.add(values.reshape(len(values), self.column.width))
        # A normaliser may have filled the gaps.
        self._gaps += int(np.isnan(inputs.floats(self._raw).numpy()).sum())

    def row(self) -> dict[str, Any]:
        moments = self._moments
        values = moments.rows * self.column.width
        known = bool(moments.count[0])
        return {
            "rows": moments.rows,
            "missing": self._gaps / values if values else None,
            "min": float(moments.smallest[0]) if known else None,
            "max": float(moments.largest[0]) if known else None,
            "mean": float(moments.mean[0]) if known else None,
            "stddev": float(np.sqrt(moments.variance[0])) if known else None,
        }


class _Ids(_Study):
    """A column of ids, seen from outside: which ids occur, and how many values have none."""

    def __init__(self, node: _tree.Node, column: CategoricalColumn) -> None:
        self.node, self.column = node, column
        self._rows = self._empty = self._values = self._unknown = 0
        self._used = np.zeros(column.num_buckets, bool)

    def add(self, inputs: HostInputs) -> None:
        ids = inputs.ids(self.column)
        present = ids.present()
        self._rows += int(present.nrows())
        self._empty += int(tf.reduce_sum(tf.cast(present.row_lengths() == 0, tf.int64)))
        flat = present.flat_values.numpy()
        self._values += len(flat)
        self._unknown += self._outside(inputs, flat)
        self._used[flat[flat >= 0]] = True

    def _outside(self, inputs: HostInputs, flat: _Ints) -> int:
        core = self.column
        if isinstance(core, IdentityCategoricalColumn) and core.default_value is not None:
            values = inputs.values(core.key, column=core.name)
            raw = values.flat if values.missing is None else tf.boolean_mask(values.flat, ~values.missing)
            return int(((raw.numpy() < 0) | (raw.numpy() >= core.num_buckets)).sum())
        return int((flat < 0).sum())

    def row(self) -> dict[str, Any]:
        return {
            "rows": self._rows,
            "missing": self._empty / self._rows if self._rows else None,
            "out_of_vocabulary": self._unknown / self._values if self._values else None,
            "buckets": self.column.num_buckets,
            "unused": 1.0 - float(self._used.mean()),
        }


class _Vocabulary(_Ids):
    """A column with a vocabulary, whose unknown values may have ids as well."""

    def __init__(self, node: _tree.Node, column: CategoricalColumn, core: VocabularyColumn) -> None:
        super().__init__(node, column)
        self._core = core
        self._table = _tables.vocabulary_table(core.entries, core.dtype)
        self._distinct = np.zeros(0, np.int64)

    def _outside(self, inputs: HostInputs, flat: _Ints) -> int:
        values = self.column.inputs_for_parts(inputs).values(self._core.key, column=self.column.name)
        keys = values.fingerprints if self._core.dtype == tf.string else values.flat
        keys = keys if values.missing is None else tf.boolean_mask(keys, ~values.missing)
        self._distinct = np.union1d(self._distinct, keys.numpy())
        return int((self._table.lookup(keys).numpy() < 0).sum())

    def row(self) -> dict[str, Any]:
        row = super().row()
        buckets = row.pop("buckets")
        unused = row.pop("unused")
        return {**row, "distinct": len(self._distinct), "buckets": buckets, "unused": unused}


class _Hashed(_Ids):
    """A column that hashes, or crosses."""

    def __init__(self, node: _tree.Node, column: CategoricalColumn, core: Any) -> None:
        super().__init__(node, column)
        # With many times as many buckets, the ids tell values apart, and modulo the real number they are the real ids.
        size = core.hash_bucket_size
        wide = dataclasses.replace(core, hash_bucket_size=size * (2**62 // size))
        self._wide: Any = wide if core is column else dataclasses.replace(column, tokens=wide)  # type: ignore[type-var]
        self._distinct = np.zeros(0, np.int64)

    def add(self, inputs: HostInputs) -> None:
        super().add(inputs)
        self._distinct = np.union1d(self._distinct, inputs.ids(self._wide).present().flat_values.numpy())

    def row(self) -> dict[str, Any]:
        row = super().row()
        row.pop("out_of_vocabulary")
        unused = row.pop("unused")
        buckets = row.pop("buckets")
        _, sizes = np.unique(self._distinct % buckets, return_counts=True)
        shared = float(sizes[sizes > 1].sum() / len(self._distinct)) if len(self._distinct) else None
        return {**row, "distinct": len(self._distinct), "buckets": buckets, "unused": unused, "collisions": shared}
