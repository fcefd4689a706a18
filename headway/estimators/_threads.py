"""How many threads one operation may use.

TensorFlow divides an operation among threads as soon as it is worth it on an idle machine. In a small model, whose
steps are hundreds of operations of a few microseconds, handing parts over costs more than it saves. tf.data can limit
the threads of the operations that a function runs, without touching the settings of the process; so a compiled
function runs here as the function of a dataset.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Operations whose work is worth dividing whatever their size, or whose size is not to be seen from outside.
_LARGE = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "While", "StatelessWhile", "XlaLaunch"})
# The largest matrix of weights, in elements, whose product with a batch of some hundred rows is not worth dividing.
_SMALL_MATRIX = 256 * 256
# So many multiplications in a step are not worth a second worker.
_LITTLE_WORK = 6_000_000
_ROWS_IF_UNKNOWN = 256
_MOST_WORKERS = 4
# What TensorFlow writes before the message of an error in the function of a dataset: it is no error of the input.
_OF_DATASET = re.compile(r"Error in user-defined function passed to MapDataset:\d+ transformation [^:]*: [\w:]+: ")


def fewest_threads(graph: Any) -> int | None:
    """Returns how many threads the operations of a training step should have; None for TensorFlow's own choice.

    Args:
      graph: the graph of the step.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    for op in graph.get_operations():
        if op.type in _LARGE or op.type.startswith(("Conv", "Depthwise")):
            return None
        if op.type == "MatMul" and max(_elements(tensor) for tensor in op.inputs) > _SMALL_MATRIX:
            return None
    return 1


def fewest_workers(graph: Any, rows: int | None) -> int | None:
    """Returns how many operations of a step may run at a time, where `fewest_threads` gives each of them one thread.

    To hand an operation to another worker takes as long as a short one does. One worker is the fastest where a step
    has little to multiply, and where a core more would be one less for the input; else there are some, but not more
    than a step has parts that can run side by side. Short products beside an input pipeline are left to the workers
    that TensorFlow has for all, which was the fastest where it was measured.

    Args:
      graph: the graph of the step.
      rows: number of rows in a batch that costs the input nothing to make; None where an input pipeline makes batches.

    Returns:
      The number of workers; None for those that TensorFlow has for all.
    """
    products = [op for op in graph.get_operations() if op.type == "MatMul"]
    elements = sum(max(_elements(tensor) for tensor in (*op.inputs, *op.outputs)) for op in products)
    # The first product is that of the batch and the first layer.
    known = rows or (products[0].inputs[0].shape[0] if products and products[0].inputs[0].shape.rank else None)
    if elements * (known or _ROWS_IF_UNKNOWN) < _LITTLE_WORK:
        return 1 if rows or not elements else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores if rows else cores - 1, _MOST_WORKERS))


def _elements(tensor: tf.Tensor) -> int:
    """Returns the number of elements of a matrix of weights; 0 for one whose rows are the batch's."""
    return int(tensor.shape.num_elements() or 0)


class WithThreads:
    """A compiled stretch of training steps whose operations use at most so many threads.

    Args:
      function: takes an iterator, tables, and what a call asks for, an int64 vector.
      iterator: what each call passes on.
      tables: what each call passes on.
      threads: the largest number of threads of one operation.
      workers: how many operations may run at a time; None for as many as there are cores, in workers shared with
        other calls.
    """

    def __init__(
        self, function: Callable[..., Any], iterator: Any, tables: Any, threads: int, workers: int | None
    ) -> None:
        self._request = tf.Variable(tf.zeros([0], tf.int64), shape=[None], trainable=False)

        def call(_: tf.Tensor) -> Any:
            return function(iterator, tables, self._request.read_value())

        options = tf.data.Options()
        options.threading.max_intra_op_parallelism = threads
        if workers is not None:
            options.threading.private_threadpool_size = workers
        # Nothing may run ahead of the call that asks for it.
        options.autotune.enabled = False
        options.experimental_optimization.apply_default_optimizations = False
        options.experimental_optimization.inject_prefetch = False
        dataset = tf.data.Dataset.counter().map(call).with_options(options)
        # TensorFlow takes most of a second to get a stretch ready, without Python: the hooks begin in the meantime.
        pool = concurrent.futures.ThreadPoolExecutor(1, "headway_get_ready")
        self._results = pool.submit(iter, dataset)
        pool.shutdown(wait=False)

    def __call__(self, iterator: Any, tables: Any, request: tf.Tensor) -> Any:
        """Runs the function; `iterator` and `tables` are those that it was made with."""
        del iterator, tables
        self._request.assign(request)
        try:
            return next(self._results.result())
        except tf.errors.OpError as error:
            message = _OF_DATASET.sub("", error.message, count=1)
            raise type(error)(error.node_def, error.op, message) from None
