"""Columns of one kind are computed in one operation, with the ids that each has alone."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway import feature_columns as fc
from headway.feature_columns import _layout
from headway.feature_columns._tables import JointTable, _keys, _told_apart
from headway.feature_columns._values import NO_NUMBER, NO_STRING

FEATURES: dict[str, Any] = {
    "word": ["soon", "late", "", "never", "soon"],
    "name": ["late", "ann", "bob", "", "bob"],
    "code": np.array([7, -1, 9, 3, 7], np.int64),
    "size": np.array([0, 2, 5, -1, 1], np.int32),
    "kind": np.array([1, 1, 0, 2, 9], np.int64),
    "age": np.array([np.nan, -np.inf, 18.0, 64.9, np.inf], np.float32),
    "pay": np.array([[0.0], [1.0], [2.0], [3.0], [np.nan]], np.float32),
}


def _kinds() -> dict[str, list[Any]]:
    def vocabulary(key: str, entries: list[Any], **options: Any) -> Any:
        return fc.categorical_column_with_vocabulary_list(key, entries, **options)

    words = vocabulary("word", ["soon", "late"])
    ages = fc.bucketized_column(fc.numeric_column("age"), [18, 65])
    return {
        "vocabularies": [
            words,
            # An entry of one vocabulary is none of another's.
            vocabulary("name", ["ann", "bob"], default_value=1),
            vocabulary("word", ["late", "", "never"]),
            vocabulary("name", ["bob", "late"], num_oov_buckets=3),
            vocabulary("code", [9, 7, -1]),
        ],
        "hashes": [
            fc.categorical_column_with_hash_bucket("word", 7),
            fc.categorical_column_with_hash_bucket("name", 5),
            fc.categorical_column_with_hash_bucket("code", 5, tf.int64),
        ],
        "identities": [
            fc.categorical_column_with_identity("size", 6),
            fc.categorical_column_with_identity("kind", 3, default_value=0),
            fc.categorical_column_with_identity("code", 10),
        ],
        "buckets": [ages, fc.bucketized_column(fc.numeric_column("pay"), [0.5, 1.0, 2.5, 9.0])],
        "crosses": [
            fc.crossed_column(["word", "name"], 10),
            fc.crossed_column([ages, words, "name"], 100),
            fc.crossed_column(["name", "code", "word"], 100, hash_key=5),
        ],
    }


def _ids(columns: list[Any], features: dict[str, Any]) -> list[Any]:
    transformed = fc.ColumnTransform(columns)(features)
    places = _layout.places(transformed)
    return [
        transformed[place.key][:, place.start : place.start + place.width].numpy().tolist()
        for place in (places[column.digest] for column in columns)
    ]


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.parametrize("rows", [5, 0])
def test_together_as_alone(kind: str, rows: int) -> None:
    features = {name: values[:rows] for name, values in FEATURES.items()}
    if not rows:
        features = {name: tf.constant(FEATURES[name])[:0] for name in features}
    columns = _kinds()[kind]
    assert _ids(columns, features) == [_ids([column], features)[0] for column in columns]


def test_all_kinds_together() -> None:
    columns = [column for kind in _kinds().values() for column in kind]
    assert _ids(columns, FEATURES) == [_ids([column], FEATURES)[0] for column in columns]


def test_known_ids() -> None:
    kinds = _kinds()
    # By hand: positions in the vocabulary; -1 for what is missing or unknown without a default.
    assert _ids(kinds["vocabularies"], FEATURES)[:3] == [
        [[0], [1], [-1], [-1], [0]],
        [[1], [0], [1], [-1], [1]],
        [[-1], [0], [-1], [2], [-1]],
    ]
    assert _ids(kinds["vocabularies"], FEATURES)[4] == [[1], [-1], [0], [-1], [1]]
    # NaN is in the last interval; the left boundary belongs to its interval.
    assert _ids(kinds["buckets"], FEATURES) == [[[2], [0], [1], [1], [2]], [[0], [2], [2], [3], [4]]]
    assert _ids(kinds["identities"], FEATURES)[:2] == [[[0], [2], [5], [-1], [1]], [[1], [1], [0], [2], [0]]]


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("vocabularies", "LookupTableFindV2"),
        ("hashes", "FloorMod"),
        ("identities", "GreaterEqual"),
        ("buckets", "UpperBound"),
    ],
)
def test_one_operation_for_all(kind: str, operation: str) -> None:
    columns = _kinds()[kind]
    if kind == "vocabularies":
        columns = [column for column in columns if not column.num_oov_buckets]
    if kind == "identities":
        columns = [column for column in columns if column.default_value is None]
    transform = fc.ColumnTransform(columns)
    graph = tf.function(transform).get_concrete_function({key: _spec(value) for key, value in FEATURES.items()}).graph
    assert collections.Counter(op.type for op in graph.get_operations())[operation] == 1


def _spec(value: Any) -> tf.TensorSpec:
    tensor = tf.constant(value)
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


def test_features_of_several_values_beside_single_ones() -> None:
    columns = _kinds()["vocabularies"][:2]
    features = {"word": [["soon", "late"], ["", "soon"]], "name": ["bob", "x"]}
    assert _ids(columns, features) == [[[0, 1], [-1, 0]], [[1], [1]]]


def test_the_first_column_out_of_range_is_named() -> None:
    columns = [fc.categorical_column_with_identity(key, 6) for key in ("kind", "size")]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Feature kind .* outside of \[0, 6\)(.|\n)*9"):
        fc.ColumnTransform(columns)(FEATURES)


def test_what_stands_for_missing_values() -> None:
    assert _keys(("", "-1"), tf.string).tolist() == [NO_STRING, NO_NUMBER]


def test_a_joint_table_tells_vocabularies_apart() -> None:
    joint = JointTable([(("a", "b"), tf.string), ((3, 1), tf.int64), (("b", "a"), tf.string)])
    keys = tf.constant(np.stack([_keys(("a", "b"), tf.string), [1, 2], _keys(("a", "c"), tf.string)]))
    assert joint.lookup(keys, [0, 1, 2]).numpy().tolist() == [[0, 1], [1, -1], [1, -1]]
    # Two vocabularies whose combined keys would meet get other numbers: all of these are told apart.
    _, combined = _told_apart([np.arange(1000), np.arange(1000), np.arange(1000)])
    assert len(set(combined.tolist())) == 3000


def test_a_saved_transform_holds_the_joint_table(tmp_path: Any) -> None:
    transform = fc.ColumnTransform(_kinds()["vocabularies"])
    module = tf.Module()
    module.transform = transform
    module.apply = tf.function(lambda word, name, code: transform({"word": word, "name": name, "code": code}))
    given = [tf.constant(FEATURES[name]) for name in ("word", "name", "code")]
    expected = {key: value.numpy().tolist() for key, value in module.apply(*given).items()}
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert {key: value.numpy().tolist() for key, value in loaded.apply(*given).items()} == expected
