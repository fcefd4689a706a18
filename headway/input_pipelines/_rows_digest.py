"""A short name for the rows of a table, by which a resumed run notices that they are others."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

# Up to so many values or bytes of a table are read; of a longer one, rows at equal distances.
_MOST_BYTES = 1_000_000
_MOST_STRINGS = 10_000
_FEWEST_ROWS, _MOST_ROWS = 16, 1_000


def rows_digest(tables: Any, structure: Any) -> str:
    """Returns a name for the rows, equal for equal rows in every process.

    Args:
      tables: nested arrays or tensors. Small ones are read as a whole; of a large one the first row, the last one and
        some in between, so that a change of few rows may go unnoticed.
      structure: what else belongs to the name, such as the names of columns; its `repr` counts.
    """
    digest = hashlib.blake2b(repr(structure).encode(), digest_size=8)
    for table in tf.nest.flatten(tables, expand_composites=True):
        digest.update(f"{tuple(table.shape)}".encode())
        rows = _some_rows(table)
        if rows.dtype.kind == "O":
            for value in rows.ravel().tolist():
                digest.update(len(value).to_bytes(8, "little") + value)
        else:
            digest.update(str(rows.dtype).encode() + rows.tobytes())
    return digest.hexdigest()


def _some_rows(table: Any) -> Any:
    """Returns the rows of an array or tensor that are read, as an array."""
    shape = tuple(int(size) for size in table.shape)
    size = int(np.prod(shape))
    is_text = table.dtype in (tf.string, np.dtype(object))
    width = 1 if is_text else (table.dtype.size if tf.is_tensor(table) else table.dtype.itemsize)
    most = _MOST_STRINGS if is_text else _MOST_BYTES
    if size * width > most:
        count = min(shape[0], max(_FEWEST_ROWS, min(_MOST_ROWS, most // max(1, width * size // shape[0]))))
        rows = np.linspace(0, shape[0] - 1, count).astype(np.int64)
        table = tf.gather(table, rows) if tf.is_tensor(table) else table[rows]
    return np.asarray(table.numpy() if tf.is_tensor(table) else table)
