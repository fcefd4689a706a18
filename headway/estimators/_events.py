"""Event files for TensorBoard, as tf.estimator wrote them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_file_numbers = itertools.count()


class EventWriter:
    """Writes one event file in `directory`; the file is made when the first event comes.

    Args:
      directory: where TensorBoard looks for the run.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._writer: Any = None

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes each value under its tag, all in one event."""
        summary = tf.compat.v1.Summary()
        for tag, value in values.items():
            summary.value.add(tag=tag, simple_value=float(value))
        self._open().add_summary(summary, step)

    def evaluation(self, metrics: Mapping[str, Any], step: int, checkpoint_path: str | None) -> None:
        """Writes a result: numbers as scalars, arrays as tensors, bytes as a `Summary` of their own."""
        summary = tf.compat.v1.Summary()
        for tag, value in metrics.items():
            if tag == "global_step":
                continue
            if isinstance(value, bytes):
                nested = tf.compat.v1.Summary.FromString(value)
                for i, item in enumerate(nested.value):
                    item.tag = f"{tag}/{i}"
                summary.value.extend(nested.value)
            elif np.ndim(value) == 0:
                summary.value.add(tag=tag, simple_value=float(value))
            else:
                summary.value.add(tag=tag).tensor.CopyFrom(tf.make_tensor_proto(value))
        self._open().add_summary(summary, step)
        if checkpoint_path is not None:
            path = tf.compat.v1.Summary()
            item = path.value.add(tag="checkpoint_path", tensor=tf.make_tensor_proto(checkpoint_path, dtype=tf.string))
            item.metadata.plugin_data.plugin_name = "text"
            self._open().add_summary(path, step)
        self.flush()

    def serialized(self, summary: bytes, step: int) -> None:
        """Writes a serialised `Summary`."""
        if summary:
            self._open().add_summary(summary, step)

    def graph(self, graph: Any) -> None:
        """Writes the graph that TensorBoard shows."""
        self._open().add_graph(graph)

    def flush(self) -> None:
        """Makes everything so far visible to readers."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Ends the file; the next event begins another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> Any:
        if self._writer is None:
            # This writer refuses to be made in eager mode, though nothing in it needs a graph.
            with tf.Graph().as_default():
                # A second file in the same second would replace the first: the name tells the time in whole seconds.
                suffix = f".{os.getpid()}.{next(_file_numbers):06d}"
                self._writer = tf.compat.v1.summary.FileWriter(self.directory, filename_suffix=suffix)
        return self._writer
