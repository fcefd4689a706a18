"""A session that stays for the next predictions: another input, or the same again, only feeds it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import tensorflow as tf

from headway._spec import EstimatorSpec
from headway.estimators import _checkpoints, _prediction, _structure
from headway.estimators._runtime import Setup
from headway.estimators.graph._building import session_config
from headway.estimators.graph._input import GraphInput
from headway.estimators.graph._restoring import fitting

v1 = tf.compat.v1
_FED = (tf.Tensor, tf.SparseTensor, tf.RaggedTensor)


class KeptSession:
    """The graph of a model in prediction, with placeholders for its features, and the session over it.

    Args:
      setup: what the estimator was made of.
      graph: the graph.
      features: the placeholders, in the structure of the features.
      spec: what model_fn returned for them.
    """

    def __init__(self, setup: Setup, graph: Any, features: Any, spec: EstimatorSpec) -> None:
        self._setup = setup
        self._graph = graph
        self._fed = tf.nest.flatten(features)
        self._predictions = spec.predictions
        self._scaffold = spec.scaffold or v1.train.Scaffold()
        self._stamp: Any = None
        self._session: Any = None

    def predictions(self, batch: GraphInput, graph: Any, keys: Any, path: str) -> Generator[Any]:
        """Yields the predictions of each batch.

        Args:
          batch: the input.
          graph: the graph of the input.
          keys: which of the predictions to give, or None.
          path: the checkpoint.
        """
        wanted = _prediction.selected(self._predictions, keys)
        session = self._session_of(path)
        flat = tf.nest.flatten(batch.features)
        with graph.as_default():
            creator = v1.train.ChiefSessionCreator(config=session_config(self._setup))
            source = v1.train.MonitoredSession(creator, hooks=batch.hooks)
        with source:
            while not source.should_stop():
                values = source.run(flat)
                yield session.run(wanted, dict(zip(self._fed, values, strict=True)))

    def _session_of(self, path: str) -> Any:
        """Returns the session with the values of a checkpoint, which are read again where the file has changed."""
        stamp = _checkpoints.at(path).stamp
        if stamp != self._stamp:
            creator = v1.train.ChiefSessionCreator(
                scaffold=self._scaffold,
                checkpoint_filename_with_path=path,
                master=self._setup.config.master,
                config=session_config(self._setup),
            )
            with self._graph.as_default(), fitting(path):
                self._session = creator.create_session()
            self._stamp = stamp
        return self._session


def can_be_fed(features: Any) -> bool:
    """Tells whether placeholders can stand for features."""
    return all(isinstance(part, _FED) for part in tf.nest.flatten(features))


def is_keepable(spec: EstimatorSpec) -> bool:
    """Tells whether the session of a model may stay: nothing wants to be told when it begins and ends."""
    return not spec.prediction_hooks and not v1.get_collection(v1.GraphKeys.QUEUE_RUNNERS)


def placeholders_like(features: Any) -> Any:
    """Returns placeholders of the current graph in the structure of `features`."""
    return tf.nest.map_structure(_placeholder, _structure.spec_of(features))


def _placeholder(spec: Any) -> Any:
    if isinstance(spec, tf.SparseTensorSpec):
        return v1.sparse_placeholder(spec.dtype, spec.shape)
    if isinstance(spec, tf.RaggedTensorSpec):
        return v1.ragged.placeholder(spec.dtype, spec.ragged_rank, spec.shape[spec.ragged_rank + 1 :])
    return v1.placeholder(spec.dtype, spec.shape)
