"""Heads: what follows the last hidden layer of a model, namely loss, metrics, predictions and export outputs.

A model computes logits; a head turns them into all that an `EstimatorSpec` holds. `BinaryClassHead` is for two classes,
`MultiClassHead` for more, `MultiLabelHead` for several at once; `RegressionHead` is for numbers,
`QuantileRegressionHead` for quantiles of a number, `PoissonRegressionHead` for counts, `LogisticRegressionHead` for
rates; `RankingHead` is for the order of the items of a list. `MultiHead` puts several heads on one model,
`SequentialHeadWrapper` one on each step of a sequence. `losses` holds other losses than their own. `BaseHead` is the
start for a head of your own.
"""

from __future__ import annotations

from headway import _backend as _backend
from headway.heads import losses as losses
from headway.heads._base import BaseHead as BaseHead
from headway.heads._binary import BinaryClassHead as BinaryClassHead
from headway.heads._checks import readable_error as readable_error
from headway.heads._interface import Head as Head
from headway.heads._logistic import LogisticRegressionHead as LogisticRegressionHead
from headway.heads._multi_class import MultiClassHead as MultiClassHead
from headway.heads._multi_head import MultiHead as MultiHead
from headway.heads._multi_label import MultiLabelHead as MultiLabelHead
from headway.heads._poisson import PoissonRegressionHead as PoissonRegressionHead
from headway.heads._quantile import QuantileRegressionHead as QuantileRegressionHead
from headway.heads._ranking import RankingHead as RankingHead
from headway.heads._regression import RegressionHead as RegressionHead
from headway.heads._sequential import SequentialHeadWrapper as SequentialHeadWrapper

__all__ = [
    "BaseHead",
    "BinaryClassHead",
    "Head",
    "LogisticRegressionHead",
    "MultiClassHead",
    "MultiHead",
    "MultiLabelHead",
    "PoissonRegressionHead",
    "QuantileRegressionHead",
    "RankingHead",
    "RegressionHead",
    "SequentialHeadWrapper",
    "losses",
    "readable_error",
]
