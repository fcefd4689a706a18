"""Hooks: what happens beside training, and when.

A hook says when it wants control (`due`), and what it does then (`act`) is separate from that. Between two such steps
the device runs on its own. `every_n_steps` makes a hook of any function.
"""

from __future__ import annotations

import abc
import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from headway._spec import EstimatorSpec
from headway.estimators import _when
from headway.estimators._events import EventWriter
from headway.estimators._needs_graph import NeedsGraph
from headway.estimators._when import Progress

if TYPE_CHECKING:
    from headway.estimators._checkpoints import Checkpoint


class Run(abc.ABC):
    """A `train` call as its hooks see it. Estimators make it; hooks receive it.

    Attributes:
      progress: how far it has come.

    Example:
      >>> def stop_when_good(run: Run) -> None:
      ...     if run.loss < 0.01:
      ...         run.request_stop(f"the loss is {run.loss:.4f} at step {run.step}")
      >>> hook = every_n_steps(10, stop_when_good)
    """

    progress: Progress

    @property
    def step(self) -> int:
        """The global step."""
        return self.progress.step

    @property
    @abc.abstractmethod
    def loss(self) -> float:
        """The loss of the last step; NaN before the first."""

    @property
    @abc.abstractmethod
    def values(self) -> Mapping[str, Any]:
        """Values of the last step by name: "loss", "step", and "learning_rate/<optimizer>" for each optimizer."""

    @property
    @abc.abstractmethod
    def met_nan(self) -> bool:
        """Whether the loss of the last step is NaN."""

    @property
    @abc.abstractmethod
    def last_checkpoint_text(self) -> str:
        """A sentence that names the newest checkpoint."""

    @property
    @abc.abstractmethod
    def events(self) -> EventWriter | None:
        """Writes to the event file of training; None in a worker that is not the chief."""

    @property
    @abc.abstractmethod
    def model_dir(self) -> str:
        """The estimator's directory."""

    @abc.abstractmethod
    def request_stop(self, reason: str) -> None:
        """Ends training after the hooks of this step have acted; `reason` goes into the log."""

    @abc.abstractmethod
    def save(self) -> Checkpoint | None:
        """Writes a checkpoint of this step, unless it is there; returns None in a worker that is not the chief."""

    @abc.abstractmethod
    def summary(self) -> bytes:
        """Returns the serialised `Summary` of the last step; empty where that step recorded none."""

    @abc.abstractmethod
    def take_metrics(self) -> Mapping[str, float]:
        """Returns the head's metrics over the steps since the last call, with `RunConfig(training_metrics=True)`."""

    @abc.abstractmethod
    def write_summary(self, serialized: bytes) -> None:
        """Writes a serialised `Summary` of this step."""

    @abc.abstractmethod
    def logged(self, hook: Hook) -> Mapping[str, Any]:
        """Returns the values, in the last step, of the tensors that `hook.step_tensors` names."""


class Hook(abc.ABC):  # noqa: B024 - every verb has a default: a hook overrides those it needs
    """Does something beside training. Override what you need.

    The order in a `train` call, for all hooks in the order of the list:

        begin(run)
        repeat:
            step = the smallest due(progress) of all hooks, or where the run ends
            ... the device runs up to that step ...
            act(run)              for each hook whose due step is reached, and for each whose due is None
        end(run)                  unless an error ended the run

    Attributes:
      step_tensors: name -> tensor of the model_fn whose value in the last step `act` can see through `run.logged`.
      step_names: names of such tensors, for hooks that have not the tensors themselves; `run.values` holds the values.
      wants_summary: whether `write_summary` values are wanted at the steps that are due.
      looks_back: whether the hook only reads `run.step`, `progress`, `loss`, `values`, `summary` and writes events. The
        device then need not wait for it: `act` may come some steps later, within about half a second, and finds what
        there was at the step that was due.
      original: TensorFlow's session hook that it stands for, or None; a session runs that instead.
      acts_last: whether it acts after all others at a step, those that save and evaluate among them.

    Example:
      >>> class Countdown(Hook):
      ...     def due(self, progress):
      ...         return progress.step // 10 * 10 + 10
      ...     def act(self, run):
      ...         print(f"step {run.step}: loss {run.loss:.2f}")
    """

    step_tensors: Mapping[str, tf.Tensor] = {}
    step_names: Iterable[str] = ()
    wants_summary: bool = False
    acts_last: bool = False
    looks_back: bool = False
    original: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class that does something else must say anew that it only reads.
        if {"act", "action"} & vars(cls).keys() and "looks_back" not in vars(cls):
            cls.looks_back = False

    def begin(self, run: Run) -> None:  # noqa: B027
        """Called once, before the first step."""

    def due(self, progress: Progress) -> int | None:
        """Returns the next global step after which `act` is wanted; None: whenever control returns, often."""
        del progress
        return None

    def due_until(self, progress: Progress, last: int) -> list[int]:
        """Returns the steps up to `last` that are due, one after the other, if the hook acts at each of them.

        This one asks `due` for each; override it where `due` depends on what `act` does.
        """
        steps: list[int] = []
        step = self.due(progress)
        while step is not None and progress.step < step <= last:
            steps.append(step)
            progress = dataclasses.replace(progress, step=step)
            step = self.due(progress)
        return steps

    def act(self, run: Run) -> None:  # noqa: B027
        """Called when that step is done."""

    def end(self, run: Run) -> None:  # noqa: B027
        """Called once, after the last step."""


class PeriodicHook(Hook):
    """Calls a function when it is due.

    Args:
      when: when to call it.
      action: called with the `Run`.
    """

    def __init__(self, when: _when.When, action: Callable[[Run], Any] | None = None) -> None:
        self.when = when
        self._action = action

    def begin(self, run: Run) -> None:
        """Counts from this run's first step; a hook may serve several runs, one after the other."""
        del run
        self.when.reset()

    def due(self, progress: Progress) -> int | None:
        """Returns the step that `when` names."""
        return self.when.next_step(progress)

    def due_until(self, progress: Progress, last: int) -> list[int]:
        """Returns the steps that `when` names."""
        return self.when.steps_until(progress, last)

    def act(self, run: Run) -> None:
        """Calls the function, if it is time."""
        if self.when.is_due(run.progress):
            self.when.done(run.progress)
            self.action(run)

    def action(self, run: Run) -> None:
        """What is done."""
        if self._action is not None:
            self._action(run)


def every_n_steps(steps: int, action: Callable[[Run], Any]) -> Hook:
    """Returns a hook that calls `action(run)` after the first step and then every `steps` steps.

    Args:
      steps: the distance in steps, at least 1.
      action: any function of the `Run`: `run.step`, `run.loss`, `run.values`, `run.request_stop(...)`, `run.save()`.

    Example:
      >>> hook = every_n_steps(100, lambda run: print(run.step, run.values["loss"]))
    """
    return PeriodicHook(_when.EverySteps(steps), action)


def every_n_secs(seconds: float, action: Callable[[Run], Any]) -> Hook:
    """Returns a hook that calls `action(run)` after the first step and then about every `seconds` seconds.

    Args:
      seconds: the time between two calls.
      action: any function of the `Run`.

    Example:
      >>> hook = every_n_secs(60, lambda run: print(run.step, run.loss))
    """
    return PeriodicHook(_when.EverySeconds(seconds), action)


class SessionHookAdapter(Hook):
    """Runs a `tf.compat.v1.train.SessionRunHook` that needs no session: one that counts, times or stops.

    Args:
      hook: the hook. It gets `None` for the session; one that asks for tensors is refused.
    """

    def __init__(self, hook: Any) -> None:
        self.hook = hook

    def begin(self, run: Run) -> None:
        """Calls the hook's `begin`."""
        del run
        self.hook.begin()

    def due(self, progress: Progress) -> int | None:
        """Returns the next step: such a hook acts on each."""
        return progress.step + 1

    def act(self, run: Run) -> None:
        """Calls `after_run`."""
        values = tf.compat.v1.train.SessionRunValues(results=None, options=None, run_metadata=None)
        self.hook.after_run(_SessionRunContext(run, self.hook), values)

    def end(self, run: Run) -> None:
        """Calls the hook's `end`."""
        del run
        self.hook.end(None)

    def before_step(self, run: Run) -> None:
        """Calls `before_run`.

        Raises:
          ValueError: if it asks for tensors.
        """
        arguments = self.hook.before_run(_SessionRunContext(run, self.hook))
        if arguments is not None and (arguments.fetches or arguments.feed_dict):
            raise ValueError(
                f"The hook {self.hook} asks for tensors of a session, or feeds some "
                f"({arguments.fetches or arguments.feed_dict}), and there is no session. Use a headway hook: its "
                "`run.values` has the loss, and `step_tensors` names tensors of the model_fn (see LoggingTensorHook). "
                "For a model_fn of TensorFlow 1, RunConfig(runtime='graph') makes a session."
            )


class _SessionRunContext:
    """What a SessionRunHook may ask of the run."""

    session = None
    original_args = None

    def __init__(self, run: Run, hook: Any) -> None:
        self._run, self._hook = run, hook
        self.stop_requested = False

    def request_stop(self) -> None:
        self.stop_requested = True
        self._run.request_stop(f"{type(self._hook).__name__} asked for it")


# Exact class of a hook -> function that makes the headway hook that does the same.
TWINS: dict[type, Callable[[Any], Hook]] = {}


def adapted(hook: Any) -> Hook:
    """Returns `hook` as a `Hook`; one of TensorFlow's own as the hook of that name here.

    Raises:
      TypeError: if it is neither a headway hook nor a SessionRunHook.
    """
    if isinstance(hook, type):
        raise TypeError(
            f"Hooks must be a SessionRunHook, given: the class {hook.__name__} itself. Make an instance of it: "
            f"{hook.__name__}(...)."
        )
    if all(callable(getattr(hook, verb, None)) for verb in ("begin", "due", "act", "end")):
        return hook  # type: ignore[no-any-return]
    if type(hook) in TWINS:
        twin = TWINS[type(hook)](hook)
        twin.original = hook
        return twin
    if all(callable(getattr(hook, verb, None)) for verb in ("begin", "before_run", "after_run", "end")):
        return SessionHookAdapter(hook)
    raise TypeError(
        f"Hooks must be a SessionRunHook, given: {hook!r}. Pass a list of headway hooks or SessionRunHooks."
    )


def logged_tensors(spec: EstimatorSpec, graph: Any) -> list[dict[str, tf.Tensor]]:
    """Returns, for each training hook of `spec`, the tensors of the step that it wants to see, or names of `graph`."""
    found = []
    for hook in map(adapted, (*spec.training_hooks, *spec.training_chief_hooks)):
        # What `assign` returns in a function is a variable.
        asked = {name: tensor for name, tensor in hook.step_tensors.items() if tf.is_tensor(tensor)}
        tensors = {name: tf.convert_to_tensor(tensor) for name, tensor in asked.items()}
        found.append(tensors | named_tensors(hook.step_names, graph))
    return found


def named_tensors(names: Iterable[str], graph: Any) -> dict[str, tf.Tensor]:
    """Returns the tensors of a graph by name; "loss" stands for the only result of the operation of that name.

    Raises:
      ValueError: if there is no such tensor.
    """
    return {name: _tensor_of(name, graph) for name in names}


def _tensor_of(name: str, graph: Any) -> tf.Tensor:
    if tf.executing_eagerly():
        raise ValueError(
            f"A hook asks for the tensor {name!r} by its name, and with RunConfig(run_eagerly=True) tensors have no "
            "names."
        )
    try:
        return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        names = [operation.name for operation in graph.get_operations()]
        near = difflib.get_close_matches(name.partition(":")[0], names, n=3, cutoff=0.4)
        raise ValueError(
            f"A hook asks for the tensor {name!r}, which the model_fn does not make. Names of operations that come "
            f"near: {near or 'none'}. Name a tensor by `tf.identity(value, name={name.partition(':')[0]!r})`. The "
            "values 'loss', 'step', 'global_step' and 'learning_rate/<optimizer>' are there in any case."
        ) from error


def due_steps(hooks: Sequence[Hook], run: Run) -> list[int | None]:
    """Returns what each hook says is the next step at which it acts; SessionRunHooks learn that a step begins."""
    for hook in hooks:
        if isinstance(hook, SessionHookAdapter):
            hook.before_step(run)
    return [hook.due(run.progress) for hook in hooks]


def act_on(hooks: Sequence[Hook], due: Sequence[int | None], run: Run) -> None:
    """Lets those hooks act whose step, as `due_steps` gave it, is reached, and those that named none."""
    for hook, step in zip(hooks, due, strict=True):
        if step is None or run.step >= step:
            hook.act(run)


def check_for_batches(hooks: Sequence[Hook]) -> None:
    """Raises `NeedsGraph` if a hook of an evaluation or prediction asks for what these do not give."""
    for hook in hooks:
        wants = "tensors" if hook_wants_tensors(hook) else "summaries" if hook.wants_summary else None
        if wants is not None:
            raise NeedsGraph(
                f"the hook {type(hook.original or hook).__name__} asks for {wants} of an evaluation or prediction"
            )


def check_for_training(hooks: Sequence[Hook]) -> None:
    """Raises an error if a hook that the model_fn did not return asks for tensors of it, which it cannot have."""
    for hook in hooks:
        if hook.step_tensors:
            raise ValueError(
                f"The hook {type(hook.original or hook).__name__} asks for tensors, and was given to `train`, where no "
                "tensor of the model_fn can be had. Return it from the model_fn, in "
                "EstimatorSpec(training_hooks=[...]), or ask for tensors by their names. Received: "
                f"{list(hook.step_tensors.values())}."
            )


def hook_wants_tensors(hook: Hook) -> bool:
    """Returns whether a hook asks for tensors of the step."""
    return bool(hook.step_tensors) or bool(tuple(hook.step_names))


def as_number(value: Any) -> Any:
    """Returns a scalar tensor as a Python number, other values as NumPy arrays."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array
