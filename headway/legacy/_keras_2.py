"""`tf.keras.estimator.model_to_estimator`, with the arguments that it had."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from headway import estimators

_LOG = logging.getLogger("headway")


def model_to_estimator(
    keras_model: Any = None,
    keras_model_path: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    model_dir: str | os.PathLike[str] | None = None,
    config: Any = None,
    checkpoint_format: str | None = None,
    use_v2_estimator: bool = False,
    metric_names_map: Mapping[str, str] | None = None,
    export_outputs: Mapping[str, Any] | None = None,
) -> estimators.Estimator:
    """Returns an Estimator of a compiled model, of Keras 3 or Keras 2: see `headway.model_to_estimator`.

    Checkpoints are by name, which tf.estimator called the format "saver", whatever format is asked for.
    """
    del use_v2_estimator
    if checkpoint_format not in (None, "saver", "checkpoint"):
        raise ValueError(f"checkpoint_format must be 'saver' or 'checkpoint', received: {checkpoint_format!r}.")
    if checkpoint_format == "checkpoint":
        _LOG.info("Checkpoints of model_to_estimator are by name (the format 'saver'), not by object.")
    return estimators.model_to_estimator(
        keras_model,
        keras_model_path,
        custom_objects,
        model_dir,
        config,
        metric_names_map=metric_names_map,
        export_outputs=export_outputs,
    )
