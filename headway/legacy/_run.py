"""Runs a program as `python program.py` or `python -m program` would, with the old names in place."""

from __future__ import annotations

import builtins
import importlib.util
import os
import runpy
import sys
import traceback
import types
import zipfile
from collections.abc import Sequence

from headway.legacy._install import install


class ProgramError(Exception):
    """A program cannot be started: it is not there, or it is no Python."""


def run_program(path: str, arguments: Sequence[str], **settings: bool) -> None:
    """Runs a file, or a folder or archive with a `__main__.py`; what ends the program ends this call.

    Args:
      path: the program.
      arguments: what it finds in `sys.argv[1:]`.
      **settings: those of `install`.

    Raises:
      ProgramError: if there is no such program, it is no Python, or Keras 2 is asked for and not installed.
    """
    if not os.path.exists(path):
        raise ProgramError(f"There is no program {path!r} in {os.getcwd()}.")
    sys.argv = [path, *arguments]
    if os.path.isdir(path) or zipfile.is_zipfile(path):
        if os.path.isdir(path) and not os.path.exists(os.path.join(path, "__main__.py")):
            raise ProgramError(f"The folder {path!r} has no __main__.py. Name the program in it, or use -m.")
        _install(settings)
        _set_first_folder(None)
        _show_errors_from_the_program_on()
        runpy.run_path(path, run_name="__main__")
        return
    code = _compiled(path)
    _install(settings)
    _set_first_folder(os.path.dirname(os.path.realpath(path)))
    _show_errors_from_the_program_on()
    module = types.ModuleType("__main__")
    module.__file__ = path
    vars(module).update(__builtins__=builtins, __cached__=None)
    # It stays when the program has ended, for its threads and for what it runs at exit.
    sys.modules["__main__"] = module
    exec(code, vars(module))


def run_module(name: str, arguments: Sequence[str], **settings: bool) -> None:
    """Runs a module or package by its name; the working directory is the first place where it is looked for.

    Args:
      name: dotted name.
      arguments: what the program finds in `sys.argv[1:]`.
      **settings: those of `install`.

    Raises:
      ProgramError: if there is no such module, or Keras 2 is asked for and not installed.
    """
    _set_first_folder(os.getcwd())
    _install(settings)
    try:
        missing = importlib.util.find_spec(name) is None
    except (ModuleNotFoundError, ValueError):
        missing = True
    if missing:
        raise ProgramError(f"There is no module {name!r}: it is looked for in {os.getcwd()} and in sys.path.")
    sys.argv = [name, *arguments]
    _show_errors_from_the_program_on()
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _install(settings: dict[str, bool]) -> None:
    try:
        install(**settings)
    except ImportError as error:
        raise ProgramError(str(error)) from error


def _set_first_folder(folder: str | None) -> None:
    """Puts `folder` where Python puts the folder of a program, in the place of that of the `headway` command."""
    if not sys.flags.safe_path:
        sys.path[:1] = [] if folder is None else [folder]


def _compiled(path: str) -> types.CodeType:
    try:
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
    except OSError as error:
        raise ProgramError(f"{path!r} cannot be read: {error}.") from error
    except (SyntaxError, ValueError) as error:
        lines = "".join(traceback.format_exception_only(error)).rstrip()
        raise ProgramError(f"{path!r} is no program that Python {sys.version.split()[0]} can run.\n{lines}") from error


def _show_errors_from_the_program_on() -> None:
    """Leaves the frames around the program out of the traceback of an error that ends it."""
    show = sys.excepthook

    def show_from_the_program_on(
        kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        names = vars(sys.modules["__main__"])
        inner = trace
        while inner is not None and inner.tb_frame.f_globals is not names:
            inner = inner.tb_next
        show(kind, error.with_traceback(inner or trace), inner or trace)

    sys.excepthook = show_from_the_program_on
