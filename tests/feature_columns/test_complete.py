"""Tables that are transformed at once say where no id is absent; models then leave out what such ids would need."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway import input_pipelines
from headway.estimators import DNNLinearCombinedClassifier, RunConfig
from headway.feature_columns import _layout

RNG = np.random.default_rng(11)
ROWS = 48
# "full" and "pair" have a value everywhere; "holes" and "holes_in_pair" lack some.
FEATURES: dict[str, Any] = {
    "full": RNG.choice(["a", "b", "c"], ROWS),
    "holes": RNG.choice(["a", "b", "unknown"], ROWS),
    "pair": RNG.choice(["a", "b"], (ROWS, 2)),
    "holes_in_pair": RNG.choice(["a", "unknown"], (ROWS, 2)),
    "x": RNG.normal(size=ROWS).astype("float32"),
}
LABELS = RNG.integers(0, 2, ROWS)
NAMES = ("full", "holes", "pair", "holes_in_pair")
WORDS = {name: fc.categorical_column_with_vocabulary_list(name, ["a", "b", "c"]) for name in NAMES}


def completeness(pipeline: Any) -> dict[str, bool]:
    (places,) = [_layout.places(features) for features, _ in pipeline.dataset().take(1)]
    return {name: places[column.digest].complete for name, column in WORDS.items()}


def test_a_table_tells_which_columns_are_complete() -> None:
    transform = fc.ColumnTransform(list(WORDS.values()))
    pipeline = input_pipelines.from_arrays(FEATURES, LABELS, batch_size=16).map_batches(transform)
    assert completeness(pipeline) == {"full": True, "holes": False, "pair": True, "holes_in_pair": False}


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200])
def test_one_missing_value_anywhere_is_found(rows: int) -> None:
    transform = fc.ColumnTransform([WORDS["full"], WORDS["holes"]])
    for hole in {0, rows // 2, rows - 1}:
        words = np.full(rows, "b")
        table = transform({"full": words, "holes": np.where(np.arange(rows) == hole, "", words)})
        places = _layout.places(transform.of_all_rows(table))
        assert [places[WORDS[name].digest].complete for name in ("full", "holes")] == [True, False]


def test_batches_tell_nothing_about_other_batches() -> None:
    transformed = fc.ColumnTransform(list(WORDS.values()))({name: FEATURES[name] for name in NAMES})
    assert not any(place.complete for place in _layout.places(transformed).values())


@pytest.mark.parametrize("optimizer", ["Adagrad", "SGD", "Ftrl"])
def test_a_model_learns_the_same_with_the_marks_and_without(optimizer: str, tmp_path: pathlib.Path) -> None:
    columns = list(WORDS.values())
    deep = [
        fc.numeric_column("x"),
        *(fc.embedding_column(column, 2) for column in columns),
        *(fc.indicator_column(column) for column in columns),
    ]

    def trained(name: str, source: Any) -> DNNLinearCombinedClassifier:
        model = DNNLinearCombinedClassifier(
            str(tmp_path / name),
            linear_feature_columns=columns,
            dnn_feature_columns=deep,
            dnn_hidden_units=[4],
            dnn_optimizer=keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.1}}),
            config=RunConfig(progress="none", tf_random_seed=5),
        )
        return model.train(source, steps=9)

    table = input_pipelines.from_arrays(FEATURES, LABELS, batch_size=16, num_epochs=None)
    batches = tf.data.Dataset.from_tensor_slices((FEATURES, LABELS)).batch(16).repeat()
    # What passes through a generator is no table that could be transformed at once.
    stream = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=batches.element_spec)
    marked, unmarked = trained("marked", table), trained("unmarked", lambda: stream)
    names = marked.get_variable_names()
    assert names == unmarked.get_variable_names()
    for name in names:
        first, second = marked.get_variable_value(name), unmarked.get_variable_value(name)
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6, err_msg=name)
