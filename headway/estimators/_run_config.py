"""`RunConfig`: everything about a run that is not the model."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import math
import numbers
import os
import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import tensorflow as tf

from headway.estimators import _tf_config


class _UseDefault:
    """The default of the two checkpoint cadences: 600 seconds where neither is given, else None."""

    def __repr__(self) -> str:
        return "USE_DEFAULT"


_USE_DEFAULT: Final[Any] = _UseDefault()
_DEFAULT_SAVE_SECS: Final = 600

_DTYPE_POLICIES: Final = ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float32", "float64")

# What tf.estimator needed for its sessions: checked as it was, then kept without effect. Name -> what to do instead.
_WITHOUT_EFFECT: Final = {
    "session_config": (
        "there are no sessions. Use `gpu_memory` for the memory of GPUs, `tf.config.threading` for the number of "
        "threads, `jit_compile` for XLA and `tf.config.set_soft_device_placement` for placement"
    ),
    "device_fn": (
        "a `tf.distribute` strategy places variables. Give one in `train_distribute`, or use `tf.device` in model_fn"
    ),
    "protocol": "the servers of the cluster choose it. Give it to `tf.distribute.Server(..., protocol=...)`",
    "experimental_distribute": "it is another way to give the strategies. Use `train_distribute` and `eval_distribute`",
    "experimental_max_worker_delay_secs": "workers start together, and none waits for the others to warm up. Remove it",
    "session_creation_timeout_secs": (
        "there are no sessions to wait for. Set the timeout of the strategy's cluster instead, for example by "
        "`tf.distribute.experimental.CommunicationOptions(timeout_seconds=...)`"
    ),
}
# Of these, what the graph runtime heeds.
_FOR_GRAPHS: Final = ("session_config", "device_fn", "session_creation_timeout_secs")
# The strategies that TensorFlow still runs in a graph and a session; the others are for compiled functions.
_STRATEGIES_IN_GRAPHS: Final = (
    tf.distribute.MirroredStrategy,
    tf.distribute.OneDeviceStrategy,
    tf.compat.v1.distribute.MirroredStrategy,
    tf.compat.v1.distribute.OneDeviceStrategy,
)
# What only compiled functions can do: name -> the value that asks for nothing.
_FOR_FUNCTIONS: Final[dict[str, Any]] = {
    "run_eagerly": False,
    "jit_compile": False,
    "gradient_clipping": None,
    "gradient_accumulation": 1,
    "async_checkpoints": False,
    "training_metrics": False,
}


@dataclasses.dataclass(frozen=True, repr=False)
class RunConfig:
    """Where, how long between events, and on which devices an `Estimator` runs: all that is not the model.

    The cluster comes from the environment variable `TF_CONFIG`, which is read once, when the object is made. The
    object never changes: `replace` makes another. The first arguments are those of `tf.estimator.RunConfig`, with its
    order and defaults; those from `steps_per_loop` on are given by name.

    Attributes:
      model_dir: directory of checkpoints and summaries: a path, `os.PathLike` too, or None for the Estimator's choice.
      tf_random_seed: integer seed of initial weights, dropout and the like; None for another one in each run.
      save_summary_steps: steps between summaries; 0 or None for no summaries.
      save_checkpoints_steps: steps between checkpoints. Excludes `save_checkpoints_secs`.
      save_checkpoints_secs: seconds between checkpoints; 600 if neither is given. Both None: no checkpoints at all.
      session_config: a `tf.compat.v1.ConfigProto` for the graph runtime; else it has no effect.
      keep_checkpoint_max: number of newest checkpoints to keep; 0 or None for all.
      keep_checkpoint_every_n_hours: hours between checkpoints that are kept for good.
      log_step_count_steps: steps between lines of the log (loss, step, steps per second); None for no lines.
      train_distribute: a `tf.distribute` strategy for training, or None.
      device_fn: a function of one argument `op`, for the graph runtime; else it has no effect.
      protocol: None, 'grpc' or 'grpc+verbs'; has no effect.
      eval_distribute: a `tf.distribute` strategy for evaluation, or None.
      experimental_distribute: an object with the attributes `train_distribute` and `eval_distribute`, which become
        those of this object.
      experimental_max_worker_delay_secs: integer or None; has no effect.
      session_creation_timeout_secs: seconds that the graph runtime waits for a session; else it has no effect.
      checkpoint_save_graph_def: whether the graph is written to `graph.pbtxt`.
      steps_per_loop: largest number of steps between two looks at the clock and the hooks, or 'auto'.
      run_eagerly: whether the model_fn runs step by step in Python, for a debugger. Excludes `jit_compile`.
      jit_compile: whether XLA compiles the steps.
      mixed_precision: a Keras dtype policy such as 'mixed_float16'; True for 'mixed_bfloat16', False for the policy
        that Keras is set to. `dtype_policy` has the resulting name.
      gradient_clipping: largest global norm of the gradients of a step, or None.
      gradient_accumulation: number of steps whose gradients are averaged for one update of the weights.
      deterministic: whether only operations are used that give the same bits in each run. Needs `tf_random_seed`.
      gpu_memory: 'growth' to take memory as it is needed, a limit in MB for each GPU, or None for all that there is.
      progress: 'bar', 'log' (lines), 'none', or 'auto': a bar on a terminal, else lines.
      async_checkpoints: whether training goes on while a checkpoint is written.
      resume_input: whether training goes on in its input where the last run stopped: 'always', 'never', or 'auto': if
        that run was interrupted.
      training_metrics: whether the metrics of the head are computed in training too.
      threads_per_op: largest number of threads that one operation of a training step uses on the CPU; 'auto': 1 in
        models whose layers are small, where dividing work costs more than it saves; None for TensorFlow's choice.
      check_input: whether NaN or infinite input values raise an error before they reach the weights.
      runtime: 'function' to compile the model_fn into functions; 'graph' to run it in a graph and a session, as
        tf.estimator did; 'auto': the first, unless the program needs the second.

    Raises:
      ValueError: a value is out of range, two exclude each other, or `TF_CONFIG` is wrong.
      TypeError: a value has the wrong type.

    Example:
      >>> config = RunConfig(model_dir="/tmp/census", save_checkpoints_steps=500, tf_random_seed=1)
      >>> config.replace(save_checkpoints_secs=60)
      RunConfig(model_dir='/tmp/census', tf_random_seed=1, save_checkpoints_secs=60)
      >>> config.is_chief, config.num_worker_replicas
      (True, 1)
      >>> RunConfig(save_summary_steps=-1)
      Traceback (most recent call last):
      ...
      ValueError: save_summary_steps should be >= 0: an integer or None. Received: -1.
    """

    model_dir: str | Any | None = None  # any path is taken, and kept as a string
    tf_random_seed: int | None = None
    save_summary_steps: int | None = 100
    save_checkpoints_steps: int | None = _USE_DEFAULT
    save_checkpoints_secs: float | None = _USE_DEFAULT
    session_config: Any = None
    keep_checkpoint_max: int | None = 5
    keep_checkpoint_every_n_hours: float | None = 10000
    log_step_count_steps: int | None = 100
    train_distribute: Any = None
    device_fn: Callable[..., Any] | None = None
    protocol: str | None = None
    eval_distribute: Any = None
    experimental_distribute: Any = None
    experimental_max_worker_delay_secs: int | None = None
    session_creation_timeout_secs: float | None = 7200
    checkpoint_save_graph_def: bool = True
    _: dataclasses.KW_ONLY
    steps_per_loop: int | str = "auto"
    run_eagerly: bool = False
    jit_compile: bool = False
    mixed_precision: bool | str = False
    gradient_clipping: float | None = None
    gradient_accumulation: int = 1
    deterministic: bool = False
    gpu_memory: int | str | None = None
    progress: str = "auto"
    async_checkpoints: bool = False
    resume_input: str = "auto"
    training_metrics: bool = False
    threads_per_op: int | str | None = "auto"
    check_input: bool = True
    runtime: str = "auto"
    _role: _tf_config.ClusterRole = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Fills in the default cadence, checks every field, and reads the cluster from the environment."""
        steps, secs = self.save_checkpoints_steps, self.save_checkpoints_secs
        given = {name: getattr(self, name) for name in _REPLACEABLE}
        given["save_checkpoints_steps"] = None if steps is _USE_DEFAULT else steps
        default_secs = _DEFAULT_SAVE_SECS if steps is _USE_DEFAULT else None
        given["save_checkpoints_secs"] = default_secs if secs is _USE_DEFAULT else secs
        self._set(given, stacklevel=4)
        tf_config = _tf_config.read()
        object.__setattr__(self, "model_dir", _tf_config.resolve_model_dir(tf_config, self.model_dir))
        role = _tf_config.resolve_role(tf_config, worker_may_lead=self.train_distribute is not None)
        object.__setattr__(self, "_role", role)

    def replace(self, **kwargs: Any) -> RunConfig:
        """Returns a copy with some fields replaced. The cluster is that of this object: `TF_CONFIG` is not read again.

        A new `save_checkpoints_steps` puts `save_checkpoints_secs` to None, and the other way round.

        Args:
          **kwargs: the arguments of the constructor, by name.

        Raises:
          ValueError: a name is no argument of the constructor; and all that the constructor raises.
          TypeError: a value has the wrong type.
        """
        for name in kwargs:
            if name not in _REPLACEABLE:
                raise ValueError(
                    f"Replacing {name} is not supported. Allowed properties are {list(_REPLACEABLE)}. "
                    "The properties of the cluster come from TF_CONFIG."
                )
        steps, secs = kwargs.get("save_checkpoints_steps"), kwargs.get("save_checkpoints_secs")
        if steps is not None and "save_checkpoints_secs" not in kwargs:
            kwargs["save_checkpoints_secs"] = None
        if secs is not None and "save_checkpoints_steps" not in kwargs:
            kwargs["save_checkpoints_steps"] = None
        replaced = copy.deepcopy(self)
        replaced._set(kwargs, stacklevel=3)
        return replaced

    def _set(self, fields: dict[str, Any], *, stacklevel: int) -> None:
        """Checks `fields` and stores them. `stacklevel` leads from here to the line of the caller's to warn at."""
        for name, value in fields.items():
            checked = value if value is None and name in _MAY_BE_NONE else _CHECKS[name](name, value)
            object.__setattr__(self, name, checked)
            if name in _WITHOUT_EFFECT and checked != _DEFAULTS[name] and not self._has_effect(name):
                message = f"`{name}` has no effect in headway: {_WITHOUT_EFFECT[name]}. Received: {_shown(checked)}."
                warnings.warn(message, stacklevel=stacklevel)
        if fields.get("experimental_distribute") is not None:
            self._take_strategies(fields["experimental_distribute"])
        _check_together(self)

    def _has_effect(self, name: str) -> bool:
        """Tells whether a setting for sessions is one for the graph runtime, which this run will use."""
        return name in _FOR_GRAPHS and (self.runtime == "graph" or not tf.executing_eagerly())

    def _take_strategies(self, distribute: Any) -> None:
        """Takes over the strategies of an `experimental_distribute` object."""
        for name in ("train_distribute", "eval_distribute"):
            strategy = _CHECKS[name](name, getattr(distribute, name)) if getattr(distribute, name) else None
            if strategy is None:
                continue
            if getattr(self, name) not in (None, strategy):
                raise ValueError(
                    f"Either `{name}` or `experimental_distribute.{name}` can be set. "
                    f"Received both: give `{name}` alone."
                )
            object.__setattr__(self, name, strategy)

    def __deepcopy__(self, memo: dict[int, Any]) -> RunConfig:
        # Strategies own devices and connections: a copy must not have its own.
        copied = copy.copy(self)
        object.__setattr__(copied, "session_config", copy.deepcopy(self.session_config, memo))
        return copied

    def __hash__(self) -> int:
        return hash((self.model_dir, self.tf_random_seed, self.save_summary_steps, self.task_type, self.task_id))

    def __repr__(self) -> str:
        shown = {name: _shown(getattr(self, name)) for name in _REPLACEABLE if getattr(self, name) != _DEFAULTS[name]}
        if self.save_checkpoints_steps is not None or self.save_checkpoints_secs is not None:
            # The cadence that is None follows from the other.
            shown = {name: text for name, text in shown.items() if (name, text) != ("save_checkpoints_secs", "None")}
        if self._role != _tf_config.ClusterRole():
            shown["task"] = f"'{self.task_type}/{self.task_id}'"
            shown["cluster_spec"] = repr(self.cluster_spec.as_dict())
        return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in shown.items())})"

    @property
    def dtype_policy(self) -> str | None:
        """Name of the Keras dtype policy that `mixed_precision` stands for; None to leave Keras as it is."""
        if self.mixed_precision is True:
            return "mixed_bfloat16"
        return self.mixed_precision or None

    @property
    def cluster_spec(self) -> tf.train.ClusterSpec:
        """The addresses of the cluster that trains; an empty `ClusterSpec` without a cluster, and for an evaluator."""
        return self._role.cluster_spec

    @property
    def task_type(self) -> str:
        """The type of this process's task: 'chief' (or 'master'), 'worker', 'ps' or 'evaluator'. Alone: 'worker'."""
        return self._role.task_type

    @property
    def task_id(self) -> int:
        """The index of this process's task among those of its type."""
        return self._role.task_id

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the checkpoints and summaries."""
        return self._role.is_chief

    @property
    def master(self) -> str:
        """The address of this process as 'grpc://host:port'; '' in a cluster of one."""
        return self._role.master

    @property
    def evaluation_master(self) -> str:
        """The value of `eval_session_master` in `TF_CONFIG` for an evaluator or without a cluster; else ''."""
        return self._role.evaluation_master

    @property
    def num_ps_replicas(self) -> int:
        """The number of parameter servers."""
        return self._role.num_ps_replicas

    @property
    def num_worker_replicas(self) -> int:
        """The number of workers, the chief counted; 1 without a cluster, 0 for an evaluator."""
        return self._role.num_worker_replicas

    @property
    def global_id_in_cluster(self) -> int | None:
        """The index of this process among all: the chief first, parameter servers last; None for an evaluator."""
        return self._role.global_id_in_cluster

    @property
    def service(self) -> dict[str, Any] | None:
        """A copy of the object `service` in `TF_CONFIG`, which the platform defines; None if there is none."""
        return copy.deepcopy(self._role.service)


def _received(value: Any) -> str:
    return f"Received: {_shown(value)}."


def _shown(value: Any) -> str:
    plain = value is None or isinstance(value, (bool, int, float, str, bytes, list, tuple, dict))
    return repr(value) if plain else f"<{getattr(value, '__name__', type(value).__name__)}>"


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


def _path(name: str, value: Any) -> str:
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"`{name}` must be a path: a string or os.PathLike, or None. {_received(value)}")
    path = os.fsdecode(value)
    if not path:
        raise ValueError(
            f"{name} should be non-empty. Give a path, or None for a temporary directory. {_received(value)}"
        )
    return path


def _number(condition: str, *, integer: bool, optional: bool = True) -> Callable[[str, Any], Any]:
    """Returns a check for numbers: `condition` is '>= <bound>' or '> <bound>'."""
    relation, bound = condition.split()
    kind = ("an integer" if integer else "a number") + (" or None" if optional else "")

    def check(name: str, value: Any) -> Any:
        message = f"{name} should be {condition}: {kind}. {_received(value)}"
        if not _is_number(value, numbers.Real):
            raise TypeError(message)
        if not (value >= int(bound) if relation == ">=" else value > int(bound)):
            raise ValueError(message)
        if not integer:
            return int(value) if _is_number(value, numbers.Integral) else float(value)
        if math.isinf(value) or value != int(value):
            raise ValueError(message)
        return int(value)

    return check


def _seed(name: str, value: Any) -> int:
    if not _is_number(value, numbers.Integral):
        raise ValueError(
            f"{name} must be integer. Give an integer, or None for another seed in each run. {_received(value)}"
        )
    return int(value)


def _delay(name: str, value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{name} must be an integer if set. {_received(value)}")
    return value


def _session_config(name: str, value: Any) -> Any:
    if not isinstance(value, tf.compat.v1.ConfigProto):
        raise ValueError(f"{name} must be instance of ConfigProto. {_received(value)}")
    return value


def _device_fn(name: str, value: Any) -> Any:
    if not callable(value) or set(inspect.signature(value).parameters) != {"op"}:
        raise ValueError(f'{name} must be callable with exactly one argument "op". {_received(value)}')
    return value


def _protocol(name: str, value: Any) -> Any:
    if value not in ("grpc", "grpc+verbs"):
        raise ValueError(f"{name} should be grpc or grpc+verbs. {_received(value)}")
    return value


def _strategy(name: str, value: Any) -> Any:
    if isinstance(value, tf.compat.v1.distribute.experimental.ParameterServerStrategy):
        raise ValueError(
            f"Please use `tf.distribute.ParameterServerStrategy` for parameter servers in `{name}`: that of "
            f"tf.compat.v1 needs sessions. {_received(value)}"
        )
    if not isinstance(value, (tf.distribute.Strategy, tf.compat.v1.distribute.Strategy)):
        raise TypeError(
            f"`{name}` must be a tf.distribute.Strategy, for example `tf.distribute.MirroredStrategy()`, or None. "
            f"{_received(value)}"
        )
    return value


def _distribute_config(name: str, value: Any) -> Any:
    if not (hasattr(value, "train_distribute") and hasattr(value, "eval_distribute")):
        raise TypeError(
            f"`{name}` must have the attributes `train_distribute` and `eval_distribute`. {_received(value)}"
        )
    if getattr(value, "remote_cluster", None):
        raise ValueError(
            f"`{name}.remote_cluster` is not supported: one program cannot drive a cluster by itself. Start the "
            "program on each node, with TF_CONFIG set, or give a `tf.distribute.ParameterServerStrategy` in "
            "`train_distribute`."
        )
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False. {_received(value)}")
    return bool(value)


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not (isinstance(value, str) and value in choices):
            raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}. {_received(value)}")
        return value

    return check


def _auto_or_count(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if value != "auto":
            raise ValueError(f"`{name}` must be 'auto' or an integer >= 1. {_received(value)}")
        return value
    return _number(">= 1", integer=True, optional=False)(name, value)


def _mixed_precision(name: str, value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if not (isinstance(value, str) and value in _DTYPE_POLICIES):
        raise ValueError(
            f"`{name}` must be True, False or the name of a Keras dtype policy: {', '.join(_DTYPE_POLICIES)}. "
            f"{_received(value)}"
        )
    return value


def _gradient_clipping(name: str, value: Any) -> Any:
    checked = _number("> 0", integer=False)(name, value)
    if math.isinf(checked):
        raise ValueError(f"`{name}` must be finite; None clips nothing. {_received(value)}")
    return float(checked)


def _gpu_memory(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if value != "growth":
            raise ValueError(f"`{name}` must be 'growth', a limit in MB for each GPU, or None. {_received(value)}")
        return value
    return _number("> 0", integer=True)(name, value)


def function_only_setting(config: RunConfig) -> str | None:
    """Returns the first setting that only the function runtime knows, as 'name=value'; None if there is none."""
    strategies = (name for name in ("train_distribute", "eval_distribute") if not _works_in_graphs(config, name))
    changed = (name for name, neutral in _FOR_FUNCTIONS.items() if getattr(config, name) != neutral)
    name = next(itertools.chain(strategies, changed), None)
    return None if name is None else f"{name}={_shown(getattr(config, name))}"


def _works_in_graphs(config: RunConfig, name: str) -> bool:
    strategy = getattr(config, name)
    return strategy is None or isinstance(strategy, _STRATEGIES_IN_GRAPHS)


def _check_together(config: RunConfig) -> None:
    """Checks the fields that depend on each other."""
    if config.save_checkpoints_steps is not None and config.save_checkpoints_secs is not None:
        raise ValueError(
            "`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set. Received: "
            f"{config.save_checkpoints_steps} and {config.save_checkpoints_secs}. Give one of them."
        )
    if config.run_eagerly and config.jit_compile:
        raise ValueError(
            "`run_eagerly` and `jit_compile` cannot be both True: eager steps are not compiled. Set one to False."
        )
    for_functions = function_only_setting(config)
    if config.runtime == "graph" and for_functions is not None:
        raise ValueError(
            f"`{for_functions}` is for compiled functions, and not for `runtime='graph'`, which does what tf.estimator "
            "did, on one device or under MirroredStrategy or OneDeviceStrategy. Leave one of them out."
        )
    if config.deterministic and config.tf_random_seed is None:
        raise ValueError(
            "`deterministic=True` needs `tf_random_seed`: without a seed each run draws other weights. "
            "Give an integer, for example `tf_random_seed=1`. Received: None."
        )


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "model_dir": _path,
    "tf_random_seed": _seed,
    "save_summary_steps": _number(">= 0", integer=True),
    "save_checkpoints_steps": _number(">= 0", integer=True),
    "save_checkpoints_secs": _number(">= 0", integer=False),
    "session_config": _session_config,
    "keep_checkpoint_max": _number(">= 0", integer=True),
    "keep_checkpoint_every_n_hours": _number("> 0", integer=False),
    "log_step_count_steps": _number("> 0", integer=True),
    "train_distribute": _strategy,
    "device_fn": _device_fn,
    "protocol": _protocol,
    "eval_distribute": _strategy,
    "experimental_distribute": _distribute_config,
    "experimental_max_worker_delay_secs": _delay,
    "session_creation_timeout_secs": _number("> 0", integer=False),
    "checkpoint_save_graph_def": _boolean,
    "steps_per_loop": _auto_or_count,
    "run_eagerly": _boolean,
    "jit_compile": _boolean,
    "mixed_precision": _mixed_precision,
    "gradient_clipping": _gradient_clipping,
    "gradient_accumulation": _number(">= 1", integer=True, optional=False),
    "deterministic": _boolean,
    "gpu_memory": _gpu_memory,
    "progress": _one_of("auto", "bar", "log", "none"),
    "async_checkpoints": _boolean,
    "resume_input": _one_of("auto", "always", "never"),
    "training_metrics": _boolean,
    "threads_per_op": _auto_or_count,
    "check_input": _boolean,
    "runtime": _one_of("auto", "function", "graph"),
}

_REPLACEABLE: Final = tuple(_CHECKS)
_DEFAULTS: Final[dict[str, Any]] = {
    **{field.name: field.default for field in dataclasses.fields(RunConfig) if field.init},
    "save_checkpoints_steps": None,
    "save_checkpoints_secs": _DEFAULT_SAVE_SECS,
}
# None has always stood for "not set" in the arguments of tf.estimator; of the new ones, two take it.
_MAY_BE_NONE: Final = {
    *_REPLACEABLE[: _REPLACEABLE.index("checkpoint_save_graph_def")],
    "gradient_clipping",
    "gpu_memory",
    "threads_per_op",
}
