"""The names of tf.compat.v1.estimator.tpu.experimental, which need a TPU."""

from __future__ import annotations

from typing import Any


class EmbeddingConfigSpec:
    """Tables of embeddings in the memory of a TPU: they cannot be made.

    Args:
      feature_columns: not used.
      optimization_parameters: not used.
      clipping_limit: not used.
      pipeline_execution_with_tensor_core: not used.
      experimental_gradient_multiplier_fn: not used.
      feature_to_config_dict: not used.
      table_to_config_dict: not used.
      partition_strategy: not used.
      profile_data_directory: not used.

    Raises:
      NotImplementedError: always; the message says what to use instead.

    Example:
      >>> EmbeddingConfigSpec()
      Traceback (most recent call last):
      ...
      NotImplementedError: There are no TPU embeddings. Use embedding columns; ...
    """

    def __init__(
        self,
        feature_columns: Any = None,
        optimization_parameters: Any = None,
        clipping_limit: Any = None,
        pipeline_execution_with_tensor_core: Any = False,
        experimental_gradient_multiplier_fn: Any = None,
        feature_to_config_dict: Any = None,
        table_to_config_dict: Any = None,
        partition_strategy: Any = "div",
        profile_data_directory: Any = None,
    ) -> None:
        raise NotImplementedError(
            "There are no TPU embeddings. Use embedding columns; tf.distribute.ParameterServerStrategy in "
            "RunConfig(train_distribute=...) splits large tables over machines."
        )


__all__ = ["EmbeddingConfigSpec"]
