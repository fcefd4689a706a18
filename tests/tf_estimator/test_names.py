"""Every public name of tf.estimator 2.15 is there, with its parameters, defaults, methods and properties."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tensorflow as tf

import headway
from headway import estimators, tf_estimator
from headway.tf_estimator import v1

MODULES = {"tf.estimator": tf_estimator, "tf.compat.v1.estimator": v1}
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "tf_estimator.md"

# What differs in classes that work all the same, and why. The keys are name.member, or .member for any class.
DIFFERENCES = {
    ".update_metrics": "takes `mode` as the base class of tf.estimator's heads does",
    "experimental.InMemoryEvaluatorHook.begin": "a hook of headway's, which knows no session",
    "experimental.InMemoryEvaluatorHook.end": "a hook of headway's, which knows no session",
    "experimental.InMemoryEvaluatorHook.before_run": "a hook of headway's, which knows no session",
    "experimental.InMemoryEvaluatorHook.after_run": "a hook of headway's, which knows no session",
    "experimental.InMemoryEvaluatorHook.after_create_session": "a hook of headway's, which knows no session",
    "experimental.LinearSDCA.get_train_step": "what tf.estimator's own linear models called",
}


def differing_parameters(golden: list[list[Any]], found: list[list[Any]]) -> str | None:
    """Returns what a caller of the original would stumble over; further optional parameters are none of it."""
    if any(kind in ("*", "**") for _, kind, _ in golden):
        return None  # nothing was said about them
    if len(found) < len(golden):
        return f"has {[name for name, *_ in found]}, not {[name for name, *_ in golden]}"
    for (name, kind, default), (own, own_kind, own_default) in zip(golden, found, strict=False):
        if (name, kind) != (own, own_kind):
            return f"has {own!r} in the place of {name!r}"
        if default != own_default and default not in (None, "<object>"):  # a mark that nobody can pass
            return f"{name!r} is {own_default} by default, not {default}"
    required = [name for name, kind, default in found[len(golden) :] if default is None and kind not in ("*", "**")]
    return f"needs {required} as well" if required else None


def problems(name: str, golden: dict[str, Any], found: dict[str, Any], value: Any) -> Iterator[str]:
    """Yields how a name differs from the original, those differences left out that have a reason above."""
    if golden["kind"] != found["kind"]:
        yield f"{name} is a {found['kind']}, not a {golden['kind']}"
        return
    wrong = differing_parameters(golden.get("parameters", []), found.get("parameters", []))
    if wrong:
        yield f"{name} {wrong}"
    fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    for member, expected in golden.get("members", {}).items():
        own = found["members"].get(member)
        if (member, expected) == ("export_savedmodel", "property"):
            continue  # in version 2 it was there to raise an error
        if f"{name}.{member}" in DIFFERENCES or (f".{member}" in DIFFERENCES and own != expected):
            continue
        if own is None and member not in fields:
            yield f"{name} lacks {member}"
        elif isinstance(expected, list):
            wrong = differing_parameters(expected, own) if isinstance(own, list) else "is no method"
            if wrong:
                yield f"{name}.{member} {wrong}"
        elif expected != "property" and own != expected:
            yield f"{name}.{member} is {own}, not {expected}"


@pytest.fixture(scope="module")
def names(golden: pathlib.Path, golden_module: Callable[[str], Any]) -> dict[str, list[str]]:
    """Full name of the original -> how ours differs."""
    described = golden_module("tf_estimator/signatures.py").described
    found: dict[str, list[str]] = {}
    for prefix, expected in json.loads((golden / "signatures.json").read_text("utf-8")).items():
        own = described(MODULES[prefix])
        assert not set(own) - set(expected), f"{prefix} has no such names"
        for name, value in expected.items():
            if value["kind"] == "module":
                assert own[name]["kind"] == "module"
                continue
            lacking = [] if name in own else [f"{name} is not there"]
            found[f"{prefix}.{name}"] = lacking or list(problems(name, value, own[name], _resolved(prefix, name)))
    return found


def _resolved(prefix: str, name: str) -> Any:
    value: Any = MODULES[prefix]
    for part in name.split("."):
        value = getattr(value, part)
    return value


def test_names_that_differ_are_those_of_the_page(names: dict[str, list[str]]) -> None:
    text = PAGE.read_text("utf-8").partition("## Names that do not work")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", text, re.MULTILINE)
    without = {name for name, _ in rows}
    differing = {name: wrong for name, wrong in names.items() if wrong}
    assert set(differing) == without, differing
    assert all(reason for _, reason in rows)


def test_the_page_counts_the_names(names: dict[str, list[str]]) -> None:
    count = re.search(r"(\d+) of the (\d+) names", PAGE.read_text("utf-8"))
    assert count is not None
    works = sum(not wrong for wrong in names.values())
    assert (int(count[1]), int(count[2])) == (works, len(names))


@pytest.mark.parametrize(
    ("golden", "found", "expected"),
    [
        ([["a", "", None]], [["a", "", None]], None),
        ([["a", "", None]], [["a", "", None], ["b", "keyword", "1"]], None),
        ([["a", "", None]], [["a", "", "3"]], None),
        ([["a", "", "<object>"]], [["a", "", "None"]], None),
        ([["a", "", "2"]], [["a", "", "3"]], "'a' is 3 by default, not 2"),
        ([["a", "", None], ["b", "", None]], [["b", "", None], ["a", "", None]], "has 'b' in the place of 'a'"),
        ([["a", "", None]], [], "has [], not ['a']"),
        ([], [["a", "", None]], "needs ['a'] as well"),
        ([["args", "*", None]], [["a", "", None]], None),
    ],
)
def test_differences_are_found(golden: list[list[Any]], found: list[list[Any]], expected: str | None) -> None:
    assert differing_parameters(golden, found) == expected


def test_hooks_are_those_of_tensorflow() -> None:
    for name in ("SessionRunHook", "StopAtStepHook", "LoggingTensorHook", "CheckpointSaverListener", "FeedFnHook"):
        assert getattr(tf_estimator, name) is getattr(v1, name) is getattr(tf.compat.v1.train, name)
    assert issubclass(headway.NanLossDuringTrainingError, tf_estimator.NanLossDuringTrainingError)


def test_modes_are_plain_strings() -> None:
    assert (tf_estimator.ModeKeys.TRAIN, v1.ModeKeys.EVAL, v1.ModeKeys.PREDICT) == ("train", "eval", "infer")


def test_every_estimator_is_one_of_version_1() -> None:
    model = headway.LinearRegressor([headway.feature_columns.numeric_column("x")])
    assert isinstance(model, v1.Estimator)
    assert isinstance(model, tf_estimator.Estimator)
    assert issubclass(estimators.Estimator, v1.Estimator)
    assert not isinstance("model", v1.Estimator)

    class Own(v1.Estimator):
        pass

    assert not isinstance(model, Own)
    assert isinstance(Own(lambda features: None), estimators.Estimator)


@pytest.mark.parametrize("module", [tf_estimator, v1])
@pytest.mark.parametrize("name", ["BoostedTreesClassifier", "BoostedTreesRegressor", "BoostedTreesEstimator"])
def test_boosted_trees_say_what_to_use_instead(module: Any, name: str) -> None:
    kind = getattr(module, name)
    with pytest.raises(NotImplementedError, match=rf"{name} cannot be made\. .*the trees of YDF: headway\.Gr"):
        kind(feature_columns=[], n_batches_per_layer=1)


@pytest.mark.parametrize("name", ["inputs", "tpu"])
def test_a_name_of_version_1_says_where_it_is(name: str) -> None:
    with pytest.raises(
        AttributeError, match=rf"has no attribute '{name}'. It is in version 1: headway.tf_estimator.v1"
    ):
        getattr(tf_estimator, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'headway\.tf_estimator\.v1' has no attribute 'Estimater'"):
        v1.Estimater  # noqa: B018
    assert not hasattr(tf_estimator, "contrib")
