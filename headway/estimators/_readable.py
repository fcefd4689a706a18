"""Errors of running steps, in words that a user can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from headway.heads import readable_error


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Turns what a check of headway's own raised inside a compiled step into a ValueError with the check's message."""
    try:
        yield
    except tf.errors.OpError as error:
        message = readable_error(error)
        if message is None:
            raise
        raise ValueError(message) from None
