"""The public surface: what `import headway` costs, the names, their docstrings, and the backend of Keras."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headway
from headway import _backend

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).with_name("public_names.txt")
MODULES = [
    "headway",
    "headway.estimators",
    "headway.feature_columns",
    "headway.heads",
    "headway.heads.losses",
    "headway.input_pipelines",
    "headway.legacy",
    "headway.tf_estimator",
    "headway.tf_estimator.experimental",
    "headway.tf_estimator.export",
    "headway.tf_estimator.v1",
    "headway.tf_estimator.v1.experimental",
    "headway.tf_estimator.v1.inputs",
    "headway.tf_estimator.v1.tpu",
    "headway.tf_estimator.v1.tpu.experimental",
]


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter."""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _public() -> dict[str, Any]:
    """Returns 'module.name' -> object for every public name."""
    modules = {name: importlib.import_module(name) for name in MODULES}
    return {f"{name}.{x}": getattr(module, x) for name, module in modules.items() for x in module.__all__}


def test_the_public_names_are_those_of_the_list() -> None:
    expected, found = set(GOLDEN.read_text().split()), set(_public())
    assert expected == found, (
        "The public surface changed. If that is meant, change tests/public_names.txt (one name a line, sorted) and say "
        f"so in CHANGELOG.md.\nIn the list, not in the package: {sorted(expected - found)}\n"
        f"In the package, not in the list: {sorted(found - expected)}"
    )


def test_the_list_is_sorted() -> None:
    names = GOLDEN.read_text().split()
    assert names == sorted(set(names))


def test_the_table_and_the_imports_for_type_checkers_agree() -> None:
    tree = ast.parse((ROOT / "headway" / "__init__.py").read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [(node.module, alias) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    table = headway._HOMES
    assert {alias.asname: table.get(alias.name) for _, alias in imports} == table
    for module, alias in imports:
        assert alias.name == alias.asname, "Type checkers take only `import x as x` for a public name."
        assert table[alias.name] in {module, f"{module}.{alias.name}"}


def test_the_root_has_every_name_of_the_estimators() -> None:
    folders = {name.split(".")[1] for name in MODULES[1:]}
    assert set(headway.__all__) == {*headway.estimators.__all__, *folders, "__version__"}


def test_dir_shows_the_names_before_they_are_loaded() -> None:
    done = _run("import headway; print(*dir(headway))")
    assert {"Estimator", "heads", "__version__"} <= set(done.stdout.split())


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Estimater'. Its public names: .*Estimator"):
        headway.Estimater  # noqa: B018


def test_import_loads_nothing_heavy() -> None:
    done = _run("import sys, headway; print(sorted({name.partition('.')[0] for name in sys.modules}))")
    loaded = set(ast.literal_eval(done.stdout))
    assert "headway" in loaded
    assert not loaded & {"tensorflow", "keras", "numpy", "absl", "pandas", "sklearn", "scipy", "tensorflow_datasets"}


@pytest.mark.parametrize("code", ["headway.Estimator", "from headway import RunConfig", "from headway import heads"])
def test_a_wrong_backend_is_an_error_at_the_first_use(code: str) -> None:
    done = _run(f"import headway; print('imported'); {code}", KERAS_BACKEND="jax")
    assert done.stdout == "imported\n"
    assert "KerasBackendError: headway needs Keras on the backend 'tensorflow'" in done.stderr
    assert "The environment variable KERAS_BACKEND asks for Keras on another. Received: 'jax'" in done.stderr


@pytest.fixture
def no_keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hides the Keras that the tests have imported; returns the folder of its settings."""
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("settings", ['{"backend": "tensorflow"}', "{}", "not JSON", "[]", None])
def test_a_settings_file_without_another_backend_is_fine(no_keras: Path, settings: str | None) -> None:
    if settings is not None:
        (no_keras / "keras.json").write_text(settings)
    assert _backend.require_tensorflow() is None


def test_a_settings_file_with_another_backend_is_named(no_keras: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = no_keras / "keras.json"
    path.write_text(json.dumps({"backend": "torch"}))
    with pytest.raises(
        _backend.KerasBackendError, match=rf"{path} asks for Keras on another. Received: 'torch'. To rep"
    ):
        _backend.require_tensorflow()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # the variable wins over the file, as in Keras
    assert _backend.require_tensorflow() is None


def test_a_keras_that_runs_on_another_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.config.backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"Keras is imported already and runs on another\. Received: 'jax'"):
        _backend.require_tensorflow()


@pytest.mark.parametrize("name", [name for name in GOLDEN.read_text().split() if name.count(".") > 1])
def test_a_public_class_or_function_has_a_docstring_with_an_example(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    if not (inspect.isclass(value) or inspect.isfunction(value)) or not value.__module__.startswith("headway"):
        return  # a module, a constant, or TensorFlow's own under its classic name
    documentation = inspect.getdoc(value) or ""
    assert documentation, f"{name} has no docstring."
    assert ">>> " in documentation, f"The docstring of {name} shows no example (>>>)."
