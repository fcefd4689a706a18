"""The ids of one categorical column on the device, and what is made of them: counts and combined vectors.

Ids may have weights. A combination is `sum(w v)` over a row's ids, divided by `sum(w)` for "mean" and by
`sqrt(sum(w^2))` for "sqrtn"; without weights all `w` are one. As in tf.estimator, "mean" and "sqrtn" leave out ids
whose weight is not positive, unless `every_weight` is set.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from headway import _lookups


@dataclasses.dataclass(frozen=True)
class SingleLookup:
    """One id in each row, without weights.

    Attributes:
      ids: int64 `[B]`, -1 where there is none.
      safe: the same with an id that exists in place of -1.
      present: float32 `[B]`, 0 where `ids` is -1, else 1; None where every row is known to have an id.
    """

    ids: tf.Tensor
    safe: tf.Tensor
    present: tf.Tensor | None

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, 1]`."""
        return tf.expand_dims(self.ids, 1)

    def bag(self) -> SingleLookup:
        """Returns the lookup itself: its rows are the batch's."""
        return self

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns which id each row has, float32 `[B, num_buckets]`."""
        return tf.one_hot(self.ids, num_buckets)

    def embed(
        self, table: tf.Variable, combiner: str, *, max_norm: float | None = None, every_weight: bool = False
    ) -> tf.Tensor:
        """Returns float32 `[B, dim]`; the combination of one id is its vector, whatever the combiner."""
        del combiner, every_weight
        if max_norm is None:
            vectors = _lookups.rows(table, self.safe)
        else:
            vectors = tf.nn.embedding_lookup(table, self.safe, max_norm=max_norm)
        return vectors if self.present is None else vectors * tf.expand_dims(self.present, 1)


@dataclasses.dataclass(frozen=True)
class DenseLookup:
    """Ids of a fixed number per row.

    Attributes:
      ids: int64 `[B, n]`, -1 where there is none.
      safe: the same with an id that exists in place of -1.
      present: float32 `[B, n]`, 0 where `ids` is -1, else 1.
      weights: float32 `[B, n]`, or None.
    """

    ids: tf.Tensor
    safe: tf.Tensor
    present: tf.Tensor
    weights: tf.Tensor | None = None

    @classmethod
    def of(cls, ids: tf.Tensor, weights: tf.Tensor | None = None) -> DenseLookup:
        """Returns the lookup of int64 `[B, n]`, -1 where there is none."""
        return cls(ids, *with_existing_ids(ids), weights)

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, n]`."""
        return self.ids

    def bag(self) -> DenseLookup:
        """Returns the lookup itself: its rows are the batch's."""
        return self

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns how often each id occurs in a row, or the sum of its weights, float32 `[B, num_buckets]`."""
        one_hot = tf.one_hot(self.ids, num_buckets)
        if self.weights is not None:
            one_hot *= tf.expand_dims(self._amounts(), 2)
        return tf.squeeze(one_hot, 1) if self.ids.shape[1] == 1 else tf.reduce_sum(one_hot, 1)

    def embed(
        self, table: tf.Variable, combiner: str, *, max_norm: float | None = None, every_weight: bool = False
    ) -> tf.Tensor:
        """Returns float32 `[B, dim]`."""
        kept = self.contributing(combiner, every_weight=every_weight)
        # The variable itself is looked up, not its value: the table is not copied and the gradient stays sparse.
        vectors = tf.nn.embedding_lookup(table, kept.safe, max_norm=max_norm)
        factors = kept.coefficients(combiner)
        if self.ids.shape[1] == 1:
            return tf.squeeze(vectors, 1) * factors
        return tf.reduce_sum(vectors * tf.expand_dims(factors, 2), 1)

    def contributing(self, combiner: str, *, every_weight: bool = False) -> DenseLookup:
        """Returns the lookup without the ids that `combiner` leaves out: their vectors get no gradient."""
        if self.weights is None or combiner == "sum" or every_weight:
            return self
        return DenseLookup.of(tf.where(self.weights > 0, self.ids, tf.constant(-1, tf.int64)), self.weights)

    def coefficients(self, combiner: str) -> tf.Tensor:
        """Returns the factor of each id in its row's combination, float32 `[B, n]`."""
        return coefficients(self._amounts(), combiner, 1, weighted=self.weights is not None)

    def _amounts(self) -> tf.Tensor:
        # Not a product: where an id is absent its weight may be anything, NaN included.
        return self.present if self.weights is None else tf.where(self.present > 0, self.weights, 0.0)


@dataclasses.dataclass(frozen=True)
class RaggedLookup:
    """Ids of any number per row.

    Attributes:
      ids: RaggedTensor int64 `[B, (n)]` without -1.
      weights: RaggedTensor float32 `[B, (n)]` of the same rows, or None.
    """

    ids: tf.RaggedTensor
    weights: tf.RaggedTensor | None = None

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, longest row]`, padded with -1."""
        return self.ids.to_tensor(default_value=-1)

    def bag(self) -> RaggedLookup:
        """Returns the lookup itself: its rows are the batch's."""
        return self

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns how often each id occurs in a row, or the sum of its weights, float32 `[B, num_buckets]`."""
        one_hot = tf.one_hot(self.dense_ids(), num_buckets)
        if self.weights is not None:
            one_hot *= tf.expand_dims(self.weights.to_tensor(), 2)
        return tf.reduce_sum(one_hot, 1)

    def embed(
        self, table: tf.Variable, combiner: str, *, max_norm: float | None = None, every_weight: bool = False
    ) -> tf.Tensor:
        """Returns float32 `[B, dim]`."""
        ids, rows = self.ids.flat_values, self.ids.value_rowids()
        weights = None if self.weights is None else self.weights.flat_values
        if weights is not None and combiner != "sum" and not every_weight:
            keep = weights > 0
            ids, rows, weights = (tf.boolean_mask(values, keep) for values in (ids, rows, weights))
        vectors = tf.nn.embedding_lookup(table, ids, max_norm=max_norm)
        if weights is not None:
            vectors *= tf.expand_dims(weights, 1)
        total = tf.math.unsorted_segment_sum(vectors, rows, self.ids.nrows())
        if combiner == "sum":
            return total
        if weights is None:
            amount = tf.cast(self.ids.row_lengths(), tf.float32)
        else:
            powers = weights if combiner == "mean" else tf.square(weights)
            amount = tf.math.unsorted_segment_sum(powers, rows, self.ids.nrows())
        return tf.math.divide_no_nan(total, tf.expand_dims(_divisor(amount, combiner), 1))


@dataclasses.dataclass(frozen=True)
class SequenceLookup:
    """Ids of each step of a sequence.

    Attributes:
      ids: int64 `[B, T]`, `[B, T, n]`, or RaggedTensor `[B, (T)]`, `[B, (T), n]`, `[B, (T), (n)]`; -1 where there is
        none.
    """

    ids: tf.Tensor | tf.RaggedTensor

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, ids of the longest row]`, padded with -1."""
        return self.bag().dense_ids()

    def bag(self) -> DenseLookup | RaggedLookup:
        """Returns the ids of a row as if it were no sequence."""
        if not isinstance(self.ids, tf.RaggedTensor):
            return DenseLookup.of(_steps_as_values(self.ids))
        ids = self.ids
        if ids.flat_values.shape.rank == 2:
            ids = tf.RaggedTensor.from_tensor(ids.flat_values).with_row_splits_dtype(ids.row_splits.dtype)
            ids = self.ids.with_values(ids)
        flat, rows = ids.flat_values, _outer_rows(ids)
        keep = flat >= 0
        return RaggedLookup(
            tf.RaggedTensor.from_value_rowids(
                tf.boolean_mask(flat, keep), tf.boolean_mask(rows, keep), self.ids.nrows(), validate=False
            )
        )

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns how often each id occurs in a step, float32 `[B, T, num_buckets]`."""
        return self._per_step(self._steps().counts(num_buckets))

    def embed(
        self, table: tf.Variable, combiner: str, *, max_norm: float | None = None, every_weight: bool = False
    ) -> tf.Tensor:
        """Returns the combined vectors of each step, float32 `[B, T, dim]`."""
        return self._per_step(self._steps().embed(table, combiner, max_norm=max_norm, every_weight=every_weight))

    def _steps(self) -> DenseLookup | RaggedLookup:
        """Returns a lookup whose rows are the steps of all sequences."""
        ids: tf.Tensor | tf.RaggedTensor
        if not isinstance(self.ids, tf.RaggedTensor):
            static = self.ids.shape[2] if self.ids.shape.rank == 3 else 1
            width = tf.shape(self.ids)[2] if static is None else static
            rows = tf.shape(self.ids)[0] * tf.shape(self.ids)[1]
            return DenseLookup.of(tf.ensure_shape(tf.reshape(self.ids, [rows, width]), [None, static]))
        ids = self.ids.values
        if isinstance(ids, tf.RaggedTensor):
            return RaggedLookup(tf.ragged.boolean_mask(ids, ids >= 0))
        return DenseLookup.of(tf.expand_dims(ids, 1) if ids.shape.rank == 1 else ids)

    def _per_step(self, values: tf.Tensor) -> tf.Tensor:
        """Returns `[steps, width]` as `[B, T, width]`, with zeros behind the end of a sequence."""
        if isinstance(self.ids, tf.RaggedTensor):
            return self.ids.with_values(values).to_tensor(shape=[None, None, values.shape[1]])
        shape = tf.concat([tf.shape(self.ids)[:2], [values.shape[1]]], 0)
        return tf.ensure_shape(tf.reshape(values, shape), [*self.ids.shape[:2], values.shape[1]])


def with_existing_ids(ids: tf.Tensor, axis: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `ids` without -1, and float32 zeros and ones that say where they were; `axis` counts the rows."""
    present = ids >= 0
    # In place of -1 stands an id that occurs in the batch anyway, not 0: an optimizer that changes each row it is
    # given a gradient for, be it zero, would else change the row of an id that does not occur.
    substitute = tf.maximum(tf.reduce_max(ids, axis, keepdims=True), 0)
    return tf.where(present, ids, substitute), tf.cast(present, tf.float32)


def coefficients(amounts: tf.Tensor, combiner: str, axis: int, *, weighted: bool = False) -> tf.Tensor:
    """Returns the factor of each id in its row's combination, float32 like `amounts`, whose `axis` counts the ids.

    Amounts are weights, or without weights 1 where there is an id and 0 where there is none.
    """
    if combiner == "sum" or (not weighted and amounts.shape[axis] == 1):
        return amounts
    # Amounts of 0 and 1 are their own squares.
    powers = amounts if combiner == "mean" or not weighted else tf.square(amounts)
    return tf.math.divide_no_nan(amounts, _divisor(tf.reduce_sum(powers, axis, keepdims=True), combiner))


def _divisor(amount: tf.Tensor, combiner: str) -> tf.Tensor:
    return amount if combiner == "mean" else tf.sqrt(amount)


def _steps_as_values(ids: tf.Tensor) -> tf.Tensor:
    """Returns `[B, T]` or `[B, T, n]` as `[B, T * n]`."""
    if ids.shape.rank == 2:
        return ids
    width = None if None in ids.shape[1:] else ids.shape[1] * ids.shape[2]
    flat = tf.reshape(ids, tf.stack([tf.shape(ids)[0], tf.shape(ids)[1] * tf.shape(ids)[2]]))
    return tf.ensure_shape(flat, [ids.shape[0], width])


def _outer_rows(ids: tf.RaggedTensor) -> tf.Tensor:
    """Returns the row of the batch of each flat value."""
    if ids.ragged_rank == 1:
        return ids.value_rowids()
    return tf.gather(ids.value_rowids(), ids.values.value_rowids())
