"""Runs the programs of this folder as they stand on tf.estimator and on headway, and compares what they print.

    python compare.py --oracle /path/to/python            all programs
    python compare.py --oracle /path/to/python gan bert_tpu
    python compare.py --oracle /path/to/python --record    also writes tests/golden/programs/

The oracle is a Python that has TensorFlow 2.15 and tf.estimator. headway runs in the Python that runs this file, by
`headway run`. Times are seconds of a processor that whole processes take, the import of TensorFlow included.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
GOLDEN = FOLDER.parent / "golden" / "programs"
NOT_PROGRAMS = {"compare", "shared", "run_forked", "test_programs"}
PROGRAMS = sorted({path.stem for path in FOLDER.glob("*.py")} - NOT_PROGRAMS)

# How far two numbers may lie apart, as a share of the larger, or of 1 where both are smaller. float32 sums in another
# order differ by a few 1e-7 in a step, and each step of training carries the difference on.
TOLERANCE = 1e-4

# Names that headway's checkpoints have beside those of tf.estimator's: where the optimizer of a ready-made model counts
# its steps by the global step there, headway writes the count under a name of its own as well.
MORE_NAMES = re.compile(r"training/\w+/iter")


def differences(expected: Any, got: Any, where: str = "") -> list[tuple[str, float]]:
    """Returns each place where two results differ, with how much; infinity where it is not a matter of numbers."""
    if isinstance(expected, dict) and isinstance(got, dict):
        found = []
        for key in sorted({*expected, *got}):
            if key in expected and key in got:
                found += differences(expected[key], got[key], f"{where}/{key}")
            else:
                found.append((f"{where}/{key} only in {'expected' if key in expected else 'got'}", math.inf))
        return found
    if isinstance(expected, list) and isinstance(got, list):
        got = [item for item in got if item in expected or not MORE_NAMES.fullmatch(str(item))]
        if len(expected) != len(got):
            extra = sorted(map(str, set(map(str, expected)) ^ set(map(str, got))))
            return [(f"{where}: {len(expected)} and {len(got)} items, not in both: {extra[:6]}", math.inf)]
        pairs = zip(expected, got, strict=True)
        return [found for i, pair in enumerate(pairs) for found in differences(*pair, f"{where}/{i}")]
    if isinstance(expected, float) and isinstance(got, int | float) and not isinstance(got, bool):
        if expected == got or (math.isnan(expected) and math.isnan(got)):
            return []
        gap = abs(expected - got) / max(1.0, abs(expected), abs(got))
        return [(where, math.inf if math.isnan(gap) else gap)]
    return [] if expected == got else [(f"{where}: {expected!r} and {got!r}", math.inf)]


def result(output: str) -> dict[str, Any]:
    """Returns the results of a program: the last line of its output that is a JSON object."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"The program printed no line of JSON. Its output:\n{output[-2000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def run(command: list[str], name: str) -> tuple[dict[str, Any] | None, float, str]:
    """Runs a program in a process of its own; returns its results or None, seconds, and the end of its log."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, str(FOLDER / f"{name}.py"), "--dir", folder],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    log = done.stderr[-3000:]
    return (result(done.stdout) if done.returncode == 0 else None), seconds, log


def compare(name: str, oracle: str | None, record: bool) -> bool:
    """Runs one program on both sides, prints its row of the table, and returns whether the results are equal."""
    golden = GOLDEN / f"{name}.json"
    old_seconds = math.nan
    if oracle:
        expected, old_seconds, log = run([oracle], name)
        if expected is None:
            print(f"| {name} | fails on the oracle | | |\n{log}")
            return False
        if record:
            GOLDEN.mkdir(exist_ok=True)
            golden.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    else:
        expected = json.loads(golden.read_text(encoding="utf-8"))
    got, new_seconds, log = run([sys.executable, "-m", "headway", "run"], name)
    times = f"{old_seconds:.1f} | {new_seconds:.1f} | {old_seconds / new_seconds:.2f}"
    if got is None:
        print(f"| {name} | fails | {times} |\n{log}", flush=True)
        return False
    found = differences(expected, got)
    worst = max((gap for _, gap in found), default=0.0)
    print(f"| {name} | {'equal' if worst <= TOLERANCE else 'differs'}, {worst:.0e} | {times} |", flush=True)
    for place, gap in found:
        if gap > TOLERANCE:
            print(f"    {place} ({gap:.1e})")
    return worst <= TOLERANCE


def main() -> int:
    """Compares the programs that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=PROGRAMS, help="names, without .py")
    parser.add_argument("--oracle", help="a Python with TensorFlow 2.15; without it the golden results are compared")
    parser.add_argument("--record", action="store_true", help="write the oracle's results to tests/golden/programs/")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.programs) - set(PROGRAMS)):
        parser.error(f"No such programs: {', '.join(unknown)}. There are: {', '.join(PROGRAMS)}.")
    if arguments.record and not arguments.oracle:
        parser.error("--record needs --oracle.")
    print("| program | results | seconds before | seconds now | times as fast |\n|---|---|---|---|---|", flush=True)
    equal = [compare(name, arguments.oracle, arguments.record) for name in arguments.programs]
    print(f"{sum(equal)} of {len(equal)} programs equal, to {TOLERANCE:g}.")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
