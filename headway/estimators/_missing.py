"""What to say about a checkpoint that is another model's: what each of the two has alone."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# A variable of a Keras optimizer, and the name of that.
_OPTIMIZER = re.compile(r"training/([A-Za-z]+)(_\d+)?/")
# Of what a checkpoint has and a model has not, so many are named.
MOST_NAMES = 10


def missing_message(missing: list[str], extra: list[str], path: str) -> str:
    """Returns what to say about a checkpoint that lacks variables of a model.

    Args:
      missing: full names of the variables.
      extra: names that are in the checkpoint alone.
      path: the checkpoint.
    """
    near = {name: difflib.get_close_matches(name, extra, 1, 0.6) for name in missing}
    lines = [f"  {name}" + (f"   (closest there: {found[0]})" if found else "") for name, found in near.items()]
    mine, theirs = _optimizers(missing), _optimizers(extra)
    if theirs and mine != theirs and all(map(_OPTIMIZER.match, missing)):
        why = (
            f"The model is trained by {' and '.join(mine)}, and the checkpoint was written with "
            f"{' and '.join(theirs)}. Give the model that optimizer, or use another model_dir and warm-start from this "
            "one: slots start anew then."
        )
    else:
        there = extra if len(extra) <= MOST_NAMES else [*extra[:MOST_NAMES], f"and {len(extra) - MOST_NAMES} more"]
        why = (
            f"The checkpoint has, and the model has not: {', '.join(there) or 'nothing'}. It was written by another "
            "model, or model_fn has changed since. Use another model_dir, or warm-start from it instead."
        )
    number = "1 variable" if len(missing) == 1 else f"{len(missing)} variables"
    return f"The checkpoint {path} lacks {number} of the model:\n" + "\n".join(lines) + f"\n{why}"


def _optimizers(names: Iterable[str]) -> list[str]:
    return sorted({match[1] for name in names if (match := _OPTIMIZER.match(name))})
