"""The structure that the design fixes, read from the source: floors, cycles, foreign names, sizes, links, addresses."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "headway"
FOLDERS = ["estimators", "feature_columns", "heads", "input_pipelines"]

# A module imports only from floors below its own, and from its own folder.
FLOORS = {
    "": 0,  # headway/_*.py
    "input_pipelines": 1,
    "feature_columns": 1,
    "heads": 2,
    "estimators": 3,
    "tf_estimator": 4,
    "legacy": 5,
    "cli": 6,
    "__main__": 7,
}
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60


@dataclasses.dataclass(frozen=True)
class Module:
    """One source file of the package: its dotted name and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The part of the package that it belongs to: a folder, `cli`, or '' for the ground."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in FLOORS else ""


def _module(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, path, ast.parse(path.read_text(), str(path)))


MODULES = {module.name: module for module in map(_module, sorted(PACKAGE.rglob("*.py")))}
INNER = {name: module for name, module in MODULES.items() if name != "headway"}


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yields (line, dotted name) of all imports, those inside functions and under TYPE_CHECKING included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.path}:{node.lineno}: relative import; write it from headway."
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _inner_imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yields (line, module of the package) for each import of one."""
    for line, name in _imports(module):
        if name == "headway" or name.startswith("headway."):
            yield line, name if name in MODULES else name.rpartition(".")[0]


def _floor(module: Module) -> int:
    return FLOORS[module.folder]


@pytest.mark.parametrize("name", INNER)
def test_a_module_imports_only_from_floors_below(name: str) -> None:
    module = INNER[name]
    wrong = []
    for line, target in _inner_imports(module):
        assert target in MODULES, f"{module.path}:{line}: no module {target}"
        other = MODULES[target]
        if target == "headway" or (other.folder != module.folder and _floor(other) >= _floor(module)):
            wrong.append(f"{module.path.relative_to(ROOT)}:{line}: {name} imports {target}")
    floors = " < ".join(key or "headway/_*.py" for key in FLOORS)
    assert not wrong, f"Imports go down only ({floors}):\n" + "\n".join(wrong)


def test_there_is_no_import_cycle() -> None:
    edges = {name: sorted({target for _, target in _inner_imports(module)}) for name, module in INNER.items()}
    assert _find_cycle(edges) is None


def _find_cycle(edges: dict[str, list[str]]) -> list[str] | None:
    """Returns the nodes of a cycle, in order, or None."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        for target in edges.get(node, []):
            cycle = visit(target, [*path, node])
            if cycle:
                return cycle
        done.add(node)
        return None

    return next(filter(None, (visit(node, []) for node in edges)), None)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, None),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, None),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b", "c", "b"]),
        ({"a": ["a"]}, ["a", "a"]),
    ],
)
def test_cycles_are_found(edges: dict[str, list[str]], expected: list[str] | None) -> None:
    assert _find_cycle(edges) == expected


def _dotted(node: ast.expr) -> str | None:
    """Returns 'a.b.c' for an attribute chain on a name, else None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _own_names(tree: ast.Module) -> set[str]:
    """Returns every name that the file itself defines: functions, classes, variables, attributes that it assigns."""
    names = {"_replace", "_fields", "_asdict", "_make", "_exit"}  # documented: of named tuples, and os._exit
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if _dotted(node.value) in {"self", "cls"} else set()
    return names


OF_HEADWAY = set().union(*(_own_names(module.tree) for module in MODULES.values()))


def _strings(node: ast.AST) -> list[str]:
    """Returns `node` as a list of one string, or an empty list where it is none."""
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _undocumented(tree: ast.Module, inherited: set[str]) -> Iterator[tuple[int, str]]:
    """Yields (line, text) where a file reaches for what is not documented, as far as the syntax shows it.

    A file may use the private names that it defines; on `self` and `cls`, those of `inherited` as well.
    """
    hidden = re.compile(r"\b(tensorflow\.(python|core|compiler|tools)|keras\.src|tf_keras\.src|__internal__)\b")
    own = _own_names(tree)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                parts = f"{module}{alias.name}".split(".")
                foreign = parts[0] not in {"headway", "__future__"}
                if hidden.search(".".join(parts)) or (foreign and any(map(_is_private, parts))):
                    yield node.lineno, ".".join(parts)
        elif isinstance(node, ast.Attribute):
            base = _dotted(node.value.func if isinstance(node.value, ast.Call) else node.value)
            known = own | inherited if base in {"self", "cls", "super"} else own
            if node.attr == "__internal__" or (_is_private(node.attr) and node.attr not in known):
                yield node.lineno, _dotted(node) or f"(...).{node.attr}"
        elif isinstance(node, ast.Call) and _dotted(node.func) in {"getattr", "hasattr", "setattr"}:
            names = [name for argument in node.args[1:2] for name in _strings(argument)]
            private = [name for name in names if _is_private(name) and name not in own]
            yield from ((node.lineno, f"{_dotted(node.func)}(..., {name!r})") for name in private)
        elif id(node) not in docstrings:
            yield from ((node.lineno, repr(text)) for text in _strings(node) if hidden.match(text))


@pytest.mark.parametrize("name", INNER)
def test_only_one_file_names_what_is_not_documented(name: str) -> None:
    if name in ("headway._tensorflow", "headway._tensorflow_v1"):
        return
    module = INNER[name]
    # A private name of another module of headway counts as well: only its own file may use it.
    found = [f"{module.path.relative_to(ROOT)}:{line}: {text}" for line, text in _undocumented(module.tree, OF_HEADWAY)]
    assert not found, (
        "Only headway/_tensorflow.py and _tensorflow_v1.py may use these; add a function there:\n" + "\n".join(found)
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import tensorflow as tf\ntf.raw_ops.SaveV2", []),
        ("from tensorflow.python.framework import ops", ["tensorflow.python.framework.ops"]),
        ("import keras.src.backend", ["keras.src.backend"]),
        ("def f(tf): return tf.__internal__.x", ["tf.__internal__"]),
        ("def f(v): return v._shared_name", ["v._shared_name"]),
        ("def f(v): return getattr(v, '_shared_name', None)", ["getattr(..., '_shared_name')"]),
        ("import importlib\nimportlib.import_module('tensorflow.python.eager')", ["'tensorflow.python.eager'"]),
        ("class A:\n  def __init__(self): self._x = 1\n  def same(self, other): return self._x == other._x", []),
        ("class A(B):\n  def f(self): return super()._inherited()", []),
        ("class A(B):\n  def f(self, other): return self._inherited, other._inherited", ["other._inherited"]),
        ("class A(B):\n  def f(self): return self._losses", ["self._losses"]),
        ("from headway import _context", []),
        ("def f(point): return point._replace(x=1)", []),
    ],
)
def test_undocumented_names_are_found(source: str, found: list[str]) -> None:
    assert [text for _, text in _undocumented(ast.parse(source), {"_inherited"})] == found


def _programs() -> list[Path]:
    folders = ["headway", "tests", "examples", "tools", "benchmarks"]
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns the lines from `def` to the end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", _programs(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES, f"{path} has more than {MAX_FILE_LINES} lines: is it one idea?"
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{path}:{node.lineno}: {node.name}, {_function_lines(node)} lines" for node in functions]
    long = [line for line, node in zip(long, functions, strict=True) if _function_lines(node) > MAX_FUNCTION_LINES]
    assert not long, f"Functions of more than {MAX_FUNCTION_LINES} lines, docstring not counted:\n" + "\n".join(long)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_link_at_the_root_shows_each_folder(folder: str) -> None:
    link = ROOT / folder
    assert link.is_symlink()
    assert os.readlink(link) == f"headway/{folder}"
    assert (link / "__init__.py").is_file()


def _tracked() -> list[Path]:
    """Returns the text files of the project: as git lists them, new ones included, or all where this is no checkout."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts]
    files = [ROOT / name for name in names if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink()]
    return [path for path in files if b"\0" not in path.read_bytes()[:1024]]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    # Assembled, so that this file does not contain what it looks for.
    index = "|".join(["index" + "-url", "https?://[^ ]*/" + "simple/", r"https?://[^ ]*\.(whl|tgz|deb)\b"])
    folders = "|".join(["/" + folder + "/[A-Za-z0-9]" for folder in ("home", "Users", "root", "work", "opt")])
    pattern = re.compile(rf"{index}|(?<![\w.:/-])(?:{folders})")
    found = []
    for path in _tracked():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not found, "Absolute paths of a machine, or addresses of a package index:\n" + "\n".join(found)
