"""The settings of TPUEstimator: taken, checked, and kept, though only programs on a TPU heeded most of them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from headway import estimators


class InputPipelineConfig:
    """How the batches of a TPUEstimator went to the hosts of a TPU.

    Example:
      >>> InputPipelineConfig.PER_HOST_V2
      3
    """

    PER_SHARD_V1 = 1
    PER_HOST_V1 = 2
    PER_HOST_V2 = 3
    BROADCAST = 4
    SLICED = 5


class _Fields(NamedTuple):
    iterations_per_loop: Any
    num_shards: int | None
    num_cores_per_replica: int | None
    per_host_input_for_training: Any
    tpu_job_name: str | None
    initial_infeed_sleep_secs: int | None
    input_partition_dims: Any
    eval_training_input_configuration: int
    experimental_host_call_every_n_steps: int
    experimental_allow_per_host_v2_parallel_get_next: bool
    experimental_feed_hook: Any


class TPUConfig(_Fields):
    """What a TPUEstimator wants to know about a TPU; without one it has no effect.

    Args:
      iterations_per_loop: steps in a loop on the device, or a time such as "30s" or "1h".
      num_shards: number of replicas.
      num_cores_per_replica: None or 1, 2, 4, ..., 128.
      per_host_input_for_training: True, False or an `InputPipelineConfig`.
      tpu_job_name: name of the job.
      initial_infeed_sleep_secs: seconds before the first batch.
      input_partition_dims: how tensors are split over cores.
      eval_training_input_configuration: `InputPipelineConfig.PER_HOST_V1` or `SLICED`.
      experimental_host_call_every_n_steps: steps between two host calls.
      experimental_allow_per_host_v2_parallel_get_next: whether hosts read at the same time.
      experimental_feed_hook: a class of hooks that feed the TPU.

    Raises:
      ValueError: if a value is none of these.

    Example:
      >>> TPUConfig(iterations_per_loop=100).iterations_per_loop
      100
    """

    __slots__ = ()

    def __new__(
        cls,
        iterations_per_loop: Any = 2,
        num_shards: int | None = None,
        num_cores_per_replica: int | None = None,
        per_host_input_for_training: Any = True,
        tpu_job_name: str | None = None,
        initial_infeed_sleep_secs: int | None = None,
        input_partition_dims: Any = None,
        eval_training_input_configuration: int = InputPipelineConfig.PER_HOST_V1,
        experimental_host_call_every_n_steps: int = 1,
        experimental_allow_per_host_v2_parallel_get_next: bool = False,
        experimental_feed_hook: Any = None,
    ) -> TPUConfig:
        """Checks the values and makes the tuple."""
        _check_iterations(iterations_per_loop)
        _check_positive(num_shards, "TPUConfig num_shards")
        _check_positive(initial_infeed_sleep_secs or None, "TPUConfig initial_infeed_sleep_secs")
        if num_cores_per_replica not in (None, 1, 2, 4, 8, 16, 32, 64, 128):
            raise ValueError(f"num_cores_per_replica must be 1, 2, 4, 8, 16, 32, 64, 128; got {num_cores_per_replica}")
        if input_partition_dims is not None:
            _check_partition(input_partition_dims, per_host_input_for_training, num_cores_per_replica)
        allowed = (InputPipelineConfig.PER_HOST_V1, InputPipelineConfig.SLICED)
        if eval_training_input_configuration not in allowed:
            raise ValueError(
                "eval_training_input_configuration must be PER_HOST_V1 or SLICED; got "
                f"{eval_training_input_configuration}"
            )
        if isinstance(per_host_input_for_training, bool):
            per_host = (InputPipelineConfig.PER_SHARD_V1, InputPipelineConfig.PER_HOST_V1)
            per_host_input_for_training = per_host[per_host_input_for_training]
        return super().__new__(
            cls,
            iterations_per_loop,
            num_shards,
            num_cores_per_replica,
            per_host_input_for_training,
            tpu_job_name,
            initial_infeed_sleep_secs,
            input_partition_dims,
            eval_training_input_configuration,
            experimental_host_call_every_n_steps,
            experimental_allow_per_host_v2_parallel_get_next,
            experimental_feed_hook,
        )


class RunConfig(estimators.RunConfig):
    """`headway.RunConfig` with the settings of a TPU, which have no effect.

    Args:
      tpu_config: a `TPUConfig`.
      evaluation_master: what `evaluation_master` gives.
      master: what `master` gives.
      cluster: a cluster resolver; kept, and refused by `TPUEstimator`.
      **kwargs: the arguments of `headway.RunConfig`.

    Raises:
      ValueError: if both `master` and `cluster` are given; and all that `headway.RunConfig` raises.

    Example:
      >>> RunConfig(tf_random_seed=1).tpu_config.iterations_per_loop
      2
    """

    def __init__(
        self,
        tpu_config: TPUConfig | None = None,
        evaluation_master: str | None = None,
        master: str | None = None,
        cluster: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if master is not None and cluster is not None:
            raise ValueError("Both master and cluster are set. Give one of them.")
        own = {"tpu_config": tpu_config or TPUConfig(), "cluster": cluster, "masters": (master, evaluation_master)}
        for name, value in own.items():
            object.__setattr__(self, f"_{name}", value)

    @property
    def tpu_config(self) -> TPUConfig:
        """The settings of a TPU."""
        config: TPUConfig = vars(self)["_tpu_config"]
        return config

    @property
    def cluster(self) -> Any:
        """The cluster resolver that was given, or None."""
        return vars(self)["_cluster"]

    @property
    def master(self) -> str:
        """The address that was given, else that of this process in the cluster of `TF_CONFIG`."""
        given: str | None = vars(self)["_masters"][0]
        return super().master if given is None else given

    @property
    def evaluation_master(self) -> str:
        """The address for evaluation that was given, else that of `TF_CONFIG`, else `master`."""
        given: str | None = vars(self)["_masters"][1]
        if given is not None:
            return given
        return super().evaluation_master or ("" if self.task_type == "evaluator" else self.master)


def _check_iterations(iterations: Any) -> None:
    if isinstance(iterations, str):
        match = re.fullmatch(r"(\d+)([smh])", iterations)
        if match is None or int(match[1]) < 1:
            raise ValueError(
                f"`iterations_per_loop` must be a number of steps, or a time such as '30s', '5m' or '1h'. Received: "
                f"{iterations!r}."
            )
    else:
        _check_positive(iterations, "iterations_per_loop")


def _check_positive(value: Any, name: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int. Received: {value!r}.")
    if value < 1:
        raise ValueError(f"{name} must be positive. Received: {value}.")


def _check_partition(dims: Any, per_host_input: Any, cores: int | None) -> None:
    if len(dims) not in (1, 2):
        raise ValueError("input_partition_dims must be a list/tuple with one or two elements.")
    if per_host_input != InputPipelineConfig.PER_HOST_V2:
        raise ValueError("input_partition_dims is only supported in PER_HOST_V2 mode.")
    if cores is None:
        raise ValueError("input_partition_dims requires setting num_cores_per_replica.")
