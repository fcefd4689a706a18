"""A first set of columns for a table, as code."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from headway import _columns
from headway.feature_columns import _profile
from headway.feature_columns._bucketized import bucketized_column
from headway.feature_columns._datetime import datetime_column
from headway.feature_columns._embedding import embedding_column
from headway.feature_columns._hash_bucket import categorical_column_with_hash_bucket
from headway.feature_columns._identity import categorical_column_with_identity
from headway.feature_columns._indicator import indicator_column
from headway.feature_columns._learned import learned_quantiles, learned_scale, learned_vocabulary
from headway.feature_columns._numeric import numeric_column
from headway.feature_columns._profile import Profile
from headway.feature_columns._protocol import FeatureColumn
from headway.feature_columns._text import text_column
from headway.feature_columns._vocabulary_list import categorical_column_with_vocabulary_list

# Up to here one place in the input for each value; beyond it vectors.
_MOST_INDICATED = 16
# Vocabularies are learnt up to here; beyond it values are hashed.
_LARGEST_VOCABULARY = 10_000
_FUNCTIONS = (
    bucketized_column,
    categorical_column_with_hash_bucket,
    categorical_column_with_identity,
    categorical_column_with_vocabulary_list,
    datetime_column,
    embedding_column,
    indicator_column,
    learned_quantiles,
    learned_scale,
    learned_vocabulary,
    numeric_column,
    text_column,
)


class _Names:
    """What the code of a proposal calls `fc`: the functions that it may use."""

    def __init__(self) -> None:
        for function in _FUNCTIONS:
            setattr(self, function.__name__, function)


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What `propose` returns; its text is the code.

    Attributes:
      code: Python that makes the list `columns`, with the reasons as comments. Change it at will.
      left_out: name of each column of the table that is not proposed, and why.
    """

    code: str
    left_out: dict[str, str]

    @property
    def columns(self) -> list[FeatureColumn]:
        """The columns that the code makes: dense ones, for `adapt` to learn what they leave open."""
        _, _, body = self.code.partition("\ncolumns = ")
        # The text was written here, and names nothing but the functions above.
        columns: list[FeatureColumn] = eval(f"({body})", {"__builtins__": {}, "fc": _Names()})
        return columns

    def __str__(self) -> str:
        return self.code


def propose(frame: Any, *, label: str | None = None) -> Proposal:
    """Proposes columns for a table, as code to read and change.

    It goes by type, number of different values, missing values and form of the values: numbers are scaled (or put into
    intervals, where they are very skewed), categories become indicators or, if there are many, embeddings, sentences
    bags of words, dates their parts. Left out, with the reason, is what a model cannot use: columns with one
    value, numbers of rows and other identifiers, copies of other columns, and what gives the label away.

    It knows nothing of what the columns mean. Read what it says; above all, whether a column would be known at the time
    of a prediction.

    Args:
      frame: a pandas or polars data frame, an Arrow table, or a dict of arrays. Take the rows for training alone.
      label: name of the column that is to be predicted; None: there is none in the table.

    Returns:
      A `Proposal`: `print` it, paste the code into the program, or use its `columns`. They have to be adapted.

    Raises:
      ValueError: if `frame` is no table or has no rows, `label` is not in it, or nothing is left to propose.

    Example:
      >>> from headway import feature_columns as fc
      >>> frame = {
      ...     "age": [22.0, None, 41.0, 35.5, 58.0, 19.0], "sex": ["m", "f", "f", "m", "f", "m"],
      ...     "planet": ["earth"] * 6, "bought": [0, 1, 1, 0, 1, 0]}
      >>> proposal = fc.propose(frame, label="bought")
      >>> print(proposal)
      from headway import feature_columns as fc
      <BLANKLINE>
      # Left out:
      #   planet: one value only, 'earth'
      #   sex: gives the label away (one value of 'bought' for each of its values); was it known beforehand?
      columns = [
          # age: 5 different numbers from 19 to 58; 17% missing
          fc.numeric_column('age', normalizer_fn=fc.learned_scale()),
      ]
      >>> columns = fc.adapt(proposal.columns, frame)
    """
    table = _columns.of_frame(frame)
    if label is not None and label not in table:
        raise ValueError(f"`label` {label!r} of propose is not among the columns. Columns: {sorted(map(str, table))}")
    profiles = {name: _profile.profile(name, values) for name, values in table.items()}
    rows = {profile.rows for profile in profiles.values()}
    if rows == {0} or not rows:
        raise ValueError("`frame` of propose has no rows.")
    if len(rows) > 1:
        raise ValueError(f"The columns of `frame` must have one length. Received: {sorted(rows)}")
    answer = profiles.pop(label) if label is not None else None
    left_out = _left_out(profiles, answer)
    lines = []
    for name, profile in profiles.items():
        if name not in left_out:
            code, reason = _column_code(profile)
            lines += [f"    # {_one_line(name)}: {reason}", f"    {code},"]
    if not lines:
        raise ValueError(f"Nothing is left to propose: {left_out}")
    notes = [f"#   {_one_line(name)}: {_one_line(reason)}" for name, reason in sorted(left_out.items())]
    head = ["from headway import feature_columns as fc", "", *(["# Left out:", *notes] if notes else [])]
    return Proposal("\n".join([*head, "columns = [", *lines, "]"]) + "\n", left_out)


def _one_line(text: str) -> str:
    """Returns text that a comment can hold."""
    return re.sub(r"[\r\n\f\v\x1c-\x1e\x85\u2028\u2029]+", " ", text)


def _left_out(profiles: dict[str, Profile], answer: Profile | None) -> dict[str, str]:
    """Returns why each column that is no input is none."""
    reasons: dict[str, str] = {}
    for name, profile in profiles.items():
        reason = profile.useless
        if reason is None and answer is not None and _determines(profile, answer):
            reason = (
                f"gives the label away (one value of {answer.name!r} for each of its values); was it known beforehand?"
            )
        if reason is not None:
            reasons[name] = reason
    # The column that is easier on a model stands for its copies: the later one of these is left out.
    rest = [profile for name, profile in profiles.items() if name not in reasons and profile.codes is not None]
    for first, second in itertools.combinations(rest, 2):
        if first.name not in reasons and second.name not in reasons and _same(first, second):
            reasons[second.name] = f"says the same as {first.name!r}, value for value"
    return reasons


def _determines(profile: Profile, answer: Profile) -> bool:
    """Whether the label follows from the column, although the column repeats its values often enough to tell."""
    if profile.codes is None or answer.codes is None or not 1 < answer.distinct <= _MOST_INDICATED:
        return False
    if profile.distinct > max(2 * answer.distinct, 3) or profile.missing:
        return False
    return _pairs(profile.codes, answer.codes) == profile.distinct


def _same(first: Profile, second: Profile) -> bool:
    """Whether the values of two columns belong to each other one to one."""
    if first.codes is None or second.codes is None or first.distinct != second.distinct:
        return False
    # Where values hardly repeat, any two columns look like that.
    if first.distinct > first.rows // 3 and not np.array_equal(first.codes, second.codes):
        return False
    return _pairs(first.codes, second.codes) == len(np.unique(first.codes)) == len(np.unique(second.codes))


def _pairs(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> int:
    shifted: npt.NDArray[Any] = first.astype(np.int64) * (int(second.max(initial=0)) + 2) + second + 1
    return len(np.unique(shifted))


def _column_code(profile: Profile) -> tuple[str, str]:
    """Returns the code of a column, and what it goes by."""
    name = repr(profile.name)
    gaps = f"; {_percent(profile.missing)} missing" if profile.missing else ""
    if profile.infinite:
        gaps += f", {profile.infinite} of them infinite: put NaN in their place, `adapt` refuses them"
    if profile.kind == "number":
        return _number_code(profile, gaps)
    if profile.kind == "time":
        parts = ", ".join(map(repr, profile.time_parts))
        extra = f", format={profile.time_format!r}" if profile.time_format is not None else ""
        return f"fc.datetime_column({name}, [{parts}]{extra})", f"times{gaps}"
    if profile.kind == "text":
        # Rare words teach nothing; the largest table of vectors is kept small.
        tokens = f"fc.text_column({name}, vocabulary=fc.learned_vocabulary(min_frequency=2, max_size=10000))"
        return f"fc.embedding_column({tokens}, dimension=16)", f"text of {profile.words:.0f} words on average{gaps}"
    if profile.kind == "whole":
        ids = f"fc.categorical_column_with_vocabulary_list({name}, fc.learned_vocabulary(), dtype='int64'"
        return _indicated(profile, f"{ids})", gaps, "whole numbers")
    if profile.distinct > _LARGEST_VOCABULARY:
        ids = f"fc.categorical_column_with_hash_bucket({name}, hash_bucket_size={2 * profile.distinct})"
        return f"fc.embedding_column({ids}, dimension={_dimension(profile.distinct)})", (
            f"{profile.distinct:,} different strings, hashed{gaps}"
        )
    # What is met for the first time later on shares one more id.
    options = (
        "fc.learned_vocabulary(min_frequency=2)" if profile.distinct > _MOST_INDICATED else "fc.learned_vocabulary()"
    )
    ids = f"fc.categorical_column_with_vocabulary_list({name}, {options}, num_oov_buckets=1)"
    return _indicated(profile, ids, gaps, "strings")


def _number_code(profile: Profile, gaps: str) -> tuple[str, str]:
    name, shape = repr(profile.name), f", shape={profile.width}" if profile.width > 1 else ""
    column = f"fc.numeric_column({name}{shape}"
    numbers = f"{profile.distinct:,} different numbers from {profile.low:.4g} to {profile.high:.4g}"
    # A number that is missing would be as good as a very large one in an interval, and NaN where nothing is scaled.
    if profile.binary and not profile.missing:
        return f"{column})", "0 or 1"
    if profile.skewed and profile.width == 1 and not profile.missing:
        # Ten intervals for what is not the most frequent value, which has one by itself.
        parts = min(100, round(10 / (1.0 - profile.top_share)))
        return f"fc.bucketized_column({column}), fc.learned_quantiles({parts}))", f"{numbers}, very skewed"
    return f"{column}, normalizer_fn=fc.learned_scale())", f"{numbers}{gaps}"


def _indicated(profile: Profile, ids: str, gaps: str, what: str) -> tuple[str, str]:
    reason = f"{profile.distinct:,} different {what}{gaps}"
    if profile.distinct <= _MOST_INDICATED:
        return f"fc.indicator_column({ids})", reason
    return f"fc.embedding_column({ids}, dimension={_dimension(profile.distinct)})", reason


def _dimension(distinct: int) -> int:
    """The fourth root, a rule of thumb of TensorFlow's guides, and no fewer than four."""
    return max(4, round(math.sqrt(math.sqrt(distinct))))


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "under 1%"
