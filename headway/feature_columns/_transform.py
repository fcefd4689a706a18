"""The host part of a set of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks, _groups, _layout, _tree
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, FloatColumn, SequenceColumn
from headway.feature_columns._raw_batch import RawBatch, as_tensor, missing_feature
from headway.feature_columns._values import DenseRows


class _Plan:
    """What a transform computes; kept apart from the module, which would wrap each tuple to look for variables."""

    def __init__(self, columns: list[FeatureColumn], passthrough: tuple[str, ...]) -> None:
        host = {part.digest: part for column in columns for part in column.host_columns}
        ordered = sorted(host.values(), key=lambda part: (part.name, part.digest))
        self.columns = columns
        self.passthrough = passthrough
        self.floats = [part for part in ordered if isinstance(part, FloatColumn)]
        self.categorical = [part for part in ordered if isinstance(part, CategoricalColumn)]
        self.sequences = [part for part in ordered if isinstance(part, SequenceColumn)]
        self.host = [*self.floats, *self.categorical, *self.sequences]
        self.groups = _groups.grouped(self.categorical)


class ColumnTransform(tf.Module):
    """The host part of columns: strings, numbers and missing values of a whole batch become integer ids and floats.

    Call it on a dict of features. It returns a dict of few tensors, ready for the device: one float32 matrix `[B, D]`
    for all numeric columns, one int64 matrix `[B, K]` for all categorical columns with a fixed number of values per
    row (-1 where there is no value), and a RaggedTensor for each column whose feature came sparse or ragged; weights of
    ids and the steps of sequences have tensors of their own. Rows do not depend on each other and are axis 0
    throughout, so a whole table can be transformed once and its rows gathered later. `dense_tensor`, `linear_logits`
    and the layers take the result wherever they take features, and transform features that are not transformed yet.

    It runs eagerly, in `tf.data.Dataset.map`, in a `tf.function` and in an exported model. Transforming twice is
    transforming once.

    Args:
      columns: all columns of a model, in any order; columns that share a part have it computed once.
      passthrough: names of raw features to keep as they are, such as a column of weights.

    Raises:
      ValueError: if an item is no feature column. When called: if a feature is missing, or its type or shape does not
        suit its column.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.numeric_column("age")
      >>> job = fc.categorical_column_with_vocabulary_list("job", ["cook", "nurse"])
      >>> transform = fc.ColumnTransform([age, fc.indicator_column(job)], passthrough=["weight"])
      >>> batch = {"age": [30.0, 40.0], "job": ["nurse", ""], "weight": [1.0, 2.0]}
      >>> for value in transform(batch).values():
      ...     print(value.numpy().tolist())
      [[30.0], [40.0]]
      [[1], [-1]]
      [1.0, 2.0]
    """

    takes_encoded = True
    has_short_operations = True

    def __init__(self, columns: Iterable[FeatureColumn] | FeatureColumn, passthrough: Iterable[str] = ()) -> None:
        if isinstance(passthrough, str):
            raise ValueError(
                f"`passthrough` must be a list of feature names. Received: {passthrough!r}; pass [{passthrough!r}]."
            )
        super().__init__(name="column_transform")
        self._plan = _Plan(_checks.check_columns(columns), tuple(passthrough))
        # An object that exports this one must own the tables; making them here keeps their making out of any
        # function's trace.
        nodes = [node for column in self._plan.columns for node in _tree.walk(column)]
        self._resources = [resource for node in nodes for resource in node.column.resources()]
        self._resources += [resource for group in self._plan.groups for resource in group.resources()]

    def __reduce__(self) -> tuple[Callable[..., ColumnTransform], tuple[Any, ...]]:
        return ColumnTransform, (self._plan.columns, self._plan.passthrough)

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """The columns, as they were given."""
        return tuple(self._plan.columns)

    @property
    def passthrough(self) -> tuple[str, ...]:
        """Names of the raw features that are kept."""
        return self._plan.passthrough

    @property
    def float_names(self) -> dict[str, list[str]]:
        """The column that each number in a row of a matrix of floats comes from, by the matrix's key in the result."""
        floats = self._plan.floats
        if not floats:
            return {}
        key = _layout.matrix_key(_layout.FLOATS, [(column, column.width) for column in floats])
        return {key: [column.name for column in floats for _ in range(column.width)]}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the transformed batch.

        Args:
          features: name -> Tensor `[B]`, `[B, n]` or `[B, *shape]`, SparseTensor or RaggedTensor; or a batch that is
            transformed already, which is returned as it is.

        Returns:
          name -> Tensor or RaggedTensor, batch first.

        Raises:
          ValueError: if a feature is missing, or its type or shape does not suit its column.
        """
        if not isinstance(features, Mapping):
            raise ValueError(
                f"We expected a dictionary here. Instead we got: {features!r}. Pass features as {{name: values}}."
            )
        if _layout.is_transformed(features):
            _layout.check_holds(features, self._plan.host)
            return dict(features)
        inputs = RawBatch(features)
        transformed: dict[str, Any] = {}
        with tf.name_scope("column_transform"):
            self._add_floats(inputs, transformed)
            self._add_ids(inputs, transformed)
            self._add_sequences(inputs, transformed)
            for name in self._plan.passthrough:
                if name not in features:
                    raise ValueError(missing_feature(name, features, "`passthrough`"))
                transformed[name] = as_tensor(name, features[name])
        return transformed

    def of_all_rows(self, transformed: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a transformed table with marks for the device part: which columns have a value in every row.

        Args:
          transformed: what calls have made of all rows there are, joined; eager tensors.
        """
        return _layout.with_complete_marked(transformed)

    def _add_floats(self, inputs: RawBatch, transformed: dict[str, Any]) -> None:
        columns = self._plan.floats
        if not columns:
            return
        key = _layout.matrix_key(_layout.FLOATS, [(column, column.width) for column in columns])
        floats = [inputs.floats(column) for column in columns]
        if inputs.any_encoded and all(column.width == 1 for column in columns):
            # Vectors are stacked faster than narrow matrices are joined, where rows are many.
            floats = [tf.reshape(each, [-1]) for each in floats]
        transformed[key] = _side_by_side(floats)

    def _add_ids(self, inputs: RawBatch, transformed: dict[str, Any]) -> None:
        fixed: list[tuple[CategoricalColumn, int]] = []
        weighted: list[tuple[CategoricalColumn, int]] = []
        ids_side_by_side, weights_side_by_side = [], []
        rest: dict[str, Any] = {}
        inputs.add_ids(self._plan.groups)
        for column in self._plan.categorical:
            ids = inputs.ids(column)
            weights: Any = None
            if not isinstance(ids.rows, DenseRows):
                rest[_layout.column_key(_layout.RAGGED, column)] = ids.ragged()
                weights = ids.ragged_weights()
            elif ids.rows.width is None:
                rest[_layout.column_key(_layout.PADDED, column)] = ids.rows.matrix(
                    _negative_to_minus_one(ids.dropped())
                )
                weights = None if ids.weights is None else ids.rows.matrix(ids.weights)
            else:
                fixed.append((column, ids.rows.width))
                ids_side_by_side.append(_as_columns(ids.dropped(), ids.rows))
                if ids.weights is not None:
                    weighted.append((column, ids.rows.width))
                    weights_side_by_side.append(_as_columns(ids.weights, ids.rows))
            if weights is not None:
                rest[_layout.column_key(_layout.WEIGHTS_OF, column)] = weights
        if fixed:
            matrix = _side_by_side(ids_side_by_side)
            known = all(column.absent_is_minus_one for column, _ in fixed)
            transformed[_layout.matrix_key(_layout.IDS, fixed)] = matrix if known else _negative_to_minus_one(matrix)
        if weighted:
            transformed[_layout.matrix_key(_layout.WEIGHTS, weighted)] = _side_by_side(weights_side_by_side)
        transformed.update(rest)

    def _add_sequences(self, inputs: RawBatch, transformed: dict[str, Any]) -> None:
        for column in self._plan.sequences:
            steps = column.host_steps(inputs)
            transformed[_layout.column_key(_layout.STEPS, column)] = steps.values
            if steps.lengths is not None:
                transformed[_layout.column_key(_layout.LENGTHS, column)] = steps.lengths


def transformed_features(columns: Iterable[FeatureColumn], features: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `features` transformed for `columns`; as they are where that has been done."""
    transformed: dict[str, Any] = ColumnTransform(columns)(features)
    return transformed


def _as_columns(flat: tf.Tensor, rows: DenseRows) -> tf.Tensor:
    return flat if rows.single else rows.matrix(flat)


def _negative_to_minus_one(ids: tf.Tensor) -> tf.Tensor:
    return tf.maximum(ids, tf.constant(-1, tf.int64))


def _side_by_side(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Returns vectors `[B]` and matrices `[B, n]` as one matrix."""
    if all(tensor.shape.rank == 1 for tensor in tensors):
        # Stacking along the other axis goes number by number, and takes longer than both.
        return tf.transpose(tf.stack(tensors))
    matrices = [tf.expand_dims(tensor, 1) if tensor.shape.rank == 1 else tensor for tensor in tensors]
    return matrices[0] if len(matrices) == 1 else tf.concat(matrices, axis=1)
