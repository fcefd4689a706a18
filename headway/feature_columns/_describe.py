"""What each column is, in a table."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headway.feature_columns import _tree
from headway.feature_columns._bucketized import BucketizedColumn
from headway.feature_columns._datetime import DatetimeColumn
from headway.feature_columns._identity import IdentityCategoricalColumn
from headway.feature_columns._learned import LearnedScale, Scale
from headway.feature_columns._numeric import NumericColumn
from headway.feature_columns._preprocessing import PreprocessingCategoricalColumn, PreprocessingColumn
from headway.feature_columns._protocol import CategoricalColumn, DenseColumn, FeatureColumn
from headway.feature_columns._sequence_numeric import SequenceNumericColumn
from headway.feature_columns._text import TextColumn
from headway.feature_columns._text_table import Table
from headway.feature_columns._vocabulary import VocabularyColumn

_ABSENT = "counts as absent"


def describe(columns: Any) -> Table:
    """Returns a table that says of each column what it reads, what it makes, and what it does with missing values.

    Args:
      columns: a feature column, or a list, tuple or dict of feature columns, adapted or not.

    Returns:
      A sequence of dicts, one for each column, that prints as a table. Keys:
        `column`: name; `features`: names of the raw features; `dtype`: types of these; `kind`: what the column is;
        `shape_in`: shape of a row of the feature, `(n)` for any number of values; `buckets`: number of ids (of the
        column itself, or of the one inside of it), None if it has none or they are still to be learnt; `missing`:
        what a missing value becomes; `unknown`: what a value becomes that the column does not know; `shape_out`:
        shape of a row in a DNN's input, None for categorical columns; `parameters`: number of trainable weights in a
        DNN's input; `to_learn`: what `adapt` has to learn.

    Raises:
      ValueError: if an item is no feature column.

    Example:
      >>> from headway import feature_columns as fc
      >>> job = fc.categorical_column_with_vocabulary_list("job", ["cook", "nurse"], num_oov_buckets=1)
      >>> table = fc.describe([fc.numeric_column("age"), fc.embedding_column(job, 4)])
      >>> table[1]["features"], table[1]["buckets"], table[1]["parameters"]
      (('job',), 3, 12)
      >>> print(fc.describe(fc.numeric_column("age")))
      column  features  dtype    kind     shape_in  missing  shape_out  parameters
      ------  --------  -------  -------  --------  -------  ---------  ----------
      age     age       float32  numeric  (1,)      NaN      (1,)       0
    """
    return Table([_row(column) for column in _tree.flat(columns)])


def _row(column: FeatureColumn) -> dict[str, Any]:
    core = _core(column)
    learned = tuple(type(value).__name__ for node in _tree.walk(column) for value in node.learned.values())
    known = not learned or not any(
        value for node in _tree.walk(column) for value in node.learned.values() if not isinstance(value, LearnedScale)
    )
    spec = column.parse_example_spec
    return {
        "column": column.name,
        "features": tuple(dict.fromkeys(name for name, _ in _tree.raw_features(column))),
        "dtype": tuple(dict.fromkeys(value.dtype.name for value in spec.values())),
        "kind": _kind(column),
        "shape_in": _shape_in(spec),
        "buckets": core.num_buckets if known and isinstance(core, CategoricalColumn) else None,
        "missing": _missing(core),
        "unknown": _unknown(core),
        "shape_out": str(tuple(column.variable_shape)) if known and isinstance(column, DenseColumn) else None,
        "parameters": _parameters(column) if known and isinstance(column, DenseColumn) else None,
        "to_learn": learned or None,
    }


def _core(column: FeatureColumn) -> FeatureColumn:
    """Returns the column that makes ids or numbers of the raw feature."""
    inside = getattr(column, "categorical_column", None)
    return _core(inside) if isinstance(inside, FeatureColumn) else column


def _kind(column: FeatureColumn) -> str:
    """Returns the words of the class's name, and those of the columns inside."""
    words = type(column).__name__.removesuffix("Column").removesuffix("Categorical")
    own = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in words).strip()
    inside = getattr(column, "categorical_column", None) or getattr(column, "tokens", None)
    return f"{own} of {_kind(inside)}" if isinstance(inside, FeatureColumn) else own


def _shape_in(spec: dict[str, Any]) -> str:
    shapes = {str(tuple(s.shape)) if isinstance(s, tf.io.FixedLenFeature) else "(n)" for s in spec.values()}
    return ", ".join(sorted(shapes))


def _missing(core: FeatureColumn) -> str:
    if isinstance(core, NumericColumn | SequenceNumericColumn):
        function = core.normalizer_fn
        if isinstance(function, Scale | LearnedScale):
            return "0, the mean" if function.missing == "mean" else "NaN"
        return "NaN" if function is None else "what normalizer_fn makes of NaN"
    if isinstance(core, BucketizedColumn):
        return "last interval"
    if isinstance(core, DatetimeColumn):
        return "zeros"
    if isinstance(core, TextColumn):
        return "no words"
    if isinstance(core, PreprocessingColumn | PreprocessingCategoricalColumn):
        return "what the layer makes of it"
    return _ABSENT


def _unknown(core: FeatureColumn) -> str | None:
    if isinstance(core, TextColumn):
        core = core.tokens
    if isinstance(core, VocabularyColumn):
        if core.num_oov_buckets:
            return f"hashed into {core.num_oov_buckets}"
        return _ABSENT if core.default_value < 0 else f"id {core.default_value}"
    if isinstance(core, IdentityCategoricalColumn):
        return "error" if core.default_value is None else f"id {core.default_value}"
    return None


def _parameters(column: DenseColumn) -> int:
    sizes: list[int] = []

    def variable(
        name: str, shape: tuple[int, ...], initializer: Any, dtype: tf.DType = tf.float32, trainable: bool = True
    ) -> Any:
        del name, initializer, dtype
        sizes.append(int(tf.TensorShape(shape).num_elements()) if trainable else 0)

    column.make_variables(variable)
    return sum(sizes)
