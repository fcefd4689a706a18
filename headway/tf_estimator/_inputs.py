"""`numpy_input_fn` and `pandas_input_fn` of tf.compat.v1.estimator, on pipelines that know their place."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.input_pipelines import Pipeline, from_arrays
from headway.input_pipelines._memory import MemoryPipeline


def numpy_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int = 1000,
    num_threads: int = 1,
) -> Callable[[], Pipeline]:
    """Returns an input function that feeds arrays.

    Batches go on across the end of an epoch, as tf.estimator's did; only the last batch of all may be short. The
    arrays are read when the function is called; it reads them again where they have changed since.

    Args:
      x: an array, or a dict of arrays, with one value for each row on their first axis.
      y: the labels: an array or a dict of arrays; None for none.
      batch_size: rows in a batch.
      num_epochs: how often the rows are passed over; None: for ever.
      shuffle: whether each epoch takes the rows in a new random order; it must be given.
      queue_capacity: not used: there is no queue, and whole epochs are shuffled.
      num_threads: as in tf.estimator, each thread passes `num_epochs` times over the rows.

    Returns:
      A function without arguments that returns a pipeline of `(features, labels)` batches, or of features.

    Raises:
      ValueError: if `shuffle` is no bool. In the call of the function: if there is no row, lengths differ, or a name is
        both in `x` and `y`.
      TypeError: in the call of the function: if `x` is neither an array nor a dict.

    Example:
      >>> import numpy as np
      >>> from headway.tf_estimator import v1
      >>> x = {"age": np.array([1.0, 2.0, 3.0])}
      >>> input_fn = v1.inputs.numpy_input_fn(x, np.array([0, 1, 0]), batch_size=2, num_epochs=2, shuffle=False)
      >>> for features, labels in input_fn().dataset():
      ...     print(features["age"].numpy(), labels.numpy())
      [1. 2.] [0 1]
      [3. 1.] [0 0]
      [2. 3.] [1 0]
    """
    del queue_capacity
    _check_shuffle(shuffle)
    kept: list[tuple[int, MemoryPipeline]] = []

    def input_fn() -> Pipeline:
        features, labels = _checked(x, y)
        digest = _digest(features, labels)
        if not kept or kept[0][0] != digest:
            kept[:] = [(digest, _pipeline(features, labels, batch_size, num_epochs, shuffle, num_threads))]
        return kept[0][1].fresh()

    return input_fn


def pandas_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int | None = 1000,
    num_threads: int = 1,
    target_column: str = "target",
) -> Callable[[], Pipeline]:
    """Returns an input function that feeds a pandas data frame, as it is now.

    Batches go on across the end of an epoch, as tf.estimator's did; only the last batch of all may be short.

    Args:
      x: a pandas `DataFrame`; its index is not fed.
      y: the labels: a `Series`, or a `DataFrame` for a dict of labels, with the same index; None for none.
      batch_size: rows in a batch.
      num_epochs: how often the rows are passed over; None: for ever.
      shuffle: whether each epoch takes the rows in a new random order; it must be given.
      queue_capacity: not used: there is no queue, and whole epochs are shuffled.
      num_threads: as in tf.estimator, each thread passes `num_epochs` times over the rows.
      target_column: a name that no column of `x` has.

    Returns:
      A function without arguments that returns a pipeline of `(features, labels)` batches, or of features.

    Raises:
      ValueError: if `shuffle` is no bool, the indexes differ, or `x` has a column called `target_column`.
      TypeError: if `target_column` is no string.

    Example:
      >>> import pandas as pd
      >>> from headway.tf_estimator import v1
      >>> frame = pd.DataFrame({"age": [1.0, 2.0, 3.0]})
      >>> input_fn = v1.inputs.pandas_input_fn(frame, pd.Series([0, 1, 0]), batch_size=3, shuffle=False)
      >>> for features, labels in input_fn().dataset():
      ...     print(features["age"].numpy(), labels.numpy())
      [1. 2. 3.] [0 1 0]
    """
    del queue_capacity
    _check_shuffle(shuffle)
    if not isinstance(target_column, str):
        raise TypeError(f"target_column must be a string type. Received: {target_column!r}.")
    if y is not None:
        if target_column in x:
            raise ValueError(
                f"Cannot use name {target_column} for target column: DataFrame already has a column with that name: "
                f"{list(x.columns)}. Pass another `target_column`; the model does not see it."
            )
        if not np.array_equal(x.index, y.index):
            raise ValueError(
                f"Index for x and y are mismatched.\nIndex for x: {x.index}\nIndex for y: {y.index}\nGive both the "
                "same index, for example by reset_index(drop=True)."
            )
    labels = None if y is None else {name: y[name] for name in y.columns} if hasattr(y, "columns") else y
    features = {name: x[name] for name in x.columns}
    pipeline = _pipeline(features, labels, batch_size, num_epochs, shuffle, num_threads)
    return pipeline.fresh


def _check_shuffle(shuffle: Any) -> None:
    if not isinstance(shuffle, bool):
        raise ValueError(
            "shuffle must be provided and explicitly set as boolean (it is recommended to set it as True for "
            f"training); got {shuffle}"
        )


def _checked(x: Any, y: Any) -> tuple[Any, Any]:
    if isinstance(x, Mapping):
        if not x:
            raise ValueError("x cannot be an empty dict. Pass at least one array: {name: array}.")
    elif isinstance(x, np.ndarray):
        if x.size == 0:
            raise ValueError(f"x cannot be an empty array. Received one of shape {x.shape}.")
    else:
        raise TypeError(f"x must be a dict or array; got {type(x).__name__}")
    if isinstance(y, Mapping):
        if not y:
            raise ValueError("y cannot be empty dict, use None instead.")
        twice = set(x) & set(y) if isinstance(x, Mapping) else set()
        if twice:
            raise ValueError(f"{len(twice)} duplicate keys are found in both x and y: {twice}")
    shapes_x = {name: np.shape(values) for name, values in x.items()} if isinstance(x, Mapping) else {"x": x.shape}
    shapes_y = {name: np.shape(values) for name, values in y.items()} if isinstance(y, Mapping) else {}
    shapes_y |= {} if y is None or isinstance(y, Mapping) else {"y": np.shape(y)}
    if len({shape[:1] for shape in (*shapes_x.values(), *shapes_y.values())}) != 1:
        raise ValueError(
            "Length of tensors in x and y is mismatched. All elements in x and y must have the same length.\n"
            f"Shapes in x: {shapes_x}\nShapes in y: {shapes_y or None}"
        )
    return (dict(x) if isinstance(x, Mapping) else x), (dict(y) if isinstance(y, Mapping) else y)


def _pipeline(
    features: Any, labels: Any, batch_size: int, num_epochs: int | None, shuffle: bool | None, num_threads: int
) -> MemoryPipeline:
    if num_threads > 1 and num_epochs is not None:
        logger.warning(
            "num_threads is %d, and num_epochs, %d, is applied per thread: the rows are passed over %d times. If you "
            "want to limit epochs, use one thread.",
            num_threads,
            num_epochs,
            num_threads * num_epochs,
        )
        num_epochs *= num_threads
    # A model that is to reproduce its input has the same array as feature and label.
    labels = labels.view() if isinstance(labels, np.ndarray) else labels
    pipeline = from_arrays(features, labels, batch_size=batch_size, shuffle=bool(shuffle), num_epochs=num_epochs)
    assert isinstance(pipeline, MemoryPipeline)
    parts = {field.name: getattr(pipeline.joined(), field.name) for field in dataclasses.fields(pipeline)}
    return FedRows(**parts)


@dataclasses.dataclass(frozen=True, eq=False)
class FedRows(MemoryPipeline):
    """A pipeline that an input_fn may take apart as it took apart the tensors of a queue: `features, labels = ...`."""

    def __iter__(self) -> Iterator[Any]:
        if self.resident.fetch.labels is None:
            raise TypeError("This input has features and no labels: it cannot be taken apart.")
        # The estimator takes what follows for a function of the batch.
        yield from tf.compat.v1.data.make_one_shot_iterator(self.dataset()).get_next()


def _digest(*values: Any) -> int:
    """Returns a number that changes where the arrays do."""
    digest = 0
    for value in values:
        named = value if isinstance(value, dict) else {"": value}
        for name, column in named.items():
            array = np.asarray(column)
            if array.dtype.hasobject:
                content: Any = str(hash(tuple(array.ravel().tolist()))).encode()
            else:
                content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            digest = zlib.crc32(content, zlib.crc32(f"{name} {array.shape} {array.dtype}".encode(), digest))
    return digest
