"""The command line: `headway checkpoints show | diff | average`, or `python -m headway ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from headway.estimators import average_checkpoints, diff_checkpoints, show_checkpoint

USAGE = """\
headway checkpoints show PATH                what a checkpoint holds: names, shapes, types, sizes
headway checkpoints diff PATH PATH           how two checkpoints differ; the exit status is 1 if they do
headway checkpoints average PATH... --output=DIR
                                             writes the mean of checkpoints as a new one

PATH is a model_dir (its newest checkpoint; for `average` all of them) or a checkpoint without ending.
"""


def _flags() -> flags.FlagValues:
    """Returns the flags of the command, apart from those of programs that import this module."""
    values = flags.FlagValues()  # type: ignore[no-untyped-call]
    flags.DEFINE_float("tolerance", 0.0, "diff: differences up to this count as equal", 0.0, flag_values=values)
    flags.DEFINE_integer("last", None, "average: how many of the newest checkpoints to take", 1, flag_values=values)
    flags.DEFINE_string("output", None, "average: directory of the new checkpoint", flag_values=values)
    flags.DEFINE_boolean("help", False, "this text", short_name="h", flag_values=values)
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status: 0, 1 where checkpoints differ, 2 where the command is wrong.

    Args:
      argv: the command line, program name first; by default that of this process.

    Example:
      >>> main(["headway", "--help"])
      headway checkpoints show PATH                what a checkpoint holds: names, shapes, types, sizes
      ...
      0
    """
    values = _flags()
    try:
        words = values(list(sys.argv if argv is None else argv))[1:]
        if values.help:
            sys.stdout.write(f"{USAGE}\n{values.main_module_help()}{values.module_help('headway.cli')}\n")
            return 0
        return _checkpoints(words[1:], values) if words[:1] == ["checkpoints"] else _wrong(f"no command {words[:1]}")
    except (flags.Error, ValueError) as error:
        return _wrong(str(error))


def _checkpoints(words: list[str], values: flags.FlagValues) -> int:
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


def _wrong(what: str) -> int:
    sys.stderr.write(f"headway: {what}\n\n{USAGE}")
    return 2
