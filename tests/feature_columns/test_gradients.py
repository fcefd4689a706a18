"""Gradients of embeddings: sparse, and right for every form of a feature and every combiner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc

TABLE = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]], np.float32)
FACTORS = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]], np.float32)


@pytest.mark.parametrize("form", ["single", "padded", "sparse", "unknown width"])
@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_gradient_of_an_embedding_is_sparse_and_right(form: str, combiner: str) -> None:
    ids = {"single": [[0], [2], [-1]], "sparse": [[0, 2], [2, -1], [-1, -1]]}.get(form, [[0, 2], [2, 2], [-1, -1]])
    feature: Any = tf.constant(ids, tf.int64)
    if form == "sparse":
        feature = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([0, 2, 2], tf.int64), [3, 2])
    signature = tf.TensorSpec([None, None], tf.int64) if form == "unknown width" else tf.type_spec_from_value(feature)
    table = tf.Variable(TABLE)
    column = fc.embedding_column(fc.categorical_column_with_identity("id", 4), 2, combiner=combiner)

    @tf.function(input_signature=[signature])
    def gradient(feature: Any) -> Any:
        with tf.GradientTape() as tape:
            result = fc.dense_tensor([column], {"id": feature}, lambda *_: table)
            loss = tf.reduce_sum(result * FACTORS)
        return tape.gradient(loss, table)

    slices = gradient(feature)
    assert isinstance(slices, tf.IndexedSlices)
    # By hand: each present id of a row receives the row's factor over the combiner's divisor.
    expected = np.zeros((4, 2), np.float32)
    for row, factors in zip(ids, FACTORS, strict=True):
        present = [item for item in row if item >= 0]
        for item in present:
            divisor = {"sum": 1.0, "mean": len(present), "sqrtn": len(present) ** 0.5}[combiner]
            expected[item] += factors / divisor
    np.testing.assert_allclose(tf.convert_to_tensor(slices), expected, rtol=1e-6, atol=1e-7)
    # A row of the table that no id of the batch names is not touched, not even with a zero.
    assert set(slices.indices.numpy().tolist()) == {0, 2}
