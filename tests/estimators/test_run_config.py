"""RunConfig: its fields and cluster properties against tf.estimator's, and what headway adds."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import json
import pathlib
import pickle
import re
import types
import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headway.estimators._run_config import RunConfig

GOLDEN = json.loads(
    (pathlib.Path(__file__).parents[1] / "golden" / "run_config" / "run_config.json").read_text("utf-8")
)

STAND_INS = {
    "$ConfigProto": tf.compat.v1.ConfigProto(),
    "$op_function": lambda op: "",
    "$x_function": lambda x: "",
    "$two_argument_function": lambda op, x: "",
    "$path": pathlib.PurePosixPath("/models/census"),
}

# Where tf.estimator's error is an accident of Python or of another layer: what headway says instead.
OWN_ERRORS = {
    "index is a word": (ValueError, "The task index in TF_CONFIG must be an integer. Received: 'first'."),
    "cluster is a list": (
        TypeError,
        "If \"cluster\" is set in TF_CONFIG, it must be a dict. Given <class 'list'>: ['a:1'].",
    ),
    "a JSON number": (ValueError, "Received: '5' (a int)."),
    "a JSON list": (ValueError, "Received: '[\"a\"]' (a list)."),
    'RunConfig({"save_summary_steps": "often"})': (
        TypeError,
        "save_summary_steps should be >= 0: an integer or None. Received: 'often'.",
    ),
}

CLUSTER = {"chief": ["h0:1"], "ps": ["h1:1"], "worker": ["h2:1", "h3:1"]}
WORKERS = {"worker": ["h0:1", "h1:1", "h2:1"]}


def stand_in(values: dict[str, Any]) -> dict[str, Any]:
    return {key: STAND_INS.get(value, value) if isinstance(value, str) else value for key, value in values.items()}


def make(arguments: dict[str, Any], replacement: dict[str, Any] | None) -> RunConfig:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* has no effect in headway", category=UserWarning)
        config = RunConfig(**stand_in(arguments))
        return config if replacement is None else config.replace(**stand_in(replacement))


def set_cluster(monkeypatch: pytest.MonkeyPatch, cluster: dict[str, Any], kind: str, index: int, **rest: Any) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}, **rest}))


def by_outcome(*, error: bool) -> list[Any]:
    return [pytest.param(*case, id=case[0]) for case in GOLDEN["cases"] if ("error" in case[-1]) == error]


CASE = ("name", "text", "arguments", "replacement", "expected")


@pytest.mark.parametrize(CASE, by_outcome(error=False))
def test_fields_are_those_of_tf_estimator(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str,
    arguments: dict[str, Any],
    replacement: dict[str, Any] | None,
    expected: dict[str, Any],
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    config = make(arguments, replacement)
    received = {name: getattr(config, name) for name in GOLDEN["defaults"]}
    received["cluster_spec"] = config.cluster_spec.as_dict()
    assert received == {**GOLDEN["defaults"], **expected}


@pytest.mark.parametrize(CASE, by_outcome(error=True))
def test_errors_say_at_least_what_those_of_tf_estimator_say(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str,
    arguments: dict[str, Any],
    replacement: dict[str, Any] | None,
    expected: dict[str, Any],
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    kind, message = expected["error"]
    error_class: type[Exception] = TypeError if kind == "TypeError" else ValueError
    # headway has more allowed properties; its messages go on where those of tf.estimator end.
    message = message.split("are ['model_dir'")[0].strip().removesuffix(".")
    error_class, message = OWN_ERRORS.get(name, (error_class, message))
    with pytest.raises(error_class, match=re.escape(message)):
        make(arguments, replacement)


def test_the_list_of_own_errors_is_not_stale() -> None:
    assert set(OWN_ERRORS) <= {case[0] for case in GOLDEN["cases"] if "error" in case[-1]}


def test_the_first_arguments_have_the_order_and_defaults_of_tf_estimator() -> None:
    # The signature of tf.estimator.RunConfig in 2.15; the two cadences default to a sentinel.
    expected = [
        ("model_dir", None),
        ("tf_random_seed", None),
        ("save_summary_steps", 100),
        ("save_checkpoints_steps", "USE_DEFAULT"),
        ("save_checkpoints_secs", "USE_DEFAULT"),
        ("session_config", None),
        ("keep_checkpoint_max", 5),
        ("keep_checkpoint_every_n_hours", 10000),
        ("log_step_count_steps", 100),
        ("train_distribute", None),
        ("device_fn", None),
        ("protocol", None),
        ("eval_distribute", None),
        ("experimental_distribute", None),
        ("experimental_max_worker_delay_secs", None),
        ("session_creation_timeout_secs", 7200),
        ("checkpoint_save_graph_def", True),
    ]
    parameters = inspect.signature(RunConfig).parameters.values()
    positional = [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [(name, default if name[:9] != "save_chec" else repr(default)) for name, default in positional] == expected


NEW_FIELDS = {
    "steps_per_loop": "auto",
    "run_eagerly": False,
    "jit_compile": False,
    "mixed_precision": False,
    "gradient_clipping": None,
    "gradient_accumulation": 1,
    "deterministic": False,
    "gpu_memory": None,
    "progress": "auto",
    "async_checkpoints": False,
    "resume_input": "auto",
    "training_metrics": False,
    "threads_per_op": "auto",
    "check_input": True,
    "runtime": "auto",
}


def test_new_fields_are_given_by_name() -> None:
    parameters = inspect.signature(RunConfig).parameters.values()
    assert {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} == NEW_FIELDS
    config = RunConfig()
    assert {name: getattr(config, name) for name in NEW_FIELDS} == NEW_FIELDS


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("model_dir", b"/m", "/m"),
        ("tf_random_seed", np.int64(3), 3),
        ("save_checkpoints_steps", 1e3, 1000),
        ("save_checkpoints_steps", np.int32(7), 7),
        ("save_checkpoints_secs", np.float32(0.5), 0.5),
        ("steps_per_loop", 1, 1),
        ("steps_per_loop", 500, 500),
        ("run_eagerly", True, True),
        ("jit_compile", True, True),
        ("mixed_precision", True, True),
        ("mixed_precision", "mixed_float16", "mixed_float16"),
        ("gradient_clipping", 5, 5.0),
        ("gradient_accumulation", 4, 4),
        ("gpu_memory", "growth", "growth"),
        ("gpu_memory", 2048, 2048),
        ("progress", "bar", "bar"),
        ("progress", "log", "log"),
        ("progress", "none", "none"),
        ("async_checkpoints", np.bool_(True), True),
        ("resume_input", "always", "always"),
        ("resume_input", "never", "never"),
        ("training_metrics", True, True),
        ("threads_per_op", 2, 2),
        ("threads_per_op", None, None),
        ("check_input", False, False),
        ("runtime", "graph", "graph"),
        ("runtime", "function", "function"),
    ],
)
def test_accepts(field: str, value: Any, kept: Any) -> None:
    for config in (RunConfig(**{field: value}), RunConfig().replace(**{field: value})):
        received = getattr(config, field)
        assert received == kept
        assert type(received) is type(kept)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model_dir": 5}, TypeError, "`model_dir` must be a path: a string or os.PathLike, or None. Received: 5."),
        ({"tf_random_seed": True}, ValueError, "tf_random_seed must be integer."),
        (
            {"save_summary_steps": True},
            TypeError,
            "save_summary_steps should be >= 0: an integer or None. Received: True.",
        ),
        (
            {"save_checkpoints_steps": 2.5},
            ValueError,
            "save_checkpoints_steps should be >= 0: an integer or None. Received: 2.5.",
        ),
        ({"save_checkpoints_steps": float("inf")}, ValueError, "Received: inf."),
        (
            {"save_checkpoints_secs": float("nan")},
            ValueError,
            "save_checkpoints_secs should be >= 0: a number or None. Received: nan.",
        ),
        (
            {"save_checkpoints_secs": "60"},
            TypeError,
            "save_checkpoints_secs should be >= 0: a number or None. Received: '60'.",
        ),
        (
            {"keep_checkpoint_max": "5"},
            TypeError,
            "keep_checkpoint_max should be >= 0: an integer or None. Received: '5'.",
        ),
        (
            {"keep_checkpoint_every_n_hours": -1},
            ValueError,
            "keep_checkpoint_every_n_hours should be > 0: a number or None.",
        ),
        (
            {"checkpoint_save_graph_def": None},
            TypeError,
            "`checkpoint_save_graph_def` must be True or False. Received: None.",
        ),
        ({"train_distribute": "mirrored"}, TypeError, "`train_distribute` must be a tf.distribute.Strategy"),
        ({"eval_distribute": tf.distribute.MirroredStrategy}, TypeError, "Received: <MirroredStrategy>."),
        (
            {"experimental_distribute": {}},
            TypeError,
            "must have the attributes `train_distribute` and `eval_distribute`",
        ),
        ({"steps_per_loop": 0}, ValueError, "steps_per_loop should be >= 1: an integer. Received: 0."),
        ({"steps_per_loop": None}, TypeError, "steps_per_loop should be >= 1: an integer. Received: None."),
        ({"steps_per_loop": "all"}, ValueError, "`steps_per_loop` must be 'auto' or an integer >= 1. Received: 'all'."),
        ({"run_eagerly": 1}, TypeError, "`run_eagerly` must be True or False. Received: 1."),
        ({"jit_compile": "auto"}, TypeError, "`jit_compile` must be True or False. Received: 'auto'."),
        (
            {"mixed_precision": "float8"},
            ValueError,
            "must be True, False or the name of a Keras dtype policy: mixed_bfloat16,",
        ),
        ({"mixed_precision": None}, ValueError, "Received: None."),
        ({"gradient_clipping": 0}, ValueError, "gradient_clipping should be > 0: a number or None. Received: 0."),
        ({"gradient_clipping": "1"}, TypeError, "gradient_clipping should be > 0: a number or None. Received: '1'."),
        ({"gradient_clipping": float("inf")}, ValueError, "`gradient_clipping` must be finite; None clips nothing."),
        ({"gradient_accumulation": 0}, ValueError, "gradient_accumulation should be >= 1: an integer. Received: 0."),
        (
            {"gradient_accumulation": None},
            TypeError,
            "gradient_accumulation should be >= 1: an integer. Received: None.",
        ),
        (
            {"deterministic": "yes", "tf_random_seed": 1},
            TypeError,
            "`deterministic` must be True or False. Received: 'yes'.",
        ),
        ({"deterministic": True}, ValueError, "`deterministic=True` needs `tf_random_seed`"),
        (
            {"gpu_memory": "all"},
            ValueError,
            "`gpu_memory` must be 'growth', a limit in MB for each GPU, or None. Received: 'all'.",
        ),
        ({"gpu_memory": 0}, ValueError, "gpu_memory should be > 0: an integer or None. Received: 0."),
        ({"progress": True}, ValueError, "`progress` must be one of 'auto', 'bar', 'log', 'none'. Received: True."),
        ({"progress": "tqdm"}, ValueError, "`progress` must be one of 'auto', 'bar', 'log', 'none'. Received: 'tqdm'."),
        ({"async_checkpoints": None}, TypeError, "`async_checkpoints` must be True or False. Received: None."),
        (
            {"resume_input": "yes"},
            ValueError,
            "`resume_input` must be one of 'auto', 'always', 'never'. Received: 'yes'.",
        ),
        ({"training_metrics": 0}, TypeError, "`training_metrics` must be True or False. Received: 0."),
        ({"threads_per_op": 0}, ValueError, "threads_per_op should be >= 1: an integer. Received: 0."),
        (
            {"runtime": "session"},
            ValueError,
            "`runtime` must be one of 'auto', 'function', 'graph'. Received: 'session'.",
        ),
        ({"check_input": "no"}, TypeError, "`check_input` must be True or False. Received: 'no'."),
        ({"run_eagerly": True, "jit_compile": True}, ValueError, "`run_eagerly` and `jit_compile` cannot be both True"),
    ],
)
def test_rejects(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        RunConfig(**arguments)
    with pytest.raises(error, match=re.escape(message)):
        RunConfig().replace(**arguments)


@pytest.mark.parametrize(
    ("value", "policy"),
    [(False, None), (True, "mixed_bfloat16"), ("mixed_float16", "mixed_float16"), ("bfloat16", "bfloat16")],
)
def test_dtype_policy(value: bool | str, policy: str | None) -> None:
    assert RunConfig(mixed_precision=value).dtype_policy == policy


# What has no effect today: an accepted value, and what the warning advises.
WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "session_config": (tf.compat.v1.ConfigProto(), "Use `gpu_memory`"),
    "device_fn": (lambda op: "/cpu:0", "Give one in `train_distribute`"),
    "protocol": ("grpc", "Give it to `tf.distribute.Server"),
    "experimental_distribute": (
        types.SimpleNamespace(train_distribute=None, eval_distribute=None),
        "Use `train_distribute` and `eval_distribute`",
    ),
    "experimental_max_worker_delay_secs": (30, "workers start together"),
    "session_creation_timeout_secs": (60, "there are no sessions to wait for"),
}


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_has_no_effect_is_kept_and_warned_about_once(name: str) -> None:
    value, advice = WITHOUT_EFFECT[name]
    for build in (RunConfig, RunConfig().replace):
        with pytest.warns(UserWarning, match=f"`{name}` has no effect in headway: .*{re.escape(advice)}") as caught:
            config = build(**{name: value})
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert getattr(config, name) == value
        assert config.replace(tf_random_seed=1).tf_random_seed == 1  # and no further warning


def test_a_default_that_is_given_does_not_warn() -> None:
    config = RunConfig(session_config=None, device_fn=None, protocol=None, session_creation_timeout_secs=7200)
    assert config == RunConfig()


def test_partial_functions_and_methods_are_device_functions() -> None:
    class Placer:
        def place(self, op: Any) -> str:
            return ""

    for function in (Placer().place, functools.partial(lambda op: "")):
        with pytest.warns(UserWarning, match="device_fn"):
            assert RunConfig(device_fn=function).device_fn == function


# Strategies.


def test_strategies_are_shared_not_copied(mirrored: tf.distribute.MirroredStrategy) -> None:
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    config = RunConfig(train_distribute=mirrored, eval_distribute=one)
    for copied in (copy.deepcopy(config), copy.copy(config), config.replace(tf_random_seed=1)):
        assert copied.train_distribute is mirrored
        assert copied.eval_distribute is one


def test_a_version_2_parameter_server_strategy_is_accepted() -> None:
    strategy = object.__new__(tf.distribute.ParameterServerStrategy)  # its constructor connects to a cluster
    assert RunConfig(train_distribute=strategy).train_distribute is strategy


@pytest.mark.parametrize("name", ["train_distribute", "eval_distribute"])
def test_a_version_1_parameter_server_strategy_is_rejected(name: str) -> None:
    strategy = object.__new__(tf.compat.v1.distribute.experimental.ParameterServerStrategy)
    with pytest.raises(ValueError, match=f"Please use `tf.distribute.ParameterServerStrategy` .* in `{name}`"):
        RunConfig(**{name: strategy})


def test_experimental_distribute_gives_the_strategies(mirrored: tf.distribute.MirroredStrategy) -> None:
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    both = types.SimpleNamespace(train_distribute=mirrored, eval_distribute=one)
    with pytest.warns(UserWarning, match="experimental_distribute"):
        config = RunConfig(experimental_distribute=both)
    assert config.train_distribute is mirrored
    assert config.eval_distribute is one


@pytest.mark.filterwarnings("ignore:.*experimental_distribute.*:UserWarning")
def test_experimental_distribute_must_not_contradict(mirrored: tf.distribute.MirroredStrategy) -> None:
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    only_train = types.SimpleNamespace(train_distribute=mirrored, eval_distribute=None)
    with pytest.raises(ValueError, match=r"Either `train_distribute` or `experimental_distribute\.train_distribute`"):
        RunConfig(train_distribute=one, experimental_distribute=only_train)
    wrong = types.SimpleNamespace(train_distribute="mirrored", eval_distribute=None)
    with pytest.raises(TypeError, match=r"`train_distribute` must be a tf.distribute.Strategy"):
        RunConfig(experimental_distribute=wrong)
    remote = types.SimpleNamespace(train_distribute=mirrored, eval_distribute=None, remote_cluster={"worker": ["a:1"]})
    with pytest.raises(ValueError, match=r"`experimental_distribute\.remote_cluster` is not supported"):
        RunConfig(experimental_distribute=remote)


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    # is_chief, num_worker_replicas, num_ps_replicas, global_id_in_cluster: without a chief, worker 0 leads.
    [
        (WORKERS, ("worker", 0), (True, 3, 0, 0)),
        (WORKERS, ("worker", 2), (False, 3, 0, 2)),
        ({**WORKERS, "ps": ["p:1"]}, ("ps", 0), (False, 3, 1, 3)),
        (WORKERS, ("evaluator", 0), (False, 0, 0, None)),
        (CLUSTER, ("chief", 0), (True, 3, 1, 0)),
        (CLUSTER, ("worker", 0), (False, 3, 1, 1)),
        (CLUSTER, ("ps", 0), (False, 3, 1, 3)),
    ],
)
def test_a_cluster_under_a_strategy(
    monkeypatch: pytest.MonkeyPatch, cluster: dict[str, Any], task: tuple[str, int], expected: tuple[Any, ...]
) -> None:
    set_cluster(monkeypatch, cluster, *task)
    config = RunConfig(train_distribute=tf.distribute.OneDeviceStrategy("/cpu:0"))
    received = (config.is_chief, config.num_worker_replicas, config.num_ps_replicas, config.global_id_in_cluster)
    assert received == expected
    assert (config.task_type, config.task_id) == task


def test_a_cluster_of_parameter_servers_alone_has_nobody_to_lead_it(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cluster(monkeypatch, {"ps": ["p:1"]}, "ps", 0)
    with pytest.raises(ValueError, match='it must have one "chief" node'):
        RunConfig(train_distribute=tf.distribute.OneDeviceStrategy("/cpu:0"))


# TF_CONFIG.


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_a_blank_tf_config_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert RunConfig() == RunConfig(model_dir=None)
    assert RunConfig().task_type == "worker"


def test_a_broken_tf_config_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{'cluster': {}}")
    message = (
        r'TF_CONFIG must be a JSON object such as \{"cluster".*Received: "\{\'cluster\': \{\}\}" '
        r"\(Expecting property name.*line 1 column 2.*\)\. Correct or unset the variable\."
    )
    with pytest.raises(ValueError, match=message):
        RunConfig()


def test_sparse_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    # A node of a large cluster may know some addresses only: {index: address}.
    set_cluster(monkeypatch, {"chief": ["c:1"], "ps": {"3": "p:1"}}, "ps", 3)
    config = RunConfig()
    assert (config.task_id, config.master, config.num_ps_replicas) == (3, "grpc://p:1", 1)
    set_cluster(monkeypatch, {"chief": ["c:1"], "ps": {"3": "p:1"}}, "ps", 0)
    with pytest.raises(ValueError, match="0 is not a valid task_id for task_type ps"):
        RunConfig()


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cluster(monkeypatch, CLUSTER, "worker", 1, service={"zones": [1]})
    config = RunConfig()
    monkeypatch.delenv("TF_CONFIG")
    replaced = config.replace(model_dir="/m")
    assert (replaced.task_type, replaced.task_id, replaced.master) == ("worker", 1, "grpc://h3:1")
    assert replaced.service == {"zones": [1]}


# The object.


def test_replace_leaves_the_original_alone() -> None:
    with pytest.warns(UserWarning, match="session_config"):
        config = RunConfig(session_config=tf.compat.v1.ConfigProto(), save_checkpoints_steps=5)
    replaced = config.replace(save_checkpoints_secs=9)
    replaced.session_config.intra_op_parallelism_threads = 3
    assert (config.save_checkpoints_steps, config.save_checkpoints_secs) == (5, None)
    assert (replaced.save_checkpoints_steps, replaced.save_checkpoints_secs) == (None, 9)
    assert config.session_config.intra_op_parallelism_threads == 0


def test_fields_cannot_be_assigned() -> None:
    config = RunConfig()
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'model_dir'"):
        config.model_dir = "/m"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="task_type"):
        config.task_type = "chief"  # type: ignore[misc]


def test_service_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"service": {"zones": [1]}}))
    config = RunConfig()
    service = config.service
    assert service is not None
    service["zones"].append(2)
    assert config.service == {"zones": [1]}


def test_equality_and_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RunConfig(tf_random_seed=1) == RunConfig(tf_random_seed=1)
    assert RunConfig(tf_random_seed=1) != RunConfig(tf_random_seed=2)
    assert RunConfig(check_input=False) != RunConfig()
    assert len({RunConfig(model_dir="/m"), RunConfig(model_dir="/m"), RunConfig()}) == 2
    alone = RunConfig()
    set_cluster(monkeypatch, CLUSTER, "worker", 0)
    assert RunConfig() != alone
    assert RunConfig() == RunConfig()


def test_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cluster(monkeypatch, CLUSTER, "worker", 1, service={"zones": [1]})
    config = RunConfig(model_dir="/m", save_checkpoints_steps=7, mixed_precision=True)
    data = pickle.dumps(config)
    monkeypatch.delenv("TF_CONFIG")
    assert pickle.loads(data) == config


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "RunConfig()"),
        ({"model_dir": "/m", "save_checkpoints_steps": 5}, "RunConfig(model_dir='/m', save_checkpoints_steps=5)"),
        ({"save_checkpoints_secs": None}, "RunConfig(save_checkpoints_secs=None)"),
        ({"progress": "none", "gpu_memory": 512}, "RunConfig(gpu_memory=512, progress='none')"),
    ],
)
def test_repr(arguments: dict[str, Any], expected: str) -> None:
    assert repr(RunConfig(**arguments)) == expected


def test_repr_in_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    set_cluster(monkeypatch, WORKERS, "worker", 2)
    config = RunConfig(train_distribute=tf.distribute.OneDeviceStrategy("/cpu:0"))
    assert repr(config) == (
        "RunConfig(train_distribute=<OneDeviceStrategy>, task='worker/2', "
        "cluster_spec={'worker': ['h0:1', 'h1:1', 'h2:1']})"
    )


def test_subclasses_keep_attributes_of_their_own() -> None:
    class CloudConfig(RunConfig):
        def __init__(self, *, zone: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.zone = zone

    config = CloudConfig(zone="west", model_dir="/m").replace(tf_random_seed=2)
    assert (type(config), config.zone, config.model_dir, config.tf_random_seed) == (CloudConfig, "west", "/m", 2)


def test_every_field_is_documented() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "run_config.md").read_text("utf-8")
    public = [name for name in vars(RunConfig) if isinstance(vars(RunConfig)[name], property)]
    fields = [field.name for field in dataclasses.fields(RunConfig) if field.init]
    for name in [*fields, *public]:
        assert f"`{name}`" in page, name
    docstring = inspect.getdoc(RunConfig) or ""
    assert [name for name in fields if f"{name}:" not in docstring] == []
