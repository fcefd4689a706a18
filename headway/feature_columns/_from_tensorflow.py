"""What stands for each column of `tf.feature_column`: made from its fields by headway's function of the same name.

Fields that hold columns are given as they are: the functions convert them in turn.
"""

from __future__ import annotations

import math
from typing import Any

from headway._tensorflow import shared_embedding_fields, truncated_normal_stddev
from headway.feature_columns._bucketized import bucketized_column
from headway.feature_columns._crossed import crossed_column
from headway.feature_columns._embedding import embedding_column
from headway.feature_columns._foreign import converts, own_column
from headway.feature_columns._hash_bucket import categorical_column_with_hash_bucket
from headway.feature_columns._identity import categorical_column_with_identity
from headway.feature_columns._indicator import indicator_column
from headway.feature_columns._numeric import numeric_column
from headway.feature_columns._protocol import FeatureColumn
from headway.feature_columns._sequence_categorical import SequenceCategoricalColumn
from headway.feature_columns._sequence_numeric import sequence_numeric_column
from headway.feature_columns._shared_embedding import SharedEmbeddingColumn, SharedTable
from headway.feature_columns._vocabulary_file import categorical_column_with_vocabulary_file
from headway.feature_columns._vocabulary_list import categorical_column_with_vocabulary_list
from headway.feature_columns._weighted import weighted_categorical_column

Fields = dict[str, Any]


@converts("NumericColumn")
def _numeric(fields: Fields) -> FeatureColumn:
    return numeric_column(**fields)


@converts("BucketizedColumn")
def _bucketized(fields: Fields) -> FeatureColumn:
    return bucketized_column(**fields)


@converts("HashedCategoricalColumn")
def _hashed(fields: Fields) -> FeatureColumn:
    return categorical_column_with_hash_bucket(**fields)


@converts("VocabularyListCategoricalColumn")
def _vocabulary_list(fields: Fields) -> FeatureColumn:
    return categorical_column_with_vocabulary_list(**fields)


@converts("VocabularyFileCategoricalColumn")
def _vocabulary_file(fields: Fields) -> FeatureColumn:
    # TensorFlow keeps -1 where no default was given.
    default_value = None if fields["default_value"] == -1 else fields["default_value"]
    return categorical_column_with_vocabulary_file(**{**fields, "default_value": default_value})


@converts("IdentityCategoricalColumn")
def _identity(fields: Fields) -> FeatureColumn:
    return categorical_column_with_identity(fields["key"], fields["number_buckets"], fields["default_value"])


@converts("CrossedColumn")
def _crossed(fields: Fields) -> FeatureColumn:
    return crossed_column(**fields)


@converts("WeightedCategoricalColumn")
def _weighted(fields: Fields) -> FeatureColumn:
    return weighted_categorical_column(**fields)


@converts("IndicatorColumn")
def _indicator(fields: Fields) -> FeatureColumn:
    return indicator_column(**fields)


@converts("EmbeddingColumn")
def _embedding(fields: Fields) -> FeatureColumn:
    return embedding_column(**{**fields, "initializer": _initializer(fields["initializer"], fields["dimension"])})


@converts("SharedEmbeddingColumn")
def _shared_embedding(fields: Fields) -> FeatureColumn:
    return _shared({**fields, **shared_embedding_fields(fields["shared_embedding_column_creator"])}, inside_layer=False)


@converts("_SharedEmbeddingColumn")
def _shared_embedding_of_tensorflow_1(fields: Fields) -> FeatureColumn:
    return _shared({**fields, "name": fields["shared_embedding_collection_name"]}, inside_layer=True)


@converts("SequenceCategoricalColumn")
def _sequence_categorical(fields: Fields) -> FeatureColumn:
    column = own_column(fields["categorical_column"])
    return SequenceCategoricalColumn(column, column.name)


@converts("SequenceNumericColumn")
def _sequence_numeric(fields: Fields) -> FeatureColumn:
    return sequence_numeric_column(**fields)


def _shared(fields: Fields, *, inside_layer: bool) -> FeatureColumn:
    column = own_column(fields["categorical_column"])
    table = SharedTable(
        fields["name"],
        fields["dimension"],
        _initializer(fields["initializer"], fields["dimension"]),
        fields["ckpt_to_load_from"],
        fields["tensor_name_in_ckpt"],
        fields["trainable"],
        inside_layer,
    )
    return SharedEmbeddingColumn(
        column, table, fields["combiner"], fields["max_norm"], fields["use_safe_embedding_lookup"]
    )


def _initializer(initializer: Any, dimension: int) -> Any:
    """Returns None for the default initializer: TensorFlow makes one for each column, and equal ones stay equal."""
    return None if truncated_normal_stddev(initializer) == 1.0 / math.sqrt(dimension) else initializer
