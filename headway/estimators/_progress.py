"""What a person sees while training runs: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import sys

from headway._log import logger
from headway.estimators import _when
from headway.estimators._classic_hooks import LoggingTensorHook
from headway.estimators._hooks import Hook, PeriodicHook, Run


class _Line:
    """The last line of the terminal. It steps aside for lines of the log, which would begin behind it."""

    def __init__(self) -> None:
        self._drawn = False

    def draw(self, text: str) -> None:
        """Replaces the line by another one."""
        logger.addFilter(self.filter)
        self._drawn = True
        self._write(f"\r\x1b[K{text}")

    def keep(self) -> None:
        """Leaves the line where it is; the next one is another."""
        self._drawn = False
        self._write("\n")

    def filter(self, record: logging.LogRecord) -> bool:
        """Wipes the line out before a line of the log is written."""
        del record
        if self._drawn:
            self._drawn = False
            self._write("\r\x1b[K")
        return True

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


_LINE = _Line()


class ProgressBar(PeriodicHook):
    """Redraws one line on the terminal about three times a second.

    Args:
      last_step: the global step at which training ends, or None if that is not known.
    """

    _WIDTH = 30

    def __init__(self, last_step: int | None) -> None:
        super().__init__(_when.EverySeconds(0.3))
        self._last_step = last_step

    def action(self, run: Run) -> None:
        """Draws."""
        done = run.step - run.progress.first_step
        speed = done / max(run.progress.seconds, 1e-9)
        text = f"step {run.step}"
        if self._last_step is not None:
            share = min(1.0, done / max(1, self._last_step - run.progress.first_step))
            filled = int(share * self._WIDTH)
            left = (self._last_step - run.step) / max(speed, 1e-9)
            text += f"/{self._last_step} [{'#' * filled}{'.' * (self._WIDTH - filled)}] {left:.0f} s left"
        _LINE.draw(f"{text}  loss {run.loss:.4g}  {speed:.0f} steps/s")

    def end(self, run: Run) -> None:
        """Draws the last state, and ends the line."""
        self.action(run)
        _LINE.keep()


def progress_hook(kind: str, every_steps: int | None, last_step: int | None) -> Hook | None:
    """Returns the hook for `RunConfig.progress`.

    Args:
      kind: "auto", "bar", "log" or "none".
      every_steps: steps between lines of the log; None for no lines.
      last_step: the global step at which training ends, or None.
    """
    if kind == "none":
        return None
    if kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        return ProgressBar(last_step)
    return LoggingTensorHook(["loss", "step"], every_n_iter=every_steps) if every_steps else None
