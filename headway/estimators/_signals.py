"""Ctrl-C and SIGTERM: training ends after the current stretch of steps, with a checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from headway._log import logger


class Interruption:
    """Whether a signal has asked the run to end, and which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def raise_(self) -> None:
        """Ends the program as the signal would have, now that everything is saved."""
        if self.signal is signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)


@contextlib.contextmanager
def caught() -> Iterator[Interruption]:
    """Notes the first SIGINT or SIGTERM instead of dying of it; a second one ends the program at once.

    Outside the main thread, where Python lets nobody handle signals, it does nothing. A signal that the program
    ignores, as a shell has it for programs in the background, stays ignored.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    previous: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: Any) -> None:
        del frame
        interruption.signal = signal.Signals(number)
        logger.warning(
            "%s: training ends after the steps under way, with a checkpoint. Once more to end at once.",
            interruption.signal.name,
        )
        for signum, handler in previous.items():
            signal.signal(signum, handler)

    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            previous[signum] = signal.signal(signum, handle)
    try:
        yield interruption
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
