"""Names that old programs may ask for, and that cannot work any more: what to use instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

_BOOSTED_TREES: Final = (
    "Boosted trees left tf.estimator in version 2.9, and their files cannot be read. Use the trees of YDF: "
    "headway.GradientBoostedTreesClassifier or GradientBoostedTreesRegressor (pip install headway[trees])"
)
_TREES: Final = ("BoostedTreesClassifier", "BoostedTreesEstimator", "BoostedTreesRegressor")


def gone(name: str, instead: str) -> type:
    """Returns a class of that name that cannot be made: the attempt says what to use instead."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        del self, args, kwargs
        raise NotImplementedError(f"{name} cannot be made. {instead}.")

    return type(name, (), {"__init__": __init__, "__doc__": f"{name}, which cannot be made. {instead}."})


def missing(module: str, name: str, elsewhere: Mapping[str, str]) -> Any:
    """Returns what stands for a name that a module lacks.

    Args:
      module: the module's name.
      name: the name that it lacks.
      elsewhere: name -> where it is.

    Raises:
      AttributeError: if nothing stands for it; the message says where it is.
    """
    if name in _TREES:
        return gone(name, _BOOSTED_TREES)
    hint = f" It is {elsewhere[name]}." if name in elsewhere else ""
    raise AttributeError(f"module {module!r} has no attribute {name!r}.{hint}")
