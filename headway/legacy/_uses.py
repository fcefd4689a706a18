"""Which names of TensorFlow and Keras a program uses, read from its source."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Sequence

_ROOTS = ("tensorflow", "tensorflow_estimator", "keras")
_GUARDS = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"}
_Scope = dict[str, str | None]
DIMENSION = "tf.TensorShape[i].value"
"""What stands for the size of an axis as an object: `x.shape[1].value`, `x.get_shape()[1].value`."""

ITERATIONS = "tf.keras.optimizers.Optimizer.iterations ="
"""What stands for an optimizer that counts the global step: `optimizer.iterations = get_or_create_global_step()`."""
UPDATES = "tf.keras.optimizers.Optimizer.get_updates"
"""What stands for the updates of an optimizer of Keras as operations: `optimizer.get_updates(loss, variables)`."""


@dataclasses.dataclass(frozen=True, order=True)
class Use:
    """One place in a program where it uses a name.

    Attributes:
      line: from 1.
      column: from 1.
      name: the name in full, as a program with `import tensorflow as tf` would write it.
    """

    line: int
    column: int
    name: str


@dataclasses.dataclass(frozen=True, order=True)
class Argument(Use):
    """One place in a program where it gives a function an argument by name.

    Attributes:
      argument: the argument.
    """

    argument: str


@dataclasses.dataclass(frozen=True, order=True)
class Place(Use):
    """One place in a program where it gives a function an argument by its position.

    Attributes:
      position: from 0.
    """

    position: int


def canonical(name: str) -> str:
    """Returns the one way in which a name is written here, of several that mean the same.

    Example:
      >>> canonical("tensorflow.compat.v1.compat.v1.layers"), canonical("tensorflow.compat.v2.estimator")
      ('tf.compat.v1.layers', 'tf.estimator')
    """
    name = re.sub(r"^tensorflow\.python\.estimator\b", "tensorflow_estimator.python.estimator", name)
    name = re.sub(r"^tensorflow\b", "tf", name)
    name = re.sub(r"^tf(\.compat\.v[12])*\.compat\.v2\b", "tf", name)
    return re.sub(r"^tf(\.compat\.v1)+\b", "tf.compat.v1", name)


def uses_of(source: str | bytes, path: str, exists: Callable[[str], bool]) -> list[Use]:
    """Returns the uses of names of TensorFlow, Keras and tensorflow_estimator in a program, in order.

    Names that are imported, also under others, and assigned to variables are followed. What a program tries, and goes
    on without (`try: import ... except ImportError:`, `if hasattr(tf, "contrib"):`), is left out.

    Args:
      source: the text of the program.
      path: its name, for error messages.
      exists: whether a name is there: of two imports under one name, a second one after `except` counts if the first
        one fails.

    Raises:
      SyntaxError: if it is no Python.
    """
    return sorted({use for use in _read(source, path, exists) if not isinstance(use, (Argument, Place))})


def arguments_of(source: str | bytes, path: str, exists: Callable[[str], bool]) -> list[Argument]:
    """Returns the arguments that a program gives by name to functions of TensorFlow, Keras and tensorflow_estimator.

    Args and Raises are those of `uses_of`.
    """
    return sorted({use for use in _read(source, path, exists) if isinstance(use, Argument)})


def places_of(source: str | bytes, path: str, exists: Callable[[str], bool]) -> list[Place]:
    """Returns the arguments that a program gives by position to functions of TensorFlow and Keras.

    Args and Raises are those of `uses_of`.
    """
    return sorted({use for use in _read(source, path, exists) if isinstance(use, Place)})


@functools.lru_cache(maxsize=1)
def _read(source: str | bytes, path: str, exists: Callable[[str], bool]) -> tuple[Use, ...]:
    reader = _Reader(exists)
    reader.visit(ast.parse(source, path))
    return tuple(reader.uses)


class _Reader(ast.NodeVisitor):
    def __init__(self, exists: Callable[[str], bool]) -> None:
        self.uses: list[Use] = []
        self._exists = exists
        self._scopes: list[_Scope] = [{}]
        self._guarded = False

    def _record(self, node: ast.AST, name: str) -> None:
        if not self._guarded or self._exists(name):
            self.uses.append(Use(getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, name))

    def _bind(self, name: str, meaning: str | None) -> None:
        self._scopes[-1][name] = meaning

    def _meaning(self, node: ast.expr) -> str | None:
        """Returns the full name that an expression such as `a.b.c` is, or None."""
        if isinstance(node, ast.Name):
            return next((scope[node.id] for scope in reversed(self._scopes) if node.id in scope), None)
        if isinstance(node, ast.Attribute):
            parent = self._meaning(node.value)
            return None if parent is None else canonical(f"{parent}.{node.attr}")
        return None

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root not in _ROOTS:
                self._bind(alias.asname or root, None)
                continue
            if "." in alias.name:
                self._record(node, canonical(alias.name))
            self._bind(alias.asname or root, canonical(alias.name if alias.asname else root))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or module.partition(".")[0] not in _ROOTS:
            for alias in node.names:
                self._bind(alias.asname or alias.name, None)
            return
        for alias in node.names:
            name = canonical(module if alias.name == "*" else f"{module}.{alias.name}")
            self._record(node, name)
            if alias.name != "*":
                self._bind(alias.asname or alias.name, name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._meaning(node)
        if name is None:
            if node.attr == "value" and isinstance(node.value, ast.Subscript) and _is_shape(node.value.value):
                self._record(node, DIMENSION)
            if node.attr == "get_updates" and isinstance(node.ctx, ast.Load):
                self._record(node, UPDATES)
            self.visit(node.value)
        elif isinstance(node.ctx, ast.Load):
            self._record(node, name)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._meaning(node.func)
        if name is not None and not self._guarded:
            for keyword in node.keywords:
                if keyword.arg is not None:
                    place = keyword.value.lineno, node.func.col_offset + 1
                    self.uses.append(Argument(*place, name, keyword.arg))
            for position, argument in enumerate(node.args):
                if isinstance(argument, ast.Starred):
                    break
                self.uses.append(Place(argument.lineno, node.func.col_offset + 1, name, position))
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._bind(target.id, self._meaning(node.value))
            else:
                if isinstance(target, ast.Attribute) and target.attr == "iterations" and _is_global_step(node.value):
                    self._record(target, ITERATIONS)
                self.visit(target)

    def visit_Try(self, node: ast.Try) -> None:
        if not any(map(_guards, node.handlers)):
            self.generic_visit(node)
            return
        outer, self._guarded = self._guarded, True
        for statement in node.body:
            self.visit(statement)
        self._guarded = outer
        for handler in node.handlers:
            before = dict(self._scopes[-1])
            self.visit(handler)
            after = self._scopes[-1]
            for name, meaning in before.items():
                if meaning is not None and self._exists(meaning):
                    after[name] = meaning
        for statement in [*node.orelse, *node.finalbody]:
            self.visit(statement)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._visit_branches(node.test, node.body, node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._visit_branches(node.test, [node.body], [node.orelse])

    def _visit_branches(self, test: ast.expr, then: Sequence[ast.AST], otherwise: Sequence[ast.AST]) -> None:
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        asks = _asks_whether_there(test.operand if isinstance(test, ast.UnaryOp) else test)
        outer = self._guarded
        for branch, guarded in ((then, asks and not negated), (otherwise, asks and negated)):
            self._guarded = outer or guarded
            for node in branch:
                self.visit(node)
        self._guarded = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]:
            self.visit(outside)
        self._bind(node.name, None)
        with self._scope(node.args):
            for statement in node.body:
                self.visit(statement)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        with self._scope(node.args):
            self.visit(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(outside)
        self._bind(node.name, None)
        with self._scope(None):
            for statement in node.body:
                self.visit(statement)

    @contextlib.contextmanager
    def _scope(self, arguments: ast.arguments | None) -> Iterator[None]:
        scope: _Scope = {}
        if arguments is not None:
            plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            scope = {argument.arg: None for argument in [*plain, arguments.vararg, arguments.kwarg] if argument}
        self._scopes.append(scope)
        yield
        self._scopes.pop()


def _guards(handler: ast.ExceptHandler) -> bool:
    """Returns whether a handler catches what a missing module or name raises."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in _GUARDS for kind in kinds)


def _asks_whether_there(node: ast.expr) -> bool:
    """Returns whether an expression is `hasattr(...)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr"


def _is_global_step(node: ast.expr) -> bool:
    """Returns whether an expression asks for the global step."""
    names = {"get_global_step", "get_or_create_global_step", "create_global_step"}
    return isinstance(node, ast.Call) and (getattr(node.func, "attr", None) or getattr(node.func, "id", "")) in names


def _is_shape(node: ast.expr) -> bool:
    """Returns whether an expression looks like the static shape of a tensor."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "get_shape"
    return isinstance(node, ast.Attribute) and node.attr == "shape"
