"""Categorical columns whose ids have weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from headway.feature_columns import _checks
from headway.feature_columns._protocol import CategoricalColumn, FeatureColumn, HostInputs
from headway.feature_columns._values import DenseRows, Ids, RaggedRows


@dataclasses.dataclass(frozen=True)
class WeightedCategoricalColumn(CategoricalColumn):
    """What `weighted_categorical_column` returns."""

    categorical_column: CategoricalColumn
    weight_feature_key: str
    dtype: tf.DType

    @property
    def name(self) -> str:
        """`{categorical}_weighted_by_{weights}`."""
        return f"{self.categorical_column.name}_weighted_by_{self.weight_feature_key}"

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the categorical column, and a `VarLenFeature` of weights."""
        spec = dict(self.categorical_column.parse_example_spec)
        if self.weight_feature_key in spec:
            raise ValueError(
                f"Parse config {spec[self.weight_feature_key]} already exists for {self.weight_feature_key}. The "
                "weights must be a feature of their own."
            )
        return {**spec, self.weight_feature_key: tf.io.VarLenFeature(self.dtype)}

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The categorical column and the feature that holds the weights."""
        return [self.categorical_column, self.weight_feature_key]

    @property
    def num_buckets(self) -> int:
        """That of the categorical column."""
        return self.categorical_column.num_buckets

    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the ids of the categorical column with their weights."""
        ids = inputs.ids(self.categorical_column)
        weights = inputs.tensor(self.weight_feature_key, column=self.name)
        self._check(weights)
        if isinstance(ids.rows, DenseRows) and isinstance(weights, tf.Tensor):
            return self._by_place(ids, ids.rows, weights)
        return self._by_order(ids, weights)

    def _check(self, weights: Any) -> None:
        if not (weights.dtype.is_floating or weights.dtype.is_integer):
            raise ValueError(
                f"Bad dtype, expected {self.dtype}, but got {weights.dtype}. Feature {self.weight_feature_key!r} of "
                f"column {self.name!r} must hold numbers."
            )
        if weights.shape.rank is not None and weights.shape.rank > 2:
            raise ValueError(
                f"Feature {self.weight_feature_key!r} of column {self.name!r} must have shape [batch] or [batch, "
                f"values per row], a weight for each value. Received: {weights.shape}"
            )

    def _by_place(self, ids: Ids, rows: DenseRows, weights: tf.Tensor) -> Ids:
        """Pairs dense values and dense weights of one shape."""
        width = weights.shape[1] if weights.shape.rank == 2 else 1 if weights.shape.rank == 1 else None
        if rows.width and width is not None and rows.width != width:
            raise ValueError(
                f"Feature {self.weight_feature_key!r} must hold a weight for each value of column "
                f"{self.categorical_column.name!r}. Received: {width} weights and {rows.width} values per row."
            )
        flat = tf.cast(tf.reshape(weights, [-1]), tf.float32)
        if not rows.width or width is None:
            flat = self._checked(flat, tf.equal(tf.size(flat), tf.size(ids.flat)))
        # What stands beside a missing value counts as little as that, be it NaN.
        flat = flat if ids.missing is None else tf.where(ids.missing, 0.0, flat)
        return dataclasses.replace(ids, weights=flat)

    def _by_order(self, ids: Ids, weights: Any) -> Ids:
        """Pairs the values of each row that are not missing with the row's weights, in the order of both."""
        flat, row_ids = ids.flat, ids.rows.row_ids()
        if ids.missing is not None:
            keep = tf.logical_not(ids.missing)
            flat, row_ids = tf.boolean_mask(flat, keep), tf.boolean_mask(row_ids, keep)
        weight_flat, weight_rows = _present_weights(weights)
        same = tf.equal(tf.size(flat), tf.size(weight_flat))
        same = tf.cond(same, lambda: tf.reduce_all(tf.equal(row_ids, weight_rows)), lambda: False)
        weight_flat = self._checked(tf.cast(weight_flat, tf.float32), same)
        return Ids(flat, RaggedRows(ids.rows.num_rows, row_ids), weights=weight_flat)

    def _checked(self, weights: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
        # Without quotes, which TensorFlow would escape when it reports a failed check; the first word tells an
        # estimator that the message is for the user.
        message = (
            f"headway: Feature {self.weight_feature_key} must hold as many weights in each row as feature column "
            f"{self.categorical_column.name} has values there. Number of weights in the batch: "
        )
        check = tf.debugging.Assert(same, [message, tf.size(weights)])
        # In eager mode the check has run and there is nothing to wait for.
        with tf.control_dependencies([] if check is None else [check]):
            return tf.identity(weights)


def _present_weights(weights: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the weights of all rows and the row of each; zeros of a dense tensor are padding."""
    if isinstance(weights, tf.SparseTensor):
        return weights.values, weights.indices[:, 0]
    if isinstance(weights, tf.RaggedTensor):
        return weights.flat_values, tf.cast(weights.value_rowids(), tf.int64)
    present = tf.where(tf.not_equal(weights, tf.zeros([], weights.dtype)))
    return tf.gather_nd(weights, present), present[:, 0]


def weighted_categorical_column(
    categorical_column: FeatureColumn, weight_feature_key: str, dtype: Any = tf.float32
) -> WeightedCategoricalColumn:
    """Gives the values of a categorical column weights, which another feature holds.

    An indicator column then has the sum of an id's weights instead of its count, an embedding column combines its
    vectors, and a linear model its weights, as weighted sum (`sum(w v)`), mean (`sum(w v) / sum(w)`) or sqrtn
    (`sum(w v) / sqrt(sum(w^2))`). Mean and sqrtn leave out ids whose weight is not positive.

    Values and weights are paired by their place if both are dense, else by their order in the row: the n-th value that
    is not missing has the n-th weight, where zeros of a dense tensor of weights are padding.

    Args:
      categorical_column: what one of the `categorical_column_with_*` functions, `bucketized_column` or
        `crossed_column` returned.
      weight_feature_key: name of the feature that holds the weights, as many in each row as there are values.
      dtype: type in which `tf.io.parse_example` reads the weights, a floating or integer type.

    Returns:
      A categorical column named `{categorical}_weighted_by_{weight_feature_key}`.

    Raises:
      ValueError: if `categorical_column` is not categorical, or has weights or steps already; if `dtype` is not
        numeric, or `weight_feature_key` is no string.

    Example:
      >>> from headway import feature_columns as fc
      >>> word = fc.categorical_column_with_vocabulary_list("word", ["sun", "rain"])
      >>> column = fc.indicator_column(fc.weighted_categorical_column(word, "share"))
      >>> features = {"word": [["sun", "rain"], ["rain", ""]], "share": [[0.25, 0.75], [0.5, 0.0]]}
      >>> fc.DenseFeatures([column])(features).numpy()
      array([[0.25, 0.75],
             [0.  , 0.5 ]], dtype=float32)
    """
    checked = _checks.check_categorical(categorical_column, "weighted_categorical_column")
    if isinstance(checked, WeightedCategoricalColumn):
        raise ValueError(
            f"The values of column {checked.name!r} have weights already. Give `categorical_column` alone."
        )
    _checks.check_key(weight_feature_key)
    dtype = _checks.as_dtype(dtype) if dtype is not None else dtype
    if dtype is None or not (dtype.is_integer or dtype.is_floating):
        raise ValueError(f"dtype {dtype} is not convertible to float. Column: {checked.name!r}")
    return WeightedCategoricalColumn(checked, weight_feature_key, dtype)
