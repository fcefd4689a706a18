"""A text as sequences: that of a file beside the census, or the guides of this project."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_FILE = "tinyshakespeare.txt"
_GUIDES = Path(__file__).resolve().parents[2] / "docs"
STEPS = 32
CONTEXT = 4
WORDS = 3000


@dataclasses.dataclass(frozen=True)
class Rows:
    """Features by name, and labels."""

    features: dict[str, npt.NDArray[Any]]
    labels: npt.NDArray[np.int64]


def _text(folder: str | None) -> str:
    file = Path(folder or "", _FILE)
    if folder and file.exists():
        return file.read_text()
    return "\n".join(page.read_text() for page in sorted(_GUIDES.glob("*.md")))


def characters(folder: str | None) -> tuple[Rows, Rows, int]:
    """Returns rows to train and to test, the last tenth of the text, and the number of different characters.

    A row is `STEPS` characters as ids, and the one after them.
    """
    text = _text(folder)
    known = sorted(set(text))
    ids = np.asarray([known.index(letter) for letter in text], np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(ids, STEPS + 1)
    cut = len(windows) * 9 // 10
    test = windows[cut + STEPS :: 10]
    return *(Rows({"letters": part[:, :-1]}, part[:, -1]) for part in (windows[:cut], test)), len(known)  # type: ignore[return-value]


def words(folder: str | None) -> tuple[Rows, Rows, dict[str, npt.NDArray[Any]]]:
    """Returns rows to train and to test, and the frequent words with their shares: the candidates.

    A row is `CONTEXT` words as ids, the frequent word after them, and its share of the training rows.
    """
    found = re.findall(r"[a-z']+", _text(folder).lower())
    spelled, counts = np.unique(found, return_counts=True)
    frequent = spelled[np.argsort(-counts, kind="stable")][:WORDS]
    number = {word: i + 1 for i, word in enumerate(frequent)}
    ids = np.asarray([number.get(word, 0) for word in found], np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(ids, CONTEXT + 1)
    cut = len(windows) * 9 // 10
    train, test = windows[:cut], windows[cut + CONTEXT :]
    train, test = train[train[:, -1] > 0], test[test[:, -1] > 0]
    share = np.maximum(np.bincount(train[:, -1], minlength=len(frequent) + 1), 1) / len(train)

    def rows(part: npt.NDArray[np.int64]) -> Rows:
        features = {"before": part[:, :-1], "last": part[:, -2], "word": part[:, -1]}
        return Rows({**features, "share": share[part[:, -1]].astype("float32")}, part[:, -1])

    return rows(train), rows(test), {"word": np.arange(1, len(frequent) + 1), "share": share[1:]}
