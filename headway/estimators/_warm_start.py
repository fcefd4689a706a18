"""Warm start: first values of variables from another model."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from headway._log import logger
from headway._slices import slice_of
from headway.estimators._checkpoints import DERIVED
from headway.estimators._variables import GLOBAL_STEP, Entry, VariableStore
from headway.estimators._vocab_info import VocabInfo
from headway.estimators._warm_start_sources import OBJECT_ENDING, Source, open_source


class _SettingsFields(NamedTuple):
    ckpt_to_initialize_from: str | os.PathLike[str]
    vars_to_warm_start: str | Sequence[str | tf.Variable | keras.Variable] | None
    var_name_to_vocab_info: Mapping[str, VocabInfo]
    var_name_to_prev_var_name: Mapping[str, str]


class WarmStartSettings(_SettingsFields):
    """Which variables begin with values of another model.

    Values are taken once: when `model_dir` has no checkpoint yet. The log says which variables were taken, which were
    fitted to another vocabulary, and which keep their own initial values. The fields are those of a named tuple, in the
    order of the arguments.

    Args:
      ckpt_to_initialize_from: a model_dir; a checkpoint (path without ending), by name or by object; a SavedModel
        directory; or a .keras or .h5 file, whose variables go by their Keras paths (`dense/kernel`). In an object-based
        checkpoint they go by their names, or by the path of objects (`model/layer-1/kernel`).
      vars_to_warm_start: a regular expression that trainable variables must match at the beginning of their full names
        (by default all do); or a list of such expressions for any variables, trainable or not, those of the optimizer
        among them; or a list of variables, TensorFlow's or Keras's, which stand for their full names; or None for those
        alone that `var_name_to_vocab_info` names.
      var_name_to_vocab_info: full name in this model -> `VocabInfo`, where the vocabulary has changed.
      var_name_to_prev_var_name: full name in this model -> name in the checkpoint, where the two differ.

    Raises:
      ValueError: if `ckpt_to_initialize_from` is empty, or an expression cannot be compiled.
      TypeError: if an argument has another type.

    Example:
      >>> settings = WarmStartSettings("/tmp/other", vars_to_warm_start=".*embedding.*")
    """

    __slots__ = ()

    def __new__(
        cls,
        ckpt_to_initialize_from: str | os.PathLike[str],
        vars_to_warm_start: str | Sequence[str | tf.Variable | keras.Variable] | None = ".*",
        var_name_to_vocab_info: Mapping[str, VocabInfo] | None = None,
        var_name_to_prev_var_name: Mapping[str, str] | None = None,
    ) -> WarmStartSettings:
        """Validates the fields and makes the tuple."""
        if not ckpt_to_initialize_from:
            raise ValueError("`ckpt_to_initialize_from` MUST be set in WarmStartSettings. Received: an empty path.")
        infos = {name: _own_info(info) for name, info in (var_name_to_vocab_info or {}).items()}
        for name, info in infos.items():
            if not isinstance(info, VocabInfo):
                raise TypeError(f"`var_name_to_vocab_info` must map names to VocabInfo. Received: {name!r}: {info!r}.")
        settings = super().__new__(
            cls, ckpt_to_initialize_from, vars_to_warm_start, infos, var_name_to_prev_var_name or {}
        )
        for expression in settings.expressions:
            try:
                re.compile(expression)
            except (re.error, TypeError) as error:
                raise (ValueError if isinstance(expression, str) else TypeError)(
                    "`vars_to_warm_start` must be a regular expression, a list of them or of variables, or None. "
                    f"Received: {vars_to_warm_start!r} ({error})."
                ) from error
        return settings

    @property
    def expressions(self) -> list[Any]:
        """The regular expressions of `vars_to_warm_start`."""
        if self.vars_to_warm_start is None:
            return [re.escape(name) + "$" for name in self.var_name_to_vocab_info]
        if isinstance(self.vars_to_warm_start, str):
            return [self.vars_to_warm_start]
        return [_expression_of(item) for item in self.vars_to_warm_start]

    @property
    def only_trainable(self) -> bool:
        """Whether the expressions are for trainable variables alone."""
        return self.vars_to_warm_start is None or isinstance(self.vars_to_warm_start, str)


def _expression_of(item: Any) -> Any:
    """Returns the regular expression for a variable's full name, and anything else as it is."""
    if isinstance(item, keras.Variable):
        # A model counts its names for the process: layer and weight tell the variable apart from others.
        return f"(.*/)?{re.escape('/'.join(item.path.split('/')[-2:]))}$"
    return re.escape(item.name.removesuffix(":0")) + "$" if isinstance(item, tf.Variable) else item


def _own_info(info: Any) -> Any:
    """Returns TensorFlow's own `VocabInfo`, which tf.estimator's was, as headway's."""
    return VocabInfo(*info) if isinstance(info, tf.compat.v1.train.VocabInfo) else info


def checked(warm_start_from: Any) -> WarmStartSettings | None:
    """Returns the settings that an Estimator's `warm_start_from` stands for."""
    if warm_start_from is None or isinstance(warm_start_from, WarmStartSettings):
        return warm_start_from
    if isinstance(warm_start_from, (str, os.PathLike)):
        return WarmStartSettings(warm_start_from)
    raise ValueError(f"warm_start_from must be a string or a WarmStartSettings, instead got {type(warm_start_from)}.")


@dataclasses.dataclass
class _Report:
    taken: list[str] = dataclasses.field(default_factory=list)
    fitted: list[str] = dataclasses.field(default_factory=list)
    used: set[str] = dataclasses.field(default_factory=set)


def warm_start_variables(store: VariableStore, settings: WarmStartSettings, *, complete: bool = True) -> None:
    """Sets variables to their values in the other model, and logs which.

    Args:
      store: the variables.
      settings: which of them.
      complete: see `warm_start_values`.

    Raises:
      ValueError: as `warm_start_values`; nothing is changed then.
    """
    for name, value in warm_start_values(store.entries, settings, complete=complete).items():
        variable = store.entries[name].variable
        variable.assign(tf.cast(value, variable.dtype))


def warm_start_values(
    entries: Mapping[str, Entry], settings: WarmStartSettings, *, complete: bool = True
) -> dict[str, Any]:
    """Returns the values that variables have in the other model, and logs which.

    Args:
      entries: full name -> variable.
      settings: which of them.
      complete: whether training has made all variables; only then a name that is used nowhere is an error.

    Raises:
      ValueError: if there is no checkpoint, nothing matches, a name is used nowhere, or shapes differ.
    """
    source = open_source(os.fspath(settings.ckpt_to_initialize_from))
    names = _chosen(entries, settings, complete=complete)
    report, values = _Report(), dict[str, Any]()
    renamed, vocabularies = settings.var_name_to_prev_var_name or {}, settings.var_name_to_vocab_info or {}
    # `tf.train.list_variables` shows the keys of objects with an ending, which `source.names` do not have.
    previous = {name: renamed.get(name, entries[name].slice[0]).removesuffix(OBJECT_ENDING) for name in names}
    missing = [name for name, old in previous.items() if old not in source.names and DERIVED.search(old)]
    for name in missing:
        del previous[name]
    _check_present(previous, source)
    for name, old in previous.items():
        part = entries[name].slice[1]
        wanted = tuple(int(size) for size in part.split()[:-1]) or tuple(entries[name].variable.shape)
        report.used.add(old)
        label = name if old == name else f"{name} (there: {old})"
        if name in vocabularies:
            fitted, kept = vocabularies[name].fitted(name, source.value(old), wanted)
            values[name] = slice_of(fitted, part)
            report.fitted.append(f"{label}: {kept} of {wanted[vocabularies[name].axis]}")
        elif source.shape(old) != wanted:
            raise ValueError(
                f"The variable {name!r} has shape {wanted}, and {source.shape(old)} in the checkpoint to warm-start "
                f"from, {source.path}. Leave it out of `vars_to_warm_start`; or, if it follows a vocabulary that has "
                "changed, describe the change in `var_name_to_vocab_info`."
            )
        else:
            values[name] = slice_of(source.value(old), part)
            report.taken.append(label)
    for name in missing:
        # Where optimizers share one count, it is that of the global step.
        if name.endswith("/iter") and GLOBAL_STEP in values:
            values[name] = values[GLOBAL_STEP]
            report.taken.append(f"{name} (there: {GLOBAL_STEP})")
    _log(report, entries, source)
    return values


def _chosen(entries: Mapping[str, Entry], settings: WarmStartSettings, *, complete: bool) -> list[str]:
    names = [
        name
        for name, entry in entries.items()
        if not settings.only_trainable or (entry.role == "model" and entry.variable.trainable)
    ]
    # A variable's own `name` ends in ":0", which expressions may ask for.
    chosen = [
        name
        for name in names
        if any(re.match(expression, full) for expression in settings.expressions for full in (name, f"{name}:0"))
    ]
    if not complete:
        return chosen
    if not chosen:
        raise ValueError(
            f"vars_to_warm_start={settings.vars_to_warm_start!r} matches no variable. There are: {names}. "
            "Expressions match from the beginning of a name: write '.*' before what stands further behind."
        )
    for field in ("var_name_to_prev_var_name", "var_name_to_vocab_info"):
        unused = sorted(set(getattr(settings, field) or ()) - set(chosen))
        if unused:
            raise ValueError(
                f"You provided the following variables in {field} that were not used: {unused}. Perhaps you misspelled "
                f"them? Here is the list of viable variable names: {chosen}."
            )
    return chosen


def _check_present(previous: Mapping[str, str], source: Source) -> None:
    there = source.names
    missing = {name: old for name, old in previous.items() if old not in there}
    if not missing:
        return
    lines = []
    for name, old in missing.items():
        near = difflib.get_close_matches(old, there, 1, 0.4)
        lines.append(f"  {old!r} for {name!r}" + (f"   (closest there: {near[0]!r})" if near else ""))
    raise ValueError(
        f"The checkpoint to warm-start from, {source.path}, has no variable\n"
        + "\n".join(lines)
        + f"\nIt has: {sorted(there)}. Narrow `vars_to_warm_start`, or name the variables there in "
        "`var_name_to_prev_var_name`."
    )


def _log(report: _Report, entries: Mapping[str, Entry], source: Source) -> None:
    done = {label.split(" (there: ")[0].split(": ")[0] for label in (*report.taken, *report.fitted)}
    lists = {
        "taken as they are": report.taken,
        "fitted to the new vocabulary (entries that the old one has)": report.fitted,
        "left at their initial values": [name for name in entries if name not in done],
        "in the checkpoint and not used": source.others(report.used),
    }
    parts = [f"\n  {what}: {', '.join(names)}" for what, names in lists.items() if names]
    logger.info("Warm-started %d variables from %s:%s", len(done), source.path, "".join(parts))
