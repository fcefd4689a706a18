"""The device part: from transformed features to the tensors that a model starts from."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._embedding import COMBINERS
from headway.feature_columns._protocol import DenseColumn, FeatureColumn, FloatColumn, IdColumn, VariableFactory
from headway.feature_columns._shared_embedding import SharedEmbeddingColumn
from headway.feature_columns._transform import transformed_features
from headway.feature_columns._transformed_batch import TransformedBatch
from headway.feature_columns._variables import OncePerName


def dense_tensor(
    columns: Iterable[FeatureColumn] | FeatureColumn, features: Mapping[str, Any], variable: VariableFactory
) -> tf.Tensor:
    """Returns the dense columns side by side, in the order of their names: what a DNN's first layer takes.

    Args:
      columns: numeric, bucketized, indicator and embedding columns, each of another name.
      features: a batch: raw features, or what a `ColumnTransform` made of them.
      variable: function `(name, shape, initializer, dtype, trainable)` that makes the variable of that name or
        returns the one that is there. It is called once for each embedding column, with the name
        `{column}/embedding_weights`, and once for each table of `shared_embeddings`, with the name of that; for these
        its method `shared` is called instead, if it has one.

    Returns:
      float32 `[B, sum of widths]`.

    Raises:
      ValueError: if a column is not dense or two have one name; if a feature is missing, or its type or shape does
        not suit.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.numeric_column("age")
      >>> size = fc.indicator_column(fc.categorical_column_with_vocabulary_list("size", ["s", "m"]))
      >>> make = lambda name, shape, initializer, dtype, trainable: tf.Variable(initializer(shape, dtype), name=name)
      >>> fc.dense_tensor([size, age], {"age": [1.0, 2.0], "size": ["m", "s"]}, make).numpy()
      array([[1., 0., 1.],
             [2., 1., 0.]], dtype=float32)
    """
    checked = _checks.dense_columns(columns)
    inputs = TransformedBatch(transformed_features(checked, features), checked)
    return _concatenated(checked, inputs, OncePerName(variable))


def sequence_tensor(
    columns: Iterable[FeatureColumn] | FeatureColumn, features: Mapping[str, Any], variable: VariableFactory
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the sequence columns side by side, in the order of their names: what a recurrent network takes.

    Args:
      columns: `sequence_numeric_column`s, and embedding and indicator columns over
        `sequence_categorical_column_with_*`, each of another name.
      features: a batch: raw features, or what a `ColumnTransform` made of them.
      variable: see `dense_tensor`.

    Returns:
      A tuple of the tensor, float32 `[B, T, sum of widths]` with zeros (in sparse numbers, their default value) behind
      the end of a sequence, and the number of steps of each row, int64 `[B]`.

    Raises:
      ValueError: if a column is no sequence or two have one name; if a feature is missing, or its type or shape does
        not suit.
      tf.errors.InvalidArgumentError: if the columns differ in the number of steps of a row.

    Example:
      >>> from headway import feature_columns as fc
      >>> load = fc.sequence_numeric_column("load")
      >>> kind = fc.indicator_column(fc.sequence_categorical_column_with_identity("kind", 2))
      >>> features = {"load": tf.ragged.constant([[5.0, 6.0], [7.0]]), "kind": tf.ragged.constant([[0, 1], [1]])}
      >>> make = lambda name, shape, initializer, dtype, trainable: tf.Variable(initializer(shape, dtype), name=name)
      >>> steps, lengths = fc.sequence_tensor([load, kind], features, make)
      >>> steps.numpy().tolist(), lengths.numpy().tolist()
      ([[[1.0, 0.0, 5.0], [0.0, 1.0, 6.0]], [[0.0, 1.0, 7.0], [0.0, 0.0, 0.0]]], [2, 1])
    """
    checked = _checks.sequence_columns(columns)
    inputs = TransformedBatch(transformed_features(checked, features), checked)
    variable = OncePerName(variable)
    tensors = [column.device_dense(inputs, *column.make_variables(variable)) for column in checked]
    lengths = inputs.same_lengths([column.sequence for column in checked if column.sequence is not None])
    return _concat(_equally_long(tensors), 2), lengths


def linear_logits(
    columns: Iterable[FeatureColumn] | FeatureColumn,
    features: Mapping[str, Any],
    units: int,
    variable: VariableFactory,
    sparse_combiner: str = "sum",
) -> tf.Tensor:
    """Returns a linear model of the columns: a weight for each id, or for each value of a dense column, plus a bias.

    Args:
      columns: dense and categorical columns, each of another name. A bucketized column counts as categorical; of a
        sequence of ids the order does not count.
      features: a batch: raw features, or what a `ColumnTransform` made of them.
      units: number of outputs.
      variable: function `(name, shape, initializer, dtype, trainable)` that makes the variable of that name or
        returns the one that is there. Names: `{column}/weights` `[ids or width, units]`, `{column}/embedding_weights`
        for an embedding column, and `bias_weights` `[units]`. All but embeddings begin at zero. For tables of
        `shared_embeddings` see `dense_tensor`; columns of `shared_embedding_columns` have weights `{table}/weights`,
        `{table}_1/weights`, ... in the order of their names.
      sparse_combiner: how the weights of a row's ids are combined: "sum", "mean" or "sqrtn".

    Returns:
      float32 `[B, units]`.

    Raises:
      ValueError: if two columns have one name, `units` or `sparse_combiner` is none; if a feature is missing, or its
        type or shape does not suit.

    Example:
      >>> from headway import feature_columns as fc
      >>> size = fc.categorical_column_with_vocabulary_list("size", ["s", "m"])
      >>> value = {"size/weights": [[1.0], [2.0]], "bias_weights": [0.5]}
      >>> make = lambda name, shape, initializer, dtype, trainable: tf.Variable(value[name])
      >>> fc.linear_logits([size], {"size": ["m", "s", "xl"]}, 1, make).numpy()
      array([[2.5],
             [1.5],
             [0.5]], dtype=float32)
    """
    checked = check_linear(columns, units, sparse_combiner)
    inputs = TransformedBatch(transformed_features(checked, features), checked)
    variables = linear_variables(checked, units, variable)
    tables = [(column, variables.weights[column]) for column in checked if isinstance(column, IdColumn)]
    dense = [column for column in checked if isinstance(column, DenseColumn) and not isinstance(column, IdColumn)]
    sums = [inputs.linear_sum(tables, sparse_combiner)] if tables else []
    if dense:
        # One product for all dense columns.
        values = [column.device_dense(inputs, *variables.tables[column]) for column in dense]
        sums.append(
            tf.matmul(_concat(values, 1), _concat([tf.convert_to_tensor(variables.weights[c]) for c in dense], 0))
        )
    return tf.nn.bias_add(tf.add_n(sums) if len(sums) > 1 else sums[0], variables.bias)


@dataclasses.dataclass(frozen=True)
class LinearVariables:
    """The variables of a linear model.

    Attributes:
      weights: `[ids or width, units]` of each column.
      tables: the variables that the columns themselves have, such as an embedding's.
      bias: `[units]`.
    """

    weights: dict[FeatureColumn, tf.Variable]
    tables: dict[FeatureColumn, tuple[tf.Variable, ...]]
    bias: tf.Variable


def linear_variables(columns: list[FeatureColumn], units: int, variable: VariableFactory) -> LinearVariables:
    """Makes the variables of a linear model of sorted columns in the order of tf.estimator's."""
    variable = OncePerName(variable)
    weights: dict[FeatureColumn, tf.Variable] = {}
    tables: dict[FeatureColumn, tuple[tf.Variable, ...]] = {}
    scopes: set[str] = set()
    for column in columns:
        if isinstance(column, IdColumn):
            rows = column.num_buckets
        elif isinstance(column, DenseColumn):
            tables[column] = column.make_variables(variable)
            rows = column.width
        scope = column.variable_scope
        if isinstance(column, SharedEmbeddingColumn):
            # Columns with a table inside the layer have one scope, which TensorFlow 1 numbered.
            scope = _unused(scope, scopes)
        scopes.add(scope)
        weights[column] = variable(f"{scope}/weights", (rows, units), zeros, tf.float32, True)
    return LinearVariables(weights, tables, variable("bias_weights", (units,), zeros, tf.float32, True))


def _unused(scope: str, scopes: set[str]) -> str:
    """Returns `scope`, or `scope_1`, ... where it is one of `scopes`."""
    candidates = itertools.chain([scope], (f"{scope}_{number}" for number in itertools.count(1)))
    return next(candidate for candidate in candidates if candidate not in scopes)


def check_linear(columns: Any, units: int, sparse_combiner: str) -> list[FeatureColumn]:
    """Returns the columns sorted by name.

    Raises:
      ValueError: if an argument does not suit a linear model.
    """
    checked = _checks.sorted_columns(columns)
    for column in checked:
        if not isinstance(column, DenseColumn | IdColumn):
            raise ValueError(
                f"Items of feature_columns must be either a DenseColumn or CategoricalColumn. Given: {column}"
            )
        if isinstance(column, DenseColumn):
            _checks.check_without_steps(column)
    if sparse_combiner not in COMBINERS:
        raise ValueError(f"sparse_combiner must be one of 'mean', 'sqrtn' or 'sum'. Received: {sparse_combiner!r}")
    if units < 1:
        raise ValueError(f"`units` must be at least 1. Received: {units}")
    return checked


def zeros(shape: Any, dtype: Any = tf.float32, /, **kwargs: Any) -> tf.Tensor:
    """An initializer."""
    del kwargs
    return tf.zeros(shape, dtype)


def _concatenated(columns: list[DenseColumn], inputs: TransformedBatch, variable: VariableFactory) -> tf.Tensor:
    """Joins the columns, taking numeric columns that are neighbours in the matrix of floats in one piece."""
    pieces: list[tf.Tensor] = []
    run: tuple[str, int, int] | None = None
    for column in columns:
        if isinstance(column, FloatColumn):
            place = inputs.float_place(column)
            if run is not None and run[0] == place.key and run[2] == place.start:
                run = (place.key, run[1], place.start + place.width)
                continue
        if run is not None:
            pieces.append(inputs.float_slice(*run))
            run = None
        if isinstance(column, FloatColumn):
            run = (place.key, place.start, place.start + place.width)
        else:
            pieces.append(column.device_dense(inputs, *column.make_variables(variable)))
    if run is not None:
        pieces.append(inputs.float_slice(*run))
    return pieces[0] if len(pieces) == 1 else _side_by_side(*pieces)


@tf.custom_gradient
def _side_by_side(*pieces: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
    """Returns matrices `[B, n]` as one; their gradients are cut out by widths that are known beforehand."""
    widths = [int(piece.shape[1]) for piece in pieces]

    def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
        # What nobody asks for of the following is never computed.
        parts: list[tf.Tensor] = tf.split(upstream, widths, axis=1)
        first, last = _span([_varies(piece) for piece in pieces])
        begin, end = sum(widths[:first]), sum(widths[: last + 1])
        narrow = _columns_of_product(upstream, begin, end) if 2 * (end - begin) < sum(widths) else None
        if narrow is not None:
            parts[first : last + 1] = tf.split(narrow, widths[first : last + 1], axis=1)
        return parts

    return tf.concat(pieces, 1), gradient


def _span(flags: list[bool]) -> tuple[int, int]:
    """Returns the places of the first and last of the `flags` that are true; those of none where none is."""
    places = [place for place, flag in enumerate(flags) if flag]
    return (places[0], places[-1]) if places else (0, -1)


def _columns_of_product(product: tf.Tensor, begin: int, end: int) -> tf.Tensor | None:
    """Returns some columns of the gradient that a dense layer hands down, by a smaller product; None if it is none."""
    op = product.op if tf.is_symbolic_tensor(product) else None
    if (
        begin == end
        or op is None
        or op.type != "MatMul"
        or op.get_attr("transpose_a")
        or not op.get_attr("transpose_b")
    ):
        return None
    upstream, kernel = op.inputs
    return tf.matmul(upstream, kernel[begin:end], transpose_b=True)


def _varies(piece: tf.Tensor) -> bool:
    """Tells whether a symbolic tensor is computed from variables, as far as its graph shows."""
    if not tf.is_symbolic_tensor(piece):
        return True
    seen, waiting = set(), [piece]
    while waiting:
        tensor = waiting.pop()
        if tensor.dtype == tf.resource:
            return True
        if id(tensor) not in seen:
            seen.add(id(tensor))
            waiting.extend(tensor.op.inputs)
    return False


def _equally_long(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns tensors `[B, T, n]` with zeros behind the end of those that have fewer steps than others."""
    steps = [tensor.shape[1] for tensor in tensors]
    if len(tensors) == 1 or (None not in steps and len(set(steps)) == 1):
        return tensors
    longest = tf.reduce_max(tf.stack([tf.shape(tensor)[1] for tensor in tensors]))
    return [tf.pad(tensor, [[0, 0], [0, longest - tf.shape(tensor)[1]], [0, 0]]) for tensor in tensors]


def _concat(tensors: list[tf.Tensor], axis: int) -> tf.Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)
