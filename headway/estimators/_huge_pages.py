"""Large tables on huge pages of memory, where the system has them.

A batch reads some hundred rows here and there in a table. On pages of 4 KB, finding out where a row is takes the
processor longer than reading it; on pages of 2 MB it knows.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from headway._slots import LARGE_BYTES

_PAGE = 2 << 20
# Of Linux, from 6.1 on: make huge pages of what is there, now. Older systems refuse it.
_MADV_COLLAPSE = 25


def advise(variables: Iterable[tf.Variable]) -> threading.Thread | None:
    """Asks the system to put the values of large variables of the CPU on huge pages; the values stay as they are.

    It takes as long as copying them some times over, so a thread does it while training begins. Where the system cannot
    do it, nothing happens.

    Args:
      variables: whose values were made or read just now: of those that a step has updated, TensorFlow would only give
        a copy.

    Returns:
      The thread, or None where there is nothing to do.
    """
    call = _madvise()
    parts = [part for variable in variables if (part := _pages(variable)) is not None]
    if call is None or not parts:
        return None

    def ask() -> None:
        for begin, length in parts:
            call(begin, length, _MADV_COLLAPSE)

    thread = threading.Thread(target=ask, name="headway_huge_pages", daemon=True)
    thread.start()
    return thread


def _pages(variable: tf.Variable) -> tuple[int, int] | None:
    """Returns address and length of the whole pages within a variable's values; None for a small one.

    Nothing here may keep the values: a step would copy them before it changes them. If they are gone before the system
    is asked, it refuses, or does so with what came in their place.
    """
    large = variable.dtype.size * (variable.shape.num_elements() or 0) >= LARGE_BYTES
    if not large or "CPU" not in str(variable.device) or hasattr(variable, "values"):
        return None
    value = np.asarray(memoryview(variable.read_value()))
    begin = -(-value.ctypes.data // _PAGE) * _PAGE
    end = (value.ctypes.data + value.nbytes) // _PAGE * _PAGE
    return (begin, end - begin) if end > begin else None


@functools.cache
def _madvise() -> Callable[[int, int, int], Any] | None:
    """Returns the system's function of an address, a length and an advice; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    call = getattr(ctypes.CDLL(None), "madvise", None)
    if call is not None:
        call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
    return call
