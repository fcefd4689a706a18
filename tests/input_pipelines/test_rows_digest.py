"""The name for the rows of a pipeline, by which a resumed run notices that they are others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from headway import input_pipelines


def table(rows: int = 40) -> dict[str, Any]:
    return {
        "number": np.arange(rows) / 7.0,
        "word": np.array(["a", "b"], object)[np.arange(rows) % 2],
        "vector": np.arange(rows * 3).reshape(rows, 3),
    }


def digest(features: Any, labels: Any = None) -> str | None:
    return input_pipelines.from_arrays(features, labels, batch_size=4).rows_digest


def test_equal_rows_have_one_name_however_they_are_read() -> None:
    labels = np.arange(40) % 2
    pipeline = input_pipelines.from_arrays(table(), labels, batch_size=4)
    names = {pipeline.rows_digest, digest(table(), labels)}
    names.add(pipeline.map_batches(lambda features: {"twice": 2 * features["number"]}).rows_digest)
    names |= {pipeline.shard(2, 1).rows_digest, pipeline.with_seed(3).rows_digest, pipeline.fresh().rows_digest}
    pipeline.tables()
    names.add(pipeline.rows_digest)
    frame = pd.DataFrame({"number": table()["number"], "word": table()["word"]})
    assert len(names) == 1
    assert len({input_pipelines.from_dataframe(frame, batch_size=n).rows_digest for n in (3, 4)}) == 1


@pytest.mark.parametrize("key", ["number", "word", "vector"])
@pytest.mark.parametrize("row", [0, 17, 39])
def test_another_value_has_another_name(key: str, row: int) -> None:
    changed = table()
    changed[key] = changed[key].copy()
    changed[key][row] = "c" if key == "word" else 5000
    assert digest(changed) != digest(table())


def test_what_else_has_another_name() -> None:
    base = table()
    others = [
        {"other": base["number"], "word": base["word"], "vector": base["vector"]},
        {**base, "number": base["number"].astype(np.float32)},
        {key: value[::-1] for key, value in base.items()},
        {key: value[:39] for key, value in base.items()},
    ]
    names = [digest(features) for features in (base, *others)] + [digest(base, np.zeros(40)), digest(base, np.ones(40))]
    assert len(set(names)) == len(names)


def test_of_large_tables_the_first_and_last_row_count() -> None:
    image = np.zeros((300, 100, 100), np.float32)
    names = {digest({"image": image})}
    for row in (0, 299):
        changed = image.copy()
        changed[row, 0, 0] = 1.0
        names.add(digest({"image": changed}))
    words = np.array([f"w{n}" for n in range(30_000)], object)
    names.add(digest({"word": words}))
    words[-1] = "other"
    names.add(digest({"word": words}))
    assert len(names) == 5


def test_streams_have_none() -> None:
    assert input_pipelines.from_dataset(tf.data.Dataset.range(4).batch(2)).rows_digest is None
