"""tf.estimator's names for the variables of optimizers, and the settings that it kept beside them.

Its checkpoints hold a Keras optimizer's variables under `training/<class>/<variable>/<slot>`. Keras 2 also kept numbers
such as `beta_1` there, of which Keras 3 makes no variables; tf.estimator reads no checkpoint without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from headway import _tensorflow
from headway._updates_keras_2 import NADAM_SLOWING

_SLOTS = {
    "momentum": {"Adam": "m", "LazyAdam": "m", "Nadam": "m", "Adamax": "m", "AdamW": "m"},
    "velocity": {"Adam": "v", "LazyAdam": "v", "Nadam": "v", "AdamW": "v", "RMSprop": "rms"},
    "velocity_hat": {"Adam": "vhat", "AdamW": "vhat"},
    "norm": {"Adamax": "v"},
    "average_gradient": {"RMSprop": "mg"},
    "accumulated_grad": {"Adadelta": "accum_grad"},
    "accumulated_delta_var": {"Adadelta": "accum_var"},
}
_SETTINGS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum",),
    "Adagrad": (),
    "Adam": ("beta_1", "beta_2"),
    "LazyAdam": ("beta_1", "beta_2"),
    "Adamax": ("beta_1", "beta_2"),
    "Nadam": ("beta_1", "beta_2"),
    "RMSprop": ("rho", "momentum"),
    "Adadelta": ("rho",),
    "Ftrl": ("learning_rate_power", "l1_regularization_strength", "l2_regularization_strength", "beta"),
}


def variable_name(prefix: str, kind: str, name: str, references: Iterable[tuple[str, str]], number: int) -> str:
    """Returns tf.estimator's name for a variable that Keras 3 calls `<path, with underscores>_<slot>`.

    Args:
      prefix: what the names of this optimizer's variables begin with.
      kind: class of the optimizer.
      name: Keras 3's name.
      references: of each variable of the model what Keras's names of its slots may begin with, and its full name.
      number: how often the optimizer has asked for a variable of that name before: Keras has one name for the slots of
        `a/b` and `a_b`, and asks for them in the order of the variables.
    """
    fitting = [(start, full_name) for start, full_name in references if name.startswith(f"{start}_")]
    if fitting:
        longest = max(len(start) for start, _ in fitting)
        owners = list(dict.fromkeys(full_name for start, full_name in fitting if len(start) == longest))
        slot = name[longest + 1 :]
        return f"{prefix}/{owners[min(number, len(owners) - 1)]}/{_SLOTS.get(slot, {}).get(kind, slot)}"
    if name == "iteration":
        return f"{prefix}/iter"
    # Keras leaves the product of Nadam's momentums without a name of its own.
    return f"{prefix}/momentum_cache" if kind == "Nadam" and name.startswith("variable") else f"{prefix}/{name}"


def references(optimizer: Any, variables: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns what `variable_name` takes as its `references`.

    Args:
      optimizer: a Keras optimizer.
      variables: the model's variables by full name.
    """
    names = {id(variable): name for name, variable in variables.items()}
    found = []
    for variable in _tensorflow.variables_of_slots(optimizer):
        full_name = names.get(id(_tensorflow.keras_variable_value(variable)))
        if full_name is not None:
            own = variable.path if isinstance(variable, keras.Variable) else variable.name
            found.append((_as_keras(own), full_name))
    if found:
        return found
    # Averages and sums of gradients are made before the optimizer knows its variables. A variable of Keras is named by
    # its path, and a tf.Variable by its name, which ends in ":0".
    longest_first = sorted(variables, key=len, reverse=True)
    return [(start, name) for name in longest_first for start in (_as_keras(f"{name}:0"), _as_keras(name))]


def _as_keras(name: str) -> str:
    return name.replace("/", "_").replace(":", "_")


def settings(optimizer: Any) -> dict[str, float]:
    """Returns the numbers by name that Keras 2 kept as variables, other than a constant learning rate."""
    names = _SETTINGS.get(type(optimizer).__name__)
    if names is None:
        return {}
    found = {name: getattr(optimizer, name) for name in names}
    # Keras 3 has schedules in the place of `decay`; Nadam's was the slowing of its schedule of momentum.
    decayed = _decayed(optimizer)
    if "Nadam" in type(optimizer).__name__:
        decayed = {"decay": NADAM_SLOWING}
    return {**decayed, **{name: float(value) for name, value in found.items() if isinstance(value, int | float)}}


def _decayed(optimizer: Any) -> dict[str, float]:
    """Returns Keras 2's `decay`; with the learning rate that it is applied to, where Keras 3 has a schedule for both.

    An old optimizer that was given the schedule itself asks for no learning rate, and leaves `decay` alone.
    """
    schedule = _tensorflow.schedule_of(optimizer)
    if not isinstance(schedule, keras.optimizers.schedules.InverseTimeDecay):
        return {"decay": 0.0}
    if schedule.decay_steps != 1 or schedule.staircase:
        return {"decay": 0.0}
    return {"decay": schedule.decay_rate, "learning_rate": schedule.initial_learning_rate}
