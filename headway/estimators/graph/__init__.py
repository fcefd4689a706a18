"""The graph runtime: a model_fn of tf.estimator in a `tf.Graph`, under a monitored session.

Nothing but `headway.estimators._runtimes` imports from here.
"""

from headway.estimators.graph._runtime import GraphRuntime as GraphRuntime

__all__ = ["GraphRuntime"]
