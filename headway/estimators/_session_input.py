"""Input of the old kind for compiled functions: tensors that a session computes anew for each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from headway.estimators import _structure
from headway.input_pipelines import Pipeline, from_dataset

v1 = tf.compat.v1


def session_pipeline(make: Callable[[], Any]) -> Pipeline | None:
    """Returns the batches that `make` gives in a session; None if they are the same for ever.

    Args:
      make: returns features, or (features, labels), as tensors of the current graph.
    """
    graph = tf.Graph()
    with graph.as_default():
        batch = make()
        if isinstance(batch, v1.data.Iterator):
            batch = batch.get_next()
        if not is_stream(graph):
            return None
        _structure.split_batch(batch)
        batch = tf.nest.map_structure(_tensor, tuple(batch) if isinstance(batch, list) else batch)
        initial = tf.group(v1.global_variables_initializer(), v1.local_variables_initializer(), v1.tables_initializer())
    spec = _structure.spec_of(batch)

    def batches() -> Iterator[Any]:
        # The parts of a generator may run in different threads, of which each has a default graph of its own.
        session, coordinator = v1.Session(graph=graph), tf.train.Coordinator()
        session.run(initial)
        with graph.as_default():
            threads = v1.train.start_queue_runners(session, coordinator)
        try:
            while True:
                values = session.run(tf.nest.flatten(batch))
                yield tf.nest.pack_sequence_as(spec, [_plain(value) for value in values])
        except tf.errors.OutOfRangeError:
            pass
        finally:
            coordinator.request_stop()
            coordinator.join(threads, stop_grace_period_secs=5)
            session.close()

    return from_dataset(tf.data.Dataset.from_generator(batches, output_signature=spec))


def is_stream(graph: Any) -> bool:
    """Tells whether tensors of `graph` come from an iterator or a queue, which give others at each run."""
    return any("Iterator" in op.type or "Queue" in op.type for op in graph.get_operations())


def _tensor(value: Any) -> Any:
    return value if isinstance(value, (tf.SparseTensor, tf.RaggedTensor)) else tf.convert_to_tensor(value)


def _plain(value: Any) -> Any:
    if isinstance(value, v1.SparseTensorValue):
        return tf.SparseTensor(*value)
    if isinstance(value, v1.ragged.RaggedTensorValue):
        return tf.RaggedTensor.from_nested_row_splits(value.flat_values, value.nested_row_splits)
    return value
