"""One scaffold of those that the replicas of a graph return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1

_LOADED = (
    "The init_fn of the Scaffold makes operations in a complete graph: `load` of a variable of {count} replicas "
    "does. Load the part of the first replica, the others get its value: `strategy.experimental_local_results(variable)"
    "[0].load(value, session)`; or restore with a Saver that model_fn made."
)


class ReplicaScaffold(tf.compat.v1.train.Scaffold):
    """The scaffold of the first replica, with the operations of all of them.

    What the first replica restores by a saver or an `init_fn` of its own is restored in it alone. The others get it as
    soon as the session has its values.

    Args:
      strategy: the strategy, in whose scope this is called.
      scaffolds: those that the replicas return, at least one.
    """

    def __init__(self, strategy: Any, scaffolds: Sequence[Any]) -> None:
        self._strategy = strategy
        self._local_init: Any = None
        self._ready: Any = None

        def all_of(name: str) -> list[Any]:
            return [value for value in (getattr(scaffold, name) for scaffold in scaffolds) if value is not None]

        def grouped(name: str) -> Any:
            return grouped_parts(strategy, all_of(name)) if all_of(name) else None

        def listed(name: str) -> Any:
            return tf.concat(all_of(name), 0) if all_of(name) else None

        super().__init__(
            init_op=grouped("init_op"),
            local_init_op=grouped("local_init_op"),
            ready_op=listed("ready_op"),
            ready_for_local_init_op=listed("ready_for_local_init_op"),
            copy_from_scaffold=scaffolds[0],
        )

    def finalize(self) -> Any:
        """Completes the graph: with what sets the replicas behind the first to what that has."""
        if self._local_init is None:
            variables = v1.global_variables()
            own = [self.default_local_init_op(), super().local_init_op, *map(self._made_alike, variables)]
            self._local_init = tf.group(*[op for op in own if op is not None])
            self._ready = super().ready_for_local_init_op
            if self._ready is None:
                first = [self._strategy.experimental_local_results(variable)[0] for variable in variables]
                self._ready = tf.identity(v1.report_uninitialized_variables(first))
        return super().finalize()

    def _made_alike(self, variable: Any) -> Any:
        """Returns what gives each replica the value of the first; None where each counts for itself."""
        if variable.synchronization == tf.VariableSynchronization.ON_READ:
            return None
        first, *others = self._strategy.experimental_local_results(variable)
        return tf.group(*[part.assign(first.read_value()) for part in others])

    @property
    def local_init_op(self) -> Any:
        """What initialises local variables, and the replicas behind the first."""
        return super().local_init_op if self._local_init is None else self._local_init

    @property
    def ready_for_local_init_op(self) -> Any:
        """What names the variables of the first replica that have no value yet."""
        return super().ready_for_local_init_op if self._ready is None else self._ready

    @property
    def init_fn(self) -> Callable[[Any], None] | None:
        """What sets the variables of the first replica, or None."""
        own = super().init_fn
        if own is None:
            return None

        def run(session: Any) -> None:
            try:
                own(session)
            except RuntimeError as error:
                if "finalized" not in str(error):
                    raise
                raise ValueError(_LOADED.format(count=self._strategy.num_replicas_in_sync)) from error

        return run


def grouped_parts(strategy: Any, values: Sequence[Any]) -> Any:
    """Returns the operation of all that values of a strategy stand for."""
    return tf.group(*[part for value in values for part in strategy.experimental_local_results(value)])
