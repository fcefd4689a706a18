"""Optimizers of `tf.compat.v1.train` in a training step of headway's, under the names that tf.estimator gave theirs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from headway import _context
from headway._slices import Place, places_of_parts


@dataclasses.dataclass(frozen=True)
class V1Optimizer:
    """An optimizer of `tf.compat.v1.train`, and where its variables stand in checkpoints.

    Attributes:
      optimizer: the optimizer.
      slots: what stands between a variable's name and that of a slot of it: the slot "Adam" of "dnn/logits/bias" is
        "dnn/logits/bias/t_0/Adam" for "t_0/".
      scope: what the names of its other variables begin with: "dnn/head/" for "dnn/head/beta1_power".
      partitioner: a partitioner of `tf.compat.v1`, or None. tf.estimator cut variables by it; they are whole here, and
        checkpoints hold their slots in the parts that it looked for.
      partitioned: what the names of the variables begin with that it cut.
    """

    optimizer: tf.compat.v1.train.Optimizer
    slots: str = ""
    scope: str = ""
    partitioner: Callable[..., Sequence[int]] | None = None
    partitioned: str = ""

    def apply(self, gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
        """Updates the variables by gradients that add up over the replicas; None leaves a variable as it is."""
        with self._named(variables):
            self.optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))

    @contextlib.contextmanager
    def _named(self, variables: Sequence[tf.Variable]) -> Iterator[None]:
        owners = {f"{variable.name.partition(':')[0]}/": variable for variable in variables}
        context = _context.current()
        seen: collections.Counter[str] = collections.Counter()

        def rename(name: str) -> str:
            owner = max((owner for owner in owners if name.startswith(owner)), key=len, default=None)
            if owner is None:
                return f"{self.scope}{name}"
            if tf.executing_eagerly():
                # The second slot of a kind has a number, and TensorFlow goes on counting from one step to the next.
                name = re.sub(r"_\d+$", "", name)
                seen[name] += 1
                name = name if seen[name] == 1 else f"{name}_{seen[name] - 1}"
            slot = name.removeprefix(owner)
            places = self._places(owner, slot, owners[owner])
            if len(places) > 1 and context is not None:
                context.places[places[0][0]] = places
            return f"{owner}{self.slots}{slot}"

        renamed = [] if context is None else context.renamed
        renamed.append(rename)
        try:
            yield
        finally:
            # Another replica's may be the last.
            renamed.remove(rename)

    def _places(self, owner: str, slot: str, variable: tf.Variable) -> list[Place]:
        """Returns where tf.estimator looked for the parts of a slot, in the order of the parts."""
        if self.partitioner is None or not owner.startswith(self.partitioned):
            return []
        counts = list(self.partitioner(shape=variable.shape, dtype=variable.dtype))
        axis = max(range(len(counts)), key=counts.__getitem__)
        names = [f"{owner}{self.slots.replace('0', str(i))}{slot}" for i in range(counts[axis])]
        return places_of_parts(names, variable.shape.as_list(), axis)
