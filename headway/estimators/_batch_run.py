"""Evaluation and prediction as hooks see them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from headway.estimators._events import EventWriter
from headway.estimators._hooks import Hook, Run
from headway.estimators._when import Progress


class BatchRun(Run):
    """A pass over the input, batch by batch; `step` counts batches.

    Args:
      model_dir: the estimator's directory.
    """

    def __init__(self, model_dir: str) -> None:
        self.progress = Progress(0, 0, 0.0)
        self.going = True
        self._model_dir = model_dir
        self._loss = float("nan")
        self._began = time.monotonic()

    def advance(self, batches: int, loss: float = float("nan")) -> None:
        """Counts batches that are done."""
        self.progress = Progress(self.step + batches, 0, time.monotonic() - self._began)
        self._loss = loss

    @property
    def loss(self) -> float:
        return self._loss

    @property
    def values(self) -> Mapping[str, Any]:
        return {"loss": self._loss, "step": self.step}

    @property
    def met_nan(self) -> bool:
        return False

    @property
    def last_checkpoint_text(self) -> str:
        return ""

    @property
    def events(self) -> EventWriter | None:
        return None

    @property
    def model_dir(self) -> str:
        return self._model_dir

    def request_stop(self, reason: str) -> None:
        del reason
        self.going = False

    def save(self) -> None:
        return None

    def summary(self) -> bytes:
        return b""

    def take_metrics(self) -> Mapping[str, float]:
        return {}

    def write_summary(self, serialized: bytes) -> None:
        del serialized

    def logged(self, hook: Hook) -> Mapping[str, Any]:
        del hook
        return {}
