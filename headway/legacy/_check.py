"""`headway check`: reads programs without running them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from headway.legacy._report import EDIT, RUN_AS_TF1, Finding, Report
from headway.legacy._uses import arguments_of, places_of, uses_of


def check(*paths: str | os.PathLike[str]) -> Report:
    """Lists what programs use that today's TensorFlow has dropped, and what headway has for it.

    The programs are read, not run. Each name is looked up in TensorFlow and Keras as they are installed, and each
    argument that a function is given by name.

    Args:
      *paths: Python files, and folders, of which all Python files in them are read.

    Returns:
      What was found, by file and line.

    Raises:
      FileNotFoundError: if a path does not exist, or a folder has no Python files.
      SyntaxError: if a file that is given is no Python; one in a folder is a finding.

    Example:
      >>> import pathlib, tempfile
      >>> import headway.legacy
      >>> program = pathlib.Path(tempfile.mkdtemp()) / "program.py"
      >>> _ = program.write_text('''import tensorflow as tf
      ... model = tf.estimator.Estimator(model_fn)
      ... rate = tf.placeholder(tf.float32, [])
      ... ''')
      >>> for finding in headway.legacy.check(program).findings:
      ...     print(finding.line, finding.name, finding.kind, sep="  ")
      2  tf.estimator.Estimator  headway run
      3  tf.placeholder  headway run --tf1
    """
    # It imports TensorFlow, and takes seconds.
    from headway.legacy import _arguments, _symbols

    findings: list[Finding] = []
    files = [(file, Path(path).is_dir()) for path in paths for file in _python_files(Path(path))]
    for file, of_folder in files:
        try:
            source = file.read_bytes()
            uses = uses_of(source, str(file), _symbols.exists)
        except SyntaxError as error:
            if not of_folder:
                raise
            advice = f"is no Python {sys.version_info.major}: {error.msg}"
            findings.append(Finding(str(file), error.lineno or 1, error.offset or 1, "the file", EDIT, advice))
            continue
        verdicts = [(use, _symbols.verdict_on(use.name)) for use in uses]
        given = arguments_of(source, str(file), _symbols.exists)
        verdicts += [(use, _arguments.verdict_on(use.name, use.argument)) for use in given]
        if any(verdict is not None and verdict.kind == RUN_AS_TF1 for _, verdict in verdicts):
            # Elsewhere in a file, nothing tells the order of TensorFlow 1 from today's.
            places = places_of(source, str(file), _symbols.exists)
            verdicts += [(use, _arguments.verdict_on_place(use.name, use.position)) for use in places]
        for use, verdict in sorted(verdicts, key=lambda pair: (pair[0].line, pair[0].column)):
            if verdict is not None:
                findings.append(Finding(str(file), use.line, use.column, verdict.symbol, verdict.kind, verdict.advice))
    return Report(tuple(findings), len(files), _symbols.VERSION)


def _python_files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"There is no program {str(path)!r} in {os.getcwd()}.")
        yield path
        return
    found = sorted(file for file in path.rglob("*.py") if not _is_hidden(file.relative_to(path)))
    if not found:
        raise FileNotFoundError(f"The folder {str(path)!r} has no Python files.")
    yield from found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)
