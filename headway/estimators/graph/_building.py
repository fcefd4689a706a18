"""The graph of one verb: a fresh one each time, as tf.estimator made it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from headway import _tensorflow, _tensorflow_v1
from headway._context import NeedsFunctions
from headway._log import logger
from headway._spec import EstimatorSpec
from headway.estimators._model import dtype_policy, invoke
from headway.estimators._runtime import Setup
from headway.estimators.graph._replicas import opened

v1 = tf.compat.v1


@contextlib.contextmanager
def fresh_graph(setup: Setup, strategy: Any = None) -> Iterator[Any]:
    """Makes a graph with the seed, the devices and the global step of a run the default one.

    Args:
      setup: what the estimator was made of.
      strategy: the strategy whose scope is to be open in the graph, or None for one device.
    """
    config, graph = setup.config, tf.Graph()
    devices = graph.device(config.device_fn) if strategy is None else opened(strategy)
    if strategy is not None and config.device_fn is not None:
        logger.warning("`device_fn` has no effect under %s, which places the variables.", type(strategy).__name__)
    with graph.as_default(), devices:
        v1.set_random_seed(config.tf_random_seed)
        step = v1.train.create_global_step(graph)
        if strategy is not None:
            _tensorflow_v1.keep_global_step_read(graph, strategy.extended.read_var(step))
        yield graph


def spec_in_graph(setup: Setup, features: Any, labels: Any, mode: str, *, refuses_keras: bool = False) -> EstimatorSpec:
    """Calls the model_fn in the current graph, on one device or in one replica.

    Raises:
      NeedsFunctions: if Keras 3 makes a variable, and `refuses_keras`; or if it makes one that a step updates.
    """

    def creator(next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        scope = _tensorflow.keras_scope()
        if scope is None:
            return next_creator(**kwargs)
        path, owner = scope
        if refuses_keras:
            raise NeedsFunctions("it is made of Keras 3 layers")
        if isinstance(owner, keras.layers.BatchNormalization) or not isinstance(owner, keras.Layer):
            raise NeedsFunctions(f"it makes Keras 3's {type(owner).__name__}, whose updates a session cannot see")
        # The name that the function runtime gives it.
        with v1.name_scope(None):
            return next_creator(**{**kwargs, "name": f"{path}/{kwargs['name']}"})

    with tf.variable_creator_scope(creator), _tensorflow.fresh_keras_names(), dtype_policy(setup.config.dtype_policy):
        return invoke(setup.model_fn, setup.params, setup.config, features, labels, mode)


def session_config(setup: Setup) -> Any:
    """Returns the `ConfigProto` of the run: the user's, or tf.estimator's own."""
    config = setup.config.session_config
    if config is not None:
        return config
    once = v1.ConfigProto(allow_soft_placement=True)
    # One pass of Grappler is what tf.estimator asked for: more of them cost time at each start.
    once.graph_options.rewrite_options.meta_optimizer_iterations = 1
    return once
