"""Ctrl-C and SIGTERM: training ends after the current stretch of steps, with a checkpoint."""

from __future__ import annotations

import contextlib
import contextvars
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from headway._log import logger

# Seconds that the main thread has to react, before it is taken to wait for something.
_PATIENCE = 1.0
_NO_SIGNAL = b"\0"
# Whether this process's signals go into a pipe.
_watching = threading.Event()


# Of the training that a call is part of.
_of_training: contextvars.ContextVar[Interruption | None] = contextvars.ContextVar("_of_training", default=None)


class Interrupted(Exception):
    """What ends an evaluation inside of training early, when a signal has asked the run to end."""


class Interruption:
    """Whether a signal has asked the run to end, and which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._told = False

    def __bool__(self) -> bool:
        return self.signal is not None

    def tell(self, number: int) -> None:
        """Says, once, that a signal has come and what follows."""
        if not self._told:
            self._told = True
            logger.warning(
                "%s: training ends after the steps under way, with a checkpoint. Once more to end at once.",
                signal.Signals(number).name,
            )

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Lets evaluations inside end early."""
        token = _of_training.set(self)
        try:
            yield
        finally:
            _of_training.reset(token)

    def raise_(self) -> None:
        """Ends the program as the signal would have, now that everything is saved."""
        if self.signal is signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)


def training_is_to_end() -> bool:
    """Tells whether a signal has asked the training that this call is part of to end."""
    return bool(_of_training.get())


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
        interruption.tell(number)
        for signum, handler in previous.items():
            signal.signal(signum, handler)

    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            previous[signum] = signal.signal(signum, handle)
    try:
        with _watched(set(previous), interruption), interruption.heeded():
            yield interruption
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def _watched(signals: set[signal.Signals], interruption: Interruption) -> Iterator[None]:
    """Lets a second signal end the program even while the main thread waits in a step, for its input say.

    Python runs handlers between two lines of Python only. The number of each signal also goes into a pipe, at once.
    """
    if not hasattr(os, "register_at_fork"):
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    other = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if other != -1:
        # An event loop listens already.
        signal.set_wakeup_fd(other)
        os.close(reader)
        os.close(writer)
        yield
        return
    over = threading.Event()
    _watching.set()
    thread = threading.Thread(target=_watch, args=(reader, signals, interruption, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        _watching.clear()
        signal.set_wakeup_fd(-1)
        # A forked process may hold the pipe open, so that its end never comes.
        os.write(writer, _NO_SIGNAL)
        thread.join()
        os.close(writer)
        os.close(reader)


def _deafen_child() -> None:
    """Keeps the signals of a forked process out of the pipe that it has from this one."""
    if _watching.is_set():
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_deafen_child)


def _watch(reader: int, signals: set[signal.Signals], interruption: Interruption, over: threading.Event) -> None:
    """Ends the program after the second of these signals, if that does not end training by itself."""
    count = 0
    while (numbers := os.read(reader, 1)) != _NO_SIGNAL:
        if numbers[0] not in signals:
            continue
        count += 1
        if count == 1 and not over.wait(_PATIENCE):
            interruption.tell(numbers[0])
        if count > 1 and not over.wait(_PATIENCE):
            logger.error(
                "%s again: the steps under way do not end, and the program does.", signal.Signals(numbers[0]).name
            )
            os._exit(128 + numbers[0])
