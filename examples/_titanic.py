"""The passenger list of the Titanic, as it ships inside scikit-learn's wheel: 1309 rows, nothing to download."""

from __future__ import annotations

import csv
import gzip
from importlib import resources

import pandas as pd

_FOLDER = "sklearn.datasets.tests.data.openml.id_40945"
_FILE = "data-v1-dl-16826755.arff.gz"
_NUMBERS = ["pclass", "survived", "age", "sibsp", "parch", "fare"]


def load() -> pd.DataFrame:
    """Returns the passengers: strings ('' where unknown), numbers (NaN where unknown), and `survived` as 0 or 1.

    `boat` and `body` are left out: they were written down after the event that is to be predicted. Two columns are made
    from others: `title` ("Mr", "Master", ...) from the name, and `deck` ("A" to "G", and one "T") from the cabin.

    Raises:
      FileNotFoundError: the installed scikit-learn comes without its test data.
    """
    passengers = _read_arff(_packed().decode())
    numbers = passengers[_NUMBERS].replace("", "nan").astype("float32")
    frame = passengers[["name", "sex", "embarked"]].assign(**{name: numbers[name] for name in _NUMBERS})
    return frame.assign(
        pclass=frame["pclass"].astype("int64"),
        survived=frame["survived"].astype("int64"),
        title=passengers["name"].str.extract(r", ([^.]+)\.", expand=False).fillna(""),
        deck=passengers["cabin"].str[:1],
    )


def split(frame: pd.DataFrame, test_share: float = 0.25, seed: int = 7) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the rows in random order, as (train, test)."""
    shuffled = frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    test_rows = int(len(shuffled) * test_share)
    return shuffled.iloc[test_rows:].reset_index(drop=True), shuffled.iloc[:test_rows].reset_index(drop=True)


def _packed() -> bytes:
    try:
        return gzip.decompress(resources.files(_FOLDER).joinpath(_FILE).read_bytes())
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise FileNotFoundError(
            f"The data lies in scikit-learn's wheel ({_FOLDER.replace('.', '/')}/{_FILE}), but the installed "
            "scikit-learn comes without its test data. Install the wheel: pip install --force-reinstall scikit-learn"
        ) from error


def _read_arff(text: str) -> pd.DataFrame:
    """Returns the table of an ARFF file, all values as strings, with '' for '?'. SciPy's reader takes no strings."""
    header, _, body = text.partition("@data")
    names = [line.split("'")[1] for line in header.splitlines() if line.startswith("@attribute")]
    rows = csv.reader(body.strip().splitlines(), escapechar="\\", doublequote=False)
    return pd.DataFrame(
        [["" if value == "?" else value for value in row] for row in rows], columns=names, dtype="object"
    )
