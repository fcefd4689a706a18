"""Seconds from the start of a Python process to its end: bare, and with `import headway`, in turn."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import _measure


def seconds(code: str) -> float:
    """Returns how long a fresh interpreter takes to run `code`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20, help="processes of each kind")
    repeats = parser.parse_args().repeats
    seconds("import headway")  # fills the caches of files and byte code
    pairs = [(seconds("pass"), seconds("import headway")) for _ in range(repeats)]
    bare, with_headway = (statistics.median(column) for column in zip(*pairs, strict=True))
    _measure.report({"bare_python_s": bare, "with_headway_s": with_headway, "import_headway_s": with_headway - bare})


if __name__ == "__main__":
    main()
