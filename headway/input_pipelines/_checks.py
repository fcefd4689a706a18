"""Checks of arguments that several functions share. Messages name the argument, what was received, what to do."""

from __future__ import annotations

import difflib
import numbers
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def positive(name: str, value: Any) -> int:
    """Returns `value` as an int if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {value!r}.")
    return int(value)


def epochs(value: Any) -> int | None:
    """Returns `num_epochs` if it is None (for ever) or a whole number of at least 1."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"`num_epochs` must be at least 1, or None to repeat the data for ever. Received: {value!r}.")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Returns `value` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False. Received: {value!r}.")
    return bool(value)


def seed(value: Any) -> int | None:
    """Returns `seed` if it is None or an integer that fits into 64 bits."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not -(2**63) <= int(value) < 2**63:
        raise ValueError(f"`seed` must be an integer of at most 64 bits, or None to draw one. Received: {value!r}.")
    return int(value)


def shard(num_shards: Any, index: Any) -> tuple[int, int]:
    """Returns both numbers if `index` is one of `num_shards`."""
    count = positive("num_shards", num_shards)
    if isinstance(index, bool) or not isinstance(index, numbers.Integral) or not 0 <= int(index) < count:
        raise ValueError(
            f"`index` must be a whole number from 0 to {count - 1} for {count} shards. Received: {index!r}."
        )
    return count, int(index)


def start(value: Any) -> int:
    """Returns `start` if it is a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise ValueError(f"`start` must be a batch number of at least 0. Received: {value!r}.")
    return int(value)


def draw_seed() -> int:
    """Draws a seed: from TensorFlow's own sequence after `tf.random.set_seed`, otherwise from the operating system."""
    try:
        global_seed, operation_seed = tf.compat.v1.get_seed(None)
    except RuntimeError:
        # Operations are to be deterministic, and no seed is set yet; an estimator sets one and draws anew.
        return 0
    if global_seed is None:
        return secrets.randbits(62)
    words = np.random.SeedSequence([int(global_seed) % 2**64, int(operation_seed) % 2**64]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(2))


def choose(names: Iterable[Any], wanted: str, what: str) -> None:
    """Raises unless `wanted` is one of `names`; the message offers the nearest ones."""
    known = [str(name) for name in names]
    if wanted in known:
        return
    near = difflib.get_close_matches(wanted, known, n=3)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    raise ValueError(f"{what} {wanted!r} is not among the columns.{hint} Columns: {listed(known)}.")


def listed(names: Sequence[Any], limit: int = 30) -> str:
    """Returns `names` quoted and separated by commas, cut after `limit` of them."""
    text = ", ".join(repr(name) for name in names[:limit])
    return f"{text} and {len(names) - limit} more" if len(names) > limit else text or "none"
