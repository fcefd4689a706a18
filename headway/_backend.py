"""The check that Keras 3 runs on TensorFlow, made before TensorFlow is imported.

Keras 3 picks its backend once, at its first import, from `KERAS_BACKEND` or from `keras.json`. With another backend its
layers and optimizers hold no TensorFlow variables, and the failure would come late and deep. This module needs the
standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


class KerasBackendError(ImportError):
    """Raised when Keras is set to a backend other than TensorFlow.

    Example:
      >>> issubclass(KerasBackendError, ImportError)
      True
    """


def require_tensorflow() -> None:
    """Raises `KerasBackendError` when Keras runs, or is set to run, on another backend than TensorFlow.

    Looks at Keras itself where it is imported already, else at what its import will look at: the environment variable
    `KERAS_BACKEND`, then the file `keras.json` in `KERAS_HOME` (by default `~/.keras`).
    """
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is not None:
        place, backend = "Keras is imported already and runs", config.backend()
        repair = "set KERAS_BACKEND=tensorflow before Keras is imported for the first time"
    elif os.environ.get("KERAS_BACKEND"):
        place, backend = "The environment variable KERAS_BACKEND asks for Keras", os.environ["KERAS_BACKEND"]
        repair = "set KERAS_BACKEND=tensorflow, or unset it"
    else:
        path = _config_file()
        place, backend = f"The file {path} asks for Keras", _configured_backend(path)
        repair = f'write "backend": "tensorflow" into {path}, or set KERAS_BACKEND=tensorflow'
    if backend != "tensorflow":
        raise KerasBackendError(
            f"headway needs Keras on the backend 'tensorflow'. {place} on another. Received: {backend!r}. "
            f"To repair it, {repair}."
        )


def _config_file() -> Path:
    """Returns where Keras looks for its settings."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser() / "keras.json"
    home = Path.home()
    # Keras falls back to this folder where the home folder is read-only.
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "keras.json"


def _configured_backend(path: Path) -> str:
    """Returns the backend that `path` names; Keras takes TensorFlow where the file is missing, broken or silent."""
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError):
        return "tensorflow"
    return str(settings.get("backend", "tensorflow")) if isinstance(settings, dict) else "tensorflow"


# The packages of headway import this module first, so that the check comes before Keras does.
require_tensorflow()
