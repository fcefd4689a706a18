"""The command line: `headway run | check | checkpoints ...`, or `python -m headway ...`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import flags

# A program that `run` starts sets its environment before it imports TensorFlow: nothing here may do so at import.

USAGE = """\
headway run [--legacy-keras] [--tf1] PROGRAM ...
                                             runs a program written for tf.estimator as it is, with its own arguments
headway run ... -m MODULE ...                the same, for a module
headway check [--json] PATH...               what programs (files, folders) use that TensorFlow has dropped, and what
                                             headway has for it; the exit status is 1 if something needs an edit
headway checkpoints show PATH                what a checkpoint holds: names, shapes, types, sizes
headway checkpoints diff PATH PATH           how two checkpoints differ; the exit status is 1 if they do
headway checkpoints average PATH... --output=DIR
                                             writes the mean of checkpoints as a new one

PATH of checkpoints is a model_dir (its newest checkpoint; for `average` all of them) or a checkpoint without ending.
--legacy-keras makes tf.keras Keras 2 (pip install 'headway[legacy]'); --tf1 gives `tf` the names of TensorFlow 1.
"""


def _flags() -> flags.FlagValues:
    """Returns the flags of the command, apart from those of programs that import this module."""
    values = flags.FlagValues()  # type: ignore[no-untyped-call]
    flags.DEFINE_boolean("json", False, "check: writes the findings as JSON", flag_values=values)
    flags.DEFINE_float("tolerance", 0.0, "diff: differences up to this count as equal", 0.0, flag_values=values)
    flags.DEFINE_integer("last", None, "average: how many of the newest checkpoints to take", 1, flag_values=values)
    flags.DEFINE_string("output", None, "average: directory of the new checkpoint", flag_values=values)
    flags.DEFINE_boolean("help", False, "this text", short_name="h", flag_values=values)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status.

    It is 0; 1 where checkpoints differ or a program needs an edit; 2 where the command is wrong or a program cannot be
    started. A program that is run ends with its own.

    Args:
      argv: the command line, program name first; by default that of this process.

    Example:
      >>> main(["headway", "--help"])
      headway run [--legacy-keras] [--tf1] PROGRAM ...
      ...
      0
    """
    words = list(sys.argv if argv is None else argv)
    if words[1:2] == ["run"]:
        return _run(words[2:])
    values = _flags()
    try:
        words = values(words)[1:]
        if values.help:
            return _help(values)
        commands: dict[str, Callable[[list[str], flags.FlagValues], int]]
        commands = {"check": _check, "checkpoints": _checkpoints}
        command = commands.get("".join(words[:1]))
        return command(words[1:], values) if command else _wrong(f"no command {words[:1]}")
    except (flags.Error, ValueError) as error:
        return _wrong(str(error))


def _run(words: list[str]) -> int:
    # Not by absl: all that follows the program is its own.
    from headway.legacy import _run

    settings = {"legacy_keras": False, "tf1": False}
    start: Callable[..., None] = _run.run_program
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        if flag in ("--legacy-keras", "--legacy_keras", "--tf1"):
            settings[flag.removeprefix("--").replace("-", "_")] = True
        elif flag in ("-h", "--help"):
            return _help(_flags())
        elif flag in ("-m", "--"):
            start = _run.run_module if flag == "-m" else start
            break
        else:
            return _wrong(f"run has no flag {flag}; those of the program come after its name")
    if not words:
        return _wrong("run needs a program")
    try:
        start(words[0], words[1:], **settings)
    except _run.ProgramError as error:
        sys.stderr.write(f"headway: {error}\n")
        return 2
    return 0


def _check(words: list[str], values: flags.FlagValues) -> int:
    from headway.legacy import check

    if not words:
        return _wrong("check needs a program or a folder")
    try:
        report = check(*words)
    except (OSError, SyntaxError) as error:
        sys.stderr.write(f"headway: {error}\n")
        return 2
    sys.stdout.write(f"{report.to_json() if values.json else report}\n")
    return 1 if report.needs_edit else 0


def _checkpoints(words: list[str], values: flags.FlagValues) -> int:
    from headway.estimators import average_checkpoints, diff_checkpoints, show_checkpoint

    verb, paths = "".join(words[:1]), words[1:]
    if verb == "show" and len(paths) == 1:
        sys.stdout.write(f"{show_checkpoint(paths[0])}\n")
        return 0
    if verb == "diff" and len(paths) == 2:
        difference = diff_checkpoints(*paths, tolerance=values.tolerance)
        sys.stdout.write(f"{difference}\n")
        return 0 if difference.same else 1
    if verb == "average" and paths and values.output:
        written = average_checkpoints(paths[0] if len(paths) == 1 else paths, values.output, last=values.last)
        sys.stdout.write(f"{written}\n")
        return 0
    return _wrong(f"checkpoints {' '.join(words)}")


def _help(values: flags.FlagValues) -> int:
    sys.stdout.write(f"{USAGE}\n{values.main_module_help()}{values.module_help('headway.cli')}\n")
    return 0


def _wrong(what: str) -> int:
    sys.stderr.write(f"headway: {what}\n\n{USAGE}")
    return 2
