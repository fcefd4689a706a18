"""Measures headway side by side with tf.estimator 2.15, Keras 3 and loops written by hand.

Each contender is a program in contenders/ and runs in a process of its own, one after the other: A B C A B C ...
The tables show medians over the rounds, [smallest-largest], and in bold how many times better than the first row.

Usage: python benchmarks/run.py [--only census,digits] [--rounds 3] [--census DIR] [--oracle DIR] [--readme README.md]

tf.estimator 2.15 runs in an environment of its own, which the first run makes (in .venv-oracle unless --oracle says
otherwise); that needs Python 3.10 or 3.11. Without --census, the census table is made up: rates are comparable, the
AUC is that of made-up rows.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

import _environments
import _tables
from _workloads import WORKLOADS, Contender, Workload

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
_MARKS = "<!-- figures: begin -->", "<!-- figures: end -->"
# Beside processes that use more of a core than this, a round is marked as disturbed.
_QUIET = 0.3


def main() -> None:
    arguments = _arguments()
    names = [name for name in arguments.only.split(",") if name] or list(WORKLOADS)
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        sys.exit(f"--only must name workloads of {list(WORKLOADS)}. Received: {unknown}.")
    pythons = {False: sys.executable}
    if not arguments.without_oracle and any(contender.oracle for n in names for contender in WORKLOADS[n].contenders):
        try:
            pythons[True] = _environments.oracle(Path(arguments.oracle).absolute())
        except RuntimeError as error:
            sys.exit(str(error))
    # The others are installed, so they come compiled; headway runs from here, and Python may be told to write nothing.
    compileall.compile_dir(_ROOT / "headway", quiet=1)
    results: list[_tables.Result] = []
    for number in range(arguments.rounds):
        for name in names:
            for contender in WORKLOADS[name].contenders:
                if contender.oracle in pythons and arguments.contender in contender.name:
                    result = _run(WORKLOADS[name], contender, pythons[contender.oracle], number + 1, arguments)
                    results.append({"workload": name, "contender": contender.name, "round": number, **result})
                    _note(results[-1], arguments.results)
    text = _report(names, results, pythons, arguments)
    print(text)
    if arguments.readme:
        _write_between_marks(Path(arguments.readme), text)
    if any("error" in result for result in results):
        sys.exit("At least one contender failed: see above.")


def _run(
    workload: Workload, contender: Contender, python: str, seed: int, arguments: argparse.Namespace
) -> _tables.Result:
    """Runs one contender; returns its figures, or "error", and how many cores other processes used beside it."""
    program, *options = shlex.split(contender.command)
    if workload.census and arguments.census:
        options += ["--census", str(Path(arguments.census).absolute())]
    if workload.a_seed_each_round:
        options += ["--seed", str(seed)]
    command = [python, str(_HERE / "contenders" / program), *options]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(_ROOT)}
    began, all_before, own_before = time.monotonic(), _busy_seconds(), _children_seconds()
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=arguments.timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"took more than {arguments.timeout} s"}
    wall = time.monotonic() - began
    others = (_busy_seconds() - all_before - (_children_seconds() - own_before)) / wall
    if done.returncode:
        return {"error": done.stderr[-2000:]}
    figures: _tables.Result = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "wall_s": wall, "others": round(max(others, 0.0), 2)}


def _busy_seconds() -> float:
    """Returns the processor seconds that all processes have used; 0 where the system does not tell."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0.0
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _note(result: _tables.Result, file: str | None) -> None:
    text = result["error"] if "error" in result else f"{result['wall_s']:.0f} s, others used {result['others']} cores"
    print(f"round {result['round']}, {result['workload']}, {result['contender']}: {text}", file=sys.stderr, flush=True)
    if file:
        with Path(file).open("a") as lines:
            lines.write(json.dumps(result) + "\n")


def _report(
    names: list[str], results: list[_tables.Result], pythons: dict[bool, str], arguments: argparse.Namespace
) -> str:
    cores, threads = os.cpu_count(), os.environ.get("TF_NUM_INTRAOP_THREADS", "default")
    machine = f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"
    disturbed = sum(result.get("others", 0.0) > _QUIET for result in results)
    data = "UCI census income" if arguments.census else "made up, as wide, long and varied as UCI's"
    lines = [
        f"`make benchmarks` on {machine}; rounds: {arguments.rounds}, in turn; TensorFlow's threads: {threads}. "
        f"Rows of the census: {data}. "
        f"headway, Keras and by hand: {_environments.described(pythons[False])}"
        + (f"; tf.estimator: {_environments.described(pythons[True])}." if True in pythons else ".")
    ]
    if disturbed:
        lines[0] += f" Other processes used more than {_QUIET} cores beside {disturbed} of {len(results)} runs."
    for name in names:
        own = [result for result in results if result["workload"] == name]
        lines += ["", _tables.markdown(WORKLOADS[name], own)]
    return "\n".join(lines)


def _write_between_marks(path: Path, text: str) -> None:
    begin, end = _MARKS
    page = path.read_text()
    if begin not in page or end not in page:
        sys.exit(f"{path} must have the lines {begin} and {end}, between which the tables go.")
    before, after = page.split(begin)[0], page.split(end)[1]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"workloads, with commas between: {', '.join(WORKLOADS)}")
    parser.add_argument("--contender", default="", help="only contenders whose name has this in it")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each contender (default: 3)")
    parser.add_argument("--census", help="folder with adult.data and adult.test")
    parser.add_argument("--oracle", default=str(_ROOT / ".venv-oracle"), help="environment of tf.estimator")
    parser.add_argument("--without_oracle", action="store_true", help="leave tf.estimator out")
    parser.add_argument("--results", help="file that gets a line of JSON for each process")
    parser.add_argument("--readme", help="page to write the tables into, between its two marks")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one process")
    return parser.parse_args()


if __name__ == "__main__":
    main()
