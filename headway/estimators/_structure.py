"""Small questions about nested structures of tensors, their specs, and the replicas of a strategy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway.feature_columns._layout import PREFIX


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Splits what an input_fn gives into features and labels: a pair is both, anything else is features."""
    if isinstance(batch, (tuple, list)):
        if len(batch) != 2:
            raise ValueError(
                "input_fn should return (features, labels) as a len 2 tuple. "
                f"Received: a {type(batch).__name__} of length {len(batch)}. Put further tensors into the dict of "
                "features."
            )
        return batch[0], batch[1]
    return batch, None


def without_strings(features: Any, labels: Any) -> tuple[Any, Any]:
    """Returns a batch without the features that are strings, which XLA does not know.

    Raises:
      ValueError: if the labels, or features that are no dict, are strings.
    """
    if isinstance(features, dict):
        dropped = sorted(str(name) for name, value in features.items() if _has_strings(value))
        if dropped:
            logger.info("XLA knows no strings: with jit_compile, model_fn gets the features without %s.", dropped)
        features = {name: value for name, value in features.items() if not _has_strings(value)}
    for name, part in (("features", features), ("labels", labels)):
        if _has_strings(part):
            raise ValueError(
                f"RunConfig(jit_compile=True) takes no strings as {name}: XLA does not know them. Turn them into "
                "numbers in the input_fn, or set jit_compile to False."
            )
    return features, labels


def check_not_sparse(features: Any, labels: Any) -> None:
    """Raises an error if a batch that XLA is to take has sparse tensors."""
    for what, part in (("features", features), ("labels", labels)):
        named = part if isinstance(part, dict) else {"": part}
        sparse = sorted(str(name) for name, value in named.items() if isinstance(value, tf.SparseTensor))
        if sparse:
            raise ValueError(
                f"RunConfig(jit_compile=True) takes no sparse tensors, and {what} {sparse if sparse[0] else ''} are. "
                "Make them dense in the input_fn with `tf.sparse.to_dense`, or set jit_compile to False."
            )


def check_sizes_are_known(graph: tf.Graph, features: Any) -> None:
    """Raises an error if a step that XLA is to compile makes a ragged tensor dense: the size depends on the values."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    if all(node.op != "RaggedTensorToTensor" for node in nodes):
        return
    named = features if isinstance(features, dict) else {}
    # What columns have made of features has names that no user knows.
    names = [str(name) for name, value in named.items() if isinstance(value, tf.RaggedTensor)]
    ragged = sorted(name for name in names if not name.startswith(PREFIX))
    raise ValueError(
        "RunConfig(jit_compile=True) needs sizes that do not depend on values, and this model makes ragged tensors "
        f"dense, as models of sequences do{f' (ragged features: {ragged})' if ragged else ''}. Give sequences of one "
        "length: in the input_fn, `features[name].to_tensor(shape=[None, 20])` pads or cuts them to 20 steps. Or set "
        "jit_compile to False."
    )


@contextlib.contextmanager
def explained_absence(given: Any, left: Any) -> Iterator[None]:
    """Says why a feature that `without_strings` took away is not there, where a model_fn asks for it."""
    try:
        yield
    except KeyError as error:
        name = error.args[0] if error.args else None
        if not isinstance(given, dict) or name not in given or name in left:
            raise
        raise ValueError(
            f"model_fn asked for the feature {name!r}, which holds strings. With RunConfig(jit_compile=True) it does "
            "not get them, since XLA does not know strings. Turn them into numbers in the input_fn or by feature "
            "columns, take them with `features.pop(name, None)`, or set jit_compile to False."
        ) from error


def _has_strings(part: Any) -> bool:
    return any(tensor.dtype == tf.string for tensor in tf.nest.flatten(part) if tensor is not None)


def is_default(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether `strategy` is the one that TensorFlow uses when none was asked for."""
    return type(strategy) is tf.distribute.Strategy or type(strategy).__name__.startswith(
        "_DefaultDistributionStrategy"
    )


def is_on_one_cpu(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether steps run on the processor alone: no strategy places them, and there is no GPU."""
    return is_default(strategy) and not tf.config.list_physical_devices("GPU")


def local_replicas(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of replicas that this process runs."""
    return 1 if is_default(strategy) else len(strategy.extended.worker_devices)


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether replicas in other processes run in step with those of this one."""
    return bool(strategy.num_replicas_in_sync > local_replicas(strategy))


def local_index(replicas: int) -> int:
    """Returns which of this process's replicas the current code is traced for."""
    index = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
    return 0 if replicas == 1 or index is None else int(index) % replicas


def spec_of(structure: Any) -> Any:
    """Returns the type specs of a nested structure of tensors."""
    return tf.nest.map_structure(tf.type_spec_from_value, structure)


def spec_of_value(value: Any) -> Any:
    """Returns the type spec of a tensor, of an array or list in its place, or of a spec (that is the spec itself)."""
    if isinstance(value, tf.TypeSpec):
        return value
    if tf.is_tensor(value) or isinstance(value, (tf.SparseTensor, tf.RaggedTensor)):
        return tf.type_spec_from_value(value)
    array = np.asarray(value)
    dtype = tf.string if array.dtype.kind in "OUS" else tf.as_dtype(array.dtype)
    if isinstance(value, (list, tuple)) and array.dtype == np.float64:
        dtype = tf.float32
    return tf.TensorSpec(array.shape, dtype)


def relaxed(specs: Any) -> Any:
    """Returns `specs` with the size of axis 0 left open, so that tables of any number of rows share a trace."""

    def relax(spec: Any) -> Any:
        if isinstance(spec, tf.TensorSpec) and spec.shape.rank:
            return tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
        if isinstance(spec, tf.RaggedTensorSpec):
            return tf.RaggedTensorSpec([None, *spec.shape[1:]], spec.dtype, spec.ragged_rank, spec.row_splits_dtype)
        return spec

    return tf.nest.map_structure(relax, specs)


def empty(spec: Any, rows: int = 0) -> Any:
    """Returns a value of `spec` with `rows` rows of zeros where its size is open."""
    if isinstance(spec, tf.RaggedTensorSpec):
        ragged = tf.RaggedTensor.from_row_splits(
            tf.zeros([0], spec.dtype), tf.zeros([rows + 1], spec.row_splits_dtype), validate=False
        )
        for _ in range(spec.ragged_rank - 1):
            ragged = tf.RaggedTensor.from_row_splits(
                ragged, tf.zeros([rows + 1], spec.row_splits_dtype), validate=False
            )
        return ragged
    if isinstance(spec, tf.SparseTensorSpec):
        rank = spec.shape.rank or 2
        shape = [rows if i == 0 else size or 1 for i, size in enumerate(spec.shape)] if spec.shape.rank else [rows, 1]
        return tf.SparseTensor(tf.zeros([0, rank], tf.int64), tf.zeros([0], spec.dtype), shape)
    shape = (
        []
        if spec.shape.rank is None
        else [rows if size is None and i == 0 else size or 0 for i, size in enumerate(spec.shape)]
    )
    return tf.zeros(shape, spec.dtype)


def zeros(spec: tf.TensorSpec) -> tf.Tensor:
    """Returns a tensor of `spec` with all open sizes zero; what a loop variable starts from."""
    return tf.zeros([size or 0 for size in spec.shape], spec.dtype)
