"""The library's log: visible on stderr as it is, and silent there as soon as the program sets up logging itself."""

from __future__ import annotations

import logging
import sys


class _StderrUnlessConfigured(logging.Handler):
    """Writes to stderr while the root logger has no handler, as in a plain script or notebook."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            sys.stderr.write(self.format(record) + "\n")


logger = logging.getLogger("headway")
logger.setLevel(logging.INFO)
_handler = _StderrUnlessConfigured()
_handler.setFormatter(logging.Formatter("%(asctime)s headway: %(message)s", datefmt="%H:%M:%S"))
logger.addHandler(_handler)
