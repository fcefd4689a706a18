"""Learning from data what columns leave open."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from headway._log import logger
from headway.feature_columns import _data, _learned, _saved, _tree
from headway.feature_columns._protocol import FeatureColumn
from headway.feature_columns._shared_embedding import SharedEmbeddingColumn


def adapt(columns: Any, data: Any, *, path: str | os.PathLike[str] | None = None) -> Any:
    """Learns in one pass over the data what columns leave open, and returns columns that hold it.

    Open is what `learned_vocabulary`, `learned_quantiles` and `learned_scale` stand for. Missing values are skipped.
    The columns that come back are ordinary ones, with lists and numbers inside; those that were given do not change.

    A model's variables mean what the columns meant when it was trained: an id is a row of a table. So learn once, from
    the rows for training alone, and keep the result with the model: give a `path` in its `model_dir`. The first run
    writes the columns there; a later one (which resumes the training, evaluates or serves) reads them back instead of
    learning others, and refuses if its own columns are defined differently from those of the first. Workers of a
    cluster that share the file get the same columns; those that do not must learn from the same rows.

    Args:
      columns: a feature column, or a list, tuple or dict of feature columns (nested as you like).
      data: a pipeline of `headway.input_pipelines`, of which one epoch is read; a `tf.data.Dataset` that ends; a dict
        of arrays; or a pandas, polars or Arrow frame. It may hold more features than the columns need.
      path: file for the adapted columns, such as `f"{model_dir}/feature_columns.json"`; None: none.

    Returns:
      The adapted columns, in the same structure.

    Raises:
      ValueError: if an item is no feature column; a feature is missing, of another type, or without any value; the
        data does not end; or `path` holds columns with another definition.

    Example:
      >>> import pandas as pd
      >>> from headway import feature_columns as fc
      >>> frame = pd.DataFrame({"age": [20.0, None, 40.0], "job": ["cook", "nurse", "cook"]})
      >>> columns = [
      ...     fc.numeric_column("age", normalizer_fn=fc.learned_scale()),
      ...     fc.indicator_column(fc.categorical_column_with_vocabulary_list("job", fc.learned_vocabulary())),
      ... ]
      >>> columns = fc.adapt(columns, frame)
      >>> fc.DenseFeatures(columns)({"age": [40.0], "job": ["nurse"]}).numpy().tolist()
      [[1.0, 0.0, 1.0]]
    """
    if path is None:
        return _adapted(columns, data)
    # Before any work is done: a column that cannot be written is refused here.
    definition = _saved.definition(_tree.flat(columns))
    if not tf.io.gfile.exists(os.fspath(path)):
        adapted = _adapted(columns, data)
        _saved.write(adapted, path, definition)
        return adapted
    stored = _saved.read(path)
    if stored.definition != definition:
        raise ValueError(
            _OTHER_DEFINITION.format(path=os.fspath(path), differ=_differing(stored.definition or [], definition))
        )
    logger.info("columns are those of %s; nothing was learnt anew", os.fspath(path))
    found = iter(_tree.flat(stored.columns))
    return _tree.structure_map(lambda column: next(found), columns)


_OTHER_DEFINITION = (
    "{path} holds columns that were adapted from other definitions. Different, missing or further: {differ}. A model "
    "trained with those would get other ids and scales from these: take a new model_dir for the new columns, or read "
    "the columns of the file with `fc.load(path)`."
)


def _sharing(columns: list[FeatureColumn]) -> list[set[FeatureColumn]]:
    """Returns the columns over vocabularies that share a table of vectors, and so their ids, for each such table."""
    tables: dict[str, set[FeatureColumn]] = {}
    for column in columns:
        if isinstance(column, SharedEmbeddingColumn):
            inside = {node.column for node in _tree.walk(column) if node.learned}
            tables.setdefault(column.table.name, set()).update(inside)
    groups: list[set[FeatureColumn]] = []
    for members in tables.values():
        # A column of two tables has one vocabulary in both.
        overlapping = [group for group in groups if group & members]
        groups = [group for group in groups if not group & members] + [members.union(*overlapping)]
    return [members for members in groups if len(members) > 1]


def _differing(stored: list[list[str]], given: list[list[str]]) -> list[str]:
    differ = {name for name, _ in (entry for entry in [*stored, *given] if entry not in stored or entry not in given)}
    return sorted(differ) or ["the order of the columns"]


def _adapted(columns: Any, data: Any) -> Any:
    given = _tree.flat(columns)
    nodes = {node: node.learned for column in given for node in _tree.walk(column) if node.learned}
    if not nodes:
        return columns
    statistics = [
        (node, field, _learned.statistic(node.column, learned))
        for node, fields in nodes.items()
        for field, learned in fields.items()
    ]
    readers = {column: None for column in given if any(node.learned for node in _tree.walk(column))}
    for inputs in _data.batches(data, readers, "adapt"):
        for node, _, statistic in statistics:
            statistic.add(node.inputs(inputs))
    for names in _sharing(given):
        _learned.unite([statistic for node, _, statistic in statistics if node.column in names])
    values: dict[_tree.Node, dict[str, Any]] = {}
    for node, field, statistic in statistics:
        values.setdefault(node, {})[field] = statistic.value()
    return _tree.structure_map(lambda column: _tree.rebuilt(column, values), columns)
