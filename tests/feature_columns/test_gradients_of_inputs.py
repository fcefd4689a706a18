"""Gradients of dense layers over columns: only the part that somebody asks for is computed, and it is the right one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc

_RANDOM = np.random.default_rng(5)
_NUMBERS = _RANDOM.normal(size=[4, 6]).astype(np.float32)
_IDS = np.array([1, 0, 1, 2])
# Of the columns by name: "a" (6 numbers), "b_embedding" (2), "c_embedding" (1), "d" (3 numbers).
_KERNEL = _RANDOM.normal(size=[12, 5]).astype(np.float32)
_UPSTREAM = _RANDOM.normal(size=[4, 5]).astype(np.float32)
_BEGIN_OF_IDS, _END = 6, 9


def _layer() -> fc.DenseFeatures:
    by_id = fc.categorical_column_with_identity("b", 3)
    again = fc.categorical_column_with_identity("c", 3)
    return fc.DenseFeatures(
        [
            fc.numeric_column("a", (6,)),
            fc.embedding_column(by_id, 2),
            fc.embedding_column(again, 1),
            fc.numeric_column("d", (3,)),
        ]
    )


@pytest.mark.parametrize("between", [lambda net: net, lambda net: net * 1.0], ids=["a product at once", "other"])
def test_a_dense_layer_hands_down_the_right_columns(between: Callable[[tf.Tensor], tf.Tensor]) -> None:
    layer = _layer()
    layer({"a": _NUMBERS, "b": _IDS, "c": _IDS, "d": _NUMBERS[:, :3]})

    @tf.function(autograph=False)
    def gradients(numbers: tf.Tensor, ids: tf.Tensor) -> list[tf.Tensor]:
        net = layer({"a": numbers, "b": ids, "c": ids, "d": numbers[:, :3]})
        product = tf.matmul(between(net), tf.constant(_KERNEL))
        found = tf.gradients(tf.reduce_sum(product * _UPSTREAM), [*layer.trainable_variables, numbers])
        return [tf.convert_to_tensor(gradient) for gradient in found]

    of_b, of_c, of_numbers = gradients(tf.constant(_NUMBERS), tf.constant(_IDS))
    by_input = _UPSTREAM @ _KERNEL.T
    expected = np.zeros([3, 3], np.float32)
    np.add.at(expected, _IDS, by_input[:, _BEGIN_OF_IDS:_END])
    np.testing.assert_allclose(of_b, expected[:, :2], rtol=1e-5)
    np.testing.assert_allclose(of_c, expected[:, 2:], rtol=1e-5)
    in_numbers = by_input[:, :_BEGIN_OF_IDS].copy()
    in_numbers[:, :3] += by_input[:, _END:]
    np.testing.assert_allclose(of_numbers, in_numbers, rtol=1e-5)


def test_columns_without_variables_cost_a_training_no_gradient() -> None:
    layer = _layer()
    layer({"a": _NUMBERS, "b": _IDS, "c": _IDS, "d": _NUMBERS[:, :3]})

    @tf.function(autograph=False)
    def gradients(numbers: tf.Tensor, ids: tf.Tensor) -> list[tf.Tensor]:
        net = layer({"a": numbers, "b": ids, "c": ids, "d": numbers[:, :3]})
        found = tf.gradients(tf.matmul(net, tf.constant(_KERNEL)), layer.trainable_variables)
        return [tf.convert_to_tensor(gradient) for gradient in found]

    graph = gradients.get_concrete_function(tf.constant(_NUMBERS), tf.constant(_IDS)).graph
    needed, waiting = set(), [tensor.op for tensor in graph.outputs]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [tensor.op for tensor in op.inputs]
    products = [op.outputs[0].shape[1] for op in needed if op.type == "MatMul"]
    assert products == [_END - _BEGIN_OF_IDS]
