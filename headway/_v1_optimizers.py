"""Optimizers of `tf.compat.v1.train` in a training step of headway's, under the names that tf.estimator gave theirs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from headway import _context


@dataclasses.dataclass(frozen=True)
class V1Optimizer:
    """An optimizer of `tf.compat.v1.train`, and where its variables stand in checkpoints.

    Attributes:
      optimizer: the optimizer.
      slots: what stands between a variable's name and that of a slot of it: the slot "Adam" of "dnn/logits/bias" is
        "dnn/logits/bias/t_0/Adam" for "t_0/".
      scope: what the names of its other variables begin with: "dnn/head/" for "dnn/head/beta1_power".
    """

    optimizer: tf.compat.v1.train.Optimizer
    slots: str = ""
    scope: str = ""

    def apply(self, gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
        """Updates the variables by gradients that add up over the replicas; None leaves a variable as it is."""
        with self._named(variables):
            self.optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))

    @contextlib.contextmanager
    def _named(self, variables: Sequence[tf.Variable]) -> Iterator[None]:
        owners = [f"{variable.name.partition(':')[0]}/" for variable in variables]

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
            return f"{owner}{self.slots}{name.removeprefix(owner)}"

        context = _context.current()
        renamed = [] if context is None else context.renamed
        renamed.append(rename)
        try:
            yield
        finally:
            # Another replica's may be the last.
            renamed.remove(rename)
