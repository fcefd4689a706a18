"""The order in which `Dataset.shuffle` gives the numbers of rows, computed for a whole epoch at once.

`Dataset.shuffle` is the shuffle of Fisher and Yates within a window: step `i` swaps what stands at place `i` with what
stands at place `i + draw[i] % window`, where the window is the buffer, or what is left of the epoch, and gives what is
then at place `i`. To move one number at a time takes a microsecond for each. Here the same draws are made by one
operation, and the swaps are resolved by pointers: what a place holds was brought there by the last step that chose the
place, and that step brought what its own place held.
"""

from __future__ import annotations

import secrets

import tensorflow as tf

_PHILOX = 1


def seeds_of(seed: int, seed2: int) -> tuple[int, int]:
    """Returns the seeds that `Dataset.shuffle` goes by: two zeros stand for seeds that are drawn anew."""
    return (seed, seed2) if seed or seed2 else (secrets.randbits(62) + 1, secrets.randbits(62))


def shuffled_rows(rows: int, buffer_size: int, seeds: tf.Tensor, epoch: tf.Tensor, *, reshuffle: bool) -> tf.Tensor:
    """Returns the row numbers of an epoch in the order of `Dataset.range(rows).shuffle(buffer_size)`, int64 `[rows]`.

    Args:
      rows: number of rows.
      buffer_size: size of the buffer of the shuffle.
      seeds: the two seeds of the shuffle, int64 `[2]`; see `seeds_of`.
      epoch: number of the epoch from 0 on, a scalar of int64.
      reshuffle: whether each epoch has an order of its own (`reshuffle_each_iteration`).

    Example:
      >>> import tensorflow as tf
      >>> rows = shuffled_rows(5, 3, tf.constant([7, 8], tf.int64), tf.constant(0, tf.int64), reshuffle=True)
      >>> sorted(rows.numpy().tolist())
      [0, 1, 2, 3, 4]
    """
    if reshuffle:
        # Each epoch draws its two seeds, of 32 bits, from the generator of the dataset, which makes four at a time.
        seeds = _draws(4, seeds, epoch // 2)[2 * (epoch % 2) :][:2]
    step = tf.range(rows, dtype=tf.int64)
    window = tf.minimum(tf.constant(buffer_size, tf.int64), rows - step)
    chosen = step + _draws(rows, seeds, tf.constant(0, tf.int64)) % window
    # By place, and for each place in the order of the steps: the step before in this list chose the same place or none.
    by_place = tf.argsort(chosen, stable=True)
    places, steps = tf.gather(chosen, by_place), tf.cast(by_place, tf.int64)
    before = tf.where(places[1:] == places[:-1], steps[:-1], -1)
    last = tf.scatter_nd(by_place[:, tf.newaxis], tf.concat([[-1], before], 0), [rows])
    # What stands at place i when step i begins was brought by the last step before that chose i.
    brought = tf.math.unsorted_segment_max(tf.where(step < chosen, step, -1), chosen, rows)
    held = tf.where(brought < 0, step, brought)

    def followed(held: tf.Tensor, further: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del held
        return further, tf.gather(further, further)

    held, _ = tf.while_loop(
        lambda held, further: tf.reduce_any(held != further), followed, (held, tf.gather(held, held))
    )
    return tf.where(last < 0, chosen, tf.gather(held, tf.maximum(last, 0)))


def _draws(count: int, seeds: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
    """Returns numbers of 32 bits that Philox makes from block `block` on, four in a block, as int64 `[count]`."""
    draws = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count],
        key=tf.bitcast(seeds[:1], tf.uint64),
        counter=tf.bitcast(tf.stack([block, seeds[1]]), tf.uint64),
        alg=_PHILOX,
        dtype=tf.uint32,
    )
    return tf.cast(draws, tf.int64)
