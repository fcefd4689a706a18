"""A table of variables: names, shapes, sizes, and what they are for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import tensorflow as tf

from headway.estimators._variables import VariableStore


@dataclasses.dataclass(frozen=True)
class VariableRow:
    """One variable.

    Attributes:
      name: its full name.
      shape: its shape.
      dtype: name of its type.
      role: "trainable", "model" (not trained), "optimizer" or "random"; in a checkpoint, which does not say what is
        trained, "model" or "optimizer".
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str

    @property
    def parameters(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The memory of the values; of strings only the references."""
        return self.parameters * int(tf.as_dtype(self.dtype).size)


@dataclasses.dataclass(frozen=True)
class VariableTable:
    """The variables of a model or of a checkpoint; printed as a table. Functions of headway make it.

    Attributes:
      title: where they are from.
      rows: a row for each variable, in the order of their names.

    Example:
      >>> from headway.estimators._variable_table import VariableRow
      >>> print(VariableTable("linear", [VariableRow("w", (2, 3), "float32", "model")]))
      linear
      name   shape   dtype    role   parameters  bytes
      w      (2, 3)  float32  model           6     24
      total                                   6     24
      model: 6 parameters, 24 bytes
    """

    title: str
    rows: list[VariableRow]

    def parameters(self, *roles: str) -> int:
        """Returns the number of values of variables with these roles; of all variables by default."""
        return sum(row.parameters for row in self.rows if not roles or row.role in roles)

    def bytes(self, *roles: str) -> int:
        """Returns the bytes of variables with these roles; of all variables by default."""
        return sum(row.bytes for row in self.rows if not roles or row.role in roles)

    def __str__(self) -> str:
        header = ("name", "shape", "dtype", "role", "parameters", "bytes")
        lines = [header]
        lines += [(r.name, str(r.shape), r.dtype, r.role, f"{r.parameters:,}", f"{r.bytes:,}") for r in self.rows]
        lines += [("total", "", "", "", f"{self.parameters():,}", f"{self.bytes():,}")]
        roles = [
            role for role in ("trainable", "model", "random", "optimizer") if any(r.role == role for r in self.rows)
        ]
        parts = [f"{role}: {self.parameters(role):,} parameters, {self.bytes(role):,} bytes" for role in roles]
        return "\n".join([self.title, *aligned(lines, right=(4, 5)), "; ".join(parts)])


def aligned(lines: Iterable[tuple[str, ...]], right: tuple[int, ...] = ()) -> list[str]:
    """Returns the lines with their cells in columns; those of `right` stand to the right."""
    lines = list(lines)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        cells = zip(line, widths, range(len(widths)), strict=True)
        texts.append("  ".join(c.rjust(w) if i in right else c.ljust(w) for c, w, i in cells).rstrip())
    return texts


def table_of_store(store: VariableStore, title: str) -> VariableTable:
    """Returns the table of the variables in memory."""
    rows = []
    for name in sorted(store.entries):
        entry = store.entries[name]
        role = "trainable" if entry.role == "model" and entry.variable.trainable else entry.role
        rows.append(VariableRow(name, tuple(entry.variable.shape), entry.variable.dtype.name, role))
    rows += [VariableRow(name, (), "float32", "optimizer") for name in store.constants if name not in store.entries]
    return VariableTable(title, sorted(rows, key=lambda row: row.name))


def table_of_tensors(tensors: Mapping[str, tuple[tuple[int, ...], str]], title: str) -> VariableTable:
    """Returns the table of the tensors in a checkpoint, name -> (shape, dtype)."""
    rows = [VariableRow(name, *tensors[name], _role(name, tensors)) for name in sorted(tensors)]
    return VariableTable(title, rows)


def _role(name: str, names: Iterable[str]) -> str:
    # A slot of a v1 optimizer is called like its variable, with the optimizer's name behind it.
    parts = name.split("/")
    is_slot = any("/".join(parts[:i]) in names for i in range(1, len(parts)))
    return "optimizer" if is_slot or parts[0] == "training" else "model"
