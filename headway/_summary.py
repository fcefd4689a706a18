"""Summaries that model code may ask for in any mode.

A value may be a function that computes it: it then costs nothing in the steps that do not record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from headway import _context

# A tensor, or a function that returns one; TensorFlow is untyped, so a checker sees the first as Any.
Value: TypeAlias = "Any | Callable[[], Any]"


def scalar(tag: str, value: Value) -> None:
    """Writes `value` (a scalar) under `tag` whenever the estimator records summaries; else does nothing."""
    _collect(_scalar_summary, tag, value)


def histogram(tag: str, value: Value) -> None:
    """Writes the distribution of `value` (any shape) under `tag` whenever the estimator records summaries."""
    _collect(tf.raw_ops.HistogramSummary, tag, value)


def tensor(tag: Any, value: Value, metadata: Any) -> None:
    """Writes `value` as `tf.summary.write` does: `metadata`, a `SummaryMetadata`, tells a viewer what it is."""
    described = metadata.SerializeToString() if hasattr(metadata, "SerializeToString") else metadata or b""

    def write(*, tag: Any, values: Any) -> tf.Tensor:
        return tf.raw_ops.TensorSummaryV2(tag=tag, tensor=values, serialized_summary_metadata=described)

    _collect(write, tag, value)


def _collect(writer: Callable[..., Any], tag: Any, value: Value) -> None:
    context = _context.current()
    if context is not None:
        context.summaries.append((writer, tag, value))


def serialized(context: _context.StepContext) -> tf.Tensor:
    """Returns what was collected as one serialised `Summary`, a string scalar; empty in a step that does not record."""
    if not context.summaries or context.record is None:
        return tf.constant("")

    def write() -> tf.Tensor:
        # Serialised protocol buffers of one type merge when they are joined.
        values = [value() if callable(value) else value for _, _, value in context.summaries]
        parts = zip(context.summaries, values, strict=True)
        return tf.strings.join([writer(tag=tag, values=value) for (writer, tag, _), value in parts])

    return _written_if(context.record, write) if context.on_one_cpu else tf.cond(context.record, write, _nothing)


def _written_if(condition: tf.Tensor, write: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Returns what `write` returns, or an empty string, as `tf.cond` does.

    TensorFlow takes the branches of `tf.cond` into the graph of the step, where each of their operations costs its
    share of time also if it is not to run. Here they stay functions, which lets no other device take part.
    """
    written = tf.function(write, autograph=False).get_concrete_function()
    inputs = written.captured_inputs
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs]
    empty = tf.function(lambda *inputs: _nothing(), autograph=False).get_concrete_function(*specs)
    return tf.raw_ops.If(
        cond=condition, input=inputs, Tout=[tf.string], then_branch=written, else_branch=empty, output_shapes=[()]
    )[0]


def _nothing() -> tf.Tensor:
    return tf.constant("")


def _scalar_summary(*, tag: str, values: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.ScalarSummary(tags=tag, values=tf.cast(values, tf.float32))
