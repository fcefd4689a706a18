"""Heads: what follows the last hidden layer of a model, namely loss, metrics, predictions and export outputs.

A model computes logits; a head turns them into all that an `EstimatorSpec` holds. `BinaryClassHead` is for two classes,
`MultiClassHead` for more, `MultiLabelHead` for several at once; `RegressionHead` is for numbers,
`PoissonRegressionHead` for counts, `LogisticRegressionHead` for rates. `MultiHead` puts several heads on one model,
`SequentialHeadWrapper` one on each step of a sequence. `BaseHead` is the start for a head of your own.
"""

from __future__ import annotations

from headway import _backend as _backend
from headway.heads._base import BaseHead as BaseHead
from headway.heads._binary import BinaryClassHead as BinaryClassHead
from headway.heads._checks import readable_error as readable_error
from headway.heads._interface import Head as Head
from headway.heads._logistic import LogisticRegressionHead as LogisticRegressionHead
from headway.heads._multi_class import MultiClassHead as MultiClassHead
from headway.heads._multi_head import MultiHead as MultiHead
from headway.heads._multi_label import MultiLabelHead as MultiLabelHead
from headway.heads._poisson import PoissonRegressionHead as PoissonRegressionHead
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
    "RegressionHead",
    "SequentialHeadWrapper",
    "readable_error",
]
