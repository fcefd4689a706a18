"""What says that a program needs a graph and a session of its own."""

from __future__ import annotations


class NeedsGraph(Exception):
    """The function runtime cannot run this program, and nothing was trained yet; the message says why."""
