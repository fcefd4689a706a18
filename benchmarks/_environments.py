"""The Python environments that contenders run in: this one, and one with the last tf.estimator."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

PINS = {"tensorflow-cpu": "2.15.1", "tensorflow-estimator": "2.15.0"}
_ALSO = ["numpy<2", "pandas", "scikit-learn"]
_VERSIONS = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}))"
)
# TensorFlow 2.15 has wheels for these, and the contenders need Python 3.10.
_INTERPRETERS = ["python3.11", "python3.10"]


def oracle(folder: Path) -> str:
    """Returns the Python of an environment with tf.estimator 2.15, which is made in `folder` if it is not there.

    Raises:
      RuntimeError: no Python that TensorFlow 2.15 runs on is found, or pip fails.
    """
    python = folder / "bin" / "python"
    if _versions(str(python)).items() >= PINS.items():
        return str(python)
    print(f"Making an environment with tf.estimator {PINS['tensorflow-estimator']} in {folder}.", file=sys.stderr)
    packages = [*(f"{name}=={version}" for name, version in PINS.items()), *_ALSO]
    try:
        subprocess.run([_interpreter(), "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(
            f"The environment for tf.estimator could not be made: {error}. Make one yourself with {packages} and pass "
            "its folder as --oracle, or leave tf.estimator out with --without_oracle."
        ) from error
    return str(python)


def described(python: str) -> str:
    """Returns the versions of what matters in the environment of that Python."""
    versions = _versions(python)
    shown = [f"{name} {versions[name]}" for name in ("tensorflow", *PINS, "keras", "numpy") if name in versions]
    return ", ".join(shown)


def _versions(python: str) -> dict[str, str]:
    """Returns distribution name -> version; empty where there is no such Python."""
    try:
        output = subprocess.run([python, "-c", _VERSIONS], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    versions: dict[str, str] = json.loads(output)
    return versions


def _interpreter() -> str:
    if (3, 10) <= sys.version_info[:2] <= (3, 11):
        return sys.executable
    for name in _INTERPRETERS:
        # A name on the path may be a launcher for versions that are not installed.
        if shutil.which(name) and subprocess.run([name, "-c", ""], check=False, capture_output=True).returncode == 0:
            return name
    raise RuntimeError(
        f"tf.estimator 2.15 needs {' or '.join(_INTERPRETERS)}, and neither is found. Install one, pass an environment "
        "as --oracle, or leave tf.estimator out with --without_oracle."
    )
