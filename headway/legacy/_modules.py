"""Modules that are made of names from elsewhere, and the finder by which `import` meets them.

Nothing here imports TensorFlow: a program sets its environment first, and imports TensorFlow when it wants to.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Find = Callable[[str], Any]


class BorrowedModule(types.ModuleType):
    """A module whose names are looked up elsewhere, each when it is first used.

    Args:
      name: full name, as in `sys.modules`.
      find: from a public name to what it stands for; raises an AttributeError for a name that it does not know, and an
        ImportError where it lacks a package.
      names: returns the names that it knows.
    """

    def __init__(self, name: str, find: Find, names: Callable[[], Iterable[str]]) -> None:
        super().__init__(name, f"Names that headway provides for {name}.")
        self.__path__: list[str] = []
        self._find = find
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return list(self._names())
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = self._find(name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*self._names(), "__doc__", "__name__", "__path__"})


class Importer(importlib.abc.MetaPathFinder):
    """Answers imports of modules that are no files, and acts after others have been imported.

    Attributes:
      modules: full name -> the module that `import` gives for it.
      after: full name -> what is done with the module once its own code has run.
    """

    def __init__(self) -> None:
        self.modules: dict[str, types.ModuleType] = {}
        self.after: dict[str, Callable[[types.ModuleType], None]] = {}
        self._searching: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns how a module is imported, or None for those that are nothing to it."""
        del target
        if fullname in self.modules:
            loader = _Ready(self.modules[fullname])
            return importlib.machinery.ModuleSpec(fullname, loader, is_package=True)
        if fullname not in self.after or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            spec = _find_by_others(self, fullname, path)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Followed(spec.loader, self.after[fullname])
        return spec

    def add(self, module: types.ModuleType) -> None:
        """Makes `module` what is imported under its name, also where the name has been imported before."""
        self.modules[module.__name__] = module
        if module.__name__ in sys.modules:
            sys.modules[module.__name__] = module

    def do_after(self, name: str, act: Callable[[types.ModuleType], None]) -> None:
        """Does `act(module)` now if the module has been imported, and each time that it will be."""
        self.after[name] = act
        if name in sys.modules:
            act(sys.modules[name])


def _find_by_others(own: Importer, name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    for finder in list(sys.meta_path):
        find = None if finder is own else getattr(finder, "find_spec", None)
        spec: importlib.machinery.ModuleSpec | None = None if find is None else find(name, path)
        if spec is not None:
            return spec
    return None


class _Ready(importlib.abc.Loader):
    """Hands out a module that is there already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        del spec
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        del module


class _Followed(importlib.abc.Loader):
    """Another loader, with something to do after it."""

    def __init__(self, inner: Any, act: Callable[[types.ModuleType], None]) -> None:
        self._inner = inner
        self._act = act

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        module: types.ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        # What asks a module for its loader, such as `inspect` and `importlib.resources`, is to find its own.
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        # Some modules of TensorFlow put another object in their place.
        self._act(sys.modules.get(name, module))
