"""The computed order is the one that `Dataset.shuffle` gives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from headway.input_pipelines._shuffle_order import seeds_of, shuffled_rows


@pytest.mark.parametrize("reshuffle", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2**40 + 5, -3])
@pytest.mark.parametrize("rows", [1, 2, 3, 50, 997])
def test_order_of_tf_data(rows: int, seed: int, reshuffle: bool) -> None:
    for buffer_size in sorted({1, 2, 7, rows - 1 or 1, rows, rows + 1, 3 * rows}):
        shuffled = tf.data.Dataset.range(rows).shuffle(buffer_size, seed=seed, reshuffle_each_iteration=reshuffle)
        # With a seed given and none for the program, TensorFlow's own default is the first of the two.
        seeds = tf.constant(seeds_of(*(int(part) for part in tf.compat.v1.get_seed(seed))), tf.int64)
        for epoch, expected in enumerate(shuffled.repeat(5).batch(rows)):
            order = shuffled_rows(rows, buffer_size, seeds, tf.constant(epoch, tf.int64), reshuffle=reshuffle)
            np.testing.assert_array_equal(order, expected)


def test_two_zeros_are_drawn_anew() -> None:
    assert seeds_of(0, 0) != seeds_of(0, 0)
    assert seeds_of(0, 3) == (0, 3)
    assert seeds_of(3, 0) == (3, 0)
