"""The module `gc` of tensorflow_estimator: which of the exports in a directory to keep.

A filter is a function from a list of `Path` to those that it picks, in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class Path(NamedTuple):
    """A file or directory with the version that a parser found in its name."""

    path: str
    export_version: int | None


Filter = Callable[[Sequence[Path]], list[Path]]


def _numbered(paths: Sequence[Path]) -> list[tuple[int, Path]]:
    return [(path.export_version, path) for path in paths if path.export_version is not None]


def _largest_export_versions(n: int) -> Filter:
    """Returns a filter that picks the `n` largest versions."""

    def keep(paths: Sequence[Path]) -> list[Path]:
        largest = sorted(_numbered(paths), key=lambda pair: pair[0], reverse=True)[:n]
        return sorted(path for _, path in largest)

    return keep


def _one_of_every_n_export_versions(n: int) -> Filter:
    """Returns a filter that picks the largest version of each interval [0, n], (n, 2n], (2n, 3n], ..."""

    def keep(paths: Sequence[Path]) -> list[Path]:
        best: dict[int, tuple[int, Path]] = {}
        for version, path in _numbered(paths):
            interval = (version - 1) // n if version else 0
            if interval not in best or best[interval][0] < version:
                best[interval] = version, path
        return sorted(path for _, path in best.values())

    return keep


def _mod_export_version(n: int) -> Filter:
    """Returns a filter that picks the versions that `n` divides."""
    return lambda paths: sorted(path for version, path in _numbered(paths) if version % n == 0)


def _union(lf: Filter, rf: Filter) -> Filter:
    """Returns a filter that picks what either of two does."""
    return lambda paths: sorted({*lf(paths), *rf(paths)})


def _negation(f: Filter) -> Filter:
    """Returns a filter that picks what another does not."""
    return lambda paths: sorted(set(paths) - set(f(paths)))


def _get_paths(base_dir: str, parser: Callable[[Path], Path | None]) -> list[Path]:
    """Returns what `parser` makes of the entries of a directory, in order; those for which it returns None are out."""
    base = os.fspath(base_dir)
    entries = [Path(os.path.join(base, name.rstrip("/")), None) for name in tf.io.gfile.listdir(base)]
    return sorted(path for path in map(parser, entries) if path)
