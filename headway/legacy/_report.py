"""What a check of programs has found."""

from __future__ import annotations

import collections
import dataclasses
import json
from typing import Any

RUN = "headway run"
RUN_WITH_KERAS_2 = "headway run --legacy-keras"
RUN_AS_TF1 = "headway run --tf1"
EDIT = "edit"
NOTHING = "nothing"
KINDS = (RUN, RUN_WITH_KERAS_2, RUN_AS_TF1, EDIT, NOTHING)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One use of a name that TensorFlow has dropped.

    Attributes:
      path: the file.
      line: its line, from 1.
      column: its column, from 1.
      name: the name, as with `import tensorflow as tf`.
      kind: "headway run", "headway run --legacy-keras" or "headway run --tf1" if it works as it is under that command;
        "edit" if it needs an edit; "nothing" if there is no counterpart.
      advice: what headway has for it, or what to write.

    Example:
      >>> Finding("a.py", 3, 1, "tf.contrib.rnn.LSTMCell", "edit", "write tf.compat.v1.nn.rnn_cell.LSTMCell").line
      3
    """

    path: str
    line: int
    column: int
    name: str
    kind: str
    advice: str

    @property
    def needs_edit(self) -> bool:
        """Whether the program does not run as it is."""
        return self.kind in (EDIT, NOTHING)


@dataclasses.dataclass(frozen=True)
class Report:
    """What programs use that TensorFlow has dropped; `str` of it is a table for people.

    Attributes:
      findings: by file, line and column.
      files: how many files were read.
      tensorflow: the version that the names were looked up in.

    Example:
      >>> print(Report((), 1, "2.21.0"))
      1 file uses nothing that TensorFlow 2.21.0 has dropped.
    """

    findings: tuple[Finding, ...]
    files: int
    tensorflow: str

    @property
    def needs_edit(self) -> bool:
        """Whether a program does not run as it is under `headway run`, whatever its flags."""
        return any(finding.needs_edit for finding in self.findings)

    def to_json(self) -> str:
        """Returns the report as JSON: an object with the fields of `Report` and of each `Finding`."""
        fields: dict[str, Any] = {**dataclasses.asdict(self), "needs_edit": self.needs_edit}
        return json.dumps(fields, indent=1)

    def __str__(self) -> str:
        files = f"{self.files} file{'s' if self.files != 1 else ''}"
        if not self.findings:
            return f"{files} use{'s' if self.files == 1 else ''} nothing that TensorFlow {self.tensorflow} has dropped."
        lines: list[str] = []
        by_path: dict[str, dict[tuple[int, str], list[Finding]]] = {}
        for finding in self.findings:
            names = by_path.setdefault(finding.path, {})
            names.setdefault((KINDS.index(finding.kind), finding.name), []).append(finding)
        for path, names in by_path.items():
            lines.append(path)
            for (_, name), same in sorted(names.items()):
                places = ", ".join(str(line) for line in dict.fromkeys(finding.line for finding in same))
                lines.append(f"  {name}  (line{'s' if ',' in places else ''} {places})")
                lines.append(f"      {same[0].advice}")
        return "\n".join([*lines, "", self._summary(files)])

    def _summary(self, files: str) -> str:
        count = collections.Counter(kind for kind, _ in {(finding.kind, finding.name) for finding in self.findings})
        texts = {
            RUN: "{} work under `headway run`",
            RUN_WITH_KERAS_2: "{} work under `headway run --legacy-keras`",
            RUN_AS_TF1: "{} work under `headway run --tf1`",
            EDIT: "{} need an edit",
            NOTHING: "{} have no counterpart",
        }
        parts = ", ".join(texts[kind].format(count[kind]) for kind in KINDS if count[kind])
        return f"{files}, {sum(count.values())} names that TensorFlow {self.tensorflow} has dropped: {parts}."
