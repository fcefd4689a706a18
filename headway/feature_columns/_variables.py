"""How columns come by their variables."""

from __future__ import annotations

import tensorflow as tf

from headway.feature_columns._protocol import Initializer, VariableFactory


class OncePerName:
    """Asks another factory for each variable once, so that columns that name one variable have one.

    Args:
      factory: makes the variables. Tables of `shared_embeddings` are asked of its method `shared`, if it has one, with
        the same arguments: their names are not part of a layer.
    """

    def __init__(self, factory: VariableFactory) -> None:
        self._factory = factory
        self._shared: VariableFactory = getattr(factory, "shared", factory)
        self._made: dict[tuple[bool, str], tf.Variable] = {}

    def __call__(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        """Returns the variable `name`."""
        key = (False, name)
        if key not in self._made:
            self._made[key] = self._factory(name, shape, initializer, dtype, trainable)
        return self._made[key]

    def shared(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        """Returns the variable `name` that stands outside of all layers."""
        key = (True, name)
        if key not in self._made:
            self._made[key] = self._shared(name, shape, initializer, dtype, trainable)
        found = self._made[key]
        if tuple(found.shape) != tuple(shape):
            raise ValueError(
                f"Two shared embeddings are named {name!r} and differ in shape: {tuple(found.shape)} and {shape}. Give "
                "one of them another `shared_embedding_collection_name`."
            )
        return found
