"""What dense columns over a column of ids have in common."""

from __future__ import annotations

import dataclasses
from typing import Any

from headway.feature_columns._protocol import DenseColumn, FeatureColumn, IdColumn, SequenceColumn


@dataclasses.dataclass(frozen=True)
class OverIds(DenseColumn):
    """A dense column that is computed from ids, on the device; of a sequence of ids, for each step.

    Attributes:
      categorical_column: the column of ids.
    """

    categorical_column: IdColumn

    @property
    def parse_example_spec(self) -> dict[str, Any]:
        """That of the categorical column."""
        return self.categorical_column.parse_example_spec

    @property
    def parents(self) -> list[FeatureColumn | str]:
        """The categorical column."""
        return [self.categorical_column]

    @property
    def host_columns(self) -> tuple[FeatureColumn, ...]:
        """The categorical column."""
        return (self.categorical_column,)

    @property
    def sequence(self) -> SequenceColumn | None:
        """The categorical column, if that is a sequence."""
        return self.categorical_column if isinstance(self.categorical_column, SequenceColumn) else None
