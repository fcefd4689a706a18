"""Writes run_config.json: what tf.estimator 2.15's RunConfig makes of a table of TF_CONFIG strings and arguments.

Each case is [name, TF_CONFIG, arguments, arguments of replace or null, what differs from the defaults or the error].

Run it with a Python that has TensorFlow 2.15 and tf.estimator: `python make_run_config.py`.
A value "$Name" stands for the object of that name in STAND_INS, which the test has as well.
"""

from __future__ import annotations

import json
import os
import pathlib

import tensorflow as tf

STAND_INS = {
    "$ConfigProto": tf.compat.v1.ConfigProto(),
    "$op_function": lambda op: "",
    "$x_function": lambda x: "",
    "$two_argument_function": lambda op, x: "",
    "$path": pathlib.PurePosixPath("/models/census"),
}

FULL = {"chief": ["h0:1"], "ps": ["h1:1", "h2:1"], "worker": ["h3:1", "h4:1", "h5:1"]}
NO_PS = {"chief": ["h0:1"], "worker": ["h3:1", "h4:1"]}
MASTER = {"master": ["m:1"], "worker": ["w0:1", "w1:1"], "ps": ["p:1"]}
EXTRA = {"chief": ["c:1"], "worker": ["w0:1", "w1:1"], "ps": ["p:1"], "auditor": ["a:1"], "zoo": ["z0:1", "z1:1"]}


def on(cluster, kind=None, index=None, **rest):
    """Returns a TF_CONFIG object for one task of a cluster."""
    task = {key: value for key, value in (("type", kind), ("index", index)) if value is not None}
    return {"cluster": cluster, "task": task, **rest}


CLUSTERS = {
    "chief of full": on(FULL, "chief", 0),
    "worker 0 of full": on(FULL, "worker", 0),
    "worker 2 of full": on(FULL, "worker", 2),
    "ps 0 of full": on(FULL, "ps", 0),
    "ps 1 of full": on(FULL, "ps", 1),
    "evaluator 0 of full": on(FULL, "evaluator", 0),
    "evaluator 7 of full": on(FULL, "evaluator", 7),
    "chief without ps": on(NO_PS, "chief", 0),
    "worker 1 without ps": on(NO_PS, "worker", 1),
    "chief alone": on({"chief": ["h:1"]}, "chief", 0),
    "chief with one ps": on({"chief": ["h:1"], "ps": ["p:1"]}, "chief", 0),
    "master": on(MASTER, "master", 0),
    "worker 1 of master": on(MASTER, "worker", 1),
    "ps of master": on(MASTER, "ps", 0),
    "master alone": on({"master": ["m:1"]}, "master", 0),
    "auditor": on(EXTRA, "auditor", 0),
    "zoo 1": on(EXTRA, "zoo", 1),
    "worker 1 beside others": on(EXTRA, "worker", 1),
    "ps beside others": on(EXTRA, "ps", 0),
    "evaluator listed in the cluster": on({**NO_PS, "evaluator": ["e:1"]}, "evaluator", 0),
    "worker with an evaluator listed": on({**NO_PS, "evaluator": ["e:1"]}, "worker", 0),
    "index as a string": on(FULL, "worker", "1"),
    "session_master": on(FULL, "worker", 1, session_master="grpc://other:9"),
    "eval_session_master of a worker": on(FULL, "worker", 1, eval_session_master="grpc://e:9"),
    "eval_session_master of an evaluator": on(FULL, "evaluator", 0, eval_session_master="grpc://e:9"),
    "both masters without a cluster": {"session_master": "grpc://a:1", "eval_session_master": "grpc://b:1"},
    "service": on(FULL, "chief", 0, service={"name": "cloud", "zones": [1, 2]}),
    "service without a cluster": {"service": {"name": "cloud"}},
    "environment": on(NO_PS, "chief", 0, environment="cloud"),
    "unknown key": on(NO_PS, "chief", 0, colour="blue"),
    "empty object": {},
    "worker 0 without a cluster": {"task": {"type": "worker", "index": 0}},
    "index alone without a cluster": {"task": {"index": 0}},
    "empty cluster": {"cluster": {}, "task": {"type": "worker", "index": 0}},
    "model_dir": {"model_dir": "/from/env"},
    "model_dir in a cluster": on(NO_PS, "worker", 1, model_dir="/from/env"),
    # Errors.
    "no chief": on({"worker": ["a:1", "b:1"]}, "worker", 0),
    "two chiefs": on({"chief": ["a:1", "b:1"]}, "chief", 0),
    "two masters": on({"master": ["a:1", "b:1"]}, "master", 0),
    "chief and master": on({"chief": ["a:1"], "master": ["b:1"]}, "chief", 0),
    "master and evaluator": on(MASTER, "evaluator", 0),
    "no task": {"cluster": FULL},
    "no task type": on(FULL, None, 0),
    "no task index": on(FULL, "worker"),
    "negative index": on(FULL, "worker", -1),
    "negative index of an evaluator": on(FULL, "evaluator", -1),
    "index too large": on(FULL, "worker", 3),
    "type not in the cluster": on(NO_PS, "ps", 0),
    "index is a word": on(FULL, "worker", "first"),
    "chief without a cluster": {"task": {"type": "chief", "index": 0}},
    "evaluator without a cluster": {"task": {"type": "evaluator", "index": 0}},
    "worker 1 without a cluster": {"task": {"type": "worker", "index": 1}},
    "service is a list": {"service": ["a"]},
    "cluster is a list": {"cluster": ["a:1"], "task": {"type": "worker", "index": 0}},
    "job is a string": on({"chief": "a:1"}, "chief", 0),
    "empty model_dir": {"model_dir": ""},
}

ARGUMENTS = [
    {},
    {"model_dir": "/m"},
    {"model_dir": "$path"},
    {"tf_random_seed": 7},
    {"save_summary_steps": 0},
    {"save_summary_steps": None},
    {"save_checkpoints_steps": 5},
    {"save_checkpoints_secs": 5},
    {"save_checkpoints_secs": 0.5},
    {"save_checkpoints_steps": None},
    {"save_checkpoints_secs": None},
    {"save_checkpoints_steps": None, "save_checkpoints_secs": None},
    {"save_checkpoints_steps": 5, "save_checkpoints_secs": None},
    {"keep_checkpoint_max": 0},
    {"keep_checkpoint_max": None},
    {"keep_checkpoint_every_n_hours": 0.5},
    {"log_step_count_steps": 1},
    {"log_step_count_steps": None},
    {"session_config": "$ConfigProto"},
    {"device_fn": "$op_function"},
    {"protocol": "grpc"},
    {"protocol": "grpc+verbs"},
    {"experimental_max_worker_delay_secs": 0},
    {"session_creation_timeout_secs": 10},
    {"checkpoint_save_graph_def": False},
    # Errors.
    {"model_dir": ""},
    {"tf_random_seed": 1.5},
    {"tf_random_seed": "1"},
    {"save_summary_steps": -1},
    {"save_checkpoints_steps": -1},
    {"save_checkpoints_secs": -1},
    {"save_checkpoints_steps": 1, "save_checkpoints_secs": 1},
    {"session_config": {}},
    {"keep_checkpoint_max": -1},
    {"keep_checkpoint_every_n_hours": 0},
    {"log_step_count_steps": 0},
    {"device_fn": "/cpu:0"},
    {"device_fn": "$x_function"},
    {"device_fn": "$two_argument_function"},
    {"protocol": "http"},
    {"experimental_max_worker_delay_secs": 1.5},
    {"session_creation_timeout_secs": 0},
    {"save_summary_steps": "often"},
]

REPLACEMENTS = [
    ({}, {}),
    ({}, {"model_dir": "/n"}),
    ({"model_dir": "/m"}, {"model_dir": None}),
    ({}, {"save_checkpoints_steps": 7}),
    ({"save_checkpoints_steps": 7}, {"save_checkpoints_secs": 9}),
    ({"save_checkpoints_steps": 7}, {"save_checkpoints_secs": None}),
    ({}, {"save_checkpoints_steps": None}),
    ({}, {"save_checkpoints_steps": None, "save_checkpoints_secs": None}),
    ({}, {"save_checkpoints_steps": 3, "save_checkpoints_secs": None}),
    ({"keep_checkpoint_max": 3, "tf_random_seed": 1}, {"tf_random_seed": 2, "log_step_count_steps": 10}),
    # Errors.
    ({}, {"save_checkpoints_steps": 3, "save_checkpoints_secs": 4}),
    ({}, {"model_dir": ""}),
    ({}, {"log_step_count_steps": 0}),
    ({}, {"master": "grpc://a:1"}),
    ({}, {"is_chief": False}),
    ({}, {"colour": "blue"}),
]

TEXTS = {"not JSON": "{cluster", "a JSON number": "5", "a JSON list": '["a"]'}

PROPERTIES = [
    "model_dir", "tf_random_seed", "save_summary_steps", "save_checkpoints_steps", "save_checkpoints_secs",
    "keep_checkpoint_max", "keep_checkpoint_every_n_hours", "log_step_count_steps", "protocol",
    "experimental_max_worker_delay_secs", "session_creation_timeout_secs", "checkpoint_save_graph_def",
    "task_type", "task_id", "is_chief", "master", "evaluation_master", "num_ps_replicas", "num_worker_replicas",
    "global_id_in_cluster", "service",
]  # fmt: skip


def stand_in(values):
    """Returns `values` with the stand-ins put in."""
    return {key: STAND_INS.get(value, value) if isinstance(value, str) else value for key, value in values.items()}


def outcome(text, arguments, replacement):
    """Returns what the RunConfig says of itself, or its error."""
    os.environ["TF_CONFIG"] = text
    try:
        config = tf.estimator.RunConfig(**stand_in(arguments))
        if replacement is not None:
            config = config.replace(**stand_in(replacement))
    except Exception as error:
        return {"error": [type(error).__name__, str(error)]}
    return {**{name: getattr(config, name) for name in PROPERTIES}, "cluster_spec": config.cluster_spec.as_dict()}


def main():
    """Writes the table beside this file."""
    cases = [(name, json.dumps(value), {}, None) for name, value in CLUSTERS.items()]
    cases += [(name, text, {}, None) for name, text in TEXTS.items()]
    cases += [(f"RunConfig({json.dumps(arguments)})", "{}", arguments, None) for arguments in ARGUMENTS]
    cases += [(f"RunConfig({json.dumps(a)}).replace({json.dumps(r)})", "{}", a, r) for a, r in REPLACEMENTS]
    cases += [
        ("equal model_dir", json.dumps({"model_dir": "/a"}), {"model_dir": "/a"}, None),
        ("other model_dir", json.dumps({"model_dir": "/a"}), {"model_dir": "/b"}, None),
        ("replaced model_dir", json.dumps({"model_dir": "/a"}), {}, {"model_dir": "/b"}),
        ("replace in a cluster", json.dumps(CLUSTERS["worker 2 of full"]), {}, {"tf_random_seed": 3}),
    ]
    defaults = outcome("{}", {}, None)
    rows = []
    for name, text, arguments, replacement in cases:
        result = outcome(text, arguments, replacement)
        # Only what differs from the defaults, to keep the file small.
        expected = {key: value for key, value in result.items() if defaults.get(key, result) != value}
        rows.append(json.dumps([name, text, arguments, replacement, expected]))
    lines = ",\n".join(rows)
    text = f'{{"defaults": {json.dumps(defaults)},\n"cases": [\n{lines}\n]}}\n'
    (pathlib.Path(__file__).parent / "run_config.json").write_text(text)


if __name__ == "__main__":
    main()
