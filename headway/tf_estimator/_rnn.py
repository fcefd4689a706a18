"""Recurrent models as tf.estimator.experimental has them: with the methods of version 1."""

from __future__ import annotations

from headway import estimators
from headway.tf_estimator._v1_estimator import Estimator


class RNNClassifier(estimators.RNNClassifier, Estimator):
    """`headway.RNNClassifier`, with `export_savedmodel` beside; its arguments are those.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.tf_estimator import experimental
      >>> words = fc.sequence_categorical_column_with_hash_bucket("words", 10)
      >>> model = experimental.RNNClassifier([fc.embedding_column(words, 2)], units=[4])
    """


class RNNEstimator(estimators.RNNEstimator, Estimator):
    """`headway.RNNEstimator`, with `export_savedmodel` beside; its arguments are those.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.tf_estimator import experimental
      >>> words = fc.sequence_categorical_column_with_hash_bucket("words", 10)
      >>> model = experimental.RNNEstimator(heads.RegressionHead(), [fc.embedding_column(words, 2)], units=[4])
    """
