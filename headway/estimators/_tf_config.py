"""The cluster that a process belongs to, and its role there, as the environment variable `TF_CONFIG` describes them."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, Final

import tensorflow as tf
from absl import logging

_CHIEF: Final = "chief"
_EVALUATOR: Final = "evaluator"
_MASTER: Final = "master"
_PS: Final = "ps"
_WORKER: Final = "worker"

_SOURCE: Final = "Note that these values may be coming from the TF_CONFIG environment variable."


@dataclasses.dataclass(frozen=True)
class ClusterRole:
    """A cluster and the part that this process has in it; by default, a process on its own.

    The fields are the cluster properties of `RunConfig`, where they are described.
    """

    cluster_spec: tf.train.ClusterSpec = dataclasses.field(default_factory=lambda: tf.train.ClusterSpec({}))
    task_type: str = _WORKER
    task_id: int = 0
    is_chief: bool = True
    master: str = ""
    evaluation_master: str = ""
    num_ps_replicas: int = 0
    num_worker_replicas: int = 1
    global_id_in_cluster: int | None = 0
    service: dict[str, Any] | None = None


def read() -> dict[str, Any]:
    """Returns the object in `TF_CONFIG`; an empty one when the variable is unset or blank.

    Raises:
      ValueError: the variable holds no JSON object.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return {}
    try:
        tf_config = json.loads(text)
    except ValueError as error:
        raise ValueError(_not_an_object(text, str(error))) from error
    if not isinstance(tf_config, dict):
        raise ValueError(_not_an_object(text, f"a {type(tf_config).__name__}"))
    if tf_config:
        logging.info("TF_CONFIG environment variable: %s", tf_config)
    return tf_config


def resolve_model_dir(tf_config: dict[str, Any], model_dir: str | None) -> str | None:
    """Returns the one `model_dir` that the program and `TF_CONFIG` agree on, None if neither has one.

    Raises:
      ValueError: they differ, or the one in `TF_CONFIG` is empty.
    """
    given = tf_config.get("model_dir")
    if given is None:
        return model_dir
    if not isinstance(given, str) or not given:
        raise ValueError(f"model_dir in TF_CONFIG should be non-empty. It must be a path. Received: {given!r}.")
    if model_dir and given != model_dir:
        raise ValueError(
            "`model_dir` provided in RunConfig construct, if set, must have the same value as the model_dir in "
            f'TF_CONFIG. model_dir: {model_dir}\nTF_CONFIG["model_dir"]: {given}. Remove one of the two.'
        )
    logging.info("Using model_dir in TF_CONFIG: %s", given)
    return given


def resolve_role(tf_config: dict[str, Any], *, worker_may_lead: bool) -> ClusterRole:
    """Returns the role that `tf_config` gives to this process.

    Args:
      tf_config: the object in `TF_CONFIG`.
      worker_may_lead: whether a cluster without a chief is led by its worker 0, as in `tf.distribute`.

    Raises:
      ValueError: the cluster has no chief or several, or the task is missing or not in the cluster.
      TypeError: a part of `tf_config` has the wrong type.
    """
    service = _object_or_none(tf_config, "service")
    cluster = _cluster_spec(tf_config)
    task = _object_or_none(tf_config, "task") or {}
    if not cluster:
        role = _local_role(tf_config, task)
    else:
        role = _cluster_role(tf_config, cluster, task, _chief_type(cluster, worker_may_lead))
    return dataclasses.replace(role, service=service)


def _not_an_object(text: str, reason: str) -> str:
    return (
        'TF_CONFIG must be a JSON object such as {"cluster": {"chief": ["host0:2222"], "worker": ["host1:2222"]}, '
        f'"task": {{"type": "worker", "index": 0}}}}. Received: {text!r} ({reason}). Correct or unset the variable.'
    )


def _object_or_none(tf_config: dict[str, Any], key: str) -> dict[str, Any] | None:
    value = tf_config.get(key)
    if value is not None and not isinstance(value, dict):
        raise TypeError(
            f'If "{key}" is set in TF_CONFIG, it must be a dict. Given {type(value)}: {value!r}. '
            "Write it as a JSON object, in braces."
        )
    return value


def _cluster_spec(tf_config: dict[str, Any]) -> tf.train.ClusterSpec:
    cluster = _object_or_none(tf_config, "cluster")
    try:
        return tf.train.ClusterSpec(cluster or {})
    except (TypeError, ValueError) as error:
        raise TypeError(
            f'The "cluster" in TF_CONFIG must map task types to lists of addresses. Received: {cluster!r} ({error}).'
        ) from error


def _chief_type(cluster: tf.train.ClusterSpec, worker_may_lead: bool) -> str:
    """Returns which task type leads `cluster`: chief, its older name master, or, where that is allowed, worker."""
    if _MASTER in cluster.jobs:
        if _CHIEF in cluster.jobs:
            raise ValueError(
                f"If `master` node exists in `cluster`, job `chief` is not supported. Keep the chief alone. "
                f"Received: {cluster.as_dict()}."
            )
        return _MASTER
    if worker_may_lead and _CHIEF not in cluster.jobs and _WORKER in cluster.jobs:
        return _WORKER
    return _CHIEF


def _cluster_role(
    tf_config: dict[str, Any], cluster: tf.train.ClusterSpec, task: dict[str, Any], chief_type: str
) -> ClusterRole:
    task_type, task_id = _checked_task(cluster, task, chief_type)
    if task_type == _EVALUATOR:
        if chief_type == _MASTER:
            raise ValueError(
                "If `master` node exists in `cluster`, task_type `evaluator` is not supported. "
                f"Rename the job `master` to `chief`. Received: {cluster.as_dict()}."
            )
        # The evaluator watches the model_dir: it is no part of the cluster that trains.
        return ClusterRole(
            task_type=task_type,
            task_id=task_id,
            is_chief=False,
            evaluation_master=tf_config.get("eval_session_master", ""),
            num_worker_replicas=0,
            global_id_in_cluster=None,
        )
    return ClusterRole(
        cluster_spec=cluster,
        task_type=task_type,
        task_id=task_id,
        # Only a worker that leads has others of its type beside it.
        is_chief=task_type == chief_type and task_id == 0,
        master=_master(tf_config, cluster, task_type, task_id),
        num_ps_replicas=_num_tasks(cluster, _PS),
        num_worker_replicas=sum(_num_tasks(cluster, kind) for kind in {_WORKER, chief_type}),
        global_id_in_cluster=_global_id(cluster, task_type, task_id, chief_type),
    )


def _local_role(tf_config: dict[str, Any], task: dict[str, Any]) -> ClusterRole:
    task_type = task.get("type", _WORKER)
    if task_type != _WORKER:
        raise ValueError(
            'If "cluster" is not set in TF_CONFIG, task type must be WORKER. '
            f"Received: {task_type!r}. Set the cluster, or remove the task."
        )
    task_id = _task_index(task.get("index", 0))
    if task_id != 0:
        raise ValueError(
            'If "cluster" is not set in TF_CONFIG, task index must be 0. '
            f"Received: {task_id}. Set the cluster, or remove the task."
        )
    return ClusterRole(
        master=tf_config.get("session_master", ""), evaluation_master=tf_config.get("eval_session_master", "")
    )


def _checked_task(cluster: tf.train.ClusterSpec, task: dict[str, Any], chief_type: str) -> tuple[str, int]:
    """Returns type and index of this process's task, once cluster and task are seen to fit."""
    addresses = cluster.as_dict()
    if chief_type not in cluster.jobs:
        raise ValueError(
            f'If "cluster" is set in TF_CONFIG, it must have one "{chief_type}" node. Received: {addresses}. '
            "Name one node chief, or give a `train_distribute` strategy, under which worker 0 leads."
        )
    if chief_type != _WORKER and _num_tasks(cluster, chief_type) > 1:
        raise ValueError(f'The "cluster" in TF_CONFIG must have only one "{chief_type}" node. Received: {addresses}.')
    task_type, index = task.get("type"), task.get("index")
    if not task_type:
        raise ValueError(f'If "cluster" is set in TF_CONFIG, task type must be set. Received the task: {task}.')
    if index is None:
        raise ValueError(f'If "cluster" is set in TF_CONFIG, task index must be set. Received the task: {task}.')
    task_id = _task_index(index)
    if task_id < 0:
        raise ValueError(f"Task index must be non-negative number. Received the task: {task}.")
    if task_type == _EVALUATOR:
        return task_type, task_id
    if task_type not in cluster.jobs:
        raise ValueError(f"{task_type} is not a valid task_type in the cluster_spec:\n{cluster}\n\n{_SOURCE}")
    if task_id not in cluster.task_indices(task_type):
        raise ValueError(
            f"{task_id} is not a valid task_id for task_type {task_type} in the cluster_spec:\n{cluster}\n\n{_SOURCE}"
        )
    return task_type, task_id


def _task_index(index: Any) -> int:
    try:
        return int(index)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The task index in TF_CONFIG must be an integer. Received: {index!r}.") from error


def _num_tasks(cluster: tf.train.ClusterSpec, task_type: str) -> int:
    return len(cluster.task_indices(task_type)) if task_type in cluster.jobs else 0


def _master(tf_config: dict[str, Any], cluster: tf.train.ClusterSpec, task_type: str, task_id: int) -> str:
    """Returns the address that a session of this task would connect to: '' for the process itself."""
    if "session_master" in tf_config:
        return str(tf_config["session_master"])
    if sum(_num_tasks(cluster, kind) for kind in cluster.jobs) == 1:
        return ""
    return f"grpc://{cluster.task_address(task_type, task_id)}"


def _global_id(cluster: tf.train.ClusterSpec, task_type: str, task_id: int, chief_type: str) -> int:
    """Returns the place of a task among all of the cluster: the chief first, parameter servers last, others by name."""
    order = sorted(cluster.jobs, key=lambda kind: (kind != chief_type, kind == _PS, kind))
    return task_id + sum(_num_tasks(cluster, kind) for kind in order[: order.index(task_type)])
