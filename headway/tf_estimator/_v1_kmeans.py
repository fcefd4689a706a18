"""`KMeans` as tf.compat.v1.estimator.experimental has it."""

from __future__ import annotations

from headway import estimators
from headway.tf_estimator._v1_estimator import Estimator


class KMeans(estimators.KMeansClustering, Estimator):
    """`headway.KMeansClustering` under its old name, with the methods of version 1; its arguments are those.

    Example:
      >>> from headway.tf_estimator import v1
      >>> v1.experimental.KMeans(num_clusters=2).CLUSTER_INDEX
      'cluster_index'
    """
