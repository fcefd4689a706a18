"""The census table and the wide & deep model of the classic tutorial, the same for all contenders.

The table is UCI census income (https://archive.ics.uci.edu/dataset/2/adult), 32,561 rows to train and 16,281 to
test, or one that NumPy makes with the same columns, sizes and numbers of distinct values.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import _measure
import numpy as np
import numpy.typing as npt

BATCH_SIZE = 256
HIDDEN_UNITS = [100, 50]
FTRL_RATE = 0.005

NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
WORDS = {
    # Column: number of distinct values.
    "workclass": 9,
    "education": 16,
    "marital_status": 7,
    "occupation": 15,
    "relationship": 6,
    "race": 5,
    "sex": 2,
    "native_country": 42,
}
INDICATORS = ["workclass", "education", "marital_status", "relationship", "sex"]
AGE_LIMITS = [18, 25, 30, 35, 40, 45, 50, 55, 60, 65]
BUCKETS = 1000
DIMENSION = 8

_FILE_COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]
_NUMBERS_IN_FILE = [*NUMBERS, "fnlwgt"]
ROWS = {"train": 32_561, "test": 16_281}


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of the census.

    Attributes:
      features: columns by name: float32 numbers, and strings as objects; 14 of them, one of which no model uses.
      labels: int64, 1 where the income is above 50,000.
    """

    features: dict[str, npt.NDArray[Any]]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def both(self) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64]]:
        """`(features, labels)`."""
        return self.features, self.labels


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments that all contenders on the census take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--census", help="folder with adult.data and adult.test; without it the table is made up")
    parser.add_argument("--steps", type=int, default=2000, help="training steps before the evaluation")
    parser.add_argument("--more_steps", type=int, default=0, help="training steps after it, for the rate")
    parser.add_argument("--dnn_rate", type=float, default=0.001, help="learning rate of Adagrad, for the deep part")
    parser.add_argument("--seed", type=int, default=1, help="where the weights start")
    parser.add_argument("--only_quality", action="store_true", help="train and evaluate, and measure no rates")
    parser.add_argument(
        "--evaluations", type=int, default=0, help="measure the memory of so many evaluate() calls only"
    )
    return parser


def load(folder: str | None) -> tuple[Table, Table]:
    """Returns the rows to train and the rows to test, from the files in `folder` or made up."""
    if folder is None:
        return _made_up("train"), _made_up("test")
    return _read(Path(folder) / "adult.data"), _read(Path(folder) / "adult.test")


def _read(path: Path) -> Table:
    import pandas as pd  # only where there are files to read

    frame = pd.read_csv(path, names=_FILE_COLUMNS, skipinitialspace=True, comment="|").dropna()
    labels = frame.pop("income").str.startswith(">50K").to_numpy(np.int64)
    return Table(
        {
            name: frame[name].to_numpy("float32" if name in _NUMBERS_IN_FILE else object)
            for name in _FILE_COLUMNS
            if name != "income"
        },
        labels,
    )


def _made_up(part: str) -> Table:
    rows = ROWS[part]
    random = np.random.default_rng([7, len(part)])
    features: dict[str, npt.NDArray[Any]] = {
        "age": np.clip(random.gamma(8.0, 5.0, rows), 17, 90).astype(int).astype("float32"),
        "fnlwgt": random.integers(12_000, 1_500_000, rows).astype("float32"),
        "education_num": random.integers(1, 17, rows).astype("float32"),
        "capital_gain": np.where(random.random(rows) < 0.08, random.integers(100, 99_999, rows), 0).astype("float32"),
        "capital_loss": np.where(random.random(rows) < 0.05, random.integers(100, 4_356, rows), 0).astype("float32"),
        "hours_per_week": np.clip(random.normal(40, 12, rows), 1, 99).astype(int).astype("float32"),
    }
    score = 0.03 * features["age"] + 0.25 * features["education_num"] + features["capital_gain"] / 8000
    for name, count in WORDS.items():
        share = 1.0 / np.arange(1, count + 1)
        codes = random.choice(count, rows, p=share / share.sum())
        features[name] = np.asarray([f"{name}-{code:02d}" for code in range(count)], object)[codes]
        weights = np.random.default_rng(_number(name)).normal(0, 0.5, count)
        score = score + weights[codes]
    threshold = 5.6  # about a quarter of the rows is above it
    labels = (score + random.logistic(0, 0.5, rows) > threshold).astype(np.int64)
    return Table(features, labels)


def _number(name: str) -> int:
    """Returns a number that depends on the name alone, in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def vocabulary(train: Table) -> dict[str, list[str]]:
    """Returns the distinct values of each column of words, sorted."""
    return {name: sorted(set(train.features[name])) for name in WORDS}


def scales(train: Table) -> dict[str, tuple[float, float]]:
    """Returns mean and standard deviation of each column of numbers."""
    return {name: (float(train.features[name].mean()), float(train.features[name].std())) for name in NUMBERS}


def columns(fc: Any, train: Table) -> tuple[list[Any], list[Any]]:
    """Returns the wide and the deep columns.

    Args:
      fc: `tf.feature_column` or `headway.feature_columns`: names and arguments are the same.
      train: the rows to train.
    """
    words = {name: fc.categorical_column_with_vocabulary_list(name, v) for name, v in vocabulary(train).items()}
    age = fc.bucketized_column(fc.numeric_column("age"), AGE_LIMITS)
    wide = [
        *words.values(),
        age,
        fc.crossed_column(["education", "occupation"], BUCKETS),
        fc.crossed_column([age, "education", "occupation"], BUCKETS),
    ]

    def number(name: str, mean: float, scale: float) -> Any:
        return fc.numeric_column(name, normalizer_fn=lambda x: (x - mean) / scale)

    deep = [
        *(number(name, mean, scale) for name, (mean, scale) in scales(train).items()),
        *(fc.indicator_column(words[name]) for name in INDICATORS),
        fc.embedding_column(fc.categorical_column_with_hash_bucket("occupation", BUCKETS), DIMENSION),
        fc.embedding_column(words["native_country"], DIMENSION),
    ]
    return wide, deep


def row_by_row(tf: Any, table: Table, *, labels: bool = True, train: bool = False) -> Any:
    """Returns the `tf.data.Dataset` that a user writes: rows are sliced, shuffled and batched one by one."""
    dataset = tf.data.Dataset.from_tensor_slices(table.both if labels else table.features)
    if train:
        dataset = dataset.shuffle(len(table), seed=1).repeat()
    return dataset.batch(BATCH_SIZE).prefetch(2)


def run(contender: _measure.Contender, arguments: argparse.Namespace, began: float) -> None:
    """Measures a contender and reports.

    Args:
      contender: trains on the one part of the census, evaluates and predicts on the other.
      arguments: those of `parser`.
      began: `time.perf_counter()` at the end of `import tensorflow`.
    """
    if arguments.evaluations:
        _measure.report(_measure.memory(contender, arguments.evaluations))
        return
    figures = _measure.train(contender, arguments.steps, warm_up=200, began=began)
    if arguments.only_quality:
        _measure.report(contender.evaluate())
        return
    metrics: dict[str, float] = {}
    rows = ROWS["test"]
    figures |= _measure.twice("evaluate", rows, lambda: metrics.update(contender.evaluate()))
    figures |= _measure.twice("predict", rows, contender.predict)
    if arguments.more_steps:
        again = _measure.train(contender, arguments.more_steps, warm_up=200, began=began)
        figures |= {**again, "first_step_s": figures["first_step_s"]}
    _measure.report({**figures, **metrics})
