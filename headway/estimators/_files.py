"""Files that are there as a whole or not at all, whenever a process is killed."""

from __future__ import annotations

import os

import tensorflow as tf


def write_text(path: str, text: str, *, durable: bool = True) -> None:
    """Writes a text file that takes the place of an older one in a moment.

    Args:
      path: the file, local or where `tf.io.gfile` finds it.
      text: its content.
      durable: whether it must survive a crash of the machine, for which the disk is waited for.
    """
    temporary = f"{path}.tmp-{os.getpid()}"
    with tf.io.gfile.GFile(temporary, "w") as file:
        file.write(text)
    if durable:
        flush(temporary)
    tf.io.gfile.rename(temporary, path, overwrite=True)


def flush(path: str) -> None:
    """Makes the operating system write a local file or directory entry to the disk."""
    if "://" in path:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
