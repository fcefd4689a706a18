"""How columns come by their variables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from headway.feature_columns._protocol import Initializer, VariableFactory, scope_of, scope_with_slashes


def column_scope(factory: VariableFactory, name: str) -> str:
    """Returns what the names of the variables of the column `name` begin with, in the way of `factory`."""
    scope: Callable[[str], str] = getattr(factory, "column_scope", scope_of)
    return scope(name)


class WithSlashes:
    """A factory that gives the variables of a column "a/b" names with that slash, as Keras 2's `DenseFeatures` did.

    Args:
      factory: makes the variables.
    """

    column_scope = staticmethod(scope_with_slashes)

    def __init__(self, factory: VariableFactory) -> None:
        self._factory = factory
        self.shared: VariableFactory = getattr(factory, "shared", factory)
        self.in_layer: VariableFactory = getattr(factory, "in_layer", factory)

    def __call__(self, *arguments: Any, **named: Any) -> tf.Variable:
        """Returns what the factory makes of these arguments."""
        return self._factory(*arguments, **named)


class OncePerName:
    """Asks another factory for each variable once, so that columns that share a table have one.

    Args:
      factory: makes the variables. Tables of `shared_embeddings` are asked of its method `shared`, if it has one, with
        the same arguments: their names are not part of a layer. Those of `shared_embedding_columns` are asked of its
        method `in_layer`, if it has one.

    Raises:
      ValueError: when called, if two columns ask for variables of one name, or for one table in two shapes.
    """

    def __init__(self, factory: VariableFactory) -> None:
        self._factory = factory
        self._shared: VariableFactory = getattr(factory, "shared", factory)
        self._in_layer: VariableFactory = getattr(factory, "in_layer", factory)
        self.column_scope: Callable[[str], str] = getattr(factory, "column_scope", scope_of)
        self._made: dict[tuple[bool, str], tf.Variable] = {}

    def __call__(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        """Returns the variable `name` of one column."""
        if (False, name) in self._made:
            raise ValueError(
                f"Two columns need a variable {name!r}: their names differ only in characters that the name of a "
                "variable cannot have, such as 'a/b' and 'a_b'. Rename one of the features."
            )
        return self._once(self._factory, False, name, shape, initializer, dtype, trainable)

    @property
    def in_layer(self) -> VariableFactory:
        """The factory of variables that columns of one layer share."""
        return functools.partial(self._once, self._in_layer, False)

    @property
    def shared(self) -> VariableFactory:
        """The factory of variables that stand outside of all layers."""
        return functools.partial(self._once, self._shared, True)

    def _once(
        self,
        factory: VariableFactory,
        shared: bool,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        dtype: tf.DType = tf.float32,
        trainable: bool = True,
    ) -> tf.Variable:
        key = (shared, name)
        if key not in self._made:
            self._made[key] = factory(name, shape, initializer, dtype, trainable)
        found = self._made[key]
        if tuple(found.shape) != tuple(shape):
            raise ValueError(
                f"Two shared embeddings are named {name!r} and differ in shape: {tuple(found.shape)} and {shape}. Give "
                "one of them another `shared_embedding_collection_name`."
            )
        return found
