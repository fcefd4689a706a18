"""Feature columns: from raw features (numbers, strings, missing values) to the inputs of a model.

A column names a feature and says what becomes of it. `dense_tensor`, `sequence_tensor`, `linear_logits` and the layers
`DenseFeatures`, `SequenceFeatures` and `LinearModel` apply columns to a batch; `ColumnTransform` is the part of this
that belongs into the input pipeline. Names, arguments, ids and results are those of `tf.feature_column`, whose own
columns are taken as well.
"""

from headway import _backend as _backend

# Registers what stands for the columns of tf.feature_column.
from headway.feature_columns import _from_tensorflow as _from_tensorflow
from headway.feature_columns._adapt import adapt as adapt
from headway.feature_columns._bucketized import bucketized_column as bucketized_column
from headway.feature_columns._crossed import crossed_column as crossed_column
from headway.feature_columns._datetime import datetime_column as datetime_column
from headway.feature_columns._describe import describe as describe
from headway.feature_columns._device import dense_tensor as dense_tensor
from headway.feature_columns._device import linear_logits as linear_logits
from headway.feature_columns._device import sequence_tensor as sequence_tensor
from headway.feature_columns._embedding import embedding_column as embedding_column
from headway.feature_columns._hash_bucket import (
    categorical_column_with_hash_bucket as categorical_column_with_hash_bucket,
)
from headway.feature_columns._identity import categorical_column_with_identity as categorical_column_with_identity
from headway.feature_columns._indicator import indicator_column as indicator_column
from headway.feature_columns._layers import DenseFeatures as DenseFeatures
from headway.feature_columns._layers import LinearModel as LinearModel
from headway.feature_columns._layers import SequenceFeatures as SequenceFeatures
from headway.feature_columns._layout import is_transformed as is_transformed
from headway.feature_columns._learned import learned_quantiles as learned_quantiles
from headway.feature_columns._learned import learned_scale as learned_scale
from headway.feature_columns._learned import learned_vocabulary as learned_vocabulary
from headway.feature_columns._numeric import numeric_column as numeric_column
from headway.feature_columns._parsing import make_parse_example_spec as make_parse_example_spec
from headway.feature_columns._preprocessing import preprocessing_column as preprocessing_column
from headway.feature_columns._propose import propose as propose
from headway.feature_columns._protocol import FeatureColumn as FeatureColumn
from headway.feature_columns._report import report as report
from headway.feature_columns._saved import load as load
from headway.feature_columns._saved import save as save
from headway.feature_columns._sequence_categorical import (
    sequence_categorical_column_with_hash_bucket as sequence_categorical_column_with_hash_bucket,
)
from headway.feature_columns._sequence_categorical import (
    sequence_categorical_column_with_identity as sequence_categorical_column_with_identity,
)
from headway.feature_columns._sequence_categorical import (
    sequence_categorical_column_with_vocabulary_file as sequence_categorical_column_with_vocabulary_file,
)
from headway.feature_columns._sequence_categorical import (
    sequence_categorical_column_with_vocabulary_list as sequence_categorical_column_with_vocabulary_list,
)
from headway.feature_columns._sequence_numeric import sequence_numeric_column as sequence_numeric_column
from headway.feature_columns._sequence_text import sequence_text_column as sequence_text_column
from headway.feature_columns._shared_embedding import shared_embedding_columns as shared_embedding_columns
from headway.feature_columns._shared_embedding import shared_embeddings as shared_embeddings
from headway.feature_columns._tables import lookup_tables as lookup_tables
from headway.feature_columns._text import text_column as text_column
from headway.feature_columns._transform import ColumnTransform as ColumnTransform
from headway.feature_columns._vocabulary_file import (
    categorical_column_with_vocabulary_file as categorical_column_with_vocabulary_file,
)
from headway.feature_columns._vocabulary_list import (
    categorical_column_with_vocabulary_list as categorical_column_with_vocabulary_list,
)
from headway.feature_columns._weighted import weighted_categorical_column as weighted_categorical_column

__all__ = [
    "ColumnTransform",
    "DenseFeatures",
    "FeatureColumn",
    "LinearModel",
    "SequenceFeatures",
    "adapt",
    "bucketized_column",
    "categorical_column_with_hash_bucket",
    "categorical_column_with_identity",
    "categorical_column_with_vocabulary_file",
    "categorical_column_with_vocabulary_list",
    "crossed_column",
    "datetime_column",
    "dense_tensor",
    "describe",
    "embedding_column",
    "indicator_column",
    "is_transformed",
    "learned_quantiles",
    "learned_scale",
    "learned_vocabulary",
    "linear_logits",
    "load",
    "lookup_tables",
    "make_parse_example_spec",
    "numeric_column",
    "preprocessing_column",
    "propose",
    "report",
    "save",
    "sequence_categorical_column_with_hash_bucket",
    "sequence_categorical_column_with_identity",
    "sequence_categorical_column_with_vocabulary_file",
    "sequence_categorical_column_with_vocabulary_list",
    "sequence_numeric_column",
    "sequence_tensor",
    "sequence_text_column",
    "shared_embedding_columns",
    "shared_embeddings",
    "text_column",
    "weighted_categorical_column",
]
