"""Builds the sdist and, from it, the wheel, and tries the wheel in a folder where the checkout is out of sight.

Usage: python tools/try_wheel.py (`make wheel`)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Not part of a release: what tools leave behind would otherwise find its way into the archives.
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "runs", "*.egg-info", "__pycache__")
PROGRAM = """
import sys
import headway
assert "tensorflow" not in sys.modules, "import headway has loaded TensorFlow"
print(headway.__version__, headway.__file__)
for name in headway.__all__:
    getattr(headway, name)
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="try_wheel_") as name:
        folder = Path(name)
        wheel = _build(folder)
        _compare(wheel)
        site = folder / "site"
        _python("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel), cwd=folder)
        output = _python("-c", PROGRAM, cwd=folder, PYTHONPATH=str(site))
        version, place = output.split(maxsplit=1)
        if not Path(place.strip()).is_relative_to(site):
            sys.exit(f"Another headway than the wheel's was imported: {place}")
        if version not in wheel.name:
            sys.exit(f"The wheel {wheel.name} does not carry the version {version}.")
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=LEFT_OUT)
        _python("examples/quickstart.py", "--steps", "20", "--model_dir", "run", cwd=folder, PYTHONPATH=str(site))
        print(f"{wheel.name}: complete, imports lazily, and runs the quickstart outside the checkout.")


def _build(folder: Path) -> Path:
    """Returns the wheel that a copy of the checkout builds, by way of the sdist."""
    source = folder / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=LEFT_OUT)
    _python("-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source), cwd=folder)
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


def _compare(wheel: Path) -> None:
    """Ends the program unless the wheel holds the package, the whole package and nothing but the package."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    found = {name for name in names if ".dist-info/" not in name}
    files = [*(ROOT / "headway").rglob("*.py"), ROOT / "headway" / "py.typed"]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    if found != expected:
        sys.exit(f"Missing in the wheel: {sorted(expected - found)}. Not of the package: {sorted(found - expected)}.")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        sys.exit("The wheel carries no licence.")


def _python(*arguments: str, cwd: Path, **environment: str) -> str:
    """Runs this interpreter and returns what it prints; on failure, shows that and ends the program."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"Failed: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
